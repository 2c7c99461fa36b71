"""The HTTP API's copies, groups and saved searches, over a real server on this machine."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.conftest import SAMPLES
from tests.web_server import Served, serve

from pixseek import ImageSearchEngine, alike
from pixseek.errors import LibraryDamaged, ServiceBusy
from pixseek.records import OnProgress, Progress
from pixseek.saved import SavedSearches
from pixseek.web.surveys import Survey

NAMES = ("photo-01.jpg", "photo-03.jpg", "photo-07.jpg")


@pytest.fixture
def library(photos: Path, tmp_path: Path) -> Path:
    """Thirty photographs; one of them twice, another smaller."""
    for sample in SAMPLES.glob("*.jpg"):
        shutil.copy(sample, photos)
    shutil.copyfile(photos / NAMES[0], photos / "twice.jpg")
    with Image.open(photos / NAMES[1]) as image:
        image.resize((image.width // 2, image.height // 2)).save(photos / "smaller.jpg")
    with ImageSearchEngine(tmp_path / "library", model="pocket") as engine:
        engine.index_images(photos)
        return engine.library


def asked(web: Served, path: str, **parameters: str | int) -> dict[str, Any]:
    answer = web.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def counted(web: Served, path: str, **parameters: str | int) -> dict[str, Any]:
    """The answer once it is all there."""
    for _ in range(600):
        body = asked(web, path, **parameters)
        if not body["counting"]:
            return body
        time.sleep(0.05)
    raise AssertionError("it was still counting after 30 s")


# copies


def test_copies_are_those_of_the_command_line_with_the_one_to_keep(
    web: Served, library: Path
) -> None:
    body = counted(web, "/api/v1/duplicates")
    with ImageSearchEngine(library, create=False) as engine:
        expected = alike.duplicates(engine).groups
    assert [group["keep"]["path"] for group in body["groups"]] == [
        str(group.keep.path) for group in expected
    ]
    assert [group["why"] for group in body["groups"]] == [group.why for group in expected]
    found = {
        copy["name"]: (copy["kind"], group["keep"]["name"])
        for group in body["groups"]
        for copy in group["copies"]
    }
    assert found["smaller.jpg"] == ("near", NAMES[1])
    assert sorted(kind for kind, _ in found.values()) == ["exact", "near"]
    assert (body["groups_total"], body["copies_total"]) == (2, 2)
    sizes = [copy["size_bytes"] for group in body["groups"] for copy in group["copies"]]
    assert body["copies_bytes"] == sum(sizes)
    assert body["done"] == body["total"] == 31
    keep = body["groups"][0]["keep"]
    assert web.get(keep["thumbnail"]).status_code == 200


def test_copies_come_page_by_page_and_by_kind(web: Served) -> None:
    every = counted(web, "/api/v1/duplicates")["groups"]
    first = asked(web, "/api/v1/duplicates", limit=1)
    second = asked(web, "/api/v1/duplicates", limit=1, cursor=first["next"])
    assert first["groups"] + second["groups"] == every
    assert second["next"] is None
    for kind in ("exact", "near"):
        (group,) = asked(web, "/api/v1/duplicates", kind=kind)["groups"]
        assert [copy["kind"] for copy in group["copies"]] == [kind]
    other = web.get("/api/v1/duplicates", params={"kind": "near", "cursor": first["next"]})
    assert other.status_code == 422


def test_copies_are_looked_for_again_only_when_the_library_has_changed(
    web: Served, photos: Path
) -> None:
    counted(web, "/api/v1/duplicates")
    assert not asked(web, "/api/v1/duplicates")["counting"]
    shutil.copyfile(photos / NAMES[2], photos / "third.jpg")
    with ImageSearchEngine(web.engine.library, create=False) as other:
        other.index_images()
    again = asked(web, "/api/v1/duplicates")
    assert again["counting"]
    assert again["groups_total"] == 2  # as it was, until it is known better
    assert counted(web, "/api/v1/duplicates")["groups_total"] == 3


# surveys


def test_a_survey_goes_on_by_itself_tells_how_far_it_is_and_is_kept() -> None:
    goes_on, version = threading.Event(), ["one"]

    def look(told: OnProgress) -> str:
        told(Progress(total=7, done=3))
        assert goes_on.wait(10)
        return f"finding of {version[0]}"

    survey = Survey("things", lambda: version[0], look)
    with pytest.raises(ServiceBusy, match="things"):
        survey.wait(0.2)
    standing = survey.ask()
    assert (standing.finding, standing.counting) == (None, True)
    assert (standing.done, standing.total) == (3, 7)
    goes_on.set()
    assert survey.wait(10) == "finding of one"
    assert not survey.ask().counting
    version[0] = "two"
    assert survey.ask().finding == "finding of one"
    for _ in range(200):
        if not survey.ask().counting:
            break
        time.sleep(0.02)
    assert survey.ask().finding == "finding of two"
    survey.stop()


def test_a_survey_that_fails_says_why_and_can_be_asked_for_again() -> None:
    failing = [True]

    def look(_: OnProgress) -> str:
        if failing[0]:
            raise LibraryDamaged(Path("here"), "it is torn")
        return "whole"

    survey = Survey("things", lambda: 1, look)
    with pytest.raises(LibraryDamaged, match="torn"):
        survey.wait(10)
    failing[0] = False
    assert survey.wait(10) == "whole"


def test_a_survey_that_nobody_waits_for_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pixseek.web.surveys.FORGOTTEN_AFTER_S", 0.2)
    ended = threading.Event()

    def look(told: OnProgress) -> str:
        try:
            for _ in range(1000):
                told(Progress())
                time.sleep(0.01)
        finally:
            ended.set()
        return "found"

    survey = Survey("things", lambda: 1, look)
    survey.ask()
    assert ended.wait(5)
    assert survey.ask().finding is None
    survey.stop()


# groups


def test_every_picture_is_in_a_group_whose_pictures_can_be_searched(web: Served) -> None:
    body = counted(web, "/api/v1/clusters")
    sizes = [group["size"] for group in body["groups"]]
    assert sizes == sorted(sizes, reverse=True)
    assert sum(sizes) == 31
    group = body["groups"][0]
    assert group["name"] == ", ".join(group["labels"][:2])
    assert group["hits"][0]["id"] == group["id"]
    page = asked(web, "/api/v1/search", group=group["id"], limit=2)
    pictures = page["hits"]
    while page["next"]:
        page = asked(web, "/api/v1/search", group=group["id"], limit=2, cursor=page["next"])
        assert page["total"] == group["size"]
        pictures += page["hits"]
    assert [one["id"] for one in pictures][:8] == [one["id"] for one in group["hits"]][:8]
    assert len({one["id"] for one in pictures}) == group["size"]
    # Any of its pictures stands for the group.
    same = asked(web, "/api/v1/search", group=pictures[-1]["id"], limit=100)
    assert {one["id"] for one in same["hits"]} == {one["id"] for one in pictures}


def test_a_group_is_narrowed_and_counted(web: Served) -> None:
    group = counted(web, "/api/v1/clusters")["groups"][0]
    where = '{"orientation": "landscape"}'
    within = asked(web, "/api/v1/search", group=group["id"], where=where)
    facets = asked(web, "/api/v1/facets", group=group["id"], field="orientation")
    counts = {one["value"]: one["count"] for one in facets["orientation"]}
    assert sum(counts.values()) == group["size"]
    assert within["total"] == counts.get("landscape", 0)
    both = web.get("/api/v1/search", params={"group": group["id"], "q": "a cat"})
    assert both.status_code == 422
    nowhere = web.get("/api/v1/search", params={"group": "0" * 32})
    assert nowhere.status_code == 404


# saved searches


def test_saved_searches_are_the_librarys(web: Served, library: Path) -> None:
    assert asked(web, "/api/v1/saved") == {"searches": []}
    answer = web.put("/api/v1/saved/cats", json={"line": "a cat year:2019.."})
    assert answer.json() == {"searches": [{"name": "cats", "line": "a cat year:2019.."}]}
    with SavedSearches(library) as searches:
        assert searches.all() == {"cats": "a cat year:2019.."}
        searches.put("beach", "the sea")
    assert [one["name"] for one in asked(web, "/api/v1/saved")["searches"]] == ["beach", "cats"]
    left = web.delete("/api/v1/saved/cats")
    assert [one["name"] for one in left.json()["searches"]] == ["beach"]
    for name, line in (("two words", "a cat"), ("cats", "year:soon")):
        refused = web.put(f"/api/v1/saved/{name}", json={"line": line})
        assert refused.status_code == 400, name
    assert web.delete("/api/v1/saved/cats").status_code == 400


def test_a_server_that_only_reads_saves_nothing(library: Path) -> None:
    with serve(library, ready=False) as web:
        assert web.put("/api/v1/saved/cats", json={"line": "a cat"}).status_code == 403
        assert web.delete("/api/v1/saved/cats").status_code == 403
        assert asked(web, "/api/v1/saved") == {"searches": []}
