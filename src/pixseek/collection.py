"""Items by their ids: in a store of their own without folders to keep in step, or in a library.

What other programs' documents become. Both ways answer the same calls (`Items`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pixseek.encoders import Encoder
from pixseek.errors import InvalidMetadata, InvalidQuery, MissingPath, UnknownItem
from pixseek.files import absolute, image_file, is_within
from pixseek.library import Library, Opened
from pixseek.manifest import VectorSet
from pixseek.metadata import FILE_FIELDS, file_fields, merge
from pixseek.metadata.wording import with_words
from pixseek.moments import content_of
from pixseek.places import located
from pixseek.query.searching import checked, search_items
from pixseek.query.tree import Query
from pixseek.ranking import Wanted as Ranked
from pixseek.records import Hit, IndexReport, Item, Metadata, Value, Vector, Where
from pixseek.stores import Store, check_metadata
from pixseek.stores.filters import parse
from pixseek.workers import Limits, Outcome, Workers

if TYPE_CHECKING:
    from pixseek.ranking.statistics import Statistics

__all__ = ["Items", "LibraryItems", "StoreItems", "Wanted", "check_metadata"]

ITEMS_PER_WRITE = 256
SECONDS_PER_WRITE = 2.0
MAX_TAG = 256
"""Characters."""

Changes = Mapping[str, Mapping[str, Value | None]]
"""Item → fields to set; None takes a field out, and fields that are not named stay."""


@dataclass(slots=True)
class Wanted:
    """A picture file that is to become an item, and then what became of it."""

    path: str
    metadata: Metadata
    """Goes before what the file says of itself."""
    id: str | None = None
    """None: the identity of its content."""
    skipped: str | None = None
    """Why it could not be read."""

    @property
    def full_path(self) -> str:
        """Absolute, '/' separated, with ~ expanded."""
        return absolute(os.path.expanduser(self.path))  # noqa: PTH111  Path raises for unknown users


class Items(Protocol):
    """What can be done with items by their ids."""

    @property
    def encoder(self) -> Encoder: ...

    def add_files(self, files: Sequence[Wanted]) -> None:
        """Encode pictures and keep them.

        Each of `files` then has its id, or why it was skipped. What was written is durable, also
        when the call is interrupted. Of items that are there already, fields that are not named
        stay; contents that are there are not encoded again.
        """
        ...

    def add(self, items: Sequence[Item]) -> None:
        """Keep items with vectors made elsewhere, of the same space."""
        ...

    def fetch(self, ids: Iterable[str]) -> list[Item]: ...

    def search(
        self,
        vector: Vector,
        k: int,
        *,
        where: Where | None = None,
        min_score: float | None = None,
    ) -> list[Hit]: ...

    def ask(
        self, query: Query, k: int, *, where: Where | None = None, min_score: float | None = None
    ) -> list[Hit]:
        """The k best of those that answer a query, with their matches (docs/query.md)."""
        ...

    def matches(self, vector: Vector, hits: Sequence[Hit]) -> list[float]:
        """How likely each hit is what a text asks for, 0 to 1. vector: (d,) of the text."""
        ...

    def update_metadata(self, changes: Changes) -> int:
        """Change fields of items and keep their vectors; returns how many items were there."""
        ...

    def delete(self, ids: Iterable[str], where: Where | None = None) -> int:
        """Take out items with these ids, and those that pass the filter; returns how many."""
        ...


class StoreItems:
    """Items of a store that belongs to no library."""

    def __init__(self, store: Store, encoder: Callable[[], Encoder], limits: Limits) -> None:
        """encoder: called when the first picture needs it."""
        self._store = store
        self._encoder = encoder
        self._limits = limits
        self._usual: Statistics | None = None

    @property
    def encoder(self) -> Encoder:
        return self._encoder()

    def add_files(self, files: Sequence[Wanted]) -> None:
        """See Items.add_files."""
        by_path: dict[str, list[Wanted]] = {}
        for one in files:
            by_path.setdefault(one.full_path, []).append(one)
        found = {path: image_file(path, Path(path).stat) for path in by_path}
        for path in [path for path, file in found.items() if file is None]:
            for one in by_path[path]:
                one.skipped = "there is no such file"
        workers = Workers(self._encoder, self._limits, _Stored(self._store))
        items: list[Item] = []
        due = time.monotonic() + SECONDS_PER_WRITE
        try:
            for outcomes in workers.run(file for file in found.values() if file is not None):
                for outcome in outcomes:
                    items += self._items(outcome, by_path[outcome.file.path])
                if len(items) >= ITEMS_PER_WRITE or time.monotonic() > due:
                    self._write(items)
                    due = time.monotonic() + SECONDS_PER_WRITE
        finally:
            self._write(items)

    def add(self, items: Sequence[Item]) -> None:
        self._store.add(items)

    def fetch(self, ids: Iterable[str]) -> list[Item]:
        return self._store.fetch(ids)

    def search(
        self,
        vector: Vector,
        k: int,
        *,
        where: Where | None = None,
        min_score: float | None = None,
    ) -> list[Hit]:
        """See Store.search; `where` is taken as it is written, paths too."""
        node = parse(where)
        if node is not None:
            self._store.check_filter(node)
        return self._store.search(vector, k, where=node, min_score=min_score)

    def ask(
        self, query: Query, k: int, *, where: Where | None = None, min_score: float | None = None
    ) -> list[Hit]:
        """See Items.ask."""
        opened = Opened(
            VectorSet(self._store.space.model, ""), self._store, lambda _: self._encoder()
        )
        wanted = Ranked(k, min_score=min_score)
        return search_items(opened, query, wanted, where=where, usual=self._statistics)

    def matches(self, vector: Vector, hits: Sequence[Hit]) -> list[float]:
        """See Items.matches."""
        return _matches(self._store, self._statistics(), vector, hits)

    def _statistics(self) -> Statistics:
        """What scores are usual: looked at once, and when the store grew."""
        from pixseek.ranking.statistics import taken

        if self._usual is None or not self._usual.fits(self._store.count()):
            self._usual = taken(self._store, self.encoder, self._usual)
        return self._usual

    def update_metadata(self, changes: Changes) -> int:
        """See Items.update_metadata."""
        return _update(self._store, changes)

    def delete(self, ids: Iterable[str], where: Where | None = None) -> int:
        """See Items.delete."""
        leaving = set(ids)
        node = parse(where)
        if node is not None:
            self._store.check_filter(node)
            leaving.update(self._store.ids(node))
        return self._store.delete(leaving)

    def close(self) -> None:
        self._store.close()

    def _write(self, items: list[Item]) -> None:
        """Make items durable; empties the list."""
        if items:
            self._store.add(items)
            items.clear()

    def _items(self, outcome: Outcome, wanted: list[Wanted]) -> list[Item]:
        """One file's items, one for each time that it was asked for."""
        if outcome.item is None:
            for one in wanted:
                one.skipped = outcome.skipped or ""
            return []
        for one in wanted:
            one.id = one.id or outcome.item
        ids = [one.id or "" for one in wanted]
        known = {item.id: item for item in self._store.fetch({*ids, outcome.item})}
        vector = known[outcome.item].vector if outcome.vector is None else outcome.vector
        file = outcome.file
        place = file_fields([file.path], file.size, [file.modified_ns])
        items = []
        for id, one in zip(ids, wanted, strict=True):
            before = known[id].metadata if id in known else {}
            stays = {name: value for name, value in before.items() if name not in FILE_FIELDS}
            metadata = merge({**stays, **outcome.content}, place)
            items.append(Item(id, vector, {**metadata, **one.metadata}))
        return items


