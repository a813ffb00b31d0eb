"""What this machine can do at most: sums of products in float32, bfloat16 and int8, and bytes moved.

    python bench/limit.py [--smoke]

Matrix products are oneDNN's, through OpenVINO, at the shapes of these encoders' dense layers and at a large
one; the best of them is the ceiling. One product's kernel is constant, as weights are, so that it is packed
once. Memory is the triad `a = b + s * c` of J. McCalpin's STREAM (1995), by Numba on all cores.
"""

from __future__ import annotations

import os
import sys
import time
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from measure import report, table

THREADS = os.cpu_count() or 1
SHAPES = {
    "4x256 qkv": (4096, 256, 768),
    "4x256 up": (4096, 256, 1024),
    "4x256 down": (4096, 1024, 256),
    "6x384 up": (4096, 384, 1536),
    "6x384 down": (4096, 1536, 384),
    "large": (2048, 2048, 2048),
}
"""Rows, inner size and columns of each product."""
PRECISIONS = {"float32": "f32", "bfloat16": "bf16", "int8": "i8"}
SECONDS = 0.5
"""How long each is repeated; the quickest single run counts."""


class Limits(NamedTuple):
    """The machine's ceilings.

    Args:
        gemm: by precision, in multiply-adds counted as two operations, per second.
        triad: bytes a second, two arrays read and one written.
    """

    gemm: dict[str, float]
    triad: float


@cache
def limits(*, seconds: float = SECONDS) -> Limits:
    """Measure the ceilings, once in a process."""
    gemm = {
        precision: max(gemm_rate(*shape, precision, seconds=seconds) for shape in SHAPES.values())
        for precision in PRECISIONS
    }
    return Limits(gemm, triad_rate(seconds=seconds))


def gemm_rate(rows: int, inner: int, columns: int, precision: str, *, seconds: float = SECONDS) -> float:
    """Return operations a second of (rows, inner) times a constant (inner, columns)."""
    compiled = _compiled(rows, inner, columns, precision)
    request = compiled.create_infer_request()
    request.infer({0: np.random.default_rng(0).random((rows, inner), np.float32)})
    return 2 * rows * inner * columns / _quickest(request.infer, seconds)


def _compiled(rows: int, inner: int, columns: int, precision: str) -> Any:
    import openvino as ov  # noqa: PLC0415
    from openvino import opset13 as op  # noqa: PLC0415

    kernel = np.random.default_rng(1).random((inner, columns), np.float32) - 0.5
    given = op.parameter([rows, inner], np.float32)
    if precision == "int8":
        left = op.fake_quantize(given, *map(np.float32, (-1.28, 1.27, -1.28, 1.27)), levels=256)
        right = op.multiply(
            op.convert(op.constant((kernel * 254).astype(np.int8)), "f32"), np.float32(1 / 254)
        )
    else:
        left, right = given, op.constant(kernel)
    # A maximum over columns is next to nothing beside the product, and spares writing it out as float32.
    result = op.reduce_max(op.matmul(left, right, False, False), np.array([1]))
    model = ov.Model([result], [given])
    hint = "bf16" if precision == "bfloat16" else "f32"
    return ov.Core().compile_model(
        model, "CPU", {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": THREADS}
    )


def triad_rate(*, seconds: float = SECONDS, size: int = 1 << 25) -> float:
    """Return bytes a second that the triad moves."""
    import numba  # noqa: PLC0415

    @numba.njit(parallel=True, fastmath=True)
    def triad(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
        for i in numba.prange(len(a)):
            a[i] = b[i] + 3 * c[i]

    a, b, c = np.zeros(size), np.ones(size), np.ones(size)
    triad(a, b, c)
    return 3 * a.nbytes / _quickest(lambda: triad(a, b, c), seconds)


def _quickest(work: Any, seconds: float) -> float:
    best, until = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < until:
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best


def main() -> None:
    seconds = 0.02 if "--smoke" in sys.argv[1:] else SECONDS
    rates = {
        name: {precision: gemm_rate(*shape, precision, seconds=seconds) for precision in PRECISIONS}
        for name, shape in SHAPES.items()
    }
    rows = [(name, "x".join(map(str, SHAPES[name])), *(f"{rate / 1e9:.0f}" for rate in of.values()))
            for name, of in rates.items()]  # fmt: skip
    table("matrix products, GFLOP/s (int8: GOP/s)", [("layer", "shape", *PRECISIONS), *rows])
    triad = triad_rate(seconds=seconds, size=1 << (20 if seconds < SECONDS else 25))
    table("memory", [("triad GB/s",), (f"{triad / 1e9:.1f}",)])
    for precision in PRECISIONS:
        best = max(of[precision] for of in rates.values())
        of_float32 = max(of["float32"] for of in rates.values())
        report(
            f"limit: {precision} matrix product",
            peer_name="float32",
            ours=best / 1e9,
            peer=of_float32 / 1e9,
            ratio=best / of_float32,
            bar=None,
            unit="GFLOP/s",
            threads=THREADS,
        )
    report("limit: memory", peer_name="", ours=triad / 1e9, peer=None, ratio=None, bar=None, unit="GB/s")


if __name__ == "__main__":
    main()
