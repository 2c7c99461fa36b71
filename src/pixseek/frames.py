"""A file → its pictures: itself, or the moments of a video or animation, or pages.

What `reader`, `stills` or `video` decode is the first; further frames of animations, and pages, are
read here. Frames of an animation are
looked at one after another, as they build on each other, and those that differ are taken.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from PIL import Image

from pixseek import video
from pixseek.errors import FormatNeedsExtra, UnreadableImage
from pixseek.formats import EXTRAS, HEAD, Reader, needs, reader_of
from pixseek.metadata import content_fields
from pixseek.moments import ANIMATION_MOMENTS, FIRST, Choice, key_at, page_key
from pixseek.reader import (
    ORIENTATION,
    TURNS,
    UNBOUNDED,
    Budget,
    Picture,
    check_size,
    kept_size,
    opened,
    read,
    reduced,
    translated,
)
from pixseek.records import USUAL, Metadata
from pixseek.stills import read_jxl, read_raw

FRAME_PIXELS = 1_500_000_000
"""Pixels of one animation that are looked at, all frames together: some ten seconds' work."""
MAX_FRAMES = 3000
SHORTEST_S = 0.02
USUAL_S = 0.1
"""Frames that are to be shown for less are shown for so long, as browsers do."""
_THUMBNAIL, _MASK = 1, 4
_SUBFILE = 0x00FE
"""NewSubfileType (TIFF 6.0): such a page shows another one once more."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One of a file's further pictures."""

    key: str
    image: Image.Image
    """Upright RGB, reduced as Picture.image is."""
    metadata: Metadata
    """What is true of it and not of the file: its moment or its page."""


@dataclass(slots=True)
class Frames:
    """The pictures of one file."""

    first: Picture
    metadata: Metadata = field(default_factory=dict)
    """What is known of the file and its first picture besides what `first` says."""
    further: list[Frame] = field(default_factory=list[Frame])

    def content_fields(self) -> Metadata:
        """What the file says of itself, and its first picture."""
        first = self.first
        return {
            **content_fields(
                *(first.width, first.height, first.format, first.exif),
                xmp=first.xmp,
                iptc=first.iptc,
            ),
            **self.metadata,
        }


Wanted: TypeAlias = int | Sequence[str]
"""At most so many pictures of a file, or those with these keys besides the first."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How files are read."""

    input_size: int
    """Pixels on a side of the input of the model they are read for."""
    max_pixels: int = USUAL.max_pixels
    max_seconds: float = USUAL.max_seconds
    """Further pictures are looked for in half of that."""
    budget: Budget = UNBOUNDED


def read_frames(
    source: Path | bytes, how: Reading, wanted: Wanted = 1, *, name: str | None = None
) -> Frames:
    """The first picture of a file, and the further ones that are wanted.

    source: a file, or a file's whole content (`name` is then used in errors).
    Raises as reader.read does. A further picture that is damaged ends what is chosen of a file; one
    that is wanted by its key and is not there raises UnreadableImage.
    """
    called = name or (str(source) if isinstance(source, Path) else "the picture given")
    reader = reader_of(_head(source), called)
    if reader == "video":
        return _of_video(source, how, wanted, called)
    if isinstance(source, Path) and reader in _STILLS:
        source = source.read_bytes()
    if isinstance(source, bytes) and reader in _STILLS:
        with _needing(reader, called):
            decode = _STILLS[reader]
            first = decode(source, how.input_size, called, how.max_pixels, how.budget)
    else:
        first = read(
            source, how.input_size, name=called, max_pixels=how.max_pixels, budget=how.budget
        )
    found = Frames(first)
    if first.several and wanted not in (1, ()):
        content = source.read_bytes() if isinstance(source, Path) else source
        pages = first.format == "TIFF"
        # No more memory is asked for: who holds some, and waits for more, may wait for ever.
        (_add_pages if pages else _add_moments)(found, content, how, wanted, called)
    if not isinstance(wanted, int):
        missing = sorted(set(wanted) - {frame.key for frame in found.further})
        if missing:
            raise UnreadableImage(called, f"it has no picture at {', '.join(missing)}")
    return found


def read_frame(
    source: Path | bytes, how: Reading, key: str, *, name: str | None = None
) -> Image.Image:
    """One picture of a file; FIRST is the key of the first. Raises as read_frames does."""
    found = read_frames(source, how, [key] if key else [], name=name)
    return found.further[0].image if key else found.first.image


_STILLS: dict[str, Callable[[bytes, int, str, int, Budget], Picture]] = {
    "jxl": read_jxl,
    "raw": read_raw,
}


