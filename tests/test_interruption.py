"""Killed, interrupted, crashed and crowded: what was reported stays, and the next run goes on."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from PIL import Image

import pixseek
from pixseek import ImageSearchEngine, indexing
from pixseek.database import Database
from pixseek.errors import LibraryLocked, LibraryNotFound
from pixseek.files import compare, find
from pixseek.manifest import Manifest
from pixseek.records import Item
from pixseek.settings import load
from pixseek.stores.local import LocalStore

KILLS = int(os.environ.get("PIXSEEK_TEST_KILLS", "8"))
SEED = 2026
FILES = 240
SLOW = 400
SOURCE = str(Path(pixseek.__file__).parent.parent)

# Many small writes, so that a kill meets every step of them.
DRIVER = """
import sys
from pixseek import ImageSearchEngine, indexing
indexing.FILES_PER_WRITE = 6
print("started", flush=True)
with ImageSearchEngine(sys.argv[1], model="palette") as engine:
    report = engine.index_images(
        sys.argv[2:] or None, on_progress=lambda progress: print("done", progress.done, flush=True)
    )
print("finished", report.indexed, report.removed, flush=True)
"""


# The command line itself, as it writes a little at a time and tells what it stored.
COMMAND = """
import sys
from pixseek import indexing
from pixseek.cli import main, progress
indexing.FILES_PER_WRITE = 6
progress.ProgressBar.show = lambda self, progress: print("done", progress.done, flush=True)
sys.exit(main(["index", sys.argv[2], "--library", sys.argv[1], "--model", "palette"]))
"""


def picture(number: int) -> bytes:
    """A small picture; every number is another content."""
    buffer = io.BytesIO()
    colour = (number * 37 % 256, number * 91 % 256, number % 256)
    Image.new("RGB", (40, 30), colour).save(buffer, "JPEG")
    return buffer.getvalue() + number.to_bytes(4, "big")


class Album:
    """Pictures that can be changed in every way, about as many as there were at first."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        self._next = 0
        self._count = count
        self._chance = random.Random(SEED)
        for _ in range(count):
            self._add()
        (folder / "bad.jpg").write_bytes(b"no picture")

    def change(self, share: float) -> None:
        """Add, edit, rename, move, copy, delete and swap about this share of the files."""
        paths = sorted(self.folder.rglob("[0-9]*.jpg"))
        for path in self._chance.sample(paths, int(len(paths) * share)):
            match self._chance.randrange(7):
                case 0:
                    self._add()
                case 1:
                    self._write(path)
                case 2:
                    path.rename(self._name())
                case 3:
                    path.rename(self._name())
                    self._write(path)
                case 4:
                    shutil.copy2(path, self._name())
                case 5:
                    path.unlink()
                case _:
                    aside = self._name()
                    path.rename(aside)
                    shutil.copy2(aside, self._name())
        paths = sorted(self.folder.rglob("[0-9]*.jpg"))
        for path in self._chance.sample(paths, max(len(paths) - self._count, 0)):
            path.unlink()

    def _name(self) -> Path:
        self._next += 1
        folder = self.folder / f"folder {self._next % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{self._next:05}.jpg"

    def _add(self) -> None:
        self._write(self._name())

    def _write(self, path: Path) -> None:
        self._next += 1
        path.write_bytes(picture(self._next))
        # Another time for every write, so that none depends on the clock's resolution.
        os.utime(path, ns=(0, 1_600_000_000_000_000_000 + self._next * 1_000_000_000))


def run(*arguments: str, script: str | None = None) -> subprocess.Popen[str]:
    """Start `python -m pixseek`, or a script, on the source that is tested."""
    what = ["-m", "pixseek"] if script is None else ["-u", "-c", script]
    return subprocess.Popen(
        [sys.executable, *what, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCE},
    )


def finish(process: subprocess.Popen[str], timeout_s: float = 60) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=timeout_s)
    return process.returncode, out, err


