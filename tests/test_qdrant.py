"""The store `qdrant`: the engine in a folder, and the client of a server.

There is no server among the packages of any registry that tests install from. So its client is
tested on `tests.qdrant_server`, which answers by Qdrant's own engine, and the filters that it sends
on the local mode of Qdrant's client too, which reads them by other code.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import pytest
import qdrant_edge as edge
from qdrant_client import QdrantClient, models

pytest.register_assert_rewrite("tests.store_contract", "tests.store_in_use")

from tests.conftest import Paint  # noqa: E402
from tests.qdrant_server import Handler, Server  # noqa: E402
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
    MissingExtra,
    StoreMismatch,
    StoreUnavailable,
    UnsupportedFilter,
)
from pixseek.records import Item, Metadata, Space  # noqa: E402
from pixseek.stores import Store, qdrant_server, retrying, turns  # noqa: E402
from pixseek.stores.address import METRICS, Metric  # noqa: E402
from pixseek.stores.qdrant import QdrantStore  # noqa: E402
from pixseek.stores.qdrant_embedded import EmbeddedPoints  # noqa: E402

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(pixseek.__file__).parent.parent)}
ROOT = Path(__file__).parent.parent
NUMBERS = count()


def in_memory(otherwise: Path) -> Path:
    """A folder in memory, where there is such a place: Qdrant flushes many files at each write."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(dir=memory)) if memory.is_dir() else otherwise


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    made = in_memory(tmp_path)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def module_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = in_memory(tmp_path_factory.mktemp("qdrant"))
    server = Server(0, made)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
    shutil.rmtree(made)


@pytest.fixture
def server(module_server: Server) -> Iterator[Server]:
    """As it should be at the end of each test."""
    yield module_server
    module_server.key, module_server.version = "", "1.20.0"
    module_server.failing = lambda _: False


def url_of(server: Server, options: str = "") -> str:
    """The URL of a new collection."""
    number = next(NUMBERS)
    return f"qdrant://127.0.0.1:{server.server_port}?collection=pictures-{number}{options}"


def opener(url: str) -> Iterator[OpenStore]:
    opened: list[Store] = []

    def open(space: Space | None) -> Store:
        opened.append(QdrantStore.open(url, space))
        return opened[-1]

    yield open
    for store in opened:
        store.close()


class TestQdrantFolder(StoreContract):
    refuses: ClassVar[frozenset[Kind]] = frozenset(QdrantStore.REFUSES)
    orders_ties = False

    @pytest.fixture
    def open_store(self, folder: Path) -> Iterator[OpenStore]:
        yield from opener(f"qdrant:{folder}/a%20b")


