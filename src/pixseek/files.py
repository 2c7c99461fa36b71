"""Folders → which picture files are there, and what changed since last time."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pixseek.formats import EXTENSIONS, extension_of
from pixseek.ignoring import Rules, inner_rules, outer_rules, rules_of
from pixseek.records import ImageFile

SKIPPED_FOLDERS = frozenset(
    {
        *("@eadir", "#recycle", "#snapshot"),  # Synology
        *("@__thumb", "@recycle", "@recently-snapshot"),  # QNAP
        *("$recycle.bin", "system volume information", "lost+found"),
    }
)
"""Folders that systems make and fill with thumbnails or rubbish; compared in lower case."""
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
_PREVIEWS = ".lrdata"  # Lightroom's
_PHOTOS = ".photoslibrary"  # Apple's: all but the originals are made of them
_ORIGINALS = frozenset({"originals", "masters"})


class Known(NamedTuple):
    """What the library remembers of a file."""

    size: int
    modified_ns: int
    item: str | None
    """Id of its content; None when it could not be read."""
    skipped: str | None
    """Why it could not be read."""


@dataclass(slots=True)
class Found:
    """What the disk has of the paths that were asked for. All paths are absolute."""

    folders: list[str] = field(default_factory=list[str])
    files: dict[str, ImageFile] = field(default_factory=dict[str, ImageFile])
    named: list[str] = field(default_factory=list[str])
    """Single files that were asked for, there or not."""
    absent: list[str] = field(default_factory=list[str])
    """Paths asked for of which the disk has nothing."""
    unreadable: list[str] = field(default_factory=list[str])
    """Folders that cannot be listed, and files of which nothing can be learned; what is known of
    them, and below, must not be taken for deleted."""
    passed_over: set[str] = field(default_factory=set[str])
    """Files and folders that are there, but left out by a rule."""
    sidecars: dict[str, ImageFile] = field(default_factory=dict[str, ImageFile])
    """XMP files, by their paths without the extension."""
    empty: list[str] = field(default_factory=list[str])
    """Folders asked for in which there is nothing at all, as in the place of a drive that is not
    mounted."""


@dataclass(slots=True)
class Changes:
    """What has to be done so that the library equals the disk. All paths are absolute."""

    new: list[ImageFile] = field(default_factory=list[ImageFile])
    changed: list[ImageFile] = field(default_factory=list[ImageFile])
    unchanged: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Files known to be unreadable, as they were: (path, reason)."""
    gone: list[str] = field(default_factory=list[str])
    sidecars: dict[str, ImageFile | None] = field(default_factory=dict[str, "ImageFile | None"])
    """Pictures whose sidecar is to be read, or (None) has gone."""
    retold: list[str] = field(default_factory=list[str])
    """Those of them that are as they were themselves."""

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.new or self.changed or self.gone or self.retold)


def absolute(path: str | os.PathLike[str]) -> str:
    """A path as people write it → absolute, '/' separated, ~ expanded, links kept."""
    expanded = os.path.expanduser(path)  # noqa: PTH111  Path raises for unknown users
    return os.path.abspath(expanded).replace(os.sep, "/")  # noqa: PTH100  Path keeps '..'


