"""How labelled and unlabelled texts are read and split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from sopan.options.base import Option, Options

TokenRule = Literal["words", "sklearn"]
"""How texts are cut into words: `words` of every script (UAX #29), or scikit-learn's `\\b\\w\\w+\\b`."""
Label = Annotated[str | None, Option("Column of the label.", "C")]
SplitColumn = Annotated[str | None, Option("Column that says train, val or test.", "COL")]


@dataclass(frozen=True, kw_only=True)
class TextOptions(Options):
    """How to read a table of texts; the defaults infer what they can."""

    text: Annotated[str | None, Option("Column of the text.", "C")] = None
    header: Annotated[
        bool,
        Option(
            "Whether the first line names the columns; else 0, 1, … do.",
            off="no_header",
            off_help="The first line is data; columns are named by position: 0, 1, …",
        ),
    ] = True
    encoding: Annotated[str, Option("Encoding of text files.")] = "utf-8"
    max_rejects: Annotated[int, Option("Unreadable rows to tolerate.", at_least=0)] = 0


@dataclass(frozen=True, kw_only=True)
class ReadOptions(TextOptions):
    """How to read a table of labelled texts."""

    label: Label = None
    split_column: SplitColumn = None


@dataclass(frozen=True, kw_only=True)
class SeedOptions(Options):
    """Where the randomness comes from."""

    seed: Annotated[int, Option("The one seed; same seed, same result.", at_least=0)] = 0


@dataclass(frozen=True, kw_only=True)
class SplitOptions(SeedOptions):
    """How many texts to train, validate and test on, and the seed that deals them."""

    train: Annotated[float | None, Option("Training texts: a count, or a fraction below 1.")] = None
    val: Annotated[float | None, Option("Validation texts: a count or a fraction.")] = None
    test: Annotated[float | None, Option("Test texts: a count or a fraction.")] = None
