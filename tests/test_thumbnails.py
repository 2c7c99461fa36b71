"""Small pictures: made when asked for or while indexing, kept bounded, gone with their items."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from PIL import Image, ImageColor
from tests.conftest import Paint

from pixseek import ImageSearchEngine
from pixseek.errors import MissingPath, UnreadableImage
from pixseek.records import Bounds
from pixseek.settings import Settings
from pixseek.thumbnails import SIZES, Thumbnails
from pixseek.workers import item_id

LIMITS = Bounds()


def kept(library: Path) -> list[str]:
    return sorted(path.name for path in library.rglob("*.webp"))


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content)).convert("RGB")


@pytest.mark.parametrize("size", SIZES)
def test_a_thumbnail_is_upright_and_no_larger_than_asked_nor_than_the_picture(
    tmp_path: Path, photos: Path, size: int
) -> None:
    thumbnails = Thumbnails(tmp_path / "library", LIMITS)
    for across, down, shown in [
        (3000, 1500, (size, size // 2)),
        (40, 20, (40, 20)),
        (5000, 100, (size, size // 50)),
    ]:
        image = Image.new("RGB", (across, down), "red")
        image.paste("blue", (0, 0, across // 2, down))
        path = photos / f"{across}.png"
        exif = Image.Exif()
        exif[0x0112] = 3  # upside down
        image.save(path, exif=exif)
        small = opened(thumbnails.get(item_id(path.read_bytes()), [path], size))
        assert abs(small.width - shown[0]) <= 1
        assert abs(small.height - shown[1]) <= 1
        red, _, blue = small.getpixel((2, 0))  # type: ignore[misc]  # RGB
        assert red > 200 > blue


def test_the_first_file_that_still_holds_the_item_is_read(
    tmp_path: Path, paint: Paint, photos: Path
) -> None:
    thumbnails = Thumbnails(tmp_path / "library", LIMITS)
    whole, changed, missing = paint("a.png", "red"), paint("b.png", "blue"), photos / "none.png"
    id = item_id(whole.read_bytes())
    with pytest.raises(MissingPath, match=r"none\.png"):
        thumbnails.get(id, [missing])
    with pytest.raises(UnreadableImage, match="changed since"):
        thumbnails.get(id, [missing, changed])
    assert kept(tmp_path) == []
    assert opened(thumbnails.get(id, [missing, changed, whole])).size == (48, 32)
    whole.unlink()
    assert opened(thumbnails.get(id, [missing])).size == (48, 32)


def test_one_that_was_made_is_had_without_its_file(tmp_path: Path, paint: Paint) -> None:
    thumbnails = Thumbnails(tmp_path / "library", LIMITS)
    picture = paint("a.png", "red")
    id = item_id(picture.read_bytes())
    assert thumbnails.made(id) is None
    made = thumbnails.get(id, [picture])
    assert thumbnails.made(id) == made
    assert thumbnails.made(id, 1280) is None


def test_an_id_that_is_no_file_name_does_not_become_one(tmp_path: Path, paint: Paint) -> None:
    thumbnails = Thumbnails(tmp_path / "library", LIMITS)
    for id in ("../../x", "/etc/x", "", "a/b", "ü", "\0", "\udcff"):
        with pytest.raises(UnreadableImage, match="changed since"):
            thumbnails.get(id, [paint("a.png", "red")])
        thumbnails.forget([id])
    assert kept(tmp_path) == []


def test_thumbnails_leave_the_library_with_their_items(
    engine: ImageSearchEngine, paint: Paint, photos: Path
) -> None:
    paths = {name: paint(name, name.partition(".")[0]) for name in ("red.png", "blue.png")}
    engine.index_images(photos)
    ids = {name: item_id(path.read_bytes()) for name, path in paths.items()}
    for name, path in paths.items():
        engine.thumbnails.get(ids[name], [path])
    assert len(kept(engine.library)) == 2
    paths["red.png"].unlink()
    engine.index_images()
    assert kept(engine.library) == [f"{ids['blue.png']}-320.webp"]
    engine.remove(photos)
    assert kept(engine.library) == []


def test_they_are_made_while_indexing_when_that_is_set(
    tmp_path: Path, photos: Path, paint: Paint
) -> None:
    paint("large.png", "red", "blue", size=(900, 90))
    paint("small.png", "red")
    options = Settings(library=tmp_path / "library", thumbnails=True)
    with ImageSearchEngine(tmp_path / "library", model="palette", options=options) as engine:
        engine.index_images(photos)
        assert len(kept(engine.library)) == 2  # of both as decoded for the model
        hits = {hit.path.name: hit for hit in engine.search_by_text("red", k=2)}
        for path in photos.iterdir():
            path.unlink()
        large = engine.thumbnails.get(hits["large.png"].id, hits["large.png"].paths)
        assert opened(large).size == (320, 32)


def test_those_not_asked_for_longest_go_when_there_are_too_many(
    tmp_path: Path, photos: Path, paint: Paint
) -> None:
    thumbnails = Thumbnails(tmp_path / "library", LIMITS, kept_bytes=400)
    ids = []
    for i in range(10):
        path = paint(f"{i}.png", "red", size=(20 + i, 20))
        ids.append(item_id(path.read_bytes()))
        thumbnails.get(ids[-1], [path])
    for i, id in enumerate(ids):
        os.utime(next(tmp_path.rglob(f"{id}-*.webp")), (i, i))
    thumbnails.sweep()
    left = kept(tmp_path)
    assert 0 < len(left) < 10
    assert left == sorted(f"{id}-320.webp" for id in ids[-len(left) :])
    for path in photos.iterdir():
        path.unlink()
    with pytest.raises(MissingPath, match="no such path"):
        thumbnails.get(ids[0], [photos / "0.png"])


def test_a_library_that_cannot_be_written_to_is_looked_at_all_the_same(
    tmp_path: Path, paint: Paint
) -> None:
    (tmp_path / "library").write_text("a file, where a folder should be")
    path = paint("a.png", "red")
    thumbnails = Thumbnails(tmp_path / "library", LIMITS)
    assert opened(thumbnails.get(item_id(path.read_bytes()), [path])).size == (48, 32)


def test_every_moment_of_an_animation_has_its_own_thumbnail_and_the_file_as_original(
    tmp_path: Path,
) -> None:
    colours = ("red", "blue", "green")
    frames = [Image.new("RGB", (300, 200), colour) for colour in colours]
    (tmp_path / "photos").mkdir()
    file = tmp_path / "photos" / "slides.gif"
    frames[0].save(file, save_all=True, append_images=frames[1:], duration=1000)
    with ImageSearchEngine(tmp_path / "library", model="palette") as engine:
        engine.index_images(file.parent)
        for colour in colours:
            (hit,) = engine.search(colour, k=1, moments=True)
            shown = opened(engine.thumbnails.get(hit.id, hit.paths)).getpixel((10, 10))
            expected = ImageColor.getrgb(colour)
            assert isinstance(shown, tuple)
            assert all(abs(a - b) < 20 for a, b in zip(shown, expected, strict=True))
            assert engine.items.original(hit.id) == file
