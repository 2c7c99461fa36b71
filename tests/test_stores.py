"""The stores of the package: the contract, and what only the local file promises."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.register_assert_rewrite("tests.store_contract")

from tests.store_contract import (  # noqa: E402
    SPACE,
    OpenStore,
    StoreContract,
    axis,
    hit_ids,
    unit,
    units,
    where,
)

import pixseek  # noqa: E402  # after the line above
from pixseek import database  # noqa: E402
from pixseek.errors import (  # noqa: E402
    LibraryDamaged,
    LibraryNotFound,
    LibraryTooNew,
    MissingExtra,
    ModelMismatch,
    PixseekError,
    UnknownStore,
)
from pixseek.records import Item, Metadata, Space, Vector, Vectors  # noqa: E402
from pixseek.stores import STORES, Entry, open_store, store_class  # noqa: E402
from pixseek.stores.local import LocalStore, quantize  # noqa: E402
from pixseek.stores.memory import MemoryStore  # noqa: E402


class TestMemory(StoreContract):
    persists: ClassVar[bool] = False

    @pytest.fixture
    def open_store(self) -> OpenStore:
        return lambda space: MemoryStore.open("here", space)


class TestLocal(StoreContract):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> Iterator[OpenStore]:
        opened: list[LocalStore] = []

        def opener(space: Space | None) -> LocalStore:
            opened.append(LocalStore.open(str(tmp_path / "libräry 'x'"), space))
            return opened[-1]

        yield opener
        for store in opened:
            store.close()


# The local store's answer is that of a float32 scan

SHAPES = {"tiny": 2, "palette": 11, "small": 384, "pocket": 512}


def _normed(rows: Vectors) -> Vectors:
    normed: Vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return normed


def _clusters(rng: np.random.Generator, n: int, d: int) -> tuple[Vectors, Vectors]:
    """Pictures in 20 clusters inside one cone, and queries in a cone apart, as texts are."""
    pictures_at, texts_at = rng.standard_normal((2, d))
    centres = pictures_at + 0.6 * rng.standard_normal((20, d))
    pictures = centres[rng.integers(0, 20, n)] + 0.3 * rng.standard_normal((n, d))
    texts = texts_at + 0.3 * pictures[:6] + 0.3 * rng.standard_normal((6, d))
    return _normed(pictures), _normed(texts)


def _near_duplicates(rng: np.random.Generator, n: int, d: int) -> tuple[Vectors, Vectors]:
    """One picture n times, each time a little changed: less than the codes can tell apart."""
    picture = _normed(rng.standard_normal((1, d)).astype(np.float32))
    noise = _normed(rng.standard_normal((n, d)).astype(np.float32))
    queries = np.concatenate([picture, -picture, rng.standard_normal((4, d))])
    return _normed(picture + np.float32(2e-3) * noise), _normed(queries)


def _scan_agrees(
    store: LocalStore, vectors: Vectors, query: Vector, k: int, share: float = 1, offset: int = 0
) -> None:
    """The first k of the first `share` of rows, by id, are those of a float32 scan.

    Rows whose scores differ by less than float32 rounding may stand for each other.
    """
    passing = int(len(vectors) * share)
    filter = None if share == 1 else where({"n": {"$lt": passing}})
    hits = store.search(query, k, where=filter, offset=offset)
    scores = vectors[:passing] @ query
    expected = np.sort(scores)[::-1][offset : offset + k]
    assert len(hits) == len(expected) == len(set(hit_ids(hits)))
    rounding = 5e-7
    np.testing.assert_allclose([hit.score for hit in hits], expected, atol=rounding, rtol=0)
    rows = [int(hit.id) for hit in hits]
    assert all(row < passing for row in rows)
    np.testing.assert_allclose(scores[rows], expected, atol=rounding, rtol=0)


@pytest.fixture(scope="module", params=list(SHAPES.values()), ids=list(SHAPES))
def shape(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module", params=[_clusters, _near_duplicates], ids=["clusters", "copies"])
def filled(
    request: pytest.FixtureRequest, shape: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[LocalStore, Vectors, Vectors]]:
    """3000 items and six queries; item i has the id "i" and {"n": i}."""
    vectors, queries = request.param(np.random.default_rng(shape), 3000, shape)
    folder = tmp_path_factory.mktemp("filled")
    store = LocalStore.open(str(folder), Space("m", "f", shape))
    store.add([Item(f"{i}", vector, {"n": i}) for i, vector in enumerate(vectors)])
    yield store, vectors, queries
    store.close()


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 1])
def test_the_local_store_finds_what_a_float32_scan_finds(
    filled: tuple[LocalStore, Vectors, Vectors], share: float
) -> None:
    store, vectors, queries = filled
    for query in queries:
        for k, offset in ((1, 0), (10, 7), (300, 0)):
            _scan_agrees(store, vectors, query, k, share, offset)


def test_a_least_score_keeps_all_that_a_float32_scan_keeps(
    filled: tuple[LocalStore, Vectors, Vectors],
) -> None:
    store, vectors, queries = filled
    for query in queries:
        scores = vectors @ query
        for rank in (1, 10, 1000):
            least = float(np.sort(scores)[-rank])
            found = {int(hit.id) for hit in store.search(query, 3000, min_score=least)}
            assert set(np.flatnonzero(scores > least + 5e-7).tolist()) <= found
            assert found <= set(np.flatnonzero(scores > least - 5e-7).tolist())


@pytest.mark.parametrize("length", [1e-3, 0.5, 30, 1e4])
def test_a_query_of_another_length_scales_the_scores(tmp_path: Path, length: float) -> None:
    vectors, (query,) = units(1, 600, 11), units(2, 1, 11)
    store = LocalStore.open(str(tmp_path), Space("m", "f", 11))
    store.add([Item(f"{i}", vector, {}) for i, vector in enumerate(vectors)])
    hits = store.search(query * np.float32(length), 20)
    expected = np.sort(vectors @ query)[::-1][:20] * length
    np.testing.assert_allclose([hit.score for hit in hits], expected, rtol=1e-5)
    store.close()


_numbers = st.floats(-1, 1, width=32, allow_subnormal=False).filter(lambda x: not 0 < abs(x) < 1e-6)
_rows = st.integers(1, 40).flatmap(
    lambda d: st.lists(
        st.lists(_numbers, min_size=d, max_size=d).filter(any), min_size=2, max_size=6
    )
)
steady = settings(max_examples=120, deadline=None, derandomize=True, database=None)


def _bounds_hold(vectors: Vectors, query: Vector) -> None:
    codes, bounds = quantize(vectors)
    code, query_bounds = quantize(query[np.newaxis])
    assert codes.dtype == np.int8
    assert codes.shape == vectors.shape
    assert bounds.shape == (len(vectors), 2)
    wide, wide_query = vectors.astype(np.float64), query.astype(np.float64)
    scale, error = bounds.T.astype(np.float64)
    query_scale, query_error = query_bounds[0].astype(np.float64)
    assert (np.linalg.norm(wide - codes * scale[:, None], axis=1) <= error + 1e-7).all()
    assert np.linalg.norm(wide_query - code[0] * query_scale) <= query_error + 1e-7
    estimate = (codes.astype(np.int64) @ code[0].astype(np.int64)) * scale * query_scale
    length = np.linalg.norm(wide_query)
    margin = length * error + query_error * (1 + error) + 1e-6 * (1 + length)
    assert (np.abs(wide @ wide_query - estimate) <= margin).all()
    assert np.abs(codes.astype(np.int16)).max() <= 127


@steady
@given(_rows)
def test_no_score_is_further_from_its_estimate_than_the_bound_says(
    rows: list[list[float]],
) -> None:
    vectors = _normed(np.array(rows, np.float32))
    _bounds_hold(vectors[1:], vectors[0])


@pytest.mark.parametrize("d", [2, 11, 384, 512, 1024])
def test_the_bound_holds_where_rounding_is_at_its_worst(d: int) -> None:
    """All but one value half way between two codes, in both directions."""
    for step in (0.5, 1.5, 63.5, 125.5):
        for nudge in (-1e-3, 0, 1e-3):
            row = np.full((2, d), step + nudge, np.float32)
            row[:, 0] = 127
            row[1] *= -1
            vectors = _normed(row)
            _bounds_hold(vectors, vectors[0])
            _bounds_hold(vectors, vectors[1])


@settings(steady, max_examples=20)
@given(_rows)
def test_a_stored_vector_is_found_by_itself(rows: list[list[float]]) -> None:
    vectors = _normed(np.array(rows, np.float32))
    exact = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    with TemporaryDirectory() as folder:
        store = LocalStore.open(folder, Space("m", "f", vectors.shape[1]))
        store.add([Item(f"{i}", vector, {}) for i, vector in enumerate(vectors)])
        for i, vector in enumerate(vectors):
            (hit,) = store.search(vector, 1)
            assert hit.score == pytest.approx(exact[i].max(), abs=1e-6)
            least = float(exact[i].min()) - 1e-6
            assert len(store.search(vector, len(vectors), min_score=least)) == len(vectors)
        store.close()


# Two processes on one folder


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[LocalStore, LocalStore]]:
    """(writer, reader): two stores on one folder that share nothing but the file."""
    writer = LocalStore.open(str(tmp_path), SPACE)
    reader = LocalStore.open(str(tmp_path), None)
    yield writer, reader
    writer.close()
    reader.close()


def test_what_one_process_adds_the_other_finds_at_its_next_search(
    pair: tuple[LocalStore, LocalStore],
) -> None:
    writer, reader = pair
    assert reader.search(axis(0), 5) == []
    for i in range(5):
        writer.add([Item(f"{i}", axis(i), {"n": i})])
        assert hit_ids(reader.search(axis(i), 1)) == [f"{i}"]
        assert reader.count() == i + 1
        assert reader.count(where({"n": {"$lte": i}})) == i + 1
        assert [item.id for item in reader.fetch([f"{i}"])] == [f"{i}"]


def test_what_one_process_deletes_the_other_no_longer_finds(
    pair: tuple[LocalStore, LocalStore],
) -> None:
    writer, reader = pair
    writer.add([Item(f"{i}", axis(i), {"n": i}) for i in range(5)])
    assert len(reader.search(axis(0), 5, where=where({"n": {"$gte": 0}}))) == 5
    writer.delete(["0", "4"])
    assert hit_ids(reader.search(axis(0), 5)) == ["1", "2", "3"]
    assert sorted(reader.ids(where({"n": {"$ne": 1}}))) == ["2", "3"]
    writer.delete(["1", "2", "3"])
    assert reader.search(axis(0), 5) == []
    assert reader.count(where({"n": {"$ne": 1}})) == 0


def test_a_row_used_again_has_nothing_of_what_was_in_it(
    pair: tuple[LocalStore, LocalStore],
) -> None:
    writer, reader = pair
    writer.add([Item("old", axis(0), {"old": True, "f": "x"}), Item("stays", axis(1), {"f": "y"})])
    assert reader.count(where({"f": {"$exists": True}})) == 2
    assert reader.count(where({"old": True})) == 1
    writer.delete(["stays", "old"])
    writer.add([Item("new", axis(2), {"f": "z"})])
    assert reader.search(axis(2), 5)[0].metadata == {"f": "z"}
    assert hit_ids(reader.search(axis(0), 5)) == ["new"]
    assert reader.count(where({"old": True})) == 0
    assert list(reader.ids(where({"f": {"$in": ["x", "y"]}}))) == []
    assert list(reader.ids(where({"f": "z"}))) == ["new"]


def test_columns_in_memory_follow_changes_in_any_block(
    pair: tuple[LocalStore, LocalStore],
) -> None:
    """2000 items are eight blocks; few changed blocks are loaded alone, many all at once."""
    writer, reader = pair
    vectors = units(1, 2000, SPACE.dimensions)
    states: dict[str, Metadata] = {
        f"{i}": {"n": i % 10, "t": f"t{i % 7}", "folder": ["a", f"a/{i % 3}"]} for i in range(2000)
    }
    writer.add([Item(f"{i}", vectors[i], states[f"{i}"]) for i in range(2000)])
    filters = [
        where({"n": 3}),
        where({"t": "t3"}),
        where({"n": {"$ne": 3}, "t": {"$in": ["t1", "new"]}}),
        where({"extra": {"$exists": False}}),
        where({"folder": {"$in": ["a/1", "a/2"]}}),
        where({"$or": [{"folder": "a/0"}, {"n": 3}]}),
    ]

    def agree() -> None:
        for filter in filters:
            expected = MemoryStore(SPACE)
            expected.add([Item(id, vectors[int(id)], state) for id, state in states.items()])
            assert set(reader.ids(filter)) == set(expected.ids(filter))
            found = reader.search(vectors[0], 20, where=filter)
            assert hit_ids(found) == hit_ids(expected.search(vectors[0], 20, where=filter))

    agree()
    for changed in (["5"], ["300", "301"], ["1999"], ["0", "1500"], [f"{i}" for i in range(1200)]):
        states.update({id: {"n": 3, "t": "new", "extra": 1} for id in changed})
        writer.update_metadata({id: states[id] for id in changed})
        agree()
    for gone in (["7"], ["1998", "1999"], [f"{i}" for i in range(600, 900)]):
        writer.delete(gone)
        for id in gone:
            del states[id]
        agree()
    states |= {f"{i}": {"n": 3} for i in range(700, 720)}
    writer.add([Item(f"{i}", vectors[i], states[f"{i}"]) for i in range(700, 720)])
    agree()


def test_the_same_filter_asked_again_is_answered_for_what_is_there_now(
    pair: tuple[LocalStore, LocalStore],
) -> None:
    """Also where filters read alike: 1 and 1.0 are equal, true is not."""
    writer, reader = pair
    writer.add([Item("one", axis(0), {"a": 1}), Item("true", axis(1), {"a": True})])
    for _ in range(2):
        assert list(reader.ids(where({"a": 1}))) == ["one"]
        assert list(reader.ids(where({"a": True}))) == ["true"]
        assert list(reader.ids(where({"a": 1.0}))) == ["one"]
        assert list(reader.ids(where({"$not": {"a": 1}}))) == ["true"]
    writer.update_metadata({"one": {"a": True}, "true": {"a": 1}})
    assert list(reader.ids(where({"a": 1}))) == ["true"]
    assert list(reader.ids(where({"a": True}))) == ["one"]


_WRITER = """
import sys
import numpy as np
from pixseek.records import Item, Space
from pixseek.stores.local import LocalStore

