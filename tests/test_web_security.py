"""What the web face refuses, and to whom: every line of the security part of docs/web.md."""

from __future__ import annotations

import io
import socket
import struct
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image
from tests.conftest import Paint
from tests.web_server import Served, serve

from pixseek import ImageSearchEngine, isolation
from pixseek.settings import Settings
from pixseek.web import serving
from pixseek.web.guard import HEADERS, Rate, is_loopback

SEARCH = "/api/v1/search"
TOKEN = "a token of many letters"


@pytest.fixture
def library(paint: Paint, photos: Path, engine: ImageSearchEngine) -> Path:
    paint("red.png", "red")
    paint("blue.png", "blue")
    engine.index_images(photos)
    return engine.library


def type_of(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return str(answer.json()["type"]).rpartition(":")[2]


# who reaches it


def test_only_this_machine_reaches_it_unless_told_otherwise() -> None:
    assert Settings().host == "127.0.0.1"
    for host, local in [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.2", False),
        ("example.org", False),
    ]:
        assert is_loopback(host) is local, host


def test_where_others_reach_it_a_token_is_made_up(library: Path) -> None:
    with serve(library, host="0.0.0.0") as web:
        assert len(web.service.token) >= 32
        assert type_of(web.get(SEARCH)) == "TokenNeeded"
        headers = {"Authorization": f"Bearer {web.service.token}"}
        assert web.get(SEARCH, headers=headers).status_code == 200


def test_the_address_to_open_has_the_token(library: Path, engine: ImageSearchEngine) -> None:
    for host, token, shown in [
        ("127.0.0.1", "", "http://127.0.0.1:"),
        ("0.0.0.0", "t", "http://127.0.0.1:"),
        ("127.0.0.1", "t", "http://127.0.0.1:"),
    ]:
        options = Settings(library=library, host=host, port=0, token=token)
        service = serving.service(engine, options, allow_write=False)
        with serving.bind(options) as taken:
            address = serving.address(service, taken)
        assert address.startswith(shown)
        assert address.endswith("/login?token=t" if token else "/")


# the token


@pytest.mark.parametrize("path", [SEARCH, "/", "/metrics", "/api/v1/status", "/static/x.js", "/no"])
def test_with_a_token_nothing_is_answered_without_it(library: Path, path: str) -> None:
    with serve(library, token=TOKEN) as web:
        answer = web.get(path)
        assert (answer.status_code, type_of(answer)) == (401, "TokenNeeded")
        assert answer.headers["www-authenticate"] == "Bearer"
        for wrong in (f"Bearer {TOKEN}x", "Bearer", f"Basic {TOKEN}", TOKEN, "Bearer ü"):
            answer = web.get(path, headers={b"Authorization": wrong.encode()})
            assert answer.status_code == 401, wrong
        answer = web.get(path, headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code != 401
        assert web.get("/healthz").status_code == 200


def test_a_browser_gets_a_cookie_that_scripts_and_other_pages_cannot_use(library: Path) -> None:
    with serve(library, token=TOKEN) as web:
        answer = web.get("/login", params={"token": TOKEN})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "samesite=strict" in cookie.lower()
        assert TOKEN not in cookie
        assert web.get("/").status_code == 200  # the client keeps it, as a browser does
        assert web.get(SEARCH).status_code == 200
        web.cookies.clear()
        assert web.get("/login", params={"token": "wrong"}).status_code == 401
        name = cookie.partition("=")[0]
        assert web.get("/", headers={"Cookie": f"{name}=wrong"}).status_code == 401
        assert web.get("/", headers={"Cookie": f'{name}="'}).status_code == 401


def test_a_login_without_a_token_to_give_leads_to_the_page(web: Served) -> None:
    assert web.get("/login").headers["location"] == "/"


# names and origins


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "", "localhost.evil.example", "[::1", "127.0.0.1.x"]
)
def test_a_name_that_is_not_the_servers_is_refused(web: Served, host: str) -> None:
    answer = web.get(SEARCH, headers={"Host": host})
    assert (answer.status_code, type_of(answer)) == (403, "NotPermitted")


