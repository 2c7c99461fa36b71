"""Copies are told from other pictures, and put out of the way without losing any."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from tests.conftest import SAMPLES

from pixseek import ImageSearchEngine
from pixseek.alike import Duplicates, duplicates, similar
from pixseek.alike.comparing import CONFIRMED, Small, likeness
from pixseek.alike.settling import link, move_away
from pixseek.errors import MissingPath

NAMES = ("photo-01.jpg", "photo-03.jpg", "photo-07.jpg", "photo-12.jpg")
OLD = 1_500_000_000


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[ImageSearchEngine]:
    """An empty library on the built-in model."""
    with ImageSearchEngine(tmp_path / "library", model="pocket") as made:
        yield made


@pytest.fixture
def album(photos: Path) -> Path:
    """Four photographs, one of them twice, another smaller, cut and encoded anew."""
    for number, name in enumerate(NAMES):
        shutil.copy(SAMPLES / name, photos / name)
        os.utime(photos / name, (OLD + number, OLD + number))
    shutil.copyfile(photos / NAMES[0], photos / "twice.jpg")
    with Image.open(photos / NAMES[1]) as image:
        changed(image).save(photos / "smaller.jpg", quality=80)
    return photos


def changed(image: Image.Image) -> Image.Image:
    width, height = image.size
    cut = image.crop((width // 20, height // 30, width, height - height // 40))
    return cut.resize((cut.width // 2, cut.height // 2))


def names(found: Duplicates) -> list[tuple[str, list[tuple[str, str]]]]:
    """(kept, [(kind, copy)]) of each group."""
    return [
        (group.keep.path.name, [(copy.kind, copy.file.path.name) for copy in group.copies])
        for group in found.groups
    ]


# Finding


def test_copies_are_found_with_the_one_to_keep(engine: ImageSearchEngine, album: Path) -> None:
    engine.index_images(album)
    found = duplicates(engine)
    exact = ("photo-01.jpg", [("exact", "twice.jpg")])
    near = ("photo-03.jpg", [("near", "smaller.jpg")])
    assert sorted(names(found)) == [exact, near]
    assert found.skipped == []
    why = {group.keep.path.name: group.why for group in found.groups}
    assert why == {"photo-01.jpg": "it is the oldest", "photo-03.jpg": "it has the most pixels"}
    assert names(duplicates(engine, near=False)) == [exact]
    assert names(duplicates(engine, exact=False)) == [near]
    assert names(duplicates(engine, exact=False, near=False)) == []


def test_an_empty_library_has_none(engine: ImageSearchEngine) -> None:
    assert duplicates(engine) == Duplicates()


def test_only_the_folders_that_are_named_count(engine: ImageSearchEngine, album: Path) -> None:
    (album / "other").mkdir()
    (album / "twice.jpg").rename(album / "other" / "twice.jpg")
    engine.index_images(album)
    assert names(duplicates(engine, album / "other")) == []
    assert len(names(duplicates(engine, [album]))) == 2


def test_files_that_are_gone_and_other_names_of_one_file_are_no_copies(
    engine: ImageSearchEngine, album: Path
) -> None:
    (album / "twice.jpg").unlink()
    (album / "twice.jpg").hardlink_to(album / NAMES[0])
    (album / "link.jpg").symlink_to(album / NAMES[0])
    engine.index_images(album)
    (album / "smaller.jpg").unlink()
    assert names(duplicates(engine)) == []


def test_what_says_that_it_was_taken_at_another_time_is_no_copy(
    engine: ImageSearchEngine, photos: Path
) -> None:
    with Image.open(SAMPLES / NAMES[0]) as image:
        for second in (1, 2):
            exif = Image.Exif()
            exif.get_ifd(0x8769)[0x9003] = f"2020:01:01 10:00:0{second}"
            image.save(photos / f"burst-{second}.jpg", exif=exif)
            image.resize((300, 200)).save(photos / f"small-{second}.jpg", exif=exif)
    engine.index_images(photos)
    assert sorted(names(duplicates(engine))) == [
        ("burst-1.jpg", [("near", "small-1.jpg")]),
        ("burst-2.jpg", [("near", "small-2.jpg")]),
    ]


def test_of_films_and_animations_only_equal_files_are_copies(
    engine: ImageSearchEngine, photos: Path
) -> None:
    with Image.open(SAMPLES / NAMES[0]) as one, Image.open(SAMPLES / NAMES[1]) as other:
        for name, second in (
            ("a.gif", other),
            ("b.gif", one.transpose(Image.Transpose.ROTATE_180)),
        ):
            frames = [picture.resize((200, 200)) for picture in (one, second)]
            frames[0].save(photos / name, save_all=True, append_images=frames[1:], duration=500)
    shutil.copy(photos / "a.gif", photos / "again.gif")
    engine.index_images(photos)
    assert names(duplicates(engine)) == [("a.gif", [("exact", "again.gif")])]


def test_a_picture_that_cannot_be_read_any_more_is_named(
    engine: ImageSearchEngine, album: Path
) -> None:
    engine.index_images(album)
    (album / "smaller.jpg").write_bytes(b"something else")
    found = duplicates(engine)
    assert names(found) == [("photo-01.jpg", [("exact", "twice.jpg")])]
    assert [one.path.name for one in found.skipped] == ["smaller.jpg"]
    assert "changed" in found.skipped[0].reason


def test_the_raw_then_pixels_then_what_a_camera_wrote_is_kept(
    engine: ImageSearchEngine, photos: Path
) -> None:
    exif = Image.Exif()
    exif[0x0110] = "Camera"
    with Image.open(SAMPLES / NAMES[0]) as image:
        image.save(photos / "a-lossless.png")
        image.save(photos / "a-much-longer-name.jpg", exif=exif)
        image.save(photos / "a.webp", quality=90)
    engine.index_images(photos)
    (group,) = duplicates(engine).groups
    assert (group.keep.path.name, group.why) == (
        "a-much-longer-name.jpg",
        "it is in the original format",
    )
    assert len(group.copies) == 2


# Comparing


def test_changes_leave_a_picture_alike_and_others_are_not() -> None:
    pictures = {}
    for name in NAMES:
        with Image.open(SAMPLES / name) as image:
            pictures[name] = image.convert("RGB")
    small = {name: Small(picture) for name, picture in pictures.items()}
    for name, picture in pictures.items():
        for made in (
            changed(picture),
            picture.convert("L").convert("RGB"),
            ImageEnhance.Brightness(picture).enhance(1.3),
            picture.resize((90, 90 * picture.height // picture.width)),
        ):
            alike = [likeness(small[name], Small(made)), likeness(Small(made), small[name])]
            assert min(alike) >= CONFIRMED
            assert alike[0] == alike[1]
        assert likeness(small[name], small[name]) == pytest.approx(1, abs=1e-5)
        others = [likeness(small[name], small[other]) for other in NAMES if other != name]
        assert max(others) < CONFIRMED / 2


def test_plain_pictures_have_nothing_to_compare_and_pages_of_text_differ() -> None:
    plain = Small(Image.new("RGB", (200, 100), "white"))
    assert likeness(plain, plain) == 0
    pages = []
    for seed in (1, 2):
        random = np.random.default_rng(seed)
        page = np.full((400, 300), 255, np.uint8)
        for line in range(40, 360, 12):
            at, end = 30, int(random.integers(60, 270))
            while at < end:
                long = int(random.integers(6, 30))
                page[line : line + 6, at : min(at + long, end)] = 30
                at += long + 5
        pages.append(Small(Image.fromarray(page).convert("RGB")))
    assert likeness(*pages) < CONFIRMED


# Out of the way


def moved_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_copies_move_to_a_folder_and_out_of_the_library(
    engine: ImageSearchEngine, album: Path, tmp_path: Path
) -> None:
    engine.index_images(album)
    contents = {path.read_bytes() for path in album.iterdir()}
    target = tmp_path / "away" / "there"
    report = move_away(engine, duplicates(engine).groups, target)
    assert sorted(one.after.name for one in report.settled) == moved_names(target)
    assert moved_names(target) == ["smaller.jpg", "twice.jpg"]
    assert moved_names(album) == sorted(NAMES)
    assert {path.read_bytes() for path in [*album.iterdir(), *target.iterdir()]} == contents
    assert engine.status().files == 4
    assert duplicates(engine).groups == []


def test_what_is_moved_within_the_library_stays_out_of_it(
    engine: ImageSearchEngine, album: Path
) -> None:
    engine.index_images(album)
    target = album / "copies"
    assert len(move_away(engine, duplicates(engine).groups, target).settled) == 2
    engine.index_images()
    assert engine.status().files == 4
    assert moved_names(target) == ["smaller.jpg", "twice.jpg"]


def test_a_name_that_is_taken_gets_a_number(
    engine: ImageSearchEngine, album: Path, tmp_path: Path
) -> None:
    engine.index_images(album)
    target = tmp_path / "away"
    target.mkdir()
    (target / "twice.jpg").write_text("mine")
    (target / "twice-2.jpg").write_text("mine, too")
    move_away(engine, duplicates(engine).groups, target)
    assert moved_names(target) == ["smaller.jpg", "twice-2.jpg", "twice-3.jpg", "twice.jpg"]
    assert (target / "twice.jpg").read_text() == "mine"
    assert (target / "twice-3.jpg").read_bytes() == (album / NAMES[0]).read_bytes()


def test_nothing_moves_when_the_one_to_keep_or_the_copy_has_changed(
    engine: ImageSearchEngine, album: Path, tmp_path: Path
) -> None:
    engine.index_images(album)
    groups = duplicates(engine).groups
    (album / NAMES[0]).write_bytes(b"gone")
    (album / "smaller.jpg").write_bytes(b"other")
    report = move_away(engine, groups, tmp_path / "away")
    assert report.settled == []
    reasons = {one.path.name: one.reason for one in report.skipped}
    assert "the one to keep has changed" in reasons["twice.jpg"]
    assert reasons["smaller.jpg"].startswith("it has changed")
    assert moved_names(tmp_path / "away") == []
    assert len(list(album.iterdir())) == 6


def test_to_another_disk_a_file_is_copied_and_compared_before_it_goes(
    engine: ImageSearchEngine, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.index_images(album)
    groups = duplicates(engine).groups

    def other_disk(_: Path, __: Path) -> Path:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    content = (album / "twice.jpg").read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", other_disk)
        report = move_away(engine, groups, tmp_path / "away")
    assert len(report.settled) == 2
    assert (tmp_path / "away" / "twice.jpg").read_bytes() == content
    assert moved_names(album) == sorted(NAMES)


def test_what_is_not_written_whole_stays_where_it_was(
    engine: ImageSearchEngine, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.index_images(album)
    groups = duplicates(engine).groups

    def other_disk(_: Path, __: Path) -> Path:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    def half(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes()[:1000])

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", other_disk)
        patched.setattr(shutil, "copy2", half)
        report = move_away(engine, groups, tmp_path / "away")
    assert report.settled == []
    assert len(report.skipped) == 2
    assert len(list(album.iterdir())) == 6
    assert moved_names(tmp_path / "away") == []
    assert engine.status().files == 6


def test_a_file_is_no_folder_to_move_to(engine: ImageSearchEngine, album: Path) -> None:
    engine.index_images(album)
    with pytest.raises(MissingPath):
        move_away(engine, duplicates(engine).groups, album / NAMES[0])


def test_equal_files_become_one_with_several_names(engine: ImageSearchEngine, album: Path) -> None:
    engine.index_images(album)
    report = link(engine, duplicates(engine).groups)
    assert [one.before.name for one in report.settled] == ["twice.jpg"]
    assert report.size_bytes == (album / NAMES[0]).stat().st_size
    assert (album / "twice.jpg").samefile(album / NAMES[0])
    assert not (album / "smaller.jpg").samefile(album / NAMES[1])
    assert engine.status().files == 6
    assert engine.index_images().unchanged == 6
    assert names(duplicates(engine, near=False)) == []
    assert [path.name for path in album.iterdir() if path.name.startswith(".")] == []


def test_what_cannot_be_linked_stays_as_it_was(
    engine: ImageSearchEngine, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.index_images(album)
    groups = duplicates(engine, near=False).groups

    def refused(_: Path, __: Path) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", refused)
        report = link(engine, groups)
    assert (report.settled, len(report.skipped)) == ([], 1)
    assert "Invalid cross-device link" in report.skipped[0].reason
    assert not (album / "twice.jpg").samefile(album / NAMES[0])


# Like one picture


def test_similar_pictures_leave_out_the_picture_itself(
    engine: ImageSearchEngine, album: Path
) -> None:
    engine.index_images(album)
    hits = similar(engine, album / NAMES[1])
    assert hits[0].path.name == "smaller.jpg"
    assert len(hits) == 4
    assert [hit.path.name for hit in similar(engine, album / NAMES[1], 1)] == ["smaller.jpg"]
    assert similar(engine, album / NAMES[1], 2, offset=1) == hits[1:3]
    assert not {NAMES[0], "twice.jpg"} & {
        path.name for hit in similar(engine, album / "twice.jpg") for path in hit.paths
    }


def test_a_picture_that_is_not_in_the_library_finds_all_that_is(
    engine: ImageSearchEngine, album: Path, tmp_path: Path
) -> None:
    (album / "smaller.jpg").rename(tmp_path / "outside.jpg")
    engine.index_images(album)
    hits = similar(engine, tmp_path / "outside.jpg")
    assert (hits[0].path.name, len(hits)) == (NAMES[1], 4)
    with pytest.raises(MissingPath):
        similar(engine, tmp_path / "none.jpg")
