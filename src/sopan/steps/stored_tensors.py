"""Named tensors on the disk, told by name, shape and kind before any is read.

Of `model.safetensors`, one file or several with an index; of `pytorch_model.bin`, weights only, by PyTorch;
of TensorFlow 1 checkpoints and of KerasHub, whose names and kernels are turned into Hugging Face's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sopan.errors import ModelFolderError
from sopan.steps.bert_layout import google_name, keras_hub_name
from sopan.storage.strict_json import read_json
from sopan.storage.tensors import StoredTensor, open_safetensors, unreadable
from sopan.training.quiet import quiet
from sopan.types import Array

KERAS_HUB = "model.weights.h5"
"""What KerasHub writes weights to."""
_WRAPPED = "module."
_KINDS = {"float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64"}


def stored_tensors(folder: Path) -> dict[str, StoredTensor]:
    """Find a folder's tensors, under Hugging Face's names; without what `DataParallel` puts before them all.

    Raises:
        ModelFolderError: there are none, they are damaged, or what reads them is not installed.
    """
    found = _stored(folder)
    if all(name.startswith(_WRAPPED) for name in found):
        return {name.removeprefix(_WRAPPED): tensor for name, tensor in found.items()}
    return found


def _stored(folder: Path) -> dict[str, StoredTensor]:
    if (folder / KERAS_HUB).is_file():
        return _keras_hub(folder)
    if (folder / "model.safetensors").is_file():
        return open_safetensors(folder / "model.safetensors")
    if (index := folder / "model.safetensors.index.json").is_file():
        return _sharded(index, open_safetensors)
    if (folder / "pytorch_model.bin").is_file():
        return _pytorch(folder / "pytorch_model.bin")
    if (index := folder / "pytorch_model.bin.index.json").is_file():
        return _sharded(index, _pytorch)
    checkpoints = sorted(folder.glob("*.index"))
    if len(checkpoints) == 1:
        return _checkpoint(checkpoints[0].with_suffix(""))
    if checkpoints:
        names = ", ".join(found.name for found in checkpoints[:3])
        raise ModelFolderError(
            f"holds {len(checkpoints)} checkpoints: {names}", where=str(folder), next_step="leave one there"
        )
    raise ModelFolderError(
        "holds no weights",
        where=str(folder),
        next_step=f"model.safetensors, pytorch_model.bin, bert_model.ckpt.* or {KERAS_HUB} are read",
    )


def _sharded(index: Path, read: Callable[[Path], dict[str, StoredTensor]]) -> dict[str, StoredTensor]:
    """Follow an index to the files beside it; each tensor is taken from the file that the index names."""
    listed = read_json(index).get("weight_map")
    if not isinstance(listed, dict) or not all(isinstance(file, str) for file in listed.values()):
        raise ModelFolderError("has no weight_map from tensors to files", where=str(index))
    files = {}
    for file in sorted(set(listed.values())):
        if Path(file).name != file or not (index.parent / file).is_file():
            raise ModelFolderError(f"names {file!r}, which is not there", where=str(index))
        files[file] = read(index.parent / file)
    for name, file in listed.items():
        if name not in files[file]:
            raise ModelFolderError(f"{file} lacks {name}", where=str(index))
    return {name: files[file][name] for name, file in listed.items()}


def _not_installed(path: Path, what: str, library: str, install: str) -> ModelFolderError:
    return ModelFolderError(f"is {what}, and {library} is not installed", where=str(path), next_step=install)


def _pytorch(path: Path) -> dict[str, StoredTensor]:
    """Read what PyTorch wrote, its weights only: nothing in the file is executed."""
    try:
        import torch  # noqa: PLC0415
    except ModuleNotFoundError as error:
        install = "pip install torch, or take a folder that has model.safetensors"
        raise _not_installed(path, "PyTorch's format", "PyTorch", install) from error
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip, runtime and OS errors: it raises them all
        raise unreadable(path, error) from error
    if not isinstance(tensors, dict):
        raise ModelFolderError("holds no named tensors", where=str(path))
    kinds = {torch.float16: "F16", torch.bfloat16: "BF16", torch.float32: "F32", torch.float64: "F64"}

    def fetch(tensor: torch.Tensor) -> Callable[[], Array]:
        return lambda: np.asarray(tensor.detach().float().numpy())

    return {
        str(name): StoredTensor(tuple(found.shape), kinds.get(found.dtype, str(found.dtype)), fetch(found))
        for name, found in tensors.items()
        if isinstance(found, torch.Tensor)
    }


def _checkpoint(prefix: Path) -> dict[str, StoredTensor]:
    """Read a TensorFlow 1 checkpoint; what the optimiser kept is passed over."""
    try:
        with quiet():
            import tensorflow as tf  # noqa: PLC0415
    except ModuleNotFoundError as error:
        install = "pip install tensorflow"
        raise _not_installed(prefix, "a TensorFlow checkpoint", "TensorFlow", install) from error
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    except Exception as error:  # TensorFlow's errors share no narrower base with ValueError and the like
        raise unreadable(prefix, error) from error

    def stored(name: str) -> StoredTensor:
        turned = name.endswith("/kernel")
        shape, kind = tuple(shapes[name]), dtypes[name].name

        def fetch() -> Array:
            array = np.asarray(reader.get_tensor(name))
            return array.T if turned else array

        return StoredTensor(shape[::-1] if turned else shape, _KINDS.get(kind, kind), fetch)

    return {
        google_name(name): stored(name)
        for name in shapes
        if name.startswith(("bert/", "cls/")) and not name.endswith(("/adam_m", "/adam_v"))
    }


def _keras_hub(folder: Path) -> dict[str, StoredTensor]:
    """Read what KerasHub wrote: the encoder, and the head that fills blanks from a file of its own."""
    try:
        import h5py  # type: ignore[import-untyped]  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise _not_installed(folder / KERAS_HUB, "KerasHub's format", "h5py", "pip install h5py") from error

    def stored(dataset: h5py.Dataset, name: str) -> StoredTensor:
        turned = name.endswith(".weight") and not name.endswith("_embeddings.weight")
        shape, kind = _heads_side_by_side(dataset.shape, name), dataset.dtype.name

        def fetch() -> Array:
            array = np.asarray(dataset).reshape(shape)
            return array.T if turned else array

        return StoredTensor(shape[::-1] if turned else shape, _KINDS.get(kind, kind), fetch)

    found: dict[str, StoredTensor] = {}
    for path in (folder / KERAS_HUB, folder / "task.weights.h5"):
        names: list[str] = []
        try:
            file = h5py.File(path)
            file.visit(names.append)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise unreadable(path, error) from error
        ours = {name: keras_hub_name(name) for name in names}
        found |= {name: stored(file[theirs], name) for theirs, name in ours.items() if name is not None}
    return found


def _heads_side_by_side(shape: tuple[int, ...], name: str) -> tuple[int, ...]:
    """Return the shape of a data set of KerasHub's once heads, which stand apart there, do not."""
    if name.endswith(".bias"):
        return (math.prod(shape),)
    if len(shape) < 3:
        return shape
    return (math.prod(shape[:2]), shape[2]) if ".output." in name else (shape[0], math.prod(shape[1:]))