class TestQdrantServer(StoreContract):
    refuses: ClassVar[frozenset[Kind]] = frozenset(QdrantStore.REFUSES)
    orders_ties = False

    @pytest.fixture
    def open_store(self, server: Server) -> Iterator[OpenStore]:
        yield from opener(url_of(server))


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect", "ignore:Local mode")
@pytest.mark.parametrize(
    "name",
    [
        "test_any_filter_means_what_matches_says",
        "test_any_changes_leave_what_the_oracle_has",
        "test_three_hundred_random_items_are_found_as_by_the_oracle",
    ],
)
def test_what_is_sent_means_the_same_to_qdrants_local_mode(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(qdrant_server, "QdrantClient", lambda **_: QdrantClient(":memory:"))
    monkeypatch.setattr(qdrant_server, "_version", lambda *_: (1, 20))
    with closing(QdrantStore.open("qdrant://local", SPACE)) as store:
        getattr(TestQdrantServer(), name)(store)


# Whatever it measures by, a score is cosine similarity


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("served", [False, True], ids=["folder", "server"])
def test_every_metric_gives_the_same_hits(
    server: Server, folder: Path, metric: Metric, served: bool
) -> None:
    url = url_of(server) if served else f"qdrant:{folder}?collection=b"
    with closing(QdrantStore.open(f"{url}&metric={metric}", SPACE)) as store:
        TestQdrantFolder().test_three_hundred_random_items_are_found_as_by_the_oracle(store)
    for other in METRICS.keys() - {metric}:
        with pytest.raises(StoreMismatch, match=METRICS[metric]):
            QdrantStore.open(f"{url}&metric={other}", SPACE)


def test_a_search_by_graph_is_asked_for_and_filtered_ones_stay_exact(
    server: Server, folder: Path
) -> None:
    space = Space("painter", "wide", 1024)
    vectors = units(1, 6000, space.dimensions)
    items = [Item(f"{i}", vector, {"n": i}) for i, vector in enumerate(vectors)]
    url = f"qdrant:{folder}?index=hnsw"
    with closing(QdrantStore.open(url, space)) as store:
        store.add(items)
        store.delete([f"{i}" for i in range(0, 6000, 2)])
    with closing(QdrantStore.open(url, None)) as store:
        points = cast("EmbeddedPoints", store._points)
        info = points._ask(lambda shard: shard.info())
        assert info is not None
        assert (info.points_count, info.indexed_vectors_count) == (3000, 3000)
        found = 0
        for query in units(2, 20, space.dimensions):
            order = np.argsort(-vectors[1::2] @ query) * 2 + 1
            found += len({f"{i}" for i in order[:10]} & set(hit_ids(store.search(query, 10))))
            few = [f"{i}" for i in order if i < 2000][:10]
            assert hit_ids(store.search(query, 10, where=where({"n": {"$lt": 2000}}))) == few
        assert found >= 190
    served = url_of(server, "&index=hnsw")
    with closing(QdrantStore.open(served, space)) as store:
        store.add(items[:100])
        assert len(store.search(vectors[0], 10)) == 10


# In use


@pytest.mark.parametrize("served", [False, True], ids=["folder", "server"])
def test_a_library_lives_in_qdrant(
    server: Server,
    tmp_path: Path,
    photos: Path,
    paint: Paint,
    monkeypatch: pytest.MonkeyPatch,
    served: bool,
) -> None:
    make_wide_known(monkeypatch)
    monkeypatch.chdir(tmp_path)
    url = url_of(server) if served else "qdrant:./vectors"
    assert_a_library_works(url, tmp_path / "library", photos, paint)
    assert_a_switch_works(tmp_path / "library")


def test_other_programs_find_plain_fields(server: Server) -> None:
    metadata: Metadata = {"year": 2019, "path": ["/a.jpg", "/b.jpg"], "odd": "\udcff", "a b": 1}
    url = url_of(server)
    with closing(QdrantStore.open(url, SPACE)) as store:
        store.add([Item("id", axis(0), metadata), Item("\0", axis(1), {"caption": "a cat"})])
    with closing(QdrantClient(port=server.server_port, check_compatibility=False)) as client:
        records, _ = client.scroll(url.rpartition("=")[2])
        shown = [one.payload for one in records if one.payload]
        pages = {one["page_content"]: one["metadata"] for one in shown}
        assert pages == {
            "/a.jpg": {"year": 2019, "path": "/a.jpg"},
            "a cat": {"caption": "a cat"},
        }


# Sharing a folder

OTHER = """
import sys
from contextlib import closing
from tests.store_contract import SPACE, axis
from pixseek.records import Item
from pixseek.stores.qdrant import QdrantStore
with closing(QdrantStore.open(sys.argv[1], SPACE)) as store:
    print(*store.ids(), flush=True)
    store.add([Item("theirs", axis(1), {"n": 2})])
    if sys.argv[2:]:
        sys.stdin.read()
"""


def run_other(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", OTHER, *arguments],
        env=ENVIRONMENT,
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        **options,
    )


def test_processes_see_what_others_write_at_their_next_call(folder: Path) -> None:
    url = f"qdrant:{folder}"
    with closing(QdrantStore.open(url, SPACE)) as store:
        store.add([Item("mine", axis(0), {"n": 1})])
        # It stays alive, and lets go nevertheless.
        other = run_other(url, "stay", stdin=subprocess.PIPE)
        assert other.stdout is not None
        assert other.stdout.readline() == "mine\n"
        end = time.monotonic() + 20
        while store.count() == 1 and time.monotonic() < end:
            time.sleep(0.05)
        assert hit_ids(store.search(axis(1), 5)) == ["theirs", "mine"]
        assert store.delete(["theirs"]) == 1
        other.communicate("")
        assert other.returncode == 0
        assert list(store.ids()) == ["mine"]


def test_a_store_that_was_dropped_elsewhere_is_empty(server: Server, folder: Path) -> None:
    for url in (url_of(server), f"qdrant:{folder}"):
        with (
            closing(QdrantStore.open(url, SPACE)) as one,
            closing(QdrantStore.open(url, None)) as two,
        ):
            one.add([Item("a", axis(0), {"n": 1})])
            two.drop()
            assert (one.count(), list(one.ids()), one.fetch(["a"])) == (0, [], [])
            assert one.search(axis(0), 5) == []
            assert one.delete(["a"]) == 0
            one.update_metadata({"a": {}})
            with pytest.raises(LibraryNotFound, match="there is no library at 'qdrant:"):
                one.add([Item("a", axis(0), {})])
            one.drop()


def test_another_collection_in_the_place_of_a_dropped_one_is_not_taken_for_it(
    folder: Path,
) -> None:
    url, other = f"qdrant:{folder}", Space("sculptor", "f2", SPACE.dimensions)
    with closing(QdrantStore.open(url, SPACE)) as one:
        one.drop()
        with closing(QdrantStore.open(url, other)) as two:
            two.add([Item("a", axis(0), {})])
            one.drop()
            assert (one.count(), two.count()) == (0, 1)


WRITER = """
import sys
from tests.store_contract import SPACE, units
from pixseek.records import Item
from pixseek.stores.qdrant import QdrantStore
store = QdrantStore.open(sys.argv[1], SPACE)
vectors = units(int(sys.argv[2]), 5000, SPACE.dimensions)
for start in range(0, 5000, 20):
    ids = [f"{sys.argv[2]}-{i}" for i in range(start, start + 20)]
    store.add([Item(id, v, {"id": id}) for id, v in zip(ids, vectors[start:], strict=False)])
    print(start + 20, flush=True)
"""


def test_a_process_that_is_killed_loses_nothing_that_it_acknowledged(folder: Path) -> None:
    url = f"qdrant:{folder}"
    wanted = 0
    for turn in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, url, f"{turn}"],
            env=ENVIRONMENT,
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
        )
        assert writer.stdout is not None
        acknowledged = 0
        while acknowledged < 200 * (turn + 1):
            acknowledged = int(writer.stdout.readline())
        writer.kill()
        writer.communicate()
        wanted += acknowledged
        with closing(QdrantStore.open(url, None)) as store:
            for name in (f"{turn}-{i}" for i in range(0, acknowledged, 7)):
                assert store.count(where({"id": name})) == 1
            assert store.count() >= wanted
            assert store.count() == len(store.search(axis(0), 20_000))


