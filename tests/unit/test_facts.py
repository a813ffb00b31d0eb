"""What first guesses depend on: lengths, balance, and what tuning aims at."""

from __future__ import annotations

import numpy as np
import pytest
from quick_steps import ON_KERAS

from sopan.fit.tune import tuning_metric
from sopan.steps import STEPS, step_class
from sopan.text.facts import SHORT, TrainingFacts, class_weights, tuned_for


@pytest.mark.parametrize(
    ("counts", "metric", "weights", "dear"),
    [
        ([100, 100], "accuracy", (None,), (None,)),
        ([100, 60], "accuracy", (None, "balanced"), (None,)),
        ([90, 30], "accuracy", (None, "balanced"), (None,)),
        ([100, 30, 80], "macro_f1", ("balanced", None), ("balanced", None)),
    ],
)
def test_classes_are_weighed_first_where_the_aim_is_macro_f1(counts, metric, weights, dear):
    facts = TrainingFacts(np.array(counts))
    assert tuned_for(facts.class_counts) == tuning_metric(np.repeat(np.arange(len(counts)), counts)) == metric
    assert (class_weights(facts), class_weights(facts, dear=True)) == (weights, dear)


@pytest.mark.parametrize("step", STEPS)
def test_each_step_begins_with_the_weights_of_its_aim(step):
    for counts in ([100, 60], [100, 100, 8]):
        facts = TrainingFacts(np.array(counts), SHORT / 4)
        first = step_class(step).candidates(facts)[0]
        assert first.get("class_weight") == class_weights(facts, dear=step in ON_KERAS)[0]


def test_a_frozen_encoder_begins_so_too():
    facts = TrainingFacts(np.array([100, 100, 8]))
    first = step_class("bert").candidates_with(facts, {"frozen": True})[0]
    assert first["class_weight"] == "balanced"
