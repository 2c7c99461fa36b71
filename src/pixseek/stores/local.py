"""`local`: one SQLite file, searched exactly.

Vectors are kept twice: float32, one row each, and int8 codes with a scale per vector, in blocks of
256 that load fast and are scanned at once by SIMD kernels. The codes only propose: how far a
proposal can be from the truth is bounded by Cauchy-Schwarz (|q·x - q'·x'| <= |q||x-x'| +
|q-q'||x'|), everything that could still be among the k nearest is scored again in float32, so the
answer is that of a full float32 scan. Filters run first, on columns of values (`columns`).
docs/decisions/002-exact-local-store.md has the measurements.
"""

from __future__ import annotations

import json
import math
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import simsimd
from numpy.typing import NDArray

from pixseek.database import Database
from pixseek.errors import LibraryNotFound
from pixseek.records import Hit, Item, Metadata, Space, Vector
from pixseek.stores import check_items, check_metadata, check_query, check_space, score
from pixseek.stores.columns import Columns, bindable, make_indexes, store_fields, text_of
from pixseek.stores.filters import Filter
from pixseek.stores.tables import Table

BLOCK = 256
"""Rows in a block of codes: small enough to rewrite for one item, large enough to load fast."""
GATHER_BELOW = 0.1
"""Share of rows under which copying the passing codes together beats scanning all of them."""
RESCORE_AT_ONCE = 256

_SCHEMA = """
CREATE TABLE IF NOT EXISTS space (model TEXT, fingerprint TEXT, dimensions INTEGER);
CREATE TABLE IF NOT EXISTS generation (latest INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS items (row INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL,
    metadata TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS vectors (row INTEGER PRIMARY KEY, vector BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS blocks (block INTEGER PRIMARY KEY, generation INTEGER NOT NULL,
    bounds BLOB NOT NULL, codes BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS blocks_by_generation ON blocks (generation);
CREATE TABLE IF NOT EXISTS fields (field TEXT, row INTEGER, position INTEGER, value,
    PRIMARY KEY (field, row, position)) WITHOUT ROWID;
"""

Codes = NDArray[np.int8]
Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
_T = TypeVar("_T")


