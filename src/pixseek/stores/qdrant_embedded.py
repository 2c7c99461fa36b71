"""Qdrant's engine inside this process: a folder for each collection, used in turns with others.

FOLDER/COLLECTION/stamp.json    model, fingerprint, width and metric
FOLDER/COLLECTION/shard/        the engine's files
FOLDER/COLLECTION/*.lock        whose turn it is
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import qdrant_edge as edge

from pixseek.errors import LibraryNotFound, PixseekError, StoreUnavailable
from pixseek.records import Space, Vector
from pixseek.stores import check_stamp
from pixseek.stores.address import Address, Metric
from pixseek.stores.payload import LAYOUT
from pixseek.stores.qdrant import (
    EF,
    OLD,
    PAGE,
    SCANNED_KB,
    TOKENS,
    IndexKind,
    Json,
    Point,
    QdrantStore,
)
from pixseek.stores.questions import Kind
from pixseek.stores.turns import Turns

NO_GRAPH = 10**12
"""KB of vectors above which a search graph is made: never."""
_DISTANCES: dict[Metric, edge.Distance] = {
    "cosine": edge.Distance.Cosine,
    "l2": edge.Distance.Euclid,
    "ip": edge.Distance.Dot,
}
_T = TypeVar("_T")
Stamp = tuple[Space, Metric]


@dataclass(slots=True)
class Loaded:
    """What is in the folder now."""

    shard: edge.EdgeShard | None
    stamp: Stamp | None
    indexed: set[str]


class EmbeddedPoints:
    """A collection in a folder of this machine."""

    def __init__(self, name: str, stamp: Stamp, turns: Turns[Loaded], *, is_exact: bool) -> None:
        self.name = name
        self.space = stamp[0]
        self._stamp = stamp
        self._turns = turns
        self._is_exact = is_exact
        self._has_written = False
        self._is_closed = False
        is_new = _layout(turns.folder) == LAYOUT
        self.refuses: Mapping[Kind, str] = QdrantStore.REFUSES | ({} if is_new else OLD)

    @classmethod
    def open(cls, address: Address, space: Space | None) -> EmbeddedPoints:
        name = address.without_secrets
        folder = address.path / address.plain_collection
        try:
            if space is None and _stamp(folder) is None:
                raise LibraryNotFound(name)
            folder.mkdir(parents=True, exist_ok=True)
            is_exact = address.options.get("index") != "hnsw"
            threshold = NO_GRAPH if is_exact else None
            folder = folder.resolve()
            turns = Turns.shared(folder, name, lambda: _load(folder, threshold), _close)
            try:
                if space is not None and _stamp(folder) is None:
                    with turns.alone():
                        _make(folder, (space, address.metric))
                with turns.using() as loaded:
                    stamp = loaded.stamp
                if stamp is None:
                    raise LibraryNotFound(name)
                check_stamp(stamp, (space, address.metric))
                points = cls(name, stamp, turns, is_exact=is_exact)
                points.index([TOKENS], "token")
            except BaseException:
                turns.part()
                raise
        except PixseekError:
            raise
        except Exception as error:
            raise StoreUnavailable(name, str(error)) from error
        return points

    def index(self, fields: Iterable[str], kind: IndexKind) -> None:
        # No search graph for the values of one field: a filtered search is exact anyway.
        schema: edge.FloatIndexParams | edge.KeywordIndexParams = (
            edge.FloatIndexParams(enable_hnsw=False)
            if kind == "number"
            else edge.KeywordIndexParams(prefix=kind == "text", enable_hnsw=False)
        )

        def index(loaded: Loaded) -> None:
            for field in fields:
                if loaded.shard is not None and field not in loaded.indexed:
                    operation = edge.UpdateOperation.create_field_index(field, schema)
                    loaded.shard.update(operation)
                    loaded.indexed.add(field)

        self._with(index)

    def write(self, points: Sequence[Point]) -> None:
        made = [edge.Point(one.key, list(one.vector), one.payload) for one in points]
        self._change(edge.UpdateOperation.upsert_points(made))

    def overwrite(self, payloads: Mapping[str, Json]) -> None:
        change = edge.UpdateOperation.overwrite_payload
        self._change(*(change([key], payload) for key, payload in payloads.items()))

    def delete(self, keys: Sequence[str]) -> None:
        self._change(edge.UpdateOperation.delete_points(list(keys)))

    def retrieve(self, keys: Sequence[str]) -> list[Point]:
        def ask(shard: edge.EdgeShard) -> list[edge.Record]:
            return shard.retrieve(list(keys), with_payload=True, with_vector=True)

        return [_point(one) for one in self._ask(ask) or []]

    def scroll(self, where: Json | None, *, whole: bool) -> Iterator[Point]:
        payload = True if whole else ["pixseek.id"]
        start: Any = None
        while True:
            request = edge.ScrollRequest(start, PAGE, edge_filter(where), payload, whole)
            records, start = self._ask(_scrolled(request)) or ([], None)
            yield from map(_point, records)
            if start is None:
                return

    def count(self, where: Json | None) -> int:
        request = edge.CountRequest(exact=True, filter=edge_filter(where))
        return self._ask(lambda shard: shard.count(request)) or 0

    def nearest(self, vector: Vector, k: int, where: Json | None) -> list[Point]:
        exact = self._is_exact or where is not None
        request = edge.QueryRequest(
            limit=k,
            query=edge.Query.Nearest(vector.tolist()),
            filter=edge_filter(where),
            params=edge.SearchParams(exact=exact, hnsw_ef=None if exact else EF),
            with_payload=True,
            with_vector=True,
        )
        return [_point(one) for one in self._ask(lambda shard: shard.query(request)) or []]

    def drop(self) -> None:
        folder = self._turns.folder
        with self._turns.alone():
            if _stamp(folder) == self._stamp:  # else another's is in its place
                _remove(folder)

    def close(self) -> None:
        """The room of what was deleted is used again, and a graph is made, only when writing is
        over: that goes through everything."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            if self._has_written:
                self._ask(lambda shard: shard.optimize())
        finally:
            self._turns.part()

    def _ask(self, call: Callable[[edge.EdgeShard], _T]) -> _T | None:
        """What the call gives; None where the collection is not there."""
        return self._with(lambda loaded: None if loaded.shard is None else call(loaded.shard))

    def _change(self, *operations: edge.UpdateOperation) -> None:
        """Carry out changes, durably."""

        def change(loaded: Loaded) -> None:
            if loaded.shard is None:
                raise LibraryNotFound(self.name)
            for operation in operations:
                loaded.shard.update(operation)
            loaded.shard.flush()

        self._has_written = True
        self._with(change)

    def _with(self, call: Callable[[Loaded], _T]) -> _T:
        try:
            with self._turns.using() as loaded:
                # Another process may have dropped it, and made another in its place.
                ours = loaded.stamp == self._stamp
                return call(loaded if ours else Loaded(None, None, set()))
        except PixseekError:
            raise
        except Exception as error:  # the engine raises no other kind
            raise StoreUnavailable(self.name, str(error)) from error


