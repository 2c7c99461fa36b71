"""A server on a port, from start to a graceful end."""

from __future__ import annotations

import secrets
import signal
import socket
import threading
import webbrowser
from types import FrameType

import uvicorn

from pixseek.engine import ImageSearchEngine
from pixseek.errors import NotPermitted
from pixseek.settings import Settings
from pixseek.web.app import create_app
from pixseek.web.guard import is_loopback
from pixseek.web.service import Service

ENDED_WITHIN_S = 10
IDLE_S = 30
BACKLOG = 128


class Server(uvicorn.Server):
    """Ends streams before it waits for connections to end, and the process with 0."""

    def __init__(self, service: Service) -> None:
        config = uvicorn.Config(
            create_app(service),
            log_level="warning",
            access_log=False,  # an address may hold what people search for
            server_header=False,
            proxy_headers=False,
            lifespan="off",
            ws="none",
            timeout_keep_alive=IDLE_S,
            timeout_graceful_shutdown=ENDED_WITHIN_S,
        )
        super().__init__(config)
        self.service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  uvicorn's
        """Begin to end; a second Ctrl-C waits for nothing any more."""
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.end()

    def end(self) -> None:
        """Begin to end: finish what was begun, for some seconds at most."""
        self.service.stopping.set()
        self.should_exit = True

    def serve_on(self, taken: socket.socket) -> None:
        """Serve until told to end."""
        threading.Thread(target=self.service.preload, name="pixseek-preload", daemon=True).start()
        try:
            self.run(sockets=[taken])
        finally:
            self.service.stop()


def service(engine: ImageSearchEngine, options: Settings, *, allow_write: bool) -> Service:
    """What is served. A token is made up where others than this machine can ask."""
    token = options.token
    if not token and not is_loopback(options.host):
        token = secrets.token_urlsafe(24)
    return Service(engine, options, allow_write=allow_write, token=token)


def bind(options: Settings) -> socket.socket:
    """Take the port. Raises NotPermitted when that cannot be."""
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    taken = socket.socket(family, socket.SOCK_STREAM)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((options.host, options.port))
    except (OSError, OverflowError) as error:
        taken.close()
        raise NotPermitted(
            f"to listen on {options.host} port {options.port} ({error})",
            "choose another --port, or 0 for one that is free",
        ) from error
    return taken


def address(service: Service, taken: socket.socket) -> str:
    """What to open in a browser; with the token, where there is one."""
    host = service.options.host
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    base = f"http://{shown}:{taken.getsockname()[1]}/"
    return f"{base}login?token={service.token}" if service.token else base


def run(service: Service, taken: socket.socket, *, open_page: bool = False) -> None:
    """Serve until interrupted. open_page: show the page in this machine's browser."""
    taken.listen(BACKLOG)  # from here on requests wait, and none is refused
    if open_page:
        webbrowser.open(address(service, taken))
    Server(service).serve_on(taken)
