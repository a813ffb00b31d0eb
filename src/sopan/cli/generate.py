"""`sopan generate PROMPT --model MODEL`: a causal language model goes on with a text."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from sopan.cli import options as o


def run(
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="How the text begins.", show_default=False)],
    model: Annotated[
        str, typer.Option("--model", help="A causal language model: a preset or a folder.")
    ] = "sopan-mini-causal",
    pieces: Annotated[int, typer.Option("--pieces", min=1, help="The most pieces to draw.")] = 50,
    temperature: Annotated[
        float,
        typer.Option("--temperature", min=0, help="Below 1 more likely, above 1 more random, 0: no chance."),
    ] = 1.0,
    top_k: Annotated[int, typer.Option("--top-k", min=0, help="Draw from the k likeliest; 0: from all.")] = 0,
    top_p: Annotated[
        float, typer.Option("--top-p", min=0, max=1, help="Draw from the likeliest with this share together.")
    ] = 1.0,
    seed: o.Seed = 0,
    as_json: o.AsJson = False,
) -> None:
    """Draw one piece after the other, the same ones for the same seed."""
    from sopan import usecases  # noqa: PLC0415
    from sopan.cli.show_language import show_generated  # noqa: PLC0415

    found = usecases.generate(
        prompt, model=model, most=pieces, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed
    )
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        show_generated(found)
