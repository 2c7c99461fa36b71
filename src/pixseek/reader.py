"""A path or bytes → an upright sRGB picture. Every danger of decoding lives here."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
from PIL import Image, UnidentifiedImageError

from pixseek.colours import in_srgb
from pixseek.errors import MissingPath, UnreadableImage
from pixseek.records import USUAL

FORMATS = (
    *("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF", "JPEG2000", "PPM", "ICO", "PSD"),
)
"""Pillow's names of what is decoded; what else Pillow could try is not (EPS starts a program,
TGA takes any bytes for a picture). HEIF is decoded by pi_heif."""

_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1", b"hevc", b"hevx"})
"""What a HEIF file says it is, after `ftyp` at its beginning; a file of AVIF pictures may say mif1
too, and then names avif among what it is compatible with."""

KEEP_TIMES = 2
"""Pixels kept for each pixel of the model's input. Reading JPEGs at a scale that keeps at least
twice as many changes a vector by 0.0007 (mean cosine) and is three times faster at 12 megapixels;
once as many changes it by 0.004 (docs/decisions/003-indexing-workers.md)."""

_READS = 3
"""How often a file is read that changes meanwhile."""

LONGEST = 20
"""Times the shorter side that the longer may have; what is longer still is squeezed to it."""
BAND_PIXELS = 4_000_000

Box: TypeAlias = tuple[int, int, int, int]
"""Left, top, right, bottom."""

_DECODING_ERRORS = (
    *(OSError, ValueError, SyntaxError, TypeError, KeyError, IndexError, OverflowError),
    *(EOFError, ZeroDivisionError, AttributeError, NotImplementedError, struct.error),
    *(Image.DecompressionBombError, RuntimeError, Warning),
)
"""What Pillow's decoders have been seen to raise on damaged files; warnings are raised where
Python runs with -W error."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture."""

    image: Image.Image
    """Upright RGB; reduced, but its shorter side still `KEEP_TIMES` times the size asked for, or
    what it was."""
    width: int
    """Pixels of the whole upright picture, before reduction."""
    height: int
    format: str
    exif: Image.Exif
    xmp: bytes
    """The file's XMP packet; empty where it has none."""
    iptc: bytes
    """A JPEG's IPTC data sets; empty where it has none."""
    several: bool = False
    """Whether the file may have more: frames of an animation, or pages. See `frames`."""


class Budget(Protocol):
    """What memory for decoding is asked of."""

    def taking(self, size_bytes: int) -> AbstractContextManager[None]:
        """Waits until there is room; it is taken until the context is left."""
        ...


class MemoryBudget:
    """Keeps the pictures that are being decoded at once below a number of bytes.

    One that needs more than all of it is decoded alone.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._used = 0
        self._changed = threading.Condition()

    @contextmanager
    def taking(self, size_bytes: int) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._used or self._used + size_bytes <= self._limit)
            self._used += size_bytes
        try:
            yield
        finally:
            with self._changed:
                self._used -= size_bytes
                self._changed.notify_all()


UNBOUNDED = MemoryBudget(1 << 62)


def read(
    source: Path | bytes,
    input_size: int,
    *,
    name: str | None = None,
    max_pixels: int = USUAL.max_pixels,
    budget: Budget = UNBOUNDED,
) -> Picture:
    """Decode a picture for a model whose input is `input_size` pixels on a side.

    source: a file, or a file's whole content (`name` is then used in errors).
    budget: shared by threads that decode at once.
    Raises MissingPath when the file is not there, UnreadableImage for anything that cannot be
    decoded, with the reason.
    """
    called = name or (str(source) if isinstance(source, Path) else "the picture given")
    content = content_of(source) if isinstance(source, Path) else source
    if not content:
        raise UnreadableImage(called, "the file is empty")
    with (
        opened(content, called, max_pixels) as image,
        budget.taking(_bytes_to_decode(image, input_size)),
    ):
        return _decode(image, input_size)


@contextmanager
def opened(content: bytes, called: str, max_pixels: int) -> Iterator[Image.Image]:
    """A picture file's content as Pillow opens it: only its header is read.

    Raises UnreadableImage, for what goes wrong while it is used, too.
    """
    with translated(called):
        image = _open(content)
        check_size(image.size, called, max_pixels)
        yield image


def check_size(size: tuple[int, int], called: str, max_pixels: int) -> None:
    """Raise UnreadableImage for a picture of more pixels."""
    if size[0] * size[1] > max_pixels:
        reason = f"{size[0]}×{size[1]} pixels are more than the limit of {max_pixels}"
        raise UnreadableImage(called, reason)


def content_of(path: Path, max_bytes: int = USUAL.max_bytes) -> bytes:
    """A file's bytes. Raises MissingPath, and UnreadableImage for files over the limit too."""
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise UnreadableImage(path, f"{size} bytes are more than the limit of {max_bytes}")
        return _settled(path)
    except FileNotFoundError as error:
        raise MissingPath(path, "a picture file that exists") from error
    except OSError as error:
        raise UnreadableImage(path, error.strerror or str(error)) from error
    except MemoryError as error:
        raise UnreadableImage(path, "not enough memory to read it") from error


