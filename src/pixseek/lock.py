"""One writer at a time, and one that switches: who they are, and waiting for them to finish."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeAlias

from pixseek.errors import LibraryLocked

Role: TypeAlias = Literal["writer", "switch", "watch"]
"""What can be done by one process at a time; a switch, or watching, goes on while others write."""
_PROBED_S = 0.2


@contextmanager
def writing(
    library: Path,
    *,
    wait_s: float,
    on_wait: Callable[[str], None] | None = None,
    role: Role = "writer",
) -> Iterator[bool]:
    """Hold the library's lock of that role, which the system releases when the process dies.

    wait_s: how long to wait for another writer, in seconds; 0 does not wait.
    on_wait: called once with a description of the holder when there is one to wait for.
    Gives whether there was another writer to wait for.
    Raises LibraryLocked when the wait was not long enough.
    """
    from filelock import FileLock, Timeout  # a search need not wait for its import

    lock = FileLock(library / f"{role}.lock")
    waited = False
    try:
        # `holder` takes the lock for a moment to see whether it can.
        lock.acquire(timeout=_PROBED_S, poll_interval=0.02)
    except Timeout:
        waited = True
        if on_wait is not None and wait_s > 0:
            on_wait(_describe(library, role))
        try:
            lock.acquire(timeout=wait_s, poll_interval=0.1)
        except Timeout as error:
            raise LibraryLocked(library, _describe(library, role)) from error
    try:
        with suppress(OSError, IndexError):  # it only tells others who is writing
            _sign(library, role)
        yield waited
    finally:
        with suppress(OSError):
            (library / f"{role}.json").unlink()
        lock.release()


def holder(library: Path, role: Role = "writer") -> str | None:
    """Who is writing (or switching) now, described for people; None when nobody is."""
    from filelock import FileLock, Timeout

    if not (library / f"{role}.lock").exists():
        return None
    lock = FileLock(library / f"{role}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return _describe(library, role)
    except OSError:
        return None
    lock.release()
    return None


def _sign(library: Path, role: Role) -> None:
    sign = {
        "process": os.getpid(),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:200],
        "since": datetime.now().astimezone().isoformat(timespec="seconds"),
    }
    (library / f"{role}.json").write_text(json.dumps(sign))


def _describe(library: Path, role: Role) -> str:
    try:
        sign = json.loads((library / f"{role}.json").read_text())
        return f"process {sign['process']} ({sign['command']}, since {sign['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
