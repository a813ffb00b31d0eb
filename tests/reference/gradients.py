"""Gradients by the backend, and by moving each number a little, to hold the one to the other."""

from __future__ import annotations

import contextlib

import keras
import numpy as np

NEAR = 1e-8 if keras.backend.backend() == "tensorflow" else 1e-6
"""How near they are: on JAX and PyTorch Keras does some float64 sums in float32 (0.2 millionths seen)."""


@contextlib.contextmanager
def double_precision():
    """Let Keras make layers of float64 in the block."""
    before = keras.config.floatx()
    exact = contextlib.nullcontext()
    if keras.backend.backend() == "jax":
        import jax

        exact = jax.enable_x64(True)
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        with exact:
            yield
    finally:
        keras.config.set_floatx(before)
        keras.config.set_dtype_policy(before)


def gradients(function, arrays):
    """Return d function(*arrays) / d each array, as the backend finds it."""
    if keras.backend.backend() == "jax":
        import jax

        return [np.asarray(one) for one in jax.grad(function, argnums=tuple(range(len(arrays))))(*arrays)]
    if keras.backend.backend() == "torch":
        import torch

        tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
        return [one.numpy() for one in torch.autograd.grad(function(*tensors), tensors)]
    import tensorflow as tf

    tensors = [tf.constant(array) for array in arrays]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        value = function(*tensors)
    return [one.numpy() for one in tape.gradient(value, tensors)]


def slopes(function, arrays, step=1e-5):
    """Return the same by central differences."""
    found = [np.zeros_like(array) for array in arrays]
    for array, into in zip(arrays, found, strict=True):
        for place in np.ndindex(array.shape):
            kept = array[place]
            array[place] = kept + step
            high = float(function(*arrays))
            array[place] = kept - step
            low = float(function(*arrays))
            array[place] = kept
            into[place] = (high - low) / (2 * step)
    return found
