"""Why a hit is one: what each part of the query adds, which words it has, where it fits best."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pixseek.encoders import Encoder
from pixseek.errors import MissingPath, UnreadableImage
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
    fields = dict.fromkeys(_fields(where))
    conditions: dict[str, Value] = {
        field: hit.metadata[field] for field in fields if field in hit.metadata and field != "words"
    }
    return Why(
        {name: value * scale for name, value in added.items()},
        [] if words is None else list(words.words),
        0.0 if words is None else words.share,
        conditions,
    )


def with_region(
    hit: Hit, encoder: Encoder, vector: Vector, pixels: Callable[[Hit], Image.Image]
) -> Hit:
    """The hit with the part of its picture that fits the query best, if any does better than all
    of it.

    vector: (d,) of the query. pixels: reads a hit's picture; what cannot be read changes nothing.
    """
    if hit.why is None or not hit.paths:
        return hit
    with suppress(MissingPath, UnreadableImage):
        best = region(pixels(hit), encoder, vector)
        return replace(hit, why=replace(hit.why, region=best))
    return hit


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


def _fields(node: Filter | None) -> Iterator[str]:
    """The fields that a filter asks for, as they are written."""
    if isinstance(node, Compare):
        yield node.field
    elif isinstance(node, Not):
        yield from _fields(node.part)
    elif isinstance(node, And | Or):
        for part in node.parts:
            yield from _fields(part)
