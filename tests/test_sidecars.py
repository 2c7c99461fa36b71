"""Sidecars that come, change and go: what is said of pictures is in step; nothing is encoded."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from tests.conftest import Paint
from tests.test_said import bag, xmp

from pixseek import ImageSearchEngine
from pixseek.records import IndexReport, Metadata


def write(path: Path, rating: str = "5", *keywords: str) -> Path:
    """A sidecar whose time differs from that of the one before, however fast it is written."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_bytes(xmp(f"<dc:subject>{bag(*keywords)}</dc:subject>", xmp_Rating=rating))
    os.utime(path, ns=(0, max(path.stat().st_mtime_ns, before + 1)))
    return path


def fields(engine: ImageSearchEngine, name: str) -> Metadata:
    """What the library says of the picture with a file of this name."""
    [hit] = engine.search("red", k=9, where={"name": name})
    return hit.metadata


def counts(report: IndexReport) -> tuple[int, int, int, int, int]:
    return (report.added, report.moved, report.updated, report.unchanged, report.encoded)


def test_a_sidecar_comes_changes_and_goes(
    engine: ImageSearchEngine, paint: Paint, photos: Path
) -> None:
    paint("a.jpg", "red")
    paint("b.jpg", "blue")
    engine.index_images(photos)
    before = fields(engine, "a.jpg")
    sidecar = write(photos / "a.jpg.xmp", "4", "tower")

    assert counts(engine.index_images(photos)) == (0, 0, 1, 1, 0)
    assert fields(engine, "a.jpg") == before | {
        "rating": 4,
        "keywords": ["tower"],
        "words": ["tower", "a", "jpg"],
    }
    assert counts(engine.index_images(photos)) == (0, 0, 0, 2, 0)

    write(sidecar, "2", "sea")
    assert counts(engine.index_images(photos)) == (0, 0, 1, 1, 0)
    now = fields(engine, "a.jpg")
    assert (now["rating"], now["words"]) == (2, ["sea", "a", "jpg"])

    sidecar.unlink()
    assert counts(engine.index_images(photos)) == (0, 0, 1, 1, 0)
    assert fields(engine, "a.jpg") == before
    assert counts(engine.index_images(photos)) == (0, 0, 0, 2, 0)


def test_what_the_picture_says_itself_comes_back(
    engine: ImageSearchEngine, photos: Path, paint: Paint
) -> None:
    from PIL import Image

    picture = paint("a.jpg", "red")
    packet = xmp(xmp_Rating="1", exif_GPSLatitude="48,51.5N", exif_GPSLongitude="2,17.7E")
    Image.open(picture).save(picture, xmp=packet)
    sidecar = photos / "a.xmp"
    sidecar.write_bytes(xmp(exif_GPSLatitude="52,31N", exif_GPSLongitude="13,22.7E"))

    engine.index_images(photos)
    found = fields(engine, "a.jpg")
    assert (found["city"], found["country"], found["rating"]) == ("Berlin", "Germany", 1)

    sidecar.unlink()
    engine.index_images(photos)
    found = fields(engine, "a.jpg")
    assert (found["city"], found["country"], found["rating"]) == ("Paris", "France", 1)


def test_the_longer_name_goes_before_the_shorter_which_is_for_all_of_that_name(
    engine: ImageSearchEngine, paint: Paint, photos: Path
) -> None:
    paint("a.jpg", "red")
    paint("a.png", "blue")
    write(photos / "a.xmp", "1")
    write(photos / "a.jpg.XMP", "5")

    engine.index_images(photos)

    assert [fields(engine, name)["rating"] for name in ("a.jpg", "a.png")] == [5, 1]


def test_a_file_that_is_named_by_itself_has_its_sidecar(
    engine: ImageSearchEngine, paint: Paint, photos: Path
) -> None:
    picture = paint("a.jpg", "red")
    sidecar = write(photos / "a.xmp", "3")

    engine.index_images(picture)
    assert fields(engine, "a.jpg")["rating"] == 3
    sidecar.unlink()
    assert engine.index_images().updated == 1
    assert "rating" not in fields(engine, "a.jpg")


