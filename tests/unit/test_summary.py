"""One vector from a text's words: the four summaries, by hand, and a text without words."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest

from sopan.steps.layers import PickWords, summarise

X = np.array(
    [[[0, 4], [math.log(3), 8], [9, 9]], [[-2, -1], [-4, -3], [7, 7]], [[5, 6], [7, 8], [9, 1]]], "float32"
)
MASK = np.array([[True, True, False], [True, True, False], [False, False, False]])
HALF_LOG_3 = math.log(3) / 2
BY_HAND = {
    "mean": [[HALF_LOG_3, 6], [-3, -2], [0, 0]],
    "max": [[math.log(3), 8], [-2, -1], [0, 0]],  # below 0 too: padding is not the greatest
    "cls": [[0, 4], [-2, -1], [0, 0]],
    # Scores are the first number: exp gives 1 : 3, and 1 : exp(-2).
    "attention": [
        [0.75 * math.log(3), 7],
        [(-2 - 4 * math.exp(-2)) / (1 + math.exp(-2)), (-1 - 3 * math.exp(-2)) / (1 + math.exp(-2))],
        [0, 0],
    ],
}


@pytest.mark.parametrize("summary", BY_HAND)
def test_a_summary_by_hand(summary):
    words, mask = keras.Input((None, 2)), keras.Input((None,), dtype="bool")
    model = keras.Model([words, mask], summarise(words, mask, summary, seed=0))
    if summary == "attention":
        model.get_layer("pick").key.kernel.assign([[1.0], [0.0]])
    found = keras.ops.convert_to_numpy(model([X, MASK]))
    np.testing.assert_allclose(found, BY_HAND[summary], rtol=1e-6)


def test_what_attention_picks_adds_up_and_is_never_padding():
    picked, weights = PickWords(seed=3)(X, MASK)
    weights = keras.ops.convert_to_numpy(weights)
    np.testing.assert_allclose(weights.sum(axis=1), [1, 1, 0], rtol=1e-6)
    assert not weights[~MASK].any()
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(picked), (weights[..., None] * X).sum(axis=1), rtol=1e-5
    )
    again = PickWords.from_config(PickWords(seed=3).get_config())
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(again(X, MASK)[1]), weights)
