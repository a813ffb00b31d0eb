from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from sopan.steps.linear import LinearModel, fit_logistic
from sopan.steps.one_vs_rest import fit_one_vs_rest


def blobs(n_classes: int, n: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % n_classes
    return rng.normal(size=(n, 5)) + 3 * np.eye(n_classes, 5)[labels], labels


def test_two_classes_score_symmetrically():
    model = LinearModel(np.float32([[2.0], [-1.0]]), np.float32([0.5]))
    np.testing.assert_array_equal(model.logits(np.float32([[1, 1], [0, 0]])), [[-0.75, 0.75], [-0.25, 0.25]])


def test_a_row_scores_the_same_in_any_company():
    rng = np.random.default_rng(0)
    rows = sp.random_array((50, 300), density=0.1, rng=rng, dtype=np.float32, format="csr")
    model = LinearModel(rng.normal(size=(300, 4)).astype(np.float32), np.zeros(4, np.float32))
    alone = np.vstack([model.logits(rows[[i]]) for i in range(50)])
    np.testing.assert_array_equal(model.logits(rows), alone)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("fit", [fit_logistic, fit_one_vs_rest])
def test_learns_blobs(fit, n_classes):
    features, labels = blobs(n_classes)
    model = fit(sp.csr_array(features), labels, C=1.0)
    assert (model.logits(features).argmax(axis=1) == labels).mean() > 0.9
    assert model.weights.dtype == model.bias.dtype == np.float32
    assert model.weights.shape == (5, 1 if n_classes == 2 else 4)


@pytest.mark.parametrize("fit", [fit_logistic, fit_one_vs_rest])
def test_balancing_equals_repeating_the_small_class(fit):
    features, labels = blobs(2)
    small, large = np.flatnonzero(labels == 1)[:25], np.flatnonzero(labels == 0)
    once, often = np.concatenate([large, small]), np.concatenate([large, *[small] * 4])
    # "balanced" weighs a text by N / (C · its class's size): 125/200 in the large class, 125/50 in the small.
    balanced = fit(sp.csr_array(features[once]), labels[once], C=0.1, class_weight="balanced")
    repeated = fit(sp.csr_array(features[often]), labels[often], C=0.1 * 125 / 200)
    np.testing.assert_allclose(balanced.weights, repeated.weights, atol=0.02)
    np.testing.assert_allclose(balanced.bias, repeated.bias, atol=0.02)


def test_a_scale_is_folded_into_the_model():
    features, labels = blobs(3)
    factors = np.array([2.0, 0.5, 1.0, 3.0, 0.1])
    folded = fit_one_vs_rest(sp.csr_array(features), labels, C=1.0, scale=lambda members: factors)
    scaled = fit_one_vs_rest(sp.csr_array(features * factors), labels, C=1.0)
    np.testing.assert_allclose(folded.logits(features), scaled.logits(features * factors), rtol=1e-5)


def test_each_class_may_have_its_own_scale():
    features, labels = blobs(3)
    asked = []

    def scale(members):
        asked.append(members)
        return np.ones(5)

    fit_one_vs_rest(sp.csr_array(features), labels, C=1.0, scale=scale)
    np.testing.assert_array_equal(asked, [labels == 0, labels == 1, labels == 2])


def test_features_without_anything_in_them_give_the_classes_shares():
    labels = np.repeat([0, 1, 2], [10, 30, 60])
    logits = fit_logistic(np.zeros((100, 3)), labels, C=1.0).logits(np.zeros((1, 3)))
    shares = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(shares, [[0.1, 0.3, 0.6]], atol=0.01)
