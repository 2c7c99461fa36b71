"""What was asked to be indexed → what differs between the disk and the library."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

from pixseek.errors import InvalidQuery, MissingPath
from pixseek.files import (
    Changes,
    Found,
    Known,
    compare,
    find,
    is_within,
    is_within_any,
    passed_over,
)
from pixseek.formats import is_readable_now
from pixseek.manifest import Manifest
from pixseek.records import ImageFile, IndexReport, Skipped
from pixseek.sidecars import beside, look_beside

Source: TypeAlias = "str | os.PathLike[str]"


def listed(paths: Source | Iterable[Source]) -> list[Path]:
    """One path or many → many, with ~ expanded where there is such a user (Path raises)."""
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    return [Path(os.path.expanduser(path)) for path in paths]  # noqa: PTH111


def look(
    manifest: Manifest, images: Source | Iterable[Source] | None, report: IndexReport
) -> Found:
    """What the disk has of the paths asked for; what is not there goes into the report.

    images: None stands for everything in the library.
    Raises MissingPath when the one path that was named is not there.
    """
    alone = isinstance(images, str | os.PathLike)
    included = manifest.folders("included")
    wanted = everything(manifest) if images is None else listed(images)
    found = find(wanted, manifest.folders("excluded"), manifest.patterns())
    look_beside(found)
    known = manifest.find(found.absent)
    for path in found.absent:
        if path in included:
            report.missing.append(Path(path))
        elif path in known and Path(path).parent.is_dir():
            continue  # it was deleted
        elif path in known:
            report.missing.append(Path(path))
            found.unreadable.append(path)
        elif alone:
            raise MissingPath(path)
        else:
            report.skipped.append(Skipped(Path(path), "there is no such file"))
    report.missing += [Path(folder) for folder in found.unreadable if folder not in known]
    for folder in found.empty:
        if manifest.known(folder):
            report.missing.append(Path(folder))
            found.unreadable.append(folder)
    return found


def changes(manifest: Manifest, found: Found) -> Changes:
    """What has to be done so that the library equals what was found."""
    known = _known(manifest, found)
    differing = compare(found, known)
    # What was skipped for an extra that is here now is read after all.
    again = {path for path, why in differing.skipped if is_readable_now(why)}
    differing.skipped = [one for one in differing.skipped if one[0] not in again]
    differing.new += [found.files[path] for path in sorted(again)]
    noted = manifest.sidecars.known()
    if found.sidecars or noted:
        _compare_sidecars(differing, found, known, noted)
    # Not gone after all: another process has indexed it since the folders were listed.
    differing.gone = [
        path
        for path in differing.gone
        if is_within_any(path, found.passed_over) or not os.path.isfile(path)  # noqa: PTH113
    ]
    return differing


def _compare_sidecars(
    changes: Changes,
    found: Found,
    known: Mapping[str, Known],
    noted: Mapping[str, ImageFile],
) -> None:
    """Add to the changes what differs in the files beside pictures."""
    read_anyway = {file.path for file in (*changes.new, *changes.changed)}
    for path in found.files:
        now, before = beside(found, path), noted.get(path)
        if path in read_anyway and (now or before):
            changes.sidecars[path] = now
        elif now != before and path in known and known[path].item is not None:
            changes.sidecars[path] = now
            changes.retold.append(path)
    changes.unchanged -= len(changes.retold)


def unsettled(manifest: Manifest, found: Found) -> bool:
    """Whether there is something to write although no file changed."""
    return (
        not all(map(manifest.keeps, found.folders))
        or not set(manifest.folders("excluded")).isdisjoint(found.named)
        or bool(manifest.pending() or manifest.sets("leaving"))
    )


def everything(manifest: Manifest) -> list[Path]:
    """The folders that are kept in step, and the files that were named by themselves."""
    included, excluded = manifest.folders("included"), manifest.folders("excluded")
    left_out = {folder: frozenset(passed_over(folder, excluded)) for folder in included}
    alone = [
        path
        for path in manifest.known()
        if not any(
            is_within(path, folder) and not is_within_any(path, below)
            for folder, below in left_out.items()
        )
    ]
    if not included and not alone:
        raise InvalidQuery("the library has no folders yet; name a folder to index.")
    return [Path(path) for path in [*included, *alone]]


def _known(manifest: Manifest, found: Found) -> dict[str, Known]:
    """What the library remembers of the paths asked for, and of all below them."""
    known = manifest.find(found.named)
    excluded = manifest.folders("excluded")
    for folder in found.folders:
        below = manifest.known(folder)
        left_out = frozenset(passed_over(folder, excluded))
        if left_out:
            below = {p: one for p, one in below.items() if not is_within_any(p, left_out)}
        known.update(below)
    return known
