"""Files → reader → encoder, overlapped and bounded: what runs on threads when pictures are encoded.

Each worker reads, decodes and encodes a few files at a time on its own thread. Measured, that beats
a pool of decoders that feeds one model over all cores (docs/decisions/003-indexing-workers.md).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from blake3 import blake3

from pixseek import isolation, reader
from pixseek.encoders import Encoder
from pixseek.encoders.tiles import encode_pictures
from pixseek.errors import MissingPath, UnreadableImage
from pixseek.formats import HEAD, is_named_video, reader_of
from pixseek.isolation import Decoded
from pixseek.moments import id_of
from pixseek.reader import MemoryBudget
from pixseek.records import Bounds, ImageFile, Metadata, Vector
from pixseek.suspects import Suspects

if TYPE_CHECKING:
    from PIL import Image

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")

FILES_PER_TASK = 4
"""Files that a worker takes at once; they are encoded as one batch."""
READ_AT_ONCE = 1 << 20
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
    moments: int = 1
    """Pictures that one file has at most: moments of a video or animation, or pages."""


@dataclass(slots=True)
class Moment:
    """One of the further pictures of a file."""

    id: str
    metadata: Metadata
    """What is true of it and not of the whole file."""
    vector: Vector | None = None
    """None until it is encoded."""


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
    further: list[Moment] = field(default_factory=list[Moment])
    """The other pictures of a file that has several; all of them have vectors when it has."""

    @property
    def encoded(self) -> int:
        """How many pictures went through the model."""
        return 0 if self.vector is None else 1 + len(self.further)


class Workers:
    """Threads that turn files into vectors."""

    def __init__(
        self,
        encoder: Callable[[], Encoder],
        limits: Limits,
        known: Container[str],
        notes: Path | None = None,
        wanted: Mapping[str, Sequence[str]] | None = None,
        on_picture: Callable[[str, Decoded], None] | None = None,
    ) -> None:
        """encoder: called when the first picture needs one.

        known: ids of contents that need no vector; it may grow while the workers run.
        notes: a file for what is being read. Without one every picture is decoded in a process of
        its own, which is slower.
        wanted: path → keys of the pictures to have of a file besides its first; None chooses them.
        on_picture: given each picture that was decoded and its id, on a worker's thread.
        """
        self._on_picture = on_picture
        self._encoder = encoder
        self._limits = limits
        self._known = known
        self._wanted = wanted
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
        pictures: list[tuple[Outcome | Moment, Image.Image]] = []
        for outcome in task:
            try:
                here = suspects is not None and outcome.file.path not in suspects
                frames = self._frames(outcome, here)
            except UnreadableImage as error:
                outcome.skipped = error.reason
                continue
            if frames is None or outcome.item is None:
                continue
            first, *further = frames
            outcome.content = first.fields
            pictures.append((outcome, first.image))
            for frame in further:
                moment = Moment(id_of(outcome.item, frame.key), frame.fields)
                outcome.further.append(moment)
                pictures.append((moment, frame.image))
            if sum(image.width * image.height for _, image in pictures) > PIXELS_AT_ONCE:
                self._encode(pictures)
        self._encode(pictures)
        return task

    def _encode(self, pictures: list[tuple[Outcome | Moment, Image.Image]]) -> None:
        """Give each of them its vector; empties the list."""
        while pictures:
            batch = [pictures.pop(0)]
            pixels = 0
            while pictures and pixels <= PIXELS_AT_ONCE:
                batch.append(pictures.pop(0))
                pixels += batch[-1][1].width * batch[-1][1].height
            vectors = encode_pictures(self._encoder(), [image for _, image in batch])
            for (one, _), vector in zip(batch, vectors, strict=True):
                one.vector = vector

    def _frames(self, outcome: Outcome, here: bool) -> list[Decoded] | None:
        """The file's pictures, or None when its content is known. here: see isolation.read."""
        file = outcome.file
        source, id = identified(file, self._limits.picture.max_bytes)
        if id in self._known:
            outcome.item = id
            return None
        frames = isolation.read_frames(
            source,
            self._encoder().input_size,
            self._limits.picture,
            name=file.path,
            wanted=self._limits.moments
            if self._wanted is None
            else tuple(self._wanted.get(file.path, ())),
            budget=self._budget,
            here=here,
        )
        outcome.item = id
        if self._on_picture is not None:
            for frame in frames:
                self._on_picture(id_of(id, frame.key), frame)
        return frames


def identified(file: ImageFile, max_bytes: int) -> tuple[Path | bytes, str]:
    """What a file is to be read from, and the id of its content.

    That is its bytes, but of films, which may be large, the file itself.
    Raises UnreadableImage, for files over the limit and files gone, too.
    """
    path = Path(file.path)
    try:
        if is_named_video(file.path) and file.size <= max_bytes:
            with path.open("rb") as opened:
                if reader_of(opened.read(HEAD), file.path) == "video":
                    opened.seek(0)
                    return path, _hash(iter(partial(opened.read, READ_AT_ONCE), b""))
        content = reader.content_of(path, max_bytes)
    except MissingPath as error:
        raise UnreadableImage(path, "No such file or directory") from error
    except OSError as error:
        raise UnreadableImage(path, error.strerror or str(error)) from error
    return content, item_id(content)


def _hash(parts: Iterable[bytes]) -> str:
    found = blake3()
    for part in parts:
        found.update(part)
    return found.hexdigest(length=16)


def item_id(content: bytes) -> str:
    """The identity of a content: 128 bits of BLAKE3 over the file's bytes, in hexadecimal."""
    return _hash([content])


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
