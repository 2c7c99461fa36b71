"""Stores: vectors and their metadata, found again by nearness and filter.

`Store` is the seam, `STORES` its one table; strangers add theirs under the entry point group
`pixseek.stores`, each naming a class.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar, cast

from pixseek.errors import (
    InvalidMetadata,
    InvalidStoreAddress,
    InvalidVectors,
    MissingExtra,
    ModelMismatch,
    StoreMismatch,
    UnknownStore,
)
from pixseek.records import Hit, Item, Metadata, Space, Vector, Vectors
from pixseek.stores.address import METRICS, Address, Metric

if TYPE_CHECKING:
    from typing import Self

    import numpy as np
    from numpy.typing import NDArray

    from pixseek.stores.filters import Filter


_Found = TypeVar("_Found")


class Store(Protocol):
    """Keeps items and finds them again. Every call that changes is durable when it returns.

    Ids and metadata may be in any script. A score is cosine similarity, -1 to 1, higher is nearer,
    whatever the engine below measures. One writer at a time, any number of readers.
    """

    @classmethod
    def open(cls, location: str, space: Space | None) -> Self:
        """Open what is at `location`, making it when `space` is given and nothing is there.

        location: the store's whole URL (`address.Address` takes it apart); for `local` a folder.
        space: what the caller's vectors are made by; None takes what is stored.
        Raises ModelMismatch for another space, LibraryNotFound when nothing is there to take
        the space from, LibraryTooNew and LibraryDamaged for files that cannot be used.
        """
        ...

    @property
    def space(self) -> Space: ...

    def add(self, items: Sequence[Item]) -> None:
        """Add items, replacing those with the same id: adding twice is adding once.

        Raises InvalidVectors when a vector has not `space.dimensions` finite values of length 1,
        InvalidMetadata for values that are no text, finite number, truth or list of texts.
        """
        ...

    def update_metadata(self, changes: Mapping[str, Metadata]) -> None:
        """Replace the metadata of items and keep their vectors; ids not stored are passed over."""
        ...

    def delete(self, ids: Iterable[str]) -> int:
        """Take items out; returns how many were there."""
        ...

    def fetch(self, ids: Iterable[str]) -> list[Item]:
        """The items with these ids that are stored, in the order asked for."""
        ...

    def check_filter(self, where: Filter) -> None:
        """Raise UnsupportedFilter, naming the condition, if the engine cannot express the filter.

        Asked before any work is done; every other call may take for granted that it has passed.
        """
        ...

    def ids(self, where: Filter | None = None) -> Iterator[str]:
        """The id of every item that passes the filter, in no order."""
        ...

    def count(self, where: Filter | None = None) -> int:
        """How many items pass the filter."""
        ...

    def search(
        self,
        vector: Vector,
        k: int,
        *,
        where: Filter | None = None,
        min_score: float | None = None,
        offset: int = 0,
    ) -> list[Hit]:
        """The k nearest items that pass the filter, after the first `offset` of them.

        Nearest first, equal scores by id. Fewer than k when no more pass; [] from an empty store.
        Raises InvalidVectors for a query of the wrong width.
        """
        ...

    def preload(self) -> None:
        """Get ready for the first search; a store that has nothing to get ready does nothing."""
        ...

    def drop(self) -> None:
        """Take everything out for good, and the space with it. The store cannot be used after;
        one that is still open elsewhere answers as if it were empty."""
        ...

    def close(self) -> None: ...


class Entry(NamedTuple):
    """Where an implementation is found and which extra brings what it needs."""

    module: str
    attribute: str
    extra: str | None = None


STORES: dict[str, Entry] = {
    "local": Entry("pixseek.stores.local", "LocalStore"),
    "memory": Entry("pixseek.stores.memory", "MemoryStore"),
    "chroma": Entry("pixseek.stores.chroma", "ChromaStore", "chroma"),
    "chroma+http": Entry("pixseek.stores.chroma", "ChromaStore", "chroma"),
    "chroma+https": Entry("pixseek.stores.chroma", "ChromaStore", "chroma"),
    "qdrant": Entry("pixseek.stores.qdrant", "QdrantStore", "qdrant"),
    "qdrant+https": Entry("pixseek.stores.qdrant", "QdrantStore", "qdrant"),
    "milvus": Entry("pixseek.stores.milvus", "MilvusStore", "milvus"),
    "milvus+https": Entry("pixseek.stores.milvus", "MilvusStore", "milvus"),
    "pinecone": Entry("pixseek.stores.pinecone", "PineconeStore", "pinecone"),
    "langchain": Entry("pixseek.stores.langchain", "LangChainStore"),
    "postgresql": Entry("pixseek.stores.postgresql", "PostgresStore", "postgresql"),
    "lancedb": Entry("pixseek.stores.lancedb", "LanceStore", "lancedb"),
}


def store_class(name: str) -> type[Store]:
    """The class behind a store's name, imported now.

    Raises UnknownStore, and MissingExtra when what it needs is not installed.
    """
    entry = STORES.get(name)
    if entry is None:
        from importlib.metadata import entry_points  # slow to import

        for point in entry_points(group="pixseek.stores", name=name):
            return cast("type[Store]", point.load())
        raise UnknownStore(name, sorted(STORES))
    try:
        return cast("type[Store]", getattr(import_module(entry.module), entry.attribute))
    except ModuleNotFoundError as error:
        if entry.extra is None:
            raise
        raise MissingExtra(f"the store {name!r}", entry.extra) from error


def open_store(url: str, library: Path, space: Space | None) -> Store:
    """Open a store by URL: `NAME:PLACE?option=value`; `local` lives in the library's folder."""
    address = Address.parse(url)
    location = url
    if address.name == "local":  # a folder: relative to the library, wherever the caller stands
        location = str(library / address.path)
    if address.options and address.name in ("local", "memory"):
        raise InvalidStoreAddress(url, "options", "none, as this store has no choices")
    return store_class(address.name).open(location, space)


