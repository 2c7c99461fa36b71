"""What takes seconds to find out about a whole library: on a thread, kept until it changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Generic, TypeVar

from pixseek.errors import PixseekError, ServiceBusy
from pixseek.records import OnProgress, Progress

FORGOTTEN_AFTER_S = 15.0
"""A survey that nobody has asked about for so long is given up."""
KEPT_S = 60.0
"""How long findings are good where the store cannot tell whether it has changed."""
STOPPED_WITHIN_S = 30.0
LOOKED_AT_S = 0.05

_Finding = TypeVar("_Finding")


@dataclass(frozen=True, slots=True)
class Standing(Generic[_Finding]):
    """How far a survey is."""

    finding: _Finding | None
    """The latest; of the library as it was before, while it is looked through again."""
    counting: bool
    done: int
    total: int
    """0 where it is not known."""


class Survey(Generic[_Finding]):
    """Looks through the library when asked to, once for each state of it. Safe to use from threads.

    Searches go on meanwhile: it holds none of the threads that answer.
    """

    def __init__(
        self,
        name: str,
        version: Callable[[], object | None],
        look_through: Callable[[OnProgress], _Finding],
    ) -> None:
        """version: something else whenever the library has changed; None where that is not known.
        look_through: finds it; the progress that it tells is where it can be given up."""
        self._name = name
        self._version = version
        self._look_through = look_through
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._progress = Progress()
        self._found: tuple[object | None, float, _Finding] | None = None
        self._failure: PixseekError | None = None
        self._asked_s = 0.0
        self._stopping = threading.Event()

    def ask(self) -> Standing[_Finding]:
        """What is known now; begins to look when that is nothing, or out of date.

        Raises what looking raised, once: who asks again, begins again.
        """
        version = self._version()
        with self._lock:
            self._asked_s = time.monotonic()
            if self._failure is not None:
                failure, self._failure = self._failure, None
                raise failure
            fresh = self._is_fresh(version)
            if not fresh and self._thread is None and not self._stopping.is_set():
                self._progress = Progress()
                # It must not hold up the end of the process; `stop` waits for it for a while.
                self._thread = threading.Thread(
                    target=self._run, args=(version,), name=f"pixseek-{self._name}", daemon=True
                )
                self._thread.start()
            finding = None if self._found is None else self._found[2]
            return Standing(finding, not fresh, self._progress.done, self._progress.total)

    def wait(self, at_most_s: float) -> _Finding:
        """The finding, of the library as it is or was just now. Raises ServiceBusy."""
        ends = time.monotonic() + at_most_s
        while (standing := self.ask()).finding is None:
            if time.monotonic() > ends or self._stopping.is_set():
                raise ServiceBusy(f"the {self._name} are still being looked for", 1)
            time.sleep(LOOKED_AT_S)
        return standing.finding

    def stop(self) -> None:
        """Give it up."""
        self._stopping.set()
        thread = self._thread
        if thread is not None:
            thread.join(STOPPED_WITHIN_S)

    def _is_fresh(self, version: object | None) -> bool:
        if self._found is None:
            return False
        of, found_s, _ = self._found
        return time.monotonic() - found_s < KEPT_S if version is None else of == version

    def _run(self, version: object | None) -> None:
        def told(progress: Progress) -> None:
            self._progress = progress
            if self._stopping.is_set() or time.monotonic() - self._asked_s > FORGOTTEN_AFTER_S:
                raise CancelledError

        try:
            finding = self._look_through(told)
            with self._lock:
                self._found = version, time.monotonic(), finding
        except CancelledError:
            pass
        except PixseekError as error:
            self._failure = error
        finally:
            self._thread = None
