"""Answers that differ: pictures alike become one, or are put off for others.

Two pictures are alike when their vectors are nearly the same (a copy in another size, quality or
crop), or when they were taken one right after the other and look much the same (a burst).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pixseek.records import Hit, Vector, Vectors

COPY = 0.92
"""Cosine of two pictures from which on they are one (bench/matching.py: `alike`)."""
BURST = 0.75
"""The same for pictures of one burst."""
BURST_S = 10
"""Most seconds between two pictures of a burst."""


def most_diverse(query: Vector, vectors: Vectors, k: int, lambda_mult: float) -> list[int]:
    """Rows of `vectors` (n, d) in the order in which they are chosen, at most k.

    See `by_relevance`; here a row's worth is its cosine with the query.
    """
    return by_relevance(vectors @ query, vectors, k, lambda_mult)


def by_relevance(worth: Vector, vectors: Vectors, k: int, lambda_mult: float) -> list[int]:
    """Rows of `vectors` (n, d) in the order in which they are chosen, at most k.

    The one of most worth (n,) comes first; each further one has the most of lambda_mult times its
    worth, less (1 - lambda_mult) times its likeness to the nearest one chosen. lambda_mult: 1 asks
    for worth only, 0 for diversity. Source: Carbonell and Goldstein 1998, MMR.
    """
    import numpy as np

    likeness = np.full(len(vectors), -np.inf)
    left = worth.astype(np.float64)
    chosen: list[int] = []
    while len(chosen) < min(k, len(vectors)):
        left[chosen] = -np.inf
        best = int(np.argmax(left))
        chosen.append(best)
        likeness = np.maximum(likeness, vectors @ vectors[best])
        left = lambda_mult * worth - (1 - lambda_mult) * likeness
    return chosen


def collapsed(hits: Sequence[Hit], vectors: Vectors) -> list[Hit]:
    """One hit for pictures that are alike: the first of them, with how many others there are.

    vectors: (n, d), a row a hit. The order stays. What a hit stands for is decided by the hits
    before it alone, so more hits behind these only raise `similar`.
    """
    import numpy as np

    kept: list[int] = []
    similar: dict[int, int] = {}
    for row, hit in enumerate(hits):
        likeness = vectors[kept] @ vectors[row]
        for place in np.flatnonzero(likeness >= BURST).tolist():
            first = kept[place]
            if likeness[place] >= COPY or _of_one_burst(hits[first], hit):
                similar[first] += 1
                break
        else:
            kept.append(row)
            similar[row] = 0
    return [replace(hits[row], similar=similar[row]) for row in kept]


def _of_one_burst(one: Hit, other: Hit) -> bool:
    """Whether both were taken within seconds, by cameras of one model."""
    times = one.metadata.get("taken"), other.metadata.get("taken")
    if not all(isinstance(time, int | float) for time in times):
        return False
    apart = abs(float(times[0]) - float(times[1]))  # type: ignore[arg-type]  # numbers, as seen
    models = one.metadata.get("camera_model"), other.metadata.get("camera_model")
    return apart <= BURST_S and models[0] == models[1]
