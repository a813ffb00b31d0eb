"""Metrics for Prometheus: requests, batches, the queue, the child."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from fastapi import APIRouter, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sopan.serve.dispatch import QUICK, SLOW
from sopan.serve.model_client import ModelClient

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 2, 5, 10)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The counters of one server; a registry of its own, so that two may live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        of_route = ("route", "method", "status")
        self.requests = Counter("sopan_requests", "Requests answered.", of_route, registry=self.registry)
        self.seconds = Histogram(
            "sopan_request_seconds",
            "From request to answer.",
            ("route",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.batches = Histogram(
            "sopan_batch_jobs", "Jobs of a batch.", ("class",), buckets=SIZES, registry=self.registry
        )
        self.batch_seconds = Histogram(
            "sopan_batch_seconds",
            "Of a batch in the child.",
            ("class",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.tokens = Counter("sopan_tokens", "Padded tokens computed.", ("class",), registry=self.registry)

    def observe_batch(self, kind: str, tokens: int, jobs: int, seconds: float) -> None:
        """Count a batch."""
        self.batches.labels(kind).observe(jobs)
        self.batch_seconds.labels(kind).observe(seconds)
        self.tokens.labels(kind).inc(tokens)

    def watch(self, client: ModelClient) -> None:
        """Read the state of the queue and the child whenever the metrics are read."""
        supervisor, dispatcher = client.supervisor, client.dispatcher
        self._gauge("sopan_ready", "Whether questions are answered.", lambda: client.ready)
        self._gauge("sopan_waiting", "Jobs that wait or are computed.", lambda: dispatcher.waiting)
        self._gauge("sopan_child_restarts", "Children that were lost.", lambda: supervisor.restarts)
        self._gauge("sopan_child_resident_bytes", "Memory of the child.", lambda: supervisor.rss)
        self._gauge("sopan_known_hits", "Answers that were known already.", lambda: client.known_hits)
        speed = Gauge("sopan_tokens_per_second", "Measured speed.", ("class",), registry=self.registry)
        for kind in (QUICK, SLOW):
            speed.labels(kind).set_function(partial(dispatcher.speed, kind))

    def _gauge(self, name: str, what: str, read: Callable[[], float]) -> None:
        Gauge(name, what, registry=self.registry).set_function(read)


class MetricsMiddleware:
    """A layer that counts requests by the route that answered them.

    Args:
        app: what answers.
        metrics: where to.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            route = getattr(
                scope.get("route"), "path", "other"
            )  # never the path itself: anyone makes those up
            self.metrics.requests.labels(route, scope["method"], status).inc()
            self.metrics.seconds.labels(route).observe(time.perf_counter() - started)


def metrics_route(metrics: Metrics) -> APIRouter:
    """Make the route."""
    router = APIRouter(tags=["health"])

    @router.get(
        "/metrics",
        response_class=Response,
        responses={
            200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus."}
        },
    )
    async def read() -> Response:
        """Give all metrics to Prometheus."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return router
