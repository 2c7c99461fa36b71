"""EXIF: the few tags that fields are made of, read from the bytes.

Tag numbers and types: Exif 2.32, CIPA DC-008-2019; the XP tags are Windows Explorer's.
"""

from __future__ import annotations

import struct
from typing import IO, TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from PIL import Image

Tags: TypeAlias = dict[int, object]

DIRECTORIES = EXIF_IFD, GPS_IFD = 0x8769, 0x8825
CAMERA = MAKE, MODEL, LENS_MODEL = 0x010F, 0x0110, 0xA434
DATES = DATE_ORIGINAL, DATE_DIGITIZED, DATE_TIME = 0x9003, 0x9004, 0x0132
OPTICS = EXPOSURE_TIME, F_NUMBER, FOCAL_LENGTH = 0x829A, 0x829D, 0x920A
ISOS = 0x8827, 0x8832, 0x8833  # PhotographicSensitivity, RecommendedExposureIndex, ISOSpeed
WRITTEN = DESCRIPTION, COMMENT = 0x010E, 0x9286  # ImageDescription, UserComment
WINDOWS = XP_TITLE, XP_COMMENT, XP_KEYWORDS, XP_SUBJECT = 0x9C9B, 0x9C9C, 0x9C9E, 0x9C9F
ZONES = dict(zip(DATES, (0x9011, 0x9012, 0x9010), strict=True))  # OffsetTimeOriginal, ...
RATINGS = RATING, RATING_PERCENT = 0x4746, 0x4749  # Windows', of 0 to 5 and of 0 to 100
PLACE = LAT_REF, LAT, LON_REF, LON, ALT_REF, ALT = range(1, 7)
SATELLITES = GPS_TIME, GPS_DIRECTION, GPS_DATE = 7, 17, 29
_WANTED = frozenset(
    {*DIRECTORIES, *CAMERA, *DATES, *OPTICS, *ISOS, *WRITTEN, *WINDOWS, *PLACE}
    | {*ZONES.values(), *RATINGS, *SATELLITES}
)

_BYTES = (1, 2, 7, 129)  # TIFF types BYTE, ASCII, UNDEFINED, and UTF-8 (Exif 3.0)
_NUMBERS = {3: "H", 4: "L", 5: "LL", 6: "b", 8: "h", 9: "l", 10: "ll", 11: "f", 12: "d", 13: "L"}
_MAX_BYTES = 8192  # of one value: the longest description, in UTF-8


def read(exif: Image.Exif) -> tuple[Tags, Tags]:
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
        photo = _read_directory(fp, order, main.get(EXIF_IFD))
        gps = _read_directory(fp, order, main.get(GPS_IFD))
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
        return main | exif.get_ifd(EXIF_IFD), dict(exif.get_ifd(GPS_IFD))
    except (AttributeError, ValueError, UserWarning):  # no file; a closed one; see above
        return {}, {}
