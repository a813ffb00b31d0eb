"""A folder that holds a BERT or its like, as Hugging Face, Google or KerasHub lay it out, read.

    config.json or bert_config.json           sizes
    tokenizer.json, or vocab.txt; tokenizer_config.json       how texts are cut
    model.safetensors, pytorch_model.bin, bert_model.ckpt.* or *.weights.h5   see `sopan.steps.stored_tensors`

What is like BERT, `sopan.steps.families` lists. All sizes are compared before any weight is read. A head that
the folder lacks keeps its initial weights, and the model says so: see `LanguageModel.missing_heads`. KerasHub
has no head for pairs, and approximates the GELU, which BERT was not trained with; here it is exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sopan.errors import ConfigError, ModelFolderError
from sopan.runtime.encoder_config import EncoderConfig, bert_config
from sopan.steps.bert_layout import (
    ORDERS,
    POOLER,
    PREDICTS,
    from_hugging_face,
    language_model_shapes,
    plain_name,
)
from sopan.steps.families import Family, family_of
from sopan.steps.folder_tokenizer import read_tokenizer
from sopan.steps.stored_tensors import KERAS_HUB, stored_tensors
from sopan.storage.strict_json import read_json
from sopan.storage.tensors import StoredTensor
from sopan.text.piece_tokenizer import PieceTokenizer
from sopan.types import Float32Array

if TYPE_CHECKING:  # reading a folder needs no Keras
    from sopan.options.language import Precision
    from sopan.steps.language_model import LanguageModel

CONFIGS = ("config.json", "bert_config.json")
HEADS = {
    PREDICTS: ("predict/", "predict_norm/", "predict_bias/"),
    ORDERS: ("order/",),
}
"""The weights of each head, by how Hugging Face's names and our paths begin."""

_SIZES = {  # name: (argument of `bert_config`, default, least, most)
    "hidden_size": ("width", 768, 1, 1 << 16),
    "num_hidden_layers": ("depth", 12, 1, 1 << 10),
    "num_attention_heads": ("heads", 12, 1, 1 << 10),
    "intermediate_size": ("inner", 3072, 1, 1 << 18),
    "max_position_embeddings": ("max_length", 512, 3, 1 << 20),
    "type_vocab_size": ("segments", 2, 1, 1 << 10),
}
_SHARES = {  # name: (argument of `bert_config`, default, less than)
    "hidden_dropout_prob": ("dropout", 0.1, 1.0),
    "attention_probs_dropout_prob": ("attention_dropout", 0.1, 1.0),
    "layer_norm_eps": ("epsilon", 1e-12, 1e-2),
}
_FIXED = {"hidden_act": "gelu", "tie_word_embeddings": True, "pruned_heads": {}}
"""What a model has that can be read, where its configuration speaks of it; further: `Family.fixed`."""
_KERAS_HUB = {
    "vocab_size": "vocabulary_size",
    "hidden_size": "hidden_dim",
    "num_hidden_layers": "num_layers",
    "num_attention_heads": "num_heads",
    "intermediate_size": "intermediate_dim",
    "max_position_embeddings": "max_sequence_length",
    "type_vocab_size": "num_segments",
}
"""What KerasHub calls these sizes."""
MOST_PADDING = 128
"""Rows beyond the vocabulary that weights may have: some are padded to a multiple that suits a processor."""
_OF_PIECES = ("cls.predictions.decoder.weight", "cls.predictions.decoder.bias", "cls.predictions.bias")


@dataclass(frozen=True, eq=False)
class BertFolder:
    """What a folder holds.

    Args:
        model_type: which of `sopan.steps.families.FAMILIES` it is.
        config: of the encoder.
        wordpiece: cuts texts.
        weights: by path, as `LanguageModel.weights` gives them; those of missing heads are not among them.
        pairs: whether there is a pooler.
        missing_heads: heads that are missing: `predict`, `order`.
        labels: names of classes, where the configuration lists some; else empty.
        unused: names of further tensors, such as those of a classifier.
    """

    model_type: str
    config: EncoderConfig
    wordpiece: PieceTokenizer
    weights: Mapping[str, Float32Array]
    pairs: bool
    missing_heads: tuple[str, ...]
    labels: tuple[str, ...]
    unused: tuple[str, ...]

    def language_model(self, *, seed: int = 0, precision: Precision = "float32") -> LanguageModel:
        """Make the language model.

        Args:
            seed: decides the weights of heads that the folder lacks, and the dropout.
            precision: what it computes in.
        """
        from sopan.steps.language_model import LanguageModel  # noqa: PLC0415  # brings Keras in

        model = LanguageModel.make(
            self.config, self.wordpiece, seed=seed, pairs=self.pairs, precision=precision
        )
        model.set_weights((model.weights() if self.missing_heads else {}) | dict(self.weights))
        model.missing_heads = self.missing_heads
        return model