class LibraryItems:
    """Items of a library: the files in it, each content once."""

    def __init__(
        self,
        library: Library,
        *,
        writing: Callable[[], AbstractContextManager[object]],
        index: Callable[[list[str]], IndexReport],
        remove: Callable[..., int],
        search: Callable[..., list[Hit]],
    ) -> None:
        """writing: holds the lock of the one writer. The others are the engine's own."""
        self._library = library
        self._writing = writing
        self._index = index
        self._remove = remove
        self._search = search

    @property
    def encoder(self) -> Encoder:
        return self._library.opened().encoder

    def add_files(self, files: Sequence[Wanted]) -> None:
        """See Items.add_files. Raises InvalidQuery for ids: a library's are its contents'."""
        if any(one.id is not None for one in files):
            raise InvalidQuery("a library's ids are made from its files; leave the ids out.")
        paths = {one.full_path: one for one in files}
        report = self._index(list(paths))
        reasons = {absolute(one.path): one.reason for one in report.skipped}
        ids = self.of_files(list(paths))
        changes: dict[str, Metadata] = {}
        for one in files:
            path = one.full_path
            one.id = ids.get(path)
            if one.id is None:
                one.skipped = reasons.get(path, "there is no such file")
            elif own := {k: v for k, v in one.metadata.items() if k not in FILE_FIELDS}:
                changes.setdefault(one.id, {}).update(own)
        for content, items in self._library.manifest.moments_of(changes).items():
            changes.update((item, changes[content]) for item in items)
        self.update_metadata(changes)

    def add(self, items: Sequence[Item]) -> None:
        """Raises InvalidQuery: a library has pictures only."""
        if items:
            raise InvalidQuery(
                "a library holds pictures; expected documents that name a picture file. Put texts "
                "into a store of their own (store=...)."
            )

    def fetch(self, ids: Iterable[str]) -> list[Item]:
        found = self._library.opened().store.fetch(ids)
        return [located(item, self._library.base) for item in found]

    def search(
        self,
        vector: Vector,
        k: int,
        *,
        where: Where | None = None,
        min_score: float | None = None,
    ) -> list[Hit]:
        return self._search(vector=vector, k=k, where=where, min_score=min_score)

    def ask(
        self, query: Query, k: int, *, where: Where | None = None, min_score: float | None = None
    ) -> list[Hit]:
        """See Items.ask."""
        return self._search(query, k=k, where=where, min_score=min_score)

    def matches(self, vector: Vector, hits: Sequence[Hit]) -> list[float]:
        """See Items.matches."""
        opened = self._library.opened()
        return _matches(opened.store, self._library.usual(opened), vector, hits)

    def update_metadata(self, changes: Changes) -> int:
        """See Items.update_metadata; what says where a file is cannot be changed."""
        if not changes:
            return 0
        before = {item.id: item.metadata for item in self.fetch(changes)}
        real: dict[str, Mapping[str, Value | None]] = {}
        for id, fields in changes.items():
            known = before.get(id, {})
            real[id] = {k: v for k, v in fields.items() if k not in known or known[k] != v}
            for name in FILE_FIELDS & real[id].keys():
                expected = "what the file itself says, as long as it is in a library"
                raise InvalidMetadata(id, name, fields[name], expected)
        with self._writing():
            return _update(self._library.opened().store, real)

    def tag(self, ids: Iterable[str], add: Sequence[str] = (), remove: Sequence[str] = ()) -> int:
        """Give items tags (field `tags`), and take some away; returns how many items changed.

        A tag is of the content: of a film it is at every moment, and it stays when files move.
        Raises InvalidQuery for what is no tag.
        """
        added, removed = [tag_of(one) for one in add], {tag_of(one) for one in remove}
        contents = dict.fromkeys(map(content_of, ids))
        with self._writing():
            moments = self._library.manifest.moments_of(contents)
            every = [*contents, *(one for some in moments.values() for one in some)]
            store, changed = self._library.opened().store, {}
            for item in store.fetch(every):
                before = item.metadata.get("tags", [])
                had = before if isinstance(before, list) else [str(before)]
                tags = [one for one in dict.fromkeys([*had, *added]) if one not in removed]
                if tags != had:
                    rest = {k: v for k, v in item.metadata.items() if k != "tags"}
                    changed[item.id] = with_words({**rest, "tags": tags} if tags else rest)
            store.update_metadata(changed)
        return len({content_of(id) for id in changed})

    def delete(self, ids: Iterable[str], where: Where | None = None) -> int:
        """See Items.delete; counts files. They stay on disk, and out of the library from now on."""
        files = self._library.manifest.files_of(dict.fromkeys(ids))
        paths = [entry.path for entries in files.values() for entry in entries]
        return self._remove(paths, where=where)

    def ids(self, where: Where | None = None) -> set[str]:
        """The ids of all items, or of those that pass a filter. Raises as searches do."""
        opened = self._library.opened()
        return set(opened.store.ids(checked(parse(where), self._library, opened)))

    def files(self, id: str) -> list[Path]:
        """The files that hold an item, as they were last seen; none for an unknown one."""
        content = content_of(id)
        return [Path(entry.path) for entry in self._library.manifest.files_of([content])[content]]

    def original(self, id: str) -> Path:
        """The real place of the first of an item's files that is there and belongs to the library.

        That is, in one of its folders, or beside a file that was indexed by name: a link that
        leads elsewhere is not followed. Raises UnknownItem, MissingPath.
        """
        files = self.files(id)
        if not files:
            raise UnknownItem(id)
        folders = self._library.manifest.folders("included")
        for file in files:
            above = [folder for folder in folders if is_within(file.as_posix(), folder)]
            for root in above or [str(file.parent)]:
                real = _real(file)
                if is_within(real.as_posix(), _real(root).as_posix()) and real.is_file():
                    return real
        raise MissingPath(files[0], "a file in a folder of the library, not a link out of it")

    def of_files(self, paths: list[str]) -> dict[str, str]:
        """Absolute path → id of its item, of those that are in the library."""
        known = self._library.manifest.find(paths)
        return {path: one.item for path, one in known.items() if one.item is not None}


