"""Words for the pictures of a library, kept in its store: read or made by a describer, or chosen
from labels.

Others search and index meanwhile: the writer lock is held for one write at a time, and each write
adds to what the store says of an item at that moment. What a describer has looked at is remembered
in the item's field `described`, so an interrupted run goes on where it was, and pictures with
nothing to say are not read again. Words belong to a content: they stay when files are moved, and a
file with other content is another item, without them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pixseek import isolation, moments
from pixseek.encoders import resolve
from pixseek.errors import ModelMismatch, UnreadableImage
from pixseek.files import image_file
from pixseek.library import Library
from pixseek.manifest import Entry
from pixseek.metadata.wording import with_words
from pixseek.reader import MemoryBudget
from pixseek.records import DescribeReport, ImageFile, Metadata, OnProgress, Progress, Skipped
from pixseek.stores.filters import Compare, Not
from pixseek.words import Describer
from pixseek.words.labels import BUILT_IN, Choice, Labeller, read_labels
from pixseek.workers import (
    FILES_PER_TASK,
    PIXELS_AT_ONCE,
    Limits,
    batches,
    identified,
    overlapped,
)

if TYPE_CHECKING:
    from PIL import Image

ITEMS_AT_ONCE = 10_000
"""Items whose files are looked up together."""
ITEMS_PER_WRITE = 64
SECONDS_PER_WRITE = 5.0
"""A write happens after this many items or seconds, whichever is first."""
LABELLED_AT_ONCE = 1_000
DEFAULT_LOGIT_SCALE = 100.0
"""Of models without a name here: what nearly all models of CLIP's kind are trained to."""
_NO_FILE = Skipped(Path(), "it came without a file, or its files have left the library")

Writing = Callable[[], AbstractContextManager[object]]
"""Gives the right to write to the library, for as long as the context is entered."""


@dataclass(slots=True)
class _Outcome:
    """What became of one item."""

    item: str
    files: list[Entry]
    said: Metadata | None = None
    """What the describer says; None when no file could be read."""
    skipped: Skipped | None = None


class Description:
    """One run of a describer over a library."""

    def __init__(
        self, library: Library, describer: Describer, limits: Limits, writing: Writing
    ) -> None:
        self._library = library
        self._describer = describer
        self._limits = limits
        self._writing = writing
        self._films: dict[ImageFile, str] = {}
        """Contents of films as they were when they were read: each has many moments."""
        self._budget = MemoryBudget(limits.memory_bytes)

    def run(self, *, again: bool, on_progress: OnProgress) -> DescribeReport:
        """Describe every item that this describer has not looked at; `again`: and those it has.

        Interrupted (KeyboardInterrupt), it stores what is finished before it goes.
        """
        started = time.perf_counter()
        store = self._library.opened().store
        done = Compare("described", "eq", self._describer.field)
        waiting = sorted(store.ids(None if again else Not(done)))
        report = DescribeReport(known=0 if again else store.count(done))
        progress = Progress(total=len(waiting))
        on_progress(progress)
        finished: list[_Outcome] = []
        due = time.monotonic() + SECONDS_PER_WRITE
        try:
            for outcomes in overlapped(self._work, self._tasks(waiting), self._limits.workers):
                finished += outcomes
                if len(finished) >= ITEMS_PER_WRITE or time.monotonic() > due:
                    self._write(finished, report, progress, on_progress)
                    due = time.monotonic() + SECONDS_PER_WRITE
        finally:
            self._write(finished, report, progress, on_progress)
        report.seconds = time.perf_counter() - started
        return report

    def _tasks(self, items: Sequence[str]) -> Iterator[list[_Outcome]]:
        for some in batches(items, ITEMS_AT_ONCE):
            files = self._library.manifest.files_of(some)
            outcomes = (_Outcome(item, entries) for item, entries in files.items())
            yield from batches(outcomes, FILES_PER_TASK)

    def _work(self, task: list[_Outcome]) -> list[_Outcome]:
        """Read and describe a few items; runs on a worker's thread."""
        pictures: list[tuple[_Outcome, Image.Image]] = []
        for outcome in task:
            picture = self._picture(outcome)
            if picture is None:
                continue
            pictures.append((outcome, picture))
            if sum(p.width * p.height for _, p in pictures) > PIXELS_AT_ONCE:
                self._describe(pictures)
                pictures.clear()
        self._describe(pictures)
        return task

    def _picture(self, outcome: _Outcome) -> Image.Image | None:
        """An item's first file that can be read and still holds it, or None and why."""
        outcome.skipped = _NO_FILE
        for entry in outcome.files:
            file = ImageFile(entry.path, entry.size, entry.modified_ns)
            try:
                picture = isolation.read(
                    self._source(file, moments.content_of(outcome.item)),
                    self._describer.input_size,
                    self._limits.picture,
                    name=entry.path,
                    key=moments.key_of(outcome.item),
                    budget=self._budget,
                )
            except UnreadableImage as error:
                outcome.skipped = Skipped(Path(entry.path), error.reason)
                continue
            outcome.skipped = None
            return picture.image
        return None

    def _source(self, file: ImageFile, wanted: str) -> Path | bytes:
        """What to read a file from, if it still has this content."""
        path = Path(file.path)
        now = image_file(file.path, path.stat)
        if now is not None and self._films.get(now) == wanted:
            return path
        source, id = identified(file, self._limits.picture.max_bytes)
        if id != wanted:
            raise UnreadableImage(path, "it has changed; index it first")
        if now is not None and isinstance(source, Path):
            self._films[now] = id
        return source

    def _describe(self, pictures: list[tuple[_Outcome, Image.Image]]) -> None:
        """Give each outcome what there is to say. One that cannot be described costs no other."""
        try:
            said = self._describer.describe([picture for _, picture in pictures])
        except UnreadableImage as error:
            if len(pictures) > 1:
                for one in pictures:
                    self._describe([one])
            else:
                [(outcome, _)] = pictures
                outcome.skipped = Skipped(Path(outcome.files[0].path), error.reason)
            return
        for (outcome, _), metadata in zip(pictures, said, strict=True):
            outcome.said = metadata

    def _write(
        self,
        finished: list[_Outcome],
        report: DescribeReport,
        progress: Progress,
        on_progress: OnProgress,
    ) -> None:
        """Make outcomes durable, then count them; empties the list."""
        if not finished:
            return
        field = self._describer.field
        changes = {one.item: one.said for one in finished if one.said is not None}
        with self._writing():
            _add(self._library, changes, field)
        # Empty before it is counted: see Indexer._write.
        written = list(finished)
        finished.clear()
        report.described += len(changes)
        report.found += sum(bool(said) for said in changes.values())
        report.skipped += [one.skipped for one in written if one.skipped is not None]
        progress.done += len(written)
        progress.skipped = len(report.skipped)
        on_progress(progress)


