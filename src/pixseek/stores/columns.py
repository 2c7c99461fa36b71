"""Metadata as columns in memory, so that a filter is a few numpy comparisons.

Each field is loaded on its first use and kept in step block by block.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pixseek.records import Metadata, Scalar
from pixseek.stores.filters import (
    ORDERED,
    And,
    Compare,
    Filter,
    Not,
    Operator,
    Or,
    elements,
    same,
)
from pixseek.stores.tables import Values
from pixseek.stores.textwords import folded, pattern

Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]
Fields: TypeAlias = dict[tuple[str, int], Scalar | bytes]
"""(field, position) → value as SQLite holds it."""


@dataclass
class _Column:
    """One field's values, a row once for each value it has.

    Numbers are in `numbers` (NaN elsewhere). `codes` has -1 for a number, 0 and 1 for false and
    true, and from 2 on a text, in the order of `words`.
    """

    rows: NDArray[np.int64]
    numbers: NDArray[np.float64]
    codes: NDArray[np.int32]
    words: dict[str, int]
    _joined: tuple[str, NDArray[np.int64]] = ("", np.empty(0, np.int64))

    def joined(self) -> tuple[str, NDArray[np.int64]]:
        """All words as one text, each after a NUL, and where each one's NUL is."""
        if len(self._joined[1]) != len(self.words):
            lengths = np.fromiter(map(len, self.words), np.int64, len(self.words)) + 1
            self._joined = "".join(f"\0{word}" for word in self.words), np.cumsum(lengths) - lengths
        return self._joined