def in_step(library: Path, folder: Path) -> int:
    """How many files of the folder the library has as they are on disk now."""
    with copied(library) as copy:
        manifest = Manifest(copy, create=True)
        changes = compare(find([folder], []), manifest.known())
        manifest.close()
    return changes.unchanged + len(changes.skipped)


@contextmanager
def copied(library: Path) -> Iterator[Path]:
    """The library as it lies there, to be looked into without mending anything in the original."""
    library.mkdir(exist_ok=True)
    copy = library.with_name("copy to look into")
    shutil.copytree(library, copy)
    try:
        yield copy
    finally:
        shutil.rmtree(copy)


def check_what_is_there(library: Path) -> None:
    """What must hold at any moment, even right after a crash."""
    with copied(library) as copy:
        manifest = Manifest(copy, create=True)
        held = {known.item for known in manifest.known().values() if known.item is not None}
        pending = set(manifest.pending())
        store = _store(copy)
        ids = [] if store is None else list(store.ids())
        assert len(ids) == len(set(ids)), "doubled"
        assert held <= set(ids), "a file is recorded whose vector is not stored"
        assert set(ids) - held <= pending, "an item without a file that no run will ever repair"
        if store is not None:
            for item in store.fetch(held - pending):
                files = manifest.files_of([item.id])[item.id]
                assert _paths(item) == [manifest.base.portable(entry.path) for entry in files]
            store.close()
        manifest.close()


def _store(library: Path) -> LocalStore | None:
    try:
        return LocalStore.open(str(library), None)
    except LibraryNotFound:
        return None


def _paths(item: Item) -> list[str]:
    value = item.metadata["path"]
    return sorted(value) if isinstance(value, list) else [str(value)]


def contents(library: Path) -> dict[str, tuple[dict[str, Any], list[float]]]:
    """Everything in the store: id → metadata and vector; nothing may be left to repair."""
    store = _store(library)
    assert store is not None
    items = store.fetch(store.ids())
    assert len(items) == store.count()
    store.close()
    manifest = Manifest(library, create=False)
    assert manifest.pending() == []
    recorded = {k.item for k in manifest.known().values() if k.item is not None}
    assert recorded == {item.id for item in items}
    manifest.close()
    return {
        item.id: (dict(item.metadata), [round(float(x), 6) for x in item.vector]) for item in items
    }


def assert_as_if_new(library: Path, folder: Path) -> None:
    """The library is what indexing the folder from nothing makes."""
    fresh = library.with_name("fresh library")
    with ImageSearchEngine(fresh, model="palette") as engine:
        engine.index_images(folder)
        expected = engine.status()
    assert contents(library) == contents(fresh)
    shutil.rmtree(fresh)
    with ImageSearchEngine(library) as engine:
        status = engine.status()
        assert (status.items, status.files) == (expected.items, expected.files)
        assert status.skipped == expected.skipped
        hits = engine.search_by_text("red", k=10_000)
    shown = Counter(path for hit in hits for path in hit.paths)
    assert set(shown.values()) == {1}
    assert set(shown) == set(folder.rglob("[0-9]*.jpg"))


def done_in(lines: Iterable[str]) -> int:
    """The last count of files that was reported as stored."""
    return max([int(line.split()[1]) for line in lines if line.startswith("done")], default=0)


# Killed


def test_a_run_killed_at_any_moment_loses_nothing_it_reported(tmp_path: Path, photos: Path) -> None:
    album, library = Album(photos, FILES), tmp_path / "library"
    chance = random.Random(SEED)
    killed_at: list[int] = []
    for round in range(KILLS):
        if round % 4 == 0:
            shutil.rmtree(library, ignore_errors=True)
        else:
            album.change(0.5)
        before = in_step(library, photos)
        process = run(str(library), str(photos), script=DRIVER)
        done = kill(process, chance.randrange(-20, 90), chance.random() * 0.05)
        killed_at.append(done)
        assert in_step(library, photos) >= before + done
        check_what_is_there(library)
    assert sum(done > 0 for done in killed_at) >= KILLS // 3, f"too early: {killed_at}"
    code, out, err = finish(run(str(library), str(photos), script=DRIVER))
    assert (code, err) == (0, "")
    assert "finished" in out
    assert_as_if_new(library, photos)


