"""Files → reader → encoder, overlapped and bounded: what runs on threads when pictures are encoded.

Each worker reads, decodes and encodes a few files at a time on its own thread. Measured, that beats
a pool of decoders that feeds one model over all cores (docs/decisions/003-indexing-workers.md).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TypeVar

from blake3 import blake3

from pixseek import isolation, reader
from pixseek.encoders import Encoder
from pixseek.encoders.tiles import encode_pictures
from pixseek.errors import MissingPath, UnreadableImage
from pixseek.isolation import Decoded
from pixseek.reader import MemoryBudget
from pixseek.records import Bounds, ImageFile, Metadata, Vector
from pixseek.suspects import Suspects

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")

FILES_PER_TASK = 4
"""Files that a worker takes at once; they are encoded as one batch."""
PIXELS_AT_ONCE = 8_000_000
"""Decoded pixels that a worker holds before it encodes them, whatever their number."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a run."""

    workers: int
    memory_bytes: int
    """For pictures that are being decoded at once."""
    picture: Bounds
    """Of each file; those that ask for more are skipped."""


@dataclass(slots=True)
class Outcome:
    """What became of one file."""

    file: ImageFile
    item: str | None = None
    """Id of its content; None when it cannot be read."""
    skipped: str | None = None
    """Why it cannot be read."""
    content: Metadata = field(default_factory=dict)
    vector: Vector | None = None
    """None when the content was known already, or cannot be read."""


class Workers:
    """Threads that turn files into vectors."""

    def __init__(
        self,
        encoder: Callable[[], Encoder],
        limits: Limits,
        known: Container[str],
        notes: Path | None = None,
    ) -> None:
        """encoder: called when the first picture needs one.

        known: ids of contents that need no vector; it may grow while the workers run.
        notes: a file for what is being read. Without one every picture is decoded in a process of
        its own, which is slower.
        """
        self._encoder = encoder
        self._limits = limits
        self._known = known
        self._budget = MemoryBudget(limits.memory_bytes)
        self._notes = notes

    def run(self, files: Iterable[ImageFile]) -> Iterator[list[Outcome]]:
        """Every file's outcome, a few at a time, in the order they finish; few are in flight."""
        tasks = batches((Outcome(file) for file in files), FILES_PER_TASK)
        if self._notes is None:
            yield from overlapped(self._work, tasks, self._limits.workers)
            return
        with Suspects(self._notes) as suspects:

            def work(task: list[Outcome]) -> list[Outcome]:
                with suspects.reading([outcome.file.path for outcome in task]):
                    return self._work(task, suspects)

            yield from overlapped(work, tasks, self._limits.workers)

    def _work(self, task: list[Outcome], suspects: Suspects | None = None) -> list[Outcome]:
        """Read, decode and encode a few files; runs on a worker's thread."""
        pictures: list[tuple[Outcome, Decoded]] = []
        for outcome in task:
            try:
                here = suspects is not None and outcome.file.path not in suspects
                picture = self._picture(outcome, here)
            except UnreadableImage as error:
                outcome.skipped = error.reason
                continue
            if picture is None:
                continue
            outcome.content = picture.fields
            pictures.append((outcome, picture))
            if sum(p.image.width * p.image.height for _, p in pictures) > PIXELS_AT_ONCE:
                self._encode(pictures)
        self._encode(pictures)
        return task

    def _encode(self, pictures: list[tuple[Outcome, Decoded]]) -> None:
        """Give each outcome its vector; empties the list."""
        if pictures:
            vectors = encode_pictures(self._encoder(), [picture.image for _, picture in pictures])
            for (outcome, _), vector in zip(pictures, vectors, strict=True):
                outcome.vector = vector
            pictures.clear()

    def _picture(self, outcome: Outcome, here: bool) -> Decoded | None:
        """The file decoded, or None when its content is known. here: see isolation.read."""
        content = content_of(outcome.file, self._limits.picture.max_bytes)
        id = item_id(content)
        if id in self._known:
            outcome.item = id
            return None
        picture = isolation.read(
            content,
            self._encoder().input_size,
            self._limits.picture,
            name=outcome.file.path,
            budget=self._budget,
            here=here,
        )
        outcome.item = id
        return picture


def content_of(file: ImageFile, max_bytes: int) -> bytes:
    """A file's bytes. Raises UnreadableImage, for files over the limit and files gone, too."""
    try:
        return reader.content_of(Path(file.path), max_bytes)
    except MissingPath as error:
        raise UnreadableImage(file.path, "No such file or directory") from error


def item_id(content: bytes) -> str:
    """The identity of a content: 128 bits of BLAKE3 over the file's bytes, in hexadecimal."""
    return blake3(content).hexdigest(length=16)


def overlapped(
    work: Callable[[_Task], _Result], tasks: Iterator[_Task], workers: int
) -> Iterator[_Result]:
    """What becomes of each task, in the order they finish; few are in flight at once."""
    with ThreadPoolExecutor(workers, "pixseek-worker") as pool:
        waiting: set[Future[_Result]] = set()
        try:
            while True:
                room = 2 * workers - len(waiting)
                waiting |= {pool.submit(work, task) for task in islice(tasks, room)}
                if not waiting:
                    return
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def batches(values: Iterable[_Task], size: int) -> Iterator[list[_Task]]:
    """The values in lists of `size`; the last may be shorter."""
    remaining = iter(values)
    while batch := list(islice(remaining, size)):
        yield batch
