"""Lanes against NumPy: each thing that kernels do with several numbers at once."""

from __future__ import annotations

import numpy as np
import pytest

from sopan.kernels import float_kernel, simd

ERROR = {np.float32: 5e-6, np.float64: 1e-14}
"""Of the logistic function, relative: of e**-x mostly the rounding of x."""


@float_kernel
def combine(rows, out):
    a, b = simd.load(rows, 1, 3), simd.broadcast(rows[0, 0])
    simd.store(out, 0, 0, simd.add(a, b))
    simd.store(out, 1, 0, simd.subtract(a, b))
    simd.store(out, 2, 0, simd.multiply(a, b))
    simd.store(out, 3, 0, simd.add_product(a, a, b))
    simd.store(out, 4, 0, simd.logistic(a))
    simd.store(out, 5, 0, simd.unlike(rows, np.arange(simd.LANES).astype(np.int32), np.int32(3)))
    return simd.total(a)


@float_kernel
def turn(rows, out):
    simd.turn(rows, 1, 3, out, 2)


@pytest.mark.parametrize("dtype", ERROR)
def test_lanes_do_what_numpy_does(dtype):
    rows = (30 * np.random.default_rng(0).normal(size=(20, 25))).astype(dtype)
    out, a, b = np.zeros((6, simd.LANES), dtype), rows[1, 3 : 3 + simd.LANES], rows[0, 0]
    total = combine(rows, out)
    assert total == pytest.approx(a.sum(), rel=1e-5)
    exact = 1 / (1 + np.exp(-a.astype(np.float64)))
    np.testing.assert_allclose(out[4], exact, rtol=ERROR[dtype])
    for ours, theirs in zip(out, [a + b, a - b, a * b, a + a * b], strict=False):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    assert out[5].tolist() == [float(i != 3) for i in range(simd.LANES)]


@pytest.mark.parametrize("dtype", ERROR)
def test_a_turned_square_is_the_transpose(dtype):
    rows = np.random.default_rng(1).normal(size=(20, 25)).astype(dtype)
    out = np.zeros((simd.LANES + 3, simd.LANES), dtype)
    turn(rows, out)
    np.testing.assert_array_equal(out[2:-1], rows[1 : 1 + simd.LANES, 3 : 3 + simd.LANES].T)
    assert not out[:2].any()
    assert not out[-1].any()


@pytest.mark.parametrize("dtype", ERROR)
def test_scores_without_bounds_give_chances_within_bounds(dtype):
    edges = np.array([np.inf, -np.inf, 1e30, -1e30, 0.0, 100, -100] + [0.0] * 18, dtype)
    rows, out = np.vstack([edges, np.roll(edges, 3)]), np.zeros((6, simd.LANES), dtype)
    combine(rows, out)
    np.testing.assert_allclose(out[4, :7], [1, 0, 1, 0, 0.5, 1, 0], atol=1e-30)
