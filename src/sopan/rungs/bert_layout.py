"""BERT's weights under Hugging Face's names, in and out.

Both hold the same numbers. A dense kernel is (in, out) here and (out, in) there; the kernels of queries, keys
and values stand side by side in one here and apart there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import keras
import numpy as np
import numpy.typing as npt

from sopan.errors import ModelFolderError

Arrays: TypeAlias = Mapping[str, npt.NDArray[Any]]

_OLD_ENDINGS = {".gamma": ".weight", ".beta": ".bias"}
"""What the first checkpoints called the weights of a layer norm."""


def to_hugging_face(model: keras.Model) -> dict[str, npt.NDArray[Any]]:
    """Return the weights of a BERT under the names of `transformers.BertModel.state_dict()`.

    Args:
        model: from `sopan.rungs.encoder.build_bert`.
    """
    ours = {weight.path: weight for weight in model.weights}
    tensors: dict[str, npt.NDArray[Any]] = {}
    for path, theirs in _names(model):
        parts = np.split(ours[path].numpy(), len(theirs), axis=-1)
        tensors.update(
            zip(theirs, (np.ascontiguousarray(_turned(path, part)) for part in parts), strict=True)
        )
    return tensors


def from_hugging_face(model: keras.Model, tensors: Arrays) -> list[str]:
    """Give a BERT the weights of a `BertModel`, or of a model built around one.

    Args:
        model: from `sopan.rungs.encoder.build_bert`; set in place, if all the weights are there and fit.
        tensors: by name; a leading `bert.` and the old names `gamma` and `beta` are understood.

    Returns:
        The names that were not used: those of the heads.

    Raises:
        ModelFolderError: a tensor is missing or of another shape than the model asks for.
    """
    ours = {weight.path: weight for weight in model.weights}
    found = {_plain(name): name for name in tensors}
    values = {}
    for path, theirs in _names(model):
        *rest, last = ours[path].shape
        like = _turned(path, np.empty((*rest, last // len(theirs)), np.bool_)).shape
        parts = []
        for name in theirs:
            if name not in found:
                raise ModelFolderError(f"the weights lack {name}", next_step="is this a BERT of this depth?")
            part = np.asarray(tensors[found.pop(name)])
            if part.shape != like:
                raise ModelFolderError(f"{name} has shape {part.shape} where the model has {like}")
            parts.append(_turned(path, part))
        values[path] = np.concatenate(parts, axis=-1)
    for path, value in values.items():
        ours[path].assign(value)
    return sorted(found.values())


def _names(model: keras.Model) -> Iterator[tuple[str, list[str]]]:
    """Yield the path of each of our weights with the tensors that it is made of, end to end."""
    for weight in model.weights:
        *layers, kind = weight.path.split("/")
        yield weight.path, [f"{part}.{_KINDS[kind]}" for part in _layer(layers)]


_KINDS = {
    "embeddings": "weight",
    "vectors": "weight",
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "bias": "bias",
}

_LAYERS = {
    "words": ["embeddings.word_embeddings"],
    "positions": ["embeddings.position_embeddings"],
    "segment_vectors": ["embeddings.token_type_embeddings"],
    "input_norm": ["embeddings.LayerNorm"],
    "pooler": ["pooler.dense"],
}

_IN_BLOCK = {
    "attention/qkv": [f"attention.self.{part}" for part in ("query", "key", "value")],
    "attention/out": ["attention.output.dense"],
    "attention_norm": ["attention.output.LayerNorm"],
    "feed_forward/up": ["intermediate.dense"],
    "feed_forward/down": ["output.dense"],
    "feed_forward_norm": ["output.LayerNorm"],
}


def _layer(layers: list[str]) -> list[str]:
    """Return what Hugging Face calls one of our layers, given by its path."""
    if layers[0] in _LAYERS:
        return _LAYERS[layers[0]]
    number = layers[0].removeprefix("block_")
    return [f"encoder.layer.{number}.{part}" for part in _IN_BLOCK["/".join(layers[1:])]]


def _turned(path: str, part: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Turn a dense kernel from (in, out) to (out, in) or back; leave other weights as they are."""
    return part.T if path.endswith("/kernel") else part


def _plain(name: str) -> str:
    """Return a tensor's name as today's `BertModel` has it."""
    name = name.removeprefix("bert.")
    for old, new in _OLD_ENDINGS.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name
