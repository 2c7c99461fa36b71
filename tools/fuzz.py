"""Looks for files that do to the reader what no file may: `make fuzz`.

Pictures are damaged at random and read as any stranger's are (pixseek.isolation). A finding is a
file that raises what is not in the error tree, of which is said what cannot be (metadata), or that
crashes its decoder or takes longer than a moment though it counts as plain. It is written to
tests/fuzz-found, where tests/test_fuzz_found.py reads it from then on. A decoder that crashes or
hangs in its child is contained: a few such files go to tests/fuzz-found/contained. The same seed
damages in the same way.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from pixseek import isolation
from pixseek.errors import UnreadableImage
from pixseek.isolation.plain import is_plain
from pixseek.metadata import FIELDS
from pixseek.records import Bounds, Metadata

ROOT = Path(__file__).parent.parent
FOUND = ROOT / "tests" / "fuzz-found"
CONTAINED = FOUND / "contained"
CONTAINED_KEPT = 4
BOUNDS = Bounds(max_pixels=20_000_000, max_seconds=10.0)
PLAIN_S = 5.0
"""What a plain file of at most so many pixels may take, on a machine that is busy."""
LARGEST = 60_000
"""Bytes of a file that is damaged: small ones are read more often, and kept when they are found."""
_CRASHED = ("its decoder crashed", "decoding it took")
_FAULT = "its decoder ended"
_NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass
class Tally:
    """What a run has done."""

    read: int = 0
    refused: int = 0
    found: dict[str, str] = field(default_factory=dict)
    """Name of a file in FOUND → what is wrong with it."""
    contained: list[bytes] = field(default_factory=list)
    """Contents whose decoder crashed or hung, and cost nothing else."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=None, help="default: another every time")
    parser.add_argument("--files", type=Path, help="a folder of more files to damage")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else time.time_ns() % 1_000_000_000
    Image.MAX_IMAGE_PIXELS = None
    whole = [*painted(), *_files(ROOT / "tests"), *_files(ROOT / "samples")]
    whole += _files(options.files) if options.files else []
    print(f"seed {seed}, {len(whole)} files, {options.seconds:g} s")
    tally = Tally()
    end = time.monotonic() + options.seconds
    with ThreadPoolExecutor(options.workers) as pool:
        list(pool.map(lambda n: _fuzz(whole, seed + n, end, tally), range(options.workers)))
    print(f"{tally.read} read, {tally.refused} refused")
    print(f"{len(tally.found)} found, {len(tally.contained)} contained")
    room = max(0, CONTAINED_KEPT - len(list(CONTAINED.glob("*.bin"))))
    for content in tally.contained[:room]:
        print(
            f"tests/fuzz-found/contained/{_kept(content, CONTAINED)}: its decoder crashed or hung"
        )
    for name, what in tally.found.items():
        print(f"tests/fuzz-found/{name}: {what}")
    return 1 if tally.found else 0


def _fuzz(whole: Sequence[bytes], seed: int, end: float, tally: Tally) -> None:
    chance = random.Random(seed)
    while time.monotonic() < end:
        content = damaged(chance.choice(whole), whole, chance)
        what = wrong(content, tally)
        if what is not None:
            tally.found[_kept(content, FOUND)] = what


