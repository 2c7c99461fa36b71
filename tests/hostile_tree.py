"""Files made to harm whoever reads them, and what becomes of each."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import Image

SMALL = 64
"""Sides of what is whole."""


class Hostile(NamedTuple):
    """One file."""

    name: str
    content: bytes
    reason: str | None = None
    """Why it is refused, as a regular expression; None where it is read."""


def make(folder: Path) -> list[Hostile]:
    """Write the tree; none is there twice."""
    files = list(_files())
    for one in files:
        path = folder / one.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(one.content)
    return files


def _files() -> Iterator[Hostile]:
    damaged, unknown = "it is damaged", "its content is in no picture format known"
    for format in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "JPEG2000", "PPM", "ICO"):
        content = saved(format)
        yield Hostile(f"whole/{format}.jpg", content)  # by their content, not by their names
        cut = content[: len(content) // 2]
        yield Hostile(f"cut/{format}.png", cut, f"{damaged}|{unknown}")
        yield Hostile(f"cut/{format}-header.png", content[:11], f"{damaged}|{unknown}")
    yield Hostile("empty.jpg", b"", "the file is empty")
    yield Hostile("zeros.png", bytes(100_000), unknown)
    yield Hostile("text.webp", b"Dear Sir or Madam,\n" * 40, unknown)
    yield Hostile("program.gif", b"\x7fELF" + bytes(range(256)) * 20, unknown)
    yield Hostile("postscript.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n(%pipe%id) (r) file\n", unknown)
    too_many = ".*pixels are more than the limit"
    yield Hostile("size/png.png", png((100_000, 100_000)), too_many)
    yield Hostile(
        "size/tiff.tif", tiff([(256, 4, 1 << 30), (257, 4, 1 << 30), *ENDLESS[2:]]), too_many
    )
    yield Hostile("size/bmp.bmp", _bmp(2**30, 2**30), too_many)
    yield Hostile("size/gif.gif", _gif(65535, 65535), too_many)
    yield Hostile("size/none.png", png((0, 0)), unknown)
    yield Hostile("bomb/pixels.png", png((11_000, 11_000), zlib.compress(bytes(121_011_000), 1)))
    bomb = b"a\0\0" + zlib.compress(bytes(90_000_000))
    yield Hostile("bomb/text.png", _with_chunk(b"zTXt", bomb), damaged)
    yield Hostile(
        "bomb/texts.png",
        _with_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(900_000)), times=200),
        damaged,
    )
    yield Hostile("bomb/profile.png", _with_chunk(b"iCCP", bomb), damaged)
    yield Hostile("bomb/chunks.png", _with_chunk(b"tEXt", b"a\0b", times=100_000))
    yield Hostile(
        "bomb/icon.ico", _icon(png((60_000, 60_000))), f"{damaged}|{too_many}|not enough memory"
    )
    yield Hostile("loop/directories.tif", tiff(ENDLESS, next_at=8))
    yield Hostile("loop/exif.jpg", saved("JPEG", exif=_exif_of_itself()))
    yield Hostile("loop/exif.png", saved("PNG", exif=_exif_of_itself()))
    yield Hostile("loop/xml.jpg", saved("JPEG", xmp=_LAUGHS))
    yield Hostile("loop/deep.jpg", saved("JPEG", xmp=b"<a>" * 15_000))


def saved(format: str, **options: object) -> bytes:
    content = io.BytesIO()
    image = Image.effect_mandelbrot((SMALL, SMALL), (-2, -1, 1, 1), 40).convert("RGB")
    image.info.clear()
    image.save(content, format, **options)
    return content.getvalue() + format.encode()  # each another content


def png(size: tuple[int, int], rows: bytes = b"") -> bytes:
    """Grey, of one byte a pixel; it may claim any size."""
    header = struct.pack(">IIBBBBB", *size, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _with_chunk(name: bytes, data: bytes, times: int = 1) -> bytes:
    whole = saved("PNG")
    return whole[:33] + chunk(name, data) * times + whole[33:]


ENDLESS = [
    (256, 4, 2),
    (257, 4, 2),
    (258, 3, 8),
    (259, 3, 1),
    (262, 3, 1),
    (273, 4, 0),
    (279, 4, 4),
]
"""A picture of 2 by 2 greys, which are the first four bytes of the file."""


def tiff(entries: list[tuple[int, int, int]], next_at: int = 0) -> bytes:
    """entries: tag, type (3 SHORT, 4 LONG), value; next_at: where the next directory is."""
    made = struct.pack("<2sHIH", b"II", 42, 8, len(entries))
    for tag, kind, value in entries:
        made += struct.pack("<HHII", tag, kind, 1, value)
    return made + struct.pack("<I", next_at)


def _bmp(width: int, height: int) -> bytes:
    head = struct.pack("<2sIHHI", b"BM", 54, 0, 0, 54)
    return head + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


def _gif(width: int, height: int) -> bytes:
    frame = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0)
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + frame + b"\2\2\x4c\1\0;"


def _icon(content: bytes) -> bytes:
    """One that says it is 16 by 16, and holds another picture."""
    entry = struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(content), 22)
    return struct.pack("<HHH", 0, 1, 1) + entry + content


def _exif_of_itself() -> bytes:
    """Directories that are one another's parts."""
    main = [(0x8769, 4, 8), (0x8825, 4, 8), (0xA005, 4, 8), (0x014A, 4, 8)]
    return b"Exif\0\0" + tiff(main, next_at=8)


def many_scans() -> bytes:
    """A picture of 4 megapixels and half a megabyte that takes minutes: its last scan comes thirty
    thousand times."""
    content = io.BytesIO()
    Image.new("L", (2000, 2000), 90).save(content, "JPEG", progressive=True)
    whole = content.getvalue()
    start = whole.rindex(b"\xff\xda")
    return whole[:start] + whole[start:-2] * 30_000 + whole[-2:]


_LAUGHS = (
    b'<!DOCTYPE x [<!ENTITY a "ha">'
    + b"".join(f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">'.encode() for i in range(9))
    + b"]><x:xmpmeta xmlns:x='adobe:ns:meta/'>&j;</x:xmpmeta>"
)
"""Ten thousand million words, if entities are resolved."""
