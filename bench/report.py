"""What every benchmark shares: its options, repeats with their spread, and the record it leaves."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

RESULTS = Path(__file__).parent / "results"
BUILT_IN = "pocket"
PACKAGES = ("pixseek", "numpy", "simsimd", "onnxruntime", "tokenizers", "pillow", "blake3")

Figures: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Options:
    """The command line of a benchmark."""

    out: Path
    quick: bool
    """Small data and few repeats: shows that the script works, not what the figures are."""
    peers: str
    """Python that has the peers installed."""
    data: Path | None = None
    """Folder of captioned pictures, which are not part of the project: see bench.captioned."""
    model: str = BUILT_IN
    """What benchmarks of ranking measure."""


def options(name: str, description: str) -> Options:
    parser = argparse.ArgumentParser(
        prog=f"python -m bench.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="default: NAME.json in bench/results"
    )
    parser.add_argument("--quick", action="store_true", help="small data, few repeats")
    parser.add_argument(
        "--peers", default=sys.executable, metavar="PYTHON", help="interpreter with the peers"
    )
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="captioned pictures")
    parser.add_argument("--model", default=BUILT_IN, metavar="NAME", help="where it matters")
    given = parser.parse_args()
    of_other = "" if given.model == BUILT_IN else "-" + re.sub(r"[^\w.-]+", "-", given.model)
    out = given.out or RESULTS / f"{name}{of_other}.json"
    # Installed packages have their bytecode: the processes measured must find theirs, too.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    return Options(out, given.quick, given.peers, given.data, given.model)


@dataclass(frozen=True, slots=True)
class Spread:
    """Repeated measurements of one thing."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def p95(self) -> float:
        ordered = sorted(self.values)
        return ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]

    def figures(self, digits: int = 4) -> Figures:
        return {
            "median": round(self.median, digits),
            "p95": round(self.p95, digits),
            "min": round(min(self.values), digits),
            "max": round(max(self.values), digits),
            "n": len(self.values),
        }

    def __str__(self) -> str:
        low, high = min(self.values), max(self.values)
        return f"{self.median:10.3f}  p95 {self.p95:9.3f}  ({low:.3f} to {high:.3f})"


def timed(call: Callable[[], object]) -> float:
    """Seconds that one call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def repeated(
    call: Callable[[], object], times: int, *, warm_up: int = 1, unit: float = 1
) -> Spread:
    """Measure a call `times` times after `warm_up` that do not count; unit 1000 gives ms."""
    for _ in range(warm_up):
        call()
    return Spread(tuple(timed(call) * unit for _ in range(times)))


def each(calls: Sequence[Callable[[], object]], *, warm_up: int = 2, unit: float = 1) -> Spread:
    """Measure every call once, after the first `warm_up` of them have run uncounted."""
    for call in calls[:warm_up]:
        call()
    return Spread(tuple(timed(call) * unit for call in calls))


def machine() -> Figures:
    """What the figures depend on besides the code. The load is that before this run."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_gb": _memory_gb(),
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := installed(name)) is not None},
        "load_before": [round(load, 2) for load in os.getloadavg()],
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def installed(package: str) -> str | None:
    """Its version, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        if package != "pixseek":
            return None
        from pixseek import __version__

        return __version__


def _cpu() -> str:
    """The model as the system names it; clouds hide it, so family and model numbers, too."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    found = dict(re.findall(r"^([^\t:]+?)\s*:[ \t]*(.*)$", text.partition("\n\n")[0], re.MULTILINE))
    name = found.get("model name", platform.machine())
    return f"{name} (family {found.get('cpu family')}, model {found.get('model')})"


def _memory_gb() -> float:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)


def peer(python: str, name: str, folder: Path) -> Figures:
    """What a peer prints, run by the interpreter that has it; {} when it is not installed."""
    script = str(Path(__file__).parent / "peers.py")
    done = subprocess.run(
        [python, script, name, str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(f"  {name} failed: {done.stderr.strip().splitlines()[-1:]}")
        return {}
    found: Figures = json.loads(done.stdout.splitlines()[-1])
    return found


def write(options: Options, description: str, figures: Figures) -> None:
    """Record a run: its method (the script's docstring), the machine, and the figures."""
    record = {"method": description.strip().splitlines(), "quick": options.quick, **figures}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(record, indent=1) + "\n")
    print(f"\nwritten to {options.out}")


def held(value: float, bound: float | None, unit: str) -> str:
    """Whether a figure keeps to its bound, in words; '' without one."""
    if bound is None:
        return ""
    return f"{'held' if value <= bound else 'MISSED'}: {bound:g} {unit}"


def line(name: str, value: object, bound: str = "") -> None:
    """One printed figure, with the bound it is held to."""
    print(f"  {name:44} {value}{f'   [{bound}]' if bound else ''}", flush=True)
