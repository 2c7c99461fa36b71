"""`lancedb`: Lance tables in a folder or an object store (s3://, gs://, az://), without a server.

A collection is a table with a row for each item: `key` (a hash of the id), `vector`, `exact` (what
comes back), and what filters ask for: `tokens`, `numbers`, `texts`. `text` and `metadata` are for
other programs. Up to `EXACT_BELOW` rows that pass are scored one by one; more are looked for by an
index. Every write is a new version of the table, in files of its own; when these are many they are
joined, and old versions deleted.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from hashlib import blake2b
from itertools import islice
from typing import Any, ClassVar, Literal, TypeVar
from urllib.parse import unquote

import lancedb
import numpy as np
import pyarrow as pa
from lancedb.index import BTree, HnswSq, LabelList

from pixseek.errors import InvalidStoreAddress, LibraryNotFound, StoreUnavailable
from pixseek.records import Hit, Item, Metadata, Space, Vector
from pixseek.stores import check_items, check_metadata, check_query, check_stamp, nearest_first
from pixseek.stores.address import Address, Metric
from pixseek.stores.filters import And, Compare, Filter, Not, Or
from pixseek.stores.payload import equals, has, metadata_of, payload, plain
from pixseek.stores.retrying import retried
from pixseek.stores.texts import SEPARATOR, meant, written
from pixseek.stores.textwords import UPPER, folded, pattern

BATCH = 1000
"""Keys asked for in one query."""
EXACT_BELOW = 20_000
"""Rows that are scored one by one."""
CANDIDATES, RESCORED = 800, 2
"""How many an index looks at, at least, and how many for each wanted are scored again exactly.
Recall@10 of 100,000 vectors of 512 dimensions, by queries like their own and like texts, which lie
apart: 1.00 and 0.99; by 150 candidates 1.00 and 0.84."""
PIECES = 20
"""Files beyond which they are joined, and one more for each `ROWS_A_PIECE` rows: the more there is
to write again, the more seldom."""
ROWS_A_PIECE = 1000
KEPT = timedelta(minutes=10)
"""How long versions that others may still read are kept."""

_METRICS: dict[Metric, Literal["cosine", "l2", "dot"]] = {
    "cosine": "cosine",
    "l2": "l2",
    "ip": "dot",
}
_SHOWN: dict[str, pa.DataType] = {
    **dict.fromkeys(("path", "folder", "name", "caption", "camera_model"), pa.string()),
    **dict.fromkeys(("taken", "year", "width", "height"), pa.float64()),
}
"""Fields of `metadata`: what other programs may like to see."""
_SIGNS = {"gt": ("max", ">"), "gte": ("max", ">="), "lt": ("min", "<"), "lte": ("min", "<=")}
_ANY = "*"
"""A token of every item: a list without tokens would have neither one nor not."""
_T = TypeVar("_T")


class LanceStore:
    """Safe to use from threads."""

    REFUSES: ClassVar[Mapping[str, str]] = {}

    def __init__(self, address: Address, database: Any, name: str) -> None:
        self._shown = address.without_secrets
        self._database = database
        self._name = name
        self._metric = _METRICS[address.metric]
        self._writing = threading.RLock()

    @classmethod
    def open(cls, location: str, space: Space | None) -> LanceStore:
        """Open `lancedb:FOLDER` or `lancedb:s3://BUCKET/PATH`; options: collection, metric.

        What an object store asks for is taken from its environment variables, such as AWS_REGION.
        Raises StoreUnavailable when the engine is not to be had.
        """
        address = Address.parse(location)
        if not address.place or address.options.keys() - {"collection", "metric"}:
            found = "no place" if not address.place else "options that are not LanceDB's"
            expected = "lancedb:FOLDER?collection=...&metric=..."
            raise InvalidStoreAddress(address.without_secrets, found, expected)
        remote = "://" in address.place
        if space is None and not remote and not address.path.is_dir():
            raise LibraryNotFound(address.without_secrets)
        try:
            database = lancedb.connect(
                unquote(address.place) if not remote else address.place,
                read_consistency_interval=timedelta(0),  # other processes' writes, at each call
            )
        except _FAILURES as error:
            raise StoreUnavailable(address.without_secrets, _reason(error)) from error
        store = cls(address, database, _table_name(address.collection))
        check_stamp(store._opened(space, address.metric), (space, address.metric))
        return store

    def _opened(self, space: Space | None, metric: Metric) -> tuple[Space, Metric]:
        """Open the table, or make it; what it was made by."""
        names = self._ask(lambda: set(self._names()))
        if self._name not in names:
            if space is None:
                raise LibraryNotFound(self._shown)
            schema = _schema(space, metric)
            self._ask(  # exist_ok: another process may be faster
                lambda: self._database.create_table(self._name, schema=schema, exist_ok=True)
            )
        self._table = self._ask(lambda: self._database.open_table(self._name))
        self._schema: pa.Schema = self._table.schema
        stamp = (self._schema.metadata or {}).get(b"pixseek")
        if stamp is None:
            reason = (
                f"its table {self._name!r} was made by another program; name another collection"
            )
            raise StoreUnavailable(self._shown, reason)
        made = json.loads(stamp)
        self._space = Space(made["model"], made["fingerprint"], made["dimensions"])
        return self._space, made["metric"]

    @property
    def space(self) -> Space:
        return self._space

    # Writing

    def add(self, items: Sequence[Item]) -> None:
        check_items(items, self._space.dimensions)
        latest = list({item.id: item for item in items}.values())
        if not latest:
            return
        vectors = np.stack([item.vector for item in latest]).astype(np.float32)
        columns = _columns([(item.id, item.metadata) for item in latest])
        columns["id"] = [written(item.id) for item in latest]
        columns["vector"] = pa.FixedSizeListArray.from_arrays(
            pa.array(vectors.ravel()), self._space.dimensions
        )
        rows = pa.Table.from_pydict(columns, schema=self._schema)
        self._write(
            lambda: (
                self._table.merge_insert("key")
                .when_matched_update_all()
                .when_not_matched_insert_all()
                .execute(rows)
            )
        )

    def update_metadata(self, changes: Mapping[str, Metadata]) -> None:
        check_metadata(changes)
        if not changes:
            return
        columns = _columns(list(changes.items()))
        schema = pa.schema([field for field in self._schema if field.name in columns])
        rows = pa.Table.from_pydict(columns, schema=schema)
        self._write(lambda: self._table.merge_insert("key").when_matched_update_all().execute(rows))

    def delete(self, ids: Iterable[str]) -> int:
        deleted = 0
        for some in _batches(dict.fromkeys(map(_key, ids))):
            gone = self._write(partial(self._table.delete, _among(some)))
            deleted += int(gone.num_deleted_rows)
        return deleted

    def drop(self) -> None:
        with self._writing:
            self._ask(lambda: self._database.drop_table(self._name, ignore_missing=True))

    def _write(self, change: Callable[[], _T]) -> _T:
        with self._writing:
            made = self._ask(change)
            self._ask(self._tidy)
            return made

    def _tidy(self) -> None:
        """Join files that have become many; make the index once it pays."""
        stats = self._table.stats()
        pieces, rows = stats["fragment_stats"]["num_fragments"], stats["num_rows"]
        if pieces <= PIECES + rows // ROWS_A_PIECE:
            return
        self._table.optimize(cleanup_older_than=KEPT)
        if rows > EXACT_BELOW and not self._table.list_indices():
            self._table.create_index("key", config=BTree())
            self._table.create_index("tokens", config=LabelList())
            near = HnswSq(distance_type=self._metric, num_partitions=1)
            self._table.create_index("vector", config=near)

    # Reading

    def fetch(self, ids: Iterable[str]) -> list[Item]:
        wanted = list(ids)
        found: dict[str, Item] = {}
        for some in _batches(dict.fromkeys(map(_key, wanted))):
            rows = self._rows(["id", "vector", "exact"], _among(some))
            for id, vector, exact in zip(
                rows["id"].to_pylist(), _vectors(rows), rows["exact"].to_pylist(), strict=True
            ):
                found[meant(id)] = Item(meant(id), vector, metadata_of(exact))
        return [found[id] for id in wanted if id in found]

    def check_filter(self, where: Filter) -> None:
        """Every filter can be answered."""

    def ids(self, where: Filter | None = None) -> Iterator[str]:
        rows = self._rows(["id"], None if where is None else condition(where))
        return iter([meant(id) for id in rows["id"].to_pylist()])

    def count(self, where: Filter | None = None) -> int:
        passing = None if where is None else condition(where)
        return self._ask(lambda: int(self._table.count_rows(passing)), gone=0)

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
        passing = None if where is None else condition(where)
        count = self.count(where)
        wanted = min(k + offset, count)
        if wanted < 1 or k < 1:
            return []
        rows = self._nearest(vector, passing, wanted, exact=count <= EXACT_BELOW)
        if len(rows) < wanted:  # the index may find fewer when few pass
            rows = self._nearest(vector, passing, wanted, exact=True)
        return nearest_first(
            list(zip(rows["id"].to_pylist(), rows["exact"].to_pylist(), strict=True)),
            _vectors(rows),
            vector,
            id=lambda one: meant(one[0]),
            metadata=lambda one: metadata_of(one[1]),
            min_score=min_score,
            offset=offset,
            k=k,
        )

    def preload(self) -> None:
        """Files are read as they are needed."""

    def close(self) -> None:
        """Nothing is held between calls."""

    def _nearest(self, vector: Vector, passing: str | None, k: int, *, exact: bool) -> pa.Table:
        def call() -> pa.Table:
            query = self._table.search(vector, vector_column_name="vector")
            query = query.distance_type(self._metric).limit(k)
            query = query.select(["id", "exact", "vector", "_distance"])  # unnamed, it is warned of
            if passing is not None:
                query = query.where(passing, prefilter=True)
            if exact:
                query = query.bypass_vector_index()
            else:
                query = query.ef(max(CANDIDATES, 2 * k)).refine_factor(RESCORED)
            return query.to_arrow()

        nothing = self._schema.empty_table()
        return self._ask(call, gone=nothing)

    def _rows(self, columns: list[str], passing: str | None) -> pa.Table:
        def call() -> pa.Table:
            query = self._table.search().select(columns).limit(None)
            return (query if passing is None else query.where(passing)).to_arrow()

        return self._ask(call, gone=self._schema.empty_table())

    def _names(self) -> Iterator[str]:
        page = None
        while True:
            found = self._database.list_tables(page_token=page)
            yield from found.tables
            page = found.page_token
            if not page:
                return

    def _ask(self, call: Callable[[], _T], *, gone: _T | None = None) -> _T:
        """What a call gives, tried again when another process wrote at the same time.

        gone: the answer when the table is not there any more; without it that is an error.
        Raises StoreUnavailable.
        """
        try:
            return retried(call, transient=_transient)
        except _FAILURES as error:
            if gone is not None and self._name not in set(self._names()):
                return gone
            raise StoreUnavailable(self._shown, _reason(error)) from error


_FAILURES = (OSError, RuntimeError, ValueError)
"""What LanceDB raises when something is wrong below."""


def _transient(error: Exception) -> bool:
    return isinstance(error, _FAILURES) and "conflict" in str(error).lower()


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def _schema(space: Space, metric: Metric) -> pa.Schema:
    stamp = {
        "model": space.model,
        "fingerprint": space.fingerprint,
        "dimensions": space.dimensions,
        "metric": metric,
    }
    return pa.schema(
        {
            "key": pa.string(),
            "id": pa.string(),
            "vector": pa.list_(pa.float32(), space.dimensions),
            "text": pa.string(),
            "metadata": pa.struct(_SHOWN),
            "exact": pa.string(),
            "tokens": pa.list_(pa.string()),
            "numbers": pa.map_(pa.string(), pa.float64()),
            "texts": pa.map_(pa.string(), pa.list_(pa.string())),
        },
        metadata={b"pixseek": json.dumps(stamp).encode()},
    )


def _columns(rows: Sequence[tuple[str, Metadata]]) -> dict[str, Any]:
    """Ids and metadata → everything that is written of them, but id and vector."""
    made = [payload(metadata) for _, metadata in rows]
    shown = [plain(id, metadata) for id, metadata in rows]
    return {
        "key": [_key(id) for id, _ in rows],
        "text": [str(one["text"]) for one in shown],
        "metadata": [
            {name: _as(kind, one.get(name)) for name, kind in _SHOWN.items()} for one in shown
        ],
        "exact": [one.exact for one in made],
        "tokens": [[_ANY, *one.tokens] for one in made],
        "numbers": [[(written(f), n) for f, n in one.numbers.items()] for one in made],
        "texts": [_texts(metadata) for _, metadata in rows],
    }


def _as(kind: pa.DataType, value: object) -> object:
    """The value if the column can have it."""
    if kind == pa.string():
        return value if isinstance(value, str) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _texts(metadata: Metadata) -> list[tuple[str, list[str]]]:
    found = []
    for field, value in metadata.items():
        texts = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        if texts:
            found.append((written(field), [written(one) for one in texts]))
    return found


def condition(node: Filter) -> str:
    """A filter as DataFusion's SQL that is true or false, never null."""
    if isinstance(node, Not):
        return f"NOT ({condition(node.part)})"
    if isinstance(node, And | Or):
        joint = " AND " if isinstance(node, And) else " OR "
        return f"({joint.join(map(condition, node.parts))})"
    field, wanted = node.field, node.value
    if node.operator == "exists" or wanted is None:
        return f"array_has(tokens, {_quoted(has(field))})"
    if isinstance(wanted, tuple):
        tokens = ", ".join(_quoted(equals(field, one)) for one in wanted)
        return f"array_has_any(tokens, [{tokens}])" if wanted else "false"
    if node.operator == "eq":
        return f"array_has(tokens, {_quoted(equals(field, wanted))})"
    return f"coalesce({_range(node, wanted)}, false)"


