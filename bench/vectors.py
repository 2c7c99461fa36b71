"""Made vectors that are as hard to search as those of real text-image models."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from pixseek.records import Vectors

DIMENSIONS = 512
CLUSTERS = 2000
SEED = 20240607
_ROWS_AT_ONCE = 50_000


@dataclass(frozen=True, slots=True)
class Made:
    """Vectors, and queries of both kinds."""

    images: Vectors
    like_images: Vectors
    """Queries from where the images are: new pictures of known clusters."""
    like_texts: Vectors
    """Queries that lie apart from all images, as texts do in models of the CLIP family (Liang et
    al. 2022, "Mind the gap"): nearly the same distance to everything."""

    def hash(self) -> str:
        digest = sha256()
        for part in (self.images, self.like_images, self.like_texts):
            digest.update(part.tobytes())
        return digest.hexdigest()


def make(n: int, queries: int, seed: int = SEED) -> Made:
    """n unit vectors in clusters with noise, and `queries` queries of each kind."""
    random = np.random.default_rng(seed)
    gap = random.standard_normal((2, DIMENSIONS), np.float32)
    gap /= np.linalg.norm(gap, axis=1, keepdims=True)
    centres = random.standard_normal((CLUSTERS, DIMENSIONS), np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)

    def near(count: int, apart: NDArray[np.float32], pull: float) -> Vectors:
        made = np.empty((count, DIMENSIONS), np.float32)
        for start in range(0, count, _ROWS_AT_ONCE):
            rows = made[start : start + _ROWS_AT_ONCE]
            noise = random.standard_normal(rows.shape, np.float32) / np.sqrt(DIMENSIONS)
            rows[:] = apart + pull * centres[random.integers(0, CLUSTERS, len(rows))] + 0.7 * noise
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return made

    return Made(near(n, gap[0], 0.8), near(queries, gap[0], 0.8), near(queries, gap[1], 0.5))