def test_a_folder_that_another_program_has_open_is_refused(folder: Path) -> None:
    url = f"qdrant:{folder}"
    QdrantStore.open(url, SPACE).close()
    shard = edge.EdgeShard.load(str(folder / "pixseek" / "shard"))
    with pytest.raises(StoreUnavailable, match=r"qdrant:/.*cannot be used: .*WAL"):
        QdrantStore.open(url, None)
    shard.close()
    QdrantStore.open(url, None).close()


def test_a_process_that_does_not_let_go_is_given_up(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"qdrant:{folder}"
    QdrantStore.open(url, SPACE).close()
    stopped = run_other(url, "stay", stdin=subprocess.PIPE)
    assert stopped.stdout is not None
    stopped.stdout.readline()
    stopped.send_signal(signal.SIGSTOP)
    monkeypatch.setattr(turns, "WAIT_S", 0.3)
    with pytest.raises(StoreUnavailable, match="another process has it open"):
        QdrantStore.open(url, None)
    stopped.send_signal(signal.SIGCONT)
    stopped.communicate("")
    with closing(QdrantStore.open(url, None)) as store:
        assert list(store.ids()) == ["theirs"]


def test_a_folder_of_another_kind_is_refused(folder: Path) -> None:
    (folder / "file").write_text("not a folder")
    with pytest.raises(StoreUnavailable, match="Not a directory"):
        QdrantStore.open(f"qdrant:{folder}/file", SPACE)
    url = f"qdrant:{folder}/damaged"
    QdrantStore.open(url, SPACE).close()
    made = folder / "damaged" / "pixseek"
    (segment,) = made.glob("shard/segments/*/segment.json")
    for file in (segment, made / "stamp.json"):
        file.write_text("{")
        with pytest.raises(StoreUnavailable, match=r"qdrant:/.*damaged cannot be used"):
            QdrantStore.open(url, None)


def test_looking_for_a_collection_makes_no_folder(folder: Path) -> None:
    with pytest.raises(LibraryNotFound):
        QdrantStore.open(f"qdrant:{folder}/none", None)
    assert not (folder / "none").exists()


# What may go wrong with a server


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qdrant_server, "CONNECT_S", 0.5)
    monkeypatch.setattr(qdrant_server, "CALL_S", 1)
    monkeypatch.setattr(retrying, "FIRST_PAUSE_S", 0.01)


