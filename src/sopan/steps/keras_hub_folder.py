"""A BERT as KerasHub keeps it, read: `BertBackbone`, with the head of `BertMaskedLM` where there is one.

    config.json, tokenizer.json, assets/tokenizer/vocabulary.txt, model.weights.h5
    task.json, task.weights.h5    the head that fills blanks

KerasHub has no head for pairs. It approximates the GELU, which BERT was not trained with; here it is exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt

from sopan.errors import ConfigError, DataError, ModelFolderError
from sopan.steps.bert_folder import BertFolder
from sopan.steps.bert_layout import language_model_shapes
from sopan.steps.encoder_config import EncoderConfig, bert_config
from sopan.storage.strict_json import read_json
from sopan.text.wordpiece import WordPiece

WEIGHTS, HEAD, VOCABULARY = "model.weights.h5", "task.weights.h5", "assets/tokenizer/vocabulary.txt"
SIZES = {
    "hidden_dim": "width",
    "num_layers": "depth",
    "num_heads": "heads",
    "intermediate_dim": "inner",
    "max_sequence_length": "max_length",
    "num_segments": "segments",
}
"""What KerasHub calls the sizes of an `EncoderConfig`."""

_LAYERS = {
    "words": "reversible_embedding",
    "positions": "position_embedding",
    "segment_vectors": "embedding",
    "input_norm": "layer_normalization",
    "pooler": "dense",
}
_IN_BLOCK = {
    "attention/out": "_self_attention_layer/output_dense",
    "attention_norm": "_self_attention_layer_norm",
    "feed_forward/up": "_feedforward_intermediate_dense",
    "feed_forward/down": "_feedforward_output_dense",
    "feed_forward_norm": "_feedforward_layer_norm",
}
_IN_HEAD = {
    "predict": "/_intermediate_dense",
    "predict_norm": "/_intermediate_layer_norm",
    "predict_bias": "",
}
_NUMBERS = {"kernel": 0, "gamma": 0, "embeddings": 0, "vectors": 0, "bias": 1, "beta": 1}


def is_keras_hub(folder: Path) -> bool:
    """Tell whether a folder is KerasHub's."""
    return (folder / WEIGHTS).is_file() and (folder / "config.json").is_file()


def read_keras_hub(folder: str | Path) -> BertFolder:
    """Read a BERT of KerasHub's.

    Raises:
        ModelFolderError: it is damaged, or another kind of model.
    """
    folder = Path(folder)
    config, wordpiece = _config(folder), _wordpiece(folder)
    shapes = language_model_shapes(config, len(wordpiece), pairs=True)
    has_head = (folder / HEAD).is_file()
    try:
        with h5py.File(folder / WEIGHTS) as body:
            weights = _read(body, keras_hub_names(shapes, config, head=False), config)
        if has_head:
            with h5py.File(folder / HEAD) as head:
                weights |= _read(head, keras_hub_names(shapes, config, head=True), config)
    except (OSError, KeyError) as error:
        raise ModelFolderError(f"its weights cannot be read ({error})", where=str(folder)) from error
    for path, array in weights.items():
        if array.shape != shapes[path]:
            raise ModelFolderError(
                f"{path} has shape {array.shape} where the model has {shapes[path]}", where=str(folder)
            )
        if not np.isfinite(array).all():
            raise ModelFolderError(f"{path} is NaN or infinite", where=str(folder))
    missing_heads = ("order",) if has_head else ("predict", "order")
    return BertFolder(config, wordpiece, weights, True, missing_heads, (), ())


def keras_hub_names(
    paths: Mapping[str, Any], config: EncoderConfig, *, head: bool
) -> Iterator[tuple[str, list[tuple[str, tuple[int, ...]]]]]:
    """Yield each of our paths with the data sets that hold it, and their shapes where heads stand apart.

    Args:
        paths: ours.
        config: of the encoder.
        head: those of the masked-LM head, which are in a file of their own; else all but those of the heads.
    """
    each = (config.heads, config.width // config.heads)
    for path in paths:
        layer, _, kind = path.rpartition("/")
        if (layer in _IN_HEAD) is not head or layer == "order":
            continue
        number = 0 if layer == "predict_bias" else _NUMBERS[kind]
        if head:
            yield path, [(f"layers/masked_lm_head{_IN_HEAD[layer]}/vars/{number}", ())]
            continue
        if layer in _LAYERS:
            yield path, [(f"layers/{_LAYERS[layer]}/vars/{number}", ())]
            continue
        block, _, part = layer.removeprefix("block_").partition("/")
        inside = "layers/transformer_encoder" + (f"_{block}" if block != "0" else "")
        if part == "attention/qkv":
            shape = (config.width, *each) if kind == "kernel" else each
            names = [f"{inside}/_self_attention_layer/{one}_dense" for one in ("query", "key", "value")]
            yield path, [(f"{name}/vars/{number}", shape) for name in names]
        else:
            apart = (*each, config.width) if (part, kind) == ("attention/out", "kernel") else ()
            yield path, [(f"{inside}/{_IN_BLOCK[part]}/vars/{number}", apart)]


def _read(file: Any, names: Any, config: EncoderConfig) -> dict[str, npt.NDArray[np.float32]]:
    width, found = config.width, {}
    for path, parts in names:
        arrays = [np.asarray(file[name], np.float32) for name, _ in parts]
        if len(parts) == 3:
            arrays = [a.reshape((width, width) if path.endswith("/kernel") else (width,)) for a in arrays]
        elif parts[0][1]:
            arrays = [arrays[0].reshape(width, width)]
        found[path] = np.concatenate(arrays, axis=-1)
    return found


def _config(folder: Path) -> EncoderConfig:
    described, where = read_json(folder / "config.json"), str(folder / "config.json")
    if described.get("class_name") != "BertBackbone" or not isinstance(described.get("config"), dict):
        raise ModelFolderError(
            f"is a {described.get('class_name')}", where=where, next_step="a BertBackbone can be read"
        )
    values = described["config"]
    sizes = {ours: values.get(theirs) for theirs, ours in SIZES.items()}
    if any(type(size) is not int or not 1 <= size <= 1 << 20 for size in sizes.values()):
        raise ModelFolderError(f"has sizes that cannot be: {sizes}", where=where)
    try:
        dropout = float(values.get("dropout", 0.1))
        return bert_config(**sizes, dropout=dropout, attention_dropout=dropout)
    except (ConfigError, TypeError, ValueError) as error:
        raise ModelFolderError(str(error), where=where) from error


def _wordpiece(folder: Path) -> WordPiece:
    rules = read_json(folder / "tokenizer.json").get("config", {})
    strip = rules.get("strip_accents", False)
    try:
        return WordPiece.load(
            folder / VOCABULARY,
            lowercase=bool(rules.get("lowercase", False)),
            accents="strip" if strip else "keep",
        )
    except DataError as error:
        raise ModelFolderError(error.what, where=error.where, next_step=error.next_step) from error
