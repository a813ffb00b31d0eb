"""Bag of words: a text is the n-grams that it holds, each weighed by how much it tells.

Adds words as features. Lacks similarity (`film` and `movie` have nothing in common), and order beyond
neighbours. Next step: `cbow`, where words used alike become alike.

    counts (N, V) -> tf -> × idf -> rows of length 1 -> × |log-count ratio|^nb (V,) -> logistic regression
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from numbers import Integral, Real
from typing import ClassVar, NamedTuple, get_args

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from sklearn.utils.validation import check_is_fitted

from sopan.errors import ConfigError, DataError
from sopan.options.data import TokenRule
from sopan.options.rules import Between, OneOf, Rule, Span
from sopan.steps.base import TEXT_RULES, Settings, Step
from sopan.steps.bow_tuning import matrices, taught_matrices
from sopan.steps.evidence import bag_evidence
from sopan.steps.feature_weights import FEW_TEXTS, Tf, class_log_count_ratio, weigh
from sopan.steps.linear import LinearModel
from sopan.steps.one_vs_rest import WITHOUT_VALIDATION, OneVsRest, best_of_path
from sopan.steps.teaching import DISTILLED, TAUGHT_RULES
from sopan.steps.training_data import Memo, TrainingData
from sopan.text.arrow import Texts, as_texts
from sopan.text.facts import ClassWeight, TrainingFacts, tuned_for
from sopan.text.ngrams import Analyzer, NgramCounter, count_ngrams
from sopan.types import Amounts, Array, Evidence, Float32Array, FloatArray, StepOutput, StepState

_WORDS = {"ngrams": (1, 2), "characters": None}


@dataclass(kw_only=True, eq=False, repr=False)
class BagOfWords(Step):
    """N-grams of words and characters, weighed, then logistic regression.

    Args:
        ngrams: fewest and most words in a feature; None: no words.
        characters: fewest and most characters in a feature, taken inside words; None: no characters.
        character_weight: what characters count beside words: the length of their part of a row, where that of
            words has 1. Short texts want more of them than long ones.
        tf: what several occurrences in one text weigh.
        idf: weigh features more that few texts hold: times ln((1 + N) / (1 + df)) + 1, as scikit-learn does.
        nb: weigh features more that tell the classes apart: times |log-count ratio|^nb. 0: all the same,
            1: as in NB-SVM.
        C: inverse strength of the L2 regularisation. None: the best of `STRENGTHS` on the validation texts;
            30 without any.
        class_weight: "balanced" weighs each text by the inverse frequency of its class.
        min_df: leave out features that fewer training texts hold. None: 2, or 1 where texts are few.
        max_features: keep only so many features of words, and of characters, the most frequent. None: all.
        distilled: learn from a teacher beside the labels, and not without one (`soft` of `fit`).
        soft_weight: what a text with a teacher's probabilities counts beside a labelled one.
        tokens: how a text is cut into words (see `sopan.text.tokenize`).
        lowercase: whether `Film` and `film` are one word.

    Attributes, after `fit`:
        blocks_: the features of words, of characters, or both: which they are, and their idf.
        model_: their weights for each class.
        C_: the C that was given or chosen.

    Source: S. Wang and C. Manning, "Baselines and Bigrams: Simple, Good Sentiment and Topic Classification"
    (ACL 2012), with logistic regression, TF-IDF and the ratio's root, which measured better (docs/log.md).
    """

    name: ClassVar[str] = "bow"
    variants: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "counts": {**_WORDS, "tf": "counts", "idf": False, "nb": 0.0},
        "binary": {**_WORDS, "tf": "binary", "idf": False, "nb": 0.0},
        "tfidf": {**_WORDS, "tf": "sublinear", "idf": True, "nb": 0.0},
        "nb": {**_WORDS, "tf": "binary", "idf": False, "nb": 1.0},
        "chars": {"ngrams": None, "characters": (2, 5)},
        **DISTILLED,
    }

    ngrams: tuple[int, int] | None = (1, 2)
    characters: tuple[int, int] | None = None
    character_weight: float = 1.0
    tf: Tf = "sublinear"
    idf: bool = True
    nb: float = 0.5
    C: float | None = None
    class_weight: ClassWeight = None
    min_df: int | None = None
    max_features: int | None = None
    distilled: bool = False
    soft_weight: float = 1.0
    tokens: TokenRule = "words"
    lowercase: bool = True

    rules: ClassVar[Mapping[str, Rule]] = {
        **TEXT_RULES,
        **TAUGHT_RULES,
        "ngrams": Span(most=8),
        "characters": Span(most=16),
        "character_weight": Between(Real, 1e-3, 1e3),
        "tf": OneOf(get_args(Tf)),
        "idf": OneOf((True, False)),
        "nb": Between(Real, 0, 10),
        "C": Between(Real, 1e-9, 1e9, optional=True),
        "min_df": Between(Integral, 1, 1_000_000_000, optional=True),
        "max_features": Between(Integral, 1, 1_000_000_000, optional=True),
    }

    # ---- learning ------------------------------------------------------------------------

    def check_settings(self) -> None:
        """Refuse settings that cannot work."""
        super().check_settings()
        if self.ngrams is None and self.characters is None:
            raise ConfigError("a bag without n-grams and characters is empty", next_step="try ngrams=(1, 2)")

    def learn(self, data: TrainingData) -> None:
        """Find the features of N texts and learn what they say of the classes.

        Texts without labels are ignored: words without a label's company teach this step nothing. A
        teacher's probabilities are such company.
        """
        texts, labels = data.taught(self.soft_weight)
        weights = labels.weights if isinstance(labels, Amounts) else None
        learnt = [self._recall_block(texts, *span, data.memo) for span in self._spans()]
        features = self._side_by_side([features for _, features in learnt])
        self.blocks_ = tuple(block for block, _ in learnt)
        problem = OneVsRest(
            features,
            labels,
            class_weight=self.class_weight,
            scale=lambda members: np.abs(class_log_count_ratio(features, members, weights)) ** self.nb,
        )
        self._judged: FloatArray | None = None
        if self.C is None and data.validation is not None:
            validation, names = as_texts(data.validation[0]), np.asarray(data.validation[1])
            unseen = self._recall_unseen(validation, data.memo)
            found = best_of_path(
                problem, unseen, np.searchsorted(self.classes_, names), tuned_for(np.bincount(data.labels))
            )
            self.C_, self.model_, self._judged = found
        else:
            self.C_ = WITHOUT_VALIDATION if self.C is None else float(self.C)
            problem.fit(self.C_)
            self.model_ = problem.model()

    def _spans(self) -> list[tuple[Analyzer, tuple[int, int]]]:
        """Return the kinds of features that were asked for, each with its lengths."""
        both: tuple[tuple[Analyzer, tuple[int, int] | None], ...] = (
            ("word", self.ngrams),
            ("char_wb", self.characters),
        )
        return [(kind, (span[0], span[1])) for kind, span in both if span is not None]

    def _recall_block(
        self, texts: pa.LargeStringArray, kind: Analyzer, lengths: tuple[int, int], memo: Memo
    ) -> tuple[_Block, sp.csr_array]:
        """Learn a block, or take it from the memo, under all that it depends on but for the texts."""
        return memo.recall(self._key(kind, lengths), lambda: self._learn_block(texts, kind, lengths))

    def _key(self, kind: Analyzer, lengths: tuple[int, int]) -> tuple[Hashable, ...]:
        """Name all that a block depends on but for the texts."""
        pruning, cutting = (self.min_df, self.max_features), (self.tokens, self.lowercase)
        return ("bow", kind, lengths, *pruning, *cutting, self.tf, self.idf)

    def _recall_unseen(self, texts: pa.LargeStringArray, memo: Memo) -> sp.csr_array:
        """Return the features of the validation texts, each block from the memo if it is there."""

        def weighed(block: _Block) -> sp.csr_array:
            return weigh(block.counter.transform(texts), self.tf, block.idf)

        pairs = zip(self._spans(), self.blocks_, strict=True)
        return self._side_by_side(
            [memo.recall((*self._key(*span), "unseen"), partial(weighed, block)) for span, block in pairs]
        )

    def _learn_block(
        self, texts: pa.LargeStringArray, kind: Analyzer, lengths: tuple[int, int]
    ) -> tuple[_Block, sp.csr_array]:
        """Find the features of one kind in N texts; return them, and the weighed matrix (N, V)."""
        counter, counts = count_ngrams(
            texts,
            self.tokens,
            lowercase=self.lowercase,
            analyzer=kind,
            ngram_range=lengths,
            min_df=self.min_df or (2 if len(texts) >= FEW_TEXTS else 1),
            max_features=self.max_features,
        )
        idf = np.ones(len(counter), np.float32)
        if self.idf:
            df = np.bincount(counts.indices, minlength=len(counter))
            idf = (np.log((1 + len(texts)) / (1 + df)) + 1).astype(np.float32)
        block = _Block(counter, idf)
        return block, weigh(counts, self.tf, idf)

    # ---- using ---------------------------------------------------------------------------

    def transform(self, X: Texts) -> sp.csr_array:
        """Return the weighed features of N texts, (N, V) float32, before the log-count ratio."""
        check_is_fitted(self, "blocks_")
        texts = as_texts(X)
        return self._side_by_side([weigh(b.counter.transform(texts), self.tf, b.idf) for b in self.blocks_])

    def get_feature_names_out(self, input_features: object = None) -> Array:
        """Return the names of the V columns of `transform`.

        Where there are words and characters, a name says which: `word__good`, `char_wb__goo`.

        Args:
            input_features: ignored; scikit-learn's pipelines pass it.
        """
        check_is_fitted(self, "blocks_")
        several = len(self.blocks_) > 1
        return np.array(
            [
                f"{kind}__{feature}" if several else feature
                for (kind, _), block in zip(self._spans(), self.blocks_, strict=True)
                for feature in block.counter.features.to_pylist()
            ],
            object,
        )

    def _side_by_side(self, blocks: list[sp.csr_array]) -> sp.csr_array:
        """Join the features of words with those of characters, if there are both."""
        if len(blocks) == 1:
            return blocks[0]
        words, characters = blocks
        return sp.csr_array(sp.hstack([words, characters * np.float32(self.character_weight)], format="csr"))

    def read_some(self, texts: pa.LargeStringArray) -> StepOutput:
        """Score n texts; nothing is truncated, and a text without known words gets the bias alone."""
        features = self.transform(texts)
        whole = np.zeros(len(texts), bool)
        return StepOutput(self.model_.logits(features), whole, np.diff(features.indptr) == 0)

    def evidence(self, text: str) -> Evidence:
        """Explain one text exactly, from the coefficients; the base is the bias."""
        counters = [block.counter for block in self.blocks_]
        return bag_evidence(text, counters, self.transform([text]), self.model_)

    # ---- keeping -------------------------------------------------------------------------

    def state(self) -> StepState:
        """Give the features, block after block, their idf and their weights."""
        check_is_fitted(self, "blocks_")
        words = tuple(word for block in self.blocks_ for word in block.counter.features.to_pylist())
        arrays = {
            "idf": np.concatenate([block.idf for block in self.blocks_]),
            "classifier.weights": self.model_.weights,
            "classifier.bias": self.model_.bias,
        }
        return StepState({"features": [len(block.idf) for block in self.blocks_]}, words, arrays)

    def restore(self, state: StepState) -> None:
        """Take back what `state` gave.

        Raises:
            DataError: parts whose sizes do not go together.
        """
        sizes, arrays = state.settings["features"], state.arrays
        shapes = {
            "idf": (len(state.words),),
            "classifier.weights": (len(state.words), len(arrays["classifier.bias"])),
        }
        for name, shape in shapes.items():
            if arrays[name].shape != shape:
                raise DataError(f"the array {name!r} has shape {arrays[name].shape}, not {shape}")
        if len(sizes) != len(self._spans()) or sum(sizes) != len(state.words):
            raise DataError(f"{len(state.words)} features do not fall into blocks of {sizes}")
        features, blocks, start = pa.array(state.words, pa.large_string()), [], 0
        for size, (kind, lengths) in zip(sizes, self._spans(), strict=True):
            part = features.slice(start, size)
            counter = NgramCounter(part, self.tokens, self.lowercase, kind, lengths)
            blocks.append(_Block(counter, arrays["idf"][start : start + size]))
            start += size
        self.blocks_ = tuple(blocks)
        self.model_ = LinearModel(arrays["classifier.weights"], arrays["classifier.bias"])

    # ---- choosing ------------------------------------------------------------------------

    def validation_logits(self) -> FloatArray | None:
        """Return what the model says of the validation texts, if they were read to choose C."""
        return getattr(self, "_judged", None)

    def found_settings(self) -> Settings:
        """Return the C that was chosen, if none was given."""
        return {"C": self.C_} if self.C is None else {}

    @classmethod
    def candidates(cls, facts: TrainingFacts) -> list[Settings]:
        """List matrices to try; see `sopan.steps.bow_tuning`."""
        return matrices(facts)

    @classmethod
    def taught_candidates(cls, facts: TrainingFacts) -> list[Settings]:
        """List matrices to try beside a teacher."""
        return taught_matrices(facts)


class _Block(NamedTuple):
    """Features of one kind: the n-grams, and their idf (V,) float32 (1 without idf)."""

    counter: NgramCounter
    idf: Float32Array
