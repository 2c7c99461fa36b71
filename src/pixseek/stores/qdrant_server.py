"""A collection of a Qdrant server, over its REST interface."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
from qdrant_client import QdrantClient, models
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from pixseek.errors import InvalidStoreAddress, LibraryNotFound, PixseekError, StoreUnavailable
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
from pixseek.stores.retrying import retried

CONNECT_S, CALL_S = 5.0, 60
OLDEST = (1, 16)
"""Collections have metadata of their own since then."""
PREFIX_SINCE, SUBSTRING_SINCE = (1, 19), (1, 20)
STAMP = "pixseek"
"""The key of a collection's metadata that says what made its vectors."""

_DISTANCES: dict[Metric, models.Distance] = {
    "cosine": models.Distance.COSINE,
    "l2": models.Distance.EUCLID,
    "ip": models.Distance.DOT,
}
_T = TypeVar("_T")


class ServerPoints:
    """Safe to use from threads. What may succeed a moment later is tried again."""

    def __init__(self, address: Address) -> None:
        """Raises StoreUnavailable when the server does not answer, bars us or is too old."""
        self.name = address.without_secrets
        self.refuses: Mapping[Kind, str] = QdrantStore.REFUSES
        self._collection = address.plain_collection
        self._is_exact = address.options.get("index") != "hnsw"
        self._indexed: set[str] = set()
        place = urlsplit(address.place)
        if not place.hostname or place.path.strip("/"):
            raise InvalidStoreAddress(self.name, "no host", "//HOST:PORT")
        scheme = "https" if address.name.endswith("https") else "http"
        url = f"{scheme}://{place.hostname}:{place.port or 6333}"
        key = address.options.get("api_key") or os.environ.get("QDRANT_API_KEY")
        headers = {"api-key": key} if key else {}
        # As headers: of a key over plain HTTP the client would print a warning.
        self._client = QdrantClient(
            url=url, timeout=CALL_S, check_compatibility=False, metadata=headers
        )
        try:
            self._version = self._call(lambda: _version(url, headers))
        except BaseException:
            self._client.close()
            raise

    @classmethod
    def open(cls, address: Address, space: Space | None) -> ServerPoints:
        points = cls(address)
        try:
            points._check_version()
            points._stamp(space, address.metric)
            points.index([TOKENS], "token")
        except BaseException:
            points.close()
            raise
        return points

    def _check_version(self) -> None:
        shown = ".".join(map(str, self._version))
        if self._version < OLDEST:
            reason = f"it is version {shown}, and {'.'.join(map(str, OLDEST))} or newer is needed"
            raise StoreUnavailable(self.name, reason)
        since: dict[Kind, tuple[int, int]] = {
            "prefix": PREFIX_SINCE,
            "contains": SUBSTRING_SINCE,
            "icontains": SUBSTRING_SINCE,
        }
        self.refuses = QdrantStore.REFUSES | {
            kind: f"this server is Qdrant {shown}, and {'.'.join(map(str, first))} is needed"
            for kind, first in since.items()
            if self._version < first
        }

    def _stamp(self, space: Space | None, metric: Metric) -> None:
        stored = self._stored()
        if stored is None and space is not None:
            written = {"space": asdict(space), "metric": metric, "layout": LAYOUT}
            vectors = models.VectorParams(size=space.dimensions, distance=_DISTANCES[metric])
            graph = models.HnswConfigDiff(full_scan_threshold=SCANNED_KB)
            self._ask(
                lambda: self._client.create_collection(
                    self._collection,
                    vectors_config=vectors,
                    hnsw_config=graph,
                    metadata={STAMP: written},
                ),
                fine=409,  # another process was faster
            )
            stored = self._stored()
        if stored is None:
            raise LibraryNotFound(self.name)
        check_stamp(stored, (space, metric))
        self.space = stored[0]

    def _stored(self) -> tuple[Space, Metric] | None:
        there = self._ask(lambda: self._client.collection_exists(self._collection))
        found = there and self._ask(lambda: self._client.get_collection(self._collection))
        if not found:
            return None
        self._indexed = set(found.payload_schema)
        written = (found.config.metadata or {}).get(STAMP)
        if written is None:
            part = f"a collection {self._collection!r} that pixseek did not make"
            raise InvalidStoreAddress(self.name, part, "one of its own (?collection=ANOTHER)")
        if written.get("layout", 1) != LAYOUT:
            self.refuses = dict(self.refuses) | OLD
        return Space(**written["space"]), written["metric"]

    def index(self, fields: Iterable[str], kind: IndexKind) -> None:
        schema: models.PayloadSchemaType | models.KeywordIndexParams = (
            models.PayloadSchemaType.FLOAT if kind == "number" else models.PayloadSchemaType.KEYWORD
        )
        if kind == "text" and self._version >= PREFIX_SINCE:
            schema = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, prefix=True)
        for field in fields:
            if field not in self._indexed:
                self._ask(_indexing(self._client, self._collection, field, schema))
                self._indexed.add(field)

    def write(self, points: Sequence[Point]) -> None:
        made = [
            models.PointStruct(id=one.key, vector=list(one.vector), payload=one.payload)
            for one in points
        ]
        self._change(lambda: self._client.upsert(self._collection, made, wait=True))

    def overwrite(self, payloads: Mapping[str, Json]) -> None:
        operations = [
            models.OverwritePayloadOperation(
                overwrite_payload=models.SetPayload(payload=payload, points=[key])
            )
            for key, payload in payloads.items()
        ]
        self._change(
            lambda: self._client.batch_update_points(self._collection, operations, wait=True)
        )

    def delete(self, keys: Sequence[str]) -> None:
        selected = models.PointIdsList(points=list(keys))
        self._ask(lambda: self._client.delete(self._collection, selected, wait=True))

    def retrieve(self, keys: Sequence[str]) -> list[Point]:
        found = self._ask(
            lambda: self._client.retrieve(
                self._collection, list(keys), with_payload=True, with_vectors=True
            )
        )
        return [_point(one) for one in found or []]

    def scroll(self, where: Json | None, *, whole: bool) -> Iterator[Point]:
        start: Any = None
        while True:
            page = _scrolling(self._client, self._collection, _filter(where), start, whole)
            records, start = self._ask(page) or ([], None)
            yield from map(_point, records)
            if start is None:
                return

    def count(self, where: Json | None) -> int:
        found = self._ask(lambda: self._client.count(self._collection, _filter(where), exact=True))
        return found.count if found else 0

    def nearest(self, vector: Vector, k: int, where: Json | None) -> list[Point]:
        exact = self._is_exact or where is not None
        found = self._ask(
            lambda: self._client.query_points(
                self._collection,
                vector.tolist(),
                limit=k,
                query_filter=_filter(where),
                search_params=models.SearchParams(exact=exact, hnsw_ef=None if exact else EF),
                with_payload=True,
                with_vectors=True,
            )
        )
        return [_point(one) for one in found.points] if found else []

    def drop(self) -> None:
        self._ask(lambda: self._client.delete_collection(self._collection))

    def close(self) -> None:
        self._client.close()

    def _change(self, call: Callable[[], object]) -> None:
        if self._ask(call) is None:
            raise LibraryNotFound(self.name)

    def _ask(self, call: Callable[[], _T], *, fine: int = 404) -> _T | None:
        """What the call gives; None where the collection is not there, or as the status says."""

        def ask() -> _T | None:
            try:
                return call()
            except UnexpectedResponse as error:
                if error.status_code == fine:
                    return None
                raise

        return self._call(ask)

    def _call(self, call: Callable[[], _T]) -> _T:
        try:
            return retried(call, transient=_is_transient)
        except PixseekError:
            raise
        except Exception as error:
            raise StoreUnavailable(self.name, _reason(error)) from error


