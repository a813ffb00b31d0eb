"""A network made ready by some runtime, and how texts of any length are led through it.

openvino, where it is installed -> onnxruntime, where that is -> keras: the network that was trained, itself
Clipped -> rectangles, longest texts first, each of about as many words -> program -> (N, K)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Protocol

import numpy as np

from sopan.errors import ConfigError
from sopan.options.classify import GraphPrecision
from sopan.runtime.network import Network, Output
from sopan.text.batch import UNKNOWN, Batch, Clipped, batches, open_length
from sopan.types import Float32Array, FloatArray, Int64Array

RECTANGLE_WORDS = 2048
"""Of a rectangle at most, padding included; from 1,024 to 4,096 all are alike: docs/adr/0009-runtime.md."""


class Program(Protocol):
    """A compiled network."""

    def run(self, rectangles: Iterable[Batch]) -> Iterator[tuple[Batch, tuple[Float32Array, ...]]]:
        """Lead rectangles of ids (B, T) and mask (B, T) through the network.

        Yields:
            Each with its outputs, those that the program was made for, in whichever order they are done.
            They may be taken one by one: no more than a few rectangles are held at a time.
        """


def run_program(program: Program, clipped: Clipped, width: int) -> FloatArray:
    """Return the first output of a program for N texts: (N, `width`) float64, in their order."""
    found = np.zeros((len(clipped.lengths), width))
    for batch, outputs in program.run(batches(clipped, plan_sorted(clipped.lengths))):
        found[batch.rows] = outputs[0][: len(batch.rows)]
    return found


def plan_sorted(lengths: Int64Array, words: int = RECTANGLE_WORDS) -> list[tuple[Int64Array, int, int]]:
    """Share N texts out into rectangles of neighbours in length, the longest texts first.

    A runtime makes a new shape ready in some milliseconds, and holds a megabyte or two for it ever after. So
    there are more shapes than in `sopan.text.batch.plan`, whose compiler makes a program of each, but few
    enough that a server has soon met them all.

    Args:
        lengths: (N,) words of each text.
        words: B · T of a rectangle, at most (but for one text longer than that).

    Returns:
        As `plan`: for each rectangle its texts (n,), B, a power of two, and T.
    """
    order = np.argsort(-lengths, kind="stable")
    found, start = [], 0
    while start < len(order):
        length = open_length(int(lengths[order[start]]))
        height = _height(len(order) - start, words // length)
        rows = order[start : start + height]
        found.append((rows, height, length))
        start += len(rows)
    return found


def shapes(most: int, words: int = RECTANGLE_WORDS) -> Iterator[tuple[int, int]]:
    """Yield B and T of all rectangles that `plan_sorted` makes of texts of at most `most` words."""
    length = 0
    while length < most:
        length = open_length(length + 1)
        for bits in range(max(1, words // length).bit_length()):
            yield 1 << bits, length


def settle(program: Program, most: int) -> Iterator[None]:
    """Make a program ready for all shapes of texts of at most `most` words, alone or not; one shape a turn.

    What a runtime holds for a shape it holds from the first time on: after this, its memory stays as it is.
    """
    for height, length in shapes(most):
        ids = np.full((height, length), UNKNOWN, np.int32)
        batch = Batch(ids, np.ones(ids.shape, bool), np.arange(height))
        for rectangles in ([batch], [batch, batch]):
            for _ in program.run(rectangles):
                pass
            yield


def _height(rows: int, most: int) -> int:
    """Return a power of two, at most `most` (or 1), so that at most a quarter of its rows stay empty."""
    height = 1 << max(0, most.bit_length() - 1)
    while 3 * height > 4 * rows:
        height //= 2
    return height


# ---- Which runtimes there are, in the order in which they are taken -----------------------------

VARIABLE = "SOPAN_RUNTIME"
"""Names the runtime of a process where nothing else does."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """What leads texts through networks.

    Args:
        needs: modules that must be installed.
        install: how to.
        precisions: what it can compute in.
        compile: makes a program. None: the network that was trained is the program, and is where it was.
    """

    needs: tuple[str, ...]
    install: str
    precisions: tuple[GraphPrecision, ...]
    compile: Callable[[Network, tuple[Output, ...], GraphPrecision], Program] | None

    @property
    def missing(self) -> list[str]:
        """Modules that are not installed."""
        return [module for module in self.needs if find_spec(module) is None]


def _openvino(network: Network, outputs: tuple[Output, ...], precision: GraphPrecision) -> Program:
    from sopan.runtime.openvino_program import OpenVINOProgram  # noqa: PLC0415  # only where it is installed

    return OpenVINOProgram.of(network, outputs, precision)


def _onnxruntime(network: Network, outputs: tuple[Output, ...], precision: GraphPrecision) -> Program:
    from sopan.runtime.onnx_program import ONNXProgram  # noqa: PLC0415  # only where it is installed

    return ONNXProgram.of(network, outputs)


RUNTIMES: Mapping[str, Runtime] = {
    "openvino": Runtime(("openvino",), "pip install openvino", ("float32", "bfloat16", "int8"), _openvino),
    "onnxruntime": Runtime(("onnxruntime", "onnx"), 'pip install "sopan[onnx]"', ("float32",), _onnxruntime),
    "keras": Runtime(("keras",), 'pip install "sopan[tensorflow]"', ("float32", "bfloat16"), None),
}
"""The first that is installed and computes in the precision asked for is taken."""


@cache
def cpu_has_bfloat16() -> bool:
    """Say whether this processor multiplies bfloat16 numbers itself, as far as OpenVINO is there to tell."""
    if RUNTIMES["openvino"].missing:
        return False
    from sopan.runtime.openvino_program import cpu_capabilities  # noqa: PLC0415  # only where it is installed

    return "BF16" in cpu_capabilities()


def choose_runtime(precision: GraphPrecision, runtime: str | None = None) -> str:
    """Return the name of the runtime to take.

    Args:
        precision: to compute in.
        runtime: a name, if one must be taken; else what `SOPAN_RUNTIME` names; else the first that can.

    Raises:
        ConfigError: there is none of that name, it is not installed, or it lacks the precision.
    """
    asked = runtime or os.environ.get(VARIABLE)
    if not asked:
        able = (n for n, one in RUNTIMES.items() if precision in one.precisions and not one.missing)
        if found := next(able, None):
            return found
        raise ConfigError(
            f"no runtime computes in {precision}", next_step=f"{RUNTIMES['openvino'].install}, or use float32"
        )
    if asked not in RUNTIMES:
        raise ConfigError(f"no runtime is called {asked!r}", next_step=f"runtimes: {', '.join(RUNTIMES)}")
    chosen = RUNTIMES[asked]
    if chosen.missing:
        raise ConfigError(f"{asked} needs {', '.join(chosen.missing)}", next_step=chosen.install)
    if precision not in chosen.precisions:
        raise ConfigError(
            f"{asked} does not compute in {precision}", next_step=f"it does in {', '.join(chosen.precisions)}"
        )
    return asked


def compile_network(
    network: Network,
    outputs: tuple[Output, ...] = ("logits",),
    *,
    precision: GraphPrecision = "float32",
    runtime: str | None = None,
) -> Program | None:
    """Make a network ready to read texts.

    Args:
        network: from `describe`.
        outputs: what is wanted of it; nothing else is computed.
        precision, runtime: see `choose_runtime`.

    Returns:
        None where the runtime is `keras`: whoever trained or loaded the network reads with it.

    Raises:
        ConfigError: see `choose_runtime`.
    """
    chosen = RUNTIMES[choose_runtime(precision, runtime)]
    return None if chosen.compile is None else chosen.compile(network, outputs, precision)
