"""Another model for a library: searches are answered all the while, and nothing is lost."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

import pixseek
from pixseek import ImageSearchEngine, lock, switching
from pixseek.encoders import RUNTIMES, Runtime
from pixseek.encoders.catalog import MODELS, Model
from pixseek.encoders.palette import PaletteEncoder
from pixseek.errors import LibraryLocked, ModelMismatch, UnknownModel
from pixseek.manifest import Manifest
from pixseek.records import Progress, Space, Vectors
from pixseek.stores import open_store

PICTURES = int(os.environ.get("PIXSEEK_TEST_SWITCHED", "2000"))
SOURCE = str(Path(pixseek.__file__).parent.parent)

SWITCH = """
import sys
from pixseek import ImageSearchEngine
with ImageSearchEngine(sys.argv[1]) as engine:
    report = engine.switch_model(
        sys.argv[2], on_progress=lambda progress: print("done", progress.done, flush=True)
    )
print("switched", report.switched, report.encoded, flush=True)
"""


class MirrorEncoder(PaletteEncoder):
    """The palette with every colour's place changed: other vectors, the same order of hits."""

    space = Space("mirror", "mirror-1", 11)

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        return super().encode_images(images)[:, ::-1].copy()

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        return super().encode_texts(texts)[:, ::-1].copy()


