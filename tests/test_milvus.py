"""The store in Milvus: the contract on Milvus Lite, in a file and behind a server's address.

There is no package that brings a Milvus server. Milvus Lite speaks its protocol, so it stands for
one in a process of its own: what is checked is the client's side, with arrays of tokens and all.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any, ClassVar, cast

import grpc
import numpy as np
import pytest
from pymilvus import CollectionSchema, MilvusClient, exceptions

pytest.register_assert_rewrite("tests.store_contract", "tests.store_in_use")

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

import pixseek  # noqa: E402  # after the line above
from pixseek import ImageSearchEngine  # noqa: E402
from pixseek.errors import (  # noqa: E402
    InvalidMetadata,
    InvalidStoreAddress,
    LibraryNotFound,
    StoreMismatch,
    StoreUnavailable,
)
from pixseek.records import Item, Metadata, Space  # noqa: E402
from pixseek.stores import milvus, milvus_collection  # noqa: E402
from pixseek.stores.address import METRICS, Metric  # noqa: E402
from pixseek.stores.milvus import MilvusStore  # noqa: E402
from pixseek.stores.milvus_collection import collection_name  # noqa: E402

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(pixseek.__file__).parent.parent)}
NUMBERS = count()
REFUSES: frozenset[Kind] = frozenset(MilvusStore.REFUSES)


class Server:
    """Milvus Lite in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.start()

    @property
    def url(self) -> str:
        return f"milvus://127.0.0.1:{self.port}?collection=c{next(NUMBERS)}"

    def start(self) -> None:
        code = (
            "import sys; from milvus_lite.adapter.grpc.server import run_server; "
            "run_server(sys.argv[1], '127.0.0.1', int(sys.argv[2]))"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-c", code, str(self.folder / "data"), str(self.port)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert "listening" in self.process.stdout.readline()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("milvus"))
    yield made
    made.kill()


def opener(url: str) -> Iterator[OpenStore]:
    opened: list[MilvusStore] = []

    def open_store(space: Space | None) -> MilvusStore:
        opened.append(MilvusStore.open(url, space))
        return opened[-1]

    yield open_store
    for store in opened:
        store.close()


class TestMilvusFile(StoreContract):
    refuses: ClassVar[frozenset[Kind]] = REFUSES
    orders_ties: ClassVar[bool] = False

    @pytest.fixture
    def open_store(self, tmp_path: Path) -> Iterator[OpenStore]:
        yield from opener(f"milvus:{tmp_path}/it's a file.db")


class TestMilvusServer(StoreContract):
    refuses: ClassVar[frozenset[Kind]] = REFUSES
    orders_ties: ClassVar[bool] = False

    @pytest.fixture
    def open_store(self, server: Server) -> Iterator[OpenStore]:
        yield from opener(server.url)


# Whatever it measures by, a score is cosine similarity


@pytest.mark.parametrize("metric", ["cosine", "l2", "ip"])
@pytest.mark.parametrize("served", [False, True], ids=["file", "server"])
def test_every_metric_gives_the_same_hits(
    server: Server, tmp_path: Path, metric: str, served: bool
) -> None:
    url = server.url if served else f"milvus:{tmp_path}/a.db?collection=b"
    contract = TestMilvusFile()
    with closing(MilvusStore.open(f"{url}&metric={metric}", SPACE)) as store:
        contract.test_three_hundred_random_items_are_found_as_by_the_oracle(store)
        assert isinstance(store.search(axis(0), 1)[0].score, float)
    for other in {"cosine", "l2", "ip"} - {metric}:
        with pytest.raises(StoreMismatch, match=METRICS[cast("Metric", metric)]):
            MilvusStore.open(f"{url}&metric={other}", SPACE)


def test_what_is_deeper_than_milvus_looks_is_found_by_reading_it_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(MilvusStore.open(f"milvus:{tmp_path}/a.db", SPACE)) as store:
        vectors = units(1, 50, SPACE.dimensions)
        store.add([Item(f"{i}", vector, {"n": i}) for i, vector in enumerate(vectors)])
        whole = store.search(vectors[0], 50, where=where({"n": {"$gte": 10}}), min_score=-0.2)
        monkeypatch.setattr(milvus, "DEEPEST", 7)
        monkeypatch.setattr(milvus, "BATCH", 11)
        assert (
            store.search(vectors[0], 50, where=where({"n": {"$gte": 10}}), min_score=-0.2) == whole
        )
        assert store.search(vectors[0], 10, offset=5) == store.search(vectors[0], 50)[5:15]


@pytest.mark.parametrize("index", ["hnsw", "auto"])
def test_a_server_may_search_by_an_index_that_is_not_exact(server: Server, index: str) -> None:
    vectors = units(2, 3000, SPACE.dimensions)
    with closing(MilvusStore.open(f"{server.url}&index={index}", SPACE)) as store:
        store.add([Item(f"{i}", vector, {"n": i}) for i, vector in enumerate(vectors)])
        found = 0
        for query in units(3, 20, SPACE.dimensions):
            expected = np.argsort(-vectors[:2000] @ query)[:10]
            hits = store.search(query, 10, where=where({"n": {"$lt": 2000}}))
            found += len({f"{i}" for i in expected} & set(hit_ids(hits)))
        assert found >= 190
        described = store._collection.client.describe_index(store._collection._name, "vector")
        assert described["index_type"] == {"hnsw": "HNSW", "auto": "AUTOINDEX"}[index]


# In use


@pytest.mark.parametrize("served", [False, True], ids=["file", "server"])
def test_a_library_lives_in_milvus(
    server: Server,
    tmp_path: Path,
    photos: Path,
    paint: Paint,
    monkeypatch: pytest.MonkeyPatch,
    served: bool,
) -> None:
    make_wide_known(monkeypatch)
    monkeypatch.chdir(tmp_path)
    url = server.url if served else "milvus:./vectors.db"
    assert_a_library_works(url, tmp_path / "library", photos, paint)
    assert_a_switch_works(tmp_path / "library")


def test_other_programs_find_plain_fields(tmp_path: Path) -> None:
    metadata: Metadata = {"year": 2019, "name": "Pixie", "path": ["/a.jpg", "/b.jpg"], "a b": "no",
                          "big": 2**60, "odd": "\udcff", "flash": True}  # fmt: skip
    with closing(MilvusStore.open(f"milvus:{tmp_path}/a.db", SPACE)) as store:
        store.add([Item("id", axis(0), metadata), Item("\0", axis(0), {"caption": "a cat"})])
        rows = store._collection.client.query("pixseek", filter='pk != ""', output_fields=["*"])
        (row,) = (row for row in rows if row["pk"] == "id")
        plain = {name: row[name] for name in row if name[0] not in "#" and "pixseek" not in name}
        del plain["vector"]
        assert plain == {
            "pk": "id", "year": 2019, "name": "Pixie", "path": "/a.jpg", "flash": True,
            "text": "/a.jpg",
        }  # fmt: skip
        assert {row["text"] for row in rows} == {"/a.jpg", "a cat"}


def test_more_metadata_than_milvus_takes_is_refused_by_the_items_name(
    server: Server, tmp_path: Path
) -> None:
    for url in (f"milvus:{tmp_path}/a.db", server.url):
        with closing(MilvusStore.open(url, SPACE)) as store:
            many = [f"tag {i}" for i in range(2000)]
            store.add([Item("many", axis(0), {"tags": many})])
            assert store.fetch(["many"])[0].metadata == {"tags": many}
            assert list(store.ids(where({"tags": "tag 1999"}))) == ["many"]
            for metadata in ({"t": [f"{i}" for i in range(5000)]}, {"t": "x" * 5_000_000}):
                with pytest.raises(InvalidMetadata, match=r"'toomuch'.*where Milvus takes"):
                    store.add([Item("toomuch", axis(0), cast("Metadata", metadata))])
            assert list(store.ids()) == ["many"]


def test_a_store_that_was_dropped_elsewhere_is_empty(tmp_path: Path) -> None:
    url = f"milvus:{tmp_path}/a.db"
    with closing(MilvusStore.open(url, SPACE)) as one, closing(MilvusStore.open(url, None)) as two:
        one.add([Item("a", axis(0), {"n": 1})])
        two.drop()
        assert (one.count(), list(one.ids()), one.fetch(["a"])) == (0, [], [])
        assert one.search(axis(0), 5) == []
        assert one.delete(["a"]) == 0


# What may go wrong


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(milvus_collection, "CONNECT_S", 0.5)
    monkeypatch.setattr(milvus_collection, "CALL_S", 2.0)


@pytest.mark.usefixtures("impatient")
def test_a_server_that_dies_loses_nothing_and_the_next_run_completes(
    tmp_path: Path, photos: Path, paint: Paint
) -> None:
    server = Server(tmp_path)
    try:
        for colour in ("red", "blue", "green"):
            paint(f"{colour}.png", colour)
        with ImageSearchEngine(tmp_path / "library", model="palette", store=server.url) as engine:
            assert engine.index_images(photos).added == 3
            paint("white.png", "white")
            server.kill()
            with pytest.raises(StoreUnavailable, match=r"milvus://127.*cannot be used"):
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
        url = f"milvus://me:hunter2@127.0.0.1:{taken.getsockname()[1]}?token=hunter2"
        for space in (SPACE, None):
            with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1") as caught:
                MilvusStore.open(url, space)
            assert "hunter2" not in str(caught.value)


def test_the_token_comes_from_the_url_or_from_the_environment(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MILVUS_TOKEN", "root:Milvus")
    for url, token in ((server.url, "root:Milvus"), (f"{server.url}&token=me:mine", "me:mine")):
        with closing(MilvusStore.open(url, SPACE)) as store:
            assert store._collection.client._config.token == token


def test_a_file_that_another_process_has_open_is_refused(server: Server) -> None:
    link = server.folder / "link.db"
    link.symlink_to(server.folder / "data")
    with pytest.raises(StoreUnavailable, match="another process has it open"):
        MilvusStore.open(f"milvus:{link}", SPACE)


def test_a_file_of_another_kind_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    file.write_bytes(b"SQLite format 3\0")
    for space in (SPACE, None):
        with pytest.raises(StoreUnavailable, match="Milvus Lite says"):
            MilvusStore.open(f"milvus:{file}", space)
    assert file.read_bytes() == b"SQLite format 3\0"


def test_looking_for_a_file_does_not_make_one(tmp_path: Path) -> None:
    with pytest.raises(LibraryNotFound):
        MilvusStore.open(f"milvus:{tmp_path}/absent.db", None)
    assert list(tmp_path.iterdir()) == []


def test_a_collection_of_another_program_is_refused_and_left_alone(server: Server) -> None:
    url = server.url
    client = MilvusClient(url.partition("?")[0].replace("milvus", "http"))
    name = url.rpartition("=")[2]
    client.create_collection(name, dimension=8)
    for space in (SPACE, None):
        with pytest.raises(StoreUnavailable, match="was made by another program"):
            MilvusStore.open(url, space)
    assert client.has_collection(name)
    client.close()


ENDED = """
import os, sys
import numpy as np
from pixseek.records import Item, Space
from pixseek.stores.milvus import MilvusStore
store = MilvusStore.open(sys.argv[1], Space("m", "f", 4))
for turn in range(1000):
    ids = [f"{turn}-{i}" for i in range(10)]
    store.add([Item(id, np.eye(1, 4, dtype=np.float32)[0], {"turn": turn}) for id in ids])
    print(turn, flush=True)
"""


def test_a_process_that_is_killed_loses_nothing_that_it_was_told_is_there(tmp_path: Path) -> None:
    url = f"milvus:{tmp_path}/a.db"
    with subprocess.Popen(
        [sys.executable, "-c", ENDED, url], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as writer:
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(12)]
        writer.kill()
        acknowledged += [int(line) for line in writer.stdout.read().split()]
    with closing(MilvusStore.open(url, Space("m", "f", 4))) as store:
        for turn in acknowledged:
            assert store.count(where({"turn": turn})) == 10
        store.add([Item("after", np.eye(1, 4, dtype=np.float32)[0], {})])
        assert store.fetch(["after"])[0].id == "after"


QUIET = """
import sys
from pixseek.errors import PixseekError
from pixseek.records import Space
from pixseek.stores import milvus_collection
milvus_collection.CONNECT_S = 0.2
from pixseek.stores.milvus import MilvusStore
for url in sys.argv[1:]:
    try:
        store = MilvusStore.open(url, Space("m", "f", 4))
        list(store.ids())
        store._collection.ask(store._client.query, filter="no ( expression")
    except PixseekError as error:
        print(type(error).__name__)
"""


def test_nothing_is_printed_but_by_those_who_ask(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    file.write_bytes(b"")
    ran = subprocess.run(
        [sys.executable, "-c", QUIET, f"milvus:{tmp_path}/a.db", f"milvus:{file}",
         "milvus://127.0.0.1:9"],
        capture_output=True, text=True, timeout=60, check=False, env=ENVIRONMENT,
    )  # fmt: skip
    assert (ran.stdout.split(), ran.stderr) == (["StoreUnavailable"] * 3, "")


class Barred(grpc.RpcError):  # type: ignore[misc]  # grpc has no types
    """An error that pymilvus lets through as it is."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAUTHENTICATED


def _foreign() -> list[Exception]:
    kinds = [
        kind
        for kind in vars(exceptions).values()
        if isinstance(kind, type) and issubclass(kind, exceptions.MilvusException)
    ]
    return [*(kind(message="no") for kind in kinds), Barred("no")]


@pytest.mark.parametrize("error", _foreign(), ids=lambda error: type(error).__name__)
def test_no_error_of_milvus_gets_out(tmp_path: Path, error: Exception) -> None:
    def fail(**_: object) -> None:
        raise error

    with (
        closing(MilvusStore.open(f"milvus:{tmp_path}/a.db", SPACE)) as store,
        pytest.raises(StoreUnavailable, match="cannot be used"),
    ):
        store._collection.ask(fail)


# Addresses


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("milvus:", "no such place"),
        ("milvus:folder", "no such place"),
        ("milvus+https:./a.db", "no such place"),
        ("milvus:a.db?index=hnsw", "'hnsw'; expected flat"),
        ("milvus://host?index=ivf", "'ivf'; expected flat, hnsw, auto"),
        ("milvus://host?colection=x", "'colection'; expected collection, index, metric, token"),
    ],
)
def test_an_address_that_cannot_be_is_refused(url: str, message: str) -> None:
    with pytest.raises(InvalidStoreAddress, match=message):
        MilvusStore.open(url, SPACE)


def test_a_collection_gets_a_name_that_milvus_allows() -> None:
    assert collection_name("holidays_2024") == "holidays_2024"
    names = ["pixseek--palette-0a1b", "pixseek__palette_0a1b", "写真", "2024", "", "a-b", "a.b"]
    made = [collection_name(name) for name in names]
    assert len(set(made)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z_]\w{0,254}", name, re.ASCII) for name in made)
    assert len(collection_name("x" * 300)) <= 255


def test_a_collection_made_before_words_were_written_says_so(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = CollectionSchema.add_field

    def without(self: CollectionSchema, field_name: str, *given: Any, **options: Any) -> Any:
        return (
            None
            if field_name in milvus_collection.WORDS
            else add(self, field_name, *given, **options)
        )

    for url in (f"milvus:{tmp_path}/a.db", server.url):
        with monkeypatch.context() as before:
            before.setattr(CollectionSchema, "add_field", without)
            MilvusStore.open(url, SPACE).close()
        store = MilvusStore.open(url, SPACE)
        assert_too_old(store)
        store.close()