def set_url(url: str, space: Space) -> str:
    """Where the vectors of another space are kept beside those of a store."""
    model = "".join(c if c.isalnum() else "-" for c in space.model).strip("-")[-40:]
    return str(Address.parse(url).beside(f"{model}-{space.fingerprint[:12]}"))


def check_stamp(stored: tuple[Space, Metric], asked: tuple[Space | None, Metric]) -> None:
    """Raise ModelMismatch or StoreMismatch unless a store was made by what is asked for."""
    check_space(stored[0], asked[0])
    if stored[1] != asked[1]:
        raise StoreMismatch(METRICS[stored[1]], METRICS[asked[1]])


def check_space(stored: Space, asked: Space | None) -> None:
    """Raise ModelMismatch unless both are the same space."""
    if asked is not None and asked != stored:
        raise ModelMismatch(str(stored), str(asked))


def check_metadata(metadata: Mapping[str, Metadata]) -> None:
    """Raise InvalidMetadata unless every value is a text, a finite number, a truth or texts."""
    for id, fields in metadata.items():
        for field, value in fields.items():
            if isinstance(value, str | bool):
                continue
            if isinstance(value, int | float) and abs(value) <= sys.float_info.max:
                continue
            if isinstance(value, list) and all(isinstance(one, str) for one in value):
                continue
            raise InvalidMetadata(id, field, value)


def check_items(items: Sequence[Item], dimensions: int) -> None:
    """Raise InvalidVectors unless every item has a finite vector of that width and length 1.

    Raises InvalidMetadata as `check_metadata` does.
    """
    import numpy as np

    check_metadata({item.id: item.metadata for item in items})
    for item in items:
        if item.vector.shape != (dimensions,):
            raise InvalidVectors(
                f"item {item.id!r} has a vector of shape {item.vector.shape}; "
                f"expected ({dimensions},), the width of the store's model."
            )
        length = float(np.linalg.norm(item.vector))
        if not abs(length - 1.0) <= 1e-3:
            raise InvalidVectors(
                f"item {item.id!r} has a vector of length {length:.6g}; expected 1. "
                "Divide it by its length, or leave the item out when that is 0 or not a number."
            )


def score(vectors: Vectors, vector: Vector) -> NDArray[np.float64]:
    """(n, d) and (d,) → (n,) inner products, which on unit vectors are cosines.

    Summed row by row in float64: a matrix product's last bits depend on where in the matrix a row
    stands, and then equal vectors would have unequal scores.
    """
    import numpy as np

    scores: NDArray[np.float64] = (vectors * vector).sum(axis=1, dtype=np.float64)
    return scores


def nearest_first(
    found: Sequence[_Found],
    vectors: Vectors,
    vector: Vector,
    *,
    id: Callable[[_Found], str],
    metadata: Callable[[_Found], Metadata],
    min_score: float | None,
    offset: int,
    k: int,
) -> list[Hit]:
    """What an engine found, in any order, as the hits that `Store.search` gives.

    vectors: (n, d), of what was found. Scored here, as each engine and metric has scores of its
    own, and rounds them.
    """
    ordered = sorted(
        (-value, id(one), row)
        for row, (one, value) in enumerate(zip(found, score(vectors, vector).tolist(), strict=True))
        if min_score is None or value >= min_score
    )
    return [
        Hit(name, -negative, metadata(found[row]))
        for negative, name, row in ordered[offset : offset + k]
    ]


def check_query(vector: Vector, dimensions: int) -> None:
    """Raise InvalidVectors unless the query has that width and is finite."""
    import numpy as np

    if vector.shape != (dimensions,) or not np.isfinite(vector).all():
        raise InvalidVectors(
            f"the query vector has shape {vector.shape}; expected ({dimensions},) finite values. "
            "Encode the query with the model of the library."
        )
