"""`qdrant`: a collection of a Qdrant server, or Qdrant's engine inside this process.

Both keep points with a payload and take the same filters, written here as Qdrant's REST interface
has them; `qdrant_server` and `qdrant_embedded` carry them out. Under `pixseek` in a payload is what
filters ask and what comes back; the rest is there for other programs to read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, ClassVar, Literal, Protocol, TypeAlias
from uuid import UUID

import numpy as np

from pixseek.errors import InvalidStoreAddress, MissingExtra, UnsupportedFilter
from pixseek.records import Hit, Item, Metadata, Space, Vector
from pixseek.stores import check_items, check_metadata, check_query, nearest_first
from pixseek.stores.address import Address
from pixseek.stores.filters import And, Compare, Filter, Not, Or, elements
from pixseek.stores.payload import (
    equals,
    field_key,
    has,
    has_word,
    metadata_of,
    payload,
    plain,
    word_tokens,
)
from pixseek.stores.questions import TOO_OLD, Kind, check_kinds
from pixseek.stores.texts import meant, written
from pixseek.stores.textwords import folded

Json: TypeAlias = dict[str, Any]
IndexKind: TypeAlias = Literal["token", "text", "number"]
"""For equality; for beginnings and parts of texts too; for ranges."""
TOKENS = "pixseek.tokens"
OLD: dict[Kind, str] = dict.fromkeys(("icontains", "words", "long words"), TOO_OLD)
"""What a collection of the first layout cannot answer."""
DEEPEST = 40
"""How deep a filter may be nested: a server reads JSON 128 deep, and one of ours takes three."""
BATCH = 256
"""Points written together, well below the 32 MB that a server takes at once."""
PAGE = 2000
"""Points read together."""
EF = 512
"""How many candidates a search by graph (`index=hnsw`) keeps in view. Of 100,000 vectors of 512
dimensions recall@10 is then 1.00 for queries like images and 1.00 for queries like texts, which lie
apart from images; at Qdrant's own 128 it is 1.00 and 0.93. Filtered searches are always exact: by
graph they found 0.79 of a half, and nothing at all of a twentieth."""
SCANNED_KB = 50_000
"""Kilobytes of vectors that are scanned rather than looked for by graph, in some 3 ms: 25,000 of
512 dimensions. By graph (Qdrant's own limit is 10,000 kB), recall@10 of 10,000 vectors was 0.95 for
queries like texts."""


@dataclass(frozen=True, slots=True)
class Point:
    """What Qdrant keeps of an item."""

    key: str
    """A UUID as text."""
    vector: Sequence[float]
    """Empty where none was asked for."""
    payload: Json


class Points(Protocol):
    """One collection of points. Without it (it was dropped elsewhere) answers are as if empty."""

    name: str
    """For messages, without secrets."""
    space: Space
    refuses: Mapping[Kind, str]

    def index(self, fields: Iterable[str], kind: IndexKind) -> None:
        """Make filters on these fields fast; for those that are so already nothing is done."""
        ...

    def write(self, points: Sequence[Point]) -> None: ...

    def overwrite(self, payloads: Mapping[str, Json]) -> None:
        """Replace the payloads of points that are there, by key."""
        ...

    def delete(self, keys: Sequence[str]) -> None: ...

    def retrieve(self, keys: Sequence[str]) -> list[Point]:
        """Points that are there, whole, in no order."""
        ...

    def scroll(self, where: Json | None, *, whole: bool) -> Iterator[Point]:
        """Every point that passes; with the id only, unless whole."""
        ...

    def count(self, where: Json | None) -> int: ...

    def nearest(self, vector: Vector, k: int, where: Json | None) -> list[Point]:
        """The k nearest, whole, in no order."""
        ...

    def drop(self) -> None: ...

    def close(self) -> None: ...


class QdrantStore:
    """Safe to use from threads."""

    REFUSES: ClassVar[dict[Kind, str]] = {
        "order": "Qdrant orders numbers and times only",
        "long words": "words of short texts only are written",
    }

    def __init__(self, points: Points) -> None:
        self._points = points

    @classmethod
    def open(cls, location: str, space: Space | None) -> QdrantStore:
        """Open `qdrant://HOST:PORT`, `qdrant+https://HOST` or `qdrant:FOLDER`.

        Raises StoreUnavailable when there is a server and it does not answer, bars us or is too
        old, or another process does not let go of the folder.
        """
        address = Address.parse(location)
        address.check_options("index", *(("api_key",) if address.is_remote else ()))
        if (index := address.options.get("index", "flat")) not in ("flat", "hnsw"):
            part = f"the index {index!r}"
            raise InvalidStoreAddress(address.without_secrets, part, "flat or hnsw")
        # Only one of the two packages need be there.
        try:
            if address.is_remote:
                from pixseek.stores.qdrant_server import ServerPoints

                return cls(ServerPoints.open(address, space))
            from pixseek.stores.qdrant_embedded import EmbeddedPoints
        except ModuleNotFoundError as error:
            raise MissingExtra(f"the store {address.name!r}", "qdrant") from error
        return cls(EmbeddedPoints.open(address, space))

    @property
    def space(self) -> Space:
        return self._points.space

    def add(self, items: Sequence[Item]) -> None:
        check_items(items, self.space.dimensions)
        latest = {item.id: item for item in items}
        points = [
            Point(_key(item.id), item.vector.tolist(), _payload(item.id, item.metadata))
            for item in latest.values()
        ]
        self._index([one.payload for one in points])
        for start in range(0, len(points), BATCH):
            self._points.write(points[start : start + BATCH])

    def update_metadata(self, changes: Mapping[str, Metadata]) -> None:
        check_metadata(changes)
        payloads = {_key(id): _payload(id, metadata) for id, metadata in changes.items()}
        self._index(payloads.values())
        keys = list(payloads)
        for start in range(0, len(keys), BATCH):
            there = self._points.retrieve(keys[start : start + BATCH])
            if there:
                self._points.overwrite({one.key: payloads[one.key] for one in there})

    def _index(self, payloads: Iterable[Json]) -> None:
        numbers: dict[str, None] = {}
        texts: dict[str, None] = {}
        lower: dict[str, None] = {}
        for one in payloads:
            numbers.update(dict.fromkeys(map(_number, one["pixseek"]["numbers"])))
            texts.update(dict.fromkeys(map(_text, one["pixseek"]["texts"])))
            lower.update(dict.fromkeys(map(_lower, one["pixseek"]["lower"])))
        self._points.index(numbers, "number")
        self._points.index(texts, "text")
        self._points.index(lower, "token")

    def delete(self, ids: Iterable[str]) -> int:
        keys = list({_key(id) for id in ids})
        deleted = 0
        for start in range(0, len(keys), PAGE):
            there = [one.key for one in self._points.retrieve(keys[start : start + PAGE])]
            if there:
                self._points.delete(there)
            deleted += len(there)
        return deleted

    def fetch(self, ids: Iterable[str]) -> list[Item]:
        keys = [(id, _key(id)) for id in ids]
        wanted = list({key for _, key in keys})
        found: dict[str, Item] = {}
        for start in range(0, len(wanted), PAGE):
            for one in self._points.retrieve(wanted[start : start + PAGE]):
                vector = np.array(one.vector, np.float32)
                found[one.key] = Item(_id(one), vector, _metadata(one))
        return [found[key] for _, key in keys if key in found]

    def check_filter(self, where: Filter) -> None:
        check_kinds(where, self._points.name, self._points.refuses)
        if _depth(where) > DEEPEST:
            part = f"conditions nested more than {DEEPEST} deep"
            raise UnsupportedFilter(self._points.name, part)

    def ids(self, where: Filter | None = None) -> Iterator[str]:
        for one in self._points.scroll(_whole(where), whole=False):
            yield _id(one)

    def count(self, where: Filter | None = None) -> int:
        return self._points.count(_whole(where))

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
        points = self._points.nearest(vector, k + offset, _whole(where)) if k > 0 else []
        if not points:
            return []
        return nearest_first(
            points,
            np.array([one.vector for one in points], np.float32),
            vector,
            id=_id,
            metadata=_metadata,
            min_score=min_score,
            offset=offset,
            k=k,
        )

    def preload(self) -> None:
        self._points.count(None)

    def drop(self) -> None:
        self._points.drop()

    def close(self) -> None:
        self._points.close()


def _number(key: str) -> str:
    return f"pixseek.numbers.{_step(key)}"


def _text(key: str) -> str:
    return f"pixseek.texts.{_step(key)}"


def _lower(key: str) -> str:
    return f"pixseek.lower.{_step(key)}"


def _step(key: str) -> str:
    """A key as a step of a path; hashed ones begin with a sign."""
    return f'"{key}"' if key.startswith("~") else key


def _key(id: str) -> str:
    """Qdrant's ids are numbers or UUIDs."""
    return str(UUID(bytes=blake2b(id.encode("utf-8", "surrogatepass"), digest_size=16).digest()))


def _payload(id: str, metadata: Metadata) -> Json:
    made = payload(metadata)
    texts: dict[str, list[str]] = {}
    lower: dict[str, list[str]] = {}
    for field, value in metadata.items():
        for one in elements(value):
            if isinstance(one, str):
                text = written(one)
                texts.setdefault(field_key(field), []).append(text)
                if (small := folded(text)) != text:
                    lower.setdefault(field_key(field), []).append(small)
    shown = plain(id, metadata)
    return {
        # Where LangChain looks.
        "page_content": shown.pop("text"),
        "metadata": shown,
        "pixseek": {
            "id": written(id),
            "exact": made.exact,
            "tokens": [*made.tokens, *word_tokens(metadata)],
            "numbers": {field_key(field): number for field, number in made.numbers.items()},
            "texts": texts,
            "lower": lower,  # only of texts with capitals: the others are so already
        },
    }


def _id(point: Point) -> str:
    return meant(point.payload["pixseek"]["id"])


def _metadata(point: Point) -> Metadata:
    return metadata_of(point.payload["pixseek"]["exact"])


def _whole(where: Filter | None) -> Json | None:
    return None if where is None else {"must": [_condition(where)]}


def _condition(node: Filter) -> Json:
    """A filter as Qdrant's; what it refuses has been refused by `check_filter`."""
    if isinstance(node, Not):
        return {"must_not": [_condition(node.part)]}
    if isinstance(node, And | Or):
        parts = [_condition(part) for part in node.parts]
        return {"must" if isinstance(node, And) else "should": parts}
    return _asked(node)


def _asked(node: Compare) -> Json:
    field, wanted = node.field, node.value
    if isinstance(wanted, tuple):
        return {"key": TOKENS, "match": {"any": [equals(field, one) for one in wanted]}}
    if node.operator == "exists" or wanted is None:
        return {"key": TOKENS, "match": {"any": [has(field)]}}
    if node.operator == "eq":
        return {"key": TOKENS, "match": {"any": [equals(field, wanted)]}}
    if node.operator == "word":
        return {"key": TOKENS, "match": {"any": [has_word(field, str(wanted))]}}
    if node.operator == "icontains":
        match = {"substring": folded(written(str(wanted)))}
        keys = (_text(field_key(field)), _lower(field_key(field)))
        return {"should": [{"key": key, "match": match} for key in keys]}
    if isinstance(wanted, str):
        how = "prefix" if node.operator == "prefix" else "substring"
        return {"key": _text(field_key(field)), "match": {how: written(wanted)}}
    return {"key": _number(field_key(field)), "range": {node.operator: float(wanted)}}


def _depth(node: Filter) -> int:
    if isinstance(node, Compare):
        return 1
    parts = (node.part,) if isinstance(node, Not) else node.parts
    return 1 + max(map(_depth, parts))
