"""The HTTP API over a real server on this machine: what it answers, page by page, run by run."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image
from tests.conftest import Paint
from tests.web_server import Served, serve

from pixseek import ImageSearchEngine, errors, lock
from pixseek.web.cursors import Cursor, question, read, written
from pixseek.web.problems import STATUSES

COLOURS = ("red", "green", "blue", "white", "black", "yellow", "orange", "purple", "pink", "brown")


@pytest.fixture
def library(paint: Paint, photos: Path, engine: ImageSearchEngine) -> Path:
    """Ten pictures, each of one colour, changed a day apart: pink is the newest but one."""
    for i, colour in enumerate(COLOURS):
        path = paint(f"{colour}.png", colour)
        os.utime(path, (1_600_000_000 + i * 86_400,) * 2)
    engine.index_images(photos)
    return engine.library


def png(colour: str, size: tuple[int, int] = (40, 30)) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", size, colour).save(content, "PNG")
    return content.getvalue()


def all_pages(web: Served, **asked: str | int) -> list[str]:
    """Every hit of a search, page by page."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = {**asked, **({"cursor": cursor} if cursor else {})}
        answer = web.get("/api/v1/search", params=page)
        assert answer.status_code == 200, answer.text
        found += [hit["name"] for hit in answer.json()["hits"]]
        cursor = answer.json()["next"]
        if cursor is None:
            return found


# searching


def test_a_text_finds_pictures_that_show_it_nearest_first(web: Served) -> None:
    answer = web.get("/api/v1/search", params={"q": "blue", "limit": 3})
    body = answer.json()
    assert body["hits"][0]["name"] == "blue.png"
    scores = [hit["score"] for hit in body["hits"]]
    assert scores == sorted(scores, reverse=True)
    assert 0 < body["hits"][1]["match"] < body["hits"][0]["match"] <= 1
    assert body["total"] == 10
    assert answer.headers["server-timing"].startswith("search;dur=")
    assert body["hits"][0] == {
        **{"id": body["hits"][0]["id"], "score": scores[0], "name": "blue.png"},
        **{"match": body["hits"][0]["match"]},
        **{"path": str(web.engine.library.parent / "photos" / "blue.png")},
        **{"width": 48, "height": 32, "taken": None, "moment": None, "page": None},
        **{"thumbnail": f"/api/v1/items/{body['hits'][0]['id']}/thumbnail", "caption": None},
        **{
            "camera_model": None,
            "latitude": None,
            "longitude": None,
            "media": "image",
            "duration": None,
        },
    }


def test_the_hits_and_scores_are_those_of_the_engine(web: Served) -> None:
    hits = web.get("/api/v1/search", params={"text": "red"}).json()["hits"]
    expected = [(hit.id, hit.score) for hit in web.engine.search_by_text("red", 10)]
    assert [(hit["id"], hit["score"]) for hit in hits] == expected


def test_without_a_question_the_newest_come_first_and_have_no_score(web: Served) -> None:
    body = web.get("/api/v1/search", params={"limit": 3}).json()
    assert [hit["name"] for hit in body["hits"]] == ["brown.png", "pink.png", "purple.png"]
    assert [hit["score"] for hit in body["hits"]] == [None] * 3
    assert body["total"] == 10


def test_pictures_can_be_asked_for_and_against_by_id(web: Served) -> None:
    ids = {hit["name"]: hit["id"] for hit in web.get("/api/v1/search").json()["hits"]}
    both = web.found(like=[ids["red.png"], ids["blue.png"]])
    assert "red.png" not in both
    assert "blue.png" not in both
    assert len(both) == 8
    against = web.found(q="red", unlike=[ids["green.png"]])
    assert against[0] == "red.png"
    assert "green.png" not in against
    similar = web.found(f"/api/v1/items/{ids['red.png']}/similar", limit=20)
    assert similar == web.found(like=[ids["red.png"]])
    unknown = web.get("/api/v1/search", params={"like": "none"})
    assert unknown.status_code == 404
    assert unknown.json()["type"] == "urn:pixseek:error:UnknownItem"


