"""Metadata: what a picture says of itself, however wrongly, becomes fields or nothing."""

from __future__ import annotations

import io
import json
import math
import os
import struct
import subprocess
import sys
import time
import warnings
from calendar import timegm
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

from pixseek.metadata import FIELDS, content_fields, file_fields, merge
from pixseek.records import TIME_FIELDS, Metadata

Tags: TypeAlias = Mapping[Any, object]
RATIONAL, SHORT, LONG, ASCII = 5, 3, 4, 2  # TIFF types
PLACE: dict[int, Any] = {
    GPS.GPSLatitudeRef: "S",
    GPS.GPSLatitude: (33.0, 51.0, 24.84),
    GPS.GPSLongitudeRef: "W",
    GPS.GPSLongitude: (151.0, 12.0, 54.0),
}


def exif_with(
    main: Tags | None = None,
    photo: Tags | None = None,
    gps: Tags | None = None,
) -> Image.Exif:
    """An Exif as painted: values are what Pillow holds in memory."""
    exif = Image.Exif()
    exif.update(main or {})
    exif.get_ifd(IFD.Exif).update(photo or {})
    exif.get_ifd(IFD.GPSInfo).update(gps or {})
    return exif


def written(exif: Image.Exif, format: str = "JPEG") -> Image.Exif:
    """The same, through a file."""
    file = io.BytesIO()
    # As bytes: of an Exif, Pillow writes to TIFF only the main directory.
    Image.new("RGB", (4, 3), "red").save(file, format, exif=exif.tobytes())
    return Image.open(file).getexif()


def directory(entries: Sequence[tuple[int, int, int, bytes]], at: int, order: str = "<") -> bytes:
    """A TIFF directory that lies at an offset, with the values that do not fit in it after it."""
    head, values = struct.pack(order + "H", len(entries)), b""
    after = at + 2 + 12 * len(entries) + 4
    for tag, kind, count, data in entries:
        place = data.ljust(4, b"\0")
        if len(data) > 4:
            place = struct.pack(order + "L", after + len(values))
            values += data
        head += struct.pack(order + "HHL4s", tag, kind, count, place)
    return head + bytes(4) + values


def exif_bytes(raw: bytes) -> Image.Exif:
    """An Exif over bytes that Pillow itself would warn of or refuse."""
    exif = Image.Exif()
    exif.fp = io.BytesIO(raw)
    return exif


def raw_exif(*entries: tuple[int, int, int, bytes], order: str = "<") -> Image.Exif:
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return exif_bytes(magic + struct.pack(order + "L", 8) + directory(entries, 8, order))


def fields(exif: Image.Exif | None) -> Metadata:
    """The fields that come from EXIF, without the notes of what was left out."""
    found = content_fields(4, 3, "JPEG", exif)
    others = {"notes", *content_fields(4, 3, "JPEG", None)}
    return {name: found[name] for name in found.keys() - others}


def notes(exif: Image.Exif | None) -> object:
    """The notes of what was left out."""
    return content_fields(4, 3, "JPEG", exif).get("notes", [])


def check(found: Metadata) -> None:
    """Whatever went in, these hold for what comes out."""
    assert found.keys() <= FIELDS.keys()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    ranges = {
        "iso": (1, 10_000_000),
        "aperture": (0.01, 1000),
        "exposure": (1e-9, 86_400),
        "focal_length": (0.01, 100_000),
        "latitude": (-90, 90),
        "longitude": (-180, 180),
        "altitude": (-12_000, 1_000_000),
        "direction": (0, 360),
        "rating": (-1, 5),
        "taken": (timegm((1826, 1, 1, 0, 0, 0)), timegm((2100, 12, 31, 23, 59, 59))),
    }
    noted = found.get("notes", [])
    assert isinstance(noted, list)
    assert len(noted) <= 20
    for note in noted:
        assert note.isprintable()
        assert len(note) < 100
    for name, value in found.items():
        if name in ("notes", "keywords", "people"):
            assert isinstance(value, list)
            continue
        if FIELDS[name].kind == "text":
            assert isinstance(value, str)
            value.encode()
            assert value == value.strip() != ""
            assert len(value) <= (2000 if name == "description" else 256)
            assert value.isprintable()
        else:
            assert isinstance(value, int | float)
            low, high = ranges.get(name, (1, math.inf))
            assert low <= value <= high
            whole = name in {"width", "height", "iso", "taken", "taken_utc", "rating"}
            assert type(value) is (int if whole else float)
    assert ("latitude" in found) == ("longitude" in found)


