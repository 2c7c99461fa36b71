"""The reader in processes of its own: a decoder that crashes or hangs costs its file, no more.

Decoders are native code, and files are made by strangers. What cannot be caught in a process (a
segmentation fault, a loop that never ends) is caught at its border: the child is replaced, and
the file is named with the reason. docs/decisions/008-isolated-decoding.md has the figures.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from pixseek import reader
from pixseek.errors import FormatNeedsExtra, UnreadableImage
from pixseek.formats import is_for_an_extra
from pixseek.isolation.messages import Said, receive, send
from pixseek.isolation.plain import is_plain
from pixseek.metadata import content_fields
from pixseek.moments import FIRST
from pixseek.reader import UNBOUNDED, Budget, Picture
from pixseek.records import USUAL, Bounds, Metadata

_HAS_PYTHON = bool(sys.executable) and not getattr(sys, "frozen", False)
"""Programs frozen into one file, or with Python inside them, cannot start another: they decode
everything themselves."""
KEPT = 16
"""Children that are kept when they have nothing to do; those end by themselves after a while."""
_NO_ANSWER = (EOFError, OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError)
"""What a child that has ended, or been made to talk nonsense, gives."""
_LAST_WORDS_S = 2.0
"""For a child that has closed its pipe to leave its exit code."""
TRIES = 2
"""A crash may be owed to what an earlier file has left behind, or to the system's want of memory: a
file is to blame when it crashes a new child, too."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded picture."""

    image: Image.Image
    """Upright RGB, reduced as the reader reduces."""
    fields: Metadata
    """What the file says of itself (frames.Frames.content_fields); of a further picture of a file
    only what is true of it alone."""
    key: str = FIRST
    """Which of the file's pictures it is (pixseek.moments)."""


def read(
    source: bytes | Path,
    input_size: int,
    bounds: Bounds = USUAL,
    *,
    name: str,
    key: str = FIRST,
    budget: Budget = UNBOUNDED,
    here: bool = False,
) -> Decoded:
    """Decode one picture of a file, by default its first: see read_frames."""
    wanted = (key,) if key else ()
    frames = read_frames(
        source, input_size, bounds, name=name, wanted=wanted, budget=budget, here=here
    )
    return frames[-1]


def read_frames(
    source: bytes | Path,
    input_size: int,
    bounds: Bounds = USUAL,
    *,
    name: str,
    wanted: int | Sequence[str],
    budget: Budget = UNBOUNDED,
    here: bool = False,
) -> list[Decoded]:
    """Decode a file where it can do no harm, and say what it says of itself.

    source: a file's content, or of films the file.
    wanted: see frames.Wanted; the first of the pictures is always there.
    here: decode plain JPEG and PNG in this process, which is a sixth faster: for those who note
    what they are reading (pixseek.suspects), as a decoder that crashes then ends this process.
    Otherwise as reader.read. Raises UnreadableImage, also for what crashes or takes too long.
    """
    content = source if isinstance(source, bytes) else b""
    if (here and is_plain(content)) or not _HAS_PYTHON:
        found = reader.read(
            content, input_size, name=name, max_pixels=bounds.max_pixels, budget=budget
        )
        if not found.several or wanted in (1, ()) or not _HAS_PYTHON:
            return [Decoded(found.image, said_of_itself(found))]
    asked = {
        "task": "pictures",
        "input_size": input_size,
        "max_pixels": bounds.max_pixels,
        "wanted": wanted if isinstance(wanted, int) else list(wanted),
        "path": None if isinstance(source, bytes) else str(source),
        "name": name,
    }
    return run(asked, content, name=name, max_seconds=bounds.max_seconds, budget=budget)


def said_of_itself(picture: Picture) -> Metadata:
    """The fields of a picture that the reader has just read."""
    return content_fields(
        picture.width,
        picture.height,
        picture.format,
        picture.exif,
        xmp=picture.xmp,
        iptc=picture.iptc,
    )


