"""Labels, tags and the runs that find words for pictures, over the web and by the client."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conftest import Paint
from tests.web_server import Served, serve

from pixseek import ImageSearchEngine
from pixseek.client import Client
from pixseek.errors import InvalidQuery, NotPermitted, UnknownItem
from pixseek.records import Progress

COLOURS = ("red", "blue", "green")


@pytest.fixture
def library(paint: Paint, photos: Path, engine: ImageSearchEngine) -> Path:
    for name in COLOURS:
        paint(f"{name}.png", name)
    engine.index_images(photos)
    return engine.library


def test_pictures_get_labels_by_a_run_and_the_labels_are_counted(web: Served) -> None:
    with Client(str(web.base_url)) as client:
        assert client.labels() == []
        told: list[Progress] = []
        report = client.label(COLOURS, top=1, threshold=0.0, on_progress=told.append)
        assert report == {"described": 3, "found": 3, "known": 0, "skipped": 0}
        assert told[-1].done == told[-1].total == 3
        assert {(one.value, one.count) for one in client.labels()} == {(c, 1) for c in COLOURS}
    (job,) = web.get("/api/v1/jobs").json()["jobs"]
    assert (job["kind"], job["state"]) == ("labels", "done")


@pytest.mark.parametrize(
    "asked",
    [
        {"kind": "index", "again": True},
        {"kind": "text", "top": 3},
        {"kind": "captions", "labels": ["a"]},
        {"kind": "labels", "labels": []},
        {"kind": "labels", "threshold": 2},
        {"kind": "captions", "model": "/etc"},
    ],
)
def test_an_option_that_a_kind_of_run_does_not_have_is_refused(
    web: Served, asked: dict[str, object]
) -> None:
    assert web.post("/api/v1/jobs", json=asked).status_code == 422
    assert web.get("/api/v1/jobs").json()["jobs"] == []


def test_tags_of_a_picture_are_put_in_place_of_those_it_had(web: Served) -> None:
    with Client(str(web.base_url)) as client:
        (best,) = client.search("red", limit=1).hits
        assert client.tag(best.id, ["holiday", " sea "]) == ["holiday", "sea"]
        assert web.found(q="tag:sea") == ["red.png"]
        assert client.tag(best.id, ["sea", "sun"]) == ["sea", "sun"]
        assert web.found(q="tag:holiday") == []
        assert client.tag(best.id, []) == []
        with pytest.raises(InvalidQuery):
            client.tag(best.id, ["\n"])
        with pytest.raises(UnknownItem):
            client.tag("0" * 32, ["a"])


def test_nothing_is_tagged_or_labelled_without_allow_write(library: Path) -> None:
    with serve(library) as web, Client(str(web.base_url)) as client:
        (best,) = client.search("red", limit=1).hits
        with pytest.raises(NotPermitted):
            client.tag(best.id, ["a"])
        with pytest.raises(NotPermitted):
            client.label(COLOURS)