# What a camera writes


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_everything_a_camera_writes_is_read_from_the_file(format: str) -> None:
    exif = exif_with(
        {Base.Make: "Canon", Base.Model: "Canon EOS 40D", Base.DateTime: "2010:01:01 00:00:00"},
        {
            Base.DateTimeOriginal: "2008:05:30 15:56:01",
            Base.DateTimeDigitized: "2009:05:30 15:56:01",
            Base.LensModel: "EF 50mm",
            Base.ISOSpeedRatings: 800,
            Base.FNumber: 7.1,
            Base.ExposureTime: IFDRational(1, 160),
            Base.FocalLength: 135.0,
        },
        {**PLACE, GPS.GPSAltitudeRef: b"\1", GPS.GPSAltitude: 12.5},
    )

    found = fields(written(exif, format))

    assert found == {
        "taken": timegm((2008, 5, 30, 15, 56, 1)),
        "camera_make": "Canon",
        "camera_model": "Canon EOS 40D",
        "lens": "EF 50mm",
        "iso": 800,
        "aperture": 7.1,
        "exposure": 0.00625,
        "focal_length": 135.0,
        "latitude": -33.8569,
        "longitude": -151.215,
        "altitude": -12.5,
    }
    assert fields(exif) == found  # an Exif made in memory says the same
    check(content_fields(4, 3, format, written(exif, format)))


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_a_tiff_gives_the_same_fields_before_and_after_its_pixels_are_decoded(
    compression: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.tiff"
    picture = Image.effect_noise((64, 48), 50)
    info = ImageFileDirectory_v2()
    info.tagtype[65_000], info[65_000], info[Base.Make] = LONG, 7, "Canon"
    picture.save(path, tiffinfo=info, compression=compression)
    # Pillow writes no Exif directory into a compressed TIFF, so point our private tag at one.
    data = path.read_bytes()
    old = struct.pack("<HHLL", 65_000, LONG, 1, 7)
    assert data.count(old) == 1
    number = (Base.FNumber, RATIONAL, 1, struct.pack("<2L", 4, 1))
    data = data.replace(old, struct.pack("<HHLL", IFD.Exif, LONG, 1, len(data)))
    path.write_bytes(data + directory([number], len(data)))

    with Image.open(path) as image:
        before = fields(image.getexif())
        image.load()
        assert image.tobytes() == picture.tobytes()  # reading tags did not disturb decoding
        after = fields(image.getexif())

    assert before == after
    assert before == {"camera_make": "Canon", "aperture": 4.0}


def test_both_byte_orders_are_read() -> None:
    for order in "<>":
        entry = (Base.FNumber, RATIONAL, 1, struct.pack(order + "2L", 28, 10))
        iso = (Base.ISOSpeedRatings, SHORT, 1, struct.pack(order + "H", 200))
        assert fields(raw_exif(entry, iso, order=order)) == {"aperture": 2.8, "iso": 200}


def test_width_height_and_orientation_describe_the_upright_picture() -> None:
    assert content_fields(4, 3, "PNG", None) == {
        "width": 4,
        "height": 3,
        "orientation": "landscape",
        "format": "PNG",
    }
    assert content_fields(3, 4, "PNG", None)["orientation"] == "portrait"
    assert content_fields(3, 3, "PNG", None)["orientation"] == "square"
    assert content_fields(0, 3, "", None) == {}


# Time


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2008:05:30 15:56:01", (2008, 5, 30, 15, 56, 1)),
        ("2008-05-30T15:56:01.25+02:00", (2008, 5, 30, 15, 56, 1)),
        ("1962:07:04   :  :  ", (1962, 7, 4, 0, 0, 0)),
        ("1826:01:01 00:00:00", (1826, 1, 1, 0, 0, 0)),
        ("2100:12:31 23:59:59\0", (2100, 12, 31, 23, 59, 59)),
    ],
)
def test_the_cameras_clock_is_read_as_if_it_showed_utc(
    text: str, expected: tuple[int, ...]
) -> None:
    assert fields(exif_with(photo={Base.DateTimeOriginal: text})) == {"taken": timegm(expected)}


