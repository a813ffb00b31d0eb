"""`sopan data NAME`: fetch a named public data set into the cache."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from sopan.cli import options as o


def run(
    name: Annotated[str, typer.Argument(help="imdb or snippets, maybe with a split: imdb:official.")],
    as_json: o.AsJson = False,
) -> None:
    """Fetch a named data set, checksummed, and say what it holds and where it lies."""
    from sopan import usecases  # noqa: PLC0415

    found = usecases.fetch_data(name)
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        for key, value in found.items():
            print(f"{key:<8} {'; '.join(value) if isinstance(value, list) else value}")
