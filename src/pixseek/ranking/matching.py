"""Scores → how likely a hit answers the query, 0 to 1, the same for every query and model.

A raw score depends on the model, on the query ("a photo" is near to everything) and on the picture
(some are near to every text). So a score is seen beside others: the query's scores with a sample of
the library, and the picture's with neutral texts or with the sample, counted in standard deviations
of what is usual in this library with this model. A logistic function of these numbers was fitted to
the best hits of queries, half of them for things that are in a library of captioned photographs,
half for things that are not (bench/matching.py): a match of 0.7 is one that, best of all, speaks
with 7 to 3 for the library having what was asked for. Where a library is small, the usual scores of
the model's family count as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pixseek.encoders.calibration import Calibration, calibration
from pixseek.ranking import Kind, Part
from pixseek.ranking.diversity import COPY
from pixseek.ranking.statistics import Statistics
from pixseek.records import Vectors

Floats: TypeAlias = NDArray[np.float64]

Fit: TypeAlias = Mapping[Kind, tuple[float, float, float, float, float]]
FITTED: Mapping[str, Fit] = {
    "pocket": {
        "text": (0.761, 0.194, 2.498, -1.367, -2.293),
        "image": (1.135, 0.0, 0.0, 0.0, -5.951),
    }
}
"""By model: of the features, in their order, and a constant, as bench/matching.py prints them.
Models that nobody measured have those of `pocket`: the features are deviations from what is usual
with the model in the library, so that little of it depends on the model."""
LIKENESS = Calibration(0.75, 15.0)
"""For pictures with a picture, of any model, as long as a library is too small to say more."""
COPY_STEEPNESS = 60.0
"""From a score of about 0.05 below that of a copy to as much above it, pictures become the same."""
FEW = 20
"""Pictures of a library that count as much as what is known of the model."""
_ROWS = 8
"""Of a product at once. Larger ones are shared out to threads of the BLAS library, which then keep
the cores busy with waiting for more: on a server, at the cost of other searches."""
_FLAT = 1e-3
"""Standard deviation of scores below which there is nothing to compare with."""


def matches(
    parts: Sequence[Part], vectors: Vectors, usual: Statistics | None, model: str
) -> Floats:
    """(n,) for pictures of these vectors (n, d): of all that is asked for, what fits least.

    Parts that are pushed away do not count; with no other, every match is 0.
    """
    each = [match(part, vectors, usual, model) for part in parts if part.weight > 0]
    least: Floats = np.min(each, axis=0) if each else np.zeros(len(vectors))
    return least


def match(part: Part, vectors: Vectors, usual: Statistics | None, model: str) -> Floats:
    """(n,) for pictures of these vectors (n, d)."""
    known = calibration(model) if part.kind == "text" else LIKENESS
    scores = (vectors @ part.vector).astype(np.float64)
    logits = known.steepness * (scores - known.middle)
    if usual is not None and (found := features(part, vectors, usual)) is not None:
        *weights, constant = FITTED.get(model, FITTED["pocket"])[part.kind]
        share = len(usual.sample) / (len(usual.sample) + FEW)
        logits = share * (found @ np.array(weights) + constant) + (1 - share) * logits
    likely = _likely(logits)
    if part.kind == "image":  # a copy is what was asked for, whatever is usual
        likely = 1 - (1 - likely) * (1 - _likely(COPY_STEEPNESS * (scores - COPY)))
    return likely


def _likely(logits: Floats) -> Floats:
    likely: Floats = 0.5 * (1 + np.tanh(logits / 2))
    return likely


def features(part: Part, vectors: Vectors, usual: Statistics) -> Floats | None:
    """(n, 4) of each picture: its score with the query, in deviations from what is usual; the same,
    from the scores that this picture has with others; mean and deviation of the query's scores.

    None where that says nothing: with fewer than 2 pictures, or none that differ to the model.
    """
    if len(usual.sample) < 2:
        return None
    others = usual.neutral if part.kind == "text" else usual.sample
    mean, deviation = usual.of_texts if part.kind == "text" else usual.of_images
    own = np.concatenate(
        [vectors[row : row + _ROWS] @ others.T for row in range(0, max(len(vectors), 1), _ROWS)]
    )
    if deviation < _FLAT:
        return None
    scores, of_query = vectors @ part.vector, usual.sample @ part.vector
    found: Floats = np.stack(
        [
            (scores - mean) / deviation,
            (scores - own.mean(axis=1)) / np.maximum(own.std(axis=1), deviation / 4),
            np.full(len(vectors), (of_query.mean() - mean) / deviation),
            np.full(len(vectors), of_query.std() / deviation),
        ],
        axis=1,
    ).astype(np.float64)
    return found
