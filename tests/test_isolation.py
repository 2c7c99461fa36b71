"""A decoder that crashes or hangs costs its file: it is named, with the reason; all else goes on.

The decoders in question are real code that really crashes (tests/deadly.py), in real processes.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from tests.conftest import Paint
from tests.deadly import asked_in, deadly_decoders, jpeg, ppm

import pixseek
from pixseek import ImageSearchEngine, isolation, reader
from pixseek.errors import UnreadableImage
from pixseek.isolation import plain
from pixseek.records import USUAL, Bounds
from pixseek.settings import load
from pixseek.suspects import Suspects

SOURCE = str(Path(pixseek.__file__).parent.parent)
QUICK = Bounds(max_seconds=2.0)


@pytest.fixture
def deadly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Children that are started from now on have decoders that can be told to die."""
    folder = deadly_decoders(tmp_path / "deadly")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    isolation.end_children()
    yield folder
    isolation.end_children()


def encoded(format: str, size: tuple[int, int] = (40, 30), **options: object) -> bytes:
    content = BytesIO()
    Image.effect_mandelbrot(size, (-2, -1, 1, 1), 40).convert("RGB").save(
        content, format, **options
    )
    return content.getvalue()


# One picture


@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP", "GIF", "AVIF", "BMP", "PPM"])
def test_a_picture_is_the_same_from_a_child_as_from_here(format: str) -> None:
    content = encoded(format, (300, 200))
    there = isolation.read(content, 32, name="a picture")
    here = reader.read(content, 32)
    assert there.image.mode == "RGB"
    assert there.image.size == here.image.size
    assert there.image.tobytes() == here.image.tobytes()
    assert there.fields == isolation.said_of_itself(here)


def test_what_the_file_says_of_itself_comes_from_the_child_whole() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x010E] = "Größe".encode(), "Łódź 🚲".encode()
    content = encoded("PNG", exif=exif)
    there = isolation.read(content, 32, name="x")
    assert there.fields == isolation.said_of_itself(reader.read(content, 32))
    assert there.fields["camera_make"] == "Größe"


@pytest.mark.parametrize("here", [True, False])
@pytest.mark.parametrize(
    "content", [b"", b"no picture", encoded("TIFF")[:700], encoded("PNG")[:90]]
)
def test_a_bad_file_has_the_same_reason_wherever_it_is_read(content: bytes, here: bool) -> None:
    with pytest.raises(UnreadableImage) as expected:
        reader.read(content, 32, name="bad.tif")
    with pytest.raises(UnreadableImage) as got:
        isolation.read(content, 32, name="bad.tif", here=here)
    assert str(got.value) == str(expected.value)


def test_the_limit_of_pixels_holds_in_the_child() -> None:
    with pytest.raises(UnreadableImage, match="40×30 pixels are more than the limit of 1199"):
        isolation.read(encoded("TIFF"), 32, Bounds(max_pixels=1199), name="x")


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("segfault", r"its decoder crashed \(SIGSEGV\)"),
        ("abort", r"its decoder crashed \(SIGABRT\)"),
        ("leave", r"its decoder ended the process that read it \(exit code 7\)"),
        ("fault", r"its decoder ended the process that read it \(exit code 1\)"),
        ("hang", r"decoding it took longer than the limit of 2 s"),
        ("hold", r"decoding it took longer than the limit of 2 s"),
        ("greedy", r"not enough memory to decode it"),
        ("babble", r"its decoder (crashed \(SIGKILL\)|ended the process)"),
    ],
)
def test_a_decoder_that_dies_costs_its_picture_and_is_named(
    way: str, reason: str, deadly: Path
) -> None:
    assert isolation.read(encoded("PPM"), 32, name="good.ppm").image.size == (40, 30)
    bounds = QUICK if way in ("hang", "hold") else USUAL
    with pytest.raises(UnreadableImage, match=rf"bad\.ppm' as a picture: {reason}") as caught:
        isolation.read(ppm(way), 32, bounds, name="bad.ppm")
    assert caught.value.path == "bad.ppm"
    assert isolation.read(encoded("PPM"), 32, name="good.ppm").image.size == (40, 30)
    assert os.getpid() not in asked_in(deadly)


