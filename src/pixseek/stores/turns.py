"""Taking turns with an engine that lives in a folder and that one process at a time may have open.

Whoever has it open keeps it open for as long as nobody else asks: opening takes a tenth of a second
or more. A process that waits for its turn holds the lock file `wanted.lock`; whoever has the engine
open looks at that ten times a second, and then, between two calls, closes it and lets go.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

from filelock import FileLock, Timeout

from pixseek.errors import StoreUnavailable

WAIT_S = 60.0
"""How long others may go on with one call before waiting for them is given up."""
LOOK_S = 0.1
POLL_S = 0.02

T = TypeVar("T")
_SHARED: dict[Path, Turns[Any]] = {}
"""By folder: several stores of one process may live in it, and use one engine together."""
_SHARING = threading.Lock()


class Turns(Generic[T]):
    """One engine, opened when it is used. Safe to use from threads, which use it together."""

    def __init__(
        self, folder: Path, name: str, open: Callable[[], T], close: Callable[[T], None]
    ) -> None:
        self.folder = folder
        self._name = name
        self._open = open
        self._close = close
        self._lock = FileLock(folder / "open.lock", thread_local=False)
        self._state = threading.Condition()
        self._engine: T | None = None
        self._users = 0
        self._closing = False
        self._sharers = 0

    @classmethod
    def shared(
        cls, folder: Path, name: str, open: Callable[[], T], close: Callable[[T], None]
    ) -> Turns[T]:
        """The one of this folder in this process; each caller must `part` from it.

        folder: it must exist; lock files are put there. name: of the store, for messages.
        """
        with _SHARING:
            turns: Turns[T] = _SHARED.setdefault(folder, cls(folder, name, open, close))
            turns._sharers += 1
            return turns

    def part(self) -> None:
        """Be done with it; the last to be so closes the engine."""
        with _SHARING:
            self._sharers -= 1
            last = self._sharers == 0
            if last:
                del _SHARED[self.folder]
        if last:
            with self._closed():
                pass

    @contextmanager
    def using(self) -> Iterator[T]:
        """The engine, open, and no other process's until the end. Not to be nested.

        Raises StoreUnavailable when another process does not let go of it.
        """
        with self._state:
            self._state.wait_for(lambda: not self._closing)
            engine = self._engine
            if engine is None:
                self._take()
                try:
                    engine = self._open()
                except BaseException:
                    self._lock.release()
                    raise
                self._engine = engine
                threading.Thread(target=self._look, args=(engine,), daemon=True).start()
            self._users += 1
        try:
            yield engine
        finally:
            with self._state:
                self._users -= 1
                self._state.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A time to change the engine's files, while nobody has it open."""
        with self._closed() as ours:
            if not ours:
                self._take()
            try:
                yield
            finally:
                if not ours:
                    self._lock.release()

    @contextmanager
    def _closed(self) -> Iterator[bool]:
        """The engine closed, once no thread uses it; gives whether it was open and the turn ours,
        which ends with this."""
        with self._state:
            self._state.wait_for(lambda: not self._closing)
            self._closing = True
            try:
                self._state.wait_for(lambda: self._users == 0)
                engine, self._engine = self._engine, None
                try:
                    if engine is not None:
                        self._close(engine)
                    yield engine is not None
                finally:
                    if engine is not None:
                        self._lock.release()
            finally:
                self._closing = False
                self._state.notify_all()

    def _take(self) -> None:
        """Make it this process's turn."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            try:
                wanted = FileLock(self.folder / "wanted.lock")
                with wanted.acquire(timeout=WAIT_S, poll_interval=POLL_S):
                    self._lock.acquire(timeout=WAIT_S, poll_interval=POLL_S)
            except Timeout as error:
                reason = f"another process has it open and has not let go of it for {WAIT_S:.0f} s"
                raise StoreUnavailable(self._name, reason) from error

    def _look(self, engine: T) -> None:
        """Let go of the engine when another process wants it; runs on a thread of its own."""
        wanted = FileLock(self.folder / "wanted.lock")
        while True:
            with self._state:
                if self._state.wait_for(lambda: self._engine is not engine, timeout=LOOK_S):
                    return
            try:
                wanted.acquire(timeout=0)
            except Timeout:
                with self._closed():
                    return
            wanted.release()
