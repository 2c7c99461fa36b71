"""The indexer's memory: which file held which content when, and what a library is made of.

It lives in the library's one file, beside the tables of the `local` store. What a search needs is
in the store; losing the manifest costs a re-reading of the files, not their vectors.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pixseek.database import Database
from pixseek.files import Base, Known, is_within, is_within_any, reads
from pixseek.moments import content_of
from pixseek.sidecars import Sidecars

_SCHEMA = """
CREATE TABLE IF NOT EXISTS library (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS folders (path BLOB PRIMARY KEY, kind TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (path BLOB PRIMARY KEY, size INTEGER NOT NULL,
    modified_ns INTEGER NOT NULL, item TEXT, skipped TEXT) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS files_by_item ON files (item);
CREATE TABLE IF NOT EXISTS pending (item TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sets (store TEXT PRIMARY KEY, model TEXT NOT NULL, state TEXT NOT NULL);
"""

_MOMENTS = """
CREATE TABLE IF NOT EXISTS moments (item TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS moments_by_content ON moments (content)
"""
"""Made when there is something to put into it: most libraries have none, nor had any of those that
were made before."""

_UNDECODABLE = sys.getfilesystemencodeerrors()
"""How Python keeps file names that are not valid UTF-8."""

FolderKind = Literal["included", "excluded"]
SetState = Literal["building", "kept", "leaving"]


@dataclass(frozen=True, slots=True)
class VectorSet:
    """Vectors of the library's pictures by one model, and where they are kept."""

    model: str
    store: str
    """A store's URL."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file as it was when it was last read. `path` is absolute."""

    path: str
    size: int
    modified_ns: int
    item: str | None
    skipped: str | None = None


class Manifest:
    """Takes and gives absolute paths, '/' separated; stores them portable (files.Base).

    They are kept as the bytes the system uses, so names that are not valid UTF-8 work.
    """

    def __init__(self, library: Path, *, create: bool) -> None:
        """Raises LibraryNotFound when there is none and `create` is False."""
        self.folder = library
        self.base = Base(library.parent)
        self._database = Database(library, create=create)
        self._has_moments = False
        self.sidecars = Sidecars(self._database, self._key, self._path)
        try:
            self._make_tables()
        except BaseException:
            self._database.close()
            raise

    def _make_tables(self) -> None:
        if not self._database.holds("sets"):
            with self._database.writing() as connection:
                for statement in _SCHEMA.split(";"):
                    connection.execute(statement)

    def statistics(self, fingerprint: str) -> bytes | None:
        """What was kept of the vectors of a space; None when nothing was."""
        if not self._database.holds("statistics"):
            return None
        with self._database.reading() as connection:
            query = "SELECT content FROM statistics WHERE fingerprint = ?"
            found = connection.execute(query, (fingerprint,)).fetchone()
        return None if found is None else bytes(found[0])

    def keep_statistics(self, fingerprint: str, content: bytes) -> None:
        """Replace what is kept of the vectors of a space."""
        with self._database.writing() as connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS statistics"
                " (fingerprint TEXT PRIMARY KEY, content BLOB NOT NULL)"
            )
            row = (fingerprint, content)
            connection.execute("INSERT OR REPLACE INTO statistics VALUES (?, ?)", row)

    def current(self) -> VectorSet | None:
        """The set that answers searches; None before there is one."""
        with self._database.reading() as connection:
            return _current(connection)

    def sets(self, state: SetState) -> list[VectorSet]:
        """The sets beside the current one: being built, kept for later, or to be deleted."""
        query = "SELECT model, store FROM sets WHERE state = ? ORDER BY store"
        with self._database.reading() as connection:
            return [VectorSet(*row) for row in connection.execute(query, (state,))]

    def note_set(self, one: VectorSet, state: SetState | None) -> None:
        """Remember a set beside the current one in this state; None forgets it."""
        with self._database.writing() as connection:
            _put_set(connection, one, state)

    def make_current(self, new: VectorSet, old_state: SetState) -> None:
        """Let another set answer from now on, and note what becomes of the one that did."""
        with self._database.writing() as connection:
            old = _current(connection)
            _put_set(connection, new, None)
            if old is not None and old != new:
                _put_set(connection, old, old_state)
            connection.executemany(
                "INSERT OR REPLACE INTO library VALUES (?, ?)",
                [("model", new.model), ("store", new.store)],
            )

    def patterns(self) -> list[str]:
        """The library's own rules for what is passed over, in the order they were given."""
        with self._database.reading() as connection:
            query = "SELECT value FROM library WHERE key = 'patterns'"
            found = connection.execute(query).fetchone()
        return [] if found is None else list(json.loads(found[0]))

    def add_patterns(self, patterns: Iterable[str]) -> None:
        """Add rules after those there are; one that is there moves to the end."""
        added = list(dict.fromkeys(patterns))
        kept = [one for one in self.patterns() if one not in added]
        with self._database.writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO library VALUES ('patterns', ?)",
                (json.dumps([*kept, *added]),),
            )

    def folders(self, kind: FolderKind) -> list[str]:
        """Folders that are kept in step, or paths that were taken out of them, in order."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT path FROM folders WHERE kind = ?", (kind,)).fetchall()
        return sorted(self._path(path) for (path,) in rows)

    def keeps(self, folder: str) -> bool:
        """Whether the folder lies in one that is kept in step, and was not taken out of it."""
        excluded = self.folders("excluded")
        return any(reads(above, folder, excluded) for above in self.folders("included"))

    def include(self, folder: str) -> None:
        """Keep a folder in step from now on; it takes the place of folders below it.

        What was taken out below it stays out.
        """
        included = self.folders("included")
        excluded = [path for path in self.folders("excluded") if path != folder]
        drop, put = [folder], []
        if not any(reads(above, folder, excluded) for above in included if above != folder):
            drop += [path for path in included if reads(folder, path, excluded)]
            put = [folder]
        self._change_folders(drop, put, "included")

    def exclude(self, paths: Iterable[str]) -> None:
        """Leave paths alone from now on, those that lie in a folder that is kept in step."""
        leaving = frozenset(paths)
        included = self.folders("included")
        drop = [one for one in included if is_within_any(one, leaving)]
        kept = frozenset(included).difference(drop)
        drop += [one for one in self.folders("excluded") if is_within_any(one, leaving)]
        self._change_folders(drop, [p for p in leaving if is_within_any(p, kept)], "excluded")

    def readmit(self, files: Iterable[str]) -> None:
        """Single files that were taken out belong again."""
        again = set(self.folders("excluded")).intersection(files)
        if again:
            self._change_folders(again, [], "excluded")

    def _change_folders(self, drop: Iterable[str], put: list[str], kind: FolderKind) -> None:
        with self._database.writing() as connection:
            connection.executemany(
                "DELETE FROM folders WHERE path = ?", [(self._key(path),) for path in drop]
            )
            connection.executemany(
                "INSERT OR REPLACE INTO folders VALUES (?, ?)",
                [(self._key(path), kind) for path in put],
            )

    def known(self, folder: str | None = None) -> dict[str, Known]:
        """Every file remembered, or those below a folder: path → what is known of it."""
        query = "SELECT path, size, modified_ns, item, skipped FROM files"
        limits: tuple[bytes, ...] = ()
        if folder is not None and not is_within(self.base.folder.as_posix(), folder):
            query, limits = query + " WHERE path >= ? AND path < ?", self._range(folder)
        with self._database.reading() as connection:
            rows = connection.execute(query, limits).fetchall()
        path, known = self._path, Known._make
        files = {path(row[0]): known(row[1:]) for row in rows}
        if limits or folder is None:
            return files
        return {path: known for path, known in files.items() if is_within(path, folder)}

    def find(self, paths: Iterable[str]) -> dict[str, Known]:
        """What is known of single files; those not known are left out."""
        query = "SELECT size, modified_ns, item, skipped FROM files WHERE path = ?"
        found: dict[str, Known] = {}
        with self._database.reading() as connection:
            for path in paths:
                row = connection.execute(query, (self._key(path),)).fetchone()
                if row is not None:
                    found[path] = Known(*row)
        return found

    def files_of(self, items: Iterable[str]) -> dict[str, list[Entry]]:
        """The files that hold each of these items, in order of path; none gives [].

        A moment's files are those of its content.
        """
        query = "SELECT path, size, modified_ns FROM files WHERE item = ? ORDER BY path"
        with self._database.reading() as connection:
            return {
                item: [
                    Entry(self._path(path), size, modified_ns, content_of(item))
                    for path, size, modified_ns in connection.execute(query, (content_of(item),))
                ]
                for item in items
            }

    def record(self, entries: Sequence[Entry], forget: Iterable[str] = ()) -> None:
        """Remember files, and forget others, in one step."""
        with self._database.writing() as connection:
            connection.executemany(
                "DELETE FROM files WHERE path = ?", [(self._key(path),) for path in forget]
            )
            connection.executemany(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)",
                [(self._key(e.path), e.size, e.modified_ns, e.item, e.skipped) for e in entries],
            )

    def has_moments(self) -> bool:
        """Whether any file has more pictures than one, or had."""
        self._has_moments = self._has_moments or self._database.holds("moments")
        return self._has_moments

    def moments_of(self, contents: Iterable[str]) -> dict[str, list[str]]:
        """The further items of each content that has any."""
        if not self.has_moments():
            return {}
        query = "SELECT item FROM moments WHERE content = ? ORDER BY item"
        with self._database.reading() as connection:
            found = {
                content: [item for (item,) in connection.execute(query, (content,))]
                for content in contents
            }
        return {content: items for content, items in found.items() if items}

    def note_moments(self, moments: Mapping[str, Sequence[str]]) -> None:
        """Remember the further items of contents, in place of those that were; none forgets them.

        Before the store has them, and after it has them no more: so it never has one that is not
        known here.
        """
        with self._database.writing() as connection:
            for statement in _MOMENTS.split(";"):
                connection.execute(statement)
            connection.executemany(
                "DELETE FROM moments WHERE content = ?", [(content,) for content in moments]
            )
            connection.executemany(
                "INSERT OR REPLACE INTO moments VALUES (?, ?)",
                [(item, content) for content, items in moments.items() for item in items],
            )

    def forget_items(self) -> None:
        """Forget what every file held, so that all of them are read again."""
        has_moments = self.has_moments()
        with self._database.writing() as connection:
            if has_moments:
                connection.execute("DELETE FROM moments")
            connection.execute("DELETE FROM files WHERE item IS NOT NULL")
            connection.execute("DELETE FROM pending")

    def pending(self) -> list[str]:
        """Items whose files changed here, while the store may not yet say so."""
        with self._database.reading() as connection:
            return [item for (item,) in connection.execute("SELECT item FROM pending")]

    def mark_pending(self, items: Iterable[str]) -> None:
        with self._database.writing() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO pending VALUES (?)", [(item,) for item in items]
            )

    def clear_pending(self, items: Iterable[str]) -> None:
        with self._database.writing() as connection:
            connection.executemany(
                "DELETE FROM pending WHERE item = ?", [(item,) for item in items]
            )

    def close(self) -> None:
        self._database.close()

    def _key(self, path: str) -> bytes:
        """An absolute path as it is stored: relative to the library's place where it can be."""
        stored = "." if path == self.base.folder.as_posix() else path.removeprefix(self.base.prefix)
        return stored.encode("utf-8", _UNDECODABLE)

    def _path(self, key: bytes) -> str:
        path = key.decode("utf-8", _UNDECODABLE)
        # Most paths are of a folder beside the library, or none is: the rest is for Base to judge.
        return path if path.startswith("/") else self.base.absolute(path)

    def _range(self, folder: str) -> tuple[bytes, bytes]:
        """The least stored path below a folder, and the least after all of them."""
        prefix = self._key(folder.rstrip("/"))
        return prefix + b"/", prefix + b"0"


def _current(connection: sqlite3.Connection) -> VectorSet | None:
    values = dict(connection.execute("SELECT key, value FROM library"))
    return VectorSet(values["model"], values["store"]) if "store" in values else None


def _put_set(connection: sqlite3.Connection, one: VectorSet, state: SetState | None) -> None:
    connection.execute("DELETE FROM sets WHERE store = ?", (one.store,))
    if state is not None:
        connection.execute("INSERT INTO sets VALUES (?, ?, ?)", (one.store, one.model, state))
