"""`sopan export MODEL --format F --out G`: a model, or its word vectors, in other tools' formats."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sopan.cli import options as o
from sopan.options.data import TextOptions


def run(
    model: o.Model,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            help="File (word2vec, keras, onnx) or folder (projector, savedmodel, openvino).",
            show_default=False,
        ),
    ],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="Of word vectors: word2vec, projector. Else: savedmodel, keras, onnx, openvino.",
        ),
    ] = "word2vec",
    texts: Annotated[
        Path | None,
        typer.Option(
            "--texts",
            help="Texts to check it on, and to calibrate int8.",
        ),
    ] = None,
    precision: Annotated[
        str, typer.Option("--precision", help="Of openvino: float32, bfloat16 or int8.")
    ] = "float32",
    text: o.Text = None,
) -> None:
    """Write a model's word vectors, or its whole network, in another tool's format."""
    from sopan import usecases  # noqa: PLC0415

    for path in usecases.export(
        model, form, out, texts=texts, precision=precision, reading=TextOptions(text=text)
    ):
        print(path)
