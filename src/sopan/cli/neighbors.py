"""`sopan neighbors WORD --model MODEL`: the words nearest in meaning, by themselves or in context."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from sopan.cli import options as o
from sopan.options.data import TextOptions


def run(
    word: Annotated[str, typer.Argument(help="A word.", show_default=False)],
    vectors: Annotated[
        str,
        typer.Option(
            "--model",
            help="A cbow model folder, or a word2vec, GloVe or .vec file; with --contextual a preset, "
            "a folder of a BERT, or a BERT's name on the hub.",
            show_default=False,
        ),
    ],
    contextual: Annotated[
        bool, typer.Option("--contextual", help="Compare words as they stand in --text and --in.")
    ] = False,
    text: Annotated[
        str | None, typer.Option("--text", metavar="TEXT", help="A text in which the word stands.")
    ] = None,
    within: Annotated[
        str | None, typer.Option("--in", metavar="FILE", help="A table of texts to look for neighbours in.")
    ] = None,
    column: Annotated[
        str | None, typer.Option("--column", metavar="C", help="Column of the text in --in.")
    ] = None,
    layer: Annotated[
        int | None,
        typer.Option("--layer", min=0, help="Of the model, 0 being the lowest; if none, the last."),
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="How many.")] = 10,
    as_json: o.AsJson = False,
) -> None:
    """List the words whose vectors point most nearly the same way, by cosine."""
    from sopan import usecases  # noqa: PLC0415

    if contextual:
        from sopan.cli.show_language import show_neighbors_in_context  # noqa: PLC0415

        if text is None or within is None:
            raise typer.BadParameter("--contextual needs --text TEXT, where the word stands, and --in FILE")
        reading = TextOptions(text=column)
        nearest = usecases.neighbors_in_context(
            word, text, within, model=vectors, top=top, layer=layer, reading=reading
        )
        if as_json:
            print(json.dumps(nearest, ensure_ascii=False))
        else:
            show_neighbors_in_context(nearest)
        return
    if text is not None or within is not None or column is not None or layer is not None:
        raise typer.BadParameter("--text, --in, --column and --layer go with --contextual")
    found = usecases.neighbors(vectors, word, top)
    if as_json:
        print(json.dumps([{"word": other, "cosine": cosine} for other, cosine in found], ensure_ascii=False))
    else:
        for other, cosine in found:
            print(f"{cosine:6.3f}  {other}")
