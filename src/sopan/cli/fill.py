"""`sopan fill "the movie was [MASK] ."`: which words a language model puts into the blanks."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from sopan.cli import options as o


def run(
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="A text with [MASK] for each blank.", show_default=False)
    ],
    model: o.LanguageModel = "sopan-mini",
    top: Annotated[int, typer.Option("--top", min=1, help="How many candidates and fillings.")] = 5,
    pieces: Annotated[
        str, typer.Option("--pieces", metavar="N[,N…]", help="Pieces of the words, of all blanks or of each.")
    ] = "1",
    candidates: Annotated[
        str | None,
        typer.Option("--candidates", metavar="W,W…", help="Words to choose among, of any number of pieces."),
    ] = None,
    as_json: o.AsJson = False,
) -> None:
    """Fill blanks, several of them jointly; a masked model reads both sides, a causal one the left."""
    from sopan import usecases  # noqa: PLC0415
    from sopan.cli.show_language import show_filled  # noqa: PLC0415

    try:
        sizes = [int(size) for size in pieces.split(",")]
    except ValueError as error:
        raise typer.BadParameter(f"--pieces {pieces}: give numbers, such as 2 or 1,2") from error
    words = [word.strip() for word in candidates.split(",")] if candidates is not None else []
    found = usecases.fill(text, model=model, top=top, pieces=sizes, candidates=words)
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        show_filled(found)
