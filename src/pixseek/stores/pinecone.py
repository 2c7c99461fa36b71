"""`pinecone`: an index of the Pinecone service, a namespace of it for each set of vectors.

A record's metadata holds the exact metadata as JSON, tokens and numbers for filters, and fields
for other programs to read. Pinecone acknowledges a write before it shows it: a store waits, at its
next question, until its own last write is seen; those of others are seen some time later.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, ClassVar, TypeAlias, TypeVar

import numpy as np

from pixseek.errors import InvalidMetadata, LibraryNotFound
from pixseek.records import Hit, Item, Metadata, Space, Vector
from pixseek.stores import check_items, check_metadata, check_query, nearest_first
from pixseek.stores.address import Address
from pixseek.stores.filters import Filter
from pixseek.stores.payload import (
    compact,
    field_key,
    key,
    metadata_of,
    payload,
    plain,
    word_tokens,
)
from pixseek.stores.pinecone_index import Place, Service
from pixseek.stores.questions import TOO_OLD, Joined, Kind, Question, Range, check_kinds, questions

UPSERT_RECORDS, UPSERT_BYTES = 1000, 1_900_000
"""What one request may write: Pinecone allows 1000 records and 2 MB."""
METADATA_BYTES = 40_960
FETCH, PAGE, DELETE = 100, 100, 1000
"""Ids asked for at once, as they are part of a URL; ids or records given back at once; ids deleted
at once."""
TOGETHER = 50
"""How many hits are taken with their vectors in one answer, which Pinecone bounds at 4 MB."""
DEEPEST = 10_000
"""How many of the nearest Pinecone finds at most; beyond, every record is read and scored here."""
ITEM = "*"
"""The token of every item, so that the list of tokens is never empty or missing: what a negation
means then is not written anywhere."""

_T = TypeVar("_T")
Json: TypeAlias = dict[str, Any]


class PineconeStore:
    """Safe to use from threads."""

    REFUSES: ClassVar[dict[Kind, str]] = {
        "prefix": "Pinecone cannot ask how a text begins",
        "contains": "Pinecone cannot look inside a text",
        "icontains": "Pinecone cannot look inside a text",
        "order": "Pinecone orders numbers only",
        "long words": "words of short texts only are written",
    }

    def __init__(self, service: Service, place: Place) -> None:
        self._service = service
        self._place = place
        self._index, self._namespace = place.index, place.namespace
        self._refuses = self.REFUSES | ({} if place.has_words else {"words": TOO_OLD})
        self._seen: Callable[[], bool] | None = None
        """Whether the last write is seen; None once it has been."""

    @classmethod
    def open(cls, location: str, space: Space | None) -> PineconeStore:
        """Open `pinecone://INDEX`; the key is taken from PINECONE_API_KEY and from nowhere else.

        Options: collection (the namespace), metric, cloud and region of an index to be made, host
        (of the index, instead of asking Pinecone for it). Raises StoreUnavailable when Pinecone
        is not to be reached, bars us, or the index has vectors of another width or metric.
        """
        service = Service(Address.parse(location))
        try:
            place = service.find(space)
            if place is None:
                if space is None:
                    raise LibraryNotFound(service.shown)
                place = service.make(space)
        except BaseException:
            service.close()
            raise
        return cls(service, place)

    @property
    def space(self) -> Space:
        return self._place.space

    # Writing

    def add(self, items: Sequence[Item]) -> None:
        check_items(items, self.space.dimensions)
        last = {item.id: item for item in items}
        self._write([self._record(item) for item in last.values()])

    def update_metadata(self, changes: Mapping[str, Metadata]) -> None:
        """Writes items whole: Pinecone's own update keeps fields that are no longer given."""
        check_metadata(changes)
        found = self.fetch(changes)
        self._write([self._record(Item(one.id, one.vector, changes[one.id])) for one in found])

    def delete(self, ids: Iterable[str]) -> int:
        there = list(self._records([key(id) for id in set(ids)]))
        for batch in _batches(there, DELETE):
            self._ask(self._index.delete, ids=batch)
            # The client says nothing of when in the log it was, so the deleted are looked for.
            self._seen = partial(self._is_gone, batch)
        return len(there)

    def _record(self, item: Item) -> Json:
        # An older set stays as it is: what it could keep before is not too big now.
        return _record(item, word_tokens(item.metadata) if self._place.has_words else [])

    def _write(self, records: list[Json]) -> None:
        for batch in _sized(records):
            said = self._ask(self._index.upsert, vectors=batch).response_info
            if said is not None and said.lsn_committed is not None:
                # The log is applied in order: with the last write those before it are seen.
                self._seen = partial(self._has_applied, said.lsn_committed)

    def _has_applied(self, position: int) -> bool:
        said = self._query(None, 1).response_info
        seen = None if said is None else said.lsn_reconciled
        return seen is None or seen >= position  # an index that does not say is not waited for

    def _is_gone(self, keys: list[str]) -> bool:
        return not self._query({"pixseek_key": {"$in": keys}}, 1).matches

    def _settle(self) -> None:
        """Wait until the last write of this store is seen, whichever it is by then."""
        self._service.wait(self._is_settled)

    def _is_settled(self) -> bool:
        seen = self._seen
        if seen is not None and not seen():
            return False
        if self._seen is seen:
            self._seen = None
        return True

    # Reading

    def fetch(self, ids: Iterable[str]) -> list[Item]:
        wanted = list(ids)
        found = self._records([key(id) for id in wanted])
        return [_item(found[key(id)]) for id in wanted if key(id) in found]

    def check_filter(self, where: Filter) -> None:
        check_kinds(where, self._service.shown, self._refuses)

    def ids(self, where: Filter | None = None) -> Iterator[str]:
        if where is not None:
            yield from map(_id, self._all(where))
            return
        for keys in self._keys():
            hashed = self._records([one for one in keys if one.startswith("~")])
            yield from (_id(hashed[one]) if one in hashed else one for one in keys)

    def count(self, where: Filter | None = None) -> int:
        """Without a filter as Pinecone's statistics have it, which may lag some seconds."""
        if where is not None:
            return sum(1 for _ in self._all(where))
        self._settle()
        stats = self._service.ask(self._index.describe_index_stats)
        summary = None if stats is None else stats.namespaces.get(self._namespace)
        return 0 if summary is None else int(summary.vector_count)

    def search(
        self,
        vector: Vector,
        k: int,
        *,
        where: Filter | None = None,
        min_score: float | None = None,
        offset: int = 0,
    ) -> list[Hit]:
        check_query(vector, self.space.dimensions)
        records = self._nearest(vector, offset + k, where) if k > 0 else []
        if not records:
            return []
        return nearest_first(
            records,
            np.array([one.values for one in records], np.float32),
            vector,
            id=_id,
            metadata=_metadata,
            min_score=min_score,
            offset=offset,
            k=k,
        )

    def _nearest(self, vector: Vector, k: int, where: Filter | None) -> list[Any]:
        """At least the k nearest records, in no order."""
        if k > DEEPEST:
            return list(self._all(where))
        self._settle()
        asked = None if where is None else _said(questions(where))
        matches = self._query(asked, k, vector, whole=k <= TOGETHER).matches
        if k <= TOGETHER:
            return list(matches)
        return list(self._records([one.id for one in matches]).values())

    def _query(
        self, asked: Json | None, k: int, vector: Vector | None = None, *, whole: bool = False
    ) -> Any:
        """Matches with vector and metadata if `whole`; of any records if no vector is given."""
        near = np.eye(1, self.space.dimensions)[0] if vector is None else vector
        return self._ask(
            self._index.query,
            vector=near.tolist(),
            top_k=k,
            filter=asked,
            include_values=whole,
            include_metadata=whole,
        )

    def _records(self, keys: list[str]) -> dict[str, Any]:
        self._settle()
        found: dict[str, Any] = {}
        for batch in _batches(dict.fromkeys(keys), FETCH):
            found.update(self._ask(self._index.fetch, ids=batch).vectors)
        return found

    def _keys(self) -> Iterator[list[str]]:
        """Every key, a page at a time."""
        self._settle()
        for page in self._pages(self._index.list_paginated):
            yield [one.id for one in page.vectors]

    def _all(self, where: Filter | None) -> Iterator[Any]:
        """Every record that passes."""
        if where is None:
            for keys in self._keys():
                yield from self._records(keys).values()
            return
        self._settle()
        for page in self._pages(self._index.fetch_by_metadata, filter=_said(questions(where))):
            yield from page.vectors.values()

    def _pages(self, call: Callable[..., Any], **arguments: object) -> Iterator[Any]:
        token: str | None = None
        while True:
            page = self._ask(call, **arguments, limit=PAGE, pagination_token=token)
            yield page
            token = page.pagination.next if page.pagination else None
            if not token:
                return

    def _ask(self, call: Callable[..., Any], **arguments: object) -> Any:
        """What a call to this namespace gives; nothing found if it has been dropped elsewhere."""
        answer = self._service.ask(partial(call, namespace=self._namespace, **arguments))
        return _Nothing() if answer is None else answer

    # Looking after

    def preload(self) -> None:
        pass

    def drop(self) -> None:
        self._service.drop(self._place)

    def close(self) -> None:
        self._service.close()


