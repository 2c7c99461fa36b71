"""Looking after a library: is it whole, what can be mended, and copies of it while it is in use."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from pixseek import lock
from pixseek.database import FILE_NAME, Database
from pixseek.errors import (
    BackupDamaged,
    InvalidVectors,
    LibraryDamaged,
    LibraryInTheWay,
    LibraryNotFound,
)
from pixseek.manifest import Manifest, VectorSet
from pixseek.metadata import FILE_FIELDS, file_fields, merge
from pixseek.moments import content_of
from pixseek.records import CareReport, Item, Problem
from pixseek.stores import Store, check_items, open_store
from pixseek.stores.local import LocalStore
from pixseek.stores.local_care import examine

ITEMS_AT_ONCE = 1000
_ALWAYS_KNOWN = frozenset({"width", "height", "format"})


def check(folder: Path, *, repair: bool = False, wait_s: float = 0.0) -> CareReport:
    """Look through a library for what cannot be right.

    repair: mend what can be, under the writer lock (wait_s: how long to wait for it). What the
    pictures themselves still tell is forgotten, so that the next indexing reads them again.
    Raises LibraryNotFound, LibraryLocked; LibraryDamaged when its file cannot be opened at all.
    """
    if not repair:
        return _check(folder, repair=False)
    if not (folder / FILE_NAME).exists():
        raise LibraryNotFound(folder)
    with lock.writing(folder, wait_s=wait_s):
        return _check(folder, repair=True)


def _check(folder: Path, *, repair: bool) -> CareReport:
    report = CareReport()
    with closing(Manifest(folder, create=False)) as manifest, _store(manifest, folder) as store:
        for reason in _file_damage(folder, manifest.current()):
            report.problems.append(Problem(reason, "restore a backup, or index anew"))
        if isinstance(store, LocalStore) and not report.problems:
            found = examine(store, repair=repair)
            report.problems += [_problem("the search index", why, repair) for why in found]
        if any(not one.repaired for one in report.problems):
            return report  # what else such a file says cannot be judged, nor mended
        report.problems += _examine_items(manifest, store, report, repair=repair)
        report.problems += _examine_files(manifest, store, repair=repair)
    return report


@contextmanager
def _store(manifest: Manifest, folder: Path) -> Iterator[Store]:
    stamp = manifest.current()
    if stamp is None:
        raise LibraryNotFound(folder)
    with closing(open_store(stamp.store, folder, None)) as store:
        yield store


def _file_damage(folder: Path, stamp: VectorSet | None) -> list[str]:
    """What SQLite finds wrong with the library's files."""
    found = []
    for path in _databases(folder, stamp):
        try:
            with closing(Database(path.parent, create=False)) as database:
                found += [f"{path}: {line}" for line in database.damage()]
        except LibraryDamaged as error:  # so much that it cannot be looked through
            found.append(f"{path}: {error.reason}")
    return found


def _databases(folder: Path, stamp: VectorSet | None) -> list[Path]:
    """The library's own file, and those of its sets of vectors."""
    name, _, place = (stamp.store if stamp else "").partition(":")
    paths = [folder / FILE_NAME]
    if name == "local" and place:
        paths.append(folder / place / FILE_NAME)
    return paths


def _examine_items(
    manifest: Manifest, store: Store, report: CareReport, *, repair: bool
) -> list[Problem]:
    """Items whose vector is no unit vector, or that no file holds, or that say the wrong files."""
    problems = []
    remaining = store.ids()
    while ids := list(islice(remaining, ITEMS_AT_ONCE)):
        files = manifest.files_of(ids)
        moments = manifest.moments_of(dict.fromkeys(map(content_of, ids)))
        changing = set(manifest.pending())  # by a writer that is at work, or was cut off
        bad, orphans, wrong = [], [], {}
        for item in store.fetch(ids):
            content = content_of(item.id)
            report.items += 1
            if not _is_whole(item, store):
                bad.append(item.id)
            elif content in changing:
                continue  # the next indexing brings it in step
            elif not files[item.id] or item.id not in (content, *moments.get(content, ())):
                orphans.append(item.id)
            else:
                paths = [manifest.base.portable(entry.path) for entry in files[item.id]]
                now = file_fields(
                    paths, files[item.id][0].size, [e.modified_ns for e in files[item.id]]
                )
                kept = {k: v for k, v in item.metadata.items() if k not in FILE_FIELDS}
                if merge(kept, now) != item.metadata:
                    wrong[item.id] = merge(kept, now)
        if repair:
            _take_out(manifest, store, bad)
            store.delete(orphans)
            store.update_metadata(wrong)
        problems += [_problem(id, "its vector or metadata is not whole", repair) for id in bad]
        problems += [_problem(id, "no file holds it", repair) for id in orphans]
        problems += [_problem(id, "it names other files than hold it", repair) for id in wrong]
    return problems


