"""`sopan embed MODEL --file F --out G`: a vector for every text of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sopan.cli import options as o
from sopan.options.data import TextOptions


def run(
    model: o.Model,
    file: Annotated[str, typer.Option("--file", help="A table of texts.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="A .parquet file to write.", show_default=False)],
    text: o.Text = None,
    no_header: o.NoHeader = False,
    encoding: o.Encoding = "utf-8",
    max_rejects: o.MaxRejects = 0,
) -> None:
    """Write one vector for each text: columns row and vector."""
    from sopan import usecases  # noqa: PLC0415

    reading = TextOptions(text=text, header=not no_header, encoding=encoding, max_rejects=max_rejects)
    rows = usecases.embed_file(model, file, out, reading=reading)
    print(f"{rows:,} vectors in {out}")
