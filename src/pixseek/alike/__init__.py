"""Files that hold the same picture: equal bit by bit, or resized, encoded anew, cut or recoloured.

What to do with them is in `settling`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from pixseek.alike.comparing import CONFIRMED, Small, likeness
from pixseek.engine import ImageSearchEngine, is_url
from pixseek.errors import MissingPath, UnreadableImage
from pixseek.files import absolute, image_file, is_within_any
from pixseek.moments import content_of
from pixseek.records import (
    USUAL,
    Hit,
    Item,
    Metadata,
    OnProgress,
    Progress,
    Skipped,
    Vectors,
    Where,
)
from pixseek.sync import Source, listed
from pixseek.workers import identified

LOOKED_AT = 0.7
"""Cosine of two pictures' vectors from which on they are compared (bench/dupes.py)."""
MOST_LOOKED_AT = 30
"""Pictures that one is compared with, the nearest; more are hardly copies of it."""
ROWS_AT_ONCE = 256
SMALL_KEPT = 4096
_ITEMS_AT_ONCE = 1000
_LOSSLESS = ("TIFF", "PNG", "PSD", "BMP")
_REASONS = (
    *("it is the camera's RAW", "it has the most pixels", "it is in the original format"),
    "it is the oldest",
)

Kind = Literal["exact", "near"]


@dataclass(frozen=True, slots=True)
class PictureFile:
    """A file of the library that is there now."""

    path: Path
    id: str
    """Of its content."""
    width: int
    height: int
    """Pixels, upright; 0 where they are not known."""
    format: str
    size: int
    """Bytes."""
    modified: float
    """Seconds since 1970, UTC."""
    original: int
    """How near its format is to what a camera writes: 0 RAW, 1 as a camera wrote it, 2 without
    loss, 3 others."""

    @property
    def order(self) -> tuple[object, ...]:
        """The less, the rather it is kept."""
        shortest = (len(str(self.path)), str(self.path))
        return (*self._worth, *shortest)

    @property
    def _worth(self) -> tuple[float, ...]:
        # The pixels of a RAW are those of its preview, or half of the sensor's.
        pixels = -self.width * self.height
        return float(self.original > 0), pixels, self.original, self.modified

    def better_by(self, other: PictureFile) -> str:
        """Why it is kept and the other is not."""
        for mine, others, reason in zip(self._worth, other._worth, _REASONS, strict=True):
            if mine != others:
                return reason
        return "its path is the shortest"


@dataclass(frozen=True, slots=True)
class Copy:
    """A file that holds what another holds."""

    file: PictureFile
    kind: Kind
    likeness: float
    """How far it is the picture that is kept, 0 to 1 (comparing.likeness)."""


@dataclass(frozen=True, slots=True)
class Group:
    """Files of one picture. Each copy was compared with the one to keep."""

    keep: PictureFile
    why: str
    """Why that one."""
    copies: list[Copy]


@dataclass(slots=True)
class Duplicates:
    """What was found."""

    groups: list[Group] = field(default_factory=list[Group])
    skipped: list[Skipped] = field(default_factory=list["Skipped"])
    """Pictures that could not be compared, as they cannot be read now."""


def duplicates(
    engine: ImageSearchEngine,
    folders: Source | Iterable[Source] = (),
    *,
    exact: bool = True,
    near: bool = True,
    on_progress: OnProgress = lambda _: None,
) -> Duplicates:
    """The files of a library that hold the same picture, in groups, with the one to keep.

    folders: only files in these; none stands for all. exact, near: which kinds to look for.
    Kept is a RAW before all others, then what has the most pixels, then the original format, then
    what is oldest, then what has the shortest path. Files that are gone, and further names of one
    file, do not count; nor do, for near copies, films and files of several pages. An empty library
    gives none.
    Near copies are read once, small, and kept as thumbnails; nothing else is written.
    """
    within = frozenset(absolute(one) for one in listed(folders))
    where: Where | None = {"folder": {"$in": sorted(within)}} if within else None
    found = _present(engine, _items(engine, where), within)
    report = Duplicates()
    if near:
        comparison = _Comparison(engine, found, report.skipped)
        report.groups = list(comparison.groups(on_progress, exact=exact))
    elif exact:
        report.groups = [_group(one.files, []) for one in found if len(one.files) > 1]
    return report


def similar(
    engine: ImageSearchEngine,
    image: Source,
    k: int = 10,
    *,
    where: Where | None = None,
    offset: int = 0,
) -> list[Hit]:
    """The k pictures most like a file's, nearest first, without the file's own content.

    image: a file, in the library or not, or a URL. where, offset: as ImageSearchEngine.search
    takes them. Raises what that raises for a picture that is not there or cannot be read.
    """
    if is_url(image):  # whether it is in the library is not known
        return engine.search(image=image, k=k, where=where, offset=offset)
    path = listed(image)[0]
    hits = engine.search(image=path, k=k + offset + 1, where=where)
    file = image_file(str(path), path.stat)
    own = "" if file is None else identified(file, USUAL.max_bytes)[1]
    others = [hit for hit in hits if content_of(hit.id) != own]
    return others[offset : offset + k]


@dataclass(frozen=True, slots=True)
class _Present:
    """An item with files that are there."""

    item: Item
    files: list[PictureFile]
    """In order of which to keep."""


