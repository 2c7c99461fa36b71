"""Files → reader → encoder → store, overlapped, bounded and restartable.

Each worker reads, decodes and encodes a few files at a time on its own thread; one writer, the
calling thread, stores what they made in transactions of bounded size. Measured, that beats a pool
of decoders that feeds one model over all cores (docs/decisions/003-indexing-workers.md).

Order of one write, so that a crash at any point costs at most repeated work: note which items are
about to change (pending), store the vectors, record the files, bring the metadata of every item
touched in step, clear the note. The next run finishes whatever is still noted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal

from blake3 import blake3

from pixseek.encoders import Encoder
from pixseek.errors import UnreadableImage
from pixseek.files import Changes, Known
from pixseek.manifest import Entry, Manifest
from pixseek.metadata import FILE_FIELDS, content_fields, file_fields, merge
from pixseek.reader import MemoryBudget, Picture, read
from pixseek.records import (
    ImageFile,
    IndexReport,
    Item,
    Metadata,
    OnProgress,
    Progress,
    Skipped,
    Vector,
)
from pixseek.stores import Store

FILES_PER_TASK = 4
"""Files that a worker takes at once; they are encoded as one batch."""
PIXELS_AT_ONCE = 8_000_000
"""Decoded pixels that a worker holds before it encodes them, whatever their number."""
FILES_PER_WRITE = 256
SECONDS_PER_WRITE = 2.0
"""A write happens after this many files or seconds, whichever is first."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of an indexing run."""

    workers: int
    memory_bytes: int
    """For pictures that are being decoded at once."""
    max_pixels: int
    """Pictures with more are skipped."""
    max_bytes: int
    """Files with more are skipped."""


@dataclass(slots=True)
class _Outcome:
    """What became of one file."""

    file: ImageFile
    kind: Literal["new", "changed"]
    item: str | None = None
    skipped: str | None = None
    content: Metadata = field(default_factory=dict)
    vector: Vector | None = None
    """None when the content is in the store already, or cannot be read."""


