"""What runs in a process of its own: it reads the pictures that it is sent, and nothing else.

It ends at once when its parent is gone, whatever it is doing, and by itself when one picture takes
too long or when it has had nothing to do for a while.
"""

from __future__ import annotations

import faulthandler
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from PIL import Image

from pixseek.errors import MissingPath, UnreadableImage
from pixseek.frames import Reading, read_frames
from pixseek.isolation import Decoded
from pixseek.isolation.messages import Said, receive, send

IDLE_S = 60.0
"""Seconds without work after which a child ends; the next picture starts another."""
_ROOM = 1_500_000_000
"""Bytes that a decoder may take beyond what the picture's header says it needs."""


class Watch:
    """Ends this process when a time is over, even if native code never returns.

    By the timer of faulthandler, which is a thread of C that does not need the interpreter.
    """

    def __init__(self) -> None:
        self._nowhere = open(os.devnull, "w")  # noqa: SIM115, PTH123  as long as the process

    def limit(self, seconds: float) -> None:
        faulthandler.dump_traceback_later(seconds, exit=True, file=self._nowhere)


class ParentsBudget:
    """The parent's MemoryBudget, asked for through the pipe; waiting does not count as time."""

    def __init__(self, child: Child, max_seconds: float) -> None:
        self._child = child
        self._max_seconds = max_seconds

    @contextmanager
    def taking(self, size_bytes: int) -> Iterator[None]:
        faulthandler.cancel_dump_traceback_later()
        self._child.say({"needs": size_bytes})
        self._child.hear()
        _limit_memory(size_bytes + _ROOM)
        self._child.watch.limit(self._max_seconds)
        yield


class Child:
    """The child's end of the pipes."""

    def __init__(self, hearing: IO[bytes], saying: IO[bytes]) -> None:
        self._heard: queue.SimpleQueue[tuple[Said, bytes]] = queue.SimpleQueue()
        self._hearing = hearing
        self._saying = saying
        self.watch = Watch()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        """Always waiting for the parent: that is how its end is noticed in the midst of work."""
        try:
            while True:
                self._heard.put(receive(self._hearing))
        except (EOFError, OSError, ValueError):
            os._exit(0)  # nobody is left to be told

    def hear(self) -> tuple[Said, bytes]:
        return self._heard.get()

    def say(self, said: Said, content: bytes = b"") -> None:
        try:
            send(self._saying, said, content)
        except OSError:
            os._exit(0)

    def serve(self) -> None:
        """Answer one request after another, until there are none."""
        while True:
            self.watch.limit(IDLE_S)
            asked, content = self.hear()
            max_seconds = float(asked["max_seconds"])
            self.say({"begins": True})
            self.watch.limit(max_seconds)
            try:
                for decoded in TASKS[asked["task"]](self, asked, content):
                    size = list(decoded.image.size)
                    told = {"fields": decoded.fields, "size": size, "key": decoded.key}
                    self.say(told, decoded.image.tobytes())
                self.say({"done": True})
            except UnreadableImage as error:
                self.say({"unreadable": error.reason})
            except MissingPath:  # a film that has gone just now
                self.say({"unreadable": "No such file or directory"})
            except MemoryError:
                self.say({"unreadable": "not enough memory to decode it"})


def _pictures(child: Child, asked: Said, content: bytes) -> Iterator[Decoded]:
    """Those that are wanted of a file."""
    how = Reading(
        asked["input_size"],
        asked["max_pixels"],
        asked["max_seconds"],
        ParentsBudget(child, asked["max_seconds"]),
    )
    source = content if asked["path"] is None else Path(asked["path"])
    wanted = asked["wanted"] if isinstance(asked["wanted"], int) else tuple(asked["wanted"])
    found = read_frames(source, how, wanted, name=asked["name"])
    yield Decoded(found.first.image, found.content_fields())
    for frame in found.further:
        yield Decoded(frame.image, frame.metadata, frame.key)


TASKS: dict[str, Callable[[Child, Said, bytes], Iterator[Decoded]]] = {"pictures": _pictures}
"""What a child can be asked to do with a file's content."""


def main() -> None:
    """Talk through standard input and output; what libraries print goes nowhere."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then finishes
    hearing, saying = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    _quiet_crashes()
    Image.MAX_IMAGE_PIXELS = None
    Child(hearing, saying).serve()


def _quiet_crashes() -> None:
    """A crash here is expected, and answered: no core files, no dialogs."""
    if sys.platform == "win32":
        import ctypes

        ctypes.windll.kernel32.SetErrorMode(0x0001 | 0x0002 | 0x8000)
    else:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_memory(size_bytes: int) -> None:
    """Where the system can: a decoder that wants more than this is refused it."""
    if sys.platform == "linux":
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        if most == resource.RLIM_INFINITY or size_bytes < most:
            resource.setrlimit(resource.RLIMIT_DATA, (size_bytes, most))
