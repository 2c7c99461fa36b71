"""What the workers made → store and manifest: bounded, restartable, in step with the disk.

One writer, the calling thread, stores what the workers made in transactions of bounded size.

Order of one write, so that a crash at any point costs at most repeated work: note which items are
about to change (pending), store the vectors, record the files, bring the metadata of every item
touched in step, clear the note. The next run finishes whatever is still noted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path

from pixseek import sidecars
from pixseek.encoders import Encoder
from pixseek.errors import InvalidMetadata
from pixseek.files import Changes, Known
from pixseek.manifest import Entry, Manifest
from pixseek.metadata import FILE_FIELDS, file_fields, merge
from pixseek.moments import content_of
from pixseek.records import (
    ImageFile,
    IndexReport,
    Item,
    Metadata,
    OnProgress,
    Progress,
    Skipped,
)
from pixseek.sidecars import Noted
from pixseek.stores import Store
from pixseek.thumbnails import Thumbnails
from pixseek.workers import Limits, Outcome, Workers

FILES_PER_WRITE = 256
SECONDS_PER_WRITE = 2.0
"""A write happens after this many files or seconds, whichever is first."""
READING = "reading.txt"
"""In the library's folder, while a run is at work: see pixseek.suspects."""


class Indexer:
    """Carries out one set of changes."""

    def __init__(
        self,
        encoder: Callable[[], Encoder],
        store: Store,
        manifest: Manifest,
        limits: Limits,
        thumbnails: Thumbnails,
        *,
        thumbs: bool = False,
    ) -> None:
        """encoder: called when the first picture needs one; moves and removals do without.

        thumbs: whether to make thumbnails now, of pictures that are decoded anyway.
        """
        self._thumbnails = thumbnails
        self._store = store
        self._manifest = manifest
        self._base = manifest.base
        self._stored: set[str] = set()
        """Ids whose vectors are in the store."""
        self._workers = Workers(
            encoder,
            limits,
            self._stored,
            manifest.folder / READING,
            on_picture=thumbnails.keep if thumbs else None,
        )
        self._found_again: set[str] = set()
        self._beside: dict[str, ImageFile | None] = {}
        """Pictures whose sidecar is to be read, or has gone."""

    def run(self, changes: Changes, report: IndexReport, on_progress: OnProgress) -> None:
        """Make library and disk equal, adding what was done to the report as it becomes durable.

        Interrupted (KeyboardInterrupt), it stores what is finished before it goes.
        """
        self._beside = changes.sidecars
        progress = Progress(total=len(changes.new) + len(changes.changed))
        on_progress(progress)
        finished: list[Outcome] = []
        if progress.total:
            self._stored.update(self._store.ids())
        due = time.monotonic() + SECONDS_PER_WRITE
        try:
            for outcomes in self._workers.run(chain(changes.changed, changes.new)):
                finished += outcomes
                if len(finished) >= FILES_PER_WRITE or time.monotonic() > due:
                    self._write(finished, report, progress, on_progress)
                    due = time.monotonic() + SECONDS_PER_WRITE
        finally:
            self._write(finished, report, progress, on_progress)
        self._retell(changes.retold, report)
        gone = self._manifest.find(changes.gone)
        self.forget(changes.gone)
        # A file that was found again under another name has moved; it was not removed.
        report.removed += sum(known.item not in self._found_again for known in gone.values())
        pending = self._manifest.pending()
        for start in range(0, len(pending), FILES_PER_WRITE):
            self._bring_in_step(pending[start : start + FILES_PER_WRITE])

    def _write(
        self,
        finished: list[Outcome],
        report: IndexReport,
        progress: Progress,
        on_progress: OnProgress,
    ) -> None:
        """Make outcomes durable, then count them; empties the list."""
        if not finished:
            return
        entries = _entries(finished)
        before = self._manifest.find(entries)
        touched = {entry.item for entry in entries.values() if entry.item is not None}
        touched |= {known.item for known in before.values() if known.item is not None}
        self._manifest.mark_pending(touched)
        files = _with(self._manifest.files_of(touched), entries)
        refused = self._add(finished, files)
        if refused:
            for done in finished:
                if (reason := refused.get(done.item or "")) is not None:
                    done.item, done.vector, done.skipped = None, None, reason
            entries = _entries(finished)
            files = _with(self._manifest.files_of(touched), entries)
        added = {done.item for done in finished if done.item and done.vector is not None}
        self._stored |= added
        self._manifest.record(list(entries.values()))
        told = self._read_beside(entries)
        # An item that lost its last file stays, and stays noted, until the end of the run: the
        # file may only have moved, and then it is found again.
        held = {item for item in touched if files[item]}
        self._bring_in_step(held - (added - told))
        self._manifest.clear_pending(held)
        # Empty before it is counted: Ctrl-C may come between any two lines, what is still in the
        # list is then written once more, and must not be counted twice.
        written = list(finished)
        finished.clear()
        for done in written:
            self._count(done, before.get(done.file.path), report)
        progress.done += len(written)
        progress.encoded += sum(outcome.encoded for outcome in written)
        progress.skipped = len(report.skipped)
        report.encoded = progress.encoded
        on_progress(progress)

    def _add(self, finished: list[Outcome], files: Mapping[str, list[Entry]]) -> dict[str, str]:
        """Store what was encoded; gives the contents that the store cannot take, and why.

        A content's own item comes after its moments: when it is there, all of it is.
        """
        own: dict[str, Item] = {}
        further: dict[str, list[Item]] = {}
        for done in finished:
            if done.item is not None and done.vector is not None:
                fields = self._fields(files[done.item])
                own[done.item] = Item(done.item, done.vector, merge(done.content, fields))
                further[done.item] = [
                    Item(one.id, one.vector, merge({**done.content, **one.metadata}, fields))
                    for one in done.further
                    if one.vector is not None
                ]
        moments = {id: [one.id for one in items] for id, items in further.items()}
        every = {one.id: one for items in further.values() for one in items}
        self._manifest.sidecars.forget_own([*own, *every])
        before = self._manifest.moments_of(own)
        if changed := {id: m for id, m in moments.items() if m or id in before}:
            left = [one for id, items in before.items() for one in items if one not in moments[id]]
            self._store.delete(left)  # of a content that was lost, and is chosen from anew
            self._manifest.note_moments(changed)
        refused = {content_of(id): why for id, why in self._put(every).items()}
        refused |= self._put({id: one for id, one in own.items() if id not in refused})
        self._delete_moments({id: moments[id] for id in refused if moments[id]})
        return refused

    def _read_beside(self, entries: Mapping[str, Entry]) -> set[str]:
        """Remember what the sidecars of these files say; gives the items of which one does."""
        beside = {path: self._beside[path] for path in entries if path in self._beside}
        items = {path: entries[path].item for path in beside}
        self._manifest.sidecars.record(
            {
                path: Noted(file, sidecars.read(file)) if file and items[path] else None
                for path, file in beside.items()
            }
        )
        return {item for item in items.values() if item is not None}

    def _retell(self, paths: list[str], report: IndexReport) -> None:
        """Bring files in step whose sidecars alone differ."""
        for start in range(0, len(paths), FILES_PER_WRITE):
            known = self._manifest.find(paths[start : start + FILES_PER_WRITE])
            entries = {path: Entry(path, *one) for path, one in known.items()}
            touched = {entry.item for entry in entries.values() if entry.item is not None}
            self._manifest.mark_pending(touched)
            self._read_beside(entries)
            self._bring_in_step(touched)
            report.updated += len(entries)

    def _put(self, items: dict[str, Item]) -> dict[str, str]:
        """Store items; gives why of those that the store cannot take, and drops them from `items`.
        A store refuses a call as a whole, and names one item."""
        refused: dict[str, str] = {}
        while items:
            try:
                self._store.add(list(items.values()))
            except InvalidMetadata as error:
                if items.pop(error.item, None) is None:
                    raise
                refused[error.item] = f"the store does not take its metadata: {error}"
            else:
                break
        return refused

    def _count(self, done: Outcome, known: Known | None, report: IndexReport) -> None:
        if done.skipped is not None or done.item is None:
            report.skipped.append(Skipped(Path(done.file.path), done.skipped or ""))
        elif known is not None and known.item == done.item:
            report.unchanged += 1
        elif known is not None and (known.size, known.modified_ns) != done.file[1:]:
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
            self._manifest.sidecars.record(dict.fromkeys(known))
            self._bring_in_step(touched)
            forgotten += len(known)
        return forgotten

    def _bring_in_step(self, items: Iterable[str]) -> None:
        """Make the store say which files hold each content; those without files leave it."""
        files = self._manifest.files_of(items)
        gone = [item for item, entries in files.items() if not entries]
        self._store.delete(gone)  # before its moments: see _add
        self._thumbnails.forget(gone)
        self._manifest.sidecars.forget_own(gone)
        moments = self._manifest.moments_of(files)
        self._delete_moments({item: moments.pop(item) for item in gone if item in moments})
        held = [item for item, entries in files.items() if entries]
        held += [one for some in moments.values() for one in some]
        changes = {
            id: merge(
                {k: v for k, v in metadata.items() if k not in FILE_FIELDS},
                self._fields(files[content_of(id)]),
            )
            for id, metadata in self._told(self._store.fetch(held), files).items()
        }
        while changes:
            try:
                self._store.update_metadata(changes)
            except InvalidMetadata as error:  # such as too many paths: it keeps those it has
                if changes.pop(error.item, None) is None:
                    raise
            else:
                break
        self._manifest.clear_pending(files)

    def _delete_moments(self, moments: Mapping[str, Sequence[str]]) -> None:
        """Take the further items of contents out."""
        if moments:
            every = [one for some in moments.values() for one in some]
            self._store.delete(every)
            self._thumbnails.forget(every)
            self._manifest.sidecars.forget_own(every)
            self._manifest.note_moments(dict.fromkeys(moments, ()))

    def _told(self, items: list[Item], files: Mapping[str, list[Entry]]) -> Mapping[str, Metadata]:
        """Each item's metadata with what the sidecars of its files say."""
        paths = {item.id: [entry.path for entry in files[content_of(item.id)]] for item in items}
        return self._manifest.sidecars.joined(items, paths)


def _entries(outcomes: list[Outcome]) -> dict[str, Entry]:
    """By path, as the manifest keeps them."""
    return {
        path: Entry(path, done.file.size, done.file.modified_ns, done.item, done.skipped)
        for done in outcomes
        for path in [done.file.path]
    }


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
