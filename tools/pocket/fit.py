"""The part of `pocket` that is learned here: pooled image features → the space of the texts.

A ridge regression to the mean caption vector gives the start; a small network beside it and one
square map on the text side are then fitted with a symmetric contrastive loss (Radford et al. 2021,
fig. 3), where all captions of one picture count as right. Several fits from different seeds are
averaged into one wider network.
"""

# torch calls modules through Any.
# mypy: disable-error-code="no-any-return, no-untyped-call"

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

DIMENSIONS = 384


@dataclass(frozen=True)
class FitSettings:
    """Chosen on a held-out tenth of the training pictures, then confirmed on dev.

    temperature divides the cosines; captions is how many of a picture's captions a step sees.
    """

    ridge: float = 3000.0
    hidden: int = 768
    feature_dropout: float = 0.3
    hidden_dropout: float = 0.5
    epochs: int = 9
    batch: int = 1024
    rate: float = 1e-3
    weight_decay: float = 0.05
    temperature: float = 0.05
    captions: int = 2
    members: int = 2
    seed: int = 1


class Adapter(nn.Module):
    """(n, p) pooled features → (n, 384), not normalised: a linear map plus a hidden layer."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, DIMENSIONS)
        self.hidden = nn.Linear(features, hidden)
        self.out = nn.Linear(hidden, DIMENSIONS, bias=False)
        nn.init.zeros_(self.out.weight)

    def forward(self, features: Tensor, feature_drop: float = 0.0, drop: float = 0.0) -> Tensor:
        features = functional.dropout(features, feature_drop, self.training)
        hidden = functional.dropout(functional.relu(self.hidden(features)), drop, self.training)
        return self.linear(features) + self.out(hidden)


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of every feature over the training pictures."""

    mean: Tensor
    std: Tensor

    def apply(self, features: Tensor) -> Tensor:
        """(n, p) features, each with mean 0 and deviation 1 over the training pictures."""
        return (features - self.mean) / self.std


def scale_of(features: Tensor) -> Scale:
    """From (n, p) features."""
    return Scale(features.mean(0), features.std(0).clamp(min=1e-3))


def mean_by_owner(vectors: Tensor, owner: Tensor, images: int) -> Tensor:
    """(n, d) mean of the caption vectors of each picture."""
    total = torch.zeros(images, vectors.shape[1]).index_add_(0, owner, vectors)
    return total / torch.bincount(owner, minlength=images)[:, None]


def ridge_map(features: Tensor, targets: Tensor, strength: float) -> tuple[Tensor, Tensor]:
    """Weights (d, p) and bias (d) of the ridge solution from scaled features to targets."""
    bias = targets.mean(0)
    gram = features.T @ features + strength * torch.eye(features.shape[1])
    return torch.linalg.solve(gram, features.T @ (targets - bias)).T, bias


def contrastive_loss(images: Tensor, texts: Tensor, owner: Tensor, temperature: float) -> Tensor:
    """Symmetric InfoNCE. images (b, d), texts (m, d), owner (m): row of `images` of each text."""
    logits = (
        functional.normalize(texts, dim=1) @ functional.normalize(images, dim=1).T / temperature
    )
    target = functional.one_hot(owner, len(images)).to(logits.dtype)
    by_text = -(target * logits.log_softmax(1)).sum(1).mean()
    column = target / target.sum(0, keepdim=True).clamp(min=1e-6)
    return (by_text - (column * logits.log_softmax(0)).sum(0).mean()) / 2


def training_steps(
    owner: Tensor, images: int, settings: FitSettings
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """For every step: rows of pictures, rows of some of their captions, picture of each caption.

    The pictures are shuffled for every epoch; a rest of less than half a batch is left out.
    """
    order = torch.argsort(owner, stable=True)
    counts = torch.bincount(owner, minlength=images)
    first = counts.cumsum(0) - counts
    for _ in range(settings.epochs):
        for chosen in torch.randperm(images).split(settings.batch):
            if len(chosen) < min(images, settings.batch) // 2:
                continue
            shuffled = torch.rand(len(chosen), int(counts.max())).argsort(1)
            picks = shuffled[:, : settings.captions] % counts[chosen, None]
            captions = order[first[chosen, None] + picks].reshape(-1)
            yield chosen, captions, torch.arange(len(chosen)).repeat_interleave(picks.shape[1])


def fit_member(
    features: Tensor, texts: Tensor, owner: Tensor, settings: FitSettings, seed: int
) -> tuple[Adapter, nn.Linear]:
    """One adapter and its text map.

    features: (n, p) scaled features of the pictures.
    texts: (m, 384) caption vectors minus their mean; owner: (m) picture of each.
    """
    torch.manual_seed(seed)
    images = len(features)
    adapter = Adapter(features.shape[1], settings.hidden)
    targets = mean_by_owner(texts, owner, images)
    weight, bias = ridge_map(features, targets, settings.ridge)
    with torch.no_grad():
        adapter.linear.weight.copy_(weight)
        adapter.linear.bias.copy_(bias)
    text_map = nn.Linear(DIMENSIONS, DIMENSIONS, bias=False)
    nn.init.eye_(text_map.weight)
    optimiser = torch.optim.AdamW(
        [*adapter.parameters(), *text_map.parameters()],
        settings.rate,
        weight_decay=settings.weight_decay,
        betas=(0.9, 0.98),
    )
    steps = list(training_steps(owner, images, settings))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.rate, total_steps=len(steps), pct_start=0.15
    )
    adapter.train()
    for chosen, captions, of in steps:
        pictures = adapter(features[chosen], settings.feature_dropout, settings.hidden_dropout)
        loss = contrastive_loss(pictures, text_map(texts[captions]), of, settings.temperature)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return adapter.eval(), text_map.eval()


def fit_members(
    features: Tensor, texts: Tensor, owner: Tensor, settings: FitSettings
) -> tuple[list[Adapter], Tensor]:
    """Adapters of several seeds and the mean (384, 384) of their text maps."""
    fitted = [
        fit_member(features, texts, owner, settings, settings.seed + index)
        for index in range(settings.members)
    ]
    text_map = torch.stack([found.weight.detach() for _, found in fitted]).mean(0)
    return [adapter for adapter, _ in fitted], text_map


def looks_map(features: Tensor, dimensions: int) -> Tensor:
    """(dimensions, p) half-whitened principal components of (n, p) scaled features.

    Fully whitened, noise of re-encoding would weigh as much as what is seen; not at all, few
    directions would say everything. The fourth root lies between.
    """
    values, vectors = torch.linalg.eigh(features.T @ features / len(features))
    values, vectors = values[-dimensions:], vectors[:, -dimensions:]
    return (vectors / values.pow(0.25)).T.contiguous()
