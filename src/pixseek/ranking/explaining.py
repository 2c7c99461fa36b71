"""Why a hit is one: what each part of the query adds, which words it has, where it fits best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pixseek.encoders import Encoder
from pixseek.ranking import Part
from pixseek.ranking.fulltext import Worded
from pixseek.records import Hit, Region, Value, Vector, Why
from pixseek.stores.filters import And, Compare, Filter, Not, Or

if TYPE_CHECKING:
    from PIL import Image

_SIDES = ((2 / 3, 2), (1 / 2, 3), (1 / 3, 4))
"""Parts of a picture that are looked at: a side's share of the picture's, and how many in a row."""


def why(
    hit: Hit,
    vector: Vector,
    parts: Sequence[Part],
    where: Filter | None,
    words: Worded | None,
) -> Why:
    """All but the region, for which the file must be read. vector: (d,) of the hit's picture."""
    added = {part.name: part.weight * float(vector @ part.vector) for part in parts if part.name}
    total = sum(added.values())
    # The query's vector is the sum of its parts, made 1 long.
    scale = hit.score / total if len(added) == len(parts) and abs(total) > 1e-9 else 1.0
    return Why(
        {name: value * scale for name, value in added.items()},
        [] if words is None else list(words.words),
        0.0 if words is None else words.share,
        _values(hit, where),
        whole_words=_whole_words(hit, where),
    )


def chosen(hit: Hit, where: Filter | None) -> Why:
    """Why a picture is one that only conditions chose."""
    return Why({}, [], 0.0, _values(hit, where), whole_words=_whole_words(hit, where))


def region(picture: Image.Image, encoder: Encoder, vector: Vector) -> Region | None:
    """The part of an upright picture with the highest score for a query vector (d,), of a grid of
    three sizes; None when the whole has as much."""
    boxes = list(_boxes())
    w, h = picture.size
    crops = [
        picture.crop(
            (
                round(left * w),
                round(top * h),
                max(round(left * w) + 1, round((left + side) * w)),
                max(round(top * h) + 1, round((top + side) * h)),
            )
        )
        for left, top, side in boxes
    ]
    scores = encoder.encode_images([picture, *crops]) @ vector
    best = int(np.argmax(scores))
    if best == 0:
        return None
    left, top, side = boxes[best - 1]
    return Region(
        round(left, 3), round(top, 3), round(side, 3), round(side, 3), float(scores[best])
    )


def _boxes() -> Iterator[tuple[float, float, float]]:
    """(left, top, side) in shares of the picture."""
    for side, count in _SIDES:
        steps = np.linspace(0, 1 - side, count).tolist()
        yield from ((left, top, side) for top in steps for left in steps)


def _values(hit: Hit, where: Filter | None) -> dict[str, Value]:
    """What the picture has in the fields that a filter asks for; of its words, those asked for."""
    found: dict[str, Value] = {}
    asked: list[str] = []
    for one in _conditions(where):
        if one.field != "words" and one.field in hit.metadata:
            found[one.field] = hit.metadata[one.field]
        elif one.field == "words":
            values = one.value if isinstance(one.value, tuple) else (one.value,)
            asked += [value for value in values if isinstance(value, str)]
    words = hit.metadata.get("words", [])
    has = [word for word in dict.fromkeys(asked) if isinstance(words, list) and word in words]
    return {**found, "words": has} if has else found


def _whole_words(hit: Hit, where: Filter | None) -> list[str]:
    """The fields of these values that were looked at word by word."""
    asked = [one.field for one in _conditions(where) if one.operator == "word"]
    return [field for field in dict.fromkeys(asked) if field in hit.metadata]


def _conditions(node: Filter | None) -> Iterator[Compare]:
    """The conditions of a filter, as they are written."""
    if isinstance(node, Compare):
        yield node
    elif isinstance(node, Not):
        yield from _conditions(node.part)
    elif isinstance(node, And | Or):
        for part in node.parts:
            yield from _conditions(part)
