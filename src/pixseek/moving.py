"""Vectors and metadata from one store to another, without encoding anything again.

What the target has already, and has alike, is left as it is: so what an interrupted move has copied
is not copied again by the next one. The source is only read. At the end both are counted, and a
sample is read back and compared.
"""

from __future__ import annotations

import random
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from pixseek import lock
from pixseek.errors import ForeignItems, InvalidStoreAddress, MoveIncomplete
from pixseek.library import Library, Opened
from pixseek.records import Item, MoveReport, OnProgress, Progress, Space
from pixseek.stores import Store, check_space, open_store
from pixseek.stores.address import Address
from pixseek.switching import drop_left
from pixseek.workers import batches

AT_ONCE = 1000
"""Items read and written together: a few megabytes of vectors."""
SAMPLE = 1000
"""Items that are read back at the end."""
ROUNDING = 1e-5
"""How far a value of a vector may be from what was given: some stores normalise again."""


def copy(source: Store, target: Store, report: MoveReport, *, on_progress: OnProgress) -> None:
    """Make the target hold every item of the source as it is there, adding up in the report.

    Raises ModelMismatch when another model made the target's vectors.
    """
    check_space(target.space, source.space)
    there = set(target.ids())
    ids = list(source.ids())
    progress = Progress(total=len(ids))
    on_progress(progress)
    for batch in batches(ids, AT_ONCE):
        known = {item.id: item for item in target.fetch(id for id in batch if id in there)}
        items = source.fetch(batch)
        missing = [one for one in items if one.id not in known or not same(one, known[one.id])]
        target.add(missing)
        report.copied += len(missing)
        report.unchanged += len(items) - len(missing)
        progress.done += len(batch)
        on_progress(progress)


def extra(source: Store, target: Store) -> list[str]:
    """Ids that only the target has."""
    ids = set(source.ids())
    return [id for id in target.ids() if id not in ids]


def verify(source: Store, target: Store, report: MoveReport) -> None:
    """Count both, and compare a sample. Raises MoveIncomplete when they differ."""
    ids = list(source.ids())
    expected, found = len(ids) + report.extra, target.count()
    if found != expected:
        raise MoveIncomplete(report.after, f"{found} items of {expected}")
    sample = random.sample(ids, min(SAMPLE, len(ids)))
    copies = {item.id: item for item in target.fetch(sample)}
    for item in source.fetch(sample):
        if item.id not in copies or not same(item, copies[item.id]):
            raise MoveIncomplete(report.after, f"something else for the item {item.id!r}")
    report.verified = len(sample)


def same(one: Item, other: Item) -> bool:
    """Whether two items have the same metadata, kinds of values too, and the same vector."""
    if one.metadata != other.metadata or _kinds(one) != _kinds(other):
        return False
    return bool(np.abs(one.vector - other.vector).max() <= ROUNDING)


def move(
    before: str, after: str, *, exact: bool = False, on_progress: OnProgress = lambda _: None
) -> MoveReport:
    """Copy what is at one URL to another; `local:FOLDER` is from the working directory.

    exact: take out of the target what the source has not; without it that stays, and is counted.
    """
    started = time.perf_counter()
    report = MoveReport(shown(before), shown(after))
    source = open_store(before, Path.cwd(), None)
    try:
        target = _open_target(after, Path.cwd(), source.space)
        try:
            copy(source, target, report, on_progress=on_progress)
            others = extra(source, target)
            if exact:
                report.deleted = target.delete(others)
            else:
                report.extra = len(others)
            verify(source, target, report)
        finally:
            target.close()
    finally:
        source.close()
    report.seconds = time.perf_counter() - started
    return report


class LibraryMove:
    """One move of a library's own vectors, which answer from the new store afterwards."""

    def __init__(self, library: Library, url: str, wait_s: float) -> None:
        """wait_s: how long to wait for another writer at the end."""
        self._library = library
        self._wait_s = wait_s
        self._old = library.opened()
        self._stamp = replace(self._old.stamp, store=url)

    def run(self, *, keep: bool, exact: bool, on_progress: OnProgress) -> MoveReport:
        """Copy while others search and index, then let the new store answer.

        keep: leave the vectors where they came from, too. exact: the target may hold items that
        are not the library's; they are deleted. Without it ForeignItems is raised.
        """
        started = time.perf_counter()
        report = MoveReport(shown(self._old.stamp.store), shown(self._stamp.store))
        if self._stamp != self._old.stamp:
            new = self._opened(exact=exact)
            copy(self._old.store, new.store, report, on_progress=on_progress)
            with lock.writing(self._library.folder, wait_s=self._wait_s):
                self._finish(new, report, keep=keep)
        elif not keep:
            with lock.writing(self._library.folder, wait_s=self._wait_s):
                self._leave_others()
        report.seconds = time.perf_counter() - started
        return report

    def _opened(self, *, exact: bool) -> Opened:
        """The target, noted as a set of the library that is being built."""
        manifest, old = self._library.manifest, self._old
        ours = self._stamp in [*manifest.sets("building"), *manifest.sets("kept")]
        if not ours and self._stamp in manifest.sets("leaving"):
            with lock.writing(self._library.folder, wait_s=self._wait_s):
                drop_left(self._library)
        store = _open_target(self._stamp.store, self._library.folder, old.store.space)
        new = Opened(self._stamp, store, lambda _: old.encoder)
        try:
            others = 0 if ours or exact else len(extra(old.store, store))
            if others:
                raise ForeignItems(shown(self._stamp.store), others)
            manifest.note_set(self._stamp, "building")
        except BaseException:
            store.close()
            raise
        return new

    def _finish(self, new: Opened, report: MoveReport, *, keep: bool) -> None:
        """Copy what others have written meanwhile, compare, and let the new store answer."""
        last = MoveReport(report.before, report.after)
        copy(self._old.store, new.store, last, on_progress=lambda _: None)
        report.copied += last.copied
        report.deleted = new.store.delete(extra(self._old.store, new.store))
        verify(self._old.store, new.store, report)
        self._library.adopt(new, keep=True)
        report.answers = True
        if not keep:
            self._leave_others()

    def _leave_others(self) -> None:
        """Delete the vectors by the same model that the library has elsewhere."""
        manifest = self._library.manifest
        for one in manifest.sets("kept"):
            if one.model == self._stamp.model:
                manifest.note_set(one, "leaving")
        drop_left(self._library)


def shown(url: str) -> str:
    """A store's URL as it may be printed."""
    return Address.parse(url).without_secrets


def _open_target(url: str, folder: Path, space: Space) -> Store:
    if Address.parse(url).name == "memory":
        raise InvalidStoreAddress(url, "no place that lasts", "a store that keeps what it is given")
    return open_store(url, folder, space)


def _kinds(item: Item) -> list[tuple[str, type]]:
    return sorted((field, type(value)) for field, value in item.metadata.items())