def kill(process: subprocess.Popen[str], wanted: int, wait_s: float) -> int:
    """Kill it once it has stored as many files, or while it starts (below 0); what it reported."""
    assert process.stdout is not None
    lines: list[str] = []
    while wanted >= 0 and (line := process.stdout.readline()):
        lines.append(line)
        if done_in(lines) >= wanted:
            break
    time.sleep(wait_s if wanted >= 0 else wait_s * 12)
    process.kill()
    out, err = process.communicate(timeout=20)
    assert "Traceback" not in err, err
    return done_in([*lines, *out.splitlines()])


def test_a_library_killed_while_it_is_made_is_made_by_the_next_run(
    tmp_path: Path, photos: Path
) -> None:
    Album(photos, 20)
    library = tmp_path / "library"
    for moment in range(max(KILLS // 2, 3) if KILLS > 8 else 2):
        process = run(str(library), str(photos), script=DRIVER)
        deadline = time.monotonic() + 20
        while not (library / "library.db").exists() and time.monotonic() < deadline:
            time.sleep(0.0005)
        time.sleep(moment * 0.004)
        process.kill()
        process.communicate(timeout=20)
        check_what_is_there(library)
        code, out, err = finish(run("status", "--library", str(library)))
        assert (code, "there is no library" in err) in ((0, False), (4, True)), err
        code, out, err = finish(
            run("index", str(photos), "--library", str(library), "--model", "palette")
        )
        assert (code, err) == (0, ""), out
        assert_as_if_new(library, photos)
        shutil.rmtree(library)


# Interrupted


@pytest.fixture
def slow_photos(photos: Path) -> Path:
    """Pictures that take the command line some seconds in all."""
    buffer = io.BytesIO()
    gradient = Image.linear_gradient("L").resize((2400, 1800))
    Image.merge("RGB", [gradient, gradient.rotate(180), gradient]).save(buffer, "JPEG")
    for number in range(SLOW):
        content = buffer.getvalue() + number.to_bytes(4, "big")
        (photos / f"{number:05}.jpg").write_bytes(content)
    return photos


def recorded(library: Path) -> int:
    """How many files another process has recorded so far."""
    path = library / "library.db"
    if not path.exists():
        return 0
    connection = sqlite3.connect(path, timeout=20)
    try:
        return int(connection.execute("SELECT count(*) FROM files").fetchone()[0])
    except sqlite3.OperationalError:  # the tables are not there yet
        return 0
    finally:
        connection.close()


def test_an_interrupted_run_ends_with_130_and_keeps_its_work(
    tmp_path: Path, slow_photos: Path
) -> None:
    library = tmp_path / "library"
    arguments = ("index", str(slow_photos), "--library", str(library), "--model", "palette")
    process = run(*arguments)
    deadline = time.monotonic() + 30
    while not recorded(library) and time.monotonic() < deadline:
        time.sleep(0.005)
    stored = recorded(library)
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert (code, "Traceback" in err) == (130, False), err
    assert "interrupted. What was reported as indexed is kept" in err
    kept = recorded(library)
    assert 0 < stored <= kept < SLOW
    check_what_is_there(library)
    code, out, err = finish(run(*arguments, "--json"))
    assert (code, err) == (0, "")
    report = json.loads(out)
    assert (report["added"], report["unchanged"]) == (SLOW - kept, kept)


@pytest.mark.parametrize("wait_s", [0.0, 0.02, 0.05, 0.08])
def test_an_interruption_at_any_moment_is_clean(
    tmp_path: Path, photos: Path, wait_s: float
) -> None:
    Album(photos, FILES)
    process = run(str(tmp_path / "library"), str(photos), script=COMMAND)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(2)]
    time.sleep(wait_s)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert in_step(tmp_path / "library", photos) >= done_in([*lines, *out.splitlines()])
    check_what_is_there(tmp_path / "library")


def test_an_interruption_between_any_two_lines_of_a_write_counts_nothing_twice(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Album(photos, 6)
    monkeypatch.setattr(indexing, "FILES_PER_WRITE", 3)
    line, interrupted = 0, True
    while interrupted:
        library = tmp_path / f"library {line}"
        with ImageSearchEngine(library, model="palette") as engine:
            done, interrupted = index_interrupted(engine, photos, line)
        assert in_step(library, photos) >= done, f"line {line}"
        line += 1
    assert done == 7  # by the last run, which met no interruption
    assert line > 40


def index_interrupted(engine: ImageSearchEngine, folder: Path, at: int) -> tuple[int, bool]:
    """Index while Ctrl-C comes before the line `at` that writing runs: (reported, interrupted)."""
    reported = [0]
    lines = iter(range(at + 1))

    def trace(frame: FrameType, event: str, _: object) -> Callable[..., Any] | None:
        if frame.f_code is not indexing.Indexer._write.__code__:
            return None
        if event == "line" and next(lines, None) == at:
            raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        engine.index_images(folder, on_progress=lambda progress: reported.append(progress.done))
    except KeyboardInterrupt:
        return max(reported), True
    finally:
        sys.settrace(before)
    return max(reported), False


class InterruptedConnection:
    """A connection during one of whose statements the user presses Ctrl-C."""

    def __init__(self, connection: sqlite3.Connection, statement: str, *, happens: bool) -> None:
        self._connection = connection
        self._statement: str | None = statement
        self._happens = happens

    def execute(self, statement: str, *arguments: object) -> object:
        if statement != self._statement:
            return self._connection.execute(statement, *arguments)  # type: ignore[arg-type]  # as given
        self._statement = None
        if self._happens:
            self._connection.execute(statement)
        raise KeyboardInterrupt("now")

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)


@pytest.mark.parametrize(
    ("statement", "happens"),
    [("BEGIN IMMEDIATE", False), ("BEGIN IMMEDIATE", True), ("COMMIT", False), ("COMMIT", True)],
)
def test_an_interruption_at_the_edge_of_a_transaction_does_not_spoil_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str, happens: bool
) -> None:
    database = Database(tmp_path / "library", create=True)
    with database.writing() as connection:
        connection.execute("CREATE TABLE numbers (n)")
    real = database._connection
    interrupted = InterruptedConnection(real, statement, happens=happens)
    monkeypatch.setattr(database, "_connection", interrupted)
    with pytest.raises(KeyboardInterrupt, match="now"), database.writing() as connection:
        connection.execute("INSERT INTO numbers VALUES (1)")
    with database.writing() as connection:
        connection.execute("INSERT INTO numbers VALUES (2)")
    with database.reading() as connection:
        found = [n for (n,) in connection.execute("SELECT n FROM numbers ORDER BY n")]
    assert found == ([1, 2] if (statement, happens) == ("COMMIT", True) else [2])
    database.close()


