"""How many labels pictures get, and how many of them people mention in their captions.

A label counts as mentioned when each of its words is in one of the picture's five captions, in
singular or plural. The others are wrong, or right and not worth a mention.
"""

from pathlib import Path

import numpy as np

from pixseek.encoders import Options, load_encoder
from pixseek.encoders.catalog import MODELS
from pixseek.metadata.wording import words_of
from pixseek.words.labels import Choice, Labeller, read_labels

from .data import read_captioned, read_pixels
from .measure import Figures, Model

THRESHOLDS = (0.05, 0.1, 0.2)


def labels(folder: Path, data_folder: Path) -> Figures:
    """Figures of the built-in labels on the dev split, at several thresholds."""
    model = Model(folder)
    data = read_captioned(data_folder, "dev")
    images = model.encode_pixels(read_pixels(data.paths(), model.size))
    scale = MODELS["pocket"].logit_scale or 1.0
    labeller = Labeller(load_encoder("pocket", Options()), read_labels(), scale)
    said: list[set[str]] = [set() for _ in data.files]
    for caption, owner in zip(data.captions, data.owner, strict=True):
        said[owner] |= _singular(caption)
    found: Figures = {"pictures": len(data.files), "labels": len(labeller.labels)}
    for threshold in THRESHOLDS:
        given = labeller.label(images, Choice(threshold=threshold))
        mentioned = [
            _singular(label) <= words
            for row, words in zip(given, said, strict=True)
            for label in row
        ]
        found[f"above {threshold}"] = {
            "labels_per_picture": round(len(mentioned) / len(given), 2),
            "mentioned_percent": round(100 * float(np.mean(mentioned)), 1),
            "without_a_label_percent": round(100 * sum(not row for row in given) / len(given), 1),
        }
    return found


def _singular(text: str) -> set[str]:
    return {word.removesuffix("s") if len(word) > 3 else word for word in words_of(text)}
