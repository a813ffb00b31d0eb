"""Options that several commands share, spelled once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    str,
    typer.Argument(
        help="CSV, TSV, JSONL, Parquet (plain, .gz, .zst), a folder of class folders, or a name (imdb).",
        show_default=False,
    ),
]
Model = Annotated[Path, typer.Argument(help="A model folder, as `sopan train` writes.", show_default=False)]
LanguageModel = Annotated[
    str, typer.Option("--model", help="A preset, a folder of a BERT, or a BERT's name on the hub.")
]
Corpus = Annotated[
    list[str],
    typer.Argument(help="Files of texts: CSV, JSONL, Parquet, or one text a line.", show_default=False),
]
Step = Annotated[
    str, typer.Argument(help="A step, maybe with a variant: bow, attention:local.", show_default=False)
]

Text = Annotated[str | None, typer.Option("--text", metavar="C", help="Column of the text.")]
Label = Annotated[str | None, typer.Option("--label", metavar="C", help="Column of the label.")]
SplitColumn = Annotated[
    str | None, typer.Option("--split-column", metavar="COL", help="Column that says train, val or test.")
]
NoHeader = Annotated[
    bool, typer.Option("--no-header", help="The first line is data; columns are named by position: 0, 1, …")
]
Encoding = Annotated[str, typer.Option("--encoding", help="Encoding of text files.")]
MaxRejects = Annotated[int, typer.Option("--max-rejects", min=0, help="Unreadable rows to tolerate.")]

Train = Annotated[
    float | None, typer.Option("--train", help="Training texts: a count, or a fraction below 1.")
]
Val = Annotated[float | None, typer.Option("--val", help="Validation texts: a count or a fraction.")]
Test = Annotated[float | None, typer.Option("--test", help="Test texts: a count or a fraction.")]

Seed = Annotated[int, typer.Option("--seed", min=0, help="The one seed; same seed, same result.")]
Budget = Annotated[str, typer.Option("--budget", help="Tuning for each step: 60s, 2m, 5trials or all.")]
Unlabelled = Annotated[
    str | None,
    typer.Option("--unlabelled", metavar="FILE", help="More texts, without labels, to learn from."),
]
Tokens = Annotated[
    str, typer.Option("--tokens", help="words: Unicode words of every script; sklearn: scikit-learn's rule.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]

# ---- of training a language model ----------------------------------------------------------------------

Rows = Annotated[int, typer.Option("--rows", min=1, help="Rows of a batch.")]
Steps = Annotated[int | None, typer.Option("--steps", min=1, help="Of the optimiser; else --epochs counts.")]
Epochs = Annotated[float, typer.Option("--epochs", help="Passes over the corpus.")]
RowLength = Annotated[int, typer.Option("--length", min=16, help="Pieces of a row.")]
LearningRate = Annotated[float, typer.Option("--learning-rate", help="While it is stable.")]
HeldOut = Annotated[float, typer.Option("--held-out", help="Share of the texts to measure on.")]
Precision = Annotated[str, typer.Option("--precision", help="float32 or bfloat16.")]
Work = Annotated[
    Path | None, typer.Option("--work", help="Folder to go on from after a stop; OUT.work unless given.")
]
Labelled = Annotated[
    str | None,
    typer.Option("--labelled", metavar="DATA", help="Labelled texts, to test on what was learnt."),
]
LabelledText = Annotated[
    str | None, typer.Option("--labelled-text", metavar="C", help="Column of the text in the labelled data.")
]
ModelOut = Annotated[Path, typer.Option("--out", help="Model folder to write.", show_default=False)]