@pytest.mark.parametrize(
    "text",
    [
        *("0000:00:00 00:00:00", "    :  :     :  :  ", "", "2008:00:00 10:00:00", "YYYY:MM:DD"),
        *("2008:02:30 10:00:00", "2008:05:30 25:00:00", "1825:12:31 23:59:59", "١٩٩٩:01:01"),
        *("2101:01:01 00:00:00", "9999:99:99 99:99:99", "2008:05:30 ab:cd:ef", "20080530"),
        *(20080530, b"\xff\xfe", (2008, 5), None, 1.5, "2008:05:30 15:56:01" + "x" * 65_536),
    ],
)
def test_a_time_that_no_calendar_holds_is_absent(text: object) -> None:
    assert fields(exif_with(photo={Base.DateTimeOriginal: text})) == {}


def test_the_time_of_digitizing_stands_in_for_a_wrong_time_of_taking() -> None:
    photo = {Base.DateTimeOriginal: "0000:00:00", Base.DateTimeDigitized: "2008:05:30 15:56:01"}

    assert fields(exif_with(photo=photo)) == {"taken": timegm((2008, 5, 30, 15, 56, 1))}


def test_the_time_of_editing_counts_only_if_a_camera_wrote_the_file() -> None:
    edited: dict[int, Any] = {Base.DateTime: "2008:05:30 15:56:01"}

    assert "taken" not in fields(exif_with(edited))
    assert "taken" in fields(exif_with(edited | {Base.Model: "X100"}))
    assert "taken" not in fields(exif_with(edited | {Base.Model: " \0"}))


# Text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("  Canon \0\0", "Canon"),
        ("ION230\0F", "ION230"),
        ("\0\0Canon", "Canon"),
        ("two\r\n lines\t\x1b[31m", "two lines [31m"),
        ("a\ud800b", "a b"),
        ("Ä" * 256, "Ä" * 256),
        ("Canon" + " " * 3000, "Canon"),
        ("x" * 257, None),
        ("x" * 65_536, None),
        ("----", None),
        (" \0 ", None),
        ("", None),
        (5, None),
        (("Canon", "Nikon"), None),
    ],
)
def test_text_is_one_clean_line_or_absent(value: object, expected: str | None) -> None:
    assert fields(exif_with({Base.Make: value})).get("camera_make") == expected


def test_text_in_a_file_is_utf_8_or_else_latin_1_and_padding_is_dropped() -> None:
    def make(data: bytes) -> object:
        return fields(raw_exif((Base.Make, ASCII, len(data), data))).get("camera_make")

    assert make("Präzision".encode()) == "Präzision"
    assert make("Präzision".encode("latin-1")) == "Präzision"
    assert make(b"Canon" + bytes(65_536)) == "Canon"
    assert make(b"x" * 65_536) is None


# Numbers


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (IFDRational(28, 10), 2.8),
        (4, 4.0),
        (1.7799999713880652, 1.78),
        (IFDRational(0, 0), None),
        (IFDRational(1, 0), None),
        (IFDRational(-28, 10), None),
        (0, None),
        (math.nan, None),
        (math.inf, None),
        (-math.inf, None),
        (10**400, None),
        (Fraction(10**400, 3), None),
        (True, None),
        ("2.8", None),
        (b"\x02", None),
        ((2.8, 2.8), None),
        ((), None),
        (None, None),
    ],
)
def test_an_f_number_is_one_finite_number_in_range_or_absent(
    value: object, expected: float | None
) -> None:
    found = fields(exif_with(photo={Base.FNumber: value})).get("aperture")

    assert found == expected
    assert found is None or type(found) is float


