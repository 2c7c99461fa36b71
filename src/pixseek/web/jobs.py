"""Runs that change the library: one at a time, on a thread of their own, told as they go."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pixseek.engine import ImageSearchEngine
from pixseek.errors import LibraryLocked, PixseekError
from pixseek.records import DescribeReport, IndexReport, Progress
from pixseek.settings import Settings

Kind = Literal["index", "captions", "labels", "text"]
State = Literal["waiting", "running", "done", "failed", "stopped"]
REMEMBERED = 20
STOPPED_WITHIN_S = 30.0


@dataclass(slots=True)
class Job:
    """One run. Changed by its own thread only; `version` rises with each change."""

    id: str = field(default_factory=lambda: secrets.token_urlsafe(9))
    kind: Kind = "index"
    state: State = "running"
    started: float = field(default_factory=time.time)
    finished: float | None = None
    total: int = 0
    done: int = 0
    encoded: int = 0
    skipped: int = 0
    waiting_for: str | None = None
    error: str | None = None
    report: dict[str, int] | None = None
    version: int = 0

    @property
    def is_over(self) -> bool:
        return self.state in ("done", "failed", "stopped")


class JobBoard:
    """The runs of this process, the latest of them remembered."""

    def __init__(self, library: Path, options: Settings) -> None:
        self._library = library
        # A core is left to those who search meanwhile, unless the setting says otherwise.
        workers = options.workers or max(1, options.worker_count() - 1)
        self._options = replace(options, workers=workers)
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def start(self, kind: Kind = "index", options: Mapping[str, Any] | None = None) -> Job:
        """Bring every folder of the library in step, or describe its pictures.

        options: what the engine's method for that takes. Raises LibraryLocked while a run goes on.
        """
        with self._lock:
            for job in self._jobs.values():
                if not job.is_over:
                    raise LibraryLocked(self._library, f"run {job.id} of this server")
            job = Job(kind=kind)
            self._jobs[job.id] = job
            for old in list(self._jobs)[:-REMEMBERED]:
                del self._jobs[old]
            # Not a daemon: what is being written is finished before the process ends.
            self._thread = threading.Thread(
                target=self._run, args=(job, options or {}), name="pixseek-job"
            )
            self._thread.start()
            return job

    def get(self, id: str) -> Job | None:
        with self._lock:
            return self._jobs.get(id)

    def latest(self) -> list[Job]:
        """Newest first."""
        with self._lock:
            return list(self._jobs.values())[::-1]

    def running(self) -> Job | None:
        return next((job for job in self.latest() if not job.is_over), None)

    def stop(self) -> None:
        """Let the run end after what it is writing."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(STOPPED_WITHIN_S)

    def _run(self, job: Job, options: Mapping[str, Any]) -> None:
        def progressed(progress: Progress) -> None:
            if self._stopping.is_set():
                raise CancelledError
            job.state, job.waiting_for = "running", None
            job.total, job.done = progress.total, progress.done
            job.encoded, job.skipped = progress.encoded, progress.skipped
            job.version += 1

        def waits(holder: str) -> None:
            job.state, job.waiting_for = "waiting", holder
            job.version += 1

        try:
            # An engine of its own: its writes hold its own connection, and searches never wait.
            with ImageSearchEngine(self._library, create=False, options=self._options) as engine:
                if job.kind == "index":
                    counts = _counts(engine.index_images(on_progress=progressed, on_wait=waits))
                else:
                    run = _DESCRIBING[job.kind]
                    counts = _said(run(engine, on_progress=progressed, **options))
        except PixseekError as error:
            job.error, job.state = str(error), "failed"
        except CancelledError:
            job.state = "stopped"
        except BaseException:
            job.error, job.state = "it failed; see what the server printed.", "failed"
            raise
        else:
            job.report, job.state = counts, "done"
        finally:
            job.waiting_for = None
            job.finished = time.time()
            job.version += 1


def _counts(report: IndexReport) -> dict[str, int]:
    return {
        "added": report.added,
        "changed": report.changed,
        "moved": report.moved,
        "unchanged": report.unchanged,
        "removed": report.removed,
        "skipped": len(report.skipped),
        "missing": len(report.missing),
        "encoded": report.encoded,
    }


_DESCRIBING: dict[Kind, Callable[..., DescribeReport]] = {
    "captions": ImageSearchEngine.caption_images,
    "labels": ImageSearchEngine.label_images,
    "text": ImageSearchEngine.read_texts,
}


def _said(report: DescribeReport) -> dict[str, int]:
    return {
        "described": report.described,
        "found": report.found,
        "known": report.known,
        "skipped": len(report.skipped),
    }