@pytest.fixture(autouse=True)
def mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second fast model, `mirror`."""
    module = ModuleType("encoders_of_the_switching_tests")
    vars(module)["load"] = lambda model, options: MirrorEncoder()  # noqa: ARG005
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(RUNTIMES, "mirror", Runtime(module.__name__))
    model = Model("mirror", "pixseek", "mirror", "MIT", "none", "for these tests")
    monkeypatch.setitem(MODELS, "mirror", model)


@pytest.fixture
def album(photos: Path) -> Path:
    """Twelve pictures; red.png is the only one that is mostly red."""
    for number in range(11):
        Image.new("RGB", (40, 30), (0, 20 * number, 255 - number)).save(photos / f"{number}.png")
    Image.new("RGB", (40, 30), (210, 20, 30)).save(photos / "red.png")
    return photos


@pytest.fixture
def filled(engine: ImageSearchEngine, album: Path) -> ImageSearchEngine:
    engine.index_images(album)
    return engine


def reddest(engine: ImageSearchEngine) -> str:
    (hit,) = engine.search_by_text("red", k=1)
    return hit.path.name


def test_after_a_switch_the_new_model_answers_with_all_metadata(filled: ImageSearchEngine) -> None:
    before = {hit.id: hit.metadata for hit in filled.search_by_text("blue", k=50)}
    report = filled.switch_model("mirror")
    assert (report.before, report.after, report.switched) == ("palette", "mirror", True)
    assert (report.encoded, report.unreadable) == (12, [])
    assert filled.encoder.space.model == "mirror"
    assert {hit.id: hit.metadata for hit in filled.search_by_text("blue", k=50)} == before
    assert reddest(filled) == "red.png"
    assert filled.index_images().unchanged == 12


def test_a_library_opened_anew_has_the_new_model_and_refuses_the_old(
    filled: ImageSearchEngine,
) -> None:
    filled.switch_model("mirror")
    with ImageSearchEngine(filled.library) as other:
        assert other.status().space.model == "mirror"
        assert reddest(other) == "red.png"
    with pytest.raises(ModelMismatch, match="by model mirror, but model palette was asked for"):
        ImageSearchEngine(filled.library, model="palette")


def test_an_engine_that_was_open_before_follows_the_switch(filled: ImageSearchEngine) -> None:
    with ImageSearchEngine(filled.library) as other:
        assert reddest(other) == "red.png"
        filled.switch_model("mirror")
        assert reddest(other) == "red.png"
        assert other.status().space.model == "mirror"
        Image.new("RGB", (20, 20), "pink").save(filled.library.parent / "photos" / "pink.png")
        assert other.index_images().added == 1
    assert filled.status().items == 13


def test_a_search_that_the_switch_overtakes_is_asked_again(
    filled: ImageSearchEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ImageSearchEngine(filled.library) as other:
        encode, calls = PaletteEncoder.encode_texts, []

        def overtaken(encoder: PaletteEncoder, texts: Sequence[str]) -> Vectors:
            if list(texts) == ["red"]:  # and not what tells which scores are usual
                calls.append(texts)
                if len(calls) == 1:  # the old vectors are deleted between the query and the search
                    filled.switch_model("mirror")
            return encode(encoder, texts)

        monkeypatch.setattr(PaletteEncoder, "encode_texts", overtaken)
        assert reddest(other) == "red.png"
        assert len(calls) == 2


def test_the_old_vectors_are_deleted_unless_they_are_kept(filled: ImageSearchEngine) -> None:
    filled.switch_model("mirror", keep=True)
    status = filled.status()
    assert (status.space.model, status.kept, status.building) == ("mirror", ["palette"], [])
    assert filled.switch_model("palette", keep=True).encoded == 0
    assert (filled.status().space.model, filled.status().kept) == ("palette", ["mirror"])
    assert reddest(filled) == "red.png"
    filled.switch_model("palette")
    assert filled.status().kept == []
    assert list((filled.library / "sets").iterdir()) == []
    assert filled.switch_model("mirror").encoded == 12


def test_switching_back_takes_over_what_has_changed_meanwhile(
    filled: ImageSearchEngine, album: Path
) -> None:
    filled.switch_model("mirror", keep=True)
    (album / "red.png").rename(album / "rot.png")
    (album / "3.png").unlink()
    Image.new("RGB", (20, 20), "pink").save(album / "pink.png")
    filled.index_images()
    assert filled.switch_model("palette").encoded == 1
    names = {path.name for hit in filled.search_by_text("red", k=50) for path in hit.paths}
    assert names == {path.name for path in album.iterdir()}
    assert reddest(filled) == "rot.png"


def test_switching_to_the_model_it_has_does_nothing(filled: ImageSearchEngine) -> None:
    report = filled.switch_model("palette")
    assert (report.switched, report.encoded) == (True, 0)
    assert reddest(filled) == "red.png"


def test_an_unknown_model_is_refused_before_anything_is_done(filled: ImageSearchEngine) -> None:
    with pytest.raises(UnknownModel, match="no model is called 'clap'"):
        filled.switch_model("clap")
    assert filled.status().building == []


def test_pictures_that_cannot_be_read_now_hold_the_switch_and_are_named(
    filled: ImageSearchEngine, album: Path
) -> None:
    away = album.parent / "away"
    album.rename(away)
    report = filled.switch_model("mirror")
    assert (report.switched, len(report.unreadable)) == (False, 12)
    assert report.unreadable[0].path.parent == album
    assert report.unreadable[0].reason == "No such file or directory"
    status = filled.status()
    assert (status.space.model, status.building) == ("palette", ["mirror"])
    assert reddest(filled) == "red.png"
    away.rename(album)
    assert filled.switch_model("mirror").encoded == 12
    assert filled.status().building == []


def test_pictures_that_are_left_out_are_new_again_when_they_can_be_read(
    filled: ImageSearchEngine, album: Path
) -> None:
    away = album.parent / "red.png"
    (album / "red.png").rename(away)
    report = filled.switch_model("mirror", leave_out=True)
    assert (report.switched, report.encoded, len(report.unreadable)) == (True, 11, 1)
    assert reddest(filled) != "red.png"
    away.rename(album / "red.png")
    assert filled.index_images().added == 1
    assert reddest(filled) == "red.png"


def test_a_file_that_changed_is_not_taken_for_the_picture_it_held(
    filled: ImageSearchEngine, album: Path
) -> None:
    Image.new("RGB", (40, 30), "white").save(album / "red.png")
    report = filled.switch_model("mirror")
    assert not report.switched
    assert [(one.path.name, one.reason[:14]) for one in report.unreadable] == [
        ("red.png", "it has changed")
    ]
    filled.index_images()
    assert filled.switch_model("mirror").switched


def test_a_copy_serves_where_the_first_file_cannot_be_read(
    filled: ImageSearchEngine, album: Path
) -> None:
    (album / "zzz.png").write_bytes((album / "red.png").read_bytes())
    filled.index_images()
    (album / "red.png").unlink()
    report = filled.switch_model("mirror")
    assert (report.switched, report.encoded, report.unreadable) == (True, 12, [])


def test_what_is_indexed_during_a_switch_is_in_the_new_set_too(
    filled: ImageSearchEngine, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switching, "AT_ONCE", 4)
    done: list[int] = []

    def meanwhile(progress: Progress) -> None:
        done.append(progress.done)
        if len(done) == 2:
            Image.new("RGB", (20, 20), (210, 20, 40)).save(album / "redder.png")
            (album / "0.png").unlink()
            with ImageSearchEngine(filled.library) as other:
                report = other.index_images()
            assert (report.added, report.removed) == (1, 1)

    report = filled.switch_model("mirror", on_progress=meanwhile)
    assert report.switched
    assert filled.status().items == 12
    assert {hit.path.name for hit in filled.search_by_text("red", k=2)} == {"red.png", "redder.png"}
    assert done[0] == 0


def test_what_is_removed_during_a_switch_before_it_was_read_does_not_hold_it(
    filled: ImageSearchEngine, album: Path
) -> None:
    def meanwhile(progress: Progress) -> None:
        if progress.done == 0 and (album / "0.png").exists():
            (album / "0.png").unlink()
            with ImageSearchEngine(filled.library) as other:
                assert other.index_images().removed == 1

    assert filled.switch_model("mirror", on_progress=meanwhile).switched
    assert filled.status().items == 11


def test_only_one_process_switches_at_a_time(filled: ImageSearchEngine) -> None:
    with (
        lock.writing(filled.library, wait_s=0, role="switch"),
        pytest.raises(LibraryLocked, match="is being written to by process"),
    ):
        filled.switch_model("mirror")


def test_a_set_left_by_a_process_that_died_is_deleted_by_the_next_run(
    filled: ImageSearchEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def died(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(switching, "drop_left", died)
    with pytest.raises(KeyboardInterrupt):
        filled.switch_model("mirror")
    monkeypatch.undo()
    manifest = Manifest(filled.library, create=False)
    assert [one.model for one in manifest.sets("leaving")] == ["palette"]
    assert reddest(filled) == "red.png"
    filled.index_images()
    assert manifest.sets("leaving") == []
    manifest.close()


def test_a_dropped_store_is_gone_for_those_who_open_it_and_empty_for_those_who_have_it(
    tmp_path: Path,
) -> None:
    space = PaletteEncoder().space
    store = open_store("local:set", tmp_path, space)
    other = open_store("local:set", tmp_path, None)
    store.drop()
    store.close()
    assert other.count() == 0
    other.close()
    assert not (tmp_path / "set").exists()


# At full size, in processes of their own


@pytest.fixture
def many(tmp_path: Path) -> Iterator[tuple[Path, ImageSearchEngine]]:
    """A library of pictures that take the second model some seconds."""
    folder = tmp_path / "many"
    folder.mkdir()
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((160, 120)).convert("RGB").save(buffer, "JPEG")
    for number in range(PICTURES):
        (folder / f"{number:05}.jpg").write_bytes(buffer.getvalue() + number.to_bytes(4, "big"))
    with ImageSearchEngine(tmp_path / "library", model="palette") as engine:
        engine.index_images(folder)
        yield tmp_path / "library", engine


def switch(library: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-c", SWITCH, str(library), "pocket"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCE},
    )


def test_a_switch_killed_half_way_goes_on_and_searches_are_answered_all_the_while(
    many: tuple[Path, ImageSearchEngine],
) -> None:
    library, engine = many
    answers: list[tuple[str, int]] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            found = len(engine.search_by_text("grey", k=PICTURES))
            answers.append((engine.encoder.space.model, found))
            time.sleep(0.02)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        first = switch(library)
        assert first.stdout is not None
        done = 0
        while done < PICTURES // 2:
            done = int(first.stdout.readline().split()[1])
        first.kill()
        first.communicate()
        assert engine.status().building == ["pocket"]
        assert engine.status().space.model == "palette"
        out, _ = switch(library).communicate(timeout=120)
    finally:
        over.set()
        asking.join()
    word, switched, encoded = out.splitlines()[-1].split()
    assert (word, switched) == ("switched", "True")
    assert int(encoded) <= PICTURES - done
    assert {found for _, found in answers} == {PICTURES}
    assert len(engine.search_by_text("grey", k=PICTURES)) == PICTURES
    assert engine.encoder.space.model == "pocket"
    assert answers[0][0] == "palette"
