"""`sopan compare DATA`: train every step, measure, say which is worth it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, cast

import typer

from sopan.cli import options as o
from sopan.options.data import TokenRule


def run(
    data: o.Data,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write; runs/<name> unless given.")
    ] = None,
    steps: Annotated[
        str | None,
        typer.Option("--steps", help="Which steps, such as bow,attention:local; all of them unless given."),
    ] = None,
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
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, help="Train the chosen settings with this many.")
    ] = 1,
    budget: o.Budget = "60s",
    margin: Annotated[
        float, typer.Option("--margin", min=0.0, help="Accuracy that you would give up for a cheaper step.")
    ] = 0.005,
    tokens: o.Tokens = "words",
    deterministic: Annotated[
        bool, typer.Option(help="Same command, same bits; else word vectors use every core at once.")
    ] = True,
    learning_curve: Annotated[
        bool, typer.Option("--learning-curve", help="Also train on 100, 200, 500, … texts.")
    ] = False,
    as_json: o.AsJson = False,
) -> None:
    """Train every step on the same texts, print the leaderboard, write a report."""
    from sopan import usecases  # noqa: PLC0415
    from sopan.cli.progress import step_progress  # noqa: PLC0415
    from sopan.cli.show import show_comparison  # noqa: PLC0415

    with step_progress() as progress:
        found = usecases.compare(
            data,
            out,
            steps=None if steps is None else [step.strip() for step in steps.split(",") if step.strip()],
            text=text,
            label=label,
            split_column=split_column,
            header=not no_header,
            encoding=encoding,
            max_rejects=max_rejects,
            train=train,
            val=val,
            test=test,
            unlabelled=unlabelled,
            seed=seed,
            seeds=seeds,
            budget=budget,
            margin=margin,
            tokens=cast(TokenRule, tokens),
            deterministic=deterministic,
            learning_curve=learning_curve,
            progress=progress,
        )
    if as_json:
        print(json.dumps(found.results, ensure_ascii=False))
    else:
        show_comparison(found)