def test_a_filter_and_a_least_score_narrow_the_hits(web: Served) -> None:
    where = json.dumps({"name": {"$in": ["red.png", "blue.png"]}})
    assert sorted(web.found(q="red", where=where)) == ["blue.png", "red.png"]
    assert web.found(where=where) == ["blue.png", "red.png"]
    least = web.get("/api/v1/search", params={"q": "blue"}).json()["hits"][1]["score"] + 1e-6
    body = web.get("/api/v1/search", params={"q": "blue", "min_score": least}).json()
    assert [hit["name"] for hit in body["hits"]] == ["blue.png"]
    assert body["total"] is None


@pytest.mark.parametrize("where", ["{", "[]", '{"$bad": 1}', "[" * 3_000, '{"year": NaN}'])
def test_a_filter_that_is_not_understood_is_named(web: Served, where: str) -> None:
    answer = web.get("/api/v1/search", params={"where": where})
    assert answer.status_code == 400, answer.text
    assert answer.json()["type"] == "urn:pixseek:error:InvalidFilter"


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "501"}, "limit"),
        ({"min_score": "2"}, "min_score"),
        ({"min_score": "nan"}, "min_score"),
        ({"q": "x" * 501}, "q"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"no_such": "1"}, "no_such"),
    ],
)
def test_a_parameter_that_cannot_be_is_named(web: Served, asked: dict[str, str], part: str) -> None:
    answer = web.get("/api/v1/search", params=asked)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert part in answer.json()["detail"]


# uploads


def test_a_picture_that_is_sent_is_searched_by_and_not_kept(web: Served) -> None:
    before = sorted(web.engine.library.parent.rglob("*"))
    answer = web.post("/api/v1/search", files={"image": ("x.png", png("red"), "image/png")})
    assert answer.status_code == 200, answer.text
    assert answer.json()["hits"][0]["name"] == "red.png"
    assert sorted(web.engine.library.parent.rglob("*")) == before


def test_pictures_and_words_are_searched_by_together_and_page_by_page(web: Served) -> None:
    files = [("image", ("x.png", png("red"))), ("image", ("y.png", png("blue")))]
    names: list[str] = []
    cursor = None
    while True:
        request = {"text": "green", "limit": 3, "cursor": cursor}
        answer = web.post("/api/v1/search", files=files, data={"request": json.dumps(request)})
        assert answer.status_code == 200, answer.text
        names += [hit["name"] for hit in answer.json()["hits"]]
        cursor = answer.json()["next"]
        if cursor is None:
            break
    assert len(names) == len(set(names)) == 10


@pytest.mark.parametrize(
    ("files", "data", "status", "says"),
    [
        ({"image": ("x.png", b"no picture")}, {}, 422, "no picture format"),
        ({"image": ("x.png", b"")}, {}, 422, "without a picture"),
        ({"other": ("x.png", b"x")}, {}, 422, "without a picture"),
        ({"image": ("x.png", png("red"))}, {"request": "{"}, 422, "Invalid JSON"),
        ({"image": ("x.png", png("red"))}, {"request": '{"limit": -1}'}, 422, "limit"),
    ],
)
def test_an_upload_that_cannot_be_used_is_refused_with_its_reason(
    web: Served, files: dict[str, tuple[str, bytes]], data: dict[str, str], status: int, says: str
) -> None:
    answer = web.post("/api/v1/search", files=files, data=data)
    assert (answer.status_code, says in answer.json()["detail"]) == (status, True), answer.text


def test_a_body_that_is_no_form_is_refused(web: Served) -> None:
    for headers in ({}, {"content-type": "multipart/form-data"}, {"content-type": "text/plain"}):
        answer = web.post("/api/v1/search", content=b"xyz", headers=headers)
        assert answer.status_code == 422, answer.text


# pages that stay right


