"""The application: everything that answers, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Header
from starlette.types import ASGIApp

from sopan import __version__
from sopan.errors import SopanError
from sopan.serve.dispatch import ModelClient, not_ready
from sopan.serve.launching import StartedChild
from sopan.serve.limits import StrictRoute
from sopan.serve.maps import Maps
from sopan.serve.metrics import Measured, Metrics, metrics_route
from sopan.serve.native import native
from sopan.serve.queueing import Dispatcher
from sopan.serve.refusals import install, refusals
from sopan.serve.room import Room, room_routes
from sopan.serve.schemas import ReloadAnswer, ReloadRequest
from sopan.serve.security import Guard, check_token
from sopan.serve.static_files import static_routes
from sopan.serve.supervisor import Supervisor
from sopan.serve.tables import tables
from sopan.serve.tfserving import tfserving
from sopan.serve.v2 import v2

DESCRIPTION = """One sentence climbs every step of text representation: see docs/adr/0010-serving.md.

Errors are `{"error", "error_type"}`; 429 and 503 also say when to come back."""


@dataclass(frozen=True)
class Parts:
    """What runs behind the application."""

    supervisor: Supervisor
    client: ModelClient
    room: Room
    metrics: Metrics
    maps: Maps

    async def close(self) -> None:
        """Stop all of it."""
        await self.maps.close()
        await self.client.dispatcher.close()
        await self.supervisor.close()


def make_parts(start: Callable[[], StartedChild], first: StartedChild, cache: Path | None = None) -> Parts:
    """Make what runs behind the application; needs an event loop.

    Args:
        start: starts a child.
        first: one that was started before.
        cache: where maps of words are kept.
    """
    metrics = Metrics()
    supervisor = Supervisor(start, first)
    client = ModelClient(supervisor, Dispatcher(supervisor, metrics.observe_batch))
    metrics.watch(client)
    return Parts(supervisor, client, Room(), metrics, Maps(client, cache))


def make_app(parts: Parts, hosts: frozenset[str], token: str) -> ASGIApp:
    """Put the application together.

    Args:
        parts: what runs behind it.
        hosts: the Hosts that are ours.
        token: for presenting and reloading.
    """
    app = FastAPI(
        title="sopan",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,  # their pages fetch scripts from elsewhere
        redoc_url=None,
        lifespan=_closing(parts),
    )
    install(app)
    for router in (
        native(parts.client, parts.maps),
        tables(parts.client),
        room_routes(parts.room, parts.client, token),
        v2(parts.client),
        tfserving(parts.client),
        metrics_route(parts.metrics),
        _admin(parts.client, token),
    ):
        app.include_router(router)
    static_routes(app)
    return Guard(Measured(app, parts.metrics), hosts, lambda: parts.client.hash)


def _closing(parts: Parts) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def closing(_: FastAPI) -> AsyncIterator[None]:
        yield
        await parts.close()

    return closing


def _admin(client: ModelClient, token: str) -> APIRouter:
    router = APIRouter(route_class=StrictRoute, tags=["admin"])

    @router.post(
        "/reload",
        responses={200: {"model": ReloadAnswer}, **refusals(400, 401, 403, 408, 413, 415, 422, 503)},
    )
    async def reload(
        asked: ReloadRequest, authorization: Annotated[str | None, Header()] = None
    ) -> dict[str, Any]:
        """Load the same folder anew, and change over to it if all is well. Needs the token."""
        check_token(authorization, token)
        try:
            before, now = await client.supervisor.reload()
        except SopanError as error:
            raise not_ready(error.what, 5.0, "reload_failed") from error
        return {"model": now, "before": before}

    return router
