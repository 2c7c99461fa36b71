"""A stand-in for the Pinecone service on loopback, which exists nowhere but in the cloud.

Written from Pinecone's published description of its interface of 2026-07 (`db_control` and
`db_data` of the repository pinecone-io/pinecone-api), which is the one that the client 10 speaks,
and from the pages on metadata, limits and data freshness of its documentation. It refuses what they
say is refused: other types, widths, names, operators, too many, too large. What they leave open is
refused too (a negation on a field that a record has not), so that no test rests on a guess. Scores
are exact, where the service's index may be approximate.

The control plane has a port, and each index has one, as its host.
"""

from __future__ import annotations

import base64
import json
import math
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

VERSION = "2026-07"
KEY = "pcsk_stand-in"
REGIONS = {("aws", "us-east-1"), ("aws", "eu-west-1"), ("gcp", "us-central1")}
REQUEST_BYTES = 2 * 1024 * 1024
RESULT_BYTES = 4 * 1024 * 1024
METADATA_BYTES = 40 * 1024
URL_BYTES = 8 * 1024
"""Not Pinecone's but that of proxies in front of such services."""

Json: TypeAlias = dict[str, Any]
_ID = re.compile(r"[\x01-\x7f]{1,512}")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": lambda a, b: a > b,
    "$gte": lambda a, b: a >= b,
    "$lt": lambda a, b: a < b,
    "$lte": lambda a, b: a <= b,
}


