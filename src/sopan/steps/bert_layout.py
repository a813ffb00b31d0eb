"""BERT's weights under Hugging Face's names, in and out; and what Google and KerasHub call these.

Both hold the same numbers. A dense kernel is (in, out) here and (out, in) there; the kernels of queries, keys
and values stand side by side in one here and apart there. Here weights go by their path in
`build_language_model`; there, in a model with heads, the names of all but the heads begin with `bert.`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

import numpy as np

from sopan.errors import ModelFolderError
from sopan.runtime.encoder_config import EncoderConfig
from sopan.types import Array, Arrays

Shapes: TypeAlias = dict[str, tuple[int, ...]]

PREDICTS, POOLER, ORDERS = "cls.predictions.", "pooler.dense.", "cls.seq_relationship."
"""How the tensors of the masked-LM head, of the pooler and of the head for pairs begin."""
TIED = {
    "cls.predictions.decoder.weight": "embeddings.word_embeddings.weight",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
}
"""Tensors that some folders hold twice, under both names."""

_OLD_ENDINGS = {".gamma": ".weight", ".beta": ".bias"}
"""What the first checkpoints called the weights of a layer norm."""


# ---- Arrays --------------------------------------------------------------------------------------


def to_hugging_face(weights: Arrays) -> dict[str, Array]:
    """Return weights, given by our paths, under Hugging Face's names; tied ones once."""
    prefix = "bert." if any(path.startswith("predict/") for path in weights) else ""
    tensors: dict[str, Array] = {}
    for path, names in _names(weights):
        parts = np.split(weights[path], len(names), axis=-1)
        for name, part in zip(names, parts, strict=True):
            full = name if name.startswith("cls.") else prefix + name
            tensors[full] = np.ascontiguousarray(_turned(path, part))
    return tensors


def from_hugging_face(
    tensors: Arrays, shapes: Shapes, own_name: Callable[[str], str] = str
) -> tuple[dict[str, Array], list[str]]:
    """Return the weights of our paths, made of tensors with Hugging Face's names, and which were not used.

    All shapes are compared before any array is read.

    Args:
        tensors: by name; a leading `bert.` and the old names `gamma` and `beta` are understood.
        shapes: of each path.
        own_name: what the folder's architecture calls a tensor of BERT's; for messages.

    Raises:
        ModelFolderError: a tensor is missing or of another shape, or one that is tied differs from its twin.
    """
    found = {plain_name(name): name for name in tensors}
    sources: dict[str, list[str]] = {}
    for path, names in _names(shapes):
        *rest, last = shapes[path]
        part = last // len(names)
        like = (part, *rest) if path.endswith("/kernel") else (*rest, part)
        for name in names:
            if name not in found:
                raise ModelFolderError(
                    f"the weights lack {own_name(name)}", next_step="are they a model of this kind and depth?"
                )
            shape = tuple(tensors[found[name]].shape)
            if shape != like:
                raise ModelFolderError(f"{own_name(name)} has shape {shape} where the model has {like}")
        sources[path] = names
    for twin, name in TIED.items():
        if twin in found and name in found:
            _check_tied(tensors, found[twin], found[name])
    values = {
        path: np.concatenate([_turned(path, np.asarray(tensors[found[name]])) for name in names], axis=-1)
        for path, names in sources.items()
    }
    used = {found[name] for names in sources.values() for name in names}
    return values, sorted(set(tensors) - used - {found[twin] for twin in TIED if twin in found})


def language_model_shapes(config: EncoderConfig, vocabulary: int, *, pairs: bool) -> Shapes:
    """Return the shape of each weight of `build_language_model`, by path, without building it."""
    width, inner, embedded = config.width, config.inner, config.embedded
    shapes: Shapes = {
        "words/embeddings": (vocabulary, embedded),
        "positions/vectors": (config.max_length, embedded),
    }
    if config.segments:
        shapes["segment_vectors/embeddings"] = (config.segments, embedded)
    if config.buckets:
        shapes["distances/embeddings"] = (config.buckets, config.heads)
    dense = {"predict": (width, embedded)}
    if config.embedding_width is not None:
        dense["project"] = (embedded, width)
    if pairs:
        dense |= {"pooler": (width, width), "order": (width, 2)}
    norms = {"input_norm": embedded, "predict_norm": embedded}
    for i in range(config.depth):
        dense |= {
            f"block_{i}/attention/qkv": (width, 3 * width),
            f"block_{i}/attention/out": (width, width),
            f"block_{i}/feed_forward/up": (width, inner),
            f"block_{i}/feed_forward/down": (inner, width),
        }
        norms |= {f"block_{i}/attention_norm": width, f"block_{i}/feed_forward_norm": width}
    for layer, shape in dense.items():
        shapes |= {f"{layer}/kernel": shape, f"{layer}/bias": shape[1:]}
    for layer, wide in norms.items():
        shapes |= {f"{layer}/gamma": (wide,), f"{layer}/beta": (wide,)}
    return shapes | {"predict_bias/bias": (vocabulary,)}


