"""What the steps that are neural networks over words share: words in, a Keras model in between, logits out.

    texts -> ids (B, T), mask (B, T) -> word vectors (B, T, D) -> the step's own `body` -> logits (B, C)

A step above `cbow` writes one method, `body`, in `keras.ops` and `keras.layers` only, so that it runs on
TensorFlow, JAX and PyTorch; how words come to it is here, and how it is trained and kept in `network`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Literal, get_args

import keras
import numpy as np
from sklearn.utils.validation import check_is_fitted

from sopan.errors import ConfigError, DataError
from sopan.options.data import TokenRule
from sopan.options.rules import Between, OneOf, Rule
from sopan.steps.base import Settings
from sopan.steps.embedding import VECTOR_RULES, CbowSettings, EmbeddedWords, embed_words
from sopan.steps.integrated_gradients import network_evidence
from sopan.steps.layers import Seeds, computing_in
from sopan.steps.network import NETWORK_RULES, NetworkStep, weighed_too
from sopan.steps.training_data import TrainingData
from sopan.text.arrow import cores
from sopan.text.batch import FIRST_WORD, clip
from sopan.text.facts import TrainingFacts
from sopan.text.intake import WordIntake
from sopan.text.vectors import WordVectors
from sopan.text.vocab import Vocabulary
from sopan.text.windows import Windows
from sopan.training.quiet import quiet
from sopan.training.recipe import Recipe
from sopan.types import Evidence, Float32Array, StepState

Embeddings = Literal["cbow", "random"]

FEW_WORDS = 1_000_000
"""Vectors learnt from fewer words of text hardly tell words apart; see `docs/log.md`."""


@dataclass(kw_only=True, eq=False, repr=False)
class NeuralStep(NetworkStep):
    """A step that is a neural network over words; further settings are those of `NetworkStep`.

    Args:
        embeddings: `cbow`: word vectors as `cbow` learns them, from all texts; `random`: from nothing.
        tune_embeddings: whether training changes the word vectors; random ones always learn. None: where they
            were learnt from fewer than `FEW_WORDS`, and so say little.
        vectors: path of a word2vec, GloVe or fastText file to use in place of training vectors.
        dimension: D, width of a word vector.
        word_dropout: share of words hidden.
        min_count: words that occur less often are unknown. None: 2, or 1 where there is little text.
        tokens, lowercase: how a text is cut into words.
        deterministic: train word vectors on one core, so that the same texts and seed give the same bits.
        n_jobs: cores to train word vectors on when not deterministic; None: all.

    Attributes, after `fit`:
        vocabulary_: the words that have a vector.
    """

    embeddings: Embeddings = "cbow"
    tune_embeddings: bool | None = None
    vectors: str | None = None
    dimension: int = 200
    word_dropout: float = 0.1
    min_count: int | None = None
    tokens: TokenRule = "words"
    lowercase: bool = True
    deterministic: bool = True
    n_jobs: int | None = None

    # ---- written by each step ------------------------------------------------------------

    @abstractmethod
    def body(self, dimension: int, n_classes: int, seeds: Seeds) -> keras.Model:
        """Assemble the step: `[vectors (B, T, D), mask (B, T)]` to `logits`, `vector` and `attention`.

        Args:
            dimension: D.
            n_classes: C.
            seeds: for the layers.
        """

    # ---- learning ------------------------------------------------------------------------

    def check_settings(self) -> None:
        """Refuse settings that cannot work; a step whose own must go together adds to this."""
        super().check_settings()
        if self.embeddings == "random" and self.vectors is not None:
            raise ConfigError("vectors are named, and random ones asked for", next_step='embeddings="cbow"')

    def learn(self, data: TrainingData) -> None:
        """Learn word vectors from all texts, then the network from the labelled ones."""
        words = data.memo.recall(self._embedding_key(), lambda: self._words(data))
        self.vocabulary_ = words.vocabulary
        encoded = words.encoded
        if data.soft is not None:
            encoded = encoded.then(self.vocabulary_.encode(data.soft.texts))
        windows = Windows.whole(clip(encoded, len(words.vocabulary), self.max_length))
        self._set_buckets(windows)
        unit = max(float(words.vectors.std()), 1e-12)
        self._assemble(words.vectors / unit, learn=self._learns_vectors(int(words.counts.sum())))
        self._train(windows, data)

    def _embedding_key(self) -> tuple[object, ...]:
        names = ("embeddings", "vectors", "dimension", "min_count", "tokens", "lowercase", "deterministic")
        return ("words", *((name, getattr(self, name)) for name in (*names, "n_jobs", "random_state")))

    def _words(self, data: TrainingData) -> EmbeddedWords:
        """Give every word a vector. Random ones are for the words of texts that say something of classes."""
        learns = self.embeddings == "cbow"
        taught = data.unlabelled[:0] if data.soft is None else data.soft.texts
        threads = 1 if self.deterministic else self.n_jobs or cores()
        return embed_words(
            data.texts,
            data.unlabelled if learns else taught,
            CbowSettings(dimension=self.dimension, epochs=None if learns else 0, threads=threads),
            vectors=self.vectors,
            tokens=self.tokens,
            lowercase=self.lowercase,
            min_count=self.min_count,
            rng=np.random.default_rng(self.random_state),
        )

    def _learns_vectors(self, n_words: int) -> bool:
        """Say whether training changes the word vectors, which n words of text gave."""
        if self.embeddings == "random":
            return True
        if self.tune_embeddings is not None:
            return self.tune_embeddings
        return self.vectors is None and n_words < FEW_WORDS

    def _assemble(self, vectors: Float32Array, *, learn: bool = False) -> None:
        """Make the network around word vectors (V, D); padding and unknown words get zeros."""
        seeds = Seeds(self.random_state)
        table = np.concatenate([np.zeros((FIRST_WORD, vectors.shape[1]), np.float32), vectors])
        words = keras.layers.Embedding(*table.shape, trainable=learn, name="words")
        words.build()
        words.embeddings.assign(table)
        # Some Keras layers look for TensorFlow, whatever Keras runs on.
        with quiet(), computing_in(self.precision):
            body = self.body(vectors.shape[1], len(self.classes_), seeds)
        ids = keras.Input((None,), dtype="int32", name="ids")
        mask = keras.Input((None,), dtype="bool", name="mask")
        outputs = body([words(ids), mask])
        if self.precision != "float32":
            outputs = keras.tree.map_structure(lambda output: keras.ops.cast(output, "float32"), outputs)
        self._set_network(keras.Model([ids, mask], outputs, name=self.name))

    def recipe(self) -> Recipe:
        """Say how the network is trained."""
        return Recipe(
            learning_rate=self.learning_rate,
            epochs=self.epochs,
            min_steps=self.min_steps,
            weight_decay=self.weight_decay,
            label_smoothing=self.label_smoothing,
            word_dropout=self.word_dropout,
            patience=self.patience,
        )

    # ---- using ---------------------------------------------------------------------------

    @property
    def intake(self) -> WordIntake:
        """How texts come to the network."""
        return WordIntake(self.vocabulary_, self.max_length)

    def evidence(self, text: str) -> Evidence:
        """Explain by integrated gradients over the word vectors, and show the attention weights."""
        check_is_fitted(self)
        return network_evidence(self, text)

    @property
    def word_vectors(self) -> WordVectors:
        """The words and their vectors, as the network has them."""
        check_is_fitted(self)
        table = keras.ops.convert_to_numpy(self.network_.get_layer("words").embeddings)
        return WordVectors(self.vocabulary_.words, table[FIRST_WORD:])

    # ---- keeping -------------------------------------------------------------------------

    def state(self) -> StepState:
        """Give the words, the buckets and every weight by its path."""
        check_is_fitted(self)
        buckets = {"buckets": list(self.buckets_)}
        return StepState(buckets, self.vocabulary_.words, self._arrays())

    def restore(self, state: StepState) -> None:
        """Take back what `state` gave.

        Raises:
            DataError: vectors that are not these words'.
            ModelFolderError: arrays that are not this network's.
        """
        table = state.arrays["words/embeddings"]
        if len(table) != len(state.words) + FIRST_WORD:
            raise DataError(f"{len(table)} word vectors for {len(state.words)} words")
        self.vocabulary_ = Vocabulary(state.words, None, self.tokens, self.lowercase)
        self.buckets_ = tuple(map(int, state.settings["buckets"]))
        self._assemble(table[FIRST_WORD:])
        self._set_weights(state.arrays)


NEURAL_RULES: Mapping[str, Rule] = {
    **NETWORK_RULES,
    **VECTOR_RULES,
    "embeddings": OneOf(get_args(Embeddings)),
    "tune_embeddings": OneOf((True, False, None)),
    "word_dropout": Between(Real, 0, 0.95),
}
"""What the settings of every step over words must keep to; a step adds those of its own."""

REGULARISERS: tuple[Settings, ...] = (
    {"dropout": 0.5, "label_smoothing": 0.1},
    {"dropout": 0.3, "word_dropout": 0.3},
    {"dropout": 0.3, "weight_decay": 0.1, "epochs": 8},
)
"""Ways to lean less, or more, on the few texts that there are."""


def settings_to_try(facts: TrainingFacts, *own: Settings) -> list[Settings]:
    """List candidates: the defaults, a step's own alternatives, then other regularisers.

    Where classes are imbalanced, each comes with its classes weighed first.
    """
    return weighed_too(facts, [{"dropout": 0.3}, *own, *REGULARISERS])
