"""How long `pixseek search "sunset over water"` takes from nothing, and what it spends it on.

Data: a library of 100,000 made items in the space of the built-in model: random unit vectors, each
with the 19 fields of a photo (bench/library.py). Whole: a new process, from its start to its end,
output discarded, no sync; the system's file cache is warm, as after any earlier search, and
Python's bytecode is there, as pip writes it. Also with `--where` on a folder that a tenth is in.
CPU: user + system time of the process.
Parts: measured inside one process by the real calls, one after the other (bench/startup_parts.py);
the whole overlaps two of them. Dropped caches: everything read from disk again, where the system
lets us drop them (/proc/sys/vm/drop_caches); reported apart.
Peers: a process that opens a persisted Chroma collection of 100,000 x 512 and answers one vector
(no model, no text); and what importing a usual model library alone takes, where it is installed.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from bench import library, report
from pixseek.encoders import load_encoder
from pixseek.records import Vectors

QUERY = "sunset over water"
SEED = 11
BOUND_S, AIM_S = 0.6, 0.35
DROP_CACHES = Path("/proc/sys/vm/drop_caches")
IMPORTS = ("torch", "transformers", "open_clip", "langchain_chroma", "chromadb")


def main() -> None:
    options = report.options("startup", __doc__ or "")
    n, runs, dropped = (2_000, 3, 1) if options.quick else (100_000, 21, 5)
    space = load_encoder("pocket").space
    vectors = library.random_vectors(n, space.dimensions, SEED)
    figures: report.Figures = {
        "machine": report.machine(),
        "n": n,
        "d": space.dimensions,
        "k": 10,
        "seed": SEED,
        "data_sha256": library.hash_of(vectors),
        "model": str(space),
        "threads": "the model's 1; the reading of vectors beside it",
        "query": QUERY,
        "warm_up": 1,
        "bound_s": BOUND_S,
        "aim_s": AIM_S,
    }
    with tempfile.TemporaryDirectory(prefix="pixseek-bench-") as folder:
        root = Path(folder)
        library.make(root / "library", space, "pocket", vectors)
        print(f"cold search, n = {n:,}, d = {space.dimensions}; seconds")
        figures["whole"] = _whole(root / "library", runs)
        figures["parts"] = _parts(root / "library", runs)
        figures["dropped_caches"] = _dropped(root / "library", dropped)
        figures["peers"] = _peers(root, vectors, options.peers, runs)
    report.write(options, __doc__ or "", figures)


def command(folder: Path, *more: str) -> list[str]:
    """What the `pixseek` script runs."""
    run = "import sys; from pixseek.cli import main; sys.exit(main())"
    search = ["search", QUERY, "--library", str(folder), "--no-sync", "-k", "10", *more]
    return [sys.executable, "-c", run, *search]


def _whole(folder: Path, runs: int) -> report.Figures:
    filtered = command(
        folder, "--where", json.dumps({"folder": str(folder.parent / "photos" / "2019")})
    )
    commands = {
        "bare Python": ([sys.executable, "-c", "pass"], None),
        "pixseek --help": ([*command(folder)[:3], "--help"], None),
        "pixseek search": (command(folder), BOUND_S),
        "pixseek search --where folder": (filtered, BOUND_S),
    }
    figures: report.Figures = {}
    for name, (arguments, bound) in commands.items():
        wall, cpu = processes(arguments, runs)
        text = f"{wall}  cpu {cpu.median:.3f}"
        report.line(name, text, report.held(wall.median, bound, "s"))
        figures[name] = {"s": wall.figures(), "cpu_s": cpu.figures()}
    return figures


def processes(
    arguments: list[str], runs: int, warm_up: int = 1
) -> tuple[report.Spread, report.Spread]:
    """Seconds, and seconds of processor time, of a process; some runs before are not counted."""
    wall, cpu = [], []
    for _ in range(warm_up + runs):
        before, started = used(), time.perf_counter()
        subprocess.run(arguments, stdout=subprocess.DEVNULL, check=True)
        wall.append(time.perf_counter() - started)
        cpu.append(used() - before)
    return report.Spread(tuple(wall[warm_up:])), report.Spread(tuple(cpu[warm_up:]))


def used() -> float:
    """Seconds of processor time of the processes that were started and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _parts(folder: Path, runs: int) -> report.Figures:
    arguments = [sys.executable, "-m", "bench.startup_parts", str(folder), QUERY]
    found: list[dict[str, float]] = []
    for _ in range(runs + 1):
        done = subprocess.run(arguments, capture_output=True, text=True, check=True)
        found.append(_disjoint(json.loads(done.stderr.splitlines()[-1])))
    print("  parts, one after the other:")
    figures: report.Figures = {}
    for name in found[0]:
        spread = report.Spread(tuple(run[name] for run in found[1:]))
        report.line(f"  {name}", spread)
        figures[name] = spread.figures()
    total = median(sum(run.values()) for run in found[1:])
    report.line("  sum", f"{total:10.3f}")
    return {**figures, "sum_median": round(total, 4)}


def _disjoint(parts: dict[str, float]) -> dict[str, float]:
    """The same time with nothing in two parts."""
    encode, tokenizer = parts["encode text"], parts.pop("tokenizer alone")
    load = parts.pop("load tokenizer and text model, encode") - encode
    return {**parts, "load tokenizer": tokenizer, "load text model": load - tokenizer}


def _dropped(folder: Path, runs: int) -> report.Figures | None:
    """With the file cache of the system emptied before each run; None where that is not allowed."""
    seconds = []
    for _ in range(runs):
        try:
            os.sync()
            DROP_CACHES.write_text("3")
        except OSError:
            report.line("dropped caches", "not permitted here")
            return None
        arguments = command(folder)
        seconds.append(processes(arguments, 1, warm_up=0)[0].median)
    spread = report.Spread(tuple(seconds))
    report.line("pixseek search, caches dropped", spread)
    return spread.figures()


def _peers(root: Path, vectors: Vectors, python: str, runs: int) -> report.Figures:
    np.save(root / "vectors.npy", vectors)
    np.save(root / "year.npy", np.full(len(vectors), 2019))
    for kind in ("texts", "images"):
        np.save(root / f"queries-{kind}.npy", vectors[:5])
    figures: report.Figures = {}
    if report.peer(python, "chromadb", root):
        script = str(Path(__file__).parent / "peers.py")
        wall, cpu = processes([python, script, "chromadb-cold", str(root)], runs)
        inside = report.peer(python, "chromadb-cold", root)
        report.line("Chroma: open, answer one vector", f"{wall}  cpu {cpu.median:.3f}")
        figures["chromadb"] = {"s": wall.figures(), "cpu_s": cpu.figures(), "inside": inside}
    for module in IMPORTS:
        probe = f"import importlib.util as u, sys; sys.exit(u.find_spec({module!r}) is None)"
        if subprocess.run([python, "-c", probe], check=False).returncode == 0:
            wall, cpu = processes([python, "-c", f"import {module}"], min(runs, 5))
            report.line(f"import {module}", f"{wall}  cpu {cpu.median:.3f}")
            figures[f"import {module}"] = {"s": wall.figures(), "cpu_s": cpu.figures()}
    return figures


if __name__ == "__main__":
    main()
