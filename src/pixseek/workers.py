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

from pixseek.encoders import Encoder
from pixseek.errors import UnreadableImage
from pixseek.metadata import content_fields
from pixseek.reader import MemoryBudget, Picture, read
from pixseek.records import ImageFile, Metadata, Vector

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
    max_pixels: int
    """Pictures with more are skipped."""
    max_bytes: int
    """Files with more are skipped."""


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
        self, encoder: Callable[[], Encoder], limits: Limits, known: Container[str]
    ) -> None:
        """encoder: called when the first picture needs one.

        known: ids of contents that need no vector; it may grow while the workers run.
        """
        self._encoder = encoder
        self._limits = limits
        self._known = known
        self._budget = MemoryBudget(limits.memory_bytes)

    def run(self, files: Iterable[ImageFile]) -> Iterator[list[Outcome]]:
        """Every file's outcome, a few at a time, in the order they finish; few are in flight."""
        tasks = batches((Outcome(file) for file in files), FILES_PER_TASK)
        return overlapped(self._work, tasks, self._limits.workers)

    def _work(self, task: list[Outcome]) -> list[Outcome]:
        """Read, decode and encode a few files; runs on a worker's thread."""
        pictures: list[tuple[Outcome, Picture]] = []
        for outcome in task:
            try:
                picture = self._picture(outcome)
            except UnreadableImage as error:
                outcome.skipped = error.reason
                continue
            if picture is None:
                continue
            outcome.content = content_fields(
                picture.width,
                picture.height,
                picture.format,
                picture.exif,
                xmp=picture.xmp,
                iptc=picture.iptc,
            )
            pictures.append((outcome, picture))
            if sum(p.image.width * p.image.height for _, p in pictures) > PIXELS_AT_ONCE:
                self._encode(pictures)
        self._encode(pictures)
        return task

    def _encode(self, pictures: list[tuple[Outcome, Picture]]) -> None:
        """Give each outcome its vector; empties the list."""
        if pictures:
            vectors = self._encoder().encode_images([picture.image for _, picture in pictures])
            for (outcome, _), vector in zip(pictures, vectors, strict=True):
                outcome.vector = vector
            pictures.clear()

    def _picture(self, outcome: Outcome) -> Picture | None:
        """The file decoded, or None when its content is known."""
        content = content_of(outcome.file, self._limits.max_bytes)
        id = item_id(content)
        if id in self._known:
            outcome.item = id
            return None
        picture = read(
            content,
            self._encoder().input_size,
            name=outcome.file.path,
            max_pixels=self._limits.max_pixels,
            budget=self._budget,
        )
        outcome.item = id
        return picture


def content_of(file: ImageFile, max_bytes: int) -> bytes:
    """A file's bytes. Raises UnreadableImage, for files over the limit too."""
    path = Path(file.path)
    if file.size > max_bytes:
        raise UnreadableImage(path, f"{file.size} bytes are more than the limit of {max_bytes}")
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableImage(path, error.strerror or str(error)) from error
    except MemoryError as error:
        raise UnreadableImage(path, "not enough memory to read it") from error


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
