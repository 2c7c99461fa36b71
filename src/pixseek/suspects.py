"""Which files are being read now: should that end the process, the next run knows whom to suspect.

Kept in a file that outlives a crash of the process (not of the machine: that was not a picture).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO


class Suspects:
    """Paths that an earlier run was reading when it died, and those that this one reads.

    Safe to use from threads; only one process at a time may use a file of them.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._changing = threading.Lock()
        self._open: IO[bytes] | None = None
        self._earlier = _noted(file)
        self._now: list[str] = []

    def __enter__(self) -> Suspects:
        self._open = self._file.open("wb")
        self._write()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        with self._changing:
            if self._open is not None:
                self._open.close()
                self._open = None
            if not self._earlier and not self._now:
                self._file.unlink(missing_ok=True)

    def __contains__(self, path: object) -> bool:
        """Whether an earlier run died while it was reading this file."""
        return path in self._earlier

    @contextmanager
    def reading(self, paths: Sequence[str]) -> Iterator[None]:
        """These files are being read until this is left, by an exception of Python's as well."""
        self._note(add=paths)
        try:
            yield
        finally:
            self._note(remove=paths)

    def _note(self, add: Sequence[str] = (), remove: Sequence[str] = ()) -> None:
        with self._changing:
            self._now = [path for path in [*self._now, *add] if path not in remove]
            self._earlier -= set(remove)
            self._write()

    def _write(self) -> None:
        """One line; what a longer one has left after it counts for nothing."""
        if self._open is not None:
            self._open.seek(0)
            self._open.write(json.dumps([*self._now, *self._earlier]).encode() + b"\n")
            self._open.flush()


def _noted(file: Path) -> set[str]:
    try:
        line = file.read_bytes().partition(b"\n")[0]
        noted = json.loads(line)
    except (OSError, ValueError, RecursionError):
        return set()
    return {path for path in noted if isinstance(path, str)} if isinstance(noted, list) else set()
