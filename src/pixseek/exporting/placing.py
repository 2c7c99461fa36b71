"""Files of hits, put into another folder: as copies, or as links to where they are."""

from __future__ import annotations

import filecmp
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Literal

from pixseek.exporting import paths_of
from pixseek.records import Hit, Skipped

How = Literal["copy", "link", "hard link"]


@dataclass(slots=True)
class Placed:
    """What became of the files of hits; every file is counted once."""

    new: int = 0
    renamed: int = 0
    """Those of them that got a number, as another file has their name."""
    hard: int = 0
    """Those of them that are hard links."""
    there: int = 0
    """Files that were in the folder already."""
    missing: list[Skipped] = field(default_factory=list["Skipped"])
    """Files that are not there or could not be placed, and why."""


def place(hits: Sequence[Hit], folder: Path, how: How, folders: Sequence[Path] = ()) -> Placed:
    """Put the file of each hit into a folder, which is made when it is not there.

    Nothing that is in the folder is replaced: a name that is taken by another file gets a number.
    What is there already, by an earlier call say, is not put there again. Of a film with several
    moments there is one file. how: "link" makes symbolic links, or hard ones where the system
    has no others. Raises OSError when the folder cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    placed, seen = Placed(), set[Path]()
    for hit in hits:
        paths = paths_of(hit, folders)
        if not paths or seen.intersection(paths):
            continue
        seen.update(paths)
        source = next((path for path in paths if path.is_file()), None)
        if source is None:
            placed.missing.append(Skipped(paths[0], "it is not there"))
            continue
        try:
            _place(source, folder, how, placed)
        except OSError as error:
            placed.missing.append(Skipped(source, error.strerror or str(error)))
    return placed


def _place(source: Path, folder: Path, how: How, placed: Placed) -> None:
    for number, target in _names(folder / source.name):
        if os.path.lexists(target):
            if _is_there(source, target, how):
                placed.there += 1
                return
            continue
        try:
            if how == "copy":
                _copy(source, target)
            else:
                placed.hard += _link(source, target, how)
        except FileExistsError:  # another process was quicker
            continue
        placed.new += 1
        placed.renamed += number > 1
        return


def _names(target: Path) -> Iterator[tuple[int, Path]]:
    """beach.jpg, beach (2).jpg, beach (3).jpg, ..."""
    yield 1, target
    for number in count(2):
        yield number, target.with_name(f"{target.stem} ({number}){target.suffix}")


def _is_there(source: Path, target: Path, how: How) -> bool:
    """Whether what has the name is what would be put there."""
    with suppress(OSError):
        if target.samefile(source):
            return how == "link" or not target.is_symlink()
        return how == "copy" and filecmp.cmp(source, target, shallow=False)
    return False


def _copy(source: Path, target: Path) -> None:
    """The whole file under its name, or none. Raises FileExistsError when the name is taken."""
    handle, half = tempfile.mkstemp(dir=target.parent, prefix=".pixseek-")
    os.close(handle)
    try:
        shutil.copy2(source, half)
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))  # the name is ours
        Path(half).replace(target)
    except BaseException:
        with suppress(OSError):
            Path(half).unlink()
        raise


def _link(source: Path, target: Path, how: How) -> bool:
    """Whether it is a hard one."""
    if how == "link":
        try:
            target.symlink_to(source)
        except FileExistsError:
            raise
        except (OSError, NotImplementedError):  # such as Windows without that right
            pass
        else:
            return False
    target.hardlink_to(source)
    return True
