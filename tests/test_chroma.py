"""The store `chroma`: in a folder, and of a real server in a process of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import ClassVar, cast

import chromadb
import pytest
from chromadb.api.client import Client
from chromadb.config import Settings

pytest.register_assert_rewrite("tests.store_contract", "tests.store_in_use")

from tests.chroma_server import ChromaServer  # noqa: E402
from tests.conftest import Paint  # noqa: E402
from tests.store_contract import (  # noqa: E402
    SPACE,
    Kind,
    OpenStore,
    StoreContract,
    assert_too_old,
    axis,
    hit_ids,
    units,
    where,
)
from tests.store_in_use import (  # noqa: E402
    assert_a_library_works,
    assert_a_switch_works,
    make_wide_known,
    names,
)

import pixseek  # noqa: E402  # after the lines above
from pixseek import ImageSearchEngine  # noqa: E402
from pixseek.errors import (  # noqa: E402
    InvalidStoreAddress,
    LibraryNotFound,
    StoreMismatch,
    StoreUnavailable,
    UnsupportedFilter,
)
from pixseek.records import Item, Metadata, Space  # noqa: E402
from pixseek.stores import Store, chroma, chroma_collection, retrying  # noqa: E402
from pixseek.stores.address import METRICS, Metric  # noqa: E402
from pixseek.stores.chroma import ChromaStore  # noqa: E402

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(pixseek.__file__).parent.parent)}
ROOT = Path(__file__).parent.parent
NUMBERS = count()


def in_memory(otherwise: Path) -> Path:
    """A folder in memory, where there is such a place: Chroma flushes its files at each write."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(dir=memory)) if memory.is_dir() else otherwise


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    made = in_memory(tmp_path)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChromaServer]:
    made = in_memory(tmp_path_factory.mktemp("chroma"))
    server = ChromaServer(made)
    yield server
    server.kill()
    shutil.rmtree(made)


def url_of(server: ChromaServer) -> str:
    """The URL of a new collection."""
    return f"chroma+http://127.0.0.1:{server.port}?collection=pictures-{next(NUMBERS)}"


def opener(url: str) -> Iterator[OpenStore]:
    opened: list[Store] = []

    def open(space: Space | None) -> Store:
        opened.append(ChromaStore.open(url, space))
        return opened[-1]

    yield open
    for store in opened:
        store.close()


class TestChromaFolder(StoreContract):
    refuses: ClassVar[frozenset[Kind]] = frozenset(ChromaStore.REFUSES)
    orders_ties = False

    @pytest.fixture
    def open_store(self, folder: Path) -> Iterator[OpenStore]:
        yield from opener(f"chroma:{folder}/a%20b")


class TestChromaServer(StoreContract):
    refuses: ClassVar[frozenset[Kind]] = frozenset(ChromaStore.REFUSES)
    orders_ties = False

    @pytest.fixture
    def open_store(self, server: ChromaServer) -> Iterator[OpenStore]:
        yield from opener(url_of(server))


@contextmanager
def client_of(server: ChromaServer) -> Iterator[Client]:
    settings = Settings(anonymized_telemetry=False)
    client = cast("Client", chromadb.HttpClient("127.0.0.1", server.port, settings=settings))
    yield client
    for session in chroma_collection._sessions(client):
        session.close()
    client.close()


# Whatever it measures by, a score is cosine similarity


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("served", [False, True], ids=["folder", "server"])
def test_every_metric_gives_the_same_hits(
    server: ChromaServer, folder: Path, metric: Metric, served: bool
) -> None:
    url = url_of(server) if served else f"chroma:{folder}?collection=other"
    with closing(ChromaStore.open(f"{url}&metric={metric}", SPACE)) as store:
        TestChromaFolder().test_three_hundred_random_items_are_found_as_by_the_oracle(store)
    for other in METRICS.keys() - {metric}:
        with pytest.raises(StoreMismatch, match=METRICS[metric]):
            ChromaStore.open(f"{url}&metric={other}", SPACE)