class LocalStore:
    """The default store: no server, exact, safe with one writer and many readers."""

    def __init__(self, database: Database, space: Space) -> None:
        self.database = database
        self._space = space
        self._lock = threading.RLock()
        self._generation = -1
        self._codes: Codes = np.empty((0, space.dimensions), np.int8)
        self._scale: Floats = np.empty(0, np.float32)
        """What codes are multiplied with; 0 where there is no item."""
        self._error: Floats = np.empty(0, np.float32)
        self._columns = Columns(BLOCK)

    @classmethod
    def open(cls, location: str, space: Space | None) -> LocalStore:
        database = Database(Path(location), create=space is not None)
        try:
            return cls(database, _stamp(database, space))
        except BaseException:
            database.close()
            raise

    @property
    def space(self) -> Space:
        return self._space

    def add(self, items: Sequence[Item]) -> None:
        check_items(items, self._space.dimensions)
        latest = {item.id: item for item in items}
        if not latest:
            return
        codes, bounds = quantize(np.stack([item.vector for item in latest.values()]))
        with self.database.writing() as connection:
            make_indexes(connection)
            rows = [_put(connection, item) for item in latest.values()]
            write_codes(connection, np.array(rows), codes, bounds)

    def update_metadata(self, changes: Mapping[str, Metadata]) -> None:
        check_metadata(changes)
        with self.database.writing() as connection:
            make_indexes(connection)
            rows = _rows_of(connection, changes)
            for id, row in rows.items():
                _put_metadata(connection, row, changes[id])
            _touch(connection, {row // BLOCK for row in rows.values()})

    def delete(self, ids: Iterable[str]) -> int:
        with self.database.writing() as connection:
            rows = list(_rows_of(connection, ids).values())
            for row in rows:
                store_fields(connection, row, metadata_at(connection, row), {})
                connection.execute("DELETE FROM items WHERE row = ?", (row,))
                connection.execute("DELETE FROM vectors WHERE row = ?", (row,))
            none = np.zeros((len(rows), self._space.dimensions), np.int8)
            write_codes(connection, np.array(rows, np.int64), none, np.zeros((len(rows), 2)))
            return len(rows)

    def fetch(self, ids: Iterable[str]) -> list[Item]:
        wanted = list(ids)
        with self.database.reading() as connection:
            rows = _rows_of(connection, wanted)
            there = [id for id in wanted if id in rows]
            if not there:
                return []
            vectors = _vectors(connection, [rows[id] for id in there])
            said = _metadata(connection, rows.values())
            return [
                Item(id, vector, said[rows[id]]) for id, vector in zip(there, vectors, strict=True)
            ]

    def check_filter(self, where: Filter) -> None:
        """Every filter can be answered."""

    def ids(self, where: Filter | None = None) -> Iterator[str]:
        with self._lock, self.database.reading() as connection:
            if where is None:
                return iter([text_of(id) for (id,) in connection.execute("SELECT id FROM items")])
            self._refresh(connection)
            passing = np.flatnonzero(self._columns.mask(connection, where) & self._alive())
            return iter(list(_ids(connection, passing.tolist()).values()))

    def count(self, where: Filter | None = None) -> int:
        with self._lock, self.database.reading() as connection:
            if where is None and self._generation != _latest(connection):
                return int(connection.execute("SELECT count(*) FROM items").fetchone()[0])
            self._refresh(connection)
            if where is None:
                return int(np.count_nonzero(self._alive()))
            return int(np.count_nonzero(self._columns.mask(connection, where) & self._alive()))

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
        with self._lock, self.database.reading() as connection:
            self._refresh(connection)
            mask = self._alive()
            if where is not None:
                mask &= self._columns.mask(connection, where)
            rows, upper = self._propose(vector, mask, k + offset)
            if min_score is not None:
                keep = upper >= min_score
                rows, upper = rows[keep], upper[keep]
            best = self._rescore(connection, vector, rows, upper, k + offset, min_score)
            said = _metadata(connection, [row for _, _, row in best[offset:]])
            return [Hit(id, -score, said[row]) for score, id, row in best[offset:]]

    def table(self, fields: Iterable[str], where: Filter | None = None) -> Table:
        """See stores.tables: these fields of every item that passes, at one moment."""
        with self._lock, self.database.reading() as connection:
            self._refresh(connection)
            mask = self._alive()
            if where is not None:
                mask &= self._columns.mask(connection, where)
            rows = np.flatnonzero(mask)
            place = np.full(len(mask), -1, np.int64)
            place[rows] = np.arange(len(rows))
            values = {one: self._columns.values(connection, one, place) for one in fields}
        return Table(len(rows), values, lambda wanted: self._ids_at(rows[wanted].tolist()))

    def version(self) -> int:
        """See stores.tables: rises with each change."""
        with self.database.reading() as connection:
            return _latest(connection)

    def _ids_at(self, rows: list[int]) -> list[str | None]:
        with self.database.reading() as connection:
            ids = _ids(connection, rows)
            return [ids.get(row) for row in rows]

    def preload(self) -> None:
        """Read the codes now, so that the first search need not."""
        with self._lock, self.database.reading() as connection:
            self._refresh(connection)

    def drop(self) -> None:
        with self.database.writing() as connection:
            for table in ("items", "vectors", "blocks", "fields", "space"):
                connection.execute(f"DELETE FROM {table}")
            connection.execute("UPDATE generation SET latest = latest + 1")
        if self.database.holds("files"):  # the manifest lives in the same file
            self.database.shrink()
        else:
            self.database.remove()

    def close(self) -> None:
        self.database.close()

    def _alive(self) -> NDArray[np.bool_]:
        return self._scale > 0

    def _refresh(self, connection: sqlite3.Connection) -> None:
        """Bring the codes in memory up to this transaction's view, reading only changed blocks."""
        latest = _latest(connection)
        if latest == self._generation:
            return
        (last,) = connection.execute("SELECT coalesce(max(block), -1) FROM blocks").fetchone()
        self._resize((last + 1) * BLOCK)
        changed = []
        for block, bounds, codes in connection.execute(
            "SELECT block, bounds, codes FROM blocks WHERE generation > ?", (self._generation,)
        ):
            rows = slice(block * BLOCK, (block + 1) * BLOCK)
            self._scale[rows], self._error[rows] = np.frombuffer(bounds, "<f4").reshape(BLOCK, 2).T
            self._codes[rows] = np.frombuffer(codes, np.int8).reshape(BLOCK, -1)
            changed.append(block)
        self._columns.forget(changed, len(self._codes))
        self._generation = latest

    def _resize(self, rows: int) -> None:
        if rows == len(self._codes):
            return
        codes = np.empty((rows, self._space.dimensions), np.int8)
        bounds = np.zeros((2, rows), np.float32)
        kept = min(rows, len(self._codes))
        codes[:kept] = self._codes[:kept]
        bounds[:, :kept] = self._scale[:kept], self._error[:kept]
        self._codes, self._scale, self._error = codes, bounds[0], bounds[1]

    def _propose(
        self, vector: Vector, mask: NDArray[np.bool_], k: int
    ) -> tuple[Rows, NDArray[np.float32]]:
        """Every row that may be among the k nearest, best first, with the score it has at most."""
        passing = np.flatnonzero(mask)
        if not len(passing) or k < 1:
            return passing[:0], np.empty(0, np.float32)
        code, query_bounds = quantize(vector[np.newaxis])
        gather = len(passing) < GATHER_BELOW * len(mask)
        codes, scale = self._codes, self._scale
        if gather:
            codes, scale = codes[passing], scale[passing]
        estimate = np.asarray(simsimd.cdist(code, codes, "dot"))[0].astype(np.float32)
        estimate *= query_bounds[0, 0] * scale
        if not gather and len(passing) < len(mask):
            estimate = estimate[passing]
        # |q·x - q'·x'| <= |q||x-x'| + |q-q'||x'|; |x'| <= 1.001 + |x-x'|; 1e-6 covers rounding.
        length, error = float(np.linalg.norm(vector)), float(self._error.max())
        margin = length * error + query_bounds[0, 1] * (1.001 + error) + 1e-6 * (1 + length)
        if k < len(passing):
            kth = np.partition(estimate, len(estimate) - k)[len(estimate) - k]
            near = np.flatnonzero(estimate >= kth - 2 * margin)
            passing, estimate = passing[near], estimate[near]
        order = np.argsort(-estimate, kind="stable")
        return passing[order], estimate[order] + margin

    def _rescore(
        self,
        connection: sqlite3.Connection,
        vector: Vector,
        rows: Rows,
        upper: NDArray[np.float32],
        k: int,
        min_score: float | None,
    ) -> list[tuple[float, str, int]]:
        """(-score, id, row) of the k nearest proposed rows by float32 scores, nearest first."""
        best: list[tuple[float, str, int]] = []
        for start in range(0, len(rows), RESCORE_AT_ONCE):
            if len(best) == k and upper[start] < -best[-1][0]:
                break
            chunk = rows[start : start + RESCORE_AT_ONCE].tolist()
            scores = score(_vectors(connection, chunk), vector).tolist()
            good = sorted(scores, reverse=True)[k - 1] if k < len(scores) else -math.inf
            least = max(good, -math.inf if min_score is None else min_score)
            near = {row: score for row, score in zip(chunk, scores, strict=True) if score >= least}
            ids = _ids(connection, list(near))
            best += [(-score, ids[row], row) for row, score in near.items()]
            best = sorted(best)[:k]
        return best


def quantize(vectors: Floats) -> tuple[Codes, Floats]:
    """(n, d) float32 → int8 codes (n, d) and bounds (n, 2): each row's scale and its error.

    row ≈ code * scale, and error = |row - code * scale| (L2), rounded up.
    """
    scale = np.abs(vectors).max(axis=1) / 127
    scale = np.where(scale > 0, scale, 1).astype(np.float32)
    codes = np.rint(vectors / scale[:, np.newaxis]).astype(np.int8)
    error = np.linalg.norm(vectors - codes * scale[:, np.newaxis], axis=1) * (1 + 1e-5)
    return codes, np.stack([scale, error.astype(np.float32)], axis=1)


def _stamp(database: Database, space: Space | None) -> Space:
    """The space stored in the file, written there first when it has none yet."""
    with database.reading() as connection:
        stored = _stored_space(connection)
    if stored is None:
        if space is None:
            raise LibraryNotFound(database.path.parent)
        with database.writing() as connection:
            stored = _stored_space(connection)  # another process may have been faster
            if stored is None:
                for statement in _SCHEMA.split(";"):
                    connection.execute(statement)
                row = (space.model, space.fingerprint, space.dimensions)
                connection.execute("INSERT INTO space VALUES (?, ?, ?)", row)
                connection.execute(
                    "INSERT INTO generation SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM generation)"
                )
                return space
    check_space(stored, space)
    return stored


def _stored_space(connection: sqlite3.Connection) -> Space | None:
    table = "SELECT name FROM sqlite_master WHERE name = 'space'"
    if connection.execute(table).fetchone() is None:
        return None
    found = connection.execute("SELECT model, fingerprint, dimensions FROM space").fetchone()
    return None if found is None else Space(*found)


def _latest(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT latest FROM generation").fetchone()[0])


def _put(connection: sqlite3.Connection, item: Item) -> int:
    """Write one item's row, metadata and float32 vector; returns the row."""
    id = bindable(item.id)
    found = connection.execute("SELECT row FROM items WHERE id = ?", (id,)).fetchone()
    if found is None:
        cursor = connection.execute("INSERT INTO items (id, metadata) VALUES (?, '{}')", (id,))
        row = int(cursor.lastrowid or 0)
    else:
        row = int(found[0])
    _put_metadata(connection, row, item.metadata)
    vector = np.ascontiguousarray(item.vector, "<f4").tobytes()
    connection.execute("INSERT OR REPLACE INTO vectors VALUES (?, ?)", (row, vector))
    return row


def _put_metadata(connection: sqlite3.Connection, row: int, metadata: Metadata) -> None:
    store_fields(connection, row, metadata_at(connection, row), metadata)
    # ASCII JSON, so that file names which are not valid UTF-8 (lone surrogates) survive.
    text = json.dumps(metadata, allow_nan=False)
    connection.execute("UPDATE items SET metadata = ? WHERE row = ?", (text, row))


def write_codes(
    connection: sqlite3.Connection, rows: Rows, codes: Codes, bounds: NDArray[np.floating]
) -> None:
    """Put codes into their blocks and stamp those blocks with a new generation."""
    dimensions = codes.shape[1]
    for block in np.unique(rows // BLOCK).tolist():
        inside = rows // BLOCK == block
        found = connection.execute(
            "SELECT bounds, codes FROM blocks WHERE block = ?", (block,)
        ).fetchone()
        all_bounds, all_codes = np.zeros((BLOCK, 2), "<f4"), np.zeros((BLOCK, dimensions), np.int8)
        if found is not None:
            all_bounds[:] = np.frombuffer(found[0], "<f4").reshape(BLOCK, 2)
            all_codes[:] = np.frombuffer(found[1], np.int8).reshape(BLOCK, dimensions)
        all_bounds[rows[inside] % BLOCK] = bounds[inside]
        all_codes[rows[inside] % BLOCK] = codes[inside]
        connection.execute(
            "INSERT OR REPLACE INTO blocks VALUES (?, 0, ?, ?)",
            (block, all_bounds.tobytes(), all_codes.tobytes()),
        )
    _touch(connection, set((rows // BLOCK).tolist()))


def _touch(connection: sqlite3.Connection, blocks: set[int]) -> None:
    """Stamp blocks as changed, so that every reader loads them again."""
    connection.execute("UPDATE generation SET latest = latest + 1")
    connection.executemany(
        "UPDATE blocks SET generation = (SELECT latest FROM generation) WHERE block = ?",
        [(block,) for block in blocks],
    )


def metadata_at(connection: sqlite3.Connection, row: int) -> Metadata:
    """The metadata of the item in a row."""
    return _metadata(connection, [row])[row]


def _metadata(connection: sqlite3.Connection, rows: Iterable[int]) -> dict[int, Metadata]:
    """row → the metadata of its item."""
    said: dict[int, Metadata] = {}
    for batch in _batched(rows, 500):
        marks = ",".join("?" * len(batch))
        query = f"SELECT row, metadata FROM items WHERE row IN ({marks})"
        said.update((row, json.loads(text)) for row, text in connection.execute(query, batch))
    return said


def _rows_of(connection: sqlite3.Connection, ids: Iterable[str]) -> dict[str, int]:
    """id → row, for the ids that are stored."""
    rows: dict[str, int] = {}
    for batch in _batched(map(bindable, dict.fromkeys(ids)), 500):
        marks = ",".join("?" * len(batch))
        found = connection.execute(f"SELECT id, row FROM items WHERE id IN ({marks})", batch)
        rows.update((text_of(id), row) for id, row in found)
    return rows


def _ids(connection: sqlite3.Connection, rows: Sequence[int]) -> dict[int, str]:
    """row → id, in no order."""
    ids: dict[int, str] = {}
    for batch in _batched(rows, 500):
        marks = ",".join("?" * len(batch))
        found = connection.execute(f"SELECT row, id FROM items WHERE row IN ({marks})", batch)
        ids.update((row, text_of(id)) for row, id in found)
    return ids


def _vectors(connection: sqlite3.Connection, rows: Sequence[int]) -> Floats:
    """(n, d) float32 in the order of the rows."""
    found: dict[int, bytes] = {}
    for batch in _batched(rows, 500):
        marks = ",".join("?" * len(batch))
        query = f"SELECT row, vector FROM vectors WHERE row IN ({marks})"
        found.update(connection.execute(query, batch))
    joined = b"".join(found[row] for row in rows)
    return np.frombuffer(joined, "<f4").reshape(len(rows), -1)


def _batched(values: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """SQLite takes a limited number of parameters in one statement."""
    remaining = iter(values)
    while batch := list(islice(remaining, size)):
        yield batch
