"""The command line: what it prints, returns and refuses. Most of it in process, the rest as real
processes with pipes, file names of raw bytes and a pseudo-terminal."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import termios
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

import pixseek
from pixseek import cli, errors
from pixseek.cli import EXIT_CODES, commands
from pixseek.cli.parser import build_parser
from pixseek.cli.progress import ProgressBar
from pixseek.client import Client
from pixseek.encoders.pocket import PocketEncoder
from pixseek.records import Progress
from pixseek.stores import STORES
from pixseek.stores import Entry as StoreEntry

SOURCE = Path(pixseek.__file__).parent.parent
SAMPLES = SOURCE.parent / "samples"
Paint = Callable[..., Path]


@dataclass(frozen=True)
class Answer:
    """What a run returned and printed."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[list[str]]:
        """The table's lines as [score, date, path], without its head and the matches."""
        head, *lines = self.out.splitlines()
        assert head.split() == ["match", "score", "date", "path"]
        return [line.split(maxsplit=3)[1:] for line in lines]

    @property
    def names(self) -> list[str]:
        return [Path(row[2]).name for row in self.rows]


Run = Callable[..., Answer]


@pytest.fixture(autouse=True)
def palette(monkeypatch: pytest.MonkeyPatch) -> None:
    """New libraries are made with the model that takes milliseconds."""
    monkeypatch.setenv("PIXSEEK_MODEL", "palette")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """run("search", "red", folder): one command in this process."""

    def run_one(*arguments: str | Path) -> Answer:
        capsys.readouterr()
        try:
            code = cli.main([str(one) for one in arguments])
        except SystemExit as left:  # argparse leaves so
            code = int(left.code or 0)
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return Answer(code, printed.out, printed.err)

    return run_one


@pytest.fixture
def flags(paint: Paint, photos: Path) -> Path:
    """A folder with red.png, blue.png and half.png, which is half red and half blue."""
    paint("red.png", "red")
    paint("blue.png", "blue")
    paint("half.png", "red", "blue")
    return photos


@pytest.fixture
def indexed(flags: Path, run: Run) -> Path:
    """The same folder, in the user's library."""
    assert run("index", flags).code == 0
    return flags


def started(*arguments: str | bytes | Path, **options: object) -> subprocess.Popen[bytes]:
    """The command line as a process of its own."""
    command = [sys.executable, "-m", "pixseek", *arguments]
    environ = {**os.environ, "PYTHONPATH": str(SOURCE)}
    for name in ("TMUX", "STY", "ZELLIJ", "VIM_TERMINAL", "NVIM", "INSIDE_EMACS"):
        environ.pop(name, None)
    environ.update(options.pop("environ", {}))  # type: ignore[call-overload]  # given as a dict
    return subprocess.Popen(command, env=environ, **options)  # type: ignore[call-overload, no-any-return]  # options are Popen's


def finished(process: subprocess.Popen[bytes]) -> tuple[int, bytes, bytes]:
    """(exit code, output, errors), and never a traceback."""
    out, err = process.communicate(timeout=60)
    assert b"Traceback" not in (err or b""), err.decode(errors="replace")
    return process.returncode, out, err


def process(*arguments: str | bytes | Path, **environ: str) -> tuple[int, bytes, bytes]:
    """Run to its end in a process, with pipes."""
    pipe = subprocess.PIPE
    return finished(started(*arguments, stdout=pipe, stderr=pipe, environ=environ))


