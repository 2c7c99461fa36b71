"""A library is looked through, mended, copied and put back."""

from __future__ import annotations

import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from pixseek import ImageSearchEngine, lock
from pixseek.care import back_up, check, restore
from pixseek.errors import (
    BackupDamaged,
    LibraryDamaged,
    LibraryInTheWay,
    LibraryLocked,
    LibraryNotFound,
)
from pixseek.manifest import Manifest

Paint = Callable[..., Path]


@pytest.fixture
def filled(engine: ImageSearchEngine, photos: Path, paint: Paint) -> Path:
    """The folder of a library with five pictures in six files."""
    for name in ("red", "blue", "green", "white"):
        paint(f"{name}.png", name)
    paint("half.png", "red", "blue")
    (photos / "copy.png").write_bytes((photos / "red.png").read_bytes())
    engine.index_images(photos)
    return engine.library


def spoil(library: Path, *statements: str) -> None:
    """Change the library's file as only damage would."""
    with closing(sqlite3.connect(library / "library.db")) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def wrongs(library: Path) -> list[str]:
    return [problem.what for problem in check(library).problems]


def test_a_sound_library_is_whole(filled: Path) -> None:
    report = check(filled)
    assert (report.items, report.problems, report.is_whole) == (5, [], True)


def test_an_empty_library_is_whole(engine: ImageSearchEngine) -> None:
    assert check(engine.library).is_whole


def test_a_library_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    for repair in (False, True):
        with pytest.raises(LibraryNotFound):
            check(tmp_path / "none", repair=repair)


