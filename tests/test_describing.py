"""Words for pictures: read by OCR, chosen from labels, kept in the store, found exactly."""

from __future__ import annotations

import json
import logging
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import rapidocr
from PIL import Image

from pixseek import ImageSearchEngine, lock
from pixseek.cli import main
from pixseek.encoders import Options
from pixseek.encoders.catalog import MODELS
from pixseek.errors import (
    InvalidQuery,
    MissingExtra,
    MissingPath,
    ModelUnavailable,
    UnreadableImage,
)
from pixseek.records import DescribeReport, Metadata, Progress
from pixseek.words import DESCRIBERS, describers, ocr
from pixseek.words.labels import read_labels

PICTURES = Path(__file__).parent / "pictures"
SAMPLES = Path(__file__).parent.parent / "samples"


@pytest.fixture(scope="module")
def reader() -> ocr.TextReader:
    return ocr.load(Options())


class Colours:
    """A describer that needs no weights: the name of a picture's colour, if it is pure."""

    field = "caption"
    input_size = 16

    def __init__(self) -> None:
        self.seen = 0

    def describe(self, images: Sequence[Image.Image]) -> list[Metadata]:
        self.seen += len(images)
        return [self._one(image) for image in images]

    def _one(self, image: Image.Image) -> Metadata:
        pixel = image.getpixel((0, 0))
        if pixel == (0, 0, 0):
            raise UnreadableImage("the picture given", "it is too dark")
        names = {(255, 0, 0): "a red flag", (0, 0, 255): "a blue flag"}
        caption = names.get(pixel)  # type: ignore[arg-type]  # RGB
        return {"caption": caption, "caption_by": "colours"} if caption else {}


def describe(
    engine: ImageSearchEngine, describer: Colours | None = None, *, again: bool = False
) -> DescribeReport:
    return engine._describe(describer or Colours(), again, lambda _: None)


def found(engine: ImageSearchEngine, words: str) -> set[str]:
    return {path.name for hit in engine.search(words=words, k=100) for path in hit.paths}


@pytest.fixture
def flags(paint: object, photos: Path, engine: ImageSearchEngine) -> Path:
    for name, colour in (("r", "red"), ("b", "blue"), ("w", "white")):
        paint(f"{name}.png", colour)  # type: ignore[operator]  # conftest.Paint
    engine.index_images(photos)
    return photos


# text in pictures


def test_the_words_of_a_scanned_page_are_read_with_their_places(reader: ocr.TextReader) -> None:
    page = Image.open(PICTURES / "page.png").convert("RGB")
    [said] = reader.describe([page])
    assert "Region-based segmentation\nLet us first determine markers" in str(said["text"])
    lines = [json.loads(line) for line in said["text_lines"]]  # type: ignore[union-attr]
    assert "\n".join(line["text"] for line in lines) == said["text"]
    assert lines[0]["box"][1] < 0.2 < 0.7 < lines[-1]["box"][1]
    for line in lines:
        left, top, width, height = line["box"]
        assert 0 <= left < left + width <= 1
        assert 0 <= top < top + height <= 1
        assert 0.8 <= line["confidence"] <= 1


def test_the_words_of_a_screenshot_are_read(reader: ocr.TextReader) -> None:
    [said] = reader.describe([Image.open(PICTURES / "screenshot.png").convert("RGB")])
    text = str(said["text"])
    for words in ("Wireless", "WPA3 Personal", "192.168.4.27", "Renew it to stay connected."):
        assert words in text


def test_photographs_without_text_have_none(reader: ocr.TextReader) -> None:
    some = [Image.open(SAMPLES / f"photo-{number}.jpg") for number in ("06", "11", "16")]
    assert reader.describe(some) == [{}, {}, {}]
    assert reader.describe([]) == []


@pytest.mark.parametrize("size", [(1, 1), (2000, 1), (1, 300), (31, 33), (3000, 40)])
def test_any_shape_of_picture_is_read(size: tuple[int, int], reader: ocr.TextReader) -> None:
    assert reader.describe([Image.new("RGB", size, "white")]) == [{}]


