"""`postgresql`: a table in a PostgreSQL database, with the extension pgvector.

A collection is a table with a row for each item. `metadata` is there for ranges, for parts of
texts, and for other programs; `exact` is what comes back; `tokens` are what most filters ask for.
Up to `EXACT_BELOW` rows that pass are scored one by one; more are looked for by an HNSW index.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import Any, ClassVar, TypeAlias
from uuid import UUID

import numpy as np
from pgvector import Vector as PgVector
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal
from psycopg.types.json import Jsonb

from pixseek.errors import LibraryNotFound, StoreError
from pixseek.records import Hit, Item, Metadata, Space, Value, Vector
from pixseek.stores import check_items, check_metadata, check_query, check_stamp
from pixseek.stores.address import Address, Metric
from pixseek.stores.filters import And, Filter, Not, Or
from pixseek.stores.payload import equals, has, metadata_of, payload, plain
from pixseek.stores.postgresql_server import LOCK, Connection, Server
from pixseek.stores.texts import meant, written
from pixseek.stores.textwords import UPPER, folded, pattern

BATCH = 500
"""Rows in one message to the server."""
EXACT_BELOW = 20_000
"""Rows that are scored one by one."""
INDEXED_FROM = 100_000
"""Rows that are added by one process before there is an index: made of many rows at once it costs
two milliseconds a row on two cores, kept up to date eleven. With fewer it is made when the store is
closed."""
LINKS, CANDIDATES_BUILDING, CANDIDATES = 24, 200, 800
"""HNSW's m, ef_construction and ef_search. Recall@10 of 100,000 vectors of 512 dimensions, by
queries like their own and like texts, which lie apart: 1.00 and 0.99, with a filter that a quarter
passes 1.00 and 0.99; by 16, 200 and 200 1.00 and 0.78."""
DEEPEST = 500
"""How many of the nearest the index is asked for; beyond, all rows that pass are scored."""
WIDEST = 2000
"""Dimensions that pgvector's index takes."""
LONGEST_NAME = 55
"""Bytes of a table's name; PostgreSQL takes 63, and the index's name is longer."""

_OPERATORS: dict[Metric, tuple[str, str, str]] = {
    "cosine": ("<=>", "1 - {}", "vector_cosine_ops"),
    "l2": ("<->", "1 - {} ^ 2 / 2", "vector_l2_ops"),
    "ip": ("<#>", "-{}", "vector_ip_ops"),
}
"""The engine's distance of a metric, the score it makes of unit vectors, and the index's class."""
Rows: TypeAlias = list[tuple[Any, ...]]
_SIGNS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}

_STAMPS = """CREATE TABLE IF NOT EXISTS pixseek_collections (name text PRIMARY KEY,
    model text NOT NULL, fingerprint text NOT NULL, dimensions integer NOT NULL,
    metric text NOT NULL)"""
_TABLE = """CREATE TABLE {table} (key uuid PRIMARY KEY, id text COLLATE "C" NOT NULL,
    content text NOT NULL, embedding vector({dimensions}) NOT NULL, metadata jsonb NOT NULL,
    exact text NOT NULL, tokens text[] NOT NULL)"""
_COLUMNS = "content, metadata, exact, tokens"


