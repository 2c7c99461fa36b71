"""Fields of all items that pass a filter, side by side: what counting and ordering need.

A store that holds its values in columns gives them as they are (`table`); of any other, items are
listed and fetched, which takes as long as reading them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pixseek.records import Metadata, Scalar
from pixseek.stores import Store
from pixseek.stores.filters import Filter, elements

FIRST_TEXT = 2
ITEMS_PER_FETCH = 500


@dataclass(frozen=True, slots=True)
class Values:
    """One field's values, a row once for each value that it has."""

    rows: NDArray[np.int64]
    """Rows of the table, 0 to `count` - 1."""
    numbers: NDArray[np.float64]
    """NaN where the value is no number."""
    codes: NDArray[np.int32]
    """-1 for a number, 0 and 1 for false and true, from 2 on a text: its place in `words`, + 2."""
    words: Sequence[str]


@dataclass(frozen=True, slots=True)
class Table:
    """Items as rows, in no order."""

    count: int
    values: dict[str, Values]
    ids: Callable[[NDArray[np.int64]], list[str | None]]
    """Rows → their ids; None for an item that is gone since."""


@runtime_checkable
class Tabular(Protocol):
    """A store that has its values in columns."""

    def table(self, fields: Iterable[str], where: Filter | None = None) -> Table:
        """These fields of every item that passes the filter, at one moment."""
        ...

    def version(self) -> int:
        """Another number whenever what the store holds has changed, by whichever process."""
        ...


def table(store: Store, fields: Iterable[str], where: Filter | None = None) -> Table:
    """These fields of every item that passes the filter, of any store."""
    if isinstance(store, Tabular):
        return store.table(fields, where)
    found: list[tuple[str, Metadata]] = []
    listed = iter(store.ids(where))
    while batch := list(islice(listed, ITEMS_PER_FETCH)):
        found += [(item.id, item.metadata) for item in store.fetch(batch)]
    return table_of(found, fields)


def table_of(items: Sequence[tuple[str, Metadata]], fields: Iterable[str]) -> Table:
    """These fields of items that are at hand: their ids and metadata."""
    found = [metadata for _, metadata in items]
    return Table(
        len(items),
        {field: _values_of(found, field) for field in fields},
        lambda rows: [items[row][0] for row in rows.tolist()],
    )


def _values_of(found: Sequence[Metadata], field: str) -> Values:
    rows: list[int] = []
    numbers: list[float] = []
    codes: list[int] = []
    words: dict[str, int] = {}
    for row, metadata in enumerate(found):
        for value in elements(metadata[field]) if field in metadata else ():
            rows.append(row)
            numbers.append(float("nan") if isinstance(value, bool | str) else float(value))
            codes.append(_code(value, words))
    return Values(
        np.array(rows, np.int64), np.array(numbers), np.array(codes, np.int32), list(words)
    )


def _code(value: Scalar, words: dict[str, int]) -> int:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        return words.setdefault(value, len(words) + FIRST_TEXT)
    return -1
