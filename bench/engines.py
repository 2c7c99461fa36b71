"""The engines that can keep a library's vectors, side by side: filled, opened, searched, filtered.

Data and queries as in bench/stores.py: unit vectors of 512 dimensions in clusters with noise, each
with the 19 fields of a photo; queries like images, and like texts, which lie apart from all images.
Every engine is used as pixseek uses it, by its URL and no other choice than what the name says;
PostgreSQL and Chroma's server are started for this on the same machine, with their own settings
(PostgreSQL with fsync). Each engine and size has a process of its own; engines run one after the
other. Pinecone is a service, and was not asked. Milvus is Milvus Lite.
Insert: `Store.add` of 256 items a call, until the store is closed and ready for its first search
(a graph that is built then counts); the time that the made metadata takes does not. Cold: a new
process opens the store and answers one query (imports not counted). Warm: every query once, after
warm-up. Recall@10 is against a plain float32 scan of the same rows; of equal scores any counts.
With a million items fewer queries, and only the engine that takes them in within minutes.
List: every id, as a sync asks for them. Bytes: the engine's files, per item; an item's vector is
2,048 of them. Peak: resident memory of the process that used the store, a server's not included.
All of it takes hours: what is in the file already is not measured again.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench import library, report, vectors
from bench.stores import SPACE, WARM_UP, K, recall_of
from pixseek.records import Vectors, Where
from pixseek.stores import Store, open_store
from pixseek.stores.filters import parse

ENGINES = (
    *("local", "chroma folder", "chroma server", "qdrant folder", "qdrant folder, hnsw"),
    *("postgresql", "lancedb", "milvus lite"),
)
SIZES = {
    10_000: (ENGINES, 100),
    100_000: (ENGINES, 100),
    1_000_000: (("local",), 20),
}
"""Items → engines, and queries of each kind."""
FILTERS: dict[str, tuple[Where, Callable[[int], bool]]] = {
    "0.5 %": ({"camera_model": "Model 7"}, lambda row: row * 7919 % library.CAMERAS == 7),
    "10 %": ({"year": 2019}, lambda row: row % 10 == 5),
    "50 %": ({"year": {"$gte": 2019}}, lambda row: row % 10 >= 5),
}
_COLD = """
import sys, time
import numpy as np
from pathlib import Path
from pixseek.stores import open_store, store_class
query = np.load(sys.argv[3])
store_class(sys.argv[1].partition(":")[0])
started = time.perf_counter()
open_store(sys.argv[1], Path(sys.argv[2]), None).search(query, 10)
print(time.perf_counter() - started)
"""


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(_one(*sys.argv[2:])))
        return
    options = report.options("engines", __doc__ or "")
    sizes = {1_000: (ENGINES, 10)} if options.quick else SIZES
    figures: report.Figures = {"seed": vectors.SEED, "d": vectors.DIMENSIONS, "k": K, "sizes": {}}
    if options.out.exists() and not options.quick:
        before = json.loads(options.out.read_bytes())
        figures = {name: before[name] for name in before if name not in ("method", "quick")}
    for n, (engines, queries) in sizes.items():
        print(f"\nn = {n:,}, d = {vectors.DIMENSIONS}, {queries} queries of each kind")
        found = figures["sizes"].setdefault(str(n), {})
        for engine in engines:
            if engine not in found:
                machine = report.machine()
                command = [sys.executable, "-m", "bench.engines", "--one", engine, str(n)]
                ran = subprocess.run(
                    [*command, str(queries)], stdout=subprocess.PIPE, text=True, check=False
                )
                if ran.returncode:
                    report.line(engine, "failed")
                    continue
                one = json.loads(ran.stdout.splitlines()[-1])
                found[engine] = {**one, "queries": queries, "load_before": machine["load_before"]}
                figures["machine"] = machine
                report.write(options, __doc__ or "", figures)
            report.line(engine, _shown(found[engine]))


def _shown(one: report.Figures) -> str:
    text, image = one["search"]["none"]["text"], one["search"]["none"]["image"]
    tenth = one["search"]["10 %"]["text"]
    return (
        f"{one['items_per_s']:7,} items/s  cold {one['cold_s']:6.2f} s  "
        f"text {text['ms']['median']:7.2f} ms recall {text['recall@10']:.3f}  "
        f"image {image['ms']['median']:7.2f} ms recall {image['recall@10']:.3f}  "
        f"10 % {tenth['ms']['median']:7.2f} ms recall {tenth['recall@10']:.3f}  "
        f"list {one['list_s']:6.2f} s  {one['bytes_per_item']:6,} bytes"
    )


def _one(engine: str, n_text: str, queries_text: str) -> report.Figures:
    """One engine at one size, in this process."""
    n = int(n_text)
    made = vectors.make(n, int(queries_text))
    with (
        tempfile.TemporaryDirectory(prefix="pixseek-bench-") as name,
        _place(engine, Path(name)) as (url, size),
    ):
        folder = Path(name) / "library"
        seconds = _fill(url, folder, made.images)
        np.save(Path(name) / "query.npy", made.like_texts[0])
        cold = [sys.executable, "-c", _COLD, url, str(folder), str(Path(name) / "query.npy")]
        colds = [float(subprocess.check_output(cold, text=True)) for _ in range(3)]
        store = open_store(url, folder, SPACE)
        store.preload()
        rows = {library.id_of(row): row for row in range(n)}
        search = {"none": _searches(store, made, rows, None, np.ones(n, np.bool_))}
        for name_, (where, passes) in FILTERS.items():
            among = np.fromiter((passes(row) for row in range(n)), np.bool_, n)
            search[name_] = _searches(store, made, rows, where, among)
        listing = report.timed(lambda: list(store.ids()))
        store.close()
        return {
            "items_per_s": round(n / seconds),
            "cold_s": round(sorted(colds)[1], 3),
            "search": search,
            "list_s": round(listing, 3),
            "bytes_per_item": round(size() / n),
            "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }


def _fill(url: str, folder: Path, images: Vectors) -> float:
    folder.mkdir(exist_ok=True)
    store = open_store(url, folder, SPACE)
    seconds = 0.0
    for start in range(0, len(images), library.ITEMS_AT_ONCE):
        items = library.items(images, start)
        seconds += report.timed(lambda items=items: store.add(items))  # type: ignore[misc]
    started = time.perf_counter()
    store.close()
    store = open_store(url, folder, None)
    store.search(images[0], K)
    store.close()
    return seconds + time.perf_counter() - started


def _searches(
    store: Store,
    made: vectors.Made,
    rows: dict[str, int],
    where: Where | None,
    among: NDArray[np.bool_],
) -> report.Figures:
    node = parse(where)
    figures: report.Figures = {"passing": round(float(among.mean()), 4)}
    for kind, queries in (("text", made.like_texts), ("image", made.like_images)):
        for query in queries[:WARM_UP]:
            store.search(query, K, where=node)
        spent, found = [], []
        for query in queries:
            started = time.perf_counter()
            hits = store.search(query, K, where=node)
            spent.append((time.perf_counter() - started) * 1000)
            found.append([rows[hit.id] for hit in hits])
        figures[kind] = {
            "ms": report.Spread(tuple(spent)).figures(2),
            "recall@10": recall_of(made, queries, found, among),
        }
    return figures


@contextmanager
def _place(engine: str, folder: Path) -> Iterator[tuple[str, Callable[[], int]]]:
    """The engine's URL, and what its files weigh; a server is there until the end."""
    kept = folder / "engine"
    if engine == "postgresql":
        from tests.postgres import Postgres

        server = Postgres(fsync=True)
        count = "SELECT pg_total_relation_size('pixseek')"
        yield server.url(), lambda: int(server.execute(count)[0][0])
        server.remove()
    elif engine == "chroma server":
        from tests.chroma_server import ChromaServer

        chroma = ChromaServer(kept)
        yield f"chroma+http://127.0.0.1:{chroma.port}", lambda: _bytes(kept)
        chroma.kill()
    else:
        url = {
            "local": "local",
            "chroma folder": f"chroma:{kept}",
            "qdrant folder": f"qdrant:{kept}",
            "qdrant folder, hnsw": f"qdrant:{kept}?index=hnsw",
            "lancedb": f"lancedb:{kept}",
            "milvus lite": f"milvus:{kept}.db",
        }[engine]
        yield url, lambda: _bytes(folder) - (folder / "query.npy").stat().st_size


def _bytes(folder: Path) -> int:
    """Of what the files take on disk; holes in them take nothing."""
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())


if __name__ == "__main__":
    main()