class Process:
    """The stand-in in a process of its own, to be killed."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._folder = folder
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.qdrant_server", f"{self.port}", f"{self._folder}"],
            env=ENVIRONMENT,
            cwd=ROOT,
        )
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
                return
            except OSError:
                time.sleep(0.05)
        raise TimeoutError

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.mark.usefixtures("impatient")
def test_a_server_that_dies_loses_nothing_and_the_next_run_completes(
    tmp_path: Path, folder: Path, photos: Path, paint: Paint
) -> None:
    server = Process(folder)
    url = f"qdrant://127.0.0.1:{server.port}"
    try:
        for colour in ("red", "blue", "green"):
            paint(f"{colour}.png", colour)
        with ImageSearchEngine(tmp_path / "library", model="palette", store=url) as engine:
            assert engine.index_images(photos).added == 3
            paint("white.png", "white")
            server.kill()
            with pytest.raises(StoreUnavailable, match=r"qdrant://127.*ConnectError"):
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
        url = f"qdrant://127.0.0.1:{taken.getsockname()[1]}?api_key=hunter2"
        for space in (SPACE, None):
            with pytest.raises(StoreUnavailable, match=r"127.0.0.1:\d+\?api_key=") as caught:
                QdrantStore.open(url, space)
            assert "hunter2" not in str(caught.value)


def test_the_key_comes_from_the_url_or_from_the_environment(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.key = "hunter2"
    url = url_of(server)
    for wrong in (url, f"{url}&api_key=hunter1"):
        with pytest.raises(StoreUnavailable, match="401") as caught:
            QdrantStore.open(wrong, SPACE)
        assert "hunter" not in str(caught.value)
    QdrantStore.open(f"{url}&api_key=hunter2", SPACE).close()
    monkeypatch.setenv("QDRANT_API_KEY", "hunter2")
    QdrantStore.open(url, None).close()


@pytest.mark.usefixtures("impatient")
def test_what_may_succeed_a_moment_later_is_tried_again(server: Server) -> None:
    failures: list[int] = []

    def fail(handler: Handler) -> bool:
        if not failures:
            return False
        handler.answer(failures.pop(0), {"status": {"error": "not now"}})
        return True

    with closing(QdrantStore.open(url_of(server), SPACE)) as store:
        server.failing = fail
        failures += [503, 429]
        store.add([Item("a", axis(0), {})])
        failures += [500, 502]
        assert store.count() == 1
        failures += [503, 503, 503]
        with pytest.raises(StoreUnavailable, match=r"it answered 503: .*not now"):
            store.search(axis(0), 1)
        failures[:] = [400]
        with pytest.raises(StoreUnavailable, match="it answered 400"):
            store.fetch(["a"])
        assert failures == []


@pytest.mark.usefixtures("impatient")
def test_a_server_that_is_slow_or_talks_nonsense_is_given_up(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "TRIES", 1)
    with closing(QdrantStore.open(url_of(server), SPACE)) as store:

        def stall(_: Handler) -> bool:
            time.sleep(1.5)
            return True

        server.failing = stall
        with pytest.raises(StoreUnavailable, match="ReadTimeout"):
            store.count()

        def talk(handler: Handler) -> bool:
            handler.answer(200, {"result": {"count": "many"}})
            return True

        server.failing = talk
        with pytest.raises(StoreUnavailable, match="ValidationError"):
            store.count()
        with pytest.raises(StoreUnavailable, match="KeyError: 'version'"):
            QdrantStore.open(url_of(server), SPACE)


def test_an_old_server_is_refused_or_told_what_it_cannot(server: Server) -> None:
    server.version = "1.15.5"
    with pytest.raises(StoreUnavailable, match=r"it is version 1\.15, and 1\.16 or newer"):
        QdrantStore.open(url_of(server), SPACE)
    server.version = "1.18.0"
    with closing(QdrantStore.open(url_of(server), SPACE)) as store:
        for operator in ("$prefix", "$contains"):
            with pytest.raises(UnsupportedFilter, match=r"this server is Qdrant 1\.18"):
                store.check_filter(where({"name": {operator: "x"}}))
        store.check_filter(where({"name": "x"}))


def test_a_collection_that_pixseek_did_not_make_is_left_alone(server: Server) -> None:
    url = url_of(server)
    name = url.rpartition("=")[2]
    with closing(QdrantClient(port=server.server_port, check_compatibility=False)) as client:
        vectors = models.VectorParams(size=8, distance=models.Distance.COSINE)
        client.create_collection(name, vectors_config=vectors)
        for space in (SPACE, None):
            with pytest.raises(InvalidStoreAddress, match="that pixseek did not make"):
                QdrantStore.open(url, space)
        assert client.count(name).count == 0


# What is asked for


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("qdrant:x?index=ivf", "the index 'ivf'; expected flat or hnsw"),
        ("qdrant:x?colection=y", "the option 'colection'; expected collection, metric, index"),
        ("qdrant:x?api_key=y", "the option 'api_key'"),
        ("qdrant://?collection=y", "no host; expected //HOST:PORT"),
        ("qdrant://host/path", "no host; expected //HOST:PORT"),
    ],
)
def test_a_url_that_cannot_be_understood_is_refused(url: str, message: str) -> None:
    with pytest.raises(InvalidStoreAddress, match=message):
        QdrantStore.open(url, SPACE)


def test_a_filter_that_is_too_deep_is_refused(folder: Path) -> None:
    with closing(QdrantStore.open(f"qdrant:{folder}", SPACE)) as store:
        store.add([Item("a", axis(0), {"n": 1})])
        deep: dict[str, object] = {"n": 1}
        for _ in range(19):
            deep = {"$not": {"$and": [deep, {"n": 1}]}}
        store.check_filter(where(deep))
        assert store.count(where(deep)) in (0, 1)
        for _ in range(3):
            deep = {"$not": deep}
        with pytest.raises(UnsupportedFilter, match="nested more than 40 deep"):
            store.check_filter(where(deep))


@pytest.mark.parametrize("url", ["qdrant:x", "qdrant://host"])
def test_what_is_not_installed_is_named(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("qdrant_edge", "qdrant_client"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("qdrant_embedded", "qdrant_server"):
        monkeypatch.delitem(sys.modules, f"pixseek.stores.{name}", raising=False)
    with pytest.raises(MissingExtra, match=r"'qdrant' needs the extra.*pixseek\[qdrant\]"):
        QdrantStore.open(url, SPACE)


def test_a_collection_made_before_words_were_written_says_so(
    folder: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    QdrantStore.open(f"qdrant:{folder}", SPACE).close()
    stamp = folder / "pixseek" / "stamp.json"
    said = json.loads(stamp.read_text())
    del said["layout"]
    stamp.write_text(json.dumps(said))
    url = url_of(server)
    with monkeypatch.context() as before:
        before.setattr(qdrant_server, "LAYOUT", 1)
        QdrantStore.open(url, SPACE).close()
    for one in (f"qdrant:{folder}", url):
        store = QdrantStore.open(one, SPACE)
        assert_too_old(store)
        store.close()