def test_what_the_graph_does_not_reach_is_found_by_reading_it_all(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(ChromaStore.open(f"chroma:{folder}", SPACE)) as store:
        vectors = units(1, 50, SPACE.dimensions)
        store.add([Item(f"{i}", vector, {"n": i}) for i, vector in enumerate(vectors)])
        whole = store.search(vectors[0], 50, where=where({"n": {"$gte": 10}}))
        assert len(whole) == 40
        nearest = chroma_collection._nearest
        monkeypatch.setattr(chroma_collection, "_nearest", lambda *asked: nearest(*asked)[::2])
        assert store.search(vectors[0], 50, where=where({"n": {"$gte": 10}})) == whole
        assert store.search(vectors[0], 50, offset=45) == store.search(vectors[0], 50)[45:]


def test_more_items_than_one_page_are_listed_once_each(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(ChromaStore.open(f"chroma:{folder}", SPACE)) as store:
        vectors = units(1, 60, SPACE.dimensions)
        store.add([Item(f"é{i}", vector, {"n": i}) for i, vector in enumerate(vectors)])
        for page in (1, 7, 20, 60, 61):
            monkeypatch.setattr(chroma_collection, "PAGE", page)
            assert sorted(store.ids()) == sorted(f"é{i}" for i in range(60))
            assert len(list(store.ids(where({"n": {"$lt": 40}})))) == 40


# In use


@pytest.mark.parametrize("served", [False, True], ids=["folder", "server"])
def test_a_library_lives_in_chroma(
    server: ChromaServer,
    tmp_path: Path,
    photos: Path,
    paint: Paint,
    monkeypatch: pytest.MonkeyPatch,
    served: bool,
) -> None:
    make_wide_known(monkeypatch)
    monkeypatch.chdir(tmp_path)
    url = url_of(server) if served else "chroma:./vectors"
    assert_a_library_works(url, tmp_path / "library", photos, paint)
    assert_a_switch_works(tmp_path / "library")


def test_other_programs_find_documents_and_plain_fields(server: ChromaServer) -> None:
    metadata: Metadata = {"year": 2019, "path": ["/a.jpg", "/b.jpg"], "odd": "\udcff", "a b": 1}
    url = url_of(server)
    with closing(ChromaStore.open(url, SPACE)) as store:
        store.add([Item("id", axis(0), metadata), Item("\0", axis(1), {"caption": "a cat"})])
        store.add([Item("bare", axis(1), {"caption": ""})])
    with client_of(server) as client:
        found = client.get_collection(url.rpartition("=")[2], embedding_function=None).get()
        fields = {
            document: {key: one[key] for key in one if key[0] != "~" and ":" not in key}
            for document, one in zip(
                found["documents"] or (), found["metadatas"] or (), strict=True
            )
        }
        assert fields == {
            "/a.jpg": {"year": 2019, "path": "/a.jpg"},
            "a cat": {"caption": "a cat"},
            "bare": {"caption": ""},
        }


# Sharing a folder

OTHER = """
import sys
from contextlib import closing, contextmanager
from tests.store_contract import SPACE, axis, hit_ids
from pixseek.records import Item
from pixseek.stores.chroma import ChromaStore
with closing(ChromaStore.open(sys.argv[1], SPACE)) as store:
    print(*hit_ids(store.search(axis(0), 5)), flush=True)
    store.add([Item("theirs", axis(1), {"n": 2})])
    print("added", flush=True)
    sys.stdin.read()
    print(*hit_ids(store.search(axis(0), 5)), flush=True)
"""


def test_processes_see_what_others_write_at_their_next_call(folder: Path) -> None:
    url = f"chroma:{folder}"
    with closing(ChromaStore.open(url, SPACE)) as store:
        store.add([Item("mine", axis(0), {"n": 1}), Item("old", axis(2), {"n": 3})])
        assert hit_ids(store.search(axis(0), 5)) == ["mine", "old"]
        other = subprocess.Popen(
            [sys.executable, "-c", OTHER, url],
            env=ENVIRONMENT,
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert other.stdout is not None
        assert other.stdout.readline() == "mine old\n"
        assert other.stdout.readline() == "added\n"
        # The other process stays alive, and lets go nevertheless.
        assert hit_ids(store.search(axis(1), 1)) == ["theirs"]
        assert store.delete(["old"]) == 1
        said, _ = other.communicate("")
        assert (other.returncode, said) == (0, "mine theirs\n")
        assert sorted(store.ids()) == ["mine", "theirs"]


def test_two_sets_of_vectors_in_one_folder_are_used_together(folder: Path) -> None:
    other = Space("sculptor", "f2", 4)
    with (
        closing(ChromaStore.open(f"chroma:{folder}", SPACE)) as one,
        closing(ChromaStore.open(f"chroma:{folder}?collection=other", other)) as two,
    ):
        for i in range(10):
            one.add([Item(f"{i}", axis(i % 8), {"n": i})])
            two.add([Item(f"{i}", axis(i % 4)[:4], one.fetch([f"{i}"])[0].metadata)])
        two.drop()
        assert (one.count(), two.count()) == (10, 0)


def test_a_store_that_was_dropped_elsewhere_is_empty(server: ChromaServer, folder: Path) -> None:
    for url in (url_of(server), f"chroma:{folder}"):
        with (
            closing(ChromaStore.open(url, SPACE)) as one,
            closing(ChromaStore.open(url, None)) as two,
        ):
            one.add([Item("a", axis(0), {"n": 1})])
            two.drop()
            assert (one.count(), list(one.ids()), one.fetch(["a"])) == (0, [], [])
            assert one.search(axis(0), 5) == []
            assert one.delete(["a"]) == 0
            one.update_metadata({"a": {}})
            with pytest.raises(LibraryNotFound, match="there is no library at 'chroma"):
                one.add([Item("a", axis(0), {})])
            one.drop()


WRITER = """
import sys
from tests.store_contract import SPACE, units
from pixseek.records import Item
from pixseek.stores.chroma import ChromaStore
store = ChromaStore.open(sys.argv[1], SPACE)
vectors = units(int(sys.argv[2]), 5000, SPACE.dimensions)
for start in range(0, 5000, 20):
    ids = [f"{sys.argv[2]}-{i}" for i in range(start, start + 20)]
    store.add([Item(id, v, {"id": id}) for id, v in zip(ids, vectors[start:], strict=False)])
    print(start + 20, flush=True)
"""


def test_a_process_that_is_killed_loses_nothing_that_it_acknowledged(folder: Path) -> None:
    url = f"chroma:{folder}"
    wanted = 0
    for turn in range(2):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, url, f"{turn}"],
            env=ENVIRONMENT,
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
        )
        assert writer.stdout is not None
        acknowledged = 0
        while acknowledged < 500 * (turn + 1):
            acknowledged = int(writer.stdout.readline())
        writer.kill()
        writer.communicate()
        wanted += acknowledged
        with closing(ChromaStore.open(url, None)) as store:
            for name in (f"{turn}-{i}" for i in range(0, acknowledged, 40)):
                assert store.count(where({"id": name})) == 1
            assert store.count() >= wanted
            assert store.count() == len(store.search(axis(0), 20_000))


def test_a_folder_of_another_kind_is_refused(folder: Path) -> None:
    (folder / "file").write_text("not a folder")
    with pytest.raises(StoreUnavailable, match=r"File exists|Not a directory"):
        ChromaStore.open(f"chroma:{folder}/file", SPACE)
    (folder / "damaged").mkdir()
    (folder / "damaged" / "chroma.sqlite3").write_text("no database, but long enough to be one" * 9)
    for space in (SPACE, None):
        with pytest.raises(
            StoreUnavailable, match=r"chroma:/.*damaged cannot be used: .*not a database"
        ):
            ChromaStore.open(f"chroma:{folder}/damaged", space)


def test_looking_for_a_collection_makes_no_folder(folder: Path) -> None:
    with pytest.raises(LibraryNotFound):
        ChromaStore.open(f"chroma:{folder}/none", None)
    assert not (folder / "none").exists()


# What may go wrong with a server


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chroma_collection, "CONNECT_S", 0.5)
    monkeypatch.setattr(chroma_collection, "CALL_S", 1.0)
    monkeypatch.setattr(retrying, "FIRST_PAUSE_S", 0.01)


