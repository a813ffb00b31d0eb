"""The recipe of language models: the rate by hand, and which weights decay."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest
from small_language import untrained

from sopan.training.optimizer import WarmUpStableDecay, make_optimizer
from sopan.training.recipe import LanguageRecipe

RECIPE = LanguageRecipe(12, learning_rate=3e-3, warm_up=3, decay=0.25)


def test_the_rate_rises_stays_and_falls_by_hand():
    schedule = WarmUpStableDecay(2.0, warm_up=4, stable_until=8, steps=12)
    rates = [float(schedule(step)) for step in range(13)]
    assert rates == pytest.approx([0.5, 1.0, 1.5, 2, 2, 2, 2, 2, 2, 1.5, 1.0, 0.5, 0.0])
    assert WarmUpStableDecay.from_config(schedule.get_config()).get_config() == schedule.get_config()


def test_without_warm_up_or_decay_the_rate_is_the_rate():
    recipe = LanguageRecipe(10, warm_up=0, decay=0.0)
    assert recipe.stable_until == 10
    schedule = WarmUpStableDecay(1.0, 0, recipe.stable_until, recipe.steps)
    assert [float(schedule(step)) for step in range(10)] == [1.0] * 10


def test_a_rate_is_counted_in_batches():
    schedule = make_optimizer(replace(RECIPE, accumulate=3))._learning_rate
    assert schedule.get_config() == {"rate": 3e-3, "warm_up": 9, "stable_until": 27, "steps": 36}


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_heads_learn_first_with_the_body_still(optimizer):
    model = untrained(seed=8)
    made = make_optimizer(replace(RECIPE, optimizer=optimizer, head_steps=2, accumulate=1))
    variables = model.network.trainable_variables
    made.build(variables)
    rng = np.random.default_rng(0)
    for step in range(3):
        before = model.weights()
        made.apply([keras.ops.convert_to_tensor(rng.normal(size=w.shape), w.dtype) for w in variables])
        for path, value in model.weights().items():
            still = step < 2 and not path.startswith("predict")
            assert np.array_equal(value, before[path]) == still, (step, path)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_matrices_decay_and_nothing_else(optimizer):
    model = untrained(seed=7)
    model.set_weights({path: np.full(w.shape, 2.0, np.float32) for path, w in model.weights().items()})
    recipe = LanguageRecipe(10, learning_rate=0.1, warm_up=1, weight_decay=0.5, optimizer=optimizer)
    made = make_optimizer(recipe)
    made.build(model.network.trainable_variables)
    zeros = [keras.ops.zeros(weight.shape) for weight in model.network.trainable_variables]
    made.apply(zeros, model.network.trainable_variables)
    for path, value in model.weights().items():
        spared = any(name in path for name in ("bias", "gamma", "beta", "embeddings", "vectors"))
        np.testing.assert_allclose(value, 2.0 if spared else 2.0 - 2.0 * 0.1 * 0.5, rtol=1e-6, err_msg=path)