def label(
    library: Library,
    labels: Path | Iterable[str] | None,
    choice: Choice,
    writing: Writing,
    on_progress: OnProgress,
) -> DescribeReport:
    """Give every item the labels that its vector fits, in place of those it had.

    labels: a file of them, themselves, or None for the built-in list. Items whose labels stay as
    they were are not written. Raises what read_labels and Labeller do, and ModelMismatch when
    another process switches the model meanwhile.
    """
    started = time.perf_counter()
    opened = library.opened()
    store = opened.store
    if labels is None or isinstance(labels, Path):
        labels = read_labels(labels or BUILT_IN)
    labeller = Labeller(opened.encoder, labels, _logit_scale(opened.stamp.model))
    items = sorted(store.ids())
    report = DescribeReport()
    progress = Progress(total=len(items))
    on_progress(progress)
    for some in batches(items, LABELLED_AT_ONCE):
        with writing():
            if not library.answers(opened):
                raise ModelMismatch(library.opened().stamp.model, opened.stamp.model)
            found = store.fetch(some)
            if found:
                vectors = np.stack([item.vector for item in found])
                chosen = labeller.label(vectors, choice)
                store.update_metadata(
                    {
                        item.id: with_words(_with_labels(item.metadata, labels))
                        for item, labels in zip(found, chosen, strict=True)
                        if item.metadata.get("labels", []) != labels
                    }
                )
                report.found += sum(map(bool, chosen))
        report.described += len(found)
        progress.done += len(some)
        on_progress(progress)
    report.seconds = time.perf_counter() - started
    return report


def _logit_scale(name: str) -> float:
    model = resolve(name)
    return (model and model.logit_scale) or DEFAULT_LOGIT_SCALE


def _with_labels(metadata: Metadata, labels: list[str]) -> Metadata:
    rest = {field: value for field, value in metadata.items() if field != "labels"}
    return {**rest, "labels": labels} if labels else rest


def _add(library: Library, changes: Mapping[str, Metadata], field: str) -> None:
    """Add what was said to what the store has now, and remember that it was asked for.

    What the same describer said before goes: its fields begin with its name.
    """
    store = library.opened().store
    after: dict[str, Metadata] = {}
    for item in store.fetch(changes):
        before = {k: v for k, v in item.metadata.items() if k.partition("_")[0] != field}
        described = before.get("described", [])
        names = described if isinstance(described, list) else [str(described)]
        marked: Metadata = {"described": list(dict.fromkeys([*names, field]))}
        after[item.id] = with_words({**before, **changes[item.id], **marked})
    store.update_metadata(after)