def test_a_server_that_dies_loses_nothing_and_the_next_run_completes(
    folder: Path, tmp_path: Path, photos: Path, paint: Paint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "FIRST_PAUSE_S", 0.01)
    server = ChromaServer(folder)
    url = f"chroma+http://127.0.0.1:{server.port}"
    try:
        for colour in ("red", "blue", "green"):
            paint(f"{colour}.png", colour)
        with ImageSearchEngine(tmp_path / "library", model="palette", store=url) as engine:
            assert engine.index_images(photos).added == 3
            paint("white.png", "white")
            server.kill()
            with pytest.raises(StoreUnavailable, match=r"chroma\+http://127.*Connect"):
                engine.search_by_text("red")
            with pytest.raises(StoreUnavailable, match="what was reported as indexed is kept"):
                engine.index_images(photos)
            server.start()
            assert engine.status().items == 3
            report = engine.index_images(photos)
            assert (report.added, report.unchanged) == (1, 3)
            assert names(engine.search_by_text("white", k=1)) == ["white.png"]
    finally:
        server.kill()


@pytest.mark.usefixtures("impatient")
def test_a_server_that_is_not_there_is_named_without_its_secrets() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"chroma+http://127.0.0.1:{taken.getsockname()[1]}?token=hunter2"
        for space in (SPACE, None):
            with pytest.raises(StoreUnavailable, match=r"127.0.0.1:\d+\?token=") as caught:
                ChromaStore.open(url, space)
            assert "hunter2" not in str(caught.value)


