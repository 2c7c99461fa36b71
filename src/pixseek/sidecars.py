"""Sidecars: XMP files beside pictures, and what they say of them, remembered.

`IMG.jpg.xmp` and `IMG.xmp` both belong to IMG.jpg; the first goes before the second. What a content
says of itself is kept apart as soon as one of its files has a sidecar, so that a sidecar may change
and go without the picture being read again.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pixseek.database import Database
from pixseek.files import Found, image_file
from pixseek.metadata import SAID_FIELDS, sidecar_fields, with_sidecars
from pixseek.metadata.towns import names_of
from pixseek.metadata.xmp import MAX_BYTES
from pixseek.records import ImageFile, Item, Metadata

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sidecars (path BLOB PRIMARY KEY, sidecar BLOB NOT NULL,
    size INTEGER NOT NULL, modified_ns INTEGER NOT NULL, said TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS own (item TEXT PRIMARY KEY, said TEXT NOT NULL) WITHOUT ROWID
"""
"""Made when there is something to put into it: many libraries have none."""


class Noted(NamedTuple):
    """A sidecar as it was when it was read."""

    sidecar: ImageFile
    said: Metadata


def beside(found: Found, path: str) -> ImageFile | None:
    """The sidecar of a picture among what was found on disk."""
    if not found.sidecars:
        return None
    folder, _, name = path.rpartition("/")
    stem = name.rpartition(".")[0]
    return found.sidecars.get(path) or (found.sidecars.get(f"{folder}/{stem}") if stem else None)


def look_beside(found: Found) -> None:
    """Add the sidecars of files that were named by themselves."""
    for path in found.named:
        folder, _, name = path.rpartition("/")
        stem = name.rpartition(".")[0]
        for base in filter(None, (path, stem and f"{folder}/{stem}")):
            for end in (".xmp", ".XMP"):
                file = image_file(base + end, partial(os.stat, base + end))
                if file is not None:
                    found.sidecars.setdefault(base, file)


def read(sidecar: ImageFile) -> Metadata:
    """What a sidecar says; its field `notes` says why it cannot be read."""
    try:
        if sidecar.size > MAX_BYTES:
            return {"notes": [f"sidecar: {sidecar.size} bytes are more than {MAX_BYTES}"]}
        return sidecar_fields(Path(sidecar.path).read_bytes())
    except OSError as error:
        return {"notes": [f"sidecar: {error.strerror or error}"]}


class Sidecars:
    """What is remembered of them. Paths are absolute."""

    def __init__(
        self, database: Database, key: Callable[[str], bytes], path: Callable[[bytes], str]
    ) -> None:
        """key, path: how a path is stored, and back."""
        self._database = database
        self._key = key
        self._path = path
        self._has_any = False

    def has_any(self) -> bool:
        """Whether any picture has a sidecar, or had."""
        self._has_any = self._has_any or self._database.holds("own")
        return self._has_any

    def known(self) -> dict[str, ImageFile]:
        """picture → its sidecar, of all there are."""
        if not self.has_any():
            return {}
        query = "SELECT path, sidecar, size, modified_ns FROM sidecars"
        with self._database.reading() as connection:
            rows = connection.execute(query).fetchall()
        return {
            self._path(path): ImageFile(self._path(sidecar), size, modified_ns)
            for path, sidecar, size, modified_ns in rows
        }

    def record(self, noted: Mapping[str, Noted | None]) -> None:
        """Remember what the sidecars of pictures say; None forgets them."""
        if not noted or (not self.has_any() and not any(noted.values())):
            return
        self._make_tables()
        with self._database.writing() as connection:
            connection.executemany(
                "DELETE FROM sidecars WHERE path = ?", [(self._key(path),) for path in noted]
            )
            connection.executemany(
                "INSERT INTO sidecars VALUES (?, ?, ?, ?, ?)",
                [
                    (
                        self._key(path),
                        self._key(one.sidecar.path),
                        *one.sidecar[1:],
                        _dumped(one.said),
                    )
                    for path, one in noted.items()
                    if one is not None
                ],
            )

    def joined(
        self, items: Sequence[Item], paths: Mapping[str, Sequence[str]]
    ) -> dict[str, Metadata]:
        """Each item's metadata with what the sidecars of its files say now.

        items: as the store has them; with what sidecars said earlier, if and only if what their
        contents say themselves was kept then. paths: item → its files, in order.
        """
        joined = {item.id: item.metadata for item in items}
        if not self.has_any():
            return joined
        new: dict[str, Metadata] = {}
        with self._database.reading() as connection:
            for id, metadata in list(joined.items()):
                said = _said_of(connection, map(self._key, paths[id]))
                own = _own(connection, id)
                if own is None and not said:
                    continue
                if own is None:
                    own = new[id] = _own_of(metadata)
                rest = {name: value for name, value in metadata.items() if name not in SAID_FIELDS}
                joined[id] = {**rest, **with_sidecars(own, said)}
        if new:  # before the store has what is joined
            with self._database.writing() as connection:
                rows = [(id, _dumped(own)) for id, own in new.items()]
                connection.executemany("INSERT OR IGNORE INTO own VALUES (?, ?)", rows)
        return joined

    def forget_own(self, items: Iterable[str]) -> None:
        """Forget what contents say of themselves: they leave the store, or come anew."""
        gone = [(item,) for item in items] if self.has_any() else []
        if gone:
            with self._database.writing() as connection:
                connection.executemany("DELETE FROM own WHERE item = ?", gone)

    def _make_tables(self) -> None:
        if not self.has_any():
            with self._database.writing() as connection:
                for statement in _SCHEMA.split(";"):
                    connection.execute(statement)


def _said_of(connection: sqlite3.Connection, keys: Iterable[bytes]) -> list[Metadata]:
    """What the sidecars of pictures say, in their order."""
    query = "SELECT said FROM sidecars WHERE path = ?"
    rows = [connection.execute(query, (key,)).fetchone() for key in keys]
    return [json.loads(row[0]) for row in rows if row is not None]


def _own(connection: sqlite3.Connection, item: str) -> Metadata | None:
    """What a content says of itself, where that was kept."""
    row = connection.execute("SELECT said FROM own WHERE item = ?", (item,)).fetchone()
    return None if row is None else json.loads(row[0])


def _own_of(metadata: Metadata) -> Metadata:
    """What a content says of itself, without the names that its place was given."""
    given = names_of(metadata).items()
    return {
        name: value
        for name, value in metadata.items()
        if name in SAID_FIELDS and (name, value) not in given
    }


def _dumped(metadata: Metadata) -> str:
    return json.dumps(metadata, ensure_ascii=False, separators=(",", ":"))