@pytest.mark.parametrize(
    ("photo", "expected"),
    [
        ({Base.ISOSpeedRatings: 100}, 100),
        ({Base.ISOSpeedRatings: (200, 0)}, 200),  # its count is "any" by the specification
        ({Base.ISOSpeedRatings: 65_535, Base.RecommendedExposureIndex: 102_400}, 102_400),
        ({Base.ISOSpeedRatings: 65_535, Base.RecommendedExposureIndex: 0}, 65_535),
        ({Base.ISOSpeedRatings: 0}, None),
        ({Base.ISOSpeedRatings: -100}, None),
        ({Base.ISOSpeedRatings: "100"}, None),
        ({Base.ISOSpeedRatings: ()}, None),
    ],
)
def test_iso_is_a_whole_number_and_its_overflow_is_looked_up(
    photo: dict[int, object], expected: int | None
) -> None:
    found = fields(exif_with(photo=photo)).get("iso")

    assert found == expected
    assert found is None or type(found) is int


@pytest.mark.parametrize("value", [0, -0.5, 1e9, IFDRational(0, 0), 4_294_967_295])
def test_an_exposure_of_no_or_negative_or_absurd_length_is_absent(value: object) -> None:
    assert fields(exif_with(photo={Base.ExposureTime: value})) == {}


# Places


def test_south_and_west_are_negative_and_degrees_have_seven_decimals() -> None:
    there: dict[int, Any] = {GPS.GPSLatitudeRef: "N", GPS.GPSLongitudeRef: "east"}
    thirds: dict[int, Any] = {GPS.GPSLatitude: (0, 0, 1), GPS.GPSLongitude: (IFDRational(1, 3),)}

    assert fields(exif_with(gps=PLACE)) == {"latitude": -33.8569, "longitude": -151.215}
    assert fields(exif_with(gps=PLACE | there)) == {"latitude": 33.8569, "longitude": 151.215}
    found = fields(exif_with(gps=PLACE | thirds))
    assert found == {"latitude": -0.0002778, "longitude": -0.3333333}


def test_zero_and_zero_is_no_place_and_one_zero_is() -> None:
    zero: dict[int, Any] = {GPS.GPSLatitude: (0, 0, 0), GPS.GPSLongitude: (0, 0, 0)}
    equator: dict[int, Any] = {GPS.GPSLatitude: (0, 0, 0)}

    assert fields(exif_with(gps=PLACE | zero)) == {}
    assert notes(exif_with(gps=PLACE | zero)) == [
        "place: 0, 0 stands for a place that was not known"
    ]
    assert fields(exif_with(gps=zero)) == {}
    assert notes(exif_with(gps=zero)) == []
    found = fields(exif_with(gps=PLACE | equator))
    assert found == {"latitude": 0.0, "longitude": -151.215}
    assert str(found["latitude"]) == "0.0"  # not minus zero


@pytest.mark.parametrize(
    "wrong",
    [
        {GPS.GPSLatitude: (90, 0, 0.1)},
        {GPS.GPSLongitude: (181, 0, 0)},
        {GPS.GPSLatitude: (-33, 51, 24)},
        {GPS.GPSLatitude: (33, 61, 0)},
        {GPS.GPSLatitude: (IFDRational(0, 0), IFDRational(0, 0), IFDRational(0, 0))},
        {GPS.GPSLatitude: (math.nan, 0, 0)},
        {GPS.GPSLatitude: (33, 51, 24, 0)},
        {GPS.GPSLatitude: ()},
        {GPS.GPSLatitude: "33 51 24"},
        {GPS.GPSLatitude: b"\x21\x33\x18"},
        {GPS.GPSLatitudeRef: ""},
        {GPS.GPSLatitudeRef: "E"},
        {GPS.GPSLatitudeRef: 0},
        {GPS.GPSLongitudeRef: None},
    ],
)
def test_half_a_place_is_no_place(wrong: dict[int, object]) -> None:
    assert fields(exif_with(gps=PLACE | wrong)) == {}