def _settled(path: Path) -> bytes:
    """The bytes that a file has at one moment: read again where it changed meanwhile."""
    before = path.stat()
    for _ in range(_READS):
        content = path.read_bytes()
        after = path.stat()
        if (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns):
            return content
        before = after
    raise UnreadableImage(path, "it goes on changing while it is read; index it when that is done")


def upright(image: Image.Image) -> Image.Image:
    """A picture that is in memory already → upright RGB. Raises UnreadableImage."""
    with translated("the picture given"):
        image.load()
        turn = TURNS.get(image.getexif().get(ORIENTATION, 1))
        return _turned(in_srgb(_to_rgb(image), image.info.get("icc_profile")), turn)


@contextmanager
def translated(called: str) -> Iterator[None]:
    """What decoders raise, as UnreadableImage."""
    try:
        yield
    except UnidentifiedImageError as error:
        raise UnreadableImage(called, "its content is in no picture format known") from error
    except MemoryError as error:
        raise UnreadableImage(called, "not enough memory to decode it") from error
    except _DECODING_ERRORS as error:
        raise UnreadableImage(called, f"it is damaged ({error})") from error


def _open(content: bytes) -> Image.Image:
    """Find the format and read the header only.

    Not Image.open: that judges the number of pixels by a process-wide limit, with warnings, before
    the caller can. (Pillow's TIFF and WebP readers judge by it as well: there, more than 179
    million pixels are refused unless the program raises Image.MAX_IMAGE_PIXELS, as ours does.)
    """
    if content[4:8] == b"ftyp" and content[8:12] in _HEIF_BRANDS and b"avif" not in content[:64]:
        from pi_heif import HeifImageFile  # most files are of other formats

        opened: Image.Image = HeifImageFile(BytesIO(content), "")  # turned, as HEIF says how
        return opened
    Image.init()
    for name in FORMATS:
        if name not in Image.OPEN:
            continue
        factory, accept = Image.OPEN[name]
        if accept is None or accept(content[:16]) is True:
            try:
                return factory(BytesIO(content), "")
            except (SyntaxError, IndexError, TypeError, struct.error):
                continue
    raise UnidentifiedImageError


def kept_size(size: tuple[int, int], input_size: int) -> tuple[int, int]:
    """The size to reduce to: the shorter side KEEP_TIMES the input, the longer at most LONGEST
    times that. No larger than the picture is."""
    shorter = KEEP_TIMES * input_size
    scale = min(1.0, shorter / min(size))
    width, height = (min(round(side * scale), LONGEST * shorter) for side in size)
    return max(1, width), max(1, height)


