"""What a picture file says of itself → typed fields that can be filtered.

What a file says is read as hints by strangers: a value that is wrong, out of range or hostile is
left out, and nothing here raises because of one. Types and units: Exif 2.32, CIPA DC-008-2019.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from numbers import Real
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from pixseek.metadata import embedded, tags
from pixseek.metadata.tags import Tags
from pixseek.metadata.wording import with_words
from pixseek.records import Metadata, Value

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, slots=True)
class Field:
    """One built-in field; `meaning` is one line with unit and range, and docs are made of it."""

    kind: Literal["text", "number", "time"]
    meaning: str


FIELDS: Mapping[str, Field] = MappingProxyType(
    {
        "path": Field("text", "where the file is; a list when several files hold the same picture"),
        "folder": Field("text", "each folder the file is in, outermost first; = means in or below"),
        "name": Field("text", "file name with its extension; a list when the names differ"),
        "extension": Field("text", "end of the file name, lower case, no dot; a list when several"),
        "size": Field("number", "size of the file in bytes, whole"),
        "modified": Field("time", "last change of the (oldest) file, whole seconds since 1970 UTC"),
        "width": Field("number", "width of the upright picture in pixels, 1 or more"),
        "height": Field("number", "height of the upright picture in pixels, 1 or more"),
        "orientation": Field("text", "portrait, landscape or square, of the upright picture"),
        "format": Field("text", "what the file is, whatever its name: JPEG, PNG, WEBP, ..."),
        "taken": Field("time", "the camera's clock, whole seconds since 1970 as if UTC; 1826-2100"),
        "year": Field("number", "year taken, or else modified (local time)"),
        "month": Field("number", "month taken, or else modified (local time), 1-12"),
        "camera_make": Field("text", "maker of the camera, at most 256 characters"),
        "camera_model": Field("text", "model of the camera, at most 256 characters"),
        "lens": Field("text", "model of the lens, at most 256 characters"),
        "iso": Field("number", "sensitivity, ISO, 1-10000000, whole"),
        "aperture": Field("number", "f-number, 0.01-1000"),
        "exposure": Field("number", "exposure time in seconds, above 0, at most a day"),
        "focal_length": Field("number", "focal length of the lens in mm, 0.01-100000"),
        "latitude": Field("number", "degrees, -90 to 90, south negative"),
        "longitude": Field("number", "degrees, -180 to 180, west negative"),
        "altitude": Field("number", "metres, -12000 to 1000000, below sea level negative"),
        "description": Field("text", "what its file says of the picture, at most 2000 characters"),
        "title": Field("text", "title or headline that its file has, at most 256 characters"),
        "keywords": Field(
            "text", "list of the keywords in its file, at most 200 of 256 characters"
        ),
        "text": Field("text", "text read in the picture, top to bottom, a line break a line"),
        "text_lines": Field("text", "list of those lines as JSON: text, box and confidence"),
        "caption": Field("text", "what a captioning model says of the picture"),
        "labels": Field("text", "list of the labels that fit the picture, best first"),
        "words": Field("text", "list of the words of all texts above, as search --words has them"),
        "described": Field("text", "list of what was looked for in it: text, caption"),
    }
)
FILE_FIELDS = frozenset(
    {"path", "folder", "name", "extension", "size", "modified", "year", "month"}
)
"""Fields that depend on where the file lies; `year` and `month` do when `taken` is not known."""

_MAX_TEXT = 256
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_PHOTOGRAPH = datetime(1826, 1, 1, tzinfo=UTC)
_LAST_TAKEN = datetime(2100, 12, 31, 23, 59, 59, tzinfo=UTC)
# "YYYY:MM:DD HH:MM:SS"; other separators, sub-seconds and zones occur. A time that is blank, as the
# specification writes an unknown one, is midnight: scanned photographs know their day only.
_DATE = re.compile(
    r"(\d{4})[:/.-](\d\d?)[:/.-](\d\d?)(?:[T\s]+(\d\d?):(\d\d?)(?::(\d\d?)(?:[^\d].*)?)?)?[\s:]*",
    re.ASCII,
)
_DRIVE = re.compile(r"[A-Za-z]:/|//")  # a drive or a share


def content_fields(
    width: int,
    height: int,
    format: str,
    exif: Image.Exif | None,
    *,
    xmp: bytes = b"",
    iptc: bytes = b"",
) -> Metadata:
    """Fields that depend on the bytes only, so they are the same for every copy of a file.

    width, height: pixels of the upright picture. format: Pillow's name for it.
    exif: as Image.getexif gives it; its bytes are read, not what was assigned to it since. Of a
    TIFF, best given before the pixels are decoded: see tags.
    xmp, iptc: the file's packet and its IPTC data sets; empty where it has none.
    A field whose value is missing, wrong or out of range is absent; nothing is raised for one.
    """
    main, gps = ({}, {}) if exif is None else tags.read(exif)
    sizes = width > 0 and height > 0
    shape = "square" if width == height else "landscape" if width > height else "portrait"
    altitude = _number(gps.get(tags.ALT), -1e6, 1e6, 2)
    if altitude is not None:  # below sea level: 1 (3 in Exif 3.0), as BYTE
        below = gps.get(tags.ALT_REF) in (1, 3, b"\x01", b"\x03")
        altitude = _number(-altitude if below else altitude, -12_000, 1e6, 2)
    latitude = _degrees(gps.get(tags.LAT), gps.get(tags.LAT_REF), "NS", 90)
    longitude = _degrees(gps.get(tags.LON), gps.get(tags.LON_REF), "EW", 180)
    placed = latitude is not None and longitude is not None
    found: dict[str, Value | None] = {
        "width": width if sizes else None,
        "height": height if sizes else None,
        "orientation": shape if sizes else None,
        "format": _text(format),
        "taken": _taken(main),
        "camera_make": _text(main.get(tags.MAKE)),
        "camera_model": _text(main.get(tags.MODEL)),
        "lens": _text(main.get(tags.LENS_MODEL)),
        "iso": _iso(main),
        "aperture": _number(main.get(tags.F_NUMBER), 0.01, 1000, 2),
        "exposure": _number(main.get(tags.EXPOSURE_TIME), 1e-9, 86_400, 9),
        "focal_length": _number(main.get(tags.FOCAL_LENGTH), 0.01, 100_000, 2),
        "latitude": latitude if placed else None,
        "longitude": longitude if placed else None,
        "altitude": altitude,
    }
    known = {name: value for name, value in found.items() if value is not None}
    return known | embedded.fields(main, xmp, iptc)


def file_fields(paths: Sequence[str], size: int, modified_ns: Sequence[int]) -> Metadata:
    """Fields that depend on where the files of one content lie.

    paths: portable ('/' separated), absolute or relative, in any order, kept as they are; so one
    that is not valid Unicode on disk stays so.
    size: bytes. modified_ns: nanoseconds since 1970 UTC, one a path; the earliest counts, as a copy
    is younger than its original. Raises ValueError when paths or modified_ns is empty.
    """
    if not paths or not modified_ns:
        raise ValueError(f"expected at least one path and time, got {paths!r} and {modified_ns!r}")
    unique = sorted(set(paths))
    known = [PureWindowsPath(p) if _DRIVE.match(p) else PurePosixPath(p) for p in unique]
    found: dict[str, Value | None] = {
        "path": _one_or_list(unique),
        "folder": list(dict.fromkeys(folder for path in known for folder in _folders(path.parent))),
        "name": _one_or_list(path.name for path in known),
        "extension": _one_or_list(path.suffix.lower().strip(".") for path in known),
        "size": size,
        "modified": min(modified_ns) // 1_000_000_000,
    }
    return {name: value for name, value in found.items() if value is not None}


def merge(content: Metadata, files: Metadata) -> Metadata:
    """All fields of one item, with `words`, `year` and `month` added.

    The last two come from `taken`, or else from `modified` in this machine's time zone; with
    neither, or with a time no calendar holds, they are absent.
    """
    both = with_words({**content, **files})
    try:
        if isinstance(taken := both.get("taken"), int):
            when = _EPOCH + timedelta(seconds=taken)
        elif isinstance(modified := both.get("modified"), int | float):
            when = datetime.fromtimestamp(modified)
        else:
            return both
    except (OverflowError, ValueError, OSError):  # a file system may say anything
        return both
    return {**both, "year": when.year, "month": when.month}


def _one_or_list(values: Iterable[str]) -> Value | None:
    several = sorted({value for value in values if value})
    return several if len(several) > 1 else several[0] if several else None


@lru_cache(maxsize=4096)
def _folders(folder: PurePath) -> tuple[str, ...]:
    """A folder and those above it, outermost first; of '../a' not '.', which it is not in."""
    ups = folder.parts.count("..")
    return tuple(
        one.as_posix() for one in reversed((folder, *folder.parents)) if len(one.parts) >= ups
    )


def _text(value: object) -> str | None:
    """One line of at most 256 printable characters with a letter or digit among them ('----' has
    none), or None."""
    if isinstance(value, bytes):
        raw = value
        try:
            value = raw.decode("utf-8")  # ASCII by the specification, but telephones write this
        except UnicodeDecodeError:
            value = raw.decode("latin-1")
    if not isinstance(value, str):
        return None
    text = value.strip("\0 ").partition("\0")[0]  # what follows a NUL is left over in the buffer
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= _MAX_TEXT and any(map(str.isalnum, text)) else None


def _number(value: object, low: float, high: float, digits: int) -> float | None:
    """Rounded, if it is one finite real number from low to high."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    try:
        number = float(value)
    except (OverflowError, ZeroDivisionError):  # beyond float; x/0 in Pillow 11
        return None
    number = round(number, digits) + 0.0  # + 0.0: no minus zero
    return number if low <= number <= high else None  # NaN is neither


