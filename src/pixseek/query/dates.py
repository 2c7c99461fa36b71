"""Dates as people say them → the span of time they mean, by the clock on the wall.

2023, 2023-06, 2023-06-01, 2023-06-01T18:30 and the like are read here, and so are seasons, holidays
and other spans; the rest ("three weeks ago", "12 March 2020") by dateparser, loaded when needed.
"""

from __future__ import annotations

import calendar
import re
from datetime import date, datetime, timedelta
from typing import TypeAlias

Span: TypeAlias = tuple[datetime, datetime]
"""From the first moment to before the second, without zone."""

_DIGITS = re.compile(
    r"(\d{4})(?:[-/.](\d{1,2})(?:[-/.](\d{1,2})(?:[tT ](\d{1,2}):(\d{2})(?::(\d{2}))?)?)?)?"
)
_WORDED = re.compile(r"(?:(last|this) )?([a-z' ]+?)(?: (?:of )?(\d{4}))?")
_MONTH_NAMES = (
    "january february march april may june july august september october november december"
)
_MONTHS = {
    name: month
    for month, whole in enumerate(_MONTH_NAMES.split(), 1)
    for name in (whole, whole[:3])
}
_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
"""The month they begin in, north of the equator; three months each. A winter is named after the
year it begins in."""
_HOLIDAYS = {
    "new year's day": ((1, 1), (1, 1)),
    "valentine's day": ((2, 14), (2, 14)),
    "halloween": ((10, 31), (10, 31)),
    "christmas eve": ((12, 24), (12, 24)),
    "christmas day": ((12, 25), (12, 25)),
    "christmas": ((12, 24), (12, 26)),
    "new year's eve": ((12, 31), (12, 31)),
}
"""First and last day."""
_NAMED = frozenset({*_MONTHS, *_SEASONS, *_HOLIDAYS, "easter"})


class NotADate(ValueError):  # the line's error names its place
    """A text that means no time."""


def span(text: str, now: datetime) -> Span:
    """What a date means when it is `now` (local, without zone). Raises NotADate.

    "last" is the latest that is over, and a day of the year without a year the latest that has
    begun.
    """
    said = " ".join(text.lower().replace("’", "'").split())
    found = _of_digits(said) or _of_day(said, now) or _of_words(said, now)
    if found is None:
        found = _parsed(said, now)
    if found is None:
        raise NotADate(text)
    return found


def _of_digits(text: str) -> Span | None:
    match = _DIGITS.fullmatch(text)
    if match is None:
        return None
    year, *rest = (None if part is None else int(part) for part in match.groups())
    month, day, hour, minute, second = rest
    try:
        if year is None or month is None:
            return _years(year or 0)
        if day is None:
            return _months(year, month, 1)
        start = datetime(year, month, day, hour or 0, minute or 0, second or 0)
    except ValueError as error:
        raise NotADate(text) from error
    if hour is None:
        return start, _after(start, days=1)
    return start, _after(start, minutes=1) if second is None else _after(start, seconds=1)


def _of_day(text: str, now: datetime) -> Span | None:
    today = datetime(now.year, now.month, now.day)
    week = today - timedelta(days=today.weekday())
    month = (now.year, now.month)
    before = (now.year - 1, 12) if now.month == 1 else (now.year, now.month - 1)
    try:
        return {
            "today": lambda: (today, _after(today, days=1)),
            "yesterday": lambda: (_after(today, days=-1), today),
            "this week": lambda: (week, _after(week, days=7)),
            "last week": lambda: (_after(week, days=-7), week),
            "last weekend": lambda: _weekend(today),
            "this month": lambda: _months(*month, 1),
            "last month": lambda: _months(*before, 1),
            "this year": lambda: _years(now.year),
            "last year": lambda: _years(now.year - 1),
        }[text]()
    except KeyError:
        return None


def _weekend(today: datetime) -> Span:
    """The latest Saturday and Sunday that are over."""
    monday = today - timedelta(days=today.weekday())
    return _after(monday, days=-2), monday


def _of_words(text: str, now: datetime) -> Span | None:
    """A month, a season, a holiday: of a year, the last, this year's, or the latest."""
    match = _WORDED.fullmatch(text)
    if match is None or match[2] not in _NAMED:
        return None
    which, name, year = match.groups()
    if year is not None:
        return _of_year(name, int(year)) if which is None else None
    if which == "this":
        return _of_year(name, now.year)
    years = range(now.year, now.year - 3, -1)
    spans = [_of_year(name, one) for one in years if one > 0]
    edge = 1 if which == "last" else 0
    return next((one for one in spans if one[edge] <= now), None)


def _of_year(name: str, year: int) -> Span:
    try:
        if name in _MONTHS:
            return _months(year, _MONTHS[name], 1)
        if name in _SEASONS:
            return _months(year, _SEASONS[name], 3)
        if name == "easter":
            sunday = _easter(year)
            return _after(sunday, days=-2), _after(sunday, days=2)
        first, last = _HOLIDAYS[name]
        return datetime(year, *first), _after(datetime(year, *last), days=1)
    except ValueError as error:
        raise NotADate(name) from error


def _easter(year: int) -> datetime:
    """Sunday of the Gregorian calendar. Source: Meeus, Jones, Butcher, as in Nature 1876."""
    century, of_century = divmod(year, 100)
    leaps, rest = divmod(century, 4)
    correction = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * (year % 19) + century - leaps - correction + 15) % 30
    quarter, left = divmod(of_century, 4)
    weekday = (32 + 2 * rest + 2 * quarter - epact - left) % 7
    late = (year % 19 + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * late + 114, 31)
    return datetime(year, month, day + 1)


def _parsed(text: str, now: datetime) -> Span | None:
    """By dateparser: the day, or the week, month or year that the text counts in.

    Of digits alone it would make something too, but is 03/04/2021 in March or in April?
    """
    if not re.search(r"[^\W\d_]{2}|[^\x00-\u02ff]", text) or len(text) > 60:
        return None
    from dateparser.date import DateDataParser

    parser = DateDataParser(
        settings={
            "RELATIVE_BASE": now,
            "PREFER_DATES_FROM": "past",
            "RETURN_AS_TIMEZONE_AWARE": False,
            "PREFER_DAY_OF_MONTH": "first",
        }
    )
    try:
        found = parser.get_date_data(text)
    except (ValueError, OverflowError):
        return None
    if found.date_obj is None:
        return None
    day = datetime(found.date_obj.year, found.date_obj.month, found.date_obj.day)
    if found.period == "year":
        return _years(day.year)
    if found.period == "month":
        return _months(day.year, day.month, 1)
    if found.period == "week":
        monday = _after(day, days=-day.weekday())
        return monday, _after(monday, days=7)
    return day, _after(day, days=1)


def _years(year: int) -> Span:
    return _months(year, 1, 12)


def _months(year: int, month: int, count: int) -> Span:
    try:
        last = date(year + (month + count - 2) // 12, (month + count - 2) % 12 + 1, 1)
        days = calendar.monthrange(last.year, last.month)[1]
        return datetime(year, month, 1), _after(datetime(last.year, last.month, days), days=1)
    except ValueError as error:
        raise NotADate(f"{year}-{month}") from error


def _after(moment: datetime, *, days: int = 0, minutes: int = 0, seconds: int = 0) -> datetime:
    try:
        return moment + timedelta(days=days, minutes=minutes, seconds=seconds)
    except OverflowError:  # the year 9999 ends
        return datetime.max
