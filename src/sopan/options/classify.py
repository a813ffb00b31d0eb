"""The options of what is done with labelled texts, and with the models that classify texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Literal

from sopan.errors import ConfigError
from sopan.options.base import Option, Options, Place, ProgressOptions
from sopan.options.data import PartOptions, ReadOptions, SplitOptions, TextOptions, TokenRule

ExportFormat = Literal["word2vec", "projector", "savedmodel", "keras", "openvino", "onnx"]
"""Two of the word vectors, the others of the network."""

IdType = Literal["int64", "int32"]
"""Of the ids that a network's graph takes."""

GraphPrecision = Literal["float32", "bfloat16", "int8"]
"""What a graph computes in."""

_Data = Annotated[
    object,
    Option(
        "A table (CSV, TSV, JSON, Parquet, .xlsx; plain or compressed), a folder, - or a name (imdb).",
        argument=True,
        reads=True,
    ),
]
"""From Python also a table in memory."""
_Model = Annotated[Place, Option("A model folder, as `sopan train` writes.", argument=True, reads=True)]


INPUTS = ("data", "train_file", "val_file", "test_file", "unlabelled")
"""The options of tuning that name a file, or are a table in memory."""


# ---- labelled texts ------------------------------------------------------------------------------


@dataclass(frozen=True)
class AuditOptions(PartOptions, SplitOptions):
    """Look for duplicates, leaks between splits, conflicting labels, empties and imbalance."""

    data: _Data = None


@dataclass(frozen=True, kw_only=True)
class TuneOptions(PartOptions, SplitOptions, ProgressOptions):
    """What steps are tuned and fitted on, and how."""

    unlabelled: Annotated[
        object, Option("More texts, without labels, to learn from.", "FILE", reads=True)
    ] = None
    unlabelled_text: Annotated[str | None, Option("Column of the text in --unlabelled.", "C")] = None
    settings: Annotated[
        Sequence[str],
        Option("A setting of a step, bow.ngrams=1,3; may be repeated.", "STEP.SETTING=VALUE", flag="set"),
    ] = ()
    budget: Annotated[str, Option("Tuning for each step: 60s, 2m, 5trials or all.")] = "60s"
    tokens: Annotated[
        TokenRule,
        Option(
            "words: Unicode words of every script, and emoji; words-1: without emoji; "
            "sklearn: scikit-learn's rule."
        ),
    ] = "words"


@dataclass(frozen=True)
class CompareOptions(TuneOptions):
    """Train every step on the same texts, print the leaderboard, write a report."""

    data: _Data = None
    out: Annotated[Place | None, Option("Folder to write; a new one in runs/ unless given.", writes=True)] = (
        None
    )
    _: KW_ONLY
    steps: Annotated[
        Sequence[str | tuple[str, object]] | str | None,
        Option("Contenders, such as bow,bert@minilm,bert:frozen@./folder; unless given, all steps."),
    ] = None
    seeds: Annotated[int, Option("Train the chosen settings with this many.", at_least=1)] = 1
    margin: Annotated[float, Option("Accuracy that you would give up for a cheaper step.", at_least=0.0)] = (
        0.005
    )
    deterministic: Annotated[
        bool, Option("Same command, same bits; else word vectors use every core at once.")
    ] = True
    learning_curve: Annotated[bool, Option("Also train on 100, 200, 500, … texts.")] = False
    resume: Annotated[bool, Option("Take over what the same command measured in this folder before.")] = False
    overwrite: Annotated[bool, Option("Replace the comparison that --out holds.")] = False

    def __post_init__(self) -> None:
        """Hold that what is to be replaced is named."""
        super().__post_init__()
        if self.overwrite and self.out is None:
            raise ConfigError("--overwrite replaces the folder that --out names, and there is none")


@dataclass(frozen=True)
class TrainOptions(TuneOptions):
    """Tune and fit one step, measure it on the test part, and write a model folder."""

    step: Annotated[str, Option("A step, maybe with a variant or a preset: bow, bert@minilm.", argument=True)]
    data: _Data = None
    out: Annotated[Place, Option("Model folder to write.", writes=True)] = ""
    _: KW_ONLY
    checkpoint: Annotated[
        Place | None,
        Option("Keep training in this folder; the same command goes on from there.", writes=True),
    ] = None
    logs: Annotated[Place | None, Option("Folder for TensorBoard's event files.", writes=True)] = None


