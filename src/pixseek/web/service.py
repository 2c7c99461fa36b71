"""What all requests share: the library, the threads that work on it, and how busy they are."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal, TypeVar, cast

from starlette.requests import Request

from pixseek.alike import Duplicates
from pixseek.alike import duplicates as copies_in
from pixseek.clusters import Cluster
from pixseek.clusters import clusters as grouped
from pixseek.engine import ImageSearchEngine
from pixseek.errors import NotPermitted, PixseekError, ServiceBusy, UnknownItem
from pixseek.records import LibraryStatus
from pixseek.settings import Settings
from pixseek.web.guard import LOCAL_NAMES
from pixseek.web.jobs import JobBoard
from pixseek.web.metrics import Metrics
from pixseek.web.searching import Allowed
from pixseek.web.surveys import Survey
from pixseek.web.threads import RETRY_AFTER_S, Threads

STATUS_KEPT_S = 2.0
"""How old a status may be: it looks at every file that is known."""
FACETS = (
    *("year", "month", "camera_make", "camera_model", "lens", "folder", "labels", "keywords"),
    *("orientation", "format", "extension", "people", "tags", "rating", "country", "city"),
)
"""Fields that are counted when none is named; those that no picture has are left out."""
ANSWERS_KEPT = 64
GROUPED_WITHIN_S = 20.0
"""How long a search in a group waits for the groups to be made."""
Kind = Literal["uploads", "streams"]
PLACES: dict[Kind, int] = {"uploads": 8, "streams": 32}
"""Requests at once that send pictures along, and that are told of a run."""

_Answer = TypeVar("_Answer")


@dataclass(slots=True)
class Readiness:
    """Whether model and vectors are in memory."""

    ready: bool = False
    failure: str | None = None


class Service:
    """One library, served."""

    def __init__(
        self, engine: ImageSearchEngine, options: Settings, *, allow_write: bool, token: str = ""
    ) -> None:
        """token: what clients must send; '' for nothing."""
        self.engine = engine
        self.token = token
        self.options = options
        self.allow_write = allow_write
        self.readiness = Readiness()
        self.threads = Threads(options.threads, options.queue)
        cores = options.worker_count()
        self.making = Threads(cores, options.queue)
        """For small pictures that were never made: whoever asks for many holds up no search."""
        self.counting = Threads(max(1, options.threads // 2), options.queue)
        """For counts over the whole library, likewise."""
        self.jobs = JobBoard(engine.library, options)
        self.metrics = Metrics(self)
        self.stopping = threading.Event()
        """Set when the server is to end: streams end with it."""
        version = engine.overview.version
        self.duplicates: Survey[Duplicates] = Survey(
            "duplicates", version, lambda told: copies_in(engine, on_progress=told)
        )
        self.clusters: Survey[list[Cluster]] = Survey(
            "clusters", version, lambda _: grouped(engine)
        )
        self._taken: dict[Kind, int] = {"uploads": 0, "streams": 0}
        self._status: tuple[float, LibraryStatus] | None = None
        self._status_lock = threading.Lock()
        self._kept: dict[tuple[object, ...], tuple[object, object]] = {}
        self._kept_lock = threading.Lock()

    @property
    def pools(self) -> tuple[Threads, ...]:
        return self.threads, self.making, self.counting

    @property
    def names(self) -> list[str]:
        """Hosts that it answers to."""
        named = [name.strip() for name in self.options.hosts.split(",")]
        return [name for name in (*LOCAL_NAMES, self.options.host, *named) if name]

    @property
    def cookie(self) -> str:
        """A name of its own: servers on other ports of this machine see the same cookies."""
        return f"pixseek_{self.options.port}"

    @property
    def allowed(self) -> Allowed:
        """Which pictures clients may search by."""
        return Allowed(self.options.upload_megapixels * 1_000_000, self.options.fetch_images)

    def preload(self) -> None:
        """Load model and vectors now, so that the first search need not."""
        self.engine.thumbnails.prepare(self.making.at_once)
        try:
            self.engine.search("ready", k=1)
        except PixseekError as error:
            self.readiness.failure = str(error)
            return
        self.readiness.failure = None
        self.readiness.ready = True
        with suppress(PixseekError):  # whoever asks for them meets it again, and is told
            for field in FACETS:  # one by one, as searches wait for each
                if self.stopping.is_set():
                    return
                self.engine.overview.facets([field])

    def status(self) -> LibraryStatus:
        """What the library holds, as it was at most `STATUS_KEPT_S` ago."""
        with self._status_lock:
            if self._status is None or time.monotonic() - self._status[0] > STATUS_KEPT_S:
                self._status = (time.monotonic(), self.engine.status())
            return self._status[1]

    def unchanged(self, key: tuple[object, ...], call: Callable[[], _Answer]) -> _Answer:
        """What a call gives, made again only when the library has changed since.

        key: what the call depends on besides the library.
        """
        version = self.engine.overview.version()
        if version is None:
            return call()
        with self._kept_lock:
            found = self._kept.get(key)
        if found is not None and found[0] == version:
            return cast("_Answer", found[1])
        made = call()
        with self._kept_lock:
            self._kept.pop(key, None)
            self._kept[key] = (version, made)
            if len(self._kept) > ANSWERS_KEPT:
                del self._kept[next(iter(self._kept))]
        return made

    def group_of(self, id: str) -> list[str]:
        """The ids of the group that a picture is in, those nearest the middle first.

        Raises UnknownItem, ServiceBusy while the groups are being made."""
        for cluster in self.clusters.wait(GROUPED_WITHIN_S):
            if id in cluster.ids:
                return cluster.ids
        raise UnknownItem(id)

    def note(self) -> str | None:
        """What people should know about answers now."""
        job = self.jobs.running()
        if job is None:
            return None
        return "The library is being brought in step; pictures may be missing for now."

    def check_writable(self, to_do: str) -> None:
        """Raise NotPermitted where the library is only read; to_do: what was asked for."""
        if not self.allow_write:
            raise NotPermitted("it only reads", f"start it with --allow-write to {to_do} here")

    def check_room(self, kind: Kind) -> None:
        """Raise ServiceBusy when all places for what costs memory or goes on are taken."""
        if self._taken[kind] >= PLACES[kind]:
            raise ServiceBusy(f"{self._taken[kind]} {kind} are open", RETRY_AFTER_S)

    @contextmanager
    def place(self, kind: Kind) -> Iterator[None]:
        """Hold one of those places."""
        self._taken[kind] += 1
        try:
            yield
        finally:
            self._taken[kind] -= 1

    def stop(self) -> None:
        """End streams and runs; what runs have stored is kept."""
        self.stopping.set()
        self.duplicates.stop()
        self.clusters.stop()
        self.jobs.stop()


def service_of(request: Request) -> Service:
    """The service that an app was made for."""
    service: Service = request.app.state.service
    return service
