"""A library kept in step while files come, change and go.

What the system reports of files only says *that* something happened; what it was is found by
comparing disk and library, as `index_images` does. So reports that were lost (a queue that ran
over, a drive that was away) cost nothing but time: folders are compared anyway every few minutes,
and whenever one of them comes or is another than before.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pixseek import lock
from pixseek.errors import LibraryLocked, PixseekError
from pixseek.files import absolute, is_within
from pixseek.formats import EXTENSIONS, extension_of
from pixseek.ignoring import IGNORE_FILE
from pixseek.records import IndexReport, OnProgress
from pixseek.sync import Source, listed

if TYPE_CHECKING:
    from pixseek.engine import ImageSearchEngine

QUIET_S = 2.0
"""Nothing is read before so long nothing has happened: files are written in many steps."""
LONGEST_S = 30.0
"""But never later than this after something happened, however much more does."""
RESCAN_S = 600.0
_TICK_MS = 400
_LONGEST_BACK_OFF_S = 300.0
_RELEVANT = EXTENSIONS | {"xmp"}

OnReport = Callable[[IndexReport], None]
OnTrouble = Callable[[str], None]


def watch(
    engine: ImageSearchEngine,
    folders: Source | Iterable[Source] | None = None,
    *,
    quiet_s: float = QUIET_S,
    rescan_s: float = RESCAN_S,
    stop: threading.Event | None = None,
    on_report: OnReport = lambda _: None,
    on_trouble: OnTrouble = lambda _: None,
    on_progress: OnProgress = lambda _: None,
) -> None:
    """Keep the library in step with folders until `stop` is set, or KeyboardInterrupt comes.

    folders: are indexed first, and kept in step from now on; None takes the library's own.
    quiet_s: how long nothing must have happened before files are read.
    rescan_s: folders are compared so often, whatever was reported; the only way on drives whose
        system reports nothing (most network drives).
    on_report: called with what the first run did, and then with each that did or named something.
    on_trouble: called with what went wrong or is waited for; it is tried again, at first after a
        second, at last every five minutes. Another process that watches the same library is waited
        for, and taken over from.
    Raises what `index_images` does in its first run; later errors are trouble.
    """
    named = None if folders is None else [Path(absolute(one)) for one in listed(folders)]
    stop = stop or threading.Event()
    watcher = _Watcher(engine, named, stop, quiet_s, rescan_s)
    watcher.on_report, watcher.on_trouble = on_report, on_trouble
    watcher.on_progress = on_progress
    told = False
    while not stop.is_set():
        try:
            with lock.writing(engine.library, wait_s=0, role="watch"):
                watcher.run()
        except LibraryLocked as error:
            if lock.holder(engine.library, "watch") is None:  # it is about writing, not watching
                raise
            if not told:
                on_trouble(f"waiting for {error.holder}, which watches this library")
            told = True
            stop.wait(1.0)


class _Watcher:
    """One run of `watch`."""

    on_report: OnReport
    on_trouble: OnTrouble
    on_progress: OnProgress

    def __init__(
        self,
        engine: ImageSearchEngine,
        named: list[Path] | None,
        stop: threading.Event,
        quiet_s: float,
        rescan_s: float,
    ) -> None:
        self._engine = engine
        self._named = named
        self._stop = stop
        self._quiet_s = quiet_s
        self._rescan_s = rescan_s
        self._library = os.path.realpath(engine.library)
        self._ran = False
        self._told: set[str] = set()
        """Files and folders whose trouble was reported, with why."""
        self._failures = 0
        self._again = 0.0
        """When to try again after a failure."""
        self._cannot_watch = ""

    def run(self) -> None:
        """Returns when it is to stop."""
        if not self._ran:
            self._index()  # so that the library has the folders that were named
        while not self._stop.is_set():
            try:
                self._follow(self._kept())
                self._cannot_watch = ""
            except (OSError, RuntimeError) as error:  # such as too many folders for the system
                if str(error) != self._cannot_watch:
                    self._cannot_watch = str(error)
                    every = f"{min(self._rescan_s, 60.0):g} s"
                    self.on_trouble(f"changes are not reported ({error}); comparing every {every}")
                self._index()
                self._stop.wait(min(self._rescan_s, 60.0))

    def _follow(self, folders: list[Path]) -> None:
        """Index whenever something happened, until the roots are others or it is time to compare.

        Also if nothing is reported at first: it may have happened before these roots were watched.
        """
        roots = _there(folders)
        first = last = time.monotonic()
        until = first + self._rescan_s
        for something in self._ticks(list(roots)):
            now = time.monotonic()
            if something:
                last = now
                first = now if first == float("inf") else first
            if (now - last >= self._quiet_s or now - first >= LONGEST_S) and now >= self._again:
                first = last = float("inf") if self._index() else now
            if now >= until or _there(folders) != roots:
                return

    def _ticks(self, roots: Sequence[str]) -> Iterator[bool]:
        """Whether something happened, every half second or as soon as something does."""
        if not roots:
            while not self._stop.wait(_TICK_MS / 1000):
                yield False
            return
        from watchfiles import watch as changes

        for batch in changes(
            *roots,
            watch_filter=None,
            debounce=_TICK_MS,
            stop_event=self._stop,
            rust_timeout=_TICK_MS,
            yield_on_timeout=True,
            ignore_permission_denied=True,
        ):
            yield any(self._matters(kind.name, path, roots) for kind, path in batch)

    def _matters(self, kind: str, path: str, roots: Sequence[str]) -> bool:
        """Whether a report may be of a picture: not of the library itself, or hidden files."""
        full = path.replace(os.sep, "/")
        if is_within(os.path.realpath(path), self._library):
            return False
        places = {*roots, *(os.path.realpath(root).replace(os.sep, "/") for root in roots)}
        root = max((place for place in places if is_within(full, place)), key=len, default=full)
        name = full.rpartition("/")[2]
        if any(
            part.startswith(".") for part in full[len(root) :].split("/") if part != IGNORE_FILE
        ):
            return False
        # A folder has been made, moved or deleted, but is never itself written to.
        return kind != "modified" or name == IGNORE_FILE or extension_of(name) in _RELEVANT

    def _kept(self) -> list[Path]:
        """The folders to watch: without those that were taken out of the library meanwhile."""
        kept = [one.path for one in self._engine.status().folders]
        if self._named is None:
            return kept
        roots = [folder.as_posix() for folder in kept]
        return [one for one in self._named if any(is_within(one.as_posix(), r) for r in roots)]

    def _index(self) -> bool:
        """Bring the library in step; whether it could be."""
        try:
            named = self._kept() if self._ran and self._named is not None else self._named
            if named == []:  # all of them were taken out of the library
                return True
            report = self._engine.index_images(
                named,
                on_progress=self.on_progress,
                on_wait=lambda holder: self.on_trouble(f"waiting for {holder}"),
            )
        except (PixseekError, OSError) as error:
            if not self._ran:
                raise
            delay = min(2.0**self._failures, _LONGEST_BACK_OFF_S)
            self._failures += 1
            self._again = time.monotonic() + delay
            self.on_trouble(f"{error} Trying again in {delay:g} s.")
            return False
        self._failures = 0
        self._say(report)
        self._ran = True
        return True

    def _say(self, report: IndexReport) -> None:
        """Report what was done and is new; the same bad files are there in every report."""
        trouble = {f"{one.path}: {one.reason}" for one in report.skipped}
        trouble |= {str(folder) for folder in report.missing}
        done = report.added or report.changed or report.moved or report.updated or report.removed
        if done or trouble != self._told or not self._ran:
            report.skipped = [
                one for one in report.skipped if f"{one.path}: {one.reason}" not in self._told
            ]
            self.on_report(report)
        self._told = trouble


def _there(folders: Iterable[Path]) -> dict[str, tuple[int, int]]:
    """The folders that are there, each with what tells another drive in its place."""
    found: dict[str, tuple[int, int]] = {}
    for folder in folders:
        with suppress(OSError):
            status = folder.stat()
            found[folder.as_posix()] = (status.st_dev, status.st_ino)
    return found
