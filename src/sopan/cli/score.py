"""`sopan score [TEXT | --file F]`: how likely a language model finds texts and their words."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from sopan.cli import options as o
from sopan.options.data import TextOptions


def run(
    words: Annotated[str | None, typer.Argument(metavar="[TEXT]", help="One text to score.")] = None,
    file: Annotated[str | None, typer.Option("--file", help="A table of texts instead.")] = None,
    model: o.LanguageModel = "sopan-mini",
    method: Annotated[
        str | None,
        typer.Option(
            "--method",
            help="word-l2r: a word's later pieces are hidden too; original; causal. "
            "If none is named: word-l2r, or causal for a causal model.",
            show_default=False,
        ),
    ] = None,
    text: o.Text = None,
    no_header: o.NoHeader = False,
    encoding: o.Encoding = "utf-8",
    max_rejects: o.MaxRejects = 0,
    as_json: o.AsJson = False,
) -> None:
    """Score texts by (pseudo-)log-likelihood; with --json, a line for each text of a file."""
    from sopan import usecases  # noqa: PLC0415
    from sopan.cli.show_language import show_score, show_scored_texts  # noqa: PLC0415

    if (words is None) == (file is None):
        raise typer.BadParameter("give either one TEXT or --file F")
    if file is None:
        found = usecases.score_text(str(words), model=model, method=method)
        if as_json:
            print(json.dumps(found, ensure_ascii=False))
        else:
            show_score(found)
        return
    reading = TextOptions(text=text, header=not no_header, encoding=encoding, max_rejects=max_rejects)
    scores = usecases.score_file(file, model=model, method=method, reading=reading)
    if as_json:
        for found in scores:
            print(json.dumps(found, ensure_ascii=False))
    else:
        show_scored_texts(scores)
