"""`memory`: everything in a dict, searched with one numpy product. The oracle of the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from pixseek.errors import LibraryNotFound
from pixseek.records import Hit, Item, Metadata, Space, Vector
from pixseek.stores import check_items, check_metadata, check_query, score
from pixseek.stores.filters import Filter, matches


class MemoryStore:
    """Lives as long as the process. Its simplicity is its point: keep it so."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._items: dict[str, Item] = {}

    @classmethod
    def open(cls, location: str, space: Space | None) -> MemoryStore:
        if space is None:
            raise LibraryNotFound(f"memory:{location}")
        return cls(space)

    @property
    def space(self) -> Space:
        return self._space

    def add(self, items: Sequence[Item]) -> None:
        check_items(items, self._space.dimensions)
        self._items.update((item.id, item) for item in items)

    def update_metadata(self, changes: Mapping[str, Metadata]) -> None:
        check_metadata(changes)
        for id, metadata in changes.items():
            if id in self._items:
                self._items[id] = replace(self._items[id], metadata=metadata)

    def delete(self, ids: Iterable[str]) -> int:
        return sum(self._items.pop(id, None) is not None for id in set(ids))

    def fetch(self, ids: Iterable[str]) -> list[Item]:
        return [self._items[id] for id in ids if id in self._items]

    def check_filter(self, where: Filter) -> None:
        """Every filter can be answered."""

    def ids(self, where: Filter | None = None) -> Iterator[str]:
        items = list(self._items.values())  # at once: another thread may be adding
        return iter([item.id for item in items if matches(where, item.metadata)])

    def count(self, where: Filter | None = None) -> int:
        return sum(1 for _ in self.ids(where))

    def search(
        self,
        vector: Vector,
        k: int,
        *,
        where: Filter | None = None,
        min_score: float | None = None,
        offset: int = 0,
    ) -> list[Hit]:
        check_query(vector, self._space.dimensions)
        items = self.fetch(self.ids(where))
        if not items:
            return []
        scores = score(np.stack([item.vector for item in items]), vector)
        hits = [
            Hit(item.id, float(score), item.metadata)
            for item, score in zip(items, scores, strict=True)
            if min_score is None or score >= min_score
        ]
        hits.sort(key=lambda hit: (-hit.score, hit.id))
        return hits[offset : offset + k]

    def preload(self) -> None:
        pass

    def drop(self) -> None:
        self._items.clear()

    def close(self) -> None:
        self._items.clear()
