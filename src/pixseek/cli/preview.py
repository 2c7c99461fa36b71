"""Pictures in the terminal: which graphics it shows, and a picture written in them.

Three ways are spoken, each by its published description:
- kitty: the kitty graphics protocol, https://sw.kovidgoyal.net/kitty/graphics-protocol/
- iterm2: iTerm2's inline images, https://iterm2.com/documentation-images.html
- sixel: DEC STD 070, chapter 9, and the VT330/340 manual, https://vt100.net/docs/vt3xx-gp/

Nothing here prints a picture: `encode` gives the text and the caller writes it. It loads Pillow
and numpy, so import it only where pictures are shown.
"""

from __future__ import annotations

import os
import re
import select
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import lru_cache
from io import BytesIO
from typing import Literal, TextIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Graphics = Literal["kitty", "iterm2", "sixel"]

# A screen between us and the terminal: it swallows or garbles pictures, while the variables of
# the terminal outside stay visible within. (tmux claims Sixel whatever it runs in.)
_BETWEEN = ("TMUX", "STY", "ZELLIJ", "VIM_TERMINAL", "NVIM", "INSIDE_EMACS")
_TERM_BETWEEN = ("screen", "tmux", "eterm")

_BY_TERM: Mapping[Graphics, tuple[str, ...]] = {  # how TERM begins
    "kitty": ("xterm-kitty", "xterm-ghostty"),
    "iterm2": ("wezterm",),
    "sixel": ("foot", "mlterm", "contour"),
}
# Not here: VS Code, whose terminal.integrated.enableImages is off at first (on, it answers `ask`).
_BY_PROGRAM: Mapping[Graphics, tuple[str, ...]] = {  # TERM_PROGRAM
    "kitty": ("ghostty", "WarpTerminal"),
    "iterm2": ("iTerm.app", "WezTerm", "mintty", "rio"),
}

_ESC = "\x1b"
_CHUNK = 4096  # base64 characters in one kitty command, by its protocol
_BAND = 6  # pixel rows in one row of sixels


