"""Pictures in the terminal: what is written is decoded back, and a pseudo-terminal is asked."""

from __future__ import annotations

import io
import os
import re
import select
import sys
import threading
import time
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pixseek.cli import preview

Pixels = NDArray[np.uint8]
FLAT = [(255, 0, 0), (0, 51, 102), (153, 204, 255), (0, 0, 0), (255, 255, 255)]


class Screen(io.StringIO):
    """A terminal as far as isatty tells."""

    def isatty(self) -> bool:
        return True


def never(terminal: TextIO, timeout_s: float) -> bool:
    raise AssertionError(f"asked {terminal} for {timeout_s} s where the environment tells")


def flag(width: int, height: int) -> Image.Image:
    """Blocks of five colours that a percentage says exactly, one of them a single row thin."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = FLAT[0]
    pixels[height // 2 :, : width // 2] = FLAT[1]
    pixels[:, width // 2 :] = FLAT[2]
    pixels[height // 3, width // 4 :] = FLAT[3]
    pixels[-1, :] = FLAT[4]
    return Image.fromarray(pixels)


def photo(width: int, height: int) -> Image.Image:
    """Many more than 256 colours, with noise."""
    y, x = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(7).normal(0, 6, (height, width))
    planes = [128 + 90 * np.sin(x / 40), 128 + 90 * np.cos(y / 30), x / width * 250]
    return Image.fromarray((np.stack(planes, 2) + noise[..., None]).clip(0, 255).astype(np.uint8))


def kitty_commands(text: str) -> list[tuple[dict[str, str], str]]:
    assert re.fullmatch(r"(\x1b_G[^;]*;[^\x1b]*\x1b\\)+\n", text)
    found = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", text)
    return [(dict(key.split("=") for key in keys.split(",")), data) for keys, data in found]


def sixel_picture(text: str) -> Pixels:
    """Redraw a Sixel text; every pixel within the raster attributes must be drawn."""
    envelope = re.fullmatch(r'\x1bP9;1q"1;1;(\d+);(\d+)([#0-9;!$?-~-]*)\x1b\\\n', text)
    assert envelope is not None
    width, height = int(envelope[1]), int(envelope[2])
    drawn = np.full((height + 12, width, 3), -1, np.int64)
    registers: dict[int, list[int]] = {}
    left = top = colour = 0
    for token in re.finditer(
        r"#(\d+)(?:;2;(\d+);(\d+);(\d+))?|!(\d+)([?-~])|([?-~$-])", envelope[3]
    ):
        if token[2]:
            registers[int(token[1])] = [
                round(int(part) * 255 / 100) for part in token.groups()[1:4]
            ]
        elif token[1]:
            colour = int(token[1])
        elif token[7] in ("$", "-"):
            left, top = 0, top + (6 if token[7] == "-" else 0)
        else:
            count, bits = int(token[5] or 1), ord(token[6] or token[7]) - 63
            assert left + count <= width
            for row in range(6):
                if bits >> row & 1:
                    drawn[top + row, left : left + count] = registers[colour]
            left += count
    assert len(registers) <= 256
    assert (drawn[height:] == -1).all()
    assert (drawn[:height] >= 0).all()
    return drawn[:height].astype(np.uint8)


def difference(one: Pixels, other: Image.Image) -> NDArray[np.int64]:
    return np.abs(one.astype(np.int64) - np.asarray(other, dtype=np.int64))


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"TERM": "xterm-kitty", "KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "3"}, "kitty"),
        ({"TERM": "xterm-ghostty", "TERM_PROGRAM": "ghostty"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "ghostty"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WarpTerminal"}, "kitty"),
        ({"TERM": "xterm-256color", "KONSOLE_VERSION": "221203"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "iterm2"),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, "iterm2"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "iterm2"),
        ({"TERM": "wezterm"}, "iterm2"),
        ({"TERM": "xterm", "TERM_PROGRAM": "mintty"}, "iterm2"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "rio"}, "iterm2"),
        ({"TERM": "foot"}, "sixel"),
        ({"TERM": "foot-extra", "KITTY_WINDOW_ID": "1"}, "sixel"),
        ({"TERM": "mlterm-256color"}, "sixel"),
        ({"TERM": "contour"}, "sixel"),
        ({"TERM": "xterm+sixel"}, "sixel"),
    ],
)
def test_known_terminal_is_told_by_its_environment(
    environ: dict[str, str], expected: preview.Graphics
) -> None:
    assert preview.detect(environ, Screen(), ask=never) == expected


@pytest.mark.parametrize(
    "environ",
    [
        {"TERM": "xterm-256color"},
        {"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"},
        {"TERM": "xterm-256color", "TERM_PROGRAM": "vscode"},
        {"TERM": "xterm-256color", "TERM_PROGRAM": "vscode", "LC_TERMINAL": "iTerm2"},
        {"TERM": "xterm", "XTERM_VERSION": "XTerm(379)", "KITTY_WINDOW_ID": "1"},
        {"TERM": "xterm-256color", "VTE_VERSION": "7402", "TERM_PROGRAM": "WezTerm"},
        {"TERM": "xterm-256color", "KONSOLE_VERSION": "211203"},
        {"TERM": "xterm-256color", "WT_SESSION": "a"},
    ],
)
def test_other_terminal_is_asked_and_shows_nothing_unasked(environ: dict[str, str]) -> None:
    waits: list[float] = []

    def yes(_: TextIO, timeout_s: float) -> bool:
        waits.append(timeout_s)
        return True

    assert preview.detect(environ, Screen()) is None
    assert preview.detect(environ, Screen(), ask=lambda *_: False) is None
    assert preview.detect(environ, Screen(), ask=yes) == "sixel"
    assert preview.detect({**environ, "SSH_TTY": "/dev/pts/0"}, Screen(), ask=yes) == "sixel"
    assert waits == [0.1, 1.0]


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"TERM": "dumb", "TERM_PROGRAM": "iTerm.app"},
        {"TERM": "tmux-256color", "TMUX": "/tmp/tmux-0/default,1,0", "KITTY_WINDOW_ID": "1"},
        {"TERM": "tmux-256color", "LC_TERMINAL": "iTerm2", "SSH_TTY": "/dev/pts/0"},
        {"TERM": "screen-256color", "KITTY_WINDOW_ID": "1"},
        {"TERM": "xterm-kitty", "STY": "1.pts-0"},
        {"TERM": "xterm-kitty", "ZELLIJ": "0"},
        {"TERM": "xterm-kitty", "NVIM": "/run/nvim.1.0"},
    ],
)
def test_nothing_is_shown_or_asked_within_another_screen(environ: dict[str, str]) -> None:
    assert preview.detect(environ, Screen(), ask=never) is None


def test_nothing_is_shown_where_the_stream_is_no_terminal() -> None:
    assert preview.detect({"TERM": "xterm-kitty"}, io.StringIO(), ask=never) is None


def test_kitty_text_holds_the_picture_in_whole_cells() -> None:
    commands = kitty_commands(
        preview.encode(photo(333, 200), "kitty", columns=40, rows=8, cell=(9, 18))
    )
    keys = commands[0][0]
    assert len(commands) > 2
    assert keys == {"a": "T", "f": "100", "q": "2", "c": "27", "r": "8", "m": "1"}
    assert [part for part, _ in commands[1:]] == [{"m": "1"}] * (len(commands) - 2) + [{"m": "0"}]
    assert all(len(data) == 4096 for _, data in commands[:-1])
    assert 0 < len(commands[-1][1]) <= 4096
    with Image.open(io.BytesIO(b64decode("".join(data for _, data in commands)))) as png:
        assert (png.format, png.size) == ("PNG", (27 * 9, 8 * 18))
        shown = np.asarray(png)
    assert (shown[:, :240, 3] == 255).all()  # 333×200 in 360×144 pixels is 240×144
    assert (shown[:, 240:, 3] == 0).all()


def test_small_kitty_text_is_one_command_with_the_colours_unchanged() -> None:
    picture = flag(60, 40)
    ((keys, data),) = kitty_commands(preview.encode(picture, "kitty", columns=6, rows=2))
    assert keys == {"a": "T", "f": "100", "q": "2", "c": "6", "r": "2", "m": "0"}
    with Image.open(io.BytesIO(b64decode(data))) as png:
        assert not difference(np.asarray(png.convert("RGB")), picture).any()


def test_iterm2_text_holds_the_picture_with_the_colours_unchanged() -> None:
    picture = flag(60, 33)
    text = preview.encode(picture, "iterm2", columns=6, rows=9)
    found = re.fullmatch(
        r"\x1b\]1337;File=inline=1;size=(\d+);width=6;height=2;preserveAspectRatio=1:([^\a]*)\a\n",
        text,
    )
    assert found is not None
    data = b64decode(found[2], validate=True)
    assert len(data) == int(found[1])
    with Image.open(io.BytesIO(data)) as png:
        assert (png.format, png.mode, png.size) == ("PNG", "RGB", (60, 33))
        assert not difference(np.asarray(png), picture).any()


@pytest.mark.parametrize("height", [1, 5, 6, 7, 40, 59])
def test_sixel_text_of_flat_colours_is_redrawn_exactly(height: int) -> None:
    picture = flag(80, height)
    text = preview.encode(picture, "sixel", columns=8, rows=3)
    assert not difference(sixel_picture(text), picture).any()


def test_sixel_text_of_256_colours_is_redrawn_within_a_rounded_percentage() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (256, 3)).astype(np.uint8)
    picture = Image.fromarray(pixels.reshape(16, 16, 3))
    drawn = sixel_picture(preview.encode(picture, "sixel", columns=2, rows=2, cell=(8, 8)))
    assert difference(drawn, picture).max() <= 2


def test_sixel_text_of_a_photo_is_redrawn_within_the_error_of_256_colours() -> None:
    picture = photo(400, 240)
    drawn = sixel_picture(preview.encode(picture, "sixel", columns=40, rows=12))
    assert np.sqrt((difference(drawn, picture) ** 2).mean()) < 16
    afar = np.asarray(Image.fromarray(drawn).reduce(4))  # dithering evens out at a distance
    assert np.sqrt((difference(afar, picture.reduce(4)) ** 2).mean()) < 4


def test_sixel_runs_are_written_as_counts() -> None:
    text = preview.encode(Image.new("RGB", (100, 6), "red"), "sixel", columns=10, rows=1)
    assert text == '\x1bP9;1q"1;1;100;6#0;2;100;0;0#0!100~\x1b\\\n'


@pytest.mark.parametrize("cell_height", [6, 13, 16, 17, 18, 20, 23])
@pytest.mark.parametrize("height", [1, 6, 13, 20, 21, 41, 43, 100])
def test_sixel_cursor_ends_in_the_last_cell_row_of_the_picture(
    cell_height: int, height: int
) -> None:
    text = preview.encode(
        Image.new("RGB", (50, height)), "sixel", columns=5, rows=200, cell=(10, cell_height)
    )
    last_band_top = 6 * text.count("-")
    assert last_band_top // cell_height == (height - 1) // cell_height


@pytest.mark.parametrize("graphics", ["kitty", "iterm2", "sixel"])
@pytest.mark.parametrize("size", [(1, 1), (3000, 10), (10, 3000), (640, 480), (2000, 1)])
def test_picture_of_any_shape_stays_within_its_cells(
    graphics: preview.Graphics, size: tuple[int, int]
) -> None:
    text = preview.encode(Image.new("RGB", size, "teal"), graphics, columns=7, rows=3, cell=(9, 19))
    if graphics == "sixel":
        height, width = sixel_picture(text).shape[:2]
    else:
        data = re.findall(r"[;:]([A-Za-z0-9+/=]+)(?:\x1b\\|\a)", text)
        with Image.open(io.BytesIO(b64decode("".join(data)))) as png:
            width, height = png.size
    assert 1 <= width <= 63
    assert 1 <= height <= 57
    assert text.endswith("\n")
    assert text.count("\n") == 1


@pytest.mark.parametrize(
    ("columns", "rows", "cell"), [(0, 1, (10, 20)), (1, 0, (10, 20)), (1, 1, (0, 20))]
)
def test_no_room_is_refused_with_the_numbers(
    columns: int, rows: int, cell: tuple[int, int]
) -> None:
    message = re.escape(f"must be 1 or more: {columns}, {rows}, {cell}")
    with pytest.raises(ValueError, match=message):
        preview.encode(flag(8, 8), "sixel", columns=columns, rows=rows, cell=cell)


@dataclass
class Terminal:
    """A pseudo-terminal: the test has its far end, the product its near end as stdin and stdout."""

    far: int
    near: TextIO

    def answer(self, reply: bytes, heard: list[bytes]) -> threading.Thread:
        """Wait for the question, as a terminal would, and type the answer."""

        def play() -> None:
            heard.append(os.read(self.far, 100))
            os.write(self.far, reply)

        thread = threading.Thread(target=play)
        thread.start()
        return thread

    def shown(self) -> bytes:
        """What was written to it, or echoed, since."""
        return os.read(self.far, 100) if select.select([self.far], [], [], 0.05)[0] else b""


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    pytest.importorskip("termios", reason="pseudo-terminals are POSIX")
    far, near = os.openpty()
    with io.FileIO(near, "r+") as raw, io.TextIOWrapper(raw, write_through=True) as text:
        monkeypatch.setattr(sys, "stdin", text)
        yield Terminal(far, text)
    os.close(far)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (b"\x1b[?63;1;2;4;6;9;15;22c", True),  # xterm -ti vt340
        (b"\x1b[?62;4c", True),  # iTerm2
        (b"\x1b[?64;1;2;6;9;15;18;21;22c", False),  # xterm without
        (b"\x1b[?62;14;40;44c", False),
        (b"\x1b[?4;6c", False),  # VT132: 4 is its level here
        (b"\x1b[?6c", False),
        (b"\x1b[?62;c", False),  # kitty
    ],
)
def test_terminal_is_asked_for_sixel_and_left_as_it_was(
    terminal: Terminal, reply: bytes, expected: bool
) -> None:
    import termios

    before = termios.tcgetattr(terminal.far)
    heard: list[bytes] = []
    thread = terminal.answer(reply, heard)
    environ = {"TERM": "xterm-256color"}
    found = preview.detect(
        environ, terminal.near, ask=lambda screen, _: preview.answers_sixel(screen, 5.0)
    )
    thread.join()
    assert found == ("sixel" if expected else None)
    assert heard == [b"\x1b[c"]
    assert terminal.shown() == b""  # the answer is not echoed
    assert termios.tcgetattr(terminal.far) == before


@pytest.mark.parametrize("reply", [b"", b"\x1b[?62;4", b"hello"])
def test_silent_terminal_costs_the_wait_and_no_more(terminal: Terminal, reply: bytes) -> None:
    import termios

    before = termios.tcgetattr(terminal.far)
    thread = terminal.answer(reply, [])
    start = time.monotonic()
    assert not preview.answers_sixel(terminal.near)
    assert 0.1 <= time.monotonic() - start < 2
    thread.join()
    assert termios.tcgetattr(terminal.far) == before


def test_answer_in_pieces_is_understood(terminal: Terminal) -> None:
    def play() -> None:
        os.read(terminal.far, 100)
        for piece in (b"\x1b[?6", b"3;1;", b"4c"):
            os.write(terminal.far, piece)
            time.sleep(0.02)

    thread = threading.Thread(target=play)
    thread.start()
    assert preview.answers_sixel(terminal.near, 5.0)
    thread.join()


def test_keys_typed_ahead_are_left_to_the_shell(terminal: Terminal) -> None:
    os.write(terminal.far, b"ls\n")
    terminal.shown()
    assert not preview.answers_sixel(terminal.near, 5.0)
    assert terminal.shown() == b""
    assert os.read(terminal.near.fileno(), 100) == b"ls\n"


def test_nothing_is_asked_from_the_background(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "tcgetpgrp", lambda _: os.getpgrp() + 1)
    assert not preview.answers_sixel(terminal.near, 5.0)
    assert terminal.shown() == b""


@pytest.mark.parametrize("stdin", [None, io.StringIO("")])
def test_nothing_is_asked_where_stdin_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, stdin: TextIO | None
) -> None:
    monkeypatch.setattr(sys, "stdin", stdin)
    screen = Screen()
    assert not preview.answers_sixel(screen, 5.0)
    assert screen.getvalue() == ""
