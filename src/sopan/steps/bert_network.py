"""From a language model to a classifier: what `bert` starts from, and what it is made of.

    preset -> Start, or texts -> WordPiece -> Start, without weights
    Start -> blanks in the texts, labels unseen -> Start
    ids (B, T) -> piece vectors -> encoder -> hidden (B, T, width)
    -> a summary of the pieces (`PIECE_SUMMARIES`) -> vector (B, width, or 3 · width) -> logits

Sources: J. Devlin et al., "BERT" (2019), section 4; S. Gururangan et al., "Don't Stop Pretraining" (2020).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, Self, cast

import keras
import pyarrow as pa
from keras import ops

from sopan.errors import DataError
from sopan.options.language import Precision
from sopan.runtime.encoder_config import EncoderConfig, bert_config, blocks_read, summary_parts
from sopan.steps.bert_folder import BertFolder
from sopan.steps.encoder import embedding_initializer, encode_blocks
from sopan.steps.heads import kernel_initializer, split_seed
from sopan.steps.language_model import LanguageModel
from sopan.steps.layers import Summary, summarise
from sopan.text.batch import MULTIPLE
from sopan.text.packing import PieceStore
from sopan.text.piece_tokenizer import PieceTokenizer
from sopan.text.wordpiece import WordPiece, kept_tokenizer
from sopan.training.language_modelling import Batches, PretrainingTask, train_language_model
from sopan.training.recipe import HEAD_SHARE, LanguageRecipe, Monitor
from sopan.types import Arrays, Encoded, Tensor

PieceSummary = Literal["cls", "mean", "first", "third", "joined"]

HEAD = ("pooler/", "logits/")
"""Beginnings of the paths of weights that a language model need not have."""
EMBEDDINGS = ("words/", "positions/", "segment_vectors/", "input_norm/", "project/", "distances/")
"""Beginnings of the paths of the lowest layer."""
FROM_SCRATCH = "scratch"
"""Stands for a preset where there is none."""

MOST_STEPS = 1000
"""Unless told otherwise, no more steps than this are made on unlabelled texts."""
ROWS, LENGTH = 16, 256
"""Of a batch of blanks, at most."""
PROBE = 4
"""So many steps tell how long one takes."""


# ---- What it starts from ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """A language model as a classifier takes it up.

    Args:
        config: of the encoder.
        wordpiece: cuts texts.
        weights: by path; None: random ones.
        fills_blanks: whether its head for that has been trained.
    """

    config: EncoderConfig
    wordpiece: PieceTokenizer
    weights: Arrays | None
    fills_blanks: bool

    @classmethod
    def of(cls, preset: BertFolder, dropout: float) -> Self:
        """Take what a folder holds, with a share of dropout of one's own."""
        config = replace(preset.config, dropout=dropout, attention_dropout=dropout)
        wordpiece = kept_tokenizer(preset.wordpiece.pieces, preset.wordpiece.settings)
        return cls(config, wordpiece, preset.weights, "predict" not in preset.missing_heads)


