"""Files and folders as people really have them: linked, enormous in number, changing, oddly named,
and full of what programs put there."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.conftest import Paint
from tests.test_files import names, touch

import pixseek
from pixseek import ImageSearchEngine
from pixseek.errors import UnreadableImage
from pixseek.files import Known, compare, find
from pixseek.reader import content_of

NOBODY = 65534


def test_hard_links_are_copies_until_one_is_edited(
    engine: ImageSearchEngine, paint: Paint, photos: Path
) -> None:
    paint("a.png", "red")
    (photos / "b.png").hardlink_to(photos / "a.png")

    report = engine.index_images(photos)
    assert (report.added + report.moved, engine.status().items) == (2, 1)
    [hit] = engine.search("red")
    assert [path.name for path in hit.paths] == ["a.png", "b.png"]

    (photos / "b.png").unlink()
    paint("b.png", "blue")
    assert engine.index_images(photos).changed == 1
    assert [hit.path.name for hit in engine.search("red", k=2)] == ["a.png", "b.png"]


def test_a_circle_of_links_ends_and_adds_nothing(
    engine: ImageSearchEngine, paint: Paint, photos: Path
) -> None:
    paint("x/y/a.png", "red")
    (photos / "x/y/up").symlink_to(photos)
    (photos / "x/self").symlink_to(photos / "x/self")
    (photos / "one.png").symlink_to(photos / "two.png")
    (photos / "two.png").symlink_to(photos / "one.png")

    report = engine.index_images(photos)

    assert (report.indexed, report.skipped, report.missing) == (1, [], [])


@pytest.mark.parametrize(("mode", "missing"), [(0o000, "closed"), (0o444, "closed/b.png")])
def test_a_folder_that_may_not_be_read_keeps_its_entries_and_is_named(
    tmp_path: Path, paint: Paint, photos: Path, mode: int, missing: str
) -> None:
    """As another user where the tests run as root, who may read everything. Of mode 444, names can
    be read and nothing else."""
    paint("open/a.png", "red")
    paint("closed/b.png", "blue")
    library = tmp_path / "library"
    with ImageSearchEngine(library, model="palette") as engine:
        engine.index_images(photos)
    code = (
        "import os, sys\n"
        "from pixseek import ImageSearchEngine\n"
        "with ImageSearchEngine(sys.argv[1]) as engine:\n"
        "    engine.index_images(sys.argv[2])\n"  # everything that is needed is loaded
        "    if os.getuid() == 0:\n"
        f"        os.setegid({NOBODY}); os.seteuid({NOBODY})\n"
        "    report = engine.index_images(sys.argv[2])\n"
        "    print(report.unchanged, report.removed, *report.missing)\n"
    )
    (photos / "closed").chmod(mode)
    if os.getuid() == 0:  # the way there, as far as it is pytest's
        for path in (tmp_path, *tmp_path.parents):
            if path.name.startswith(("pytest-", "popen-", "test_")):
                path.chmod(0o755)
    (photos / "open").chmod(0o755)
    try:
        if os.getuid() == 0:
            library.chmod(0o777)
            for file in library.iterdir():
                file.chmod(0o666)
        run = subprocess.run(
            [sys.executable, "-c", code, library, photos],
            env=os.environ | {"PYTHONPATH": str(Path(pixseek.__file__).parent.parent)},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    finally:
        (photos / "closed").chmod(0o755)
    assert run.stdout.split() == ["1", "0", str(photos / missing)]


@pytest.mark.parametrize(
    "name", [b"new\nline.png", b"\xff\xfe\xe9.png", b"tab\t'\" $.png", b"-r.png"]
)
def test_any_name_is_indexed_moved_given_a_sidecar_and_forgotten(
    engine: ImageSearchEngine, paint: Paint, photos: Path, name: bytes
) -> None:
    odd = photos / os.fsdecode(name)
    paint("a.png", "red").rename(odd)
    paint("b.png", "blue")
    assert engine.index_images(photos).added == 2
    Path(f"{odd}.xmp").write_bytes(b"no XML")
    assert engine.index_images(photos).updated == 1
    assert engine.search("red")[0].path == odd
    assert engine.index_images(photos).unchanged == 2
    odd.rename(photos / "plain.png")
    assert engine.index_images(photos).moved == 1
    (photos / "plain.png").unlink()
    assert engine.index_images(photos).removed == 1


def test_a_hundred_thousand_files_in_one_folder_are_each_found_once(photos: Path) -> None:
    folder = os.fsencode(photos)
    for number in range(100_000):
        os.close(os.open(b"%s/%06d.jpg" % (folder, number), os.O_CREAT | os.O_WRONLY))
    (photos / "000007.xmp").touch()

    found = find([photos], [])
    known = {
        path: Known(one.size, one.modified_ns, "id", None) for path, one in found.files.items()
    }
    (photos / "000005.jpg").unlink()
    changes = compare(find([photos], []), known)

    assert len(known) == 100_000
    assert list(found.sidecars) == [f"{photos}/000007"]
    assert (changes.unchanged, changes.gone) == (99_999, [f"{photos}/000005.jpg"])


def test_a_file_that_goes_on_changing_while_it_is_read_is_named_and_read_when_it_rests(
    photos: Path,
) -> None:
    file = photos / "growing.jpg"
    file.touch()
    os.truncate(file, 64_000_000)
    stop = threading.Event()

    def change() -> None:
        for time_ns in itertools.count():
            os.utime(file, ns=(0, time_ns))
            if stop.is_set():
                return

    def read_again_and_again() -> None:
        for _ in range(100):  # it may rest for as long as one reading, on a busy machine
            content_of(file)

    writer = threading.Thread(target=change)
    writer.start()
    try:
        with pytest.raises(UnreadableImage, match="goes on changing"):
            read_again_and_again()
    finally:
        stop.set()
        writer.join()
    assert len(content_of(file)) == 64_000_000


def test_a_file_that_changed_after_it_was_listed_is_read_again_by_the_next_run(
    engine: ImageSearchEngine, paint: Paint, photos: Path
) -> None:
    paint("a.png", "red")
    paint("b.png", "blue")
    edited: list[Path] = []

    def edit(_: object) -> None:
        if not edited:  # as soon as the folder has been listed
            edited.append(paint("a.png", "green"))
            os.utime(photos / "a.png", (1, 1))

    engine.index_images(photos, on_progress=edit)
    engine.index_images(photos)

    assert engine.search("green")[0].path == photos / "a.png"
    assert engine.status().items == 2
    assert engine.index_images(photos).unchanged == 2


def test_a_missing_root_keeps_its_entries_and_the_other_is_followed(
    engine: ImageSearchEngine, paint: Paint, photos: Path, tmp_path: Path
) -> None:
    paint("here/a.png", "red")
    paint("away/b.png", "blue")
    engine.index_images([photos / "here", photos / "away"])
    (photos / "away").rename(tmp_path / "elsewhere")
    (photos / "here/a.png").rename(photos / "here/c.png")

    report = engine.index_images()

    assert (report.moved, report.removed, report.missing) == (1, 0, [photos / "away"])
    assert [hit.path.name for hit in engine.search("blue")] == ["b.png", "c.png"]


def test_what_systems_and_programs_put_beside_pictures_is_passed_over(photos: Path) -> None:
    touch(photos / "._a.jpg", photos / ".DS_Store", photos / ".thumbnails/a.jpg")
    touch(photos / "@eaDir/a.jpg/SYNOPHOTO_THUMB_XL.jpg", photos / "#recycle/a.jpg")
    touch(photos / "#snapshot/a.jpg", photos / "@__thumb/a.jpg", photos / "@Recycle/a.jpg")
    touch(photos / "lost+found/a.jpg", photos / "$RECYCLE.BIN/a.jpg", photos / "Thumbs.db")
    touch(photos / "Lightroom Previews.lrdata/0/a.jpg")
    library = photos / "Photos Library.photoslibrary"
    touch(library / "originals/0/a.jpg", library / "resources/derivatives/0/a.jpg")
    touch(library / "database/search/a.jpg", library / "Masters/2014/a.jpg")
    touch(photos / "resources/kept.jpg", photos / "a.jpg")

    assert names(photos) == [
        "Photos Library.photoslibrary/Masters/2014/a.jpg",
        "Photos Library.photoslibrary/originals/0/a.jpg",
        "a.jpg",
        "resources/kept.jpg",
    ]


def test_files_that_come_and_go_while_folders_are_read_harm_nothing(
    engine: ImageSearchEngine, paint: Paint, photos: Path
) -> None:
    picture = paint("a.png", "red").read_bytes()
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            for number in range(50):
                (photos / f"{number}.png").write_bytes(picture + b"%d" % number)
            (photos / "in").mkdir(exist_ok=True)
            (photos / "in/b.png").write_bytes(picture)
            for number in range(50):
                (photos / f"{number}.png").unlink()
            (photos / "in/b.png").unlink()
            (photos / "in").rmdir()
            time.sleep(0)

    writer = threading.Thread(target=churn)
    writer.start()
    try:
        for _ in range(10):
            engine.index_images(photos)
    finally:
        stop.set()
        writer.join()
    engine.index_images(photos)
    assert engine.status().files == 1
    assert engine.status().skipped == []
