"""Snapshots of training runs on disk, so that a run can go on after a crash as if there had been none.

One file a trial, `trial-0.safetensors`, …: the arrays, the position as JSON bytes, and a SHA-256 over both,
because one flipped bit in a weight would otherwise load unnoticed.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sopan.errors import ModelFolderError
from sopan.storage.atomic import replacing_file
from sopan.storage.strict_json import parse_object
from sopan.storage.tensors import read_tensors, write_tensors
from sopan.types import Arrays

POSITION, DIGEST = "position.json", "sha256"


class Snapshot(NamedTuple):
    """All that a run needs in order to go on as if it had not stopped.

    Args:
        arrays: by name: the variables of network and optimiser, and the best weights so far.
        position: where it was, and what it had found, as JSON values.
    """

    arrays: Arrays
    position: dict[str, Any]


class CheckpointFile:
    """One run's checkpoint.

    Args:
        path: the file; its folder is made when the first snapshot is written.
    """

    def __init__(self, path: Path):
        self.path = path

    def read(self) -> Snapshot | None:
        """Return the last snapshot, or None if there is no file.

        Raises:
            ModelFolderError: the file is damaged.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        arrays = {name: array.copy() for name, array in read_tensors(memoryview(content), self.path).items()}
        digest = arrays.pop(DIGEST, np.empty(0, np.uint8)).tobytes()
        if POSITION not in arrays or digest != _digest(arrays):
            raise ModelFolderError(
                "the checkpoint is damaged",
                where=str(self.path),
                next_step="delete it to train from the start",
            )
        position = parse_object(arrays.pop(POSITION).tobytes(), self.path)
        return Snapshot(arrays, position)

    def write(self, snapshot: Snapshot) -> None:
        """Put a snapshot in place of the last; a crash leaves one of the two.

        Raises:
            SopanError: the disk is full, or the file cannot be written.
        """
        arrays = dict(snapshot.arrays)
        arrays[POSITION] = np.frombuffer(json.dumps(snapshot.position).encode(), np.uint8)
        arrays[DIGEST] = np.frombuffer(_digest(arrays), np.uint8)
        with replacing_file(self.path) as new:
            write_tensors(arrays, new)


def _digest(arrays: Arrays) -> bytes:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype} {array.shape} ".encode())
        digest.update(array.tobytes())
    return digest.digest()