class Columns:
    """The loaded columns of one store, for its rows 0 to `capacity` - 1."""

    def __init__(self, block: int) -> None:
        self._block = block
        self._capacity = 0
        self._columns: dict[str, _Column] = {}
        self._stale: dict[str, set[int]] = {}
        self._asked: Counter[str] = Counter()
        self._masks: dict[str, NDArray[np.uint8]] = {}
        """Filter → which rows pass it, a bit each."""

    def forget(self, blocks: Sequence[int], capacity: int) -> None:
        """Note that rows in these blocks changed; columns load them again when next used."""
        self._capacity = capacity
        self._masks.clear()
        for field, column in list(self._columns.items()):
            stale = self._stale[field]
            stale.update(blocks)
            if len(stale) * self._block > max(len(column.rows), 1) // 2:
                del self._columns[field]

    def mask(self, connection: sqlite3.Connection, node: Filter) -> Mask:
        """(capacity,) which rows pass. Rows without an item may pass a negation: mask them too.

        One query asks for the same filter several times, and many queries for the same words: the
        latest answers are kept."""
        key = repr(node)  # unlike the nodes themselves, it tells true from 1
        kept = self._masks.pop(key, None)
        if kept is None:
            kept = np.packbits(self._passed(connection, node))
        self._masks[key] = kept
        while len(self._masks) > max(2, min(_MASKS, _MASK_BYTES // max(len(kept), 1))):
            del self._masks[next(iter(self._masks))]
        return np.unpackbits(kept, count=self._capacity).view(np.bool_)

    def _passed(self, connection: sqlite3.Connection, node: Filter) -> Mask:
        if isinstance(node, Not):
            return ~self.mask(connection, node.part)
        if isinstance(node, And):
            many = [part for part in node.parts if len(_orders(part)) > _MANY]
            few = tuple(part for part in node.parts if len(_orders(part)) <= _MANY)
            if many and few:
                return self._within(connection, self.mask(connection, And(few)), many)
        if isinstance(node, And | Or):
            masks = [self.mask(connection, part) for part in node.parts]
            reduce = np.logical_and if isinstance(node, And) else np.logical_or
            joined: Mask = reduce.reduce(masks)
            return joined
        passed = np.zeros(self._capacity, np.bool_)
        if node.field == "words" and isinstance(node.value, tuple) and _texts(node):
            for one in node.value:  # each is kept for the next query that asks for it
                passed |= self.mask(connection, Compare("words", "eq", one))
            return passed
        if (texts := _texts(node)) and (node.field == "words" or self._is_seldom_asked(node.field)):
            passed[_rows_with(connection, node.field, texts)] = True
            return passed
        column = self._column(connection, node.field)
        passed[column.rows[_holds(node, column)]] = True
        return passed

    def _within(
        self, connection: sqlite3.Connection, within: Mask, parts: Sequence[Filter]
    ) -> Mask:
        """Which of some rows pass parts that order numbers: only these rows are looked at.

        A place with a distance is a hundred such conditions (pixseek.query.nearby), and few
        pictures are in the box around it.
        """
        rows = np.flatnonzero(within)
        held = np.ones(len(rows), np.bool_)
        for part in parts:
            fields = {one.field for one in _orders(part)}
            columns = {
                field: _narrowed(self._column(connection, field), within, rows) for field in fields
            }
            held &= _in_order(part, columns, len(rows))
        passed = np.zeros(self._capacity, np.bool_)
        passed[rows[held]] = True
        return passed

    def values(self, connection: sqlite3.Connection, field: str, place: Rows) -> Values:
        """A field's values. place: (capacity,) each row's place in the answer, -1 to leave it
        out."""
        column = self._column(connection, field)
        at = place[column.rows]
        kept = at >= 0
        return Values(at[kept], column.numbers[kept], column.codes[kept], list(column.words))

    def _is_seldom_asked(self, field: str) -> bool:
        """Whether SQLite should look for texts of a field: a process that asks once (a command)
        would wait longer for the whole column. One that goes on has it in memory."""
        self._asked[field] += 1
        return field not in self._columns and self._asked[field] <= _SELDOM

    def _column(self, connection: sqlite3.Connection, field: str) -> _Column:
        column = self._columns.get(field)
        if column is None:
            column = _Column(np.empty(0, np.int64), np.empty(0), np.empty(0, np.int32), {})
            for first in range(0, self._capacity, _ROWS_AT_ONCE):
                _load(column, connection, field, first, first + _ROWS_AT_ONCE)
        elif stale := sorted(self._stale[field]):
            kept = ~np.isin(column.rows // self._block, stale)
            column.rows, column.numbers = column.rows[kept], column.numbers[kept]
            column.codes = column.codes[kept]
            for block in stale:
                _load(column, connection, field, block * self._block, (block + 1) * self._block)
        self._columns[field] = column
        self._stale[field] = set()
        return column


def _orders(node: Filter) -> list[Compare]:
    """The conditions of a filter, if all of them order numbers; [] for others."""
    if isinstance(node, Compare):
        is_order = node.operator in ORDERED and not isinstance(node.value, str)
        return [node] if is_order else []
    found = [_orders(part) for part in ((node.part,) if isinstance(node, Not) else node.parts)]
    return [one for part in found for one in part] if all(found) else []


def _narrowed(column: _Column, within: Mask, rows: Rows) -> tuple[_Column, bool]:
    """The numbers of some rows, counted anew, and whether each row has one, in its place.

    rows: those of the mask.
    """
    kept = np.flatnonzero(within[column.rows])
    place = np.searchsorted(rows, column.rows[kept])
    is_whole = len(place) == len(rows) and bool((place == np.arange(len(rows))).all())
    return _Column(place, column.numbers[kept], column.codes[kept], {}), is_whole


def _in_order(node: Filter, columns: Mapping[str, tuple[_Column, bool]], count: int) -> Mask:
    """(count,) which rows of narrowed columns pass a filter that orders numbers."""
    if isinstance(node, Not):
        return ~_in_order(node.part, columns, count)
    if isinstance(node, And | Or):
        reduce = np.logical_and if isinstance(node, And) else np.logical_or
        joined: Mask = reduce.reduce([_in_order(part, columns, count) for part in node.parts])
        return joined
    column, is_whole = columns[node.field]
    held = _holds(node, column)
    if is_whole:  # as nearly always
        return held
    passed = np.zeros(count, np.bool_)
    passed[column.rows[held]] = True
    return passed


def _texts(node: Compare) -> list[Scalar | bytes]:
    """The texts that one value must be; [] for other conditions, or too many for one statement."""
    values = node.value if isinstance(node.value, tuple) else (node.value,)
    texts = [bindable(value) for value in values if isinstance(value, str)]
    plain = node.operator in ("eq", "in") and len(texts) == len(values) <= _TEXTS_AT_ONCE
    return texts if plain else []


def _rows_with(connection: sqlite3.Connection, field: str, texts: Sequence[Scalar | bytes]) -> Rows:
    """The rows whose field is one of the texts, or has one in its list."""
    known = f"'{field}'" if field in INDEXED else "?"  # SQLite chooses an index by its constant
    marks = ",".join("?" * len(texts))
    query = f"SELECT group_concat(row) FROM fields WHERE field = {known} AND value IN ({marks})"
    bound = texts if field in INDEXED else [bindable(field), *texts]
    (rows,) = connection.execute(query, bound).fetchone()
    found: Rows = np.fromstring(rows or "", np.int64, sep=",")
    return found


def _load(
    column: _Column, connection: sqlite3.Connection, field: str, first: int, end: int
) -> None:
    """Append the values of the rows from `first` to before `end` to a column."""
    these = "FROM fields WHERE field = ? AND row >= ? AND row < ? AND"
    limits = (bindable(field), first, end)

    def select(what: str, kind: str) -> sqlite3.Cursor:
        return connection.execute(f"SELECT {what} {these} {kind}", limits)

    number = "position >= 0 AND typeof(value) IN ('integer', 'real')"
    numbers = np.fromiter(select("row, value", number), _NUMBER)
    text = "typeof(value) = 'text' ORDER BY row, position"
    rows = [row for (row,) in select("row", text)]
    # As one JSON text: half the time of a tuple for each value.
    joined = f"SELECT json_group_array(value) FROM (SELECT value {these} {text})"
    values: list[str] = json.loads(connection.execute(joined, limits).fetchone()[0])
    for row, value in select("row, value", "typeof(value) = 'blob'"):
        rows.append(row)
        values.append(text_of(value))
    words = column.words
    codes = [words.setdefault(value, len(words) + _FIRST_TEXT) for value in values]
    for row, value in select("row, value", "position < 0"):
        rows.append(row)
        codes.append(value)
    column.rows = np.concatenate([column.rows, numbers["row"], np.array(rows, np.int64)])
    column.numbers = np.concatenate([column.numbers, numbers["value"], np.full(len(rows), np.nan)])
    column.codes = np.concatenate(
        [column.codes, np.full(len(numbers), -1, np.int32), np.array(codes, np.int32)]
    )


_FIRST_TEXT = 2
_NUMBER = np.dtype([("row", np.int64), ("value", np.float64)])
_ROWS_AT_ONCE = 1 << 17
_TEXTS_AT_ONCE = 500
_SELDOM = 4
_MANY = 16
_MASKS, _MASK_BYTES = 512, 1 << 25
INDEXED = ("words", "folder")
"""Fields by whose texts rows are found without a look at all texts of the field."""


def make_indexes(connection: sqlite3.Connection) -> None:
    """Those that are not there: older libraries get them when they are next written to, and until
    then the same questions take longer."""
    for one in INDEXED:
        index = f"CREATE INDEX IF NOT EXISTS fields_{one} ON fields (value, row)"
        connection.execute(f"{index} WHERE field = '{one}'")


def _holds(condition: Compare, column: _Column) -> Mask:
    """Which of the column's values meet the condition."""
    wanted = condition.value
    if condition.operator == "exists" or wanted is None:
        return np.ones(len(column.rows), np.bool_)
    if isinstance(wanted, tuple):
        masks = [_equal(value, column) for value in wanted]
        return np.logical_or.reduce(masks) if masks else np.zeros(len(column.rows), np.bool_)
    if condition.operator == "eq":
        return _equal(wanted, column)
    if isinstance(wanted, str):
        table = np.zeros(_FIRST_TEXT + len(column.words) + 1, np.bool_)  # the last is for code -1
        table[_FIRST_TEXT:-1] = _texts_that_hold(condition.operator, wanted, column)
        return table[column.codes]
    if condition.operator not in ORDERED:
        return np.zeros(len(column.rows), np.bool_)
    numbers: Mask = ORDERED[condition.operator](column.numbers, wanted)
    return numbers


def _texts_that_hold(operator: Operator, wanted: str, column: _Column) -> Mask | list[bool]:
    """Which words meet a condition on texts that is not equality; there may be a million.

    Words looked at one by one lie all over the memory; joined, they are read in one sweep.
    """
    if operator == "word":
        found = re.compile(pattern(wanted)).search
        return [found(folded(word)) is not None for word in column.words]
    if operator not in ("prefix", "contains", "icontains"):
        return [bool(ORDERED[operator](word, wanted)) for word in column.words]
    if "\0" in wanted:
        if operator == "icontains":
            return [folded(wanted) in folded(word) for word in column.words]
        test = str.startswith if operator == "prefix" else str.__contains__
        return [test(word, wanted) for word in column.words]
    joined, starts = column.joined()
    case = re.IGNORECASE | re.ASCII if operator == "icontains" else re.NOFLAG
    sought = re.compile(re.escape("\0" + wanted if operator == "prefix" else wanted), case)
    at = np.fromiter((match.start() for match in sought.finditer(joined)), np.int64)
    word = np.searchsorted(starts, at, side="right") - 1
    if operator == "prefix":  # not after a NUL that is part of a word
        word = word[starts[word] == at]
    held = np.zeros(len(column.words), np.bool_)
    held[word] = True
    return held


def _equal(wanted: Scalar, column: _Column) -> Mask:
    if isinstance(wanted, bool):
        return np.equal(column.codes, int(wanted))
    if isinstance(wanted, str):
        return np.equal(column.codes, column.words.get(wanted, -2))
    return np.equal(column.numbers, float(wanted))


def store_fields(
    connection: sqlite3.Connection, row: int, before: Metadata, after: Metadata
) -> None:
    """Write the difference between two states of one row's metadata to the `fields` table."""
    differing = [
        field
        for field, value in after.items()
        if field not in before or not _alike(elements(before[field]), elements(value))
    ]
    old = [field for field in before if field not in after or field in differing]
    if old:
        connection.executemany(
            "DELETE FROM fields WHERE field = ? AND row = ?",
            [(bindable(field), row) for field in old],
        )
    values = fields_of({field: after[field] for field in differing})
    connection.executemany(
        "INSERT INTO fields VALUES (?, ?, ?, ?)",
        [(bindable(field), row, at, value) for (field, at), value in values.items()],
    )


def fields_of(metadata: Metadata) -> Fields:
    """What the `fields` table holds of one row's metadata."""
    return {
        (field, _position(i, one)): bindable(one)
        for field, value in metadata.items()
        for i, one in enumerate(elements(value))
    }


def _position(index: int, value: Scalar) -> int:
    """SQLite has no booleans: they are kept as 0 and 1 at positions below zero."""
    return -1 - index if isinstance(value, bool) else index


def _alike(one: list[Scalar], other: list[Scalar]) -> bool:
    return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))


def bindable(value: Scalar) -> Scalar | bytes:
    """The value as SQLite can hold it, so that different values stay different.

    Texts with lone surrogates (file names that are not valid UTF-8) become bytes; whole numbers
    beyond 64 bits the nearest float.
    """
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode("utf-8", "surrogatepass")
        return value
    return float(value) if abs(value) >= 1 << 63 else value


def text_of(value: str | bytes) -> str:
    """A text as it was before `bindable`."""
    return value if isinstance(value, str) else value.decode("utf-8", "surrogatepass")