# Several processes


def test_two_processes_that_index_at_once_both_succeed_and_double_nothing(
    tmp_path: Path, slow_photos: Path
) -> None:
    library = tmp_path / "library"
    arguments = ("index", str(slow_photos), "--library", str(library), "--model", "palette")
    first = run(*arguments, "--json")
    deadline = time.monotonic() + 30
    while not (library / "writer.json").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    second = run(*arguments, "--json")
    ends = [finish(first), finish(second)]
    assert [code for code, _, _ in ends] == [0, 0], ends
    reports = [json.loads(out) for _, out, _ in ends]
    assert sum(report["added"] for report in reports) == SLOW
    assert sum(report["unchanged"] for report in reports) == SLOW
    assert f"waiting for process {first.pid} " in ends[1][2]
    assert_as_if_new(library, slow_photos)


def test_processes_that_make_one_library_at_once_all_succeed(tmp_path: Path, photos: Path) -> None:
    Album(photos, 12)
    library = tmp_path / "library"
    arguments = ("index", str(photos), "--library", str(library), "--model", "palette")
    ends = [finish(process) for process in [run(*arguments) for _ in range(5)]]
    assert [code for code, _, _ in ends] == [0] * 5, [err for _, _, err in ends]
    assert_as_if_new(library, photos)