def is_within(path: str, folder: str) -> bool:
    """Whether an absolute path is the folder or lies below it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


@dataclass(frozen=True, slots=True)
class Base:
    """Translates absolute paths to the portable form they are stored in, and back.

    Files below the folder that holds the library are stored relative to it, so that library and
    photos can move together; all others are stored absolute. Separators are always '/'.
    """

    folder: Path

    @property
    def prefix(self) -> str:
        """What absolute paths begin with that are stored without it."""
        return self.folder.as_posix().rstrip("/") + "/"

    def portable(self, path: str | os.PathLike[str]) -> str:
        """A path as people write it → its stored form; the folder itself is '.'."""
        full = absolute(path)
        if full.rstrip("/") + "/" == self.prefix:
            return "."
        return full.removeprefix(self.prefix)

    def absolute(self, portable: str) -> str:
        """A stored path → where the file is now."""
        if portable == ".":
            return self.folder.as_posix()
        return portable if os.path.isabs(portable) else self.prefix + portable  # noqa: PTH117  fast


def is_within_any(path: str, folders: Set[str]) -> bool:
    """Whether an absolute path is one of the folders or lies below one, however many there are."""
    while path not in folders:
        above = path.rpartition("/")[0]
        if not above:
            return "/" in folders
        path = above
    return True


def passed_over(folder: str, excluded: Iterable[str]) -> list[str]:
    """Which excluded paths are left out when this folder is asked for: those below it."""
    return [path for path in excluded if path != folder and is_within(path, folder)]


def reads(folder: str, path: str, excluded: Iterable[str]) -> bool:
    """Whether reading a folder reaches a path below it: nothing between is taken out."""
    return is_within(path, folder) and not any(
        is_within(path, one) for one in passed_over(folder, excluded)
    )


def find(paths: Iterable[Path], excluded: Sequence[str], patterns: Sequence[str] = ()) -> Found:
    """Every picture file below the folders among `paths`, and the files among them.

    excluded: absolute paths to pass over, unless they are asked for themselves.
    patterns: rules for what else to pass over, relative to each folder; see `ignoring`.
    """
    found = Found()
    for path in paths:
        full = absolute(path)
        if os.path.isdir(full):  # noqa: PTH112  Path raises for names that are too long
            found.folders.append(full)
            left_out = frozenset(passed_over(full, excluded))
            rules = outer_rules(full, rules_of(full, patterns, None))
            for file in scan(full, found.unreadable, rules, found.passed_over, found.sidecars):
                if not left_out or not is_within_any(file.path, left_out):
                    found.files[file.path] = file
            if full not in found.unreadable and not os.listdir(full):  # noqa: PTH208
                found.empty.append(full)
            continue
        found.named.append(full)
        named = image_file(full, partial(os.stat, full))
        if named is None:
            found.absent.append(full)
        else:
            found.files[full] = named
    return found


def scan(
    folder: str,
    unreadable: list[str],
    rules: Rules | None = None,
    passed_over: set[str] | None = None,
    sidecars: dict[str, ImageFile] | None = None,
) -> Iterator[ImageFile]:
    """Every picture file below a folder, in no order, as the disk lists them.

    folder: an absolute path, '/' separated.
    Hidden files and folders, those that systems fill themselves, and what the rules and
    `.pixseekignore` files say, are passed over; links to folders are not followed. Folders that
    cannot be listed are appended to `unreadable`: what the library knows below them must not be
    taken for deleted. What a rule leaves out is added to `passed_over`, and XMP files, by their
    paths without the extension, to `sidecars`.
    """
    waiting = [(folder, rules)]
    while waiting:
        current, outer = waiting.pop()
        here = inner_rules(current, outer)
        prefix = current.rstrip("/") + "/"
        try:
            with os.scandir(current) as entries:
                for entry in entries:
                    name = entry.name
                    if name.startswith("."):
                        continue
                    found = None
                    if extension_of(name) in EXTENSIONS:
                        found = image_file(prefix + name, entry.stat, unreadable)
                    is_folder = found is None and entry.is_dir(follow_symlinks=False)
                    if here is not None and here.ignore(prefix + name, is_folder=is_folder):
                        if passed_over is not None:
                            passed_over.add(prefix + name)
                    elif found is not None:
                        yield found
                    elif is_folder and _is_of_people(current, name):
                        waiting.append((prefix + name, here))
                    elif sidecars is not None and extension_of(name) == "xmp":
                        sidecar = image_file(prefix + name, entry.stat)
                        base = prefix + name[:-4]
                        if sidecar is not None and sidecars.get(base, sidecar) <= sidecar:
                            sidecars[base] = sidecar  # of a.XMP and a.xmp always the same
        except OSError:
            unreadable.append(current)


def _is_of_people(folder: str, name: str) -> bool:
    """Whether a folder holds what people put there, and not what programs made of it."""
    name = name.lower()
    if name in SKIPPED_FOLDERS or name.endswith(_PREVIEWS):
        return False
    return name in _ORIGINALS or not folder.lower().endswith(_PHOTOS)


def image_file(
    path: str, status: Callable[[], os.stat_result], unreadable: list[str] | None = None
) -> ImageFile | None:
    """None for what is gone again or is not a regular file (reading a pipe would block).

    One that may be there, but of which nothing can be learned now, is appended to `unreadable`.
    """
    try:
        result = status()
    except OSError as error:
        if unreadable is not None and error.errno not in _GONE:
            unreadable.append(path)
        return None
    except ValueError:
        return None
    if not stat.S_ISREG(result.st_mode):
        return None
    # A file system may hold times that no 64-bit column can.
    modified_ns = max(-(1 << 63), min(result.st_mtime_ns, (1 << 63) - 1))
    return ImageFile(path, result.st_size, modified_ns)


def compare(found: Found, known: Mapping[str, Known]) -> Changes:
    """What differs between the disk and the library, by size and modified time.

    known: what the library has of the same paths; what is known and was not found is gone, unless
    it lies where nothing can be read now.
    """
    changes = Changes()
    for path, file in found.files.items():
        before = known.get(path)
        if before is None:
            changes.new.append(file)
        elif (before.size, before.modified_ns) != (file.size, file.modified_ns):
            changes.changed.append(file)
        elif before.skipped is not None:
            changes.skipped.append((path, before.skipped))
        else:
            changes.unchanged += 1
    changes.gone = [
        path
        for path in known
        if path not in found.files
        and not any(is_within(path, folder) for folder in found.unreadable)
    ]
    return changes