def item(i, turn):
    vector = np.random.default_rng(i).standard_normal(16).astype(np.float32)
    vector /= np.linalg.norm(vector)
    return Item(f"{i}", vector, {"owner": f"{i}", "even": i % 2 == 0, "turn": turn})

store = LocalStore.open(sys.argv[1], Space("m", "f", 16))
print("ready", flush=True)
sys.stdin.readline()
rng = np.random.default_rng(0)
for turn in range(1, 61):
    some = rng.choice(600, 90, replace=False).tolist()
    store.delete(f"{i}" for i in some[:30])
    store.add([item(i, turn) for i in some[30:60]])
    store.update_metadata({f"{i}": item(i, turn).metadata for i in some[60:]})
store.add([item(1000, 1000)])
store.close()
"""


def test_a_second_process_writes_while_this_one_searches(tmp_path: Path) -> None:
    vectors = np.stack(
        [np.random.default_rng(i).standard_normal(16).astype(np.float32) for i in range(1001)]
    )
    vectors = _normed(vectors)
    store = LocalStore.open(str(tmp_path), Space("m", "f", 16))
    store.add(
        [
            Item(f"{i}", vectors[i], {"owner": f"{i}", "even": i % 2 == 0, "turn": 0})
            for i in range(0, 600, 2)
        ]
    )
    environment = os.environ | {"PYTHONPATH": str(Path(pixseek.__file__).parent.parent)}
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        writer.stdin.write("go\n")
        writer.stdin.flush()
        turns: set[object] = set()
        searches = 0
        while writer.poll() is None:
            query = vectors[searches % 600]
            even = searches % 2 == 0
            filter = where({"even": even}) if searches % 3 else None
            for hit in store.search(query, 15, where=filter):
                assert hit.metadata["owner"] == hit.id
                assert hit.score == pytest.approx(float(vectors[int(hit.id)] @ query), abs=1e-5)
                assert filter is None or hit.metadata["even"] is even
                turns.add(hit.metadata["turn"])
            searches += 1
        _, errors = writer.communicate(timeout=20)
    assert (writer.returncode, errors) == (0, "")
    assert hit_ids(store.search(vectors[1000], 1)) == ["1000"]
    assert set(store.ids(where({"even": {"$in": [True, False]}}))) == set(store.ids())
    assert len(turns) > 3, "the searches did not overlap with the writing"
    store.close()


def test_two_processes_may_make_the_same_library_at_once(tmp_path: Path) -> None:
    script = (
        "import sys; from pixseek.records import Space; "
        "from pixseek.stores.local import LocalStore; print(flush=True); sys.stdin.readline(); "
        "[LocalStore.open(f'{sys.argv[1]}/{i}', Space('m', 'f', 4)).close() for i in range(12)]"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(pixseek.__file__).parent.parent)}
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for _ in range(2)
    ]
    for maker in makers:
        assert maker.stdout is not None
        maker.stdout.readline()
    for maker in makers:
        assert maker.stdin is not None
        maker.stdin.write("go\n")
        maker.stdin.flush()
    for maker in makers:
        _, errors = maker.communicate(timeout=60)
        assert errors == ""


# Files that cannot be used


def test_a_change_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    store = LocalStore.open(str(tmp_path), SPACE)
    store.add([Item("a", axis(0), {"n": 1})])
    assert store.count(where({"n": 1})) == 1
    broken = [Item("a", axis(1), {"n": 2}), Item("b", axis(2), {"n": float("nan")})]
    with pytest.raises((ValueError, PixseekError), match=r"(?i)json|finite"):
        store.add(broken)
    with pytest.raises((ValueError, PixseekError), match=r"(?i)json|finite"):
        store.update_metadata({"a": {"n": float("inf")}})
    assert store.fetch(["a", "b"])[0].metadata == {"n": 1}
    assert store.count(where({"n": 1})) == store.count() == 1
    assert store.search(axis(0), 5)[0].score == pytest.approx(1)
    store.add([Item("b", axis(2), {"n": 2})])
    assert hit_ids(store.search(axis(2), 1)) == ["b"]
    store.close()


def test_looking_for_a_library_does_not_make_one(tmp_path: Path) -> None:
    with pytest.raises(LibraryNotFound, match="there is no library at"):
        LocalStore.open(str(tmp_path / "absent"), None)
    assert not (tmp_path / "absent").exists()


def test_a_library_file_without_vectors_is_not_a_store_yet(tmp_path: Path) -> None:
    database.Database(tmp_path, create=True).close()
    with pytest.raises(LibraryNotFound, match="there is no library at"):
        LocalStore.open(str(tmp_path), None)
    LocalStore.open(str(tmp_path), SPACE).close()
    assert LocalStore.open(str(tmp_path), None).space == SPACE


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE photos (path)", "PRAGMA application_id = 12345"]
)
def test_a_file_of_another_program_is_refused_and_left_alone(
    tmp_path: Path, statement: str
) -> None:
    path = tmp_path / database.FILE_NAME
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()
    before = path.read_bytes()
    for space in (SPACE, None):
        with pytest.raises(LibraryDamaged, match="written by another program") as caught:
            LocalStore.open(str(tmp_path), space)
        assert caught.value.path == str(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"not a database" * 100, b"SQLite format 3\x00" + b"x" * 5000])
def test_a_file_that_is_no_database_is_refused_and_left_alone(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / database.FILE_NAME
    path.write_bytes(content)
    with pytest.raises(LibraryDamaged, match=r"cannot be used: .*index again"):
        LocalStore.open(str(tmp_path), SPACE)
    assert path.read_bytes() == content


def test_a_newer_library_is_refused_with_both_versions(tmp_path: Path) -> None:
    store = LocalStore.open(str(tmp_path), SPACE)
    store.add([Item("a", axis(0), {})])
    store.close()
    newer = database.FORMAT + 6
    connection = sqlite3.connect(tmp_path / database.FILE_NAME)
    connection.execute(f"PRAGMA user_version = {newer}")
    connection.close()
    message = rf"has format {newer}; this pixseek reads formats up to {database.FORMAT}\."
    for space in (SPACE, None):
        with pytest.raises(LibraryTooNew, match=message) as caught:
            LocalStore.open(str(tmp_path), space)
        assert (caught.value.found, caught.value.supported) == (newer, database.FORMAT)
        assert caught.value.path == str(tmp_path)
    connection = sqlite3.connect(tmp_path / database.FILE_NAME)
    assert connection.execute("PRAGMA user_version").fetchone() == (newer,)
    connection.close()


def test_a_mismatch_leaves_the_library_usable(tmp_path: Path) -> None:
    store = LocalStore.open(str(tmp_path), SPACE)
    store.add([Item("a", axis(0), {})])
    with pytest.raises(ModelMismatch, match=r"painter \(8 .*but model sculptor \(512 "):
        LocalStore.open(str(tmp_path), Space("sculptor", "f", 512))
    store.add([Item("b", unit(1, 1), {})])
    assert hit_ids(store.search(axis(0), 5)) == ["a", "b"]
    store.close()


def test_opening_to_search_does_not_wait_for_a_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.05)
    writer = LocalStore.open(str(tmp_path), SPACE)
    writer.add([Item("a", axis(0), {})])
    other = database.Database(tmp_path, create=False)
    with other.writing():
        for space in (None, SPACE):
            reader = LocalStore.open(str(tmp_path), space)
            assert hit_ids(reader.search(axis(0), 5)) == ["a"]
            reader.close()
    other.close()
    writer.close()


# The table of stores


def test_an_unknown_store_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        UnknownStore, match=r"no store is called 'nowhere'.*local, memory"
    ) as caught:
        store_class("nowhere")
    assert caught.value.name == "nowhere"
    assert caught.value.known == tuple(sorted(STORES))


def test_every_entry_of_the_table_without_an_extra_can_be_imported() -> None:
    for name, entry in STORES.items():
        if entry.extra is None:
            assert store_class(name).__name__ == entry.attribute


def test_a_store_whose_needs_are_not_installed_names_its_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(STORES, "fake", Entry("pixseek_absent.store", "FakeStore", "fake-extra"))
    with pytest.raises(
        MissingExtra, match=r"'fake' needs .*pip install 'pixseek\[fake-extra\]'"
    ) as caught:
        store_class("fake")
    assert caught.value.extra == "fake-extra"
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_a_built_in_store_that_does_not_import_is_not_blamed_on_an_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(STORES, "fake", Entry("pixseek_absent.store", "FakeStore"))
    with pytest.raises(ModuleNotFoundError, match="pixseek_absent"):
        store_class("fake")


def test_a_store_of_another_package_is_found_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stranger.py").write_text(
        "from pixseek.stores.memory import MemoryStore\nclass StrangerStore(MemoryStore): pass\n"
    )
    info = tmp_path / "stranger-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pixseek.stores]\nodd = stranger:StrangerStore\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    store = open_store("odd:somewhere", tmp_path, SPACE)
    assert type(store).__name__ == "StrangerStore"
    assert store.space == SPACE


def test_a_store_url_is_a_name_and_a_place(tmp_path: Path) -> None:
    for url, folder in (
        ("local", tmp_path / "library"),
        (f"local:{tmp_path / 'C: else'}", tmp_path / "C: else"),
    ):
        open_store(url, tmp_path / "library", SPACE).close()
        assert (folder / database.FILE_NAME).is_file()
    assert isinstance(open_store("memory", tmp_path, SPACE), MemoryStore)
    with pytest.raises(LibraryNotFound, match="memory:"):
        open_store("memory", tmp_path, None)
