"""`sopan pretrain CORPUS… --out MODEL`: a language model from a user's own text."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from sopan.cli import options as o
from sopan.options.data import TextOptions


def run(
    corpus: o.Corpus,
    out: o.ModelOut,
    text: o.Text = None,
    no_header: o.NoHeader = False,
    encoding: o.Encoding = "utf-8",
    max_rejects: o.MaxRejects = 0,
    objective: Annotated[
        str, typer.Option("--objective", help="masked: fill blanks; causal: predict the next piece.")
    ] = "masked",
    pairs: Annotated[
        str,
        typer.Option("--pairs", help="Ask about pairs of texts too: none, next (BERT) or order (ALBERT)."),
    ] = "none",
    vocabulary: Annotated[
        str, typer.Option("--vocabulary", help="How many pieces to find, or a vocab.txt or tokenizer.json.")
    ] = "12000",
    cased: Annotated[bool, typer.Option("--cased", help="Keep upper and lower case apart.")] = False,
    width: Annotated[int, typer.Option("--width", min=1, help="Of the encoder.")] = 256,
    depth: Annotated[int, typer.Option("--depth", min=1, help="Blocks of the encoder.")] = 4,
    heads: Annotated[int, typer.Option("--heads", min=1, help="Of each block.")] = 4,
    max_length: Annotated[int, typer.Option("--max-length", min=16, help="Places that it knows.")] = 256,
    dropout: Annotated[float, typer.Option("--dropout", min=0.0, max=0.95, help="While training.")] = 0.0,
    length: o.RowLength = 128,
    shift: Annotated[
        int | None,
        typer.Option("--shift", min=0, help="Furthest place that a text begins at; unless told, all count."),
    ] = None,
    rows: o.Rows = 32,
    accumulate: Annotated[int, typer.Option("--accumulate", min=1, help="Batches of a step.")] = 1,
    steps: o.Steps = None,
    epochs: o.Epochs = 1.0,
    learning_rate: o.LearningRate = 1e-3,
    optimizer: Annotated[str, typer.Option("--optimizer", help="adamw or muon.")] = "muon",
    mask_rate: Annotated[float, typer.Option("--mask-rate", help="Share of the pieces hidden.")] = 0.15,
    whole_words: Annotated[bool, typer.Option(help="Hide whole words, or single pieces.")] = True,
    start: Annotated[
        str, typer.Option("--start", help="Word vectors begin as cbow learns them, or random.")
    ] = "cbow",
    precision: o.Precision = "float32",
    xla: Annotated[
        bool | None,
        typer.Option("--xla/--no-xla", help="Compile by XLA on TensorFlow; unless told, on a GPU only."),
    ] = None,
    held_out: o.HeldOut = 0.005,
    look_every: Annotated[int, typer.Option("--look-every", min=1, help="Steps between measurements.")] = 500,
    work: o.Work = None,
    seed: o.Seed = 0,
    as_json: o.AsJson = False,
) -> None:
    """Pre-train a language model on any text; the same command goes on where a stopped one was."""
    from sopan import usecases  # noqa: PLC0415
    from sopan.cli.show_pretraining import pretraining_progress, show_training  # noqa: PLC0415

    with pretraining_progress() as tell:
        account = usecases.pretrain(
            corpus,
            out,
            encoder={
                "width": width,
                "depth": depth,
                "heads": heads,
                "max_length": max_length,
                "dropout": dropout,
            },
            task={
                "objective": objective,
                "length": length,
                "shift": shift,
                "rows": rows,
                "mask_rate": mask_rate,
                "whole_words": whole_words,
                "pairs": pairs,
            },
            recipe={
                "learning_rate": learning_rate,
                "optimizer": optimizer,
                "accumulate": accumulate,
                "judge_every": look_every,
            },
            vocabulary=int(vocabulary) if vocabulary.isdecimal() else vocabulary,
            lowercase=not cased,
            steps=steps,
            epochs=epochs,
            start=start,
            precision=precision,
            xla=xla,
            held_out=held_out,
            reading=TextOptions(text=text, header=not no_header, encoding=encoding, max_rejects=max_rejects),
            work=work,
            seed=seed,
            tell=tell,
        )
    if as_json:
        print(json.dumps(account, ensure_ascii=False))
    else:
        show_training(account, out)
