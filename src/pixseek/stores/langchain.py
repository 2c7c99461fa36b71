"""`langchain`: a vector store of LangChain, used as it is: Chroma, or InMemoryVectorStore.

LangChain's own interface takes texts only, so vectors of pictures are written to what lies below
it: Chroma's collection, or the dict of InMemoryVectorStore. Nothing of LangChain is imported. What
is written can be read through LangChain: every row has a text (caption, file name or id), and plain
metadata. Filters and counts look at every row; a collection of millions wants the store `chroma`.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from hashlib import blake2b
from itertools import islice
from typing import Any, NoReturn, Protocol, TypeVar

import numpy as np

from pixseek.errors import LibraryNotFound, StoreUnavailable
from pixseek.records import TEXT_FIELD, Hit, Item, Metadata, Space, Value, Vector, text_of
from pixseek.stores import check_items, check_metadata, check_query, check_space, nearest_first
from pixseek.stores.filters import Filter, matches

EXACT = "_pixseek"
"""The field of Chroma's metadata that holds an item's id and metadata exactly, as JSON."""
_SPACE = ("pixseek_model", "pixseek_fingerprint", "pixseek_dimensions")
_AT_ONCE = 1000
_SPARE = 32
"""Rows asked for beyond those wanted, as Chroma's index is approximate."""


_T = TypeVar("_T")


class Rows(Protocol):
    """What is asked of a vector store below its interface."""

    space: Space | None

    def put(self, items: Sequence[Item]) -> None: ...

    def take_out(self, ids: Sequence[str]) -> None: ...

    def get(self, ids: Sequence[str] | None) -> list[Item]:
        """Those of these ids that are there, in no order; None gives all."""
        ...

    def near(self, vector: Vector, n: int) -> list[Item]:
        """At least the n nearest, in no order, if there are so many."""
        ...


class LangChainStore:
    """One vector store of LangChain as a store. Scores are exact, whatever it measures by."""

    def __init__(self, rows: Rows, space: Space) -> None:
        self._rows = rows
        self._space = space

    @classmethod
    def open(cls, location: str, space: Space | None) -> NoReturn:  # noqa: ARG003  as every store's
        raise StoreUnavailable(location, "it is an object of LangChain; give it as vectorstore=...")

    @classmethod
    def over(cls, vectorstore: Any, space: Space | None) -> LangChainStore:
        """vectorstore: LangChain's Chroma or InMemoryVectorStore, or a collection of Chroma.

        Raises StoreUnavailable for others; ModelMismatch when another model's vectors are in it;
        LibraryNotFound when it has none and no space is given.
        """
        rows = _rows(vectorstore)
        if rows.space is None:
            if space is None:
                raise LibraryNotFound(called(vectorstore))
            rows.space = space
        check_space(rows.space, space)
        return cls(rows, rows.space)

    @property
    def space(self) -> Space:
        return self._space

    def add(self, items: Sequence[Item]) -> None:
        check_items(items, self._space.dimensions)
        latest = {item.id: item for item in items}
        for some in _batches(latest.values()):
            self._rows.put(some)

    def update_metadata(self, changes: Mapping[str, Metadata]) -> None:
        check_metadata(changes)
        found = self.fetch(changes)
        self.add([replace(item, metadata=changes[item.id]) for item in found])

    def delete(self, ids: Iterable[str]) -> int:
        held = [item.id for item in self.fetch(dict.fromkeys(ids))]
        for some in _batches(held):
            self._rows.take_out(some)
        return len(held)

    def fetch(self, ids: Iterable[str]) -> list[Item]:
        wanted = list(ids)
        found: dict[str, Item] = {}
        for some in _batches(dict.fromkeys(wanted)):
            found.update((item.id, item) for item in self._rows.get(some))
        return [found[id] for id in wanted if id in found]

    def check_filter(self, where: Filter) -> None:
        """Every filter can be answered."""

    def ids(self, where: Filter | None = None) -> Iterator[str]:
        return iter([item.id for item in self._passing(where)])

    def count(self, where: Filter | None = None) -> int:
        return len(self._passing(where))

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
        if where is None:
            items = self._rows.near(vector, k + offset + _SPARE)
        else:
            items = self._passing(where)
        if not items:
            return []
        return nearest_first(
            items,
            np.stack([item.vector for item in items]),
            vector,
            id=lambda item: item.id,
            metadata=lambda item: item.metadata,
            min_score=min_score,
            offset=offset,
            k=k,
        )

    def preload(self) -> None:
        pass

    def drop(self) -> None:
        self.delete(self.ids())
        self._rows.space = None

    def close(self) -> None:
        """Others may be using it."""

    def _passing(self, where: Filter | None) -> list[Item]:
        return [item for item in self._rows.get(None) if matches(where, item.metadata)]


