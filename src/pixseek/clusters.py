"""A library in groups of pictures that show much the same, with words for each.

Spherical k-means (Dhillon and Modha 2001) with seeded k-means++ (Arthur and Vassilvitskii 2007,
greedy): the same library gives the same groups. Words are the labels that a group's middle fits
best, compared with what all of the library has in common.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pixseek.encoders import Encoder
from pixseek.engine import ImageSearchEngine
from pixseek.errors import InvalidQuery
from pixseek.moments import content_of
from pixseek.records import Item, Vector, Vectors, Where
from pixseek.words.labels import Labeller, read_labels

MOST = 50
"""Groups, where their number is not given."""
ROUNDS = 50
SEED = 11
DRAWN = 8
"""Vectors that each further seed is chosen from."""
EQUAL = 1e-6
LABELS = 3
_ITEMS_AT_ONCE = 1000
_ROWS_AT_ONCE = 8192


@dataclass(frozen=True, slots=True)
class Cluster:
    """Pictures that show much the same."""

    labels: list[str]
    """What they have that others have less, best first; at most `LABELS`."""
    size: int
    """Pictures in it."""
    middle: str
    """Id of the picture nearest the middle."""
    path: Path
    """A file of that picture."""
    tightness: float
    """Mean cosine of its pictures with the middle, -1 to 1."""
    ids: list[str]
    """Of all its pictures, those nearest the middle first."""

    @property
    def name(self) -> str:
        """The first two labels."""
        return ", ".join(self.labels[:2])


def clusters(
    engine: ImageSearchEngine,
    k: int | None = None,
    *,
    where: Where | None = None,
    labels: Iterable[str] | None = None,
) -> list[Cluster]:
    """The pictures of a library in k groups, the largest first; every picture is in one.

    k: at most so many groups; None takes the root of half the pictures, at most `MOST`.
    where: only pictures that pass a filter. labels: to name groups by; None takes the built-in
    list. Of films and files of pages the first picture counts. No pictures give [].
    Raises InvalidQuery for k below 1; what reading a library and its model raises.
    """
    if k is not None and k < 1:
        raise InvalidQuery(f"there cannot be {k} groups; expected 1 or more.")
    items = _items(engine, where)
    if not items:
        return []
    vectors: Vectors = np.stack([item.vector for item in items])
    wanted = k or max(1, min(MOST, round((len(items) / 2) ** 0.5)))
    middles, owners = partition(vectors, wanted)
    names = _names(engine.encoder, middles, vectors.mean(axis=0), labels)
    found = [
        _cluster(engine, items, vectors, np.flatnonzero(owners == number), middle, said)
        for number, (middle, said) in enumerate(zip(middles, names, strict=True))
    ]
    return sorted(found, key=lambda one: (-one.size, one.middle))


def partition(vectors: Vectors, k: int, *, seed: int = SEED) -> tuple[Vectors, NDArray[np.int64]]:
    """Put n vectors into at most k groups: (middles (k, d), owners (n,)).

    vectors: (n, d), n at least 1. No group is empty: equal vectors give fewer groups.
    """
    middles = _seeds(vectors, k, np.random.default_rng(seed))
    owners = np.full(len(vectors), -1, np.int64)
    for _ in range(ROUNDS):
        nearest = _nearest(vectors, middles)
        if (nearest == owners).all():
            break
        kept, owners = np.unique(nearest, return_inverse=True)
        order = np.argsort(owners, kind="stable")
        starts = np.searchsorted(owners[order], np.arange(len(kept)))
        middles = _unit(np.add.reduceat(vectors[order], starts, dtype=np.float64))
    kept, owners = np.unique(_nearest(vectors, middles), return_inverse=True)
    return middles[kept], owners.astype(np.int64)


def _seeds(vectors: Vectors, k: int, random: np.random.Generator) -> Vectors:
    """k of the vectors, each the best of some that are drawn, the likelier the farther away."""
    chosen = [int(random.integers(len(vectors)))]
    distance = _apart(vectors, chosen)[:, 0]
    while len(chosen) < min(k, len(vectors)) and distance.any():
        drawn = random.choice(len(vectors), DRAWN, p=distance / distance.sum()).tolist()
        left = np.minimum(distance[:, None], _apart(vectors, drawn))
        best = int(left.sum(axis=0).argmin())
        chosen.append(drawn[best])
        distance = left[:, best]
    return vectors[chosen]


def _apart(vectors: Vectors, rows: Sequence[int]) -> NDArray[np.float64]:
    """(n, rows): 1 less the cosine, 0 for what is equal."""
    apart = 1 - (vectors @ vectors[list(rows)].T).astype(np.float64)
    return np.where(apart < EQUAL, 0, apart)


def _nearest(vectors: Vectors, middles: Vectors) -> NDArray[np.int64]:
    parts = range(0, len(vectors), _ROWS_AT_ONCE)
    return np.concatenate(
        [(vectors[at : at + _ROWS_AT_ONCE] @ middles.T).argmax(axis=1) for at in parts]
    )


def _unit(rows: NDArray[np.float64]) -> Vectors:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Vectors = (rows / np.maximum(lengths, 1e-9)).astype(np.float32)
    return unit


def _names(
    encoder: Encoder, middles: Vectors, mean: Vector, labels: Iterable[str] | None
) -> list[list[str]]:
    """The labels of each group: those that its middle is nearer to than the mean picture is."""
    # The scale orders nothing.
    chosen = Labeller(encoder, read_labels() if labels is None else labels, logit_scale=1.0)
    gain = (middles - mean[None] if len(middles) > 1 else middles) @ chosen.vectors.T
    best = np.argsort(-gain, axis=1, kind="stable")[:, :LABELS]
    return [[chosen.labels[column] for column in row] for row in best]


def _cluster(
    engine: ImageSearchEngine,
    items: Sequence[Item],
    vectors: Vectors,
    rows: NDArray[np.int64],
    middle: Vector,
    labels: list[str],
) -> Cluster:
    cosines = vectors[rows] @ middle
    order = np.argsort(-cosines, kind="stable")
    ids = [items[row].id for row in rows[order].tolist()]
    files = engine.items.files(ids[0])
    path = files[0] if files else Path()
    return Cluster(labels, len(ids), ids[0], path, round(float(cosines.mean()), 4), ids)


def _items(engine: ImageSearchEngine, where: Where | None) -> list[Item]:
    ids = sorted(id for id in engine.items.ids(where) if content_of(id) == id)
    starts = range(0, len(ids), _ITEMS_AT_ONCE)
    return [item for at in starts for item in engine.items.fetch(ids[at : at + _ITEMS_AT_ONCE])]