def test_its_own_names_and_those_of_the_setting_are_answered(library: Path) -> None:
    with serve(library, hosts="photos.lan, Other.lan") as web:
        for host in ("localhost", "127.0.0.1:1", "[::1]:8765", "PHOTOS.lan", "other.lan:80"):
            assert web.get(SEARCH, headers={"Host": host}).status_code == 200, host


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    ],
)
def test_pages_of_other_origins_can_neither_write_nor_read(
    web: Served, headers: dict[str, str]
) -> None:
    answer = web.post("/api/v1/jobs", json={"kind": "index"}, headers=headers)
    assert (answer.status_code, type_of(answer)) == (403, "NotPermitted")
    assert web.service.jobs.latest() == []
    assert web.get(SEARCH, headers=headers).status_code == 403


def test_its_own_page_can_write_and_a_link_elsewhere_may_lead_to_it(web: Served) -> None:
    own = {"Origin": str(web.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    assert web.post("/api/v1/jobs", json={"kind": "index"}, headers=own).status_code == 202
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert web.get("/", headers=link).status_code == 200
    assert web.get("/", headers={**link, "Sec-Fetch-Mode": "no-cors"}).status_code == 403


def test_a_form_of_another_page_cannot_start_a_run(web: Served) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        answer = web.post(
            "/api/v1/jobs", content=b'{"kind": "index"}', headers={"Content-Type": kind}
        )
        assert answer.status_code == 422
    assert web.service.jobs.latest() == []


def test_nothing_is_written_without_allow_write(library: Path) -> None:
    with serve(library) as web:
        answer = web.post("/api/v1/jobs", json={"kind": "index"})
        assert (answer.status_code, type_of(answer)) == (403, "NotPermitted")
        assert "--allow-write" in answer.json()["detail"]


# what browsers are told


def test_every_answer_tells_browsers_what_they_may_do(web: Served) -> None:
    id = web.get(SEARCH).json()["hits"][0]["id"]
    etag = web.get("/api/v1/facets").headers["etag"]
    requests = [
        web.get("/"),
        web.get(SEARCH),
        web.get("/no/such"),
        web.get(SEARCH, params={"limit": 0}),
        web.get(SEARCH, headers={"Host": "evil.example"}),
        web.get("/api/v1/facets", headers={"If-None-Match": etag}),
        web.get(f"/api/v1/items/{id}/thumbnail"),
        web.post(SEARCH),
        web.head("/"),
    ]
    for answer in requests:
        for name, value in HEADERS.items():
            assert answer.headers[name] == value, (answer.request.url, name)
        assert "server" not in answer.headers
        assert "access-control-allow-origin" not in answer.headers
    policy = HEADERS["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_a_failure_that_nobody_foresaw_tells_the_client_nothing_of_it(
    library: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with serve(library) as web:
        web.service.engine = None  # type: ignore[assignment]  # as a mistake of ours would have it
        answer = web.get(SEARCH)
    assert (answer.status_code, type_of(answer)) == (500, "ServiceError")
    assert "NoneType" not in answer.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "NoneType" in capfd.readouterr().err


# how much


def test_an_upload_of_too_many_bytes_is_refused_before_it_is_read(library: Path) -> None:
    with serve(library, upload_mb=1) as web:
        files = {"image": ("x.png", b"\0" * 1_200_000)}
        answer = web.post(SEARCH, files=files)
        assert (answer.status_code, type_of(answer)) == (413, "RequestTooLarge")
        declared = {
            "Content-Length": str(10**15),
            "Content-Type": "multipart/form-data; boundary=x",
        }
        raw = _answer_to(web, b"POST /api/v1/search HTTP/1.1", declared)
        assert raw.startswith(b"HTTP/1.1 413")


def test_an_upload_that_does_not_say_how_long_it_is_is_cut_off(library: Path) -> None:
    with serve(library, upload_mb=1) as web:

        def endless() -> Iterator[bytes]:
            yield b'--x\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n'
            for _ in range(10_000):
                yield b"\0" * 100_000

        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        try:
            answer = web.post(SEARCH, content=endless(), headers=headers)
        except httpx.WriteError:  # it was hung up on while it was still sending
            return
        assert answer.status_code == 413


def test_an_upload_of_too_many_pixels_is_refused_before_memory_is_taken(library: Path) -> None:
    with serve(library, upload_megapixels=1) as web:
        answer = web.post(SEARCH, files={"image": ("x.png", _huge_png(30_000, 30_000))})
        assert (answer.status_code, type_of(answer)) == (422, "UnreadableImage")
        assert "30000×30000 pixels" in answer.json()["detail"]


def test_other_bodies_are_bounded_too(web: Served) -> None:
    body = b'{"kind": "' + b"x" * 200_000 + b'"}'
    answer = web.post("/api/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, type_of(answer)) == (413, "RequestTooLarge")
    answer = web.post("/api/v1/jobs", content=iter([body]))  # does not say how long it is
    assert (answer.status_code, type_of(answer)) == (413, "RequestTooLarge")


def test_a_client_that_asks_too_often_is_told_to_wait(library: Path) -> None:
    with serve(library, requests_per_s=5) as web:
        answers = [web.get("/api/v1/jobs/none") for _ in range(40)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert 10 <= len(refused) <= 20
        assert refused[0].headers["retry-after"] == "1"
        assert type_of(refused[0]) == "ServiceBusy"
        assert web.get("/healthz").status_code == 200


def test_the_rate_is_of_each_client_and_few_clients_are_remembered() -> None:
    rate = Rate(1)
    for i in range(30_000):
        rate.take(f"client {i}")
    assert len(rate._left) <= 10_000


def test_beyond_a_bounded_queue_requests_are_sent_away_and_the_rest_answered(
    library: Path,
) -> None:
    with serve(library, threads=1, queue=2) as web:
        codes: list[int] = []

        def ask() -> None:
            with httpx.Client(base_url=web.base_url, timeout=60, trust_env=False) as client:
                codes.append(client.get(SEARCH).status_code)

        # The library's one connection is held, as a long search would hold it.
        with web.engine._library.opened().store._lock:  # type: ignore[attr-defined]  # local's
            threads = [threading.Thread(target=ask) for _ in range(3)]
            for thread in threads:
                thread.start()
            while web.service.threads.pending < 3:
                threading.Event().wait(0.01)
            answer = web.get(SEARCH)
            assert (answer.status_code, type_of(answer)) == (503, "ServiceBusy")
            assert int(answer.headers["retry-after"]) >= 1
            assert web.get("/healthz").status_code == 200
        for thread in threads:
            thread.join(30)
        assert codes == [200] * 3


def test_who_asks_for_many_unmade_thumbnails_or_counts_holds_up_no_search(library: Path) -> None:
    def ask(path: str) -> None:
        with httpx.Client(base_url=web.base_url, timeout=60, trust_env=False) as client:
            codes.append(client.get(path).status_code)

    def thumbnail(id: str, size: int = 320) -> str:
        return f"/api/v1/items/{id}/thumbnail?size={size}"

    with serve(library, threads=1, workers=1, queue=1) as web:
        made, other = [hit["id"] for hit in web.get(SEARCH).json()["hits"]]
        assert web.get(thumbnail(made)).status_code == 200
        unmade = [thumbnail(other), thumbnail(other, 1280), thumbnail(made, 1280)]
        for pool, held, paths in (
            # None is made while no process can be had for it; none is counted meanwhile.
            (web.service.making, isolation._changing, unmade),
            (web.service.counting, web.service._kept_lock, ["/api/v1/facets"] * 3),
        ):
            codes: list[int] = []
            threads = [threading.Thread(target=ask, args=(path,)) for path in paths[:2]]
            with held:
                for thread in threads:
                    thread.start()
                while pool.pending < 2:
                    threading.Event().wait(0.01)
                answer = web.get(paths[-1])
                assert (answer.status_code, type_of(answer)) == (503, "ServiceBusy")
                assert web.found(text="red")
                assert web.get(thumbnail(made)).status_code == 200
            for thread in threads:
                thread.join(30)
            assert codes == [200, 200]
            assert pool.pending == 0


def test_few_uploads_and_streams_are_open_at_once(web: Served) -> None:
    web.post("/api/v1/jobs", json={"kind": "index"})
    job = web.get("/api/v1/jobs").json()["jobs"][0]["id"]
    taken = web.service._taken
    taken["uploads"], taken["streams"] = 8, 32
    for answer in (
        web.post(SEARCH, files={"image": ("x.png", _png())}),
        web.get(f"/api/v1/jobs/{job}/events"),
    ):
        assert (answer.status_code, type_of(answer)) == (503, "ServiceBusy")
    taken["uploads"], taken["streams"] = 7, 31
    assert web.post(SEARCH, files={"image": ("x.png", _png())}).status_code == 200
    assert web.get(f"/api/v1/jobs/{job}/events").status_code == 200
    assert taken == {"uploads": 7, "streams": 31}


# files


def test_a_link_that_leads_out_of_the_librarys_folders_is_not_followed(
    web: Served, photos: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    Image.new("RGB", (20, 20), "green").save(outside / "secret.png")
    (photos / "link.png").symlink_to(outside / "secret.png")
    (photos / "inside.png").symlink_to(photos / "red.png")
    web.engine.index_images()
    hits = {hit["name"]: hit["id"] for hit in web.get(SEARCH).json()["hits"]}
    answer = web.get(f"/api/v1/items/{hits['link.png']}/original")
    assert (answer.status_code, type_of(answer)) == (404, "MissingPath")
    assert b"PNG" not in answer.content
    # A file that became a link since it was indexed, in a folder that did.
    (photos / "blue.png").unlink()
    (photos / "blue.png").symlink_to("/etc/hostname")
    assert web.get(f"/api/v1/items/{hits['blue.png']}/original").status_code == 404
    assert web.get(f"/api/v1/items/{hits['blue.png']}/thumbnail").status_code == 422
    inside = next(id for name, id in hits.items() if name in ("red.png", "inside.png"))
    assert web.get(f"/api/v1/items/{inside}/original").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/static/../../errors.py",
        "/static/%2e%2e/%2e%2e/errors.py",
        "/static/..%5c..%5cerrors.py",
        "/static//etc/passwd",
        "/api/v1/items/..%2f..%2fetc%2fpasswd/original",
        "/api/v1/items/%2fetc%2fpasswd/original",
    ],
)
def test_no_path_in_a_request_is_opened(web: Served, path: str) -> None:
    raw = _answer_to(web, f"GET {path} HTTP/1.1".encode(), {})
    assert raw.startswith(b"HTTP/1.1 404"), raw


# what leaves the machine

CONNECTED: list[object] = []
WATCHING = threading.Event()


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event in ("socket.connect", "socket.getaddrinfo") and WATCHING.is_set():
        CONNECTED.append(arguments[1] if event == "socket.connect" else arguments[0])


def test_no_other_host_is_ever_asked(web: Served) -> None:
    sys.addaudithook(_watch)  # for the life of the process; it listens while it is told to
    WATCHING.set()
    try:
        web.get("/")
        hit = web.get(SEARCH, params={"q": "red http://example.org/x.png"}).json()["hits"][0]
        for rest in ("", "/thumbnail", "/original", "/similar"):
            web.get(f"/api/v1/items/{hit['id']}{rest}")
        web.post(SEARCH, files={"image": ("http://example.org/x.png", _png())})
        web.get(SEARCH, params={"like": "http://example.org/x.png"})
        web.post("/api/v1/jobs", json={"kind": "index"})
        web.get("/api/v1/status")
    finally:
        WATCHING.clear()
    hosts = {one[0] if isinstance(one, tuple) else one for one in CONNECTED}
    assert hosts <= {"127.0.0.1", "localhost"}


def _png() -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (20, 20), "red").save(content, "PNG")
    return content.getvalue()


def _huge_png(width: int, height: int) -> bytes:
    """A few bytes that say they are a picture of that size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 1000)
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def _answer_to(web: Served, line: bytes, headers: dict[str, str]) -> bytes:
    """The beginning of the answer to a request as no client would send it."""
    port = web.base_url.port
    assert port is not None
    sent = {"Host": f"127.0.0.1:{port}", "Connection": "close", **headers}
    text = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(line + b"\r\n" + text.encode() + b"\r\n")
        return connection.recv(4096)
