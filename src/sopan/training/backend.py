"""One step of learning and one forward pass, on whichever backend Keras runs.

Models are `keras.ops` only; what differs between TensorFlow, JAX and PyTorch is who takes the gradient and
who holds the variables meanwhile. That is all in this file.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported: it logs while loading

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import keras
import numpy as np

from sopan.text.batch import Clipped, batches, plan
from sopan.training.devices import make_shares
from sopan.types import FloatArray, Tensor

Tensors: TypeAlias = Sequence[Tensor]
"""Of the backend, or NumPy arrays in their place."""
Loss: TypeAlias = Callable[[Mapping[str, Tensor], Tensors], Tensor]
"""From a network's outputs and a batch's targets to one number, in `keras.ops`."""
Forward: TypeAlias = Callable[..., tuple[np.ndarray, ...]]
"""From NumPy inputs to some outputs of a network, as NumPy arrays."""


class Stepper(NamedTuple):
    """How to learn from one batch.

    Args:
        step: takes inputs and targets as NumPy arrays, changes the network, and returns the loss before it.
        settle: writes what was learnt back into the network's variables; needed before they are read.
        renew: takes the network's and the optimiser's variables up again after they were set from outside.
    """

    step: Callable[[Tensors, Tensors], float]
    settle: Callable[[], None]
    renew: Callable[[], None]


def make_stepper(
    network: keras.Model,
    loss: Loss,
    optimizer: keras.optimizers.Optimizer,
    *,
    xla: bool = False,
    shared: bool = False,
) -> Stepper:
    """Return how this backend learns from one batch: compiled where the backend compiles.

    Args:
        network, loss, optimizer: what learns, what is made small, and how.
        xla: on TensorFlow, compile by XLA, once for each shape of a batch. JAX always does, PyTorch never.
        shared: on JAX, share batches out among all devices: see `sopan.training.devices.Shares`.
    """
    optimizer.build(network.trainable_variables)
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return _tensorflow_stepper(network, loss, optimizer, xla)
    if backend == "jax":
        return _jax_stepper(network, loss, optimizer, shared)
    return _torch_stepper(network, loss, optimizer)


def make_forward(network: keras.Model, outputs: Sequence[str]) -> Forward:
    """Return a function from NumPy inputs to the named outputs, without dropout.

    Args:
        network: gives a dict of tensors.
        outputs: which of them; what only the others need is not computed where the backend compiles.
    """

    def call(inputs: Tensors) -> list[Tensor]:
        found = network(list(inputs), training=False)
        return [found[name] for name in outputs]

    backend = keras.backend.backend()
    if backend == "tensorflow":
        run = _traced(call)
    elif backend == "jax":
        run = _jax_forward(network, outputs)
    else:
        import torch  # noqa: PLC0415

        run = torch.no_grad()(call)

    def forward(*inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(keras.ops.convert_to_numpy(value) for value in run(inputs))

    return forward


def read_all(forward: Forward, clipped: Clipped, buckets: tuple[int, ...], width: int) -> FloatArray:
    """Apply the first output of a forward pass to N texts: (N, `width`) float64, in their order."""
    found = np.zeros((len(clipped.lengths), width))
    for batch in batches(clipped, plan(clipped.lengths, buckets)):
        found[batch.rows] = forward(batch.ids, batch.mask)[0][: len(batch.rows)]
    return found


# ---- TensorFlow: the variables change in place; one program takes every shape ----------------------------


def _traced(function: Callable[..., Tensor], xla: bool | None = None) -> Callable[..., Tensor]:
    """Compile a function of tuples of arrays for all shapes, with the types of its first call."""
    import tensorflow as tf  # noqa: PLC0415

    compiled: list[Callable[..., Tensor]] = []

    def run(*groups: Tensors) -> Tensor:
        if not compiled:
            shapes = [
                tuple(tf.TensorSpec([None] * np.ndim(array), np.asarray(array).dtype) for array in group)
                for group in groups
            ]
            compiled.append(tf.function(function, input_signature=shapes, jit_compile=xla))
        return compiled[0](*groups)

    return run


def _tensorflow_stepper(
    network: keras.Model, loss: Loss, optimizer: keras.optimizers.Optimizer, xla: bool
) -> Stepper:
    import tensorflow as tf  # noqa: PLC0415

    def step(inputs: Tensors, targets: Tensors) -> Tensor:
        with tf.GradientTape() as tape:
            value = loss(network(list(inputs), training=True), targets)
        variables = network.trainable_variables
        optimizer.apply(tape.gradient(value, variables), variables)
        return value

    compiled = _traced(step, xla or None)
    return Stepper(lambda inputs, targets: float(compiled(inputs, targets)), lambda: None, lambda: None)


# ---- JAX: the variables travel through a pure function, and come back on demand -------------------------

State: TypeAlias = tuple[Tensors, ...]
"""Of the weights that learn, of the network's other variables, of the optimiser's."""


def _jax_stepper(
    network: keras.Model, loss: Loss, optimizer: keras.optimizers.Optimizer, shared: bool
) -> Stepper:
    import jax  # noqa: PLC0415

    shares = make_shares() if shared else None
    on_each = None if shares is None else shares.on_each

    def value_of(
        trained: Tensors, fixed: Tensors, inputs: Tensors, targets: Tensors
    ) -> tuple[Tensor, Tensors]:
        found, fixed = network.stateless_call(trained, fixed, list(inputs), training=True)
        return loss(found, targets), fixed

    def step(state: State, inputs: Tensors, targets: Tensors) -> tuple[Tensor, State]:
        trained, fixed, memory = state
        (value, fixed), gradients = jax.value_and_grad(value_of, has_aux=True)(
            trained, fixed, inputs, targets
        )
        trained, memory = optimizer.stateless_apply(memory, gradients, trained)
        return value, (trained, fixed, memory)

    compiled = jax.jit(step, donate_argnums=0, out_shardings=on_each)
    groups = (network.trainable_variables, network.non_trainable_variables, optimizer.variables)
    state: list[State] = []

    def renew() -> None:
        copied = tuple([jax.numpy.array(variable.value) for variable in group] for group in groups)
        state[:] = [copied if on_each is None else jax.device_put(copied, on_each)]

    def settle() -> None:
        for group, values in zip(groups, state[0], strict=True):
            for variable, value in zip(group, values, strict=True):
                # A copy, on one device: the next step gives the state's memory away.
                variable.assign(jax.numpy.array(value.addressable_data(0)))

    def run(inputs: Tensors, targets: Tensors) -> float:
        if shares is not None:
            inputs, targets = shares.batch(inputs), shares.batch(targets)
        value, state[0] = compiled(state[0], inputs, targets)
        return float(value)

    renew()
    return Stepper(run, settle, renew)


def _jax_forward(network: keras.Model, outputs: Sequence[str]) -> Callable[..., Tensor]:
    import jax  # noqa: PLC0415

    @jax.jit  # type: ignore[untyped-decorator]
    def forward(trained: Tensors, fixed: Tensors, inputs: Tensors) -> list[Tensor]:
        found, _ = network.stateless_call(trained, fixed, list(inputs), training=False)
        return [found[name] for name in outputs]

    def run(inputs: Tensors) -> Tensor:
        groups = (network.trainable_variables, network.non_trainable_variables)
        return forward(*([variable.value for variable in group] for group in groups), inputs)

    return run


# ---- PyTorch: as written, step by step -------------------------------------------------------------------


def _torch_stepper(network: keras.Model, loss: Loss, optimizer: keras.optimizers.Optimizer) -> Stepper:
    import torch  # noqa: PLC0415

    def run(inputs: Tensors, targets: Tensors) -> float:
        network.zero_grad()
        tensors = tuple(map(keras.ops.convert_to_tensor, targets))  # torch leaves products with NumPy to it
        value = loss(network(list(inputs), training=True), tensors)
        value.backward()
        variables = network.trainable_variables
        with torch.no_grad():
            optimizer.apply([variable.value.grad for variable in variables], variables)
        return float(value.detach())

    return Stepper(run, lambda: None, lambda: None)
