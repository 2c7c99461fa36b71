"""XMP's properties → the same fields that EXIF has, for files that have no EXIF, and sidecars.

Source: XMP specification part 2, the schemas for EXIF, TIFF and xmp (Rating); a text is a rational
("28/10") or a plain number, a place "48,51.4936N" or "48,51,29.6N".
"""

from __future__ import annotations

import re

from pixseek.metadata.exif import stars
from pixseek.metadata.times import Taken, from_iso
from pixseek.metadata.values import Notes, degrees, number, place, ranged, text, whole
from pixseek.metadata.xmp import Texts
from pixseek.records import Metadata, Value

_NUMBER = re.compile(r"\s*([+-]?\d{1,15}(?:\.\d{1,15})?)(?:/(\d{1,15}))?\s*", re.ASCII)
_PLACE = re.compile(r"\s*(\d[\d.,]*)\s*([NSEW])\s*", re.ASCII)


def fields(said: Texts, notes: Notes) -> Metadata:
    """Those that are known, without the time: see `taken` and `satellites`."""

    def of(*names: str) -> str | None:
        return next((said[name][0] for name in names if name in said), None)

    latitude, longitude = of("latitude"), of("longitude")
    texts = {
        "camera_make": of("make"),
        "camera_model": of("model"),
        "lens": of("lens_model", "lens"),
    }
    numbers = {name: of(name) for name in ("aperture", "exposure", "focal_length", "direction")}
    iso = of("sensitivity", "iso")
    found: dict[str, Value | None] = {
        **{name: notes.checked(name, raw, text(raw)) for name, raw in texts.items()},
        **{
            name: notes.checked(name, raw, ranged(name, _real(raw)))
            for name, raw in numbers.items()
        },
        "iso": notes.checked("iso", iso, whole(ranged("iso", _real(iso)))),
        "altitude": notes.checked("altitude", of("altitude"), _altitude(said, of("altitude"))),
        "rating": _rating(of("rating"), of("percent"), notes),
        **place(
            _degrees(latitude, "NS", 90),
            _degrees(longitude, "EW", 180),
            (latitude, longitude),
            notes,
        ),
    }
    return {name: value for name, value in found.items() if value is not None}


def taken(said: Texts, notes: Notes) -> Taken | None:
    """When the picture was taken, made or digitized, whichever is said first in this order."""
    offset = said.get("offset", [""])[0]
    for name in ("original", "created", "digitized", "made"):
        for raw in said.get(name, ())[:1]:
            found = from_iso(raw, offset if name == "original" else "")
            if notes.checked("taken", raw, found) is not None:
                return found
    return None


def satellites(said: Texts) -> int | None:
    """Seconds since 1970 UTC; XMP keeps GPS' date and time as one, in UTC whether it says so or
    not."""
    found = from_iso(said.get("satellites", [""])[0])
    return None if found is None else found.clock - (found.zone_s or 0)


def _real(raw: str | None) -> float | None:
    match = None if raw is None else _NUMBER.fullmatch(raw)
    if match is None:
        return None
    below = int(match[2] or 1)
    return float(match[1]) / below if below else None


def _altitude(said: Texts, raw: str | None) -> float | None:
    metres = _real(raw)
    below = said.get("altitude_ref", [""])[0].strip() in ("1", "3")
    return None if metres is None else ranged("altitude", -metres if below else metres)


def _degrees(raw: str | None, signs: str, limit: int) -> float | None:
    match = None if raw is None else _PLACE.fullmatch(raw)
    if match is None:
        return None
    parts = tuple(_real(part) for part in match[1].split(","))
    return degrees(parts, match[2], signs, limit)


def _rating(raw: str | None, percent: str | None, notes: Notes) -> int | None:
    rating = notes.checked("rating", raw, ranged("rating", _real(raw)))
    if rating is None:
        rating = stars(notes.checked("rating", percent, number(_real(percent), 0, 100, 0)))
    return whole(rating) or None  # 0: not rated; -1: rejected
