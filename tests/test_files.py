"""Which files are there, what they are called in the library, and what changed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pixseek.files import Base, Changes, Found, Known, compare, find, is_within, scan
from pixseek.records import ImageFile


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def names(folder: Path) -> list[str]:
    """What scan finds, relative to the folder, in order; nothing may be unreadable."""
    unreadable: list[str] = []
    found = sorted(os.path.relpath(file.path, folder) for file in scan(str(folder), unreadable))
    assert unreadable == []
    return found


# Paths as they are stored


def test_what_lies_beside_the_library_is_stored_relative_and_all_else_absolute() -> None:
    base = Base(Path("/home/ann/photos"))
    assert base.portable("/home/ann/photos/2019/a.jpg") == "2019/a.jpg"
    assert base.portable("/home/ann/photos") == "."
    assert base.portable("/home/ann/photos/") == "."
    assert base.portable("/home/ann") == "/home/ann"
    assert base.portable("/home/ann/photos2/a.jpg") == "/home/ann/photos2/a.jpg"
    assert base.portable("/elsewhere/a.jpg") == "/elsewhere/a.jpg"


def test_dots_double_slashes_and_slashes_at_the_end_make_no_other_path() -> None:
    base = Base(Path("/home/ann/photos"))
    for way in (
        "/home/ann/photos/./a//b/",
        "/home/ann/photos/c/../a/b",
        "/home/bob/../ann/photos/a/b",
    ):
        assert base.portable(way) == "a/b"
    assert base.portable("/home/ann/photos/../x") == "/home/ann/x"


def test_a_relative_path_is_relative_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photos").mkdir()
    base = Base(tmp_path)
    monkeypatch.chdir(tmp_path / "photos")
    assert base.portable("a.jpg") == "photos/a.jpg"
    assert base.portable("..") == "."
    assert base.portable("../../x") == str(tmp_path.parent / "x")


def test_a_tilde_is_the_home_folder(own_home: Path) -> None:
    assert Base(own_home).portable("~/a.jpg") == "a.jpg"
    assert Base(own_home / "library").portable("~/a.jpg") == str(own_home / "a.jpg")


def test_a_library_in_the_root_folder_stores_everything_relative() -> None:
    base = Base(Path("/"))
    assert base.portable("/photos/a.jpg") == "photos/a.jpg"
    assert base.portable("/") == "."
    assert base.absolute("photos/a.jpg") == "/photos/a.jpg"


@pytest.mark.parametrize(
    "path", ["a.jpg", "deep/er/b.jpg", "../beside/c.jpg", "ünï çødé/日本.png", "odd\udcff.jpg"]
)
def test_a_stored_path_leads_back_to_the_file(tmp_path: Path, path: str) -> None:
    base = Base(tmp_path / "base")
    absolute = os.path.normpath(tmp_path / "base" / path)
    assert base.absolute(base.portable(absolute)) == absolute


def test_a_folder_holds_itself_and_what_is_below_but_not_what_begins_alike() -> None:
    assert is_within("/a/b", "/a")
    assert is_within("/a", "/a")
    assert is_within("/a/b/c", "/a/")
    assert is_within("/x/y", "/")
    assert not is_within("/ab/c", "/a")
    assert not is_within("/a", "/a/b")
    assert not is_within("/x/yz", "/x/y")


# What a folder holds


def test_pictures_are_found_by_extension_at_any_depth(photos: Path) -> None:
    touch(photos / "a.jpg", photos / "B.JPEG", photos / "x/y/z/c.PnG", photos / "x/d.webp")
    touch(photos / "notes.txt", photos / "song.mp3", photos / "e.jpg.part")
    assert names(photos) == ["B.JPEG", "a.jpg", "x/d.webp", "x/y/z/c.PnG"]


def test_a_name_that_is_only_an_extension_is_not_a_picture(photos: Path) -> None:
    touch(photos / "jpg", photos / "a.jpg")
    assert names(photos) == ["a.jpg"]


def test_what_is_found_has_size_and_time(photos: Path) -> None:
    touch(photos / "a.jpg")
    os.utime(photos / "a.jpg", ns=(5, 1_234_567_890_123_456_789))
    assert list(scan(str(photos), [])) == [
        ImageFile(f"{photos}/a.jpg", 1, 1_234_567_890_123_456_789)
    ]


def test_hidden_and_system_folders_are_passed_over(photos: Path) -> None:
    touch(photos / ".hidden.jpg", photos / ".thumbnails/a.jpg", photos / "@eaDir/b.jpg")
    touch(photos / "$RECYCLE.BIN/c.jpg", photos / "#recycle/d.jpg", photos / "x/@EADIR/e.jpg")
    touch(photos / "System Volume Information/f.jpg", photos / "eaDir/kept.jpg")
    assert names(photos) == ["eaDir/kept.jpg"]


def test_a_hidden_folder_that_is_asked_for_itself_is_read(photos: Path) -> None:
    touch(photos / ".private/a.jpg")
    assert names(photos / ".private") == ["a.jpg"]


def test_links_to_files_are_followed_and_links_to_folders_are_not(photos: Path) -> None:
    touch(photos.parent / "other/a.jpg", photos / "real/b.jpg")
    (photos / "link.jpg").symlink_to(photos.parent / "other/a.jpg")
    (photos / "folder").symlink_to(photos.parent / "other")
    (photos / "folder.jpg").symlink_to(photos.parent / "other")
    assert names(photos) == ["link.jpg", "real/b.jpg"]


def test_a_folder_that_is_a_link_is_read_when_asked_for(tmp_path: Path) -> None:
    touch(tmp_path / "other/a.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "other")
    found = find([tmp_path / "link"], [])
    assert found.folders == [f"{tmp_path}/link"]
    assert list(found.files) == [f"{tmp_path}/link/a.jpg"]


def test_links_in_a_circle_and_links_to_nothing_do_no_harm(photos: Path) -> None:
    touch(photos / "a.jpg", photos / "x/b.jpg")
    (photos / "x/up").symlink_to(photos)
    (photos / "loop.jpg").symlink_to(photos / "loop.jpg")
    (photos / "gone.jpg").symlink_to(photos / "nothing.jpg")
    assert names(photos) == ["a.jpg", "x/b.jpg"]


def test_pipes_and_folders_named_like_pictures_are_not_taken_for_files(photos: Path) -> None:
    os.mkfifo(photos / "pipe.jpg")
    touch(photos / "folder.jpg/a.jpg")
    assert names(photos) == ["folder.jpg/a.jpg"]
    found = find([photos / "pipe.jpg"], [])
    assert (found.absent, found.files) == ([f"{photos}/pipe.jpg"], {})


@contextmanager
def refusing(monkeypatch: pytest.MonkeyPatch, refused: Path) -> Iterator[None]:
    """Listing one folder fails, as it does for who may not read it (root always may)."""
    real = os.scandir

    def scandir(path: Path) -> Iterator[os.DirEntry[str]]:
        if Path(path) == refused:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", scandir)
        yield


def test_a_folder_that_cannot_be_listed_is_named_and_the_rest_is_read(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(photos / "a/1.jpg", photos / "b/2.jpg", photos / "c/3.jpg", photos / "b/d/4.jpg")
    unreadable: list[str] = []
    with refusing(monkeypatch, photos / "b"):
        found = {os.path.relpath(file.path, photos) for file in scan(str(photos), unreadable)}
    assert found == {"a/1.jpg", "c/3.jpg"}
    assert unreadable == [f"{photos}/b"]


def test_nothing_below_a_folder_that_cannot_be_listed_is_gone(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(photos / "a/1.jpg", photos / "b/2.jpg")
    known = {
        path: Known(file.size, file.modified_ns, "id", None)
        for path, file in find([photos], []).files.items()
    }
    deleted = [f"{photos}/a/deleted.jpg", f"{photos}/b2.jpg"]
    known |= dict.fromkeys(deleted, Known(1, 1, "id", None))
    with refusing(monkeypatch, photos / "b"):
        found = find([photos], [])
    assert found.unreadable == [f"{photos}/b"]
    assert sorted(compare(found, known).gone) == deleted


def test_a_folder_that_vanishes_while_it_is_read_is_unreadable_and_not_an_error(
    photos: Path,
) -> None:
    touch(photos / "a.jpg", photos / "x/b.jpg")
    unreadable: list[str] = []
    scanned = scan(str(photos), unreadable)
    assert next(scanned).path == f"{photos}/a.jpg"
    shutil.rmtree(photos / "x")
    assert list(scanned) == []
    assert set(unreadable) <= {f"{photos}/x"}


def test_a_file_that_vanishes_while_its_folder_is_read_is_passed_over(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(photos / "a.jpg")
    real = os.scandir

    @contextmanager
    def scandir(path: Path) -> Iterator[list[os.DirEntry[str]]]:
        with real(path) as entries:
            listed = list(entries)
        (photos / "a.jpg").unlink()
        yield listed

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", scandir)
        assert names(photos) == []


def test_five_thousand_files_are_each_found_once(photos: Path) -> None:
    expected = set()
    for folder in range(50):
        (photos / f"{folder}").mkdir()
        for i in range(100):
            (photos / f"{folder}/{i}.jpg").touch()
            expected.add(f"{folder}/{i}.jpg")
    assert len(expected) == 5000
    found = names(photos)
    assert len(found) == 5000
    assert set(found) == expected


def test_names_that_are_not_unicode_are_found(photos: Path) -> None:
    path = os.fsencode(photos) + b"/caf\xe9.jpg"
    with open(path, "wb") as file:  # noqa: PTH123  a name in bytes
        file.write(b"x")
    (found,) = scan(str(photos), [])
    assert os.fsencode(found.path) == path


# What was asked for


def test_folders_files_and_what_is_not_there_are_told_apart(photos: Path) -> None:
    touch(photos / "x/a.jpg", photos / "notes.txt")
    names = ["x", "notes.txt", "gone.jpg", "nowhere"]
    found = find([photos / name for name in names], [])
    assert found.folders == [f"{photos}/x"]
    assert set(found.files) == {f"{photos}/x/a.jpg", f"{photos}/notes.txt"}
    assert found.named == [f"{photos}/{name}" for name in names[1:]]
    assert found.absent == [f"{photos}/gone.jpg", f"{photos}/nowhere"]
    assert found.unreadable == []


def test_excluded_paths_are_passed_over_unless_they_are_asked_for(photos: Path) -> None:
    touch(photos / "a.jpg", photos / "b.jpg", photos / "x/c.jpg", photos / "x/y/d.jpg")
    excluded = [f"{photos}/b.jpg", f"{photos}/x"]

    def found(path: Path) -> set[str]:
        return {name.removeprefix(f"{photos}/") for name in find([path], excluded).files}

    assert found(photos) == {"a.jpg"}
    assert found(photos / "x") == {"x/c.jpg", "x/y/d.jpg"}
    assert found(photos / "x/y") == {"x/y/d.jpg"}
    assert found(photos / "b.jpg") == {"b.jpg"}


# What changed


def _known(size: int, modified_ns: int, skipped: str | None = None) -> Known:
    return Known(size, modified_ns, None if skipped else "id", skipped)


def test_each_file_is_new_changed_unchanged_skipped_or_gone() -> None:
    files = {
        name: ImageFile(f"/b/{name}", size, modified_ns)
        for name, size, modified_ns in (
            *(("new", 1, 1), ("longer", 2, 1), ("later", 1, 2), ("earlier", 1, 0)),
            *(("same", 1, 1), ("bad", 1, 1), ("mended", 2, 2)),
        )
    }
    known = {
        **{name: _known(1, 1) for name in ("longer", "later", "earlier", "same", "gone")},
        **{name: _known(1, 1, "it is damaged") for name in ("bad", "mended", "bad and gone")},
    }
    changes = compare(Found(files=files), known)
    assert [Path(file.path).name for file in changes.new] == ["new"]
    assert {Path(file.path).name for file in changes.changed} == {
        "longer",
        "later",
        "earlier",
        "mended",
    }
    assert changes.unchanged == 1
    assert changes.skipped == [("bad", "it is damaged")]
    assert changes.gone == ["gone", "bad and gone"]
    assert changes


def test_one_nanosecond_is_a_change() -> None:
    files = {"a": ImageFile("/b/a", 1, 1_700_000_000_000_000_001)}
    changes = compare(Found(files=files), {"a": _known(1, 1_700_000_000_000_000_000)})
    assert [Path(file.path).name for file in changes.changed] == ["a"]


def test_nothing_to_do_is_false() -> None:
    files = {"a": ImageFile("/b/a", 1, 1), "bad": ImageFile("/b/bad", 1, 1)}
    changes = compare(Found(files=files), {"a": _known(1, 1), "bad": _known(1, 1, "damaged")})
    assert not changes
    assert not Changes()
    assert compare(Found(), {"a": _known(1, 1)})
