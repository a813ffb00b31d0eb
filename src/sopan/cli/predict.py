"""`sopan predict MODEL [TEXT | --file F --out G]`: label names and probabilities for new texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from sopan.cli import options as o
from sopan.options.data import TextOptions


def run(
    model: o.Model,
    words: Annotated[str | None, typer.Argument(metavar="[TEXT]", help="One text to classify.")] = None,
    file: Annotated[str | None, typer.Option("--file", help="A table of texts instead.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Where to write them: .parquet, .csv or .jsonl.")
    ] = None,
    text: o.Text = None,
    no_header: o.NoHeader = False,
    encoding: o.Encoding = "utf-8",
    max_rejects: o.MaxRejects = 0,
    as_json: o.AsJson = False,
) -> None:
    """Classify one text, or stream a file of any size to a file of predictions."""
    from sopan import usecases  # noqa: PLC0415
    from sopan.cli.show_prediction import show_prediction  # noqa: PLC0415

    if (words is None) == (file is None):
        raise typer.BadParameter("give either one TEXT or --file F --out G")
    if file is None:
        answer = usecases.predict_text(model, str(words))
        if as_json:
            print(json.dumps(answer, ensure_ascii=False))
        else:
            show_prediction(answer)
        return
    if out is None:
        raise typer.BadParameter("--file needs --out G, where G ends in .parquet, .csv or .jsonl")
    reading = TextOptions(text=text, header=not no_header, encoding=encoding, max_rejects=max_rejects)
    rows = usecases.predict_file(model, file, out, reading=reading)
    print(json.dumps({"rows": rows, "out": str(out)}) if as_json else f"{rows:,} predictions in {out}")