@dataclass(frozen=True)
class DistillOptions(TuneOptions):
    """Teach a cheap step what a costly model says of unlabelled texts, and write its model folder.

    Split DATA as the teacher's was: by the same --seed and shares, so that it has not seen the test part.
    """

    teacher: Annotated[Place, Option("A model folder to learn from.", argument=True, reads=True)]
    data: _Data = None
    out: Annotated[Place, Option("Model folder to write.", writes=True)] = ""
    _: KW_ONLY
    into: Annotated[str, Option("The step that learns, maybe with a preset: bow, cbow, bert@sopan-mini.")] = (
        "bow"
    )

    def __post_init__(self) -> None:
        """Hold that there are texts that the teacher can speak of."""
        super().__post_init__()
        if self.unlabelled is None:
            raise ConfigError(
                "a step is taught by what the teacher says of unlabelled texts, and there are none",
                next_step="name some: --unlabelled FILE",
            )


@dataclass(frozen=True)
class EvaluateOptions(ReadOptions):
    """Measure a saved model on every labelled text of DATA."""

    model: _Model
    data: _Data


@dataclass(frozen=True)
class FetchOptions(Options):
    """Fetch a named data set, checksummed, and say what it holds and where it lies."""

    name: Annotated[str, Option("imdb, imdb:official, imdb-unlabelled or snippets.", argument=True)]


# ---- saved models --------------------------------------------------------------------------------


@dataclass(frozen=True)
class PredictOptions(TextOptions):
    """Classify one text, or stream a file of any size to a file of predictions."""

    model: _Model
    words: Annotated[str | None, Option("One text to classify.", "[TEXT]", argument=True)] = None
    _: KW_ONLY
    file: Annotated[Place | None, Option("A table of texts instead.", reads=True)] = None
    out: Annotated[Place | None, Option("Where to write them: .parquet, .csv or .jsonl.", writes=True)] = None

    def __post_init__(self) -> None:
        """Hold that there is one text, or a file and where to write."""
        super().__post_init__()
        if (self.words is None) == (self.file is None):
            raise ConfigError("give either one TEXT or --file F --out G")
        if self.file is not None and self.out is None:
            raise ConfigError("--file needs --out G, where G ends in .parquet, .csv or .jsonl")


@dataclass(frozen=True)
class ExplainOptions(Options):
    """Show what each word added, what happens without it, and whether that can be believed.

    From Python, the model may also be a fitted step.
    """

    model: Annotated[object, Option("A model folder, as `sopan train` writes.", argument=True, reads=True)]
    text: Annotated[str, Option("The text to explain.", "TEXT", argument=True)]
    _: KW_ONLY
    html: Annotated[Place | None, Option("Write a page, with attention to look into.", "F", writes=True)] = (
        None
    )


@dataclass(frozen=True)
class EmbedOptions(TextOptions):
    """Write one vector for each text: columns row and vector."""

    model: _Model
    file: Annotated[Place, Option("A table of texts.", reads=True)]
    out: Annotated[Place, Option("A .parquet file to write.", writes=True)]


@dataclass(frozen=True)
class ExportOptions(TextOptions):
    """Write a model's word vectors, or its whole network, in another tool's format."""

    model: _Model
    out: Annotated[
        Place,
        Option("File (word2vec, keras, onnx) or folder (projector, savedmodel, openvino).", writes=True),
    ]
    _: KW_ONLY
    format: Annotated[
        ExportFormat, Option("Of word vectors: word2vec, projector. Else: savedmodel, keras, onnx, openvino.")
    ] = "word2vec"
    texts: Annotated[Place | None, Option("Texts to check it on, and to calibrate int8.", reads=True)] = None
    precision: Annotated[GraphPrecision, Option("Of openvino: float32, bfloat16 or int8.")] = "float32"
    ids: Annotated[IdType, Option("Of onnx: the type of the ids, int64 as tokenizers give, or int32.")] = (
        "int64"
    )


@dataclass(frozen=True)
class ServeOptions(Options):
    """Serve a run's models, or one: page, API, metrics. Ctrl-C or SIGTERM finishes what waits, then stops."""

    target: Annotated[
        Place,
        Option("A folder that `sopan compare` wrote, or one model's.", "RUN|MODEL", argument=True),
    ]
    _: KW_ONLY
    host: Annotated[str, Option("Address to listen at.")] = "127.0.0.1"
    port: Annotated[int, Option("Port; 0: any free one.", at_least=0, at_most=65_535)] = 8000
    token: Annotated[str | None, Option("For presenting and reloading; drawn on loopback unless given.")] = (
        None
    )
    language_model: Annotated[
        str, Option("Language model for blanks; none: without one.", "PRESET", flag="lm")
    ] = "sopan-mini"
    allow_origin: Annotated[
        Sequence[str],
        Option("A page elsewhere that may ask, such as https://example.org; may be repeated.", "ORIGIN"),
    ] = ()
    allow_host: Annotated[Sequence[str], Option("Another name of this server; may be repeated.", "NAME")] = ()
