"""What every store must do: inherit `StoreContract`, give `open_store`, run it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar, Literal, TypeAlias

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pixseek.errors import InvalidVectors, LibraryNotFound, ModelMismatch, UnsupportedFilter
from pixseek.query.nearby import circle
from pixseek.query.whole_words import as_answered
from pixseek.records import Hit, Item, Metadata, Scalar, Space, Value, Vector, Vectors
from pixseek.stores import Store
from pixseek.stores.filters import Compare, Filter, Not, matches, parse
from pixseek.stores.memory import MemoryStore
from pixseek.stores.payload import UNWORDED

OpenStore: TypeAlias = Callable[[Space | None], Store]
"""Opens the store of this test: the same place at each call, fresh in each test."""

SPACE = Space("painter", "f1", 8)
TOLERANCE = 1e-5
"""How far a store's score may be from the one numpy finds in float32."""

TEXTS = {
    "ascii": "photo-1.jpg",
    "accents, composed": "caf\u00e9",
    "accents, decomposed": "cafe\u0301",
    "arabic": "صورة بحر",
    "chinese": "照片",
    "emoji": "👩🏽‍🚀🏳️‍🌈",
    "quotes": "'; DROP TABLE items; -- \"",
    "like signs": "100%_[a]*?",
    "backslashes": "C:\\udc80\\x",
    "newlines": "two\nlines\r\n\tand a tab",
    "nul": "a\x00b",
    "spaces": "  a  ",
    "empty": "",
    "long": "很长 " * 5000,
    "undecodable": b"caf\xe9.jpg".decode("utf-8", "surrogateescape"),
}


def unit(*values: float) -> Vector:
    """These values, the rest zeros, divided by their length."""
    vector = np.zeros(SPACE.dimensions, np.float32)
    vector[: len(values)] = values
    return vector / np.float32(np.linalg.norm(vector))


def axis(i: int) -> Vector:
    vector = np.zeros(SPACE.dimensions, np.float32)
    vector[i] = 1
    return vector


def units(seed: int, n: int, dimensions: int) -> Vectors:
    """(n, dimensions) random rows of length 1."""
    rows = np.random.default_rng(seed).standard_normal((n, dimensions)).astype(np.float32)
    normed: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return normed


def where(filter: Mapping[str, object]) -> Filter:
    parsed = parse(filter)
    assert parsed is not None
    return parsed


Kind: TypeAlias = Literal["prefix", "contains", "icontains", "order", "words", "long words"]
"""Conditions that not every engine can express; `order` is that of texts, `long words` are those of
fields whose words are not written."""


def kinds(node: Filter) -> set[Kind]:
    """Which of them a filter has."""
    if isinstance(node, Compare):
        operator = node.operator
        if operator == "prefix" or operator == "contains" or operator == "icontains":
            return {operator}
        if operator == "word":
            return {"long words" if node.field in UNWORDED else "words"}
        ordered = node.operator in ("gt", "gte", "lt", "lte") and isinstance(node.value, str)
        return {"order"} if ordered else set()
    parts = (node.part,) if isinstance(node, Not) else node.parts
    return {kind for part in parts for kind in kinds(part)}


def assert_too_old(store: Store) -> None:
    """A collection that was made before words were written is asked for none, and says why."""
    store.add([Item("a", axis(0), {"camera_model": "Apple iPhone 14", "n": 1})])
    store.update_metadata({"a": {"camera_model": "Apple iPhone 14", "n": 2}})
    with pytest.raises(UnsupportedFilter, match=r"made before .* `pixseek move --to`"):
        store.check_filter(where({"camera_model": {"$words": "iphone"}}))
    with pytest.raises(UnsupportedFilter, match=r"made before .* `pixseek move --to`"):
        as_answered(where({"camera_model": {"$icontains": "iphone"}}), store)
    assert list(store.ids(where({"camera_model": "Apple iPhone 14", "n": 2}))) == ["a"]


def hit_ids(hits: Sequence[Hit]) -> list[str]:
    return [hit.id for hit in hits]


def assert_same_item(found: Item, expected: Item) -> None:
    assert found.id == expected.id
    assert found.metadata == expected.metadata
    assert _kinds(found.metadata) == _kinds(expected.metadata)  # 1 == 1.0 == True in Python
    assert found.vector.dtype == np.float32
    np.testing.assert_allclose(found.vector, expected.vector, atol=1e-6)


def _kinds(metadata: Metadata) -> dict[str, type]:
    return {field: type(value) for field, value in metadata.items()}


def assert_same_hits(found: Sequence[Hit], expected: Sequence[Hit], stored: Store) -> None:
    """Same scores in the same places within TOLERANCE; ids may only trade places inside it.

    stored: where the true score and metadata of each hit are looked up.
    """
    assert len(found) == len(expected)
    assert len(set(hit_ids(found))) == len(found)
    np.testing.assert_allclose(
        [hit.score for hit in found], [hit.score for hit in expected], atol=TOLERANCE, rtol=0
    )
    for hit, other in zip(found, expected, strict=True):
        (item,) = stored.fetch([hit.id])
        assert hit.metadata == item.metadata
        if hit.id != other.id:
            assert any(
                one.id == other.id and abs(one.score - other.score) < TOLERANCE for one in found
            ) or hit.score == pytest.approx(expected[-1].score, abs=TOLERANCE)


