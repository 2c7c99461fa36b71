"""What scores are usual in a library: a sample of its pictures, and texts that say nothing of them.

Both are vectors, so that for any query the scores of the sample are one product away, and for any
picture the scores of the neutral texts.
"""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np

from pixseek.encoders import Encoder
from pixseek.records import Vectors
from pixseek.stores import Store

PICTURES = 512
"""In the sample. The mean of a query's scores is then within 0.04 of their standard deviation."""
LOOKED_AT = 1 << 17
"""Ids that are listed at most to choose the sample from."""
GROWTH = 1.5
"""Times as many pictures, or so many times fewer, before another sample is taken."""
_NEUTRAL = Path(__file__).parent / "neutral.txt"


@dataclass(frozen=True)
class Statistics:
    """Of one set of vectors."""

    items: int
    """In the store when the sample was taken."""
    sample: Vectors
    """(n, d), n at most 512."""
    neutral: Vectors
    """(m, d) of the neutral texts."""

    @cached_property
    def of_texts(self) -> tuple[float, float]:
        """Mean and standard deviation of the scores of neutral texts and sampled pictures."""
        scores = self.neutral @ self.sample.T
        return float(scores.mean()), float(scores.std())

    @cached_property
    def of_images(self) -> tuple[float, float]:
        """Mean and standard deviation of the scores of sampled pictures with one another."""
        scores = (self.sample @ self.sample.T)[np.triu_indices(len(self.sample), 1)]
        return float(scores.mean()), float(scores.std())

    def fits(self, items: int) -> bool:
        """Whether it still says enough of a store that has so many items now."""
        return self.items <= items * GROWTH and items <= self.items * GROWTH

    def to_bytes(self) -> bytes:
        """All of it, in half precision: what it is used for needs no more."""
        file = io.BytesIO()
        halves = self.sample.astype(np.float16), self.neutral.astype(np.float16)
        np.savez(file, items=self.items, sample=halves[0], neutral=halves[1])
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Statistics:
        """Raises ValueError, OSError or KeyError when these are not what `to_bytes` gave."""
        with np.load(io.BytesIO(content)) as file:
            sample, neutral = (file[name].astype(np.float32) for name in ("sample", "neutral"))
            return cls(int(file["items"]), sample, neutral)


def taken(store: Store, encoder: Encoder, before: Statistics | None = None) -> Statistics:
    """The statistics of a store as it is now.

    before: those that were taken earlier with the same model; neutral texts are not encoded again.
    """
    ids = list(islice(store.ids(), LOOKED_AT))
    chosen = random.Random(len(ids)).sample(sorted(ids), min(PICTURES, len(ids)))
    vectors = [item.vector for item in store.fetch(chosen)]
    sample = np.stack(vectors) if vectors else np.empty((0, encoder.space.dimensions), np.float32)
    neutral = neutral_vectors(encoder) if before is None else before.neutral
    return Statistics(store.count(), sample, neutral)


def neutral_vectors(encoder: Encoder) -> Vectors:
    """(m, d) of the texts that say nothing of a picture."""
    return encoder.encode_texts(neutral_texts())


def neutral_texts() -> Sequence[str]:
    lines = _NEUTRAL.read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]
