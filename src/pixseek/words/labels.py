"""Labels for pictures by the model that made their vectors: no picture is read for it.

Each label becomes several sentences, whose vectors are averaged (Radford et al. 2021, 3.1.4); a
picture's labels are those that a softmax over all labels, at the model's own temperature, gives a
share above a threshold. So a label competes with all others: lists with two words for one thing
halve the share of both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pixseek.encoders import Encoder
from pixseek.errors import InvalidQuery, MissingPath
from pixseek.records import Vectors

BUILT_IN = Path(__file__).parent / "labels.txt"

TEMPLATES = ("{}", "a photo of {}", "a picture of a {}", "there is a {} in the picture")


@dataclass(frozen=True, slots=True)
class Choice:
    """Which labels a picture gets: at most `top`, each with a share above `threshold`, 0 to 1."""

    top: int = 5
    threshold: float = 0.1


def read_labels(path: Path = BUILT_IN) -> list[str]:
    """The labels in a file: one a line, what follows a # is a comment.

    Raises MissingPath, and InvalidQuery when the file is not UTF-8 text.
    """
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise MissingPath(path, "a file of labels, one a line") from error
    except UnicodeDecodeError as error:
        raise InvalidQuery(
            f"{str(path)!r} is not UTF-8; expected a text, a label a line."
        ) from error
    return [line.partition("#")[0] for line in text.splitlines()]


class Labeller:
    """A set of labels, ready to be compared with pictures."""

    def __init__(self, encoder: Encoder, labels: Iterable[str], logit_scale: float) -> None:
        """labels: blank ones and repeated ones do not count.

        logit_scale: what the model multiplies scores with before a softmax (Model.logit_scale).
        Raises InvalidQuery when no label is left.
        """
        self.labels = list(
            dict.fromkeys(one for label in labels if (one := " ".join(label.split())))
        )
        if not self.labels:
            raise InvalidQuery("there are no labels; expected at least one.")
        self._scale = logit_scale
        self.vectors = _ensembles(encoder, self.labels)
        """(labels, d), rows of length 1."""

    def label(self, vectors: Vectors, choice: Choice) -> list[list[str]]:
        """vectors: (n, d). For each its labels, best first; equal shares in the order given."""
        logits = self._scale * (vectors @ self.vectors.T)
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        best = np.argsort(-shares, axis=1, kind="stable")[:, : choice.top]
        return [
            [self.labels[column] for column in row if line[column] > choice.threshold]
            for row, line in zip(best, shares, strict=True)
        ]


def _ensembles(encoder: Encoder, labels: Sequence[str]) -> Vectors:
    """(labels, d): the mean direction of each label's sentences."""
    total = np.sum(
        [encoder.encode_texts([one.format(label) for label in labels]) for one in TEMPLATES], axis=0
    )
    lengths = np.linalg.norm(total, axis=1, keepdims=True)
    ensembles: Vectors = (total / np.maximum(lengths, 1e-9)).astype(np.float32)
    return ensembles
