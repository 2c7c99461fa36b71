"""What becomes of hostile trees, and what decoding in children costs.

Cost: the files of bench/indexing.py in two sizes, read, decoded and encoded by two threads in
batches of a task's size; plain (decoded on the thread, as `pixseek index` does) and isolated (each
decoded in a child), in turns. Ready: from the start of a child to its first answer.
Trees (--trees FOLDER, each folder in it): indexed by `pocket` into a new library by a process of
its own, then again, then from scratch; every file below is indexed, named with a reason, or no
picture by its name. Peak memory: of that process and of the largest of its children at the end.
With --trees only those are run.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from bench import pictures, report
from pixseek import isolation
from pixseek.encoders import Encoder, load_encoder
from pixseek.workers import FILES_PER_TASK

TABLE = Path(__file__).parent.parent / "docs" / "formats-outcome.md"
_RUN = """
import json, re, sys
from pathlib import Path
from pixseek import ImageSearchEngine, isolation
from pixseek.cli.typed import let_the_reader_judge
let_the_reader_judge()
with ImageSearchEngine(sys.argv[1], model="pocket") as engine:
    report = engine.index_images(sys.argv[2])
base = Path(sys.argv[2])
# Not ru_maxrss: that of a child begins at what its parent had when it forked.
def peak_mb(pid):
    return int(re.search(r"VmHWM:\\s*(\\d+)", Path(f"/proc/{pid}/status").read_text())[1]) // 1024
print(json.dumps({
    "indexed": report.indexed,
    "skipped": {one.path.relative_to(base).as_posix(): one.reason for one in report.skipped},
    "seconds": round(report.seconds, 1),
    "peak_mb": peak_mb("self"),
    "child_peak_mb": max((peak_mb(one._process.pid) for one in isolation._idle), default=0),
}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--trees", type=Path)
    known, rest = parser.parse_known_args()
    sys.argv[1:] = rest
    options = report.options("hostile", __doc__ or "")
    figures: report.Figures = {"machine": report.machine(), "cost": {}, "trees": {}}
    figures.update(_before(options.out))
    if known.trees:
        for tree in sorted(path for path in known.trees.iterdir() if path.is_dir()):
            figures["trees"][tree.name] = _tree(tree)
        TABLE.write_text(_table(figures["trees"]))
    else:
        encoder = load_encoder("pocket")
        counts = ((replace(pictures.LARGE, distinct=8), 120), (pictures.SMALL, 800))
        for kind, count in counts:
            with tempfile.TemporaryDirectory(prefix="pixseek-bench-") as folder:
                pictures.make(Path(folder) / "photos", kind, count // 4 if options.quick else count)
                figures["cost"][kind.name] = _cost(sorted(Path(folder).rglob("*.jpg")), encoder)
        figures["ready_s"] = report.repeated(_ready, 10).figures()
        report.line("a child is ready after, s", f"{figures['ready_s']['median']:10.3f}")
    report.write(options, __doc__ or "", figures)


def _before(out: Path) -> report.Figures:
    """What the other half of this script has measured earlier."""
    try:
        found = json.loads(out.read_text())
    except (OSError, ValueError):
        return {}
    return {name: found[name] for name in ("cost", "ready_s", "trees") if name in found}


def _cost(paths: list[Path], encoder: Encoder) -> report.Figures:
    plain, isolated = [], []
    for _ in range(3):
        plain.append(_rate(paths, encoder, here=True))
        isolated.append(_rate(paths, encoder, here=False))
    shares = [there / here for here, there in zip(plain, isolated, strict=True)]
    figures = {}
    for name, values in (("plain", plain), ("isolated", isolated), ("share", shares)):
        report.line(f"{name}, {len(paths)} files", report.Spread(tuple(values)))
        figures[name] = report.Spread(tuple(values)).figures()
    return {"n": len(paths), **figures}


def _rate(paths: list[Path], encoder: Encoder, *, here: bool) -> float:
    def work(task: list[Path]) -> None:
        images = [
            isolation.read(path.read_bytes(), encoder.input_size, name=path.name, here=here).image
            for path in task
        ]
        encoder.encode_images(images)

    tasks = [paths[i : i + FILES_PER_TASK] for i in range(0, len(paths), FILES_PER_TASK)]
    with ThreadPoolExecutor(2) as pool:
        return len(paths) / report.timed(lambda: list(pool.map(work, tasks)))


def _ready() -> None:
    isolation.end_children()
    isolation.read(b"P6 1 1 255 abc", 32, name="one pixel")


def _tree(tree: Path) -> report.Figures:
    with tempfile.TemporaryDirectory(prefix="pixseek-bench-") as folder:
        first = _index(Path(folder) / "one", tree)
        again = _index(Path(folder) / "one", tree)
        afresh = _index(Path(folder) / "two", tree)
    outcome = _without_times(first)
    if outcome != _without_times(again) or outcome != _without_times(afresh):
        raise RuntimeError(f"{tree.name} had another outcome the second time")
    files = sum(path.is_file() for path in tree.rglob("*"))
    reasons = Counter(_kind(reason) for reason in first["skipped"].values())
    report.line(f"{tree.name}: {first['indexed']} indexed, {len(first['skipped'])} named", "")
    for name in ("seconds", "peak_mb", "child_peak_mb"):
        report.line(f"{tree.name}, {name}", f"{first[name]:10.1f}")
    return {
        "files": files,
        "no_picture_by_name": files - first["indexed"] - len(first["skipped"]),
        "reasons": dict(sorted(reasons.items(), key=lambda one: (-one[1], one[0]))),
        **first,
    }


def _index(library: Path, tree: Path) -> report.Figures:
    done = subprocess.run(
        [sys.executable, "-c", _RUN, str(library), str(tree)],
        capture_output=True,
        text=True,
        timeout=900,
        check=True,
    )
    found: report.Figures = json.loads(done.stdout)
    return found


def _without_times(found: report.Figures) -> report.Figures:
    return {"indexed": found["indexed"], "skipped": found["skipped"]}


def _kind(reason: str) -> str:
    """A reason without what is of the one file."""
    return re.sub(r"\d[\d,.×]*", "N", re.sub(r" \(.*", "", reason))


def _table(trees: report.Figures) -> str:
    lines = [
        "# What becomes of odd files",
        "",
        "<!-- written by bench/hostile.py --trees -->",
        "",
        "Collections of real files that give image libraries trouble, indexed by `pocket`. The",
        "outcome is the same when a collection is indexed again, and when from scratch.",
        "",
        "| | " + " | ".join(trees) + " |",
        "|---|" + "---|" * len(trees),
    ]
    rows: dict[str, Callable[[report.Figures], object]] = {
        "files": lambda one: one["files"],
        "no picture by their names": lambda one: one["no_picture_by_name"],
        "indexed": lambda one: one["indexed"],
    }
    for name, value in rows.items():
        lines.append(f"| {name} | " + " | ".join(str(value(one)) for one in trees.values()) + " |")
    for reason in dict.fromkeys(reason for one in trees.values() for reason in one["reasons"]):
        counts = (one["reasons"].get(reason, 0) for one in trees.values())
        lines.append(f"| named: {reason} | " + " | ".join(map(str, counts)) + " |")
    for name, label in (("peak_mb", "most memory, MB"), ("child_peak_mb", "and of a child, MB")):
        lines.append(f"| {label} | " + " | ".join(str(one[name]) for one in trees.values()) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
