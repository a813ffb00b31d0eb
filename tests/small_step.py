"""A small honest step for tests of what handles steps: multinomial naive Bayes over words between spaces.

McCallum and Nigam, "A comparison of event models for naive Bayes text classification" (1998).
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np
import pytest

from sopan.steps import STEPS, StepEntry
from sopan.steps.base import Step
from sopan.text.arrow import as_texts
from sopan.types import Evidence, StepOutput, StepState, Tokens

TEXTS = [
    "a warm and funny film",
    "warm light and a fine cast",
    "funny from the first scene",
    "a fine and gentle story",
    "a dull and noisy film",
    "dull talk and a lost cast",
    "noisy from the first scene",
    "a lost and bitter story",
]
LABELS = ["good"] * 4 + ["poor"] * 4
ENTRY = StepEntry("small_step:NaiveBayes", "words", "everything else")


class NaiveBayes(Step):
    name = "small"

    def __init__(self, smoothing=1.0, spans=(1, 1)):
        self.smoothing = smoothing
        self.spans = spans

    def learn(self, data):
        texts, index = data.texts.to_pylist(), data.labels
        self.words_ = tuple(sorted({word for text in texts for word in text.split(" ")} - {""}))
        counts = np.full((len(self.classes_), len(self.words_)), float(self.smoothing))
        places = {word: place for place, word in enumerate(self.words_)}
        for text, label in zip(texts, index, strict=True):
            for word, times in Counter(text.split(" ")).items():
                if word:
                    counts[label, places[word]] += times
        self.log_likelihood_ = np.log(counts / counts.sum(axis=1, keepdims=True))
        self.log_prior_ = np.log(np.bincount(index) / len(index))

    def _counts(self, X):
        places = {word: place for place, word in enumerate(self.words_)}
        texts = as_texts(X).to_pylist()
        counts = np.zeros((len(texts), len(self.words_)))
        for row, text in enumerate(texts):
            for word in text.split(" "):
                if word in places:
                    counts[row, places[word]] += 1
        return counts

    def read_some(self, texts):
        counts = self._counts(texts)
        logits = counts @ self.log_likelihood_.T + self.log_prior_
        return StepOutput(logits, np.zeros(len(counts), bool), counts.sum(axis=1) == 0)

    def evidence(self, text):
        """Exact: what a word adds to a class is its log-likelihood there; the base is the log-prior."""
        found = list(re.finditer("[^ ]+", text))
        spans = np.array([word.span() for word in found], np.int64).reshape(-1, 2)
        places = {word: place for place, word in enumerate(self.words_)}
        ids = np.array([places.get(word.group(), -1) for word in found], np.int64)
        added = np.where(ids[:, None] >= 0, self.log_likelihood_.T[ids], 0.0)
        words = Tokens(tuple(word.group() for word in found), spans[:, 0], spans[:, 1])
        return Evidence(words, ids >= 0, added, self.log_prior_, self.logits([text])[0], "exact")

    def state(self):
        arrays = {"log_likelihood": self.log_likelihood_, "log_prior": self.log_prior_}
        return StepState({"words": len(self.words_)}, self.words_, arrays)

    def restore(self, state):
        self.words_ = state.words
        self.log_likelihood_ = state.arrays["log_likelihood"]
        self.log_prior_ = state.arrays["log_prior"]
        if self.log_likelihood_.shape != (len(self.log_prior_), state.settings["words"]):
            raise ValueError("the arrays do not fit the vocabulary")

    @classmethod
    def candidates(cls, class_counts) -> list[dict[str, Any]]:
        return [{}]


def trained(texts=TEXTS, labels=LABELS, **settings: Any) -> NaiveBayes:
    return NaiveBayes(**settings).fit(texts, labels)


def enter_in_table(patch: pytest.MonkeyPatch) -> None:
    """Make the table of steps know this one."""
    patch.setitem(STEPS, "small", ENTRY)
