"""Another model for a library, while the one it has goes on answering.

The vectors by the new model are made into a second set, beside the one that answers. Nobody waits:
others search and index meanwhile. Only the end holds the writer lock: there the new set is made to
hold exactly what the old one holds, and becomes the one that answers in one transaction. What an
interrupted switch has made is found again by the next one.
"""

from __future__ import annotations

import time
from itertools import chain
from pathlib import Path

from pixseek import lock
from pixseek.encoders import Encoder
from pixseek.errors import LibraryNotFound, StoreUnavailable
from pixseek.library import Library, Opened
from pixseek.manifest import Entry, VectorSet
from pixseek.moments import content_of, key_of
from pixseek.records import ImageFile, Item, OnProgress, Progress, Skipped, SwitchReport
from pixseek.stores import open_store, set_url
from pixseek.workers import Limits, Outcome, Workers, batches

ITEMS_AT_ONCE = 10_000
"""Items whose files are looked up together."""
READING = "switch-reading.txt"
"""In the library's folder, while a switch is at work: see pixseek.suspects."""
AT_ONCE = 64
"""Vectors written together: at the speed of slow models a few seconds' work."""
_NO_FILE = Skipped(Path(), "it came without a file; add it again by the new model")


class Switch:
    """One switch of a library to another model."""

    def __init__(
        self, library: Library, model: str, encoder: Encoder, limits: Limits, wait_s: float
    ) -> None:
        """encoder: of the new model. wait_s: how long to wait for another writer at the end."""
        self._library = library
        self._manifest = library.manifest
        self._encoder = encoder
        self._limits = limits
        self._wait_s = wait_s
        self._old = library.opened()
        self._new = self._open(model)
        self._unreadable: dict[str, Skipped] = {}
        """Contents none of whose files can be read now."""

    def run(self, *, keep: bool, leave_out: bool, on_progress: OnProgress) -> SwitchReport:
        """Make the new set whole, then let it answer.

        keep: keep the old set, so that switching back is quick; else no set but the new one stays.
        leave_out: go on without pictures that cannot be read now; they are new once they can be.
        """
        started = time.perf_counter()
        report = SwitchReport(self._old.stamp.model, self._new.stamp.model)
        while not report.switched:
            report.encoded += self._encode(on_progress)
            self._forget_removed()
            if self._unreadable and not leave_out:
                break
            with lock.writing(self._library.folder, wait_s=self._wait_s):
                if self._missing():
                    continue  # others have indexed meanwhile
                self._finish(keep=keep)
                report.switched = True
        report.unreadable = list(self._unreadable.values())
        report.seconds = time.perf_counter() - started
        return report

    def _open(self, model: str) -> Opened:
        """The set to fill: one kept or half made by this very model, or a new one."""
        space = self._encoder.space
        if space == self._old.store.space:
            return self._old
        for stamp in [*self._manifest.sets("building"), *self._manifest.sets("kept")]:
            try:
                store = open_store(stamp.store, self._library.folder, None)
            except LibraryNotFound:
                self._manifest.note_set(stamp, None)
                continue
            if store.space == space:
                return Opened(stamp, store, lambda _: self._encoder, self._encoder)
            store.close()
        stamp = VectorSet(model, set_url(self._old.stamp.store, space))
        self._manifest.note_set(stamp, "building")
        store = open_store(stamp.store, self._library.folder, space)
        return Opened(stamp, store, lambda _: self._encoder, self._encoder)

    def _missing(self) -> list[str]:
        """Contents of which the new set has not all items yet, except those that cannot be read.

        Those whose last file is gone are not missed: the next run takes them out.
        """
        pending = self._manifest.files_of(self._manifest.pending())
        leaving = {item for item, entries in pending.items() if not entries}
        leaving.update(self._unreadable)
        have = set(self._new.store.ids())
        missing = [item for item in self._old.store.ids() if item not in have]
        moments = self._manifest.moments_of(dict.fromkeys(map(content_of, missing)))
        contents = [
            content
            for item in missing
            for content in [content_of(item)]
            if content not in leaving and (item == content or item in moments.get(content, ()))
        ]
        return list(dict.fromkeys(contents))

    def _encode(self, on_progress: OnProgress) -> int:
        """Fill the new set with what is missing; returns how many pictures were encoded."""
        missing = self._missing()
        there = len({content_of(item) for item in self._new.store.ids()}.difference(missing))
        progress = Progress(total=len(missing) + there, done=there)
        on_progress(progress)
        for items in batches(missing, ITEMS_AT_ONCE):
            waiting = self._manifest.files_of(items)
            self._unreadable.update((item, _NO_FILE) for item in items if not waiting[item])
            # An item may have several files: one that fails is tried by its next.
            while turn := {files.pop(0): item for item, files in waiting.items() if files}:
                moments = self._manifest.moments_of(turn.values())
                wanted = {
                    entry.path: [key_of(one) for one in moments.get(item, ())]
                    for entry, item in turn.items()
                }
                notes = self._manifest.folder / READING
                workers = Workers(
                    lambda: self._encoder, self._limits, frozenset(), notes, wanted=wanted
                )
                for outcomes in batches(
                    chain.from_iterable(workers.run(map(_file, turn))), AT_ONCE
                ):
                    done = self._store(outcomes, {entry.path: turn[entry] for entry in turn})
                    waiting.update((item, []) for item in done)
                    progress.done += len(done)
                    progress.encoded += sum(1 + len(moments.get(item, ())) for item in done)
                    progress.skipped = len(self._unreadable)
                    on_progress(progress)
        return progress.encoded

    def _store(self, outcomes: list[Outcome], wanted: dict[str, str]) -> set[str]:
        """Write vectors with the metadata that the old set has; returns the contents written.

        wanted: path → the content that it was known to hold.
        """
        written = set()
        vectors = {}
        for one in outcomes:
            item = wanted[one.file.path]
            if one.item == item and one.vector is not None:
                vectors[item] = one.vector
                vectors.update((m.id, m.vector) for m in one.further if m.vector is not None)
                written.add(item)
                self._unreadable.pop(item, None)
            else:
                reason = one.skipped or "it has changed since it was indexed; index it first"
                self._unreadable[item] = Skipped(Path(one.file.path), reason)
        found = self._old.store.fetch(vectors)
        self._new.store.add([Item(one.id, vectors[one.id], one.metadata) for one in found])
        return written

    def _forget_removed(self) -> None:
        """What others have taken out of the library meanwhile need not be read."""
        if self._unreadable:
            wanted = set(map(content_of, self._old.store.ids()))
            self._unreadable = {i: why for i, why in self._unreadable.items() if i in wanted}

    def _finish(self, *, keep: bool) -> None:
        """Make the new set say just what the old one says, and let it answer."""
        if self._new is not self._old:
            self._bring_in_step()
        files = self._manifest.files_of(self._unreadable)
        left_out = [entry.path for entries in files.values() for entry in entries]
        self._manifest.record([], forget=left_out)
        if left := self._manifest.moments_of(files):
            self._manifest.note_moments(dict.fromkeys(left, ()))
        self._library.adopt(self._new, keep=keep)
        if not keep:
            for stamp in [*self._manifest.sets("building"), *self._manifest.sets("kept")]:
                self._manifest.note_set(stamp, "leaving")
        drop_left(self._library)

    def _bring_in_step(self) -> None:
        old, new = self._old.store, self._new.store
        items = set(old.ids())
        new.delete([item for item in new.ids() if item not in items])
        for batch in batches(items, ITEMS_AT_ONCE):
            said = {one.id: one.metadata for one in new.fetch(batch)}
            saying = {one.id: one.metadata for one in old.fetch(said)}
            new.update_metadata({i: now for i, now in saying.items() if now != said[i]})


def drop_left(library: Library) -> None:
    """Delete sets that no longer answer and are not kept. The writer lock must be held."""
    for stamp in library.manifest.sets("leaving"):
        try:
            store = open_store(stamp.store, library.folder, None)
            store.drop()
            store.close()
        except LibraryNotFound:
            pass
        except StoreUnavailable:
            continue  # a server that is down now: the next run tries again
        library.manifest.note_set(stamp, None)


def _file(entry: Entry) -> ImageFile:
    return ImageFile(entry.path, entry.size, entry.modified_ns)
