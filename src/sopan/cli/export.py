"""`sopan export MODEL --format F --out G`: a model, or its word vectors, in other tools' formats."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sopan.cli import options as o


def run(
    model: o.Model,
    out: Annotated[
        Path,
        typer.Option(
            "--out", help="File (word2vec, keras) or folder (projector, savedmodel).", show_default=False
        ),
    ],
    form: Annotated[
        str,
        typer.Option(
            "--format", help="Of word vectors: word2vec, projector. Of networks: savedmodel, keras."
        ),
    ] = "word2vec",
    texts: Annotated[
        Path | None, typer.Option("--texts", help="Texts on which a SavedModel must agree with the model.")
    ] = None,
    text: o.Text = None,
) -> None:
    """Write a model's word vectors, or its whole network, in another tool's format."""
    from sopan import usecases  # noqa: PLC0415

    for path in usecases.export(model, form, out, texts=texts, reading=usecases.Reading(text=text)):
        print(path)