def test_a_file_is_to_blame_only_if_it_crashes_a_new_child_too(deadly: Path) -> None:
    assert isolation.read(ppm("twice"), 32, name="innocent.ppm").image.size == (2, 2)
    assert len(set(asked_in(deadly))) == 2


@pytest.mark.usefixtures("deadly")
def test_where_no_process_can_be_started_that_is_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    isolation.prepare()
    with pytest.raises(UnreadableImage, match=r"no process can be started .*/no/such/python"):
        isolation.read(ppm("none"), 32, name="x.ppm")


def test_programs_that_have_no_python_to_start_decode_themselves(deadly: Path) -> None:
    script = (
        "import sys\n"
        "sys.frozen = True\n"
        "from pathlib import Path\n"
        "from pixseek import isolation\n"
        "isolation.prepare()\n"
        "print(isolation.read(Path(sys.argv[1]).read_bytes(), 32, name='x').image.size)\n"
    )
    file = deadly / "picture.ppm"
    file.write_bytes(ppm("none"))
    program = subprocess.Popen(
        [sys.executable, "-c", script, str(file)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(deadly), SOURCE])},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.communicate()[0] == "(2, 2)\n"
    assert asked_in(deadly) == [program.pid]


def test_children_are_kept_for_the_next_picture_and_shared_by_threads(deadly: Path) -> None:
    for _ in range(3):
        isolation.read(ppm("none"), 32, name="x")
    assert len(set(asked_in(deadly))) == 1
    with ThreadPoolExecutor(4) as pool:
        sizes = pool.map(
            lambda n: isolation.read(ppm("none"), 32, name=str(n)).image.size, range(40)
        )
        assert set(sizes) == {(2, 2)}
    assert len(set(asked_in(deadly))) <= 4


def test_children_are_started_ahead_as_many_as_are_missing(
    deadly: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolation, "KEPT", 3)
    for wanted, there in ((2, 2), (1, 2), (1000, 3)):
        isolation.prepare(wanted)
        assert len(isolation._idle) == there
    isolation.read(ppm("none"), 32, name="x")
    assert len(isolation._idle) == there
    assert len(set(asked_in(deadly))) == 1