def _bytes_to_decode(image: Image.Image, input_size: int) -> int:
    """About what decoding takes, from the header."""
    pixels = image.size[0] * image.size[1]
    if _is_jpeg(image):
        # Progressive files are held whole as coefficients: two bytes for each of three samples.
        held = 6 * pixels if image.info.get("progressive") else 0
        shrink = min(8, max(1, min(image.size) // (KEEP_TIMES * input_size)))
        return held + 4 * pixels // (1 << (shrink.bit_length() - 1)) ** 2
    if image.format in ("WEBP", "AVIF", "HEIF", "JPEG2000"):
        return 16 * pixels  # their decoders hold the picture in several forms at once
    return pixels * (1 if image.mode in ("1", "L", "P") else 4)


def _is_jpeg(image: Image.Image) -> bool:
    return image.format in ("JPEG", "MPO")


def _decode(image: Image.Image, input_size: int) -> Picture:
    exif = image.getexif()
    xmp, iptc = _beside_pixels(image)
    width, height = image.size
    # Of a GIF it takes a look at the second frame, which may be damaged: `frames` takes it.
    several = image.format in SEVERAL and (
        image.format == "GIF" or getattr(image, "is_animated", False)
    )
    kept = kept_size(image.size, input_size)
    if _is_jpeg(image) and kept != image.size:
        image.draft("RGB", kept)
    image.load()
    turn = TURNS.get(exif.get(ORIENTATION, 1))
    if turn in _SIDEWAYS:
        width, height = height, width
    small = reduced(image, kept, turn)
    return Picture(small, width, height, image.format or "", exif, xmp, iptc, several)


SEVERAL = ("GIF", "PNG", "WEBP", "AVIF", "TIFF")
"""Formats whose further pictures are moments or pages. Those of others are the same picture once
more, or another eye's: of a motion photo, a stereo camera, an icon, a Photoshop layer."""


def reduced(
    image: Image.Image, kept: tuple[int, int], turn: Image.Transpose | None = None
) -> Image.Image:
    """A decoded picture → upright sRGB of no less than `kept`; turn: what makes it upright."""
    profile = image.info.get("icc_profile")
    # A box filter and then the model's own resizing: twice as many pixels for as little loss.
    small = _small_upright(image, (2 * kept[0], 2 * kept[1]), turn)
    if profile and image.mode not in ("CMYK", "LAB"):  # those became sRGB by theirs already
        small = in_srgb(small, profile)
    return small


_IPTC = 0x0404  # Photoshop's number for it


def _beside_pixels(image: Image.Image) -> tuple[bytes, bytes]:
    """(XMP, IPTC) as Pillow has found them."""
    photoshop = image.info.get("photoshop")
    iptc = photoshop.get(_IPTC) if isinstance(photoshop, dict) else None
    xmp = image.info.get("xmp")
    return xmp if isinstance(xmp, bytes) else b"", iptc if isinstance(iptc, bytes) else b""


def _turned(image: Image.Image, turn: Image.Transpose | None) -> Image.Image:
    return image if turn is None else image.transpose(turn)


ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a picture with each EXIF orientation upright (Exif 2.32, tag 0x0112)."""
_FROM_RIGHT = tuple(TURNS[orientation] for orientation in (2, 3, 7, 8))
_FROM_BELOW = tuple(TURNS[orientation] for orientation in (3, 4, 6, 7))
"""Those that make what is at the right of the file's picture the left or top; below likewise."""
_SIDEWAYS = tuple(TURNS[orientation] for orientation in (5, 6, 7, 8))


def _small_upright(
    image: Image.Image, kept: tuple[int, int], turn: Image.Transpose | None
) -> Image.Image:
    """Upright RGB, reduced by whole factors to no less than `kept`, with a box filter.

    Band by band, because conversions hold a second picture, and not every mode can be reduced.
    Turned before it is reduced: what is left over of whole factors is then at the same sides
    whichever way the file has the picture, and its vector the same.
    """
    width, height = image.size
    if turn in _SIDEWAYS:
        (width, height), kept = (height, width), (kept[1], kept[0])
    across, down = max(1, width // kept[0]), max(1, height // kept[1])
    if across == down == 1:
        return _turned(_to_rgb(image), turn)
    small = Image.new("RGB", (-(-width // across), -(-height // down)))
    band = down * max(1, BAND_PIXELS // (width * down))
    for top in range(0, height, band):
        box = _stored((0, top, width, min(top + band, height)), image.size, turn)
        strip = _turned(_to_rgb(image.crop(box)), turn)
        small.paste(strip.reduce((across, down)), (0, top // down))
    # The last row and column may stand for less than a whole factor: do not stretch them.
    if width % across == height % down == 0:
        return small
    exact_width, exact_height = width / across, height / down
    size = (max(1, round(exact_width)), max(1, round(exact_height)))
    return small.resize(size, Image.Resampling.BICUBIC, box=(0, 0, exact_width, exact_height))


def _stored(box: Box, size: tuple[int, int], turn: Image.Transpose | None) -> Box:
    """Where a part of the upright picture is in the picture of `size` that the file has."""
    left, top, right, bottom = box
    width, height = size
    if turn in _SIDEWAYS:
        left, top, right, bottom = top, left, bottom, right
    if turn in _FROM_RIGHT:
        left, right = width - right, width - left
    if turn in _FROM_BELOW:
        top, bottom = height - bottom, height - top
    return left, top, right, bottom


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("CMYK", "LAB"):
        return in_srgb(image, image.info.get("icc_profile"))
    if image.mode.startswith("I"):
        high_byte = (np.asarray(image).clip(0, 65535) // 256).astype(np.uint8)
        return Image.fromarray(high_byte).convert("RGB")
    if image.mode in ("RGBA", "LA", "La", "RGBa", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        canvas = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(canvas, image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")
