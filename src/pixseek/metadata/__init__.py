"""What a picture file says of itself → typed fields that can be filtered.

What a file says is read as hints by strangers: a value that is wrong, out of range or hostile is
left out, and nothing here raises because of one. Types and units: Exif 2.32, CIPA DC-008-2019.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from pixseek.metadata import embedded, properties, tags, times
from pixseek.metadata import exif as cameras
from pixseek.metadata import xmp as xmp_packets
from pixseek.metadata.towns import with_towns
from pixseek.metadata.values import Notes, shown, text
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
        "moment": Field("number", "seconds into the video or animation, 0 or more"),
        "duration": Field("number", "length of the video or animation in seconds"),
        "page": Field("number", "page of a file that has several, 1 or more"),
        "taken": Field("time", "the camera's clock, whole seconds since 1970 as if UTC; 1826-2100"),
        "taken_utc": Field("time", "the same moment in UTC, where the file or GPS knows the zone"),
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
        "direction": Field("number", "where the camera looked, degrees, 0-360, 90 is east"),
        "country": Field("text", "where it was taken, as its file says, or the nearest town's"),
        "region": Field("text", "state or province of that, as its file says, or the town's"),
        "city": Field("text", "city, as its file says, or the nearest town by its place (GPS)"),
        "rating": Field("number", "stars, 1-5, whole; -1 is rejected"),
        "description": Field("text", "what its file says of the picture, at most 2000 characters"),
        "title": Field("text", "title or headline that its file has, at most 256 characters"),
        "keywords": Field(
            "text", "list of the keywords in its file, at most 200 of 256 characters"
        ),
        "people": Field(
            "text", "list of the names at its faces, and of people its file says it shows"
        ),
        "notes": Field("text", "list of what its file says that cannot be right and was left out"),
        "text": Field("text", "text read in the picture, top to bottom, a line break a line"),
        "text_lines": Field("text", "list of those lines as JSON: text, box and confidence"),
        "caption": Field("text", "what a captioning model says of the picture"),
        "labels": Field("text", "list of the labels that fit the picture, best first"),
        "tags": Field("text", "list of the tags that were given to it in the library"),
        "words": Field(
            "text", "list of the words of these texts and of the name, as search --words has them"
        ),
        "described": Field("text", "list of what was looked for in it: text, caption"),
    }
)
FILE_FIELDS = frozenset(
    {"path", "folder", "name", "extension", "size", "modified", "year", "month"}
)
"""Fields that depend on where the file lies; `year` and `month` do when `taken` is not known."""

SAID_FIELDS = frozenset(
    {
        *("taken", "taken_utc", "camera_make", "camera_model", "lens", "iso", "aperture"),
        *("exposure", "focal_length", "latitude", "longitude", "altitude", "direction"),
        *("country", "region", "city", "rating", "description", "title", "keywords", "people"),
        "notes",
    }
)
"""Fields that a sidecar may give, too, and those that follow from them."""
_PLACE = frozenset({"latitude", "longitude", "altitude", "direction", "country", "region", "city"})
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
    A field whose value is missing, wrong or out of range is absent; nothing is raised for one. What
    is wrong is in the field `notes`.
    """
    main, gps = ({}, {}) if exif is None else tags.read(exif)
    notes = Notes()
    said, sets = _properties(xmp, "XMP", notes), embedded.data_sets(iptc)
    sizes = width > 0 and height > 0
    shape = "square" if width == height else "landscape" if width > height else "portrait"
    found: dict[str, Value | None] = {
        "width": width if sizes else None,
        "height": height if sizes else None,
        "orientation": shape if sizes else None,
        "format": text(format),
    }
    when = cameras.taken(main, notes) or properties.taken(said, notes)
    when = when or embedded.taken(sets, notes) or cameras.edited(main, notes)
    when = times.by_satellites(when, cameras.satellites(gps) or properties.satellites(said))
    by_xmp = properties.fields(said, notes)
    by_camera = cameras.fields(main, gps, notes)
    if "latitude" in by_camera:  # height and direction belong to their place
        by_xmp = {name: value for name, value in by_xmp.items() if name not in _PLACE}
    rated = {name: value for name, value in by_xmp.items() if name == "rating"}
    known = {name: value for name, value in found.items() if value is not None}
    known |= _times(when) | by_xmp | by_camera | rated | embedded.fields(main, said, sets)
    return known | _noted(notes, known)


def sidecar_fields(packet: bytes) -> Metadata:
    """What a sidecar file says of its picture; it goes before what the picture's own file says.

    packet: the whole content of an XMP file. A damaged one gives its field `notes` only.
    """
    notes = Notes()
    said = _properties(packet, "sidecar", notes)
    when = times.by_satellites(properties.taken(said, notes), properties.satellites(said))
    found = _times(when) | properties.fields(said, notes) | embedded.fields({}, said, {})
    return found | _noted(notes, found)


def with_sidecars(content: Metadata, said: Iterable[Metadata]) -> Metadata:
    """The fields of a content with what its sidecars say; the first goes before the others."""
    joined, notes, sidecars = dict(content), Notes(), list(said)
    for one in reversed(sidecars):
        if "latitude" in one:  # not the height of one place with the name of another
            joined = {name: value for name, value in joined.items() if name not in _PLACE}
        if "taken" in one:
            joined.pop("taken_utc", None)
        joined |= one
    for one in [*sidecars, content]:
        if isinstance(noted := one.get("notes"), list):
            for note in noted:
                notes.add(note)
    return joined | _noted(notes, joined)


def _noted(notes: Notes, known: Metadata) -> Metadata:
    """The notes of what is not known otherwise."""
    missing = [note for note in notes if note.partition(":")[0] not in known]
    return {"notes": missing} if missing else {}


def _properties(packet: bytes, called: str, notes: Notes) -> xmp_packets.Texts:
    try:
        return xmp_packets.read(packet)
    except xmp_packets.Damaged as error:
        notes.add(f"{called}: {shown(str(error))}")
        return {}


def _times(when: times.Taken | None) -> Metadata:
    if when is None:
        return {}
    found: Metadata = {"taken": when.clock}
    return found if when.utc is None else {**found, "taken_utc": when.utc}


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
    """All fields of one item, with `words`, names of its place, `year` and `month` added.

    The last two come from `taken`, or else from `modified` in this machine's time zone; with
    neither, or with a time no calendar holds, they are absent.
    """
    both = with_words(with_towns({**content, **files}))
    try:
        if isinstance(taken := both.get("taken"), int):
            when = times.EPOCH + timedelta(seconds=taken)
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
