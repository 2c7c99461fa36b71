"""EXIF → what the camera says: time, camera, lens, exposure, place, rating.

Types and units: Exif 2.32, CIPA DC-008-2019; Rating and RatingPercent are Windows'.
"""

from __future__ import annotations

from datetime import UTC, datetime

from pixseek.metadata import tags
from pixseek.metadata.tags import Tags
from pixseek.metadata.times import EPOCH, Taken, from_exif
from pixseek.metadata.values import Notes, degrees, number, place, ranged, text, whole
from pixseek.records import Metadata, Value


def fields(main: Tags, gps: Tags, notes: Notes) -> Metadata:
    """Those that are known, without the time: see `taken` and `satellites`."""
    latitude = degrees(gps.get(tags.LAT), gps.get(tags.LAT_REF), "NS", 90)
    longitude = degrees(gps.get(tags.LON), gps.get(tags.LON_REF), "EW", 180)
    texts = {"camera_make": tags.MAKE, "camera_model": tags.MODEL, "lens": tags.LENS_MODEL}
    numbers = {
        "aperture": main.get(tags.F_NUMBER),
        "exposure": main.get(tags.EXPOSURE_TIME),
        "focal_length": main.get(tags.FOCAL_LENGTH),
        "direction": gps.get(tags.GPS_DIRECTION),
    }
    found: dict[str, Value | None] = {
        **{
            name: notes.checked(name, main.get(tag), text(main.get(tag)))
            for name, tag in texts.items()
        },
        **{name: notes.checked(name, raw, ranged(name, raw)) for name, raw in numbers.items()},
        "iso": notes.checked("iso", main.get(tags.ISOS[0]), _iso(main)),
        "altitude": notes.checked("altitude", gps.get(tags.ALT), _altitude(gps)),
        "rating": _rating(main, notes),
        **place(latitude, longitude, (gps.get(tags.LAT), gps.get(tags.LON)), notes),
    }
    return {name: value for name, value in found.items() if value is not None}


def taken(main: Tags, notes: Notes) -> Taken | None:
    """When the picture was taken or digitized."""
    return _first(main, (tags.DATE_ORIGINAL, tags.DATE_DIGITIZED), notes)


def edited(main: Tags, notes: Notes) -> Taken | None:
    """When the file was last edited; stands in for the above only if a camera wrote the rest."""
    if text(main.get(tags.MAKE)) or text(main.get(tags.MODEL)):
        return _first(main, (tags.DATE_TIME,), notes)
    return None


def satellites(gps: Tags) -> int | None:
    """Seconds since 1970 UTC, as satellites had it; None where a part of it is missing or wrong."""
    date, time = text(gps.get(tags.GPS_DATE)), gps.get(tags.GPS_TIME)
    if date is None or not isinstance(time, tuple) or len(time) != 3:
        return None
    parts = [number(one, 0, limit, 3) for one, limit in zip(time, (23, 59, 60), strict=True)]
    if None in parts:
        return None
    hour, minute, second = (int(one or 0) for one in parts)
    found = from_exif(f"{date} {hour:02}:{minute:02}:{min(second, 59):02}")
    if found is None or found.clock < _GPS_BEGINS:
        return None
    return found.clock


_GPS_BEGINS = int((datetime(1980, 1, 6, tzinfo=UTC) - EPOCH).total_seconds())
"""Receivers without a fix count from here, or from zero."""


def _first(main: Tags, dates: tuple[int, ...], notes: Notes) -> Taken | None:
    for tag in dates:
        raw, offset = main.get(tag), text(main.get(tags.ZONES[tag])) or ""
        found = notes.checked("taken", raw, from_exif(text(raw) or "", offset))
        if found is not None:
            return found
    return None


def _iso(main: Tags) -> int | None:
    """PhotographicSensitivity; its 65535 means "that or more", and other tags then say how much."""
    values = [main.get(tag) for tag in tags.ISOS]
    ones = [value[0] if isinstance(value, tuple) and value else value for value in values]
    first, *others = [ranged("iso", value) for value in ones]
    if first == 65_535:
        first = next((other for other in others if other and other > first), first)
    return whole(first)


def _altitude(gps: Tags) -> float | None:
    altitude = number(gps.get(tags.ALT), -1e6, 1e6, 2)
    if altitude is None:
        return None
    # below sea level: 1 (3 in Exif 3.0), as BYTE
    below = gps.get(tags.ALT_REF) in (1, 3, b"\x01", b"\x03")
    return ranged("altitude", -altitude if below else altitude)


def _rating(main: Tags, notes: Notes) -> int | None:
    raw, percent = main.get(tags.RATING), main.get(tags.RATING_PERCENT)
    rating = notes.checked("rating", raw, ranged("rating", raw))
    if rating is None:
        rating = stars(notes.checked("rating", percent, number(percent, 0, 100, 0)))
    return whole(rating) or None  # 0: not rated; -1: rejected


def stars(percent: float | None) -> float | None:
    """Windows' 1, 25, 50, 75 and 99 are one to five stars."""
    if percent is None:
        return None
    return float(sum(percent >= least for least in (1, 13, 38, 63, 88)))
