"""Indexes of the Pinecone service: which one holds a set of vectors, making one, letting it go.

A set is a namespace of the index that a URL names. What made it stands in a record of its own, in
the namespace `pixseek-stamps`. A set beside it, of another model, may be of another width; then it
is in an index beside, called `INDEX-WIDTH-METRIC`, as an index has but one width.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TypeVar

from pinecone import Index, Pinecone
from pinecone.errors import ConflictError, NotFoundError, PineconeError
from pinecone.models.indexes.index import IndexModel

from pixseek.errors import InvalidStoreAddress, StoreUnavailable
from pixseek.records import Space
from pixseek.stores import check_stamp
from pixseek.stores.address import Address, Metric
from pixseek.stores.payload import LAYOUT, key

CALL_S = 30.0
"""Seconds one try of a call may take. The client tries three times more by itself, backing off with
jitter and heeding Retry-After, when Pinecone is not to be reached, says that it is asked too fast
(429), or fails (5xx)."""
READY_S = 300
"""How long a new index is waited for, or one that is being deleted."""
SEEN_S = 60.0
"""How long a write is waited for to be seen; usually that takes about a second."""
FIRST_LOOK_S, LONGEST_LOOK_S = 0.05, 1.0

STAMPS = "pixseek-stamps"
MADE = {"made-by": "pixseek"}
"""The tag of an index that was made here, and is deleted with the last set in it."""
METRICS: dict[Metric, str] = {"cosine": "cosine", "l2": "euclidean", "ip": "dotproduct"}
OPTIONS = frozenset({"collection", "metric", "host", "cloud", "region"})

_T = TypeVar("_T")

logging.getLogger("pinecone").addHandler(logging.NullHandler())  # nothing to the terminal


@dataclass(frozen=True, slots=True)
class Place:
    """Where one set of vectors is."""

    index: Index
    name: str | None
    """Of the index; None when only its host was given."""
    namespace: str
    space: Space
    has_words: bool
    """Whether its records have tokens for words; not if an earlier pixseek made it."""


class Service:
    """Pinecone as one URL names it."""

    def __init__(self, address: Address) -> None:
        """Raises InvalidStoreAddress, and StoreUnavailable when there is no key."""
        self.shown = address.without_secrets
        _check(address, self.shown)
        self._address = address
        self._asked = address.place.removeprefix("//")
        self._metric = METRICS[address.metric]
        api_key = os.environ.get("PINECONE_API_KEY")
        if not api_key:
            raise StoreUnavailable(self.shown, "PINECONE_API_KEY is not set")
        self._opened: list[Index] = []
        self._client = self._call(lambda: Pinecone(api_key=api_key, timeout=CALL_S))

    def ask(self, call: Callable[[], _T]) -> _T | None:
        """What a call gives; None when what it asks is not there, or not there any more.

        Raises StoreUnavailable for whatever else Pinecone or its client raise.
        """
        try:
            return self._call(call)
        except NotFoundError:
            return None

    def _call(self, call: Callable[[], _T]) -> _T:
        try:
            return call()
        except NotFoundError:
            raise
        except PineconeError as error:
            raise StoreUnavailable(self.shown, f"Pinecone says: {error}") from error

    def wait(self, seen: Callable[[], bool]) -> None:
        """Look again and again until a write is seen; raises StoreUnavailable if it never is."""
        pause, until = FIRST_LOOK_S, time.monotonic() + SEEN_S
        while not seen():
            if time.monotonic() > until:
                reason = f"it has not shown what was written {SEEN_S:g} seconds ago"
                raise StoreUnavailable(self.shown, reason)
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_LOOK_S)

    def find(self, space: Space | None) -> Place | None:
        """The set of the URL's collection, if there is one.

        Raises ModelMismatch and StoreMismatch when it is of another space or metric.
        """
        namespace = key(self._address.collection)
        for name, index in self._candidates():
            if (said := self._stamp(index, namespace)) is not None:
                check_stamp(said[:2], (space, self._address.metric))
                return Place(index, name, namespace, said[0], said[2] == LAYOUT)
        return None

    def make(self, space: Space) -> Place:
        """A new set, in a new index where there is none yet."""
        name, index = self._room_for(space)
        namespace = key(self._address.collection)
        said = {"space": json.dumps(asdict(space)), "metric": self._address.metric}
        record = {
            "id": namespace,
            "values": [1.0] + [0.0] * (space.dimensions - 1),
            "metadata": {**said, "layout": LAYOUT},
        }
        self._call(lambda: index.upsert(vectors=[record], namespace=STAMPS))
        self.wait(lambda: self._stamp(index, namespace) is not None)
        return Place(index, name, namespace, space, True)

    def drop(self, place: Place) -> None:
        """Delete a set; with the last one also the index, if it was made here."""
        index, name = place.index, place.name
        self.ask(lambda: index.delete(delete_all=True, namespace=place.namespace))
        self.ask(lambda: index.delete(ids=[place.namespace], namespace=STAMPS))
        self.wait(lambda: self._stamp(index, place.namespace) is None)
        if name is None:
            return
        described = self.ask(lambda: self._client.indexes.describe(name))
        if described is None or not MADE.items() <= (described.tags or {}).items():
            return
        stats = self.ask(index.describe_index_stats)
        stamps = self.ask(lambda: index.list_paginated(namespace=STAMPS, limit=1))
        counts = {} if stats is None else stats.namespaces
        filled = {name for name, one in counts.items() if one.vector_count}
        if not filled - {place.namespace, STAMPS} and not (stamps and stamps.vectors):
            self.ask(lambda: self._client.indexes.delete(name, timeout=READY_S))

    def close(self) -> None:
        for index in self._opened:
            index.close()
        self._client.close()

    def _candidates(self) -> Iterator[tuple[str | None, Index]]:
        """The indexes that there are which may hold the collection."""
        if host := self._address.options.get("host"):
            yield None, self._at(host)
            return
        names = [self._asked]
        if self._is_beside:
            listed = self._call(lambda: [one.name for one in self._client.indexes.list()])
            names += sorted(name for name in listed if name.startswith(f"{self._asked}-"))
        for name in names:
            if (described := self._described(name)) is not None:
                yield name, self._at(described.host)

    @property
    def _is_beside(self) -> bool:
        """Whether it is a collection of `Address.beside`, so that its width may be another."""
        return "--" in self._address.collection

    def _stamp(self, index: Index, namespace: str) -> tuple[Space, Metric, int] | None:
        found = self.ask(lambda: index.fetch(ids=[namespace], namespace=STAMPS))
        stamp = None if found is None else found.vectors.get(namespace)
        if stamp is None or stamp.metadata is None:
            return None
        said = stamp.metadata
        return Space(**json.loads(said["space"])), said["metric"], int(said.get("layout", 1))

    def _room_for(self, space: Space) -> tuple[str | None, Index]:
        """(name, index) of an index for vectors of that width, made if need be."""
        wanted = (space.dimensions, self._metric)
        if host := self._address.options.get("host"):
            index = self._at(host)
            stats = self._call(index.describe_index_stats)
            self._check_fits((stats.dimension, stats.metric or self._metric), wanted)
            return None, index
        name = self._asked
        described = self._described(name)
        if described is not None and self._is_beside and _made_for(described) != wanted:
            name = f"{name}-{space.dimensions}-{self._metric}"
            described = self._described(name)
        if described is None:
            described = self._create(name, wanted)
        self._check_fits(_made_for(described), wanted)
        return name, self._at(described.host)

    def _check_fits(self, found: tuple[int | None, str | None], wanted: tuple[int, str]) -> None:
        if found != wanted:
            reason = (
                f"the index is for vectors of {found[0]} dimensions by {found[1]}, the model's "
                f"have {wanted[0]} and {wanted[1]} was asked for; name another index"
            )
            raise StoreUnavailable(self.shown, reason)

    def _create(self, name: str, wanted: tuple[int, str]) -> IndexModel:
        options = self._address.options
        field = {"type": "dense_vector", "dimension": wanted[0], "metric": wanted[1]}
        try:
            return self._call(
                lambda: self._client.indexes.create(
                    name=name,
                    schema={"fields": {"_values": field}},  # the one that the vectors API uses
                    deployment={
                        "deployment_type": "managed",
                        "cloud": options.get("cloud", "aws"),
                        "region": options.get("region", "us-east-1"),
                    },
                    tags=MADE,
                    timeout=READY_S,
                )
            )
        except NotFoundError as error:  # the cloud or the region
            raise StoreUnavailable(self.shown, f"Pinecone says: {error}") from error
        except StoreUnavailable as error:
            if not isinstance(error.__cause__, ConflictError):
                raise
            return self._call(lambda: self._client.indexes.describe(name))  # others were faster

    def _described(self, name: str) -> IndexModel | None:
        return self.ask(lambda: self._client.indexes.describe(name))

    def _at(self, host: str | None) -> Index:
        index: Index = self._call(lambda: self._client.index(host=host or ""))
        self._opened.append(index)
        return index


def _made_for(index: IndexModel) -> tuple[int | None, str | None]:
    """(width, metric) of an index; Nones for one that holds documents instead of vectors."""
    return getattr(index, "dimension", None), getattr(index, "metric", None)


def _check(address: Address, shown: str) -> None:
    if not re.fullmatch(r"//[a-z0-9]([a-z0-9-]{0,43}[a-z0-9])?", address.place):
        expected = "//INDEX of at most 45 small letters, digits and hyphens"
        raise InvalidStoreAddress(shown, "another place than an index", expected)
    if unknown := sorted(set(address.options) - OPTIONS):
        raise InvalidStoreAddress(shown, f"the option {unknown[0]!r}", ", ".join(sorted(OPTIONS)))
