"""Colours of files with profiles, and pictures of phones: what a viewer shows is what is read."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from pixseek.errors import UnreadableImage
from pixseek.reader import read, upright

DATA = Path(__file__).parent / "data"
SAMPLES = sorted((Path(__file__).parent.parent / "samples").glob("photo-0*.jpg"))
Matrix = NDArray[np.float64]

# Columns: the XYZ (D50) of each primary, as their profiles have them (ICC.1; sRGB, Display P3).
SRGB: Matrix = np.array(
    [
        [0.4360747, 0.3850649, 0.1430804],
        [0.2225045, 0.7168786, 0.0606169],
        [0.0139322, 0.0971045, 0.7141733],
    ]
)
P3: Matrix = np.array(
    [
        [0.5151187, 0.2919778, 0.1571035],
        [0.2411892, 0.6922441, 0.0665668],
        [-0.0010505, 0.0418791, 0.7840713],
    ]
)


def fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def profile(primaries: Matrix, gamma: float = 2.2) -> bytes:
    """An RGB profile of ICC version 2: three primaries, one gamma."""
    text = b"made for a test\0"
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))
    white = fixed(0.9642, 1.0, 0.8249)
    parts = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78),
        b"wtpt": b"XYZ " + bytes(4) + white,
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
    }
    for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries.T, strict=True):
        parts[name] = b"XYZ " + bytes(4) + fixed(*column)
    table, body = struct.pack(">I", len(parts)), b""
    start = 128 + 4 + 12 * len(parts)
    for name, part in parts.items():
        table += name + struct.pack(">II", start + len(body), len(part))
        body += part + bytes(-len(part) % 4)
    header = bytearray(128)
    header[:4] = struct.pack(">I", start + len(body))
    header[8:12] = b"\x02\x40\x00\x00"
    header[12:24] = b"mntrRGB XYZ "
    header[36:40] = b"acsp"
    header[68:80] = white
    return bytes(header) + table + body


def in_p3(image: Image.Image) -> Image.Image:
    """The same colours, written in Display P3's numbers (gamma 2.2, as `profile` says)."""
    linear = (np.asarray(image, np.float64) / 255) ** 2.2
    numbers = np.clip(linear @ (np.linalg.inv(P3) @ SRGB).T, 0, 1) ** (1 / 2.2)
    return Image.fromarray(np.rint(numbers * 255).astype(np.uint8))


def encoded(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean over pixels and channels, 0…255."""
    return float(np.abs(np.asarray(one, float) - np.asarray(other, float)).mean())


def first(image: Image.Image) -> list[int]:
    return [int(value) for value in np.asarray(image)[0, 0]]


@pytest.mark.parametrize("file", SAMPLES[:5], ids=lambda file: file.name)
def test_a_wide_gamut_picture_is_read_in_the_colours_of_its_srgb_version(file: Path) -> None:
    image = Image.open(file).convert("RGB")
    plain = encoded(image, icc_profile=profile(SRGB))
    wide = encoded(in_p3(image), icc_profile=profile(P3))
    one, other = (read(content, 224).image for content in (plain, wide))
    unaware = read(encoded(in_p3(image)), 224).image
    assert difference(one, other) < min(0.5, difference(one, unaware))  # the rounding of 8 bits


def test_a_profile_counts_for_pictures_in_memory_too() -> None:
    image = Image.open(BytesIO(encoded(Image.new("RGB", (8, 8), (60, 200, 60)))))
    image.info["icc_profile"] = profile(P3)
    red, green, _ = first(upright(image))
    assert red < 40  # sRGB has no greener green
    assert green > 195


@pytest.mark.parametrize(
    "bad", [b"no profile", profile(P3)[:200], b"\0" * 500], ids=["text", "cut", "nul"]
)
def test_a_damaged_profile_is_passed_over(bad: bytes) -> None:
    image = Image.new("RGB", (8, 8), (10, 200, 30))
    assert first(read(encoded(image, icc_profile=bad), 32).image) == [10, 200, 30]


def test_a_profile_of_other_colours_is_passed_over() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    image = Image.new("RGB", (8, 8), (10, 200, 30))
    assert first(read(encoded(image, icc_profile=lab), 32).image) == [10, 200, 30]


def test_a_lab_picture_is_read_in_its_colours() -> None:
    image = Image.new("RGB", (64, 48), (200, 40, 60))
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    lab = ImageCms.applyTransform(image, ImageCms.buildTransform(*profiles, "RGB", "LAB"))
    assert lab is not None
    assert difference(read(encoded(lab, "TIFF"), 32).image, image) < 3


def test_a_cmyk_picture_with_a_profile_of_other_colours_is_read_without_it() -> None:
    image = Image.new("CMYK", (32, 32), (0, 255, 255, 0))
    content = encoded(image, "JPEG", quality=95, icc_profile=profile(P3))
    red, green, blue = first(read(content, 32).image)
    assert red > 180
    assert max(green, blue) < 80


# HEIF (the files were painted for these tests and encoded by libheif)


@pytest.mark.parametrize("name", ["corners.heic", "corners-turned.heic"])
def test_a_heic_picture_is_read_upright_whichever_way_it_is_stored(name: str) -> None:
    picture = read(DATA / name, 64)
    assert (picture.width, picture.height, picture.format) == (48, 32, "HEIF")
    image = np.asarray(picture.image).astype(int)
    for (x, y), colour in (((4, 4), (255, 0, 0)), ((43, 4), (0, 128, 0)), ((4, 27), (0, 0, 255))):
        assert np.abs(image[y, x] - colour).max() < 6
    assert image[27, 43].min() > 248


def test_a_heic_picture_of_ten_bits_keeps_its_greys() -> None:
    row = np.asarray(read(DATA / "ramp-10-bit.heic", 64).image).astype(int)[24, :, 0]
    assert np.abs(row - np.linspace(0, 255, 64)).max() < 9


def test_part_of_a_heic_file_is_damaged() -> None:
    content = (DATA / "corners.heic").read_bytes()
    for size in (20, len(content) // 2, len(content) - 40):
        with pytest.raises(UnreadableImage, match=r"damaged|no picture format"):
            read(content[:size], 64)


def test_an_avif_file_that_calls_itself_a_general_picture_is_read_as_avif() -> None:
    content = bytearray(encoded(Image.new("RGB", (32, 32), "red"), "AVIF"))
    assert content[8:12] == b"avif"
    content[8:12] = b"mif1"
    assert read(bytes(content), 32).format == "AVIF"
