"""Counting what is in a library: the same whether a store has columns or can only list."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import Paint

from pixseek import ImageSearchEngine
from pixseek.overview import NEVER
from pixseek.records import FacetValue, Item, Metadata, Space
from pixseek.stores.filters import elements, matches, parse
from pixseek.stores.local import LocalStore
from pixseek.stores.memory import MemoryStore
from pixseek.stores.tables import Tabular, table

SPACE = Space("painter", "f1", 8)
VALUES = st.one_of(
    st.sampled_from(["a", "b", "", "ü", "\udcff"]),
    st.sampled_from([0, 1, 2.5, -3, 10**18]),
    st.booleans(),
    st.lists(st.sampled_from(["a", "b", "c"]), max_size=3, unique=True),
)
METADATA = st.dictionaries(st.sampled_from(["one", "two"]), VALUES)


def item(id: str, metadata: Metadata) -> Item:
    vector = np.zeros(8, np.float32)
    vector[0] = 1
    return Item(id, vector, metadata)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    before=st.lists(METADATA, max_size=5),
    after=st.lists(METADATA, max_size=5),
    where=st.sampled_from([None, {"one": "a"}, {"two": {"$ne": 1}}, {"two": {"$exists": True}}]),
)
def test_columns_and_a_listing_have_the_same_values(
    before: list[Metadata], after: list[Metadata], where: dict[str, object] | None
) -> None:
    node = parse(where)
    with TemporaryDirectory() as folder:
        local = LocalStore.open(folder, SPACE)
        memory = MemoryStore(SPACE)
        for state in (before, after):  # the second time columns are in memory already
            items = [item(str(i), metadata) for i, metadata in enumerate(state)]
            for store in (local, memory):
                store.add(items)
                store.delete([str(i) for i in range(len(state), len(before))])
            for store in (local, memory):
                found = table(store, ("one", "two"), node)
                passing = {one.id: one.metadata for one in items if matches(node, one.metadata)}
                ids = found.ids(np.arange(found.count))
                assert sorted(map(str, ids)) == sorted(passing)
                for field, values in found.values.items():
                    told = Counter[object]()
                    for row, number, code in zip(
                        values.rows, values.numbers, values.codes, strict=True
                    ):
                        value = bool(code) if code >= 0 else float(number)
                        shown = values.words[code - 2] if code >= 2 else value
                        told[ids[row], type(shown), shown] += 1
                    expected = Counter[object]()
                    for id, metadata in passing.items():
                        for one in elements(metadata[field]) if field in metadata else ():
                            plain = one if isinstance(one, str | bool) else float(one)
                            expected[id, type(plain), plain] += 1
                    assert told == expected
        local.close()


def test_the_local_store_has_columns_and_others_are_listed() -> None:
    assert issubclass(LocalStore, Tabular)
    assert not issubclass(MemoryStore, Tabular)


def test_an_empty_library_has_nothing_to_count(engine: ImageSearchEngine) -> None:
    overview = engine.overview
    assert overview.facets(["year", "none"]) == {"year": [], "none": []}
    assert overview.months() == []
    assert overview.map() == []
    assert overview.newest(5) == ([], 0)
    assert overview.count() == 0


def test_facets_are_of_what_passes_the_filter_most_frequent_first(
    engine: ImageSearchEngine, paint: Paint, photos: Path
) -> None:
    for name, size in [("a.png", (10, 20)), ("b.png", (20, 10)), ("c.png", (30, 10))]:
        paint(name, "red", size=size)
    engine.index_images(photos)
    assert engine.overview.facets(["orientation", "width"]) == {
        "orientation": [FacetValue("landscape", 2), FacetValue("portrait", 1)],
        "width": [FacetValue(10, 1), FacetValue(20, 1), FacetValue(30, 1)],
    }
    tall = engine.overview.facets(["width"], {"orientation": "portrait"})
    assert tall == {"width": [FacetValue(10, 1)]}
    assert engine.overview.facets(["orientation"], top=1)["orientation"] == [
        FacetValue("landscape", 2)
    ]
    folder = engine.overview.facets(["folder"])["folder"]
    assert FacetValue(photos.as_posix(), 3) in folder
    hits = engine.search_by_text("red", k=2)
    assert sum(one.count for one in engine.overview.facets(["format"], hits=hits)["format"]) == 2


def test_the_newest_come_first_equal_times_by_id_and_unknown_times_last(
    engine: ImageSearchEngine, paint: Paint, photos: Path
) -> None:
    for i in range(12):
        path = paint(f"{i}.png", "red", size=(10 + i, 10))
        os.utime(path, (1_600_000_000 + 100 * (i // 4),) * 2)
    engine.index_images(photos)
    whole, total = engine.overview.newest(50)
    assert total == 12
    expected = sorted(whole, key=lambda one: (-one.when, one.item.id))
    assert whole == expected
    for size in (1, 3, 4, 5):
        pages = []
        after = None
        while page := engine.overview.newest(size, after=after)[0]:
            pages += page
            after = (page[-1].when, page[-1].item.id)
        assert [one.item.id for one in pages] == [one.item.id for one in whole]
    assert whole[-1].when > NEVER


@pytest.mark.parametrize("grid", [0.001, 1, 90])
def test_cells_of_the_map_have_all_pictures_with_a_place(
    engine: ImageSearchEngine, paint: Paint, photos: Path, grid: float
) -> None:
    places = [(90.0, 180.0), (-90.0, -180.0), (0.0, 0.0), (0.0, 0.0), (-0.0001, 179.9999)]
    for i in range(len(places) + 1):
        paint(f"{i}.png", "red", size=(10 + i, 10))
    engine.index_images(photos)
    ids = [one.item.id for one in engine.overview.newest(50)[0]]
    engine.items.update_metadata(
        {
            id: {"latitude": north, "longitude": east}
            for id, (north, east) in zip(ids, places, strict=False)
        }
    )
    cells = engine.overview.map(grid=grid)
    assert sum(cell.count for cell in cells) == len(places)
    assert {cell.id for cell in cells} <= set(ids)
    assert len(engine.overview.map(grid=grid, top=1)) == 1