def _batches(values: Iterable[_T]) -> Iterator[list[_T]]:
    remaining = iter(values)
    while batch := list(islice(remaining, _AT_ONCE)):
        yield batch


def called(vectorstore: Any) -> str:
    """What a library calls a vector store: class and collection."""
    collection = getattr(getattr(vectorstore, "_collection", vectorstore), "name", None)
    name = f"langchain://{type(vectorstore).__name__}"
    return f"{name}?collection={collection}" if isinstance(collection, str) else name


def _rows(vectorstore: Any) -> Rows:
    collection = getattr(vectorstore, "_collection", vectorstore)
    if all(callable(getattr(collection, name, None)) for name in ("upsert", "query", "modify")):
        return ChromaRows(collection)
    if isinstance(getattr(vectorstore, "store", None), dict):
        return InMemoryRows(vectorstore)
    raise StoreUnavailable(
        called(vectorstore),
        "its interface takes texts only, and there is no way known to give it pictures' vectors; "
        "expected LangChain's Chroma or InMemoryVectorStore, or the URL of a store of pixseek",
    )


class InMemoryRows:
    """Rows of InMemoryVectorStore: its dict of id, vector, text and metadata."""

    def __init__(self, vectorstore: Any) -> None:
        self._vectorstore = vectorstore
        self._rows: dict[str, dict[str, Any]] = vectorstore.store

    @property
    def space(self) -> Space | None:
        """Kept on the object, as it lives no longer than that."""
        space: Space | None = getattr(self._vectorstore, "_pixseek_space", None)
        return space

    @space.setter
    def space(self, space: Space | None) -> None:
        self._vectorstore._pixseek_space = space

    def put(self, items: Sequence[Item]) -> None:
        for item in items:
            metadata = {k: v for k, v in item.metadata.items() if k != TEXT_FIELD}
            self._rows[item.id] = {
                "id": item.id,
                "vector": item.vector.tolist(),
                "text": text_of(item.id, item.metadata),
                "metadata": metadata,
                EXACT: dict(item.metadata),
            }

    def take_out(self, ids: Sequence[str]) -> None:
        for id in ids:
            self._rows.pop(id, None)

    def get(self, ids: Sequence[str] | None) -> list[Item]:
        if ids is None:
            return [_in_memory(row) for row in list(self._rows.values())]
        return [_in_memory(row) for row in map(self._rows.get, ids) if row is not None]

    def near(self, vector: Vector, n: int) -> list[Item]:  # noqa: ARG002  it has no index
        return self.get(None)


def _in_memory(row: Mapping[str, Any]) -> Item:
    vector = np.array(row["vector"], np.float32)
    metadata = row.get(EXACT, {TEXT_FIELD: row["text"], **row["metadata"]})
    return Item(row["id"], vector / np.linalg.norm(vector), dict(metadata))