def _kept(content: bytes, folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{sha256(content).hexdigest()[:16]}.bin"
    (folder / name).write_bytes(content)
    return name


def wrong(content: bytes, tally: Tally) -> str | None:
    """What is wrong with how a content is read, or None."""
    started = time.monotonic()
    try:
        decoded = isolation.read(content, 64, BOUNDS, name="damaged")
    except UnreadableImage as error:
        tally.refused += 1
        if error.reason.startswith(_FAULT):
            return error.reason
        if error.reason.startswith(_CRASHED):
            if is_plain(content):
                return f"plain, and {error.reason}"
            tally.contained.append(content)
            return None
    else:
        tally.read += 1
        if (said := _impossible(decoded.fields)) is not None:
            return said
    took_s = time.monotonic() - started
    return f"plain, and took {took_s:.1f} s" if is_plain(content) and took_s > PLAIN_S else None


def _impossible(fields: Metadata) -> str | None:
    """What is said of a picture that no field can say; None when all of it can be."""
    for name, value in fields.items():
        if name not in FIELDS:
            return f"there is no field {name!r}"
        if FIELDS[name].kind == "text":
            texts = value if isinstance(value, list) else [value]
            right = all(isinstance(text, str) and text and _can_be_kept(text) for text in texts)
        else:
            right = isinstance(value, int | float) and math.isfinite(value)
        if not right:
            return f"{name} is {json.dumps(value)[:200]}"
    return None


def _can_be_kept(text: str) -> bool:
    return "\0" not in text and text.encode("utf-8", "replace").decode() == text


def damaged(content: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """A content with one to eight wounds, most of them near its beginning."""
    wounded = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 3, 5, 8))):
        if len(wounded) < 8:
            break
        end = len(wounded) if chance.random() < 0.4 else min(len(wounded), 600)
        at = chance.randrange(end)
        match chance.randrange(8):
            case 0:
                wounded[at] ^= 1 << chance.randrange(8)
            case 1:
                wounded[at] = chance.randrange(256)
            case 2 | 3:
                size = chance.choice((1, 2, 4))
                number = chance.choice(_NUMBERS) & ((1 << 8 * size) - 1)
                order: Any = chance.choice(("big", "little"))
                wounded[at : at + size] = number.to_bytes(size, order)
            case 4:
                del wounded[at : at + chance.choice((1, 2, 4, 12, 100))]
            case 5:
                piece = wounded[at : at + chance.choice((4, 12, 64, 500))]
                wounded[at:at] = piece * chance.choice((1, 1, 2, 40))
            case 6:
                other = chance.choice(others)
                start = chance.randrange(len(other))
                wounded[at:at] = other[start : start + chance.choice((4, 30, 400))]
            case _:
                if chance.random() < 0.3:
                    del wounded[at:]
    whole = bytes(wounded)
    return _with_checksums(whole) if chance.random() < 0.8 else whole


def _with_checksums(content: bytes) -> bytes:
    """A PNG whose chunks have the checksums of what is in them now: else nothing in it is read."""
    if not content.startswith(_PNG):
        return content
    made, at = bytearray(_PNG), len(_PNG)
    while at + 12 <= len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        chunk = content[at + 4 : at + 8 + size]
        made += content[at : at + 4] + chunk + zlib.crc32(chunk).to_bytes(4, "big")
        at += 12 + size
    return bytes(made) + content[at:]


def _files(folder: Path) -> list[bytes]:
    names = sorted(
        path for path in folder.rglob("*") if path.is_file() and FOUND not in path.parents
    )
    pictures = [
        path for path in names if path.suffix not in (".py", ".npz", ".json", ".xz", ".pyc")
    ]
    return [path.read_bytes() for path in pictures if 0 < path.stat().st_size <= LARGEST]


def painted() -> Iterator[bytes]:
    """Small pictures in every format and many of their kinds, with all that can be said in them."""
    image = Image.effect_mandelbrot((48, 32), (-2, -1, 1, 1), 40).convert("RGB")
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112] = "Maker", "Model", 6
    exif[0x010E], exif[0x9C9E] = "A description", "one;two".encode("utf-16-le")
    exif.get_ifd(0x8769).update({0x9003: "2021:07:14 12:00:00", 0x829D: 1.8, 0x8827: 100})
    exif.get_ifd(0x8825).update({1: "N", 2: (47.0, 22.0, 10.5), 3: "E", 4: (8.0, 32.0, 30.0)})
    for format in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):
        yield _saved(image, format, exif=exif, xmp=_XMP)
    yield _saved(image, "JPEG", progressive=True, exif=exif)
    yield _saved(image.convert("CMYK"), "JPEG")
    for mode in ("1", "L", "LA", "P", "RGBA", "I;16"):
        yield _saved(image.convert("L").convert(mode) if mode != "P" else image.quantize(), "PNG")
    for name in ("raw", "tiff_lzw", "tiff_deflate", "packbits", "jpeg"):
        yield _saved(image, "TIFF", compression=name)
    for format in ("GIF", "BMP", "JPEG2000", "PPM", "ICO", "MPO"):
        yield _saved(image, format)
    pages = [image.rotate(90), image.rotate(180)]
    for format in ("GIF", "PNG", "WEBP", "TIFF", "MPO", "AVIF"):
        yield _saved(image, format, save_all=True, append_images=pages)


_XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-'
    b'syntax-ns#"><rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">'
    b'<dc:title><rdf:Alt><rdf:li xml:lang="x-default">A title</rdf:li></rdf:Alt></dc:title>'
    b"<dc:subject><rdf:Bag><rdf:li>one</rdf:li><rdf:li>two</rdf:li></rdf:Bag></dc:subject>"
    b"</rdf:Description></rdf:RDF></x:xmpmeta>"
)


def _saved(image: Image.Image, format: str, **options: Any) -> bytes:
    content = BytesIO()
    image.save(content, format, **options)
    return content.getvalue()


if __name__ == "__main__":
    sys.exit(main())
