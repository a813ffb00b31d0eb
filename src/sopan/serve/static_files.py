"""The page's files: the names that stand in `static/` at the start are the only ones there are."""

from __future__ import annotations

import mimetypes
from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse

STATIC = Path(__file__).with_name("static")
TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
INDEX = "index.html"


def static_routes(app: FastAPI, folder: Path = STATIC) -> None:
    """Give every file a route of its own; no path that a client writes is ever looked up on the disk."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            name = path.relative_to(folder).as_posix()
            handler = _sender(path)
            app.add_route(f"/{name}", handler, methods=["GET"], include_in_schema=False)
            if name == INDEX:
                app.add_route("/", handler, methods=["GET"], include_in_schema=False)


def _sender(path: Path) -> Callable[[Request], Awaitable[Response]]:
    kind = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"

    async def send(_: Request) -> Response:
        return FileResponse(path, media_type=kind, headers={"Cache-Control": "no-cache"})

    return send
