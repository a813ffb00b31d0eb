"""How labelled and unlabelled texts are read and split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from sopan.errors import ConfigError
from sopan.options.base import Option, Options

TokenRule = Literal["words", "sklearn", "words-1"]
"""How texts are cut into words: `words` of every script (UAX #29) and emoji, scikit-learn's `\\b\\w\\w+\\b`,
or words of every script without emoji, as models cut that were saved before emoji were words."""
Label = Annotated[str | None, Option("Column of the label.", "C")]
SplitColumn = Annotated[str | None, Option("Column that says train, val or test.", "COL")]

MergeLabels = Annotated[
    bool, Option("Labels that differ only in case, spaces or writing of numbers are one class.")
]
KeepLabels = Annotated[bool, Option("Take labels as they are: 7 and 007 are two classes, and 1.0 is no 1.")]


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
    merge_labels: MergeLabels = False
    keep_labels: KeepLabels = False

    def __post_init__(self) -> None:
        """Hold that labels are either merged or kept."""
        super().__post_init__()
        if self.merge_labels and self.keep_labels:
            raise ConfigError("labels are merged or kept, not both: --merge-labels or --keep-labels")


@dataclass(frozen=True, kw_only=True)
class PartOptions(ReadOptions):
    """How to read labelled texts that stand in a file for each part."""

    train_file: Annotated[
        object,
        Option(
            "Training texts, instead of DATA; more may come by --val-file and --test-file.",
            "FILE",
            reads=True,
        ),
    ] = None
    val_file: Annotated[
        object, Option("Validation texts; cut from the training texts unless given.", "FILE", reads=True)
    ] = None
    test_file: Annotated[object, Option("Test texts.", "FILE", reads=True)] = None

    def __post_init__(self) -> None:
        """Hold that there is one source of texts."""
        super().__post_init__()
        if self.train_file is None and (self.val_file is not None or self.test_file is not None):
            raise ConfigError(
                "a file of one part asks for the training texts too", next_step="name --train-file"
            )
        if (getattr(self, "data", None) is None) == (self.train_file is None):
            raise ConfigError("give either DATA, or --train-file and --test-file")
        if self.train_file is not None and self.split_column is not None:
            raise ConfigError("--split-column says again what --train-file and --test-file say")


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
