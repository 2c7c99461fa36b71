"""Vectors in LanceDB: the contract on real tables, and what only files can do to us."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, get_args

import lancedb
import numpy as np
import pytest

pytest.register_assert_rewrite("tests.store_contract", "tests.store_in_use")

from tests.conftest import Paint  # noqa: E402
from tests.store_contract import (  # noqa: E402
    SPACE,
    OpenStore,
    StoreContract,
    assert_same_hits,
    axis,
    hit_ids,
    units,
    where,
)
from tests.store_in_use import (  # noqa: E402
    assert_a_library_works,
    assert_a_switch_works,
    make_wide_known,
)

import pixseek  # noqa: E402  # after the lines above
from pixseek import ImageSearchEngine  # noqa: E402
from pixseek.errors import (  # noqa: E402
    InvalidStoreAddress,
    LibraryNotFound,
    StoreMismatch,
    StoreUnavailable,
)
from pixseek.records import Item, Metadata  # noqa: E402
from pixseek.stores import lancedb as module  # noqa: E402
from pixseek.stores import retrying  # noqa: E402
from pixseek.stores.address import Metric  # noqa: E402
from pixseek.stores.lancedb import LanceStore  # noqa: E402
from pixseek.stores.memory import MemoryStore  # noqa: E402


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"lancedb:{tmp_path / 'lance'}"


class TestLance(StoreContract):
    # Which of equals the engine gives when it gives the k nearest is its own affair.
    orders_ties = False

    @pytest.fixture
    def open_store(self, url: str) -> OpenStore:
        return lambda space: LanceStore.open(url, space)


def filled(store: LanceStore, n: int) -> tuple[list[Item], MemoryStore]:
    items = [
        Item(f"{i:04}", vector, {"n": i, "odd": bool(i % 2)})
        for i, vector in enumerate(units(7, n, store.space.dimensions))
    ]
    store.add(items)
    oracle = MemoryStore(store.space)
    oracle.add(items)
    return items, oracle


def pieces(url: str) -> int:
    """Files of rows that the table has now."""
    stats: Any = lancedb.connect(url.partition(":")[2]).open_table("pixseek").stats()
    return int(stats["fragment_stats"]["num_fragments"])


@pytest.mark.parametrize("indexed", [False, True])
@pytest.mark.parametrize("metric", get_args(Metric))
def test_scores_are_cosines_whatever_the_engine_measures(
    url: str, monkeypatch: pytest.MonkeyPatch, metric: Metric, indexed: bool
) -> None:
    if indexed:
        monkeypatch.setattr(module, "EXACT_BELOW", 50)
        monkeypatch.setattr(module, "PIECES", 0)
        monkeypatch.setattr(module, "ROWS_A_PIECE", 10_000)
    store = LanceStore.open(f"{url}?metric={metric}", SPACE)
    _, oracle = filled(store, 300)
    assert len(list(store._table.list_indices())) == (3 if indexed else 0)
    for query in units(8, 4, SPACE.dimensions):
        for filter in (None, where({"odd": True}), where({"n": {"$lt": 60}}), where({"n": 7})):
            for k, offset, least in ((10, 0, None), (10, 25, None), (300, 0, 0.2), (300, 0, None)):
                found, expected = (
                    one.search(query, k, where=filter, offset=offset, min_score=least)
                    for one in (store, oracle)
                )
                assert_same_hits(found, expected, oracle)
    with pytest.raises(StoreMismatch, match="was asked for"):
        LanceStore.open(f"{url}?metric={'l2' if metric == 'ip' else 'ip'}", None)


def test_what_is_written_after_the_index_was_made_is_found_too(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EXACT_BELOW", 50)
    monkeypatch.setattr(module, "PIECES", 1)
    store = LanceStore.open(url, SPACE)
    items, _ = filled(store, 300)
    store.add([Item("other", axis(1), {})])
    store.add([Item("new", axis(0), {"odd": True})])
    assert hit_ids(store.search(axis(0), 1)) == ["new"]
    store.update_metadata({"new": {"odd": False}})
    store.delete(["0007"])
    assert "0007" not in hit_ids(store.search(items[7].vector, 300))
    assert "new" not in hit_ids(store.search(axis(0), 300, where=where({"odd": True})))
    assert store.count(where({"odd": False})) == 151


def test_many_small_writes_are_joined(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIECES", 5)
    store = LanceStore.open(url, SPACE)
    for i, vector in enumerate(units(1, 30, SPACE.dimensions)):
        store.add([Item(f"{i}", vector, {})])
        assert pieces(url) <= 6
    assert store.count() == 30


def test_other_programs_see_a_table_they_can_read(url: str) -> None:
    metadata: Metadata = {"path": ["a/é.jpg"], "year": 2019, "caption": "a dog", "name": "\udcff"}
    LanceStore.open(url, SPACE).add([Item("one", axis(0), metadata)])
    (row,) = lancedb.connect(url.partition(":")[2]).open_table("pixseek").to_arrow().to_pylist()
    assert (row["id"], row["text"], row["vector"]) == ("one", "a dog", axis(0).tolist())
    seen = {field: value for field, value in row["metadata"].items() if value is not None}
    assert seen == {"path": "a/é.jpg", "year": 2019, "caption": "a dog"}


@pytest.mark.parametrize("collection", ["A%20b", "%C3%A9", "x" * 300, "..", "a/../b", "%25s"])
def test_a_collection_may_have_any_name(url: str, collection: str) -> None:
    store = LanceStore.open(f"{url}?collection={collection}", SPACE)
    filled(store, 3)
    other = LanceStore.open(f"{url}?collection={collection}", None)
    assert other.count() == 3
    with pytest.raises(LibraryNotFound):
        LanceStore.open(url, None)
    store.drop()
    assert (other.count(), other.search(axis(0), 3), list(other.ids())) == (0, [], [])


def test_a_table_of_another_program_is_left_alone(url: str) -> None:
    database = lancedb.connect(url.partition(":")[2])
    database.create_table("pixseek", [{"note": "mine"}])
    with pytest.raises(StoreUnavailable, match="made by another program; name another collection"):
        LanceStore.open(url, SPACE)
    assert database.open_table("pixseek").count_rows() == 1


@pytest.mark.parametrize("rest", ["", "?collection=x", ":./x?region=eu", ":./x?api_key=abc"])
def test_a_url_without_a_place_or_with_options_of_others_is_refused(rest: str) -> None:
    with pytest.raises(InvalidStoreAddress, match="expected lancedb:FOLDER") as caught:
        LanceStore.open(f"lancedb{rest}", SPACE)
    assert "abc" not in str(caught.value)


def test_two_that_make_one_store_at_once_both_have_it(url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: LanceStore.open(url, SPACE), range(4)))
    stores[0].add([Item("a", axis(0), {})])
    assert [store.count() for store in stores] == [1, 1, 1, 1]


def test_looking_for_a_store_does_not_make_one(url: str, tmp_path: Path) -> None:
    with pytest.raises(LibraryNotFound, match="there is no library at"):
        LanceStore.open(url, None)
    assert list(tmp_path.iterdir()) == []


def test_a_library_works_on_it_from_its_making_to_another_model(
    tmp_path: Path, url: str, photos: Path, paint: Paint, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_a_library_works(url, tmp_path / "library", photos, paint)
    make_wide_known(monkeypatch)
    assert_a_switch_works(tmp_path / "library")
    with ImageSearchEngine(tmp_path / "library") as engine:
        engine.switch_model("wide")
    (table,) = lancedb.connect(url.partition(":")[2]).list_tables().tables
    assert table.startswith("pixseek--wide-")


# What files and other processes can do to us

WRITER = """
import sys
import numpy as np
from pixseek.records import Item, Space
from pixseek.stores.lancedb import LanceStore
store = LanceStore.open(sys.argv[1], Space("painter", "f1", 8))
for number in range(100_000):
    vector = np.zeros(8, np.float32)
    vector[number % 8] = 1
    store.add([Item(f"{number}-{i}", vector, {"n": number}) for i in range(3)])
    print(number, flush=True)
