"""`sopan adapt PRESET CORPUS… --out MODEL`: let a preset go on learning on a user's own text."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated

import typer

from sopan.cli import options as o
from sopan.options.data import ReadOptions, SplitOptions


def run(
    preset: Annotated[str, typer.Argument(help="A preset, a folder or a hub id.", show_default=False)],
    corpus: o.Corpus,
    out: o.ModelOut,
    text: o.Text = None,
    no_header: o.NoHeader = False,
    encoding: o.Encoding = "utf-8",
    max_rejects: o.MaxRejects = 0,
    words: Annotated[
        int, typer.Option("--words", min=0, help="Frequent words that become pieces, at most.")
    ] = 1000,
    rows: o.Rows = 32,
    steps: o.Steps = None,
    epochs: o.Epochs = 1.0,
    learning_rate: o.LearningRate = 3e-4,
    precision: o.Precision = "float32",
    held_out: o.HeldOut = 0.01,
    work: o.Work = None,
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
    """Adapt a BERT to a text, new words included, and say honestly what that is worth."""
    from sopan import usecases  # noqa: PLC0415
    from sopan.cli.show_pretraining import pretraining_progress, show_adapted  # noqa: PLC0415

    reading = ReadOptions(header=not no_header, encoding=encoding, max_rejects=max_rejects)
    with pretraining_progress() as tell:
        report = usecases.adapt(
            preset,
            corpus,
            out,
            words=words,
            task={"rows": rows},
            recipe={"learning_rate": learning_rate},
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
        show_adapted(report, out)