def terminal(*arguments: str | Path, **environ: str) -> tuple[int, str]:
    """(exit code, what a terminal of 80 columns received) of a run whose every stream is one."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 800, 480))
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), follower)
    child = started(*arguments, environ=environ, start_new_session=True, **streams)
    os.close(follower)
    received, end = b"", time.monotonic() + 60
    try:
        while select.select([leader], [], [], max(0.0, end - time.monotonic()))[0]:
            try:
                piece = os.read(leader, 65536)
            except OSError:  # Linux, when the last writer is gone
                break
            if not piece:
                break
            received += piece
        return child.wait(timeout=10), received.decode()
    finally:
        child.kill()
        child.wait()
        os.close(leader)


@pytest.fixture
def writer(indexed: Path, own_home: Path) -> Iterator[Path]:
    """Another process that is writing to the user's library."""
    assert indexed.is_dir()
    library = own_home / "data" / "pixseek" / "library"
    code = (
        "import sys, pathlib, pixseek.lock as lock\n"
        "with lock.writing(pathlib.Path(sys.argv[1]), wait_s=0):\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(library)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"held\n"
    yield library
    child.communicate(timeout=30)


# index


def test_index_says_how_many_files_it_brought_in(flags: Path, run: Run) -> None:
    answer = run("index", flags)
    assert answer.code == 0
    assert re.fullmatch(
        r"3 files indexed in [\d.]+ s \([\d,]+ images/s\)\n  3 added; 0 unchanged\n", answer.out
    )
    assert answer.err == ""


def test_indexing_again_finds_nothing_to_do(indexed: Path, run: Run) -> None:
    assert "nothing to do; 3 unchanged" in run("index", indexed).out


def test_index_without_a_path_brings_every_folder_in_step(
    indexed: Path, run: Run, paint: Paint
) -> None:
    paint("red.png", "green")
    paint("new.png", "white")
    (indexed / "blue.png").rename(indexed / "renamed.png")
    (indexed / "half.png").unlink()
    answer = run("index")
    assert answer.code == 0
    counts = sorted(re.findall(r"(\d) (\w+)", answer.out.splitlines()[1]))
    assert ("1", "added") in counts
    assert ("1", "changed") in counts
    assert ("1", "moved") in counts
    assert run("search", "green", "-k", "1").names == ["red.png"]


def test_index_without_a_path_in_a_library_without_folders_asks_for_one(run: Run) -> None:
    answer = run("index")
    assert answer.code == 2
    assert "name a folder" in answer.err


def test_a_folder_that_is_not_there_now_keeps_its_entries_and_is_named(
    indexed: Path, run: Run
) -> None:
    indexed.rename(indexed.with_name("unplugged"))
    answer = run("index")
    assert answer.code == 0
    assert f"not there now, entries kept: {indexed}" in answer.out
    assert f"{indexed}: 3 files  (not there now)" in run("status").out
    assert run("search", "red", "-k", "1").names == ["red.png"]


def test_index_takes_single_files_and_several_paths(flags: Path, run: Run, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(flags / "blue.png", other / "sea.png")
    assert "2 files indexed" in run("index", flags / "red.png", other).out
    assert sorted(run("search", "red").names) == ["red.png", "sea.png"]


def test_index_json_counts_every_file_and_names_the_skipped(flags: Path, run: Run) -> None:
    (flags / "broken.jpg").write_bytes(b"no picture")
    answer = run("index", flags, "--json")
    report = json.loads(answer.out)
    assert (report["added"], report["indexed"], report["encoded"]) == (3, 3, 3)
    assert report["changed"] == report["moved"] == report["unchanged"] == report["removed"] == 0
    assert [one["path"] for one in report["skipped"]] == [str(flags / "broken.jpg")]
    assert "no picture format" in report["skipped"][0]["reason"]


def test_a_broken_file_is_named_with_its_reason_and_only_strict_fails(
    flags: Path, run: Run
) -> None:
    (flags / "broken.jpg").write_bytes(b"")
    lenient = run("index", flags)
    assert lenient.code == 0
    assert "1 file skipped:" in lenient.out
    assert f"{flags / 'broken.jpg'}: the file is empty" in lenient.out
    assert run("index", flags, "--strict").code == 1
    assert run("index", flags, "--strict", "--json").code == 1
    (flags / "broken.jpg").unlink()
    assert run("index", flags, "--strict").code == 0


def test_a_long_list_of_skipped_files_is_cut_and_says_where_all_of_them_are(
    photos: Path, run: Run
) -> None:
    for number in range(12):
        (photos / f"{number}.jpg").write_bytes(b"")
    answer = run("index", photos)
    assert answer.out.count("the file is empty") == 10
    assert "pixseek status --skipped" in answer.out
    assert run("status", "--skipped").out.count("the file is empty") == 12
    assert run("status").out.count("the file is empty") == 0


def test_workers_changes_how_many_threads_and_not_the_result(flags: Path, run: Run) -> None:
    assert "3 added" in run("index", flags, "--workers", "1").out


def test_store_and_model_may_be_named_for_a_new_library(
    flags: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIXSEEK_MODEL", "no such model")
    answer = run("index", flags, "--model", "palette", "--store", "local")
    assert answer.code == 0
    status = run("status").out
    assert re.search(r"^model +palette \(11 dimensions", status, re.MULTILINE)
    assert re.search(r"^store +local$", status, re.MULTILINE)


def test_the_progress_bar_shows_in_a_terminal_only_and_quiet_hides_it(flags: Path) -> None:
    (flags / "broken.jpg").write_bytes(b"")
    code, shown = terminal("index", flags, "--library", flags / "a")
    assert code == 0
    assert "4/4" in shown
    assert "images/s" in shown.split("indexed in")[0]
    assert "1 skipped" in shown.split("indexed in")[0]
    code, shown = terminal("index", flags, "--library", flags / "b", "--quiet")
    assert code == 0
    assert "4/4" not in shown
    assert "3 files indexed" in shown
    code, _, err = process("index", flags, "--library", flags / "c")
    assert (code, err) == (0, b"")


def test_indexing_waits_for_another_writer_and_says_for_whom(
    indexed: Path, paint: Paint, run: Run, writer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint("new.png", "white")
    monkeypatch.setenv("PIXSEEK_LOCK_TIMEOUT_S", "0.2")
    answer = run("index", indexed)
    assert answer.code == 5
    assert re.search(r"waiting for process \d+ \(", answer.err)
    assert str(writer) in answer.err
    assert re.search(r"written to by process \d+.*wait for it to finish", answer.err)


# search


def test_the_nearest_picture_comes_first_with_score_date_and_path(indexed: Path, run: Run) -> None:
    answer = run("search", "red")
    assert answer.code == 0
    assert answer.err == ""
    assert [row[0] for row in answer.rows] == ["1.000", "0.707", "0.000"]
    assert answer.names == ["red.png", "half.png", "blue.png"]
    changed = datetime.fromtimestamp((indexed / "red.png").stat().st_mtime)
    assert answer.rows[0][1:] == [str(changed.date()), str(indexed / "red.png")]


def test_paths_in_the_table_are_shown_as_seen_from_the_working_directory(
    indexed: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(indexed.parent)
    assert run("search", "red", "-k", "1").rows[0][2] == "photos/red.png"
    assert run("search", "red", "photos", "-k", "1").rows[0][2] == "photos/red.png"


def test_searching_a_folder_indexes_it_first_and_is_silent_when_in_step(
    flags: Path, run: Run, paint: Paint
) -> None:
    first = run("search", "red", flags)
    assert first.code == 0
    assert "brought in step: 3 added" in first.err
    assert first.names[0] == "red.png"
    again = run("search", "red", flags)
    assert (again.err, again.out) == ("", first.out)
    paint("redder.png", "red", size=(50, 50))
    (flags / "blue.png").unlink()
    later = run("search", "red", flags, "--all")
    assert "brought in step: 1 added, 1 removed" in later.err
    assert sorted(later.names) == ["half.png", "red.png", "redder.png"]


def test_no_sync_searches_a_folder_as_it_was_last_indexed(
    indexed: Path, run: Run, paint: Paint
) -> None:
    paint("new.png", "green")
    answer = run("search", "green", indexed, "--no-sync")
    assert "new.png" not in answer.names
    assert answer.err == "pixseek: nothing in this library matches; the nearest are\n"
    assert run("search", "green", indexed).names[0] == "new.png"


def test_no_sync_makes_no_library(flags: Path, run: Run, own_home: Path) -> None:
    answer = run("search", "red", flags, "--no-sync")
    assert answer.code == 4
    assert "there is no library" in answer.err
    assert not (own_home / "data").exists()


def test_only_pictures_in_the_folders_named_are_found(
    indexed: Path, run: Run, tmp_path: Path
) -> None:
    for name, colour in (("one", "white"), ("two", "green"), ("onerous", "yellow")):
        (tmp_path / name).mkdir()
        Image.new("RGB", (20, 20), colour).save(tmp_path / name / f"{colour}.png")
    run("index", tmp_path / "onerous")
    answer = run("search", "red", tmp_path / "one", tmp_path / "two")
    assert sorted(answer.names) == ["green.png", "white.png"]
    assert run("search", "red", tmp_path / "one").names == ["white.png"]
    assert run("search", "red", indexed).names == ["red.png", "half.png", "blue.png"]


def test_a_folder_above_the_library_holds_what_lies_beside_the_library(
    flags: Path, run: Run
) -> None:
    library = flags / "deep" / "library"
    assert run("index", flags, "--library", library).code == 0
    assert run("search", "red", flags, "--library", library).names[0] == "red.png"
    beside = flags.parent / "library"
    assert run("index", flags, "--library", beside).code == 0
    above = run("search", "red", flags.parent.parent, "--library", beside, "--no-sync")
    assert "red.png" in above.out, above.err


def test_a_copy_is_shown_by_its_path_in_the_folder_that_was_named(
    indexed: Path, run: Run, tmp_path: Path
) -> None:
    later = tmp_path / "zz"
    later.mkdir()
    shutil.copy(indexed / "red.png", later / "copy.png")
    shown = run("search", "red", later)
    assert shown.rows[0][2] == str(later / "copy.png")
    assert len(shown.rows) == 1


@pytest.mark.parametrize("option", ["--paths", "--print0", "--json"])
def test_a_copy_is_given_to_programs_by_its_path_in_the_folder_that_was_named(
    indexed: Path, run: Run, tmp_path: Path, option: str
) -> None:
    later = tmp_path / "zz"
    later.mkdir()
    shutil.copy(indexed / "red.png", later / "copy.png")
    out = run("search", "red", later, option).out
    path = json.loads(out)[0]["path"] if option == "--json" else out.strip("\n\0")
    assert path == str(later / "copy.png")


def test_like_finds_the_picture_itself_and_then_its_kind(indexed: Path, run: Run) -> None:
    answer = run("search", "--like", indexed / "half.png")
    assert answer.names[0] == "half.png"
    assert answer.rows[0][0] == "1.000"


@pytest.mark.usefixtures("indexed")
def test_like_takes_a_picture_that_is_not_in_the_library(run: Run, tmp_path: Path) -> None:
    Image.new("RGB", (70, 30), "blue").save(tmp_path / "other.png")
    assert run("search", "--like", tmp_path / "other.png", "-k", "1").names == ["blue.png"]
    assert "other.png" not in run("search", "--like", tmp_path / "other.png").out


def test_like_and_words_together_look_between_both(indexed: Path, run: Run) -> None:
    answer = run("search", "blue", "--like", indexed / "red.png")
    assert answer.names[0] == "half.png"


def test_like_with_a_folder_in_place_of_the_words_looks_in_that_folder(
    indexed: Path, run: Run, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    Image.new("RGB", (70, 30), "blue").save(other / "sea.png")
    answer = run("search", "--like", indexed / "red.png", other)
    assert "brought in step: 1 added" in answer.err
    assert answer.names == ["sea.png"]
    both = run("search", "blue", other, "--like", indexed / "red.png")
    assert both.names == ["sea.png"]


def test_a_mistyped_folder_is_an_error_that_names_it(indexed: Path, run: Run) -> None:
    answer = run("search", "red", indexed.with_name("phtos"))
    assert answer.code == 2
    assert str(indexed.with_name("phtos")) in answer.err
    assert answer.out == ""


def test_a_mistyped_folder_after_like_is_an_error_that_names_it(indexed: Path, run: Run) -> None:
    answer = run("search", "--like", indexed / "red.png", indexed.with_name("phtos"))
    assert answer.code == 2
    assert str(indexed.with_name("phtos")) in answer.err
    assert answer.out == ""


def test_a_file_where_a_folder_is_wanted_is_an_error_that_names_it(indexed: Path, run: Run) -> None:
    answer = run("search", "red", indexed / "blue.png")
    assert answer.code == 2
    assert str(indexed / "blue.png") in answer.err
    assert "folder" in answer.err


def test_words_without_quotes_are_told_to_take_quotes(indexed: Path, run: Run) -> None:
    answer = run("search", "sunset", "over", "water", indexed)
    assert answer.code == 2
    assert "'over'" in answer.err
    assert "quotes" in answer.err


@pytest.mark.usefixtures("indexed")
def test_count_and_offset_turn_the_pages(run: Run) -> None:
    assert run("search", "red", "-k", "2").names == ["red.png", "half.png"]
    assert run("search", "red", "--count", "1", "--offset", "1").names == ["half.png"]
    beyond = run("search", "red", "--offset", "3")
    assert (beyond.code, beyond.out) == (0, "")
    assert "nothing found" in beyond.err


def test_ten_hits_are_shown_when_no_count_is_given(photos: Path, run: Run) -> None:
    for side in range(10, 22):
        Image.new("RGB", (side, side), "red").save(photos / f"{side}.png")
    assert len(run("search", "red", photos, "--all").rows) == 10


def test_min_match_leaves_out_what_matches_less(indexed: Path, run: Run) -> None:
    found = json.loads(run("search", "red", "--json").out)
    assert [0 <= hit["match"] <= 1 for hit in found] == [True] * 3
    assert found[0]["match"] > 0.9 > 0.5 > found[-1]["match"]
    least = str(found[0]["match"] - 0.001)
    assert run("search", "red", "--min-match", least).names == ["red.png"]
    assert run("search", "red", "--min-match", "2").code == 2
    assert indexed.is_dir()


def test_a_search_for_what_is_not_there_says_so_and_shows_the_nearest(
    indexed: Path, run: Run
) -> None:
    answer = run("search", "green")
    assert answer.err == "pixseek: nothing in this library matches; the nearest are\n"
    assert len(answer.names) == 3
    assert run("search", "red", indexed, "--no-sync").err == ""


def test_alike_pictures_are_one_hit_unless_all_are_asked_for(
    flags: Path, paint: Paint, run: Run
) -> None:
    paint("red-again.png", "red", size=(50, 40))
    run("index", flags)
    first, *others = run("search", "red").out.splitlines()[1:]
    assert first.endswith(".png  (+1 alike)")
    assert len(others) == 2
    assert len(run("search", "red", "--all").names) == 4
    assert {hit["similar"] for hit in json.loads(run("search", "red", "--json").out)} == {0, 1}


def test_diverse_hits_begin_with_the_best(indexed: Path, run: Run) -> None:
    first, *others = run("search", "red", "--diverse").names
    assert (first, set(others)) == ("red.png", {"blue.png", "half.png"})
    assert indexed.is_dir()


def test_explain_says_why_each_hit_is_one(indexed: Path, run: Run) -> None:
    answer = run("search", "red", "-k", "1", "--explain", "--where", '{"format": "PNG"}')
    _, hit, why = answer.out.splitlines()
    assert hit.endswith("red.png")
    assert why.strip() == "'red' +1.000; has red (100% of the query); format is PNG"
    (half,) = json.loads(run("search", "name:half.png red", "--explain", "--json").out)
    assert half["why"]["parts"] == {"red": pytest.approx(half["score"], abs=1e-5)}
    region = half["why"]["region"]
    assert region["score"] > 0.99
    assert 0 <= region["left"] <= region["left"] + region["width"] <= 1.001
    assert indexed.is_dir()


@pytest.mark.usefixtures("indexed")
def test_min_score_leaves_out_what_is_farther(run: Run) -> None:
    assert run("search", "red", "--min-score", "0.7").names == ["red.png", "half.png"]
    assert run("search", "red", "--min-score", "-1").names == ["red.png", "half.png", "blue.png"]


def test_where_filters_by_what_the_files_say(indexed: Path, run: Run) -> None:
    assert run("search", "red", "--where", '{"name": {"$prefix": "b"}}').names == ["blue.png"]
    both = run("search", "red", indexed, "--where", '{"name": {"$ne": "red.png"}}')
    assert both.names == ["half.png", "blue.png"]
    assert run("search", "red", "--where", "{}").names[0] == "red.png"


def test_of_a_file_with_pages_the_best_is_shown_or_each_with_moments(
    photos: Path, run: Run
) -> None:
    pages = [Image.new("RGB", (60, 40), colour) for colour in ("white", "red")]
    pages[0].save(photos / "scan.tif", save_all=True, append_images=pages[1:])
    assert run("search", "red", photos).names == ["scan.tif @ page 2"]
    shown = run("search", "red", "--moments").out
    assert shown.count("scan.tif @ page") == 2


def test_json_has_id_score_path_and_times_in_iso_8601(photos: Path, run: Run) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif.get_ifd(0x8769)[0x9003] = "2020:06:01 12:30:00"
    path = photos / "taken.jpg"
    Image.new("RGB", (60, 40), "red").save(path, exif=exif)
    answer = run("search", "red", photos, "--json")
    (hit,) = json.loads(answer.out)
    assert set(hit) == {"id", "score", "match", "similar", "path", "metadata"}
    assert re.fullmatch("[0-9a-f]{32}", hit["id"])
    assert hit["score"] == pytest.approx(1.0, abs=1e-6)
    assert hit["path"] == str(path)
    assert hit["metadata"]["path"] == str(path)
    assert hit["metadata"]["taken"] == "2020-06-01T12:30:00"
    modified = datetime.fromisoformat(hit["metadata"]["modified"])
    assert modified.utcoffset() is not None
    assert modified.timestamp() == int(path.stat().st_mtime)
    assert (hit["metadata"]["width"], hit["metadata"]["year"]) == (60, 2020)
    assert run("search", "red").rows[0][1] == "2020-06-01"


@pytest.mark.usefixtures("indexed")
def test_json_and_paths_of_nothing_are_empty_for_the_next_program(run: Run) -> None:
    nothing = ("search", "red", "--where", '{"name": "no such name"}')
    assert json.loads(run(*nothing, "--json").out) == []
    assert run(*nothing, "--paths").out == ""
    assert run(*nothing, "--print0").out == ""
    assert run(*nothing).code == 0


def test_paths_are_absolute_and_one_a_line(indexed: Path, run: Run) -> None:
    names = ["red.png", "half.png", "blue.png"]
    assert run("search", "red", "--paths").out == "".join(f"{indexed / name}\n" for name in names)
    assert run("search", "red", "--print0").out == "".join(f"{indexed / name}\0" for name in names)


@pytest.mark.usefixtures("indexed")
def test_two_forms_of_output_at_once_are_refused(run: Run) -> None:
    answer = run("search", "red", "--json", "--paths")
    assert answer.code == 2
    assert "not allowed with" in answer.err


def test_a_file_name_cannot_send_the_terminal_anything(photos: Path, run: Run) -> None:
    evil = photos / "\x1b]0;owned\x07\x1b[2J\r\u202e\x9b31m\n.png"
    Image.new("RGB", (20, 20), "red").save(evil)
    (photos / "\x1b[31mbroken.png").write_bytes(b"")
    report = run("index", photos)
    table = run("search", "red")
    status = run("status", "--skipped")
    for printed in (report.out, table.out, status.out):
        assert all(character.isprintable() for character in printed.replace("\n", ""))
    assert r"\x1b]0;owned\x07" in table.out
    assert len(table.rows) == 1
    assert r"\x1b[31mbroken.png" in report.out
    assert r"\x1b[31mbroken.png" in status.out


@pytest.mark.usefixtures("writer")
def test_a_library_being_written_to_answers_with_a_note(
    indexed: Path, paint: Paint, run: Run
) -> None:
    paint("new.png", "green")
    before = time.monotonic()
    answer = run("search", "red", indexed)
    assert time.monotonic() - before < 5
    assert answer.code == 0
    assert re.search(r"process \d+ \(.*\) is indexing; searching what is there", answer.err)
    assert answer.names == ["red.png", "half.png", "blue.png"]
    assert re.search(r"^writing +process \d+", run("status").out, re.MULTILINE)
    assert json.loads(run("status", "--json").out)["writer"].startswith("process ")


def test_a_folder_that_cannot_be_listed_is_named_and_its_pictures_stay(
    indexed: Path, paint: Paint, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint("locked/green.png", "green")
    run("index")
    scandir = os.scandir

    def refused(path: str) -> Iterator[os.DirEntry[str]]:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr("pixseek.files.os.scandir", refused)
    answer = run("search", "green", indexed)
    assert answer.names[0] == "green.png"
    assert f"cannot be read now: {indexed / 'locked'}" in answer.err
    assert f"not there now, entries kept: {indexed / 'locked'}" in run("index").out


@pytest.mark.usefixtures("indexed")
def test_preview_outside_a_terminal_says_that_it_shows_no_pictures(run: Run) -> None:
    answer = run("search", "red", "--preview")
    assert answer.code == 0
    assert "shows no pictures" in answer.err
    assert answer.names[0] == "red.png"
    assert "\x1b" not in answer.out


@pytest.mark.usefixtures("indexed")
def test_preview_in_a_kitty_terminal_draws_each_picture_below_its_line() -> None:
    code, shown = terminal("search", "red", "--preview", "-k", "2", TERM="xterm-kitty")
    assert code == 0
    drawn = re.findall(r"(\w+\.png)\r\n((?:\x1b_G[^\x1b]*\x1b\\)+)", shown)
    assert [name for name, _ in drawn] == ["red.png", "half.png"]
    data = "".join(re.findall(r"\x1b_G[^;]*;([^\x1b]*)", drawn[0][1]))
    with Image.open(BytesIO(b64decode(data))) as picture:
        assert picture.convert("RGB").getpixel((5, 5)) == (255, 0, 0)
    plain = terminal("search", "red", "-k", "2", TERM="xterm-kitty")[1]
    assert "\x1b" not in plain


def test_preview_of_a_picture_that_has_gone_says_so_and_goes_on(indexed: Path) -> None:
    (indexed / "red.png").unlink()
    code, shown = terminal("search", "red", "--preview", "-k", "2", TERM="xterm-kitty")
    assert code == 0
    assert "no such path" in shown
    assert shown.count("\x1b_G") == 1
    assert "Traceback" not in shown


# status, remove, models


def test_status_says_where_the_library_is_and_what_it_holds(
    indexed: Path, run: Run, own_home: Path
) -> None:
    shutil.copy(indexed / "red.png", indexed / "copy.png")
    (indexed / "broken.jpg").write_bytes(b"")
    run("index")
    answer = run("status")
    assert answer.code == 0
    library = own_home / "data" / "pixseek" / "library"
    for line in (
        rf"library +{re.escape(str(library))} \([\d.]+ MB\)",
        r"model +palette \(11 dimensions, fingerprint basic-colour\)",
        r"store +local",
        r"pictures +3 in 4 files",
        rf"folder +{re.escape(str(indexed))}: 4 files",
        r"skipped +1 file",
    ):
        assert re.search(f"^{line}$", answer.out, re.MULTILINE), line
    assert "writing" not in answer.out


def test_status_json_holds_the_same_and_every_skipped_file(indexed: Path, run: Run) -> None:
    (indexed / "broken.jpg").write_bytes(b"")
    run("index")
    status = json.loads(run("status", "--json").out)
    assert (status["items"], status["files"], status["writer"]) == (3, 3, None)
    assert status["space"]["model"] == "palette"
    assert status["folders"] == [{"path": str(indexed), "files": 3, "present": True}]
    assert [one["path"] for one in status["skipped"]] == [str(indexed / "broken.jpg")]
    assert status["size_bytes"] > 0


def test_remove_takes_a_file_out_until_it_is_indexed_by_name(indexed: Path, run: Run) -> None:
    answer = run("remove", indexed / "red.png")
    assert (answer.code, answer.out) == (0, "removed 1 file from the library\n")
    assert (indexed / "red.png").exists()
    assert run("search", "red", indexed).names == ["half.png", "blue.png"]
    run("index", indexed / "red.png")
    assert run("search", "red").names == ["red.png", "half.png", "blue.png"]


def test_remove_takes_whole_folders_and_several_paths(
    indexed: Path, run: Run, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    Image.new("RGB", (20, 20), "green").save(other / "green.png")
    run("index", other)
    assert run("remove", indexed, other / "green.png").out.startswith("removed 4 files")
    assert run("search", "red").out == ""


def test_remove_where_takes_what_passes_the_filter(indexed: Path, run: Run) -> None:
    answer = run("remove", "--where", '{"name": {"$in": ["red.png", "half.png"]}}')
    assert answer.out == "removed 2 files from the library\n"
    assert run("search", "red", indexed).names == ["blue.png"]


def test_offline_a_model_that_is_not_here_is_refused_with_the_ways_out(
    flags: Path, run: Run
) -> None:
    for command in (("index", flags, "--model"), ("models", "pull")):
        answer = run(*command, "siglip2-b-16", "--offline")
        assert answer.code == EXIT_CODES[errors.ModelNotFetched]
        assert "Three ways out" in answer.err


def test_index_passes_over_what_is_excluded_and_takes_what_is_included(
    flags: Path, run: Run
) -> None:
    run("index", flags, "--exclude", "*.png", "--include", "red.*")
    assert run("search", "red").names == ["red.png"]
    assert "rule      *.png\nrule      !red.*\n" in run("status").out


@pytest.mark.usefixtures("indexed")
def test_switch_gives_the_library_another_model(run: Run) -> None:
    answer = run("switch", "pocket", "--keep", "--quiet", "--workers", "1")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(
        "the library answers by pocket now; before, by palette\n  3 pictures"
    )
    assert "pocket (512 dimensions" in run("status").out
    assert "kept      vectors by palette (pixseek switch palette)" in run("status").out
    report = json.loads(run("switch", "palette", "--json").out)
    assert (report["after"], report["encoded"], report["switched"]) == ("palette", 0, True)
    assert run("search", "red").names == ["red.png", "half.png", "blue.png"]


def test_move_takes_the_librarys_vectors_to_another_store(
    indexed: Path, run: Run, tmp_path: Path
) -> None:
    answer = run("move", "--to", f"local:{tmp_path / 'copy'}", "--from", _library(run), "--quiet")
    assert answer.code == 0
    assert run("move", "--to", "local:sets/second", "--drop", "--exact", "--json").code == 0
    assert run("search", "red", indexed).names == ["red.png", "half.png", "blue.png"]


def _library(run: Run) -> str:
    return f"local:{json.loads(run('status', '--json').out)['path']}"


def test_a_query_is_a_line_of_the_language_unless_it_is_plain(indexed: Path, run: Run) -> None:
    assert run("search", "red -name:red", "-k", "1").names == ["half.png"]
    assert run("search", "red -blue", "-k", "1").names == ["red.png"]
    either = run("search", "red OR blue", indexed, "--min-score", "0.9")
    assert sorted(either.names) == ["blue.png", "red.png"]
    assert run("search", "name:half ext:png").names == ["half.png"]
    assert run("search", f'like:"{indexed}/blue.png"', "-k", "1").names == ["blue.png"]
    assert run("search", "red -name:red", "-k", "1", "--plain").names == ["red.png"]
    inside = f"in:'{indexed}' -name:half"
    assert "half.png" not in run("search", inside, "--like", indexed / "half.png").names
    assert run("search", "--", "-red", "-k", "1").code == 2  # folders named -k and 1
    assert run("search", "-k", "1", "--", "-red").names == ["blue.png"]


def test_a_query_that_is_not_understood_is_pointed_at(indexed: Path, run: Run) -> None:
    answer = run("search", "red camra:iphone", indexed)
    assert answer.code == 2
    assert answer.out == ""
    assert "did you mean camera:?" in answer.err
    assert answer.err.splitlines()[-2:] == ["    red camra:iphone", "        ^"]


def test_search_by_exact_words_finds_only_pictures_that_have_them(flags: Path, run: Run) -> None:
    run("index", flags, "--quiet")
    assert run("search", "--words", "no such word").out == ""


@pytest.mark.usefixtures("indexed")
def test_label_gives_pictures_labels_of_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("red\nblue\n")
    answer = run(
        "label", "--labels", tmp_path / "labels.txt", "--top", "1", "--threshold", "0.2", "--json"
    )
    assert answer.code == 0
    assert run("search", "red", "--where", '{"labels": "red"}', "-k", "1").names == ["red.png"]


@pytest.mark.usefixtures("indexed")
def test_caption_names_the_extra_that_it_needs(run: Run) -> None:
    answer = run("caption", "--model", "large", "--prompt", "a photo of", "--again", "--quiet")
    assert answer.code == 6
    assert "pip install 'pixseek[captions]'" in answer.err


def test_index_reads_the_text_in_pictures_when_asked(flags: Path, run: Run) -> None:
    answer = run("index", flags, "--ocr", "--json")
    assert answer.code == 0
    assert json.loads(answer.out)["texts"]["described"] == 3


def test_doctor_finds_and_mends_what_is_wrong(indexed: Path, run: Run) -> None:
    assert run("doctor").out == "3 pictures looked at, 0 problems\n"
    library = Path(json.loads(run("status", "--json").out)["path"])
    with closing(sqlite3.connect(library / "library.db")) as connection, connection:
        connection.execute("DELETE FROM blocks")
    answer = run("doctor")
    assert answer.code == 1
    assert "codes are not those of the vectors (pixseek doctor --repair)" in answer.out
    report = json.loads(run("doctor", "--repair", "--json").out)
    assert [one["repaired"] for one in report["problems"]] == [True]
    assert run("doctor").code == 0
    assert run("search", "red", indexed).names[0] == "red.png"


def test_backup_and_restore_bring_a_library_back(indexed: Path, run: Run, tmp_path: Path) -> None:
    answer = run("backup", tmp_path / "copy")
    assert answer.out.startswith(f"wrote {tmp_path / 'copy'} (")
    run("remove", indexed)
    assert run("restore", tmp_path / "copy").code == 4
    assert run("restore", tmp_path / "copy", "--replace").code == 0
    assert run("search", "red").names == ["red.png", "half.png", "blue.png"]


def test_switch_names_what_cannot_be_read_and_leaves_it_out_when_told(
    indexed: Path, run: Run
) -> None:
    (indexed / "red.png").rename(indexed.parent / "red.png")
    answer = run("switch", "pocket")
    assert answer.code == 1
    assert "still answers by palette" in answer.out
    assert f"    {indexed / 'red.png'}: No such file" in answer.out
    assert "with --leave-out to go on without them" in answer.out
    answer = run("switch", "pocket", "--leave-out")
    assert answer.code == 0
    assert "1 picture left out:" in answer.out


def test_models_are_measured_when_asked(run: Run) -> None:
    answer = run("models", "--bench", "palette")
    assert answer.code == 0
    (row,) = [line for line in answer.out.splitlines() if line.startswith("palette")]
    assert float(row.split()[-2].replace(",", "")) > 0


def test_models_are_listed_with_licence_and_the_default_is_marked(run: Run) -> None:
    answer = run("models")
    assert answer.code == 0
    lines = {line.split()[0]: line for line in answer.out.splitlines() if line}
    assert {"pocket", "palette", "clip-vit-b-32", "siglip2-b-32"} <= set(lines)
    rows = json.loads(run("models", "--json").out)
    assert [row["name"] for row in rows if row["default"]] == ["palette"]  # the setting names it
    assert all(row["licence"] and row["languages"] and row["summary"] for row in rows)


# where the library is


def test_the_environment_names_the_library_and_the_argument_wins(
    flags: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIXSEEK_LIBRARY", str(tmp_path / "from environment"))
    run("index", flags / "red.png")
    run("index", flags / "blue.png", "--library", tmp_path / "from argument")
    assert (tmp_path / "from environment" / "library.db").exists()
    assert run("search", "red").names == ["red.png"]
    for command in (["search", "red"], ["search", "red", "--no-sync"]):
        found = run(*command, "--library", tmp_path / "from argument")
        assert found.names == ["blue.png"]
    assert str(tmp_path / "from argument") in run(
        "status", "--library", tmp_path / "from argument"
    ).out.replace("\n", "")
    run("remove", flags / "blue.png", "--library", tmp_path / "from argument")
    assert run("search", "red", "--library", tmp_path / "from argument").out == ""
    assert run("search", "red").names == ["red.png"]


def test_a_library_beside_the_photos_moves_with_them(flags: Path, run: Run, tmp_path: Path) -> None:
    run("index", flags, "--library", flags / ".pixseek")
    moved = tmp_path / "elsewhere"
    flags.rename(moved)
    answer = run("search", "red", moved, "--library", moved / ".pixseek")
    assert answer.err == ""
    assert answer.rows[0][2] == str(moved / "red.png")


# errors


@dataclass(frozen=True)
class Wrong:
    """A wrong command line, and what its error must say."""

    error: type[errors.PixseekError]
    arguments: tuple[str, ...]
    says: tuple[str, ...]
    environ: tuple[tuple[str, str], ...] = ()


WRONG = {
    "an empty query": Wrong(errors.InvalidQuery, ("search", " "), ("empty", "expected words")),
    "no query": Wrong(errors.InvalidQuery, ("search",), ("empty", "expected words")),
    "no hits wanted": Wrong(errors.InvalidQuery, ("search", "x", "-k", "0"), ("k is 0", "least 1")),
    "an offset below none": Wrong(
        errors.InvalidQuery, ("search", "x", "--offset", "-1"), ("-1", "expected")
    ),
    "nothing to remove": Wrong(errors.InvalidQuery, ("remove",), ("expected paths, or --where",)),
    "a filter that is not JSON": Wrong(
        errors.InvalidFilter, ("search", "x", "--where", "year=2019"), ("year=2019", "not JSON")
    ),
    "a filter that is a list": Wrong(
        errors.InvalidFilter, ("search", "x", "--where", "[1]"), ("[1]", "JSON object", "year")
    ),
    "an unknown operator": Wrong(
        errors.InvalidFilter, ("remove", "--where", '{"year": {"$more": 1}}'), ("$more", "$gte")
    ),
    "a time that is none": Wrong(
        errors.InvalidFilter,
        ("search", "x", "--where", '{"taken": {"$gt": "summer"}}'),
        ("summer", "2023-06-01"),
    ),
    "workers that are no number": Wrong(
        errors.InvalidSetting, ("index", ".", "--workers", "many"), ("'many'", "whole number")
    ),
    "workers below none": Wrong(
        errors.InvalidSetting, ("index", ".", "--workers", "-2"), ("-2", "at least 0")
    ),
    "a setting in the environment": Wrong(
        errors.InvalidSetting,
        ("status",),
        ("'lots'", "PIXSEEK_MEMORY_MB", "Correct it there"),
        (("PIXSEEK_MEMORY_MB", "lots"),),
    ),
    "a folder that is not there": Wrong(
        errors.MissingPath, ("index", "/no/such/folder"), ("/no/such/folder", "Check the spelling")
    ),
    "an example that is not there": Wrong(
        errors.MissingPath, ("search", "--like", "/no/x.jpg"), ("/no/x.jpg", "Check the spelling")
    ),
    "an example that is no picture": Wrong(
        errors.UnreadableImage, ("search", "--like", __file__), (__file__, "Open it")
    ),
    "an example that is a folder": Wrong(
        errors.UnreadableImage, ("search", "--like", str(SOURCE)), (str(SOURCE), "directory")
    ),
    "another model": Wrong(
        errors.ModelMismatch, ("index", "--model", "pocket"), ("palette", "pocket", "Leave")
    ),
    "another store": Wrong(
        errors.StoreMismatch, ("index", "--store", "memory"), ("'local'", "'memory'", "Leave")
    ),
    "a model nobody knows": Wrong(
        errors.UnknownModel,
        ("index", ".", "--model", "clipp", "--library", "{new}"),
        ("'clipp'", "pocket", "pixseek models"),
    ),
    "a store nobody knows": Wrong(
        errors.UnknownStore,
        ("index", ".", "--store", "oracle", "--library", "{new}"),
        ("'oracle'", "local", "memory"),
    ),
    "a library that is not there": Wrong(
        errors.LibraryNotFound,
        ("search", "x", "--library", "{new}"),
        ("no library", "{new}", "pixseek index FOLDER", "--library"),
    ),
    "the status of a library that is not there": Wrong(
        errors.LibraryNotFound, ("status", "--library", "{new}"), ("{new}", "pixseek index FOLDER")
    ),
    "removing from a library that is not there": Wrong(
        errors.LibraryNotFound,
        ("remove", "x", "--library", "{new}"),
        ("{new}", "pixseek index FOLDER"),
    ),
    "a library that is a file": Wrong(
        errors.LibraryDamaged, ("index", ".", "--library", __file__), (__file__, "Check")
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_command_is_told_what_happened_and_what_to_do(
    case: str, indexed: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong, new = WRONG[case], str(tmp_path / "new")
    for name, value in wrong.environ:
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(indexed)
    answer = run(*(one.replace("{new}", new) for one in wrong.arguments))
    assert answer.code == EXIT_CODES[wrong.error]
    assert answer.out == ""
    assert re.fullmatch(r"pixseek: .+\n", answer.err)
    for piece in wrong.says:
        assert piece.replace("{new}", new) in answer.err


def _sql(home: Path, statement: str) -> None:
    with closing(sqlite3.connect(home / "data" / "pixseek" / "library" / "library.db")) as database:
        database.execute(statement)
        database.commit()


def test_a_library_of_a_newer_version_is_refused_with_both_formats(
    indexed: Path, run: Run, own_home: Path
) -> None:
    _sql(own_home, "PRAGMA user_version = 99")
    for command in (["search", "red"], ["search", "red", indexed], ["index"], ["status"]):
        answer = run(*command)
        assert answer.code == EXIT_CODES[errors.LibraryTooNew]
        assert re.search(r"format 99; .* up to 1\. Upgrade pixseek", answer.err)


def test_a_library_file_of_garbage_is_refused_and_left_as_it_is(run: Run, own_home: Path) -> None:
    file = own_home / "data" / "pixseek" / "library" / "library.db"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"garbage" * 1000)
    answer = run("search", "red")
    assert answer.code == EXIT_CODES[errors.LibraryDamaged]
    assert str(file) in answer.err
    assert "index again" in answer.err
    assert file.read_bytes() == b"garbage" * 1000


def test_vectors_of_other_weights_are_refused(indexed: Path, run: Run, own_home: Path) -> None:
    _sql(own_home, "UPDATE space SET fingerprint = 'older'")
    for command in (["search", "red"], ["search", "--like", indexed / "red.png"]):
        answer = run(*command)
        assert answer.code == EXIT_CODES[errors.ModelMismatch]
        assert "fingerprint older)" in answer.err
        assert "basic-colour" in answer.err


def test_a_model_without_its_files_says_so(
    flags: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PocketEncoder.__init__, "__defaults__", (tmp_path / "no weights",))
    answer = run("index", flags, "--model", "pocket")
    assert answer.code == EXIT_CODES[errors.ModelUnavailable]
    assert "'pocket'" in answer.err
    assert "Reinstall" in answer.err


def test_a_store_whose_extra_is_not_installed_says_how_to_install_it(
    flags: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(STORES, "far", StoreEntry("no_such_package_of_ours", "Far", "far"))
    answer = run("index", flags, "--store", "far")
    assert answer.code == EXIT_CODES[errors.MissingExtra]
    assert "pip install 'pixseek[far]'" in answer.err


def test_a_settings_file_that_is_wrong_is_named(run: Run, own_home: Path) -> None:
    file = own_home / "config" / "pixseek" / "pixseek.toml"
    file.parent.mkdir(parents=True)
    for text in ("workers = [", 'wrokers = "2"', "workers = 1.5"):
        file.write_text(text)
        answer = run("status")
        assert answer.code == EXIT_CODES[errors.InvalidSetting]
        assert str(file) in answer.err
        assert "expected" in answer.err


def _raised(error: errors.PixseekError) -> Callable[[argparse.Namespace], int]:
    def command(_: argparse.Namespace) -> int:
        raise error

    return command


@pytest.mark.parametrize("kind", EXIT_CODES)
def test_every_error_becomes_its_exit_code_and_one_line(
    kind: type[errors.PixseekError], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = kind.__new__(kind)
    Exception.__init__(error, "what happened. What to do.")
    monkeypatch.setattr(commands, "run", _raised(error))
    answer = run("models")
    assert answer.code == EXIT_CODES[kind] > 0
    assert (answer.out, answer.err) == ("", "pixseek: what happened. What to do.\n")


def test_an_error_that_a_store_of_strangers_derives_from_ours_is_printed_like_ours(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    class ServerAway(errors.StoreError):
        """As a store under the entry points may define it."""

    monkeypatch.setattr(commands, "run", _raised(ServerAway("the server is away; start it.")))
    answer = run("models")
    assert answer.code == EXIT_CODES[errors.StoreError]
    assert answer.err == "pixseek: the server is away; start it.\n"


ODD = {
    "a long query beside an example": ("search", "word " * 100, "--like", "red.png"),
    "a long word in place of a folder": ("search", "red", "x" * 300),
    "a long path to index": ("index", "x" * 300),
    "a home of nobody to index": ("index", "~nobody-of-this-name/photos"),
    "a home of nobody as an example": ("search", "--like", "~nobody-of-this-name/x.jpg"),
    "a home of nobody as the library": ("status", "--library", "~nobody-of-this-name/x"),
    "a home of nobody in a filter": (
        "search",
        "red",
        "--where",
        '{"folder": "~nobody-of-this-name/x"}',
    ),
    "a home of nobody to remove": ("remove", "~nobody-of-this-name/x"),
    "a number beyond all floats": ("search", "red", "--where", '{"size": 1' + "0" * 400 + "}"),
    "a filter a thousand deep": (
        "search",
        "red",
        "--where",
        '{"$not":' * 1000 + '{"size": 1}' + "}" * 1000,
    ),
    "half a character in a filter": ("search", "red", "--where", '{"name": "\\ud800"}'),
    "a year beyond all calendars": (
        "search",
        "red",
        "--where",
        '{"modified": {"$lt": "9999-12-31T23:59:59+00:00"}}',
    ),
}


@pytest.mark.parametrize("case", ODD)
def test_an_odd_argument_is_answered_or_refused_but_never_crashes(
    case: str, indexed: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(indexed)
    answer = run(*ODD[case])
    assert answer.code in {0, *EXIT_CODES.values()}
    if answer.code:
        assert answer.err.startswith("pixseek: ")


def test_a_settings_file_in_another_encoding_is_named(run: Run, own_home: Path) -> None:
    file = own_home / "config" / "pixseek" / "pixseek.toml"
    file.parent.mkdir(parents=True)
    file.write_bytes('model = "größe"'.encode("latin-1"))
    answer = run("status")
    assert answer.code == EXIT_CODES[errors.InvalidSetting]
    assert str(file) in answer.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("search", "red", "-k", "many"),
        ("search", "red", "--min-score", "high"),
        ("search", "red", "--bogus"),
        ("index", "--strict=yes"),
        ("models", "surplus"),
    ],
)
def test_a_wrong_argument_is_named_below_the_usage(arguments: tuple[str, ...], run: Run) -> None:
    answer = run(*arguments)
    assert (answer.code, answer.out) == (2, "")
    usage, error = answer.err.rsplit("\npixseek", 1)
    assert usage.startswith("usage: pixseek")
    assert arguments[-1].partition("=")[0] in error


def test_times_that_are_none_are_refused_before_anything_is_watched(run: Run, flags: Path) -> None:
    for option, value in [("--delay", "-1"), ("--rescan", "inf"), ("--delay", "nan")]:
        refused = run("watch", flags, option, value)
        assert refused.code == 2
        assert f"{option} is {float(value)}; expected seconds" in refused.err


def test_no_command_and_an_unknown_command_are_wrong_arguments(run: Run) -> None:
    assert run().code == 2
    unknown = run("serach", "red")
    assert unknown.code == 2
    assert "search" in unknown.err


def test_all_that_is_found_is_exported_copied_linked_tagged_and_saved(
    indexed: Path, run: Run, tmp_path: Path
) -> None:
    table, copies, links = tmp_path / "t.csv", tmp_path / "copies", tmp_path / "links"
    placing = ("--copy-to", copies, "--link-to", links, "--hard")
    done = run("search", "red", "-k", "2", "--export", table, *placing, "--tag", "flag")
    assert done == Answer(
        0,
        "tags of 2 pictures changed\n"
        f"2 files copied to {copies}\n2 files linked in {links}\nwrote 2 hits to {table}\n",
        "",
    )
    assert (links / "red.png").samefile(indexed / "red.png")
    assert run("search", "tag:flag", "--write-xmp").out == "tags written beside 2 files\n"
    assert (indexed / "red.png.xmp").is_file()
    assert run("search", "red", "-k", "1", "--untag", "flag").code == 0
    assert run("save", "flags", "tag:flag").code == 0
    assert run("search", "@flags").names == ["half.png"]
    assert run("saved").out == "@flags  tag:flag\n"
    assert run("saved", "--remove", "flags").out == ""
    queries = tmp_path / "queries.tsv"
    queries.write_text(f"red\t{indexed / 'red.png'}\n")
    assert run("eval", queries).out.splitlines()[1] == "      1  red"


def test_help_of_every_command_names_each_of_its_options(run: Run) -> None:
    assert run("--help").code == 0
    for command, options in _options().items():
        shown = run(command, "--help")
        assert shown.code == 0
        assert all(option in shown.out for option in options)


def _options() -> dict[str, set[str]]:
    """command → its options, as the parser has them."""
    (commands_of,) = (
        action
        for action in build_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    return {
        name: {option for action in parser._actions for option in action.option_strings}
        for name, parser in commands_of.choices.items()
    }


def test_every_command_and_option_is_tried_in_this_file() -> None:
    text = Path(__file__).read_text()
    for command, options in _options().items():
        assert f'"{command}"' in text
        assert [option for option in options - {"-h"} if f'"{option}"' not in text] == []


# pictures that are alike


@pytest.fixture
def album(run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three photographs, indexed; one is there twice and another a second time, smaller."""
    monkeypatch.setenv("PIXSEEK_MODEL", "pocket")
    for name in ("photo-01.jpg", "photo-03.jpg", "photo-07.jpg"):
        shutil.copy(SAMPLES / name, photos)
    shutil.copy(SAMPLES / "photo-01.jpg", photos / "twice in here.jpg")
    with Image.open(SAMPLES / "photo-03.jpg") as image:
        image.resize((341, 512)).save(photos / "half.jpg")
    assert run("index", photos, "--quiet").code == 0
    return photos


def test_dupes_are_listed_and_nothing_changes(run: Run, album: Path) -> None:
    before = sorted(album.iterdir())
    found = run("dupes", album, "--quiet")
    assert (found.code, found.err) == (0, "")
    assert f"exact  {album / 'twice in here.jpg'} (" in found.out
    assert f"near   {album / 'half.jpg'} (341x512 JPEG), 1.00 alike" in found.out
    assert "it has the most pixels" in found.out
    assert "2 pictures with 2 copies to spare" in found.out
    assert "half.jpg" not in run("dupes", "--exact").out
    assert "twice" not in run("dupes", "--near").out
    rows = json.loads(run("dupes", "--json").out)
    assert len(rows["groups"]) == 2
    assert {copy["kind"] for group in rows["groups"] for copy in group["copies"]} == {
        "exact",
        "near",
    }
    assert sorted(album.iterdir()) == before


def test_dupes_move_or_become_links_only_when_told(run: Run, album: Path, tmp_path: Path) -> None:
    linked = run("dupes", "--link")
    assert "linked 1 file" in linked.out
    assert (album / "twice in here.jpg").samefile(album / "photo-01.jpg")
    moved = json.loads(run("dupes", "--move-to", tmp_path / "away", "--json").out)
    assert [Path(one["before"]).name for one in moved["done"]["settled"]] == ["half.jpg"]
    assert (tmp_path / "away" / "half.jpg").is_file()
    assert "no copies found" in run("dupes").err
    assert run("dupes", "--link", "--near").code == 2
    assert run("dupes", "--link", "--move-to", tmp_path).code == 2
    assert run("dupes", tmp_path / "none").code == 2
    assert run("dupes", "--library", tmp_path / "none").code == 4


def test_dupes_name_what_cannot_be_read_or_touched(run: Run, album: Path, tmp_path: Path) -> None:
    (album / "half.jpg").write_bytes(b"other")
    found = run("dupes", "--move-to", tmp_path / "away")
    assert found.code == 0
    assert "1 could not be compared" in found.err
    assert "half.jpg: it has changed since it was indexed" in found.err
    assert "moved 1 file" in found.out


def test_similar_pictures_leave_out_the_one_asked_about(run: Run, album: Path) -> None:
    found = run("similar", album / "photo-03.jpg", "--count", "2")
    assert (found.code, found.names[0], len(found.names)) == (0, "half.jpg", 2)
    everything = run("similar", album / "photo-03.jpg", "--paths").out.splitlines()
    assert len(everything) == 3
    offset = run("similar", album / "photo-03.jpg", "--paths", "--offset", "1", "-k", "1").out
    assert offset.splitlines() == everything[1:2]
    where = run("similar", album / "photo-03.jpg", "--where", '{"width": 341}', "--json").out
    assert [Path(row["path"]).name for row in json.loads(where)] == ["half.jpg"]
    assert process("similar", album / "photo-03.jpg", "--print0", "-k", "1")[1].endswith(b".jpg\0")
    assert "half.jpg" in run("similar", album / "photo-03.jpg", "--preview", "-k", "1").out
    nothing = run("similar", album / "photo-03.jpg", "--where", '{"width": 1}')
    assert (nothing.code, "nothing found" in nothing.err) == (0, True)
    assert run("similar", album / "none.jpg").code == 2


def test_clusters_have_words_sizes_and_a_picture(run: Run, album: Path) -> None:
    shown = run("clusters", "-k", "2")
    assert shown.code == 0
    assert len(shown.out.splitlines()) == 3
    assert str(album) in shown.out
    rows = json.loads(run("clusters", "--groups", "2", "--json").out)
    assert sum(row["size"] for row in rows) == 4
    assert all(row["name"] and len(row["ids"]) == row["size"] for row in rows)
    assert "no pictures to group" in run("clusters", "--where", '{"width": 1}').err
    assert run("clusters", "-k", "0").code == 2


# real processes


def test_version_is_the_package_s() -> None:
    assert process("--version") == (0, f"pixseek {pixseek.__version__}\n".encode(), b"")


def test_serve_answers_until_it_is_interrupted(photos: Path, paint: Paint, tmp_path: Path) -> None:
    paint("red.png", "red")
    library = tmp_path / "library"
    assert process("index", photos, "--library", library)[0] == 0
    child = started(
        *("serve", "--library", library, "--host", "127.0.0.1", "--port", "0"),
        *("--token", "secret", "--allow-write", "--open"),
        stderr=subprocess.PIPE,
        environ={"BROWSER": "true"},  # a program that does nothing
    )
    assert child.stderr is not None
    line = child.stderr.readline().decode()
    url = re.search(r"http://127\.0\.0\.1:\d+/", line)
    assert url is not None, line
    assert line.endswith("/login?token=secret (Ctrl-C ends it)\n")
    with Client(url[0], "secret") as client:
        assert client.search("red").hits[0].path.name == "red.png"
        assert client.index()["unchanged"] == 1
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (0, b"")


def test_serve_and_mcp_need_a_library_and_a_port(tmp_path: Path, photos: Path) -> None:
    for command in ("serve", "mcp"):
        code, _, err = process(command, "--library", tmp_path / "none")
        assert (code, b"there is no library" in err) == (4, True)
    assert process("index", photos, "--library", tmp_path / "library")[0] == 0
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, _, err = process("serve", "--library", tmp_path / "library", "--port", port)
    assert (code, b"choose another --port" in err) == (8, True)
    assert process("serve", "--library", tmp_path / "library", "--port", "70000")[0] == 8
    assert process("serve", "--port", "many")[0] == 2


def test_any_file_name_reaches_the_next_program_whole(photos: Path) -> None:
    folder = os.fsencode(photos)
    names = [b"new\nline.png", b"\xff\xfe undecodable \xe9.png", "日本 🐈.png".encode()]
    for number, name in enumerate(names):
        Image.new("RGB", (20 + number, 20), "red").save(photos / os.fsdecode(name))
    expected = {folder + b"/" + name for name in names}
    code, out, err = process("search", "red", photos, "--print0")
    assert (code, set(out.split(b"\0"))) == (0, expected | {b""})
    assert err == b"pixseek: brought in step: 3 added\n"
    assert out.endswith(b"\0")
    code, out, err = process("search", "red", photos, "--paths")
    assert (code, err) == (0, b"")
    assert all(name + b"\n" in out for name in expected)
    assert len(out) == sum(len(name) + 1 for name in expected)
    code, out, _ = process("search", "red", photos, "--json", "--all")
    assert {os.fsencode(hit["path"]) for hit in json.loads(out)} == expected
    code, out, _ = process("search", "red", photos, "--all")
    assert (code, out.count(b"\n")) == (0, 4)
    assert rb"\udcff\udcfe undecodable \udce9.png" in out
    assert rb"new\nline.png" in out


def test_an_undecodable_path_can_be_given_on_the_command_line(photos: Path) -> None:
    inside = os.fsencode(photos) + b"/\xff"
    Path(os.fsdecode(inside)).mkdir()
    Image.new("RGB", (20, 20), "red").save(Path(os.fsdecode(inside + b"/red.png")))
    code, out, _ = process("search", "red", inside, "--paths")
    assert (code, out) == (0, inside + b"/red.png\n")
    code, _, err = process("index", inside + b"/none")
    assert code == EXIT_CODES[errors.MissingPath]
    assert rb"\udcff/none" in err


def test_words_that_are_no_unicode_are_answered_by_the_real_model(photos: Path) -> None:
    shutil.copy(SAMPLES / "photo-01.jpg", photos)
    code, _, err = process("search", b"a dog \xff", photos, PIXSEEK_MODEL="pocket")
    assert code in (0, EXIT_CODES[errors.InvalidQuery]), err


def test_a_terminal_or_file_that_cannot_show_a_character_gets_an_escape(photos: Path) -> None:
    Image.new("RGB", (20, 20), "red").save(photos / "日本.png")
    code, out, _ = process("search", "red", photos, PYTHONIOENCODING="ascii")
    assert code == 0
    assert out.splitlines()[1].endswith(b".png")


def test_a_reader_that_stops_early_is_no_error(photos: Path, run: Run) -> None:
    for number in range(30):
        Image.new("RGB", (10 + number, 10), "red").save(photos / f"{'x' * 200}{number}.png")
    run("index", photos)
    pipe = subprocess.PIPE
    child = started("search", "red", "-k", "30", "--json", stdout=pipe, stderr=pipe)
    head = subprocess.run(
        ["head", "-1"], stdin=child.stdout, capture_output=True, timeout=60, check=True
    )
    assert head.stdout == b"[\n"
    code, _, err = finished(child)
    assert (code, err) == (0, b"")


@pytest.mark.parametrize(
    "arguments", [["search", "red"], ["search", "red", "--paths"], ["status"], ["--help"]]
)
@pytest.mark.usefixtures("indexed")
def test_a_reader_that_is_gone_before_the_first_line_is_no_error(arguments: list[str]) -> None:
    reader, end = os.pipe()
    os.close(reader)
    child = started(*arguments, stdout=end, stderr=subprocess.PIPE)
    os.close(end)
    code, _, err = finished(child)
    assert (code, err) == (0, b"")


@pytest.mark.usefixtures("indexed")
def test_a_full_disk_behind_the_output_is_an_error_and_no_traceback() -> None:
    with Path("/dev/full").open("wb") as full:
        code, _, err = finished(started("search", "red", stdout=full, stderr=subprocess.PIPE))
    assert code != 0
    assert b"No space left" in err


@pytest.mark.usefixtures("writer")
def test_interrupting_returns_130_and_says_that_the_next_run_goes_on(
    indexed: Path, paint: Paint
) -> None:
    paint("new.png", "white")
    child = started("index", indexed, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stderr is not None
    assert b"waiting for process" in child.stderr.readline()
    child.send_signal(signal.SIGINT)
    code, out, err = finished(child)
    assert (code, out) == (130, b"")
    assert b"interrupted" in err
    assert b"run the same command to go on" in err


def test_interrupted_work_goes_on_at_the_next_run(
    indexed: Path, paint: Paint, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: object, progress: Progress) -> None:
        if progress.done:
            raise KeyboardInterrupt

    paint("new.png", "white")
    with monkeypatch.context() as patch:
        patch.setattr(ProgressBar, "show", interrupted)
        answer = run("index", indexed)
    assert answer.code == 130
    assert "What was reported as indexed is kept" in answer.err
    assert run("search", "white", "-k", "1").names == ["new.png"]
    assert "nothing to do; 4 unchanged" in run("index").out


def test_exit_codes_reach_the_shell(flags: Path, tmp_path: Path) -> None:
    (flags / "broken.jpg").write_bytes(b"")
    assert process("index", flags, "--strict")[0] == 1
    assert process("search", "--like", flags / "broken.jpg")[0] == 3
    assert process("status", "--library", tmp_path / "none")[0] == 4
