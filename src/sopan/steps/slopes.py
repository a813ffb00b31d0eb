"""How a network's logits change with its word vectors: the one thing that Keras leaves to each backend."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple, TypeAlias

import keras
import numpy as np
from keras import ops

from sopan.types import BoolArray, Float32Array


class Slope(NamedTuple):
    """What a network says of B texts, and where it is steep.

    Args:
        logits: (B, C) float32.
        gradient: (B, T, D) float32, of the weighed sum of each row's logits by its own vectors.
        attention: for each layer that attends, (B, H, Q, T), as the backend has it.
    """

    logits: Float32Array
    gradient: Float32Array
    attention: list[Any]


Slopes: TypeAlias = Callable[[Float32Array, BoolArray, Float32Array], Slope]
"""From vectors (B, T, D), mask (B, T) and the weights of the logits (B, C)."""

_MADE: weakref.WeakKeyDictionary[Any, Slopes] = weakref.WeakKeyDictionary()
"""What was compiled for a network, for as long as it lives: compiling takes longer than running."""


def slopes_of(body: keras.Model) -> Slopes:
    """Return how to differentiate a network, compiled where the backend compiles.

    Args:
        body: `[vectors (B, T, D), mask (B, T)]` to `logits` (B, C), `attention` and more.
    """
    if body not in _MADE:
        by_backend = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
        run = by_backend[keras.backend.backend()](weakref.proxy(body))
        _MADE[body] = lambda *inputs: _as_arrays(*run(*inputs))
    return _MADE[body]


def _as_arrays(found: Mapping[str, Any], gradient: Any) -> Slope:
    logits, slope = (np.asarray(ops.convert_to_numpy(x), np.float32) for x in (found["logits"], gradient))
    return Slope(logits, slope, found["attention"])


def _tensorflow(body: Any) -> Callable[..., tuple[Mapping[str, Any], Any]]:
    tf: Any = import_module("tensorflow")

    def run(vectors: Any, mask: Any, weights: Any) -> tuple[Mapping[str, Any], Any]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(vectors)
            found = body([vectors, mask], training=False)
            total = tf.reduce_sum(found["logits"] * weights)
        return found, tape.gradient(total, vectors, unconnected_gradients="zero")

    width, classes = body.inputs[0].shape[-1], body.output["logits"].shape[-1]
    shapes = (([None, None, width], "float32"), ([None, None], "bool"), ([None, classes], "float32"))
    compiled: Callable[..., tuple[Mapping[str, Any], Any]] = tf.function(
        run, input_signature=[tf.TensorSpec(*shape) for shape in shapes]
    )
    return compiled


def _jax(body: Any) -> Callable[..., tuple[Mapping[str, Any], Any]]:
    jax: Any = import_module("jax")

    def total(vectors: Any, trained: Any, fixed: Any, mask: Any, weights: Any) -> tuple[Any, Any]:
        found, _ = body.stateless_call(trained, fixed, [vectors, mask], training=False)
        return (found["logits"] * weights).sum(), found

    compiled = jax.jit(jax.value_and_grad(total, has_aux=True))

    def run(vectors: Any, mask: Any, weights: Any) -> tuple[Mapping[str, Any], Any]:
        groups = (body.trainable_variables, body.non_trainable_variables)
        values = [[variable.value for variable in group] for group in groups]
        (_, found), gradient = compiled(vectors, *values, mask, weights)
        return found, gradient

    return run


def _torch(body: Any) -> Callable[..., tuple[Mapping[str, Any], Any]]:
    torch: Any = import_module("torch")

    def run(vectors: Any, mask: Any, weights: Any) -> tuple[Mapping[str, Any], Any]:
        inputs = ops.convert_to_tensor(vectors).detach().requires_grad_()
        with torch.enable_grad():
            found = body([inputs, ops.convert_to_tensor(mask)], training=False)
            total = (found["logits"] * ops.convert_to_tensor(weights)).sum()
        return found, torch.autograd.grad(total, inputs)[0]

    return run
