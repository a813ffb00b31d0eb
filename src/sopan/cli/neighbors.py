"""`sopan neighbors WORD --model MODEL`: the words nearest in meaning."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from sopan.cli import options as o


def run(
    word: Annotated[str, typer.Argument(help="A word.", show_default=False)],
    vectors: Annotated[
        str,
        typer.Option(
            "--model", help="A cbow model folder, or a word2vec, GloVe or .vec file.", show_default=False
        ),
    ],
    top: Annotated[int, typer.Option("--top", min=1, help="How many.")] = 10,
    as_json: o.AsJson = False,
) -> None:
    """List the words whose vectors point most nearly the same way, by cosine."""
    from sopan import usecases  # noqa: PLC0415

    found = usecases.neighbors(vectors, word, top)
    if as_json:
        print(json.dumps([{"word": other, "cosine": cosine} for other, cosine in found], ensure_ascii=False))
    else:
        for other, cosine in found:
            print(f"{cosine:6.3f}  {other}")