def plain_name(name: str) -> str:
    """Return a tensor's name as today's `BertModel` has it."""
    name = name.removeprefix("bert.")
    for old, new in _OLD_ENDINGS.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def _check_tied(tensors: Arrays, twin: str, name: str) -> None:
    same = tuple(tensors[twin].shape) == tuple(tensors[name].shape)
    if not same or not np.array_equal(np.asarray(tensors[twin]), np.asarray(tensors[name])):
        raise ModelFolderError(
            f"{twin} is not {name}", next_step="a BERT whose output is tied to its word vectors can be read"
        )


# ---- Names ---------------------------------------------------------------------------------------


def _names(paths: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield the path of each of our weights with the tensors that it is made of, end to end."""
    for path in paths:
        *layers, kind = path.split("/")
        yield path, [f"{part}.{_KINDS[kind]}" for part in _layer(layers)]


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
    "predict": ["cls.predictions.transform.dense"],
    "predict_norm": ["cls.predictions.transform.LayerNorm"],
    "predict_bias": ["cls.predictions"],
    "order": ["cls.seq_relationship"],
    "project": ["embeddings_project"],
    "distances": ["encoder.relative_attention_bias"],
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


def _turned(path: str, part: Array) -> Array:
    """Turn a dense kernel from (in, out) to (out, in) or back; leave other weights as they are."""
    return part.T if path.endswith("/kernel") else part


# ---- Other libraries' names ----------------------------------------------------------------------

_KERAS_HUB = {
    "reversible_embedding": "embeddings.word_embeddings",
    "position_embedding": "embeddings.position_embeddings",
    "embedding": "embeddings.token_type_embeddings",
    "layer_normalization": "embeddings.LayerNorm",
    "dense": "pooler.dense",
    "masked_lm_head": "cls.predictions",
    "masked_lm_head/_intermediate_dense": "cls.predictions.transform.dense",
    "masked_lm_head/_intermediate_layer_norm": "cls.predictions.transform.LayerNorm",
}
_KERAS_HUB_IN_BLOCK = {
    **{f"_self_attention_layer/{part}_dense": f"attention.self.{part}" for part in ("query", "key", "value")},
    "_self_attention_layer/output_dense": "attention.output.dense",
    "_self_attention_layer_norm": "attention.output.LayerNorm",
    "_feedforward_intermediate_dense": "intermediate.dense",
    "_feedforward_output_dense": "output.dense",
    "_feedforward_layer_norm": "output.LayerNorm",
}


def google_name(name: str) -> str:
    """Return Hugging Face's name of a variable of Google's BERT: `bert/encoder/layer_0/…/kernel`."""
    name = name.replace("/layer_", "/layer.").replace("/", ".")
    name = name.replace("predictions.output_bias", "predictions.bias")
    name = name.replace(".output_weights", ".weight").replace(".output_bias", ".bias")
    if name.endswith(".kernel"):
        return name.removesuffix("kernel") + "weight"
    return f"{name}.weight" if name.endswith("_embeddings") else name


def keras_hub_name(name: str) -> str | None:
    """Return Hugging Face's name of a data set of KerasHub's: `layers/transformer_encoder_1/…/vars/0`.

    None: it is of no layer that a BERT has there.
    """
    layer, _, number = name.removeprefix("layers/").rpartition("/vars/")
    kind = "bias" if number == "1" or layer == "masked_lm_head" else "weight"
    if layer in _KERAS_HUB:
        return f"{_KERAS_HUB[layer]}.{kind}"
    block, _, part = layer.removeprefix("transformer_encoder").partition("/")
    if block == layer or part not in _KERAS_HUB_IN_BLOCK:
        return None
    return f"encoder.layer.{block.removeprefix('_') or 0}.{_KERAS_HUB_IN_BLOCK[part]}.{kind}"
