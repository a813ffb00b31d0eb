"""The options of language models: learning them from texts, and what they answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Literal

from sopan.errors import ConfigError
from sopan.options.base import Option, Options, Place, ProgressOptions, listed
from sopan.options.data import (
    KeepLabels,
    Label,
    MergeLabels,
    ReadOptions,
    SeedOptions,
    SplitColumn,
    SplitOptions,
    TextOptions,
)

Objective = Literal["masked", "causal"]
"""Fill blanks, reading both sides; or predict the next piece, reading the left."""

PairTask = Literal["none", "next", "order"]
"""Asked of two texts in a row: nothing, whether one follows the other (BERT), which is first (ALBERT)."""

OptimizerName = Literal["adamw", "muon"]

InitialVectors = Literal["random", "cbow"]
"""Where the vectors of pieces begin."""

Precision = Literal["float32", "bfloat16"]
"""What a network computes in while it is trained; its weights are float32."""

_Corpus = Annotated[
    Sequence[Place],
    Option("Files of texts: CSV, JSONL, Parquet, or one text a line.", argument=True, reads=True),
]
_ModelOut = Annotated[Place, Option("Model folder to write.", writes=True)]
_Vocabulary = Annotated[int | str, Option("How many pieces to find, or a vocab.txt or tokenizer.json.")]
_Width = Annotated[int, Option("Of the encoder.", at_least=1)]
_Depth = Annotated[int, Option("Blocks of the encoder.", at_least=1)]
_Heads = Annotated[int, Option("Of each block.", at_least=1)]
_Rows = Annotated[int, Option("Rows of a batch.", at_least=1)]
_Length = Annotated[int, Option("Pieces of a row.", at_least=16)]
_LearningRate = Annotated[float, Option("While it is stable.", at_least=1e-8, at_most=1)]
_HeldOut = Annotated[float, Option("Share of the texts to measure on.")]
_AnyModel = Annotated[object, Option("A preset, a folder of a BERT, or a BERT's name on the hub.")]
"""From Python, a `LanguageModel` that is loaded, too."""


# ---- learning ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class LearnOptions(TextOptions, SeedOptions, ProgressOptions):
    """How a language model learns from a corpus."""

    rows: _Rows = 32
    accumulate: Annotated[int, Option("Batches of a step.", at_least=1)] = 1
    steps: Annotated[int | None, Option("Of the optimiser; else --epochs counts.", at_least=1)] = None
    epochs: Annotated[float, Option("Passes over the corpus.")] = 1.0
    learning_rate: _LearningRate = 1e-3
    warm_up: Annotated[int, Option("Steps in which the rate rises.", at_least=0)] = 100
    decay: Annotated[
        float, Option("Share of the steps, the last ones, in which it falls.", at_least=0, at_most=1)
    ] = 0.2
    optimizer: Annotated[OptimizerName, Option("adamw or muon.")] = "muon"
    shift: Annotated[
        int | None, Option("Furthest place that a text begins at; unless told, all count.", at_least=0)
    ] = None
    mask_rate: Annotated[float, Option("Share of the pieces hidden.")] = 0.15
    whole_words: Annotated[bool, Option("Hide whole words, or single pieces.")] = True
    precision: Annotated[Precision, Option("float32 or bfloat16.")] = "float32"
    xla: Annotated[bool | None, Option("Compile by XLA on TensorFlow; unless told, on a GPU only.")] = None
    held_out: _HeldOut = 0.005
    look_every: Annotated[int, Option("Steps between measurements.", at_least=1)] = 500
    work: Annotated[
        Place | None, Option("Folder to go on from after a stop; OUT.work unless given.", writes=True)
    ] = None


@dataclass(frozen=True, kw_only=True)
class NewModelOptions(LearnOptions):
    """What a language model is that begins anew."""

    vocabulary: _Vocabulary = 12_000
    lowercase: Annotated[
        bool, Option("Fold to lower case.", off="cased", off_help="Keep upper and lower case apart.")
    ] = True
    width: _Width = 256
    depth: _Depth = 4
    heads: _Heads = 4
    max_length: Annotated[int, Option("Places that it knows.", at_least=16)] = 256
    dropout: Annotated[float, Option("While training.", at_least=0.0, at_most=0.95)] = 0.0
    length: _Length = 128
    start: Annotated[InitialVectors, Option("Word vectors begin as cbow learns them, or random.")] = "cbow"


@dataclass(frozen=True, kw_only=True)
class LabelledOptions(TextOptions, SplitOptions):
    """Labelled texts that language models are tested on."""

    labelled: Annotated[
        Place | None, Option("Labelled texts, to test on what was learnt.", "DATA", reads=True)
    ] = None
    labelled_text: Annotated[str | None, Option("Column of the text in the labelled data.", "C")] = None
    label: Label = None
    split_column: SplitColumn = None
    merge_labels: MergeLabels = False
    keep_labels: KeepLabels = False

    @property
    def labelled_reading(self) -> ReadOptions:
        """How to read the labelled texts."""
        return ReadOptions(
            text=self.labelled_text,
            label=self.label,
            split_column=self.split_column,
            merge_labels=self.merge_labels,
            keep_labels=self.keep_labels,
            header=self.header,
            encoding=self.encoding,
            max_rejects=self.max_rejects,
        )


@dataclass(frozen=True)
class PretrainOptions(NewModelOptions):
    """Pre-train a language model on any text; the same command goes on where a stopped one was."""

    corpus: _Corpus
    out: _ModelOut
    _: KW_ONLY
    objective: Annotated[Objective, Option("masked: fill blanks; causal: predict the next piece.")] = "masked"
    pairs: Annotated[
        PairTask, Option("Ask about pairs of texts too: none, next (BERT) or order (ALBERT).")
    ] = "none"


@dataclass(frozen=True)
class AdaptOptions(LearnOptions, LabelledOptions):
    """Adapt a BERT to a text, new words included, and say honestly what that is worth."""

    preset: Annotated[Place, Option("A preset, a folder or a hub id.", argument=True, reads=True)]
    corpus: _Corpus
    out: _ModelOut
    _: KW_ONLY
    words: Annotated[int, Option("Frequent words that become pieces, at most.", at_least=0)] = 1000
    length: Annotated[
        int | None, Option("Pieces of a row; 128 unless given, or as many as the preset reads.", at_least=16)
    ] = None
    learning_rate: _LearningRate = 3e-4
    held_out: _HeldOut = 0.01
    head_steps: Annotated[
        int | None,
        Option("Steps in which a head that the preset lacks learns alone; else a fifth.", at_least=0),
    ] = None


@dataclass(frozen=True)
class CompareObjectivesOptions(NewModelOptions, LabelledOptions):
    """Train a masked and a causal model of one size on one text; let both fill the same blanks."""

    corpus: _Corpus
    _: KW_ONLY
    vocabulary: _Vocabulary = 8000
    width: _Width = 128
    depth: _Depth = 2
    heads: _Heads = 2
    length: _Length = 64
    rows: _Rows = 64
    held_out: _HeldOut = 0.01
    work: Annotated[
        Place | None, Option("Folder to keep both models in, and to go on from.", writes=True)
    ] = None


# ---- answering -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class FillOptions(Options):
    """Fill blanks, several of them jointly; a masked model reads both sides, a causal one the left."""

    text: Annotated[str, Option("A text with [MASK] for each blank.", "TEXT", argument=True)]
    _: KW_ONLY
    model: _AnyModel = "sopan-mini"
    top: Annotated[int, Option("How many candidates and fillings.", at_least=1)] = 5
    pieces: Annotated[
        int | Sequence[int] | str, Option("Pieces of the words, of all blanks or of each.", "N[,N…]")
    ] = 1
    candidates: Annotated[
        Sequence[str] | str, Option("Words to choose among, of any number of pieces.", "W,W…")
    ] = ()

    @property
    def sizes(self) -> list[int]:
        """How many pieces the words have, of all blanks or of each.

        Raises:
            ConfigError: there is something else than numbers.
        """
        given = [self.pieces] if isinstance(self.pieces, int) else self.pieces
        try:
            return [int(size) for size in (listed(given) if isinstance(given, str) else given)]
        except ValueError as error:
            raise ConfigError(f"--pieces {self.pieces}: give numbers, such as 2 or 1,2") from error


@dataclass(frozen=True)
class ScoreOptions(TextOptions):
    """Score texts by (pseudo-)log-likelihood; with --json, a line for each text of a file."""

    words: Annotated[str | None, Option("One text to score.", "[TEXT]", argument=True)] = None
    _: KW_ONLY
    file: Annotated[Place | None, Option("A table of texts instead.", reads=True)] = None
    model: _AnyModel = "sopan-mini"
    method: Annotated[
        str | None,
        Option(
            "word-l2r: a word's later pieces are hidden too; original; causal. "
            "If none is named: word-l2r, or causal for a causal model."
        ),
    ] = None

    def __post_init__(self) -> None:
        """Hold that there is one text, or a file."""
        super().__post_init__()
        if (self.words is None) == (self.file is None):
            raise ConfigError("give either one TEXT or --file F")


@dataclass(frozen=True)
class GenerateOptions(SeedOptions):
    """Draw one piece after the other, the same ones for the same seed."""

    prompt: Annotated[str, Option("How the text begins.", "PROMPT", argument=True)]
    _: KW_ONLY
    model: Annotated[object, Option("A causal language model: a preset or a folder.")] = "sopan-mini-causal"
    pieces: Annotated[int, Option("The most pieces to draw.", at_least=1)] = 50
    temperature: Annotated[
        float, Option("Below 1 more likely, above 1 more random, 0: no chance.", at_least=0)
    ] = 1.0
    top_k: Annotated[int, Option("Draw from the k likeliest; 0: from all.", at_least=0)] = 0
    top_p: Annotated[
        float, Option("Draw from the likeliest with this share together.", at_least=0, at_most=1)
    ] = 1.0


@dataclass(frozen=True)
class NeighborsOptions(Options):
    """List the words whose vectors point most nearly the same way, by cosine."""

    word: Annotated[str, Option("A word.", argument=True)]
    model: Annotated[
        object,
        Option(
            "A cbow model folder, or a word2vec, GloVe or .vec file; with --contextual a preset, "
            "a folder of a BERT, or a BERT's name on the hub."
        ),
    ]
    _: KW_ONLY
    contextual: Annotated[bool, Option("Compare words as they stand in --text and --in.")] = False
    text: Annotated[str | None, Option("A text in which the word stands.", "TEXT")] = None
    within: Annotated[
        Place | None, Option("A table of texts to look for neighbours in.", "FILE", flag="in")
    ] = None
    column: Annotated[str | None, Option("Column of the text in --in.", "C")] = None
    layer: Annotated[
        int | None, Option("Of the model, 0 being the lowest; if none, the last.", at_least=0)
    ] = None
    top: Annotated[int, Option("How many.", at_least=1)] = 10

    def __post_init__(self) -> None:
        """Hold that what is needed in context is given, and only then."""
        super().__post_init__()
        if self.contextual and (self.text is None or self.within is None):
            raise ConfigError("--contextual needs --text TEXT, where the word stands, and --in FILE")
        if not self.contextual and any(
            each is not None for each in (self.text, self.within, self.column, self.layer)
        ):
            raise ConfigError("--text, --in, --column and --layer go with --contextual")


@dataclass(frozen=True)
class ListPresetsOptions(Options):
    """List the ready-made BERTs: name, size, whether it is on this machine, what it is."""


@dataclass(frozen=True)
class GetPresetOptions(Options):
    """Fetch a preset, checksummed, unless it is here already; say where it lies."""

    name: Annotated[str, Option("A preset, or a BERT's name on the hub.", argument=True)]