class _Nothing:
    """The answer of an index that is not there any more."""

    def __init__(self) -> None:
        self.vectors: dict[str, Any] = {}
        self.matches: list[Any] = []
        self.pagination = self.response_info = None


def _record(item: Item, words: list[str]) -> Json:
    written = payload(item.metadata)
    own = key(item.id)
    metadata: Json = {
        **{f"#{field_key(field)}": number for field, number in written.numbers.items()},
        "pixseek_key": own,
        "pixseek_exact": compact(written.exact),
        "pixseek_tokens": [ITEM, *written.tokens, *words],
    }
    if own != item.id:
        metadata["pixseek_id"] = compact(json.dumps(item.id))
    whole = {**plain(item.id, item.metadata), **metadata}
    if _size(whole) <= METADATA_BYTES:
        metadata = whole
    elif (size := _size(metadata)) > METADATA_BYTES:
        value = f"{size} bytes with what filters need, where Pinecone takes {METADATA_BYTES}"
        raise InvalidMetadata(item.id, "all together", value)
    return {"id": own, "values": item.vector.tolist(), "metadata": metadata}


def _item(record: Any) -> Item:
    return Item(_id(record), np.array(record.values, np.float32), _metadata(record))


def _id(record: Any) -> str:
    """The key, unless that is a hash; then the id stands beside it."""
    exact = record.metadata.get("pixseek_id")
    return str(record.id if exact is None else json.loads(exact))


def _metadata(record: Any) -> Metadata:
    return metadata_of(record.metadata["pixseek_exact"])


def _said(question: Question) -> Json:
    """A question in Pinecone's language."""
    if isinstance(question, Joined):
        return {"$and" if question.every else "$or": [_said(one) for one in question.parts]}
    if isinstance(question, Range):
        return {f"#{field_key(question.field)}": {f"${question.operator}": question.value}}
    if not question.tokens:  # no item, or negated every one
        return {"pixseek_tokens": {"$in" if question.negated else "$nin": [ITEM]}}
    return {"pixseek_tokens": {"$nin" if question.negated else "$in": [*question.tokens]}}


def _size(value: object) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def _sized(records: list[Json]) -> Iterator[list[Json]]:
    """Batches that one request may have."""
    batch: list[Json] = []
    left = UPSERT_BYTES
    for record in records:
        size = _size(record) + 1
        if batch and (left < size or len(batch) == UPSERT_RECORDS):
            yield batch
            batch, left = [], UPSERT_BYTES
        batch.append(record)
        left -= size
    if batch:
        yield batch


def _batches(values: Iterable[_T], size: int) -> Iterator[list[_T]]:
    remaining = iter(values)
    while batch := list(islice(remaining, size)):
        yield batch
