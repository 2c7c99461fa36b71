"""Which way of showing a long picture to a model finds it best, and what that does to all others.

Data: photographs with captions (--data FOLDER: captions.tsv with file, split, caption, and images;
the dev split, each once), of which long pictures are made. Strips: the middle of one photograph,
cut to the shape: one scene, as most panoramas are. Rows and columns: that many photographs side
by side or below one another: more scenes than one. Padded: one photograph anywhere on a plain
ground. For each kind and shape 100 long pictures are in a gallery with 500 ordinary photographs;
texts: every caption of every photograph in a long picture, which should find it, and one caption of
each of the ordinary ones (single).

Ways: squash, the whole frame squeezed to a square (as `pocket` sees any picture); crop, the middle
square (as CLIP sees any picture); pad, the whole frame on a grey square; tiles, squares side by
side that cover it, their vectors averaged; tiles+squash and tiles+pad, the whole frame as one tile
more; max, the best tile's score (several vectors an item). Figures: recall at 10 and mean
reciprocal rank.
"""

from __future__ import annotations

import argparse
import csv
import random
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from bench import report
from pixseek.encoders import Encoder, load_encoder
from pixseek.encoders.tiles import squares
from pixseek.records import Vectors

SEED = 11
LONG, ORDINARY = 100, 500
AT = 10


@dataclass(frozen=True, slots=True)
class Photo:
    image: Image.Image
    captions: list[str]


@dataclass(frozen=True, slots=True)
class LongPicture:
    image: Image.Image
    captions: list[str]


def main() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--data", type=Path, required=True)
    known, sys.argv[1:] = parser.parse_known_args()
    options = report.options("panoramas", __doc__ or "")
    photos = _photos(known.data)
    figures: report.Figures = {"machine": report.machine(), "seed": SEED, "models": {}}
    for name in ("pocket", "palette"):
        encoder = load_encoder(name)
        print(f"\n{encoder.space}")
        figures["models"][name] = {
            f"{kind} {shape}": _measure(kind, shape, photos, encoder, options.quick)
            for kind, shape in _kinds(options.quick)
        }
    report.write(options, __doc__ or "", figures)


def _kinds(quick: bool) -> list[tuple[str, float]]:
    if quick:
        return [("row", 3)]
    shapes = {"strip": (2, 3, 4), "row": (2, 3, 5), "column": (3,), "padded": (3,)}
    return [(kind, shape) for kind, those in shapes.items() for shape in those]


def _photos(folder: Path) -> list[Photo]:
    captions: defaultdict[str, list[str]] = defaultdict(list)
    with (folder / "captions.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["split"] == "dev":
                captions[row["file"]].append(row["caption"])
    return [
        Photo(Image.open(folder / name).convert("RGB"), texts)
        for name, texts in sorted(captions.items())
    ]


def _made(kind: str, shape: float, photos: list[Photo], chance: random.Random) -> LongPicture:
    """shape: the long side by the short one. Photos are squares of 224."""
    side = 224
    if kind in ("row", "column"):
        across = kind == "row"
        count = int(shape)
        image = Image.new("RGB", (side * count, side) if across else (side, side * count))
        taken = [photos.pop() for _ in range(count)]
        for place, photo in enumerate(taken):
            image.paste(photo.image, (place * side, 0) if across else (0, place * side))
        return LongPicture(image, [text for photo in taken for text in photo.captions])
    photo = photos.pop()
    if kind == "strip":
        height = round(side / shape)
        top = (side - height) // 2
        strip = photo.image.crop((0, top, side, top + height))
        large = strip.resize((side * 4, round(side * 4 / shape)), Image.Resampling.BICUBIC)
        return LongPicture(large, photo.captions)
    ground = tuple(chance.randrange(60, 220) for _ in range(3))
    image = Image.new("RGB", (round(side * shape), side), ground)
    image.paste(photo.image, (chance.randrange(image.width - side + 1), 0))
    return LongPicture(image, photo.captions)


def _vectors(encoder: Encoder, image: Image.Image) -> dict[str, Vectors]:
    """Way → (n, d): the vectors that stand for the picture."""
    long, short = max(image.size), min(image.size)
    left, top = (image.width - short) // 2, (image.height - short) // 2
    square = Image.new("RGB", (long, long), (128, 128, 128))
    square.paste(image, ((long - image.width) // 2, (long - image.height) // 2))
    whole = [
        image.resize((512, 512), Image.Resampling.BICUBIC),
        image.crop((left, top, left + short, top + short)),
        square,
    ]
    squash, crop, pad, *parts = encoder.encode_images([*whole, *squares(image)])[:, None]
    tiles = np.concatenate(parts)
    return {
        "squash": squash,
        "crop": crop,
        "pad": pad,
        "tiles": _mean(tiles),
        "tiles+squash": _mean(np.concatenate([squash, tiles])),
        "tiles+pad": _mean(np.concatenate([pad, tiles])),
        "max": tiles,
    }


def _mean(vectors: Vectors) -> Vectors:
    total = vectors.mean(axis=0, keepdims=True)
    mean: Vectors = total / np.linalg.norm(total)
    return mean


def _measure(
    kind: str, shape: float, photos: list[Photo], encoder: Encoder, quick: bool
) -> report.Figures:
    chance = random.Random(SEED)
    left = chance.sample(photos, len(photos))
    ordinary = [left.pop() for _ in range(100 if quick else ORDINARY)]
    count = min(20 if quick else LONG, len(left) // max(1, int(shape) if kind in _SEVERAL else 1))
    long = [_made(kind, shape, left, chance) for _ in range(count)]
    base = encoder.encode_images([photo.image for photo in ordinary])
    texts = encoder.encode_texts([text for one in long for text in one.captions])
    wanted = np.repeat(np.arange(count), [len(one.captions) for one in long])
    single = encoder.encode_texts([photo.captions[0] for photo in ordinary])
    figures: report.Figures = {"long": count, "texts": len(texts)}
    ways = [_vectors(encoder, one.image) for one in long]
    for name in ways[0]:
        vectors = [one[name] for one in ways]
        figures[name] = {
            **_found(texts, wanted, vectors, base),
            "single": _found(single, count + np.arange(len(ordinary)), vectors, base),
        }
        report.line(f"{kind} {shape}, {name}", figures[name])
    return figures


_SEVERAL = ("row", "column")


def _found(
    texts: Vectors, wanted: np.ndarray, long: list[Vectors], base: Vectors
) -> report.Figures:
    """Long pictures come first in the gallery."""
    scores = [(texts @ vectors.T).max(axis=1) for vectors in long]
    table = np.column_stack([*scores, texts @ base.T])
    own = table[np.arange(len(texts)), wanted]
    ranks = 1 + (table > own[:, None]).sum(axis=1)
    return {
        f"recall_at_{AT}": round(float((ranks <= AT).mean()), 3),
        "mrr": round(float((1 / ranks).mean()), 3),
    }


if __name__ == "__main__":
    main()
