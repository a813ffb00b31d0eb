"""`sopan export MODEL --format F --out G`: a model's word vectors in other tools' formats."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sopan.cli import options as o


def run(
    model: o.Model,
    out: Annotated[
        Path, typer.Option("--out", help="File (word2vec) or folder (projector).", show_default=False)
    ],
    form: Annotated[
        str, typer.Option("--format", help="word2vec: text; projector: TensorBoard's TSV pair.")
    ] = "word2vec",
) -> None:
    """Write a cbow model's word vectors as word2vec text or for the TensorBoard projector."""
    from sopan import usecases  # noqa: PLC0415

    for path in usecases.export(model, form, out):
        print(path)
