"""Attention held to numbers worked by hand, to slow NumPy, to finite differences, and to Keras' own layer."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
from reference.attention_numpy import attend_slowly, multi_head_slowly
from reference.gradients import NEAR, double_precision, gradients, slopes

from sopan.steps.attend import attend, dot, scaled_dot
from sopan.steps.heads import MultiHeadAttention


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def numpy(*tensors):
    return tuple(keras.ops.convert_to_numpy(tensor) for tensor in tensors)


# ---- By hand ---------------------------------------------------------------------------------

KEYS = np.eye(2, dtype="float32")
QUERY = (math.sqrt(2) * math.log(3) * np.eye(2)).astype(
    "float32"
)  # over √2: ln 3 for its own key, 0 for the other
VALUES = np.array([[4, 0], [0, 8]], "float32")


def test_two_words_by_hand():
    context, weights = numpy(*attend(QUERY, KEYS, VALUES))
    np.testing.assert_allclose(weights, [[3 / 4, 1 / 4], [1 / 4, 3 / 4]], rtol=1e-6)
    np.testing.assert_allclose(context, [[3, 2], [1, 6]], rtol=1e-6)


def test_two_words_of_which_one_is_hidden():
    context, weights = numpy(*attend(QUERY, KEYS, VALUES, np.array([True, False])))
    np.testing.assert_array_equal(weights, [[1, 0], [1, 0]])
    np.testing.assert_array_equal(context, [[4, 0], [4, 0]])


def test_two_words_through_a_window_are_not_normalised_again():
    context, weights = numpy(*attend(QUERY, KEYS, VALUES, window=keras.ops.array([[1, 0.5]], "float32")))
    np.testing.assert_allclose(weights, [[3 / 4, 1 / 8], [1 / 4, 3 / 8]], rtol=1e-6)
    np.testing.assert_allclose(context, [[3, 1], [1, 3]], rtol=1e-6)


def test_what_is_dropped_is_not_read_but_told():
    context, weights = numpy(
        *attend(QUERY, KEYS, VALUES, drop=lambda w: w * keras.ops.array([2, 0], "float32"))
    )
    np.testing.assert_allclose(weights, [[3 / 4, 1 / 4], [1 / 4, 3 / 4]], rtol=1e-6)
    np.testing.assert_allclose(context, [[6, 0], [2, 0]], rtol=1e-6)


# ---- Slow NumPy ------------------------------------------------------------------------------


@pytest.mark.parametrize("score", [dot, scaled_dot])
@pytest.mark.parametrize("per_query", [False, True])
def test_equals_slow_numpy(rng, score, per_query):
    query, keys, values = (
        rng.normal(size=shape).astype("float32") for shape in ((3, 4, 5), (3, 6, 5), (3, 6, 2))
    )
    mask = rng.random((3, 4, 6) if per_query else (3, 1, 6)) < 0.5
    mask[0] = False
    mask[1] = True
    context, weights = numpy(*attend(query, keys, values, mask, score=score))
    for i in range(3):
        seen = np.broadcast_to(mask[i], (4, 6))
        slow = attend_slowly(query[i], keys[i], values[i], seen, scaled=score is scaled_dot)
        np.testing.assert_allclose(context[i], slow[0], atol=1e-5)
        np.testing.assert_allclose(weights[i], slow[1], atol=1e-6)
    assert (weights[np.broadcast_to(~mask, weights.shape)] == 0).all()


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("project_out", [False, True])
@pytest.mark.parametrize("heads", [1, 4])
def test_heads_equal_slow_numpy(rng, heads, project_out, causal):
    layer = MultiHeadAttention(8, heads, seed=3, causal=causal, project_out=project_out, name="heads")
    x = rng.normal(size=(3, 5, 6)).astype("float32")
    mask = np.arange(5) < np.array([[5], [2], [0]])
    randomise(layer, x, mask, rng)
    out, looks = numpy(*layer(x, mask))
    kept = {weight.path.removeprefix("heads/"): weight.numpy() for weight in layer.weights}
    for i in range(3):
        slow = multi_head_slowly(x[i].astype(float), mask[i], kept, heads, causal=causal)
        np.testing.assert_allclose(out[i], slow[0], atol=1e-5)
        np.testing.assert_allclose(looks[i], slow[1], atol=1e-6)


def randomise(layer, x, mask, rng):
    """Give all weights, biases too, values that matter."""
    layer(x, mask)
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape) * 0.5)


# ---- Gradients -------------------------------------------------------------------------------


@pytest.mark.parametrize("score", [dot, scaled_dot])
def test_gradients_are_the_slopes_of_slow_numpy(rng, score):
    arrays = [rng.normal(size=shape) for shape in ((2, 3), (4, 3), (4, 2))]
    mask = np.array(
        [[True, False, True, True], [False, False, False, False]]
    )  # the second query sees nothing
    ask = rng.normal(size=(2, 2))

    def fast(query, keys, values):
        return keras.ops.sum(
            attend(query, keys, values, mask, score=score)[0] * keras.ops.convert_to_tensor(ask)
        )

    def slow(query, keys, values):
        return (attend_slowly(query, keys, values, mask, scaled=score is scaled_dot)[0] * ask).sum()

    with double_precision():
        found = gradients(fast, arrays)
    for one, expected in zip(found, slopes(slow, arrays), strict=True):
        np.testing.assert_allclose(one, expected, atol=NEAR)


@pytest.mark.parametrize("causal", [False, True])
def test_heads_have_the_gradients_of_slow_numpy(rng, causal):
    x, mask, ask = rng.normal(size=(1, 4, 3)), np.array([[True, True, True, False]]), rng.normal(size=(4, 4))
    with double_precision():
        layer = MultiHeadAttention(4, 2, seed=0, causal=causal, name="heads")
        randomise(layer, x, mask, rng)
        names = [weight.path.removeprefix("heads/") for weight in layer.trainable_weights]
        arrays = [x, *(weight.numpy().copy() for weight in layer.trainable_weights)]
        rest = [variable.value for variable in layer.non_trainable_variables]

        def fast(words, *weights):
            (out, _), _ = layer.stateless_call(list(weights), rest, words, mask)
            return keras.ops.sum(out[0] * keras.ops.convert_to_tensor(ask))

        def slow(words, *weights):
            kept = dict(zip(names, weights, strict=True))
            return (multi_head_slowly(words[0], mask[0], kept, 2, causal=causal)[0] * ask).sum()

        found = gradients(fast, arrays)
    assert all(one.dtype == np.float64 for one in found)
    for one, expected in zip(found, slopes(slow, arrays), strict=True):
        np.testing.assert_allclose(one, expected, atol=NEAR)


# ---- Keras' own layer ------------------------------------------------------------------------


@pytest.mark.parametrize("causal", [False, True])
def test_equals_keras(rng, causal):
    ours = MultiHeadAttention(24, 4, seed=0, causal=causal)
    theirs = keras.layers.MultiHeadAttention(num_heads=4, key_dim=6)
    x = rng.normal(size=(3, 7, 24)).astype("float32")
    mask = np.arange(7) < np.array([[7], [4], [1]])
    randomise(ours, x, mask, rng)
    theirs.build(x.shape, x.shape)
    kernel, bias, *of_out = ours.get_weights()
    kernels, biases = np.split(kernel, 3, axis=1), np.split(bias, 3)
    flat = [part for pair in zip(kernels, biases, strict=True) for part in pair]
    flat += of_out
    theirs.set_weights([part.reshape(into.shape) for part, into in zip(flat, reordered(theirs), strict=True)])
    out, looks = numpy(*ours(x, mask))
    expected = theirs(
        x, x, attention_mask=mask[:, None, :], use_causal_mask=causal, return_attention_scores=True
    )
    for one, other in zip((out, looks), numpy(*expected), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def reordered(theirs):
    """Keras' weights in the order query, key, value, output; held here rather than trusted."""
    order = ["query/kernel", "query/bias", "key/kernel", "key/bias", "value/kernel", "value/bias"]
    order += ["attention_output/kernel", "attention_output/bias"]
    assert [weight.path.split("/", 1)[1] for weight in theirs.weights] == order
    return theirs.weights


