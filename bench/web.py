"""How long `pixseek serve` takes to answer 1, 8 and 32 clients at once, while it indexes and not.

Data: a library of 100,000 items by the built-in model with random vectors and the metadata of
telephone photos, written as indexing writes them. The server is a process of its own with its
defaults, but for `requests_per_s`; the clients are threads of this one, over loopback, each with a
connection that it keeps, asking again as soon as it is answered. Texts differ with each request.
Measured: whole requests. `facets` counts all fields over all items. While indexing: a run of the
same server that reads new pictures of 640 x 480 meanwhile, on a thread less than there are cores.
Clients and server share the machine's cores.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlsplit

from bench import library, pictures, report
from pixseek.encoders import load_encoder
from pixseek.manifest import Manifest

SEED = 17
CLIENTS = (1, 8, 32)
WORDS = ("beach", "snow", "dog", "birthday", "car", "night", "forest", "people", "food", "city")
COLOURS = ("red", "green", "blue", "white", "black", "yellow", "orange")


def main() -> None:
    options = report.options("web", __doc__ or "")
    n, seconds, new = (2_000, 1.0, 100) if options.quick else (100_000, 5.0, 4_000)
    with tempfile.TemporaryDirectory(prefix="pixseek-bench-") as folder:
        root = Path(folder).resolve()
        space = load_encoder("pocket").space
        vectors = library.random_vectors(n, space.dimensions, SEED)
        library.make(root / "library", space, "pocket", vectors)
        pictures.make(root / "new", pictures.SMALL, new)
        manifest = Manifest(root / "library", create=False)
        manifest.include((root / "new").as_posix())
        manifest.close()
        figures = {
            "machine": report.machine(),
            "n": n,
            "d": space.dimensions,
            "seed": SEED,
            "data_sha256": library.hash_of(vectors),
            "seconds_each": seconds,
            **_served(root / "library", seconds),
        }
    report.write(options, __doc__ or "", figures)


def _served(folder: Path, seconds: float) -> report.Figures:
    command = [sys.executable, "-m", "pixseek", "serve", "--library", str(folder), "--port", "0"]
    started = time.perf_counter()
    server = subprocess.Popen(
        [*command, "--allow-write"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PIXSEEK_REQUESTS_PER_S": "1000000"},
    )
    if server.stderr is None:
        raise RuntimeError("it has a pipe")
    host = urlsplit(server.stderr.readline().split()[1]).netloc
    answers_s = time.perf_counter() - started
    try:
        while _ask(http.client.HTTPConnection(host), "/readyz") != http.client.OK:
            time.sleep(0.02)
        ready_s = time.perf_counter() - started
        for field in ("year", "month", "camera_model", "folder"):  # columns are loaded meanwhile
            _ask(http.client.HTTPConnection(host), f"/api/v1/facets?field={field}")
        time.sleep(3)
        figures: report.Figures = {
            "listens_after_s": round(answers_s, 3),
            "ready_after_s": round(ready_s, 3),
        }
        report.line("listens after, s", figures["listens_after_s"], report.held(answers_s, 1, "s"))
        report.line("ready after, s", figures["ready_after_s"])
        figures["idle"] = _levels(host, seconds)
        job = _start(host)
        figures["indexing"] = _levels(host, seconds)
        state = _json(host, f"/api/v1/jobs/{job}")
        figures["indexed_meanwhile"] = {name: state[name] for name in ("state", "done", "total")}
        report.line("indexed meanwhile", figures["indexed_meanwhile"])
    finally:
        server.terminate()
        server.wait(60)
        server.stderr.close()
    return figures


def _levels(host: str, seconds: float) -> report.Figures:
    texts = itertools.count()
    asked = {
        "search": lambda: f"/api/v1/search?limit=60&q={quote(_text(next(texts)))}",
        "browse": lambda: "/api/v1/search?limit=60",
        "facets": lambda: "/api/v1/facets",
    }
    figures: report.Figures = {}
    for name, address in asked.items():
        for clients in CLIENTS:
            figures[f"{name}, {clients}"] = found = _level(host, address, clients, seconds)
            report.line(f"{name}, {clients} clients, ms", found)
    return figures


def _text(number: int) -> str:
    colour, word = COLOURS[number % len(COLOURS)], WORDS[number // len(COLOURS) % len(WORDS)]
    return f"a {colour} {word} number {number}"


def _level(host: str, address: Callable[[], str], clients: int, seconds: float) -> report.Figures:
    """p50, p95 and p99 in ms, requests a second, and answers that were not 200."""
    took: list[float] = []
    refused = [0]
    end = time.perf_counter() + seconds

    def client() -> None:
        connection = http.client.HTTPConnection(host, timeout=120)
        while time.perf_counter() < end:
            started = time.perf_counter()
            status = _ask(connection, address())
            took.append((time.perf_counter() - started) * 1000)
            if status != http.client.OK:
                refused[0] += 1
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = time.perf_counter() - begun
    took.sort()
    at = {f"p{p}": round(took[min(len(took) - 1, len(took) * p // 100)], 1) for p in (50, 95, 99)}
    return {**at, "per_s": round(len(took) / spent, 1), "n": len(took), "refused": refused[0]}


def _ask(connection: http.client.HTTPConnection, address: str) -> int:
    connection.request("GET", address)
    answer = connection.getresponse()
    answer.read()
    return answer.status


def _json(host: str, address: str) -> report.Figures:
    connection = http.client.HTTPConnection(host)
    connection.request("GET", address)
    found: report.Figures = json.loads(connection.getresponse().read())
    connection.close()
    return found


def _start(host: str) -> str:
    connection = http.client.HTTPConnection(host)
    body, headers = json.dumps({"kind": "index"}), {"Content-Type": "application/json"}
    connection.request("POST", "/api/v1/jobs", body, headers)
    job = json.loads(connection.getresponse().read())["id"]
    connection.close()
    return str(job)


if __name__ == "__main__":
    main()
