"""Long pictures are seen part by part: docs/decisions/009-panoramas.md.

Models see a square. Of a panorama their own preparation leaves the middle, or squeezes all of it to
a fifth of its width; so a long picture becomes several squares, and one vector again.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from pixseek.encoders import Encoder
from pixseek.records import Vectors

if TYPE_CHECKING:
    from PIL import Image

LONG = 2.0
"""Times the shorter side from which a picture is long; photographs have at most 16:9."""
MOST = 12
"""Squares that one picture becomes, at most."""
AT_ONCE = 32
"""Squares that go through the model together."""


def encode_pictures(encoder: Encoder, images: Sequence[Image.Image]) -> Vectors:
    """encoder.encode_images, and of a long picture the mean direction of its parts and the whole.

    images: upright RGB, any size. Returns (n, d) float32, rows of length 1, in the order given.
    """
    parts = [[*squares(one), _squeezed(one)] if is_long(one) else [one] for one in images]
    flat = [part for some in parts for part in some]
    if len(flat) == len(images):
        return encoder.encode_images(flat)
    runs = range(0, len(flat), AT_ONCE)
    vectors = np.concatenate([encoder.encode_images(flat[at : at + AT_ONCE]) for at in runs])
    rows, start = [], 0
    for some in parts:
        rows.append(_mean(vectors[start : start + len(some)]))
        start += len(some)
    return np.stack(rows)


def is_long(image: Image.Image) -> bool:
    return max(image.size) >= LONG * min(image.size)


def squares(image: Image.Image) -> list[Image.Image]:
    """As few squares as cover the picture, evenly from one end to the other, overlapping.

    Of a picture longer than MOST squares, parts that are longer than high.
    """
    short, long = sorted(image.size)
    count = min(ceil(long / short), MOST)
    size = max(short, ceil(long / count))
    starts = [round(i * (long - size) / max(1, count - 1)) for i in range(count)]
    if image.width > image.height:
        return [image.crop((at, 0, at + size, short)) for at in starts]
    return [image.crop((0, at, short, at + size)) for at in starts]


def _squeezed(image: Image.Image) -> Image.Image:
    from PIL.Image import Resampling

    side = min(image.size)
    return image.resize((side, side), Resampling.BICUBIC)


def _mean(vectors: Vectors) -> Vectors:
    """(n, d) → (d,) of length 1; of one vector, itself to the last bit."""
    if len(vectors) == 1:
        first: Vectors = vectors[0]
        return first
    total = vectors.sum(axis=0, dtype=np.float64)
    length = float(np.linalg.norm(total))
    # Parts that cancel each other out say nothing together: the whole, the last, speaks alone.
    mean: Vectors = (total / length).astype(np.float32) if length > 1e-6 else vectors[-1]
    return mean
