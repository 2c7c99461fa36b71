"""What is passed over: rule files in folders, and rules of the library."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pixseek import ImageSearchEngine
from pixseek.errors import InvalidSetting
from pixseek.files import find
from pixseek.ignoring import IGNORE_FILE, is_pattern

Fill = Callable[..., Path]


@pytest.fixture
def fill(tmp_path: Path) -> Fill:
    """fill("a.jpg", "x/b.jpg"): empty files below one folder; returns it."""
    folder = tmp_path / "some photos"
    folder.mkdir()

    def make(*names: str) -> Path:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
        return folder

    return make


def found(folder: Path, *patterns: str, below: str = "") -> set[str]:
    files = find([folder / below], [], patterns).files
    return {name.removeprefix(f"{folder}/") for name in files}


def rule(folder: Path, *lines: str) -> None:
    (folder / IGNORE_FILE).write_text("\n".join(lines), encoding="utf-8")


def test_without_rules_everything_is_found(fill: Fill) -> None:
    assert found(fill("a.jpg", "x/b.png")) == {"a.jpg", "x/b.png"}


def test_a_rule_file_holds_for_its_folder_and_all_below(fill: Fill) -> None:
    folder = fill("a.png", "b.jpg", "x/a.png", "x/b.jpg", "x/y/a.png", "z/a.png")
    rule(folder / "x", "*.png")
    assert found(folder) == {"a.png", "b.jpg", "x/b.jpg", "z/a.png"}


def test_rules_are_read_as_those_of_gitignore(fill: Fill) -> None:
    folder = fill(
        *("tmp/a.jpg", "x/tmp/b.jpg", "private/c.jpg", "x/private/d.jpg"),
        *("e.png", "keep.png", "x/f.gif", "x/deep/g.gif", "#h.jpg", "i j.jpg", "ünï.jpg"),
    )
    rule(
        folder,
        *("# what we do not want", "", "tmp/", "/private", "*.png", "!keep.png", "x/**/*.gif"),
        *(r"\#h.jpg", "i j.jpg", "ün*"),
    )
    assert found(folder) == {"x/private/d.jpg", "keep.png"}


def test_an_inner_rule_goes_before_an_outer_one(fill: Fill) -> None:
    folder = fill("a.png", "x/b.png", "x/y/c.png")
    rule(folder, "*.png")
    rule(folder / "x", "!*.png")
    rule(folder / "x" / "y", "c.*")
    assert found(folder) == {"x/b.png"}


def test_what_lies_in_a_folder_that_is_passed_over_cannot_come_back(fill: Fill) -> None:
    folder = fill("x/a.png", "b.png")
    rule(folder, "x/", "!x/a.png")
    assert found(folder) == {"b.png"}


def test_rules_of_the_folders_around_hold_for_a_folder_that_is_asked_for(fill: Fill) -> None:
    folder = fill("x/a.png", "x/b.jpg")
    rule(folder, "*.png")
    assert found(folder, below="x") == {"x/b.jpg"}


def test_a_single_file_that_is_asked_for_is_read_whatever_the_rules_say(fill: Fill) -> None:
    folder = fill("a.png")
    rule(folder, "*")
    assert found(folder) == set()
    assert found(folder, below="a.png") == {"a.png"}


def test_rules_of_the_library_are_the_outermost(fill: Fill) -> None:
    folder = fill("a.png", "b.jpg", "x/c.png")
    rule(folder / "x", "!*.png")
    assert found(folder, "*.png") == {"b.jpg", "x/c.png"}
    assert found(folder, "*.png", "!a.png") == {"a.png", "b.jpg", "x/c.png"}


@pytest.mark.parametrize("content", [b"\xff\xfe\x00*", b"[\n\\\n/\n!\n", b"\0", b"\n" * 10_000])
def test_a_rule_file_that_is_no_text_harms_nothing(fill: Fill, content: bytes) -> None:
    folder = fill("a.jpg")
    (folder / IGNORE_FILE).write_bytes(content)
    assert found(folder) == {"a.jpg"}


def test_a_rule_file_that_cannot_be_read_is_none(fill: Fill) -> None:
    folder = fill("a.jpg")
    (folder / IGNORE_FILE).mkdir()
    assert found(folder) == {"a.jpg"}


@pytest.mark.parametrize("line", ["", "  ", "# words", "/"])
def test_a_line_that_says_nothing_is_no_pattern(line: str) -> None:
    assert not is_pattern(line)


# In a library


def names(engine: ImageSearchEngine) -> set[str]:
    return {path.name for hit in engine.search_by_text("red", k=50) for path in hit.paths}


def test_what_a_new_rule_passes_over_leaves_the_library(
    engine: ImageSearchEngine, photos: Path, paint: Callable[..., Path]
) -> None:
    for name in ("a.png", "b.png", "x/c.png"):
        paint(name, "red", "blue")
    paint("b.png", "red")
    paint("x/c.png", "red", "green")
    engine.index_images(photos)
    rule(photos, "b.*")
    assert engine.index_images().removed == 1
    assert names(engine) == {"a.png", "c.png"}
    report = engine.index_images(photos, exclude=["x/"])
    assert (report.removed, engine.status().patterns) == (1, ["x/"])
    assert names(engine) == {"a.png"}


def test_rules_of_the_library_hold_from_then_on_and_can_be_turned_round(
    engine: ImageSearchEngine, photos: Path, paint: Callable[..., Path]
) -> None:
    paint("a.png", "red")
    paint("b.png", "red", "blue")
    engine.index_images(photos, exclude=["*.png"])
    assert names(engine) == set()
    assert engine.index_images(photos).indexed == 0
    engine.index_images(include=["b.png"])
    assert names(engine) == {"b.png"}
    engine.index_images(include=["*.png"])
    assert names(engine) == {"a.png", "b.png"}
    assert engine.status().patterns == ["*.png", "!b.png", "!*.png"]


def test_a_pattern_that_cannot_be_read_is_refused_and_nothing_is_done(
    engine: ImageSearchEngine, photos: Path
) -> None:
    with pytest.raises(InvalidSetting, match=r"is '/'.*a pattern as in \.gitignore"):
        engine.index_images(photos, exclude=["*.png", "/"])
    assert engine.status().patterns == []