def test_a_tenant_or_database_that_is_not_there_is_named(server: ChromaServer) -> None:
    for option, said in (("tenant", "default_database"), ("database", "nobody")):
        with pytest.raises(StoreUnavailable, match=rf"it answered 404: .*{said}.* not found"):
            ChromaStore.open(f"{url_of(server)}&{option}=nobody", SPACE)


class Between(BaseHTTPRequestHandler):
    """What stands before a Chroma server: asks for a token, fails, or is slow."""

    protocol_version = "HTTP/1.1"
    port: ClassVar[int]
    token: ClassVar[str] = ""
    failures: ClassVar[list[tuple[int, str]]] = []
    slow_s: ClassVar[float] = 0
    asked: ClassVar[int] = 0

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do(self) -> None:
        type(self).asked += 1
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        time.sleep(self.slow_s)
        if self.token and self.headers.get("x-chroma-token") != self.token:
            self.answer(401, b'{"error":"ChromaAuthError","message":"Unauthorized"}')
        elif self.failures:
            status, text = self.failures.pop(0)
            self.answer(status, text.encode())
        else:
            with socket.create_connection(("127.0.0.1", self.port)):
                import httpx

                url = f"http://127.0.0.1:{self.port}{self.path}"
                headers = {"Content-Type": "application/json"}
                answer = httpx.request(self.command, url, content=body, headers=headers)
                self.answer(answer.status_code, answer.content)

    do_GET = do_PUT = do_POST = do_DELETE = do  # noqa: N815

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def between(server: ChromaServer) -> Iterator[str]:
    """A URL of the server by way of `Between`."""
    Between.port, Between.token, Between.slow_s = server.port, "", 0
    Between.failures.clear()
    gate = ThreadingHTTPServer(("127.0.0.1", 0), Between)
    gate.daemon_threads = True
    thread = threading.Thread(target=gate.serve_forever, args=(0.01,))
    thread.start()
    yield url_of(server).replace(f":{server.port}", f":{gate.server_port}")
    gate.shutdown()
    thread.join()
    gate.server_close()


