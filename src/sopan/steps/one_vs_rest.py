"""Regularised logistic regression of very many sparse features, each class told from all others.

    path = OneVsRest(features, labels, scale=…)
    path.fit(1.0); path.fit(3.0); path.model()      # each fit begins where the one before has ended

Fitted in the dual, on every core: blocks of eight classes go through the texts together, and no block knows
of another, so that the numbers do not depend on how many cores there are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.special import log_softmax
from sklearn.metrics import f1_score
from sklearn.utils.class_weight import compute_sample_weight

from sopan.kernels.dual_logistic import LANES, pass_eight, pass_one, squared_lengths
from sopan.steps.linear import LinearModel, balanced
from sopan.steps.temperature import fit_temperature
from sopan.text.arrow import cores, on_every_core
from sopan.text.facts import ClassWeight, Metric
from sopan.types import Amounts, BoolArray, Float32Array, FloatArray, Labels, Targets

STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
"""Values of C, from strong regularisation to weak."""
PATIENCE = 2
"""So many values in a row that are not better end the walk."""
WITHOUT_VALIDATION = 30.0
"""C, where there is nothing to choose it by."""
MAX_PASSES = 1000
"""5 to 40 are made."""
TOLERANCE, COARSE = 1e-5, 3e-4
"""A pass that gains less than this share of all that was gained ends a fit. The second is for a path, whose
next value begins there: it too comes as near as liblinear's default does (docs/log.md)."""
NEGLIGIBLE = 0.1
"""Gains are not taken that, were there as many as texts, would come to this share of what ends a fit."""


@dataclass(frozen=True)
class _Block:
    """Up to eight classes that are fitted together; see `sopan.kernels.dual_logistic.pass_one`."""

    inside: Float32Array
    norms: Float32Array
    table: Float32Array
    betas: Float32Array
    reached: FloatArray

    @classmethod
    def empty(cls, texts: int, features: int, lanes: int) -> _Block:
        """Return a block before any fit, whose factors are 1."""
        table = np.zeros((features + 1, 2, lanes), np.float32)
        table[:, 1] = 1
        inside, norms, betas = (np.zeros((texts, lanes), np.float32) for _ in range(3))
        return cls(inside, norms, table, betas, np.zeros(lanes))


