"""Continuous bag of words: a text is the mean of its words' vectors, learnt by guessing words from others.

Adds similarity: words used alike get vectors alike, so that what is learnt of `film` holds for `movie`,
and texts without labels help. Lacks order and context: a word has one vector wherever it stands, and a mean
forgets which word modified which. Next step: `attention`, which reads in order and chooses what matters.

    words -> vectors (T, D) -> weighted mean (N, D) -> less its common component (sif) -> logistic regression
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import ClassVar, get_args

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from sklearn.utils.validation import check_is_fitted

from sopan.errors import DataError
from sopan.options.data import TokenRule
from sopan.options.rules import Between, OneOf, Rule
from sopan.steps.base import Settings, Step
from sopan.steps.embedding import (
    VECTOR_RULES,
    CbowSettings,
    EmbeddedWords,
    Pooling,
    bag,
    common_component,
    embed_words,
    pool,
    without_component,
    word_weights,
)
from sopan.steps.evidence import contributions_of, vocabulary_evidence
from sopan.steps.feature_weights import log_count_ratio
from sopan.steps.linear import LinearModel, fit_standardised
from sopan.steps.teaching import DISTILLED, TAUGHT_RULES
from sopan.steps.training_data import TrainingData
from sopan.text.arrow import Texts, as_texts, cores
from sopan.text.facts import ClassWeight, TrainingFacts, class_weights
from sopan.text.vectors import WordVectors
from sopan.text.vocab import Vocabulary
from sopan.types import Encoded, Evidence, Float32Array, Int64Array, StepOutput, StepState, Targets


@dataclass(kw_only=True, eq=False, repr=False)
class CBOW(Step):
    """Word vectors by CBOW with negative sampling, pooled to text vectors, then logistic regression.

    Args:
        pooling: what a word weighs in the mean: all the same, inverse document frequency, or smooth inverse
            frequency with the common component removed (see `sopan.steps.embedding`).
        distinct: count each word of a text once, however often it comes.
        nb: weigh words more that tell the classes apart: times 1 + nb · |log-count ratio| (see `bow`).
        C: inverse strength of the L2 regularisation, on features of unit variance.
        class_weight: "balanced" weighs each text by the inverse frequency of its class.
        distilled: learn from a teacher beside the labels, and not without one (`soft` of `fit`).
        soft_weight: what a text with a teacher's probabilities counts beside a labelled one.
        vectors: path of a word2vec, GloVe or fastText file to use in place of training.
        dimension: width of a word vector.
        window: the most words on either side that a word is guessed from; wide windows learn topic and tone.
        negatives: noise words against which each guess is judged.
        epochs: passes over the texts. None: more for fewer words, 3 to 600.
        min_count: words that occur less often have no vector. None: 2, or 1 where there is little text.
        subsample: words more frequent than this share of all words are thinned out; 0 keeps all.
        learning_rate: at the start of training.
        tokens: how a text is cut into words (see `sopan.text.tokenize`).
        lowercase: whether `Film` and `film` are one word.
        deterministic: train on one core, so that the same texts and seed give the same bits.
        n_jobs: cores to train on when not deterministic; None: all.
        random_state: the seed.

    Attributes, after `fit`:
        vocabulary_: the words that have a vector.
        vectors_: (V, D) float32.
        epochs_: passes made over the texts; 0 where the vectors were loaded.

    Source: T. Mikolov et al., "Efficient Estimation of Word Representations in Vector Space" (2013); for the
    gradient, O. İrsoy, A. Benton and K. Stratos, "Corrected CBOW Performs as well as Skip-gram" (2021).
    """

    name: ClassVar[str] = "cbow"
    variants: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "mean": {"pooling": "mean", "distinct": False, "nb": 0.0},
        "idf": {"pooling": "idf", "distinct": False, "nb": 0.0},
        "sif": {"pooling": "sif", "distinct": False, "nb": 0.0},
        **DISTILLED,
    }

    pooling: Pooling = "mean"
    distinct: bool = True
    nb: float = 1.0
    C: float = 0.1
    class_weight: ClassWeight = None
    distilled: bool = False
    soft_weight: float = 1.0
    vectors: str | None = None
    dimension: int = 200
    window: int = 40
    negatives: int = 5
    epochs: int | None = None
    min_count: int | None = None
    subsample: float = 3e-5
    learning_rate: float = 0.1
    tokens: TokenRule = "words"
    lowercase: bool = True
    deterministic: bool = True
    n_jobs: int | None = None
    random_state: int = 0

    rules: ClassVar[Mapping[str, Rule]] = {
        **VECTOR_RULES,
        **TAUGHT_RULES,
        "pooling": OneOf(get_args(Pooling)),
        "distinct": OneOf((True, False)),
        "nb": Between(Real, 0, 100),
        "C": Between(Real, 1e-9, 1e9),
        "window": Between(Integral, 1, 10_000),
        "negatives": Between(Integral, 1, 1000),
        "epochs": Between(Integral, 1, 10_000, optional=True),
        "subsample": Between(Real, 0, 1),
        "learning_rate": Between(Real, 1e-6, 10),
    }

    # ---- learning ------------------------------------------------------------------------

    def learn(self, data: TrainingData) -> None:
        """Learn word vectors from all texts, then to tell the labelled ones' classes."""
        words = data.memo.recall(self._embedding_key(), lambda: self._embed(data.texts, data.unlabelled))
        self.vocabulary_, self.vectors_, self.epochs_ = words.vocabulary, words.vectors, words.epochs
        _, labels = data.taught(self.soft_weight)
        encoded = data.memo.recall((*self._embedding_key(), "soft"), lambda: self._with_soft(words, data))
        counts = bag(encoded, len(self.vocabulary_), distinct=self.distinct)
        self.weights_ = self._weigh(counts, words.counts, labels)
        pooled = pool(counts, self.weights_, self.vectors_)
        self.common_ = np.zeros(self.vectors_.shape[1], np.float32)
        if self.pooling == "sif":
            self.common_ = common_component(pooled)
        pooled = without_component(pooled, self.common_)
        self.center_ = pooled.mean(axis=0)
        self.model_ = fit_standardised(pooled, labels, C=self.C, class_weight=self.class_weight)

    def _with_soft(self, words: EmbeddedWords, data: TrainingData) -> Encoded:
        """Return the words of the labelled texts, then of those that a teacher speaks of."""
        if data.soft is None:
            return words.encoded
        return words.encoded.then(self.vocabulary_.encode(data.soft.texts))

    def _embedding_key(self) -> tuple[object, ...]:
        """Name all that the word vectors depend on but for the texts."""
        pooling = {"pooling", "distinct", "nb", "C", "class_weight", *TAUGHT_RULES}
        settings = self.get_params(deep=False).items()
        return ("cbow", *((name, value) for name, value in settings if name not in pooling))

    def _embed(self, texts: pa.LargeStringArray, unlabelled: pa.LargeStringArray) -> EmbeddedWords:
        settings = CbowSettings(
            dimension=self.dimension,
            window=self.window,
            negatives=self.negatives,
            epochs=self.epochs,
            subsample=self.subsample,
            learning_rate=self.learning_rate,
            threads=1 if self.deterministic else self.n_jobs or cores(),
        )
        return embed_words(
            texts,
            unlabelled,
            settings,
            vectors=self.vectors,
            tokens=self.tokens,
            lowercase=self.lowercase,
            min_count=self.min_count,
            rng=np.random.default_rng(self.random_state),
        )

    def _weigh(self, counts: sp.csr_array, word_counts: Int64Array, labels: Targets) -> Float32Array:
        """Return each word's weight in the mean (V,), given the words (N, V) of texts that say something."""
        text_counts = np.bincount(counts.indices, minlength=counts.shape[1])
        weights = word_weights(self.pooling, word_counts, text_counts, counts.shape[0])
        if self.nb > 0:
            weights = weights * (1 + self.nb * log_count_ratio(counts, labels))
        return weights.astype(np.float32)

    # ---- using ---------------------------------------------------------------------------

    def transform(self, X: Texts) -> Float32Array:
        """Return text vectors (N, D) float32; zeros for a text without known words."""
        return self._pool(self._bag(X))

    @property
    def word_vectors(self) -> WordVectors:
        """The words and their vectors, to look up neighbours in or to export."""
        check_is_fitted(self, "vectors_")
        return WordVectors(self.vocabulary_.words, self.vectors_)

    def read_some(self, texts: pa.LargeStringArray) -> StepOutput:
        """Score n texts; one without known words scores like the average text."""
        counts = self._bag(texts)
        unknown = np.diff(counts.indptr) == 0
        vectors = np.where(unknown[:, None], self.center_, self._pool(counts))
        return StepOutput(self.model_.logits(vectors), np.zeros(len(texts), bool), unknown)

    def evidence(self, text: str) -> Evidence:
        """Explain one text exactly; the base is what a text without known words scores: the average text.

        The mean moves from there by each word's share of it: Σ share(w) · (vector(w) − average), whose parts
        go through the classifier one by one. The common component is taken out of every vector first.
        """
        counts = self._bag([text])
        weights = counts.data * self.weights_[counts.indices]
        shares = weights / max(weights.sum(), np.finfo(np.float32).tiny)  # (F,) of the F words held
        moves = without_component(self.vectors_[counts.indices], self.common_) - self.center_  # (F, D)
        parts = contributions_of(self.model_, shares[:, None] * moves)
        base, logits = self.model_.logits(self.center_[None])[0], self.logits([text])[0]
        return vocabulary_evidence(text, self.vocabulary_, counts.indices, parts, base, logits)

    def _bag(self, X: Texts) -> sp.csr_array:
        check_is_fitted(self, "vectors_")
        encoded = self.vocabulary_.encode(as_texts(X))
        return bag(encoded, len(self.vocabulary_), distinct=self.distinct)

    def _pool(self, counts: sp.csr_array) -> Float32Array:
        return without_component(pool(counts, self.weights_, self.vectors_), self.common_)

    # ---- keeping -------------------------------------------------------------------------

    def state(self) -> StepState:
        """Give the words, their vectors and weights, and the classifier."""
        check_is_fitted(self, "vectors_")
        arrays = {
            "vectors": self.vectors_,
            "word_weights": self.weights_,
            "common_component": self.common_,
            "center": self.center_,
            "classifier.weights": self.model_.weights,
            "classifier.bias": self.model_.bias,
        }
        return StepState({"epochs": self.epochs_}, self.vocabulary_.words, arrays)

    def restore(self, state: StepState) -> None:
        """Take back what `state` gave.

        Raises:
            DataError: arrays whose shapes do not go together.
        """
        arrays, width = state.arrays, state.arrays["vectors"].shape[-1]
        shapes = {
            "vectors": (len(state.words), width),
            "word_weights": (len(state.words),),
            "common_component": (width,),
            "center": (width,),
            "classifier.weights": (width, len(arrays["classifier.bias"])),
        }
        for name, shape in shapes.items():
            if arrays[name].shape != shape:
                raise DataError(f"the array {name!r} has shape {arrays[name].shape}, not {shape}")
        self.vocabulary_ = Vocabulary(state.words, None, self.tokens, self.lowercase)
        self.vectors_, self.weights_ = arrays["vectors"], arrays["word_weights"]
        self.common_, self.center_ = arrays["common_component"], arrays["center"]
        self.model_ = LinearModel(arrays["classifier.weights"], arrays["classifier.bias"])
        self.epochs_ = state.settings["epochs"]

    # ---- choosing ------------------------------------------------------------------------

    @classmethod
    def candidates(cls, facts: TrainingFacts) -> list[Settings]:
        """List poolings and classifiers; the word vectors are the same for all of them, and paid once."""
        poolings: list[Settings] = [
            {"pooling": "mean", "distinct": True, "nb": 1.0},
            {"pooling": "sif", "distinct": True, "nb": 1.0},
            {"pooling": "mean", "distinct": True, "nb": 0.0},
            {"pooling": "idf", "distinct": True, "nb": 0.0},
            {"pooling": "sif", "distinct": False, "nb": 0.0},
        ]
        return [
            {**pooling, "C": C, "class_weight": weight}
            for C in (0.1, 0.03, 0.3, 0.01, 1.0, 3.0)
            for weight in class_weights(facts)
            for pooling in poolings
        ]
