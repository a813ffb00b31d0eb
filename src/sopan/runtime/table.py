"""Which runtimes there are, in the order in which they are taken.

openvino, where it is installed -> onnxruntime, where that is -> keras: the network that was trained, itself
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from sopan.errors import ConfigError
from sopan.runtime.network import Network, Output, Precision
from sopan.runtime.program import Program

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
    precisions: tuple[Precision, ...]
    compile: Callable[[Network, tuple[Output, ...], Precision], Program] | None

    @property
    def missing(self) -> list[str]:
        """Modules that are not installed."""
        return [module for module in self.needs if find_spec(module) is None]


def _openvino(network: Network, outputs: tuple[Output, ...], precision: Precision) -> Program:
    from sopan.runtime.openvino_program import OpenVINOProgram  # noqa: PLC0415  # only where it is installed

    return OpenVINOProgram.of(network, outputs, precision)


def _onnxruntime(network: Network, outputs: tuple[Output, ...], precision: Precision) -> Program:
    from sopan.runtime.onnx_program import ONNXProgram  # noqa: PLC0415  # only where it is installed

    return ONNXProgram.of(network, outputs)


RUNTIMES: Mapping[str, Runtime] = {
    "openvino": Runtime(("openvino",), "pip install openvino", ("float32", "bfloat16", "int8"), _openvino),
    "onnxruntime": Runtime(("onnxruntime", "onnx"), "pip install 'sopan[onnx]'", ("float32",), _onnxruntime),
    "keras": Runtime(("keras",), "pip install keras tensorflow", ("float32", "bfloat16"), None),
}
"""The first that is installed and computes in the precision asked for is taken."""


def choose_runtime(precision: Precision, runtime: str | None = None) -> str:
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
    precision: Precision = "float32",
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
