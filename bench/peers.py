"""Other programs on the same data, one a process: `python bench/peers.py NAME FOLDER`.

Run by `stores`, `startup` and `indexing` with the interpreter that has the peers installed; it
imports nothing of pixseek, and prints one JSON object. A peer that is not installed prints {}.

Stores read FOLDER/vectors.npy and FOLDER/queries-*.npy and FOLDER/year.npy; each uses its
defaults (but see hnswlib), cosine distance and k = 10, and keeps what it makes in FOLDER/NAME.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

K = 10
AT_ONCE = 5_000
WARM_UP = 3
HNSW_EF = 100
KINDS = ("texts", "images")
FILTERED_YEAR = 2019


def _searched(folder: Path, search: Callable[[Any], list[int]]) -> dict[str, Any]:
    """Each query once: its milliseconds, and the rows it found."""
    numpy = import_module("numpy")
    found: dict[str, Any] = {}
    for kind in KINDS:
        queries = numpy.load(folder / f"queries-{kind}.npy")
        for query in queries[:WARM_UP]:
            search(query)
        times, rows = [], []
        for query in queries:
            started = time.perf_counter()
            rows.append(search(query))
            times.append((time.perf_counter() - started) * 1000)
        found[kind] = {"ms": times, "rows": rows}
    return found


def numpy_scan(folder: Path) -> dict[str, Any]:
    """The product of a float32 matrix in memory with the query, and the k greatest."""
    numpy = import_module("numpy")
    started = time.perf_counter()
    vectors = numpy.load(folder / "vectors.npy")
    load_s = time.perf_counter() - started

    def search(query: Any) -> list[int]:
        scores = vectors @ query
        best = numpy.argpartition(-scores, K)[:K]
        return [int(row) for row in best[numpy.argsort(-scores[best])]]

    return {"version": version("numpy"), "load_s": load_s, **_searched(folder, search)}


def hnswlib(folder: Path) -> dict[str, Any]:
    """HNSW, M 16, ef_construction 200; ef 100 as Chroma has it (its default, 10, finds half)."""
    numpy, module = import_module("numpy"), import_module("hnswlib")
    vectors = numpy.load(folder / "vectors.npy")
    started = time.perf_counter()
    index = module.Index("cosine", vectors.shape[1])
    index.init_index(len(vectors))
    index.add_items(vectors)
    index.save_index(str(folder / "hnswlib"))
    index.set_ef(HNSW_EF)
    load_s = time.perf_counter() - started

    def search(query: Any) -> list[int]:
        return [int(row) for row in index.knn_query(query, K)[0][0]]

    return {"version": version("hnswlib"), "load_s": load_s, **_searched(folder, search)}


def usearch(folder: Path) -> dict[str, Any]:
    """HNSW at usearch's defaults, float32."""
    numpy, module = import_module("numpy"), import_module("usearch.index")
    vectors = numpy.load(folder / "vectors.npy")
    started = time.perf_counter()
    index = module.Index(ndim=vectors.shape[1], metric="cos", dtype="f32")
    index.add(numpy.arange(len(vectors)), vectors)
    index.save(str(folder / "usearch"))
    load_s = time.perf_counter() - started

    def search(query: Any) -> list[int]:
        return [int(row) for row in index.search(query, K).keys]

    return {"version": version("usearch"), "load_s": load_s, **_searched(folder, search)}


def chromadb(folder: Path) -> dict[str, Any]:
    """Embedded Chroma, a persistent collection with one field; also filtered by it."""
    numpy, module = import_module("numpy"), import_module("chromadb")
    vectors, years = numpy.load(folder / "vectors.npy"), numpy.load(folder / "year.npy")
    client = module.PersistentClient(str(folder / "chromadb"))
    collection = client.create_collection("photos", configuration={"hnsw": {"space": "cosine"}})
    started = time.perf_counter()
    for start in range(0, len(vectors), AT_ONCE):
        rows = range(start, min(start + AT_ONCE, len(vectors)))
        collection.add(
            ids=[str(row) for row in rows],
            embeddings=vectors[rows.start : rows.stop],
            metadatas=[{"year": int(years[row])} for row in rows],
        )
    load_s = time.perf_counter() - started

    def search(query: Any, where: Any = None) -> list[int]:
        found = collection.query(query, n_results=K, where=where, include=["distances"])
        return [int(id) for id in found["ids"][0]]

    filtered = _searched(folder, lambda query: search(query, {"year": FILTERED_YEAR}))
    started = time.perf_counter()
    collection.get(include=[], limit=len(vectors))
    return {
        "version": version("chromadb"),
        "load_s": load_s,
        "list_s": time.perf_counter() - started,
        **_searched(folder, search),
        "filtered": filtered,
    }


def chromadb_cold(folder: Path) -> dict[str, Any]:
    """Open the collection that `chromadb` made and answer one vector: a process's whole work."""
    started = time.perf_counter()
    module = import_module("chromadb")
    imported = time.perf_counter()
    query = import_module("numpy").load(folder / "queries-texts.npy")[0]
    collection = module.PersistentClient(str(folder / "chromadb")).get_collection("photos")
    found = collection.query(query, n_results=K, include=["metadatas", "distances"])
    return {
        "version": version("chromadb"),
        "import_s": imported - started,
        "open_and_query_s": time.perf_counter() - imported,
        "hits": len(found["ids"][0]),
    }


def one_at_a_time(folder: Path) -> dict[str, Any]:
    """A stand-in for LangChain + Chroma: each picture decoded whole, scaled, encoded alone, added.

    That is what langchain's OpenCLIPEmbeddings.embed_image and Chroma.add_images do, in one loop
    with the runtime's own threads; here with the model and the files that pixseek gets.
    FOLDER/model.txt names the model's file, FOLDER/files.txt the pictures.
    """
    numpy, runtime = import_module("numpy"), import_module("onnxruntime")
    image = import_module("PIL.Image")
    session = runtime.InferenceSession((folder / "model.txt").read_text())
    paths = (folder / "files.txt").read_text().splitlines()
    try:
        client = import_module("chromadb").PersistentClient(str(folder / "one-at-a-time"))
        collection = client.get_or_create_collection("photos")
    except ModuleNotFoundError:
        collection = None
    side = session.get_inputs()[0].shape[1]
    started = time.perf_counter()
    for path in paths:
        with image.open(path) as opened:
            picture = opened.convert("RGB").resize((side, side), image.Resampling.BICUBIC)
        pixels = numpy.asarray(picture)[numpy.newaxis]
        vector = session.run(None, {"pixels": pixels})[0]
        if collection is not None:
            collection.add(ids=[path], embeddings=vector, metadatas=[{"path": path}])
    return {
        "onnxruntime": version("onnxruntime"),
        "store": "chromadb" if collection is not None else "none",
        "images": len(paths),
        "seconds": time.perf_counter() - started,
    }


PEERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "numpy": numpy_scan,
    "hnswlib": hnswlib,
    "usearch": usearch,
    "chromadb": chromadb,
    "chromadb-cold": chromadb_cold,
    "one-at-a-time": one_at_a_time,
}


def main(name: str, folder: str) -> None:
    try:
        print(json.dumps(PEERS[name](Path(folder))))
    except (ModuleNotFoundError, PackageNotFoundError):
        print("{}")


if __name__ == "__main__":
    main(*sys.argv[1:])
