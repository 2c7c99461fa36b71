"""Whose turn it is at the threads of the web face: one client does not keep others waiting."""

from __future__ import annotations

import threading
from pathlib import Path

import anyio
import httpx
import pytest
from tests.conftest import Paint
from tests.web_server import serve

from pixseek import ImageSearchEngine, isolation
from pixseek.errors import ServiceBusy
from pixseek.web.threads import CLIENT, Threads

SEARCH = "/api/v1/search"


@pytest.fixture
def library(paint: Paint, photos: Path, engine: ImageSearchEngine) -> Path:
    for name in ("red", "blue", "green"):
        paint(f"{name}.png", name)
    engine.index_images(photos)
    return engine.library


def test_clients_take_turns_and_who_has_most_waiting_gives_a_place_up() -> None:
    done: list[str] = []
    refused: list[str] = []
    threads = Threads(1, 4)
    free = threading.Event()

    async def ask(client: str, name: str) -> None:
        CLIENT.set(client)
        try:
            await threads.run(lambda: done.append(name) if free.wait(10) else None)
        except ServiceBusy:
            refused.append(name)

    async def all_of_it() -> None:
        async with anyio.create_task_group() as tasks:
            for i in range(6):
                tasks.start_soon(ask, "greedy", f"greedy {i}")
                await anyio.wait_all_tasks_blocked()
            assert refused == ["greedy 5"]  # one is worked on, four wait
            for i in range(2):
                tasks.start_soon(ask, "other", f"other {i}")
                await anyio.wait_all_tasks_blocked()
            assert refused == ["greedy 5", "greedy 4", "greedy 3"]
            free.set()
        assert threads.pending == 0

    anyio.run(all_of_it)
    assert done == ["greedy 0", "greedy 1", "other 0", "greedy 2", "other 1"]


def test_a_client_that_goes_while_it_waits_leaves_its_turn_to_others() -> None:
    threads = Threads(1, 4)
    free = threading.Event()

    async def all_of_it() -> list[str]:
        done: list[str] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(threads.run, lambda: free.wait(10))
            await anyio.wait_all_tasks_blocked()
            with anyio.move_on_after(0.01):
                await threads.run(lambda: done.append("gone"))
            tasks.start_soon(threads.run, lambda: done.append("here"))
            await anyio.wait_all_tasks_blocked()
            free.set()
        await threads.run(lambda: done.append("later"))
        assert threads.pending == 0
        return done

    assert anyio.run(all_of_it) == ["here", "later"]


def test_searches_are_answered_while_small_pictures_are_being_made(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, read = threading.Event(), isolation.read

    def slow(*args: object, **options: object) -> object:
        go_on.wait(30)
        return read(*args, **options)  # type: ignore[arg-type]  # as given

    monkeypatch.setattr(isolation, "read", slow)
    codes: list[int] = []
    with serve(library, threads=1, workers=1) as web:
        ids = [hit["id"] for hit in web.get(SEARCH).json()["hits"]][:3]

        def ask(id: str) -> None:
            with httpx.Client(base_url=web.base_url, timeout=60, trust_env=False) as client:
                codes.append(client.get(f"/api/v1/items/{id}/thumbnail").status_code)

        asking = [threading.Thread(target=ask, args=(id,)) for id in ids]
        for thread in asking:
            thread.start()
        while web.service.making.pending < len(ids):
            threading.Event().wait(0.01)
        assert web.get(SEARCH).status_code == 200
        assert codes == []
        go_on.set()
        for thread in asking:
            thread.join(30)
    assert codes == [200] * len(ids)


def test_searches_of_many_threads_while_the_library_grows_are_those_of_a_library_read_anew(
    paint: Paint, photos: Path, engine: ImageSearchEngine
) -> None:
    colours = ("red", "blue", "green", "yellow")
    queries = [*colours, "red IMG", "a blue picture", "green 7", "words that no picture has"]
    for i in range(20):
        paint(f"{colours[i % 4]} {i}.png", colours[i % 4], size=(16 + i, 16))
    engine.index_images(photos)
    ended = threading.Event()
    wrong: list[object] = []

    def ask() -> None:
        while not ended.is_set():
            for query in queries:
                try:
                    hits = engine.search(query, k=50)
                except Exception as error:
                    wrong.append(error)
                    raise
                worth = [(-(hit.worth or 0), hit.id) for hit in hits]
                if len(hits) < 20 or worth != sorted(set(worth)):
                    wrong.append(hits)

    asking = [threading.Thread(target=ask) for _ in range(4)]
    for thread in asking:
        thread.start()
    for i in range(20, 60):
        paint(f"{colours[i % 4]} {i}.png", colours[i % 4], size=(16 + i, 16))
        if i % 5 == 4:
            engine.index_images(photos)
    ended.set()
    for thread in asking:
        thread.join(60)
    assert wrong == []
    with ImageSearchEngine(engine.library, create=False) as anew:
        for query in queries:
            mine, other = engine.search(query, k=60), anew.search(query, k=60)
            assert len(mine) == 60
            assert [(hit.id, hit.score, hit.metadata) for hit in mine] == [
                (hit.id, hit.score, hit.metadata) for hit in other
            ]