def test_a_picture_much_longer_than_wide_is_read_in_parts(reader: ocr.TextReader) -> None:
    screenshot = Image.open(PICTURES / "screenshot.png").convert("RGB")
    tall = Image.new("RGB", (960, 6000), "white")
    for row in range(0, 6000, 3000):
        tall.paste(screenshot, (0, row + 100))
    [said] = reader.describe([tall])
    assert str(said["text"]).count("Renew it to stay connected.") == 2
    last = json.loads(list(said["text_lines"])[-1])  # type: ignore[arg-type]  # a list
    assert last["box"][1] > 0.5


def test_reading_prints_nothing_and_leaves_logging_alone(
    reader: ocr.TextReader, capfd: pytest.CaptureFixture[str]
) -> None:
    before = logging.getLogger().level, list(logging.getLogger().handlers)
    reader.describe([Image.open(PICTURES / "page.png").convert("RGB"), Image.new("RGB", (9, 9))])
    assert capfd.readouterr() == ("", "")
    assert (logging.getLogger().level, list(logging.getLogger().handlers)) == before


def test_threads_read_the_same_as_one(reader: ocr.TextReader) -> None:
    page = Image.open(PICTURES / "page.png").convert("RGB")
    [expected] = reader.describe([page])
    texts: list[Metadata] = []
    threads = [
        threading.Thread(target=lambda: texts.extend(reader.describe([page]))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == [expected] * 4


def test_models_that_are_not_in_rapidocrs_package_are_not_fetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(rapidocr, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(ModelUnavailable, match=r"PP-OCRv6_det_small.onnx is not there"):
        ocr.load(Options())


def test_what_a_describer_needs_and_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(DESCRIBERS, "text", DESCRIBERS["text"]._replace(module="no_such_module"))
    with pytest.raises(MissingExtra, match=r"reading text in pictures needs the extra 'ocr'"):
        describers("text")


def test_texts_are_read_once_and_found_by_exact_words(
    photos: Path, engine: ImageSearchEngine
) -> None:
    shutil.copy(PICTURES / "page.png", photos)
    shutil.copy(PICTURES / "screenshot.png", photos)
    shutil.copy(SAMPLES / "photo-06.jpg", photos)
    engine.index_images(photos)
    report = engine.read_texts()
    assert (report.described, report.found, report.known, report.skipped) == (3, 2, 0, [])
    report = engine.read_texts()
    assert (report.described, report.found, report.known) == (0, 0, 3)
    assert found(engine, "WIRELESS certificate") == {"screenshot.png"}
    assert found(engine, "segmentation") == {"page.png"}
    assert found(engine, "wire") == set()
    assert found(engine, "wireless segmentation") == set()
    [hit] = engine.search("a page", where={"words": "coins"})
    assert "coins" in str(hit.metadata["text"])


# every describer


@pytest.mark.usefixtures("flags")
def test_words_are_added_and_pictures_with_nothing_to_say_are_not_seen_again(
    engine: ImageSearchEngine,
) -> None:
    one = Colours()
    report = describe(engine, one)
    assert (report.described, report.found, one.seen) == (3, 2, 3)
    assert describe(engine, one).known == 3
    assert one.seen == 3
    assert found(engine, "red flag") == {"r.png"}
    assert found(engine, "flag") == {"r.png", "b.png"}
    assert describe(engine, one, again=True).described == 3
    [hit] = engine.search(words="Red!")
    assert hit.metadata["described"] == ["caption"]
    assert hit.metadata["caption_by"] == "colours"


def test_words_stay_when_files_move_and_go_when_the_content_changes(
    flags: Path, engine: ImageSearchEngine
) -> None:
    describe(engine)
    (flags / "sub").mkdir()
    (flags / "r.png").rename(flags / "sub" / "moved.png")
    shutil.copy(flags / "b.png", flags / "copy.png")
    engine.index_images()
    assert found(engine, "red") == {"moved.png"}
    assert found(engine, "blue") == {"b.png", "copy.png"}
    Image.new("RGB", (40, 40), "green").save(flags / "sub" / "moved.png")
    engine.index_images()
    assert found(engine, "red") == set()
    assert describe(engine).described == 1


@pytest.mark.usefixtures("flags")
def test_words_stay_when_the_library_switches_to_another_model(engine: ImageSearchEngine) -> None:
    describe(engine)
    engine.switch_model("pocket")
    assert found(engine, "red flag") == {"r.png"}
    assert describe(engine).known == 3


def test_one_that_cannot_be_read_or_described_is_named_and_stops_nobody(
    flags: Path, engine: ImageSearchEngine
) -> None:
    Image.new("RGB", (40, 40)).save(flags / "dark.png")
    Image.new("RGB", (40, 40), "yellow").save(flags / "gone.png")
    Image.new("RGB", (40, 40), "pink").save(flags / "changed.png")
    engine.index_images()
    (flags / "gone.png").unlink()
    (flags / "changed.png").write_bytes(b"something else")
    report = describe(engine)
    assert report.described == 3
    assert {(one.path.name, one.reason) for one in report.skipped} == {
        ("dark.png", "it is too dark"),
        ("gone.png", "No such file or directory"),
        ("changed.png", "it has changed; index it first"),
    }
    assert {one.path.name for one in describe(engine).skipped} == {
        "dark.png",
        "gone.png",
        "changed.png",
    }


def test_a_copy_is_read_where_the_first_file_is_gone(
    flags: Path, engine: ImageSearchEngine
) -> None:
    shutil.copy(flags / "r.png", flags / "z.png")
    engine.index_images()
    (flags / "r.png").unlink()
    assert describe(engine).skipped == []
    assert "r.png" in found(engine, "red")


def test_a_move_while_pictures_are_described_is_kept(
    flags: Path, engine: ImageSearchEngine
) -> None:
    class Moving(Colours):
        def describe(self, images: Sequence[Image.Image]) -> list[Metadata]:
            said = super().describe(images)
            (flags / "r.png").rename(flags / "moved.png")
            engine.index_images()
            return said

    describe(engine, Moving())
    assert found(engine, "red") == {"moved.png"}


@pytest.mark.usefixtures("flags")
def test_others_may_write_while_a_picture_is_described(engine: ImageSearchEngine) -> None:
    class Looking(Colours):
        def describe(self, images: Sequence[Image.Image]) -> list[Metadata]:
            assert lock.holder(engine.library) is None
            return super().describe(images)

    assert describe(engine, Looking()).described == 3


@pytest.mark.usefixtures("flags")
def test_progress_counts_what_is_stored(engine: ImageSearchEngine) -> None:
    seen: list[tuple[int, int]] = []

    def note(progress: Progress) -> None:
        seen.append((progress.done, progress.total))

    engine._describe(Colours(), False, note)
    assert seen[0] == (0, 3)
    assert seen[-1] == (3, 3)


def test_an_interrupted_run_keeps_what_it_has_and_the_next_goes_on(
    flags: Path, engine: ImageSearchEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        Image.new("RGB", (40, 40), (number, 200, 3)).save(flags / f"{number}.png")
    engine.index_images()
    monkeypatch.setattr("pixseek.describing.ITEMS_PER_WRITE", 4)

    def interrupt(progress: Progress) -> None:
        if progress.done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine._describe(Colours(), False, interrupt)
    rest = describe(engine)
    assert rest.known >= 8
    assert rest.known + rest.described == 23


KILLED = """
import sys
from pixseek import ImageSearchEngine
from pixseek import describing
describing.ITEMS_PER_WRITE = 1
with ImageSearchEngine(sys.argv[1], create=False) as engine:
    engine.read_texts(on_progress=lambda p: print(p.done, flush=True))
"""


def test_a_run_that_is_killed_half_way_goes_on(photos: Path, engine: ImageSearchEngine) -> None:
    for number, path in enumerate(sorted(SAMPLES.glob("*.jpg"))[:8]):
        shutil.copy(path, photos / f"{number}.jpg")
    shutil.copy(PICTURES / "page.png", photos)
    engine.index_images(photos)
    run = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(engine.library)], stdout=subprocess.PIPE, text=True
    )
    with run:
        assert run.stdout is not None
        for line in run.stdout:
            if int(line) >= 2:
                run.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
                break
    rest = engine.read_texts()
    assert rest.known >= 2
    assert rest.known + rest.described == 9
    assert found(engine, "segmentation") == {"page.png"}


# labels


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageSearchEngine]:
    with ImageSearchEngine(tmp_path_factory.mktemp("labels") / "library", model="pocket") as engine:
        engine.index_images(SAMPLES)
        engine.label_images()
        yield engine


@pytest.mark.parametrize(
    ("photo", "label"),
    [
        ("photo-06.jpg", "tiger"),
        ("photo-11.jpg", "cat"),
        ("photo-13.jpg", "bee"),
        ("photo-16.jpg", "coral reef"),
        ("photo-04.jpg", "bridge"),
        ("photo-22.jpg", "otter"),
    ],
)
def test_the_obvious_label_is_given_and_can_be_filtered_by(
    photo: str, label: str, labelled: ImageSearchEngine
) -> None:
    hits = labelled.search("a picture", k=50, where={"labels": label})
    assert photo in [hit.path.name for hit in hits]
    assert photo in found(labelled, label.upper())


def test_labels_given_again_take_the_place_of_those_before(
    labelled: ImageSearchEngine, tmp_path: Path
) -> None:
    file = tmp_path / "labels.txt"
    file.write_text("# mine\na tiger in snow  # the only one\n\na cup of coffee\n")
    report = labelled.label_images(file, top=1, threshold=0.9)
    assert (report.described, report.skipped) == (30, [])
    hit = labelled.search("tiger", k=1)[0]
    assert hit.metadata["labels"] == ["a tiger in snow"]
    assert found(labelled, "otter") == set()
    assert labelled.label_images(["dog"], threshold=1.0).found == 0
    assert "labels" not in labelled.search("tiger", k=1)[0].metadata
    assert labelled.search("tiger", k=1)[0].metadata["words"] == ["photo", "06", "jpg"]
    labelled.label_images()


def test_the_built_in_labels_are_several_hundred_and_none_twice() -> None:
    labels = [one for label in read_labels() if (one := label.strip())]
    assert 400 < len(labels) == len({one.casefold() for one in labels})


def test_labels_that_cannot_be_used_are_refused(engine: ImageSearchEngine, tmp_path: Path) -> None:
    with pytest.raises(MissingPath, match="a file of labels"):
        engine.label_images(tmp_path / "nothing.txt")
    with pytest.raises(InvalidQuery, match="there are no labels"):
        engine.label_images(["", " "])
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    with pytest.raises(InvalidQuery, match="is not UTF-8"):
        engine.label_images(tmp_path / "latin.txt")


def test_the_built_in_model_has_a_temperature_of_its_own() -> None:
    assert MODELS["pocket"].logit_scale == 25.0


# searching


def test_words_join_text_image_and_filter(flags: Path, engine: ImageSearchEngine) -> None:
    describe(engine)

    def names(**query: object) -> list[str]:
        return [hit.path.name for hit in engine.search(**query)]  # type: ignore[arg-type]

    assert names(query="blue", words="flag") == ["b.png", "r.png"]
    assert names(image=flags / "r.png", words="flag") == ["r.png", "b.png"]
    assert names(words="flag", where={"name": "b.png"}) == ["b.png"]
    assert names(words="flag", k=1) + names(words="flag", offset=1) == names(words="flag")


@pytest.mark.parametrize("words", ["", "  ", "?!"])
def test_words_without_a_letter_are_refused(words: str, engine: ImageSearchEngine) -> None:
    with pytest.raises(InvalidQuery, match="expected"):
        engine.search("a text", words=words)


def test_the_command_line_reads_labels_and_finds_by_words(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(PICTURES / "page.png", photos)
    library = ["--library", str(tmp_path / "library")]
    assert main(["index", str(photos), "--ocr", "--model", "palette", *library]) == 0
    assert "1 picture looked at in" in capsys.readouterr().out
    assert main(["index", "--ocr", "--json", *library]) == 0
    assert json.loads(capsys.readouterr().out)["texts"]["known"] == 1
    assert main(["search", "--words", "coins", "--paths", *library]) == 0
    assert capsys.readouterr().out.splitlines() == [str(photos / "page.png")]
    assert main(["label", "--top", "2", "--json", *library]) == 0
    assert json.loads(capsys.readouterr().out)["described"] == 1
    assert main(["search", "--words", "none such", "--json", *library]) == 0
    assert json.loads(capsys.readouterr().out) == []