def test_the_token_comes_from_the_url_or_from_the_environment(
    between: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Between.token = "hunter2"
    for wrong in (between, f"{between}&token=hunter1"):
        with pytest.raises(StoreUnavailable, match="401") as caught:
            ChromaStore.open(wrong, SPACE)
        assert "hunter" not in str(caught.value)
    ChromaStore.open(f"{between}&token=hunter2", SPACE).close()
    monkeypatch.setenv("CHROMA_API_KEY", "hunter2")
    ChromaStore.open(between, None).close()


@pytest.mark.usefixtures("impatient")
def test_what_may_succeed_a_moment_later_is_tried_again(between: str) -> None:
    with closing(ChromaStore.open(between, SPACE)) as store:
        Between.failures += [(503, "busy"), (502, "<html>bad gateway</html>")]
        store.add([Item("a", axis(0), {})])
        assert store.count() == 1
        Between.failures += [(503, "busy")] * 3
        with pytest.raises(StoreUnavailable, match="busy"):
            store.search(axis(0), 1)
        asked = Between.asked
        Between.failures += [(400, '{"error":"InvalidArgumentError","message":"no such thing"}')]
        with pytest.raises(StoreUnavailable, match="no such thing"):
            store.fetch(["a"])
        assert Between.asked == asked + 1


@pytest.mark.usefixtures("impatient")
def test_a_server_that_is_slow_or_no_chroma_is_given_up(
    between: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "TRIES", 1)
    with closing(ChromaStore.open(between, SPACE)) as store:
        Between.slow_s = 1.5
        with pytest.raises(StoreUnavailable, match="ReadTimeout"):
            store.count()
        with pytest.raises(StoreUnavailable, match="ReadTimeout"):
            ChromaStore.open(between, None)
        Between.slow_s = 0
        Between.failures += [(200, "<html>hello</html>")]
        with pytest.raises(StoreUnavailable, match="JSONDecodeError"):
            store.count()
        Between.failures += [(404, "<html>hello</html>")]
        with pytest.raises(StoreUnavailable, match="404"):
            ChromaStore.open(between, None)


def test_a_collection_that_pixseek_did_not_make_is_left_alone(server: ChromaServer) -> None:
    url = url_of(server)
    with client_of(server) as client:
        made = client.create_collection(url.rpartition("=")[2], embedding_function=None)
        for space in (SPACE, None):
            with pytest.raises(InvalidStoreAddress, match="that pixseek did not make"):
                ChromaStore.open(url, space)
        assert made.count() == 0


# What is asked for


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("chroma:x?colection=y", "the option 'colection'; expected collection, metric"),
        ("chroma:x?token=y", "the option 'token'"),
        ("chroma+http://?collection=y", "no host; expected //HOST:PORT"),
        ("chroma+http://host/path", "no host; expected //HOST:PORT"),
    ],
)
def test_a_url_that_cannot_be_understood_is_refused(url: str, message: str) -> None:
    with pytest.raises(InvalidStoreAddress, match=message):
        ChromaStore.open(url, SPACE)


def test_a_filter_is_refused_where_chroma_would_fail(folder: Path) -> None:
    with closing(ChromaStore.open(f"chroma:{folder}", SPACE)) as store:
        store.add([Item("a", axis(0), {"n": 1, "t": "999"})])
        deep: dict[str, object] = {"n": {"$gte": 1}}
        for _ in range(19):
            deep = {"$not": {"$and": [{"$or": [deep, {"n": 2}]}, {"n": 1}]}}
        store.check_filter(where(deep))
        assert store.count(where(deep)) in (0, 1)
        deep = {"$and": [{"$or": [{"$and": [deep, {"n": 1}]}, {"n": 2}]}, {"n": 1}]}
        with pytest.raises(UnsupportedFilter, match="nested more than 40 deep"):
            store.check_filter(where(deep))
        for n, count in ((chroma.WIDEST, 1), (chroma.WIDEST, 0)):
            operator = "$in" if count else "$nin"
            wide = where({"t": {operator: [f"{i}" for i in range(n)]}})
            store.check_filter(wide)
            assert store.count(wide) == count
        with pytest.raises(UnsupportedFilter, match="more than 1000 values at once"):
            store.check_filter(where({"t": {"$in": [f"{i}" for i in range(chroma.WIDEST + 1)]}}))


def test_a_collection_made_before_words_were_written_says_so(
    folder: Path, server: ChromaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for url in (f"chroma:{folder}", url_of(server)):
        with monkeypatch.context() as before:
            before.setattr(chroma_collection, "LAYOUT", 1)
            ChromaStore.open(url, SPACE).close()
        store = ChromaStore.open(url, SPACE)
        assert_too_old(store)
        store.close()