def read_bert_folder(folder: str | Path) -> BertFolder:
    """Read a folder that holds a BERT.

    Raises:
        ModelFolderError: there is none, it is damaged, or it is another kind of model.
    """
    folder = Path(folder)
    described, found = _described(folder)
    try:
        config = encoder_config(described)
    except ConfigError as error:
        raise ModelFolderError(error.what, where=str(found), next_step=error.next_step) from error
    family = family_of(described)
    wordpiece = read_tokenizer(folder, family.specials)
    size = described.get("vocab_size", len(wordpiece))
    if type(size) is not int or not len(wordpiece) <= size <= len(wordpiece) + MOST_PADDING:
        raise ModelFolderError(
            f"vocab_size is {size} and the vocabulary has {len(wordpiece)} pieces", where=str(found)
        )
    try:
        weights, pairs, missing_heads, unused = _weights(
            _renamed(stored_tensors(folder), family, described, len(wordpiece)),
            family,
            config,
            len(wordpiece),
        )
    except ModelFolderError as error:
        raise ModelFolderError(
            error.what, where=error.where or str(folder), next_step=error.next_step
        ) from error
    labels, model_type = _labels(described, found), described.get("model_type", "bert")
    return BertFolder(model_type, config, wordpiece, weights, pairs, missing_heads, labels, unused)


def read_folder_tokenizer(folder: Path) -> PieceTokenizer:
    """Read how a folder that holds a BERT cuts texts; its weights are left alone.

    Raises:
        ModelFolderError: there is none, or it is another kind of model.
    """
    described, found = _described(folder)
    try:
        specials = family_of(described).specials
    except ConfigError as error:
        raise ModelFolderError(error.what, where=str(found), next_step=error.next_step) from error
    return read_tokenizer(folder, specials)


def _described(folder: Path) -> tuple[dict[str, Any], Path]:
    """Return what a folder's configuration says, in Hugging Face's terms, and the file that says it."""
    found = next((folder / name for name in CONFIGS if (folder / name).is_file()), None)
    if found is None:
        what = "holds no config.json" if folder.is_dir() else "there is no such folder"
        raise ModelFolderError(what, where=str(folder), next_step="name a folder that holds a BERT")
    described = read_json(found)
    return (_keras_hub_config(described, found) if (folder / KERAS_HUB).is_file() else described), found


def encoder_config(described: Mapping[str, Any]) -> EncoderConfig:
    """Return the encoder that a `config.json` describes.

    Args:
        described: what the file says; what it leaves out is as in BERT-base.

    Raises:
        ConfigError: it is of no family that can be read, or a value cannot be.
    """
    family = family_of(described)
    described = family.bert_config(described)
    for name, expected in {**_FIXED, **family.fixed}.items():
        if (value := described.get(name, expected)) != expected:
            kind = described.get("model_type", "bert")
            raise ConfigError(
                f"{family.sizes.get(name, name)} is {value!r}",
                next_step=f"a {kind} model whose {name} is {expected!r} can be read",
            )
    values: dict[str, Any] = {}
    for name, (argument, default, least, most) in _SIZES.items():
        value, least = described.get(name, default), family.absent.get(name, least)  # noqa: PLW2901
        if type(value) is not int or not least <= value <= most:
            name = family.sizes.get(name, name)  # noqa: PLW2901  # as the file has it
            raise ConfigError(f"{name} is {value!r}", next_step=f"it is a whole number, {least} to {most}")
        values[argument] = value
    for name, (argument, share, limit) in _SHARES.items():
        value = described.get(name, share)
        if type(value) not in (int, float) or not 0 <= value < limit:
            raise ConfigError(f"{name} is {value!r}", next_step=f"it is 0 or more, and less than {limit}")
        values[argument] = float(value)
    causal = described.get("is_decoder", False)
    if type(causal) is not bool:
        raise ConfigError(f"is_decoder is {causal!r}", next_step="it is true or false")
    if family.offset:
        values["max_length"] -= _first_place(described)
    narrow = _embedding_width(described) if family.narrow else values["width"]
    return replace(
        bert_config(**values),
        causal=causal,
        buckets=family.buckets,
        embedding_width=None if narrow == values["width"] else narrow,
    )


