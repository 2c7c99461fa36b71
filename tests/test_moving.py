"""Vectors from store to store: nothing encoded again, nothing lost, nothing copied twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.postgres import Postgres

import pixseek
from pixseek import ImageSearchEngine, lock, moving
from pixseek.cli import main
from pixseek.errors import (
    ForeignItems,
    InvalidStoreAddress,
    LibraryLocked,
    LibraryNotFound,
    ModelMismatch,
    MoveIncomplete,
)
from pixseek.manifest import Manifest
from pixseek.moving import move
from pixseek.records import Item, MoveReport, Progress, Space, Vectors
from pixseek.stores import Store, open_store
from pixseek.stores.memory import MemoryStore

SPACE = Space("painter", "f1", 8)
SOURCE = str(Path(pixseek.__file__).parent.parent)
_names = count()
Urls = Callable[[str], str]


def nothing(_: Progress) -> None:
    """Progress that nobody looks at."""


@pytest.fixture
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Urls]:
    """urls("lancedb"): a place of that engine where nothing is yet; the same at each call."""
    name = f"moving-{next(_names)}"
    used: list[Postgres] = []

    def url(engine: str) -> str:
        if engine == "postgresql":
            used.append(request.getfixturevalue("postgres"))
            return used[0].url(name)
        return f"{engine}:{tmp_path / engine}"

    yield url
    for server in used[:1]:
        tables = server.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (table,) in tables:
            if table.startswith(name):
                server.execute(f'DROP TABLE "{table}"')


def items(n: int, seed: int = 1) -> list[Item]:
    rows: Vectors = np.random.default_rng(seed).standard_normal((n, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return [
        Item(f"{i}", row, {"n": i, "half": i / 2, "odd": bool(i % 2), "path": [f"\udcff{i}"]})
        for i, row in enumerate(rows)
    ]


def contents(store: Store) -> dict[str, tuple[bytes, str]]:
    found = store.fetch(sorted(store.ids()))
    return {one.id: (one.vector.tobytes(), json.dumps(one.metadata)) for one in found}


ENGINES = ("local", "postgresql", "lancedb")


@pytest.mark.parametrize("before", ENGINES)
@pytest.mark.parametrize("after", ENGINES)
def test_what_one_store_holds_another_holds_after_a_move(
    urls: Urls, tmp_path: Path, before: str, after: str
) -> None:
    source_url, target_url = urls(before), urls(after)
    if before == after:
        target_url += "-other"
    source = open_store(source_url, tmp_path, SPACE)
    source.add(items(30))
    report = move(source_url, target_url)
    assert (report.copied, report.unchanged, report.extra, report.verified) == (30, 0, 0, 30)
    target = open_store(target_url, tmp_path, None)
    assert target.space == SPACE
    assert contents(target) == contents(source)
    source.add(items(31, seed=2)[29:])
    source.update_metadata({"0": {"n": 0.0}})  # equal to 0, and yet of another kind
    source.delete(["5"])
    report = move(source_url, target_url)
    assert (report.copied, report.unchanged, report.extra) == (3, 27, 1)
    report = move(source_url, target_url, exact=True)
    assert (report.copied, report.unchanged, report.extra, report.deleted) == (0, 30, 0, 1)
    assert contents(target) == contents(source)
    for store in (source, target):
        store.drop()
        store.close()


def test_a_store_of_another_model_is_no_target(tmp_path: Path) -> None:
    open_store(f"local:{tmp_path}/a", tmp_path, SPACE).close()
    open_store(f"local:{tmp_path}/b", tmp_path, Space("sculptor", "f1", 8)).close()
    with pytest.raises(ModelMismatch, match="vectors of two models cannot be compared"):
        move(f"local:{tmp_path}/a", f"local:{tmp_path}/b")
    with pytest.raises(ModelMismatch, match="vectors of two models cannot be compared"):
        moving.copy(
            MemoryStore(SPACE),
            MemoryStore(Space("painter", "f2", 8)),
            MoveReport("memory", "memory"),
            on_progress=nothing,
        )


def test_where_nothing_is_nothing_can_be_moved_from(tmp_path: Path) -> None:
    with pytest.raises(LibraryNotFound, match="there is no library at"):
        move(f"local:{tmp_path}/absent", f"local:{tmp_path}/b")
    assert not (tmp_path / "b").exists()


def test_memory_is_no_place_to_move_to(tmp_path: Path) -> None:
    open_store(f"local:{tmp_path}/a", tmp_path, SPACE).close()
    with pytest.raises(InvalidStoreAddress, match="no place that lasts"):
        move(f"local:{tmp_path}/a", "memory")


def test_progress_counts_what_is_safely_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "AT_ONCE", 10)
    source, target = MemoryStore(SPACE), MemoryStore(SPACE)
    source.add(items(25))
    seen: list[tuple[int, int, int]] = []
    moving.copy(
        source,
        target,
        MoveReport("a", "b"),
        on_progress=lambda now: seen.append((now.done, now.total, target.count())),
    )
    assert seen == [(0, 25, 0), (10, 25, 10), (20, 25, 20), (25, 25, 25)]


def test_a_target_that_does_not_hold_what_it_was_given_is_found_out() -> None:
    source, target = MemoryStore(SPACE), MemoryStore(SPACE)
    source.add(items(25))
    report = MoveReport("a", "b")
    moving.copy(source, target, report, on_progress=nothing)
    moving.verify(source, target, report)
    target.update_metadata({"7": {"n": 7.0}})
    with pytest.raises(MoveIncomplete, match="store b holds something else for the item '7' after"):
        moving.verify(source, target, report)
    target.delete(["3"])
    with pytest.raises(MoveIncomplete, match="store b holds 24 items of 25 after the move"):
        moving.verify(source, target, report)


# A library's own vectors


@pytest.fixture
def filled(engine: ImageSearchEngine, photos: Path) -> ImageSearchEngine:
    for number in range(11):
        Image.new("RGB", (40, 30), (0, 20 * number, 255 - number)).save(photos / f"{number}.png")
    Image.new("RGB", (40, 30), (210, 20, 30)).save(photos / "red.png")
    engine.index_images(photos)
    return engine


def reddest(engine: ImageSearchEngine) -> str:
    (hit,) = engine.search_by_text("red", k=1)
    return hit.path.name


@pytest.mark.parametrize("after", ENGINES)
def test_a_library_answers_from_the_store_it_was_moved_to(
    filled: ImageSearchEngine, photos: Path, urls: Urls, after: str
) -> None:
    before = [(hit.id, hit.metadata) for hit in filled.search_by_text("blue", k=50)]
    report = filled.move_to(urls(after))
    assert (report.copied, report.verified, report.answers) == (12, 12, True)
    assert filled.status().store == urls(after)
    assert filled.status().elsewhere == ["local"]
    assert [(hit.id, hit.metadata) for hit in filled.search_by_text("blue", k=50)] == before
    (photos / "0.png").unlink()
    (photos / "red.png").rename(photos / "rot.png")
    indexed = filled.index_images()
    assert (indexed.removed, indexed.moved, indexed.encoded) == (1, 1, 0)
    with ImageSearchEngine(filled.library) as other:
        assert reddest(other) == "rot.png"
    back = filled.move_to("local", keep=False)
    assert (back.copied, back.unchanged, back.deleted) == (1, 10, 1)
    assert (filled.status().store, filled.status().elsewhere) == ("local", [])
    assert reddest(filled) == "rot.png"
    with pytest.raises(LibraryNotFound):
        open_store(urls(after), filled.library, None)


def test_an_engine_that_is_open_follows_a_move_by_another(
    filled: ImageSearchEngine, urls: Urls
) -> None:
    with ImageSearchEngine(filled.library) as other:
        other.move_to(urls("lancedb"), keep=False)
    assert reddest(filled) == "red.png"
    assert filled.status().store == urls("lancedb")


def test_a_move_to_where_it_is_does_nothing_but_drops_what_was_kept(
    filled: ImageSearchEngine, urls: Urls
) -> None:
    filled.move_to(urls("lancedb"))
    report = filled.move_to(urls("lancedb"))
    assert (report.copied, report.answers) == (0, False)
    assert filled.status().elsewhere == ["local"]
    filled.move_to(urls("lancedb"), keep=False)
    assert filled.status().elsewhere == []
    assert reddest(filled) == "red.png"


def test_a_target_with_items_of_others_is_refused_unless_they_may_go(
    filled: ImageSearchEngine, urls: Urls
) -> None:
    target = open_store(urls("lancedb"), filled.library, filled.encoder.space)
    vector = filled.encoder.encode_texts(["green"])[0]
    target.add([Item("stranger", vector, {})])
    with pytest.raises(ForeignItems, match="not the library's: 1; expected none") as caught:
        filled.move_to(urls("lancedb"))
    assert (caught.value.store, caught.value.items) == (urls("lancedb"), 1)
    assert list(target.ids()) == ["stranger"]
    assert filled.status().elsewhere == []
    report = filled.move_to(urls("lancedb"), exact=True)
    assert (report.deleted, report.answers) == (1, True)
    assert target.fetch(["stranger"]) == []


def test_what_is_indexed_during_a_move_is_in_the_new_store_too(
    filled: ImageSearchEngine, photos: Path, urls: Urls
) -> None:
    seen: list[int] = []

    def meanwhile(progress: Progress) -> None:
        seen.append(progress.done)
        if len(seen) == 2:  # all are copied
            (photos / "red.png").rename(photos / "rot.png")
            (photos / "0.png").unlink()
            Image.new("RGB", (40, 30), (255, 255, 255)).save(photos / "white.png")
            with ImageSearchEngine(filled.library) as other:
                other.index_images()

    report = filled.move_to(urls("lancedb"), on_progress=meanwhile)
    assert (report.copied, report.deleted, report.answers) == (14, 1, True)
    assert reddest(filled) == "rot.png"
    assert filled.status().items == 12


def test_a_move_waits_for_no_other_move_or_switch(filled: ImageSearchEngine, urls: Urls) -> None:
    with (
        lock.writing(filled.library, wait_s=0, role="switch"),
        pytest.raises(LibraryLocked, match="is being written to by process"),
    ):
        filled.move_to(urls("lancedb"))


def test_a_set_of_another_model_is_made_beside_the_moved_one(
    filled: ImageSearchEngine, urls: Urls
) -> None:
    filled.move_to(urls("lancedb"), keep=False)
    report = filled.switch_model("pocket")
    assert (report.switched, report.encoded) == (True, 12)
    assert filled.status().store.startswith(urls("lancedb") + "?collection=pixseek--pocket-")
    assert filled.status().items == 12


KILLED = """
import os, sys
from pixseek import ImageSearchEngine, moving
moving.AT_ONCE = 3
def stop(progress):
    if progress.done >= 6:
        os.kill(os.getpid(), 9)
