"""`sopan train STEP DATA --out MODEL`: tune and fit one step, publish its model folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, cast

import typer

from sopan.cli import options as o
from sopan.options.data import TokenRule


def run(
    step: o.Step,
    data: o.Data,
    out: o.ModelOut,
    text: o.Text = None,
    label: o.Label = None,
    split_column: o.SplitColumn = None,
    no_header: o.NoHeader = False,
    encoding: o.Encoding = "utf-8",
    max_rejects: o.MaxRejects = 0,
    train: o.Train = None,
    val: o.Val = None,
    test: o.Test = None,
    unlabelled: o.Unlabelled = None,
    seed: o.Seed = 0,
    budget: o.Budget = "60s",
    tokens: o.Tokens = "words",
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            "--checkpoint", help="Keep training in this folder; the same command goes on from there."
        ),
    ] = None,
    logs: Annotated[Path | None, typer.Option("--logs", help="Folder for TensorBoard's event files.")] = None,
    as_json: o.AsJson = False,
) -> None:
    """Tune and fit one step, measure it on the test part, and write a model folder."""
    from sopan import usecases  # noqa: PLC0415
    from sopan.cli.progress import step_progress  # noqa: PLC0415
    from sopan.cli.show import show_scores  # noqa: PLC0415

    with step_progress() as progress:
        scores = usecases.train(
            step,
            data,
            out,
            budget=budget,
            seed=seed,
            tokens=cast(TokenRule, tokens),
            unlabelled=unlabelled,
            checkpoint=checkpoint,
            logs=logs,
            text=text,
            label=label,
            split_column=split_column,
            header=not no_header,
            encoding=encoding,
            max_rejects=max_rejects,
            train=train,
            val=val,
            test=test,
            progress=progress,
        )
    if as_json:
        print(json.dumps(scores, ensure_ascii=False))
    else:
        show_scores(scores, f"{step} on its test part; model in {out}")
