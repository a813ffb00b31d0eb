"""The weights of a network by their paths: read, and set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from sopan.errors import ModelFolderError


def weights_of(network: keras.Model) -> dict[str, npt.NDArray[Any]]:
    """Return a copy of every weight by its path."""
    return {weight.path: np.array(keras.ops.convert_to_numpy(weight.value)) for weight in network.weights}


def set_weights(
    network: keras.Model, arrays: Mapping[str, npt.NDArray[Any]], *, spared: tuple[str, ...] = ()
) -> None:
    """Set weights by their paths, all or, where one does not fit, none. Arrays of other paths are left.

    Args:
        network: takes them.
        arrays: by path.
        spared: beginnings of paths whose weights stay as they are if there is no array for them.

    Raises:
        ModelFolderError: one is missing, or of another shape.
    """
    for weight in network.weights:
        if weight.path in arrays:
            shape = arrays[weight.path].shape
            if shape != tuple(weight.shape):
                raise ModelFolderError(f"{weight.path} has shape {shape}, not {tuple(weight.shape)}")
        elif not weight.path.startswith(spared):
            raise ModelFolderError(f"the weights lack {weight.path}")
    for weight in network.weights:
        if weight.path in arrays:
            weight.assign(arrays[weight.path])
