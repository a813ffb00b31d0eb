"""The reader of step `attention` held to a case worked by hand, to slow NumPy, and to finite differences."""

from __future__ import annotations

import itertools
import math

import keras
import numpy as np
import pytest
from reference.gradients import NEAR, double_precision, gradients, slopes

from sopan.steps.attention import Reader

LOOKS, SCORINGS = ("global", "local-m", "local-p"), ("dot", "general", "additive")
EVERY = list(itertools.product(LOOKS, SCORINGS))
READS, WINDOW = 2, 2


def read_slowly(states, final, mask, weights, look, scoring):
    """states (T, E), final (E,), mask (T,) -> contexts (K, E), weights (K, T), one number at a time."""
    words = int(mask.sum())
    contexts, looks = np.zeros((READS, states.shape[1])), np.zeros((READS, len(states)))
    for k in range(READS):
        query = np.tanh(final @ weights["to_query"][:, k] + weights["own"][k])
        place = None
        if look == "local-m":
            place = (k + 0.5) / READS * max(words - 1, 0)
        if look == "local-p":  # Luong et al. (2015), eq. 9; places count from 0 here
            inner = float((np.tanh(query @ weights["of_place"]) @ weights["place"])[0])
            place = max(words - 1, 0) / (1 + math.exp(-inner))
        near = [s for s in range(len(states)) if mask[s] and (place is None or abs(s - place) <= WINDOW)]
        powers = {s: math.exp(score_slowly(query, states[s], weights, scoring)) for s in near}
        for s, power in powers.items():
            looks[k, s] = power / sum(powers.values())  # eq. 7
            if look == "local-p":
                looks[k, s] *= math.exp(-((s - place) ** 2) / (2 * (WINDOW / 2) ** 2))  # eq. 10
            contexts[k] += looks[k, s] * states[s]
    return contexts, looks


def score_slowly(query, state, weights, scoring):
    """Luong et al. (2015), eq. 8."""
    if scoring == "dot":
        return float(query @ state)
    if scoring == "general":
        return float(query @ weights["general"] @ state)
    inner = np.tanh(query @ weights["of_query"] + state @ weights["of_state"])
    return float((inner @ weights["additive"])[0])


def made(look, scoring, states, final, mask, rng):
    """Return a reader with weights that matter, and the weights by name."""
    reader = Reader(look, scoring, READS, WINDOW, seed=0, name="reader")
    reader(states, final, mask)
    for weight in reader.weights:
        weight.assign(rng.normal(size=weight.shape) * 0.7)
    return reader, {weight.name: np.array(numpy(weight)) for weight in reader.weights}


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def test_the_gaussian_by_hand():
    """Five words, all fitting equally well, looked at from the third: each has 1/5 under the bell."""
    reader = Reader("local-p", "dot", 1, 2, seed=0)
    states, mask = np.arange(1, 6, dtype="float32").reshape(1, 5, 1), np.ones((1, 5), bool)
    final = np.ones((1, 1), "float32")
    reader(states, final, mask)
    for weight in reader.weights:
        weight.assign(np.zeros(weight.shape))  # query 0: scores 0, and the place 4 · sigmoid(0) = 2
    context, weights = reader(states, final, mask)
    bell = [0.1353353, 0.6065307, 1, 0.6065307, 0.1353353]  # exp(-(s - 2)² / (2 · 1²))
    np.testing.assert_allclose(numpy(weights)[0, 0], np.array(bell) / 5, rtol=1e-6)
    np.testing.assert_allclose(numpy(context)[0, 0, 0], 1.4902391, rtol=1e-6)


def test_a_monotonic_window_by_hand():
    """Nine words, two reads of one word to either side: around the third and the seventh."""
    reader = Reader("local-m", "dot", 2, 1, seed=0)
    states, mask = np.arange(9, dtype="float32").reshape(1, 9, 1), np.ones((1, 9), bool)
    final = np.ones((1, 1), "float32")
    reader(states, final, mask)
    for weight in reader.weights:
        weight.assign(np.zeros(weight.shape))
    context, weights = reader(states, final, mask)
    third = 1 / 3
    expected = [[0, third, third, third, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, third, third, third, 0]]
    np.testing.assert_allclose(numpy(weights)[0], expected, atol=1e-7)
    np.testing.assert_allclose(numpy(context)[0, :, 0], [2, 6], rtol=1e-6)


@pytest.mark.parametrize(("look", "scoring"), EVERY)
def test_equals_slow_numpy(look, scoring):
    rng = np.random.default_rng(4)
    states, final = rng.normal(size=(4, 7, 6)).astype("float32"), rng.normal(size=(4, 6)).astype("float32")
    mask = np.arange(7) < np.array([[7], [4], [1], [0]])  # the last text has no words
    reader, weights = made(look, scoring, states, final, mask, rng)
    contexts, looks = map(numpy, reader(states, final, mask))
    for i in range(4):
        slow = read_slowly(states[i].astype(float), final[i].astype(float), mask[i], weights, look, scoring)
        np.testing.assert_allclose(contexts[i], slow[0], atol=1e-5)
        np.testing.assert_allclose(looks[i], slow[1], atol=1e-6)
    assert not contexts[3].any()
    assert not looks[3].any()


@pytest.mark.parametrize(("look", "scoring"), EVERY)
def test_gradients_are_the_slopes_of_slow_numpy(look, scoring):
    rng = np.random.default_rng(5)
    states, final, ask = rng.normal(size=(1, 5, 3)), rng.normal(size=(1, 3)), rng.normal(size=(READS, 3))
    mask = np.arange(5) < np.array([[4]])
    with double_precision():
        reader, weights = made(look, scoring, states, final, mask, rng)
        names = [weight.name for weight in reader.trainable_weights]
        arrays = [states, final, *(weights[name] for name in names)]

        def fast(read, last, *given):
            (contexts, _), _ = reader.stateless_call(list(given), [], read, last, mask)
            return keras.ops.sum(contexts[0] * keras.ops.convert_to_tensor(ask))

        def slow(read, last, *given):
            kept = dict(zip(names, given, strict=True))
            return (read_slowly(read[0], last[0], mask[0], kept, look, scoring)[0] * ask).sum()

        found = gradients(fast, arrays)
    for name, one, expected in zip(("states", "final", *names), found, slopes(slow, arrays), strict=True):
        np.testing.assert_allclose(one, expected, atol=NEAR, err_msg=name)


def test_is_made_again_from_its_settings():
    reader = Reader("local-m", "general", 3, 5, seed=7, name="reader")
    again = Reader.from_config(reader.get_config())
    rng = np.random.default_rng(0)
    states, final = rng.normal(size=(1, 4, 6)).astype("float32"), rng.normal(size=(1, 6)).astype("float32")
    mask = np.ones((1, 4), bool)
    for one, other in zip(reader(states, final, mask), again(states, final, mask), strict=True):
        np.testing.assert_array_equal(numpy(one), numpy(other))
