"""Whether the tables of a `local` store agree with each other, and how they are made to.

Metadata and float32 vectors are what counts; the int8 codes and the columns for filters are made
from them, and can be made again.
"""

from __future__ import annotations

import sqlite3

import numpy as np
from numpy.typing import NDArray

from pixseek.records import Scalar
from pixseek.stores.columns import Fields, fields_of, store_fields, text_of
from pixseek.stores.local import BLOCK, LocalStore, metadata_at, quantize, write_codes


def examine(store: LocalStore, *, repair: bool) -> list[str]:
    """What does not agree. repair: make it agree; what has no vector is taken out."""
    with (store.database.writing if repair else store.database.reading)() as connection:
        found = _without_vector(connection, store, repair=repair)
        rows = [row for (row,) in connection.execute("SELECT row FROM items ORDER BY row")]
        stale = _stale_codes(connection, store.space.dimensions, repair=repair)
        differing = [row for row in rows if _differs(connection, row)]
        if repair:
            for row in differing:
                connection.execute("DELETE FROM fields WHERE row = ?", (row,))
                store_fields(connection, row, {}, metadata_at(connection, row))
            if differing or found or stale:
                connection.execute("UPDATE generation SET latest = latest + 1")
                connection.execute("UPDATE blocks SET generation = (SELECT latest FROM generation)")
    if stale:
        found.append(f"{stale} blocks of its codes are not those of the vectors")
    if differing:
        found.append(f"{len(differing)} pictures would be filtered by wrong values")
    return found


def _without_vector(
    connection: sqlite3.Connection, store: LocalStore, *, repair: bool
) -> list[str]:
    """Rows of one table that the other lacks, and vectors of the wrong size."""
    query = (
        "SELECT row FROM items LEFT JOIN vectors USING (row)"
        " WHERE vector IS NULL OR length(vector) != ?"
        " UNION SELECT row FROM vectors WHERE row NOT IN (SELECT row FROM items)"
    )
    bad = connection.execute(query, (4 * store.space.dimensions,)).fetchall()
    if repair:
        for table in ("items", "vectors", "fields"):
            connection.executemany(f"DELETE FROM {table} WHERE row = ?", bad)
    return [f"{len(bad)} pictures have no whole vector, or only that"] if bad else []


def _stale_codes(connection: sqlite3.Connection, dimensions: int, *, repair: bool) -> int:
    """How many blocks are not what the vectors give."""
    stale = 0
    (rows,) = connection.execute("SELECT coalesce(max(row), -1) FROM vectors").fetchone()
    (blocks,) = connection.execute("SELECT coalesce(max(block), -1) FROM blocks").fetchone()
    for block in range(max(rows // BLOCK, blocks) + 1):
        codes, bounds = _block(connection, block, dimensions)
        query = "SELECT bounds, codes FROM blocks WHERE block = ?"
        found = connection.execute(query, (block,)).fetchone()
        if found is None:
            right = not bounds.any()
        else:
            stored = np.frombuffer(found[0], "<f4").reshape(BLOCK, 2)
            right = found[1] == codes.tobytes() and np.allclose(stored, bounds)
        stale += not right
        if repair and not right:
            all_rows = np.arange(block * BLOCK, (block + 1) * BLOCK)
            write_codes(connection, all_rows, codes, bounds)
    return stale


def _block(
    connection: sqlite3.Connection, block: int, dimensions: int
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Codes and bounds of a block as its vectors give them; zeros where there is none."""
    codes = np.zeros((BLOCK, dimensions), np.int8)
    bounds = np.zeros((BLOCK, 2), np.float32)
    first = block * BLOCK
    query = "SELECT row, vector FROM vectors WHERE row >= ? AND row < ?"
    for row, content in connection.execute(query, (first, first + BLOCK)):
        whole = content if len(content) == 4 * dimensions else b""
        vector: NDArray[np.float32] = np.frombuffer(whole, "<f4")
        if len(vector) and np.isfinite(vector).all():
            code, bound = quantize(vector[np.newaxis])
            codes[row - first], bounds[row - first] = code[0], bound[0]
    return codes, bounds


def _differs(connection: sqlite3.Connection, row: int) -> bool:
    """Whether the columns of a picture are not those of its metadata."""
    stored: Fields = {
        (text_of(field), position): _comparable(value)
        for field, position, value in connection.execute(
            "SELECT field, position, value FROM fields WHERE row = ?", (row,)
        )
    }
    wanted = {
        key: _comparable(value) for key, value in fields_of(metadata_at(connection, row)).items()
    }
    return stored != wanted


def _comparable(value: Scalar | bytes) -> Scalar | bytes:
    return float(value) if isinstance(value, int) else value