class PostgresStore:
    """Safe to use from threads."""

    REFUSES: ClassVar[Mapping[str, str]] = {}

    def __init__(self, server: Server, table: str, space: Space, metric: Metric) -> None:
        self._server = server
        self._name = table
        self._table = Identifier(table)
        self._space = space
        distance, score, self._class = _OPERATORS[metric]
        self._distance = SQL(f"(embedding {distance} {{}})")
        self._score = SQL(f"({score.format(f'(embedding {distance} {{}})')})")
        self._indexed = space.dimensions > WIDEST
        """Whether the table is known to have its index, or can have none."""
        self._added = 0

    @classmethod
    def open(cls, location: str, space: Space | None) -> PostgresStore:
        """Open `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`; options: collection, metric,
        and those of libpq.

        Raises StoreUnavailable when the server is not to be had, or has not what is needed.
        """
        address = Address.parse(location)
        server, table = Server(address), _table_name(address.collection)
        try:
            stored = server.run(lambda connection: _stamp(connection, table))
            if stored is None:
                if space is None:
                    raise LibraryNotFound(address.without_secrets)
                asked = space
                server.prepare()
                stored = server.run(
                    lambda connection: _made(connection, table, (asked, address.metric))
                )
            check_stamp(stored, (space, address.metric))
            server.run(server.check)
        except BaseException:
            server.close()
            raise
        return cls(server, table, *stored)

    @property
    def space(self) -> Space:
        return self._space

    # Writing

    def add(self, items: Sequence[Item]) -> None:
        check_items(items, self._space.dimensions)
        rows = [
            (_key(item.id), written(item.id), PgVector(item.vector), *_row(item.id, item.metadata))
            for item in {item.id: item for item in items}.values()
        ]
        insert = SQL(
            f"INSERT INTO {{}} (key, id, embedding, {_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s)"
            f" ON CONFLICT (key) DO UPDATE SET (embedding, {_COLUMNS}) = (excluded.embedding,"
            " excluded.content, excluded.metadata, excluded.exact, excluded.tokens)"
        ).format(self._table)
        added, self._added = self._added, 0  # where it fails, `close` need not try, too
        self._write(insert, rows)
        self._added = added + len(rows)
        if not self._indexed and self._added >= INDEXED_FROM:
            self._index()

    def update_metadata(self, changes: Mapping[str, Metadata]) -> None:
        check_metadata(changes)
        update = SQL(f"UPDATE {{}} SET ({_COLUMNS}) = (%s, %s, %s, %s) WHERE key = %s").format(
            self._table
        )
        self._write(update, [(*_row(id, new), _key(id)) for id, new in changes.items()])

    def delete(self, ids: Iterable[str]) -> int:
        keys = [_key(id) for id in ids]
        query = SQL("DELETE FROM {} WHERE key = ANY(%s)").format(self._table)
        return self._server.run(lambda c: c.execute(query, (keys,)).rowcount, gone=0)

    def drop(self) -> None:
        def work(connection: Connection) -> None:
            connection.execute(SQL("DROP TABLE IF EXISTS {}").format(self._table))
            connection.execute("DELETE FROM pixseek_collections WHERE name = %s", (self._name,))

        self._server.run(work)

    def _write(self, query: Composed, rows: Sequence[tuple[object, ...]]) -> None:
        def work(connection: Connection) -> None:
            with connection.cursor() as cursor:
                for start in range(0, len(rows), BATCH):
                    cursor.executemany(query, rows[start : start + BATCH])

        if rows:
            self._server.run(work)

    def _index(self) -> None:
        self._indexed = self._server.run(self._index_if_large, patient=True)

    def _index_if_large(self, connection: Connection) -> bool:
        """Make the index once it pays; from then on the engine keeps it. Readers go on."""
        if not self._many(connection, SQL("true")):
            return False
        connection.execute("SET LOCAL statement_timeout = 0")
        connection.execute("SET LOCAL maintenance_work_mem = '256MB'")
        connection.execute(
            SQL(
                "CREATE INDEX IF NOT EXISTS {} ON {} USING hnsw (embedding {})"
                " WITH (m = {}, ef_construction = {})"
            ).format(
                Identifier(f"{self._name}_near"),
                self._table,
                SQL(self._class),
                Literal(LINKS),
                Literal(CANDIDATES_BUILDING),
            )
        )
        return True

    # Reading

    def fetch(self, ids: Iterable[str]) -> list[Item]:
        wanted = list(ids)
        keys = [_key(id) for id in dict.fromkeys(wanted)]
        query = SQL("SELECT id, embedding, exact FROM {} WHERE key = ANY(%s)").format(self._table)
        rows = self._rows(query, keys)
        found = {
            meant(id): (np.array(vector.to_numpy(), np.float32), exact)
            for id, vector, exact in rows
        }
        return [Item(id, found[id][0], metadata_of(found[id][1])) for id in wanted if id in found]

    def check_filter(self, where: Filter) -> None:
        """Every filter can be answered."""

    def ids(self, where: Filter | None = None) -> Iterator[str]:
        query = SQL("SELECT id FROM {} WHERE {}").format(self._table, condition(where))
        return iter([meant(id) for (id,) in self._rows(query)])

    def count(self, where: Filter | None = None) -> int:
        query = SQL("SELECT count(*) FROM {} WHERE {}").format(self._table, condition(where))
        return sum(int(found) for (found,) in self._rows(query))

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
        passing, near = condition(where), PgVector(vector)

        def work(connection: Connection) -> Rows:
            if k + offset <= DEEPEST and self._by_index(connection, passing, where is None):
                found = self._indexed_search(connection, near, passing, k + offset)
                if len(found) == k + offset:
                    least = -2.0 if min_score is None else min_score
                    return [row for row in found[offset:] if row[2] >= least]
            return self._exact_search(connection, near, passing, k, offset, min_score)

        nothing: Rows = []
        rows = self._server.run(work, gone=nothing)
        return [Hit(meant(id), float(score), metadata_of(exact)) for id, exact, score in rows]

    def preload(self) -> None:
        """The server has its own memory."""

    def close(self) -> None:
        """Makes the index first, if there is enough now that was added here."""
        try:
            if self._added and not self._indexed:
                with suppress(StoreError):  # all is stored; who adds next tries again
                    self._index()
        finally:
            self._server.close()

    def _rows(self, query: Composed, *values: object) -> Rows:
        nothing: Rows = []
        return self._server.run(lambda c: c.execute(query, values or None).fetchall(), gone=nothing)

    def _by_index(self, connection: Connection, passing: Composable, everything: bool) -> bool:
        """Whether there is an index, and more rows pass than are quickly scored one by one."""
        (there,) = connection.execute(
            "SELECT to_regclass(%s)", (Identifier(f"{self._name}_near").as_string(),)
        ).fetchone() or (None,)
        if there is None or everything:
            return there is not None
        return self._many(connection, passing)

    def _many(self, connection: Connection, passing: Composable) -> bool:
        """Whether more rows pass than are scored one by one."""
        query = SQL("SELECT FROM {} WHERE {} OFFSET {} LIMIT 1").format(
            self._table, passing, Literal(EXACT_BELOW)
        )
        return connection.execute(query).rowcount > 0

    def _indexed_search(
        self, connection: Connection, near: PgVector, passing: Composable, k: int
    ) -> Rows:
        for setting in (
            f"hnsw.ef_search = {max(CANDIDATES, min(2 * k, 1000))}",
            "hnsw.iterative_scan = relaxed_order",  # goes on until k rows pass
            "hnsw.max_scan_tuples = 2147483647",
            "hnsw.scan_mem_multiplier = 64",
            "enable_seqscan = off",
            "enable_bitmapscan = off",
        ):
            connection.execute(f"SET LOCAL {setting}".encode())
        query = SQL(
            "SELECT id, exact, {score} FROM {table} WHERE {where} ORDER BY {near} LIMIT {k}"
        )
        rows = connection.execute(
            query.format(
                score=self._score.format(near),
                table=self._table,
                where=passing,
                near=self._distance.format(near),
                k=Literal(k),
            )
        ).fetchall()
        return sorted(rows, key=lambda row: (-row[2], row[0]))  # texts are written in order

    def _exact_search(
        self,
        connection: Connection,
        near: PgVector,
        passing: Composable,
        k: int,
        offset: int,
        min_score: float | None,
    ) -> Rows:
        query = SQL(
            "SELECT id, exact, {score} AS score FROM {table} WHERE {where}"
            " ORDER BY score DESC, id LIMIT {k} OFFSET {offset}"
        )
        score = self._score.format(near)
        if min_score is not None:
            passing = SQL("{} AND {} >= {}").format(passing, score, Literal(min_score))
        return connection.execute(
            query.format(
                score=score,
                table=self._table,
                where=passing,
                k=Literal(k),
                offset=Literal(offset),
            )
        ).fetchall()


