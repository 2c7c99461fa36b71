"""A server on this machine that speaks as much of the hub's protocol as fetching a model takes.

What each answer carries was read in huggingface_hub (file_download.py, utils/_http.py) and in the
hub's documentation: the listing of a revision with sizes and hashes, files that redirect to a
second server, ranges, error codes in headers.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE_BYTES = 200
"""Files with more are listed with a sha256 and served by redirection, as those in Git LFS are."""


@dataclass(frozen=True)
class Request:
    """What was asked."""

    method: str
    path: str
    range: str | None
    token: str | None


@dataclass
class Hub:
    """What the server has, what it was asked, and what it does wrong."""

    url: str = ""
    commits: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)
    """repository → commit → path → content."""
    main: dict[str, str] = field(default_factory=dict)
    """repository → the commit that its branch is at."""
    requests: list[Request] = field(default_factory=list)

    cut_after: list[int] = field(default_factory=list)
    """Bytes after which the connection of the next large file breaks, one for each answer."""
    lies: dict[str, bytes] = field(default_factory=dict)
    """Large files that are served with another content than is listed; by path."""
    busy: int = 0
    """How often a large file is answered with 503 first."""
    refusal: tuple[int, str] | None = None
    """Status and X-Error-Code of every answer."""
    ranges: bool = True
    """Whether ranges are served; else the whole file is, whatever was asked."""
    hold_after: int | None = None
    """Bytes after which large files wait for `release`."""
    holding: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)
    listing: dict[str, Any] | None = None
    """What is listed in place of the truth."""

    def commit(self, repository: str, files: dict[str, bytes]) -> str:
        """Files become the newest commit of a repository; returns its name."""
        content = b"".join(path.encode() + blob for path, blob in sorted(files.items()))
        name = sha1(content).hexdigest()
        self.commits.setdefault(repository, {})[name] = files
        self.main[repository] = name
        return name

    def asked(self, method: str = "GET") -> list[str]:
        """The paths that were asked for, without what the redirections led to."""
        return [r.path for r in self.requests if r.method == method and "/cdn/" not in r.path]

    def served(self) -> list[Request]:
        """What was asked of the second server: the large files."""
        return [r for r in self.requests if "/cdn/" in r.path]


@contextmanager
def serving() -> Iterator[Hub]:
    """The server, on a free port; gone when left."""
    hub = Hub()

    class Handler(_Handler):
        def setup(self) -> None:
            super().setup()
            self.hub = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        hub.release.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the tests read `requests`."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(
            Request(self.command, path, self.headers["Range"], self.headers["Authorization"])
        )
        if self.hub.refusal is not None:
            return self._refuse(*self.hub.refusal)
        parts = path.strip("/").split("/")
        if parts[0] == "cdn":
            return self._large(*parts[1:])
        if parts[:2] == ["api", "models"] and parts[4:5] == ["revision"]:
            return self._listing("/".join(parts[2:4]), "/".join(parts[5:]))
        if parts[2:3] == ["resolve"]:
            return self._file("/".join(parts[:2]), parts[3], "/".join(parts[4:]))
        return self._refuse(404, "")

    def _files(self, repository: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """The commit and its files; None, and refused, when there are none."""
        if repository not in self.hub.commits:
            self._refuse(404, "RepoNotFound")
            return None
        commit = self.hub.main[repository] if revision == "main" else revision
        if commit not in self.hub.commits[repository]:
            self._refuse(404, "RevisionNotFound")
            return None
        return commit, self.hub.commits[repository][commit]

    def _listing(self, repository: str, revision: str) -> None:
        if (found := self._files(repository, revision)) is None:
            return
        commit, files = found
        siblings = []
        for path, content in files.items():
            one: dict[str, Any] = {"rfilename": path, "size": len(content), "blobId": blob(content)}
            if len(content) > LARGE_BYTES:
                one["lfs"] = {
                    "sha256": sha256(content).hexdigest(), "size": len(content), "pointerSize": 130
                }  # fmt: skip
            siblings.append(one)
        listing = self.hub.listing or {"id": repository, "sha": commit, "siblings": siblings}
        self._answer(200, json.dumps(listing).encode(), {"Content-Type": "application/json"})

    def _file(self, repository: str, revision: str, path: str) -> None:
        if (found := self._files(repository, revision)) is None:
            return None
        commit, files = found
        if path not in files:
            return self._refuse(404, "EntryNotFound")
        content, headers = files[path], {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if len(content) <= LARGE_BYTES:
            return self._answer(200, content, headers | {"ETag": f'"{blob(content)}"'})
        # Another host, as on the hub: what is signed in the address needs no token, and gets none.
        port = urlsplit(self.hub.url).port
        return self._answer(
            302,
            b"",
            headers
            | {
                "Location": f"http://localhost:{port}/cdn/{repository}/{commit}/{path}",
                "X-Linked-Etag": f'"{sha256(content).hexdigest()}"',
                "X-Linked-Size": str(len(content)),
            },
        )

    def _large(self, owner: str, name: str, commit: str, *parts: str) -> None:
        if self.hub.busy:
            self.hub.busy -= 1
            return self._answer(503, b"", {})
        path = "/".join(parts)
        content = self.hub.lies.get(path) or self.hub.commits[f"{owner}/{name}"][commit][path]
        first, status, headers = 0, 200, {"Accept-Ranges": "bytes"}
        asked = self.headers["Range"]
        if asked and self.hub.ranges:
            first, status = int(asked.removeprefix("bytes=").rstrip("-")), 206
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        rest = content[first:]
        self._head(status, len(rest), headers)
        if self.hub.cut_after:
            self.wfile.write(rest[: self.hub.cut_after.pop(0)])
            self.close_connection = True
            return None
        if self.hub.hold_after is not None and len(rest) > self.hub.hold_after:
            self.wfile.write(rest[: self.hub.hold_after])
            self.wfile.flush()
            self.hub.holding.set()
            self.hub.release.wait(30)
            rest = rest[self.hub.hold_after :]
        try:
            self.wfile.write(rest)
        except ConnectionError:  # who asked has been killed
            self.close_connection = True
        return None

    def _refuse(self, status: int, code: str) -> None:
        self._answer(status, b"", {"X-Error-Code": code} if code else {})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._head(status, len(body), headers)
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: int, size: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(size))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def blob(content: bytes) -> str:
    """Git's hash of a content."""
    return sha1(b"blob %d\0" % len(content) + content).hexdigest()
