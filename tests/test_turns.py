"""Several users of one engine that one of them may have open: taking turns."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from filelock import FileLock

from pixseek.errors import StoreUnavailable
from pixseek.stores import turns
from pixseek.stores.turns import Turns


class Engine:
    """A file that must not be open twice; it counts how often it was opened."""

    def __init__(self, folder: Path) -> None:
        self._open = folder / "is open"
        self._open.touch(exist_ok=False)
        with (folder / "log").open("a") as log:
            log.write("opened\n")

    def close(self) -> None:
        self._open.unlink()


Make = Callable[[], Turns[Engine]]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Each one is to the others as if it were in another process."""
    return lambda: Turns(tmp_path, "test:it", lambda: Engine(tmp_path), Engine.close)


def opened(folder: Path) -> int:
    return len((folder / "log").read_text().splitlines())


def let_go(one: Turns[Engine]) -> None:
    with one.alone():
        pass


def test_an_engine_stays_open_while_nobody_else_wants_it(make: Make, tmp_path: Path) -> None:
    one = make()
    for _ in range(3):
        with one.using() as engine:
            assert isinstance(engine, Engine)
    assert opened(tmp_path) == 1
    let_go(one)
    assert not (tmp_path / "is open").exists()


def test_whoever_waits_gets_it_soon_and_it_is_never_open_twice(make: Make, tmp_path: Path) -> None:
    one, other = make(), make()
    for _ in range(3):
        with one.using():
            pass
        with other.using():
            pass
    assert opened(tmp_path) == 6
    let_go(other)


def test_a_call_is_never_cut_short(make: Make) -> None:
    one, other = make(), make()
    done = threading.Event()

    def long_call() -> bool:
        with one.using():
            time.sleep(0.4)
            return not done.is_set()

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(long_call)
        while not one._users:
            time.sleep(0.01)
        with other.using():
            done.set()
        assert first.result(timeout=10)
    let_go(other)


def test_threads_use_it_together(make: Make, tmp_path: Path) -> None:
    one = make()
    together = threading.Barrier(4, timeout=10)

    def use() -> None:
        with one.using():
            together.wait()

    with ThreadPoolExecutor(4) as pool:
        for call in [pool.submit(use) for _ in range(4)]:
            call.result(timeout=10)
    assert opened(tmp_path) == 1
    let_go(one)


def test_many_threads_of_two_users_all_get_their_turn(make: Make) -> None:
    both = make(), make()

    def use(number: int) -> int:
        with both[number % 2].using():
            return number

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(use, range(30), timeout=60)) == [*range(30)]
    for one in both:
        let_go(one)


def test_files_are_changed_alone(make: Make, tmp_path: Path) -> None:
    one, other = make(), make()
    with other.using():
        pass
    with one.alone():
        assert not (tmp_path / "is open").exists()
    with one.using():
        pass
    with one.alone():
        assert not (tmp_path / "is open").exists()


def test_one_that_never_lets_go_is_given_up(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "WAIT_S", 0.2)
    with (
        FileLock(tmp_path / "open.lock"),
        pytest.raises(StoreUnavailable, match=r"test:it cannot be used: another process has it"),
        make().using(),
    ):
        pass


def test_an_engine_that_does_not_open_leaves_the_turn_to_others(make: Make, tmp_path: Path) -> None:
    (tmp_path / "is open").touch()
    with pytest.raises(FileExistsError), make().using():
        pass
    (tmp_path / "is open").unlink()
    one = make()
    with one.using():
        pass
    let_go(one)


def test_stores_of_one_process_share_it_until_the_last_is_closed(tmp_path: Path) -> None:
    def share() -> Turns[Engine]:
        return Turns.shared(tmp_path, "test:it", lambda: Engine(tmp_path), Engine.close)

    one, other = share(), share()
    assert one is other
    with one.using():
        pass
    one.part()
    with other.using():
        pass
    assert opened(tmp_path) == 1
    other.part()
    assert not (tmp_path / "is open").exists()
    another = share()
    assert another is not one
    another.part()