@pytest.mark.parametrize("asked", [{}, {"q": "red"}], ids=["newest first", "ranked"])
@pytest.mark.parametrize("limit", [1, 3, 7, 10])
def test_pages_together_are_the_whole(web: Served, asked: dict[str, str], limit: int) -> None:
    whole = web.found(limit=500, **asked)
    assert all_pages(web, limit=limit, **asked) == whole
    assert len(whole) == 10


@pytest.mark.parametrize("asked", [{}, {"q": "red"}], ids=["newest first", "ranked"])
def test_a_page_goes_on_where_the_last_one_ended_though_pictures_came_and_went(
    web: Served, paint: Paint, asked: dict[str, str]
) -> None:
    whole = web.found(limit=500, **asked)
    first = web.get("/api/v1/search", params={"limit": 4, **asked}).json()
    # Two that were seen go, some come that stand before the rest, and one at its end.
    photos = web.engine.library.parent / "photos"
    for name in whole[:2]:
        (photos / name).unlink()
    for i in range(3):
        path = paint(f"new-{i}.png", "red", size=(30 + i, 30))
        os.utime(path, (1_700_000_000 + i,) * 2)
    web.engine.index_images()
    rest = web.get(
        "/api/v1/search", params={"limit": 500, "cursor": first["next"], **asked}
    ).json()["hits"]
    names = [hit["name"] for hit in rest]
    assert [name for name in names if not name.startswith("new")] == whole[4:]
    assert len(names) == len(set(names))


def test_a_page_begins_right_after_all_that_was_seen_is_gone(web: Served) -> None:
    whole = web.found(limit=500, q="red")
    first = web.get("/api/v1/search", params={"limit": 6, "q": "red"}).json()
    photos = web.engine.library.parent / "photos"
    for name in whole[:6]:
        (photos / name).unlink()
    web.engine.index_images()
    assert web.found(q="red", limit=500, cursor=first["next"]) == whole[6:]


def test_a_cursor_is_of_one_search_only(web: Served) -> None:
    cursor = web.get("/api/v1/search", params={"q": "red", "limit": 2}).json()["next"]
    answer = web.get("/api/v1/search", params={"q": "blue", "limit": 2, "cursor": cursor})
    assert (answer.status_code, answer.json()["fields"]["part"]) == (422, "cursor")


def test_a_cursor_is_read_as_it_was_written() -> None:
    asked = question("red", None)
    cursor = Cursor(0.1 + 0.2, "id ü", 7)
    assert read(written(cursor, asked), asked) == cursor
    with pytest.raises(errors.InvalidRequest, match="not of this search"):
        read(written(cursor, question("blue", None)), asked)


# items


def test_an_item_has_all_that_is_known_of_it(web: Served) -> None:
    hit = web.get("/api/v1/search", params={"q": "red"}).json()["hits"][0]
    body = web.get(f"/api/v1/items/{hit['id']}").json()
    assert body["metadata"]["format"] == "PNG"
    assert body["paths"] == [hit["path"]]
    assert web.get(body["links"]["thumbnail"]).status_code == 200
    assert web.get(body["links"]["original"]).content == Path(hit["path"]).read_bytes()
    assert web.get(body["links"]["similar"]).json()["hits"]


def test_an_item_that_is_not_there_is_not_found(web: Served) -> None:
    for id in ("none", "..", "%2e%2e%2fetc", "a b", "%00", "x" * 400, "ü"):
        for rest in ("", "/thumbnail", "/original", "/similar"):
            answer = web.get(f"/api/v1/items/{id}{rest}")
            assert answer.status_code == 404, answer.text
            assert answer.headers["content-type"] == "application/problem+json"


