"""The shipped graphs as torch modules: what happens between pixels or ids and a unit vector."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from .fit import Adapter, Scale
from .towers import ImageTower, TextTower

CLASS_TEMPERATURE = 2.0
CLASS_COUNT = 50
SURE_SHARE = 0.3


class TowerGraph(nn.Module):
    """Pixels (n, S, S, 3) uint8 → pooled features (n, p) and class logits (n, 1000) of the towers.

    The logits are the mean of the towers'. This is the part that is quantised.
    """

    def __init__(self, towers: list[ImageTower]) -> None:
        super().__init__()
        self.towers = towers
        self.registered = nn.ModuleList(towers)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        pooled = [tower(pixels).mean((2, 3)) for tower in self.towers]
        logits = [tower.classes(row) for tower, row in zip(self.towers, pooled, strict=True)]
        return torch.cat(pooled, 1), torch.stack(logits).mean(0)


class ImageHead(nn.Module):
    """Pooled features and class logits → the image vector (n, 384 + v).

    First block: what words can say, the learned part and the class part (ConSE, Norouzi et al.
    2014: the class names' text vectors, mixed by probability). Second block: looks, the whitened
    principal components of the features. Each block has a fixed length, so the second, which is
    zero for texts, changes no text → image ranking.
    """

    def __init__(
        self,
        scale: Scale,
        members: list[Adapter],
        class_texts: Tensor,
        looks: Tensor,
        *,
        class_share: float,
        looks_share: float,
    ) -> None:
        super().__init__()
        hidden = sum(member.hidden.out_features for member in members)
        merged = Adapter(len(scale.mean), hidden)
        count = len(members)
        with torch.no_grad():
            weight = torch.stack([m.linear.weight for m in members]).mean(0)
            bias = torch.stack([m.linear.bias for m in members]).mean(0)
            first = torch.cat([m.hidden.weight for m in members])
            first_bias = torch.cat([m.hidden.bias for m in members])
            merged.linear.weight.copy_(weight)
            merged.linear.bias.copy_(bias)
            merged.hidden.weight.copy_(first)
            merged.hidden.bias.copy_(first_bias)
            merged.out.weight.copy_(torch.cat([m.out.weight / count for m in members], 1))
        # Not folded into the weights: scaled features are what can be multiplied in 8 bits.
        self.gain = nn.Parameter(1 / scale.std)
        self.offset = nn.Parameter(-scale.mean / scale.std)
        self.looks = nn.Parameter(looks)
        self.adapter = merged.eval()
        self.class_texts = nn.Parameter(class_texts)
        self.class_share, self.looks_share = class_share, looks_share

    def forward(self, pooled: Tensor, logits: Tensor) -> Tensor:
        features = pooled * self.gain + self.offset
        learned = functional.normalize(self.adapter(features), dim=1)
        named = functional.normalize(self._names(logits / CLASS_TEMPERATURE), dim=1)
        # Not normalised: the surer the towers are of one class, the longer it is.
        sure = self._names(logits)
        mixed = (1 - self.class_share) * learned + self.class_share * named + SURE_SHARE * sure
        words = functional.normalize(mixed, dim=1) * (1 - self.looks_share) ** 0.5
        looks = functional.normalize(features @ self.looks.T, dim=1) * self.looks_share**0.5
        return torch.cat([words, looks], 1)

    def _names(self, logits: Tensor) -> Tensor:
        """(n, 384) text vectors of the likeliest classes, mixed by their probability."""
        shares = logits.softmax(1)
        least = shares.topk(CLASS_COUNT, dim=1).values[:, -1:]
        return (shares * (shares >= least)) @ self.class_texts


class TextGraph(nn.Module):
    """Ids and mask (m, t) → the text vector (m, 384 + v), zero in the block of looks."""

    def __init__(self, tower: TextTower, mean: Tensor, text_map: Tensor, looks: int) -> None:
        super().__init__()
        self.tower = tower
        self.mean, self.text_map = nn.Parameter(mean), nn.Parameter(text_map)
        self.looks = looks

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        sentence = functional.normalize(self.tower(input_ids, attention_mask), dim=1) - self.mean
        return functional.pad(
            functional.normalize(sentence @ self.text_map.T, dim=1), (0, self.looks)
        )
