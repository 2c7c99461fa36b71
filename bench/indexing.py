"""How many pictures a second are indexed, and how near that is to what the machine can do.

Data: baseline JPEGs made from the sample photos, enlarged with grain, with EXIF, in two sizes
(bench/pictures.py); enough for about 20 s a run. For each size and number of worker threads:
decode: files read and decoded by the reader, nothing else; encode: decoded pictures through the
model in batches of a task's size, one session of one thread shared by the workers; whole: `pixseek
index` into a new library in a process of its own, by its own clock, with peak memory of that
process. The three follow one another within a repeat, so that a change of the machine's speed
touches all of them. Ceiling: 1 / (1 / decode + 1 / encode) at the same number of workers: both use
the same cores. Serial: the same reader, model and batches in one thread, without a pipeline.
Sweeps (one repeat): workers, and files a task. Peer: a stand-in for LangChain + Chroma, named and
described in bench/peers.py, on a part of the files.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TypeVar

from PIL import Image

from bench import pictures, report
from bench.startup import used
from pixseek.encoders import Encoder, load_encoder
from pixseek.encoders.pocket import FOLDER
from pixseek.reader import read
from pixseek.workers import FILES_PER_TASK

DECODED_KEPT = 64
AIM_SHARE = 0.9
TASK_SIZES = (1, 2, 4, 8, 16)
_T = TypeVar("_T")
_RUN = """
import sys
import pixseek.workers
pixseek.workers.FILES_PER_TASK = int(sys.argv.pop(1))
from pixseek.cli import main
code = main()
# Not ru_maxrss: that of a child begins at what its parent had when it forked.
peak = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(*peak, file=sys.stderr)
sys.exit(code)
"""


@dataclass(frozen=True, slots=True)
class Files:
    """The pictures of one size."""

    kind: pictures.Kind
    folder: Path
    paths: list[Path]
    decoded: list[Image.Image]
    """The first of them, as the reader gives them."""


def main() -> None:
    options = report.options("indexing", __doc__ or "")
    cores = len(os.sched_getaffinity(0))
    runs = 1 if options.quick else 3
    counts = ((pictures.LARGE, 300), (pictures.SMALL, 2000))
    if options.quick:
        counts = ((replace(pictures.LARGE, distinct=4), 24), (pictures.SMALL, 300))
    encoder = load_encoder("pocket")
    figures: report.Figures = {
        "machine": report.machine(),
        "model": str(encoder.space),
        "d": encoder.space.dimensions,
        "seed": pictures.SEED,
        "files_per_task": FILES_PER_TASK,
        "warm_up": "a picture through the model; files in the system's cache",
        "aim_share_of_ceiling": AIM_SHARE,
        "sizes": {},
    }
    for kind, count in counts:
        with tempfile.TemporaryDirectory(prefix="pixseek-bench-") as folder:
            digest = pictures.make(Path(folder) / "photos", kind, count)
            figures["sizes"][kind.name] = {
                "data_sha256": digest,
                "n": count,
                "distinct": kind.distinct,
                **_size(kind, Path(folder), encoder, cores, runs, options),
            }
    report.write(options, __doc__ or "", figures)


def _size(
    kind: pictures.Kind,
    root: Path,
    encoder: Encoder,
    cores: int,
    runs: int,
    options: report.Options,
) -> report.Figures:
    paths = sorted((root / "photos").rglob("*.jpg"))
    decoded = [read(path, encoder.input_size).image for path in paths[:DECODED_KEPT]]
    files = Files(kind, root / "photos", paths, decoded)
    encoder.encode_images(decoded[:1])
    mb = sum(path.stat().st_size for path in paths) / len(paths) / 1e6
    print(f"\n{kind.name}: {len(paths):,} files of {mb:.2f} MB; images/s")
    figures: report.Figures = {"mean_mb": round(mb, 3)}
    figures[f"{cores} workers"] = _workers(files, encoder, cores, runs)
    serial = _rate(lambda: _serial(files, encoder), len(paths) // 4)
    report.line("serial: decode and encode, one thread", f"{serial:10.1f}")
    figures["serial"] = round(serial, 1)
    if not options.quick:
        sweep = [count for count in (1, 3) if count != cores]
        figures["sweep_workers"] = {
            f"{count} workers": _workers(files, encoder, count, 1) for count in sweep
        }
        figures["sweep_files_per_task"] = {
            str(size): _whole(files, cores, size) for size in TASK_SIZES
        }
        for size, found in figures["sweep_files_per_task"].items():
            report.line(f"{size} files a task", f"{found['images_per_s']:10.1f}")
    figures["peer"] = _peer(files, root, options, figures[f"{cores} workers"])
    return figures


def _workers(files: Files, encoder: Encoder, workers: int, runs: int) -> report.Figures:
    decode, encode, whole, peak = [], [], [], []
    for _ in range(runs):
        decode.append(_rate(lambda: _decode(files, encoder, workers), len(files.paths)))
        encode.append(_rate(lambda: _encode(files, encoder, workers), len(files.paths)))
        found = _whole(files, workers, FILES_PER_TASK)
        whole.append(found["images_per_s"])
        peak.append(found["peak_mb"])
    shares = [w * (1 / d + 1 / e) for d, e, w in zip(decode, encode, whole, strict=True)]
    share = median(shares)
    spreads = {"decode": decode, "encode": encode, "whole": whole, "share_of_ceiling": shares}
    for name, values in spreads.items():
        held = f"{'reached' if share >= AIM_SHARE else 'MISSED'}: {AIM_SHARE}"
        report.line(
            f"{workers} workers, {name}",
            report.Spread(tuple(values)),
            held if name == "share_of_ceiling" else "",
        )
    report.line(f"{workers} workers, peak memory, MB", f"{max(peak):10.0f}")
    figures = {name: report.Spread(tuple(values)).figures() for name, values in spreads.items()}
    return {**figures, "peak_mb": max(peak)}


def _rate(call: Callable[[], object], count: int) -> float:
    return count / report.timed(call)


def _decode(files: Files, encoder: Encoder, workers: int) -> None:
    def work(task: list[Path]) -> None:
        for path in task:
            read(path.read_bytes(), encoder.input_size)

    _spread_over(work, _tasks(files.paths), workers)


def _encode(files: Files, encoder: Encoder, workers: int) -> None:
    """As many pictures as there are files; the decoded ones over and over."""
    pictures_kept = files.decoded
    turns = range(0, len(files.paths), FILES_PER_TASK)
    tasks = [
        [pictures_kept[i % len(pictures_kept)] for i in range(t, t + FILES_PER_TASK)] for t in turns
    ]
    _spread_over(encoder.encode_images, tasks, workers)


def _spread_over(
    work: Callable[[list[_T]], object], tasks: Sequence[list[_T]], workers: int
) -> None:
    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(work, tasks):
            pass


def _tasks(paths: list[Path]) -> list[list[Path]]:
    return [paths[i : i + FILES_PER_TASK] for i in range(0, len(paths), FILES_PER_TASK)]


def _serial(files: Files, encoder: Encoder) -> None:
    for task in _tasks(files.paths[: len(files.paths) // 4]):
        encoder.encode_images([read(p.read_bytes(), encoder.input_size).image for p in task])


def _whole(files: Files, workers: int, files_per_task: int) -> report.Figures:
    """`pixseek index` in a new process, into a new library."""
    with tempfile.TemporaryDirectory(dir=files.folder.parent) as library:
        arguments = ["index", str(files.folder), "--library", library, "--workers", str(workers)]
        before, started = used(), time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", _RUN, str(files_per_task), *arguments, "--json"],
            capture_output=True,
            text=True,
            check=False,
        )
        process_s = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(f"indexing failed: {done.stderr}")
    found = json.loads(done.stdout)
    if found["added"] != len(files.paths):
        raise RuntimeError(f"indexing did not add every file: {found}")
    return {
        "images_per_s": round(found["added"] / found["seconds"], 2),
        "process_s": round(process_s, 3),
        "cpu_s": round(used() - before, 2),
        "peak_mb": round(int(done.stderr.split()[-1]) * 1024 / 1e6, 1),
    }


def _peer(
    files: Files, root: Path, options: report.Options, ours: report.Figures
) -> report.Figures:
    count = max(4, len(files.paths) // 5)
    (root / "model.txt").write_text(str(FOLDER / "image.onnx"))
    (root / "files.txt").write_text("\n".join(str(path) for path in files.paths[:count]))
    found = report.peer(options.peers, "one-at-a-time", root)
    if not found:
        report.line("stand-in for LangChain + Chroma", "not installed")
        return {}
    rate = found["images"] / found["seconds"]
    ratio = ours["whole"]["median"] / rate
    report.line(
        f"stand-in for LangChain + Chroma (store: {found['store']})", f"{rate:10.1f}  ÷ {ratio:.2f}"
    )
    return {**found, "images_per_s": round(rate, 2), "ours_to_theirs": round(ratio, 2)}


if __name__ == "__main__":
    main()
