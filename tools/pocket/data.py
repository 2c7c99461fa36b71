"""Captioned pictures from a folder: `captions.tsv` (file, split, caption) and its pictures.

The data set used for the shipped model is Flickr8k (Hodosh, Young and Hockenmaier 2013), squashed
to 224×224. It is given by path, never copied into the project.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

Split = Literal["train", "dev"]


@dataclass(frozen=True)
class Captioned:
    """n pictures and their captions; `owner[i]` is the picture that caption i describes."""

    folder: Path
    files: list[str]
    captions: list[str]
    owner: np.ndarray

    def paths(self) -> list[Path]:
        return [self.folder / name for name in self.files]


def read_captioned(folder: Path, split: Split) -> Captioned:
    """Pictures of one split, in the order `captions.tsv` first names them."""
    files: dict[str, int] = {}
    captions: list[str] = []
    owner: list[int] = []
    with (folder / "captions.tsv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["split"] == split:
                owner.append(files.setdefault(row["file"], len(files)))
                captions.append(row["caption"])
    return Captioned(folder, list(files), captions, np.array(owner))


def squash(image: Image.Image, size: int) -> np.ndarray:
    """The whole frame at size × size, bicubic: (size, size, 3) uint8. As the runtime does it."""
    return np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC))


def read_pixels(paths: list[Path], size: int) -> np.ndarray:
    """(n, size, size, 3) uint8 of picture files, each squashed."""
    pixels = np.empty((len(paths), size, size, 3), np.uint8)
    for row, path in enumerate(paths):
        with Image.open(path) as image:
            pixels[row] = squash(image, size)
    return pixels