def condition(node: Filter | None) -> Composable:
    """A filter as SQL that is true or false, never null."""
    if node is None:
        return SQL("true")
    if isinstance(node, Not):
        return SQL("NOT ({})").format(condition(node.part))
    if isinstance(node, And | Or):
        joint = SQL(" AND " if isinstance(node, And) else " OR ")
        return SQL("({})").format(joint.join([condition(part) for part in node.parts]))
    field, wanted = node.field, node.value
    if node.operator == "exists" or wanted is None:
        return SQL("tokens @> ARRAY[{}]").format(Literal(has(field)))
    if isinstance(wanted, tuple):
        tokens = [equals(field, one) for one in wanted]
        return SQL("tokens && {}::text[]").format(Literal(tokens))
    if node.operator == "eq":
        return SQL("tokens @> ARRAY[{}]").format(Literal(equals(field, wanted)))
    values = f"$.{json.dumps(written(field))}[*]"  # in PostgreSQL's language for JSON
    if node.operator in ("contains", "icontains"):
        return _contains(node.operator == "icontains", values, written(str(wanted)))
    if node.operator == "word":
        expression = Literal(pattern(written(str(wanted))))
        return _any_text(values, SQL("{} ~ {}").format(_FOLDED_VALUE, expression))
    value = json.dumps(written(wanted) if isinstance(wanted, str) else float(wanted))
    test = "starts with" if node.operator == "prefix" else _SIGNS[node.operator]
    query = SQL("coalesce(metadata @? {}, false)")
    return query.format(Literal(f"{values} ? (@ {test} {value})"))


