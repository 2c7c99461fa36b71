"""A condition as it is written → a filter that stores understand."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from itertools import pairwise
from typing import TypeAlias

from pixseek.errors import InvalidFilter, InvalidQuery
from pixseek.query.dates import NotADate, Span, span
from pixseek.query.fields import FILTERS, Kind, Name, nearest
from pixseek.query.nearby import circle
from pixseek.query.tree import Comparison, Condition, check_name
from pixseek.records import VIDEO_FORMATS
from pixseek.stores.filters import And, Compare, Filter, Not, Operator, Or, to_number

_BYTES = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9}
_BYTES |= {"kib": 2**10, "mib": 2**20, "gib": 2**30}
_KM = {"m": 0.001, "km": 1.0, "mi": 1.609344}
_ORDER: Mapping[Comparison, Operator] = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}
_NUMBER = re.compile(r"(?:f/)?(-?\d+(?:\.\d+)?)(?:/(\d+(?:\.\d+)?))?\s*(?:mm|m|s)?", re.IGNORECASE)
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)", re.IGNORECASE)
_SAME_ENDING = (("jpg", "jpeg"), ("tif", "tiff"), ("heic", "heif"))
_SCREENSHOTS = ("screenshot", "screen shot", "screen_shot", "bildschirmfoto", "captura de pantalla")
_VIDEO = Compare("format", "in", VIDEO_FORMATS)
_SHAPES = ("portrait", "landscape", "square")
_KINDS = (*_SHAPES, "panorama", "screenshot", "video", "animation")


class NotAValue(ValueError):  # the line's error names its place
    """A value that means nothing for its field; says what was expected."""


def check(condition: Condition) -> None:
    """Raise NotAValue when the condition says nothing."""
    condition_filter(condition, datetime.now())


def is_value(condition: Condition) -> bool:
    """Whether the condition says something."""
    try:
        check(condition)
    except NotAValue:
        return False
    return True


def check_shown(name: str, comparison: Comparison, value: str) -> None:
    """Raise NotAValue when `like:` or `shows:` say nothing."""
    if comparison or not value.strip():
        raise NotAValue(f"{name}: says what to look for; expected a text after the colon")
    if name == "like":
        try:
            check_name(value)
        except InvalidQuery as error:
            raise NotAValue(str(error).rstrip(".")) from error


def condition_filter(condition: Condition, now: datetime) -> Filter:
    """What stores are asked when it is `now` (local, without zone). Raises NotAValue."""
    name = FILTERS.get(condition.field)
    if name is None:
        meant = nearest(condition.field)
        hint = f"; did you mean {meant}:?" if meant else ""
        raise NotAValue(f"there is no field {condition.field!r}{hint}")
    if not condition.value.strip():
        raise NotAValue(f"a value is expected after {condition.field}:")
    return _FILTERS[name.kind](name, condition, now)


_Make: TypeAlias = Callable[[Name, Condition, datetime], Filter]


def _text(name: Name, condition: Condition, _: datetime) -> Filter:
    """Somewhere in the text, whatever its case; `=` the whole text; an order by code points."""
    value = condition.value
    if condition.comparison in _ORDER:
        return _any(Compare(one, _ORDER[condition.comparison], value) for one in name.fields)
    if condition.comparison == "=":
        return _any(Compare(one, "eq", value) for one in name.fields)
    # Engines know the case of A to Z; of other letters the usual ways to write them are asked for.
    ways = dict.fromkeys(
        [value] if value.isascii() else [value, value.lower(), value.upper(), value.title()]
    )
    return _any(Compare(one, "icontains", way) for one in name.fields for way in ways)


def _number(name: Name, condition: Condition, _: datetime) -> Filter:
    return _any(_ranged(one, condition, _as_number) for one in name.fields)


def _bytes(name: Name, condition: Condition, _: datetime) -> Filter:
    return _ranged(name.fields[0], condition, _as_bytes)


def _ranged(field: str, condition: Condition, read: Callable[[str], float]) -> Filter:
    """Equal, in an order, or from..to with both ends."""
    first, dots, last = condition.value.partition("..")
    if condition.comparison in _ORDER:
        return Compare(field, _ORDER[condition.comparison], read(condition.value))
    if not dots:
        return Compare(field, "eq", read(condition.value))
    ends: list[Filter] = []
    if first.strip():
        ends.append(Compare(field, "gte", read(first)))
    if last.strip():
        ends.append(Compare(field, "lte", read(last)))
    if not ends:
        raise NotAValue("a range such as 2..5, 2.. or ..5 is expected")
    return ends[0] if len(ends) == 1 else And(tuple(ends))


def _as_number(text: str) -> float:
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        raise NotAValue(f"{text!r} is no number; expected one such as 800, 1/250 or 2.5")
    value = float(match[1]) / (float(match[2]) if match[2] else 1) if _divides(match) else math.inf
    if not math.isfinite(value):
        raise NotAValue(f"{text!r} is no finite number")
    return int(value) if value.is_integer() else value


def _divides(match: re.Match[str]) -> bool:
    return match[2] is None or float(match[2]) != 0


def _as_bytes(text: str) -> float:
    match = _AMOUNT.fullmatch(text.strip())
    if match is None or match[2].lower() not in _BYTES:
        raise NotAValue(f"{text!r} is no size; expected one such as 5MB, 800kB or 2GB")
    return _finite(float(match[1]) * _BYTES[match[2].lower()], text)


def _finite(value: float, text: str) -> float:
    if not math.isfinite(value):
        raise NotAValue(f"{text!r} is no finite number")
    return value


def _time(name: Name, condition: Condition, now: datetime) -> Filter:
    first, dots, last = condition.value.partition("..")
    start: datetime | None
    end: datetime | None
    if not dots:
        start, end = _span(condition.value, now)
    else:
        start = _span(first, now)[0] if first.strip() else None
        end = _span(last, now)[1] if last.strip() else None
        if (start is None and end is None) or condition.comparison in _ORDER:
            raise NotAValue("a range such as 2019..2021, 2019.. or ..2021 is expected")
    if condition.comparison == ">":
        start, end = end, None
    elif condition.comparison == ">=":
        end = None
    elif condition.comparison == "<":
        start, end = None, start
    elif condition.comparison == "<=":
        start = None
    return _between(name.fields, start, end)


def _since(name: Name, condition: Condition, now: datetime) -> Filter:
    return _between(name.fields, _one_span(condition, now)[0], None)


def _until(name: Name, condition: Condition, now: datetime) -> Filter:
    return _between(name.fields, None, _one_span(condition, now)[0])


def _one_span(condition: Condition, now: datetime) -> Span:
    if condition.comparison:
        raise NotAValue(f"{condition.field}: is a comparison itself; expected a date")
    return _span(condition.value, now)


def _span(text: str, now: datetime) -> Span:
    try:
        return span(text, now)
    except NotADate as error:
        raise NotAValue(
            f"{text!r} is no date; expected one such as 2023, 2023-06-01, yesterday or "
            '"last summer"'
        ) from error


def _between(fields: tuple[str, ...], start: datetime | None, end: datetime | None) -> Filter:
    """The first of the fields that is known lies from `start` to before `end`."""
    field, *others = fields
    ends: list[Filter] = []
    if start is not None:
        ends.append(Compare(field, "gte", _seconds(field, start)))
    if end is not None:
        ends.append(Compare(field, "lt", _seconds(field, end)))
    inside = ends[0] if len(ends) == 1 else And(tuple(ends))
    if not others:
        return inside
    unknown = Not(Compare(field, "exists", None))
    return Or((inside, And((unknown, _between(tuple(others), start, end)))))


def _seconds(field: str, moment: datetime) -> float:
    try:
        return to_number(field, moment)
    except InvalidFilter as error:
        raise NotAValue(f"{moment:%Y-%m-%d} is out of range") from error


def _folder(name: Name, condition: Condition, _: datetime) -> Filter:
    _no_comparison(condition, "a folder")
    return Compare(name.fields[0], "eq", condition.value)


def _ending(name: Name, condition: Condition, _: datetime) -> Filter:
    _no_comparison(condition, "an ending such as jpg")
    ending = condition.value.lower().removeprefix(".")
    alike = next((pair for pair in _SAME_ENDING if ending in pair), (ending,))
    return Compare(name.fields[0], "in", alike)


def _near(name: Name, condition: Condition, _: datetime) -> Filter:
    _no_comparison(condition, "a place")
    parts = [part.strip() for part in condition.value.split(",")]
    expected = NotAValue(
        f"{condition.value!r} is no place; expected latitude, longitude and distance, such as "
        "48.85,2.35,5km"
    )
    amount = _AMOUNT.fullmatch(parts[2] if len(parts) == 3 else "5km" if len(parts) == 2 else "")
    try:
        latitude, longitude = (float(part) for part in parts[:2])
    except ValueError as error:
        raise expected from error
    if amount is None or (amount[2].lower() or "km") not in _KM or float(amount[1]) <= 0:
        raise expected
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        raise expected
    km = float(amount[1]) * _KM[amount[2].lower() or "km"]
    return circle(name.fields, latitude, longitude, km)


def _is(_: Name, condition: Condition, __: datetime) -> Filter:
    kind = condition.value.lower()
    _no_comparison(condition, "a kind")
    if kind in _SHAPES:
        return Compare("orientation", "eq", kind)
    if kind == "panorama":
        return _panorama()
    if kind == "screenshot":
        return _any(Compare("name", "icontains", word) for word in _SCREENSHOTS)
    if kind == "video":
        return _VIDEO
    if kind == "animation":
        return And((Compare("duration", "exists", None), Not(_VIDEO)))
    meant = nearest(kind, _KINDS)
    hint = f"; did you mean is:{meant}?" if meant else ""
    raise NotAValue(f"expected one of {', '.join(_KINDS)}, not {condition.value!r}{hint}")


def _panorama() -> Filter:
    """Wider than twice the height. Engines compare fields with numbers, not with each other, so for
    every range of heights, each a tenth wide, a width that is twice the highest of them."""
    heights = [32]
    while heights[-1] < 100_000:
        heights.append(math.ceil(heights[-1] * 1.1))
    return Or(
        tuple(
            And(
                (
                    Compare("height", "gte", low),
                    Compare("height", "lt", high),
                    Compare("width", "gte", 2 * high),
                )
            )
            for low, high in pairwise([0, *heights])
        )
    )


def _has(_: Name, condition: Condition, __: datetime) -> Filter:
    _no_comparison(condition, "a field")
    asked = FILTERS.get(condition.value.lower())
    if asked is None or not asked.fields or asked.kind == "is":
        near = nearest(condition.value.lower())
        hint = f"; did you mean has:{near}?" if near else ""
        raise NotAValue(f"there is no field {condition.value!r}{hint}")
    return _any(Compare(field, "exists", None) for field in asked.fields)


def _no_comparison(condition: Condition, expected: str) -> None:
    if condition.comparison not in ("", "="):
        raise NotAValue(f"{condition.field}: has no order; expected {expected} after the colon")


def _any(filters: Iterable[Filter]) -> Filter:
    parts = tuple(filters)
    return parts[0] if len(parts) == 1 else Or(parts)


_FILTERS: Mapping[Kind, _Make] = {
    "text": _text,
    "number": _number,
    "bytes": _bytes,
    "time": _time,
    "since": _since,
    "until": _until,
    "folder": _folder,
    "ending": _ending,
    "near": _near,
    "is": _is,
    "has": _has,
}
