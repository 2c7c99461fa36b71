"""Files with several pictures: animations and pages are found by each of them, and stay whole."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pixseek import ImageSearchEngine, care, frames
from pixseek.cli import main
from pixseek.errors import InvalidMetadata, UnreadableImage
from pixseek.frames import Frames, Reading, read_frame, read_frames
from pixseek.manifest import Manifest
from pixseek.moments import ANIMATION_MOMENTS, Choice, content_of, id_of, key_of
from pixseek.records import Hit, Item
from pixseek.stores.local import LocalStore
from pixseek.workers import item_id

SIZE = (48, 32)
SLIDES = ("red", "green", "blue")
HOW = Reading(32)
ANIMATIONS = ["slides.gif", "slides.png", "slides.webp", "slides.avif"]


def painted(colour: str) -> Image.Image:
    return Image.new("RGB", SIZE, colour)


@pytest.fixture
def animate(photos: Path) -> Callable[..., Path]:
    """animate("a.gif", "red", "blue", ms=500): frames of these colours; returns the path."""

    def make(name: str, *colours: str, ms: int = 500) -> Path:
        first, *rest = map(painted, colours)
        options: dict[str, Any] = {} if name.endswith(".tif") else {"duration": ms}
        if name.endswith(".webp"):
            options["lossless"] = True
        path = photos / name
        first.save(path, save_all=True, append_images=rest, **options)
        return path

    return make


def colour_of(image: Image.Image) -> str:
    red, green, blue = image.resize((1, 1)).getpixel((0, 0))  # type: ignore[misc]  # of RGB
    return max(("red", red), ("green", green), ("blue", blue), key=lambda one: one[1])[0]


def colours(found: Frames) -> list[str]:
    return [colour_of(found.first.image), *(colour_of(one.image) for one in found.further)]


def placed(hits: list[Hit]) -> list[tuple[str, float | None, int | None]]:
    return [(hit.path.name, hit.moment, hit.page) for hit in hits]


def stored(engine: ImageSearchEngine) -> dict[str, dict[str, object]]:
    """Every item of a library, straight from its store: id → metadata."""
    store = LocalStore.open(str(engine.library), None)
    try:
        return {item.id: dict(item.metadata) for item in store.fetch(list(store.ids()))}
    finally:
        store.close()


def assert_whole(engine: ImageSearchEngine) -> None:
    assert care.check(engine.library).problems == []


# Which pictures


@pytest.mark.parametrize("name", ANIMATIONS)
def test_the_frames_of_an_animation_that_differ_are_its_moments(
    name: str, animate: Callable[..., Path]
) -> None:
    found = read_frames(animate(name, "red", "red", "lime", "blue", "blue"), HOW, 60)
    assert colours(found) == ["red", "green", "blue"]
    assert [(one.key, one.metadata) for one in found.further] == [
        ("1000", {"moment": 1.0}),
        ("1500", {"moment": 1.5}),
    ]
    assert found.content_fields()["moment"] == 0.0
    assert found.content_fields()["duration"] == 2.5


@pytest.mark.parametrize("name", ANIMATIONS)
def test_a_moment_is_read_again_by_its_key(name: str, animate: Callable[..., Path]) -> None:
    path = animate(name, "red", "lime", "blue")
    assert colour_of(read_frame(path, HOW, "")) == "red"
    assert colour_of(read_frame(path, HOW, "500")) == "green"
    assert colour_of(read_frame(path, HOW, "1000")) == "blue"
    with pytest.raises(UnreadableImage, match="no picture at 700"):
        read_frame(path, HOW, "700")


def test_an_animation_that_hardly_changes_is_one_picture(animate: Callable[..., Path]) -> None:
    found = read_frames(animate("a.gif", "#800000", "#820000", "#800200"), HOW, 60)
    assert found.further == []
    assert "moment" not in found.content_fields()
    assert found.content_fields()["duration"] == 1.5


def test_of_many_frames_that_differ_eight_are_taken_that_lie_evenly(
    animate: Callable[..., Path],
) -> None:
    found = read_frames(animate("a.gif", *["red", "blue"] * 20, ms=100), HOW, 60)
    moments = [0.0, *(float(str(one.metadata["moment"])) for one in found.further)]
    assert len(moments) == ANIMATION_MOMENTS
    gaps = [after - before for before, after in pairwise(moments)]
    assert max(gaps) <= 4.0 / 2


def test_the_setting_bounds_what_one_file_has(animate: Callable[..., Path]) -> None:
    path = animate("a.gif", *SLIDES)
    assert len(read_frames(path, HOW, 2).further) == 1
    assert read_frames(path, HOW, 1).further == []
    pages = animate("a.tif", *SLIDES)
    assert [one.key for one in read_frames(pages, HOW, 2).further] == ["p2"]


def test_every_page_is_a_picture_however_alike(animate: Callable[..., Path]) -> None:
    found = read_frames(animate("scan.tif", "white", "white", "blue"), HOW, 60)
    assert [(one.key, one.metadata) for one in found.further] == [
        ("p2", {"page": 2}),
        ("p3", {"page": 3}),
    ]
    assert found.content_fields()["page"] == 1
    path = animate("b.tif", *SLIDES)
    assert colour_of(read_frame(path, HOW, "p3")) == "blue"
    with pytest.raises(UnreadableImage, match="no picture at p4"):
        read_frame(path, HOW, "p4")


def test_the_thumbnail_in_a_tiff_is_no_page(photos: Path) -> None:
    small = painted("blue")
    small.encoderinfo = {"tiffinfo": {0x00FE: 1}}
    path = photos / "a.tif"
    painted("red").save(path, save_all=True, append_images=[small])
    assert read_frames(path, HOW, 60).further == []


def test_a_still_has_no_moment(photos: Path) -> None:
    for name in ("a.gif", "a.png", "a.webp", "a.tif", "a.jpg"):
        painted("red").save(photos / name)
        found = read_frames(photos / name, HOW, 60)
        assert (found.further, found.metadata) == ([], {})


@pytest.mark.parametrize("name", ["slides.gif", "slides.png", "slides.webp", "slides.tif"])
def test_every_cut_of_a_file_is_read_as_far_as_it_goes_or_refused(
    name: str, animate: Callable[..., Path]
) -> None:
    content = animate(name, *SLIDES).read_bytes()
    whole = colours(read_frames(content, HOW, 60))
    for length in range(0, len(content), 7):
        try:
            found = read_frames(content[:length], HOW, 60)
        except UnreadableImage:
            continue
        assert len(found.further) < len(whole)


def test_ids_of_other_kinds_have_no_key() -> None:
    content = "0123456789abcdef" * 2
    assert (content_of(f"{content}@1500"), key_of(f"{content}@1500")) == (content, "1500")
    assert (content_of(f"{content}@p3"), key_of(f"{content}@p3")) == (content, "p3")
    assert id_of(content, "") == content
    for other in ("me@home", f"{content}@", f"{content}@x", f"{content}@1@2", "a"):
        assert (content_of(other), key_of(other)) == (other, "")


def test_a_choice_that_is_full_keeps_the_first_and_what_differs_most() -> None:
    choice: Choice[str] = Choice(3)
    for time, colour in enumerate(["black", "#181818", "white", "#e8e8e8", "black"]):
        choice.offer(time, painted(colour), colour)
    assert choice.chosen() == ["black", "white", "black"]


def test_an_animation_is_looked_at_within_bounds(
    animate: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = animate("a.gif", *SLIDES, *SLIDES)
    monkeypatch.setattr(frames, "FRAME_PIXELS", 2 * SIZE[0] * SIZE[1])
    assert colours(read_frames(path, HOW, 60)) == ["red", "green"]
    assert colours(read_frames(path, Reading(32, max_seconds=0), 60)) == ["red"]


# A library of them


@pytest.fixture
def album(photos: Path, animate: Callable[..., Path], engine: ImageSearchEngine) -> Path:
    """An animation, pages and a still, indexed."""
    animate("slides.gif", *SLIDES)
    animate("scan.tif", "white", "yellow")
    painted("orange").save(photos / "still.png")
    report = engine.index_images(photos)
    assert (report.added, report.encoded, report.skipped) == (3, 6, [])
    return photos


def test_each_moment_is_found_and_the_hit_says_where(
    engine: ImageSearchEngine, album: Path
) -> None:
    for colour, moment in (("red", 0.0), ("green", 0.5), ("blue", 1.0)):
        assert placed(engine.search(colour, k=1)) == [("slides.gif", moment, None)]
    assert placed(engine.search("yellow", k=1)) == [("scan.tif", None, 2)]
    assert placed(engine.search("orange", k=1)) == [("still.png", None, None)]
    content = item_id((album / "slides.gif").read_bytes())
    assert engine.search("blue", k=1)[0].id == f"{content}@1000"
    status = engine.status()
    assert (status.items, status.files) == (6, 3)


def test_of_a_file_the_best_moment_is_shown_and_all_when_asked(
    engine: ImageSearchEngine, album: Path
) -> None:
    assert len(list(album.iterdir())) == 3
    hits = engine.search("blue", k=10)
    assert sorted(hit.path.name for hit in hits) == ["scan.tif", "slides.gif", "still.png"]
    assert [h for page in range(3) for h in engine.search("blue", k=1, offset=page)] == hits
    assert engine.search("blue", k=5, offset=3) == []
    every = engine.search("blue", k=10, moments=True)
    assert sorted(hit.path.name for hit in every) == [
        *["scan.tif"] * 2,
        *["slides.gif"] * 3,
        "still.png",
    ]
    assert [hit for hit in every if hit in hits] == hits
    later = engine.search("red", k=10, where={"moment": {"$gt": 0.7}})
    assert placed(later) == [("slides.gif", 1.0, None)]


def test_files_enough_are_found_behind_one_with_many_moments(
    engine: ImageSearchEngine, photos: Path
) -> None:
    first, *rest = [Image.new("RGB", SIZE, (255, 0, 0)) for _ in range(58)]
    first.save(photos / "many.tif", save_all=True, append_images=rest)
    for number in range(4):
        Image.new("RGB", SIZE, (0, 0, 250 - number)).save(photos / f"{number}.png")
    engine.index_images(photos)
    assert engine.status().items == 62
    assert len({hit.path for hit in engine.search("red", k=5)}) == 5


def test_an_animation_as_the_example_finds_itself_first(
    engine: ImageSearchEngine, album: Path
) -> None:
    hit = engine.search_by_image(album / "slides.gif", k=1)[0]
    assert placed([hit]) == [("slides.gif", 0.0, None)]
    assert hit.score == pytest.approx(1.0, abs=1e-6)


def test_a_renamed_file_is_not_encoded_again_and_all_its_moments_say_so(
    engine: ImageSearchEngine, album: Path
) -> None:
    (album / "slides.gif").rename(album / "renamed.gif")
    report = engine.index_images(album)
    assert (report.moved, report.encoded, report.removed) == (1, 0, 0)
    assert placed(engine.search("blue", k=1)) == [("renamed.gif", 1.0, None)]
    assert {meta["name"] for meta in stored(engine).values()} == {
        "renamed.gif",
        "scan.tif",
        "still.png",
    }
    assert_whole(engine)


def test_two_copies_are_one_set_of_moments_with_two_paths(
    engine: ImageSearchEngine, album: Path
) -> None:
    copy = album / "copy.gif"
    shutil.copy(album / "slides.gif", copy)
    report = engine.index_images(album)
    assert (report.moved, report.encoded, engine.status().items) == (1, 0, 6)
    for colour in SLIDES:
        assert engine.search(colour, k=1)[0].paths == [copy, album / "slides.gif"]
    copy.unlink()
    engine.index_images(album)
    for colour in SLIDES:
        assert engine.search(colour, k=1)[0].paths == [album / "slides.gif"]
    assert_whole(engine)


@pytest.mark.parametrize("by", ["deleting", "removing", "removing one moment", "changing"])
def test_all_moments_go_with_their_file(
    engine: ImageSearchEngine, album: Path, animate: Callable[..., Path], by: str
) -> None:
    path = album / "slides.gif"
    if by == "deleting":
        path.unlink()
        assert engine.index_images(album).removed == 1
    elif by == "removing":
        assert engine.remove(path) == 1
    elif by == "removing one moment":
        assert engine.remove(where={"moment": {"$gt": 0.7}}) == 1
    else:
        animate("slides.gif", "purple", "orange", ms=300)
        report = engine.index_images(album)
        assert (report.changed, report.encoded) == (1, 2)
    left = sorted(str(meta["name"]) for meta in stored(engine).values())
    changed = ["slides.gif"] * 2 if by == "changing" else []
    assert left == ["scan.tif", "scan.tif", *changed, "still.png"]
    assert_whole(engine)


def test_a_file_that_comes_back_has_its_moments_again(
    engine: ImageSearchEngine, album: Path
) -> None:
    content = (album / "slides.gif").read_bytes()
    (album / "slides.gif").unlink()
    engine.index_images(album)
    (album / "again.gif").write_bytes(content)
    assert engine.index_images(album).encoded == 3
    assert placed(engine.search("blue", k=1)) == [("again.gif", 1.0, None)]
    assert_whole(engine)


def test_a_library_without_moments_has_no_table_of_them(
    engine: ImageSearchEngine, photos: Path
) -> None:
    painted("red").save(photos / "a.png")
    engine.index_images(photos)
    manifest = Manifest(engine.library, create=False)
    assert not manifest.has_moments()
    assert manifest.moments_of(["any"]) == {}
    manifest.close()


def test_animations_of_a_library_made_before_stay_found_as_they_are(
    tmp_path: Path, photos: Path, animate: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    animate("slides.gif", *SLIDES)
    monkeypatch.setenv("PIXSEEK_MAX_MOMENTS", "1")  # as it was
    with ImageSearchEngine(tmp_path / "old", model="palette") as engine:
        assert engine.index_images(photos).encoded == 1
    monkeypatch.delenv("PIXSEEK_MAX_MOMENTS")
    with ImageSearchEngine(tmp_path / "old") as engine:
        assert engine.index_images(photos).encoded == 0
        assert [hit.path.name for hit in engine.search("red")] == ["slides.gif"]
        animate("new.gif", "blue", "red")
        assert engine.index_images(photos).encoded == 2
        assert_whole(engine)


# Looking after


def test_another_model_has_the_same_moments(engine: ImageSearchEngine, album: Path) -> None:
    before = stored(engine)
    report = engine.switch_model("pocket")
    assert (report.switched, report.encoded, report.unreadable) == (True, 6, [])
    assert engine.status().items == 6
    assert {hit.id for hit in engine.search("a picture", k=20, moments=True)} == set(before)
    assert_whole(engine)
    (album / "slides.gif").unlink()
    engine.index_images(album)
    assert engine.status().items == 3
    assert_whole(engine)


def test_a_switch_that_leaves_an_animation_out_leaves_all_of_it(
    engine: ImageSearchEngine, album: Path
) -> None:
    (album / "slides.gif").write_bytes(b"damaged")
    assert not engine.switch_model("pocket").switched
    report = engine.switch_model("pocket", leave_out=True)
    assert (report.switched, len(report.unreadable), engine.status().items) == (True, 1, 3)
    assert_whole(engine)


def test_labels_are_of_each_moment_and_stay_when_it_moves(
    engine: ImageSearchEngine, album: Path
) -> None:
    engine.label_images(["red", "green", "blue", "yellow", "white"], top=1)
    (album / "slides.gif").rename(album / "renamed.gif")
    engine.index_images(album)
    for colour in SLIDES:
        assert engine.search(colour, k=1)[0].metadata["labels"] == [colour]


def test_the_doctor_mends_a_lost_moment_and_one_that_nobody_knows(
    engine: ImageSearchEngine, album: Path
) -> None:
    content = item_id((album / "slides.gif").read_bytes())
    store = LocalStore.open(str(engine.library), None)
    [item] = store.fetch([content])
    store.delete([f"{content}@500"])
    foreign = f"{item_id(b'nothing')}@500"
    store.add([type(item)(foreign, item.vector, item.metadata)])
    store.add([type(item)(f"{content}@77", item.vector, item.metadata)])
    store.close()
    problems = [one.what for one in care.check(engine.library).problems]
    assert sorted(problems) == sorted(
        [
            f"{foreign}: no file holds it",
            f"{content}@77: no file holds it",
            f"{album / 'slides.gif'}: its vector is not in the store",
        ]
    )
    assert care.check(engine.library, repair=True).is_whole
    assert engine.index_images(album).encoded == 3
    assert_whole(engine)
    assert placed(engine.search("green", k=1)) == [("slides.gif", 0.5, None)]


def test_a_backup_has_the_moments(engine: ImageSearchEngine, album: Path, tmp_path: Path) -> None:
    care.back_up(engine.library, tmp_path / "copy.zip")
    care.restore(tmp_path / "copy.zip", tmp_path / "restored" / "library")
    with ImageSearchEngine(tmp_path / "restored" / "library", create=False) as restored:
        assert restored.status().items == 6
        assert restored.search("blue", k=1)[0].moment == 1.0
    assert album.is_dir()


def test_moments_move_to_another_store(
    engine: ImageSearchEngine, album: Path, tmp_path: Path
) -> None:
    report = engine.move_to(f"milvus:{tmp_path / 'vectors.db'}", keep=False)
    assert (report.answers, report.copied) == (True, 6)
    assert placed(engine.search("blue", k=1)) == [("slides.gif", 1.0, None)]
    (album / "slides.gif").unlink()
    engine.index_images(album)
    assert engine.status().items == 3


def test_items_by_id_are_moments_too(engine: ImageSearchEngine, album: Path) -> None:
    content = item_id((album / "slides.gif").read_bytes())
    [item] = engine.items.fetch([f"{content}@500"])
    assert item.metadata["moment"] == 0.5
    assert engine.items.delete([f"{content}@500"]) == 1
    assert engine.status().items == 3


@pytest.mark.parametrize("refused", ["@500", ""])
def test_a_file_of_which_the_store_refuses_a_picture_is_skipped_whole(
    engine: ImageSearchEngine,
    photos: Path,
    animate: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    refused: str,
) -> None:
    path = animate("slides.gif", *SLIDES)
    animate("other.gif", "orange", "purple")
    id = item_id(path.read_bytes()) + refused
    add = LocalStore.add

    def refusing(self: LocalStore, items: Sequence[Item]) -> None:
        if any(item.id == id for item in items):
            raise InvalidMetadata(id, "moment", 0.5)
        add(self, items)

    with monkeypatch.context() as strict:
        strict.setattr(LocalStore, "add", refusing)
        report = engine.index_images(photos)
    assert [one.path for one in report.skipped] == [path]
    assert (report.added, engine.status().items) == (1, 2)
    assert_whole(engine)
    path.touch()
    assert engine.index_images(photos).encoded == 3
    assert_whole(engine)


def test_what_a_sidecar_says_is_said_of_each_moment(engine: ImageSearchEngine, album: Path) -> None:
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/'
        '22-rdf-syntax-ns#"><rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>'
        "<rdf:Alt><rdf:li>A holiday</rdf:li></rdf:Alt></dc:title></rdf:Description></rdf:RDF>"
        "</x:xmpmeta>"
    )
    sidecar = album / "slides.gif.xmp"
    sidecar.write_text(packet)
    assert engine.index_images(album).encoded == 0
    for colour in SLIDES:
        assert engine.search(colour, k=1)[0].metadata["title"] == "A holiday"
    assert len(engine.search(words="holiday", k=9, moments=True)) == 3
    sidecar.unlink()
    engine.index_images(album)
    assert engine.search(words="holiday", moments=True) == []
    assert_whole(engine)


# Killed and interrupted

INDEX = """
import os, sys
from pixseek import ImageSearchEngine
from pixseek.database import Database
from pixseek.stores.local import LocalStore
steps = int(sys.argv[3])
def counted(call):
    def counting(*arguments, **named):
        global steps
        steps -= 1
        if steps < 0:
            os._exit(9)
        return call(*arguments, **named)
    return counting