@pytest.mark.parametrize(
    ("ref", "value", "expected"),
    [
        (b"\0", 8848.86, 8848.86),
        (b"\1", 430, -430.0),
        (None, 12, 12.0),
        (b"\0", -5, -5.0),
        (b"\1", 0, 0.0),
        (b"\1", 20_000, None),
        (b"\0", 2e6, None),
        (b"\0", IFDRational(0, 0), None),
        (b"\0", "12 m", None),
    ],
)
def test_altitude_is_negative_below_the_sea(
    ref: object, value: object, expected: float | None
) -> None:
    gps = {GPS.GPSAltitudeRef: ref, GPS.GPSAltitude: value}

    assert fields(exif_with(gps=gps)).get("altitude") == expected


# Damage


def test_a_damaged_tag_costs_that_tag_only_and_nobody_is_warned() -> None:
    far = struct.pack("<HHL4s", Base.Make, ASCII, 100, struct.pack("<L", 10**6))
    good = struct.pack("<HHL4s", Base.ISOSpeedRatings, SHORT, 1, struct.pack("<H2x", 400))
    many = struct.pack("<HHL4s", Base.FNumber, SHORT, 2, struct.pack("<2H", 4, 4))
    odd = struct.pack("<HHL4s", Base.Model, 99, 1, b"abcd")
    cut_off = b"II*\0" + struct.pack("<LH", 8, 9) + far + good + many + odd + b"cut"

    assert fields(exif_bytes(cut_off)) == {"iso": 400}
    with pytest.warns(UserWarning, match="Skipping|Truncated|EXIF"):  # Pillow, of the same bytes
        Image.Exif().load(cut_off)


def test_directories_that_point_at_themselves_or_nowhere_end() -> None:
    for offset in (0, 8, 9, 2**32 - 1):
        pointers = [(tag, LONG, 1, struct.pack("<L", offset)) for tag in (IFD.Exif, IFD.GPSInfo)]
        assert fields(raw_exif(*pointers)) == {}
    assert fields(raw_exif((IFD.Exif, ASCII, 4, b"abcd"), (IFD.GPSInfo, SHORT, 2, bytes(4)))) == {}


def test_a_pointer_without_a_file_behind_it_gives_nothing() -> None:
    exif = Image.Exif()
    exif[IFD.Exif] = 26
    assert fields(exif) == {}


def test_a_disk_that_fails_while_tags_are_read_gives_nothing() -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, f"Input/output error after {size}")

    exif = Image.Exif()
    exif.fp = Failing(b"II*\0")
    assert fields(exif) == {}


@given(st.binary(max_size=400))
def test_any_bytes_at_all_are_taken_for_exif_without_a_word(data: bytes) -> None:
    check(content_fields(4, 3, "JPEG", exif_bytes(data)))
    check(content_fields(4, 3, "JPEG", exif_bytes(b"II*\0\x08\0\0\0" + data)))


TAGS = st.sampled_from(
    [
        *(0x010F, 0x0110, 0x0132, 0x8769, 0x8825, 0x829A, 0x829D, 0x8827, 0x8832, 0x8833, 0x9003),
        *(0x9004, 0x920A, 0xA434, 1, 2, 3, 4, 5, 6, 7, 17, 29, 0x9010, 0x9011, 0x4746, 0x4749),
    ]
)
ENTRIES = st.tuples(TAGS, st.integers(0, 130), st.integers(0, 2**32 - 1), st.binary(max_size=64))