def _stamp(folder: Path) -> Stamp | None:
    try:
        stored = json.loads((folder / "stamp.json").read_text())
    except FileNotFoundError:
        return None
    return Space(**stored["space"]), stored["metric"]


def _layout(folder: Path) -> int:
    layout: int = json.loads((folder / "stamp.json").read_text()).get("layout", 1)
    return layout


def _make(folder: Path, stamp: Stamp) -> None:
    """A new shard, unless another process was faster; the stamp is written when it is whole."""
    if _stamp(folder) is not None:
        return
    _remove(folder)
    edge.EdgeShard.create(str(folder / "shard"), _config(stamp)).close()
    space, metric = stamp
    new = folder / "stamp.json.new"
    new.write_text(json.dumps({"space": asdict(space), "metric": metric, "layout": LAYOUT}))
    new.replace(folder / "stamp.json")


def _config(stamp: Stamp, threshold: int | None = None) -> edge.EdgeConfig:
    vectors = edge.EdgeVectorParams(size=stamp[0].dimensions, distance=_DISTANCES[stamp[1]])
    optimizers = edge.EdgeOptimizersConfig(indexing_threshold=threshold)
    graph = edge.HnswIndexConfig(16, 100, SCANNED_KB)  # the first two are Qdrant's own
    return edge.EdgeConfig(vectors, optimizers=optimizers, hnsw_config=graph)


def _load(folder: Path, threshold: int | None) -> Loaded:
    stamp = _stamp(folder)
    if stamp is None:
        return Loaded(None, None, set())
    shard = edge.EdgeShard.load(str(folder / "shard"), _config(stamp, threshold))
    return Loaded(shard, stamp, set(shard.info().payload_schema))


def _close(loaded: Loaded) -> None:
    if loaded.shard is not None:
        loaded.shard.close()


def _remove(folder: Path) -> None:
    (folder / "stamp.json").unlink(missing_ok=True)
    shutil.rmtree(folder / "shard", ignore_errors=True)


def _scrolled(request: edge.ScrollRequest) -> Callable[[edge.EdgeShard], tuple[list[Any], Any]]:
    return lambda shard: shard.scroll(request)


def _point(found: edge.Record | edge.ScoredPoint) -> Point:
    vector: Any = found.vector or []
    return Point(str(found.id), vector, found.payload or {})


def edge_filter(where: Json | None) -> edge.Filter | None:
    """A filter of Qdrant's REST interface, of the kinds that `qdrant` makes, as the engine's."""
    if where is None:
        return None
    parts: Any = {how: [_condition(one) for one in parts] for how, parts in where.items()}
    return edge.Filter(**parts)


def _condition(asked: Json) -> Any:
    if "key" not in asked:
        return edge_filter(asked)
    if "range" in asked:
        return edge.FieldCondition(asked["key"], range=edge.RangeFloat(**asked["range"]))
    ((how, value),) = asked["match"].items()
    match: Any = _MATCHES[how](value)
    return edge.FieldCondition(asked["key"], match=match)


_MATCHES: dict[str, Callable[[Any], Any]] = {
    "any": edge.MatchAny,
    "prefix": edge.MatchPrefix,
    "substring": edge.MatchSubstring,
}