def from_nothing(
    texts: pa.LargeStringArray,
    more: pa.LargeStringArray,
    vocabulary: int,
    *,
    max_length: int,
    dropout: float,
    **sizes: int,
) -> Start:
    """Return a start without weights, with pieces found in N texts and in more without labels.

    Args:
        texts, more: what the pieces are found in.
        vocabulary: V, at most.
        max_length: of a window.
        dropout: everywhere.
        **sizes: `width`, `depth`, `heads` and `inner` of the encoder.
    """
    wordpiece = WordPiece.train((text.as_py() for part in (texts, more) for text in part), vocabulary)
    places = -(-max_length // MULTIPLE) * MULTIPLE
    config = bert_config(**sizes, max_length=places, dropout=dropout, attention_dropout=dropout)
    return Start(config, wordpiece, None, fills_blanks=False)


def check_words(wordpiece: PieceTokenizer, encoded: Encoded) -> None:
    """Hold that N texts have a word: a piece with a letter or a digit.

    Raises:
        DataError: they have none.
    """
    if not wordpiece.in_words[encoded.ids].any():
        raise DataError(
            "the training texts have no words", next_step="check that the text column is the right one"
        )


# ---- Reading the texts at hand -----------------------------------------------------------------


class Adaptation(NamedTuple):
    """How a language model reads the texts at hand; see the settings of `Bert` that begin with `adapt`.

    Args:
        steps: None: once through all, `MOST_STEPS` at most.
        seconds: None: as long as it takes.
        rate: the learning rate.
        precision: what is computed in.
        seed: of order, blanks and dropout.
    """

    steps: int | None
    seconds: float | None
    rate: float
    precision: Precision
    seed: int


def adapted(start: Start, texts: pa.LargeStringArray, how: Adaptation, monitor: Monitor) -> Start:
    """Let a start fill blanks in N texts, or predict them if it is causal; return what it became.

    A preset that lacks the head for it gets a new one, which learns first, with the body still.

    Raises:
        DataError: steps were asked for, and the texts do not fill a batch.
        DivergedError: the loss was no longer a number.
    """
    wordpiece = start.wordpiece
    encoded = wordpiece.encode(texts)
    store = PieceStore(encoded.ids, encoded.offsets)
    length = min(LENGTH, start.config.max_length)
    rows = max(1, min(ROWS, len(store.ids) // (2 * length)))
    task = PretrainingTask(causal=start.config.causal, length=length, rows=rows)
    try:
        batches = Batches(store, wordpiece, task, how.seed)
    except DataError:
        if how.steps is None:
            return start  # so little text teaches nothing
        raise
    model = LanguageModel.make(start.config, wordpiece, seed=how.seed, precision=how.precision)
    first = {**model.weights(), **(start.weights or {})}
    model.set_weights(first)
    steps = min(MOST_STEPS, batches.batches_an_epoch) if how.steps is None else how.steps
    if how.seconds is not None:
        steps = min(steps, max(1, math.floor(how.seconds / _seconds_a_step(model, batches, how))))
        model.set_weights(first)
    grows = start.weights is not None and not start.fills_blanks
    watch = Monitor(on_progress=monitor.on_progress)
    _learn(model, batches, how, steps, watch, head_steps=round(HEAD_SHARE * steps) if grows else 0)
    return replace(start, weights={**(start.weights or {}), **model.weights()}, fills_blanks=True)


def _learn(
    model: LanguageModel,
    batches: Batches,
    how: Adaptation,
    steps: int,
    monitor: Monitor,
    *,
    every: int = 100,
    head_steps: int = 0,
) -> list[float]:
    """Make so many steps; return the seconds spent at each evaluation."""
    warm_up = max(1, steps // 10)
    recipe = LanguageRecipe(
        steps, how.rate, warm_up=warm_up, decay=0.9, judge_every=every, head_steps=head_steps
    )
    found = train_language_model(model.network, batches, recipe, monitor=monitor)
    return [each.seconds for each in found]


def _seconds_a_step(model: LanguageModel, batches: Batches, how: Adaptation) -> float:
    """Try how long a step takes, compiling left out."""
    spent = _learn(model, batches, how, PROBE, Monitor(), every=1)
    return max(1e-6, (spent[-1] - spent[0]) / (PROBE - 1))


# ---- The classifier --------------------------------------------------------------------------


def build_classifier(
    config: EncoderConfig, vocabulary: int, n_classes: int, *, summary: PieceSummary, seed: int
) -> keras.Model:
    """Build a classifier over pieces, with weights under the same paths as `build_language_model`.

    Args:
        config: from `bert_config`; its `dropout` is also that of the summary.
        vocabulary: V.
        n_classes: C.
        summary: what becomes of the pieces; see `PIECE_SUMMARIES`. Blocks that it does not need are not made.
        seed: decides the initial weights and the dropout.

    Returns:
        A model from [ids (B, T) int32, mask (B, T) bool] to {"logits": (B, C), "vector": (B, width),
        "attention": depth times (B, H, T, T)}, all float32. Its layer `words` holds the vectors of pieces,
        its layer `body` goes from these to the results.
    """
    of_words, of_encoder, of_pooler, of_drop, of_logits = split_seed(seed, 5)
    vectors = keras.Input((None, config.embedded), name="vectors")
    mask = keras.Input((None,), dtype="bool", name="mask")
    segments = ops.zeros_like(mask, dtype="int32") if config.segments else None
    blocks = blocks_read(summary, config.depth)
    hidden, attention = encode_blocks(vectors, mask, segments, config=config, seed=of_encoder, blocks=blocks)
    layers: dict[str, keras.layers.Layer] = {
        "pooler": keras.layers.Dense(
            config.width,
            "tanh",
            kernel_initializer=kernel_initializer(of_pooler, config.initial_std),
            name="pooler",
        ),
        "drop_out": keras.layers.Dropout(config.dropout, seed=of_drop, name="drop_out"),
        "logits": keras.layers.Dense(
            n_classes, kernel_initializer=kernel_initializer(of_logits, config.initial_std), name="logits"
        ),
    }
    after = dict(enumerate(hidden, 1))
    vector, logits = classify(after, mask, config, summary, layers.__getitem__)
    outputs = {"logits": logits, "vector": vector, "attention": attention}
    outputs = keras.tree.map_structure(lambda output: ops.cast(output, "float32"), outputs)
    body = keras.Model([vectors, mask], outputs, name="body")

    ids = keras.Input((None,), dtype="int32", name="ids")
    seen = keras.Input((None,), dtype="bool", name="mask")
    words = keras.layers.Embedding(vocabulary, config.embedded, embedding_initializer(of_words), name="words")
    return keras.Model([ids, seen], body([words(ids), seen]), name="bert")


def classify(
    after: Mapping[int, Tensor],
    mask: Tensor,
    config: EncoderConfig,
    summary: PieceSummary,
    layer: Callable[[str], keras.layers.Layer],
) -> tuple[Tensor, Tensor]:
    """Lead what comes out of blocks to vectors and logits, as part of a functional model.

    Args:
        after: (B, T, width) by how many blocks it has been through; those that the summary reads.
        mask: (B, T) bool.
        config, summary: as `build_classifier` has them.
        layer: gives the layers `pooler`, which only `cls` asks for, `drop_out` and `logits`.
    """
    parts = [
        summarise(after[block], mask, cast(Summary, how), seed=0)  # neither way has weights
        for how, block in summary_parts(summary, config.depth)
    ]
    vector = parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=-1)
    if summary == "cls":
        vector = layer("pooler")(vector)
    return vector, layer("logits")(layer("drop_out")(vector))