def run(
    asked: Said, content: bytes, *, name: str, max_seconds: float, budget: Budget
) -> list[Decoded]:
    """Have a child do a task (isolation.child.TASKS) with a file's content.

    max_seconds: of work, for the whole task; waiting for the budget does not count.
    Raises UnreadableImage.
    """
    asked = {**asked, "max_seconds": max_seconds}
    why = ""
    for _ in range(TRIES):
        try:
            child = _borrow(new=bool(why))
        except OSError as error:
            raise UnreadableImage(name, f"no process can be started for it ({error})") from error
        try:
            decoded = child.run(asked, content, budget)
        except UnreadableImage as error:
            _give_back(child)
            kind = FormatNeedsExtra if is_for_an_extra(error.reason) else UnreadableImage
            raise kind(name, error.reason) from None
        except _NO_ANSWER:
            # The child itself ends when its time is over: see isolation.child.Watch.
            late = child.took_s() >= max_seconds
            why = _why(child.end())
            if late:
                raise UnreadableImage(name, _too_long(max_seconds)) from None
        except BaseException:
            child.kill()
            raise
        else:
            _give_back(child)
            return decoded
    raise UnreadableImage(name, why)


class _Child:
    """A child process and its pipes. Used by one thread at a time."""

    def __init__(self) -> None:
        # Not multiprocessing: its children import the program's main module again.
        paths = json.dumps([str(Path(__file__).parents[2]), *sys.path])
        start = f"import sys; sys.path[:] = {paths}; from pixseek.isolation.child import main"
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"{start}; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._began: float | None = None

    def run(self, asked: Said, content: bytes, budget: Budget) -> list[Decoded]:
        """Raises UnreadableImage as the child says, EOFError and OSError when it has ended."""
        hearing, saying = self._process.stdin, self._process.stdout
        if hearing is None or saying is None:  # they are pipes: for the type checker
            raise EOFError
        self._began = None
        send(hearing, asked, content)
        decoded: list[Decoded] = []
        with ExitStack() as held:
            while True:
                said, pixels = receive(saying)
                if "begins" in said:
                    self._began = time.monotonic()
                elif "needs" in said:
                    held.enter_context(budget.taking(said["needs"]))
                    self._began = time.monotonic()
                    send(hearing, {})
                elif "size" in said:
                    image = Image.frombytes("RGB", tuple(said["size"]), pixels)
                    decoded.append(Decoded(image, said["fields"], said["key"]))
                elif "unreadable" in said:
                    raise UnreadableImage("it", said["unreadable"])
                else:
                    return decoded

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def took_s(self) -> float:
        """Seconds since its task began, or went on after waiting for memory; 0 before that."""
        return 0.0 if self._began is None else time.monotonic() - self._began

    def kill(self) -> None:
        self._process.kill()
        self.end()

    def end(self) -> int:
        """End it, if it has not ended by itself just now; returns its exit code."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_LAST_WORDS_S)
        self._process.kill()
        code = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):  # what was still to be written
                if pipe is not None:
                    pipe.close()
        return code


_idle: list[_Child] = []
_lost: list[_Child] = []
"""Those of the process that this one was forked from: their pipes are not ours to use."""
_changing = threading.Lock()


def prepare(children: int = 1) -> None:
    """Have so many children ready, or starting: they load their decoders while the caller does
    other things."""
    with _changing:
        missing = min(children, KEPT) - len(_idle)
    for _ in range(missing if _HAS_PYTHON else 0):
        with suppress(OSError):  # who needs it meets that again
            _give_back(_Child())


def _borrow(*, new: bool) -> _Child:
    """A child for one task; with `new` one that has not done anything yet."""
    with _changing:
        while _idle and not new:
            child = _idle.pop()
            if child.is_alive():
                return child
            child.end()
    return _Child()


def _give_back(child: _Child) -> None:
    with _changing:
        if len(_idle) < KEPT:
            _idle.append(child)
            return
    child.kill()


def end_children() -> None:
    """End those that have nothing to do; the next picture starts another."""
    with _changing:
        while _idle:
            _idle.pop().kill()


def _forget() -> None:
    """After a fork, in the new process."""
    global _changing
    _changing = threading.Lock()
    _lost.extend(_idle)
    _idle.clear()


atexit.register(end_children)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _too_long(max_seconds: float) -> str:
    return f"decoding it took longer than the limit of {max_seconds:g} s"


def _why(code: int) -> str:
    if code >= 0:
        return f"its decoder ended the process that read it (exit code {code})"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"its decoder crashed ({name})"
