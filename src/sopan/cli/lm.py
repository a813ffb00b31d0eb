"""`sopan lm compare CORPUS…`: is it worth reading both sides of a word?"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from sopan.cli import options as o
from sopan.options.data import ReadOptions, SplitOptions

app = typer.Typer(help="Hold language models side by side.", rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def group() -> None:
    """Hold language models side by side."""


@app.command("compare")
def compare(
    corpus: o.Corpus,
    text: o.Text = None,
    no_header: o.NoHeader = False,
    encoding: o.Encoding = "utf-8",
    max_rejects: o.MaxRejects = 0,
    vocabulary: Annotated[int, typer.Option("--vocabulary", min=100, help="How many pieces to find.")] = 8000,
    width: Annotated[int, typer.Option("--width", min=1, help="Of both encoders.")] = 128,
    depth: Annotated[int, typer.Option("--depth", min=1, help="Blocks of both encoders.")] = 2,
    heads: Annotated[int, typer.Option("--heads", min=1, help="Of each block.")] = 2,
    length: o.RowLength = 64,
    rows: o.Rows = 64,
    steps: o.Steps = None,
    epochs: o.Epochs = 1.0,
    precision: o.Precision = "float32",
    held_out: o.HeldOut = 0.01,
    work: Annotated[
        Path | None, typer.Option("--work", help="Folder to keep both models in, and to go on from.")
    ] = None,
    labelled: o.Labelled = None,
    labelled_text: o.LabelledText = None,
    label: o.Label = None,
    split_column: o.SplitColumn = None,
    train: o.Train = None,
    val: o.Val = None,
    test: o.Test = None,
    seed: o.Seed = 0,
    as_json: o.AsJson = False,
) -> None:
    """Train a masked and a causal model of one size on one text; let both fill the same blanks."""
    from sopan import usecases  # noqa: PLC0415
    from sopan.cli.show_pretraining import pretraining_progress, show_objectives  # noqa: PLC0415

    reading = ReadOptions(header=not no_header, encoding=encoding, max_rejects=max_rejects)
    with pretraining_progress() as tell:
        report = usecases.compare_objectives(
            corpus,
            encoder={"width": width, "depth": depth, "heads": heads, "max_length": max(256, length)},
            task={"length": length, "rows": rows},
            vocabulary=vocabulary,
            steps=steps,
            epochs=epochs,
            precision=precision,
            held_out=held_out,
            reading=replace(reading, text=text),
            work=work,
            labelled=labelled,
            labelled_reading=replace(reading, text=labelled_text, label=label, split_column=split_column),
            parts=SplitOptions(train=train, val=val, test=test, seed=seed),
            seed=seed,
            tell=tell,
        )
    if as_json:
        print(json.dumps(report, ensure_ascii=False))
    else:
        show_objectives(report)
