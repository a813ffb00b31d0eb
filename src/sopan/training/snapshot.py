"""What every run keeps in order to go on: the variables, and a digest that tells the run from others."""

from __future__ import annotations

import hashlib
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from sopan.errors import ConfigError
from sopan.training.backend import Stepper
from sopan.training.recipe import Snapshot


def run_digest(network: keras.Model, *parts: Any) -> str:
    """Return a digest of a network's shapes, of the versions at work, and of what else makes a run.

    Args:
        network: as built.
        *parts: bytes, or what `repr` tells apart.
    """
    shapes = [tuple(variable.shape) for variable in network.variables]
    digest = hashlib.sha256(repr((keras.__version__, keras.backend.backend(), shapes)).encode())
    for part in parts:
        digest.update(part if isinstance(part, bytes) else repr(part).encode())
    return digest.hexdigest()


class Variables:
    """The variables of a network and of its optimiser, as a snapshot has them."""

    def __init__(self, network: keras.Model, optimizer: keras.optimizers.Optimizer, stepper: Stepper):
        self._all = [*network.variables, *optimizer.variables]
        self._stepper = stepper

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return copies of their values."""
        self._stepper.settle()
        return {f"now.{i}": np.array(ops.convert_to_numpy(v.value)) for i, v in enumerate(self._all)}

    def go_on(self, snapshot: Snapshot, run: str) -> None:
        """Take the values of a snapshot.

        Args:
            snapshot: its position says under `run` whose it is.
            run: the digest of this run.

        Raises:
            ConfigError: it is another run's.
        """
        if snapshot.position["run"] != run:
            raise ConfigError(
                "the checkpoint is of another run: its texts, settings, seed or versions differ",
                next_step="run the command as it was, or name another folder",
            )
        for i, variable in enumerate(self._all):
            variable.assign(snapshot.arrays[f"now.{i}"])
        self._stepper.renew()
