"""Maximal marginal relevance: near to the query, and unlike what has been chosen already."""

from __future__ import annotations

import numpy as np

from pixseek.records import Vector, Vectors


def most_diverse(query: Vector, vectors: Vectors, k: int, lambda_mult: float) -> list[int]:
    """Rows of `vectors` (n, d) in the order in which they are chosen, at most k.

    The nearest comes first; each further one has the most of lambda_mult times its score, less
    (1 - lambda_mult) times its likeness to the nearest one chosen. lambda_mult: 1 asks for
    nearness only, 0 for diversity. Source: Carbonell and Goldstein 1998, MMR.
    """
    scores = vectors @ query
    likeness = np.full(len(vectors), -np.inf)
    worth = scores.astype(np.float64)
    chosen: list[int] = []
    while len(chosen) < min(k, len(vectors)):
        worth[chosen] = -np.inf
        best = int(np.argmax(worth))
        chosen.append(best)
        likeness = np.maximum(likeness, vectors @ vectors[best])
        worth = lambda_mult * scores - (1 - lambda_mult) * likeness
    return chosen
