"""The main path, on the palette model: files in, hits out, the library in step with the disk."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from pixseek import ImageSearchEngine, indexing, isolation, lock, workers
from pixseek.cli.output import print_hits, print_hits_json
from pixseek.encoders import RUNTIMES, Runtime
from pixseek.encoders.catalog import MODELS, Model
from pixseek.encoders.palette import PaletteEncoder
from pixseek.errors import (
    InvalidFilter,
    InvalidQuery,
    LibraryDamaged,
    LibraryLocked,
    LibraryNotFound,
    LibraryTooNew,
    MissingPath,
    ModelMismatch,
    StoreMismatch,
    UnknownModel,
    UnknownStore,
    UnreadableImage,
)
from pixseek.records import Bounds, Hit, IndexReport, Progress, Space, Vectors, Where
from pixseek.settings import load

Paint = Callable[..., Path]
FLAGS = ("red", "green", "blue", "yellow", "black", "white", "orange", "purple")


class CountingEncoder(PaletteEncoder):
    """The palette, counting what goes through it."""

    space = Space("counting", "counting-1", 11)
    encoded = 0
    loaded = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).loaded += 1

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        type(self).encoded += len(images)
        return super().encode_images(images)


class OtherWeights(CountingEncoder):
    """The same name, other weights."""

    space = Space("counting", "counting-2", 11)


def register(monkeypatch: pytest.MonkeyPatch, encoder: type[PaletteEncoder]) -> None:
    """Make the encoder the model `counting`, wherever pytest has put this file."""
    module = ModuleType("encoders_of_this_test")
    vars(module)["load"] = lambda model, options: encoder()  # noqa: ARG005  as every runtime's
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(RUNTIMES, "counting", Runtime(module.__name__))
    model = Model("counting", "pixseek", "counting", "", "", "")
    monkeypatch.setitem(MODELS, "counting", model)


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ImageSearchEngine]:
    """An engine like `engine`, whose encoder counts what it encodes."""
    register(monkeypatch, CountingEncoder)
    CountingEncoder.encoded = CountingEncoder.loaded = 0
    with ImageSearchEngine(tmp_path / "library", model="counting") as made:
        yield made


def counts(report: IndexReport) -> dict[str, int]:
    """What a report counted, without zeros."""
    found = {
        "added": report.added,
        "changed": report.changed,
        "moved": report.moved,
        "unchanged": report.unchanged,
        "removed": report.removed,
        "skipped": len(report.skipped),
        "missing": len(report.missing),
        "encoded": report.encoded,
    }
    return {name: value for name, value in found.items() if value}


def paths(hits: list[Hit]) -> list[str]:
    """Every path of every hit, by file name, in order of the hits."""
    return [path.name for hit in hits for path in hit.paths]


def everything(engine: ImageSearchEngine, where: Where | None = None) -> set[Path]:
    return {path for hit in engine.search_by_text("red", k=1000, where=where) for path in hit.paths}


def edit(path: Path, *colours: str) -> None:
    """Other content under the same name."""
    before = path.stat()
    image = Image.new("RGB", (48, 32))
    for i, colour in enumerate(colours):
        image.paste(colour, (i * 48 // len(colours), 0, 48, 32))
    image.save(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000_000))


@pytest.fixture
def flags(paint: Paint, photos: Path) -> Path:
    """Eight pictures of one colour each, red.png to purple.png."""
    for colour in FLAGS:
        paint(f"{colour}.png", colour)
    return photos


# Filling


def test_a_folder_is_indexed_with_everything_below_it(
    engine: ImageSearchEngine, paint: Paint, photos: Path
) -> None:
    expected = {paint("a.png", "red"), paint("x/b.jpg", "blue"), paint("x/y/ü ñ.png", "green")}
    report = engine.index_images(photos)
    assert counts(report) == {"added": 3, "encoded": 3}
    assert report.indexed == 3
    assert report.seconds > 0
    assert everything(engine) == expected


def test_files_folders_and_a_mix_can_be_given_as_paths_or_texts(
    tmp_path: Path, paint: Paint, photos: Path
) -> None:
    one, two = paint("x/one.png", "red"), paint("y/two.png", "blue")
    ways: list[str | Iterable[str | Path]] = [str(photos), [str(photos / "x"), two]]
    ways += [(path for path in (one, two)), [one, photos / "y"]]
    for i, asked in enumerate(ways):
        with ImageSearchEngine(tmp_path / f"library {i}", model="palette") as engine:
            assert counts(engine.index_images(asked)) == {"added": 2, "encoded": 2}
            assert everything(engine) == {one, two}


def test_a_file_that_is_named_is_tried_whatever_it_is_called(
    engine: ImageSearchEngine, paint: Paint
) -> None:
    path = paint("a.png", "red").rename(paint("b.png", "blue").parent / "picture")
    assert counts(engine.index_images(path)) == {"added": 1, "encoded": 1}


def test_nothing_is_indexed_when_nothing_is_asked(engine: ImageSearchEngine) -> None:
    assert counts(engine.index_images([])) == {}
    with pytest.raises(InvalidQuery, match="has no folders yet; name a folder to index"):
        engine.index_images()


def test_without_a_path_all_folders_are_brought_in_step(
    engine: ImageSearchEngine, paint: Paint, photos: Path
) -> None:
    paint("x/a.png", "red")
    paint("y/b.png", "blue")
    paint("z/c.png", "green")
    engine.index_images([photos / "x", photos / "y"])
    added = {paint("x/d.png", "white"), paint("y/e.png", "black")}
    paint("z/f.png", "orange")
    assert counts(engine.index_images()) == {"added": 2, "unchanged": 2, "encoded": 2}
    assert everything(engine) >= added


def test_a_folder_within_a_folder_is_one_root_and_counts_once(
    engine: ImageSearchEngine, paint: Paint, photos: Path
) -> None:
    paint("a.png", "red")
    paint("x/b.png", "blue")
    assert counts(engine.index_images(photos / "x")) == {"added": 1, "encoded": 1}
    assert counts(engine.index_images(photos)) == {"added": 1, "unchanged": 1, "encoded": 1}
    assert [folder.path for folder in engine.status().folders] == [photos]
    assert counts(engine.index_images([photos, photos / "x"])) == {"unchanged": 2}
    assert counts(engine.index_images(photos / "x")) == {"unchanged": 1}
    assert [folder.path for folder in engine.status().folders] == [photos]
    assert [folder.files for folder in engine.status().folders] == [2]


def test_progress_counts_up_to_the_total(
    engine: ImageSearchEngine, flags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "FILES_PER_WRITE", 3)
    (flags / "bad.png").write_bytes(b"no picture")
    seen: list[tuple[int, int, int, int]] = []

    def note(progress: Progress) -> None:
        seen.append((progress.total, progress.done, progress.encoded, progress.skipped))

    engine.index_images(flags, on_progress=note)
    assert seen[0] == (9, 0, 0, 0)
    assert seen[-1] == (9, 9, 8, 1)
    assert len(seen) > 2
    assert [done for _, done, _, _ in seen] == sorted({done for _, done, _, _ in seen})


def test_names_that_are_not_unicode_are_indexed_and_found(
    engine: ImageSearchEngine, paint: Paint, photos: Path
) -> None:
    odd = Path(os.fsdecode(os.fsencode(photos) + b"/caf\xe9.png"))
    paint("a.png", "red").rename(odd)
    assert counts(engine.index_images(photos)) == {"added": 1, "encoded": 1}
    assert everything(engine) == {odd}
    assert counts(engine.index_images(photos)) == {"unchanged": 1}


def test_a_name_that_begins_with_a_tilde_is_a_name(
    engine: ImageSearchEngine, paint: Paint, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = paint("~scan01.png", "red")
    monkeypatch.chdir(photos)
    assert counts(engine.index_images(["~scan01.png"])) == {"added": 1, "encoded": 1}
    assert paths(engine.search_by_image("~scan01.png")) == [path.name]


# What changed


def test_what_did_not_change_is_not_read_again(counting: ImageSearchEngine, flags: Path) -> None:
    counting.index_images(flags)
    assert CountingEncoder.encoded == 8
    assert counts(counting.index_images(flags)) == {"unchanged": 8}
    assert CountingEncoder.encoded == 8


def test_an_edited_file_is_found_by_what_it_shows_now(
    engine: ImageSearchEngine, flags: Path
) -> None:
    engine.index_images(flags)
    edit(flags / "red.png", "pink")
    assert counts(engine.index_images(flags)) == {"changed": 1, "unchanged": 7, "encoded": 1}
    assert paths(engine.search_by_text("pink", k=1)) == ["red.png"]
    assert engine.search_by_text("red", k=1)[0].score < 0.5
    assert engine.status().items == 8


def test_a_touched_file_with_the_same_content_is_neither_encoded_nor_called_changed(
    counting: ImageSearchEngine, flags: Path
) -> None:
    counting.index_images(flags)
    os.utime(flags / "red.png", (1_600_000_000, 1_600_000_000))
    report = counting.index_images(flags)
    assert CountingEncoder.encoded == 8
    assert report.changed == 0, "its content does not differ from last time"
    assert report.indexed == 8
    (hit,) = counting.search(query="red", k=1)
    assert hit.metadata["modified"] == 1_600_000_000
    assert counts(counting.index_images(flags)) == {"unchanged": 8}


def test_a_renamed_and_a_moved_file_keep_their_vectors(
    counting: ImageSearchEngine, flags: Path
) -> None:
    counting.index_images(flags)
    (flags / "x").mkdir()
    (flags / "red.png").rename(flags / "rot.png")
    (flags / "blue.png").rename(flags / "x/blue.png")
    report = counting.index_images(flags)
    assert (report.moved, report.added, report.changed, report.unchanged) == (2, 0, 0, 6)
    assert CountingEncoder.encoded == 8
    assert counting.search_by_text("red", k=1)[0].paths == [flags / "rot.png"]
    (hit,) = counting.search_by_text("blue", k=1)
    assert hit.path == flags / "x/blue.png"
    assert hit.metadata["name"] == "blue.png"
    assert str(flags / "x") in str(hit.metadata["folder"])


def test_a_moved_folder_encodes_nothing(counting: ImageSearchEngine, flags: Path) -> None:
    counting.index_images(flags.parent / "photos")
    (flags / "2019").mkdir()
    for colour in FLAGS:
        (flags / f"{colour}.png").rename(flags / f"2019/{colour}.png")
    assert counting.index_images(flags).moved == 8
    assert CountingEncoder.encoded == 8
    assert everything(counting) == {flags / f"2019/{colour}.png" for colour in FLAGS}


def test_two_copies_are_one_hit_with_two_paths_and_either_may_go(
    counting: ImageSearchEngine, flags: Path
) -> None:
    counting.index_images(flags)
    shutil.copy(flags / "red.png", flags / "copy.png")
    assert counts(counting.index_images(flags)) == {"moved": 1, "unchanged": 8}
    (hit,) = counting.search_by_text("red", k=1)
    assert hit.paths == [flags / "copy.png", flags / "red.png"]
    assert hit.metadata["name"] == ["copy.png", "red.png"]
    assert (counting.status().items, counting.status().files) == (8, 9)
    (flags / "red.png").unlink()
    assert counts(counting.index_images(flags)) == {"removed": 1, "unchanged": 8}
    assert counting.search_by_text("red", k=1)[0].paths == [flags / "copy.png"]
    (flags / "copy.png").unlink()
    counting.index_images(flags)
    assert counting.search_by_text("red", k=1)[0].score < 0.5
    assert CountingEncoder.encoded == 8


def test_copies_that_are_new_together_are_one_item(
    engine: ImageSearchEngine, paint: Paint, photos: Path
) -> None:
    first = paint("0.png", "red")
    for i in range(1, 30):
        shutil.copy(first, photos / f"{i}.png")
    report = engine.index_images(photos)
    assert report.added + report.moved == 30
    assert (engine.status().items, engine.status().files) == (1, 30)
    (hit,) = engine.search_by_text("red")
    assert len(hit.paths) == 30


def test_a_deleted_file_and_a_deleted_folder_are_no_longer_found(
    engine: ImageSearchEngine, flags: Path, paint: Paint
) -> None:
    paint("x/pink.png", "pink")
    paint("x/brown.png", "brown")
    engine.index_images(flags)
    (flags / "red.png").unlink()
    shutil.rmtree(flags / "x")
    assert counts(engine.index_images()) == {"removed": 3, "unchanged": 7}
    assert everything(engine) == {flags / f"{colour}.png" for colour in FLAGS if colour != "red"}


def test_a_deleted_file_that_is_named_itself_is_no_longer_found(
    engine: ImageSearchEngine, flags: Path
) -> None:
    engine.index_images(flags)
    (flags / "red.png").unlink()
    assert counts(engine.index_images(flags / "red.png")) == {"removed": 1}
    assert engine.status().items == 7


def test_a_named_file_whose_folder_is_not_there_keeps_its_entry(
    engine: ImageSearchEngine, paint: Paint, photos: Path
) -> None:
    # As an unplugged drive looks: its files are not deleted, they cannot be seen.
    path = paint("drive/a.png", "red")
    engine.index_images([path])
    (photos / "drive").rename(photos / "unplugged")
    engine.index_images([path])
    assert everything(engine) == {path}


def test_a_file_replaced_by_another_known_picture_is_found_as_that(
    counting: ImageSearchEngine, flags: Path
) -> None:
    counting.index_images(flags)
    shutil.copyfile(flags / "blue.png", flags / "red.png")
    os.utime(flags / "red.png", (1_600_000_000, 1_600_000_000))
    report = counting.index_images(flags)
    assert (report.unchanged, report.changed + report.moved, report.encoded) == (7, 1, 0)
    assert counting.search_by_text("blue", k=1)[0].paths == [flags / "blue.png", flags / "red.png"]
    assert counting.status().items == 7


def test_two_files_that_change_places_stay_both_found(
    engine: ImageSearchEngine, flags: Path
) -> None:
    engine.index_images(flags)
    _swap(flags / "red.png", flags / "blue.png")
    engine.index_images(flags)
    assert engine.search_by_text("red", k=1)[0].paths == [flags / "blue.png"]
    assert engine.search_by_text("blue", k=1)[0].paths == [flags / "red.png"]


def _swap(one: Path, other: Path) -> None:
    aside = one.with_suffix(".aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)
    os.utime(one, (1_600_000_000, 1_600_000_000))
    os.utime(other, (1_600_000_001, 1_600_000_001))


def test_names_that_all_move_up_by_one_lose_no_picture(
    engine: ImageSearchEngine, photos: Path
) -> None:
    # More files than one write takes: what the first write lets go, the second finds again.
    count = indexing.FILES_PER_WRITE + 50
    for i in range(count):
        colour = (i % 256, i // 256, 9)
        Image.new("RGB", (8, 8), colour).save(photos / f"{i:04}.png")
        os.utime(photos / f"{i:04}.png", (1_600_000_000 + i, 1_600_000_000 + i))
    engine.index_images(photos)
    for i in reversed(range(count)):
        (photos / f"{i:04}.png").rename(photos / f"{i + 1:04}.png")
    engine.index_images(photos)
    assert len(everything(engine)) == count
    assert engine.status().items == count


def test_a_picture_that_moves_while_its_old_name_gets_another_is_not_lost(
    engine: ImageSearchEngine, flags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "FILES_PER_WRITE", 1)
    monkeypatch.setattr(workers, "FILES_PER_TASK", 1)
    engine.index_images(flags)
    (flags / "red.png").rename(flags / "rot.png")
    Image.new("RGB", (48, 32), "pink").save(flags / "red.png")
    engine.index_images(flags)
    (hit,) = engine.search_by_text("red", k=1)
    assert (hit.paths, round(hit.score, 3)) == ([flags / "rot.png"], 1.0)
    assert engine.status().items == 9


# Files that cannot be read


def test_a_bad_file_is_named_with_its_reason_and_tried_again_only_when_it_changes(
    engine: ImageSearchEngine, flags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = flags / "bad.jpg"
    bad.write_bytes(b"this is no picture")
    report = engine.index_images(flags)
    assert counts(report) == {"added": 8, "skipped": 1, "encoded": 8}
    assert [(s.path, s.reason) for s in report.skipped] == [
        (bad, "its content is in no picture format known")
    ]
    assert engine.status().skipped == report.skipped
    reads: list[str] = []

    read = isolation.read_frames

    def noting(content: bytes, input_size: int, bounds: Bounds, **options: Any) -> object:
        reads.append(options["name"])
        return read(content, input_size, bounds, **options)

    monkeypatch.setattr(isolation, "read_frames", noting)
    again = engine.index_images(flags)
    assert counts(again) == {"unchanged": 8, "skipped": 1}
    assert (again.skipped, reads) == (report.skipped, [])
    edit(bad, "pink")
    assert counts(engine.index_images(flags)) == {"changed": 1, "unchanged": 8, "encoded": 1}
    assert reads == [str(bad)]
    assert engine.status().skipped == []
    assert paths(engine.search_by_text("pink", k=1)) == ["bad.jpg"]


def test_a_file_that_becomes_unreadable_is_no_longer_found(
    engine: ImageSearchEngine, flags: Path
) -> None:
    engine.index_images(flags)
    (flags / "red.png").write_bytes(b"overwritten")
    report = engine.index_images(flags)
    assert counts(report) == {"unchanged": 7, "skipped": 1}
    assert engine.status().items == 7
    assert flags / "red.png" not in everything(engine)


def test_bad_files_among_many_stop_nothing(engine: ImageSearchEngine, flags: Path) -> None:
    bad = {
        "empty.jpg": b"",
        "text.png": b"hello",
        "half.png": (flags / "red.png").read_bytes()[:60],
        "noise.webp": bytes(range(256)) * 4,
    }
    for name, content in bad.items():
        (flags / name).write_bytes(content)
    os.mkfifo(flags / "pipe.jpg")
    report = engine.index_images(flags)
    assert counts(report) == {"added": 8, "skipped": 4, "encoded": 8}
    assert {skipped.path.name for skipped in report.skipped} == set(bad)
    assert all(skipped.reason for skipped in report.skipped)


def test_a_picture_above_the_limit_is_skipped_with_the_limit(
    tmp_path: Path, paint: Paint, photos: Path
) -> None:
    paint("large.png", "red", size=(1200, 1000))
    paint("small.png", "blue")
    options = load({"library": tmp_path / "library", "max_megapixels": 1})
    with ImageSearchEngine(options.library, model="palette", options=options) as engine:
        report = engine.index_images(photos)
    assert counts(report) == {"added": 1, "skipped": 1, "encoded": 1}
    assert report.skipped[0].reason == "1200×1000 pixels are more than the limit of 1000000"


HUGE_FILE = """
import resource, sys
from pathlib import Path
from pixseek import ImageSearchEngine
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
with ImageSearchEngine(sys.argv[1], model="palette") as engine:
    report = engine.index_images(sys.argv[2])
    print(report.added, [skipped.path.name for skipped in report.skipped])
