"""`sopan serve RUN|MODEL`: the page and the API, for one person or a room."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    target: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|MODEL",
            help="A folder that `sopan compare` wrote, or one model's.",
            show_default=False,
        ),
    ],
    host: Annotated[str, typer.Option("--host", help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="Port; 0: any free one.")] = 8000,
    token: Annotated[
        str | None,
        typer.Option("--token", help="For presenting and reloading; drawn on loopback unless given."),
    ] = None,
    language_model: Annotated[
        str, typer.Option("--lm", metavar="PRESET", help="Language model for blanks; none: without one.")
    ] = "sopan-mini",
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME", help="Another name of this server; may be repeated."),
    ] = None,
) -> None:
    """Serve a run's models, or one: page, API, metrics. Ctrl-C or SIGTERM finishes what waits, then stops."""
    from sopan.serve.server import Settings, say, serve  # noqa: PLC0415

    speaks = None if language_model == "none" else language_model
    serve(Settings(target, host, port, token, speaks, tuple(allow_host or ()), say))