def _range(node: Compare, wanted: str | float) -> str:
    if not isinstance(wanted, str):
        number = f"map_extract(numbers, {_quoted(written(node.field))})[1]"
        return f"{number} {_SIGNS[node.operator][1]} {float(wanted)!r}"
    texts, text = f"map_extract(texts, {_quoted(written(node.field))})[1]", written(wanted)
    joined = f"array_to_string({texts}, {_quoted(SEPARATOR)})"
    if node.operator == "contains":
        return f"contains({joined}, {_quoted(text)})"
    alike = f"translate({joined}, '{UPPER}', '{UPPER.lower()}')"
    if node.operator == "icontains":
        return f"contains({alike}, {_quoted(folded(text))})"
    if node.operator == "word":
        return f"regexp_like({alike}, {_quoted(pattern(text, SEPARATOR))})"
    if node.operator == "prefix":
        start = _quoted(SEPARATOR)
        return f"contains(concat({start}, {joined}), {_quoted(SEPARATOR + text)})"
    furthest, sign = _SIGNS[node.operator]
    return f"array_{furthest}({texts}) {sign} {_quoted(text)}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _among(keys: Iterable[str]) -> str:
    return f"key IN ({', '.join(map(_quoted, keys))})"


def _key(id: str) -> str:
    return blake2b(id.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _vectors(rows: pa.Table) -> Any:
    """(n, d) float32."""
    column = rows["vector"].combine_chunks()
    return column.flatten().to_numpy(zero_copy_only=False).reshape(len(rows), column.type.list_size)


def _batches(keys: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(keys)
    while batch := list(islice(remaining, BATCH)):
        yield batch


def _table_name(collection: str) -> str:
    if re.fullmatch(r"[\w-][\w.-]{0,99}", collection, re.ASCII):
        return collection
    slug = re.sub(r"[^\w-]", "-", collection, flags=re.ASCII)[:40]
    return (
        f"{slug}-{blake2b(collection.encode('utf-8', 'surrogatepass'), digest_size=8).hexdigest()}"
    )
