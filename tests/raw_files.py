"""Camera RAW and Photoshop files made for tests, byte by byte."""

from __future__ import annotations

import struct
from io import BytesIO

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 640, 480
Tags = dict[int, tuple[int, bytes | tuple[int, ...]]]
_FORMS = {1: "B", 3: "H", 4: "L", 5: "LL", 10: "ll"}
"""TIFF's types of values (TIFF 6.0, section 2)."""


def dng(*, orientation: int = 1, preview: Image.Image | None = None) -> bytes:
    """A DNG (Adobe DNG specification 1.4) of red sensor values, white at the top left as stored.

    preview: a JPEG of it, which then stands first, as cameras write it.
    """
    sensor = np.zeros((HEIGHT, WIDTH), "<u2")
    sensor[0::2, 0::2] = 60_000
    sensor[: HEIGHT // 2, : WIDTH // 2] = 60_000
    one = (1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1)
    raw: Tags = {
        **{254: (4, (0,)), 256: (4, (WIDTH,)), 257: (4, (HEIGHT,)), 258: (3, (16,))},
        **{259: (3, (1,)), 262: (3, (32803,)), 277: (3, (1,)), 278: (4, (HEIGHT,))},
        **{33421: (3, (2, 2)), 33422: (1, (0, 1, 1, 2)), 50717: (3, (65_535,))},
    }
    camera: Tags = {
        **{271: (2, b"Maker\0"), 272: (2, b"Model\0"), 274: (3, (orientation,))},
        **{306: (2, b"2020:06:01 12:30:00\0"), 50706: (1, (1, 4, 0, 0))},
        **{50708: (2, b"Maker Model\0"), 50721: (10, one)},
        **{50728: (5, (1, 1, 1, 1, 1, 1)), 50778: (3, (21,))},
    }
    if preview is None:
        return b"II*\0" + _directory(8, {**raw, **camera}, sensor.tobytes())
    jpeg = BytesIO()
    preview.save(jpeg, "JPEG", quality=95)
    small: Tags = {
        **{254: (4, (1,)), 256: (4, (preview.width,)), 257: (4, (preview.height,))},
        **{258: (3, (8, 8, 8)), 259: (3, (7,)), 262: (3, (6,)), 277: (3, (3,))},
        **{278: (4, (preview.height,)), 330: (4, (0,))},
    }
    # The raw directory's place is known once the first has its length.
    length = len(_directory(8, {**small, **camera}, jpeg.getvalue()))
    small[330] = (4, (4 + length,))
    first = b"II*\0" + _directory(8, {**small, **camera}, jpeg.getvalue())
    return first + _directory(len(first), raw, sensor.tobytes(), at_once=True)


def _directory(at: int, tags: Tags, data: bytes, *, at_once: bool = False) -> bytes:
    """A TIFF directory with what it points at; before it its place, unless at_once."""
    packed = {tag: _packed(*one) for tag, one in {**tags, 279: (4, (len(data),))}.items()}
    packed[273] = (4, 1, bytes(4))
    beyond = at + 2 + 12 * len(packed) + 4
    values = b""
    places = {}
    for tag, (_, _, body) in packed.items():
        if len(body) > 4:
            places[tag] = struct.pack("<L", beyond + len(values))
            values += body + b"\0" * (len(body) % 2)
    places[273] = struct.pack("<L", beyond + len(values))
    rows = b"".join(
        struct.pack("<HHL", tag, kind, count) + places.get(tag, body.ljust(4, b"\0"))
        for tag, (kind, count, body) in sorted(packed.items())
    )
    made = struct.pack("<H", len(packed)) + rows + struct.pack("<L", 0) + values + data
    return made if at_once else struct.pack("<L", at) + made


def _packed(kind: int, value: bytes | tuple[int, ...]) -> tuple[int, int, bytes]:
    """(type, number of values, bytes)"""
    if isinstance(value, bytes):
        return kind, len(value), value
    form = _FORMS[kind]
    return (
        kind,
        len(value) // len(form),
        struct.pack(f"<{form * (len(value) // len(form))}", *value),
    )


def psd(image: Image.Image) -> bytes:
    """A Photoshop file without layers: header, three empty sections, the picture by channel."""
    mode = {"L": 1, "RGB": 3, "RGBA": 3, "CMYK": 4}[image.mode]
    channels = np.asarray(image).reshape(image.height, image.width, -1).transpose(2, 0, 1)
    if image.mode == "CMYK":
        channels = 255 - channels
    head = struct.pack(">4sH6xHLLHH", b"8BPS", 1, len(channels), image.height, image.width, 8, mode)
    return head + bytes(12) + struct.pack(">H", 0) + channels.tobytes()
