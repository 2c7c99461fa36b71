"""What is in a library, counted and in order: facets, months, places on a map, newest first.

All of it is made from columns of values (`stores.tables`), so a hundred thousand pictures are
counted in milliseconds where the store has them in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pixseek.files import Base
from pixseek.library import Library, Opened
from pixseek.places import located
from pixseek.query.plan import alternatives
from pixseek.query.searching import checked
from pixseek.query.tree import Query
from pixseek.query.whole_words import as_answered
from pixseek.records import FacetValue, Hit, Item, Month, Place, Scalar, Where
from pixseek.stores.filters import And, Filter, Or, parse
from pixseek.stores.tables import FIRST_TEXT, Table, Tabular, Values, table, table_of

NEVER = -1e18
"""Stands for a time that is not known: after all others, newest first."""
PATH_FIELDS = ("path", "folder")


class Dated(NamedTuple):
    """An item and the time that it is sorted by."""

    when: float
    """Seconds since 1970: taken, or else last changed; `NEVER` when neither is known."""
    item: Item


class Overview:
    """Counts and orders what is in a library. Safe to use from threads."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def version(self) -> tuple[str, int] | None:
        """Something else whenever the answers of the others may have changed; None where the store
        cannot tell."""
        opened = self._library.opened()
        if not isinstance(opened.store, Tabular):
            return None
        return opened.stamp.store, opened.store.version()

    def count(self, where: Where | None = None, *, query: Query | None = None) -> int:
        """How many items pass the filter, and the conditions of the query."""
        opened = self._library.opened()
        return opened.store.count(self._node(where, query, opened))

    def ranks(self, query: Query) -> bool:
        """Whether the query orders what is found; else it only chooses.

        Raises InvalidQuery when a condition has no meaning.
        """
        return bool(alternatives(query)[0].terms)

    def facets(
        self,
        fields: Sequence[str],
        where: Where | None = None,
        *,
        top: int = 50,
        query: Query | None = None,
        hits: Sequence[Hit] | None = None,
    ) -> dict[str, list[FacetValue]]:
        """The values of each field and how many items have them, most frequent first.

        top: at most so many values a field. A field that no item has gives [].
        query: of which the conditions count, as the filter does.
        hits: count these, in place of all that pass.
        Raises InvalidFilter, UnsupportedFilter.
        """
        found = self._table(fields, where, query, hits)
        base = self._library.base
        return {field: counted(found.values[field], field, base)[:top] for field in fields}

    def months(
        self,
        where: Where | None = None,
        *,
        query: Query | None = None,
        hits: Sequence[Hit] | None = None,
    ) -> list[Month]:
        """Months with their numbers of items, earliest first; of fields `year` and `month`."""
        found = self._table(("year", "month"), where, query, hits)
        year, month = (_numbers(found, field) for field in ("year", "month"))
        known = np.isfinite(year) & np.isfinite(month)
        keys, counts = np.unique(year[known] * 12 + month[known] - 1, return_counts=True)
        return [
            Month(f"{int(key) // 12:04}-{int(key) % 12 + 1:02}", count)
            for key, count in zip(keys.tolist(), counts.tolist(), strict=True)
        ]

    def map(
        self,
        where: Where | None = None,
        *,
        grid: float = 1.0,
        top: int = 1000,
        query: Query | None = None,
        hits: Sequence[Hit] | None = None,
    ) -> list[Place]:
        """Items with a place, those in one cell of a grid together, the fullest cells first.

        grid: degrees from one line to the next, above 0.
        """
        found = self._table(("latitude", "longitude"), where, query, hits)
        latitude, longitude = (_numbers(found, field) for field in ("latitude", "longitude"))
        rows = np.flatnonzero(np.isfinite(latitude) & np.isfinite(longitude))
        latitude, longitude = latitude[rows], longitude[rows]
        across = np.ceil(360 / grid) + 1
        cells = np.floor((latitude + 90) / grid) * across + np.floor((longitude + 180) / grid)
        _, first, inverse, counts = np.unique(
            cells, return_index=True, return_inverse=True, return_counts=True
        )
        middle = [np.bincount(inverse, one) / counts for one in (latitude, longitude)]
        best = np.argsort(-counts, kind="stable")[:top]
        return [
            Place(round(north, 6), round(east, 6), count, id)
            for north, east, count, id in zip(
                middle[0][best].tolist(),
                middle[1][best].tolist(),
                counts[best].tolist(),
                found.ids(rows[first[best]]),
                strict=True,
            )
            if id is not None
        ]

    def newest(
        self,
        k: int,
        where: Where | None = None,
        *,
        query: Query | None = None,
        after: tuple[float, str] | None = None,
    ) -> tuple[list[Dated], int]:
        """The k newest items that pass the filter, and how many pass.

        after: the time and id of the last item seen: only what comes after it. So what is added or
        removed meanwhile neither repeats an item nor leaves one out.
        """
        found = self._table(("taken", "modified"), where, query)
        when = np.where(np.isfinite(taken := _numbers(found, "taken")), taken, np.nan)
        when = np.where(np.isfinite(when), when, _numbers(found, "modified"))
        when = np.where(np.isfinite(when), when, NEVER)
        ordered = self._first(found, when, k, after)
        items = {
            item.id: item for item in self._library.opened().store.fetch(i for _, i in ordered)
        }
        base = self._library.base
        dated = [Dated(t, located(items[id], base)) for t, id in ordered if id in items]
        return dated, found.count

    def _first(
        self, found: Table, when: NDArray[np.float64], k: int, after: tuple[float, str] | None
    ) -> list[tuple[float, str]]:
        """(time, id) of the first k rows after `after`, newest first, equal times by id."""
        rows = np.arange(found.count)
        same: list[tuple[float, str]] = []
        if after is not None:
            same = _named(found, np.flatnonzero(when == after[0]), when)
            same = [one for one in same if one[1] > after[1]]
            rows = np.flatnonzero(when < after[0])
        missing = k - len(same)
        if 0 < missing < len(rows):
            kth = np.partition(when[rows], len(rows) - missing)[len(rows) - missing]
            rows = rows[when[rows] >= kth]
        rest = _named(found, rows, when) if missing > 0 else []
        return [*same, *rest][:k]

    def _node(self, where: Where | None, query: Query | None, opened: Opened) -> Filter | None:
        """What passes the filter and, whatever else the query shows, its conditions."""
        node = parse(where)
        ways = () if query is None else alternatives(query)
        asked = [as_answered(way.filter, opened.store) for way in ways]
        conditions = [one for one in asked if one is not None]
        if ways and len(conditions) == len(ways):
            either = conditions[0] if len(conditions) == 1 else Or(tuple(conditions))
            node = either if node is None else And((node, either))
        return checked(node, self._library, opened)

    def _table(
        self,
        fields: Iterable[str],
        where: Where | None,
        query: Query | None,
        hits: Sequence[Hit] | None = None,
    ) -> Table:
        if hits is not None:
            return table_of([(hit.id, hit.metadata) for hit in hits], fields)
        while True:
            opened = self._library.opened()
            found = table(opened.store, fields, self._node(where, query, opened))
            if self._library.answers(opened):  # else its vectors may be gone already
                return found


