"""Still pictures that Pillow does not read → the same `Picture`: JPEG XL and camera RAW."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image

from pixseek.errors import UnreadableImage
from pixseek.reader import (
    ORIENTATION,
    TURNS,
    Budget,
    Picture,
    check_size,
    kept_size,
    opened,
    reduced,
    translated,
)

if TYPE_CHECKING:
    import rawpy

_RAW_TURNS = {
    3: Image.Transpose.ROTATE_180,
    5: Image.Transpose.ROTATE_90,
    6: Image.Transpose.ROTATE_270,
}
"""What LibRaw's `flip` says must be done to make a picture upright."""
RAW_BYTES_A_PIXEL = 16
JXL_BYTES_A_PIXEL = 24
"""About what decoding takes: of libjxl, floats of each sample."""


def read_jxl(
    content: bytes, input_size: int, called: str, max_pixels: int, budget: Budget
) -> Picture:
    """A JPEG XL, as libjxl has turned it upright.

    Raises UnreadableImage; ModuleNotFoundError without the extra `jxl`.
    """
    import pylibjxl

    with translated(called):
        header = pylibjxl.probe(content)
        size = (int(header["width"]), int(header["height"]))
        check_size(size, called, max_pixels)
        with budget.taking(JXL_BYTES_A_PIXEL * size[0] * size[1]):
            pixels, beside = pylibjxl.decode(content, metadata=True)
            image = Image.fromarray(pixels.squeeze())
            if profile := beside.get("icc") or beside.get("icc_profile"):
                image.info["icc_profile"] = profile
            small = reduced(image, kept_size(image.size, input_size))
    exif = Image.Exif()
    raw = bytes(beside.get("exif") or b"")
    if raw[4:6] in (b"II", b"MM"):  # before it, where in the box it begins
        raw = raw[4:]
    exif.load(raw)
    return Picture(small, *image.size, "JXL", exif, bytes(beside.get("xmp") or b""), b"")


def read_raw(
    content: bytes, input_size: int, called: str, max_pixels: int, budget: Budget
) -> Picture:
    """A camera's raw file: the preview in it where that is large enough for the model, else the
    sensor's data, developed as the camera would at half the size.

    Raises UnreadableImage; ModuleNotFoundError without the extra `raw`.
    """
    import rawpy

    try:
        with translated(called), rawpy.imread(BytesIO(content)) as raw:
            size = (raw.sizes.width, raw.sizes.height)
            check_size(size, called, max_pixels)
            turn = _RAW_TURNS.get(raw.sizes.flip)
            kept = kept_size(size, input_size)
            with budget.taking(RAW_BYTES_A_PIXEL * size[0] * size[1]):
                small = _preview(raw, kept, turn, called, max_pixels)
                if small is None:
                    pixels = raw.postprocess(half_size=True, use_camera_wb=True, user_flip=0)
                    small = reduced(Image.fromarray(pixels), kept, turn)
    except rawpy.LibRawError as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        raise UnreadableImage(called, f"this raw file cannot be read ({reason})") from error
    exif = Image.Exif()
    if content[:4] in (b"II*\0", b"MM\0*"):  # as most are: TIFFs, with EXIF's tags
        exif.load(content)
    if turn in (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270):
        size = size[::-1]
    return Picture(small, *size, "RAW", exif, b"", b"")


def _preview(
    raw: rawpy.RawPy,
    kept: tuple[int, int],
    turn: Image.Transpose | None,
    called: str,
    max_pixels: int,
) -> Image.Image | None:
    """The JPEG in a raw file, upright; None when there is none, or a smaller one than wanted."""
    import rawpy

    try:
        found = raw.extract_thumb()
        if found.format != rawpy.ThumbFormat.JPEG or not isinstance(found.data, bytes):
            return None
        with opened(found.data, called, max_pixels) as image:
            if min(image.size) < min(kept):
                return None
            own = TURNS.get(image.getexif().get(ORIENTATION, 1))
            image.draft("RGB", kept)
            image.load()
            return reduced(image, kept, own or turn)
    except (rawpy.LibRawError, UnreadableImage):
        return None
