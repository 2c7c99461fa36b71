"""Whether copies of pictures are told from different pictures of the same kind of scene.

Data: bench/captioned.py. The first 200 pictures of `dev` are copied: resized, encoded anew, cut by
5 or 10 % of a side, recoloured, and several of these together. A copy is found when the cosine of
the vectors is at least alike.LOOKED_AT and the likeness of the pixels at least
comparing.CONFIRMED; `looked at` and `alike` are the shares that pass each of these.
Different pictures: each of the 200 with its 10 nearest neighbours among 3,000 of `train` (among
themselves with --quick), whatever their cosine; those most alike are given by name, as people have
posted some pictures twice.
The pictures are 224 pixels a side: a quarter of that is what a thumbnail in a chat is.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageEnhance

from bench import captioned, report
from pixseek.alike import LOOKED_AT
from pixseek.alike.comparing import CONFIRMED, Small, likeness
from pixseek.encoders import Encoder, Options, load_encoder
from pixseek.records import Vectors

MODEL = "pocket"
COPIED = 200
PICTURES = 3000
NEIGHBOURS = 10
NAMED = 10
Change: TypeAlias = Callable[[Image.Image], Image.Image]


def main() -> None:
    options = report.options("dupes", __doc__ or "")
    encoder = load_encoder(MODEL, Options())
    copied = captioned.read(options.data, "dev", 30 if options.quick else COPIED, encoder)
    others = copied
    if not options.quick:
        others = captioned.read(options.data, "train", PICTURES, encoder)
    images = [_opened(copied.folder, name) for name in copied.files]
    small = [Small(image) for image in images]
    figures: report.Figures = {
        "machine": report.machine(),
        "model": MODEL,
        "bounds": {"cosine": LOOKED_AT, "likeness": CONFIRMED},
        "pictures": len(images),
        "copies": {
            name: _copies(images, small, copied.images, change, encoder)
            for name, change in CHANGES.items()
        },
    }
    for name, found in figures["copies"].items():
        report.line(name, found)
    figures["different"] = _different(copied, small, others)
    report.line("different pictures", figures["different"])
    report.write(options, __doc__ or "", figures)


def _copies(
    images: list[Image.Image],
    small: list[Small],
    vectors: Vectors,
    change: Change,
    encoder: Encoder,
) -> report.Figures:
    changed = [change(image) for image in images]
    cosines = np.einsum("nd,nd->n", vectors, encoder.encode_images(changed))
    alike = np.array([likeness(a, Small(b)) for a, b in zip(small, changed, strict=True)])
    near, same = cosines >= LOOKED_AT, alike >= CONFIRMED
    return {
        "found": _share(near & same),
        "looked at": _share(near),
        "alike": _share(same),
        "least likeness": round(float(alike.min()), 3),
    }


def _different(
    copied: captioned.Captioned, small: list[Small], others: captioned.Captioned
) -> report.Figures:
    cosines = copied.images @ others.images.T
    if others is copied:
        np.fill_diagonal(cosines, -1)
    found: list[tuple[float, float, str, str]] = []
    for row, line in enumerate(cosines):
        for column in np.argsort(-line)[:NEIGHBOURS].tolist():
            other = Small(_opened(others.folder, others.files[column]))
            pair = copied.files[row], others.files[column]
            found.append((likeness(small[row], other), float(line[column]), *pair))
    found.sort(reverse=True)
    return {
        "pairs": len(found),
        "pairs looked at": sum(cosine >= LOOKED_AT for _, cosine, _, _ in found),
        "taken for copies": sum(
            alike >= CONFIRMED and cosine >= LOOKED_AT for alike, cosine, _, _ in found
        ),
        "most alike": [
            [round(alike, 3), round(cosine, 3), *names] for alike, cosine, *names in found[:NAMED]
        ],
    }


def _share(passed: np.typing.NDArray[np.bool_]) -> float:
    return round(float(passed.mean()), 4)


def _opened(folder: Path, name: str) -> Image.Image:
    with Image.open(folder / name) as image:
        return image.convert("RGB")


def _scaled(share: float) -> Change:
    return lambda image: image.resize((round(image.width * share), round(image.height * share)))


def _encoded(image: Image.Image, quality: int = 85) -> Image.Image:
    made = BytesIO()
    image.save(made, "JPEG", quality=quality)
    with Image.open(made) as again:
        return again.convert("RGB")


def _cut(left: float, top: float, right: float, bottom: float) -> Change:
    def cut(image: Image.Image) -> Image.Image:
        width, height = image.size
        box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
        return _encoded(image.crop((round(box[0]), round(box[1]), round(box[2]), round(box[3]))))

    return cut


def _warmer(image: Image.Image) -> Image.Image:
    bands = zip(image.split(), (1.12, 1.0, 0.85), strict=True)
    return Image.merge(
        "RGB", [band.point([min(255, int(v * by)) for v in range(256)]) for band, by in bands]
    )


def _together(image: Image.Image) -> Image.Image:
    cut = _cut(0.05, 0.02, 0.03, 0)(image)
    return _encoded(ImageEnhance.Brightness(_scaled(0.75)(cut)).enhance(1.15), 60)


CHANGES: dict[str, Change] = {
    "half the size": _scaled(0.5),
    "a quarter of the size": _scaled(0.25),
    "JPEG of quality 30": lambda image: _encoded(image, 30),
    "cut by 5 %, all sides": _cut(0.025, 0.025, 0.025, 0.025),
    "cut by 10 %, all sides": _cut(0.05, 0.05, 0.05, 0.05),
    "cut by 10 %, one side": _cut(0.1, 0, 0, 0),
    "cut by 10 %, a corner": _cut(0.1, 0, 0, 0.1),
    "more colour": lambda image: ImageEnhance.Color(image).enhance(1.6),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "less contrast": lambda image: ImageEnhance.Contrast(image).enhance(0.7),
    "warmer": _warmer,
    "black and white": lambda image: image.convert("L").convert("RGB"),
    "smaller, cut, brighter, JPEG": _together,
}


if __name__ == "__main__":
    main()
