"""`palette`: a model without weights. A picture is its share of each basic colour.

The eleven colours are the basic colour terms of Berlin and Kay, "Basic Color Terms" (1969), each
at the place where people name it most surely, compared in Oklab (Ottosson 2020,
https://bottosson.github.io/posts/oklab/), where distance is about how different colours look.
A wrong sign, order or norm anywhere in the plumbing shows at once with this model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pixseek.records import Space, Vectors

if TYPE_CHECKING:
    from PIL import Image

    from pixseek.encoders import Options
    from pixseek.encoders.catalog import Model

COLOURS = {
    "black": (0, 0, 0),
    "grey": (128, 128, 128),
    "white": (255, 255, 255),
    "red": (210, 20, 30),
    "orange": (255, 140, 0),
    "yellow": (255, 230, 20),
    "green": (40, 150, 50),
    "blue": (30, 80, 200),
    "purple": (130, 50, 160),
    "pink": (250, 150, 190),
    "brown": (120, 70, 30),
}
OTHER_WORDS = {"gray": "grey", "violet": "purple"}
_SIDE = 32
_WORD = re.compile(rf"\b({'|'.join([*COLOURS, *OTHER_WORDS])})\b")


def load(model: Model, options: Options) -> PaletteEncoder:  # noqa: ARG001  as every runtime's
    return PaletteEncoder()


class PaletteEncoder:
    """11 dimensions, one a colour. A text without colour words is all colours alike."""

    space = Space("palette", "basic-colours-1", len(COLOURS))
    input_size = _SIDE
    runs_on = "the processor"

    def __init__(self) -> None:
        self._anchors = _oklab(np.array(list(COLOURS.values()), np.float32))

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        """Share of pixels nearest to each colour, of length 1; (n, 11). No images gives (0, 11)."""
        shares = [self._shares(image) for image in images]
        return _unit(np.array(shares, np.float32).reshape(-1, len(COLOURS)))

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """Its colour words, of length 1; (m, 11). No texts gives (0, 11)."""
        counts = np.zeros((len(texts), len(COLOURS)), np.float32)
        names = list(COLOURS)
        for row, text in zip(counts, texts, strict=True):
            for word in _WORD.findall(text.lower()):
                row[names.index(OTHER_WORDS.get(word, word))] += 1
        counts[counts.sum(axis=1) == 0] = 1
        return _unit(counts)

    def _shares(self, image: Image.Image) -> NDArray[np.float64]:
        pixels = np.asarray(image.resize((_SIDE, _SIDE)), np.float32).reshape(-1, 3)
        distance = ((_oklab(pixels)[:, None] - self._anchors[None]) ** 2).sum(axis=2)
        counts: NDArray[np.int64] = np.bincount(distance.argmin(axis=1), minlength=len(COLOURS))
        return counts / len(pixels)


def _oklab(rgb: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, 3) sRGB 0…255 → (n, 3) Oklab."""
    c = rgb / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    cones = linear @ _TO_CONES.T
    lab: NDArray[np.float32] = (np.cbrt(cones) @ _TO_LAB.T).astype(np.float32)
    return lab


_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def _unit(vectors: Vectors) -> Vectors:
    unit: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit
