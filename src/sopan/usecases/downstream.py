"""Labelled texts as an exam for language models: each learns the labels, and all sit the same test."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from sopan.fit.intervals import paired_difference
from sopan.fit.tune import Budget, tune
from sopan.options.data import ReadOptions, SplitOptions
from sopan.text.read import read_corpus
from sopan.types import BoolArray, Json
from sopan.usecases.inputs import clean_split, labelled_parts


class Exam:
    """One labelled data set, split once.

    Args:
        data: a file, a folder of class folders, or a named data set.
        reading, parts: how to read and split it.

    Raises:
        SopanError: the data cannot be used.
    """

    def __init__(self, data: str | Path, reading: ReadOptions, parts: SplitOptions):
        self.seed = parts.seed
        corpus = read_corpus(data, reading)
        self.train, self.val, self.test = labelled_parts(corpus, clean_split(corpus, parts).clean)

    def held_out(self) -> pa.LargeStringArray:
        """Return the validation and test texts."""
        return pa.concat_arrays([self.val.texts, self.test.texts])

    def right(self, preset: str) -> BoolArray:
        """Let the step `bert` learn the labels from a preset; say which test texts (N,) it gets right."""
        fixed = {"preset": preset, "adapt_steps": 0, "random_state": self.seed}
        tuned = tune("bert", self.train, self.val, budget=Budget.parse("1trials"), fixed=fixed)
        found: BoolArray = tuned.estimator.predict(self.test.texts) == self.test.names
        return found

    def report(self, right: Mapping[str, BoolArray], a: str, b: str) -> dict[str, Json]:
        """Say how accurate each was, and by how much a beats b: share, 95% interval, exact McNemar p."""
        difference = paired_difference(right[a], right[b], np.random.default_rng(0))
        accuracy = {name: float(each.mean()) for name, each in right.items()}
        return {"tests": len(right[a]), "accuracy": accuracy, "difference": difference}
