"""A PostgreSQL server: connections for threads, one transaction a call, errors translated."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar

import psycopg
from pgvector.psycopg import register_vector
from psycopg import errors

from pixseek.errors import InvalidStoreAddress, StoreUnavailable
from pixseek.stores.address import Address
from pixseek.stores.retrying import retried

CONNECT_TIMEOUT_S = 10
STATEMENT_TIMEOUT_S = 60
GIVE_UP_S = 180
"""After so long without an end a call's connection is cut: a server that hangs, or the machine it
is on, does not keep to its own time limits."""
OURS = ("collection", "metric")
"""Options of the URL that are not libpq's."""
PGVECTOR = (0, 8)
"""The first version whose index goes on looking until as many as asked for pass a filter."""

LOCK = "SELECT pg_advisory_xact_lock(hashtext('pixseek'))"
"""Until the transaction ends, no other process makes what we make."""

Connection: TypeAlias = "psycopg.Connection[tuple[Any, ...]]"
_T = TypeVar("_T")

# What a server says when it will say the same a moment later. (libpq tells why a connection was
# refused in words only.)
_FINAL = re.compile("authentication|does not exist|no password|pg_hba|SSL|certificate")


class Server:
    """Safe to use from threads: each call has a connection of its own while it runs."""

    def __init__(self, address: Address) -> None:
        """Raises InvalidStoreAddress when libpq does not understand the URL."""
        self._shown = address.without_secrets
        options = {name: value for name, value in address.options.items() if name not in OURS}
        self._target = str(replace(address, name="postgresql", options=options))
        self._idle: list[Connection] = []
        try:
            given = psycopg.conninfo.conninfo_to_dict(self._target)
        except psycopg.ProgrammingError as error:
            expected = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with libpq's options"
            raise InvalidStoreAddress(self._shown, "a part unknown to libpq", expected) from error
        self._defaults: dict[str, Any] = {
            name: value
            for name, value in (
                ("connect_timeout", CONNECT_TIMEOUT_S),
                ("tcp_user_timeout", 1000 * STATEMENT_TIMEOUT_S),
                ("application_name", "pixseek"),
            )
            if name not in given
        }

    def run(
        self, work: Callable[[Connection], _T], *, gone: _T | None = None, patient: bool = False
    ) -> _T:
        """One transaction, tried again when the connection was lost; it must bear repetition.

        gone: the answer when the table is not there any more; without it that is an error.
        patient: it may take as long as it takes.
        Raises StoreUnavailable.
        """

        def once() -> _T:
            with (
                self._connection() as connection,
                _given_up(connection, None if patient else GIVE_UP_S),
                connection.transaction(),
            ):
                timeout_ms = str(1000 * STATEMENT_TIMEOUT_S)
                connection.execute(
                    "SELECT set_config('statement_timeout', %s, true)", (timeout_ms,)
                )
                return work(connection)

        try:
            return retried(once, transient=_transient)
        except errors.UndefinedTable as error:
            if gone is None:
                raise StoreUnavailable(self._shown, _reason(error)) from error
            return gone
        except psycopg.Error as error:
            raise StoreUnavailable(self._shown, _reason(error)) from error

    def prepare(self) -> None:
        """Make the extension when it is missing. Raises StoreUnavailable when that cannot be."""

        def work(connection: Connection) -> None:
            connection.execute(LOCK)  # two that make it at once would hinder each other
            if _version(connection) is None:
                connection.execute("CREATE EXTENSION IF NOT EXISTS vector")

        try:
            self.run(work)
        except StoreUnavailable as error:
            if isinstance(
                error.__cause__, errors.InsufficientPrivilege | errors.FeatureNotSupported
            ):
                reason = (
                    f"it lacks the extension pgvector ({error.reason}); have it installed there, "
                    "and CREATE EXTENSION vector run in the database by its owner"
                )
                raise StoreUnavailable(self._shown, reason) from error.__cause__
            raise
        self.close()  # connections made before there was a vector type do not know it

    def check(self, connection: Connection) -> None:
        """Raise StoreUnavailable unless the database can keep what we write."""
        version = _version(connection)
        if version is None or version < PGVECTOR:
            found = "no pgvector" if version is None else f"pgvector {version[0]}.{version[1]}"
            expected = f"{PGVECTOR[0]}.{PGVECTOR[1]} or later"
            raise StoreUnavailable(self._shown, f"it has {found}; expected {expected}")
        (encoding,) = one(connection, "SHOW server_encoding")
        if encoding != "UTF8":
            raise StoreUnavailable(self._shown, f"its encoding is {encoding}; expected UTF8")

    def close(self) -> None:
        while self._idle:
            with suppress(IndexError):  # another thread took the last one
                self._idle.pop().close()

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            yield connection
        except BaseException:
            if connection.broken:
                self.close()  # the others most likely are, too
            connection.close()
            raise
        self._idle.append(connection)

    def _connect(self) -> Connection:
        # Not prepared on the server: a plan has to be made for each filter's own values.
        connection = psycopg.connect(
            self._target, autocommit=True, prepare_threshold=None, **self._defaults
        )
        try:
            with suppress(psycopg.ProgrammingError):  # no extension yet
                register_vector(connection)
        except BaseException:
            connection.close()
            raise
        return connection


@contextmanager
def _given_up(connection: Connection, after_s: float | None) -> Iterator[None]:
    """Cut the connection if what is done with it takes longer; libpq then says it is lost."""
    if after_s is None:
        yield
        return
    # A second handle of the same socket: the connection may be closed, and its number reused.
    with socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM) as wire:
        timer = threading.Timer(after_s, _cut, [wire])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _cut(wire: socket.socket) -> None:
    with suppress(OSError):  # it is closed already
        wire.shutdown(socket.SHUT_RDWR)


def one(connection: Connection, query: str) -> tuple[Any, ...]:
    """The one row of a query that always has one."""
    return connection.execute(query.encode()).fetchone() or ()


def _version(connection: Connection) -> tuple[int, int] | None:
    query = "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
    row = connection.execute(query).fetchone()
    return None if row is None else (int(row[0].split(".")[0]), int(row[0].split(".")[1]))


def _transient(error: Exception) -> bool:
    if not isinstance(error, psycopg.OperationalError):
        return False
    if error.sqlstate is None:
        return not _FINAL.search(str(error))
    lost = error.sqlstate[:2] in ("08", "40") or error.sqlstate[:3] == "57P"
    return lost or isinstance(error, errors.TooManyConnections)


def _reason(error: psycopg.Error) -> str:
    return " ".join(str(error).split()) or type(error).__name__
