"""A real server on a free port of this machine, over a small library of painted pictures."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from pixseek import ImageSearchEngine
from pixseek.settings import Settings
from pixseek.web import serving
from pixseek.web.service import Service


class Served(httpx.Client):
    """A client of a running server, and the server's insides."""

    def __init__(self, url: str, service: Service, server: serving.Server) -> None:
        super().__init__(base_url=url, timeout=30, trust_env=False)
        self.service = service
        self.server = server

    @property
    def engine(self) -> ImageSearchEngine:
        return self.service.engine

    def found(self, path: str = "/api/v1/search", **asked: object) -> list[str]:
        """The names of the hits of a search."""
        answer = self.get(path, params=asked)  # type: ignore[arg-type]  # httpx checks them
        assert answer.status_code == 200, answer.text
        return [hit["name"] for hit in answer.json()["hits"]]


@contextmanager
def serve(
    library: Path, *, allow_write: bool = False, ready: bool = True, **options: object
) -> Iterator[Served]:
    """Serve a library for as long as the block runs."""
    chosen = Settings(**{"library": library, "port": 0, **options})  # type: ignore[arg-type]  # as given
    with ImageSearchEngine(library, create=False, options=chosen) as engine:
        service = serving.service(engine, chosen, allow_write=allow_write)
        if ready:
            service.preload()
        with serving.bind(chosen) as taken:
            taken.listen(serving.BACKLOG)
            server = serving.Server(service)
            thread = threading.Thread(target=server.serve_on, args=(taken,))
            thread.start()
            url = f"http://127.0.0.1:{taken.getsockname()[1]}"
            try:
                with Served(url, service, server) as client:
                    yield client
            finally:
                server.end()
                thread.join(30)
                assert not thread.is_alive()
