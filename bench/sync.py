"""How long it takes to see that nothing changed in a folder of 100,000 pictures.

Data: 100,000 small files named as pictures, in folders of 200; the library knows every one of them
(entries and items written as indexing writes them, with random vectors in the space of the
built-in model), so no file is opened. Measured: the second `engine.index_images(folder)`, its
parts by the same calls, `pixseek index` and `pixseek search QUERY FOLDER` as whole processes, and,
as the floor, walking the folder with nothing but os.scandir and stat. The system's file cache is
warm. CPU: processor time of the measuring thread, or of the process.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import library, report
from bench.startup import processes
from pixseek import files
from pixseek.encoders import load_encoder
from pixseek.engine import ImageSearchEngine
from pixseek.manifest import Entry, Manifest

FILES_PER_FOLDER = 200
SEED = 13
LISTING_BOUND_S = 0.5


def main() -> None:
    options = report.options("sync", __doc__ or "")
    n, runs = (2_000, 2) if options.quick else (100_000, 9)
    with tempfile.TemporaryDirectory(prefix="pixseek-bench-") as folder:
        root = Path(folder).resolve()
        space = load_encoder("pocket").space
        vectors = library.random_vectors(n, space.dimensions, SEED)
        _make_files(root / "photos", n)
        found = sorted(files.scan(f"{root}/photos", []), key=lambda file: file.path)
        entries = [
            Entry(file.path, file.size, file.modified_ns, library.id_of(row))
            for row, file in enumerate(found)
        ]
        library.make(root / "library", space, "pocket", vectors, entries=entries)
        print(f"nothing changed, {n:,} files; seconds")
        figures = {
            "machine": report.machine(),
            "n": n,
            "d": space.dimensions,
            "seed": SEED,
            "data_sha256": library.hash_of(vectors),
            "files_per_folder": FILES_PER_FOLDER,
            "threads": 1,
            "warm_up": 1,
            "listing_bound_s": LISTING_BOUND_S,
            "inside": _inside(root, n, runs),
            "processes": _processes(root, runs),
        }
    report.write(options, __doc__ or "", figures)


def _make_files(folder: Path, n: int) -> None:
    for number in range(n):
        below = folder / str(2010 + number // FILES_PER_FOLDER % 12)
        path = below / f"event-{number // FILES_PER_FOLDER:04}" / f"IMG_{number:06}.jpg"
        if number % FILES_PER_FOLDER == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(b"%d" % number)


def _inside(root: Path, n: int, runs: int) -> report.Figures:
    photos = root / "photos"
    manifest = Manifest(root / "library", create=False)
    found, known = files.find([photos], []), manifest.known(photos.as_posix())
    with ImageSearchEngine(root / "library", create=False) as engine:
        if engine.index_images(photos).unchanged != n:
            raise RuntimeError("something changed")
        calls: dict[str, Callable[[], object]] = {
            "engine.index_images": lambda: engine.index_images(photos),
            "part: files.find": lambda: files.find([photos], []),
            "part of it: files.scan": lambda: list(files.scan(photos.as_posix(), [])),
            "part: manifest.known": lambda: manifest.known(photos.as_posix()),
            "part: files.compare": lambda: files.compare(found, known),
            "floor: os.scandir and stat": lambda: _walk(photos),
        }
        figures: report.Figures = {}
        for name, call in calls.items():
            wall, cpu = _both(call, runs)
            bound = LISTING_BOUND_S if "known" in name and n == 100_000 else None
            text = f"{wall}  cpu {cpu.median:.3f}"
            report.line(name, text, report.held(wall.median, bound, "s"))
            figures[name] = {"s": wall.figures(), "cpu_s": cpu.figures()}
    manifest.close()
    return figures


def _both(call: Callable[[], object], runs: int) -> tuple[report.Spread, report.Spread]:
    call()
    wall, cpu = [], []
    for _ in range(runs):
        started, used = time.perf_counter(), time.thread_time()
        call()
        cpu.append(time.thread_time() - used)
        wall.append(time.perf_counter() - started)
    return report.Spread(tuple(wall)), report.Spread(tuple(cpu))


def _walk(folder: Path) -> list[tuple[str, int, int]]:
    waiting, found = [str(folder)], []
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    status = entry.stat()
                    found.append((entry.path, status.st_size, status.st_mtime_ns))
    return found


def _processes(root: Path, runs: int) -> report.Figures:
    """Whole commands, with this folder in step already."""
    run = [sys.executable, "-m", "pixseek"]
    where = ["--library", str(root / "library")]
    commands = {
        "pixseek index FOLDER": [*run, "index", str(root / "photos"), *where],
        "pixseek search QUERY FOLDER": [*run, "search", "dog", str(root / "photos"), *where],
    }
    figures: report.Figures = {}
    for name, arguments in commands.items():
        wall, cpu = processes(arguments, runs)
        report.line(name, f"{wall}  cpu {cpu.median:.3f}")
        figures[name] = {"s": wall.figures(), "cpu_s": cpu.figures()}
    return figures


if __name__ == "__main__":
    main()
