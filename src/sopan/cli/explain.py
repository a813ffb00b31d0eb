"""`sopan explain MODEL TEXT [--json | --html F]`: which words made the model say what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from sopan.cli import options as o


def run(
    model: o.Model,
    words: Annotated[str, typer.Argument(metavar="TEXT", help="The text to explain.", show_default=False)],
    html: Annotated[
        Path | None, typer.Option("--html", metavar="F", help="Write a page, with attention to look into.")
    ] = None,
    as_json: o.AsJson = False,
) -> None:
    """Show what each word added, what happens without it, and whether that can be believed."""
    from sopan import usecases  # noqa: PLC0415
    from sopan.cli.show_explanation import show_explanation  # noqa: PLC0415

    found = usecases.explain(model, words)
    if html is not None:
        usecases.write_explanation(found, html)
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
    elif html is not None:
        print(html)
    else:
        show_explanation(found)