class _Comparison:
    """Finds near copies, from the pictures that would be kept to those that would not."""

    def __init__(
        self, engine: ImageSearchEngine, found: Sequence[_Present], skipped: list[Skipped]
    ) -> None:
        self._found = sorted(found, key=lambda one: one.files[0].order)
        self._thumbnails = engine.thumbnails
        self._skipped = skipped
        self._small = lru_cache(SMALL_KEPT)(self._read)

    def groups(self, on_progress: OnProgress, *, exact: bool) -> Iterator[Group]:
        progress = Progress(total=len(self._found))
        taken: set[int] = set()
        for row, rows in self._near():
            if row not in taken:
                copies = [one for other in rows for one in self._copies(row, other, taken)]
                own = self._found[row].files
                if copies or (exact and len(own) > 1):
                    yield _group(own if exact else own[:1], copies)
            progress.done += 1
            on_progress(progress)

    def _copies(self, row: int, other: int, taken: set[int]) -> Iterator[Copy]:
        """The files of another row, if they hold what this one does; they are taken then."""
        if other in taken or not _may_be_one(self._found[row].item, self._found[other].item):
            return
        one, two = self._small(row), self._small(other)
        if one is None or two is None:
            return
        alike = likeness(one, two)
        if alike >= CONFIRMED:
            taken.add(other)
            yield from (Copy(file, "near", round(alike, 4)) for file in self._found[other].files)

    def _near(self) -> Iterator[tuple[int, list[int]]]:
        """Every row with those after it that are near, nearest first."""
        if not self._found:
            return
        vectors: Vectors = np.stack([one.item.vector for one in self._found])
        single = np.array([_is_single(one.item.metadata) for one in self._found])
        for start in range(0, len(vectors), ROWS_AT_ONCE):
            cosines = vectors[start : start + ROWS_AT_ONCE] @ vectors[start:].T
            for place, line in enumerate(cosines):
                row = start + place
                line[: place + 1] = -1
                after = np.flatnonzero((line >= LOOKED_AT) & single[start:] & single[row])
                nearest = after[np.argsort(-line[after], kind="stable")][:MOST_LOOKED_AT]
                yield row, (nearest + start).tolist()

    def _read(self, row: int) -> Small | None:
        one = self._found[row]
        paths = [file.path for file in one.files]
        try:
            with Image.open(BytesIO(self._thumbnails.get(one.item.id, paths))) as small:
                return Small(small.convert("RGB"))
        except UnreadableImage as error:
            self._skipped.append(Skipped(paths[0], error.reason))
        except MissingPath:
            self._skipped.append(Skipped(paths[0], "there is no such file"))
        return None


def _items(engine: ImageSearchEngine, where: Where | None) -> Iterator[Item]:
    """Every content that passes, by its first picture."""
    items = engine.items
    ids = sorted(id for id in items.ids(where) if content_of(id) == id)
    for start in range(0, len(ids), _ITEMS_AT_ONCE):
        yield from items.fetch(ids[start : start + _ITEMS_AT_ONCE])


def _present(
    engine: ImageSearchEngine, items: Iterable[Item], within: frozenset[str]
) -> list[_Present]:
    """Items with their files, one for each that the disk has; those that have none are left out."""
    found = []
    for item in items:
        paths = [path.as_posix() for path in engine.items.files(item.id)]
        inside = [path for path in paths if not within or is_within_any(path, within)]
        files = _distinct(item, inside)
        if files:
            found.append(_Present(item, files))
    return found


def _distinct(item: Item, paths: Iterable[str]) -> list[PictureFile]:
    """The files behind paths, in order of which to keep; of links and the file itself, the file."""
    found: dict[tuple[int, int], PictureFile] = {}
    for path in sorted(paths, key=lambda one: (os.path.islink(one), len(one), one)):  # noqa: PTH114
        try:
            status = os.stat(path)  # noqa: PTH116  Path takes longer
        except (OSError, ValueError):
            continue
        file = _described(item, Path(path), status)
        found.setdefault((status.st_dev, status.st_ino), file)
    return sorted(found.values(), key=lambda one: one.order)


def _described(item: Item, path: Path, status: os.stat_result) -> PictureFile:
    said = item.metadata
    width, height = (said.get(name, 0) for name in ("width", "height"))
    return PictureFile(
        path=path,
        id=item.id,
        width=int(width) if isinstance(width, int | float) else 0,
        height=int(height) if isinstance(height, int | float) else 0,
        format=str(said.get("format", "")),
        size=status.st_size,
        modified=status.st_mtime,
        original=_originality(said),
    )


def _originality(said: Metadata) -> int:
    kind = said.get("format")
    if kind == "RAW":
        return 0
    if "camera_model" in said:
        return 1
    return 2 if kind in _LOSSLESS else 3


def _is_single(said: Metadata) -> bool:
    """Whether a file is one picture: of others, the first says little of the rest."""
    return not {"moment", "duration", "page"} & said.keys()


def _may_be_one(one: Item, other: Item) -> bool:
    """Whether what the files say of themselves allows that one is a copy of the other."""
    return all(
        one.metadata[name] == other.metadata[name]
        for name in ("taken", "camera_model")
        if name in one.metadata and name in other.metadata
    )


def _group(own: Sequence[PictureFile], near: Sequence[Copy]) -> Group:
    """own: files of the content to keep, the best first."""
    copies = [*(Copy(file, "exact", 1.0) for file in own[1:]), *near]
    nearest = min((copy.file for copy in copies), key=lambda file: file.order)
    return Group(own[0], own[0].better_by(nearest), copies)
