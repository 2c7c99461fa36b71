"""Several pictures of one file: what they are called, and which of them are worth having.

The first picture of a file is the item of its content, whose id is the content's; every further one
is an item `CONTENT@KEY`. A key says where in the file it is: milliseconds since the beginning
(`83000`), or a page (`p3`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

FIRST = ""
"""The key of a file's first picture."""
ANIMATION_MOMENTS = 8
"""Pictures that an animation has at most, whatever may be had of a video."""
DIFFERENT = 10.0
"""Mean difference of two thumbnails, 0 to 255, from which on they are two pictures. People who move
before a scene that stays make 2 to 6, another scene 30 and more."""
_SIDE = 16
_FURTHER = re.compile(r"[0-9a-f]{32}@(p?[0-9]+)")

_T = TypeVar("_T")


def id_of(content: str, key: str) -> str:
    """The id of one of a content's pictures."""
    return f"{content}@{key}" if key else content


def content_of(id: str) -> str:
    """The content that an item is a picture of."""
    return id if key_of(id) == FIRST else id.partition("@")[0]


def key_of(id: str) -> str:
    """Where in its file an item's picture is; FIRST for the first, and for ids of other kinds."""
    if "@" not in id:  # nearly always
        return FIRST
    found = _FURTHER.fullmatch(id)
    return found[1] if found else FIRST


def key_at(seconds: float) -> str:
    """The key of a picture that is shown from this time on."""
    return str(round(1000 * seconds))


def page_key(page: int) -> str:
    """The key of a page, counted from 1."""
    return f"p{page}"


@dataclass(slots=True)
class _Chosen(Generic[_T]):
    time: float
    thumbnail: NDArray[np.int16]
    picture: _T


@dataclass(slots=True)
class Choice(Generic[_T]):
    """Chooses pictures that differ, as they pass by in order; the first is always one of them."""

    at_most: int
    _chosen: list[_Chosen[_T]] = field(default_factory=list)

    def offer(self, time: float, image: Image.Image, picture: _T) -> None:
        """Take the picture if it differs from the last one taken. time: seconds, or any measure.

        When there are too many, one that differs little from the one before, and whose neighbours
        are near in time, goes: what is left lies evenly.
        """
        new = _Chosen(time, _thumbnail(image), picture)
        if self._chosen and _difference(self._chosen[-1], new) < DIFFERENT:
            return
        self._chosen.append(new)
        if len(self._chosen) > self.at_most:
            self._chosen.pop(self._least())

    def chosen(self) -> list[_T]:
        """The pictures taken, in order."""
        return [one.picture for one in self._chosen]

    def _least(self) -> int:
        all, last = self._chosen, len(self._chosen) - 1

        def worth(at: int) -> float:
            until = all[min(at + 1, last)].time
            return _difference(all[at - 1], all[at]) * (until - all[at - 1].time)

        return min(range(1, last + 1), key=worth)


def _thumbnail(image: Image.Image) -> NDArray[np.int16]:
    import numpy as np
    from PIL import Image

    small = image.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    return np.asarray(small, np.int16)


def _difference(one: _Chosen[_T], other: _Chosen[_T]) -> float:
    return float(abs(one.thumbnail - other.thumbnail).mean())


def is_flat(image: Image.Image) -> bool:
    """Whether it is all of one colour, as films begin and scenes fade."""
    thumbnail = _thumbnail(image)
    return float(abs(thumbnail - thumbnail.mean(axis=(0, 1))).mean()) < 2.0