def test_a_thumbnail_is_a_small_webp_that_may_be_kept_for_ever(web: Served, paint: Paint) -> None:
    paint("wide.png", "red", "blue", size=(2000, 1000))
    web.engine.index_images()
    id = web.get("/api/v1/search", params={"where": '{"name": "wide.png"}'}).json()["hits"][0]["id"]
    for size in (320, 1280):
        answer = web.get(f"/api/v1/items/{id}/thumbnail", params={"size": size})
        with Image.open(io.BytesIO(answer.content)) as picture:
            assert (picture.format, picture.size) == ("WEBP", (size, size // 2))
        assert answer.headers["content-type"] == "image/webp"
        assert "immutable" in answer.headers["cache-control"]
        again = web.get(
            f"/api/v1/items/{id}/thumbnail",
            params={"size": size},
            headers={"If-None-Match": answer.headers["etag"]},
        )
        assert (again.status_code, again.content) == (304, b"")
    assert web.get(f"/api/v1/items/{id}/thumbnail", params={"size": 100}).status_code == 422
    kept = sorted(path.name for path in (web.engine.library / "thumbnails").rglob("*.webp"))
    assert kept == [f"{id}-1280.webp", f"{id}-320.webp"]


def test_an_original_is_given_in_ranges_and_shown_or_saved_by_its_type(
    web: Served, photos: Path
) -> None:
    hit = web.get("/api/v1/search", params={"q": "red"}).json()["hits"][0]
    url, content = f"/api/v1/items/{hit['id']}/original", Path(hit["path"]).read_bytes()
    whole = web.get(url)
    assert whole.headers["content-type"] == "image/png"
    assert whole.headers["content-disposition"] == 'inline; filename="red.png"'
    assert web.get(url, params={"download": True}).headers["content-disposition"].startswith("att")
    part = web.get(url, headers={"Range": "bytes=3-9"})
    assert (part.status_code, part.content) == (206, content[3:10])
    assert web.get(url, headers={"Range": "bytes=999999-"}).status_code == 416
    assert web.get(url, headers={"If-None-Match": whole.headers["etag"]}).status_code == 304
    # A picture by its content, whatever its name says: nobody's browser runs it.
    (photos / "page.html").write_bytes(png("red", (9, 9)))
    web.engine.index_images(photos / "page.html")
    id = web.get("/api/v1/search", params={"where": '{"name": "page.html"}'}).json()["hits"][0][
        "id"
    ]
    saved = web.get(f"/api/v1/items/{id}/original")
    assert saved.headers["content-type"] == "application/octet-stream"
    assert saved.headers["content-disposition"].startswith("attachment")
    assert saved.headers["content-security-policy"] == "default-src 'none'; sandbox"


def test_a_file_that_changed_or_went_since_it_was_indexed_is_said_so(
    web: Served, photos: Path
) -> None:
    ids = {hit["name"]: hit["id"] for hit in web.get("/api/v1/search").json()["hits"]}
    (photos / "red.png").unlink()
    (photos / "blue.png").write_bytes(png("green"))
    gone = web.get(f"/api/v1/items/{ids['red.png']}/original")
    assert (gone.status_code, gone.json()["type"]) == (404, "urn:pixseek:error:MissingPath")
    assert web.get(f"/api/v1/items/{ids['red.png']}/thumbnail").status_code == 404
    changed = web.get(f"/api/v1/items/{ids['blue.png']}/thumbnail")
    assert (changed.status_code, "changed since" in changed.json()["detail"]) == (422, True)


def test_a_name_that_is_not_unicode_is_shown_with_signs_in_its_place(
    web: Served, photos: Path, paint: Paint
) -> None:
    odd = os.fsencode(photos) + b"/caf\xe9.png"
    paint("x.png", "red", "green")
    os.rename(photos / "x.png", odd)  # noqa: PTH104  bytes
    web.engine.index_images()
    hit = next(h for h in web.get("/api/v1/search").json()["hits"] if "caf" in h["name"])
    assert hit["name"] == "caf?.png"
    assert web.get(f"/api/v1/items/{hit['id']}").json()["paths"] == [hit["path"]]
    assert web.get(f"/api/v1/items/{hit['id']}/original").status_code == 200
    assert web.get(f"/api/v1/items/{hit['id']}/thumbnail").status_code == 200


# counting


def test_facets_count_everything_what_a_filter_leaves_or_the_best_hits(web: Served) -> None:
    body = web.get("/api/v1/facets").json()
    assert body["orientation"] == [{"value": "landscape", "count": 10}]
    assert body["year"] == [{"value": 2020, "count": 10}]
    assert body["folder"][-1] == {"value": str(web.engine.library.parent / "photos"), "count": 10}
    assert "camera_model" not in body
    where = json.dumps({"name": {"$in": ["red.png", "blue.png"]}})
    assert web.get("/api/v1/facets", params={"where": where, "field": "year"}).json() == {
        "year": [{"value": 2020, "count": 2}]
    }
    best = web.get("/api/v1/facets", params={"q": "red", "best": 1, "field": ["name", "lens"]})
    assert best.json() == {"name": [{"value": "red.png", "count": 1}], "lens": []}


def test_facets_are_counted_again_only_when_the_library_has_changed(
    web: Served, paint: Paint
) -> None:
    calls: list[int] = []

    def count() -> int:
        calls.append(1)
        return len(calls)

    for _ in range(3):
        assert web.service.unchanged(("key",), count) == 1
    assert web.service.unchanged(("other",), count) == 2
    with ImageSearchEngine(web.engine.library, create=False) as other:  # as another process
        paint("new.png", "cyan")
        other.index_images()
    assert web.service.unchanged(("key",), count) == 3
    web.engine.items.update_metadata({web.engine.search_by_text("red")[0].id: {"labels": ["x"]}})
    assert web.service.unchanged(("key",), count) == 4
    for number in range(100):
        web.service.unchanged((number,), count)
    assert len(web.service._kept) <= 64


def test_the_timeline_counts_months(web: Served) -> None:
    assert web.get("/api/v1/timeline").json() == [{"month": "2020-09", "count": 10}]
    best = web.get("/api/v1/timeline", params={"q": "red", "best": 4}).json()
    assert best == [{"month": "2020-09", "count": 4}]


def test_the_map_joins_what_lies_near(web: Served) -> None:
    places = {"red.png": (48.2, 16.3), "blue.png": (48.3, 16.4), "green.png": (-33.9, 18.4)}
    ids = {hit["name"]: hit["id"] for hit in web.get("/api/v1/search").json()["hits"]}
    web.engine.items.update_metadata(
        {ids[name]: {"latitude": at[0], "longitude": at[1]} for name, at in places.items()}
    )
    cells = web.get("/api/v1/map").json()
    assert [cell["count"] for cell in cells] == [2, 1]
    assert cells[0]["latitude"] == pytest.approx(48.25)
    assert cells[1]["id"] == ids["green.png"]
    assert len(web.get("/api/v1/map", params={"grid": 0.05}).json()) == 3


def test_the_search_box_is_offered_fields_and_values(web: Served) -> None:
    ids = [hit["id"] for hit in web.get("/api/v1/search").json()["hits"]]
    web.engine.items.update_metadata({id: {"labels": ["Camera", "sea"]} for id in ids[:3]})
    offered = web.get("/api/v1/complete", params={"prefix": "cam"}).json()
    assert [one["field"] for one in offered] == ["camera_make", "camera_model", "labels"]
    assert offered[-1] == {
        **{"kind": "value", "field": "labels", "value": "Camera", "count": 3, "meaning": None}
    }
    values = web.get("/api/v1/complete", params={"prefix": "labels:s"}).json()
    assert [one["value"] for one in values] == ["sea"]
    assert web.get("/api/v1/complete", params={"prefix": "labels:S", "limit": 1}).json() == values


# the server


def test_status_says_what_the_library_holds_and_who_answers(web: Served, photos: Path) -> None:
    (photos / "broken.png").write_bytes(b"no")
    web.engine.index_images()
    body = web.get("/api/v1/status").json()
    assert (body["items"], body["files"], body["writable"]) == (10, 10, True)
    assert body["model"]["name"] == "palette"
    assert body["model"]["ready"] is True
    assert [Path(one["path"]).name for one in body["skipped"]] == ["broken.png"]
    assert body["writer"] is None


def test_an_answer_that_has_not_changed_is_not_sent_again(web: Served, paint: Paint) -> None:
    for url in ("/api/v1/search?q=red", "/api/v1/facets", "/api/v1/timeline", "/api/v1/status"):
        etag = web.get(url).headers["etag"]
        assert web.get(url, headers={"If-None-Match": etag}).status_code == 304, url
    etag = web.get("/api/v1/facets").headers["etag"]
    paint("square.png", "red", size=(20, 20))
    web.engine.index_images()
    assert web.get("/api/v1/facets", headers={"If-None-Match": etag}).status_code == 200


def test_health_readiness_and_metrics(library: Path) -> None:
    with serve(library, ready=False) as web:
        assert web.get("/healthz").json()["status"] == "ok"
        web.service.preload()
        assert web.get("/readyz").json()["status"] == "ok"
        web.get("/api/v1/search?q=red")
        web.get("/no/such/address")
        text = web.get("/metrics").text
        line = 'pixseek_requests_total{method="GET",route="/api/v1/search",status="200"} 1.0'
        assert line in text
        assert 'route="none",status="404"' in text
        assert "pixseek_items 10.0" in text
        assert "pixseek_ready 1.0" in text


def test_a_server_whose_model_cannot_be_loaded_says_so(library: Path) -> None:
    with serve(library, ready=False) as web:
        web.service.readiness.ready = False
        web.service.readiness.failure = "the model is gone"
        answer = web.get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (503, "failed")


def test_every_error_has_a_status() -> None:
    tree = {
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.PixseekError)
    }
    assert set(STATUSES) == tree
    assert all(400 <= status < 600 for status in STATUSES.values())


def test_an_address_that_is_not_there_is_a_problem_too(web: Served) -> None:
    for method, url, status in [
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v2/search", 404),
        ("DELETE", "/api/v1/search", 405),
        ("GET", "/docs", 404),
        ("GET", "/static/none.js", 404),
        ("GET", "/static/../app.py", 404),
        ("GET", "/static/..%2fapp.py", 404),
    ]:
        answer = web.request(method, url)
        assert answer.status_code == status, url
        assert answer.headers["content-type"] == "application/problem+json", url


def test_the_page_is_served_and_asked_for_again(web: Served) -> None:
    answer = web.get("/")
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["cache-control"] == "private, no-cache"


def test_the_head_of_an_answer_can_be_asked_for(web: Served) -> None:
    for url in ("/api/v1/status", "/", "/healthz"):
        answer = web.head(url)
        assert (answer.status_code, answer.content) == (200, b""), url


# runs


def events(answer: httpx.Response) -> Iterator[tuple[str, dict[str, object]]]:
    name = ""
    for line in answer.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def test_a_run_brings_the_library_in_step_and_tells_how_far_it_is(
    web: Served, paint: Paint
) -> None:
    paint("new.png", "cyan")
    started = web.post("/api/v1/jobs", json={"kind": "index"})
    assert started.status_code == 202
    url = started.headers["location"]
    with web.stream("GET", f"{url}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        told = list(events(stream))
    assert told[-1][0] == "done"
    last = told[-1][1]
    assert last["state"] == "done"
    assert isinstance(last["report"], dict)
    assert last["report"]["added"] == 1
    assert web.get(url).json() == last
    assert web.get("/api/v1/jobs").json()["jobs"][0] == last
    assert "new.png" in web.found()
    assert web.get("/api/v1/jobs/none").status_code == 404
    assert web.get("/api/v1/jobs/none/events").status_code == 404


def test_one_run_at_a_time_and_searches_go_on_while_another_process_writes(
    web: Served, paint: Paint
) -> None:
    paint("new.png", "cyan")
    with lock.writing(web.engine.library, wait_s=0):  # as another process would hold it
        job = web.post("/api/v1/jobs", json={"kind": "index"}).json()
        second = web.post("/api/v1/jobs", json={"kind": "index"})
        assert (second.status_code, job["id"] in second.json()["detail"]) == (409, True)
        with web.stream("GET", f"/api/v1/jobs/{job['id']}/events") as stream:
            told = events(stream)
            waiting = next(data for _, data in told if data["state"] == "waiting")
            assert "process" in str(waiting["waiting_for"])
            assert "process" in web.get("/api/v1/jobs").json()["writer"]
            body = web.get("/api/v1/search", params={"q": "red"}).json()
            assert body["hits"][0]["name"] == "red.png"
            assert "brought in step" in body["note"]
    for _ in range(300):
        state = web.get(f"/api/v1/jobs/{job['id']}").json()
        if state["finished"]:
            break
        threading.Event().wait(0.1)
    assert state["state"] == "done"
    assert web.get("/api/v1/search").json()["note"] is None


def test_a_run_that_fails_says_why(web: Served, library: Path) -> None:
    (library / "library.db").rename(library / "aside")
    job = web.post("/api/v1/jobs", json={"kind": "index"}).json()
    with web.stream("GET", f"/api/v1/jobs/{job['id']}/events") as stream:
        _, last = list(events(stream))[-1]
    (library / "aside").rename(library / "library.db")
    assert last["state"] == "failed"
    assert "there is no library" in str(last["error"])


def test_the_end_of_the_server_ends_streams_and_runs(library: Path, paint: Paint) -> None:
    paint("new.png", "cyan")
    with (
        serve(library, allow_write=True, lock_timeout_s=2.0) as web,
        lock.writing(library, wait_s=0),
    ):
        job = web.post("/api/v1/jobs", json={"kind": "index"}).json()
        with web.stream("GET", f"/api/v1/jobs/{job['id']}/events") as stream:
            told = events(stream)
            next(told)
            web.server.end()
            assert all(name == "progress" for name, _ in told)


def test_only_a_kind_that_is_known_is_run(web: Served) -> None:
    bodies: list[object] = [{"kind": "remove"}, {}, []]
    for body in bodies:
        assert web.post("/api/v1/jobs", json=body).status_code == 422


# the query line


def test_a_query_line_chooses_pushes_away_and_orders(web: Served, paint: Paint) -> None:
    paint("wide.png", "red", size=(90, 30))
    web.engine.index_images()
    assert web.found(q="red width:>=90") == ["wide.png"]
    assert web.found(q="width:<90")[0] == "brown.png"  # of conditions only: the newest first
    assert len(all_pages(web, q="width:<90", limit=3)) == 10
    assert web.get("/api/v1/search", params={"q": "red width:<90"}).json()["total"] == 10
    ids = {hit["name"]: hit["id"] for hit in web.get("/api/v1/search").json()["hits"]}
    assert web.found(q=f"like:{ids['blue.png']}")[0] == "blue.png"
    either = all_pages(web, q="(red width:<90) OR (blue width:<90)", limit=2)
    assert {"red.png", "blue.png"} <= set(either[:4])
    assert len(either) == len(set(either)) == 10
    facets = web.get("/api/v1/facets", params={"q": "width:<90", "field": "width"}).json()
    assert facets == {"width": [{"value": 48, "count": 10}]}
    assert web.get("/api/v1/timeline", params={"q": "width:>=90"}).json()[0]["count"] == 1
    plain = web.get("/api/v1/search", params={"text": "width:<90"}).json()
    assert plain["total"] == 11
    wrong = web.get("/api/v1/search", params={"q": "camra:canon"})
    assert (wrong.status_code, "did you mean camera" in wrong.json()["detail"]) == (400, True)


@pytest.mark.parametrize(
    "line", ["like:/etc/hostname", "like:photos/red.png", "red -like:../x", "(a OR like:~/x)"]
)
def test_no_path_in_a_query_line_is_opened(web: Served, line: str) -> None:
    answer = web.get("/api/v1/search", params={"q": line})
    assert (answer.status_code, answer.json()["title"]) == (404, "unknown item"), answer.text
    assert web.get("/api/v1/facets", params={"q": line}).status_code == 404