class ChromaRows:
    """Rows of a collection of Chroma."""

    def __init__(self, collection: Any) -> None:
        self._collection = collection
        self._turn = threading.Lock()

    @contextmanager
    def _asking(self) -> Iterator[Any]:
        """One call at a time: Chroma fails to read rows that are deleted meanwhile."""
        with self._turn:
            try:
                yield self._collection
            except Exception as error:  # its errors, and those of what carries them to a server
                raise StoreUnavailable(called(self._collection), str(error)) from error

    @property
    def space(self) -> Space | None:
        """Kept in the collection's own metadata."""
        found = self._collection.metadata or {}
        if any(name not in found for name in _SPACE):
            return None
        model, fingerprint, dimensions = (found[name] for name in _SPACE)
        return Space(str(model), str(fingerprint), int(dimensions))

    @space.setter
    def space(self, space: Space | None) -> None:
        # Chroma refuses to be told again what an index was made with.
        kept = {
            name: value
            for name, value in (self._collection.metadata or {}).items()
            if not name.startswith("hnsw:") and name not in _SPACE
        }
        if space is not None:
            stamp = (space.model, space.fingerprint, space.dimensions)
            kept.update(zip(_SPACE, stamp, strict=True))
        with self._asking() as collection:
            collection.modify(metadata=kept or {_SPACE[0]: ""})  # it refuses none at all

    def put(self, items: Sequence[Item]) -> None:
        keys = [_key(item.id) for item in items]
        with self._asking() as collection:
            before = collection.get(ids=keys, include=["metadatas"])
            had = dict(zip(before["ids"], before["metadatas"], strict=True))
            collection.upsert(
                ids=keys,
                embeddings=[item.vector.tolist() for item in items],
                documents=[_utf8(text_of(item.id, item.metadata)) for item in items],
                metadatas=[
                    # Chroma keeps fields that are not named; None ends them.
                    {**dict.fromkeys(had.get(key) or ()), **_written(item)}
                    for key, item in zip(keys, items, strict=True)
                ],
            )

    def take_out(self, ids: Sequence[str]) -> None:
        with self._asking() as collection:
            collection.delete(ids=[_key(id) for id in ids])

    def get(self, ids: Sequence[str] | None) -> list[Item]:
        parts = ["embeddings", "metadatas", "documents"]
        keys = None if ids is None else [_key(id) for id in ids]
        if keys == []:
            return []
        with self._asking() as collection:
            found = collection.get(ids=keys, include=parts)
        return _of_chroma(*(found[part] for part in ("ids", *parts)))

    def near(self, vector: Vector, n: int) -> list[Item]:
        with self._asking() as collection:
            few = collection.count() <= max(n, _AT_ONCE)
        if few:
            return self.get(None)  # they are looked at one by one, and none is missed
        parts = ["embeddings", "metadatas", "documents"]
        with self._asking() as collection:
            found = collection.query(query_embeddings=[vector.tolist()], n_results=n, include=parts)
        return _of_chroma(*(found[part][0] for part in ("ids", *parts)))


def _of_chroma(keys: Any, vectors: Any, metadatas: Any, documents: Any) -> list[Item]:
    items = []
    for key, vector, fields, text in zip(keys, vectors, metadatas, documents, strict=True):
        if fields is None and text is None:
            continue  # deleted by another while this was read
        id, metadata = _exact(key, dict(fields or {}), text)
        row = np.array(vector, np.float32)
        items.append(Item(id, row / np.linalg.norm(row), metadata))
    return items


def _written(item: Item) -> dict[str, Value]:
    return {**_plain(item.metadata), EXACT: json.dumps([item.id, item.metadata])}


def _exact(key: str, fields: dict[str, Any], text: str | None) -> tuple[str, Metadata]:
    """Id and metadata of a row; what another program has changed in it counts."""
    written = fields.pop(EXACT, None)
    if written is None:
        return key, {**({} if text is None else {TEXT_FIELD: text}), **fields}
    id, metadata = json.loads(written)
    if TEXT_FIELD in metadata and text not in (None, _utf8(metadata[TEXT_FIELD])):
        metadata[TEXT_FIELD] = text
    plain = _plain(metadata)
    if fields != plain:
        changed = {k: v for k, v in fields.items() if not _same(plain.get(k), v)}
        gone = plain.keys() - fields.keys()
        metadata = {k: v for k, v in {**metadata, **changed}.items() if k not in gone}
    return id, metadata


def _same(one: object, other: object) -> bool:
    """Equal, but for the last bits of a float, which Chroma may lose."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other)
    return one == other


def _plain(metadata: Metadata) -> dict[str, Value]:
    """What Chroma can keep as it is; of several paths the first."""
    fields: dict[str, Value] = {}
    for name, given in metadata.items():
        value = given[0] if name == "path" and isinstance(given, list) and given else given
        if not name.isidentifier() or name in (EXACT, TEXT_FIELD) or isinstance(value, list):
            continue
        if isinstance(value, str) and (_utf8(value) != value or "\x00" in value):
            continue
        if isinstance(value, int) and not isinstance(value, bool) and not -(2**53) < value < 2**53:
            continue
        fields[name] = value
    return fields


def _utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _key(id: str) -> str:
    """The id, or where Chroma cannot keep it, a hash."""
    if id and id.isprintable() and _utf8(id) == id and not id.startswith("~pixseek:"):
        return id
    return "~pixseek:" + blake2b(id.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