def _contains(any_case: bool, values: str, wanted: str) -> Composed:
    """Whether one of the texts at a path of the metadata has another in it."""
    text = _FOLDED_VALUE if any_case else _VALUE
    wanted = folded(wanted) if any_case else wanted
    return _any_text(values, SQL("strpos({}, {}) > 0").format(text, Literal(wanted)))


def _any_text(values: str, test: Composable) -> Composed:
    """Whether the test holds for one of the texts, each called `value`, at a path."""
    return SQL("EXISTS (SELECT FROM jsonb_path_query(metadata, {}) AS value WHERE {})").format(
        Literal(f'{values} ? (@.type() == "string")'), test
    )


_VALUE = SQL("value #>> '{{}}'").format()
_FOLDED_VALUE = SQL("translate({}, {}, {})").format(_VALUE, Literal(UPPER), Literal(UPPER.lower()))


def _row(id: str, metadata: Metadata) -> tuple[object, ...]:
    """What is written of an item's metadata, in the order of `_COLUMNS`."""
    made = payload(metadata)
    shown = {written(field): _shown(value) for field, value in metadata.items()}
    return plain(id, metadata)["text"], Jsonb(shown), made.exact, made.tokens


def _shown(value: Value) -> Value:
    if isinstance(value, list):
        return [written(one) for one in value]
    if isinstance(value, str):
        return written(value)
    return value if isinstance(value, bool) or abs(value) <= 2**53 else float(value)


def _key(id: str) -> UUID:
    """Of fixed length: an index cannot have texts of any length."""
    return UUID(bytes=blake2b(id.encode("utf-8", "surrogatepass"), digest_size=16).digest())


def _table_name(collection: str) -> str:
    name = written(collection)
    if len(name.encode()) <= LONGEST_NAME and "%" not in name:  # the driver takes it for its own
        return name
    short = name.replace("%", "-").encode()[:30].decode(errors="ignore")
    return f"{short}-{blake2b(name.encode(), digest_size=8).hexdigest()}"


def _stamp(connection: Connection, table: str) -> tuple[Space, Metric] | None:
    """What a collection was made by; None when there is none."""
    there = "SELECT to_regclass('pixseek_collections'), to_regclass(%s)"
    names = connection.execute(there, (Identifier(table).as_string(),)).fetchone()
    if names is None or None in names:
        return None
    row = connection.execute(
        "SELECT model, fingerprint, dimensions, metric FROM pixseek_collections WHERE name = %s",
        (table,),
    ).fetchone()
    return None if row is None else (Space(row[0], row[1], row[2]), row[3])


def _made(connection: Connection, table: str, stamp: tuple[Space, Metric]) -> tuple[Space, Metric]:
    """Make a collection, unless another process was faster."""
    connection.execute(LOCK)
    stored = _stamp(connection, table)
    if stored is not None:
        return stored
    space, metric = stamp
    connection.execute(_STAMPS)
    connection.execute(
        SQL(_TABLE).format(table=Identifier(table), dimensions=Literal(space.dimensions))
    )
    connection.execute(SQL("CREATE INDEX ON {} USING gin (tokens)").format(Identifier(table)))
    connection.execute("DELETE FROM pixseek_collections WHERE name = %s", (table,))
    connection.execute(
        "INSERT INTO pixseek_collections VALUES (%s, %s, %s, %s, %s)",
        (table, space.model, space.fingerprint, space.dimensions, metric),
    )
    return space, metric
