"""Named tensors on the disk, told by name, shape and kind before any is read.

Of `model.safetensors`, one file or several with an index; of `pytorch_model.bin`, weights only, by PyTorch;
of TensorFlow 1 checkpoints, whose names and kernels are turned into Hugging Face's.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sopan.errors import ModelFolderError
from sopan.storage.strict_json import read_json
from sopan.storage.tensors import Stored, open_safetensors, unreadable
from sopan.training.quiet import quiet


def stored_tensors(folder: Path) -> dict[str, Stored]:
    """Find a folder's tensors, under Hugging Face's names.

    Raises:
        ModelFolderError: there are none, they are damaged, or what reads them is not installed.
    """
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
        next_step="model.safetensors, pytorch_model.bin or bert_model.ckpt.* are read",
    )


def _sharded(index: Path, read: Callable[[Path], dict[str, Stored]]) -> dict[str, Stored]:
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


def _pytorch(path: Path) -> dict[str, Stored]:
    """Read what PyTorch wrote, its weights only: nothing in the file is executed."""
    try:
        import torch  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ModelFolderError(
            "is PyTorch's format, and PyTorch is not installed",
            where=str(path),
            next_step="pip install torch, or take a folder that has model.safetensors",
        ) from error
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip, runtime and OS errors: it raises them all
        raise unreadable(path, error) from error
    if not isinstance(tensors, dict):
        raise ModelFolderError("holds no named tensors", where=str(path))
    kinds = {torch.float16: "F16", torch.bfloat16: "BF16", torch.float32: "F32", torch.float64: "F64"}

    def fetch(tensor: Any) -> Callable[[], npt.NDArray[Any]]:
        return lambda: np.asarray(tensor.detach().float().numpy())

    return {
        str(name): Stored(tuple(tensor.shape), kinds.get(tensor.dtype, str(tensor.dtype)), fetch(tensor))
        for name, tensor in tensors.items()
        if isinstance(tensor, torch.Tensor)
    }


def _checkpoint(prefix: Path) -> dict[str, Stored]:
    """Read a TensorFlow 1 checkpoint; what the optimiser kept is passed over."""
    try:
        with quiet():
            import tensorflow as tf  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ModelFolderError(
            "is a TensorFlow checkpoint, and TensorFlow is not installed",
            where=str(prefix),
            next_step="pip install tensorflow",
        ) from error
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    except Exception as error:  # TensorFlow's errors share no narrower base with ValueError and the like
        raise unreadable(prefix, error) from error
    kinds = {tf.float16: "F16", tf.bfloat16: "BF16", tf.float32: "F32", tf.float64: "F64"}

    def stored(name: str) -> Stored:
        turned = name.endswith("/kernel")
        shape = tuple(shapes[name])

        def fetch() -> npt.NDArray[Any]:
            array = np.asarray(reader.get_tensor(name))
            return array.T if turned else array

        return Stored(shape[::-1] if turned else shape, kinds.get(dtypes[name], dtypes[name].name), fetch)

    return {
        hugging_face_name(name): stored(name)
        for name in shapes
        if name.startswith(("bert/", "cls/")) and not name.endswith(("/adam_m", "/adam_v"))
    }


def hugging_face_name(name: str) -> str:
    """Return Hugging Face's name of a variable of Google's BERT: `bert/encoder/layer_0/…/kernel`."""
    name = name.replace("/layer_", "/layer.").replace("/", ".")
    name = name.replace("predictions.output_bias", "predictions.bias")
    name = name.replace(".output_weights", ".weight").replace(".output_bias", ".bias")
    if name.endswith(".kernel"):
        return name.removesuffix("kernel") + "weight"
    return f"{name}.weight" if name.endswith("_embeddings") else name
