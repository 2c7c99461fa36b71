"""Made photographs: the sample photos enlarged, with the grain and the EXIF of a camera."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

SAMPLES = Path(__file__).parent.parent / "samples"
GRAIN = 5.0
"""Standard deviation of the noise, of 255: makes files about as large as a telephone's."""
QUALITY = 90
SEED = 7


@dataclass(frozen=True, slots=True)
class Kind:
    """One size of picture."""

    name: str
    size: tuple[int, int]
    distinct: int
    """Pictures that are really encoded; files beyond them are copies that end in other bytes, which
    decoders pass over, so that each is a content of its own."""


LARGE = Kind("12 megapixels", (4000, 3000), 30)
SMALL = Kind("640x480", (640, 480), 300)


def make(folder: Path, kind: Kind, count: int) -> str:
    """Fill a folder with `count` files; returns the SHA-256 of the distinct ones, in order."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(SEED)
    photos = sorted(SAMPLES.glob("*.jpg"))
    digest = sha256()
    pictures = []
    for number in range(min(kind.distinct, count)):
        content = _photo(photos[number % len(photos)], kind.size, number, random)
        digest.update(content)
        pictures.append(content)
    for number in range(count):
        ending = number.to_bytes(4, "big") if number >= len(pictures) else b""
        path = folder / f"{number % 100:02}" / f"IMG_{number:05}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(pictures[number % len(pictures)] + ending)
    return digest.hexdigest()


def _photo(path: Path, size: tuple[int, int], number: int, random: np.random.Generator) -> bytes:
    """One baseline JPEG, 4:2:0: a crop of the sample, enlarged with grain."""
    with Image.open(path) as opened:
        photo = opened.convert("RGB")
    left, top = random.uniform(0, 0.15, 2)
    box = (left * photo.width, top * photo.height, 0.85 * photo.width, 0.85 * photo.height)
    pixels = np.asarray(photo.resize(size, Image.Resampling.LANCZOS, box=box), np.float32)
    grain = random.standard_normal(pixels.shape[:2], np.float32)[..., np.newaxis] * GRAIN
    image = Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8))
    content = BytesIO()
    image.save(content, "JPEG", quality=QUALITY, subsampling="4:2:0", exif=_exif(number))
    return content.getvalue()


def _exif(number: int) -> Image.Exif:
    """The tags of a telephone: camera, time, optics and place."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112] = "Maker", f"Model {number % 5}", 1
    exif[0x0132] = "2021:07:14 12:00:00"
    exif.get_ifd(0x8769).update(
        {
            0x9003: f"2021:07:{number % 28 + 1:02} 12:00:00",
            0x829A: 0.004,
            0x829D: 1.8,
            0x8827: 100,
            0x920A: 4.25,
        }
    )
    exif.get_ifd(0x8825).update({1: "N", 2: (47.0, 22.0, 10.5), 3: "E", 4: (8.0, 32.0, 30.0)})
    return exif
