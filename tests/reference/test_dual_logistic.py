"""The dual kernel against a slow one in NumPy, and its optimum against scikit-learn's and L-BFGS's."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import brentq
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from sopan.kernels.dual_logistic import LANES, pass_eight, pass_one, settle, squared_lengths
from sopan.steps import one_vs_rest
from sopan.steps.one_vs_rest import STRENGTHS, OneVsRest, best_of_path, fit_one_vs_rest
from sopan.types import Amounts


def rows(n: int = 80, width: int = 30, seed: int = 0) -> tuple[sp.csr_array, np.ndarray]:
    """Return sparse features and labels 0, 1, 2 that they tell of."""
    rng = np.random.default_rng(seed)
    dense = rng.random((n, width)) * (rng.random((n, width)) < 0.3)
    labels = (dense[:, :3] + 0.3 * rng.random((n, 3))).argmax(axis=1)
    return sp.csr_array(dense.astype(np.float32)), labels


@pytest.mark.parametrize("C", [0.01, 1.0, 300.0])
def test_a_text_settles_where_the_equation_holds(C):
    rng = np.random.default_rng(1)
    for _ in range(200):
        inside, norm, score = float(rng.integers(2)), rng.uniform(1, 6), 20 * rng.normal()
        beta = C * (inside - rng.choice([inside, rng.random()]))

        def off(s, inside=inside, norm=norm, score=score, beta=beta):
            return s - score - (C * (inside - expit(s)) - beta) * norm

        root = brentq(off, score - 2 * C * norm - 1, score + 2 * C * norm + 1, xtol=1e-12)
        s, spread = settle(score, beta, inside, 1.0, C, norm)
        assert s == pytest.approx(root, abs=0.01)
        assert spread == pytest.approx(expit(root) * expit(-root), abs=0.01)


def slow_pass(order, dense, inside, totals, C, factors, u, bias, betas):
    """Do what a kernel does, one class at a time, with another way to find roots."""
    norms = 1 + (dense**2) @ factors**2
    for i in order:
        for c in range(inside.shape[1]):
            score = dense[i] @ u[:, c] + bias[c]

            def off(s, i=i, c=c, score=score):
                return s - score - (C * (inside[i, c] - totals[i] * expit(s)) - betas[i, c]) * norms[i, c]

            room = 2 * C * totals[i] * norms[i, c] + 1
            change = (brentq(off, score - room, score + room, xtol=1e-12) - score) / norms[i, c]
            betas[i, c] += change
            bias[c] += change
            u[:, c] += change * dense[i] * factors[:, c] ** 2


@pytest.mark.parametrize(("one_pass", "lanes"), [(pass_one, 1), (pass_eight, LANES)])
def test_a_pass_does_what_the_slow_one_does(one_pass, lanes):
    features, labels = rows()
    rng = np.random.default_rng(2)
    factors = rng.uniform(0.3, 2, (30, lanes)).astype(np.float32)
    inside = np.float32(labels[:, None] == np.arange(lanes) % 3)
    totals, order = np.ones(80, np.float32), rng.permutation(80)
    table = np.zeros((31, 2, lanes), np.float32)
    table[:-1, 1], table[-1, 1] = factors**2, 1
    norms = squared_lengths(features.indptr, features.indices, features.data, table)
    betas, gains = np.zeros((80, lanes), np.float32), np.zeros(lanes)
    u, bias, slow = np.zeros((30, lanes)), np.zeros(lanes), np.zeros((80, lanes))
    for _ in range(2):
        one_pass(
            order, features.indptr, features.indices, features.data, inside, totals, 3.0, norms, table, betas,
            np.zeros(lanes), gains,
        )  # fmt: skip
        slow_pass(order, features.toarray().astype(float), inside, totals, 3.0, factors, u, bias, slow)
    np.testing.assert_allclose(table[:-1, 0], u, atol=0.01)
    np.testing.assert_allclose(table[-1, 0], bias, atol=0.01)
    np.testing.assert_allclose(betas, slow, atol=0.01)
    assert (gains > 0).all()


@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("C", [0.1, 10.0])
def test_the_optimum_is_scikit_learns(C, class_weight):
    features, labels = rows()
    ours = fit_one_vs_rest(features, labels, C=C, class_weight=class_weight)
    weight = {None: np.ones(80), "balanced": (80 / (3 * np.bincount(labels)))[labels]}[class_weight]
    for c in range(3):  # with the bias regularised, as a feature that is always 1
        peer = LogisticRegression(C=C, fit_intercept=False, tol=1e-10, max_iter=10_000)
        peer.fit(np.hstack([features.toarray(), np.ones((80, 1))]), labels == c, sample_weight=weight)
        np.testing.assert_allclose(
            np.append(ours.weights[:, c], ours.bias[c]), peer.coef_[0], atol=2e-3 * np.abs(peer.coef_).max()
        )


def test_a_path_ends_where_a_single_fit_does():
    features, labels = rows()
    walked = OneVsRest(features, labels)
    for C in (0.1, 1.0, 10.0):
        walked.fit(C)
    alone = fit_one_vs_rest(features, labels, C=10.0)
    np.testing.assert_allclose(walked.model().weights, alone.weights, atol=0.02)


def test_the_bits_do_not_depend_on_the_cores(monkeypatch):
    features, labels = rows(n=200)
    many = np.where(labels == 0, labels, 3 + np.arange(200) % 20)  # 21 classes that occur, in blocks of eight
    many = np.unique(many, return_inverse=True)[1]
    found = []
    for count in (1, 2, 5):
        monkeypatch.setattr(one_vs_rest, "cores", lambda count=count: count)
        found.append(fit_one_vs_rest(features, many, C=1.0))
    assert all((each.weights == found[0].weights).all() for each in found)


def test_unsure_amounts_are_fitted_too():
    features, labels = rows()
    amounts = np.full((80, 3), 0.1)
    amounts[np.arange(80), labels] = 0.8
    ours = fit_one_vs_rest(features, Amounts(amounts), C=1.0)
    twice = np.vstack([np.hstack([features.toarray(), np.ones((80, 1))])] * 2)
    peer = LogisticRegression(C=1.0, fit_intercept=False, tol=1e-10, max_iter=10_000)
    for c in range(3):
        weight = np.concatenate([amounts[:, c], 1 - amounts[:, c]])
        peer.fit(twice, np.repeat([1, 0], 80), sample_weight=weight)
        np.testing.assert_allclose(ours.weights[:, c], peer.coef_[0, :-1], atol=2e-3)


def test_the_path_stops_when_it_gets_worse_and_takes_the_best():
    rng = np.random.default_rng(4)  # labels that hardly depend on anything: weak regularisation learns noise
    dense = rng.normal(size=(150, 60)).astype(np.float32)
    labels = (dense[:, 0] + 2 * rng.normal(size=150) > 0).astype(int)
    fitted = []

    class Watched(OneVsRest):
        def fit(self, C, **more):
            fitted.append(C)
            super().fit(C, **more)

    problem = Watched(sp.csr_array(dense[:60]), labels[:60])
    best = best_of_path(problem, sp.csr_array(dense[60:]), labels[60:], "accuracy")
    assert best.C in fitted
    assert tuple(fitted) == STRENGTHS[: len(fitted)]
    assert len(fitted) < len(STRENGTHS)
    np.testing.assert_array_equal(best.logits, best.model.logits(sp.csr_array(dense[60:])))