class Gauge:
    """A budget that remembers what was asked of it."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.held = 0

    @contextmanager
    def taking(self, size_bytes: int) -> Iterator[None]:
        self.asked.append(size_bytes)
        self.held += 1
        try:
            yield
        finally:
            self.held -= 1


def test_a_child_asks_the_budget_before_it_decodes_and_gives_back_whatever_happens() -> None:
    budget = Gauge()
    isolation.read(encoded("TIFF", (300, 200)), 32, name="x", budget=budget)
    assert budget.asked == [300 * 200 * 4]
    with pytest.raises(UnreadableImage, match="damaged"):
        isolation.read(encoded("TIFF", (300, 200))[:9000], 32, name="x", budget=budget)
    assert (len(budget.asked), budget.held) == (2, 0)


def test_waiting_for_memory_does_not_count_as_decoding() -> None:
    class Slow(Gauge):
        @contextmanager
        def taking(self, size_bytes: int) -> Iterator[None]:
            time.sleep(2.5)
            with super().taking(size_bytes):
                yield

    got = isolation.read(encoded("TIFF"), 32, QUICK, name="x", budget=Slow())
    assert got.image.size == (40, 30)


def test_a_process_that_was_forked_has_children_of_its_own() -> None:
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from pixseek import isolation\n"
        "content = Path(sys.argv[1]).read_bytes()\n"
        "read = lambda: isolation.read(content, 32, name='x').image.size\n"
        "read()\n"
        "forked = os.fork()\n"
        "sizes = {read() for _ in range(20)}\n"
        "if forked:\n"
        "    assert os.waitpid(forked, 0)[1] == 0\n"
        "    print(sizes)\n"
    )
    content = Path(os.environ["HOME"]) / "picture.bmp"
    content.write_bytes(encoded("BMP"))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, str(content)],
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("{(40, 30)}\n", "")


def test_a_child_loads_no_model_and_no_store() -> None:
    code = "import sys, pixseek.isolation.child; print(*sys.modules)"
    # Measuring coverage loads things, too.
    bare = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    loaded = subprocess.run(
        [sys.executable, "-c", code],
        env={**bare, "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    heavy = {
        "onnxruntime",
        "tokenizers",
        "simsimd",
        "huggingface_hub",
        "torch",
        "sqlite3",
        "blake3",
    }
    assert heavy & {*loaded} == set()
    assert not any(name.startswith(("pixseek.stores", "pixseek.encoders")) for name in loaded)


@pytest.mark.parametrize("way", ["none", "hang"])
def test_a_child_does_not_outlive_its_parent_even_one_that_is_killed(
    way: str, deadly: Path, tmp_path: Path
) -> None:
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from pixseek import isolation\n"
        "isolation.read(Path(sys.argv[1]).read_bytes(), 32, name='x')\n"
        "time.sleep(600)\n"
    )
    (tmp_path / "x.ppm").write_bytes(ppm(way))
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "x.ppm")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(deadly), SOURCE])},
    )
    _wait_until(lambda: bool(asked_in(deadly)))
    [child] = set(asked_in(deadly))
    assert child != parent.pid
    parent.kill()
    parent.wait()
    _wait_until(lambda: not _runs(child))


def _wait_until(happens: object) -> None:
    assert callable(happens)
    give_up = time.monotonic() + 30
    while not happens():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process}/stat")  # where nobody waits for orphans, they stay as zombies
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")


# What may be decoded here


def test_jpeg_and_png_of_ordinary_make_are_plain_and_nothing_else_is() -> None:
    for options in ({}, {"progressive": True}, {"quality": 100, "subsampling": 0}):
        assert plain.is_plain(encoded("JPEG", (800, 600), **options))
    assert plain.is_plain(encoded("PNG"))
    for format in ("WEBP", "GIF", "TIFF", "AVIF", "BMP", "JPEG2000", "PPM", "ICO"):
        assert not plain.is_plain(encoded(format)), format
    for content in (b"", b"\xff\xd8\xff", encoded("JPEG")[:100], encoded("PNG")[:20]):
        assert not plain.is_plain(content)


def test_files_made_to_keep_a_decoder_busy_are_not_plain() -> None:
    large = encoded("JPEG", (2000, 1500), progressive=True)
    assert plain.is_plain(large)
    assert not plain.is_plain(large + b"\xff\xda" * 100), "many scans"
    assert not plain.is_plain(encoded("PNG") + b"\0\0\0\0tEXt\0\0\0\0" * 20_000), "many chunks"
    assert not plain.is_plain(b"\xff\xd8" + b"\xff\xfe\0\2" * 20_000 + large[2:]), "many segments"
    assert not plain.is_plain(encoded("JPEG") + bytes(plain.MAX_BYTES)), "large"
    wide = bytearray(encoded("PNG"))
    wide[16:24] = b"\0\0\x50\0\0\0\x50\0"
    assert not plain.is_plain(bytes(wide)), "many pixels"


# A whole run


def _album(photos: Path, paint: Paint) -> None:
    for number in range(12):
        paint(f"{number:02}.png", (number * 20, 40, 90))
    (photos / "crash.ppm").write_bytes(ppm("segfault"))
    (photos / "hang.ppm").write_bytes(ppm("hang"))
    (photos / "whole.ppm").write_bytes(encoded("PPM"))


@pytest.mark.usefixtures("deadly")
def test_a_run_goes_on_and_names_what_crashed_and_what_hung_and_the_next_says_the_same(
    photos: Path, paint: Paint, tmp_path: Path
) -> None:
    _album(photos, paint)
    options = load({"max_seconds": 1})
    with ImageSearchEngine(tmp_path / "library", model="palette", options=options) as engine:
        first = engine.index_images(photos)
        second = engine.index_images(photos)
        assert engine.status().items == 13
    expected = {
        "crash.ppm": "its decoder crashed (SIGSEGV)",
        "hang.ppm": "decoding it took longer than the limit of 1 s",
    }
    assert {one.path.name: one.reason for one in first.skipped} == expected
    assert {one.path.name: one.reason for one in second.skipped} == expected
    assert (first.added, second.unchanged) == (13, 13)
    assert not (tmp_path / "library" / "reading.txt").exists()


@pytest.mark.usefixtures("deadly")
def test_a_query_picture_that_crashes_its_decoder_is_named(
    paint: Paint, engine: ImageSearchEngine, photos: Path
) -> None:
    engine.index_images(paint("a.png", "red"))
    for content in (ppm("segfault"), jpeg("segfault")):
        with pytest.raises(UnreadableImage, match=r"the picture given.*crashed \(SIGSEGV\)"):
            engine.search_by_image(content)
    assert len(engine.search_by_image(photos / "a.png")) == 1


def test_a_crash_of_the_whole_run_is_survived_by_the_next_which_suspects_what_was_being_read(
    deadly: Path, paint: Paint, photos: Path, tmp_path: Path
) -> None:
    for number in range(12):
        paint(f"{number:02}.png", (number * 20, 40, 90))
    (photos / "05.jpg").write_bytes(jpeg("segfault"))
    command = [sys.executable, "-m", "pixseek", "index", str(photos), "--model", "palette"]
    command += ["--library", str(tmp_path / "library"), "--json"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(deadly), SOURCE])}

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    assert run().returncode == -signal.SIGSEGV
    assert str(photos / "05.jpg") in (tmp_path / "library" / "reading.txt").read_text()
    second = run()
    report = json.loads(second.stdout)
    assert [Path(one["path"]).name for one in report["skipped"]] == ["05.jpg"]
    assert report["skipped"][0]["reason"] == "its decoder crashed (SIGSEGV)"
    assert not (tmp_path / "library" / "reading.txt").exists()
    third = json.loads(run().stdout)
    assert (third["unchanged"], third["skipped"]) == (12, report["skipped"])


# Suspects


def test_what_was_being_read_when_a_run_died_is_suspected_until_it_has_been_read(
    tmp_path: Path,
) -> None:
    file = tmp_path / "reading.txt"
    with Suspects(tmp_path / "died.txt") as died:
        with died.reading(["/long/" * 40]):
            pass
        with died.reading(["/a", "/b\udce4"]):
            shutil.copy(tmp_path / "died.txt", file)
    with Suspects(file) as suspects:
        assert ["/a" in suspects, "/b\udce4" in suspects, "/long/" * 40 in suspects] == [
            *(True, True, False),
        ]
        with suspects.reading(["/a"]):
            assert "/a" in suspects
        assert "/a" not in suspects
    with Suspects(file) as suspects:
        assert ["/a" in suspects, "/b\udce4" in suspects] == [False, True]
        with suspects.reading(["/b\udce4"]):
            pass
    assert not file.exists()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe{", b"3\n", b'["/a", 3]\n', b"[" * 5000])
def test_notes_that_are_damaged_suspect_what_can_be_read_of_them(
    content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "reading.txt").write_bytes(content)
    with Suspects(tmp_path / "reading.txt") as suspects:
        assert ("/a" in suspects) == (b"/a" in content)
