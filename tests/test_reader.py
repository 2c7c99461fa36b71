"""Every kind of picture file becomes the upright RGB picture a viewer shows, or a named reason."""

from __future__ import annotations

import random
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps
from tests.raw_files import psd

from pixseek.errors import MissingPath, UnreadableImage
from pixseek.reader import FORMATS, KEEP_TIMES, MemoryBudget, read, upright

Pixels = NDArray[np.uint8]
ORIENTATION = 0x0112
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 128, 0), (0, 0, 255), (255, 255, 255)


def pixels(image: Image.Image) -> Pixels:
    assert image.mode == "RGB"
    return np.asarray(image)


def corners() -> Image.Image:
    """48×32, another colour in each corner: no turn or flip of it looks like another."""
    image = Image.new("RGB", (48, 32), WHITE)
    for box, colour in (((0, 0), RED), ((32, 0), GREEN), ((0, 16), BLUE)):
        image.paste(colour, (*box, box[0] + 16, box[1] + 16))
    return image


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    if format == "PSD":  # Pillow writes none
        return psd(image)
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean over pixels and channels, 0…255."""
    return float(np.abs(pixels(one).astype(float) - pixels(other).astype(float)).mean())


def colour_of(image: Image.Image, x: int = 0, y: int = 0) -> tuple[int, ...]:
    return tuple(int(value) for value in pixels(image)[y, x])


# What has to be done to the upright picture so that a file with this orientation shows it upright.
STORED: dict[int, list[Image.Transpose]] = {
    1: [],
    2: [Image.Transpose.FLIP_LEFT_RIGHT],
    3: [Image.Transpose.ROTATE_180],
    4: [Image.Transpose.FLIP_TOP_BOTTOM],
    5: [Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_90],
    6: [Image.Transpose.ROTATE_90],
    7: [Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_270],
    8: [Image.Transpose.ROTATE_270],
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_orientation_is_read_as_the_same_upright_picture(
    format: str, orientation: int
) -> None:
    image = corners()
    for turn in STORED[orientation]:
        image = image.transpose(turn)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options: dict[str, Any] = {"exif": exif}
    if format in ("JPEG", "AVIF"):
        options |= {"quality": 100, "subsampling": "4:4:4"}
    elif format == "WEBP":
        options["lossless"] = True
    picture = read(encoded(image, format, **options), 224)
    assert (picture.width, picture.height) == picture.image.size == (48, 32)
    assert picture.format == format
    assert difference(picture.image, corners()) < 2


@pytest.mark.parametrize("orientation", STORED)
def test_a_sideways_photo_that_is_reduced_tells_its_whole_upright_size(orientation: int) -> None:
    image = corners().resize((1200, 800), Image.Resampling.NEAREST)
    for turn in STORED[orientation]:
        image = image.transpose(turn)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    picture = read(encoded(image, "JPEG", exif=exif, quality=95), 32)
    assert (picture.width, picture.height) == (1200, 800)
    width, height = picture.image.size
    assert width / height == pytest.approx(1.5, abs=0.02)
    assert min(width, height) < 800
    assert difference(picture.image.resize((48, 32), Image.Resampling.BOX), corners()) < 12


def test_an_orientation_that_does_not_exist_leaves_the_picture_as_it_is() -> None:
    for wrong in (0, 9, 65535):
        exif = Image.Exif()
        exif[ORIENTATION] = wrong
        assert difference(read(encoded(corners(), "PNG", exif=exif), 32).image, corners()) == 0


def test_a_picture_in_memory_is_turned_upright_too() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    sideways = corners().transpose(Image.Transpose.ROTATE_90)
    opened = Image.open(BytesIO(encoded(sideways, "PNG", exif=exif)))
    assert difference(upright(opened), corners()) == 0


def scene(width: int, height: int) -> Image.Image:
    """Edges, gradients and shapes of many sizes, as in a photo; no two places alike."""
    y, x = np.mgrid[0:height, 0:width]
    waves = np.stack(
        [127 + 100 * np.sin(x / 37 + k) * np.cos(y / (23 + 9 * k)) for k in range(3)], axis=2
    )
    image = Image.fromarray(waves.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    chance = random.Random(7)
    for _ in range(120):
        left, top = chance.randrange(width), chance.randrange(height)
        size = chance.randrange(4, 200)
        colour = (chance.randrange(256), chance.randrange(256), chance.randrange(256))
        draw.ellipse((left, top, left + size, top + size), fill=colour)
    return image


@pytest.mark.parametrize("size", [(3000, 2200), (1500, 2200), (1023, 911), (5000, 470)])
@pytest.mark.parametrize("input_size", [32, 224, 256])
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_a_reduced_picture_keeps_twice_the_input_and_is_close_to_the_full_one(
    size: tuple[int, int], input_size: int, format: str
) -> None:
    content = _scene_file(size, format)
    picture = read(content, input_size)
    assert (picture.width, picture.height) == size
    shorter = min(picture.image.size)
    assert shorter >= min(KEEP_TIMES * input_size, *size)
    assert shorter <= 8 * input_size, "reduced too little to save anything"
    model_input = (round(input_size * size[0] / min(size)), round(input_size * size[1] / min(size)))
    with Image.open(BytesIO(content)) as full:
        expected = full.convert("RGB").resize(model_input, Image.Resampling.BICUBIC)
    got = picture.image.resize(model_input, Image.Resampling.BICUBIC)
    # Exact box reduction gives 0.3 to 0.6; one that stretches the picture by part of a block, 5.
    assert difference(got, expected) < 2.5


_scenes: dict[tuple[tuple[int, int], str], bytes] = {}


def _scene_file(size: tuple[int, int], format: str) -> bytes:
    if (size, format) not in _scenes:
        options = {"quality": 92} if format == "JPEG" else {"compress_level": 1}
        _scenes[size, format] = encoded(scene(*size), format, **options)
    return _scenes[size, format]


def test_a_small_picture_is_not_changed_in_size() -> None:
    assert read(encoded(scene(60, 50), "JPEG"), 32).image.size == (60, 50)
    assert read(encoded(scene(60, 50), "PNG"), 32).image.size == (60, 50)


def test_a_cmyk_jpeg_is_read_in_its_colours() -> None:
    for colour in (RED, BLUE, WHITE, (0, 0, 0)):
        content = encoded(Image.new("RGB", (40, 40), colour).convert("CMYK"), "JPEG", quality=95)
        got = colour_of(read(content, 32).image)
        assert max(abs(a - b) for a, b in zip(got, colour, strict=True)) < 12


def test_a_16_bit_png_keeps_its_greys() -> None:
    values = np.array([[0, 0x4000], [0x80FF, 0xFFFF]], np.uint16)
    image = read(encoded(Image.fromarray(values), "PNG"), 32).image
    assert pixels(image)[..., 0].tolist() == [[0, 0x40], [0x80, 0xFF]]
    assert (pixels(image)[..., 0] == pixels(image)[..., 2]).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "LAB", "I", "F", "I;16"])
def test_a_large_picture_in_every_mode_is_read(mode: str) -> None:
    picture = read(encoded(Image.new(mode, (900, 800)), "TIFF"), 32)
    assert (picture.width, picture.height) == (900, 800)
    assert min(picture.image.size) >= KEEP_TIMES * 32


def test_a_large_16_bit_png_is_reduced_and_keeps_its_greys() -> None:
    values = np.full((800, 900), 0x80FF, np.uint16)
    values[:, 450:] = 0x2000
    picture = read(encoded(Image.fromarray(values), "PNG"), 32)
    assert (picture.width, picture.height) == (900, 800)
    width, height = picture.image.size
    assert colour_of(picture.image, 2, 2) == (0x80, 0x80, 0x80)
    assert colour_of(picture.image, width - 3, height - 3) == (0x20, 0x20, 0x20)


def test_a_big_endian_16_bit_picture_keeps_its_greys() -> None:
    values = np.array([[0x0100, 0x4000], [0x80FF, 0xFFFF]], ">u2")
    pgm = b"P5\n2 2\n65535\n" + values.tobytes()
    assert pixels(read(pgm, 32).image)[..., 1].tolist() == [[1, 0x40], [0x80, 0xFF]]


def test_a_32_bit_integer_tiff_is_clipped_to_16_bits() -> None:
    values = np.array([[-5, 0x4000], [0x8000, 1_000_000]], np.int32)
    image = read(encoded(Image.fromarray(values), "TIFF"), 32).image
    assert pixels(image)[..., 0].tolist() == [[0, 0x40], [0x80, 0xFF]]


def test_a_float_tiff_keeps_its_greys() -> None:
    values = np.array([[0, 64], [128, 255]], np.float32)
    image = read(encoded(Image.fromarray(values), "TIFF"), 32).image
    assert pixels(image)[..., 0].tolist() == [[0, 64], [128, 255]]


def test_transparent_parts_are_white_in_every_mode_that_has_them() -> None:
    clear = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    clear.paste((255, 0, 0, 255), (0, 0, 2, 4))
    half = Image.new("RGBA", (4, 4), (255, 0, 0, 128))
    grey = Image.new("LA", (4, 4), (0, 0))
    grey.paste((40, 255), (0, 0, 2, 4))
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([255, 0, 0, 0, 0, 0])
    palette.paste(0, (0, 0, 2, 4))
    for format in ("PNG", "WEBP"):
        options = {"lossless": True} if format == "WEBP" else {}
        image = read(encoded(clear, format, **options), 32).image
        assert (colour_of(image), colour_of(image, 3)) == (RED, WHITE)
    assert colour_of(read(encoded(half, "PNG"), 32).image) == (255, 127, 127)
    image = read(encoded(grey, "PNG"), 32).image
    assert (colour_of(image), colour_of(image, 3)) == ((40, 40, 40), WHITE)
    for transparency in (1, bytes([255, 0])):
        image = read(encoded(palette, "PNG", transparency=transparency), 32).image
        assert (colour_of(image), colour_of(image, 3)) == (RED, WHITE)
    image = read(encoded(palette, "GIF", transparency=1), 32).image
    assert (colour_of(image), colour_of(image, 3)) == (RED, WHITE)


def test_the_colour_that_stands_for_transparent_in_an_rgb_png_is_white() -> None:
    keyed = Image.new("RGB", (4, 4), (1, 2, 3))
    keyed.paste(RED, (0, 0, 2, 4))
    image = read(encoded(keyed, "PNG", transparency=(1, 2, 3)), 32).image
    assert (colour_of(image), colour_of(image, 3)) == (RED, WHITE)


def test_a_large_transparent_picture_has_no_dark_edges_from_hidden_colours() -> None:
    image = Image.new("RGBA", (1000, 1000), (0, 0, 0, 0))
    image.paste((255, 255, 255, 255), (0, 0, 333, 1000))
    got = pixels(read(encoded(image, "PNG"), 32).image)
    assert got.min() >= 254, "hidden black shines through where the picture was reduced"


def test_a_one_bit_picture_is_black_and_white() -> None:
    image = Image.new("1", (9, 5), 1)
    image.putpixel((0, 0), 0)
    for format in ("PNG", "TIFF", "BMP"):
        got = read(encoded(image, format), 32).image
        assert (colour_of(got), colour_of(got, 8, 4)) == ((0, 0, 0), WHITE)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_read(format: str) -> None:
    first, second = Image.new("RGB", (20, 20), RED), Image.new("RGB", (20, 20), BLUE)
    options = {"lossless": True} if format == "WEBP" else {}
    content = encoded(
        first, format, save_all=True, append_images=[second, first], duration=80, **options
    )
    with Image.open(BytesIO(content)) as opened:
        assert getattr(opened, "n_frames", 1) == 3
    assert colour_of(read(content, 32).image) == RED


def test_of_several_pages_the_first_is_read() -> None:
    pages = [Image.new("RGB", (20, 20), BLUE)]
    content = encoded(Image.new("RGB", (30, 20), RED), "TIFF", save_all=True, append_images=pages)
    picture = read(content, 32)
    assert (picture.width, picture.height, colour_of(picture.image)) == (30, 20, RED)


@pytest.mark.parametrize("turned", [False, True])
def test_an_mpo_of_a_stereo_camera_is_read_as_its_first_picture(turned: bool) -> None:
    first = scene(800, 600)
    exif = Image.Exif()
    exif[ORIENTATION] = 6 if turned else 1
    other = [Image.new("RGB", (800, 600), BLUE)]
    stored = first.transpose(Image.Transpose.ROTATE_90) if turned else first
    content = encoded(stored, "MPO", save_all=True, append_images=other, exif=exif, quality=95)
    picture = read(content, 32)
    assert picture.format == "MPO"
    assert (picture.width, picture.height) == (800, 600)
    small = (48, 36)
    assert difference(picture.image.resize(small), first.resize(small)) < 8


@pytest.mark.parametrize("format", sorted({*FORMATS} - {"DIB", "ICO"}))
def test_one_pixel_is_a_picture_in_every_format(format: str) -> None:
    options = {"lossless": True} if format == "WEBP" else {}
    picture = read(encoded(Image.new("RGB", (1, 1), RED), format, **options), 224)
    assert (picture.width, picture.height, picture.image.size) == (1, 1, (1, 1))
    assert difference(picture.image, Image.new("RGB", (1, 1), RED)) < 4


def test_an_icon_is_read_in_its_largest_size() -> None:
    content = encoded(Image.new("RGB", (64, 64), RED), "ICO", sizes=[(16, 16), (64, 64)])
    picture = read(content, 32)
    assert (picture.width, picture.height, colour_of(picture.image)) == (64, 64, RED)


def test_a_very_long_picture_keeps_its_short_side() -> None:
    for size in ((6000, 3), (2, 5000)):
        for format in ("JPEG", "PNG"):
            picture = read(encoded(Image.new("RGB", size, BLUE), format), 224)
            assert (picture.width, picture.height) == size
            assert min(picture.image.size) == min(size)


def test_the_content_decides_and_not_the_extension(tmp_path: Path) -> None:
    for format in ("PNG", "WEBP", "AVIF", "GIF"):
        path = tmp_path / f"{format}.jpg"
        path.write_bytes(encoded(corners(), format))
        picture = read(path, 32)
        assert picture.format == format
        assert difference(picture.image, corners()) < 12


@pytest.mark.parametrize("format", ["AVIF", "WEBP", "JPEG2000"])
def test_newer_formats_are_read_at_any_size(format: str) -> None:
    image = scene(700, 500)
    picture = read(encoded(image, format), 32)
    assert (picture.format, picture.width, picture.height) == (format, 700, 500)
    small = (70, 50)
    assert difference(picture.image.resize(small), image.resize(small)) < 6


# What cannot be read


def test_half_a_file_is_damaged_and_is_named(tmp_path: Path) -> None:
    for format in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"):
        content = encoded(scene(300, 200), format)
        path = tmp_path / f"half.{format.lower()}"
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(UnreadableImage, match=r"half\.\w+' as a picture: .*damaged") as caught:
            read(path, 32)
        assert caught.value.path == str(path)


def test_every_cut_of_a_file_is_read_or_refused_and_nothing_else() -> None:
    for format in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "ICO"):
        content = encoded(corners(), format)
        for length in [*range(1, 64), *range(64, len(content), 1 + len(content) // 60)]:
            _read_or_refuse(content[:length])


def test_random_damage_is_read_or_refused_and_nothing_else() -> None:
    chance = random.Random(20)
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    palette = corners().quantize(8)
    samples = [encoded(corners(), format) for format in FORMATS if format not in ("AVIF",)]
    samples += [encoded(corners(), "JPEG", exif=exif, progressive=True)]
    samples += [encoded(palette, format) for format in ("PNG", "GIF", "TIFF", "BMP")]
    samples += [
        encoded(corners(), "TIFF", compression=name)
        for name in ("tiff_lzw", "tiff_deflate", "packbits", "jpeg")
    ]
    for content in samples:
        for _ in range(60):
            damaged = bytearray(content)
            for _ in range(chance.randrange(1, 9)):
                # Most of the danger is in the headers.
                end = len(damaged) if chance.random() < 0.4 else min(len(damaged), 120)
                damaged[chance.randrange(end)] = chance.randrange(256)
            _read_or_refuse(bytes(damaged))


def _read_or_refuse(content: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            picture = read(content, 32, name="damaged", max_pixels=4_000_000)
        except UnreadableImage:
            return
    assert picture.image.mode == "RGB"
    assert min(picture.image.size) >= 1


def test_an_empty_file_a_text_and_noise_are_refused_with_a_reason(tmp_path: Path) -> None:
    for name, content, reason in (
        ("empty.jpg", b"", "the file is empty"),
        ("text.jpg", b"Dear Sir or Madam,\n" * 40, "in no picture format known"),
        ("short.png", b"\x89", "in no picture format known|damaged"),
        ("letter.ppm", b"P", "in no picture format known|damaged"),
        ("script.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no picture format"),
        ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no picture format"),
        ("noise.jpg", random.Random(3).randbytes(4000), "in no picture format known|damaged"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UnreadableImage, match=reason) as caught:
            read(tmp_path / name, 32)
        assert name in str(caught.value)


def test_a_file_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingPath, match=r"nowhere\.jpg"):
        read(tmp_path / "nowhere.jpg", 32)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match="directory"):
        read(tmp_path, 32)


def test_bytes_are_named_as_the_caller_names_them() -> None:
    with pytest.raises(UnreadableImage, match="the picture given"):
        read(b"nothing", 32)
    with pytest.raises(UnreadableImage, match="upload 7"):
        read(b"nothing", 32, name="upload 7")


def _png(width: int, height: int, mode: int = 0, rows: bytes = b"", bits: int = 8) -> bytes:
    """A PNG made by hand, so that it may claim any size. mode 0: grey, 2: RGB, 3: palette."""

    def chunk(name: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, bits, mode, 0, 0, 0)
    palette = chunk(b"PLTE", bytes([210, 20, 30, 30, 80, 200])) if mode == 3 else b""
    data = chunk(b"IHDR", header) + palette + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def _of_zeros(width: int, height: int, mode: int = 0) -> bytes:
    """A whole PNG of one colour (black, or the palette's first), made without the picture."""
    squeeze = zlib.compressobj(1)
    row = bytes(1 + width * (3 if mode == 2 else 1))
    parts = [squeeze.compress(row * 100) for _ in range(height // 100)]
    parts += [squeeze.compress(row * (height % 100)), squeeze.flush()]
    return _png(width, height, mode, b"".join(parts))


def test_a_header_that_claims_ten_thousand_megapixels_is_refused_before_memory_is_taken() -> None:
    for content in (_png(100_000, 100_000), _png(100_000, 100_000, 2), _png(100_000, 100_000, 3)):
        tracemalloc.start()
        try:
            with pytest.raises(UnreadableImage, match=r"100000×100000 pixels.*limit of 300000000"):
                read(content, 224)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 2_000_000


def test_the_limit_is_the_largest_size_that_is_read() -> None:
    content = encoded(Image.new("RGB", (50, 40)), "PNG")
    assert read(content, 32, max_pixels=2000).width == 50
    with pytest.raises(UnreadableImage, match="50×40 pixels are more than the limit of 1999"):
        read(content, 32, max_pixels=1999)


def test_the_limit_counts_for_every_format() -> None:
    for format in (format for format in FORMATS if format != "ICO"):
        with pytest.raises(UnreadableImage, match="50×40 pixels are more than the limit of 1999"):
            read(encoded(Image.new("RGB", (50, 40)), format), 32, max_pixels=1999)


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_a_picture_above_pillows_own_limit_is_read_without_a_warning(
    format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = _of_zeros(14_000, 14_000)
    before = Image.MAX_IMAGE_PIXELS
    assert before is not None
    assert 2 * before < 14_000 * 14_000, "Pillow alone refuses this one"
    if format == "TIFF":
        content = encoded(Image.new("1", (14_000, 14_000), 0), "TIFF")
        before = None  # Pillow's TIFF reader obeys the limit itself; a program lifts it, as ours
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = read(content, 32)
    assert (picture.width, picture.height) == (14_000, 14_000)
    assert colour_of(picture.image) == (0, 0, 0)
    assert before == Image.MAX_IMAGE_PIXELS, "a limit of the whole process was changed"


@pytest.mark.parametrize("format", ["JPEG", "BMP", "GIF"])
def test_pictures_that_pillow_warns_of_give_no_warning(format: str) -> None:
    image = Image.new("1" if format == "BMP" else "L", (9600, 9400), 0)
    assert (Image.MAX_IMAGE_PIXELS or 0) < 9600 * 9400
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        content = encoded(image, format)
        picture = read(content, 32)
    assert (picture.width, picture.height) == (9600, 9400)


# Memory


class Gauge:
    """What is in flight, and the most that ever was."""

    def __init__(self) -> None:
        self.now = self.most = self.most_at_once = self.at_once = 0
        self._lock = threading.Lock()

    def hold(self, budget: MemoryBudget, size: int) -> None:
        with budget.taking(size):
            with self._lock:
                self.now += size
                self.at_once += 1
                self.most = max(self.most, self.now)
                self.most_at_once = max(self.most_at_once, self.at_once)
            time.sleep(0.001)
            with self._lock:
                self.now -= size
                self.at_once -= 1


def test_never_more_than_the_budget_is_in_flight() -> None:
    budget, gauge, chance = MemoryBudget(100), Gauge(), random.Random(1)
    sizes = [chance.randrange(1, 70) for _ in range(300)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda size: gauge.hold(budget, size), sizes))
    assert 70 < gauge.most <= 100
    assert gauge.most_at_once > 1, "nothing ever ran side by side"
    assert gauge.now == 0


def test_one_that_is_larger_than_the_budget_runs_alone() -> None:
    budget, gauge = MemoryBudget(100), Gauge()
    alone: list[bool] = []

    def large() -> None:
        with budget.taking(5000):
            alone.append(gauge.at_once == 0)
            time.sleep(0.02)
            alone.append(gauge.at_once == 0)

    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(gauge.hold, budget, 30) for _ in range(60)]
        running += [pool.submit(large) for _ in range(3)]
        running += [pool.submit(gauge.hold, budget, 30) for _ in range(60)]
        for one in running:
            one.result(timeout=20)
    assert alone == [True] * 6


def test_an_error_gives_the_budget_back() -> None:
    budget = MemoryBudget(100)

    def fail() -> None:
        with budget.taking(100):
            raise ValueError("no")

    for _ in range(3):
        with pytest.raises(ValueError, match="no"):
            fail()
    done = threading.Event()

    def take() -> None:
        with budget.taking(100):
            done.set()

    threading.Thread(target=take, daemon=True).start()
    assert done.wait(5), "the budget is still taken"


def test_a_picture_that_cannot_be_decoded_gives_the_budget_back() -> None:
    budget = MemoryBudget(10)
    content = encoded(scene(300, 200), "PNG")
    for _ in range(3):
        with pytest.raises(UnreadableImage, match="damaged"):
            read(content[: len(content) // 2], 32, budget=budget)
    finished = ThreadPoolExecutor(1).submit(read, content, 32, budget=budget)
    assert finished.result(timeout=10).width == 300


READ_THEM = """
import sys
from pathlib import Path
from pixseek import ImageSearchEngine
from pixseek.settings import load
folder, workers = Path(sys.argv[1]), sys.argv[2]
options = load({"library": folder / "library", "workers": workers})
with ImageSearchEngine(options.library, model="palette", options=options) as engine:
    report = engine.index_images(folder / "photos")
print(report.added, len(report.skipped), peak_kb())
"""

READ_AT_ONCE = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pixseek.reader import MemoryBudget, read
content = open(sys.argv[1], "rb").read()
budget = MemoryBudget(100_000_000)
before = peak_kb()
with ThreadPoolExecutor(4) as pool:
    for picture in pool.map(lambda _: read(content, 32, budget=budget), range(4)):
        assert picture.width == 6000
print(peak_kb() - before)
"""

PEAK = """
from pathlib import Path
def peak_kb():
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would count the process that started this one, too
        return int(status.read_text().partition("VmHWM:")[2].split()[0])
    import resource
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
"""


def _run(script: str, *arguments: str) -> list[int]:
    """The numbers that a script prints, run in a process of its own."""
    command = [sys.executable, "-c", PEAK + script, *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return [int(word) for word in ran.stdout.split()]


HUNDRED_MEGAPIXELS: dict[str, tuple[Callable[[], bytes], int]] = {
    "jpeg": (lambda: encoded(Image.new("RGB", (10_000, 10_000), BLUE), "JPEG"), 12),
    "rgb png": (lambda: _of_zeros(10_000, 10_000, 2), 5),
    "palette png": (lambda: _of_zeros(10_000, 10_000, 3), 6),
    "png as long as a panorama": (lambda: _of_zeros(400_000, 250, 2), 6),
}
"""How each is made, and how many: a worker takes four at once, so that both have work."""


@pytest.mark.parametrize("kind", HUNDRED_MEGAPIXELS)
def test_hundred_megapixel_pictures_stay_below_two_gigabytes(tmp_path: Path, kind: str) -> None:
    make, count = HUNDRED_MEGAPIXELS[kind]
    content = make()
    (tmp_path / "photos").mkdir()
    for i in range(count):  # what follows the end of a picture makes it another content
        (tmp_path / "photos" / f"{i}.jpg").write_bytes(content + bytes([i]))
    added, skipped, peak_kb = _run(READ_THEM, str(tmp_path), "2")
    assert (added, skipped) == (count, 0)
    assert peak_kb < 2_000_000


def test_progressive_jpegs_that_are_each_larger_than_the_budget_are_decoded_one_by_one(
    tmp_path: Path,
) -> None:
    # libjpeg keeps the coefficients of the whole picture, whatever the scale: 6 bytes a pixel here.
    path = tmp_path / "progressive.jpg"
    image = Image.new("RGB", (6000, 5000), BLUE)
    image.save(path, progressive=True, subsampling=0)
    (grown_kb,) = _run(READ_AT_ONCE, str(path))
    assert grown_kb < 300_000


def test_what_exif_transpose_of_pillow_makes_upright_is_what_we_make_upright() -> None:
    for orientation in STORED:
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        content = encoded(corners(), "PNG", exif=exif)
        with Image.open(BytesIO(content)) as opened:
            expected = ImageOps.exif_transpose(opened)
            assert difference(read(content, 32).image, expected) == 0