with ImageSearchEngine(sys.argv[1]) as engine:
    engine.move_to(sys.argv[2], on_progress=stop)
"""


@pytest.mark.parametrize("after", ["postgresql", "lancedb"])
def test_a_move_that_was_killed_goes_on_where_it_was(
    filled: ImageSearchEngine, urls: Urls, after: str
) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(filled.library), urls(after)],
        env={**os.environ, "PYTHONPATH": SOURCE},
        timeout=60,
        check=False,
    )
    assert killed.returncode == -9
    assert filled.status().store == "local"
    assert filled.status().elsewhere == [urls(after)]
    assert reddest(filled) == "red.png"
    half = open_store(urls(after), filled.library, None)
    assert half.count() == 6
    # What was copied and is gone since is no stranger's.
    (gone,) = half.fetch(list(half.ids())[:1])
    half.close()
    manifest = Manifest(filled.library, create=False)
    (file,) = manifest.files_of([gone.id])[gone.id]
    manifest.close()
    Path(file.path).unlink()
    filled.index_images()
    report = filled.move_to(urls(after))
    assert (report.copied, report.unchanged, report.deleted) == (6, 5, 1)
    assert filled.status().items == 11


# The command line


def test_the_command_moves_a_library_and_says_so(
    filled: ImageSearchEngine, urls: Urls, capsys: pytest.CaptureFixture[str]
) -> None:
    library = ["--library", str(filled.library)]
    assert main(["move", "--to", urls("lancedb"), *library]) == 0
    out = capsys.readouterr().out
    assert f"the library answers from {urls('lancedb')} now; before, from local" in out
    assert "12 items copied" in out
    assert main(["status", *library]) == 0
    assert "also in   local" in capsys.readouterr().out
    assert main(["move", "--to", urls("lancedb"), "--drop", "--json", *library]) == 0
    assert json.loads(capsys.readouterr().out)["copied"] == 0


def test_the_command_copies_between_stores_and_counts_what_is_there_besides(
    filled: ImageSearchEngine,
    urls: Urls,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(filled.library.parent)
    target = open_store(urls("lancedb"), filled.library, filled.encoder.space)
    target.add([Item("stranger", filled.encoder.encode_texts(["green"])[0], {})])
    arguments = ["move", "--from", "local:library", "--to", urls("lancedb")]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "12 items copied" in out
    assert "1 item more in lancedb:" in out
    assert main([*arguments, "--exact"]) == 0
    assert "1 item deleted that only lancedb:" in capsys.readouterr().out
    assert filled.status().store == "local"
    assert main([*arguments, "--drop"]) == 2
    assert "--drop was given with --from" in capsys.readouterr().err