@given(st.lists(ENTRIES, max_size=12), st.sampled_from("<>"))
def test_any_directory_is_read_without_a_word(
    entries: list[tuple[int, int, int, bytes]], order: str
) -> None:
    check(content_fields(4, 3, "JPEG", raw_exif(*entries, order=order)))


NUMBERS = (
    st.integers()
    | st.floats()
    | st.fractions()
    | st.builds(IFDRational, st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 3, 100]))
)
ANYTHING = NUMBERS | st.booleans() | st.none() | st.text() | st.binary()
HOSTILE = st.dictionaries(
    TAGS.filter(lambda tag: tag not in (IFD.Exif, IFD.GPSInfo)),
    ANYTHING | st.lists(ANYTHING, max_size=4).map(tuple) | st.lists(ANYTHING, max_size=2),
)


@given(HOSTILE, HOSTILE, HOSTILE, st.integers(), st.integers(), st.text())
def test_any_values_of_any_type_become_good_fields_or_none(
    main: dict[int, object],
    photo: dict[int, object],
    gps: dict[int, object],
    width: int,
    height: int,
    format: str,
) -> None:
    check(content_fields(width, height, format, exif_with(main, photo, gps)))


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_a_place_survives_the_way_through_a_file(latitude: float, longitude: float) -> None:
    assume(round(latitude, 7) or round(longitude, 7))  # 0, 0 is no place

    def parts(degrees: float) -> bytes:
        return struct.pack("<6L", round(abs(degrees) * 10**7), 10**7, 0, 1, 0, 1)

    gps = [
        (GPS.GPSLatitudeRef, ASCII, 2, b"S\0" if latitude < 0 else b"N\0"),
        (GPS.GPSLatitude, RATIONAL, 3, parts(latitude)),
        (GPS.GPSLongitudeRef, ASCII, 2, b"W\0" if longitude < 0 else b"E\0"),
        (GPS.GPSLongitude, RATIONAL, 3, parts(longitude)),
    ]
    raw = b"II*\0" + struct.pack("<L", 8)
    raw += directory([(IFD.GPSInfo, LONG, 1, struct.pack("<L", 26))], 8) + directory(gps, 26)

    found = fields(exif_bytes(raw))

    assert found["latitude"] == pytest.approx(latitude, abs=1e-7)
    assert found["longitude"] == pytest.approx(longitude, abs=1e-7)


# Files


def test_the_folder_field_names_every_folder_above_outermost_first() -> None:
    def folders(*paths: str) -> object:
        return file_fields(paths, 1, [0])["folder"]

    assert folders("/home/me/p/a.jpg") == ["/", "/home", "/home/me", "/home/me/p"]
    assert folders("photos/2024/a.jpg") == [".", "photos", "photos/2024"]
    assert folders("a.jpg") == ["."]
    assert folders("../elsewhere/a.jpg") == ["..", "../elsewhere"]
    assert folders("C:/Users/a.jpg") == ["C:/", "C:/Users"]
    assert folders("x/b.jpg", "x/y/a.jpg") == [".", "x", "x/y"]


def test_one_file_gives_plain_values() -> None:
    assert file_fields(["photos/IMG 1.JPG"], 1234, [1_700_000_000_999_999_999]) == {
        "path": "photos/IMG 1.JPG",
        "folder": [".", "photos"],
        "name": "IMG 1.JPG",
        "extension": "jpg",
        "size": 1234,
        "modified": 1_700_000_000,
    }


def test_copies_give_sorted_lists_and_the_earliest_time() -> None:
    found = file_fields(["b/x.jpg", "a/x.jpeg", "a/x.jpeg"], 1, [5 * 10**9, -1, 10**9])

    assert found["path"] == ["a/x.jpeg", "b/x.jpg"]
    assert found["name"] == ["x.jpeg", "x.jpg"]
    assert found["extension"] == ["jpeg", "jpg"]
    assert found["folder"] == [".", "a", "b"]
    assert found["modified"] == -1
    assert file_fields(["b/x.jpg", "a/x.jpg"], 1, [0, 0])["name"] == "x.jpg"