_scalars: st.SearchStrategy[Scalar] = st.one_of(
    st.sampled_from([0, 1, 2, -1, 1.0, 0.5, -0.0, 1e300, 5e-324, 2**53]),
    st.booleans(),
    st.sampled_from(["", "a", "ab", "b", "1", "true", "É", "\U0001f600", "\uffff"]),
    st.sampled_from(["a\x00", "a\x00b", "%", "'", "\\", "\\udcff", "\udcff", "u"]),
    st.sampled_from(["EF50mm f/1.8", "ef 50 MM", "A_b\n", "東京都", "aÉ1\u2013b", "\x01\x01a"]),
)
_values: st.SearchStrategy[Value] = st.one_of(
    _scalars, st.lists(st.sampled_from(["a", "ab", "b", "", "\U0001f600", "\udcff"]), max_size=3)
)
_fields = st.sampled_from(["a", "ключ 'x\"", "\udcff"])
metadatas: st.SearchStrategy[Metadata] = st.dictionaries(_fields, _values, max_size=4)
_ordered = st.sampled_from([0, 0.5, 1, 2**53, "", "a", "ab", "\\", "\udcff", "\U0001f600"])
_operators: st.SearchStrategy[dict[str, object]] = st.one_of(
    st.builds(lambda name, value: {name: value}, st.sampled_from(["$eq", "$ne"]), _scalars),
    st.builds(
        lambda name, values: {name: values},
        st.sampled_from(["$in", "$nin"]),
        st.lists(_scalars, max_size=3),
    ),
    st.builds(
        lambda name, value: {name: value}, st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), _ordered
    ),
    st.builds(lambda value: {"$exists": value}, st.booleans()),
    st.builds(
        lambda name, value: {name: value},
        st.sampled_from(["$prefix", "$contains", "$icontains"]),
        st.sampled_from(["a", "B", "b", "u", "\\", "\udcff", "\U0001f600", "\x00", "É", "İ"]),
    ),
    st.builds(
        lambda value: {"$words": value},
        st.sampled_from(["A", "b", "50mm", "EF 50", "1.8", "東京", "aÉ", "1", "a\x00b", "\udcff"]),
    ),
)
wheres: st.SearchStrategy[dict[str, object]] = st.recursive(
    st.one_of(
        st.builds(lambda field, value: {field: value}, _fields, _scalars),
        st.builds(lambda field, operators: {field: operators}, _fields, _operators),
    ),
    lambda inner: st.one_of(
        st.builds(
            lambda name, parts: {name: parts},
            st.sampled_from(["$and", "$or"]),
            st.lists(inner, min_size=1, max_size=3),
        ),
        st.builds(lambda part: {"$not": part}, inner),
    ),
    max_leaves=5,
)
_names = st.sampled_from([f"item-{i}" for i in range(12)])
Change: TypeAlias = tuple[str, dict[str, Metadata]]
_changes: st.SearchStrategy[list[Change]] = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.dictionaries(_names, metadatas, max_size=4)),
        st.tuples(st.just("update"), st.dictionaries(_names, metadatas, max_size=4)),
        st.tuples(st.just("delete"), st.dictionaries(_names, st.just({}), max_size=4)),
    ),
    max_size=6,
)

# The same examples in every run; the store is emptied by hand between them.
often = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def _emptied(store: Store) -> Store:
    store.delete(list(store.ids()))
    assert store.count() == 0
    return store


