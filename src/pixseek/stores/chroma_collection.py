"""One collection of Chroma, in a folder or of a server: bounded batches, and Chroma's errors.

In a folder Chroma guards against no other process: what one adds another does not find, and both
may write at once. So processes take turns with it (`turns`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast
from urllib.parse import quote, urlsplit

import chromadb
import httpx
import numpy as np
from chromadb import Collection
from chromadb.api.client import AdminClient, Client
from chromadb.api.fastapi import FastAPI
from chromadb.api.shared_system_client import SharedSystemClient
from chromadb.config import DEFAULT_DATABASE, DEFAULT_TENANT, Settings
from chromadb.errors import InternalError, NotFoundError, RateLimitError

from pixseek.errors import InvalidStoreAddress, LibraryNotFound, PixseekError, StoreUnavailable
from pixseek.records import Space, Vector
from pixseek.stores import check_stamp
from pixseek.stores.address import Address, Metric
from pixseek.stores.payload import LAYOUT
from pixseek.stores.retrying import retried
from pixseek.stores.turns import Turns

CONNECT_S, CALL_S = 5.0, 60.0
BATCH, CLOUD_BATCH = 500, 300
"""Records written or read at once. Chroma takes 5,461, but a server bounds the megabytes, and
Chroma Cloud takes 300."""
CLOUD = "trychroma.com"
PAGE = 5000
"""Keys read at once: for those of 100,000 records SQLite has not enough variables."""
GRAPH = {"max_neighbors": 32, "ef_construction": 200, "ef_search": 400}
"""Of 100,000 vectors of 512 dimensions recall@10 is then 1.00 for queries like images and 1.00 for
queries like texts, which lie apart from images; filtered, at least 0.98. With Chroma's own 16, 100
and this `ef_search` it is 0.995 for texts at 50,000 already. A vector costs 5 ms to add."""
STAMP = "pixseek"
"""The key of a collection's metadata that says what made its vectors."""

Json: TypeAlias = dict[str, Any]
Stamp: TypeAlias = tuple[Space, Metric, int]
"""What made the vectors, and the layout of the metadata (`payload.LAYOUT`)."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Record:
    """What Chroma keeps of an item."""

    key: str
    vector: Vector
    metadata: Json
    document: str = ""
    """Only to be written."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way to Chroma's client."""

    name: str
    """For messages, without secrets."""
    using: Callable[[], AbstractContextManager[Client]]
    close: Callable[[], None]
    is_cloud: bool = False

    def ask(self, call: Callable[[Client], _T]) -> _T:
        """What the call gives; an error of Chroma other than NotFoundError is StoreUnavailable."""

        def ask() -> _T:
            with self.using() as client:
                return call(client)

        try:
            return retried(ask, transient=_is_transient)
        except (PixseekError, NotFoundError):
            raise
        except Exception as error:  # an answer that is not Chroma's is a plain Exception
            raise StoreUnavailable(self.name, _reason(error)) from error


