"""A collection of Milvus: reaching the engine, making the collection, what is stamped on it."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable
from dataclasses import asdict
from hashlib import blake2b
from typing import Any, TypeAlias

import grpc
from pymilvus import DataType, MilvusClient
from pymilvus.client.types import Status
from pymilvus.exceptions import ErrorCode, MilvusException

from pixseek.errors import InvalidStoreAddress, LibraryNotFound, StoreUnavailable
from pixseek.records import Space
from pixseek.stores.address import Address, Metric
from pixseek.stores.retrying import retried

CONNECT_S = 5.0
CALL_S = 30.0
"""Seconds a call may take; until then pymilvus itself tries again when it is asked too fast."""
RECONNECT_MS = 100
"""How soon gRPC tries to connect again; its own second would outlast our tries."""
NOT_LOADED = 101
"""What Milvus calls a collection that is there, but not in memory to be searched."""

PIECE, PIECES = 65_000, 64
"""Characters (ASCII) of one text, and texts, in which metadata and ids are kept: Milvus allows a
text 65,535 bytes."""
TOKENS, TOKEN_BYTES = 4096, 256
"""How many tokens a server's row may have (Milvus allows an array so many values)."""
WORDS = tuple(f"pixseek_words_{number}" for number in range(4))
"""Columns of the tokens for words, of which there are more: by its hash, each is in one of them."""
FACTS = 65_535
"""Characters of a file's row for its tokens, which are hashed there."""

INDEXES: dict[str, tuple[str, dict[str, object]]] = {
    "flat": ("FLAT", {}),
    "hnsw": ("HNSW", {"M": 32, "efConstruction": 400}),
    "auto": ("AUTOINDEX", {}),
}
"""Option → type and parameters. Flat is exact; hnsw is for millions; auto is Zilliz Cloud's own."""
OPTIONS = frozenset({"collection", "metric", "token", "index"})
_BACKOFFS = ("initial", "min", "max")

Row: TypeAlias = dict[str, Any]

# pymilvus prints its warnings and errors to the terminal as soon as it is imported. They go to the
# log handlers that the program has, and nowhere without any.
_logger = logging.getLogger("pymilvus")
_logger.handlers[:] = [logging.NullHandler()]
_logger.propagate = True


