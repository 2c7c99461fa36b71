"""What to multiply scores with before a softmax over texts: the scale that fits captions best."""

from pathlib import Path

import numpy as np

from .data import read_captioned, read_pixels
from .measure import Figures, Model

SCALES = np.arange(5.0, 61.0)


def temperature(folder: Path, data_folder: Path) -> Figures:
    """The scale with the least cross-entropy of each dev picture's caption among all pictures'.

    As CLIP's own scale is trained (Radford et al. 2021, fig. 3), in both directions, one caption a
    picture at a time; the mean over the five captions.
    """
    model = Model(folder)
    data = read_captioned(data_folder, "dev")
    images = model.encode_pixels(read_pixels(data.paths(), model.size))
    texts = model.encode_texts(data.captions)
    turns = [_nth_captions(texts, data.owner, turn) for turn in range(5)]
    losses = [np.mean([_loss(scale * images @ turn.T) for turn in turns]) for scale in SCALES]
    best = int(np.argmin(losses))
    return {
        "pictures": len(data.files),
        "logit_scale": float(SCALES[best]),
        "cross_entropy": round(float(losses[best]), 3),
        "cross_entropy_at_100": round(
            float(np.mean([_loss(100.0 * images @ turn.T) for turn in turns])), 3
        ),
    }


def _nth_captions(texts: np.ndarray, owner: np.ndarray, turn: int) -> np.ndarray:
    """(n, d): each picture's caption number `turn`."""
    order = np.argsort(owner, kind="stable")
    return np.asarray(texts[order].reshape(owner.max() + 1, -1, texts.shape[1])[:, turn])


def _loss(logits: np.ndarray) -> float:
    """Mean cross-entropy of the diagonal, over rows and over columns."""
    right = np.diagonal(logits)
    return float(np.mean([np.mean(_log_sum(logits, axis) - right) for axis in (0, 1)]))


def _log_sum(logits: np.ndarray, axis: int) -> np.ndarray:
    high = logits.max(axis, keepdims=True)
    return np.asarray((high + np.log(np.exp(logits - high).sum(axis, keepdims=True))).ravel())
