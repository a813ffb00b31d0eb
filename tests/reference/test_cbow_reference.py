"""CBOW's gradient, proved on the very kernels that train: by hand, by NumPy, by finite differences."""

from __future__ import annotations

from typing import NamedTuple

import cbow_numpy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sopan.kernels import cbow_block
from sopan.kernels.simd import LANES

REACH = 3
"""The longest that is drawn here."""


class Block(NamedTuple):
    inputs: np.ndarray
    outputs: np.ndarray
    words: np.ndarray
    low: np.ndarray
    high: np.ndarray
    first: int
    last: int
    noise_words: np.ndarray
    noise_weight: float


def random_block(seed, dtype=np.float64, n_words=9, first=2, last=7, vocabulary=6, width=5, noise=4):
    """A block with repeated words, windows of different sizes, and noise words that are also targets."""
    rng = np.random.default_rng(seed)
    places, reach = np.arange(n_words), rng.integers(1, REACH + 1, n_words)
    return Block(
        rng.normal(size=(vocabulary, width)).astype(dtype),
        rng.normal(size=(vocabulary, width)).astype(dtype),
        rng.integers(0, vocabulary, n_words).astype(np.int32),
        np.maximum(places - reach, 0),
        np.minimum(places + reach + 1, n_words),
        first,
        last,
        rng.integers(0, vocabulary, noise).astype(np.int32),
        0.7,
    )


def step(block, rate=1.0):
    """By what one step of the kernel changes the input and the output vectors."""
    inputs, outputs = in_lanes(block.inputs), in_lanes(block.outputs)
    number, width = inputs.dtype.type, block.inputs.shape[1]
    noise_words = np.full(LANES, -1, np.int32)
    noise_words[: len(block.noise_words)] = block.noise_words
    weights, room = (number(block.noise_weight), number(rate)), cbow_block.make_scratch(inputs, REACH)
    cbow_block.block_step(inputs, outputs, *block[2:7], noise_words, *weights, room)
    assert not inputs[:, width:].any(), "what fills up the lanes stays 0"
    assert not outputs[:, width:].any()
    return inputs[:, :width] - block.inputs, outputs[:, :width] - block.outputs


def in_lanes(vectors):
    """A copy of the vectors (V, D) with zeros behind, up to whole lanes."""
    return np.pad(vectors, [(0, 0), (0, -vectors.shape[1] % LANES)])


def test_a_case_worked_by_hand():
    """Words 0, 1, 2 of width 1, target 1 between 0 and 2, noise word 3; s(0) = 1/2 makes the numbers plain.

    h = (1 + 3) / 2 = 2; both scores are 0, so the target's gain is 1/2 and the noise word's -1/2.
    d outputs[1] = h/2 = 1, d outputs[3] = -h/2 = -1, and h hardly learns from outputs that are 0.
    """
    block = Block(
        np.array([[1.0], [7.0], [3.0], [9.0]]),
        np.zeros((4, 1)),
        np.array([0, 1, 2], np.int32),
        np.array([0, 0, 1]),
        np.array([2, 3, 3]),
        1,
        2,
        np.array([3], np.int32),
        1.0,
    )
    by_inputs, by_outputs = step(block)
    np.testing.assert_array_equal(by_outputs, [[0.0], [1.0], [0.0], [-1.0]])
    np.testing.assert_array_equal(by_inputs, np.zeros((4, 1)))

    learnt = block._replace(inputs=np.array([[1.0], [7.0], [-1.0], [9.0]]), outputs=by_outputs)
    by_inputs, by_outputs = step(learnt)  # h = 0, scores 0, error = (1 - (-1)) / 2 = 1, halved by the window
    np.testing.assert_array_equal(by_inputs, [[0.5], [0.0], [0.5], [0.0]])
    np.testing.assert_array_equal(by_outputs, np.zeros((4, 1)))


@settings(max_examples=60)
@given(
    st.integers(0, 10**6),
    st.integers(2, 50),
    st.sampled_from([1, 5, 16, 40]),
    st.integers(1, LANES),
    st.data(),
)
def test_a_step_is_minus_the_gradient_of_the_numpy_reference(seed, n_words, width, noise, data):
    first = data.draw(st.integers(0, n_words - 1))
    last = data.draw(st.integers(first + 1, min(n_words, first + cbow_block.BLOCK)))
    block = random_block(seed, n_words=n_words, first=first, last=last, width=width, noise=noise)
    for ours, reference in zip(step(block), cbow_numpy.block_gradients(*block), strict=True):
        np.testing.assert_allclose(ours, -reference, rtol=1e-11, atol=1e-12)


def test_training_precision_follows_the_checked_precision():
    block = random_block(3, dtype=np.float32)
    exact = random_block(3)._replace(inputs=block.inputs.astype(float), outputs=block.outputs.astype(float))
    for ours, reference in zip(step(block), step(exact), strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, reference, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("which", ["inputs", "outputs"])
def test_a_step_is_minus_the_numeric_gradient(seed, which):
    block = random_block(seed)
    ours = step(block)[["inputs", "outputs"].index(which)]
    vectors, nudge = getattr(block, which), 1e-6
    for place in np.ndindex(*vectors.shape):
        ahead, behind = vectors.copy(), vectors.copy()
        ahead[place] += nudge
        behind[place] -= nudge
        slope = cbow_numpy.block_loss(*block._replace(**{which: ahead})) - cbow_numpy.block_loss(
            *block._replace(**{which: behind})
        )
        assert ours[place] == pytest.approx(-slope / (2 * nudge), abs=1e-8)


def test_the_step_is_proportional_to_the_rate():
    block = random_block(5)
    for small, large in zip(step(block, 0.25), step(block, 0.5), strict=True):
        np.testing.assert_allclose(2 * small, large, rtol=1e-9, atol=1e-12)
