"""A library that is watched follows what really happens on disk: events of the system, processes
and signals."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.conftest import Paint
from tests.test_said import xmp

import pixseek
from pixseek import ImageSearchEngine, lock, watch
from pixseek.errors import MissingPath
from pixseek.records import IndexReport

SOURCE = Path(pixseek.__file__).parent.parent
PATIENCE_S = 60.0


def soon(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    until = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.02)


@dataclass
class Watched:
    """What a thread that watches has said."""

    engine: ImageSearchEngine
    stop: threading.Event = field(default_factory=threading.Event)
    reports: list[IndexReport] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    error: list[BaseException] = field(default_factory=list)

    def names(self) -> list[str]:
        """Files in the library, below the folder that is watched."""
        known = self.engine._library.manifest.known()
        return sorted(Path(path).name for path, one in known.items() if one.item is not None)


@contextmanager
def watching(
    engine: ImageSearchEngine,
    folders: Path | list[Path] | None,
    *,
    quiet_s: float = 0.2,
    rescan_s: float = 600.0,
) -> Iterator[Watched]:
    """A thread that watches; in the block it has read the folders."""
    watched = Watched(engine)

    def run() -> None:
        try:
            watch(
                engine,
                folders,
                quiet_s=quiet_s,
                rescan_s=rescan_s,
                stop=watched.stop,
                on_report=watched.reports.append,
                on_trouble=watched.troubles.append,
            )
        except BaseException as error:  # told to the test
            watched.error.append(error)
            raise

    thread = threading.Thread(target=run)
    thread.start()
    try:
        soon(lambda: watched.reports or watched.error)
        yield watched
    finally:
        watched.stop.set()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def test_what_comes_moves_is_edited_and_goes_is_followed(
    engine: ImageSearchEngine, paint: Paint, photos: Path
) -> None:
    paint("a.png", "red")
    with watching(engine, photos) as watched:
        assert watched.names() == ["a.png"]
        paint("b.png", "blue")
        soon(lambda: watched.names() == ["a.png", "b.png"])
        (photos / "b.png").rename(photos / "c.png")
        soon(lambda: watched.names() == ["a.png", "c.png"])
        paint("a.png", "green")
        soon(lambda: watched.reports[-1].changed == 1)
        (photos / "c.png").unlink()
        soon(lambda: watched.names() == ["a.png"])
        (photos / "a.xmp").write_bytes(xmp(xmp_Rating="4"))
        soon(lambda: engine.search("green", where={"rating": 4}))
    assert sum(report.encoded for report in watched.reports) == 3
    assert sum(report.moved for report in watched.reports) == 1
    assert watched.troubles == []


def test_folders_made_renamed_and_deleted_are_followed(
    engine: ImageSearchEngine, paint: Paint, photos: Path, tmp_path: Path
) -> None:
    paint("0.png", "white")
    with watching(engine, photos) as watched:
        paint("one/two/a.png", "red")
        soon(lambda: watched.names() == ["0.png", "a.png"])
        (photos / "one").rename(photos / "three")
        soon(lambda: engine.search("red", where={"folder": str(photos / "three")}))
        paint("three/two/b.png", "blue")  # the folder had another name when it was made
        soon(lambda: watched.names() == ["0.png", "a.png", "b.png"])
        shutil.move(photos / "three", tmp_path / "away")
        soon(lambda: watched.names() == ["0.png"])
        shutil.move(tmp_path / "away", photos / "back")
        soon(lambda: watched.names() == ["0.png", "a.png", "b.png"])


def test_five_hundred_files_at_once_are_all_followed(
    engine: ImageSearchEngine, paint: Paint, photos: Path
) -> None:
    picture = paint("0.bmp", "red", size=(2, 2)).read_bytes()
    with watching(engine, photos) as watched:
        for number in range(1, 500):
            (photos / f"{number}.bmp").write_bytes(picture + bytes([number % 256, number // 256]))
        soon(lambda: len(watched.names()) == 500)
        shutil.rmtree(photos)
        photos.mkdir()
        paint("left.png", "blue")
        soon(lambda: watched.names() == ["left.png"])


def test_a_file_that_is_written_slowly_is_read_when_it_is_whole(
    engine: ImageSearchEngine, paint: Paint, photos: Path, tmp_path: Path
) -> None:
    paint("a.png", "red")
    Image.effect_noise((200, 200), 60).convert("RGB").save(tmp_path / "whole.jpg")
    content = (tmp_path / "whole.jpg").read_bytes()
    with watching(engine, photos, quiet_s=1.5) as watched:
        with (photos / "slow.jpg").open("wb") as file:
            for start in range(0, len(content), len(content) // 10):
                file.write(content[start : start + len(content) // 10])
                file.flush()
                time.sleep(0.1)
        soon(lambda: watched.names() == ["a.png", "slow.jpg"])
    assert all(report.skipped == [] for report in watched.reports)


def test_what_was_read_half_is_read_again_when_it_goes_on(
    engine: ImageSearchEngine, paint: Paint, photos: Path
) -> None:
    content = paint("../whole.png", "red", "blue", size=(300, 300)).read_bytes()
    with watching(engine, photos, quiet_s=0.0) as watched:
        (photos / "slow.png").write_bytes(content[:200])
        soon(lambda: any(report.skipped for report in watched.reports))
        with (photos / "slow.png").open("ab") as file:
            file.write(content[200:])
        soon(lambda: watched.names() == ["slow.png"])


def test_the_library_itself_and_hidden_files_are_not_taken_for_changes(
    paint: Paint, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = threading.Event()
    index = ImageSearchEngine.index_images

    def counted(engine: ImageSearchEngine, *images: Path, **options: Any) -> IndexReport:
        runs.set()
        return index(engine, *images, **options)

    monkeypatch.setattr(ImageSearchEngine, "index_images", counted)
    paint("a.png", "red")
    with (
        ImageSearchEngine(photos / "library", model="palette") as engine,
        watching(engine, photos) as watched,
    ):
        paint("b.png", "blue")
        soon(lambda: watched.names() == ["a.png", "b.png"])
        time.sleep(1.5)
        runs.clear()
        (photos / ".hidden.png").write_bytes(b"x")
        (photos / "notes.txt").write_bytes(b"x")
        soon(runs.is_set)  # a file that is new may be a folder
        time.sleep(1.5)
        runs.clear()
        with (photos / "notes.txt").open("ab") as file:
            file.write(b"y")
        (photos / ".hidden.png").unlink()
        assert not runs.wait(1.5)


def test_rules_that_are_written_while_it_is_watched_hold(
    engine: ImageSearchEngine, paint: Paint, photos: Path
) -> None:
    paint("a.png", "red")
    paint("b.jpg", "blue")
    with watching(engine, photos) as watched:
        (photos / ".pixseekignore").write_text("*.jpg\n")
        soon(lambda: watched.names() == ["a.png"])


def test_a_drive_that_goes_and_comes_keeps_its_entries_and_is_followed_again(
    engine: ImageSearchEngine, paint: Paint, photos: Path, tmp_path: Path
) -> None:
    paint("a.png", "red")
    with watching(engine, photos) as watched:
        photos.rename(tmp_path / "elsewhere")
        soon(lambda: watched.reports[-1].missing == [photos])
        assert watched.names() == ["a.png"]
        (tmp_path / "elsewhere").rename(photos)
        soon(lambda: watched.reports[-1].missing == [])
        paint("b.png", "blue")
        soon(lambda: watched.names() == ["a.png", "b.png"])


def test_what_was_not_reported_is_found_by_comparing(
    engine: ImageSearchEngine, paint: Paint, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pixseek.watching._Watcher._matters", lambda *_: False)
    with watching(engine, photos, rescan_s=0.5) as watched:
        paint("a.png", "red")
        soon(lambda: watched.names() == ["a.png"])


def test_a_system_that_reports_nothing_is_named_and_folders_are_compared(
    engine: ImageSearchEngine, paint: Paint, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "OS file watch limit reached")

    monkeypatch.setattr("watchfiles.watch", refuse)
    with watching(engine, photos, rescan_s=0.3) as watched:
        paint("a.png", "red")
        soon(lambda: watched.names() == ["a.png"])
    [trouble] = watched.troubles
    assert "limit reached" in trouble


def test_an_error_is_told_and_tried_again(
    engine: ImageSearchEngine, paint: Paint, photos: Path
) -> None:
    with watching(engine, photos) as watched:
        object.__setattr__(engine._settings, "lock_timeout_s", 0.0)
        with lock.writing(engine.library, wait_s=0):
            paint("a.png", "red")
            soon(lambda: len(watched.troubles) >= 2)
        soon(lambda: watched.names() == ["a.png"])
    assert "Trying again in 1 s." in watched.troubles[0]
    assert "Trying again in 2 s." in watched.troubles[1]


def test_a_folder_that_is_taken_out_of_the_library_stays_out(
    engine: ImageSearchEngine, paint: Paint, photos: Path
) -> None:
    paint("in/a.png", "red")
    paint("out/b.png", "blue")
    with watching(engine, [photos / "in", photos / "out"]) as watched:
        engine.remove(photos / "out")
        paint("out/c.png", "green")
        paint("in/d.png", "yellow")
        soon(lambda: watched.names() == ["a.png", "d.png"])


def test_the_second_waits_and_takes_over(
    engine: ImageSearchEngine, paint: Paint, photos: Path
) -> None:
    paint("a.png", "red")
    with ImageSearchEngine(engine.library) as other:
        stop = threading.Event()
        troubles: list[str] = []
        reports: list[IndexReport] = []
        second = threading.Thread(
            target=lambda: watch(
                other,
                photos,
                quiet_s=0.1,
                stop=stop,
                on_trouble=troubles.append,
                on_report=reports.append,
            )
        )
        with watching(engine, photos):
            second.start()
            soon(lambda: troubles)
            assert reports == []
        soon(lambda: reports)
        stop.set()
        second.join(PATIENCE_S)
    [trouble] = troubles
    assert f"process {os.getpid()}" in trouble


def test_without_folders_it_is_those_of_the_library_and_a_missing_one_is_refused(
    engine: ImageSearchEngine, paint: Paint, photos: Path
) -> None:
    paint("a.png", "red")
    engine.index_images(photos)
    with watching(engine, None) as watched:
        paint("b.png", "blue")
        soon(lambda: watched.names() == ["a.png", "b.png"])
    with pytest.raises(MissingPath, match="nowhere"):
        engine.index_images(photos / "nowhere")


@contextmanager
def process(*arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "pixseek", "watch", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(SOURCE), "PIXSEEK_MODEL": "palette"}
    run = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield run
    finally:
        run.kill()
        run.communicate()


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_the_command_says_what_it_did_and_stops_cleanly(
    tmp_path: Path, paint: Paint, photos: Path, by: signal.Signals
) -> None:
    paint("a.png", "red")
    (photos / "bad.png").write_bytes(b"no picture")
    with process(photos, "--library", tmp_path / "library", "--delay", "0.2") as run:
        assert run.stdout is not None
        first = run.stdout.readline()
        assert "1 added; 1 file in the library" in first
        assert "bad.png" in run.stdout.readline()
        paint("b.png", "blue")
        assert "1 added; 2 files in the library" in run.stdout.readline()
        run.send_signal(by)
        out, err = run.communicate(timeout=PATIENCE_S)
    assert (run.returncode, out) == (0, "")
    assert "stopped watching" in err
    assert "Traceback" not in err
    with ImageSearchEngine(tmp_path / "library", create=False) as engine:
        assert engine.status().files == 2


def test_the_command_prints_a_line_of_json_a_report(
    tmp_path: Path, paint: Paint, photos: Path
) -> None:
    paint("a.png", "red")
    with process(
        photos, "--library", tmp_path / "library", "--json", "--delay", "0", "--rescan", "1"
    ) as run:
        assert run.stdout is not None
        report = json.loads(run.stdout.readline())
        assert (report["added"], report["skipped"]) == (1, [])


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--delay", "-1"], 2, "--delay"),
        (["--rescan", "nan"], 2, "--rescan"),
        (["nowhere"], 2, "nowhere"),
        ([], 4, "no library"),
    ],
)
def test_what_cannot_be_watched_is_refused(
    tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    with process("--library", tmp_path / "library", *arguments) as run:
        _, err = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == code
    assert said in err