DAMAGE = {
    "a vector of length 2": "UPDATE vectors SET vector = {two} WHERE row = 2",
    "a vector that is no number": "UPDATE vectors SET vector = {nan} WHERE row = 2",
    "a vector cut short": "UPDATE vectors SET vector = x'00' WHERE row = 2",
    "a vector lost": "DELETE FROM vectors WHERE row = 2",
    "an item lost": "DELETE FROM items WHERE row = 2",
    "a file forgotten": "DELETE FROM files WHERE path = CAST('photos/blue.png' AS BLOB)",
    "codes lost": "DELETE FROM blocks",
    "codes of others": "UPDATE blocks SET codes = zeroblob(length(codes))",
    "bounds of others": "UPDATE blocks SET bounds = zeroblob(length(bounds))",
    "columns lost": "DELETE FROM fields WHERE field = 'width'",
    "columns of others": "UPDATE fields SET value = 7 WHERE field = 'width'",
    "metadata of others": 'UPDATE items SET metadata = \'{{"path": "x"}}\' WHERE row = 2',
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_found_mended_and_read_again(
    filled: Path, photos: Path, engine: ImageSearchEngine, damage: str
) -> None:
    before = {hit.id: hit.metadata for hit in engine.search_by_text("blue", k=9)}
    engine.close()
    two = np.full(11, 2 / 11**0.5, "<f4").tobytes().hex()
    nan = np.full(11, np.nan, "<f4").tobytes().hex()
    spoil(filled, damage.format(two=f"x'{two}'", nan=f"x'{nan}'"))
    assert not check(filled).is_whole
    report = check(filled, repair=True)
    assert report.problems
    assert report.is_whole
    with ImageSearchEngine(filled) as mended:
        mended.index_images(photos)
        assert check(filled).problems == []
        assert {hit.id: hit.metadata for hit in mended.search_by_text("blue", k=9)} == before
        assert [p.name for p in mended.search_by_text("blue", k=1)[0].paths] == ["blue.png"]
        assert len(mended.search_by_text("blue", k=9, where={"width": 48})) == 5


def test_a_damaged_page_is_named_and_not_mended(filled: Path, engine: ImageSearchEngine) -> None:
    engine.close()
    with closing(sqlite3.connect(filled / "library.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'files_by_item'"
        (page,) = connection.execute(query).fetchone()
    with (filled / "library.db").open("r+b") as file:
        file.seek((page - 1) * 8192 + 8)
        file.write(b"\xff" * 64)
    report = check(filled, repair=True)
    assert not report.is_whole
    assert "restore a backup" in report.problems[0].cure


def test_what_a_writer_is_about_to_finish_is_no_problem(filled: Path) -> None:
    with closing(Manifest(filled, create=False)) as manifest:
        (item,) = [k.item for p, k in manifest.known().items() if p.endswith("blue.png")]
        assert item is not None
        manifest.mark_pending([item])
        manifest.record([], forget=[p for p in manifest.known() if p.endswith("blue.png")])
    assert check(filled).is_whole


def test_mending_waits_for_a_writer_and_looking_does_not(filled: Path) -> None:
    with lock.writing(filled, wait_s=0):
        assert check(filled).is_whole
        with pytest.raises(LibraryLocked):
            check(filled, repair=True)


# Copies


def found(library: Path) -> list[tuple[str, list[Path]]]:
    with ImageSearchEngine(library) as engine:
        return [(hit.id, hit.paths) for hit in engine.search_by_text("red", k=9)]


def test_a_backup_puts_a_library_back_as_it_was(
    filled: Path, engine: ImageSearchEngine, photos: Path, tmp_path: Path
) -> None:
    before = found(filled)
    assert back_up(filled, tmp_path / "copy.pixseek") > 10_000
    engine.remove(photos)
    assert found(filled) == []
    engine.close()
    restore(tmp_path / "copy.pixseek", filled, replace=True)
    assert found(filled) == before
    assert check(filled).is_whole
    aside = filled.with_name("library.before-restore-1")
    assert found(aside) == []
    with ImageSearchEngine(filled) as again:
        again.index_images(photos)
        assert again.index_images(photos).unchanged == 6


def test_a_backup_is_taken_while_another_process_writes(filled: Path, tmp_path: Path) -> None:
    with lock.writing(filled, wait_s=0):
        back_up(filled, tmp_path / "copy")
    restore(tmp_path / "copy", tmp_path / "other" / "library")
    copied, original = found(tmp_path / "other" / "library"), found(filled)
    assert [id for id, _ in copied] == [id for id, _ in original]


def test_a_library_that_was_switched_is_backed_up_with_its_vectors(
    filled: Path, engine: ImageSearchEngine, tmp_path: Path
) -> None:
    engine.switch_model("pocket")
    before = found(filled)
    back_up(filled, tmp_path / "copy")
    restore(tmp_path / "copy", tmp_path / "library 2")
    assert found(tmp_path / "library 2") == before
    assert check(tmp_path / "library 2").is_whole
    with lock.writing(filled, wait_s=0), pytest.raises(LibraryLocked):
        back_up(filled, tmp_path / "another")


def test_a_library_is_not_put_over_another_unasked(filled: Path, tmp_path: Path) -> None:
    back_up(filled, tmp_path / "copy")
    with pytest.raises(LibraryInTheWay, match="put it aside"):
        restore(tmp_path / "copy", filled)


def test_what_is_no_backup_is_refused_and_the_library_stays(filled: Path, tmp_path: Path) -> None:
    back_up(filled, tmp_path / "copy")
    whole = (tmp_path / "copy").read_bytes()
    bad = {
        "text": b"no backup",
        "cut": whole[: len(whole) // 2],
        "damaged": whole[:9000] + bytes(255 - b for b in whole[9000:9500]) + whole[9500:],
    }
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BackupDamaged, match="cannot be restored"):
            restore(tmp_path / name, filled, replace=True)
    for names in (["other.txt"], ["library.db", "../outside/library.db"]):
        with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
            for name in names:
                archive.writestr(name, b"")
        with pytest.raises(BackupDamaged, match="it does not hold a library"):
            restore(tmp_path / "zip", filled, replace=True)
    with pytest.raises(BackupDamaged, match="No such file"):
        restore(tmp_path / "none", filled, replace=True)
    assert len(found(filled)) == 5
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".pixseek")] == []


def test_a_backup_that_cannot_be_written_leaves_nothing_behind(
    filled: Path, tmp_path: Path
) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(LibraryDamaged, match="the backup cannot be written"):
        back_up(filled, tmp_path / "taken")
    assert not (tmp_path / "taken.half").exists()
    with pytest.raises(LibraryNotFound):
        back_up(tmp_path / "none", tmp_path / "copy")
