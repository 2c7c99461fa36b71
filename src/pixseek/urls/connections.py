"""Connections to addresses that were checked, and for no longer than there is time.

Loaded when a picture is fetched: httpcore takes a while.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from ssl import SSLContext
from typing import Any

import httpcore


class Connections(httpcore.NetworkBackend):
    """Connects to the addresses that `addresses` gives for host and port, the first that answers.

    left: the seconds that there are still; raises when there are none.
    """

    def __init__(
        self, addresses: Callable[[str, int], Sequence[str]], left: Callable[[], float]
    ) -> None:
        self._addresses = addresses
        self._left = left
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002  httpcore's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = OSError(f"{host!r} has no address")
        for address in self._addresses(host, port):
            try:
                stream = self._plain.connect_tcp(
                    address, port, self._left(), local_address, socket_options
                )
            except httpcore.ConnectError as error:
                failure = error
            else:
                return _Timed(stream, self._left)
        raise failure


class _Timed(httpcore.NetworkStream):
    """A connection of which every wait ends when the time for the whole picture does: a host that
    sends a byte now and then would never be given up otherwise."""

    def __init__(self, stream: httpcore.NetworkStream, left: Callable[[], float]) -> None:
        self._stream = stream
        self._left = left

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return self._stream.read(max_bytes, self._left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self._stream.write(buffer, self._left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002  httpcore's
    ) -> httpcore.NetworkStream:
        return _Timed(
            self._stream.start_tls(ssl_context, server_hostname, self._left()), self._left
        )

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
