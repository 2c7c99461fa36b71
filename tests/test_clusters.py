"""Pictures that show much the same are put together, always in the same way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pixseek import ImageSearchEngine
from pixseek.clusters import Cluster, clusters, partition
from pixseek.errors import InvalidQuery
from pixseek.records import Vectors

Paint = Callable[..., Path]
COLOURS = ("red", "blue", "green")


@pytest.fixture
def painted(engine: ImageSearchEngine, photos: Path, paint: Paint) -> ImageSearchEngine:
    """Four red pictures, three blue ones, two green ones."""
    for number, colour in enumerate(COLOURS):
        for size in range(4 - number):
            paint(f"{colour}-{size}.png", colour, size=(40 + size, 30))
    engine.index_images(photos)
    return engine


def test_each_group_has_its_size_its_name_and_the_picture_in_the_middle(
    painted: ImageSearchEngine,
) -> None:
    found = clusters(painted, 3, labels=COLOURS)
    assert [(one.size, one.labels[0]) for one in found] == [(4, "red"), (3, "blue"), (2, "green")]
    for one in found:
        assert one.path.name.startswith(one.labels[0])
        assert (one.ids[0], len(one.ids)) == (one.middle, one.size)
        assert one.tightness == pytest.approx(1, abs=1e-3)
        assert one.name == ", ".join(one.labels[:2])
    assert len({id for one in found for id in one.ids}) == 9


def test_the_same_library_gives_the_same_groups(painted: ImageSearchEngine) -> None:
    assert clusters(painted) == clusters(painted)
    assert len(clusters(painted)) == 2  # the root of half of nine


def test_no_pictures_no_groups_and_never_more_groups_than_pictures(
    engine: ImageSearchEngine, photos: Path, paint: Paint
) -> None:
    assert clusters(engine) == []
    paint("red.png", "red")
    paint("blue.png", "blue")
    engine.index_images(photos)
    assert [one.size for one in clusters(engine, 5)] == [1, 1]
    assert [one.size for one in clusters(engine, 5, where={"name": "red.png"})] == [1]
    assert clusters(engine, where={"name": "none.png"}) == []
    with pytest.raises(InvalidQuery):
        clusters(engine, 0)


def test_names_are_of_the_built_in_labels(painted: ImageSearchEngine) -> None:
    (one, *_) = clusters(painted, 3)
    assert isinstance(one, Cluster)
    assert len(one.labels) == 3


def _around(middles: Vectors, each: int, spread: float) -> Vectors:
    random = np.random.default_rng(5)
    middles = np.repeat(middles, each, axis=0)
    rows = middles + random.normal(0, spread, middles.shape)
    unit: Vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def test_vectors_around_some_directions_are_told_apart() -> None:
    vectors = _around(np.eye(8, 32, dtype=np.float32), 50, 0.05)
    middles, owners = partition(vectors, 8)
    assert middles.shape == (8, 32)
    np.testing.assert_allclose(np.linalg.norm(middles, axis=1), 1, atol=1e-6)
    assert [len(set(owners[start : start + 50].tolist())) for start in range(0, 400, 50)] == [1] * 8
    assert len(set(owners.tolist())) == 8


def test_equal_vectors_are_one_group() -> None:
    one = np.zeros((20, 4), np.float32)
    one[:, 0] = 1
    middles, owners = partition(one, 5)
    assert (len(middles), set(owners.tolist())) == (1, {0})
