"""What each word added: by hand for small models, in sum for all of them, on any text."""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import subprocess
import sys
import weakref

import numpy as np
import pytest
from conftest import missing
from small_network import random_network
from small_step import LABELS, TEXTS, trained

from sopan.errors import DataError
from sopan.steps import make_step
from sopan.steps.integrated_gradients import integrated_gradients, slopes_of

ODD = [
    "",
    " \n\t",
    "?!… —",
    "qwrtz xyzzy",
    "🙂🙂 :-) 👩\u200d💻",
    "ছবিটা খুব ভালো, গল্পটা খারাপ",
    "我爱北京 warm film,世界!",
    "e\u0301te\u0301 İstanbul ΟΔΟΣ warm\u00adth",
    "Good:-) !!! film<br>fine, <BR /> :-) warm/dull",
    "warm " * 5000,
]
MANY = [*TEXTS, "good :-) film", "poor :-( film", "ছবিটা খুব ভালো", "ছবিটা খারাপ"]
TWO = [*LABELS, "good", "poor", "good", "poor"]
THREE = [*LABELS, "good", "poor", "bengali", "bengali"]
SETTINGS = {
    "bow": {},
    "bow:counts": {},
    "bow:nb": {},
    "bow:chars": {},
    "bow with characters": {"characters": (2, 5), "character_weight": 0.5},
    "bow with single characters": {"ngrams": None, "characters": (1, 3), "lowercase": False},
    "bow by scikit-learn's rule": {"characters": (3, 5), "tokens": "sklearn"},
    "cbow": {"dimension": 8, "epochs": 5},
    "cbow:sif": {"dimension": 8, "epochs": 5},
    "cbow that counts": {"dimension": 8, "epochs": 5, "distinct": False, "pooling": "idf"},
}


@pytest.fixture(scope="module", params=SETTINGS)
def linear(request):
    settings = SETTINGS[request.param]
    return {
        n: make_step(request.param.split(" ")[0], **settings).fit(MANY, y) for n, y in ((2, TWO), (3, THREE))
    }


@pytest.mark.parametrize("n_classes", [2, 3])
def test_base_and_words_make_the_logits(linear, n_classes):
    estimator = linear[n_classes]
    for text in [*TEXTS[:2], *ODD]:
        found = estimator.evidence(text)
        assert found.method == "exact"
        assert found.contributions.shape == (len(found.tokens.words), n_classes)
        np.testing.assert_array_equal(found.logits, estimator.logits([text])[0])
        np.testing.assert_allclose(found.base + found.contributions.sum(axis=0), found.logits, atol=1e-5)
        np.testing.assert_array_equal(found.base, estimator.evidence("").logits)
        assert not found.contributions[~found.read].any()
        assert found.read.any() == (not estimator.read([text]).no_known_words[0])
        assert (np.diff(found.tokens.starts) >= 0).all()
        assert (found.tokens.starts < found.tokens.ends).all()


def test_what_is_not_a_text_is_refused(linear):
    for text in (None, "\ud800"):
        with pytest.raises(DataError):
            linear[2].evidence(text)


def test_coefficients_of_words_and_pairs_by_hand():
    estimator = make_step("bow", tf="binary", idf=False, nb=0.0).fit(
        ["warm film", "dull film"], ["good", "poor"]
    )
    features = estimator.blocks_[0].counter.features.to_pylist()
    weight = dict(
        zip(features, estimator.model_.weights[:, 0] / np.sqrt(5), strict=True)
    )  # a row of five features
    found = estimator.evidence("Warm film, dull film")
    assert found.tokens.words == ("warm", "film", "dull", "film")
    pair, film = (
        weight["warm film"] / 2,
        weight["film"] / 2,
    )  # a pair falls to its two words, `film` to its two places
    expected = [
        weight["warm"] + pair,
        film + pair,
        weight["dull"] + weight["dull film"] / 2,
        film + weight["dull film"] / 2,
    ]
    np.testing.assert_allclose(found.contributions[:, 1], np.array(expected) / 2, rtol=1e-5)
    np.testing.assert_allclose(found.contributions[:, 0], -found.contributions[:, 1])
    np.testing.assert_allclose(found.base, [-estimator.model_.bias[0] / 2, estimator.model_.bias[0] / 2])


