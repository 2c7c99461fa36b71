"""From captioned pictures to the five shipped files, step by step.

Every step keeps what it made in a work folder, so that a build can be taken up where it stopped.
"""

# torch calls modules through Any.
# mypy: disable-error-code="no-any-return, no-untyped-call"

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from . import parts
from .assemble import FittedParts, write_all
from .data import Captioned, read_captioned, read_pixels
from .export import to_onnx
from .features import pooled_features
from .fit import FitSettings, fit_members, looks_map, scale_of
from .graphs import ImageHead, TowerGraph
from .quantize import quantize_convolutions
from .towers import TextTower, image_towers, load_tokenizer, token_batch

IMAGE_SIZE = 224
LOOKS = 128
CLASS_SHARE = 0.2
LOOKS_SHARE = 0.3
CALIBRATION_STEP = 30
PROMPT = "a photo of a {}"


@dataclass(frozen=True)
class Seen:
    """What the towers see in n pictures: (n, 2560) pooled features and (n, 1000) class logits."""

    pooled: Tensor
    logits: Tensor


def encode_sentences(tower: TextTower, texts: list[str], batch: int = 128) -> Tensor:
    """(m, 384) rows of length 1, in the order given; texts of like length share a batch."""
    tokenizer = load_tokenizer()
    lengths = [len(row.ids) for row in tokenizer.encode_batch(texts)]
    order = sorted(range(len(texts)), key=lengths.__getitem__)
    found = torch.empty(len(texts), 384)
    with torch.inference_mode():
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            found[rows] = tower(*token_batch(tokenizer, [texts[row] for row in rows]))
    return functional.normalize(found, dim=1)


def kept_sentences(tower: TextTower, texts: list[str], path: Path) -> Tensor:
    """encode_sentences, kept in a file."""
    if not path.exists():
        torch.save(encode_sentences(tower, texts), path)
    return torch.load(path, weights_only=True)


def quantized_towers(pixels: np.ndarray, work: Path) -> Path:
    """The towers' graph in 8 bits, calibrated on every CALIBRATION_STEP-th training picture."""
    target = work / "towers_int8.onnx"
    if not target.exists():
        source = work / "towers.onnx"
        axes = {name: {0: "n"} for name in ("pixels", "pooled", "logits")}
        sample = {"pixels": torch.from_numpy(pixels[:2])}
        to_onnx(TowerGraph(image_towers()), sample, ["pooled", "logits"], source, axes)
        part = work / "towers_int8.part.onnx"
        quantize_convolutions(source, part, pixels[::CALIBRATION_STEP], narrow=True)
        part.rename(target)
    return target


def kept_features(graph: Path, pixels: np.ndarray, path: Path) -> Seen:
    """Pooled features of pictures, kept in a file."""
    if not path.exists():
        pooled, logits = pooled_features(graph, pixels)
        np.savez(path, pooled=pooled, logits=logits)
    kept = np.load(path)
    return Seen(torch.from_numpy(kept["pooled"]), torch.from_numpy(kept["logits"]))


@dataclass(frozen=True)
class Texts:
    """(384,) mean of the caption vectors, (m, 384) captions, (1000, 384) names of the classes."""

    mean: Tensor
    captions: Tensor
    names: Tensor


def fit_head(
    seen: Seen, texts: Texts, owner: Tensor, settings: FitSettings
) -> tuple[ImageHead, Tensor]:
    """The head of the image graph and the (384, 384) text map. owner: picture of each caption."""
    scale = scale_of(seen.pooled)
    features = scale.apply(seen.pooled)
    members, text_map = fit_members(features, texts.captions - texts.mean, owner, settings)
    named = functional.normalize((texts.names - texts.names.mean(0)) @ text_map.T, dim=1)
    looks = looks_map(features, LOOKS)
    shares = {"class_share": CLASS_SHARE, "looks_share": LOOKS_SHARE}
    return ImageHead(scale, members, named, looks, **shares).eval(), text_map


def cosines_of_unseen(
    seen: Seen, texts: Texts, owner: Tensor, settings: FitSettings
) -> dict[str, dict[str, float]]:
    """Percentiles of image-text cosine for right pairs and for strangers.

    From a fit that leaves out every tenth training picture, measured on those: pairs that a fit
    has seen score higher than any a user will bring.
    """
    unseen = torch.arange(len(seen.pooled)) % 10 == 0
    row = torch.where(unseen, unseen.cumsum(0), (~unseen).cumsum(0)) - 1
    apart = unseen[owner]
    part = Seen(seen.pooled[~unseen], seen.logits[~unseen])
    known = Texts(texts.mean, texts.captions[~apart], texts.names)
    head, text_map = fit_head(part, known, row[owner[~apart]], replace(settings, members=1))
    with torch.inference_mode():
        images = head(seen.pooled[unseen], seen.logits[unseen])[:, : text_map.shape[0]]
        words = functional.normalize((texts.captions[apart] - texts.mean) @ text_map.T, dim=1)
        scores = words @ images.T
    right = row[owner[apart]][:, None]
    pairs = scores.gather(1, right)
    strangers = scores.scatter(1, right, torch.nan)[::5]
    return {"pairs": _percentiles(pairs), "strangers": _percentiles(strangers)}


def _percentiles(values: Tensor) -> dict[str, float]:
    kept = values[~values.isnan()].numpy()
    points = (1, 5, 25, 50, 75, 95, 99)
    return {f"p{point:02}": round(float(np.percentile(kept, point)), 4) for point in points}


def build(data_folder: Path, out: Path, work: Path, settings: FitSettings) -> None:
    """Make the shipped files. Only the train split is read."""
    work.mkdir(parents=True, exist_ok=True)
    data: Captioned = read_captioned(data_folder, "train")
    pixels = read_pixels(data.paths(), IMAGE_SIZE)
    graph = quantized_towers(pixels, work)
    seen = kept_features(graph, pixels, work / "features.npz")
    tower = TextTower().eval()
    captions = kept_sentences(tower, data.captions, work / "captions.pt")
    kinds = [PROMPT.format(name) for name in parts.class_names()]
    names = kept_sentences(tower, kinds, work / "names.pt")
    texts = Texts(captions.mean(0), captions, names)
    owner = torch.from_numpy(data.owner)
    head, text_map = fit_head(seen, texts, owner, settings)
    fitted = FittedParts(
        tower_graph=graph,
        head=head,
        text_tower=tower,
        text_mean=texts.mean,
        text_map=text_map,
        image_size=IMAGE_SIZE,
        looks=LOOKS,
        image_text_cosine=cosines_of_unseen(seen, texts, owner, settings),
    )
    write_all(fitted, out)