class Indexer:
    """Carries out one set of changes."""

    def __init__(
        self,
        encoder: Callable[[], Encoder],
        store: Store,
        manifest: Manifest,
        limits: Limits,
    ) -> None:
        """encoder: called when the first picture needs one; moves and removals do without."""
        self._encoder = encoder
        self._store = store
        self._manifest = manifest
        self._base = manifest.base
        self._limits = limits
        self._budget = MemoryBudget(limits.memory_bytes)
        self._stored: set[str] = set()
        self._found_again: set[str] = set()

    def run(self, changes: Changes, report: IndexReport, on_progress: OnProgress) -> None:
        """Make library and disk equal, adding what was done to the report as it becomes durable.

        Interrupted (KeyboardInterrupt), it stores what is finished before it goes.
        """
        progress = Progress(total=len(changes.new) + len(changes.changed))
        on_progress(progress)
        finished: list[_Outcome] = []
        self._stored = set(self._store.ids()) if progress.total else set()
        due = time.monotonic() + SECONDS_PER_WRITE
        try:
            for outcomes in self._outcomes(changes):
                finished += outcomes
                if len(finished) >= FILES_PER_WRITE or time.monotonic() > due:
                    self._write(finished, report, progress, on_progress)
                    due = time.monotonic() + SECONDS_PER_WRITE
        finally:
            self._write(finished, report, progress, on_progress)
        gone = self._manifest.find(changes.gone)
        self.forget(changes.gone)
        # A file that was found again under another name has moved; it was not removed.
        report.removed += sum(known.item not in self._found_again for known in gone.values())
        pending = self._manifest.pending()
        for start in range(0, len(pending), FILES_PER_WRITE):
            self._bring_in_step(pending[start : start + FILES_PER_WRITE])

    def _outcomes(self, changes: Changes) -> Iterator[list[_Outcome]]:
        """Files through the workers, in the order they finish; few are ever in flight."""
        todo = iter([_Outcome(file, "new") for file in changes.new])
        again = iter([_Outcome(file, "changed") for file in changes.changed])
        tasks = (task for kind in (again, todo) for task in _tasks(kind))
        with ThreadPoolExecutor(self._limits.workers, "pixseek-worker") as pool:
            waiting: set[Future[list[_Outcome]]] = set()
            try:
                while True:
                    room = 2 * self._limits.workers - len(waiting)
                    waiting |= {pool.submit(self._work, task) for task in islice(tasks, room)}
                    if not waiting:
                        return
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    for future in done:
                        yield future.result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _work(self, task: list[_Outcome]) -> list[_Outcome]:
        """Read, decode and encode a few files; runs on a worker's thread."""
        pictures: list[tuple[_Outcome, Picture]] = []
        for outcome in task:
            try:
                picture = self._picture(outcome)
            except UnreadableImage as error:
                outcome.skipped = error.reason
                continue
            if picture is None:
                continue
            outcome.content = content_fields(
                picture.width, picture.height, picture.format, picture.exif
            )
            pictures.append((outcome, picture))
            if sum(p.image.width * p.image.height for _, p in pictures) > PIXELS_AT_ONCE:
                self._encode(pictures)
        self._encode(pictures)
        return task

    def _encode(self, pictures: list[tuple[_Outcome, Picture]]) -> None:
        """Give each outcome its vector; empties the list."""
        if pictures:
            vectors = self._encoder().encode_images([picture.image for _, picture in pictures])
            for (outcome, _), vector in zip(pictures, vectors, strict=True):
                outcome.vector = vector
            pictures.clear()

    def _picture(self, outcome: _Outcome) -> Picture | None:
        """The file decoded, or None when the store has its content already."""
        path = Path(outcome.file.path)
        if outcome.file.size > self._limits.max_bytes:
            limit = f"{outcome.file.size} bytes are more than the limit of {self._limits.max_bytes}"
            raise UnreadableImage(path, limit)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UnreadableImage(path, error.strerror or str(error)) from error
        except MemoryError as error:
            raise UnreadableImage(path, "not enough memory to read it") from error
        id = item_id(content)
        if id in self._stored:
            outcome.item = id
            return None
        picture = read(
            content,
            self._encoder().input_size,
            name=str(path),
            max_pixels=self._limits.max_pixels,
            budget=self._budget,
        )
        outcome.item = id
        return picture

    def _write(
        self,
        finished: list[_Outcome],
        report: IndexReport,
        progress: Progress,
        on_progress: OnProgress,
    ) -> None:
        """Make outcomes durable, then count them; empties the list."""
        if not finished:
            return
        entries = {
            path: Entry(path, done.file.size, done.file.modified_ns, done.item, done.skipped)
            for done in finished
            for path in [done.file.path]
        }
        before = self._manifest.find(entries)
        touched = {entry.item for entry in entries.values() if entry.item is not None}
        touched |= {known.item for known in before.values() if known.item is not None}
        self._manifest.mark_pending(touched)
        files = _with(self._manifest.files_of(touched), entries)
        added: dict[str, Item] = {}
        for done in finished:
            if done.item is not None and done.vector is not None:
                metadata = merge(done.content, self._fields(files[done.item]))
                added[done.item] = Item(done.item, done.vector, metadata)
        self._store.add(list(added.values()))
        self._stored |= added.keys()
        self._manifest.record(list(entries.values()))
        # An item that lost its last file stays, and stays noted, until the end of the run: the
        # file may only have moved, and then it is found again.
        held = {item for item in touched if files[item]}
        self._bring_in_step(held - added.keys())
        self._manifest.clear_pending(held)
        # Empty before it is counted: Ctrl-C may come between any two lines, what is still in the
        # list is then written once more, and must not be counted twice.
        written = list(finished)
        finished.clear()
        for done in written:
            self._count(done, before.get(done.file.path), report)
        progress.done += len(written)
        progress.encoded += sum(outcome.vector is not None for outcome in written)
        progress.skipped = len(report.skipped)
        report.encoded = progress.encoded
        on_progress(progress)

    def _count(self, done: _Outcome, known: Known | None, report: IndexReport) -> None:
        if done.skipped is not None or done.item is None:
            report.skipped.append(Skipped(Path(done.file.path), done.skipped or ""))
        elif known is not None and known.item == done.item:
            report.unchanged += 1
        elif done.kind == "changed":
            report.changed += 1
        elif done.vector is None:
            report.moved += 1
            self._found_again.add(done.item)
        else:
            report.added += 1

    def _fields(self, entries: list[Entry]) -> Metadata:
        return file_fields(
            [self._base.portable(entry.path) for entry in entries],
            entries[0].size,
            [entry.modified_ns for entry in entries],
        )

    def forget(self, paths: list[str]) -> int:
        """Take files out of the library; returns how many were in it."""
        forgotten = 0
        for start in range(0, len(paths), FILES_PER_WRITE):
            known = self._manifest.find(paths[start : start + FILES_PER_WRITE])
            touched = {before.item for before in known.values() if before.item is not None}
            self._manifest.mark_pending(touched)
            self._manifest.record([], forget=known)
            self._bring_in_step(touched)
            forgotten += len(known)
        return forgotten

    def _bring_in_step(self, items: Iterable[str]) -> None:
        """Make the store say which files hold each item; items without files leave it."""
        files = self._manifest.files_of(items)
        self._store.delete([item for item, entries in files.items() if not entries])
        held = {item: entries for item, entries in files.items() if entries}
        self._store.update_metadata(
            {
                item.id: merge(
                    {k: v for k, v in item.metadata.items() if k not in FILE_FIELDS},
                    self._fields(held[item.id]),
                )
                for item in self._store.fetch(held)
            }
        )
        self._manifest.clear_pending(files)


def _with(files: dict[str, list[Entry]], newer: dict[str, Entry]) -> dict[str, list[Entry]]:
    """item → its files once `newer` (by path) is recorded."""
    joined = {
        item: [entry for entry in entries if entry.path not in newer]
        for item, entries in files.items()
    }
    for entry in newer.values():
        if entry.item is not None:
            joined[entry.item].append(entry)
    return joined


def item_id(content: bytes) -> str:
    """The identity of a content: 128 bits of BLAKE3 over the file's bytes, in hexadecimal."""
    return blake3(content).hexdigest(length=16)


def _tasks(outcomes: Iterator[_Outcome]) -> Iterator[list[_Outcome]]:
    while task := list(islice(outcomes, FILES_PER_TASK)):
        yield task