def detect(
    environ: Mapping[str, str],
    terminal: TextIO,
    *,
    ask: Callable[[TextIO, float], bool] | None = None,
) -> Graphics | None:
    """Say which graphics the terminal shows, or None.

    environ: as os.environ; TERM counts most, then TERM_PROGRAM, then each terminal's own marks.
    terminal: where the pictures will go; no terminal (a file, a pipe) gives None.
    ask: called with `terminal` and seconds to wait only where the environment does not tell;
        True means Sixel. Pass `answers_sixel`; without it such terminals give None.
    Inside tmux, screen and the like None: no passing on of pictures is known to be reliable there.
    """
    term = environ.get("TERM", "")
    between = any(environ.get(name) for name in _BETWEEN) or term.startswith(_TERM_BETWEEN)
    if between or term in ("", "dumb") or not terminal.isatty():
        return None
    known = _named(environ, term)
    if known is not None or ask is None:
        return known
    # Over a network an answer after the wait would appear as if typed: wait for it longer.
    far = bool(environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"))
    return "sixel" if ask(terminal, 1.0 if far else 0.1) else None


def _named(environ: Mapping[str, str], term: str) -> Graphics | None:
    """Look the terminal up by name; a mark inherited from another terminal does not count."""
    for graphics, starts in _BY_TERM.items():
        if term.startswith(starts):
            return graphics
    if "sixel" in term:
        return "sixel"
    if environ.get("XTERM_VERSION") or environ.get("VTE_VERSION"):
        return None
    if program := environ.get("TERM_PROGRAM"):
        return next((graphics for graphics, names in _BY_PROGRAM.items() if program in names), None)
    if environ.get("KITTY_WINDOW_ID"):
        return "kitty"
    if (konsole := environ.get("KONSOLE_VERSION", "")).isdecimal():
        return "kitty" if int(konsole) >= 220400 else None  # Konsole 22.04
    return "iterm2" if environ.get("LC_TERMINAL") == "iTerm2" else None


def answers_sixel(terminal: TextIO, timeout_s: float = 0.1) -> bool:
    """Ask the terminal for its Device Attributes; True when they name Sixel (4).

    The answer comes as if typed, so stdin must be a terminal too and is silent meanwhile; its
    modes are as before afterwards. Not asked, hence False: on Windows, from the background, and
    when keys wait to be read (they would be lost).
    Source: VT510 manual, DA1, https://vt100.net/docs/vt510-rm/DA1.html
    """
    if sys.platform == "win32" or sys.stdin is None or not sys.stdin.isatty():
        return False
    import termios

    keyboard = sys.stdin.fileno()
    if not _in_foreground(keyboard):
        return False
    before = termios.tcgetattr(keyboard)
    silent = termios.tcgetattr(keyboard)
    silent[3] &= ~(termios.ICANON | termios.ECHO)
    silent[6][termios.VMIN], silent[6][termios.VTIME] = 1, 0
    termios.tcsetattr(keyboard, termios.TCSANOW, silent)
    try:
        return "4" in _device_attributes(terminal, keyboard, timeout_s)
    finally:
        termios.tcsetattr(keyboard, termios.TCSANOW, before)


def _in_foreground(keyboard: int) -> bool:
    """Whether its modes may be changed: a job in the background is stopped for trying."""
    try:
        return os.tcgetpgrp(keyboard) == os.getpgrp()
    except OSError:  # not the terminal that controls this process, so it stops nobody
        return True


def _device_attributes(terminal: TextIO, keyboard: int, timeout_s: float) -> list[str]:
    """Return the extensions in `CSI ? level ; extension ; … c`; no answer in time gives []."""
    if select.select([keyboard], [], [], 0)[0]:
        return []
    terminal.write(f"{_ESC}[c")
    terminal.flush()
    answer = b""
    end = time.monotonic() + timeout_s
    while select.select([keyboard], [], [], max(0.0, end - time.monotonic()))[0]:
        answer += (piece := os.read(keyboard, 1024))
        if attributes := re.search(rb"\x1b\[\?([\d;]*)c", answer):
            return attributes[1].decode("ascii").split(";")[1:]
        if not piece:
            break
    return []


def encode(
    image: Image.Image,
    graphics: Graphics,
    *,
    columns: int,
    rows: int,
    cell: tuple[int, int] = (10, 20),
) -> str:
    """Write a picture as the text that shows it in at most `columns` × `rows` cells.

    image: upright RGB, any size; made as large as the cells allow, aspect kept.
    cell: pixels of one cell (width, height). With a wrong guess Sixel takes more or fewer cells
        and kitty stretches a little. The default is the VT340's and Windows Terminal's.
    The text ends with a newline: what follows starts below the picture, at the left.
    Raises ValueError for less than one column, row or pixel.
    """
    if min(columns, rows, *cell) < 1:
        raise ValueError(f"columns, rows and cell must be 1 or more: {columns}, {rows}, {cell}")
    picture = _scaled(image, columns * cell[0], rows * cell[1])
    taken = (-(-picture.width // cell[0]), -(-picture.height // cell[1]))
    if graphics == "kitty":
        return _kitty(picture, taken, cell) + "\n"
    return (_iterm2(picture, taken) if graphics == "iterm2" else _sixel(picture, cell[1])) + "\n"


def _scaled(image: Image.Image, width: int, height: int) -> Image.Image:
    """Resize to the largest size within width × height pixels that keeps the aspect."""
    scale = min(width / image.width, height / image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _kitty(picture: Image.Image, taken: tuple[int, int], cell: tuple[int, int]) -> str:
    """Transmit and show at once, silently (a=T, q=2), as PNG (f=100) in the cells c × r.

    Terminals stretch it to those cells; so it is filled up, transparent, to whole cells.
    """
    whole = Image.new("RGBA", (taken[0] * cell[0], taken[1] * cell[1]))
    whole.paste(picture, (0, 0))
    whole.save(png := BytesIO(), "PNG")
    data = b64encode(png.getvalue()).decode("ascii")
    keys = f"a=T,f=100,q=2,c={taken[0]},r={taken[1]},"
    chunks = [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]
    more = "".join(f"m=1;{chunk}{_ESC}\\{_ESC}_G" for chunk in chunks[:-1])
    return f"{_ESC}_G{keys}{more}m=0;{chunks[-1]}{_ESC}\\"


def _iterm2(picture: Image.Image, taken: tuple[int, int]) -> str:
    picture.save(png := BytesIO(), "PNG")
    size = f"size={png.tell()};width={taken[0]};height={taken[1]}"
    data = b64encode(png.getvalue()).decode("ascii")
    return f"{_ESC}]1337;File=inline=1;{size};preserveAspectRatio=1:{data}\a"


def _sixel(picture: Image.Image, cell_height: int) -> str:
    """Write at most 256 colours, in percent; square pixels by P1=9 and by raster attributes.

    A VT340 leaves the cursor in the cell row where the last band of sixels begins; where that is
    above the picture's last cell row, one empty band more brings it there.
    Source: https://github.com/hackerb9/vt340test (cursor positions measured on a VT340)
    """
    reduced = _reduced(picture)
    indices: NDArray[np.uint8] = np.asarray(reduced, dtype=np.uint8)
    percent = (np.asarray(reduced.getpalette("RGB"), np.int64).reshape(-1, 3) * 200 + 255) // 510
    colours = "".join("#{};2;{};{};{}".format(n, *percent[n]) for n in np.unique(indices))
    height, width = indices.shape
    bands = [_band(indices[top : top + _BAND]) for top in range(0, height, _BAND)]
    if (len(bands) - 1) * _BAND < (height - 1) // cell_height * cell_height:
        bands.append("")
    return f'{_ESC}P9;1q"1;1;{width};{height}{colours}{"-".join(bands)}{_ESC}\\'


def _reduced(picture: Image.Image) -> Image.Image:
    """Choose 256 colours: exact where there are no more, else octree and dithering.

    For a photo of 400 × 240 median cut takes 50-400 ms, this 10 ms and is nearer from afar.
    """
    if picture.getcolors(256) is not None:
        return picture.quantize(256, Image.Quantize.MEDIANCUT)
    palette = picture.quantize(256, Image.Quantize.FASTOCTREE)
    return picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)


def _band(indices: NDArray[np.uint8]) -> str:
    """Write up to six pixel rows (h, w) of colour numbers: each colour over the whole width."""
    colours = np.unique(indices)
    sixels = np.packbits(indices == colours[:, None, None], axis=1, bitorder="little")[:, 0]
    starts = np.ones(sixels.shape, dtype=np.bool_)
    starts[:, 1:] = sixels[:, 1:] != sixels[:, :-1]
    lines, lefts = np.nonzero(starts)
    lengths = np.diff(np.flatnonzero(starts), append=sixels.size)
    values = sixels[lines, lefts]
    seen = (values != 0) | (lefts + lengths < sixels.shape[1])  # blanks at the end say nothing
    runs = list(map(_run, values[seen].tolist(), lengths[seen].tolist()))
    firsts = np.searchsorted(lines[seen], np.arange(len(colours))).tolist()
    for colour, first in zip(colours.tolist(), firsts, strict=True):
        runs[first] = f"{'$' if first else ''}#{colour}{runs[first]}"
    return "".join(runs)


@lru_cache(maxsize=65536)
def _run(value: int, length: int) -> str:
    character = chr(63 + value)
    return f"!{length}{character}" if length > 3 else character * length
