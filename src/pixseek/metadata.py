"""What a picture file says of itself → typed fields that can be filtered.

EXIF is read as hints by strangers: a value that is wrong, out of range or hostile is left out, and
nothing here raises because of one. Tag numbers, types and units: Exif 2.32, CIPA DC-008-2019.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from numbers import Real
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Literal, TypeAlias

from pixseek.records import Metadata, Value

if TYPE_CHECKING:
    from PIL import Image

Tags: TypeAlias = dict[int, object]


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
    }
)
FILE_FIELDS = frozenset(
    {"path", "folder", "name", "extension", "size", "modified", "year", "month"}
)
"""Fields that depend on where the file lies; `year` and `month` do when `taken` is not known."""

_DIRECTORIES = _EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_CAMERA = _MAKE, _MODEL, _LENS_MODEL = 0x010F, 0x0110, 0xA434
_DATES = _DATE_ORIGINAL, _DATE_DIGITIZED, _DATE_TIME = 0x9003, 0x9004, 0x0132
_OPTICS = _EXPOSURE_TIME, _F_NUMBER, _FOCAL_LENGTH = 0x829A, 0x829D, 0x920A
_ISOS = 0x8827, 0x8832, 0x8833  # PhotographicSensitivity, RecommendedExposureIndex, ISOSpeed
_PLACE = _LAT_REF, _LAT, _LON_REF, _LON, _ALT_REF, _ALT = range(1, 7)
_WANTED = frozenset({*_DIRECTORIES, *_CAMERA, *_DATES, *_OPTICS, *_ISOS, *_PLACE})

_BYTES = (1, 2, 7, 129)  # TIFF types BYTE, ASCII, UNDEFINED, and UTF-8 (Exif 3.0)
_NUMBERS = {3: "H", 4: "L", 5: "LL", 6: "b", 8: "h", 9: "l", 10: "ll", 11: "f", 12: "d", 13: "L"}
_MAX_BYTES = 2048  # of one value: 256 characters of UTF-8, and padding
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
_WINDOWS = re.compile(r"[A-Za-z]:/|//")  # a drive or a share


def content_fields(width: int, height: int, format: str, exif: Image.Exif | None) -> Metadata:
    """Fields that depend on the bytes only, so they are the same for every copy of a file.

    width, height: pixels of the upright picture. format: Pillow's name for it.
    exif: as Image.getexif gives it; its bytes are read, not what was assigned to it since. Of a
    TIFF, best given before the pixels are decoded: see _remembered.
    A field whose value is missing, wrong or out of range is absent; nothing is raised for one.
    """
    main, gps = ({}, {}) if exif is None else _tags(exif)
    sizes = width > 0 and height > 0
    shape = "square" if width == height else "landscape" if width > height else "portrait"
    altitude = _number(gps.get(_ALT), -1e6, 1e6, 2)
    if altitude is not None:  # below sea level: 1 (3 in Exif 3.0), as BYTE
        below = gps.get(_ALT_REF) in (1, 3, b"\x01", b"\x03")
        altitude = _number(-altitude if below else altitude, -12_000, 1e6, 2)
    latitude = _degrees(gps.get(_LAT), gps.get(_LAT_REF), "NS", 90)
    longitude = _degrees(gps.get(_LON), gps.get(_LON_REF), "EW", 180)
    placed = latitude is not None and longitude is not None
    found: dict[str, Value | None] = {
        "width": width if sizes else None,
        "height": height if sizes else None,
        "orientation": shape if sizes else None,
        "format": _text(format),
        "taken": _taken(main),
        "camera_make": _text(main.get(_MAKE)),
        "camera_model": _text(main.get(_MODEL)),
        "lens": _text(main.get(_LENS_MODEL)),
        "iso": _iso(main),
        "aperture": _number(main.get(_F_NUMBER), 0.01, 1000, 2),
        "exposure": _number(main.get(_EXPOSURE_TIME), 1e-9, 86_400, 9),
        "focal_length": _number(main.get(_FOCAL_LENGTH), 0.01, 100_000, 2),
        "latitude": latitude if placed else None,
        "longitude": longitude if placed else None,
        "altitude": altitude,
    }
    return {name: value for name, value in found.items() if value is not None}


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
    known = [PureWindowsPath(p) if _WINDOWS.match(p) else PurePosixPath(p) for p in unique]
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
    """All fields of one item, with `year` and `month` added.

    Both come from `taken`, or else from `modified` in this machine's time zone; with neither, or
    with a time no calendar holds, they are absent.
    """
    both = {**content, **files}
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


def _iso(tags: Tags) -> int | None:
    """PhotographicSensitivity; its 65535 means "that or more", and other tags then say how much."""
    values = [tags.get(tag) for tag in _ISOS]
    ones = [value[0] if isinstance(value, tuple) and value else value for value in values]
    first, *others = [_number(value, 1, 10_000_000, 0) for value in ones]
    if first == 65_535:
        first = next((other for other in others if other and other > first), first)
    return None if first is None else int(first)


def _taken(tags: Tags) -> int | None:
    """Seconds since 1970 as if the camera's clock showed UTC.

    DateTime is when the file was last edited; it stands in only if a camera wrote the rest.
    """
    camera = _text(tags.get(_MAKE)) or _text(tags.get(_MODEL))
    for tag in _DATES if camera else (_DATE_ORIGINAL, _DATE_DIGITIZED):
        match = _DATE.fullmatch(_text(tags.get(tag)) or "")
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


def _tags(exif: Image.Exif) -> tuple[Tags, Tags]:
    """(tags of the main and the Exif directory, tags of the GPS directory) that fields are made of.

    Pillow's own Exif.get_ifd reads every value of every tag, raises what the values make it raise,
    and calls warnings.warn for damage, which only a process-wide switch can silence. So the few
    tags are read here, from the bytes that Pillow found; damage then costs one tag and no more.
    """
    fp: IO[bytes] | None = getattr(exif, "fp", None)
    if fp is None or fp.closed:
        return _remembered(exif)
    try:
        fp.seek(0)
        head = fp.read(8)
        order = {b"II*\0": "<", b"MM\0*": ">"}.get(head[:4])
        if order is None or len(head) < 8:  # such as BigTIFF, which cameras do not write
            return {}, {}
        main = _read_directory(fp, order, struct.unpack(order + "L", head[4:])[0])
        photo = _read_directory(fp, order, main.get(_EXIF_IFD))
        gps = _read_directory(fp, order, main.get(_GPS_IFD))
    except OSError:  # the disk's; the fp of a TIFF is the file itself
        return {}, {}
    return main | photo, gps  # TIFF/EP, so raw files too, keep photo's tags in main


def _read_directory(fp: IO[bytes], order: str, offset: object) -> Tags:
    """The wanted tags of the directory at offset; what is damaged or cut off is absent.

    Text and raw bytes as bytes; one number as it is, several as a tuple; x/0 as NaN.
    Source: TIFF 6.0, section 2.
    """
    if not isinstance(offset, int) or offset < 0:
        return {}
    fp.seek(offset)
    head = fp.read(2).ljust(2, b"\0")
    block = fp.read(struct.unpack(order + "H", head)[0] * 12)
    tags: Tags = {}
    entries = struct.iter_unpack(order + "HHL4s", block[: len(block) // 12 * 12])
    for tag, kind, count, data in entries:
        code = order + _NUMBERS.get(kind, "B" if kind in _BYTES else "")
        size = min(count * struct.calcsize(code), _MAX_BYTES)
        if tag not in _WANTED or tag in tags or size == 0:
            continue
        if size > 4:
            fp.seek(struct.unpack(order + "L", data)[0])
            data = fp.read(size)
        if len(data) < size:
            continue
        if kind in _BYTES:
            tags[tag] = data[:size]
            continue
        numbers = tuple(_quotient(*parts) for parts in struct.iter_unpack(code, data[:size]))
        tags[tag] = numbers[0] if len(numbers) == 1 else numbers
    return tags


def _quotient(numerator: float, denominator: int = 1) -> float:
    if denominator == 1:
        return numerator
    return numerator / denominator if denominator else float("nan")


def _remembered(exif: Image.Exif) -> tuple[Tags, Tags]:
    """The tags as Pillow has them: of an Exif made in memory, or of a TIFF whose file Pillow closed
    when it had decoded the pixels.

    Pillow warns here ("Metadata Warning") if a TIFF's Make, Model or DateTime is an array of
    numbers; where the caller's warning filter turns that into an error, nothing is known.
    """
    try:
        main = {tag: exif.get(tag) for tag in _WANTED}
        return main | exif.get_ifd(_EXIF_IFD), dict(exif.get_ifd(_GPS_IFD))
    except (AttributeError, ValueError, UserWarning):  # no file; a closed one; see above
        return {}, {}
