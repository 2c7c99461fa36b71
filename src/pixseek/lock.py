"""One writer at a time: who is writing to a library, and waiting for them to finish."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from pixseek.errors import LibraryLocked

_LOCK = "writer.lock"
_HOLDER = "writer.json"
_PROBED_S = 0.2


@contextmanager
def writing(
    library: Path, *, wait_s: float, on_wait: Callable[[str], None] | None = None
) -> Iterator[bool]:
    """Hold the library's writer lock, which the system releases when the process dies.

    wait_s: how long to wait for another writer, in seconds; 0 does not wait.
    on_wait: called once with a description of the holder when there is one to wait for.
    Gives whether there was another writer to wait for.
    Raises LibraryLocked when the wait was not long enough.
    """
    from filelock import FileLock, Timeout  # a search need not wait for its import

    lock = FileLock(library / _LOCK)
    waited = False
    try:
        # `holder` takes the lock for a moment to see whether it can.
        lock.acquire(timeout=_PROBED_S, poll_interval=0.02)
    except Timeout:
        waited = True
        if on_wait is not None and wait_s > 0:
            on_wait(_describe(library))
        try:
            lock.acquire(timeout=wait_s, poll_interval=0.1)
        except Timeout as error:
            raise LibraryLocked(library, _describe(library)) from error
    try:
        with suppress(OSError, IndexError):  # it only tells others who is writing
            _sign(library)
        yield waited
    finally:
        with suppress(OSError):
            (library / _HOLDER).unlink()
        lock.release()


def holder(library: Path) -> str | None:
    """Who is writing now, described for people; None when nobody is."""
    from filelock import FileLock, Timeout

    if not (library / _LOCK).exists():
        return None
    lock = FileLock(library / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return _describe(library)
    except OSError:
        return None
    lock.release()
    return None


def _sign(library: Path) -> None:
    sign = {
        "process": os.getpid(),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:200],
        "since": datetime.now().astimezone().isoformat(timespec="seconds"),
    }
    (library / _HOLDER).write_text(json.dumps(sign))


def _describe(library: Path) -> str:
    try:
        sign = json.loads((library / _HOLDER).read_text())
        return f"process {sign['process']} ({sign['command']}, since {sign['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