def test_characters_fall_to_the_words_they_stand_in():
    estimator = make_step("bow", ngrams=None, characters=(2, 2)).fit(["ab, :)", "cd !!"], ["good", "poor"])
    found = estimator.evidence("ab, x !! cd")
    assert found.tokens.words == ("ab", "x", "!!", "cd")  # `!!` is no word, but the step reads it
    assert found.read.tolist() == [True, False, True, True]
    assert [(a, b) for a, b in zip(found.tokens.starts, found.tokens.ends, strict=True)][2] == (6, 8)
    assert found.contributions[0, 0] > 0 > found.contributions[2, 0]
    assert found.contributions[3, 0] < 0


def test_a_pair_of_characters_that_bridges_two_words_is_shared_by_them():
    estimator = make_step("bow", ngrams=None, characters=(3, 3)).fit(["a/b", "c d"], ["good", "poor"])
    found = estimator.evidence("a/b")
    assert found.tokens.words == ("a", "b")
    # ` a/` and `a/b` and `/b `: the slash falls to the word before it.
    weight = dict(
        zip(estimator.blocks_[0].counter.features.to_pylist(), estimator.model_.weights[:, 0], strict=True)
    )
    x = estimator.transform(["a/b"]).data[0]
    expected = (
        x * (weight[" a/"] + weight["a/b"] * 2 / 3 + weight["/b "] / 2),
        x * (weight["a/b"] / 3 + weight["/b "] / 2),
    )
    np.testing.assert_allclose(found.contributions[:, 1], np.array(expected) / 2, rtol=1e-5)


def test_a_word_of_cbow_moves_the_mean_away_from_the_average_text():
    estimator = make_step("cbow", dimension=4, epochs=2, nb=0.0, distinct=False).fit(TEXTS, LABELS)
    found = estimator.evidence("warm warm dull")
    ids = [estimator.vocabulary_.words.index(word) for word in ("warm", "warm", "dull")]
    moves = (estimator.vectors_[ids] - estimator.center_) @ estimator.model_.weights[:, 0]
    np.testing.assert_allclose(found.contributions[:, 1], moves / 3 / 2, rtol=1e-4, atol=1e-7)


def test_the_small_step_for_tests_keeps_the_promise_too():
    for text in [*TEXTS, *ODD]:
        found = trained().evidence(text)
        np.testing.assert_allclose(found.base + found.contributions.sum(axis=0), found.logits)


# ---- networks ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def network():
    return random_network(TEXTS, LABELS)


@pytest.mark.parametrize("text", [*TEXTS[:2], *ODD], ids=lambda text: ascii(text[:12]))
def test_gradients_add_up_to_the_change_of_the_logits(network, text):
    found = network.evidence(text)
    change = np.abs(found.logits - found.base).max()
    gap = np.abs(found.logits - found.base - found.contributions.sum(axis=0)).max()
    assert gap <= 0.011 * max(1.0, change)
    assert np.isfinite(found.contributions).all()
    assert not found.contributions[~found.read].any()
    assert found.method == "integrated gradients"


def test_a_linear_function_has_its_coefficients():
    rng = np.random.default_rng(0)
    slope, end = rng.normal(size=(5, 3, 2)), rng.normal(size=(5, 3)).astype(np.float32)  # T, D, C
    expected = np.einsum("td,tdc->tc", end, slope)

    def gradient(points, weights):
        return np.einsum("bc,tdc->btd", weights, slope).astype(np.float32)

    found = integrated_gradients(gradient, np.zeros_like(end), end, expected.sum(axis=0))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_a_product_is_shared_equally():
    """x·y from (0, 0) to (a, b): each gets ab / 2 (Sundararajan et al., symmetry)."""
    start, end = np.zeros((2, 1), np.float32), np.float32([[3], [5]])
    found = integrated_gradients(
        lambda points, weights: points[:, ::-1] * weights[:, :, None], start, end, np.array([15.0])
    )
    np.testing.assert_allclose(found, [[7.5], [7.5]], rtol=1e-5)


