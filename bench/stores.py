"""How fast the `local` store is filled, opened and searched, and whether it finds what is nearest.

Data: unit vectors of 512 dimensions in 2,000 clusters with noise (bench/vectors.py), each with the
19 fields of a photo (bench/library.py). Queries of two kinds: like images, and like texts, which
lie apart from all images; their neighbours are hard to tell from the rest.
Load: `Store.add`, 256 items a transaction, each durable (fsync) when it returns; the time that the
made metadata take is not counted. Disk: the library's file after it is closed.
Cold: a new process opens the store and answers one query (imports not counted; the file cache of
the system is warm). Warm: every query once, alternating, after warm-up queries; the column of a
filter is loaded by its first use, which is given apart. Recall@10 of every measured search is
against a plain float32 scan of the same rows. CPU: processor time of the measuring thread, which
other programs on the machine disturb less than they do wall time.
Peers, at the smaller size, each in a process of its own, at its defaults, in memory where it can.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench import library, peers, report, vectors
from pixseek.manifest import Entry, Manifest
from pixseek.records import Space, Vectors, Where
from pixseek.stores import Store, open_store
from pixseek.stores.filters import parse

K = 10
WARM_UP = 3
SPACE = Space("made", "made", vectors.DIMENSIONS)


@dataclass(frozen=True, slots=True)
class Case:
    """A filter, and which rows pass it by the rule they were made with."""

    name: str
    where: Where | None
    passes: Callable[[int], bool]


CASES = (
    Case("none", None, lambda _: True),
    Case(
        "equality, 0.5 %",
        {"camera_model": "Model 7"},
        lambda row: row * 7919 % library.CAMERAS == 7,
    ),
    Case("equality, 10 %", {"year": 2019}, lambda row: row % 10 == 5),
    Case("range, 50 %", {"year": {"$gte": 2019}}, lambda row: row % 10 >= 5),
    Case("$not, 90 %", {"$not": {"year": 2019}}, lambda row: row % 10 != 5),
    Case(
        "name $contains, 12.5 %",
        {"name": {"$contains": "beach"}},
        lambda row: row // 7 % 8 == 0,
    ),
    Case(
        "path $prefix, 10 %",
        {"path": {"$prefix": "photos/2019/"}},
        lambda row: row % 10 == 5,
    ),
    Case(
        "in folder, 0.8 %",
        {"folder": "photos/2019/07"},
        lambda row: row % 10 == 5 and row // 10 % 12 == 6,
    ),
    Case("in folder, 100 %", {"folder": {"$in": ["photos"]}}, lambda _: True),
)
BOUNDS_MS = {100_000: 10.0, 1_000_000: 100.0}
LISTING_BOUND_S = 0.5

_COLD = """
import sys, time
import numpy as np
from pathlib import Path
from pixseek.stores import open_store
import pixseek.stores.local
query = np.load(sys.argv[2])
started = time.perf_counter()
store = open_store("local", Path(sys.argv[1]), None)
opened = time.perf_counter()
store.search(query, 10)
print(opened - started, time.perf_counter() - opened)
"""


@dataclass(frozen=True, slots=True)
class Filled:
    """A store with its truth."""

    folder: Path
    made: vectors.Made
    rows: dict[str, int]
    store: Store


def main() -> None:
    options = report.options("stores", __doc__ or "")
    sizes = (2_000,) if options.quick else (100_000, 1_000_000)
    queries, cold = (10, 2) if options.quick else (100, 7)
    figures: report.Figures = {
        "machine": report.machine(),
        "seed": vectors.SEED,
        "d": vectors.DIMENSIONS,
        "k": K,
        "queries": queries,
        "warm_up": WARM_UP,
        "threads": "1 for each search; BLAS of numpy as it comes",
        "sizes": {},
    }
    for n in sizes:
        with tempfile.TemporaryDirectory(prefix="pixseek-bench-") as folder:
            made = vectors.make(n, queries)
            figures["sizes"][str(n)] = _measure(Path(folder) / "library", made, cold)
            if n == sizes[0]:
                ours = figures["sizes"][str(n)]
                figures["peers"] = _peers(Path(folder), made, options.peers, ours)
    report.write(options, __doc__ or "", figures)


def _measure(folder: Path, made: vectors.Made, cold_runs: int) -> report.Figures:
    n, digest = len(made.images), made.hash()
    bound = BOUNDS_MS.get(n)
    print(f"\nlocal, n = {n:,}, d = {vectors.DIMENSIONS}, data {digest[:12]}")
    load = _load(folder, made)
    report.line("load, items/s", f"{load['items_per_s']:10,.0f}")
    report.line("disk, MB", f"{load['disk_mb']:10,.1f}")
    opening = _cold(folder, made, cold_runs)
    report.line("cold: open, s", opening[0])
    report.line("cold: first query, s", opening[1])
    rows = {library.id_of(row): row for row in range(n)}
    filled = Filled(folder, made, rows, open_store("local", folder, None))
    filled.store.preload()
    search = {}
    for case in CASES:
        search[case.name] = _search(filled, case, bound)
    listing = _listing(filled)
    filled.store.close()
    return {
        "n": n,
        "data_sha256": digest,
        "bound_ms": bound,
        **load,
        "cold_open_s": opening[0].figures(),
        "cold_first_query_s": opening[1].figures(),
        "search": search,
        **listing,
    }


def _load(folder: Path, made: vectors.Made) -> report.Figures:
    store = open_store("local", folder, SPACE)
    seconds, slowest = 0.0, 0.0
    for start in range(0, len(made.images), library.ITEMS_AT_ONCE):
        items = library.items(made.images, start)
        took = report.timed(lambda items=items: store.add(items))  # type: ignore[misc]
        seconds, slowest = seconds + took, max(slowest, took)
    store.close()
    disk = sum(file.stat().st_size for file in folder.iterdir())
    return {
        "items_per_s": round(len(made.images) / seconds),
        "slowest_transaction_s": round(slowest, 3),
        "disk_mb": round(disk / 1e6, 1),
    }


def _cold(folder: Path, made: vectors.Made, runs: int) -> tuple[report.Spread, report.Spread]:
    query = folder.parent / "query.npy"
    np.save(query, made.like_texts[0])
    command = [sys.executable, "-c", _COLD, str(folder), str(query)]
    values = []
    for _ in range(runs + 1):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        values.append([float(value) for value in done.stdout.split()])
    opened, searched = zip(*values[1:], strict=True)
    return report.Spread(opened), report.Spread(searched)


def _search(filled: Filled, case: Case, bound_ms: float | None) -> report.Figures:
    """One filter: its first use, and every query of both kinds, with recall."""
    node, n = parse(case.where), len(filled.made.images)
    started = time.perf_counter()
    passing = filled.store.count(node)
    first_s = time.perf_counter() - started
    among = np.fromiter((case.passes(row) for row in range(n)), np.bool_, n)
    if passing != among.sum():
        raise RuntimeError(f"{case.name}: {passing} rows pass, expected {among.sum()}")
    figures: report.Figures = {
        "where": case.where,
        "passing": passing / n,
        "first_use_s": round(first_s, 4),
    }
    for kind, queries in (("text", filled.made.like_texts), ("image", filled.made.like_images)):
        for query in queries[:WARM_UP]:
            filled.store.search(query, K, where=node)
        wall, cpu, found = [], [], []
        for query in queries:
            started, used = time.perf_counter(), time.thread_time()
            hits = filled.store.search(query, K, where=node)
            cpu.append((time.thread_time() - used) * 1000)
            wall.append((time.perf_counter() - started) * 1000)
            found.append([filled.rows[hit.id] for hit in hits])
        spread = report.Spread(tuple(wall))
        recall = recall_of(filled.made, queries, found, among)
        figures[kind] = {
            "ms": spread.figures(),
            "cpu_ms": report.Spread(tuple(cpu)).figures(),
            "recall@10": recall,
        }
        report.line(
            f"{case.name}, {kind}-like query, ms",
            f"{spread}  cpu {report.Spread(tuple(cpu)).median:8.3f}  recall {recall:.4f}",
            report.held(spread.median, bound_ms, "ms"),
        )
    return figures


def recall_of(
    made: vectors.Made,
    queries: Vectors,
    found: list[list[int]],
    among: NDArray[np.bool_] | None,
) -> float:
    """Share of the truly nearest that were found; a tie with the last of them counts."""
    right = wanted = 0
    for query, rows in zip(queries, found, strict=True):
        scores = made.images @ query
        allowed = scores if among is None else scores[among]
        depth = min(K, len(allowed))
        last = np.partition(allowed, len(allowed) - depth)[len(allowed) - depth]
        right += sum(bool(scores[row] >= last - 1e-6) for row in rows[:depth])
        wanted += depth
    return round(right / wanted, 5)


def _listing(filled: Filled) -> report.Figures:
    """What a sync asks for: every id, every known file, how many."""
    n = len(filled.made.images)
    manifest = Manifest(filled.folder, create=True)
    manifest.record(
        [Entry(library.path_of(row), 3_000_000, row, library.id_of(row)) for row in range(n)]
    )
    spreads = {
        "list_ids_s": report.repeated(lambda: list(filled.store.ids()), 7),
        "manifest_known_s": report.repeated(manifest.known, 7),
        "count_s": report.repeated(filled.store.count, 7),
    }
    manifest.close()
    for name, spread in spreads.items():
        bound = LISTING_BOUND_S if n == 100_000 else None
        report.line(name, spread, report.held(spread.median, bound, "s"))
    return {name: spread.figures() for name, spread in spreads.items()}


def _peers(folder: Path, made: vectors.Made, python: str, ours: report.Figures) -> report.Figures:
    """The same vectors and queries in other programs; ratios are theirs to ours, above 1 slower."""
    np.save(folder / "vectors.npy", made.images)
    np.save(folder / "queries-texts.npy", made.like_texts)
    np.save(folder / "queries-images.npy", made.like_images)
    years = [library.YEARS[row % len(library.YEARS)] for row in range(len(made.images))]
    np.save(folder / "year.npy", np.array(years))
    among = np.array(years) == peers.FILTERED_YEAR
    figures: report.Figures = {}
    for name in ("numpy", "hnswlib", "usearch", "chromadb"):
        ran = report.peer(python, name, folder)
        if not ran:
            report.line(f"{name}: not installed", "")
            continue
        entry: report.Figures = {
            key: ran[key] for key in ("version", "load_s", "list_s") if key in ran
        }
        sets = [("none", ran, None)]
        if "filtered" in ran:
            sets.append(("equality, 10 %", ran["filtered"], among))
        for filter_name, searched, mask in sets:
            for kind, queries in (("text", made.like_texts), ("image", made.like_images)):
                one = searched[f"{kind}s"]
                spread = report.Spread(tuple(one["ms"]))
                recall = recall_of(made, queries, one["rows"], mask)
                ratio = spread.median / ours["search"][filter_name][kind]["ms"]["median"]
                entry.setdefault(filter_name, {})[kind] = {
                    "ms": spread.figures(),
                    "recall@10": recall,
                    "time_ratio": round(ratio, 2),
                }
                report.line(
                    f"{name}, {filter_name}, {kind}-like, ms",
                    f"{spread}  recall {recall:.4f}  × {ratio:.2f}",
                )
        report.line(f"{name}, load, s", f"{ran['load_s']:10.2f}")
        figures[name] = entry
    return figures


if __name__ == "__main__":
    main()