class StoreContract:
    """Inherit as `class TestX(StoreContract)` and override the fixture `open_store`."""

    persists: ClassVar[bool] = True
    """Whether what was added is there when the store is opened again."""
    refuses: ClassVar[frozenset[Kind]] = frozenset()
    """What the engine cannot express; that it is refused by name is then part of the contract."""
    orders_ties: ClassVar[bool] = True
    """Whether equal scores come in the order of ids, on every page. An engine that looks for the k
    nearest by an index of its own may cut among equals wherever it likes."""

    def answers(self, store: Store, filter: Filter) -> bool:
        """Whether the store can express the filter; if not, that it says so."""
        if not kinds(filter) & self.refuses:
            store.check_filter(filter)
            return True
        with pytest.raises(UnsupportedFilter, match="cannot filter by"):
            store.check_filter(filter)
        return False

    @pytest.fixture
    def open_store(self) -> Iterator[OpenStore]:
        raise NotImplementedError("give a fixture that opens the store, and closes it at the end")

    @pytest.fixture
    def store(self, open_store: OpenStore) -> Store:
        return open_store(SPACE)

    # Keeping

    def test_a_new_store_is_empty_and_has_the_space_it_was_given(self, store: Store) -> None:
        assert store.space == SPACE
        assert store.count() == 0
        assert list(store.ids()) == []
        assert store.fetch(["a"]) == []
        assert store.search(unit(1), 10) == []
        assert store.search(unit(1), 10, where=where({"a": {"$exists": False}}), offset=2) == []

    def test_added_items_come_back_as_they_were(self, store: Store) -> None:
        metadata: Metadata = {
            "text": "é", "list": ["x", "y", "x"], "int": 7, "float": 7.0, "small": -1.5e-300,
            "true": True, "false": False, "zero": 0, "none of it": [], "big": 2**53,
        }  # fmt: skip
        item = Item("a", unit(1, -2, 3), metadata)
        store.add([item, Item("b", unit(0, 1), {})])
        (found,) = store.fetch(["a"])
        assert_same_item(found, item)
        assert store.fetch(["b"])[0].metadata == {}
        assert store.search(unit(1, -2, 3), 1)[0].metadata == metadata

    def test_adding_twice_is_adding_once(self, store: Store) -> None:
        items = [Item("a", axis(0), {"n": 1}), Item("b", axis(1), {"n": 2})]
        store.add(items)
        store.add(items)
        assert sorted(store.ids()) == ["a", "b"]
        assert store.count() == 2
        assert hit_ids(store.search(axis(0), 10)) == ["a", "b"]
        assert store.count(where({"n": 1})) == 1

    def test_adding_the_same_id_again_replaces_vector_and_metadata(self, store: Store) -> None:
        store.add([Item("a", axis(0), {"old": 1, "tags": ["x", "y"]}), Item("b", axis(1), {})])
        store.add([Item("a", axis(2), {"tags": ["y"]})])
        assert_same_item(store.fetch(["a"])[0], Item("a", axis(2), {"tags": ["y"]}))
        assert store.search(axis(2), 1)[0].score == pytest.approx(1, abs=TOLERANCE)
        assert store.search(axis(0), 1)[0].score == pytest.approx(0, abs=TOLERANCE)
        assert store.count(where({"old": {"$exists": True}})) == 0
        assert store.count(where({"tags": "x"})) == 0
        assert store.count(where({"tags": "y"})) == 1
        assert store.count() == 2

    def test_the_last_of_two_items_with_one_id_in_one_call_is_kept(self, store: Store) -> None:
        store.add([Item("a", axis(0), {"n": 1}), Item("a", axis(1), {"n": 2})])
        assert store.count() == 1
        assert_same_item(store.fetch(["a"])[0], Item("a", axis(1), {"n": 2}))
        assert list(store.ids(where({"n": 1}))) == []

    def test_adding_nothing_changes_nothing(self, store: Store) -> None:
        store.add([])
        assert store.count() == 0
        store.add([Item("a", axis(0), {})])
        store.add([])
        assert list(store.ids()) == ["a"]

    def test_new_metadata_replaces_the_old_and_keeps_the_vector(self, store: Store) -> None:
        store.add([Item("a", unit(1, 2), {"gone": 1, "n": 1}), Item("b", axis(1), {"n": 1})])
        assert store.count(where({"n": 1})) == 2
        store.update_metadata({"a": {"n": "one"}})
        assert_same_item(store.fetch(["a"])[0], Item("a", unit(1, 2), {"n": "one"}))
        assert list(store.ids(where({"n": 1}))) == ["b"]
        assert list(store.ids(where({"n": "one"}))) == ["a"]
        assert list(store.ids(where({"gone": {"$exists": True}}))) == []
        (hit,) = store.search(unit(1, 2), 1)
        assert (hit.id, hit.metadata) == ("a", {"n": "one"})
        assert hit.score == pytest.approx(1, abs=TOLERANCE)

    def test_new_metadata_for_an_unknown_id_is_passed_over(self, store: Store) -> None:
        store.add([Item("a", axis(0), {"n": 1})])
        store.update_metadata({"b": {"n": 2}, "a": {"n": 3}})
        store.update_metadata({})
        assert list(store.ids()) == ["a"]
        assert store.fetch(["a"])[0].metadata == {"n": 3}

    def test_a_value_that_changes_its_kind_is_found_under_the_new_one_only(
        self, store: Store
    ) -> None:
        store.add([Item("a", axis(0), {"f": 1})])
        values: list[Value] = [True, "1", ["1", "2"], ["2"], [], 1.0, False, 0, "true"]
        for value in values:
            store.update_metadata({"a": {"f": value}})
            for other in (0, 1, True, False, "1", "2", "true"):
                filter = where({"f": other})
                assert store.count(filter) == matches(filter, {"f": value}), (value, other)

    def test_a_number_that_is_taken_out_is_not_found_by_it(self, store: Store) -> None:
        store.add([Item("a", axis(0), {"n": 5, "m": 1}), Item("b", axis(1), {"n": 5, "m": 1})])
        store.add([Item("a", axis(0), {"m": 1})])
        store.update_metadata({"b": {"n": 5}})
        assert list(store.ids(where({"n": {"$gte": 1}}))) == ["b"]
        assert list(store.ids(where({"m": {"$gte": 1}}))) == ["a"]
        assert list(store.ids(where({"m": {"$exists": False}}))) == ["b"]

    def test_deleted_items_are_gone_and_counted(self, store: Store) -> None:
        store.add([Item(id, axis(i), {"n": i}) for i, id in enumerate("abcd")])
        assert store.delete(iter(["b", "unknown", "d", "b"])) == 2
        assert sorted(store.ids()) == ["a", "c"]
        assert store.count() == 2
        assert store.count(where({"n": {"$gte": 0}})) == 2
        assert store.fetch(["b", "a"])[0].id == "a"
        assert hit_ids(store.search(axis(1), 10)) == ["a", "c"]
        assert store.delete(["b"]) == 0
        assert store.delete([]) == 0

    def test_what_was_deleted_can_be_added_again(self, store: Store) -> None:
        store.add([Item("a", axis(0), {"old": 1}), Item("b", axis(1), {})])
        assert store.delete(["a", "b"]) == 2
        assert store.search(axis(0), 5) == []
        store.add([Item("c", axis(2), {"new": 1}), Item("a", axis(3), {"new": 1})])
        assert store.count(where({"old": {"$exists": True}})) == 0
        assert hit_ids(store.search(axis(3), 5)) == ["a", "c"]
        assert hit_ids(store.search(axis(3), 5, where=where({"new": {"$ne": 1}}))) == []

    def test_items_are_fetched_in_the_order_asked_for(self, store: Store) -> None:
        store.add([Item(id, axis(i), {"n": i}) for i, id in enumerate("abc")])
        found = store.fetch(iter(["c", "unknown", "a", "b", "a"]))
        assert [item.id for item in found] == ["c", "a", "b", "a"]
        assert [item.metadata["n"] for item in found] == [2, 0, 1, 0]
        np.testing.assert_allclose(found[0].vector, axis(2), atol=1e-6)
        assert store.fetch([]) == []

    def test_a_thousand_ids_are_fetched_and_deleted_in_one_call(self, store: Store) -> None:
        vectors = units(1, 1100, SPACE.dimensions)
        ids = [f"{i:04}" for i in range(1100)]
        store.add([Item(id, v, {"n": int(id)}) for id, v in zip(ids, vectors, strict=True)])
        assert [item.id for item in store.fetch(reversed(ids))] == ids[::-1]
        assert len(set(store.ids(where({"n": {"$gte": 0}})))) == 1100
        assert len(store.search(vectors[0], 1100)) == 1100
        assert store.delete(ids[:1050]) == 1050
        assert sorted(store.ids()) == ids[1050:]

    # Searching

    def test_the_nearest_come_first_with_cosine_scores(self, store: Store) -> None:
        store.add(
            [
                Item("across", axis(1), {}),
                Item("near", unit(0.8, 0.6), {}),
                Item("opposite", -axis(0), {}),
                Item("same", axis(0), {}),
            ]
        )
        hits = store.search(axis(0), 10)
        assert hit_ids(hits) == ["same", "near", "across", "opposite"]
        scores = [hit.score for hit in hits]
        np.testing.assert_allclose(scores, [1, 0.8, 0, -1], atol=TOLERANCE)
        assert all(type(score) is float for score in scores)

    def test_k_and_offset_cut_pages_out_of_one_order(self, store: Store) -> None:
        store.add([Item(f"{i}", unit(10 - i, 1), {"even": i % 2 == 0}) for i in range(10)])
        whole = hit_ids(store.search(axis(0), 10))
        assert whole == [f"{i}" for i in range(10)]
        assert hit_ids(store.search(axis(0), 3)) == whole[:3]
        assert hit_ids(store.search(axis(0), 3, offset=4)) == whole[4:7]
        assert hit_ids(store.search(axis(0), 3, offset=8)) == whole[8:]
        assert store.search(axis(0), 3, offset=10) == []
        assert store.search(axis(0), 3, offset=1000) == []
        assert hit_ids(store.search(axis(0), 2, offset=1, where=where({"even": True}))) == [
            "2",
            "4",
        ]

    def test_fewer_than_k_when_no_more_pass(self, store: Store) -> None:
        store.add([Item(f"{i}", axis(i), {"n": i}) for i in range(5)])
        assert len(store.search(axis(0), 100)) == 5
        assert len(store.search(axis(0), 100, offset=3)) == 2
        assert hit_ids(store.search(axis(0), 100, where=where({"n": {"$lt": 2}}))) == ["0", "1"]
        assert store.search(axis(0), 5, where=where({"n": 99})) == []
        assert hit_ids(store.search(axis(3), 1, where=where({"n": 2}))) == ["2"]

    def test_hits_below_the_least_score_are_left_out(self, store: Store) -> None:
        store.add([Item(f"{i}", unit(1, i), {"n": i}) for i in range(6)])
        whole = store.search(axis(0), 10)
        for i, hit in enumerate(whole):
            at_least = store.search(axis(0), 10, min_score=hit.score - TOLERANCE)
            assert hit_ids(at_least) == hit_ids(whole[: i + 1])
        assert store.search(axis(0), 10, min_score=1.01) == []
        assert hit_ids(store.search(axis(0), 10, min_score=-1.01)) == hit_ids(whole)
        assert hit_ids(store.search(axis(0), 1, min_score=0.3, offset=1)) == ["1"]
        assert hit_ids(
            store.search(axis(0), 10, min_score=0.3, where=where({"n": {"$gt": 1}}))
        ) == ["2", "3"]

    def test_a_least_score_of_zero_is_a_limit_too(self, store: Store) -> None:
        store.add([Item("with", axis(0), {}), Item("against", -axis(0), {})])
        assert hit_ids(store.search(axis(0), 10, min_score=0)) == ["with"]

    def test_equal_scores_are_in_the_order_of_their_ids(self, store: Store) -> None:
        ids = ["b", "a", "10", "9", "é", "z", "B", "\U0001f600", "\uffee"]
        store.add([Item(id, axis(i % 2), {}) for i, id in enumerate(ids)])
        expected = sorted(ids[::2]) + sorted(ids[1::2])
        assert hit_ids(store.search(axis(0), 20)) == expected
        for k in range(len(ids) if self.orders_ties else 0):
            assert hit_ids(store.search(axis(0), k)) == expected[:k]
            assert hit_ids(store.search(axis(0), 2, offset=k)) == expected[k : k + 2]

    @pytest.mark.parametrize("n", [7, 257])
    def test_equal_vectors_have_equal_scores_on_every_page(
        self, open_store: OpenStore, n: int
    ) -> None:
        space = Space("painter", "wide", 37)
        store = open_store(space)
        order = np.random.default_rng(0).permutation(n)
        expected = [f"{i:03}" for i in range(n)]
        for seed in range(8):
            vector, query = units(seed, 2, space.dimensions)
            store.add([Item(f"{i:03}", vector, {}) for i in order])
            assert len({hit.score for hit in store.search(query, n)}) == 1
            assert hit_ids(store.search(query, n)) == expected
            if not self.orders_ties:
                continue
            pages = [store.search(query, 5, offset=start) for start in range(0, n, 5)]
            assert [id for page in pages for id in hit_ids(page)] == expected

    def test_three_hundred_random_items_are_found_as_by_the_oracle(self, store: Store) -> None:
        oracle = MemoryStore(SPACE)
        items = [
            Item(f"{i}", vector, {"n": i, "odd": bool(i % 2), "tags": [f"t{i % 5}", f"u{i % 3}"]})
            for i, vector in enumerate(units(2, 300, SPACE.dimensions))
        ]
        for start in range(0, 300, 70):
            store.add(items[start : start + 70])
        oracle.add(items)
        filters: list[dict[str, object]] = [
            {}, {"n": 5}, {"n": {"$lt": 30}}, {"odd": True}, {"tags": "t1"}, {"tags": {"$ne": "u0"}}
        ]  # fmt: skip
        for query in units(3, 5, SPACE.dimensions):
            for filter in map(parse, filters):
                for k, offset, least in (
                    (1, 0, None),
                    (10, 0, None),
                    (25, 40, None),
                    (300, 0, 0.2),
                ):
                    found, expected = (
                        one.search(query, k, where=filter, offset=offset, min_score=least)
                        for one in (store, oracle)
                    )
                    assert_same_hits(found, expected, oracle)

    # Text in any script

    @pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
    def test_an_id_may_be_any_text(self, store: Store, text: str) -> None:
        store.add([Item(text, axis(0), {"n": 1}), Item("other", axis(1), {"n": 2})])
        store.add([Item(text, axis(2), {"n": 3})])
        assert sorted(store.ids()) == sorted([text, "other"])
        assert list(store.ids(where({"n": 3}))) == [text]
        assert [item.id for item in store.fetch(["other", text])] == ["other", text]
        assert hit_ids(store.search(axis(2), 2)) == [text, "other"]
        store.update_metadata({text: {"n": 4}})
        assert store.fetch([text])[0].metadata == {"n": 4}
        assert store.delete([text]) == 1
        assert list(store.ids()) == ["other"]

    def test_an_id_that_is_not_text_on_disk_is_simply_not_there(self, store: Store) -> None:
        store.add([Item("a", axis(0), {})])
        assert store.fetch(["\udc80", "a"])[0].id == "a"
        assert store.delete(["\udc80"]) == 0
        store.update_metadata({"\udc80": {"n": 1}})
        assert list(store.ids()) == ["a"]

    def test_ids_that_look_alike_are_apart(self, store: Store) -> None:
        alike = ["e\u0301", "é", "E", "e", "e ", "e\x00", "\udce9", "\\udce9", "É", ""]
        store.add([Item(id, axis(0), {"id": id}) for id in alike])
        assert store.count() == len(alike)
        assert [item.metadata["id"] for item in store.fetch(alike)] == alike

    @pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
    def test_metadata_may_be_any_text(self, store: Store, text: str) -> None:
        store.add(
            [
                Item("value", axis(0), {"f": text}),
                Item("element", axis(1), {"f": ["x", text]}),
                Item("field", axis(2), {"f" + text: 1}),
                Item("other", axis(3), {"f": text + "!"}),
            ]
        )
        assert store.fetch(["value"])[0].metadata == {"f": text}
        assert store.fetch(["element"])[0].metadata == {"f": ["x", text]}
        assert store.fetch(["field"])[0].metadata == {"f" + text: 1}
        assert sorted(store.ids(where({"f": text}))) == ["element", "value"]
        assert sorted(store.ids(where({"f": {"$in": [text, 5]}}))) == ["element", "value"]
        assert list(store.ids(where({"f": text + "!"}))) == ["other"]
        assert list(store.ids(where({"f" + text: 1}))) == ["field"]
        starting, holding = where({"f": {"$prefix": text + "!"}}), {"$contains": text or "x"}
        if self.answers(store, starting):
            assert store.count(starting) == 1
        if self.answers(store, where({"f": holding})):
            assert store.count(where({"f": holding})) == (3 if text else 1)

    def test_an_undecodable_name_is_not_what_it_may_be_escaped_to(self, store: Store) -> None:
        name = b"caf\xe9".decode("utf-8", "surrogateescape")
        store.add([Item("name", axis(0), {"path": name}), Item("a", axis(1), {"path": "a"})])
        for filter in (
            {"path": "caf\\udce9"},
            {"path": {"$contains": "\\"}},
            {"path": {"$contains": "udc"}},
            {"path": {"$lt": "caf\u00e9"}},
        ):
            passing = [id for id, path in (("name", name), ("a", "a"))
                       if matches(where(filter), {"path": path})]  # fmt: skip
            if self.answers(store, where(filter)):
                assert sorted(store.ids(where(filter))) == passing, filter

    # Filters

    def test_booleans_numbers_and_texts_are_never_equal_to_each_other(self, store: Store) -> None:
        values: list[Value] = [1, True, "1", "true", 0, False, "0", 1.5, ["1", "true"], ""]
        store.add([Item(f"{i}", axis(0), {"f": value}) for i, value in enumerate(values)])
        for wanted in (1, 1.0, True, "1", "true", 0, -0.0, False, "", 1.5):
            for operator in ("$eq", "$ne"):
                filter = where({"f": {operator: wanted}})
                passing = {
                    f"{i}" for i, value in enumerate(values) if matches(filter, {"f": value})
                }
                assert set(store.ids(filter)) == passing, (wanted, operator)

    def test_order_is_among_numbers_or_among_texts(self, store: Store) -> None:
        values: list[Value] = [1, 2.5, True, "1", "b", "ä", "\U0001f600", "\uffee", ["a", "z"], []]
        store.add([Item(f"{i}", axis(0), {"f": value}) for i, value in enumerate(values)])
        for operator in ("$gt", "$gte", "$lt", "$lte"):
            for wanted in (1, 2.5, -5, 0.99, 2**80, "b", "", "\U0001f600", "\uffee"):
                filter = where({"f": {operator: wanted}})
                if not self.answers(store, filter):
                    continue
                passing = {
                    f"{i}" for i, value in enumerate(values) if matches(filter, {"f": value})
                }
                assert set(store.ids(filter)) == passing, (operator, wanted)

    def test_a_condition_on_a_list_holds_for_any_element(self, store: Store) -> None:
        store.add(
            [
                Item("both", axis(0), {"tags": ["sea", "sun"]}),
                Item("one", axis(1), {"tags": ["sea"]}),
                Item("text", axis(2), {"tags": "sun"}),
                Item("none", axis(3), {"tags": []}),
                Item("without", axis(4), {}),
            ]
        )
        expected = {
            "$eq": ["both", "text"],
            "$ne": ["none", "one", "without"],
            "$prefix": ["both", "text"],
            "$gt": [],
        }
        for operator, ids in expected.items():
            if self.answers(store, where({"tags": {operator: "sun"}})):
                assert sorted(store.ids(where({"tags": {operator: "sun"}}))) == ids, operator
        both = where({"$and": [{"tags": "sea"}, {"tags": "sun"}]})
        assert list(store.ids(both)) == ["both"]
        assert sorted(store.ids(where({"tags": {"$exists": False}}))) == ["none", "without"]
        assert hit_ids(
            store.search(axis(4), 9, where=where({"tags": {"$not": {"$eq": "sun"}}}))
        ) == [
            "without",
            "none",
            "one",
        ]

    def test_words_are_found_as_people_write_them(self, store: Store) -> None:
        texts = {
            "joined": "EF50mm f/1.8", "apart": "Zuiko 50 mm F1.8", "more": "EF150mm", "none": "50",
            "phone": "iPhone 14 Pro", "phones": "iPhones", "island": "東京都 (Tōkyō)", "empty": "",
        }  # fmt: skip
        store.add([Item(id, axis(0), {"lens": text}) for id, text in texts.items()])
        store.add([Item("list", axis(0), {"lens": ["New York", "ef 50mm"]})])
        expected = {
            "50mm": ["apart", "joined", "list"],
            "ef50mm": ["joined", "list"],
            "EF 50": ["joined", "list"],
            "IPHONE": ["phone"],
            "iphone14": ["phone"],
            "f/1.8": ["apart", "joined"],
            "york, NEW": ["list"],
            "york 50mm": ["list"],
            "東京": ["island"],
            "京東": [],
            "Tōkyō": ["island"],
        }
        for words, found in expected.items():
            asked, without = where({"lens": {"$words": words}}), {"lens": {"$words": words}}
            if self.answers(store, asked):
                assert sorted(store.ids(asked)) == found, words
                assert store.count(where({"$not": without})) == len(texts) + 1 - len(found)

    def test_words_of_files_and_long_texts_are_found_or_refused(self, store: Store) -> None:
        store.add([Item(field, axis(0), {field: "IMG_2 of a cat"}) for field in sorted(UNWORDED)])
        for field in UNWORDED:
            if self.answers(store, where({field: {"$words": "cat IMG"}})):
                assert list(store.ids(where({field: {"$words": "cat IMG"}}))) == [field]

    def test_a_field_that_no_item_has_passes_negations_only(self, store: Store) -> None:
        store.add([Item("a", axis(0), {"n": 1})])
        assert store.count(where({"unknown": 1})) == 0
        assert store.count(where({"unknown": {"$in": []}})) == 0
        assert store.count(where({"unknown": {"$ne": 1}})) == 1
        assert store.count(where({"unknown": {"$nin": []}})) == 1
        assert hit_ids(store.search(axis(0), 5, where=where({"$not": {"unknown": 1}}))) == ["a"]

    def test_whole_numbers_of_any_size_are_kept(self, store: Store) -> None:
        sizes = [2**31, 2**53, 2**63 - 1, -(2**63), 2**63, 2**64, 2**70]
        store.add([Item(f"{size}", axis(0), {"n": size}) for size in sizes])
        for size in sizes:
            assert store.fetch([f"{size}"])[0].metadata == {"n": size}
        assert sorted(store.ids(where({"n": {"$gte": 2**64}}))) == [f"{2**70}", f"{2**64}"]
        assert store.count(where({"n": {"$lt": 0}})) == 1

    def test_whole_numbers_that_floats_cannot_tell_apart_are_ordered_alike_everywhere(
        self, store: Store
    ) -> None:
        sizes = [2**53 - 1, 2**53, 2**53 + 1, 2**53 + 2]
        store.add([Item(f"{size}", axis(0), {"n": size}) for size in sizes])
        for operator in ("$gt", "$gte", "$lt", "$lte"):
            for wanted in sizes:
                filter = where({"n": {operator: wanted}})
                passing = {f"{size}" for size in sizes if matches(filter, {"n": size})}
                assert set(store.ids(filter)) == passing, (operator, wanted)

    @pytest.mark.parametrize("place", [(48.85, 2.35, 5), (-17.5, 179.99, 30), (89.9, 0, 60)])
    def test_a_circle_on_the_globe_holds_the_same_pictures_everywhere(
        self, store: Store, place: tuple[float, float, float]
    ) -> None:
        """A hundred conditions and more, as the query line's near: has them."""
        latitude, longitude, km = place
        near = circle(("latitude", "longitude"), latitude, longitude, km)
        random = np.random.default_rng(1)
        items = []
        for i in range(120):
            north, east = random.uniform(-1.5, 1.5, 2) * km / 111
            east = longitude + east / max(np.cos(np.radians(latitude)), 0.05)
            said: Metadata = {"latitude": min(90.0, latitude + float(north))}
            said["longitude"] = float((east + 540) % 360 - 180)
            items.append(Item(f"{i}", axis(i % 8), said if i % 10 else {"latitude": latitude}))
        store.add(items)
        passing = {item.id for item in items if matches(near, item.metadata)}
        assert 20 < len(passing) < 108
        assert set(store.ids(near)) == passing
        assert store.count(Not(near)) == len(items) - len(passing)
        store.add([Item("3", axis(3), {"latitude": latitude, "longitude": longitude})])
        store.add([Item("5", axis(5), {})])
        assert set(store.ids(near)) == (passing | {"3"}) - {"5"}

    def test_any_filter_means_what_matches_says(self, store: Store) -> None:
        @often
        @given(st.lists(metadatas, max_size=15), st.lists(wheres, min_size=3, max_size=15))
        def check(stored: list[Metadata], filters: list[dict[str, object]]) -> None:
            _emptied(store)
            oracle = MemoryStore(SPACE)
            vectors = units(4, max(len(stored), 1), SPACE.dimensions)
            items = [Item(f"{i}", vectors[i], metadata) for i, metadata in enumerate(stored)]
            store.add(items)
            oracle.add(items)
            for filter in map(where, filters):
                if not self.answers(store, filter):
                    continue
                passing = {item.id for item in items if matches(filter, item.metadata)}
                assert set(store.ids(filter)) == passing
                assert store.count(filter) == len(passing)
                found, expected = (
                    one.search(vectors[0], 5, where=filter) for one in (store, oracle)
                )
                assert_same_hits(found, expected, oracle)

        check()

    def test_any_changes_leave_what_the_oracle_has(self, store: Store) -> None:
        @often
        @given(_changes, wheres)
        def check(changes: list[Change], filter: dict[str, object]) -> None:
            _emptied(store)
            oracle = MemoryStore(SPACE)
            for turn, (verb, entries) in enumerate(changes):
                vectors = units(turn, len(entries) + 1, SPACE.dimensions)
                pairs = zip(entries.items(), vectors[1:], strict=True)
                items = [Item(id, vector, metadata) for (id, metadata), vector in pairs]
                for one in (store, oracle):
                    if verb == "add":
                        one.add(items)
                    elif verb == "update":
                        one.update_metadata(entries)
                if verb == "delete":
                    assert store.delete(entries) == oracle.delete(entries)
                if self.answers(store, where(filter)):
                    assert set(store.ids(where(filter))) == set(oracle.ids(where(filter)))
                assert store.count() == oracle.count()
                found, expected = (one.search(vectors[0], 20) for one in (store, oracle))
                assert_same_hits(found, expected, oracle)
            for item in oracle.fetch(oracle.ids()):
                assert_same_item(store.fetch([item.id])[0], item)

        check()

    # Refusing

    @pytest.mark.parametrize(
        ("vector", "message"),
        [
            (np.ones(3, np.float32), r"'bad'.*shape \(3,\).*expected \(8,\)"),
            (np.ones((1, 8), np.float32), r"'bad'.*shape \(1, 8\).*expected \(8,\)"),
            (np.zeros(8, np.float32), "'bad'.*length 0; expected 1"),
            (np.full(8, 0.5, np.float32), "'bad'.*length 1.41421; expected 1"),
            (axis(0) * np.float32(1.01), "'bad'.*length 1.01; expected 1"),
            (np.full(8, np.nan, np.float32), "'bad'.*length nan; expected 1"),
            (np.where(axis(0) > 0, np.nan, axis(1)), "'bad'.*length nan; expected 1"),
            (np.where(axis(0) > 0, np.inf, axis(1)), "'bad'.*length inf; expected 1"),
        ],
        ids=["narrow", "two-dimensional", "zero", "long", "1% long", "nan", "one nan", "infinite"],
    )
    def test_a_vector_that_is_not_a_unit_vector_of_the_space_is_refused(
        self, store: Store, vector: Vector, message: str
    ) -> None:
        with pytest.raises(InvalidVectors, match=message):
            store.add([Item("good", axis(0), {}), Item("bad", vector, {})])
        assert store.count() == 0
        assert store.search(axis(0), 5) == []

    def test_a_vector_is_unit_within_the_rounding_of_half_precision(self, store: Store) -> None:
        rounded = unit(1, 2, 3, 4, 5, 6, 7, 8).astype(np.float16).astype(np.float32)
        store.add([Item("a", rounded, {})])
        assert store.search(unit(1, 2, 3, 4, 5, 6, 7, 8), 1)[0].score == pytest.approx(1, abs=1e-3)

    @pytest.mark.parametrize(
        "query",
        [
            np.ones(7, np.float32),
            np.ones((1, 8), np.float32),
            np.empty(0, np.float32),
            np.full(8, np.nan, np.float32),
            np.full(8, np.inf, np.float32),
        ],
        ids=["narrow", "two-dimensional", "empty", "nan", "infinite"],
    )
    def test_a_query_that_is_not_of_the_space_is_refused(self, store: Store, query: Vector) -> None:
        with pytest.raises(InvalidVectors, match=r"query vector.*expected \(8,\) finite"):
            store.search(query, 1)
        store.add([Item("a", axis(0), {})])
        with pytest.raises(InvalidVectors, match=r"query vector.*expected \(8,\) finite"):
            store.search(query, 1, where=where({"n": 1}), min_score=0.5)

    # Opening

    def test_nothing_there_and_no_space_given_is_not_found(self, open_store: OpenStore) -> None:
        with pytest.raises(LibraryNotFound, match="there is no library at"):
            open_store(None)

    def test_a_store_opened_again_has_the_same_content(self, open_store: OpenStore) -> None:
        store = open_store(SPACE)
        items = [
            Item(f"é{i}", vector, {"n": i, "name": TEXTS["emoji"], "tags": ["a", "b"]})
            for i, vector in enumerate(units(5, 20, SPACE.dimensions))
        ]
        store.add(items)
        store.delete(["é3"])
        store.update_metadata({"é4": {"n": -4}})
        kept = {item.id: item for item in items if item.id != "é3"}
        kept["é4"] = Item("é4", items[4].vector, {"n": -4})
        before = store.search(items[0].vector, 5)
        store.close()

        again = open_store(SPACE)
        assert set(again.ids()) == (set(kept) if self.persists else set())
        for item in again.fetch(kept):
            assert_same_item(item, kept[item.id])
        assert len(again.fetch(kept)) == (19 if self.persists else 0)
        assert again.count(where({"n": -4})) == (1 if self.persists else 0)
        assert again.search(items[0].vector, 5) == (before if self.persists else [])

    def test_a_store_opened_again_without_a_space_takes_the_stored_one(
        self, open_store: OpenStore
    ) -> None:
        first = open_store(SPACE)
        first.add([Item("a", axis(0), {})])
        first.close()
        if self.persists:
            again = open_store(None)
            assert again.space == SPACE
            assert hit_ids(again.search(axis(0), 5)) == ["a"]
        else:
            with pytest.raises(LibraryNotFound, match="there is no library at"):
                open_store(None)

    @pytest.mark.parametrize(
        "other",
        [Space("sculptor", "f1", 8), Space("painter", "f2", 8), Space("painter", "f1", 9)],
        ids=["model", "fingerprint", "dimensions"],
    )
    def test_another_space_is_refused_with_both_names(
        self, open_store: OpenStore, other: Space
    ) -> None:
        open_store(SPACE).close()
        if self.persists:
            with pytest.raises(ModelMismatch, match="cannot be compared") as caught:
                open_store(other)
            assert str(SPACE) in str(caught.value)
            assert str(other) in str(caught.value)
            assert (caught.value.stored, caught.value.asked) == (str(SPACE), str(other))
            assert open_store(None).space == SPACE
        else:
            assert open_store(other).space == other

    def test_a_dropped_store_is_gone(self, open_store: OpenStore) -> None:
        store = open_store(SPACE)
        store.add([Item("a", axis(0), {"n": 1})])
        store.drop()
        if self.persists:
            with pytest.raises(LibraryNotFound):
                open_store(None)
        other = Space("sculptor", "f2", 4)
        again = open_store(other)
        assert (again.space, again.count()) == (other, 0)

    def test_preloading_changes_no_answer(self, store: Store) -> None:
        store.preload()
        store.add([Item("a", axis(0), {}), Item("b", axis(1), {})])
        store.preload()
        assert hit_ids(store.search(axis(1), 5)) == ["b", "a"]

    # Sharing

    def test_threads_search_while_one_writes(self, store: Store) -> None:
        vectors = units(6, 64, SPACE.dimensions)
        items = [Item(f"{i}", vector, {"owner": f"{i}"}) for i, vector in enumerate(vectors)]
        store.add(items)
        done = threading.Event()
        odd = where({"owner": {"$in": [f"{i}" for i in range(1, 64, 2)]}})

        def read() -> int:
            searches = 0
            while not done.is_set() or searches == 0:
                for hit in store.search(vectors[0], 10):
                    assert hit.metadata["owner"] == hit.id
                    score = float(vectors[int(hit.id)] @ vectors[0])
                    assert hit.score == pytest.approx(score, abs=TOLERANCE)
                assert all(int(hit.id) % 2 for hit in store.search(vectors[0], 5, where=odd))
                assert store.count(odd) == 32
                searches += 1
            return searches

        with ThreadPoolExecutor(3) as pool:
            readers = [pool.submit(read) for _ in range(3)]
            try:
                for _ in range(40):
                    assert store.delete(f"{i}" for i in range(0, 64, 2)) == 32
                    store.add(items[::2])
            finally:
                done.set()
            assert all(reader.result(timeout=20) > 0 for reader in readers)
        assert store.count() == 64