def test_a_steep_step_takes_more_points():
    """A logistic step, steepest at 0.4 of the way: 16 points miss it, more do not."""
    sizes = []

    def gradient(points, weights):
        sizes.append(len(points))
        slope = 100 / (2 * np.cosh(50 * (points.astype(float) - 0.4))) ** 2
        return (weights[:, :, None] * slope).astype(np.float32)

    start, end = np.zeros((1, 1), np.float32), np.ones((1, 1), np.float32)
    found = integrated_gradients(gradient, start, end, np.array([1.0]))
    np.testing.assert_allclose(found, [[1.0]], atol=0.01)
    assert sizes == [16, 32, 64, 128][: len(sizes)]
    assert len(sizes) > 1


def test_gradients_are_those_of_finite_differences(network):
    slopes = slopes_of(network.network_.get_layer("body"))
    inputs = np.random.default_rng(0).normal(size=(2, 3, 8)).astype(np.float32)
    mask = np.array([[True, True, True], [True, True, False]])
    for c, unit in enumerate(np.eye(2, dtype=np.float32)):
        weights = np.tile(unit, (2, 1))
        gradient = slopes(inputs, mask, weights).gradient
        assert gradient.shape == inputs.shape
        assert not gradient[1, 2].any()  # hidden by the mask
        for at in [(0, 0, 0), (1, 1, 7), (0, 1, 3)]:
            step = np.zeros_like(inputs)
            step[at] = 1e-2
            above, below = (slopes(inputs + side * step, mask, weights).logits[at[0], c] for side in (1, -1))
            np.testing.assert_allclose(gradient[at], (above - below) / 2e-2, rtol=2e-2, atol=2e-3)


def test_what_was_compiled_goes_with_the_network():
    network = random_network(TEXTS, LABELS)
    body = network.network_.get_layer("body")
    slopes_of(body)
    assert slopes_of(body) is slopes_of(body)
    gone = weakref.ref(body)
    del network, body
    gc.collect()
    assert gone() is None


def test_a_network_reads_the_ends_of_a_long_text_and_says_so():
    network = random_network(TEXTS, LABELS, max_length=5)
    found = network.evidence("warm fine dull noisy lost bitter zzz")
    assert found.read.tolist() == [True, True, True, False, False, True, False]
    (attention,) = found.attention
    assert attention.shape == (2, 5, 5)
    assert found.attended.tolist() == [0, 1, 2, 5, 6]
    np.testing.assert_allclose(attention.sum(axis=2), 1, rtol=1e-5)


def test_an_unknown_word_adds_nothing_and_still_counts_in_the_base(network):
    with_it, without = network.evidence("warm zzz film"), network.evidence("warm film")
    assert not with_it.contributions[1].any()
    assert np.abs(with_it.base - without.base).max() > 1e-3


NUMBERS = (
    "import json, numpy as np\n"
    "from small_network import random_network\n"
    "from small_step import LABELS, TEXTS\n"
    "network, rng = random_network(TEXTS, LABELS), np.random.default_rng(0)\n"
    "network.network_.set_weights([rng.normal(size=w.shape) for w in network.network_.get_weights()])\n"
    "found = network.evidence('a warm and lost film')\n"
    "numbers = json.dumps([found.contributions.tolist(), found.attention[0].tolist()])\n"
)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_other_backends_find_the_same(backend):
    """The same weights and text, in a process of its own: Keras chooses its backend once."""
    if not importlib.util.find_spec(backend):
        missing(backend)
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": os.pathsep.join(sys.path)}
    code = NUMBERS + "print(numbers)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    here: dict[str, str] = {}
    exec(NUMBERS, here)
    for theirs, ours in zip(json.loads(done.stdout), json.loads(here["numbers"]), strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=1e-3, atol=1e-4)
