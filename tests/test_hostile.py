"""Trees of hostile files: each is found or named with its reason, and no run ends before its end.

PIXSEEK_TEST_TREES names folders of real ones, with the system's path separator between them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from PIL import Image
from tests.hostile_tree import Hostile, make, many_scans

from pixseek import ImageSearchEngine
from pixseek.formats import EXTENSIONS
from pixseek.records import IndexReport
from pixseek.settings import load

TREES = [Path(one) for one in os.environ.get("PIXSEEK_TEST_TREES", "").split(os.pathsep) if one]


def named(report: IndexReport) -> dict[Path, str]:
    return {one.path: one.reason for one in report.skipped}


def test_each_file_of_a_hostile_tree_is_found_or_named_with_its_reason(
    tmp_path: Path, photos: Path
) -> None:
    files = make(photos)
    options = load({"max_seconds": 20})
    with ImageSearchEngine(tmp_path / "library", model="palette", options=options) as engine:
        first = engine.index_images(photos)
        second = engine.index_images(photos)
    with ImageSearchEngine(tmp_path / "other", model="palette", options=options) as engine:
        afresh = engine.index_images(photos)
    assert named(first) == named(second) == named(afresh)
    assert first.indexed == second.unchanged == afresh.indexed
    assert first.indexed + len(first.skipped) == len(files)
    assert _surprises(files, photos, named(first)) == {}


def _surprises(files: list[Hostile], folder: Path, reasons: dict[Path, str]) -> dict[str, object]:
    found: dict[str, object] = {}
    for one in files:
        reason = reasons.get(folder / one.name)
        if (one.reason is None) != (reason is None) or not re.match(one.reason or "", reason or ""):
            found[one.name] = reason
    return found


def test_a_small_file_that_keeps_its_decoder_busy_for_minutes_is_stopped(
    tmp_path: Path, photos: Path
) -> None:
    (photos / "scans.jpg").write_bytes(many_scans())
    options = load({"max_seconds": 1})
    with ImageSearchEngine(tmp_path / "library", model="palette", options=options) as engine:
        report = engine.index_images(photos)
    assert [*named(report).values()] == ["decoding it took longer than the limit of 1 s"]


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("max_file_mb", "2097152 bytes are more than the limit of 1000000"),
        ("max_megapixels", "1100×1000 pixels are more than the limit of 1000000"),
    ],
)
def test_each_limit_can_be_set_and_is_the_reason_given(
    setting: str, reason: str, tmp_path: Path, photos: Path
) -> None:
    if setting == "max_file_mb":
        (photos / "large.jpg").write_bytes(bytes(1 << 21))
    else:
        Image.new("RGB", (1100, 1000)).save(photos / "large.png")
    options = load({setting: 1})
    with ImageSearchEngine(tmp_path / "library", model="palette", options=options) as engine:
        report = engine.index_images(photos)
    assert [*named(report).values()] == [reason]


def test_each_file_of_the_real_trees_is_accounted_for(tmp_path: Path) -> None:
    for number, tree in enumerate(TREES):
        wanted = {
            path
            for path in tree.rglob("*")
            if path.is_file()
            and path.suffix.lower().lstrip(".") in {e.lstrip(".") for e in EXTENSIONS}
        }
        folders = [tmp_path / f"{number}-{turn}" for turn in range(2)]
        reports = []
        for folder in [*folders, folders[0]]:
            with ImageSearchEngine(folder, model="palette") as engine:
                reports.append(engine.index_images(tree))
        assert named(reports[0]) == named(reports[1]) == named(reports[2])
        assert len({report.indexed for report in reports}) == 1
        assert reports[0].indexed + len(reports[0].skipped) == len(wanted), tree
        assert {*named(reports[0])} <= wanted
        assert all(reason.strip() for reason in named(reports[0]).values())
