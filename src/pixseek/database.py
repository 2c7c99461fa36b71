"""One SQLite file of a library: opened durable, shared between processes, errors translated."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from pixseek import lock
from pixseek.errors import LibraryDamaged, LibraryLocked, LibraryNotFound, LibraryTooNew

FILE_NAME = "library.db"
FORMAT = 1
"""Written to the file's user_version; raised when older versions could no longer read it."""
APPLICATION_ID = 0x70697873
"""SQLite's application_id of our files ("pixs"), so that another program's file is not taken."""
BUSY_TIMEOUT_S = 30.0


class Database:
    """A connection that the threads of one process share, one transaction at a time.

    WAL: readers see the last commit and never wait for the writer, from other processes too.
    synchronous=FULL: a commit that has returned survives a loss of power.
    """

    def __init__(self, folder: Path, *, create: bool) -> None:
        """Open `library.db` in the folder.

        Raises LibraryNotFound when it is not there and `create` is False.
        """
        self.path = folder / FILE_NAME
        if not create and not self.path.exists():
            raise LibraryNotFound(folder)
        self._lock = threading.RLock()
        with self._translated():
            if create and self._is_blank():
                folder.mkdir(parents=True, exist_ok=True)
                # SQLite cannot have its journal mode set by two processes at once.
                with lock.writing(folder, wait_s=BUSY_TIMEOUT_S):
                    self._open()
            else:
                self._open()

    def _is_blank(self) -> bool:
        return not self.path.exists() or self.path.stat().st_size == 0

    def _open(self) -> None:
        self._connection = sqlite3.connect(
            self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            self._check_format()
        except BaseException:
            self._connection.close()
            raise

    def _check_format(self) -> None:
        run = self._connection.execute
        (found,) = run("PRAGMA user_version").fetchone()
        (application,) = run("PRAGMA application_id").fetchone()
        (tables,) = run("SELECT count(*) FROM sqlite_master").fetchone()
        if application != APPLICATION_ID and (application or tables):
            raise LibraryDamaged(self.path, "it was written by another program")
        if found > FORMAT:
            raise LibraryTooNew(self.path.parent, found, FORMAT)
        if os.access(self.path, os.W_OK) and (found, application) != (FORMAT, APPLICATION_ID):
            run("PRAGMA page_size = 8192")
            run("PRAGMA journal_mode = WAL")
            run(f"PRAGMA application_id = {APPLICATION_ID}")
            run(f"PRAGMA user_version = {FORMAT}")
        run("PRAGMA synchronous = FULL")
        run("PRAGMA temp_store = MEMORY")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view for as long as the block runs."""
        with self._lock, self._translated(), self._transaction("BEGIN") as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """All of the block is stored when it ends, or nothing of it when it raises."""
        with self._lock, self._translated(), self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        # Ctrl-C may come between any two lines: only SQLite knows whether a transaction is open.
        try:
            self._connection.execute(begin)
            yield self._connection
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                holder = lock.holder(self.path.parent) or "another process"
                raise LibraryLocked(self.path.parent, holder) from error
            raise LibraryDamaged(self.path, str(error)) from error
        except (sqlite3.Error, OSError) as error:
            raise LibraryDamaged(self.path, str(error)) from error

    def damage(self) -> list[str]:
        """What SQLite finds wrong with the file; [] when it is whole."""
        with self.reading() as connection:
            found = [str(line) for (line,) in connection.execute("PRAGMA integrity_check")]
        return [] if found == ["ok"] else found

    def copy_to(self, file: Path) -> None:
        """Write the database, as it is at one moment, to another file."""
        with self._lock, self._translated(), closing(sqlite3.connect(file)) as copy:
            self._connection.backup(copy)

    def holds(self, table: str) -> bool:
        """Whether there is a table of that name."""
        with self.reading() as connection:
            query = "SELECT 1 FROM sqlite_master WHERE name = ?"
            return connection.execute(query, (table,)).fetchone() is not None

    def remove(self) -> None:
        """Delete the file, and its folder when nothing else is in it."""
        self.close()
        for name in (FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm", "writer.lock"):
            with suppress(OSError):  # where others have it open, some systems refuse
                (self.path.parent / name).unlink()
        with suppress(OSError):
            self.path.parent.rmdir()

    def shrink(self) -> None:
        """Give back the space of what was deleted. What cannot be now is used again later."""
        with self._lock, suppress(sqlite3.OperationalError):
            self._connection.execute("VACUUM")

    def close(self) -> None:
        with self._lock:
            self._connection.close()
