"""When a picture was taken: by the camera's clock, and where the zone is known, the instant.

Sources: Exif 2.32, 4.6.5 (DateTimeOriginal, OffsetTimeOriginal) and 4.6.6 (GPSTimeStamp); XMP part
1, 8.2.1.4 (dates are ISO 8601, to any precision); IPTC-NAA IIM 4.2, 2:55 and 2:60.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_PHOTOGRAPH = datetime(1826, 1, 1, tzinfo=UTC)
_LAST_TAKEN = datetime(2100, 12, 31, 23, 59, 59, tzinfo=UTC)
_FARTHEST_ZONE_S = 14 * 3600
_QUARTER_S = 15 * 60
"""Zones differ from UTC by whole quarters of an hour."""
_OLD_FIX_S = 5 * 60
"""How far a camera's clock and the satellites' may be apart, the zone aside."""

# "YYYY:MM:DD HH:MM:SS"; other separators, sub-seconds and zones occur. A time that is blank, as the
# specification writes an unknown one, is midnight: scanned photographs know their day only.
_EXIF = re.compile(
    r"(\d{4})[:/.-](\d\d?)[:/.-](\d\d?)(?:[T\s]+(\d\d?):(\d\d?)(?::(\d\d?)(?:[^\d].*)?)?)?[\s:]*",
    re.ASCII,
)
_ISO = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)"
    r"(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,]\d+)?)?\s*(Z|[+-]\d\d:?\d\d)?)?)?)?",
    re.ASCII,
)
_IPTC = re.compile(r"(\d{4})(\d\d)(\d\d)(?: (\d\d)(\d\d)(\d\d)([+-]\d{4})?)?", re.ASCII)
_ZONE = re.compile(r"\s*(?:UTC)?(Z|[+-]\d\d:?\d\d)\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Taken:
    """A moment as a camera's clock showed it."""

    clock: int
    """Seconds since 1970 as if the clock showed UTC; 1826 to 2100."""
    zone_s: int | None = None
    """Seconds that the clock is ahead of UTC; None where that is not known."""

    @property
    def utc(self) -> int | None:
        """Seconds since 1970, UTC."""
        return None if self.zone_s is None else self.clock - self.zone_s


def from_exif(text: str, offset: str = "") -> Taken | None:
    """offset: what the tag beside it says of the zone; a zone in the time itself is not EXIF's."""
    match = _EXIF.fullmatch(text)
    return None if match is None else _taken(match.groups(), zone(offset))


def from_iso(text: str, offset: str = "") -> Taken | None:
    """A date of XMP. One without a day ("2010", "2010-05") is that of the first."""
    match = _ISO.fullmatch(text.strip())
    if match is None:
        return None
    *parts, its_zone = match.groups()
    return _taken(
        (parts[0], parts[1] or "1", parts[2] or "1", *parts[3:]), zone(its_zone or offset)
    )


def from_iptc(date: str, time: str) -> Taken | None:
    """date: CCYYMMDD; time: HHMMSS±HHMM, or empty."""
    match = _IPTC.fullmatch(f"{date} {time}".strip())
    if match is None:
        return None
    *parts, its_zone = match.groups()
    return _taken(tuple(parts), zone(its_zone or ""))


def zone(text: str) -> int | None:
    """'+05:30' → seconds ahead of UTC, at most 14 hours either way."""
    match = _ZONE.fullmatch(text)
    if match is None:
        return None
    digits = match[1].replace(":", "")
    if digits == "Z":
        return 0
    seconds = int(digits[1:3]) * 3600 + int(digits[3:]) * 60
    if int(digits[3:]) > 59 or seconds > _FARTHEST_ZONE_S:
        return None
    return -seconds if digits[0] == "-" else seconds


def by_satellites(taken: Taken | None, utc: int | None) -> Taken | None:
    """The moment, with its zone from the satellites' time where they agree but for the zone.

    utc: seconds since 1970 by the satellites, None where they say nothing. What has no clock of its
    own gets theirs.
    """
    if utc is None or (taken is not None and taken.zone_s is not None):
        return taken
    if taken is None:
        return Taken(utc, 0)
    ahead = taken.clock - utc
    quarters = round(ahead / _QUARTER_S) * _QUARTER_S
    if abs(ahead - quarters) > _OLD_FIX_S or abs(quarters) > _FARTHEST_ZONE_S:
        return taken
    return Taken(taken.clock, quarters)


def _taken(parts: tuple[str | None, ...], zone_s: int | None) -> Taken | None:
    year, month, day, hour, minute, second = (int(part or 0) for part in parts)
    try:
        when = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:  # month 0, 30 February, 25 o'clock
        return None
    if not _FIRST_PHOTOGRAPH <= when <= _LAST_TAKEN:
        return None
    return Taken((when - EPOCH) // timedelta(seconds=1), zone_s)
