"""Vectors in PostgreSQL: the contract on a real server, and what only a server can do to us."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import get_args

import numpy as np
import psycopg
import pytest

pytest.register_assert_rewrite("tests.store_contract", "tests.store_in_use")

from tests.conftest import Paint  # noqa: E402
from tests.postgres import Postgres  # noqa: E402
from tests.store_contract import (  # noqa: E402
    SPACE,
    OpenStore,
    StoreContract,
    assert_same_hits,
    axis,
    hit_ids,
    units,
    where,
)
from tests.store_in_use import (  # noqa: E402
    assert_a_library_works,
    assert_a_switch_works,
    make_wide_known,
)

from pixseek import ImageSearchEngine  # noqa: E402  # after the lines above
from pixseek.errors import (  # noqa: E402
    InvalidStoreAddress,
    LibraryNotFound,
    StoreMismatch,
    StoreUnavailable,
)
from pixseek.records import Item, Metadata, Space  # noqa: E402
from pixseek.stores import postgresql, postgresql_server, retrying  # noqa: E402
from pixseek.stores.address import Address, Metric  # noqa: E402
from pixseek.stores.memory import MemoryStore  # noqa: E402
from pixseek.stores.postgresql import PostgresStore  # noqa: E402

_numbers = count()


def collections(postgres: Postgres) -> list[str]:
    rows = postgres.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return [name for (name,) in rows]


@pytest.fixture
def url(postgres: Postgres) -> Iterator[str]:
    """A collection that is not there yet."""
    name = f"test-{next(_numbers)}"
    yield postgres.url(name)
    for table in collections(postgres):
        if table == name or table.startswith(f"{name}--"):
            postgres.execute(f'DROP TABLE "{table}"')


@pytest.fixture
def store(url: str) -> Iterator[PostgresStore]:
    opened = PostgresStore.open(url, SPACE)
    yield opened
    opened.close()


class TestPostgres(StoreContract):
    @pytest.fixture
    def open_store(self, url: str) -> Iterator[OpenStore]:
        opened: list[PostgresStore] = []

        def opener(space: Space | None) -> PostgresStore:
            opened.append(PostgresStore.open(url, space))
            return opened[-1]

        yield opener
        for store in opened:
            store.close()


def filled(store: PostgresStore, n: int) -> tuple[list[Item], MemoryStore]:
    items = [
        Item(f"{i:04}", vector, {"n": i, "odd": bool(i % 2)})
        for i, vector in enumerate(units(7, n, store.space.dimensions))
    ]
    store.add(items)
    oracle = MemoryStore(store.space)
    oracle.add(items)
    return items, oracle


@pytest.mark.parametrize("indexed", [False, True])
@pytest.mark.parametrize("metric", get_args(Metric))
def test_scores_are_cosines_whatever_the_engine_measures(
    url: str, monkeypatch: pytest.MonkeyPatch, metric: Metric, indexed: bool
) -> None:
    monkeypatch.setattr(postgresql, "EXACT_BELOW", 50 if indexed else 5000)
    monkeypatch.setattr(postgresql, "INDEXED_FROM", 50)
    store = PostgresStore.open(f"{url}&metric={metric}", SPACE)
    _, oracle = filled(store, 300)
    for query in units(8, 4, SPACE.dimensions):
        for filter in (None, where({"odd": True}), where({"n": {"$lt": 60}}), where({"n": 7})):
            for k, offset, least in ((10, 0, None), (10, 25, None), (300, 0, 0.2), (300, 0, None)):
                found, expected = (
                    one.search(query, k, where=filter, offset=offset, min_score=least)
                    for one in (store, oracle)
                )
                assert_same_hits(found, expected, oracle)
    store.close()
    with pytest.raises(StoreMismatch, match="was asked for"):
        PostgresStore.open(f"{url}&metric={'l2' if metric == 'ip' else 'ip'}", None)


@pytest.mark.parametrize("closed", [False, True])
def test_the_index_is_made_of_many_rows_or_at_the_end_and_used(
    url: str, postgres: Postgres, monkeypatch: pytest.MonkeyPatch, closed: bool
) -> None:
    monkeypatch.setattr(postgresql, "EXACT_BELOW", 50)
    monkeypatch.setattr(postgresql, "INDEXED_FROM", 1000 if closed else 400)
    store = PostgresStore.open(url, SPACE)
    table = Address.parse(url).collection
    scans = f"SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = '{table}_near'"
    filled(store, 40)
    assert postgres.execute(scans) == []
    filled(store, 400)
    assert postgres.execute(scans) == ([] if closed else [(0,)])
    if closed:
        store.close()
        assert postgres.execute(scans) == [(0,)]
        store = PostgresStore.open(url, None)
    store.search(axis(0), 5)
    store.search(axis(0), 5, where=where({"odd": True}))
    store.search(axis(0), 5, where=where({"n": {"$lt": 20}}))  # few: one by one
    store.close()
    assert postgres.execute(scans) == [(2,)]


def test_more_dimensions_than_an_index_takes_are_scored_one_by_one(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "EXACT_BELOW", 5)
    wide = Space("painter", "wide", postgresql.WIDEST + 1)
    store = PostgresStore.open(url, wide)
    items, _ = filled(store, 12)
    assert hit_ids(store.search(items[3].vector, 1)) == ["0003"]
    store.close()


def test_other_programs_see_a_table_they_can_read(store: PostgresStore, postgres: Postgres) -> None:
    metadata: Metadata = {"path": ["a/é.jpg"], "year": 2019, "caption": "a dog", "odd": True}
    store.add([Item("one", axis(0), metadata)])
    query = f'SELECT id, content, embedding::text, metadata FROM "{store._name}"'
    ((id, content, embedding, shown),) = postgres.execute(query)
    assert (id, content, json.loads(embedding)) == ("one", "a dog", axis(0).tolist())
    assert shown == metadata
    (model,) = postgres.execute(
        f"SELECT model, dimensions, metric FROM pixseek_collections WHERE name = '{store._name}'"
    )
    assert model == ("painter", 8, "cosine")


@pytest.mark.parametrize("collection", ["A b", 'quo"te', "é" * 60, "x" * 300, "%s {}", "select"])
def test_a_collection_may_have_any_name(postgres: Postgres, collection: str) -> None:
    host = Address.parse(postgres.url()).options["host"]
    url = str(
        Address("postgresql", "//postgres@/postgres", {"host": host, "collection": collection})
    )
    store = PostgresStore.open(url, SPACE)
    filled(store, 3)
    other = PostgresStore.open(url, None)
    assert other.count() == 3
    store.drop()
    assert (other.count(), other.search(axis(0), 3), list(other.ids())) == (0, [], [])
    store.close()
    other.close()


def test_those_that_make_one_store_at_once_all_have_it(postgres: Postgres) -> None:
    postgres.execute("CREATE DATABASE fresh")
    url = postgres.url("one", database="fresh")
    try:
        with ThreadPoolExecutor(4) as pool:
            stores = list(pool.map(lambda _: PostgresStore.open(url, SPACE), range(4)))
        filled(stores[0], 3)
        assert [store.count() for store in stores] == [3, 3, 3, 3]
        for store in stores:
            store.close()
    finally:
        postgres.execute("DROP DATABASE fresh WITH (FORCE)")


def test_a_table_of_another_program_is_left_alone(postgres: Postgres, url: str) -> None:
    name = Address.parse(url).collection
    postgres.execute(f'CREATE TABLE "{name}" (note text)')
    with pytest.raises(StoreUnavailable, match="already exists"):
        PostgresStore.open(url, SPACE)
    assert postgres.execute(f'SELECT * FROM "{name}"') == []


def test_a_library_works_on_it_from_its_making_to_another_model(
    url: str,
    postgres: Postgres,
    tmp_path: Path,
    photos: Path,
    paint: Paint,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert_a_library_works(url, tmp_path / "library", photos, paint)
    make_wide_known(monkeypatch)
    assert_a_switch_works(tmp_path / "library")
    with ImageSearchEngine(tmp_path / "library") as engine:
        engine.switch_model("wide")
    name = Address.parse(url).collection
    assert [
        one.partition("--")[2][:5] for one in collections(postgres) if one.startswith(name)
    ] == ["wide-"]


# What a server can do to us


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "FIRST_PAUSE_S", 0.01)


@pytest.mark.usefixtures("quick")
def test_a_server_that_dies_and_comes_back_has_lost_nothing_it_acknowledged(
    postgres: Postgres, url: str
) -> None:
    store = PostgresStore.open(url, SPACE)
    items, oracle = filled(store, 100)
    postgres.kill()
    for call in (
        lambda: store.search(axis(0), 5),
        lambda: store.add(items),
        lambda: store.count(),
        lambda: PostgresStore.open(url, SPACE),
    ):
        with pytest.raises(StoreUnavailable, match=r"cannot be used: .*Check that its server runs"):
            call()
    postgres.start()
    assert_same_hits(store.search(axis(0), 100), oracle.search(axis(0), 100), oracle)
    store.add([Item("more", axis(0), {})])
    assert store.count() == 101
    store.close()


def test_connections_that_a_restart_has_cut_are_made_anew_without_a_word(
    postgres: Postgres, store: PostgresStore
) -> None:
    filled(store, 10)
    postgres.kill()
    postgres.start()
    assert store.count() == 10


@pytest.mark.usefixtures("quick")
def test_an_indexing_run_that_lost_its_server_is_completed_by_the_next(
    postgres: Postgres, url: str, tmp_path: Path, paint: Paint, photos: Path
) -> None:
    for number in range(6):
        paint(f"{number}.png", (40 * number, 0, 0))
    with ImageSearchEngine(tmp_path / "library", model="palette", store=url) as engine:
        engine.index_images(photos)
        paint("new.png", "blue")
        (photos / "0.png").rename(photos / "moved.png")
        postgres.kill()
        with pytest.raises(StoreUnavailable):
            engine.index_images()
        postgres.start()
        engine.index_images()
        assert engine.status().items == 7
        assert len(engine.search_by_text("blue", k=20)) == 7
        assert engine.search_by_text("blue", k=1)[0].path.name == "new.png"


def test_a_wrong_password_is_said_and_not_shown(postgres: Postgres) -> None:
    target = postgres.url("x", login="guest:wrong")
    with pytest.raises(StoreUnavailable, match="password authentication failed") as caught:
        PostgresStore.open(target, SPACE)
    assert "guest:***@" in str(caught.value)
    assert "wrong" not in str(caught.value).partition("cannot be used")[0]
    with pytest.raises(LibraryNotFound):
        PostgresStore.open(postgres.url("x", login="guest:right"), None)


@pytest.mark.usefixtures("quick")
def test_a_port_where_nobody_listens_is_said_with_the_address() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(StoreUnavailable, match="refused") as caught:
        PostgresStore.open(f"postgresql://me:secret@127.0.0.1:{port}/x", SPACE)
    assert "secret" not in str(caught.value)
    assert caught.value.store == f"postgresql://me:***@127.0.0.1:{port}/x"


def test_a_database_that_is_not_there_is_said_at_once(postgres: Postgres) -> None:
    with pytest.raises(StoreUnavailable, match='database "absent" does not exist'):
        PostgresStore.open(postgres.url("x", database="absent"), SPACE)


def test_a_url_that_libpq_does_not_understand_is_refused(postgres: Postgres) -> None:
    with pytest.raises(InvalidStoreAddress, match="a part unknown to libpq"):
        PostgresStore.open(f"{postgres.url()}&sslmod=require", SPACE)
    with pytest.raises(StoreUnavailable, match="invalid sslmode value"):  # it reaches libpq
        PostgresStore.open(f"{postgres.url()}&sslmode=nonsense", SPACE)


def test_without_the_right_to_make_the_extension_its_owner_is_asked_for(
    postgres: Postgres,
) -> None:
    postgres.execute("CREATE DATABASE bare")
    try:
        with pytest.raises(StoreUnavailable, match="CREATE EXTENSION vector run in the database"):
            PostgresStore.open(postgres.url("x", database="bare", login="guest:right"), SPACE)
        PostgresStore.open(postgres.url("x", database="bare"), SPACE).close()
    finally:
        postgres.execute("DROP DATABASE bare WITH (FORCE)")


@pytest.mark.usefixtures("store")
def test_an_old_extension_is_refused_with_both_versions(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_server, "PGVECTOR", (99, 1))
    with pytest.raises(StoreUnavailable, match=r"it has pgvector 0\.\d+; expected 99\.1 or later"):
        PostgresStore.open(url, SPACE)


def test_a_database_in_another_encoding_is_refused(postgres: Postgres) -> None:
    options = "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    postgres.execute(f"CREATE DATABASE latin {options}")
    try:
        with pytest.raises(StoreUnavailable, match="its encoding is LATIN1; expected UTF8"):
            PostgresStore.open(postgres.url("x", database="latin"), SPACE)
    finally:
        postgres.execute("DROP DATABASE latin WITH (FORCE)")


def test_a_server_that_takes_too_long_is_said_to(
    store: PostgresStore, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_server, "STATEMENT_TIMEOUT_S", 0.2)
    with psycopg.connect(postgres.url().partition("&collection")[0]) as other:
        other.execute(f'LOCK TABLE "{store._name}"'.encode())
        with pytest.raises(StoreUnavailable, match="statement timeout"):
            store.count()
    assert store.count() == 0


@pytest.mark.usefixtures("quick")
def test_a_server_that_hangs_is_not_waited_for_for_ever(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add([Item("a", axis(0), {})])
    hanging = store._server._idle[0].info.backend_pid
    monkeypatch.setattr(postgresql_server, "GIVE_UP_S", 0.3)
    os.kill(hanging, signal.SIGSTOP)
    try:
        assert store.count() == 1  # by another connection, which does not hang
    finally:
        os.kill(hanging, signal.SIGCONT)


@pytest.mark.parametrize(
    "error",
    [
        psycopg.errors.DiskFull("could not extend file"),
        psycopg.errors.InsufficientPrivilege("permission denied"),
        psycopg.errors.ReadOnlySqlTransaction("cannot execute"),
        psycopg.errors.UndefinedColumn("no column"),
        psycopg.InterfaceError("odd"),
        psycopg.OperationalError("the connection is lost"),
        psycopg.DataError("bad"),
        psycopg.InternalError("cache lookup failed"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.usefixtures("quick")
def test_no_error_of_the_driver_comes_through(store: PostgresStore, error: psycopg.Error) -> None:
    def work(_: object) -> None:
        raise error

    with pytest.raises(StoreUnavailable) as caught:
        store._server.run(work)
    assert caught.value.__cause__ is error
    assert store.count() == 0


@pytest.mark.usefixtures("quick")
def test_what_may_succeed_a_moment_later_is_tried_again(store: PostgresStore) -> None:
    left = [psycopg.errors.DeadlockDetected("x"), psycopg.errors.CannotConnectNow("starting")]

    def work(_: object) -> str:
        if left:
            raise left.pop()
        return "done"

    assert store._server.run(work) == "done"


def test_another_process_sees_what_was_written_at_its_next_call(
    store: PostgresStore, url: str
) -> None:
    other = PostgresStore.open(url, None)
    assert other.count() == 0
    items, _ = filled(store, 5)
    assert np.array_equal(other.fetch(["0002"])[0].vector, items[2].vector)
    other.close()