def _head(source: Path | bytes) -> bytes:
    """The first bytes; none of a file that cannot be opened, which its reader will say."""
    if isinstance(source, bytes):
        return source[:HEAD]
    try:
        with source.open("rb") as file:
            return file.read(HEAD)
    except OSError:
        return b""


@contextmanager
def _needing(reader: Reader, called: str) -> Iterator[None]:
    """Raises FormatNeedsExtra when what reads the format is not there."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise FormatNeedsExtra(called, needs(reader)) from error
    except ImportError as error:
        reason = f"the extra {EXTRAS[reader].name!r} cannot be loaded here ({error})"
        raise UnreadableImage(called, reason) from error


def _of_video(source: Path | bytes, how: Reading, wanted: Wanted, called: str) -> Frames:
    with (
        _needing("video", called),
        video.opened(source, how.input_size, called, how.max_pixels) as film,
        how.budget.taking(video.BYTES_A_PIXEL * film.stored[0] * film.stored[1]),
    ):
        if isinstance(wanted, int):
            first, *further = film.choose(max(1, wanted), how.max_seconds / 2)
        else:
            [first], further = film.choose(1, how.max_seconds / 2), film.at(wanted)
        picture = Picture(first.image, *film.size, film.format, Image.Exif(), b"", b"")
        return Frames(
            picture,
            {**film.fields(), "moment": round(first.time_s, 3)},
            [Frame(one.key, one.image, {"moment": round(one.time_s, 3)}) for one in further],
        )


def _add_pages(found: Frames, content: bytes, how: Reading, wanted: Wanted, called: str) -> None:
    ends = time.monotonic() + how.max_seconds / 2
    with opened(content, called, how.max_pixels) as image:
        for number in _seeking(image, called, MAX_FRAMES):
            key = page_key(number + 1)
            enough = isinstance(wanted, int) and len(found.further) + 1 >= wanted
            if enough or time.monotonic() > ends:
                break
            if number == 0 or not (isinstance(wanted, int) or key in wanted):
                continue
            if int(image.getexif().get(_SUBFILE, 0)) & (_THUMBNAIL | _MASK):
                continue
            decoded = _decoded(image, how, called)
            if decoded is not None:  # else the next page may be whole
                found.further.append(Frame(key, decoded, {"page": number + 1}))
    if found.further:
        found.metadata["page"] = 1


def _add_moments(found: Frames, content: bytes, how: Reading, wanted: Wanted, called: str) -> None:
    at_most = min(wanted, ANIMATION_MOMENTS) if isinstance(wanted, int) else 1
    choice: Choice[Frame] = Choice(at_most)
    time_s, ends = 0.0, time.monotonic() + how.max_seconds / 2
    with opened(content, called, how.max_pixels) as image:
        frames = max(2, min(MAX_FRAMES, FRAME_PIXELS // (image.width * image.height)))
        for number in _seeking(image, called, frames):
            decoded = _decoded(image, how, called)
            if decoded is None or time.monotonic() > ends:
                break  # what comes after builds on it
            key = key_at(time_s) if number else FIRST
            frame = Frame(key, decoded, {"moment": round(time_s, 3)})
            if isinstance(wanted, int):
                choice.offer(time_s, decoded, frame)
            elif key in wanted:
                found.further.append(frame)
            shown_s = float(image.info.get("duration") or 0) / 1000
            time_s += shown_s if shown_s >= SHORTEST_S else USUAL_S
            if number:
                found.metadata["duration"] = round(time_s, 3)
    if isinstance(wanted, int):
        found.further = choice.chosen()[1:]
    if found.further:
        found.metadata["moment"] = 0.0


def _seeking(image: Image.Image, called: str, at_most: int) -> Iterator[int]:
    """The number of each of a file's pictures, from 0, while `image` is it; up to damage."""
    for number in range(at_most):
        try:
            with translated(called):
                image.seek(number)
        except UnreadableImage:  # EOFError too: there is no such picture
            return
        yield number


def _decoded(image: Image.Image, how: Reading, called: str) -> Image.Image | None:
    """Where a file stands, as upright RGB, reduced; None when it is damaged there."""
    try:
        with translated(called):
            check_size(image.size, called, how.max_pixels)
            turn = TURNS.get(image.getexif().get(ORIENTATION, 1))
            image.load()
            small = reduced(image, kept_size(image.size, how.input_size), turn)
            return small.copy() if small is image else small  # `image` becomes the next one
    except UnreadableImage:
        return None