"""


def test_a_file_larger_than_memory_is_skipped_and_stops_nothing(
    tmp_path: Path, flags: Path
) -> None:
    with (flags / "huge.jpg").open("wb") as file:
        file.truncate(32 << 30)  # takes no room on disk
    ran = subprocess.run(
        [sys.executable, "-c", HUGE_FILE, str(tmp_path / "library"), str(flags)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stdout.strip() == "8 ['huge.jpg']", ran.stderr[-600:]


# Folders that are not there


def test_a_missing_folder_is_reported_and_its_entries_are_kept(
    engine: ImageSearchEngine, paint: Paint, photos: Path
) -> None:
    paint("x/a.png", "red")
    paint("y/b.png", "blue")
    engine.index_images([photos / "x", photos / "y"])
    (photos / "x").rename(photos / "unplugged")
    report = engine.index_images()
    assert counts(report) == {"unchanged": 1, "missing": 1}
    assert report.missing == [photos / "x"]
    assert paths(engine.search_by_text("red", k=1)) == ["a.png"]
    assert {folder.path: folder.present for folder in engine.status().folders} == {
        photos / "x": False,
        photos / "y": True,
    }
    (photos / "unplugged").rename(photos / "x")
    assert counts(engine.index_images()) == {"unchanged": 2}


def test_a_path_that_was_never_there_is_an_error_alone_and_a_value_in_a_list(
    engine: ImageSearchEngine, paint: Paint, photos: Path
) -> None:
    with pytest.raises(MissingPath, match=r"nowhere.*expected a file or folder that exists"):
        engine.index_images(photos / "nowhere")
    paint("a.png", "red")
    report = engine.index_images([photos, photos / "nowhere.png"])
    assert counts(report) == {"added": 1, "encoded": 1, "skipped": 1}
    assert report.skipped[0].path == photos / "nowhere.png"
    assert report.skipped[0].reason == "there is no such file"


@pytest.mark.usefixtures("counting")
def test_library_and_photos_that_move_together_go_on_as_before(flags: Path, tmp_path: Path) -> None:
    home, away = tmp_path / "home", tmp_path / "drive" / "away"
    home.mkdir()
    shutil.copytree(flags, home / "photos")
    with ImageSearchEngine(home / "library", model="counting") as engine:
        engine.index_images(home / "photos")
    encoded = CountingEncoder.encoded
    away.parent.mkdir()
    shutil.move(home, away)
    with ImageSearchEngine(away / "library") as engine:
        (hit,) = engine.search_by_text("red", k=1)
        assert hit.path == away / "photos/red.png"
        assert hit.metadata["folder"] == [str(away), str(away / "photos")]
        assert counts(engine.index_images()) == {"unchanged": 8}
        assert everything(engine, {"folder": str(away / "photos")}) == {
            away / f"photos/{colour}.png" for colour in FLAGS
        }
        assert everything(engine, {"folder": str(home / "photos")}) == set()
    assert CountingEncoder.encoded == encoded


def test_a_library_inside_the_photos_moves_with_them(tmp_path: Path, flags: Path) -> None:
    with ImageSearchEngine(flags / "library", model="palette") as engine:
        assert counts(engine.index_images(flags)) == {"added": 8, "encoded": 8}
        assert counts(engine.index_images(flags)) == {"unchanged": 8}
    shutil.move(flags, tmp_path / "moved")
    with ImageSearchEngine(tmp_path / "moved/library") as engine:
        assert counts(engine.index_images()) == {"unchanged": 8}
        assert engine.search_by_text("red", k=1)[0].path == tmp_path / "moved/red.png"
        (tmp_path / "moved/red.png").unlink()
        assert counts(engine.index_images()) == {"unchanged": 7, "removed": 1}


def test_a_folder_above_the_library_is_kept_in_step_like_any_other(
    flags: Path, tmp_path: Path
) -> None:
    above = tmp_path.parent / f"{tmp_path.name} above"
    (above / "here").mkdir(parents=True)
    shutil.copytree(flags, above / "here/photos")
    with ImageSearchEngine(above / "here/library", model="palette") as other:
        assert counts(other.index_images(above)) == {"added": 8, "encoded": 8}
        assert counts(other.index_images(above)) == {"unchanged": 8}
        assert [folder.files for folder in other.status().folders] == [8]
        (above / "here/photos/red.png").unlink()
        assert counts(other.index_images()) == {"unchanged": 7, "removed": 1}
        assert other.remove(above) == 7


# Removing


def test_a_removed_folder_leaves_and_stays_away(
    engine: ImageSearchEngine, flags: Path, paint: Paint
) -> None:
    paint("x/pink.png", "pink")
    paint("x/brown.png", "brown")
    engine.index_images(flags)
    assert engine.remove(flags / "x") == 2
    assert everything(engine) == {flags / f"{colour}.png" for colour in FLAGS}
    assert counts(engine.index_images()) == {"unchanged": 8}
    assert engine.remove(flags / "x") == 0


@pytest.mark.parametrize("by_name", [False, True])
def test_what_was_removed_stays_away_when_other_files_change(
    engine: ImageSearchEngine, flags: Path, paint: Paint, by_name: bool
) -> None:
    engine.index_images(flags)
    assert engine.remove(flags / "red.png") == 1
    for i, colour in enumerate(("pink", "brown", "grey")):
        paint(f"new {i}.png", colour)
        engine.index_images(flags if by_name else None)
        assert flags / "red.png" not in everything(engine)
    assert engine.status().items == 10


def test_a_removed_folder_comes_back_when_it_is_indexed_by_name(
    counting: ImageSearchEngine, flags: Path, paint: Paint
) -> None:
    paint("x/pink.png", "pink")
    counting.index_images(flags)
    counting.remove(flags / "x")
    counting.index_images(flags / "x")
    assert counting.status().items == 9
    paint("new.png", "brown")
    assert counts(counting.index_images()) == {"added": 1, "unchanged": 9, "encoded": 1}


def test_a_removed_file_comes_back_when_it_is_indexed_by_name_and_stays(
    engine: ImageSearchEngine, flags: Path
) -> None:
    engine.index_images(flags)
    engine.remove(flags / "red.png")
    assert counts(engine.index_images(flags / "red.png")) == {"added": 1, "encoded": 1}
    assert flags / "red.png" in everything(engine)
    assert counts(engine.index_images()) == {"unchanged": 8}


def test_a_removed_root_is_forgotten_and_can_be_indexed_again(
    engine: ImageSearchEngine, flags: Path
) -> None:
    engine.index_images(flags)
    assert engine.remove(str(flags)) == 8
    assert (engine.status().items, engine.status().files, engine.status().folders) == (0, 0, [])
    assert engine.search_by_text("red") == []
    assert counts(engine.index_images(flags)) == {"added": 8, "encoded": 8}
    assert paths(engine.search_by_text("red", k=1)) == ["red.png"]


def test_one_of_two_copies_can_be_removed(engine: ImageSearchEngine, flags: Path) -> None:
    shutil.copy(flags / "red.png", flags / "copy.png")
    engine.index_images(flags)
    assert engine.remove(flags / "red.png") == 1
    assert engine.search_by_text("red", k=1)[0].paths == [flags / "copy.png"]
    assert engine.status().items == 8


def test_what_passes_a_filter_is_removed_with_all_its_copies(
    engine: ImageSearchEngine, flags: Path, paint: Paint
) -> None:
    paint("wide.png", "pink", size=(90, 10))
    shutil.copy(flags / "wide.png", flags / "copy.png")
    engine.index_images(flags)
    assert engine.remove(where={"width": {"$gte": 90}}) == 2
    assert everything(engine) == {flags / f"{colour}.png" for colour in FLAGS}
    assert counts(engine.index_images()) == {"unchanged": 8}
    assert engine.remove([flags / "red.png"], where={"name": "blue.png"}) == 2
    assert engine.status().items == 6


def test_files_themselves_are_never_touched(engine: ImageSearchEngine, flags: Path) -> None:
    before = {path: path.read_bytes() for path in flags.iterdir()}
    engine.index_images(flags)
    engine.remove(flags)
    assert {path: path.read_bytes() for path in flags.iterdir()} == before


# Searching


def test_words_find_the_picture_that_shows_them_first(
    engine: ImageSearchEngine, flags: Path, paint: Paint
) -> None:
    paint("flag.png", "blue", "white")
    engine.index_images(flags)
    hits = engine.search_by_text("a blue and white flag", k=3)
    assert paths(hits)[0] == "flag.png"
    assert {*paths(hits)[1:]} == {"blue.png", "white.png"}
    assert [round(hit.score, 3) for hit in hits] == [1.0, 0.707, 0.707]


def test_a_picture_is_found_by_path_text_bytes_and_in_memory(
    engine: ImageSearchEngine, flags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.index_images(flags)
    path = flags / "green.png"
    content = path.read_bytes()
    monkeypatch.chdir(flags)
    opened = Image.open(path)
    for image in (path, str(path), "green.png", content, bytearray(content), opened):
        hits = engine.search_by_image(image, k=2)  # type: ignore[arg-type]  # a bytearray is taken
        assert paths(hits)[0] == "green.png"
        assert hits[0].score == pytest.approx(1, abs=1e-5)
    assert paths(engine.search_by_image(Image.new("L", (9, 9), 255), k=1)) == ["white.png"]
    assert paths(engine.search_by_image(Image.new("RGBA", (9, 9)), k=1)) == ["white.png"]


def test_text_and_image_together_find_what_has_both(
    engine: ImageSearchEngine, flags: Path, paint: Paint
) -> None:
    paint("both.png", "red", "green")
    engine.index_images(flags)
    hits = engine.search("red", image=flags / "green.png", k=1)
    assert paths(hits) == ["both.png"]
    assert hits[0].score == pytest.approx(1, abs=1e-3)


def test_pages_follow_one_another_and_end(engine: ImageSearchEngine, flags: Path) -> None:
    engine.index_images(flags)
    whole = engine.search_by_text("red and blue", k=100)
    assert len(whole) == 8
    assert [hit.score for hit in whole] == sorted((hit.score for hit in whole), reverse=True)
    paged = [
        hit for n in range(4) for hit in engine.search_by_text("red and blue", 3, offset=3 * n)
    ]
    assert paged == whole
    assert engine.search_by_text("red and blue", offset=8) == []


def test_a_least_score_keeps_the_near_ones_only(engine: ImageSearchEngine, flags: Path) -> None:
    engine.index_images(flags)
    assert {*paths(engine.search_by_text("red blue", min_score=0.5))} == {"red.png", "blue.png"}
    assert engine.search_by_text("red", min_score=1.1) == []


def test_an_empty_library_finds_nothing(engine: ImageSearchEngine) -> None:
    assert engine.search_by_text("red") == []


def test_a_hit_tells_what_is_known_of_the_file(engine: ImageSearchEngine, paint: Paint) -> None:
    path = paint("x/a.png", "red", size=(40, 20))
    engine.index_images(path)
    (hit,) = engine.search_by_text("red")
    assert hit.metadata["path"] == str(path)
    assert hit.metadata["name"] == "a.png"
    assert (hit.metadata["width"], hit.metadata["height"]) == (40, 20)
    assert hit.metadata["size"] == path.stat().st_size
    assert hit.metadata["modified"] == int(path.stat().st_mtime)
    assert hit.path == path


# Filters on paths


@pytest.fixture
def placed(
    tmp_path: Path, paint: Paint, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ImageSearchEngine]:
    """A library in HOME beside photos with 2019/a, 2019/deep/b, 2020/c; and elsewhere/d."""
    for name, colour in (("2019/a", "red"), ("2019/deep/b", "blue"), ("2020/c", "green")):
        paint(f"{name}.png", colour)
    elsewhere = tmp_path.parent / f"{tmp_path.name}-elsewhere"
    elsewhere.mkdir()
    Image.new("RGB", (20, 20), "white").save(elsewhere / "d.png")
    monkeypatch.setenv("HOME", str(tmp_path))
    with ImageSearchEngine(tmp_path / "library", model="palette") as engine:
        engine.index_images([photos, elsewhere])
        yield engine


def found_by(engine: ImageSearchEngine, where: Where) -> str:
    return "".join(sorted(path.stem for path in everything(engine, where)))


def test_a_folder_filter_takes_every_way_to_write_the_folder(
    placed: ImageSearchEngine, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos)
    for folder in (str(photos / "2019"), f"{photos}/2019/../2019", "2019", "~/photos/2019"):
        assert found_by(placed, {"folder": folder}) == "ab", folder
        assert found_by(placed, {"folder": {"$in": [folder]}}) == "ab", folder
        assert found_by(placed, {"folder": {"$ne": folder}}) == "cd", folder
    assert found_by(placed, {"folder": {"$in": ["2020", "~/photos/2019/deep"]}}) == "bc"
    assert found_by(placed, {"folder": str(tmp_path)}) == "abc"
    assert found_by(placed, {"folder": "~"}) == "abc"
    assert found_by(placed, {"folder": str(photos / "nowhere")}) == ""


def test_a_folder_above_the_library_holds_all_that_is_below_it(
    placed: ImageSearchEngine, tmp_path: Path
) -> None:
    elsewhere = f"{tmp_path}-elsewhere"
    assert found_by(placed, {"folder": elsewhere}) == "d"
    assert found_by(placed, {"folder": str(tmp_path.parent)}) == "abcd"
    assert found_by(placed, {"$not": {"folder": str(tmp_path.parent)}}) == ""


def test_a_folder_above_the_library_among_several_holds_all_that_is_below_it(
    placed: ImageSearchEngine, tmp_path: Path
) -> None:
    # This is what `pixseek search QUERY FOLDER` asks.
    assert found_by(placed, {"folder": {"$in": [str(tmp_path.parent)]}}) == "abcd"
    assert found_by(placed, {"folder": {"$nin": [str(tmp_path.parent)]}}) == ""


def test_a_folder_filter_may_end_with_a_slash(placed: ImageSearchEngine, photos: Path) -> None:
    assert found_by(placed, {"folder": f"{photos}/2019/"}) == "ab"
    assert found_by(placed, {"folder": f"{photos.parent}/"}) == "abc"
    assert found_by(placed, {"folder": {"$in": [f"{photos}/2019/"]}}) == "ab"


def test_the_root_folder_holds_everything(placed: ImageSearchEngine) -> None:
    assert found_by(placed, {"folder": "/"}) == "abcd"


def test_a_path_filter_takes_every_way_to_write_the_path(
    placed: ImageSearchEngine, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos / "2020")
    for path in (str(photos / "2019/a.png"), "../2019/a.png", "~/photos/2019/a.png"):
        assert found_by(placed, {"path": path}) == "a", path
        assert found_by(placed, {"path": {"$in": [path, "c.png"]}}) == "ac", path
    assert found_by(placed, {"path": f"{tmp_path}-elsewhere/d.png"}) == "d"
    assert found_by(placed, {"path": {"$contains": "2019"}}) == "ab"


def test_a_path_filter_that_names_a_folder_finds_no_file(
    placed: ImageSearchEngine, photos: Path, tmp_path: Path
) -> None:
    for folder in (photos, tmp_path, tmp_path.parent):
        assert found_by(placed, {"path": str(folder)}) == "", folder


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("{tmp}/photos/2019/", "ab"),
        ("{tmp}/photos/2019/d", "b"),
        ("{tmp}/photos/20", "abc"),
        ("~/photos/2020", "c"),
        ("{tmp}/", "abc"),
        ("{tmp}", "abcd"),
        ("{tmp}-else", "d"),
        ("{above}/", "abcd"),
        ("{tmp_cut}", "abcd"),
        ("/", "abcd"),
    ],
)
def test_a_path_prefix_means_the_beginning_of_the_absolute_path(
    placed: ImageSearchEngine, tmp_path: Path, prefix: str, expected: str
) -> None:
    given = prefix.format(tmp=tmp_path, above=tmp_path.parent, tmp_cut=str(tmp_path)[:-1])
    assert found_by(placed, {"path": {"$prefix": given}}) == expected


# Errors


def test_what_cannot_be_searched_is_refused(engine: ImageSearchEngine, flags: Path) -> None:
    engine.index_images(flags)
    for text in ("", "   ", "\n\t", None):
        with pytest.raises(InvalidQuery, match="the query is empty; expected words"):
            engine.search(text)
    with pytest.raises(InvalidQuery, match="k is 0 and offset 0; expected at least 1 and 0"):
        engine.search_by_text("red", k=0)
    with pytest.raises(InvalidQuery, match="k is 5 and offset -1"):
        engine.search_by_text("red", k=5, offset=-1)
    with pytest.raises(InvalidFilter, match=r"\$near"):
        engine.search_by_text("red", where={"width": {"$near": 3}})


def test_a_query_picture_that_cannot_be_read_is_refused(
    engine: ImageSearchEngine, flags: Path
) -> None:
    engine.index_images(flags)
    with pytest.raises(MissingPath, match=r"nowhere\.png.*expected a picture file"):
        engine.search_by_image(flags / "nowhere.png")
    (flags / "bad.png").write_bytes(b"hello")
    with pytest.raises(UnreadableImage, match=r"bad\.png' as a picture: its content is in no"):
        engine.search_by_image(flags / "bad.png")
    with pytest.raises(UnreadableImage, match=r"the picture given' as a picture: .* is empty"):
        engine.search_by_image(b"")
    with pytest.raises(UnreadableImage, match="directory"):
        engine.search_by_image(flags)


def test_a_damaged_picture_in_memory_is_refused_like_any_other(engine: ImageSearchEngine) -> None:
    buffer = BytesIO()
    Image.effect_noise((200, 200), 50).save(buffer, "PNG")
    opened = Image.open(BytesIO(buffer.getvalue()[:5000]))
    with pytest.raises(UnreadableImage, match="damaged"):
        engine.search_by_image(opened)


def test_another_model_or_store_than_the_librarys_is_refused(
    engine: ImageSearchEngine, tmp_path: Path
) -> None:
    with pytest.raises(ModelMismatch, match="made by model palette, but model pocket was asked"):
        ImageSearchEngine(engine.library, model="pocket")
    with pytest.raises(StoreMismatch, match="in the store 'local', but 'memory' was asked for"):
        ImageSearchEngine(engine.library, store="memory")
    with pytest.raises(UnknownModel, match="no model is called 'clap'"):
        ImageSearchEngine(tmp_path / "new", model="clap")
    with pytest.raises(UnknownStore, match="no store is called 'shelf'"):
        ImageSearchEngine(tmp_path / "newer", model="palette", store="shelf")


def test_a_refused_model_leaves_a_library_that_can_still_be_made(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match="clap"):
        ImageSearchEngine(tmp_path / "new", model="clap")
    with pytest.raises(LibraryNotFound, match="no library at"):
        ImageSearchEngine(tmp_path / "new", create=False)
    with ImageSearchEngine(tmp_path / "new", model="palette") as engine:
        assert engine.status().space.model == "palette"


def test_the_same_model_with_other_weights_is_refused_with_both(
    counting: ImageSearchEngine, flags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting.index_images(flags)
    counting.close()
    register(monkeypatch, OtherWeights)
    with (
        ImageSearchEngine(counting.library) as engine,
        pytest.raises(ModelMismatch, match=r"counting-1.*counting-2"),
    ):
        engine.search_by_text("red")


def test_a_library_that_is_not_there_is_not_made_when_it_must_not_be(tmp_path: Path) -> None:
    with pytest.raises(LibraryNotFound, match=r"there is no library at .*none.*pixseek index"):
        ImageSearchEngine(tmp_path / "none", create=False)
    assert not (tmp_path / "none").exists()


def test_a_library_whose_making_was_cut_short_is_not_there_and_can_be_made(
    tmp_path: Path,
) -> None:
    # What a kill leaves between making the file and its tables.
    (tmp_path / "library").mkdir()
    (tmp_path / "library/library.db").touch()
    with pytest.raises(LibraryNotFound, match="there is no library at"):
        ImageSearchEngine(tmp_path / "library", create=False)
    with ImageSearchEngine(tmp_path / "library", model="palette") as engine:
        assert engine.search_by_text("red") == []


def test_a_library_of_a_newer_version_is_refused_with_both_versions(
    engine: ImageSearchEngine, flags: Path
) -> None:
    engine.index_images(flags)
    engine.close()
    connection = sqlite3.connect(engine.library / "library.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    for create in (True, False):
        with pytest.raises(LibraryTooNew, match=r"has format 99; .* up to 1.*Upgrade") as caught:
            ImageSearchEngine(engine.library, create=create)
        assert (caught.value.found, caught.value.supported) == (99, 1)


def test_a_file_of_another_program_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.mkdir()
    connection = sqlite3.connect(library / "library.db")
    connection.execute("CREATE TABLE songs (title TEXT)")
    connection.commit()
    connection.close()
    content = (library / "library.db").read_bytes()
    with pytest.raises(LibraryDamaged, match="written by another program"):
        ImageSearchEngine(library, model="palette")
    assert (library / "library.db").read_bytes() == content


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "library").mkdir()
    (tmp_path / "library/library.db").write_bytes(b"not a database at all " * 100)
    with pytest.raises(LibraryDamaged, match=r"cannot be used: .*not a database"):
        ImageSearchEngine(tmp_path / "library", model="palette")


def test_a_library_where_a_file_lies_is_refused(tmp_path: Path) -> None:
    (tmp_path / "library").write_text("my notes")
    with pytest.raises(LibraryDamaged, match="cannot be used"):
        ImageSearchEngine(tmp_path / "library", model="palette")
    assert (tmp_path / "library").read_text() == "my notes"


# Settings, and opening again


def test_the_model_and_store_of_a_library_are_remembered(
    engine: ImageSearchEngine, flags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.index_images(flags)
    engine.close()
    monkeypatch.setenv("PIXSEEK_MODEL", "pocket")
    with ImageSearchEngine(engine.library, create=False) as again:
        assert again.status().space.model == "palette"
        assert paths(again.search_by_text("red", k=1)) == ["red.png"]


def test_a_new_library_takes_its_place_and_model_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIXSEEK_LIBRARY", str(tmp_path / "named"))
    monkeypatch.setenv("PIXSEEK_MODEL", "palette")
    with ImageSearchEngine() as engine:
        assert engine.library == tmp_path / "named"
        assert engine.status().space.model == "palette"


def test_a_library_that_is_named_is_the_one_that_is_opened_whatever_the_options(
    tmp_path: Path,
) -> None:
    with ImageSearchEngine(
        tmp_path / "named", model="palette", options=load({"workers": 1})
    ) as engine:
        assert engine.library == tmp_path / "named"


def test_searching_loads_the_model_once_and_indexing_nothing_loads_none(
    counting: ImageSearchEngine, flags: Path
) -> None:
    counting.index_images(flags)
    counting.close()
    CountingEncoder.loaded = 0
    with ImageSearchEngine(counting.library) as engine:
        (flags / "red.png").unlink()
        (flags / "blue.png").rename(flags / "blau.png")
        engine.index_images()
        assert CountingEncoder.loaded == 0
        engine.search_by_text("red")
        engine.search_by_image(flags / "blau.png")
        assert CountingEncoder.loaded == 1


def test_status_says_what_the_library_holds(engine: ImageSearchEngine, flags: Path) -> None:
    (flags / "bad.png").write_bytes(b"no")
    shutil.copy(flags / "red.png", flags / "copy.png")
    engine.index_images(flags)
    status = engine.status()
    assert (status.path, status.store, status.space.model) == (engine.library, "local", "palette")
    assert (status.items, status.files) == (8, 9)
    assert [(f.path, f.files, f.present) for f in status.folders] == [(flags, 9, True)]
    assert [skipped.path for skipped in status.skipped] == [flags / "bad.png"]
    assert status.size_bytes >= (engine.library / "library.db").stat().st_size
    assert status.writer is None


# Several at once


def test_a_search_answers_while_another_thread_indexes(
    engine: ImageSearchEngine, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "FILES_PER_WRITE", 8)
    for i in range(160):
        Image.new("RGB", (8, 8), (200 + i % 50, i, 0)).save(photos / f"{i}.png")
    problems: list[BaseException] = []
    reports: list[IndexReport] = []

    searched = threading.Event()

    def wait_for_a_search(_: Progress) -> None:
        searched.clear()
        searched.wait(5)

    def index() -> None:
        try:
            reports.append(engine.index_images(photos, on_progress=wait_for_a_search))
        except BaseException as error:  # noqa: BLE001  handed to the test
            problems.append(error)

    thread = threading.Thread(target=index)
    thread.start()
    seen = [0]
    while thread.is_alive():
        hits = engine.search_by_text("red", k=1000)
        searched.set()
        assert all(hit.path.exists() for hit in hits)
        seen.append(len(hits))
        engine.status()
    thread.join()
    assert problems == []
    assert counts(reports[0]) == {"added": 160, "encoded": 160}
    assert seen == sorted(seen)
    assert len({*seen}) > 2, "no search ever met a library that was half full"
    assert len(engine.search_by_text("red", k=1000)) == 160


def test_threads_that_index_and_remove_take_turns(engine: ImageSearchEngine, flags: Path) -> None:
    engine.index_images(flags)
    problems: list[BaseException] = []

    def work(number: int) -> None:
        try:
            if number % 2:
                engine.index_images(flags / f"{FLAGS[number]}.png")
            else:
                engine.remove(flags / f"{FLAGS[number]}.png")
        except BaseException as error:  # noqa: BLE001  handed to the test
            problems.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert problems == []
    assert everything(engine) == {flags / f"{FLAGS[n]}.png" for n in (1, 3, 5, 7)}


def locked_out(engine: ImageSearchEngine) -> ImageSearchEngine:
    """The same library through an engine that does not wait."""
    return ImageSearchEngine(
        engine.library, options=load({"library": engine.library, "lock_timeout_s": 0})
    )


def test_while_another_writes_indexing_is_refused_and_searching_is_not(
    engine: ImageSearchEngine, flags: Path, paint: Paint
) -> None:
    engine.index_images(flags)
    paint("new.png", "pink")
    with locked_out(engine) as other, lock.writing(engine.library, wait_s=0):
        assert str(os.getpid()) in str(other.status().writer)
        with pytest.raises(LibraryLocked, match=f"written to by process {os.getpid()} "):
            other.index_images(flags)
        with pytest.raises(LibraryLocked, match=f"process {os.getpid()} "):
            other.remove(flags)
        assert paths(other.search_by_text("red", k=1)) == ["red.png"]
    with locked_out(engine) as other:
        assert counts(other.index_images(flags)) == {"added": 1, "unchanged": 8, "encoded": 1}


def test_asking_who_writes_does_not_keep_a_writer_out(engine: ImageSearchEngine) -> None:
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            lock.holder(engine.library)

    thread = threading.Thread(target=ask)
    thread.start()
    refused = 0
    for _ in range(400):
        try:
            with lock.writing(engine.library, wait_s=0):
                pass
        except LibraryLocked:
            refused += 1
    stop.set()
    thread.join()
    assert refused == 0


def test_what_another_did_while_this_one_waited_is_not_undone(
    engine: ImageSearchEngine, flags: Path, paint: Paint
) -> None:
    engine.index_images(flags)
    paint("mine.png", "pink")
    held = threading.Event()
    release = threading.Event()

    def hold() -> None:
        with lock.writing(engine.library, wait_s=0):
            held.set()
            release.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(20)

    def meanwhile(_: str) -> None:
        """Another process finishes: it has indexed a new file and removed one."""
        release.set()
        holder.join()
        paint("theirs.png", "brown")
        with ImageSearchEngine(engine.library) as other:
            other.index_images(flags)
            other.remove(flags / "red.png")

    engine.index_images(flags, on_wait=meanwhile)
    names = {path.name for path in everything(engine)}
    assert {"mine.png", "theirs.png"} <= names
    assert "red.png" not in names


def test_a_process_that_lost_the_race_to_make_a_library_forgets_nothing(
    tmp_path: Path, paint: Paint, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint("red.png", "red")
    real = lock.writing
    calls: list[Path] = []

    @contextmanager
    def writing(library: Path, **options: Any) -> Iterator[bool]:
        calls.append(library)
        if len(calls) == 2:  # it saw no library and asks for the lock; the other is faster
            with ImageSearchEngine(tmp_path / "library", model="palette") as other:
                other.index_images(tmp_path / "photos")
        with real(library, **options) as waited:
            yield waited

    monkeypatch.setattr("pixseek.library.lock.writing", writing)
    with ImageSearchEngine(tmp_path / "library", model="palette") as engine:
        assert len(calls) > 1
        monkeypatch.undo()
        assert engine.status().files == 1
        assert engine.index_images().unchanged == 1


def test_a_store_that_cannot_be_opened_is_not_remembered(tmp_path: Path, paint: Paint) -> None:
    paint("red.png", "red")
    with pytest.raises(UnknownStore):
        ImageSearchEngine(tmp_path / "library", model="palette", store="locall")
    with ImageSearchEngine(tmp_path / "library", model="palette", store="local") as engine:
        assert engine.index_images(tmp_path / "photos").added == 1


def test_an_empty_folder_may_be_the_place_of_a_drive_and_keeps_its_entries(
    engine: ImageSearchEngine, photos: Path, paint: Paint
) -> None:
    drive = photos / "drive"
    paint("drive/red.png", "red")
    paint("drive/blue.png", "blue")
    engine.index_images(drive)
    for file in drive.iterdir():
        file.rename(photos / file.name)
    report = engine.index_images()
    assert (report.missing, report.removed) == ([drive], 0)
    assert len(engine.search_by_text("red")) == 2
    assert engine.remove(drive) == 2
    assert engine.search_by_text("red") == []


def test_a_link_whose_file_is_gone_leaves_the_library(
    engine: ImageSearchEngine, photos: Path, paint: Paint
) -> None:
    paint("red.png", "red")
    target = paint("elsewhere/blue.png", "blue").rename(photos.parent / "blue.png")
    (photos / "link.png").symlink_to(target)
    assert engine.index_images(photos).added == 2
    target.unlink()
    report = engine.index_images(photos)
    assert (report.removed, report.unchanged) == (1, 1)
    assert engine.index_images(photos).removed == 0


@pytest.mark.parametrize("modified_ns", [2**63, 2**62, -(2**62), 253402300800 * 10**9])
def test_a_file_of_any_age_is_indexed_and_in_step(
    engine: ImageSearchEngine,
    photos: Path,
    paint: Paint,
    modified_ns: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = paint("red.png", "red")
    try:
        os.utime(path, ns=(0, modified_ns))
    except OverflowError:
        os.utime(path, ns=(0, 2**63 - 1))
    assert engine.index_images(photos).added == 1
    assert engine.index_images(photos).unchanged == 1
    print_hits(engine.search_by_text("red"), [], preview=False)
    print_hits_json(engine.search_by_text("red"), [])
    assert "red.png" in capsys.readouterr().out


def test_a_failure_while_getting_ready_is_raised_once_by_the_search(
    engine: ImageSearchEngine, photos: Path, paint: Paint, capsys: pytest.CaptureFixture[str]
) -> None:
    paint("red.png", "red")
    engine.index_images(photos)
    with closing(sqlite3.connect(engine.library / "library.db")) as connection, connection:
        connection.execute("DROP TABLE generation")
    with pytest.raises(LibraryDamaged, match="no such table"):
        engine.search_by_text("red")
    assert "Traceback" not in capsys.readouterr().err


def test_what_was_removed_by_a_filter_stays_away_however_much_it_is(
    engine: ImageSearchEngine, photos: Path, paint: Paint
) -> None:
    for i in range(30):
        paint(f"{i}.png", (i, 0, 0), size=(20, 30) if i % 2 else (30, 20))
    engine.index_images(photos)
    assert engine.remove(where={"orientation": "portrait"}) == 15
    paint("more.png", "blue")
    assert engine.index_images(photos).added == 1
    assert engine.status().files == 16