def tag_of(text: str) -> str:
    """A tag without blanks around it. Raises InvalidQuery for what is none."""
    tag = text.strip()
    if not tag or len(tag) > MAX_TAG or not tag.isprintable():
        raise InvalidQuery(
            f"{text[:MAX_TAG]!r} is no tag; expected 1 to {MAX_TAG} characters in one line."
        )
    return tag


def _matches(store: Store, usual: Statistics, vector: Vector, hits: Sequence[Hit]) -> list[float]:
    from pixseek.ranking import Part
    from pixseek.ranking.matching import match

    part, found = Part("text", vector), {}
    for item in store.fetch([hit.id for hit in hits]):
        (likely,) = match(part, item.vector[None], usual, store.space.model)
        found[item.id] = float(likely)
    return [found.get(hit.id, 0.0) for hit in hits]


def _real(path: str | Path) -> Path:
    return Path(os.path.realpath(path))


def _update(store: Store, changes: Changes) -> int:
    found = store.fetch(changes)
    store.update_metadata(
        {
            item.id: {
                name: value
                for name, value in {**item.metadata, **changes[item.id]}.items()
                if value is not None
            }
            for item in found
        }
    )
    return len(found)


class _Stored:
    """The ids in a store, asked for one by one: a store may hold more than should be listed."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __contains__(self, id: object) -> bool:
        return bool(self._store.fetch([str(id)]))