class Refused(Exception):
    """An answer that is an error. `code` is gRPC's number on the data plane, a word on the other;
    None for what is refused before it reaches the service, with plain text."""

    def __init__(self, status: int, code: int | str | None, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers


def bad(message: str) -> Refused:
    return Refused(400, 3, message)


# Filters


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_filter(node: object, *, may_be_empty: bool = False) -> None:
    """Raise Refused unless it is in the metadata query language."""
    if not isinstance(node, dict) or not (node or may_be_empty):
        raise bad("the filter must be a non-empty object")
    for name, value in node.items():
        if name in ("$and", "$or"):
            if not isinstance(value, list) or not value:
                raise bad(f"{name} needs a non-empty array")
            for part in value:
                check_filter(part)
        elif name.startswith("$"):
            raise bad(f"the operator {name} is not supported")
        elif isinstance(value, dict):
            if not value:
                raise bad(f"no operator for {name!r}")
            for operator, operand in value.items():
                _check_operand(operator, operand)
        else:
            _check_operand("$eq", value)


def _check_operand(operator: str, operand: object) -> None:
    right: bool
    if operator in ("$eq", "$ne"):
        right = isinstance(operand, str | bool) or is_number(operand)
    elif operator in _COMPARE:
        right = is_number(operand)
    elif operator in ("$in", "$nin"):
        right = (
            isinstance(operand, list)
            and 0 < len(operand) <= 10_000
            and all(isinstance(one, str) or is_number(one) for one in operand)
        )
    elif operator == "$exists":
        right = isinstance(operand, bool)
    else:
        raise bad(f"the operator {operator} is not supported")
    if not right:
        raise bad(f"the {operator} operator does not take {operand!r:.80}")


def passes(node: Json, metadata: Json) -> bool:
    for name, value in node.items():
        if name in ("$and", "$or"):
            join = all if name == "$and" else any
            held = join([passes(part, metadata) for part in value])
        else:
            tests = value if isinstance(value, dict) else {"$eq": value}
            held = all(_holds(metadata, name, *test) for test in tests.items())
        if not held:
            return False
    return True


def _holds(metadata: Json, name: str, operator: str, operand: Any) -> bool:
    found = metadata.get(name)
    if operator == "$exists":
        return (found is not None) is bool(operand)
    if operator in ("$ne", "$nin"):
        if found is None:
            raise bad(f"{operator} on {name!r}, which a record lacks: its meaning is not described")
        return not _holds(metadata, name, "$eq" if operator == "$ne" else "$in", operand)
    values = found if isinstance(found, list) else [found]
    if operator in _COMPARE:
        return any(is_number(value) and _COMPARE[operator](value, operand) for value in values)
    wanted = operand if operator == "$in" else [operand]
    return any(type(value) is type(_number(one)) and value == one
               for value in values for one in wanted)  # fmt: skip


def _number(value: Any) -> Any:
    return float(value) if is_number(value) else value


# Records


def check_metadata(metadata: object) -> Json:
    """Metadata as it is kept: numbers are 64-bit floats."""
    if not isinstance(metadata, dict):
        raise bad("metadata must be an object")
    kept = {}
    for name, value in metadata.items():
        if name.startswith("$"):
            raise bad(f"metadata field names may not begin with $: {name!r}")
        texts = isinstance(value, list) and all(isinstance(one, str) for one in value)
        if not (texts or isinstance(value, str | bool) or is_number(value)):
            raise bad(
                "Metadata value must be a string, number, boolean or list of strings, got "
                f"'{value!r:.40}' for field '{name}'"
            )
        kept[name] = _number(value)
    size = len(json.dumps(metadata, ensure_ascii=False, separators=(",", ":")).encode())
    if size > METADATA_BYTES:
        raise bad(f"Metadata size is {size} bytes, which exceeds the limit of {METADATA_BYTES}")
    return kept


def check_id(id: object) -> str:
    if not isinstance(id, str) or not _ID.fullmatch(id):
        raise bad(f"Vector ID must be ASCII, without NUL, and 1 to 512 long, but is {id!r:.80}")
    return id


def check_ids(ids: object) -> list[str]:
    if not isinstance(ids, list) or not 1 <= len(ids) <= 1000:
        raise bad("expected 1 to 1000 ids")
    return [check_id(id) for id in ids]


def check_within(name: str, value: object, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise bad(f"{name} must be a whole number from 1 to {most}, not {value!r}")
    return value


@dataclass
class Record:
    values: np.ndarray[Any, np.dtype[np.float32]]
    metadata: Json

    def said(self, id: str, *, values: bool = True, metadata: bool = True) -> Json:
        said: Json = {"id": id, "values": self.values.tolist() if values else []}
        return said | ({"metadata": self.metadata} if metadata else {})


Records: TypeAlias = dict[str, Record]


@dataclass
class Namespace:
    """What is written, as a log, and what of it is seen already."""

    seen: Records = field(default_factory=dict[str, Record])
    log: list[tuple[float, Callable[[Records], object]]] = field(default_factory=list)
    written: int = 0
    applied: int = 0

    def write(self, change: Callable[[Records], object], delay_s: float) -> int:
        self.written += 1
        self.log.append((time.monotonic() + delay_s, change))
        return self.written

    def catch_up(self) -> None:
        while self.log and self.log[0][0] <= time.monotonic():
            self.log.pop(0)[1](self.seen)
            self.applied += 1


class IndexServer:
    """The data plane of one index."""

    def __init__(self, service: PineconeServer, name: str, described: Json) -> None:
        self.service = service
        self.described = described
        fields = described["schema"]["fields"]["_values"]
        self.dimension: int = fields["dimension"]
        self.metric: str = fields["metric"]
        self.namespaces: dict[str, Namespace] = {}
        self.lock = threading.Lock()
        self.gone = False
        self.http = _serve(self._answer)
        described["host"] = _url(self.http)
        described["name"] = name

    ROUTES: ClassVar[dict[tuple[str, str], tuple[str, set[str]]]] = {
        ("POST", "/vectors/upsert"): ("upsert", {"vectors", "namespace"}),
        ("POST", "/query"): (
            "query",
            {"namespace", "topK", "filter", "includeValues", "includeMetadata", "vector", "id"},
        ),
        ("GET", "/vectors/fetch"): ("fetch", {"ids", "namespace"}),
        ("POST", "/vectors/fetch_by_metadata"): (
            "fetch_by_metadata",
            {"namespace", "filter", "limit", "paginationToken"},
        ),
        ("POST", "/vectors/update"): (
            "update",
            {"id", "values", "setMetadata", "namespace", "filter", "dryRun"},
        ),
        ("POST", "/vectors/delete"): ("delete", {"ids", "deleteAll", "namespace", "filter"}),
        ("GET", "/vectors/list"): ("list", {"prefix", "limit", "paginationToken", "namespace"}),
        ("POST", "/describe_index_stats"): ("stats", {"filter"}),
    }

    def _answer(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self.service.enter(headers)
        if len(url) > URL_BYTES:
            raise Refused(414, None, "URI Too Long")
        parts = urlsplit(url)
        route = self.ROUTES.get((method, parts.path))
        if self.gone or route is None:
            raise Refused(404, 5, "not found")
        if len(body) > REQUEST_BYTES:
            size, limit = len(body), REQUEST_BYTES
            raise Refused(413, 11, f"message length too large: found {size} bytes, limit {limit}")
        query = parse_qs(parts.query, keep_blank_values=True)
        asked: Json = {k: v if k == "ids" else v[0] for k, v in query.items()}
        if method == "POST":
            asked = _read(body)
        if unknown := set(asked) - route[1]:
            raise bad(f"unknown field {sorted(unknown)[0]!r}")
        name = asked.get("namespace", "")
        if not isinstance(name, str) or not re.fullmatch(r"[\x01-\x7f]{0,512}", name):
            raise bad("the namespace must be ASCII and at most 512 characters long")
        with self.lock:
            for one in self.namespaces.values():
                one.catch_up()
            answer: Answer = getattr(self, f"_{route[0]}")(name, asked)
        return answer

    # Writing

    def _upsert(self, name: str, asked: Json) -> Answer:
        vectors = asked.get("vectors")
        if not isinstance(vectors, list) or not 1 <= len(vectors) <= 1000:
            raise bad("expected 1 to 1000 vectors in one upsert")
        records: Records = {}
        for vector in vectors:
            if not isinstance(vector, dict) or set(vector) - {"id", "values", "metadata"}:
                raise bad("a vector has id, values and metadata")
            values = self._values(vector.get("values"))
            records[check_id(vector.get("id"))] = Record(
                values, check_metadata(vector.get("metadata", {}))
            )
        namespace = self.namespaces.setdefault(name, Namespace())
        return self._written(
            namespace, lambda seen: seen.update(records), {"upsertedCount": len(vectors)}
        )

    def _update(self, name: str, asked: Json) -> Answer:
        if ("id" in asked) == ("filter" in asked) or {"filter", "values"} <= set(asked):
            raise bad("an update is of an id, or of the metadata of what passes a filter")
        fields = check_metadata(asked.get("setMetadata", {}))
        values = self._values(asked["values"]) if "values" in asked else None
        if "filter" in asked:
            check_filter(asked["filter"])
        else:
            check_id(asked["id"])

        def change(seen: Records) -> None:
            for id, record in seen.items():
                if id == asked.get("id") or ("filter" in asked and self._meets(asked, record)):
                    record.metadata = record.metadata | fields
                    record.values = record.values if values is None else values

        namespace = self.namespaces.setdefault(name, Namespace())
        said: Json = {}
        if "filter" in asked:
            matched = [one for one in namespace.seen.values() if self._meets(asked, one)]
            said["matchedRecords"] = len(matched)
        if asked.get("dryRun"):
            return 200, said, {}
        return self._written(namespace, change, said)

    def _delete(self, name: str, asked: Json) -> Answer:
        ways = [
            one for one in ("ids", "filter", "deleteAll") if asked.get(one) not in (None, False)
        ]
        if len(ways) != 1:
            raise bad("a delete is of ids, or by a filter, or of all")
        if name not in self.namespaces:
            raise Refused(404, 5, "Namespace not found")
        namespace = self.namespaces[name]
        if ways == ["ids"]:
            ids = check_ids(asked["ids"])
            return self._written(namespace, lambda seen: [seen.pop(id, None) for id in ids], {})
        if ways == ["deleteAll"]:
            return self._written(namespace, lambda seen: seen.clear(), {})
        check_filter(asked["filter"])

        def change(seen: Records) -> None:
            for id in [id for id, one in seen.items() if self._meets(asked, one)]:
                del seen[id]

        return self._written(namespace, change, {})

    def _written(
        self, namespace: Namespace, change: Callable[[Records], object], said: Json
    ) -> Answer:
        position = namespace.write(change, self.service.delay_s)
        return 200, said, {"x-pinecone-request-lsn": str(position)}

    # Reading

    def _query(self, name: str, asked: Json) -> Answer:
        most = check_within("topK", asked.get("topK"), 10_000)
        if ("vector" in asked) == ("id" in asked):
            raise bad("a query has a vector or an id")
        namespace = self.namespaces.get(name, Namespace())
        if "id" in asked:
            record = namespace.seen.get(check_id(asked["id"]))
            near = None if record is None else record.values
        else:
            near = self._values(asked["vector"])
        if "filter" in asked:
            check_filter(asked["filter"], may_be_empty=True)
        found = [
            (self._score(record.values, near), id, record)
            for id, record in namespace.seen.items()
            if near is not None and self._meets(asked, record)
        ]
        found.sort(key=lambda one: one[0], reverse=self.metric != "euclidean")
        whole = {
            "values": bool(asked.get("includeValues")),
            "metadata": bool(asked.get("includeMetadata")),
        }
        matches = [record.said(id, **whole) | {"score": s} for s, id, record in found[:most]]
        said = {"matches": matches, "namespace": name, "usage": {"readUnits": 1}}
        if len(json.dumps(said)) > RESULT_BYTES:
            raise Refused(400, 11, "the result is larger than 4 MB")
        return 200, said, {"x-pinecone-max-indexed-lsn": str(namespace.applied)}

    def _fetch(self, name: str, asked: Json) -> Answer:
        seen = self.namespaces.get(name, Namespace()).seen
        vectors = {id: seen[id].said(id) for id in check_ids(asked.get("ids")) if id in seen}
        return 200, {"vectors": vectors, "namespace": name, "usage": {"readUnits": 1}}, {}

    def _fetch_by_metadata(self, name: str, asked: Json) -> Answer:
        check_filter(asked.get("filter"))
        seen = self.namespaces.get(name, Namespace()).seen
        ids = sorted(id for id, record in seen.items() if self._meets(asked, record))
        page, said = _page(ids, asked, check_within("limit", asked.get("limit", 100), 10_000))
        vectors = {id: seen[id].said(id) for id in page}
        return 200, said | {"vectors": vectors, "namespace": name}, {}

    def _list(self, name: str, asked: Json) -> Answer:
        try:
            limit = check_within("limit", int(asked.get("limit", 100)), 100)
        except ValueError as error:
            raise bad("limit must be a whole number") from error
        seen = self.namespaces.get(name, Namespace()).seen
        prefix = asked.get("prefix", "")
        page, said = _page(sorted(id for id in seen if id.startswith(prefix)), asked, limit)
        return 200, said | {"vectors": [{"id": id} for id in page], "namespace": name}, {}

    def _stats(self, _: str, asked: Json) -> Answer:
        if asked.get("filter"):
            raise bad("Serverless and Starter indexes do not support a filter here")
        counts = {name: len(one.seen) for name, one in self.namespaces.items()}
        said = {
            "namespaces": {name or "__default__": {"vectorCount": n} for name, n in counts.items()},
            "dimension": self.dimension,
            "indexFullness": 0,
            "totalVectorCount": sum(counts.values()),
            "metric": self.metric,
            "vectorType": "dense",
        }
        return 200, said, {}

    def _values(self, values: object) -> np.ndarray[Any, np.dtype[np.float32]]:
        if not isinstance(values, list) or not all(is_number(one) for one in values):
            raise bad("values must be an array of numbers")
        if len(values) != self.dimension:
            raise bad(
                f"Vector dimension {len(values)} does not match the dimension of the index "
                f"{self.dimension}"
            )
        if not any(abs(one) >= 1e-8 for one in values):
            raise bad("Dense vectors must contain at least one non-zero value.")
        return np.array(values, np.float32)

    def _score(self, one: Any, other: Any) -> float:
        if self.metric == "euclidean":  # the square of the distance: the lower, the more alike
            return float(((one - other) ** 2).sum(dtype=np.float64))
        product = float((one * other).sum(dtype=np.float64))
        if self.metric == "dotproduct":
            return product
        return product / math.sqrt(float((one**2).sum()) * float((other**2).sum()))

    @staticmethod
    def _meets(asked: Json, record: Record) -> bool:
        return passes(asked.get("filter") or {}, record.metadata)


def _page(ids: list[str], asked: Json, limit: int) -> tuple[list[str], Json]:
    """One page, and the token of the next if there is one."""
    start = ""
    if token := asked.get("paginationToken"):
        try:
            start = base64.b64decode(token, validate=True).decode()
        except ValueError as error:
            raise bad("the pagination token is malformed") from error
    left = [id for id in ids if id > start]
    page = left[:limit]
    if len(left) <= limit:
        return page, {"usage": {"readUnits": 1}}
    token = base64.b64encode(page[-1].encode()).decode()
    return page, {"usage": {"readUnits": 1}, "pagination": {"next": token}}


class PineconeServer:
    """The control plane, and the indexes made by it.

    delay_s: how long after a write is acknowledged it is seen. planned: answers to give instead,
    the next first, whatever is asked; None lets one pass. slow_s: how long each answer takes.
    quota: how many indexes there may be.
    """

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.slow_s = 0.0
        self.quota = 20
        self.planned: list[Refused | None] = []
        self.indexes: dict[str, IndexServer] = {}
        self._left: list[IndexServer] = []
        self._http = _serve(self._answer)
        self.url = _url(self._http)

    def enter(self, headers: Mapping[str, str]) -> None:
        """What is done to every request before it reaches the service."""
        if headers.get("Api-Key") != KEY:
            raise Refused(401, None, "Unauthorized")
        if headers.get("X-Pinecone-Api-Version") != VERSION:
            raise Refused(400, None, f"the stand-in speaks the interface of {VERSION} only")
        time.sleep(self.slow_s)
        if self.planned and (planned := self.planned.pop(0)) is not None:
            raise planned

    def close(self) -> None:
        for server in [self._http, *(one.http for one in [*self.indexes.values(), *self._left])]:
            server.shutdown()
            server.server_close()

    def _answer(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self.enter(headers)
        path = unquote(urlsplit(url).path)
        name = path.removeprefix("/indexes/")
        if (method, path) == ("GET", "/indexes"):
            return 200, {"indexes": [one.described for one in self.indexes.values()]}, {}
        if (method, path) == ("POST", "/indexes"):
            return self._create(_read(body))
        if name not in self.indexes:
            raise Refused(404, "NOT_FOUND", f"Resource {name} not found")
        if method == "GET":
            return 200, self.indexes[name].described, {}
        if method == "DELETE":
            self._left.append(self.indexes.pop(name))
            self._left[-1].gone = True
            return 202, {}, {}
        raise Refused(404, "NOT_FOUND", f"no {method} for {path}")

    def _create(self, asked: Json) -> Answer:
        known = {"name", "schema", "deployment", "tags", "deletion_protection", "read_capacity"}
        fields = asked.get("schema", {}).get("fields", {})
        deployment = asked.get("deployment", {})
        name = asked.get("name", "")
        if set(asked) - known or set(fields) != {"_values"}:
            message = "the stand-in makes indexes of vectors only, with the one field _values"
            raise Refused(400, "INVALID_ARGUMENT", message)
        if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,43}[a-z0-9])?", name):
            raise Refused(400, "INVALID_ARGUMENT", f"the name {name!r} is not allowed")
        one = fields["_values"]
        if one.get("type") != "dense_vector" or not 1 <= one.get("dimension", 0) <= 20_000:
            raise Refused(400, "INVALID_ARGUMENT", "a dense vector has 1 to 20000 dimensions")
        if one.get("metric") not in ("cosine", "euclidean", "dotproduct"):
            raise Refused(422, "UNPROCESSABLE_ENTITY", "Failed to deserialize: field `metric`")
        cloud, region = deployment.get("cloud"), deployment.get("region")
        if (cloud, region) not in REGIONS:
            raise Refused(404, "NOT_FOUND", f"Resource cloud: {cloud} region: {region} not found.")
        if name in self.indexes:
            raise Refused(409, "ALREADY_EXISTS", "Resource already exists.")
        if len(self.indexes) >= self.quota:
            message = "Increase your quota or upgrade to create more indexes."
            raise Refused(403, "FORBIDDEN", message)
        described = {
            "schema": asked["schema"],
            "deployment": deployment,
            "tags": asked.get("tags", {}),
            "deletion_protection": "disabled",
            "read_capacity": {"mode": "OnDemand", "status": {"state": "Ready"}},
            "status": {"ready": True, "state": "Ready"},
        }
        self.indexes[name] = IndexServer(self, name, described)
        return 201, described, {}


# HTTP

Answer: TypeAlias = tuple[int, Json, dict[str, str]]
Ask: TypeAlias = Callable[[str, str, Mapping[str, str], bytes], Answer]


def _read(body: bytes) -> Json:
    try:
        asked = json.loads(body)
    except ValueError as error:
        raise bad("the body is not JSON") from error
    if not isinstance(asked, dict):
        raise bad("the body is no object")
    return asked


def _serve(ask: Ask) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet
        disable_nagle_algorithm = True

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                status, said, headers = ask(self.command, self.path, dict(self.headers), body)
                kind, content = "application/json", json.dumps(said).encode()
            except Refused as refused:
                status, headers = refused.status, refused.headers
                kind, content = _error(refused)
            self.send_response(status)
            for name, value in {"Content-Type": kind, **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            self.wfile.flush()

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815  the names that http.server looks for

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server


def _error(refused: Refused) -> tuple[str, bytes]:
    """The body of an error: its form differs between the planes, and before both."""
    if refused.code is None:
        return "text/plain", str(refused).encode()
    if isinstance(refused.code, str):
        error = {"code": refused.code, "message": str(refused)}
        return "application/json", json.dumps({"error": error, "status": refused.status}).encode()
    said = {"code": refused.code, "message": str(refused), "details": []}
    return "application/json", json.dumps(said).encode()


def _url(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"
