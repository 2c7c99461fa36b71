"""`pixseek watch`: says what was done, as it happens, until it is interrupted."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from pixseek import settings
from pixseek.cli import output
from pixseek.cli.progress import FetchBar, ProgressBar
from pixseek.engine import ImageSearchEngine
from pixseek.errors import InvalidQuery
from pixseek.records import IndexReport, Progress
from pixseek.watching import watch


def follow(arguments: argparse.Namespace, folders: list[Path]) -> int:
    """Carry out the command; returns when it is interrupted or asked to end (SIGTERM)."""
    for name in ("delay", "rescan"):
        if not 0 <= getattr(arguments, name) < float("inf"):
            raise InvalidQuery(
                f"--{name} is {getattr(arguments, name)}; expected seconds, 0 or more."
            )
    options = settings.load(
        {
            "library": arguments.library,
            "workers": arguments.workers,
            "offline": arguments.offline,
        }
    )
    bars = _Bars(quiet=arguments.quiet)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with (
            FetchBar(quiet=arguments.quiet) as fetching,
            ImageSearchEngine(
                options.library,
                model=arguments.model,
                create=bool(folders),
                on_fetch=fetching.show,
                options=options,
            ) as engine,
        ):
            watch(
                engine,
                folders or None,
                quiet_s=arguments.delay,
                rescan_s=arguments.rescan,
                on_report=_say_json if arguments.json else _say,
                on_trouble=_complain,
                on_progress=bars.show,
            )
    except KeyboardInterrupt:
        print("pixseek: stopped watching; what was reported is kept", file=sys.stderr)
    finally:
        bars.close()
        signal.signal(signal.SIGTERM, before)
    return 0


class _Bars:
    """A progress bar a run."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: ProgressBar | None = None

    def show(self, progress: Progress) -> None:
        if not progress.total:
            return
        self._bar = self._bar or ProgressBar(quiet=self._quiet).__enter__()
        self._bar.show(progress)
        if progress.done >= progress.total:
            self.close()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
        self._bar = None


def _say(report: IndexReport) -> None:
    done = output.summary(report) or "nothing to do"
    print(f"{_now()}  {done}; {output.counted(report.indexed, 'file')} in the library", flush=True)
    for folder in report.missing:
        print(f"{_now()}  not there now, entries kept: {output.printable(folder)}", flush=True)
    for one in report.skipped:
        path, reason = output.printable(one.path), output.printable(one.reason)
        print(f"{_now()}  skipped {path}: {reason}", flush=True)


def _say_json(report: IndexReport) -> None:
    """One line a report."""
    print(json.dumps({"time": _now(), **asdict(report)}, default=str), flush=True)


def _complain(trouble: str) -> None:
    print(f"pixseek: {output.printable(trouble)}", file=sys.stderr, flush=True)


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