def test_a_name_without_an_extension_has_none() -> None:
    assert "extension" not in file_fields(["a/README", ".hidden", "dot."], 1, [0])


def test_no_paths_or_no_times_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one path"):
        file_fields([], 1, [0])
    with pytest.raises(ValueError, match="at least one path"):
        file_fields(["a"], 1, [])


# Together


def test_year_and_month_are_the_cameras() -> None:
    taken = timegm((1969, 12, 31, 23, 59, 59))

    assert merge({"taken": taken}, {"modified": 0, "path": "a"}) == {
        "taken": taken,
        "modified": 0,
        "path": "a",
        "year": 1969,
        "month": 12,
    }


def test_year_and_month_are_the_files_in_local_time_when_no_camera_knows() -> None:
    modified = timegm((2020, 6, 30, 12, 0, 0))
    local = time.localtime(modified)

    found = merge({}, {"modified": modified})

    assert (found["year"], found["month"]) == (local.tm_year, local.tm_mon)


@pytest.mark.parametrize("modified", [2**63, -(2**63), 10**30, math.inf, math.nan])
def test_a_file_time_beyond_the_calendar_gives_no_year(modified: float) -> None:
    assert merge({}, {"modified": modified}) == {"modified": modified}
    assert merge({"width": 1}, {}) == {"width": 1}


def test_the_fields_are_these_in_this_order() -> None:
    names = (
        "path folder name extension size modified width height orientation format moment duration "
        "page taken taken_utc "
        "year month camera_make camera_model lens iso aperture exposure focal_length latitude "
        "longitude altitude direction country region city rating description title keywords people "
        "notes text text_lines caption labels tags words described"
    )
    assert list(FIELDS) == names.split()
    assert {"modified", "taken", "taken_utc"} == TIME_FIELDS
    assert all(field.meaning and "\n" not in field.meaning for field in FIELDS.values())


def test_importing_metadata_loads_no_imaging_library() -> None:
    code = "import sys, pixseek.metadata; sys.exit('PIL' in sys.modules or 'numpy' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Photographs of many cameras (not in this repository): PIXSEEK_TEST_DATA/files/exif-samples

DATA = os.environ.get("PIXSEEK_TEST_DATA")
if DATA:  # else the tests do not exist, which is not the same as being skipped
    SAMPLES = Path(DATA, "files", "exif-samples")

    def read_sample(path: Path) -> Metadata:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of the main directory, while opening
            image = Image.open(path)
            exif = image.getexif()
        with image:
            return content_fields(*image.size, image.format or "", exif)

    @pytest.mark.parametrize(
        "path",
        sorted(p for p in SAMPLES.rglob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".tiff"}),
        ids=lambda path: path.name,
    )
    def test_every_sample_gives_good_fields_without_a_word(path: Path) -> None:
        check(read_sample(path))

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            (
                "jpg/Canon_40D.jpg",
                {
                    "taken": timegm((2008, 5, 30, 15, 56, 1)),
                    "camera_model": "Canon EOS 40D",
                    "exposure": 1 / 160,
                },
            ),
            ("jpg/gps/DSCN0010.jpg", {"latitude": 43.4674483, "longitude": 11.8851267}),
            ("jpg/Kodak_CX7530.jpg", {"latitude": -0.3713, "longitude": 36.0564167}),
            (
                "jpg/hdr/iphone_hdr_NO.jpg",
                {
                    "latitude": 40.4469722,
                    "longitude": -3.7247528,
                    "altitude": 639.59,
                    "lens": "iPhone 6 back camera 4.15mm f/2.2",
                },
            ),
            ("jpg/WWL_(Polaroid)_ION230.jpg", {"camera_make": "WWL", "camera_model": "ION230"}),
        ],
    )
    def test_samples_say_what_was_read_from_them_by_hand(name: str, expected: Metadata) -> None:
        found = read_sample(SAMPLES / name)

        assert {key: found.get(key) for key in expected} == expected
