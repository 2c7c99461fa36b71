"""A hub on loopback, for tests: repositories in memory, served as the real one's clients expect.

Speaks what huggingface_hub 1 and 2 ask for: the description of a revision with sizes and hashes
(`GET /api/models/REPO/revision/REV`), and files by HEAD and GET with the hub's headers and byte
ranges (`/REPO/resolve/REV/FILE`).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

LARGE = ("onnx", "onnx_data", "data", "safetensors", "bin", "pt")
"""Endings of files that the hub keeps by their SHA-256, outside git."""


@dataclass
class Hub:
    """The server: what it holds, and how it behaves."""

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict[str, dict[str, bytes]])
    commits: dict[str, str] = field(default_factory=dict[str, str])
    requests: list[str] = field(default_factory=list[str])
    """Method, path, and the range asked for."""
    cut_after: int | None = None
    """Bytes after which the next large file's connection is dropped, once."""
    lies: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """File → what is sent instead of it, under the true hash."""
    status: int | None = None
    """What every request is answered with."""
    token: str | None = None
    """What must be sent to read anything."""
    url: str = ""

    def add(self, repository: str, files: dict[str, bytes], commit: str = "a" * 40) -> None:
        self.repositories[repository] = files
        self.commits[repository] = commit

    def asked(self, method: str = "GET") -> list[str]:
        return [one for one in self.requests if one.startswith(method)]

    def description(self, repository: str) -> dict[str, object]:
        siblings = []
        for name, content in self.repositories[repository].items():
            one: dict[str, object] = {
                "rfilename": name,
                "size": len(content),
                "blobId": sha1(b"blob %d\0" % len(content) + content).hexdigest(),
            }
            if name.endswith(LARGE):
                digest = sha256(content).hexdigest()
                one["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 134}
            siblings.append(one)
        return {
            "id": repository,
            "modelId": repository,
            "sha": self.commits[repository],
            "siblings": siblings,
            "private": False,
            "tags": [],
            "downloads": 0,
        }


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Answer on a free port for as long as the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, *, body: bool) -> None:
            path = unquote(urlsplit(self.path).path)
            wanted = self.headers.get("Range", "")
            hub.requests.append(f"{self.command} {path} {wanted}".strip())
            if hub.status is not None:
                return self._refuse(hub.status, "", "the hub is not well")
            if hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}":
                return self._refuse(401, "GatedRepo", "consent is needed")
            if path.startswith("/api/models/"):
                return self._describe(path.removeprefix("/api/models/"))
            repository, _, rest = path.removeprefix("/").partition("/resolve/")
            revision, _, name = rest.partition("/")
            files = hub.repositories.get(repository)
            if files is None:
                return self._refuse(401, "RepoNotFound", "Repository not found")
            if revision not in ("main", hub.commits[repository]):
                return self._refuse(404, "RevisionNotFound", "Revision not found")
            if name not in files:
                return self._refuse(404, "EntryNotFound", "Entry not found")
            return self._send_file(repository, name, files[name], wanted, body=body)

        def _describe(self, rest: str) -> None:
            repository, _, revision = rest.partition("/revision/")
            if repository not in hub.repositories:
                return self._refuse(401, "RepoNotFound", "Repository not found")
            if revision not in ("", "main", hub.commits[repository]):
                return self._refuse(404, "RevisionNotFound", "Revision not found")
            content = json.dumps(hub.description(repository)).encode()
            return self._send(200, content, {"Content-Type": "application/json"})

        def _send_file(
            self, repository: str, name: str, content: bytes, wanted: str, *, body: bool
        ) -> None:
            etag = sha1(b"blob %d\0" % len(content) + content).hexdigest()
            headers = {"X-Repo-Commit": hub.commits[repository], "Accept-Ranges": "bytes"}
            if name.endswith(LARGE):
                etag = sha256(content).hexdigest()
                headers |= {"X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(len(content))}
            headers["ETag"] = f'"{etag}"'
            content = hub.lies.get(name, content)
            if wanted:
                first = int(wanted.removeprefix("bytes=").partition("-")[0])
                headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
                self._send(206, content[first:], headers, body=body)
                return
            self._send(200, content, headers, body=body)

        def _send(
            self, status: int, content: bytes, headers: dict[str, str], *, body: bool = True
        ) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if not body:
                return
            cut, large = hub.cut_after, "X-Linked-Size" in headers
            if cut is not None and large and cut < len(content):
                hub.cut_after = None
                self.wfile.write(content[:cut])
                self.wfile.flush()
                self.close_connection = True
                self.connection.close()
                return
            self.wfile.write(content)

        def _refuse(self, status: int, code: str, message: str) -> None:
            headers = {"X-Error-Code": code, "X-Error-Message": message}
            self._send(status, json.dumps({"error": message}).encode(), headers)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        hub.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()
