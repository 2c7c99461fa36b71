"""Counts and times for Prometheus: GET /metrics."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from pixseek.web.service import Service

CONTENT_TYPE = CONTENT_TYPE_LATEST
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Seconds."""


class Metrics:
    """The metrics of one server: a registry of its own, so that several can run in a process."""

    def __init__(self, service: Service) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "pixseek_requests",
            "Requests that were answered.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "pixseek_request_seconds",
            "Seconds until an answer had been sent.",
            ("route",),
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._gauge("requests_pending", "Requests that are worked on or wait.").set_function(
            lambda: sum(one.pending for one in service.pools)
        )
        self._gauge("ready", "Whether model and vectors are in memory.").set_function(
            lambda: service.readiness.ready
        )
        self._gauge(
            "indexing", "Whether this server is bringing the library in step."
        ).set_function(lambda: service.jobs.running() is not None)
        self._items = self._gauge("items", "Pictures in the library.")

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(f"pixseek_{name}", meaning, registry=self._registry)

    def text(self, items: int) -> bytes:
        """All of them, as Prometheus reads them."""
        self._items.set(items)
        return generate_latest(self._registry)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        known = method if method in ("GET", "HEAD", "POST", "OPTIONS") else "other"
        self._requests.labels(known, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)


class Measured:
    """Middleware that counts and times every request, by route and never by address."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, method = time.perf_counter(), scope["method"]
        status = 500
        # What can be got has a head: the server leaves the body out.
        scope = {**scope, "method": "GET" if method == "HEAD" else method}

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sent)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            seconds = time.perf_counter() - started
            self._metrics.answered(method, route, status, seconds)