class OneVsRest:
    """Tell each class from all others: C problems, or one if there are two classes.

    Minimises |w|²/2 + C · Σ loss for each class, the bias regularised too, as liblinear does. Texts are
    visited in orders drawn from a fixed seed.

    Args:
        features: (N, V) float32, V much larger than N if you like.
        labels: class indices 0 … C-1 (N,), each present; or amounts.
        class_weight: "balanced" weighs each text by the inverse frequency of its class.
        scale: given which texts are of the class, (N,) bool, or what each counts for it, (N,) float, returns
            by what each feature is multiplied in that class's problem, (V,). The model has the scale folded
            in and takes `features` as they are.
    """

    def __init__(
        self,
        features: sp.csr_array,
        labels: Targets,
        *,
        class_weight: ClassWeight = None,
        scale: Callable[[BoolArray | FloatArray], FloatArray] | None = None,
    ) -> None:
        self._features = sp.csr_array(features.astype(np.float32, copy=False))
        self._totals = np.ones(features.shape[0], np.float32)
        if isinstance(labels, Amounts):
            n_classes = labels.values.shape[1]
            shares = balanced(labels, class_weight)
            self._totals = shares.weights.astype(np.float32)
        else:
            n_classes, shares = int(labels.max()) + 1, None
            if class_weight is not None:
                self._totals = compute_sample_weight(class_weight, labels).astype(np.float32)
        self._told = [1] if n_classes == 2 else list(range(n_classes))
        lanes = 1 if n_classes == 2 else LANES

        def block_of(told: list[int]) -> _Block:
            block = _Block.empty(*features.shape, lanes)
            for lane, label in enumerate(told):
                members = labels.values[:, label] if isinstance(labels, Amounts) else labels == label
                if scale is not None:
                    block.table[:-1, 1, lane] = scale(members) ** 2
                inside = shares.values[:, label] if shares else np.where(members, self._totals, 0)
                block.inside[:, lane] = inside
            x = self._features
            block.norms[:] = squared_lengths(x.indptr, x.indices, x.data, block.table)
            return block

        self._blocks = [block_of(self._told[i : i + lanes]) for i in range(0, len(self._told), lanes)]

    def fit(self, C: float, *, tolerance: float = TOLERANCE) -> None:
        """Go on to the optimum of this C, from wherever the fit before ended.

        Args:
            C: inverse strength of the regularisation, > 0; not less than that of the fit before.
            tolerance: see `TOLERANCE`.
        """
        shares = [self._blocks[core :: cores()] for core in range(min(cores(), len(self._blocks)))]

        def work(share: list[_Block]) -> None:
            for block in share:
                self._fit_block(block, C, tolerance)

        on_every_core(work, shares)

    def _fit_block(self, block: _Block, C: float, tolerance: float) -> None:
        x, n = self._features, self._features.shape[0]
        rng = np.random.default_rng(0)
        one_pass = pass_one if block.table.shape[2] == 1 else pass_eight
        for _ in range(MAX_PASSES):
            enough, gains = tolerance * block.reached, np.zeros_like(block.reached)
            one_pass(
                rng.permutation(n), x.indptr, x.indices, x.data, block.inside, self._totals, C, block.norms,
                block.table, block.betas, NEGLIGIBLE * enough / n, gains,
            )  # fmt: skip
            block.reached[:] += gains
            if (gains <= tolerance * block.reached).all():
                return

    def model(self) -> LinearModel:
        """Return what the last fit has come to."""
        table = np.concatenate([block.table[:, 0] for block in self._blocks], axis=1)[:, : len(self._told)]
        return LinearModel(np.ascontiguousarray(table[:-1]), np.ascontiguousarray(table[-1]))


def fit_one_vs_rest(
    features: sp.csr_array,
    labels: Targets,
    *,
    C: float,
    class_weight: ClassWeight = None,
    scale: Callable[[BoolArray | FloatArray], FloatArray] | None = None,
) -> LinearModel:
    """Fit one value of C; see `OneVsRest`."""
    problem = OneVsRest(features, labels, class_weight=class_weight, scale=scale)
    problem.fit(C)
    return problem.model()


class Best(NamedTuple):
    """The best of a path: C, the model, and its logits of the validation texts."""

    C: float
    model: LinearModel
    logits: FloatArray


def best_of_path(problem: OneVsRest, unseen: sp.csr_array, labels: Labels, metric: Metric) -> Best:
    """Walk from strong regularisation to weak; stop when the validation texts say that it gets worse.

    All of it costs about what one fit at the last value does, for each begins where the one before ended.

    Args:
        problem: not fitted yet.
        unseen: features of n validation texts (n, V).
        labels: their class indices (n,).
        metric: what is to be high; equals go to the lower log-loss.
    """
    best: tuple[tuple[float, float], Best] | None = None
    worse = 0
    for C in STRENGTHS:
        problem.fit(C, tolerance=COARSE)
        model = problem.model()
        logits = model.logits(unseen)
        score = _score(logits, labels, metric)
        if best is None or score > best[0]:
            best, worse = (score, Best(C, model, logits)), 0
        else:
            worse += 1
        if worse == PATIENCE:
            break
    assert best is not None
    return best[1]


def _score(logits: FloatArray, labels: Labels, metric: Metric) -> tuple[float, float]:
    """Return the metric and, after calibration, the mean log-likelihood."""
    answers = logits.argmax(axis=1)
    reached = (
        f1_score(labels, answers, average="macro") if metric == "macro_f1" else (answers == labels).mean()
    )
    likelihood = log_softmax(logits / fit_temperature(logits, labels), axis=1)[np.arange(len(labels)), labels]
    return float(reached), float(likelihood.mean())