HOLD = """
import sys
from pathlib import Path
from pixseek import lock
with lock.writing(Path(sys.argv[1]), wait_s=0):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_writer_that_does_not_wait_is_told_who_writes(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Album(photos, 5)
    library = tmp_path / "library"
    with ImageSearchEngine(library, model="palette") as engine:
        engine.index_images(photos)
        (photos / "new.jpg").write_bytes(picture(99))
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(library)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": SOURCE},
        )
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        monkeypatch.setenv("PIXSEEK_LOCK_TIMEOUT_S", "0")
        with (
            ImageSearchEngine(library) as other,
            pytest.raises(LibraryLocked, match=f"written to by process {holder.pid} ") as caught,
        ):
            other.index_images(photos)
        assert f"process {holder.pid} " in caught.value.holder
        code, _, err = finish(run("index", str(photos), "--library", str(library)))
        assert (code, f"process {holder.pid} " in err) == (5, True)
        assert len(engine.search_by_text("red", k=100)) == 5
        holder.kill()
        holder.communicate(timeout=20)
        monkeypatch.delenv("PIXSEEK_LOCK_TIMEOUT_S")
        assert engine.status().writer is None
        assert engine.index_images(photos).added == 1, "a dead process still holds the lock"


def test_searches_while_another_process_indexes_only_ever_see_more(
    tmp_path: Path, photos: Path
) -> None:
    Album(photos, FILES)
    with ImageSearchEngine(tmp_path / "library", model="palette") as engine:
        process = run(str(tmp_path / "library"), str(photos), script=DRIVER)
        seen = [0]
        while process.poll() is None:
            hits = engine.search_by_text("red", k=1000)
            assert all(hit.path.exists() for hit in hits)
            assert len({hit.id for hit in hits}) == len(hits)
            seen.append(len(hits))
            assert engine.status().items >= len(hits)
        code, _, err = finish(process)
        assert (code, err) == (0, "")
        assert seen == sorted(seen)
        assert len({*seen}) > 2, "no search ever met a library that was half full"
        assert len(engine.search_by_text("red", k=1000)) == FILES


# Crashed between two steps


class Crash(BaseException):
    """The process ends here."""


STEPS = [
    *((LocalStore, name) for name in ("add", "update_metadata", "delete")),
    *((Manifest, name) for name in ("include", "exclude", "mark_pending", "record")),
    (Manifest, "clear_pending"),
]
"""Every call that changes something on disk while a library is filled."""


class Crashing:
    """Lets so many steps happen, and none after; as a crash does, between two of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
        self._left = steps
        self.crashed = False
        for owner, name in STEPS:
            monkeypatch.setattr(owner, name, self._limited(getattr(owner, name)))

    def _limited(self, step: Callable[..., object]) -> Callable[..., object]:
        def limited(*arguments: object, **options: object) -> object:
            if self._left <= 0:
                self.crashed = True
                raise Crash
            self._left -= 1
            return step(*arguments, **options)

        return limited


def crash_after_each_step(
    prepared: Path,
    work: Path,
    monkeypatch: pytest.MonkeyPatch,
    act: Callable[[ImageSearchEngine], object],
) -> Iterator[Path]:
    """The prepared folder as it is after `act` crashed, once for each step of it, in turn."""
    for steps in range(200):
        shutil.copytree(prepared, work)
        with monkeypatch.context() as patch:
            patch.setattr(indexing, "FILES_PER_WRITE", 4)
            options = load({"library": work / "library", "workers": 1})
            with ImageSearchEngine(work / "library", options=options) as engine:
                crashing = Crashing(patch, steps)
                with suppress(Crash):
                    act(engine)
        yield work
        shutil.rmtree(work)
        if not crashing.crashed:
            assert steps > 5, "hardly a step was met"
            return
    raise AssertionError("it never came to an end")


