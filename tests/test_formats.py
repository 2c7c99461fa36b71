"""Formats: what a file is, what reads it, and what happens where that is not installed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pylibjxl
import pytest
from PIL import Image, ImageCms
from tests.films import RED, film
from tests.missing import missing
from tests.raw_files import HEIGHT, WIDTH, dng, psd

from pixseek import ImageSearchEngine, formats
from pixseek.errors import FormatNeedsExtra, UnreadableImage
from pixseek.formats import EXTENSIONS, EXTRAS, FORMATS, needs, reader_of
from pixseek.frames import Reading, read_frame, read_frames

HOW = Reading(32)
DATA = os.environ.get("PIXSEEK_TEST_DATA", "")


def jxl(image: Image.Image, **options: Any) -> bytes:
    return pylibjxl.encode(np.asarray(image), lossless=True, **options)


def near(image: Image.Image, at: tuple[int, int], colour: tuple[int, int, int]) -> bool:
    pixel = image.getpixel(at)
    assert isinstance(pixel, tuple)
    return all(abs(a - b) < 60 for a, b in zip(pixel, colour, strict=True))


# The table


def test_every_extension_is_in_the_table_once() -> None:
    every = [extension for one in FORMATS for extension in one.extensions]
    assert sorted(every) == sorted(EXTENSIONS)
    assert all(one == one.lower() and "." not in one for one in every)
    assert {one.reader for one in FORMATS} == {"pillow", "heif", *EXTRAS}
    assert all(one.read for one in FORMATS)


@pytest.mark.parametrize(
    ("head", "name", "reader"),
    [
        (b"\0\0\0\x18ftypmp42", "a", "video"),
        (b"\0\0\0\x18ftypqt  ", "a.jpg", "video"),
        (b"\0\0\0\x08wide\0\0", "a.mov", "video"),
        (b"\x1aE\xdf\xa3", "a.mkv", "video"),
        (b"RIFF\0\0\0\0AVI LIST", "a.avi", "video"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "a.webp", "pillow"),
        (b"G" + bytes(187) + b"G", "a.mts", "video"),
        (bytes(4) + b"G" + bytes(191) + b"G", "a.m2ts", "video"),
        (b"G", "a.ts", "pillow"),
        (b"\0\0\0\x18ftypheic", "a.heic", "pillow"),
        (b"\0\0\0\x18ftypmif1", "a.heic", "pillow"),
        (b"\0\0\0\x18ftypavif", "a.avif", "pillow"),
        (b"\0\0\0\x18ftypavis", "a.avifs", "pillow"),
        (b"\0\0\0\x18ftypcrx ", "a.cr3", "raw"),
        (b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 ", "a.jp2", "pillow"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "a", "jxl"),
        (b"\xff\x0a", "a", "jxl"),
        (b"II*\0\x10\0\0\0CR\2\0", "a", "raw"),
        (b"II*\0\x08\0\0\0", "a.NEF", "raw"),
        (b"II*\0\x08\0\0\0", "a.tif", "pillow"),
        (b"\xff\xd8\xff\xe0", "a.nef", "pillow"),
        (b"\xff\xd8\xff\xe0", "a.mp4", "pillow"),
        (b"", "a.mp4", "pillow"),
    ],
)
def test_the_content_says_what_reads_a_file(head: bytes, name: str, reader: str) -> None:
    assert reader_of(head, f"/photos/{name}") == reader


# JPEG XL


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_a_jpeg_xl_is_read_in_every_mode(mode: str) -> None:
    image = Image.new("RGBA", (90, 60), (250, 0, 0, 255))
    image.paste((250, 0, 0, 0), (0, 0, 30, 60))
    first = read_frames(jxl(image.convert(mode)), HOW, 60).first
    assert (first.format, first.width, first.height) == ("JXL", 90, 60)
    expected = (250, 0, 0) if mode.startswith("RGB") else (75, 75, 75)
    assert near(first.image, (80, 30), expected)
    assert near(first.image, (5, 30), (255, 255, 255) if mode.endswith("A") else expected)


def test_a_jpeg_xl_has_fields_and_is_reduced_in_the_colours_of_its_profile() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif[0x0112] = 6  # a JPEG XL is upright as it is decoded, whatever this says
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    content = jxl(
        Image.new("RGB", (900, 600), "green"), exif=bytes(4) + exif.tobytes()[6:], icc=profile
    )
    found = read_frames(content, HOW, 60)
    assert found.content_fields()["camera_make"] == "Maker"
    assert (found.first.width, found.first.height) == (900, 600)
    assert min(found.first.image.size) < 300
    assert near(found.first.image, (5, 5), (0, 128, 0))


def test_a_damaged_or_huge_jpeg_xl_is_refused() -> None:
    content = jxl(Image.effect_noise((200, 100), 80).convert("RGB"))
    for length in (2, 20, len(content) // 2):
        with pytest.raises(UnreadableImage, match="damaged"):
            read_frames(content[:length], HOW, 60)
    with pytest.raises(UnreadableImage, match="200×100 pixels are more than the limit"):
        read_frames(content, Reading(32, max_pixels=19_999), 60)


# Camera RAW


@pytest.mark.parametrize(
    ("orientation", "white"), [(1, (0, 0)), (3, (1, 1)), (6, (1, 0)), (8, (0, 1))]
)
def test_a_raw_file_without_a_preview_is_developed_and_turned_once(
    orientation: int, white: tuple[int, int]
) -> None:
    found = read_frames(dng(orientation=orientation), HOW, 60, name="a.dng")
    first = found.first
    sideways = orientation in (6, 8)
    assert (first.width, first.height) == ((HEIGHT, WIDTH) if sideways else (WIDTH, HEIGHT))
    assert (first.image.width < first.image.height) == sideways
    width, height = first.image.size
    for x in (0, 1):
        for y in (0, 1):
            at = (width // 4 + x * width // 2, height // 4 + y * height // 2)
            assert near(first.image, at, (255, 255, 255) if (x, y) == white else (255, 0, 20))
    fields = found.content_fields()
    assert (fields["camera_make"], fields["format"]) == ("Maker", "RAW")
    assert fields["taken"] == 1591014600


@pytest.mark.parametrize("orientation", [1, 6])
def test_the_preview_of_a_raw_file_is_taken_where_it_is_large_enough(orientation: int) -> None:
    preview = Image.new("RGB", (160, 120), "blue")
    preview.paste("yellow", (0, 0, 80, 60))
    content = dng(orientation=orientation, preview=preview)
    first = read_frames(content, HOW, 60, name="a.dng").first
    upright = (HEIGHT, WIDTH) if orientation == 6 else (WIDTH, HEIGHT)
    assert (first.width, first.height) == upright
    right, low = first.image.width - 8, first.image.height - 8
    assert near(first.image, (right, 8) if orientation == 6 else (8, 8), (255, 255, 0))
    assert near(first.image, (right, low), (0, 0, 255))
    larger = read_frames(content, Reading(100), 60, name="a.dng").first
    assert near(larger.image, (larger.image.width - 8, larger.image.height - 8), (255, 0, 20))


def test_a_raw_file_that_is_damaged_or_too_large_is_refused() -> None:
    content = dng()
    for length in (20, 200):
        with pytest.raises(UnreadableImage):
            read_frames(content[:length], HOW, 60, name="a.dng")
    with pytest.raises(UnreadableImage, match="640×480 pixels are more than the limit"):
        read_frames(content, Reading(32, max_pixels=1000), 60, name="a.dng")


# Photoshop


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "CMYK"])
def test_a_photoshop_file_is_read_as_its_flat_picture(mode: str) -> None:
    image = Image.new("RGB", (60, 40), (250, 10, 10)).convert(mode)
    found = read_frames(psd(image), HOW, 60)
    assert (found.first.format, found.first.width, found.further) == ("PSD", 60, [])
    expected = (80, 80, 80) if mode == "L" else (250, 10, 10)
    assert near(found.first.image, (20, 20), expected)


# Without what an extra brings


MAKERS: dict[str, Callable[[Path], object]] = {
    "jxl": lambda folder: (folder / "a.jxl").write_bytes(jxl(Image.new("RGB", (60, 40), "red"))),
    "raw": lambda folder: (folder / "a.dng").write_bytes(dng()),
    "video": lambda folder: film(folder / "a.mp4", [(RED, 1)]),
}


@pytest.mark.parametrize("reader", EXTRAS)
def test_a_file_is_named_with_the_extra_it_needs_and_read_once_that_is_there(
    engine: ImageSearchEngine, photos: Path, tmp_path: Path, reader: Any
) -> None:
    MAKERS[reader](photos)
    Image.new("RGB", (60, 40), "blue").save(photos / "still.png")
    [path] = [one for one in photos.iterdir() if one.stem == "a"]
    with missing(EXTRAS[reader].module, tmp_path / "missing"):
        first, again = engine.index_images(photos), engine.index_images(photos)
        assert (first.added, again.unchanged, again.encoded) == (1, 1, 0)
        for report in (first, again):
            assert [(one.path, one.reason) for one in report.skipped] == [(path, needs(reader))]
        with pytest.raises(FormatNeedsExtra, match=rf"pip install 'pixseek\[{reader}\]'"):
            engine.search(image=path)
    report = engine.index_images(photos)
    assert (report.added, report.unchanged, report.changed, report.skipped) == (1, 1, 0, [])
    assert engine.search("red", k=1)[0].path == path
    assert engine.index_images(photos).unchanged == 2


def test_an_extra_that_cannot_be_loaded_is_named_with_the_reason(
    engine: ImageSearchEngine, photos: Path, tmp_path: Path
) -> None:
    (photos / "a.jxl").write_bytes(jxl(Image.new("RGB", (8, 8))))
    with missing("pylibjxl", tmp_path / "missing", "no such symbol"):
        [skipped] = engine.index_images(photos).skipped
    assert skipped.reason == "the extra 'jxl' cannot be loaded here (no such symbol)"


def test_other_reasons_are_not_taken_for_a_missing_extra() -> None:
    assert formats.is_readable_now(needs("jxl"))
    assert not formats.is_readable_now("it is damaged (pip install 'pixseek[none]')")
    assert not formats.is_readable_now("it is damaged")


# Photographs of others (not in this repository): PIXSEEK_TEST_DATA/files


if DATA:  # else the tests do not exist, which is not the same as being skipped

    def test_real_animations_and_pages_are_read_again_as_they_were_read() -> None:
        several = 0
        for path in _real("gif", "webp", "png", "avifs", "tif", "tiff", "jxl", "psd"):
            try:
                found = read_frames(path, HOW, 60)
            except UnreadableImage:
                continue
            several += bool(found.further)
            for frame in found.further[-2:]:
                assert read_frame(path, HOW, frame.key).tobytes() == frame.image.tobytes()
        assert several >= 20

    def test_a_real_motion_photo_is_its_still() -> None:
        for path in _real("heic"):
            found = read_frames(path, HOW, 60)
            assert (found.first.format, found.further) == ("HEIF", [])

    def _real(*extensions: str) -> Iterator[Path]:
        for extension in extensions:
            yield from sorted(Path(DATA, "files").rglob(f"*.{extension}"))
