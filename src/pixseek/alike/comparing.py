"""Two pictures, small → whether one is made of the other: resized, encoded anew, cut, recoloured.

A model's vectors say that two pictures show the same; whether they are the same is seen in pixels.
One is laid over the other at the scale and place where brightness agrees best, and then fine detail
has to agree there, too: that of two photos of one scene, or of two pages of text, does not.
bench/dupes.py has the figures.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

SIDE = 128
"""Pixels of the longer side of what is compared."""
CONFIRMED = 0.7
"""Likeness from which on two pictures are one (bench/dupes.py)."""
_COARSE, _FINE = 24, 64
"""Pixels a side of what is laid over: to find the place, and to judge it."""
_LEAST_PART = 0.8
"""Of a side, what a cut leaves at least."""
_PLAIN = 2.0
"""Standard deviation of brightness, 0 to 255, below which there is nothing to recognise."""
_HALVINGS = 4
"""Of the steps by which the place is sought."""
_HOPELESS = 0.25
"""Agreement of brightness below which detail need not be looked at."""
_Floats: TypeAlias = "NDArray[np.float32]"
_Box: TypeAlias = "tuple[float, float, float, float]"
_Place: TypeAlias = "tuple[float, float, float]"
"""Share of the largest part of the other's shape, and its middle across and down, 0 to 1."""


class Small:
    """A picture as it is compared."""

    def __init__(self, picture: Image.Image) -> None:
        """picture: RGB, upright, at least about `SIDE` pixels long where the original is."""
        grey = picture.convert("L")
        grey.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        self.grey = grey
        self.whole: _Box = (0, 0, *grey.size)
        self.is_plain = float(np.std(np.asarray(grey, np.float32))) < _PLAIN

    def brightness(self, box: _Box) -> _Floats:
        """(n,) of a part of it."""
        return _standard(self._pixels(box, _COARSE))

    def detail(self, box: _Box) -> _Floats:
        """(n,) what is left of a part of it without its coarse brightness."""
        pixels = self._pixels(box, _FINE)
        around = sum(np.roll(pixels, (y, x), (0, 1)) for y, x in product((-1, 0, 1), repeat=2)) / 9
        return _standard((pixels - around)[1:-1, 1:-1])

    def _pixels(self, box: _Box, side: int) -> _Floats:
        resized = self.grey.resize((side, side), Image.Resampling.BILINEAR, box)
        return np.asarray(resized, np.float32)


def likeness(one: Small, other: Small) -> float:
    """How far one picture is the other, or a part of it: 0 to 1; 0 where there is nothing to see.

    The lesser of two correlations, of brightness and of detail, where they agree best.
    """
    if one.is_plain or other.is_plain:
        return 0.0
    return max(_within(one, other), _within(other, one))


def _within(whole: Small, part: Small) -> float:
    """The same for one that is no larger than a part of the other."""
    wide, high = whole.grey.size
    shape = part.grey.width / part.grey.height
    most = min(wide, high * shape), min(high, wide / shape)
    if min(most[0] / wide, most[1] / high) < _LEAST_PART:
        return 0.0

    def box(place: _Place) -> _Box:
        scale, across, down = place
        width, height = scale * most[0], scale * most[1]
        left = min(max(0.0, across * wide - width / 2), wide - width)
        top = min(max(0.0, down * high - height / 2), high - height)
        return left, top, min(left + width, wide), min(top + height, high)

    def starts() -> Iterator[_Place]:
        """Whole, and in the middle, at sides and in corners of three sizes; each within bounds."""
        for scale, *sides in product((1.0, 0.94, 0.88), (0.0, 0.5, 1.0), (0.0, 0.5, 1.0)):
            left, top, right, bottom = box((scale, sides[0], sides[1]))
            yield scale, (left + right) / 2 / wide, (top + bottom) / 2 / high

    def brightness(place: _Place) -> float:
        return float(whole.brightness(box(place)) @ part.brightness(part.whole))

    detail_of_part = part.detail(part.whole)

    def detail(place: _Place) -> float:
        return float(whole.detail(box(place)) @ detail_of_part)

    place = max(starts(), key=brightness)
    if brightness(place) < _HOPELESS:
        return 0.0
    place = _climbed(brightness, place, (0.03, 0.03, 0.03))
    place = _climbed(detail, place, (0.01, 0.01, 0.01))
    return max(0.0, min(brightness(place), detail(place)))


def _climbed(worth: Callable[[_Place], float], place: _Place, step: _Place) -> _Place:
    """The best place that steps from this one lead to, each half as long as those before."""
    best = worth(place)
    for halving in range(_HALVINGS):
        for axis, sign in product(range(3), (-1, 1)):
            moved = list(place)
            moved[axis] += sign * step[axis] / 2**halving
            there = max(_LEAST_PART, min(1.0, moved[0])), _share(moved[1]), _share(moved[2])
            if there != place and (found := worth(there)) > best:
                place, best = there, found
    return place


def _share(value: float) -> float:
    return min(1.0, max(0.0, value))


def _standard(pixels: _Floats) -> _Floats:
    """(n,) of mean 0 and length 1, so that the product of two is their correlation."""
    flat = pixels.ravel() - pixels.mean()
    standard: _Floats = (flat / max(float(np.linalg.norm(flat)), 1e-6)).astype(np.float32)
    return standard