class Collection:
    """The collection that a URL names, opened."""

    space: Space
    metric: Metric
    arrays: bool
    """Whether tokens are an array of texts, as on a server, or one text of hashes, as in a file.
    Milvus Lite asks arrays row by row in Python: 35 ms for 1000 rows, of a text 1 ms."""
    has_words: bool
    """Whether rows have tokens for words; not if an earlier pixseek made the collection."""
    index: str
    is_lite: bool
    """Whether the engine is Milvus Lite, in a file or behind an address."""

    def __init__(self, address: Address, space: Space | None) -> None:
        """Connect, and make the collection when a space is given and there is none.

        Raises InvalidStoreAddress, LibraryNotFound, StoreUnavailable.
        """
        self.shown = address.without_secrets
        _check(address, self.shown)
        self._address = address
        self._name = collection_name(address.collection)
        if not address.is_remote and space is None and not address.path.exists():
            raise LibraryNotFound(self.shown)
        self.client = self._connect()
        try:
            self._open(space)
        except BaseException:
            self.close()
            raise

    @property
    def is_file(self) -> bool:
        return not self._address.is_remote

    def ask(self, call: Callable[..., Any], *, gone: Any = None, **arguments: object) -> Any:
        """What a call about this collection gives.

        gone: what to give instead, if anything, when the collection has been dropped elsewhere.
        Raises StoreUnavailable for all that Milvus and gRPC raise.
        """
        try:
            return retried(lambda: self._tried(call, arguments), transient=_is_transient)
        except MilvusException as error:
            if error.code == ErrorCode.COLLECTION_NOT_FOUND and gone is not None:
                return gone
            raise StoreUnavailable(self.shown, f"Milvus says: {error.message}") from error
        except grpc.RpcError as error:
            raise StoreUnavailable(self.shown, f"gRPC says: {error}") from error

    def _tried(self, call: Callable[..., Any], arguments: dict[str, object]) -> Any:
        try:
            return call(collection_name=self._name, timeout=CALL_S, **arguments)
        except MilvusException as error:
            if error.code != NOT_LOADED:
                raise
            # Others have released it, or the server was started again.
            self.client.load_collection(self._name, timeout=CALL_S)
            return call(collection_name=self._name, timeout=CALL_S, **arguments)

    def drop(self) -> None:
        self.ask(self.client.drop_collection)

    def close(self) -> None:
        self.client.close()
        if self.is_file:
            from pixseek.stores import milvus_embedded

            milvus_embedded.stop(self._address.path)

    def _connect(self) -> MilvusClient:
        token = ""
        if self.is_file:
            from pixseek.stores import milvus_embedded

            uri = milvus_embedded.start(self._address.path, self.shown)
        else:
            scheme = "https" if self._address.name == "milvus+https" else "http"
            uri = f"{scheme}:{self._address.place}"
            token = self._address.options.get("token") or os.environ.get("MILVUS_TOKEN", "")
        try:
            options = {f"grpc.{which}_reconnect_backoff_ms": RECONNECT_MS for which in _BACKOFFS}
            return MilvusClient(uri, token=token, timeout=CONNECT_S, grpc_options=options)
        except (MilvusException, grpc.RpcError) as error:
            if self.is_file:
                milvus_embedded.stop(self._address.path)
            said = error.message if isinstance(error, MilvusException) else error
            raise StoreUnavailable(self.shown, f"Milvus says: {said}") from error

    def _open(self, space: Space | None) -> None:
        version = self.ask(lambda **_: self.client.get_server_version(timeout=CALL_S))
        self.is_lite = str(version).startswith("milvus_lite")
        if not self.ask(self.client.has_collection):
            if space is None:
                raise LibraryNotFound(self.shown)
            self._make(space)
        described = self.ask(self.client.describe_collection)
        stamp = described["properties"].get("pixseek")
        if stamp is None:
            raise StoreUnavailable(
                self.shown,
                f"its collection {self._name!r} was made by another program; name another with "
                "?collection=",
            )
        said = json.loads(stamp)
        self.space, self.metric, self.index = Space(**said["space"]), said["metric"], said["index"]
        types = {field["name"]: field["type"] for field in described["fields"]}
        self.arrays = types["pixseek_tokens"] == DataType.ARRAY
        self.has_words = types.keys() >= {*WORDS}
        self._make_indexes()
        self.ask(self.client.load_collection)

    def _make(self, space: Space) -> None:
        array = {"datatype": DataType.ARRAY, "element_type": DataType.VARCHAR}
        schema = self.client.create_schema(enable_dynamic_field=True)
        schema.add_field("pk", DataType.VARCHAR, max_length=64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=space.dimensions)
        for field in ("pixseek_id", "pixseek_exact"):
            schema.add_field(field, **array, max_capacity=PIECES, max_length=PIECE)
        for field in ("pixseek_tokens", *WORDS):
            if self.is_file:
                schema.add_field(field, DataType.VARCHAR, max_length=FACTS)
            else:
                limits = {"max_capacity": TOKENS, "max_length": TOKEN_BYTES}
                schema.add_field(field, **array, **limits)
        stamp = {
            "space": asdict(space),
            "metric": self._address.metric,
            "index": self._address.options.get("index", "flat"),
        }
        self.ask(
            self.client.create_collection,
            schema=schema,
            properties={"pixseek": json.dumps(stamp)},
            # A read waits until it sees every write that was acknowledged, whoever wrote it.
            consistency_level="Strong",
        )

    def _make_indexes(self) -> None:
        """Also when a process that was to make them ended after making the collection."""
        if self.ask(self.client.list_indexes):
            return
        kind, parameters = INDEXES[self.index]
        indexes = self.client.prepare_index_params()
        metric = self.metric.upper()
        indexes.add_index("vector", index_type=kind, metric_type=metric, params=parameters)
        if self.arrays and not self.is_lite:
            for field in ("pixseek_tokens", *(WORDS if self.has_words else ())):
                indexes.add_index(field, index_type="INVERTED")
        # Without waiting: there is nothing to index yet, and pymilvus would sleep half a second.
        self.ask(self.client.create_index, index_params=indexes, sync=False)


def _is_transient(error: Exception) -> bool:
    """Whether the server is not to be reached just now. Every call can be repeated."""
    if isinstance(error, grpc.RpcError):
        return bool(error.code() == grpc.StatusCode.UNAVAILABLE)
    unreached = (Status.CONNECT_FAILED, grpc.StatusCode.UNAVAILABLE)
    return isinstance(error, MilvusException) and error.code in unreached


def collection_name(asked: str) -> str:
    """A name as Milvus allows it: ASCII letters, digits and underscores; others get a hash."""
    if re.fullmatch(r"[A-Za-z_]\w{0,199}", asked, re.ASCII):
        return asked
    allowed = re.sub(r"\W", "_", asked, flags=re.ASCII)[:200]
    return f"_{allowed}_{blake2b(asked.encode(), digest_size=4).hexdigest()}"


def _check(address: Address, shown: str) -> None:
    if unknown := sorted(set(address.options) - OPTIONS):
        raise InvalidStoreAddress(shown, f"the option {unknown[0]!r}", ", ".join(sorted(OPTIONS)))
    index = address.options.get("index", "flat")
    if index not in INDEXES:
        raise InvalidStoreAddress(shown, f"the index {index!r}", ", ".join(INDEXES))
    if address.is_remote:
        return
    if address.name != "milvus" or not address.place.endswith(".db"):
        raise InvalidStoreAddress(shown, "no such place", "milvus:FILE.db or milvus://HOST:PORT")
    if index != "flat":
        # Milvus Lite's other indexes lose filtered hits: recall@10 of 0.36 was measured.
        raise InvalidStoreAddress(shown, f"the index {index!r}", "flat, as it is a file")