# ---- What self-attention has and lacks -------------------------------------------------------


def test_permuting_the_words_permutes_the_output_and_no_more(rng):
    layer = MultiHeadAttention(8, 2, seed=0)
    x = rng.normal(size=(2, 6, 8)).astype("float32")
    mask = np.array([[True] * 6, [True] * 4 + [False] * 2])
    order = rng.permutation(6)
    out, looks = numpy(*layer(x, mask))
    turned, turned_looks = numpy(*layer(x[:, order], mask[:, order]))
    np.testing.assert_allclose(turned, out[:, order], atol=1e-6)
    np.testing.assert_allclose(turned_looks, looks[:, :, order][..., order], atol=1e-6)


def test_a_later_word_never_changes_an_earlier_output(rng):
    x = rng.normal(size=(1, 6, 8)).astype("float32")
    mask = np.ones((1, 6), bool)
    other = x.copy()
    other[0, 4:] = 1e3
    for causal in (True, False):
        layer = MultiHeadAttention(8, 2, seed=0, causal=causal)
        before, after = numpy(layer(x, mask)[0], layer(other, mask)[0])
        assert np.array_equal(before[0, :4], after[0, :4]) is causal
        assert not np.array_equal(before[0, 4:], after[0, 4:])


def test_padding_is_not_read_whatever_stands_there(rng):
    layer = MultiHeadAttention(8, 2, seed=0)
    x = rng.normal(size=(2, 3, 8)).astype("float32")
    padded = np.concatenate([x, np.full((2, 4, 8), 1e6, "float32")], axis=1)
    out, looks = numpy(*layer(x, np.ones((2, 3), bool)))
    more, more_looks = numpy(*layer(padded, np.arange(7)[None].repeat(2, 0) < 3))
    np.testing.assert_allclose(more[:, :3], out, atol=1e-6)
    np.testing.assert_allclose(more_looks[:, :, :3, :3], looks, atol=1e-6)
    assert (more_looks[..., 3:] == 0).all()


def test_a_text_without_words_gives_zeros_before_the_projection(rng):
    layer = MultiHeadAttention(8, 2, seed=0, project_out=False)
    x = rng.normal(size=(1, 3, 8)).astype("float32")
    out, looks = numpy(*layer(x, np.zeros((1, 3), bool)))
    assert (out == 0).all()
    assert (looks == 0).all()


def test_texts_packed_in_one_row_do_not_see_each_other(rng):
    layer = MultiHeadAttention(8, 2, seed=0)
    x = rng.normal(size=(1, 5, 8)).astype("float32")
    text = np.array([0, 0, 0, 1, 1])
    packed, _ = numpy(*layer(x, (text[:, None] == text)[None]))
    for own in (slice(0, 3), slice(3, 5)):
        alone, _ = numpy(*layer(x[:, own], np.ones((1, own.stop - own.start), bool)))
        np.testing.assert_allclose(packed[:, own], alone, atol=1e-6)
