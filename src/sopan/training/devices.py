"""What a step of learning runs on: compiled by XLA or not, on one device or on several.

On JAX the rows of a batch are shared out among the devices and the weights lie on each; XLA makes one program
of it and adds the devices' gradients up. Keras' own sharing on TensorFlow is not ready for use.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from sopan.errors import ConfigError

_COMPILES = {"jax": True, "torch": False}
"""Backends that leave no choice."""


def choose_xla(wanted: bool | None) -> bool:
    """Return whether XLA compiles a step: as wanted, or where there is a GPU if that is None.

    On CPUs TensorFlow's own kernels are faster than what XLA makes.

    Raises:
        ConfigError: the backend has no such choice.
    """
    backend = keras.backend.backend()
    if backend not in _COMPILES:
        return _count_gpus() > 0 if wanted is None else wanted
    if wanted not in (None, _COMPILES[backend]):
        raise ConfigError(
            f"{backend} {'always' if _COMPILES[backend] else 'never'} compiles by XLA",
            next_step="leave the choice out, or run with KERAS_BACKEND=tensorflow",
        )
    return _COMPILES[backend]


def check_rows(rows: int) -> None:
    """Hold that the rows of a batch can be shared out among all devices.

    Raises:
        ConfigError: they do not divide.
    """
    devices = len(_jax_devices())
    if devices and rows % devices:
        raise ConfigError(
            f"{rows} rows of a batch cannot be shared out evenly among {devices} devices",
            next_step=f"give {-(-rows // devices) * devices} rows, or hide devices (CUDA_VISIBLE_DEVICES)",
        )


def idle_gpus() -> str:
    """Say in a line that this backend leaves GPUs idle; empty where it does not."""
    backend = keras.backend.backend()
    gpus = 0 if backend == "jax" else _count_gpus()
    return f"{backend} uses 1 of {gpus} GPUs; KERAS_BACKEND=jax uses all" if gpus > 1 else ""


class Shares:
    """Where the arrays of a step lie on several devices of JAX.

    Args:
        devices: of JAX.
    """

    def __init__(self, devices: Sequence[object]):
        from jax.sharding import Mesh, NamedSharding, PartitionSpec  # noqa: PLC0415

        mesh = Mesh(np.array(devices), ("rows",))
        self.count = len(devices)
        self.on_each = NamedSharding(mesh, PartitionSpec())
        self.by_rows = NamedSharding(mesh, PartitionSpec("rows"))

    def batch(self, arrays: Sequence[np.ndarray]) -> list[object]:
        """Share arrays out by their first axis, filled up with zeros until it divides.

        In a batch of a language model zeros count for nothing: their weight is 0 too. Places in B · T stay
        right, as they count through the whole batch wherever its rows lie.
        """
        import jax  # noqa: PLC0415

        return [jax.device_put(self._filled(np.asarray(array)), self.by_rows) for array in arrays]

    def _filled(self, array: np.ndarray) -> np.ndarray:
        missing = -len(array) % self.count
        return np.pad(array, [(0, missing), *[(0, 0)] * (array.ndim - 1)]) if missing else array


def make_shares() -> Shares | None:
    """Return how arrays are shared out among all devices of JAX, or None where there is one."""
    devices = _jax_devices()
    return Shares(devices) if len(devices) > 1 else None


def _jax_devices() -> list[object]:
    """Return the devices that JAX would use; none on another backend."""
    if keras.backend.backend() != "jax":
        return []
    import jax  # noqa: PLC0415

    return list(jax.local_devices())


def _count_gpus() -> int:
    """Return how many GPUs TensorFlow or PyTorch sees."""
    if keras.backend.backend() == "torch":
        import torch  # noqa: PLC0415

        return int(torch.cuda.device_count())
    import tensorflow as tf  # noqa: PLC0415

    return len(tf.config.list_physical_devices("GPU"))
