"""The application: all routes and the page's files put together, and the HTTP server that runs it."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import Annotated

import uvicorn
from fastapi import APIRouter, FastAPI, Header, Request, Response
from fastapi.responses import FileResponse
from starlette.types import ASGIApp

from sopan import __version__
from sopan.errors import SopanError
from sopan.serve.channel import StartedChild
from sopan.serve.dispatch import Dispatcher
from sopan.serve.limits import StrictRoute
from sopan.serve.metrics import Metrics, MetricsMiddleware, metrics_route
from sopan.serve.model_client import ModelClient
from sopan.serve.native import native
from sopan.serve.open_inference import inference_protocol
from sopan.serve.refusals import documented, install, not_ready
from sopan.serve.room import Room, room_routes
from sopan.serve.schemas import ReloadAnswer, ReloadRequest
from sopan.serve.security import HeaderTimeoutProtocol, SecurityMiddleware, check_token
from sopan.serve.supervisor import DRAIN, Supervisor
from sopan.serve.tables import tables
from sopan.serve.tensorflow_serving import tensorflow_serving
from sopan.serve.word_maps import WordMaps

STATIC = Path(__file__).with_name("static")
GRACE = 2
"""Seconds that connections have to close after all was answered."""
DESCRIPTION = """One sentence climbs every step of text representation: see docs/adr/0010-serving.md.

Errors are `{"error", "error_type"}`; 429 and 503 also say when to come back."""


class Services:
    """What runs behind the application; needs an event loop.

    Args:
        start: starts a child.
        first: one that was started before.
    """

    def __init__(self, start: Callable[[], StartedChild], first: StartedChild) -> None:
        self.metrics, self.room = Metrics(), Room()
        self.supervisor = Supervisor(start, first)
        self.client = ModelClient(self.supervisor, Dispatcher(self.supervisor, self.metrics.observe_batch))
        self.maps = WordMaps(self.client)
        self.metrics.watch(self.client)

    async def drain(self) -> None:
        """Take no new questions, and let those that wait be answered."""
        self.client.draining = True
        until = time.monotonic() + DRAIN
        while self.client.dispatcher.waiting and time.monotonic() < until:
            await asyncio.sleep(0.02)
        self.room.close()

    async def close(self) -> None:
        """Stop all of it."""
        await self.maps.close()
        await self.client.dispatcher.close()
        await self.supervisor.close()


def make_app(
    services: Services, hosts: frozenset[str], token: str, origins: frozenset[str] = frozenset()
) -> ASGIApp:
    """Put the application together.

    Args:
        services: what runs behind it.
        hosts: the Hosts that are ours.
        token: for presenting and reloading.
        origins: of pages elsewhere that may ask and read, such as `https://example.org`.
    """
    app = FastAPI(
        title="sopan",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,  # their pages fetch scripts from elsewhere
        redoc_url=None,
    )
    install(app)
    for router in (
        native(services.client, services.maps),
        tables(services.client),
        room_routes(services.room, services.client, token),
        inference_protocol(services.client),
        tensorflow_serving(services.client),
        metrics_route(services.metrics),
        _admin(services.client, token),
    ):
        app.include_router(router)
    static_routes(app)
    guarded = MetricsMiddleware(app, services.metrics)
    return SecurityMiddleware(guarded, hosts, lambda: services.client.hash, origins)


class DrainingServer(uvicorn.Server):
    """An HTTP server that drains before it stops.

    Args:
        app: the application.
        services: what runs behind it.
    """

    def __init__(self, app: ASGIApp, services: Services) -> None:
        config = uvicorn.Config(
            app,
            http=HeaderTimeoutProtocol,
            log_level="warning",
            access_log=False,
            server_header=False,
            ws="none",
            timeout_keep_alive=30,
            timeout_graceful_shutdown=GRACE,
        )
        super().__init__(config)
        self._services, self._loop = services, asyncio.get_running_loop()
        self._draining: asyncio.Task[None] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain on the first signal to stop; the second one stops at once."""
        if self._draining is None and sig in (signal.SIGTERM, signal.SIGINT):
            self._loop.call_soon_threadsafe(self._drain)
        else:
            super().handle_exit(sig, frame)

    def _drain(self) -> None:
        async def drain() -> None:
            await self._services.drain()
            self.should_exit = True

        if self._draining is None:
            self._draining = asyncio.ensure_future(drain())


def static_routes(app: FastAPI) -> None:
    """Give every file a route of its own; no path that a client writes is ever looked up on the disk."""
    for path in sorted(STATIC.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            name = path.relative_to(STATIC).as_posix()
            handler = _sender(path)
            app.add_route(f"/{name}", handler, methods=["GET"], include_in_schema=False)
            if name == "index.html":
                app.add_route("/", handler, methods=["GET"], include_in_schema=False)


def _sender(path: Path) -> Callable[[Request], Awaitable[Response]]:
    kind = "text/javascript" if path.suffix == ".js" else None  # others are known by their names

    async def send(_: Request) -> Response:
        return FileResponse(path, media_type=kind, headers={"Cache-Control": "no-cache"})

    return send


def _admin(client: ModelClient, token: str) -> APIRouter:
    router = APIRouter(route_class=StrictRoute, tags=["admin"])

    @router.post("/reload", responses=documented(ReloadAnswer, 400, 401, 403, 408, 413, 415, 422, 503))
    async def reload(
        body: ReloadRequest, authorization: Annotated[str | None, Header()] = None
    ) -> ReloadAnswer:
        """Load the same folder anew, and change over to it if all is well. Needs the token."""
        check_token(authorization, token)
        try:
            before, now = await client.supervisor.reload()
        except SopanError as error:
            raise not_ready(error.what, 5.0, "reload_failed") from error
        return ReloadAnswer(model=now, before=before)

    return router
