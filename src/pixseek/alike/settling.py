"""Copies out of the way: moved to a folder, or made hard links of the one that is kept.

Nothing is deleted. Whatever a group says, a file is only touched when it and the one to keep still
hold what they held, and what is moved to another disk is read there before it goes here.
"""

from __future__ import annotations

import errno
import filecmp
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pixseek.alike import Copy, Group, PictureFile
from pixseek.engine import ImageSearchEngine
from pixseek.errors import MissingPath, UnreadableImage
from pixseek.files import absolute, image_file, is_within
from pixseek.records import Skipped
from pixseek.sync import Source
from pixseek.workers import identified

ANY_SIZE = 1 << 62
_CHANGED = "it has changed since it was indexed; index it again"
_KEPT_CHANGED = "the one to keep has changed since it was indexed; index it again"


@dataclass(frozen=True, slots=True)
class Settled:
    """A copy that was moved or linked."""

    before: Path
    after: Path
    """Where it is now; of one that was linked, the file that it is a name of."""


@dataclass(slots=True)
class SettleReport:
    """What became of copies."""

    settled: list[Settled] = field(default_factory=list[Settled])
    size_bytes: int = 0
    """What these took where they were."""
    skipped: list[Skipped] = field(default_factory=list["Skipped"])
    """Copies that are as and where they were, and why."""


def move_away(engine: ImageSearchEngine, groups: Iterable[Group], folder: Source) -> SettleReport:
    """Move every copy into a folder, which is made if need be; those to keep stay.

    A name that is taken there gets a number. What was moved leaves the library and stays out of it,
    also where the folder lies in one that is kept in step. Interrupted, it has moved some and the
    library knows. Raises MissingPath when the folder cannot be made.
    """
    target = Path(absolute(folder))
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MissingPath(target, "a folder, or a place for one") from error
    report = SettleReport()
    try:
        for copy, reason in _judged(groups):
            source = copy.file.path
            if reason is None and is_within(source.as_posix(), target.as_posix()):
                reason = "it is in that folder already"
            try:
                if reason is None:
                    after = _move(copy.file, target)
                    report.settled.append(Settled(source, after))
                    report.size_bytes += copy.file.size
                    continue
            except (OSError, UnreadableImage) as error:
                reason = f"it cannot be moved ({error})"
            report.skipped.append(Skipped(source, reason))
    finally:
        if report.settled:
            engine.index_images([one.before for one in report.settled])
            engine.remove([one.after for one in report.settled])
    return report


def link(engine: ImageSearchEngine, groups: Iterable[Group]) -> SettleReport:
    """Make every exact copy a hard link of the one to keep: one file with several names.

    Only copies on the same disk can be. What is changed through one name afterwards is changed
    under all. Near copies are left alone.
    """
    report = SettleReport()
    exact = [
        Group(one.keep, one.why, [copy for copy in one.copies if copy.kind == "exact"])
        for one in groups
    ]
    keeps = {copy.file.path: one.keep.path for one in exact for copy in one.copies}
    try:
        for copy, reason in _judged(exact):
            path = copy.file.path
            try:
                if reason is None:
                    _link(path, keeps[path])
                    report.settled.append(Settled(path, keeps[path]))
                    report.size_bytes += copy.file.size
                    continue
            except OSError as error:
                reason = f"it cannot be linked ({error.strerror or error})"
            report.skipped.append(Skipped(path, reason))
    finally:
        if report.settled:
            engine.index_images([one.before for one in report.settled])
    return report


def _judged(groups: Iterable[Group]) -> Iterator[tuple[Copy, str | None]]:
    """Every copy, and why it must not be touched, or None. Judged right before it is."""
    for group in groups:
        for copy in group.copies:
            reason = None if _holds(group.keep) else _KEPT_CHANGED
            if reason is None and copy.file.path.is_symlink():
                reason = "it is a link to a file elsewhere"
            if reason is None and not _holds(copy.file):
                reason = _CHANGED
            yield copy, reason


def _holds(file: PictureFile) -> bool:
    """Whether a file still has its content."""
    now = image_file(str(file.path), file.path.stat)
    try:
        return now is not None and identified(now, ANY_SIZE)[1] == file.id
    except UnreadableImage:
        return False


def _move(file: PictureFile, target: Path) -> Path:
    """Move a file into a folder; returns where it is. What goes wrong leaves it where it was."""
    place = _reserved(target, file.path.name)
    try:
        try:
            file.path.replace(place)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _carry(file, place)
    except BaseException:
        with suppress(OSError):
            if file.path.exists():
                place.unlink()
        raise
    return place


def _carry(file: PictureFile, place: Path) -> None:
    """Move a file to another disk: written, read again and compared before it goes."""
    shutil.copy2(file.path, place)
    with place.open("rb+") as written:
        os.fsync(written.fileno())
    now = image_file(str(place), place.stat)
    if now is None or identified(now, ANY_SIZE)[1] != file.id:
        raise UnreadableImage(place, "what was written there is not what was to be moved")
    file.path.unlink()


def _reserved(folder: Path, name: str) -> Path:
    """An empty new file in the folder, of this name or, where it is taken, with a number."""
    stem, end = os.path.splitext(name)  # noqa: PTH122  Path takes names apart otherwise
    number = 1
    while True:
        place = folder / (name if number == 1 else f"{stem}-{number}{end}")
        try:
            place.open("xb").close()
        except FileExistsError:
            number += 1
        else:
            return place


def _link(path: Path, keep: Path) -> None:
    """Replace a file by a link of another that holds the same, in one step."""
    half = _reserved(path.parent, f".{path.name}.pixseek")
    half.unlink()
    os.link(keep, half)
    try:
        if not filecmp.cmp(path, half, shallow=False):
            raise OSError(errno.EBUSY, "it has just been changed")
        half.replace(path)
    except BaseException:
        with suppress(OSError):
            half.unlink()
        raise
