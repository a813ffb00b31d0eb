"""Hot loops in numba: pure functions on arrays, each with a slow reference in the tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

P = ParamSpec("P")
Result = TypeVar("Result")
Number = TypeVar("Number", bound=np.generic)


def kernel(function: Callable[P, Result]) -> Callable[P, Result]:
    """Compile at first use, keep the machine code on disk, and run without the GIL."""
    return cast(Callable[P, Result], numba.njit(cache=True, nogil=True)(function))


def float_kernel(function: Callable[P, Result]) -> Callable[P, Result]:
    """Compile as `kernel` does; sums may be reordered (SIMD), and a division by zero gives no error."""
    fast = {"reassoc", "contract", "nsz"}
    compiled = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=fast)(function)
    return cast(Callable[P, Result], compiled)


@kernel
def doubled(array: npt.NDArray[Number], size: int) -> npt.NDArray[Number]:
    """Return an array (n,) as it is if it has room for `size`, else with twice that room."""
    if size <= len(array):
        return array
    wider = np.empty(2 * size, array.dtype)
    for i in range(len(array)):  # assigning slices works too, and takes seconds to compile
        wider[i] = array[i]
    return wider


@kernel
def splitmix64(x: np.uint64) -> np.uint64:
    """Scramble 64 bits, a bijection: one step of SplitMix64 (Steele, Lea & Flood 2014)."""
    x = np.uint64(x) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
