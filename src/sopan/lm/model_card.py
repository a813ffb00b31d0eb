"""The model card of a language model: what it is, what it read, how well it fills blanks, where it fails."""

from __future__ import annotations

from collections.abc import Mapping

from sopan.steps.language_model import LanguageModel
from sopan.types import Json

TEMPLATE = """\
---
library_name: sopan
pipeline_tag: {tag}
tags:
- sopan
- bert
---

# {title}

{what} It knows {vocabulary:,} {case} pieces and has {depth} layers, {width} wide, with {heads} heads each:
{parameters:,} weights. It reads at most {length} pieces at a time.

## How to use it

```sh
{use}
sopan train bert labelled.csv --out model   # with the setting preset=path/to/this/folder
```

`transformers.AutoModel.from_pretrained` and `AutoTokenizer.from_pretrained` load the folder too.

## What it learned from

{corpus}: {read:,} pieces, repetitions counted, in {steps:,} steps.

| pieces read | training loss | held-out loss | accuracy | perplexity |
|---:|---:|---:|---:|---:|
{curve}

Held-out loss is in nats a piece, over documents that taught nothing; accuracy is of the first answer{masks}.
{blanks}
## Intended use and limits

- Meant to start classifiers and to be adapted. It is small, and knows nothing but what its texts say.
- Its texts' mistakes and prejudices are its own. Do not let it decide alone about people.
- Its probabilities are of pieces in texts like those it read, not of truth.
"""

CURVE_ROWS = 12
"""Of the table of evaluations, at most."""


def describe_model(model: LanguageModel, account: Mapping[str, Json], title: str = "A language model") -> str:
    """Return the card of a language model, in Markdown.

    Args:
        model: as it was trained.
        account: what `training.json` holds: `corpus`, `settings`, `looks`, and maybe `blanks`.
        title: of the card.
    """
    masked = model.objective == "masked"
    config, looks = model.config, account["looks"]
    last = looks[-1] if looks else {"step": 0, "pieces": 0}
    what = (
        "A masked language model: it fills blanks, reading both sides."
        if masked
        else "A causal language model: it predicts each piece from those before it."
    )
    return TEMPLATE.format(
        tag="fill-mask" if masked else "text-generation",
        title=title,
        what=what,
        vocabulary=len(model.wordpiece),
        case="uncased" if model.wordpiece.rules.lowercase else "cased",
        depth=config.depth,
        width=config.width,
        heads=config.heads,
        length=config.max_length,
        parameters=model.network.count_params(),
        use='sopan fill "the movie was [MASK] ." --model path/to/this/folder'
        if masked
        else 'sopan generate "the movie was" --model path/to/this/folder',
        corpus=", ".join(account["corpus"]),
        read=last["pieces"],
        steps=last["step"],
        curve="\n".join(map(_row, _some(looks))),
        masks=f", {account['settings']['task']['mask_rate']:.0%} of the pieces being hidden"
        if masked
        else "",
        blanks=_blanks(account["blanks"]) if "blanks" in account else "",
    )


def _blanks(blanks: Mapping[str, Json]) -> str:
    first, among = blanks["top_1"], blanks["top_5"]
    return (
        f"\nOf {blanks['blanks']:,} words of held-out sentences, each hidden in turn, its sentence alone, "
        f"it fills\n{first['share']:.1%} right at the first answer "
        f"(95% interval {first['low']:.1%} to {first['high']:.1%}), {among['share']:.1%} within five.\n"
    )


def _some(looks: list[Json]) -> list[Json]:
    """Return the evaluations, or so many of them evenly, the last one among them."""
    stride = -(-len(looks) // CURVE_ROWS) or 1
    return looks[::-1][::stride][::-1]


def _row(look: Mapping[str, Json]) -> str:
    held_out = look["held_out"]
    measured = (
        f"{held_out['loss']:.3f} | {held_out['accuracy']:.3f} | {held_out['perplexity']:.1f}"
        if held_out
        else "– | – | –"
    )
    return f"| {look['pieces']:,} | {look['loss']:.3f} | {measured} |"
