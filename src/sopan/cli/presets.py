"""`sopan presets` and `sopan presets get NAME`: the ready-made BERTs."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from sopan.cli import options as o

app = typer.Typer(
    help="List the ready-made BERTs, or fetch one.", rich_markup_mode=None, invoke_without_command=True
)


@app.callback()
def run(context: typer.Context, as_json: o.AsJson = False) -> None:
    """List the ready-made BERTs: name, size, whether it is on this machine, what it is."""
    if context.invoked_subcommand is not None:
        return
    from sopan import usecases  # noqa: PLC0415

    found = usecases.list_presets()
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
        return
    for preset in found:
        here = "here" if preset["folder"] else "get"
        print(f"{preset['name']:<12} {preset['megabytes']:>4.0f} MB  {here:<4}  {preset['about']}")


@app.command("get")
def get(
    name: Annotated[str, typer.Argument(help="A preset, or a BERT's name on the hub.", show_default=False)],
    as_json: o.AsJson = False,
) -> None:
    """Fetch a preset, checksummed, unless it is here already; say where it lies."""
    from sopan import usecases  # noqa: PLC0415

    found: dict[str, Any] = usecases.get_preset(name)
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        for key, value in found.items():
            print(f"{key:<10} {value}")
