"""What a step costs, measured the same way for every step.

Throughput is over the whole test set in one call; latency is one text at a time, after a warm-up, through
the same `predict_texts` that is served; memory is the high-water mark of the step's own process.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa

from sopan.fit.scores import Latency
from sopan.steps.base import Step

WARM_UP, LATENCY_TEXTS = 20, 300


def latency_ms(estimator: Step, texts: pa.LargeStringArray, rng: np.random.Generator) -> Latency:
    """Time single texts drawn from N."""
    drawn = texts.take(pa.array(rng.integers(0, len(texts), WARM_UP + LATENCY_TEXTS)))
    seconds = []
    for text in drawn.to_pylist():
        started = time.perf_counter()
        estimator.predict_texts([text])
        seconds.append(time.perf_counter() - started)
    p50, p95, p99 = np.percentile(np.array(seconds[WARM_UP:]) * 1e3, [50, 95, 99])
    return Latency(p50=float(p50), p95=float(p95), p99=float(p99))


def peak_rss_mb() -> float:
    """Return the most memory this process has held at once, in MB (10^6 bytes).

    Linux keeps the mark of a parent in `ru_maxrss` across fork and exec, so `VmHWM` is read there; Windows
    has a mark of its own.
    """
    if sys.platform == "linux":
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    if sys.platform == "win32":
        return float(psutil.Process().memory_info().peak_wset / 1e6)
    import resource  # noqa: PLC0415  # not on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