with ImageSearchEngine(sys.argv[1], model="palette") as engine:
    Database.writing = counted(Database.writing)
    engine.index_images(sys.argv[2])
print("whole")
"""


def crashes(library: Path, folder: Path) -> Iterator[int]:
    """Index again and again, killed before each next transaction, until one run is whole."""
    for steps in range(60):
        done = subprocess.run(
            [sys.executable, "-c", INDEX, str(library), str(folder), str(steps)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "PYTHONPATH": str(Path(care.__file__).parent.parent)},
        )
        assert done.returncode in (0, 9), done.stderr
        if done.returncode == 0:
            return
        yield steps
    raise AssertionError("no run was whole")


@pytest.mark.parametrize("change", ["new", "gone", "gone and back", "changed"])
def test_a_crash_before_any_transaction_is_completed_by_the_next_run(
    tmp_path: Path, photos: Path, animate: Callable[..., Path], change: str
) -> None:
    base = tmp_path / "base" / "library"
    with ImageSearchEngine(base, model="palette") as engine:
        painted("orange").save(photos / "still.png")
        if change != "new":
            animate("slides.gif", *SLIDES)
        engine.index_images(photos)
    moments = {"new": 3, "gone": 0, "gone and back": 3, "changed": 2}[change]
    there = (photos / "slides.gif").read_bytes() if change != "new" else b""
    if change == "new":
        animate("slides.gif", *SLIDES)
    elif change == "changed":
        animate("slides.gif", "purple", "orange", ms=300)
    else:
        (photos / "slides.gif").unlink()
    killed = tmp_path / "killed"
    kept = tmp_path / "kept"
    shutil.copytree(base.parent, kept)
    count = 0
    for steps in crashes_of(kept, killed, photos):
        count = steps + 1
        if change == "gone and back":
            (photos / "slides.gif").write_bytes(there)
        with ImageSearchEngine(killed / "library") as engine:
            engine.index_images(photos)
            assert engine.status().items == 1 + moments
            assert len(engine.search("red", k=20, moments=True)) == 1 + moments
            assert_whole(engine)
        if change == "gone and back":
            (photos / "slides.gif").unlink()
    assert count >= 4


def crashes_of(kept: Path, killed: Path, folder: Path) -> Iterator[int]:
    """Each time from a fresh copy of the library."""

    def renewed() -> None:
        shutil.rmtree(killed, ignore_errors=True)
        shutil.copytree(kept, killed)

    renewed()
    for steps in crashes(killed / "library", folder):
        yield steps
        renewed()


# What is shown


def test_the_command_line_says_where_in_a_file_a_hit_is(
    tmp_path: Path, photos: Path, animate: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    animate("slides.gif", *SLIDES, ms=40_000)
    animate("scan.tif", "white", "yellow")
    library = ["--library", str(tmp_path / "library")]
    assert main(["index", str(photos), "--model", "palette", "--quiet", *library]) == 0
    capsys.readouterr()
    assert main(["search", "blue", "-k", "1", *library]) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith("slides.gif @ 00:01:20")
    assert main(["search", "yellow", "-k", "1", *library]) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith("scan.tif @ page 2")
    assert main(["search", "blue", "--json", "--moments", *library]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 5
    where = [row["metadata"] for row in rows]
    assert {(one.get("moment"), one.get("page")) for one in where} == {
        *((0.0, None), (40.0, None), (80.0, None)),
        *((None, 1), (None, 2)),
    }
    assert {Path(row["path"]).name for row in rows} == {"slides.gif", "scan.tif"}
