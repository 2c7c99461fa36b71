"""The threads that requests are worked on by, and who has the next one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeVar

import anyio
import anyio.to_thread

from pixseek.errors import ServiceBusy

RETRY_AFTER_S = 1
CLIENT: ContextVar[str] = ContextVar("CLIENT", default="")
"""Whose request is being worked on; set where requests come in."""

_Answer = TypeVar("_Answer")


class _Waiting:
    """A call that waits for its turn."""

    def __init__(self) -> None:
        self.told = anyio.Event()
        self.refused = False


class Threads:
    """So many calls at once, so many more may wait; others are sent away.

    Clients take turns: one that asks for a thousand things delays another by no more than what is
    being worked on. When all places to wait are taken, who has most of them loses one.
    Used by one event loop.
    """

    def __init__(self, threads: int, queue: int) -> None:
        self.at_once = threads
        self._free = threads
        self._limiter = anyio.CapacityLimiter(threads)
        self._queue = queue
        self._waiting: dict[str, deque[_Waiting]] = {}
        """Client → its calls, first come first; the clients in the order of their turns."""
        self.pending = 0
        """Calls that run or wait."""

    async def run(self, call: Callable[[], _Answer]) -> _Answer:
        """Run a call that blocks. Raises ServiceBusy when too many wait already."""
        self.pending += 1
        try:
            await self._turn(CLIENT.get())
            try:
                return await anyio.to_thread.run_sync(call, limiter=self._limiter)
            finally:
                self._next()
        finally:
            self.pending -= 1

    async def _turn(self, client: str) -> None:
        """Wait until a thread is this call's."""
        if self._free:
            self._free -= 1
            return
        self._make_room(client)
        waiting = _Waiting()
        self._waiting.setdefault(client, deque()).append(waiting)
        try:
            await waiting.told.wait()
        except BaseException:  # the client has gone
            if not self._forget(client, waiting) and not waiting.refused:
                self._next()
            raise
        if waiting.refused:
            raise ServiceBusy("others wait, and this client has asked for most", RETRY_AFTER_S)

    def _make_room(self, client: str) -> None:
        """Raise ServiceBusy when all places are taken, unless another client has more of them."""
        wait = sum(map(len, self._waiting.values()))
        if wait < self._queue:
            return
        most = max(self._waiting, key=lambda one: len(self._waiting[one]), default=client)
        own = len(self._waiting.get(client, ()))
        if not self._waiting or len(self._waiting[most]) <= own + 1:
            raise ServiceBusy(f"{self.pending - 1} requests wait already", RETRY_AFTER_S)
        last = self._waiting[most][-1]
        last.refused = True
        self._forget(most, last)
        last.told.set()

    def _next(self) -> None:
        """Give a thread that has become free to the first call of the client whose turn it is."""
        if not self._waiting:
            self._free += 1
            return
        client = next(iter(self._waiting))
        calls = self._waiting.pop(client)
        first = calls.popleft()
        if calls:
            self._waiting[client] = calls  # its next turn comes after all others'
        first.told.set()

    def _forget(self, client: str, waiting: _Waiting) -> bool:
        """Take a call out of those that wait; False when it is none of them."""
        calls = self._waiting.get(client, deque())
        if waiting not in calls:
            return False
        calls.remove(waiting)
        if not calls:
            del self._waiting[client]
        return True