def _version(url: str, headers: dict[str, str]) -> tuple[int, int]:
    timeout = httpx.Timeout(CALL_S, connect=CONNECT_S)
    answer = httpx.get(url, headers=headers, timeout=timeout).raise_for_status().json()
    major, minor = str(answer["version"]).split(".")[:2]
    return int(major), int(minor)


def _is_transient(error: Exception) -> bool:
    if isinstance(error, UnexpectedResponse):
        return error.status_code is None or error.status_code >= 500 or error.status_code == 429
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code >= 500
    if isinstance(error, ResponseHandlingException):
        error = error.source
    return isinstance(error, httpx.TransportError | ResourceExhaustedResponse)


def _reason(error: Exception) -> str:
    if isinstance(error, UnexpectedResponse):
        said = error.content.decode(errors="replace")
        return f"it answered {error.status_code}: {' '.join(said.split())[:300]}"
    if isinstance(error, ResponseHandlingException):
        error = error.source
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _indexing(
    client: QdrantClient,
    collection: str,
    field: str,
    schema: models.PayloadSchemaType | models.KeywordIndexParams,
) -> Callable[[], object]:
    return lambda: client.create_payload_index(collection, field, schema, wait=True)


def _scrolling(
    client: QdrantClient, collection: str, where: models.Filter | None, start: Any, whole: bool
) -> Callable[[], tuple[list[models.Record], Any]]:
    payload: bool | list[str] = True if whole else ["pixseek.id"]
    return lambda: client.scroll(
        collection, where, PAGE, offset=start, with_payload=payload, with_vectors=whole
    )


def _point(found: models.Record | models.ScoredPoint) -> Point:
    vector: Any = found.vector or []
    return Point(str(found.id), vector, found.payload or {})


def _filter(where: Json | None) -> models.Filter | None:
    return None if where is None else models.Filter(**where)