def counted(values: Values, field: str, base: Base) -> list[FacetValue]:
    """Each value once, most frequent first, then in order. base: where relative paths begin."""
    is_number = values.codes == -1
    numbers, sums = np.unique(values.numbers[is_number], return_counts=True)
    found: list[FacetValue] = [
        FacetValue(int(value) if value.is_integer() else value, count)
        for value, count in zip(numbers.tolist(), sums.tolist(), strict=True)
    ]
    each = np.bincount(values.codes[~is_number], minlength=FIRST_TEXT)
    for code in np.flatnonzero(each).tolist():
        value: Scalar = bool(code) if code < FIRST_TEXT else values.words[code - FIRST_TEXT]
        if field in PATH_FIELDS:
            value = base.absolute(str(value))
        found.append(FacetValue(value, int(each[code])))
    return sorted(found, key=lambda one: (-one.count, isinstance(one.value, str), one.value))


def _named(
    found: Table, rows: NDArray[np.int64], when: NDArray[np.float64]
) -> list[tuple[float, str]]:
    """(time, id) of these rows, newest first, equal times by id."""
    pairs = zip(when[rows].tolist(), found.ids(rows), strict=True)
    return sorted(((t, id) for t, id in pairs if id is not None), key=lambda one: (-one[0], one[1]))


def _numbers(found: Table, field: str) -> NDArray[np.float64]:
    """(count,) the number each item has in a field, NaN where it has none."""
    values = found.values[field]
    numbers = np.full(found.count, np.nan)
    numbers[values.rows] = values.numbers
    return numbers