"""


def test_a_writer_killed_in_the_middle_has_lost_nothing_it_acknowledged(url: str) -> None:
    source = str(Path(pixseek.__file__).parent.parent)
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, url],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": source},
    ) as writer:
        assert writer.stdout is not None
        acknowledged = 0
        while acknowledged < 30:
            acknowledged = int(writer.stdout.readline())
        seen = LanceStore.open(url, None)
        assert seen.count() >= 3 * acknowledged
        writer.kill()
        rest = writer.stdout.read().split()
    acknowledged = int(rest[-1]) if rest else acknowledged
    for store in (seen, LanceStore.open(url, SPACE)):
        ids = set(store.ids())
        assert {f"{number}-{i}" for number in range(acknowledged + 1) for i in range(3)} <= ids
        assert len(ids) % 3 == 0
    seen.add([Item("after", axis(0), {})])
    assert seen.count() == len(ids) + 1


def _unreadable(folder: Path) -> None:
    for file in (folder / "pixseek.lance" / "data").iterdir():
        file.write_bytes(b"no table")


def _emptied(folder: Path) -> None:
    shutil.rmtree(folder / "pixseek.lance" / "data")


@pytest.mark.parametrize("damage", [_unreadable, _emptied])
def test_no_error_of_the_engine_comes_through(
    url: str, damage: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "FIRST_PAUSE_S", 0.01)
    filled(LanceStore.open(url, SPACE), 10)
    damage(Path(url.partition(":")[2]))
    store = LanceStore.open(url, None)
    for call in (
        lambda: store.search(axis(0), 3),
        lambda: store.fetch(["0001"]),
        lambda: list(store.ids()),
        lambda: store.count(where({"odd": True})),
        lambda: store.add([Item("0001", axis(0), {})]),
    ):
        with pytest.raises(StoreUnavailable, match="cannot be used"):
            call()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        LanceStore.open(f"lancedb:{tmp_path}/file/lance", SPACE)


def test_a_conflict_with_another_writer_is_tried_again(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "FIRST_PAUSE_S", 0.01)
    store = LanceStore.open(url, SPACE)
    left = [OSError("Commit conflict for version 3"), RuntimeError("Retryable commit conflict")]

    def call() -> str:
        if left:
            raise left.pop()
        return "done"

    assert store._ask(call) == "done"


def test_another_process_sees_what_was_written_at_its_next_call(url: str) -> None:
    store, other = LanceStore.open(url, SPACE), LanceStore.open(url, None)
    assert other.count() == 0
    items, _ = filled(store, 5)
    assert np.array_equal(other.fetch(["0002"])[0].vector, items[2].vector)
    assert hit_ids(other.search(items[2].vector, 1)) == ["0002"]
