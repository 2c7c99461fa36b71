"""`chroma`: a collection of Chroma, in a folder or of a server.

A record's metadata holds the exact metadata as JSON and the tokens that filters ask for, under keys
with a colon in them, and the fields themselves, for ranges and for other programs to read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np

from pixseek.errors import UnsupportedFilter
from pixseek.records import Hit, Item, Metadata, Space, Vector
from pixseek.stores import check_items, check_metadata, check_query, nearest_first
from pixseek.stores.address import Address
from pixseek.stores.chroma_collection import ChromaCollection, Json, Record
from pixseek.stores.filters import Filter
from pixseek.stores.payload import field_key, key, metadata_of, payload, plain, word_tokens
from pixseek.stores.questions import (
    TOO_OLD,
    Joined,
    Kind,
    Question,
    Range,
    Tokens,
    check_kinds,
    questions,
)
from pixseek.stores.texts import meant, written

EXACT, TOKENS, ID = "pixseek:exact", "pixseek:tokens", "pixseek:id"
WORDS = "pixseek:words"
"""Keys that no field of an item has: what `field_key` gives has no colon."""
WIDEST = 1000
"""How many values a filter may ask for: each is a part of one SQL expression, and with 5,000 of
them it takes seconds, with 16,000 it fails (Chroma 1.5.9)."""
DEEPEST = 40
"""How deep a filter may be nested; Chroma fails at some level between 50 and 100."""
TOGETHER = 50
"""Parts of one "and" or "or"; SQL nests them in each other, and fails at 1000."""


class ChromaStore:
    """Safe to use from threads."""

    REFUSES: ClassVar[dict[Kind, str]] = {
        "prefix": "Chroma cannot ask how a text begins",
        "contains": "Chroma looks inside documents only",
        "icontains": "Chroma looks inside documents only",
        "order": "Chroma orders numbers only",
        "long words": "words of short texts only are written",
    }

    def __init__(self, collection: ChromaCollection) -> None:
        self._collection = collection
        self._refuses = self.REFUSES | ({} if collection.has_words else {"words": TOO_OLD})

    @classmethod
    def open(cls, location: str, space: Space | None) -> ChromaStore:
        """Open `chroma:FOLDER`, `chroma+http://HOST:PORT` or `chroma+https://HOST`.

        Raises StoreUnavailable when there is a server and it does not answer or bars us, or
        another process does not let go of the folder; InvalidStoreAddress when the collection is
        none of pixseek's.
        """
        return cls(ChromaCollection.open(Address.parse(location), space))

    @property
    def space(self) -> Space:
        return self._collection.space

    def add(self, items: Sequence[Item]) -> None:
        check_items(items, self.space.dimensions)
        self._collection.write([_record(one) for one in {one.id: one for one in items}.values()])

    def update_metadata(self, changes: Mapping[str, Metadata]) -> None:
        check_metadata(changes)
        none = np.empty(0, np.float32)
        self._collection.describe([_record(Item(id, none, new)) for id, new in changes.items()])

    def delete(self, ids: Iterable[str]) -> int:
        return self._collection.delete([*{key(id) for id in ids}])

    def fetch(self, ids: Iterable[str]) -> list[Item]:
        wanted = list(ids)
        records = self._collection.fetch([*{key(id) for id in wanted}])
        found = {one.key: Item(_id(one), one.vector, _metadata(one)) for one in records}
        return [found[key(id)] for id in wanted if key(id) in found]

    def check_filter(self, where: Filter) -> None:
        name = self._collection.name
        check_kinds(where, name, self._refuses)
        asked = questions(where)
        if _depth(asked) > DEEPEST:
            raise UnsupportedFilter(name, f"conditions nested more than {DEEPEST} deep")
        if _width(asked) > WIDEST:
            raise UnsupportedFilter(name, f"more than {WIDEST} values at once")

    def ids(self, where: Filter | None = None) -> Iterator[str]:
        keys = self._collection.keys(_where(where))
        hashed = self._collection.fetch([one for one in keys if one.startswith("~")])
        ids = {one.key: _id(one) for one in hashed}
        return iter([ids.get(one, one) for one in keys if one in ids or not one.startswith("~")])

    def count(self, where: Filter | None = None) -> int:
        return self._collection.count(_where(where))

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
        records = self._collection.nearest(vector, k + offset, _where(where)) if k > 0 else []
        if not records:
            return []
        return nearest_first(
            records,
            np.stack([one.vector for one in records]),
            vector,
            id=_id,
            metadata=_metadata,
            min_score=min_score,
            offset=offset,
            k=k,
        )

    def preload(self) -> None:
        """Chroma reads its index at the first search."""
        self._collection.nearest(np.eye(1, self.space.dimensions, dtype=np.float32)[0], 1, None)

    def drop(self) -> None:
        self._collection.drop()

    def close(self) -> None:
        self._collection.close()


def _record(item: Item) -> Record:
    made = payload(item.metadata)
    metadata: Json = dict(plain(item.id, item.metadata))
    document = str(metadata.pop("text")) or key(item.id)
    # As floats, whole numbers too: a range over both kinds is not right with a bound like 1.5.
    metadata |= {field_key(field): number for field, number in made.numbers.items()}
    metadata |= {EXACT: made.exact, ID: written(item.id)}
    if made.tokens:  # an empty list is refused
        metadata[TOKENS] = made.tokens
    if words := word_tokens(item.metadata):
        metadata[WORDS] = words
    return Record(key(item.id), item.vector, metadata, document)


def _id(record: Record) -> str:
    return meant(record.metadata[ID])


def _metadata(record: Record) -> Metadata:
    return metadata_of(record.metadata[EXACT])


def _where(node: Filter | None) -> Json | None:
    return None if node is None else _said(questions(node))


def _said(asked: Question) -> Json:
    if isinstance(asked, Joined):
        return _joined("$and" if asked.every else "$or", [_said(part) for part in asked.parts])
    if isinstance(asked, Range):
        return {field_key(asked.field): {f"${asked.operator}": asked.value}}
    has = "$not_contains" if asked.negated else "$contains"
    # No item has the token "": what asks for none of any is true, what asks for any of none false.
    where = WORDS if asked.are_words else TOKENS
    parts: list[Json] = [{where: {has: token}} for token in asked.tokens or ("",)]
    return _joined("$and" if asked.negated else "$or", parts)


def _joined(how: str, parts: list[Json]) -> Json:
    """At least two parts are joined by Chroma, and not too many at one place."""
    while len(parts) > 1:
        groups = [parts[start : start + TOGETHER] for start in range(0, len(parts), TOGETHER)]
        parts = [{how: group} if len(group) > 1 else group[0] for group in groups]
    return parts[0]


def _depth(asked: Question) -> int:
    return 1 + max(map(_depth, asked.parts)) if isinstance(asked, Joined) else 1


def _width(asked: Question) -> int:
    if isinstance(asked, Joined):
        return sum(map(_width, asked.parts))
    return len(asked.tokens) if isinstance(asked, Tokens) else 1
