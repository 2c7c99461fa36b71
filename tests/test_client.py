"""`pixseek.client` against a real server: typed answers, and errors as the engine raises them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from tests.conftest import Paint
from tests.web_server import Served, serve

from pixseek import ImageSearchEngine, Progress, errors, lock
from pixseek.client import Client, Page, ServerItem, ServerStatus
from pixseek.records import FacetValue

COLOURS = ("red", "green", "blue", "white", "black")


@pytest.fixture
def web(paint: Paint, photos: Path, engine: ImageSearchEngine) -> Iterator[Served]:
    for colour in COLOURS:
        paint(f"{colour}.png", colour)
    engine.index_images(photos)
    with serve(engine.library, allow_write=True) as served:
        yield served


@pytest.fixture
def client(web: Served) -> Iterator[Client]:
    with Client(str(web.base_url)) as made:
        yield made


def test_a_search_gives_the_engines_hits(client: Client, web: Served) -> None:
    page = client.search("red", limit=3)
    assert isinstance(page, Page)
    expected = web.engine.search_by_text("red", k=3)
    assert [(hit.id, hit.score, hit.path) for hit in page.hits] == [
        (hit.id, hit.score, hit.path) for hit in expected
    ]
    assert page.total == 5
    assert page.note is None
    rest = client.search("red", limit=3, cursor=page.next)
    assert (len(rest.hits), rest.next) == (2, None)
    assert len(list(client.every("red", limit=2))) == 5
    assert [hit.path.name for hit in client.every(where={"name": "red.png"})] == ["red.png"]


def test_pictures_of_the_client_and_of_the_server_are_searched_by(
    client: Client, photos: Path
) -> None:
    path = photos / "blue.png"
    by_path, by_bytes = client.search(image=path), client.search(image=path.read_bytes())
    assert by_path.hits == by_bytes.hits
    assert by_path.hits[0].path.name == "blue.png"
    id = by_path.hits[0].id
    similar = client.similar(id, limit=2)
    assert id not in [hit.id for hit in similar.hits]
    assert client.similar(id, limit=2, cursor=similar.next).hits[0] not in similar.hits
    assert client.search(like=[id], unlike=[similar.hits[-1].id], min_score=-1).total is None


def test_items_pictures_and_facets(client: Client, photos: Path) -> None:
    hit = client.search("red", where={"modified": {"$lt": datetime(2100, 1, 1)}}).hits[0]
    item = client.item(hit.id)
    assert isinstance(item, ServerItem)
    assert item.paths == [photos / "red.png"]
    assert item.metadata["format"] == "PNG"
    assert client.thumbnail(hit.id)[8:12] == b"WEBP"
    assert client.thumbnail(hit.id, 1280)[8:12] == b"WEBP"
    assert client.original(hit.id) == (photos / "red.png").read_bytes()
    assert client.facets(["orientation"]) == {"orientation": [FacetValue("landscape", 5)]}
    assert "year" in client.facets(text="red", where={"format": "PNG"})


def test_status_and_a_run_with_its_progress(client: Client, paint: Paint) -> None:
    before = client.status()
    assert isinstance(before, ServerStatus)
    assert (before.items, before.model, before.ready, before.writable) == (5, "palette", True, True)
    paint("new.png", "cyan")
    seen: list[Progress] = []
    assert client.index(seen.append)["added"] == 1
    assert seen[-1] == Progress(total=1, done=1, encoded=1, skipped=0)


def test_a_run_that_waits_for_another_process_says_so(
    client: Client, web: Served, paint: Paint
) -> None:
    paint("new.png", "cyan")
    waited: list[str] = []
    free = threading.Event()

    def hold() -> None:
        with lock.writing(web.engine.library, wait_s=0):
            held.set()
            free.wait(30)

    held = threading.Event()
    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)

    def waiting(holder: str) -> None:
        waited.append(holder)
        free.set()

    assert client.index(on_wait=waiting)["added"] == 1
    thread.join(30)
    assert "process" in waited[0]


def test_errors_are_those_of_the_engine_with_their_fields(client: Client) -> None:
    with pytest.raises(errors.UnknownItem, match="no item 'none'") as unknown:
        client.item("none")
    assert unknown.value.id == "none"
    with pytest.raises(errors.InvalidFilter, match="filter not understood"):
        client.search(where={"$bad": 1})
    with pytest.raises(errors.InvalidFilter, match="expected a text"):
        client.search(where={"a": object()})
    with pytest.raises(errors.InvalidRequest, match="cursor"):
        client.search("red", cursor="none")
    with pytest.raises(errors.UnreadableImage, match="no picture format") as unreadable:
        client.search(image=b"none")
    assert unreadable.value.reason
    for call in (client.similar, client.thumbnail, client.original):
        with pytest.raises(errors.UnknownItem, match="none"):
            call("none")


def test_what_a_server_does_not_permit_is_raised(web: Served) -> None:
    with serve(web.engine.library, token="secret") as other:
        stranger = Client(str(other.base_url))
        with stranger, pytest.raises(errors.TokenNeeded, match="needs its token"):
            stranger.search("red")
        with Client(str(other.base_url), "secret") as known:
            assert known.search("red").hits
            with pytest.raises(errors.NotPermitted, match="--allow-write"):
                known.index()
    with serve(web.engine.library, requests_per_s=1) as slow, Client(str(slow.base_url)) as hasty:
        with pytest.raises(errors.ServiceBusy, match="Wait 1 s") as busy:
            [hasty.status() for _ in range(20)]
        assert busy.value.retry_after_s == 1


def test_a_second_run_is_refused_while_one_goes_on(
    client: Client, web: Served, paint: Paint
) -> None:
    paint("new.png", "cyan")
    with lock.writing(web.engine.library, wait_s=0):
        web.post("/api/v1/jobs", json={"kind": "index"})
        with pytest.raises(errors.LibraryLocked, match="this server"):
            client.index()


def test_a_server_that_is_not_there_or_is_another_is_said_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with Client(url) as client, pytest.raises(errors.ServiceUnavailable, match="no pixseek"):
        client.status()
    for wrong in ("127.0.0.1:8765", "ftp://x", "http://", ""):
        with pytest.raises(errors.ServiceUnavailable, match="expected an address"):
            Client(wrong)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def talk() -> None:
            for body in (b"hello", b'{"type": "urn:other:Thing"}'):
                connection, _ = listening.accept()
                with connection:
                    connection.recv(65_536)
                    head = f"HTTP/1.1 404 No\r\nContent-Length: {len(body)}\r\n"
                    connection.sendall(head.encode() + b"Connection: close\r\n\r\n" + body)

        thread = threading.Thread(target=talk)
        thread.start()
        with Client(f"http://127.0.0.1:{listening.getsockname()[1]}") as client:
            for _ in range(2):
                with pytest.raises(errors.ServiceUnavailable, match="it answered 404"):
                    client.status()
        thread.join(30)