class ChromaCollection:
    """One set of vectors. Once it is dropped, answers are as if it were empty."""

    def __init__(self, way: Way, collection: str, stamp: Stamp) -> None:
        self.name = way.name
        self.space = stamp[0]
        self.has_words = stamp[2] == LAYOUT
        self._way = way
        self._batch = CLOUD_BATCH if way.is_cloud else BATCH
        self._collection = collection
        self._stamp = stamp
        self._known: tuple[Client, Collection] | None = None
        self._closed = False

    @classmethod
    def open(cls, address: Address, space: Space | None) -> ChromaCollection:
        """The collection of an address, made when a space is given and it is not there."""
        address.check_options(*(("token", "tenant", "database") if address.is_remote else ()))
        collection, asked = address.plain_collection, (space, address.metric)
        way = _server(address) if address.is_remote else _folder(address, create=space is not None)
        try:
            stored = way.ask(lambda client: _stamp(way.name, client, collection))
            if stored is None and space is not None:
                made = (space, address.metric, LAYOUT)
                way.ask(lambda client: _make(client, collection, made, is_cloud=way.is_cloud))
                stored = way.ask(lambda client: _stamp(way.name, client, collection))
            if stored is None:
                raise LibraryNotFound(way.name)
            check_stamp(stored[:2], asked)
        except BaseException:
            way.close()
            raise
        return cls(way, collection, stored)

    def write(self, records: Sequence[Record]) -> None:
        for batch in self._batches(records):
            try:
                self._with(partial(_write, records={one.key: one for one in batch}))
            except NotFoundError as error:
                raise LibraryNotFound(self.name) from error

    def describe(self, records: Sequence[Record]) -> None:
        """Write all but the vectors of records that are there."""
        for batch in self._batches(records):
            self._ask(partial(_describe, records={one.key: one for one in batch}))

    def delete(self, keys: Sequence[str]) -> int:
        """Returns how many were there."""
        return sum(self._ask(partial(_delete, keys=batch)) or 0 for batch in self._batches(keys))

    def fetch(self, keys: Sequence[str]) -> list[Record]:
        """Those that are there, in no order."""
        found = [self._ask(partial(_records, keys=batch)) for batch in self._batches(keys)]
        return [record for records in found for record in records or []]

    def keys(self, where: Json | None) -> list[str]:
        page = self._batch if self._way.is_cloud else PAGE

        def list_keys(it: Collection) -> list[str]:
            keys: list[str] = []
            while len(keys) % page == 0:
                found = it.get(where=where, limit=page, offset=len(keys), include=[])["ids"]
                keys += found
                if not found:
                    break
            return keys

        return self._ask(list_keys) or []

    def count(self, where: Json | None) -> int:
        if where is None:
            return self._ask(lambda it: it.count()) or 0
        return len(self.keys(where))

    def nearest(self, vector: Vector, k: int, where: Json | None) -> list[Record]:
        """At least the k nearest of those that pass, in no order."""
        found = self._ask(lambda it: _nearest(it, vector, k, where)) or []
        if len(found) < k and len(found) < self.count(where):
            # Some have no way to them in the graph: rare, but then all that pass are read.
            return self.fetch(self.keys(where))
        return found

    def drop(self) -> None:
        try:
            self._way.ask(lambda client: client.delete_collection(self._collection))
        except NotFoundError:
            return

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._way.close()

    def _batches(self, values: Sequence[_T]) -> Iterator[list[_T]]:
        for start in range(0, len(values), self._batch):
            yield list(values[start : start + self._batch])

    def _ask(self, call: Callable[[Collection], _T]) -> _T | None:
        """What the call gives; None where the collection is not there."""
        try:
            return self._with(call)
        except NotFoundError:
            return None

    def _with(self, call: Callable[[Collection], _T]) -> _T:
        return self._way.ask(lambda client: call(self._found(client)))

    def _found(self, client: Client) -> Collection:
        """The collection, if it is still the one that was opened."""
        if self._known is None or self._known[0] is not client:
            if _stamp(self.name, client, self._collection) != self._stamp:
                raise NotFoundError(self._collection)
            self._known = client, client.get_collection(self._collection, embedding_function=None)
        return self._known[1]