def _iso(main: Tags) -> int | None:
    """PhotographicSensitivity; its 65535 means "that or more", and other tags then say how much."""
    values = [main.get(tag) for tag in tags.ISOS]
    ones = [value[0] if isinstance(value, tuple) and value else value for value in values]
    first, *others = [_number(value, 1, 10_000_000, 0) for value in ones]
    if first == 65_535:
        first = next((other for other in others if other and other > first), first)
    return None if first is None else int(first)


def _taken(main: Tags) -> int | None:
    """Seconds since 1970 as if the camera's clock showed UTC.

    DateTime is when the file was last edited; it stands in only if a camera wrote the rest.
    """
    camera = _text(main.get(tags.MAKE)) or _text(main.get(tags.MODEL))
    for tag in tags.DATES if camera else (tags.DATE_ORIGINAL, tags.DATE_DIGITIZED):
        match = _DATE.fullmatch(_text(main.get(tag)) or "")
        if match is None:
            continue
        year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
        try:
            when = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        except ValueError:  # month 0, 30 February, 25 o'clock
            continue
        if _FIRST_PHOTOGRAPH <= when <= _LAST_TAKEN:
            return int((when - _EPOCH).total_seconds())
    return None


def _degrees(value: object, ref: object, signs: str, limit: int) -> float | None:
    """Degrees, minutes, seconds and a letter of signs (the second is negative); None if any is
    missing, as half a place is a wrong place."""
    parts = value if isinstance(value, tuple) else (value,)
    letter = (_text(ref) or "?")[0].upper()
    if letter not in signs or not 1 <= len(parts) <= 3:
        return None
    total = 0.0
    for place, part in enumerate(parts):
        number = _number(part, 0, 60 if place else limit, 12)
        if number is None:
            return None
        total += number / 60**place
    return _number(-total if letter == signs[1] else total, -limit, limit, 7)
