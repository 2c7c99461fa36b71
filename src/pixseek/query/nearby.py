"""A circle on the globe → boxes of latitude and longitude that cover it, and little more.

Stores compare numbers and know no distances, so a circle is written as a union of boxes: all of it
is in them, and what is in them besides has less than 2 % of its area, 2.5 % where a pole is inside
(tests/test_query.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from pixseek.stores.filters import And, Compare, Filter, Or

KM_A_DEGREE = 111.195
"""Of latitude, and of longitude at the equator: a sphere of 6371 km radius."""
BOXES = 28
"""With more, filters grow without finding less that is too far: the excess is half of one by
their number."""
_ROUNDING = 1e-9
"""Shares of the radius that are added to it, so that what lies on the circle is in it."""


def circle(fields: tuple[str, ...], latitude: float, longitude: float, km: float) -> Filter:
    """What lies within so many kilometres of a place, and hardly anything else.

    fields: of latitude and longitude, in degrees.
    """
    north, east = fields
    radius = math.radians(min(km / KM_A_DEGREE, 180.0)) * (1 + _ROUNDING) + 1e-14
    middle = math.radians(latitude)
    if abs(middle) + radius < math.pi / 2:
        boxes = list(_nested(middle, radius))
    else:  # a pole is inside
        boxes = list(_bands(middle, radius))
    low, high = min(box[0] for box in boxes), max(box[1] for box in boxes)
    widest = max(box[2] for box in boxes)
    # The box around all of them is asked first: the rest is for what is in it.
    around = _box(north, east, longitude, (low, high, widest))
    return And((*around, Or(tuple(And(_box(north, east, longitude, box)) for box in boxes))))


_Box = tuple[float, float, float]
"""Lowest and highest latitude, and longitudes to either side; radians."""


def _nested(middle: float, radius: float) -> Iterator[_Box]:
    """Boxes about one meridian, each wider and less high than the one before.

    At a longitude that is w away from the middle, the circle reaches from where its great circle is
    nearest to the middle as far north as south (Napier's rules for right triangles).
    """
    reach = math.sin(radius)
    widest = reach / math.cos(middle)  # the sine of it
    for step in range(BOXES):
        here, beyond = (math.pi / 2 * one / BOXES for one in (step, step + 1))
        width = math.asin(min(1.0, widest * math.sin(here)))
        nearest = math.atan2(math.sin(middle), math.cos(middle) * math.cos(width))
        half = reach * math.cos(here) / math.sqrt(1 - (reach * math.sin(here)) ** 2)
        height = math.asin(min(1.0, half))
        wider = math.asin(min(1.0, widest * math.sin(beyond)))
        yield nearest - height, nearest + height, wider * (1 + _ROUNDING)


def _bands(middle: float, radius: float) -> Iterator[_Box]:
    """Boxes one north of the other: a circle with a pole in it is widest at that."""
    low, high = max(middle - radius, -math.pi / 2), min(middle + radius, math.pi / 2)
    count = 2 * BOXES
    edges = [
        low + (high - low) * (1 - math.cos(math.pi * one / count)) / 2 for one in range(count + 1)
    ]
    for south, north in pairwise(edges):
        width = max(_half_width(one, middle, radius) for one in (south, north))
        yield south, north, width * (1 + _ROUNDING)


def _half_width(latitude: float, middle: float, radius: float) -> float:
    """Longitudes to either side that a circle with a pole in it has at a latitude."""
    around = math.cos(latitude) * math.cos(middle)
    rest = math.sin(radius / 2) ** 2 - math.sin((latitude - middle) / 2) ** 2
    if rest >= around:
        return math.pi
    return 2 * math.asin(math.sqrt(max(rest, 0.0) / around))


def _box(north: str, east: str, longitude: float, box: _Box) -> tuple[Filter, ...]:
    low, high, width = (math.degrees(one) for one in box)
    between = Compare(north, "gte", low), Compare(north, "lte", high)
    west, end = longitude - width, longitude + width
    if width >= 180:
        return between
    if west <= -180 or end >= 180:  # beyond the date line
        first = west + 360 if west <= -180 else west
        last = end - 360 if end >= 180 else end
        return (*between, Or((Compare(east, "gte", first), Compare(east, "lte", last))))
    return (*between, Compare(east, "gte", west), Compare(east, "lte", end))
