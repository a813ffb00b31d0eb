"""BERT: an encoder that has read unlabelled text before it sees a label.

Adds unlabelled text: what fills the blanks of a language is learnt once, from texts without labels, and the
labelled ones only teach what to make of it. Words are cut into pieces (WordPiece), so that none is unknown
but those with letters that no piece has.
Lacks nothing that a step below has. It costs the most, to train and to use.

    preset -> [more blanks, in the texts at hand] -> pieces between [CLS] and [SEP], windows of long texts
    -> encoder (the Transformer step's, as BERT has it) -> pooler or mean -> logits -> pooled over windows

Sources: J. Devlin et al., "BERT" (2019); J. Howard and S. Ruder, "Universal Language Model Fine-tuning for
Text Classification" (2018); C. Sun et al., "How to Fine-Tune BERT for Text Classification?" (2019).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from numbers import Integral, Real
from typing import ClassVar, Literal, get_args

import keras
import pyarrow as pa
from keras import ops
from sklearn.utils.validation import check_is_fitted

from sopan.errors import ConfigError, DataError
from sopan.options.rules import Between, Either, OneOf, Rule
from sopan.runtime.encoder_config import EncoderConfig
from sopan.runtime.network import piece_intake, wordpiece_of
from sopan.steps.base import Settings, with_fixed
from sopan.steps.bert_layers import freeze, halves, layer_rates
from sopan.steps.bert_network import (
    FROM_SCRATCH,
    HEAD,
    Adaptation,
    PieceSummary,
    Start,
    adapted,
    build_classifier,
    check_words,
    from_nothing,
)
from sopan.steps.bert_tuning import FACTORS, fine_tunings, regressions
from sopan.steps.frozen import REGULARISATION, Reading, Regression, fit_logits
from sopan.steps.integrated_gradients import network_evidence
from sopan.steps.layers import computing_in, set_weights
from sopan.steps.network import NETWORK_RULES, TAUGHT_EPOCHS, NetworkStep, Unbuilt, weighed_too
from sopan.steps.teaching import DISTILLED
from sopan.steps.training_data import TrainingData
from sopan.text.facts import TrainingFacts
from sopan.text.intake import PieceIntake
from sopan.text.vectors import WordVectors
from sopan.text.windows import LongTexts, Pool, Windows
from sopan.training.kept import Halves
from sopan.training.quiet import quiet
from sopan.training.recipe import Monitor, Recipe
from sopan.types import Arrays, Evidence, FloatArray, StepState


@dataclass(kw_only=True, eq=False, repr=False)
class Bert(NetworkStep):
    """A pre-trained encoder over pieces of words, fine-tuned; further settings are those of `NetworkStep`.

    Args:
        preset: the language model to start from: a name, a folder or a hub id. `scratch`: a random one, with
            pieces found in the texts at hand.
        max_length: pieces of a window, `[CLS]` and `[SEP]` included; no more than the preset has places.
        long_texts: what is read of a text that one window does not hold; see `sopan.text.intake`.
        max_windows: of a text that is read in `windows`.
        pool: how the logits of a text's windows become the text's.
        summary: what becomes of the pieces: the first one, through BERT's pooler (`cls`) or as it is
            (`first`); their `mean`, or that in the `third` block from the top, so that the two above it are
            not computed; or these last three side by side (`joined`).
        frozen: nothing in the encoder learns: a logistic regression is fitted on what it reads.
        C: inverse strength of that regression's regularisation.
        layer_decay: by how much slower each layer learns than the one above it; 1: all alike.
        frozen_layers: the lowest so many do not learn: the pieces' vectors are one, then come the blocks.
            `half`: the vectors and half of the blocks. None: a preset's vectors of pieces, many of which no
            labelled text holds; from scratch none. Blocks that do not learn drop nothing, and are read once.
        warm_up: share of all steps in which the rate rises.
        adapt_steps: steps of filling blanks in the texts at hand, `unlabelled` ones included, before any
            label is seen. None: where there are unlabelled texts and the preset can fill blanks, once through
            all texts, or `sopan.steps.bert_network.MOST_STEPS`.
        adapt_seconds: about the most that this may take. What a clock decides is not the same twice.
        adapt_rate: the learning rate of it.
        width, depth, heads, inner, vocabulary: of a model from scratch: sizes of its encoder, and pieces.

    Attributes, after `fit`:
        wordpiece_: what cuts texts.
        config_: of the encoder.
    """

    name: ClassVar[str] = "bert"
    variants: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "scratch": {"preset": FROM_SCRATCH},
        "frozen": {"frozen": True},
        **{summary: {"summary": summary} for summary in ("cls", "mean")},
        **{long_texts: {"long_texts": long_texts} for long_texts in get_args(LongTexts)},
        **DISTILLED,
    }

    preset: str = "sopan-mini"
    max_length: int = 256
    long_texts: LongTexts = "windows"
    max_windows: int = 8
    pool: Pool = "mean"
    summary: PieceSummary = "mean"
    frozen: bool = False
    C: float = REGULARISATION[0]
    layer_decay: float = 0.9
    frozen_layers: int | Literal["half"] | None = None
    learning_rate: float = 2e-4
    epochs: int = 5
    min_steps: int = 150
    dropout: float = 0.1
    weight_decay: float = 0.01
    warm_up: float = 0.1
    adapt_steps: int | None = None
    adapt_seconds: float | None = None
    adapt_rate: float = 3e-4
    width: int = 128
    depth: int = 2
    heads: int = 4
    inner: int = 512
    vocabulary: int = 8000

    rules: ClassVar[Mapping[str, Rule]] = {
        **NETWORK_RULES,
        "max_length": Between(Integral, 4, 100_000),
        "long_texts": OneOf(get_args(LongTexts)),
        "max_windows": Between(Integral, 1, 1000),
        "pool": OneOf(get_args(Pool)),
        "summary": OneOf(get_args(PieceSummary)),
        "frozen": OneOf((True, False)),
        "C": Between(Real, 1e-9, 1e9),
        "layer_decay": Between(Real, 0.01, 1),
        "frozen_layers": Either(Between(Integral, 0, 1000, optional=True), OneOf(("half",))),
        "warm_up": Between(Real, 0, 1),
        "adapt_steps": Between(Integral, 0, 100_000_000, optional=True),
        "adapt_seconds": Between(Real, 0.1, 1e9, optional=True),
        "adapt_rate": Between(Real, 1e-8, 1),
        "width": Between(Integral, 1, 4096),
        "depth": Between(Integral, 1, 48),
        "heads": Between(Integral, 1, 64),
        "inner": Between(Integral, 1, 16_384),
        "vocabulary": Between(Integral, 100, 1_000_000),
    }

    # ---- learning ------------------------------------------------------------------------

    def check_settings(self) -> None:
        """Refuse settings that cannot work, each for itself or together."""
        super().check_settings()
        if self.frozen and self.pool == "max":
            raise ConfigError("a frozen encoder's windows are averaged", next_step='pool="mean"')

    def learn(self, data: TrainingData) -> None:
        """Take a language model, let it read the texts, then teach it the labels."""
        memo, key = data.memo, self._start_key()
        start = memo.recall(("start", *key), lambda: self._start(data))
        self.wordpiece_, self.config_ = start.wordpiece, start.config
        self._check()
        taught, _ = data.taught(self.soft_weight)
        encoded = memo.recall(("pieces", *key), lambda: self.wordpiece_.encode(taught))
        check_words(self.wordpiece_, encoded)
        if data.monitor is None or data.monitor.checkpoint is None or data.monitor.checkpoint.read() is None:
            start = self._adapted(start, data)
        windows = self.intake.cut(encoded)
        self._set_buckets(windows, self.config_.places)
        if self.frozen:
            self._fit_logits(start, windows, data)
            return
        self._set_network(self._build(start.weights))
        freeze(self.network_, self._frozen())
        self._train(windows, data)

    def _fit_logits(self, start: Start, windows: Windows, data: TrainingData) -> None:
        """Fit a regression on what the encoder reads: all that a frozen one learns."""
        names = ("adapt_steps", "adapt_seconds", "adapt_rate", "max_length", "long_texts", "max_windows")
        key = (*self._start_key(), *(getattr(self, name) for name in names))
        how = Reading(self.summary, self.intake, self.buckets_, self.precision, self.random_state)
        regression = Regression(self.C, self.class_weight, self.soft_weight)
        arrays, self._judged = fit_logits(start, windows, data, how, regression, key)
        self._set_unbuilt(Unbuilt(arrays, self._build))

    def validation_logits(self) -> FloatArray | None:
        """Return what a frozen encoder's regression says of the validation texts, which have been read."""
        return getattr(self, "_judged", None)

    def _start_key(self) -> tuple[object, ...]:
        own = ("width", "depth", "heads", "inner", "vocabulary", "max_length")
        return (
            self.preset,
            *(getattr(self, name) for name in own if self.preset == FROM_SCRATCH),
            self.dropout,
        )

    def _start(self, data: TrainingData) -> Start:
        if self.preset == FROM_SCRATCH:
            sizes = {name: getattr(self, name) for name in ("width", "depth", "heads", "inner", "max_length")}
            return from_nothing(data.texts, data.unlabelled, self.vocabulary, **sizes, dropout=self.dropout)
        from sopan.steps.presets import preset_bert  # noqa: PLC0415  # brings in what reads folders and hubs

        return Start.of(preset_bert(self.preset), self.dropout)

    def _adapted(self, start: Start, data: TrainingData) -> Start:
        """Return the start after it has filled blanks in the texts, if it is to."""
        if self.adapt_steps == 0 or (
            self.adapt_steps is None and not (len(data.unlabelled) and start.fills_blanks)
        ):
            return start
        limits = (self.adapt_steps, self.adapt_seconds)
        how = Adaptation(*limits, self.adapt_rate, self.precision, self.random_state)
        texts, monitor = pa.concat_arrays([data.texts, data.unlabelled]), data.monitor or Monitor()
        key = ("adapted", *self._start_key(), how)
        return data.memo.recall(key, lambda: adapted(start, texts, how, monitor))

    def _check(self) -> None:
        """Refuse settings that do not go with the preset."""
        depth = self.config_.depth
        if self._frozen() > depth + 1:
            raise ConfigError(
                f"frozen_layers={self.frozen_layers}, and there are {depth + 1}",
                next_step=f"the vectors of pieces are one, and {depth} blocks",
            )
        if self.config_.causal and self.summary in ("cls", "first"):
            raise ConfigError(
                "in a causal model the first piece sees nothing of the text", next_step='summary="mean"'
            )

    def _frozen(self) -> int:
        """Return how many of the lowest layers do not learn."""
        if self.frozen_layers is None:
            return int(self.preset != FROM_SCRATCH)
        return 1 + self.config_.depth // 2 if self.frozen_layers == "half" else self.frozen_layers

    def _halves(self) -> Halves | None:
        """Return the blocks that do not learn, which are read once, and what stands above them."""
        return halves(self.network_, self._frozen(), self.config_, self.summary)

    def _build(self, weights: Arrays | None) -> keras.Model:
        """Make the network; without weights, random ones."""
        with quiet(), computing_in(self.precision):
            network = build_classifier(
                self.config_,
                len(self.wordpiece_),
                len(self.classes_),
                summary=self.summary,
                seed=self.random_state,
            )
        if weights is not None:
            set_weights(network, weights, spared=HEAD)
        return network

    def recipe(self) -> Recipe:
        """Say how the network is fine-tuned."""
        return Recipe(
            learning_rate=self.learning_rate,
            epochs=self.epochs,
            min_steps=self.min_steps,
            warm_up=self.warm_up,
            decay="linear",
            weight_decay=self.weight_decay,
            label_smoothing=self.label_smoothing,
            word_dropout=0.0,
            patience=self.patience,
            rates=layer_rates(self.config_.depth, self.layer_decay),
        )

    # ---- using ---------------------------------------------------------------------------

    @property
    def intake(self) -> PieceIntake:
        """How texts come to the network."""
        return piece_intake(self.wordpiece_, self.config_, vars(self))

    def evidence(self, text: str) -> Evidence:
        """Explain by integrated gradients over the pieces, and show the attention between words."""
        check_is_fitted(self)
        return network_evidence(self, text, lowercase=self.wordpiece_.rules.lowercase)

    @property
    def word_vectors(self) -> WordVectors:
        """The pieces and their vectors, as the network has them."""
        check_is_fitted(self)
        table = ops.convert_to_numpy(self.network_.get_layer("words").embeddings)
        return WordVectors(self.wordpiece_.pieces, table)

    # ---- keeping -------------------------------------------------------------------------

    def state(self) -> StepState:
        """Give the pieces, the encoder's configuration, the buckets and every weight by its path."""
        check_is_fitted(self)
        settings = {
            "buckets": list(self.buckets_),
            "encoder": asdict(self.config_),
            **self.wordpiece_.settings,
        }
        return StepState(settings, self.wordpiece_.pieces, self._arrays())

    def restore(self, state: StepState) -> None:
        """Take back what `state` gave.

        Raises:
            DataError: arrays that are not this network's, or pieces that do not go with their tokenizer.
            ConfigError: an encoder that cannot be.
        """
        table, pieces = state.arrays["words/embeddings"], state.words
        if len(table) != len(pieces):
            raise DataError(f"{len(table)} vectors for {len(pieces)} pieces")
        settings = state.settings
        self.wordpiece_ = wordpiece_of(state)
        self.config_ = EncoderConfig(**settings["encoder"])
        self.buckets_ = tuple(map(int, settings["buckets"]))
        self._set_network(self._build(None))
        self._set_weights(state.arrays)

    @classmethod
    def candidates(cls, facts: TrainingFacts) -> list[Settings]:
        """List settings, the best guess first; few, because each takes long."""
        rates: list[Settings] = [{"learning_rate": cls.learning_rate * factor} for factor in FACTORS]
        return weighed_too(facts, rates)

    @classmethod
    def candidates_with(cls, facts: TrainingFacts, fixed: Settings) -> list[Settings]:
        """List the candidates that go with fixed settings: see `sopan.steps.bert_tuning`."""
        if fixed.get("frozen", cls.frozen):
            found = regressions()
        else:
            preset = str(fixed.get("preset", cls.preset))
            found = fine_tunings(preset, cls.learning_rate, tuned=preset in (cls.preset, FROM_SCRATCH))
            if fixed.get("distilled"):
                found = [each | {"epochs": TAUGHT_EPOCHS} for each in found]
        return with_fixed(weighed_too(facts, found), fixed)