def _folder(address: Address, *, create: bool) -> Way:
    folder, name = address.path, address.without_secrets
    if not create and not (folder / "chroma.sqlite3").exists():
        raise LibraryNotFound(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(name, str(error)) from error
    path = folder.resolve()
    turns = Turns[Client].shared(path, name, lambda: _persistent(path), lambda it: it.close())
    return Way(name, turns.using, turns.part)


def _persistent(path: Path) -> Client:
    settings = Settings(anonymized_telemetry=False)
    try:
        return cast("Client", chromadb.PersistentClient(path, settings))
    except BaseException:
        # Chroma would give the half-made one to whoever opens this folder next.
        SharedSystemClient._identifier_to_system.pop(str(path), None)
        raise


def _server(address: Address) -> Way:
    place = urlsplit(address.place)
    is_tls = address.name.endswith("https")
    if not place.hostname or place.path.strip("/"):
        raise InvalidStoreAddress(address.without_secrets, "no host", "//HOST:PORT")
    port = place.port or (443 if is_tls else 8000)
    name = address.without_secrets
    token = address.options.get("token") or os.environ.get("CHROMA_API_KEY")
    headers = {"x-chroma-token": token} if token else {}
    timeout = httpx.Timeout(CALL_S, connect=CONNECT_S)
    tenant = address.options.get("tenant", DEFAULT_TENANT)
    database = address.options.get("database", DEFAULT_DATABASE)

    def connect() -> Client:
        # The client asks this too, but waits for it without end, and leaves its socket open then.
        root = f"{'https' if is_tls else 'http'}://{place.hostname}:{port}/api/v2"
        url = f"{root}/tenants/{quote(tenant, safe='')}/databases/{quote(database, safe='')}"
        httpx.get(url, headers=headers, timeout=timeout).raise_for_status()
        made = chromadb.HttpClient(
            place.hostname or "",
            port,
            is_tls,
            headers,
            Settings(anonymized_telemetry=False),
            tenant,
            database,
        )
        client = cast("Client", made)
        for session in _sessions(client):
            session.timeout = timeout
        return client

    def close() -> None:
        for session in _sessions(client):  # the client leaves them open
            session.close()
        client.close()

    try:
        client = retried(connect, transient=_is_transient)
    except Exception as error:
        raise StoreUnavailable(name, _reason(error)) from error
    is_cloud = place.hostname.endswith(CLOUD)
    return Way(name, lambda: nullcontext(client), close, is_cloud)


def _sessions(client: Client) -> list[httpx.Client]:
    """A client has one connection of its own, and one that looks after databases."""
    both = client, cast("AdminClient", client._admin_client)
    return [cast("FastAPI", one._server)._session for one in both]


def _is_transient(error: Exception) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code >= 500
    if isinstance(error, InternalError):
        # Such as what was found, and replaced by another writer before it was read ("Error finding
        # id", "Error getting embedding").
        return "Error executing plan: Internal error" in str(error)
    # What is no Chroma error in an answer (from a proxy before it) has lost its status.
    return type(error) is Exception or isinstance(error, httpx.TransportError | RateLimitError)


def _reason(error: BaseException) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"it answered {error.response.status_code}: {_line(error.response.text)}"
    # Of some failures Chroma raises one more error while it clears up, or only says "invalid".
    before = error.__cause__ or error.__context__
    return f"{type(error).__name__}: {_line(str(error))}" + (
        f"; {_reason(before)}" if before else ""
    )


def _line(text: str) -> str:
    return " ".join(text.split())[:300]


def _stamp(name: str, client: Client, collection: str) -> Stamp | None:
    """What the collection says of its vectors; None when it is not there."""
    try:
        found = client.get_collection(collection, embedding_function=None)
    except NotFoundError:
        return None
    written = (found.metadata or {}).get(STAMP)
    if not isinstance(written, str):
        part = f"a collection {collection!r} that pixseek did not make"
        raise InvalidStoreAddress(name, part, "one of its own (?collection=ANOTHER)")
    stored = json.loads(written)
    return Space(**stored["space"]), stored["metric"], stored.get("layout", 1)


def _make(client: Client, collection: str, stamp: Stamp, *, is_cloud: bool) -> None:
    space, metric, layout = stamp
    written = json.dumps({"space": asdict(space), "metric": metric, "layout": layout})
    # Chroma Cloud has an index of its own kind.
    index: Any = {"spann": {"space": metric}} if is_cloud else {"hnsw": GRAPH | {"space": metric}}
    client.get_or_create_collection(
        collection, metadata={STAMP: written}, configuration=index, embedding_function=None
    )


def _write(it: Collection, records: dict[str, Record]) -> None:
    metadatas = _there(it, records)
    it.upsert(
        list(records),
        np.stack([one.vector for one in records.values()]),
        [metadatas.get(one.key, one.metadata) for one in records.values()],
        [one.document for one in records.values()],
    )


def _describe(it: Collection, records: dict[str, Record]) -> None:
    if metadatas := _there(it, records):
        # `Collection.update` makes vectors of documents, or wants those that are there once more:
        # that takes a hundred times as long, as each is then put into the graph anew.
        it._client._update(
            it.id,
            list(metadatas),
            metadatas=list(metadatas.values()),
            documents=[records[key].document for key in metadatas],
            tenant=it.tenant,
            database=it.database,
        )


def _there(it: Collection, records: dict[str, Record]) -> dict[str, Any]:
    """Key → new metadata of the records that are there, with None for fields that are no longer
    given: else Chroma keeps them."""
    found = it.get(list(records), include=["metadatas"])
    return {
        key: dict.fromkeys(old or {}) | records[key].metadata
        for key, old in zip(found["ids"], found["metadatas"] or [], strict=True)
    }


def _delete(it: Collection, keys: list[str]) -> int:
    there = it.get(keys, include=[])["ids"]
    if there:
        it.delete(there)
    return len(there)


def _records(it: Collection, keys: list[str]) -> list[Record]:
    found = it.get(keys, include=["metadatas", "embeddings"])
    return list(_zipped(found["ids"], found["embeddings"], found["metadatas"]))


def _nearest(it: Collection, vector: Vector, k: int, where: Json | None) -> list[Record]:
    found = it.query(
        query_embeddings=vector[np.newaxis],
        n_results=k,
        where=where,
        include=["metadatas", "embeddings"],
    )
    vectors, metadatas = found["embeddings"], found["metadatas"]
    if vectors is None or metadatas is None:
        return []
    return list(_zipped(found["ids"][0], vectors[0], metadatas[0]))


def _zipped(keys: Sequence[str], vectors: Any, metadatas: Any) -> Iterator[Record]:
    for key, vector, metadata in zip(keys, vectors, metadatas, strict=True):
        if vector is not None and metadata is not None:  # as of one that is just being deleted
            yield Record(key, np.asarray(vector, np.float32), dict(metadata))