def _embedding_width(described: Mapping[str, Any]) -> int:
    width = described.get("embedding_size", 128)
    if type(width) is not int or not 1 <= width <= 1 << 16:
        raise ConfigError(f"embedding_size is {width!r}", next_step="it is a whole number, 1 or more")
    return width


def _first_place(described: Mapping[str, Any]) -> int:
    """Return the first place that a text's piece has, in a family whose places begin behind padding's id."""
    padding = described.get("pad_token_id", 1)
    if type(padding) is not int or not 0 <= padding < described.get("max_position_embeddings", 512) - 3:
        raise ConfigError(f"pad_token_id is {padding!r}", next_step="it leaves places for a text")
    return padding + 1


def _keras_hub_config(described: Mapping[str, Any], where: Path) -> dict[str, Any]:
    """Say in Hugging Face's terms what KerasHub's `config.json` says."""
    values = described.get("config")
    if described.get("class_name") != "BertBackbone" or not isinstance(values, dict):
        raise ModelFolderError(
            f"is a {described.get('class_name')}", where=str(where), next_step="a BertBackbone can be read"
        )
    dropout = values.get("dropout", 0.1)
    sizes = {ours: values.get(theirs) for ours, theirs in _KERAS_HUB.items()}
    return {**sizes, "hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}


def _renamed(
    tensors: Mapping[str, StoredTensor], family: Family, described: Mapping[str, Any], vocabulary: int
) -> dict[str, StoredTensor]:
    """Give tensors BERT's names, and leave out places that no piece of a text has, and rows of no piece."""
    found = {family.bert_name(name): tensor for name, tensor in tensors.items()}
    name, first = "embeddings.position_embeddings.weight", _first_place(described) if family.offset else 0
    if first and name in found and len(found[name].shape) == 2:
        found[name] = _rows(found[name], first, found[name].shape[0])
    size = described.get("vocab_size", vocabulary)
    for name, tensor in found.items():
        of_pieces = name.endswith(("embeddings.word_embeddings.weight", *_OF_PIECES))
        if of_pieces and size > vocabulary and tensor.shape[:1] == (size,):
            found[name] = _rows(tensor, 0, vocabulary)
    return found


def _rows(table: StoredTensor, start: int, stop: int) -> StoredTensor:
    """Return some rows of a tensor."""
    shape = (max(0, stop - start), *table.shape[1:])
    return StoredTensor(shape, table.kind, lambda: table.fetch()[start:stop])


def _weights(
    tensors: Mapping[str, StoredTensor], family: Family, config: EncoderConfig, vocabulary: int
) -> tuple[dict[str, Float32Array], bool, tuple[str, ...], tuple[str, ...]]:
    """Return the weights, whether there is a pooler, the heads that are missing, and unused names."""
    names = [plain_name(name) for name in tensors]
    pairs = any(name.startswith(POOLER) for name in names)
    shapes = language_model_shapes(config, vocabulary, pairs=pairs)
    missing_heads = []
    for begins, paths in HEADS.items():
        if any(path.startswith(paths) for path in shapes) and not any(n.startswith(begins) for n in names):
            missing_heads.append(paths[0].removesuffix("/"))
            shapes = {path: shape for path, shape in shapes.items() if not path.startswith(paths)}
    weights, unused = from_hugging_face(tensors, shapes, family.own_name)  # type: ignore[arg-type]  # read when asked to be arrays
    kept = tuple(name for name in unused if not name.endswith("position_ids"))
    return weights, pairs, tuple(missing_heads), kept


def _labels(described: Mapping[str, Any], where: Path) -> tuple[str, ...]:
    """Return the names of classes in the order of their numbers, whichever these begin with."""
    listed = described.get("id2label")
    if listed is None:
        return ()
    try:
        return tuple(str(listed[number]) for number in sorted(listed, key=int))
    except (AttributeError, ValueError, TypeError) as error:
        raise ModelFolderError("id2label does not number the labels", where=str(where)) from error
