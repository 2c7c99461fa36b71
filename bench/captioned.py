"""Captioned photographs as vectors, and what people say is in them.

A folder with `captions.tsv` (file, split, caption; 5 captions a picture) and its pictures, given by
path and never part of the project: Flickr8k (Hodosh, Young and Hockenmaier 2013), 6,000 pictures
`train` and 1,000 `dev`. Vectors are kept in the temporary folder for the next run.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixseek.encoders import Encoder
from pixseek.metadata.wording import words_of
from pixseek.records import Vectors
from pixseek.words.labels import read_labels

AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Captioned:
    """n pictures; `owner[i]` is the picture that caption i was written for."""

    folder: Path
    files: list[str]
    captions: list[str]
    owner: NDArray[np.int64]
    images: Vectors
    texts: Vectors
    """Of `captions`."""

    def said(self, things: list[str]) -> NDArray[np.int64]:
        """(things, n): in how many of a picture's captions all words of a thing are."""
        words = [_singular(caption) for caption in self.captions]
        found = np.zeros((len(things), len(self.files)), np.int64)
        for row, thing in zip(found, things, strict=True):
            wanted = _singular(thing)
            np.add.at(row, self.owner, [wanted <= one for one in words])
        return found


def read(folder: Path | None, split: str, pictures: int, encoder: Encoder) -> Captioned:
    """The first pictures of a split, in the order of the file."""
    if folder is None:
        sys.exit("this needs captioned pictures: --data FOLDER, see bench/captioned.py")
    files: dict[str, int] = {}
    captions, owner = [], []
    with (folder / "captions.tsv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["split"] == split and (row["file"] in files or len(files) < pictures):
                owner.append(files.setdefault(row["file"], len(files)))
                captions.append(row["caption"])
    name = f"pixseek-{encoder.space.fingerprint[:12]}-{split}-{pictures}.npz"
    kept = Path(tempfile.gettempdir()) / name
    if not kept.exists():
        images = [_encoded(folder, part, encoder) for part in _parts(list(files))]
        texts = [encoder.encode_texts(part) for part in _parts(captions)]
        np.savez(kept, images=np.concatenate(images), texts=np.concatenate(texts))
    with np.load(kept) as vectors:
        return Captioned(
            folder, list(files), captions, np.array(owner), vectors["images"], vectors["texts"]
        )


def labels() -> list[str]:
    """The built-in labels, each once."""
    return [one for one in dict.fromkeys(" ".join(line.split()) for line in read_labels()) if one]


def _parts(values: list[str]) -> list[list[str]]:
    return [values[start : start + AT_ONCE] for start in range(0, len(values), AT_ONCE)]


def _encoded(folder: Path, files: list[str], encoder: Encoder) -> Vectors:
    images = []
    for file in files:
        with Image.open(folder / file) as opened:
            images.append(opened.convert("RGB"))
    return encoder.encode_images(images)


def _singular(text: str) -> set[str]:
    return {word.removesuffix("s") if len(word) > 3 else word for word in words_of(text)}
