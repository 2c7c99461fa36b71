"""A server on this machine that has pictures at its URLs, and does what hosts of strangers may."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from tests.conftest import SAMPLES

PICTURE = (SAMPLES / "photo-06.jpg").read_bytes()
BOMB_BYTES = 100_000_000


@dataclass
class Pictures:
    """Where it is, and what it was asked."""

    url: str = ""
    port: int = 0
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def at(self, path: str) -> str:
        return f"{self.url}/{path}"


@contextmanager
def serving() -> Iterator[Pictures]:
    """Serve for as long as the block runs."""
    pictures = Pictures()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            pictures.asked.append(self.path)
            pictures.headers.append(dict(self.headers))
            name, _, rest = urlsplit(self.path).path.strip("/").partition("/")
            with suppress(BrokenPipeError, ConnectionResetError):
                _ANSWERS.get(name, _missing)(self, rest, pictures)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    pictures.port = server.server_address[1]
    pictures.url = f"http://127.0.0.1:{pictures.port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield pictures
    finally:
        pictures.stop.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _send(
    handler: BaseHTTPRequestHandler,
    content: bytes,
    kind: str | None = "image/jpeg",
    status: int = 200,
    **headers: str,
) -> None:
    handler.send_response(status)
    if kind is not None:
        handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(content)))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(content)


def _picture(handler: BaseHTTPRequestHandler, _: str, __: Pictures) -> None:
    _send(handler, PICTURE)


def _unsaid(handler: BaseHTTPRequestHandler, _: str, __: Pictures) -> None:
    _send(handler, PICTURE, None)


def _page(handler: BaseHTTPRequestHandler, _: str, __: Pictures) -> None:
    _send(handler, b"<html><img src=a.jpg></html>", "text/html; charset=utf-8")


def _liar(handler: BaseHTTPRequestHandler, _: str, __: Pictures) -> None:
    _send(handler, b"<html>no picture</html>")


def _empty(handler: BaseHTTPRequestHandler, _: str, __: Pictures) -> None:
    _send(handler, b"")


def _missing(handler: BaseHTTPRequestHandler, _: str, __: Pictures) -> None:
    _send(handler, b"nothing here", "text/plain", 404)


def _bomb(handler: BaseHTTPRequestHandler, _: str, __: Pictures) -> None:
    _send(handler, gzip.compress(bytes(BOMB_BYTES), 1), Content_Encoding="gzip")


def _to(handler: BaseHTTPRequestHandler, rest: str, _: Pictures) -> None:
    """to/PATH redirects there; to/HOST:PORT:PATH to another host."""
    host, colon, path = rest.partition("=")
    where = f"http://{host}/{path}" if colon else f"/{rest}"
    _send(handler, b"", None, 302, Location=where)


def _other(handler: BaseHTTPRequestHandler, rest: str, _: Pictures) -> None:
    _send(handler, b"", None, 301, Location=rest)


def _round(handler: BaseHTTPRequestHandler, _: str, __: Pictures) -> None:
    _send(handler, b"", None, 307, Location="/round")


def _endless(handler: BaseHTTPRequestHandler, _: str, pictures: Pictures) -> None:
    """No length, and pieces for as long as someone reads."""
    handler.send_response(200)
    handler.send_header("Content-Type", "image/jpeg")
    handler.send_header("Connection", "close")
    handler.end_headers()
    while not pictures.stop.is_set():
        handler.wfile.write(bytes(65536))


def _slow(handler: BaseHTTPRequestHandler, _: str, pictures: Pictures) -> None:
    """A byte now and then, so that no single wait is long."""
    handler.send_response(200)
    handler.send_header("Content-Type", "image/jpeg")
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    while not pictures.stop.wait(0.05):
        handler.wfile.write(b"x")


def _slow_header(handler: BaseHTTPRequestHandler, _: str, pictures: Pictures) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not pictures.stop.wait(0.05):
        handler.wfile.write(b"x")


def _cut(handler: BaseHTTPRequestHandler, _: str, __: Pictures) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "image/jpeg")
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    handler.wfile.write(PICTURE[:100])
    handler.close_connection = True


def _large(handler: BaseHTTPRequestHandler, _: str, __: Pictures) -> None:
    _send(handler, PICTURE + bytes(2_000_000))


def _nonsense(handler: BaseHTTPRequestHandler, _: str, __: Pictures) -> None:
    handler.wfile.write(b"220 mail.example ESMTP\r\n")
    handler.close_connection = True


_ANSWERS = {
    "picture.jpg": _picture,
    "unsaid": _unsaid,
    "page": _page,
    "liar.jpg": _liar,
    "empty.jpg": _empty,
    "bomb": _bomb,
    "to": _to,
    "other": _other,
    "round": _round,
    "endless": _endless,
    "slow": _slow,
    "slow-header": _slow_header,
    "cut": _cut,
    "large": _large,
    "nonsense": _nonsense,
}
