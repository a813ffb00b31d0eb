"""The options of what is done with labelled texts: audit, compare, train, evaluate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Annotated

from sopan.options.base import Option, ProgressOptions
from sopan.options.data import ReadOptions, SplitOptions, TokenRule

Data = Annotated[
    str | Path,
    Option(
        "CSV, TSV, JSONL, Parquet (plain, .gz, .zst), a folder of class folders, or a name (imdb).",
        argument=True,
    ),
]


@dataclass(frozen=True, kw_only=True)
class TuneOptions(ReadOptions, SplitOptions, ProgressOptions):
    """What steps are tuned and fitted on, and how."""

    unlabelled: Annotated[
        str | Path | None, Option("More texts, without labels, to learn from.", metavar="FILE")
    ] = None
    budget: Annotated[str, Option("Tuning for each step: 60s, 2m, 5trials or all.")] = "60s"
    tokens: Annotated[
        TokenRule, Option("words: Unicode words of every script; sklearn: scikit-learn's rule.")
    ] = "words"


@dataclass(frozen=True)
class CompareOptions(TuneOptions):
    """How to compare steps."""

    data: Data
    out: Annotated[str | Path | None, Option("Folder to write; runs/<name> unless given.")] = None
    _: KW_ONLY
    steps: Annotated[
        Sequence[str] | str | None,
        Option("Which steps, such as bow,attention:local; all of them unless given."),
    ] = None
    seeds: Annotated[int, Option("Train the chosen settings with this many.", at_least=1)] = 1
    margin: Annotated[float, Option("Accuracy that you would give up for a cheaper step.", at_least=0.0)] = (
        0.005
    )
    deterministic: Annotated[
        bool, Option("Same command, same bits; else word vectors use every core at once.")
    ] = True
    learning_curve: Annotated[bool, Option("Also train on 100, 200, 500, … texts.")] = False


@dataclass(frozen=True)
class AuditOptions(ReadOptions, SplitOptions):
    """What to look at before a comparison."""

    data: Data


@dataclass(frozen=True)
class TrainOptions(TuneOptions):
    """How to train one step."""

    step: Annotated[str, Option("A step, maybe with a variant: bow, attention:local.", argument=True)]
    data: Data
    out: Annotated[str | Path, Option("Model folder to write.")]
    _: KW_ONLY
    checkpoint: Annotated[
        str | Path | None, Option("Keep training in this folder; the same command goes on from there.")
    ] = None
    logs: Annotated[str | Path | None, Option("Folder for TensorBoard's event files.")] = None


@dataclass(frozen=True)
class EvaluateOptions(ReadOptions):
    """What to measure a saved model on."""

    model: Annotated[str | Path, Option("A model folder, as `sopan train` writes.", argument=True)]
    data: Data
