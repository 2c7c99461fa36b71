"""What a video file says of itself → the same fields that pictures have.

Names and forms: QuickTime File Format (keys), ISO 6709 (places), as FFmpeg hands them on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pixseek.metadata import embedded, times
from pixseek.records import Metadata

_LOCAL = "com.apple.quicktime.creationdate"
"""With the camera's time zone; `creation_time` is in UTC."""
_TAKEN = (_LOCAL, "date", "creation_time")
_PLACES = ("com.apple.quicktime.location.iso6709", "location", "location-eng")
_PLACE = re.compile(
    r"([+-]\d{1,2}(?:\.\d+)?)([+-]\d{1,3}(?:\.\d+)?)(?:([+-]\d+(?:\.\d+)?))?[^\d].*"
)
_TEXTS = {
    "camera_make": ("com.apple.quicktime.make", "make"),
    "camera_model": ("com.apple.quicktime.model", "model"),
    "title": ("com.apple.quicktime.title", "title"),
    "description": ("com.apple.quicktime.description", "description", "comment"),
}
_DAY_S = 86_400
_UNSET = frozenset({-24_107, 0})
"""Days since 1970 on which clocks that were never set begin: QuickTime's in 1904, and Unix's."""


def fields(tags: Mapping[str, str]) -> Metadata:
    """taken, place, camera, title and description, where they are known and make sense.

    tags: of the container, and of its video stream. Hints by strangers: see `content_fields`.
    `taken` is by the camera's clock where the file has its time zone, else UTC as it is written.
    """
    known = {name.lower(): text for name, text in tags.items()}
    found: Metadata = {}
    for field, names in _TEXTS.items():
        text = next((known[name] for name in names if name in known), "")
        limit = embedded.MAX_DESCRIPTION if field == "description" else embedded.MAX_LINE
        line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        if any(map(str.isalnum, line)):
            found[field] = line[:limit].rstrip()
    taken = next((when for name in _TAKEN if (when := _taken(known.get(name))) is not None), None)
    if taken is not None:
        found["taken"] = taken.clock
    if taken is not None and taken.utc is not None:
        found["taken_utc"] = taken.utc
    return found | next((place for name in _PLACES if (place := _place(known.get(name)))), {})


def _taken(text: str | None) -> times.Taken | None:
    when = times.from_iso(text or "")
    return None if when is None or when.clock // _DAY_S in _UNSET else when


def _place(text: str | None) -> Metadata:
    match = _PLACE.fullmatch((text or "").strip() + " ")
    if match is None:
        return {}
    latitude, longitude = float(match[1]), float(match[2])
    if abs(latitude) > 90 or abs(longitude) > 180 or latitude == longitude == 0:
        return {}
    place: Metadata = {"latitude": latitude, "longitude": longitude}
    if match[3] and -12_000 <= float(match[3]) <= 1e6:
        place["altitude"] = float(match[3])
    return place
