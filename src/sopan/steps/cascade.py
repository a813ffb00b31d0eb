"""Cascade: a cheap step answers the texts that it is sure of, and costly ones the rest.

Adds the costly steps' accuracy at a fraction of their cost, since most texts are easy. What it lacks, no step
on these pages has.

    confidence of the first >= threshold ? its answer : ask the next, and weigh together what was said so far
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import ClassVar

import numpy as np

from sopan.options.rules import Between, Rule
from sopan.steps.cascading import fit_cascade
from sopan.steps.combination import Combination
from sopan.steps.stages import Stage, stage_names
from sopan.text.arrow import Texts
from sopan.types import Array, FloatArray, Int64Array


@dataclass(kw_only=True, eq=False, repr=False)
class Cascade(Combination):
    """Fitted steps asked in turn, from the cheapest on, until one is sure.

    Args:
        members: names of the steps that may take part.
        margin: accuracy, on the validation texts, that may be lost against the best of them or their stack.
        tokens: how a text is cut into words, by members that have a choice.
        random_state: the members' seed.

    Attributes, after `fit`:
        members_: the fitted steps that take part, by name, in the order in which they are asked.
        thresholds_: (S - 1,) float64, how sure each stage but the last must be to answer.
        chosen_: what the cascade does on the validation texts (`CascadeFit`); a saved model no longer knows.

    Source: P. Viola and M. Jones, "Rapid Object Detection using a Boosted Cascade of Simple Features" (2001);
    of language models: L. Chen et al., "FrugalGPT" (2023).
    """

    name: ClassVar[str] = "cascade"

    margin: float = 0.005

    rules: ClassVar[Mapping[str, Rule]] = {**Combination.rules, "margin": Between(Real, 0, 1)}

    @property
    def thresholds_(self) -> FloatArray:
        """(S - 1,) how sure each stage but the last must be to answer."""
        return np.array([stage.threshold for stage in self.stages_[:-1]])

    def answered_by(self, X: Texts) -> Array:
        """Return for each of N texts the name of what was asked last, (N,): `bow`, `cbow + bert`."""
        answered = self.read_in_stages(X).answered
        return np.array(stage_names(list(self.members_), self.stages_), object)[answered]

    def _choose_stages(
        self, logits: Mapping[str, FloatArray], labels: Int64Array, costs: Mapping[str, float]
    ) -> tuple[Stage, ...]:
        self.chosen_ = fit_cascade(logits, labels, costs, margin=self.margin)
        return self.chosen_.stages