def _take_out(manifest: Manifest, store: Store, items: Sequence[str]) -> None:
    """Forget the contents of these items, all pictures of them, so that they are read again."""
    contents = list(dict.fromkeys(map(content_of, items)))
    store.delete(contents)
    store.delete([one for some in manifest.moments_of(contents).values() for one in some])
    files = manifest.files_of(contents)
    manifest.record([], forget=[entry.path for some in files.values() for entry in some])


def _examine_files(manifest: Manifest, store: Store, *, repair: bool) -> list[Problem]:
    """Files whose content is said to be in the store, and is not, or not all of it."""
    stored = set(store.ids())
    known = manifest.known()
    contents = dict.fromkeys(one.item for one in known.values() if one.item is not None)
    moments = manifest.moments_of(contents)
    lost = [
        content
        for content in contents
        if not stored.issuperset([content, *moments.get(content, ())])
    ]
    leaving = set(lost)
    paths = [path for path, one in known.items() if one.item in leaving]
    if repair:
        _take_out(manifest, store, lost)
    return [_problem(path, "its vector is not in the store", repair) for path in paths]


def _is_whole(item: Item, store: Store) -> bool:
    """Whether it has a vector of length 1, and what every picture says of itself."""
    try:
        check_items([item], store.space.dimensions)
    except InvalidVectors:
        return False
    return item.metadata.keys() >= _ALWAYS_KNOWN


def _problem(what: str, why: str, repaired: bool) -> Problem:
    cure = "mended; index to read again what is missing" if repaired else "pixseek doctor --repair"
    return Problem(f"{what}: {why}", cure, repaired=repaired)


# Copies


def back_up(folder: Path, file: Path, *, wait_s: float = 0.0) -> int:
    """Write a library, as it is at one moment, into one file; returns its size in bytes.

    Others may search meanwhile, and index too unless the library has been switched to another
    model: then the backup waits (wait_s) for a writer, and writers for it. Vectors in another
    store than `local` are not in it.
    Raises LibraryLocked, LibraryNotFound; LibraryDamaged when the file cannot be written.
    """
    with closing(Manifest(folder, create=False)) as manifest:
        stamp = manifest.current()
    half = file.with_name(file.name + ".half")
    paths = _databases(folder, stamp)
    # One file is copied as of one moment; several belong together only while nobody writes.
    quiet = lock.writing(folder, wait_s=wait_s) if len(paths) > 1 else nullcontext()
    try:
        with (
            quiet,
            TemporaryDirectory(dir=file.parent, prefix=".pixseek-") as place,
            zipfile.ZipFile(half, "w", zipfile.ZIP_STORED) as archive,
        ):
            for path in paths:
                copy = Path(place) / FILE_NAME
                with closing(Database(path.parent, create=False)) as database:
                    database.copy_to(copy)
                archive.write(copy, path.relative_to(folder).as_posix())
                copy.unlink()
        half.replace(file)
    except OSError as error:
        with suppress(OSError):
            half.unlink()
        raise LibraryDamaged(file, f"the backup cannot be written ({error})") from error
    return file.stat().st_size


def restore(file: Path, folder: Path, *, replace: bool = False, wait_s: float = 0.0) -> None:
    """Put a backup in a library's place.

    replace: a library that is there is put aside, as `FOLDER.before-restore`.
    Raises BackupDamaged for a file that is no whole backup, LibraryInTheWay, LibraryLocked.
    """
    if (folder / FILE_NAME).exists() and not replace:
        raise LibraryInTheWay(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=".pixseek-") as place:
        made = Path(place) / "library"
        _unpack(file, made)
        if not folder.exists():
            made.replace(folder)
            return
        with lock.writing(folder, wait_s=wait_s):
            aside = _free(folder)
            folder.replace(aside)
            made.replace(folder)


def _unpack(file: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            if FILE_NAME not in names or any(not _is_ours(name) for name in names):
                raise BackupDamaged(file, "it does not hold a library")
            if (broken := archive.testzip()) is not None:
                raise BackupDamaged(file, f"{broken} in it is not whole")
            archive.extractall(folder)
    except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
        raise BackupDamaged(file, str(error)) from error
    with closing(Manifest(folder, create=False)) as manifest:
        damage = _file_damage(folder, manifest.current())
    if damage:
        raise BackupDamaged(file, damage[0])


def _is_ours(name: str) -> bool:
    parts = name.split("/")
    return parts[-1] == FILE_NAME and ".." not in parts and not name.startswith("/")


def _free(folder: Path) -> Path:
    """A name beside the folder that nothing has yet."""
    for number in range(1, 10_000):
        aside = folder.with_name(f"{folder.name}.before-restore-{number}")
        if not os.path.lexists(aside):
            return aside
    raise LibraryInTheWay(folder)
