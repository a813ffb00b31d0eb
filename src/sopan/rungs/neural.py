"""What the steps that are neural networks share: words in, a Keras model in between, logits out.

    texts -> ids (B, T), mask (B, T) -> word vectors (B, T, D) -> the step's own `body` -> logits (B, C)

A step above `cbow` writes one method, `body`, in `keras.ops` and `keras.layers` only, so that it runs on
TensorFlow, JAX and PyTorch; how it is trained, read, saved and explained is here.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self, get_args

import keras
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import check_is_fitted

from sopan.errors import ConfigError, DataError
from sopan.rungs.base import Labels, Memo, Reading, Rung, check_labels
from sopan.rungs.embedding import CbowSettings, Words, embed_words
from sopan.rungs.integrated_gradients import neural_evidence
from sopan.rungs.layers import Precision, Seeds, computing_in
from sopan.rungs.linear import ClassWeight
from sopan.rungs.settings import VECTOR_RULES, Between, OneOf, Rule, check_settings
from sopan.text.arrow import Texts, as_texts
from sopan.text.batch import FIRST_WORD, Clipped, bucket_lengths, clip
from sopan.text.encode import cores
from sopan.text.unicode import TokenRule
from sopan.text.vectors import WordVectors
from sopan.text.vocab import Vocabulary
from sopan.training.backend import make_forward
from sopan.training.forward import read_all
from sopan.training.loop import train
from sopan.training.quiet import quiet
from sopan.training.recipe import Examples, Monitor, Recipe, Trained
from sopan.training.score import scorer
from sopan.types import Evidence, Float32Array, RungState

Embeddings = Literal["cbow", "random"]

FEW_WORDS = 1_000_000
"""Vectors learnt from fewer words of text hardly tell words apart; see `docs/log.md`."""


@dataclass(kw_only=True, eq=False, repr=False)
class NeuralRung(Rung):
    """A step that is a neural network over words.

    Args:
        embeddings: `cbow`: word vectors as `cbow` learns them, from all texts; `random`: from nothing.
        tune_embeddings: whether training changes the word vectors; random ones always learn. None: where they
            were learnt from fewer than `FEW_WORDS`, and so say little.
        vectors: path of a word2vec, GloVe or fastText file to use in place of training vectors.
        dimension: D, width of a word vector.
        max_length: words read of a text; a longer one loses its middle.
        learning_rate: at its height, after the warm-up.
        epochs: passes over the labelled texts; more where they would not come to `min_steps`.
        min_steps: the least that the optimiser makes, for where texts are few.
        dropout: share of numbers hidden at each place of the network that hides any.
        word_dropout: share of words hidden.
        label_smoothing: probability taken from the true class and shared out.
        weight_decay: see `sopan.training.optimizer.adamw`.
        patience: epochs without a better validation score before training stops.
        precision: what the network computes in. `bfloat16` is quicker on machines that have it in hardware;
            weights, gradients and results are float32 even so.
        class_weight: "balanced" weighs each text by the inverse frequency of its class.
        min_count: words that occur less often are unknown. None: 2, or 1 where texts are few.
        tokens, lowercase: how a text is cut into words.
        deterministic: train word vectors on one core, so that the same texts and seed give the same bits.
        n_jobs: cores to train word vectors on when not deterministic; None: all.
        random_state: the seed.

    Attributes, after `fit`:
        vocabulary_: the words that have a vector.
        network_: `[ids, mask]` to `logits` (B, C), `vector` (B, E) and `attention`, a list of (B, H, Q, T).
        trained_: how training went.
    """

    embeddings: Embeddings = "cbow"
    tune_embeddings: bool | None = None
    vectors: str | None = None
    dimension: int = 200
    max_length: int = 512
    learning_rate: float = 2e-3
    epochs: int = 4
    min_steps: int = 400
    dropout: float = 0.3
    word_dropout: float = 0.1
    label_smoothing: float = 0.0
    weight_decay: float = 1.0
    patience: int = 2
    precision: Precision = "float32"
    class_weight: ClassWeight = None
    min_count: int | None = None
    tokens: TokenRule = "words"
    lowercase: bool = True
    deterministic: bool = True
    n_jobs: int | None = None
    random_state: int = 0

    rules: ClassVar[Mapping[str, Rule]] = {}
    """What the settings of the step itself must keep to."""

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

    def fit(
        self,
        X: Texts,
        y: Any,
        *,
        unlabelled: Texts | None = None,
        validation: Labels | None = None,
        memo: Memo | None = None,
        monitor: Monitor | None = None,
    ) -> Self:
        """Learn word vectors from all texts, then the network from the labelled ones; see `Rung.fit`."""
        texts = as_texts(X)
        classes, labels = check_labels(len(texts), y)
        check_settings(self, {**_RULES, **self.rules})
        if self.embeddings == "random" and self.vectors is not None:
            raise ConfigError("vectors are named, and random ones asked for", next_step='embeddings="cbow"')
        self.check()
        more = as_texts([] if unlabelled is None else unlabelled)
        words = (memo or Memo()).recall(self._embedding_key(), lambda: self._words(texts, more))
        self.classes_, self.temperature_, self.vocabulary_ = classes, 1.0, words.vocabulary
        clipped = clip(words.encoded, len(words.vocabulary), self.max_length)
        self.buckets_ = bucket_lengths(clipped.lengths, self.max_length)
        unit = max(float(words.vectors.std()), 1e-12)
        self._assemble(words.vectors / unit, learn=self._learns_vectors(int(words.counts.sum())))
        self.trained_ = train(
            self.network_,
            Examples(clipped, labels, self._weights(labels)),
            self._recipe(),
            self.buckets_,
            seed=self.random_state,
            validation=None if validation is None else self._judge(validation),
            monitor=monitor,
        )
        return self

    def check(self) -> None:
        """Refuse settings that do not go together; a step with such settings overrides this."""

    def _embedding_key(self) -> tuple[Any, ...]:
        names = ("embeddings", "vectors", "dimension", "min_count", "tokens", "lowercase", "deterministic")
        return ("words", *((name, getattr(self, name)) for name in (*names, "n_jobs", "random_state")))

    def _words(self, texts: pa.LargeStringArray, unlabelled: pa.LargeStringArray) -> Words:
        """Give every word a vector. Random ones are for the words of the labelled texts alone."""
        learns = self.embeddings == "cbow"
        threads = 1 if self.deterministic else self.n_jobs or cores()
        return embed_words(
            texts,
            unlabelled if learns else unlabelled[:0],
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
        self.network_ = keras.Model([ids, mask], outputs, name=self.name)
        self._forward = make_forward(self.network_, ["logits"])
        self._vector = make_forward(self.network_, ["vector"])

    def _recipe(self) -> Recipe:
        return Recipe(
            learning_rate=self.learning_rate,
            epochs=self.epochs,
            min_steps=self.min_steps,
            weight_decay=self.weight_decay,
            label_smoothing=self.label_smoothing,
            word_dropout=self.word_dropout,
            patience=self.patience,
        )

    def _weights(self, labels: npt.NDArray[np.int64]) -> Float32Array:
        of_class = compute_class_weight(self.class_weight, classes=np.unique(labels), y=labels)
        return np.asarray(of_class[labels], np.float32)

    def _judge(self, validation: Labels) -> Any:
        texts, names = validation
        clipped = self._clip(as_texts(texts))
        place = {name: index for index, name in enumerate(self.classes_.tolist())}
        return clipped, scorer(np.array([place[name] for name in np.asarray(names).tolist()]))

    def training(self) -> Trained | None:
        """See `Rung.training`; a saved model no longer knows."""
        return getattr(self, "trained_", None)

    # ---- using ---------------------------------------------------------------------------

    def transform(self, X: Texts) -> Float32Array:
        """Return text vectors (N, E) float32, as the network's last layer sees them."""
        check_is_fitted(self, "network_")
        width = self.network_.output["vector"].shape[-1]
        return read_all(self._vector, self._clip(as_texts(X)), self.buckets_, width).astype(np.float32)

    def read_some(self, texts: pa.LargeStringArray) -> Reading:
        """See `Rung.read_some`."""
        check_is_fitted(self, "network_")
        clipped = self._clip(texts)
        logits = read_all(self._forward, clipped, self.buckets_, len(self.classes_))
        known = np.add.reduceat(
            np.append(clipped.encoded.ids >= FIRST_WORD, False), clipped.encoded.offsets[:-1], dtype=np.int64
        )
        return Reading(logits, clipped.truncated, (known == 0) | (clipped.lengths == 0))

    def evidence(self, text: str) -> Evidence:
        """See `Rung.evidence`: integrated gradients over the word vectors, and the attention weights."""
        check_is_fitted(self, "network_")
        return neural_evidence(self, text)

    @property
    def word_vectors(self) -> WordVectors:
        """The words and their vectors, as the network has them."""
        check_is_fitted(self, "network_")
        table = keras.ops.convert_to_numpy(self.network_.get_layer("words").embeddings)
        return WordVectors(self.vocabulary_.words, table[FIRST_WORD:])

    def _clip(self, texts: pa.LargeStringArray) -> Clipped:
        return clip(self.vocabulary_.encode(texts), len(self.vocabulary_), self.max_length)

    # ---- keeping -------------------------------------------------------------------------

    def state(self) -> RungState:
        """Give the words, the buckets and every weight by its path."""
        check_is_fitted(self, "network_")
        arrays = {
            weight.path: np.array(keras.ops.convert_to_numpy(weight)) for weight in self.network_.weights
        }
        return RungState({"buckets": list(self.buckets_)}, self.vocabulary_.words, arrays)

    def restore(self, state: RungState) -> None:
        """Take back what `state` gave.

        Raises:
            DataError: arrays that are not this network's.
        """
        table = state.arrays["words/embeddings"]
        if len(table) != len(state.words) + FIRST_WORD:
            raise DataError(f"{len(table)} word vectors for {len(state.words)} words")
        self.vocabulary_ = Vocabulary(state.words, None, self.tokens, self.lowercase)
        self.buckets_ = tuple(map(int, state.settings["buckets"]))
        self._assemble(table[FIRST_WORD:])
        weights = {weight.path: weight for weight in self.network_.weights}
        if weights.keys() != state.arrays.keys():
            odd = sorted(weights.keys() ^ state.arrays.keys())
            raise DataError(f"the arrays are not this network's: {odd[0]!r}")
        for path, weight in weights.items():
            if tuple(weight.shape) != state.arrays[path].shape:
                raise DataError(
                    f"the array {path!r} has shape {state.arrays[path].shape}, not {weight.shape}"
                )
            weight.assign(state.arrays[path])

    def __getstate__(self) -> dict[str, Any]:
        """Pickle weights, not networks: what is compiled cannot travel."""
        values = dict(super().__getstate__())
        if "network_" in values:
            values["network_"] = self.state()
            del values["_forward"], values["_vector"]
        return values

    def __setstate__(self, values: dict[str, Any]) -> None:
        super().__setstate__(values)
        if "network_" in values:
            self.restore(values["network_"])


_RULES: dict[str, Rule] = VECTOR_RULES | {
    "embeddings": OneOf(get_args(Embeddings)),
    "tune_embeddings": OneOf((True, False, None)),
    "max_length": Between(Integral, 2, 100_000),
    "learning_rate": Between(Real, 1e-8, 1),
    "epochs": Between(Integral, 1, 10_000),
    "min_steps": Between(Integral, 1, 1_000_000),
    "dropout": Between(Real, 0, 0.95),
    "word_dropout": Between(Real, 0, 0.95),
    "label_smoothing": Between(Real, 0, 0.95),
    "weight_decay": Between(Real, 0, 100),
    "patience": Between(Integral, 1, 10_000),
    "precision": OneOf(get_args(Precision)),
}
