"""Which files are taken for pictures, what they are by their first bytes, what reads them.

docs/formats.md is made from the table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Reader = Literal["pillow", "heif", "jxl", "raw", "video"]


@dataclass(frozen=True, slots=True)
class Format:
    """One kind of file."""

    name: str
    extensions: tuple[str, ...]
    """Of files that are taken for such when a folder is read; in lower case, without the dot."""
    reader: Reader = "pillow"
    read: str = ""
    """What is read of it, for people."""


@dataclass(frozen=True, slots=True)
class Extra:
    """An optional part that brings what reads some formats."""

    name: str
    module: str


_ANIMATION = "frames that differ, at most 8"

FORMATS = (
    Format(
        "JPEG", ("jpg", "jpeg", "jpe", "jfif"), read="of a motion photo or stereo pair the still"
    ),
    Format("PNG, APNG", ("png", "apng"), read=_ANIMATION),
    Format("GIF", ("gif",), read=_ANIMATION),
    Format("WebP", ("webp",), read=_ANIMATION),
    Format("AVIF", ("avif", "avifs"), read=_ANIMATION),
    Format("HEIC, HEIF", ("heic", "heif", "hif"), "heif", "the primary picture"),
    Format("TIFF", ("tif", "tiff"), read="every page, up to `max_moments`"),
    Format("JPEG XL", ("jxl",), "jxl", "the first frame"),
    Format(
        "camera RAW",
        (
            *("dng", "cr2", "cr3", "crw", "nef", "nrw", "arw", "sr2", "srf", "raf", "orf"),
            *("rw2", "rwl", "pef", "srw", "3fr", "iiq", "erf", "mef", "mos", "mrw", "kdc"),
            *("dcr", "x3f", "gpr"),
        ),
        "raw",
        "its preview where that is large enough, else the sensor's data at half size",
    ),
    Format("Photoshop", ("psd",), read="the picture of all layers that is saved with them"),
    Format("JPEG 2000", ("jp2", "j2k", "jpx"), read="the picture"),
    Format("BMP", ("bmp", "dib"), read="the picture"),
    Format("PPM, PGM, PBM", ("ppm", "pgm", "pbm", "pnm"), read="the picture"),
    Format("ICO", ("ico",), read="the largest picture"),
    Format(
        "video",
        (
            *("mp4", "m4v", "mov", "qt", "3gp", "3g2", "mkv", "webm", "avi", "wmv", "asf"),
            *("flv", "f4v", "mpg", "mpeg", "m2v", "vob", "m2ts", "mts", "ogv"),
        ),
        "video",
        "frames that differ, up to `max_moments`",
    ),
)
EXTRAS = {
    "jxl": Extra("jxl", "pylibjxl"),
    "raw": Extra("raw", "rawpy"),
    "video": Extra("video", "av"),
}
"""By reader; the other readers are there in every installation."""
EXTENSIONS = frozenset(extension for one in FORMATS for extension in one.extensions)
_BY_EXTENSION = {extension: one for one in FORMATS for extension in one.extensions}

_STILL_BRANDS = (b"hei", b"hev", b"mif", b"msf", b"avi", b"crx", b"jp2", b"jpx", b"jxl")
"""How the brands begin of what has the boxes of an MP4 file, and is a picture."""
_MOV_BOXES = (b"moov", b"mdat", b"wide", b"pnot")
"""Films of QuickTime from before there was `ftyp` begin with one of these."""
_BEGINNINGS = (
    *(b"\x1aE\xdf\xa3", b"\0\0\1\xba", b"\0\0\1\xb3", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),
    *(b"FLV\1", b"OggS"),
)
"""Matroska and WebM, MPEG, ASF, Flash, Ogg."""
_JXL = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
_RAW = (
    *(b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"\0MRM", b"FOVb"),
    *(b"II\x1a\0\0\0HEAPCCDR",),
)
_TIFF = (b"II*\0", b"MM\0*")
HEAD = 400
"""First bytes of a file that say what it is."""

_NEEDS = re.compile(r"pip install 'pixseek\[([a-z]+)\]'")


def extension_of(path: str) -> str:
    """In lower case, without the dot; '' when there is none."""
    name = path.rpartition("/")[2]
    return name.lower().rpartition(".")[2] if "." in name else ""


def is_named_video(path: str) -> bool:
    """Whether a file's name says that it is a film, so that it may be large."""
    named = _BY_EXTENSION.get(extension_of(path))
    return named is not None and named.reader == "video"


def reader_of(head: bytes, path: str) -> Reader:
    """What reads a file, by its first HEAD bytes; 'pillow' for all that is none of the others.

    path: its name counts for raw files only, as most of them are TIFFs.
    """
    if _is_video(head):
        return "video"
    if head.startswith(_JXL):
        return "jxl"
    if head.startswith(_RAW) or head[8:10] == b"CR" or head[4:12] == b"ftypcrx ":
        return "raw"
    named = _BY_EXTENSION.get(extension_of(path))
    if head.startswith(_TIFF) and named is not None and named.reader == "raw":
        return "raw"
    return "pillow"


def _is_video(head: bytes) -> bool:
    if head[4:8] == b"ftyp":
        return not head[8:11].startswith(_STILL_BRANDS)
    if head[4:8] in _MOV_BOXES or head.startswith(_BEGINNINGS):
        return True
    if head[:4] == b"RIFF":
        return head[8:12] == b"AVI "
    # A packet of an MPEG transport stream begins every 188 bytes, or every 192 with its time.
    return any(
        head[at : at + 1] == head[at + step :][:1] == b"G" for at, step in ((0, 188), (4, 192))
    )


def called(reader: Reader) -> str:
    """The kind of file that a reader reads, for people."""
    return next(one.name for one in FORMATS if one.reader == reader)


def needs(reader: Reader) -> str:
    """Why a file was skipped whose extra is not there; `is_readable_now` knows it again."""
    extra = EXTRAS[reader].name
    return f"it is {called(reader)}; to read it: pip install 'pixseek[{extra}]'"


def is_for_an_extra(reason: str) -> bool:
    """Whether a file was skipped because an extra is not there: see `needs`."""
    return _NEEDS.search(reason) is not None


def is_readable_now(reason: str) -> bool:
    """Whether a file was skipped for an extra that is here now."""
    found = _NEEDS.search(reason)
    return found is not None and any(
        extra.name == found[1] and _is_here(extra.module) for extra in EXTRAS.values()
    )


def _is_here(module: str) -> bool:
    from importlib.util import find_spec  # not needed by a search

    return find_spec(module) is not None