def prepare(folder: Path) -> Path:
    """A library of 12 files beside them, and then every kind of change to the files."""
    photos = folder / "photos"
    photos.mkdir(parents=True)

    def write(name: str, content: bytes, time_s: int) -> None:
        (photos / name).write_bytes(content)
        os.utime(photos / name, (time_s, time_s))

    for number in range(12):
        write(f"{number}.jpg", picture(number), 1_600_000_000 + number)
    write("11 copy.jpg", picture(11), 1_600_000_100)
    with ImageSearchEngine(folder / "library", model="palette") as engine:
        engine.index_images(photos)
    write("new.jpg", picture(100), 1_600_000_200)
    write("new copy.jpg", picture(100), 1_600_000_201)
    write("0.jpg", picture(101), 1_600_000_202)
    write("1.jpg", picture(2), 1_600_000_203)
    write("3.jpg", b"no picture any more", 1_600_000_204)
    write("4.jpg", picture(4), 1_600_000_205)
    write("copy of 5.jpg", picture(5), 1_600_000_206)
    (photos / "6.jpg").rename(photos / "renamed.jpg")
    (photos / "7.jpg").unlink()
    (photos / "8.jpg").unlink()
    (photos / "11 copy.jpg").unlink()
    return folder


def test_a_crash_between_any_two_steps_of_indexing_is_repaired_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepare(tmp_path / "prepared")
    shutil.copytree(prepared, tmp_path / "whole")
    with ImageSearchEngine(tmp_path / "whole/fresh", model="palette") as engine:
        engine.index_images(tmp_path / "whole/photos")
    expected = contents(tmp_path / "whole/fresh")
    for work in crash_after_each_step(
        prepared, tmp_path / "work", monkeypatch, lambda engine: engine.index_images()
    ):
        check_what_is_there(work / "library")
        with ImageSearchEngine(work / "library") as engine:
            engine.index_images()
            assert engine.index_images().unchanged == 12
        assert contents(work / "library") == expected


def test_a_crash_between_any_two_steps_of_removing_is_repaired_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepare(tmp_path / "prepared")
    with ImageSearchEngine(prepared / "library") as engine:
        engine.index_images()
    whole = contents(prepared / "library")
    names = ("0.jpg", "1.jpg", "2.jpg", "new.jpg", "3.jpg")

    def remove(engine: ImageSearchEngine) -> None:
        photos = engine.library.parent / "photos"
        engine.remove([photos / name for name in names])

    for work in crash_after_each_step(prepared, tmp_path / "work", monkeypatch, remove):
        check_what_is_there(work / "library")
        with ImageSearchEngine(work / "library") as engine:
            engine.index_images()
            remove(engine)
            assert len(engine.search_by_text("red", k=100)) == 7
        left = contents(work / "library")
        gone = {f"photos/{name}" for name in names}
        assert {path for metadata, _ in left.values() for path in _listed(metadata["path"])} == {
            path for metadata, _ in whole.values() for path in _listed(metadata["path"])
        } - gone


def _listed(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]


def test_a_crash_while_a_library_is_made_leaves_its_model_known(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Album(photos, 3)

    def crash(*_: object) -> None:
        raise Crash("here")

    with monkeypatch.context() as patch:
        patch.setattr(Manifest, "make_current", crash)
        with pytest.raises(Crash, match="here"):
            ImageSearchEngine(tmp_path / "library", model="palette")
    with ImageSearchEngine(tmp_path / "library", model="palette") as engine:
        engine.index_images(photos)
    with ImageSearchEngine(tmp_path / "library") as engine:
        assert len(engine.search_by_text("red")) == 3
