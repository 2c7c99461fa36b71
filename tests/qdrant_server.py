"""A stand-in for a Qdrant server: its REST interface, as far as a store uses it, over Qdrant's own
engine (`qdrant-edge-py`). So what the filters mean is Qdrant's word; what is made up here is how
requests and answers look. Run it: python -m tests.qdrant_server PORT FOLDER [KEY]
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import qdrant_edge as edge

from pixseek.stores.qdrant_embedded import edge_filter

Json = dict[str, Any]
DISTANCES = {
    "Cosine": edge.Distance.Cosine,
    "Euclid": edge.Distance.Euclid,
    "Dot": edge.Distance.Dot,
}


class Collection:
    """One shard, and what it was made with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: Json = json.loads((folder / "made.json").read_text())
        self.shard = edge.EdgeShard.load(str(folder / "shard"))

    @staticmethod
    def make(folder: Path, made: Json) -> Collection:
        folder.mkdir(parents=True)
        vectors = edge.EdgeVectorParams(
            size=made["vectors"]["size"], distance=DISTANCES[made["vectors"]["distance"]]
        )
        edge.EdgeShard.create(str(folder / "shard"), edge.EdgeConfig(vectors)).close()
        (folder / "made.json").write_text(json.dumps(made))
        return Collection(folder)

    def info(self) -> Json:
        return {
            "status": "green",
            "optimizer_status": "ok",
            "segments_count": 1,
            "points_count": self.shard.count(edge.CountRequest()),
            "config": {
                "params": {"vectors": self.made["vectors"]},
                "metadata": self.made.get("metadata"),
                "hnsw_config": {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000},
                "optimizer_config": {
                    "deleted_threshold": 0.2,
                    "vacuum_min_vector_number": 1000,
                    "default_segment_number": 0,
                    "flush_interval_sec": 5,
                },
            },
            "payload_schema": {
                name: {"data_type": "keyword", "points": one.points}
                for name, one in self.shard.info().payload_schema.items()
            },
        }

    def change(self, *operations: edge.UpdateOperation) -> Json:
        for operation in operations:
            self.shard.update(operation)
        self.shard.flush()
        return {"operation_id": 0, "status": "completed"}


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, folder: Path, key: str = "") -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.folder = folder
        self.key = key
        self.version = "1.20.0"
        self.failing: Callable[[Handler], bool] = lambda _: False
        """Whether a request is answered otherwise; the one asked does so."""
        self.lock = threading.Lock()
        self.collections = {
            one.parent.name: Collection(one.parent) for one in folder.glob("*/made.json")
        }


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    ROUTES: ClassVar[list[tuple[str, str, str]]] = [
        ("GET", r"/", "root"),
        ("GET", r"/collections/([^/]+)", "get_collection"),
        ("GET", r"/collections/([^/]+)/exists", "exists"),
        ("PUT", r"/collections/([^/]+)", "create_collection"),
        ("DELETE", r"/collections/([^/]+)", "delete_collection"),
        ("PUT", r"/collections/([^/]+)/index", "create_index"),
        ("PUT", r"/collections/([^/]+)/points", "upsert"),
        ("POST", r"/collections/([^/]+)/points", "retrieve"),
        ("POST", r"/collections/([^/]+)/points/batch", "batch"),
        ("POST", r"/collections/([^/]+)/points/delete", "delete"),
        ("POST", r"/collections/([^/]+)/points/scroll", "scroll"),
        ("POST", r"/collections/([^/]+)/points/count", "count"),
        ("POST", r"/collections/([^/]+)/points/query", "query"),
    ]

    def log_message(self, format: str, *args: object) -> None:
        pass

    def answer(self, status: int, body: Json) -> None:
        written = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(written)))
        self.end_headers()
        self.wfile.write(written)

    def do(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or b"{}")
        if self.server.failing(self):
            return
        if self.server.key and self.headers.get("api-key") != self.server.key:
            self.answer(401, {"status": {"error": "Must provide an API key"}})
            return
        path = self.path.partition("?")[0]
        for verb, pattern, name in self.ROUTES:
            if verb == self.command and (found := re.fullmatch(pattern, path)):
                if name == "root":
                    self.answer(200, {"title": "qdrant", "version": self.server.version})
                    return
                with self.server.lock:
                    status, result = getattr(self, name)(found[1], body)
                self.answer(status, {"time": 0.0, "status": "ok", "result": result})
                return
        self.answer(404, {"status": {"error": f"no {self.command} {path}"}})

    do_GET = do_PUT = do_POST = do_DELETE = do  # noqa: N815

    def found(self, name: str) -> Collection | None:
        return self.server.collections.get(name)

    def exists(self, name: str, _: Json) -> tuple[int, Any]:
        return 200, {"exists": self.found(name) is not None}

    def get_collection(self, name: str, _: Json) -> tuple[int, Any]:
        found = self.found(name)
        return (404, None) if found is None else (200, found.info())

    def create_collection(self, name: str, body: Json) -> tuple[int, Any]:
        if self.found(name) is not None:
            return 409, None
        made = Collection.make(self.server.folder / name, body)
        self.server.collections[name] = made
        return 200, True

    def delete_collection(self, name: str, _: Json) -> tuple[int, Any]:
        found = self.server.collections.pop(name, None)
        if found is not None:
            found.shard.close()
            shutil.rmtree(found.folder)
        return 200, found is not None

    def create_index(self, name: str, body: Json) -> tuple[int, Any]:
        if (found := self.found(name)) is None:
            return 404, None
        schema = body["field_schema"]
        index: Any = edge.FloatIndexParams() if schema == "float" else edge.KeywordIndexParams()
        if isinstance(schema, dict):
            if schema["type"] != "keyword":
                raise ValueError(schema)
            index = edge.KeywordIndexParams(prefix=schema["prefix"])
        operation = edge.UpdateOperation.create_field_index(body["field_name"], index)
        return 200, found.change(operation)

    def upsert(self, name: str, body: Json) -> tuple[int, Any]:
        if (found := self.found(name)) is None:
            return 404, None
        points = [edge.Point(one["id"], one["vector"], one["payload"]) for one in body["points"]]
        return 200, found.change(edge.UpdateOperation.upsert_points(points))

    def batch(self, name: str, body: Json) -> tuple[int, Any]:
        if (found := self.found(name)) is None:
            return 404, None
        asked = [one["overwrite_payload"] for one in body["operations"]]
        change = edge.UpdateOperation.overwrite_payload
        result = found.change(*(change(one["points"], one["payload"]) for one in asked))
        return 200, [result for _ in asked]

    def delete(self, name: str, body: Json) -> tuple[int, Any]:
        if (found := self.found(name)) is None:
            return 404, None
        return 200, found.change(edge.UpdateOperation.delete_points(body["points"]))

    def retrieve(self, name: str, body: Json) -> tuple[int, Any]:
        if (found := self.found(name)) is None:
            return 404, None
        points = found.shard.retrieve(body["ids"], body["with_payload"], body["with_vector"])
        return 200, [_shown(one) for one in points]

    def scroll(self, name: str, body: Json) -> tuple[int, Any]:
        if (found := self.found(name)) is None:
            return 404, None
        request = edge.ScrollRequest(
            body.get("offset"),
            body["limit"],
            edge_filter(body.get("filter")),
            body["with_payload"],
            body["with_vector"],
        )
        points, after = found.shard.scroll(request)
        following = None if after is None else str(after)
        return 200, {"points": [_shown(one) for one in points], "next_page_offset": following}

    def count(self, name: str, body: Json) -> tuple[int, Any]:
        if (found := self.found(name)) is None:
            return 404, None
        request = edge.CountRequest(body["exact"], edge_filter(body.get("filter")))
        return 200, {"count": found.shard.count(request)}

    def query(self, name: str, body: Json) -> tuple[int, Any]:
        if (found := self.found(name)) is None:
            return 404, None
        request = edge.QueryRequest(
            limit=body["limit"],
            query=edge.Query.Nearest(body["query"]["nearest"]),
            filter=edge_filter(body.get("filter")),
            params=edge.SearchParams(
                hnsw_ef=body["params"].get("hnsw_ef"), exact=body["params"]["exact"]
            ),
            with_payload=body["with_payload"],
            with_vector=body["with_vector"],
        )
        points = [
            _shown(one) | {"score": one.score, "version": 0} for one in found.shard.query(request)
        ]
        return 200, {"points": points}


def _shown(point: Any) -> Json:
    return {"id": str(point.id), "vector": point.vector, "payload": point.payload}


if __name__ == "__main__":
    Server(int(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]).serve_forever()