def test_a_picture_moves_with_its_sidecar_and_without(
    engine: ImageSearchEngine, paint: Paint, photos: Path
) -> None:
    paint("a.jpg", "red")
    write(photos / "a.jpg.xmp", "4")
    engine.index_images(photos)

    (photos / "a.jpg").rename(photos / "b.jpg")
    (photos / "a.jpg.xmp").rename(photos / "b.jpg.xmp")
    assert counts(engine.index_images(photos)) == (0, 1, 0, 0, 0)
    assert fields(engine, "b.jpg")["rating"] == 4

    (photos / "b.jpg").rename(photos / "c.jpg")
    assert counts(engine.index_images(photos)) == (0, 1, 0, 0, 0)
    assert "rating" not in fields(engine, "c.jpg")


def test_of_copies_the_first_sidecar_speaks_and_goes_with_its_copy(
    engine: ImageSearchEngine, paint: Paint, photos: Path
) -> None:
    paint("b.jpg", "red")
    write(photos / "b.jpg.xmp", "2", "kept")
    engine.index_images(photos)
    shutil.copy(photos / "b.jpg", photos / "a.jpg")
    write(photos / "a.jpg.xmp", "4")

    assert counts(engine.index_images(photos)) == (0, 1, 0, 1, 0)
    assert fields(engine, "a.jpg")["rating"] == 4
    assert fields(engine, "a.jpg")["keywords"] == ["kept"]
    (photos / "a.jpg").unlink()
    engine.index_images(photos)
    assert fields(engine, "b.jpg")["rating"] == 2


def test_a_picture_that_is_edited_keeps_its_sidecar(
    engine: ImageSearchEngine, paint: Paint, photos: Path
) -> None:
    paint("a.jpg", "red")
    write(photos / "a.xmp", "4")
    engine.index_images(photos)
    paint("a.jpg", "red", "blue", size=(50, 40))

    assert engine.index_images(photos).changed == 1
    assert (fields(engine, "a.jpg")["rating"], fields(engine, "a.jpg")["width"]) == (4, 50)


def test_captions_labels_and_what_others_wrote_stay(
    engine: ImageSearchEngine, paint: Paint, photos: Path
) -> None:
    paint("a.jpg", "red")
    engine.index_images(photos)
    [hit] = engine.search("red")
    engine.items.update_metadata({hit.id: {"album": "summer", "caption": "a red wall"}})
    write(photos / "a.xmp", "4")

    engine.index_images(photos)

    found = fields(engine, "a.jpg")
    assert (found["album"], found["caption"], found["rating"]) == ("summer", "a red wall", 4)


@pytest.mark.parametrize(
    "content", [b"", b"<a>", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', b"\0" * (1 << 21)]
)
def test_a_sidecar_that_cannot_be_read_is_noted_and_tried_again_when_it_changes(
    engine: ImageSearchEngine, paint: Paint, photos: Path, content: bytes
) -> None:
    paint("a.jpg", "red")
    (photos / "a.xmp").write_bytes(content)

    assert engine.index_images(photos).skipped == []
    assert ("notes" in fields(engine, "a.jpg")) == bool(content)
    write(photos / "a.xmp", "4")
    assert engine.index_images(photos).updated == 1
    assert fields(engine, "a.jpg")["rating"] == 4


def test_a_folder_named_like_a_sidecar_and_one_that_is_passed_over_say_nothing(
    engine: ImageSearchEngine, paint: Paint, photos: Path
) -> None:
    paint("a.jpg", "red")
    (photos / "a.xmp").mkdir()
    write(photos / "a.jpg.xmp", "4")

    engine.index_images(photos, exclude=["*.xmp"])

    assert "rating" not in fields(engine, "a.jpg")


def test_a_library_that_knew_no_sidecars_learns_them(
    engine: ImageSearchEngine, paint: Paint, photos: Path
) -> None:
    paint("a.jpg", "red")
    engine.index_images(photos)
    assert not engine._library.manifest.sidecars.has_any()
    write(photos / "a.xmp", "4")

    assert engine.index_images().updated == 1
    engine.remove(photos / "a.jpg")
    engine.index_images(photos / "a.jpg")
    assert fields(engine, "a.jpg")["rating"] == 4
