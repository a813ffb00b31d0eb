"""Named arrays as `model.safetensors`: https://huggingface.co/docs/safetensors.

Written by the library. Read here, because the library copies every array and reads the file a second
time: these arrays are views of the very bytes whose hash was checked.

The file: 8 bytes with the header's length n (little-endian), n bytes of JSON
`{name: {dtype, shape, data_offsets: [begin, end]}}`, then the data, end to end.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from sopan.errors import ModelFolderError, damaged
from sopan.storage.manifest import Buffer
from sopan.storage.strict_json import parse_object
from sopan.types import Array, Arrays

DTYPES = {
    "BOOL": "bool",
    **{f"I{bits}": f"<i{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"U{bits}": f"<u{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"F{bits}": f"<f{bits // 8}" for bits in (16, 32, 64)},
}
"""The kinds of array a step may keep, under the names of the format."""

WEIGHT_KINDS = ("F16", "BF16", "F32", "F64")
"""The kinds of number that a weight may be made of, under the names of safetensors."""


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor that is not read yet; `np.asarray` reads it, as float32.

    Args:
        shape: its shape.
        kind: one of `WEIGHT_KINDS`, or another name where it holds something else.
        fetch: reads it.
    """

    shape: tuple[int, ...]
    kind: str
    fetch: Callable[[], Array]

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        if self.kind not in WEIGHT_KINDS:
            known = f"kinds that can be read: {', '.join(WEIGHT_KINDS)}"
            raise ModelFolderError(f"a weight is stored as {self.kind}", next_step=known)
        array = np.asarray(self.fetch(), np.float32 if dtype is None else dtype)
        if not np.isfinite(array).all():
            raise ModelFolderError("a weight is NaN or infinite", next_step="fetch the folder anew")
        return array


def write_tensors(arrays: Arrays, path: Path) -> None:
    """Write named arrays.

    Raises:
        ModelFolderError: an array is of a kind that cannot be written, such as strings or objects.
        OSError: the disk is full, or the file cannot be written.
    """
    for name, array in arrays.items():
        if array.dtype.newbyteorder("<") not in map(np.dtype, DTYPES.values()):
            raise ModelFolderError(f"the array {name!r} is of dtype {array.dtype}, which cannot be written")
    try:
        save_file({name: np.asarray(array, order="C") for name, array in arrays.items()}, path)
    except SafetensorError as error:  # the library's name for an OSError, its number in the message
        number = re.search(r"os error (\d+)", str(error))
        raise (OSError(int(number[1]), str(error)) if number else OSError(str(error))) from error
    path.chmod(path.parent.stat().st_mode & 0o666)  # the library lets nobody else read it


def read_tensors(content: Buffer, where: Path) -> dict[str, Array]:
    """Return named arrays as views of `content`.

    Args:
        content: all bytes of the file.
        where: the file, for error messages.

    Raises:
        ModelFolderError: the header does not account for the file's bytes exactly.
    """
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > len(content) - 8:
        raise damaged(where, "its header claims more bytes than the file has")
    header = parse_object(content[8 : 8 + length], where)
    header.pop("__metadata__", None)
    data = content[8 + length :]
    arrays, end = {}, 0
    for place in sorted(_place(name, entry, where) for name, entry in header.items()):
        if place.begin != end or place.end - end != math.prod(place.shape) * place.dtype.itemsize:
            raise damaged(where, f"the place of the array {place.name!r} does not fit its shape")
        end = place.end
        if end > len(data):
            break
        arrays[place.name] = np.frombuffer(data[place.begin : end], place.dtype).reshape(place.shape)
    if end != len(data):
        raise damaged(where, f"its header describes {end:,} bytes and the file holds {len(data):,}")
    return arrays


class _Place(NamedTuple):
    """Where an array of the header lies in the data."""

    begin: int
    end: int
    name: str
    dtype: np.dtype[np.generic]
    shape: list[int]


def _place(name: str, entry: object, where: Path) -> _Place:
    """Check one entry of the header."""
    match entry:
        case {"dtype": str(kind), "shape": [*shape], "data_offsets": [begin, end]} if kind in DTYPES:
            if all(type(number) is int and number >= 0 for number in (*shape, begin, end)):
                return _Place(begin, end, name, np.dtype(DTYPES[kind]), shape)
    raise damaged(where, f"the array {name!r} is not described as the format asks")


def open_safetensors(path: Path) -> dict[str, StoredTensor]:
    """Open one file; the library checks its header against the file's size."""
    try:
        opened: Any = safe_open(path, framework="numpy")
        slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118  # no mapping
    except (SafetensorError, OSError) as error:
        raise unreadable(path, error) from error

    def fetch(name: str) -> Callable[[], Array]:
        return lambda: np.asarray(opened.get_tensor(name))

    return {
        name: StoredTensor(tuple(found.get_shape()), str(found.get_dtype()), fetch(name))
        for name, found in slices.items()
    }


def unreadable(path: Path, error: Exception) -> ModelFolderError:
    """Return the error for a file of weights that a library refuses, with the library's first line."""
    reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return ModelFolderError(f"cannot be read ({reason})", where=str(path), next_step="fetch the file anew")
