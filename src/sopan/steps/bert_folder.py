"""A folder that holds a BERT, as Hugging Face, Google or KerasHub lay it out, read.

    config.json or bert_config.json           sizes
    tokenizer.json, or vocab.txt with tokenizer_config.json   how texts are cut
    model.safetensors, pytorch_model.bin, bert_model.ckpt.* or *.weights.h5   see `sopan.steps.stored_tensors`

All sizes are compared before any weight is read. A head that the folder lacks keeps its initial weights, and
the model says so: see `LanguageModel.missing_heads`. KerasHub has no head for pairs, and approximates the
GELU, which BERT was not trained with; here it is exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sopan.errors import ConfigError, DataError, ModelFolderError
from sopan.runtime.encoder_config import EncoderConfig, bert_config
from sopan.steps.bert_layout import (
    ORDERS,
    POOLER,
    PREDICTS,
    from_hugging_face,
    language_model_shapes,
    plain_name,
)
from sopan.steps.stored_tensors import KERAS_HUB, stored_tensors
from sopan.storage.strict_json import read_json
from sopan.storage.tensors import StoredTensor
from sopan.text.piece_rules import Accents
from sopan.text.wordpiece import WordPiece
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
_FIXED = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
    "add_cross_attention": False,
    "tie_word_embeddings": True,
    "pruned_heads": {},
}
"""What a BERT has that can be read, where its configuration speaks of it."""
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


@dataclass(frozen=True, eq=False)
class BertFolder:
    """What a folder holds.

    Args:
        config: of the encoder.
        wordpiece: cuts texts.
        weights: by path, as `LanguageModel.weights` gives them; those of missing heads are not among them.
        pairs: whether there is a pooler.
        missing_heads: heads that are missing: `predict`, `order`.
        labels: names of classes, where the configuration lists some; else empty.
        unused: names of further tensors, such as those of a classifier.
    """

    config: EncoderConfig
    wordpiece: WordPiece
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
    found = next((folder / name for name in CONFIGS if (folder / name).is_file()), None)
    if found is None:
        what = "holds no config.json" if folder.is_dir() else "there is no such folder"
        raise ModelFolderError(what, where=str(folder), next_step="name a folder that holds a BERT")
    described = read_json(found)
    if (folder / KERAS_HUB).is_file():
        described = _keras_hub_config(described, found)
    try:
        config = encoder_config(described)
    except ConfigError as error:
        raise ModelFolderError(error.what, where=str(found), next_step=error.next_step) from error
    wordpiece = read_wordpiece(folder)
    size = described.get("vocab_size", len(wordpiece))
    if size != len(wordpiece):
        raise ModelFolderError(
            f"vocab_size is {size} and the vocabulary has {len(wordpiece)} pieces", where=str(found)
        )
    try:
        weights, pairs, missing_heads, unused = _weights(stored_tensors(folder), config, len(wordpiece))
    except ModelFolderError as error:
        raise ModelFolderError(
            error.what, where=error.where or str(folder), next_step=error.next_step
        ) from error
    return BertFolder(config, wordpiece, weights, pairs, missing_heads, _labels(described, found), unused)


def encoder_config(described: Mapping[str, Any]) -> EncoderConfig:
    """Return the encoder that a BERT's `config.json` describes.

    Args:
        described: what the file says; what it leaves out is as in BERT-base.

    Raises:
        ConfigError: it is no BERT, or a value cannot be.
    """
    for name, expected in _FIXED.items():
        if (value := described.get(name, expected)) != expected:
            raise ConfigError(
                f"{name} is {value!r}", next_step=f"a BERT whose {name} is {expected!r} can be read"
            )
    values: dict[str, Any] = {}
    for name, (argument, default, least, most) in _SIZES.items():
        value = described.get(name, default)
        if type(value) is not int or not least <= value <= most:
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
    return replace(bert_config(**values), causal=causal)


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


def read_wordpiece(folder: Path) -> WordPiece:
    """Read how a BERT's folder cuts texts: from `tokenizer.json`, else from `vocab.txt`.

    Without a `tokenizer_config.json`, a `vocab.txt` that has capital letters is taken to be cased.

    Raises:
        ModelFolderError: there is neither, or they are not WordPiece's.
    """
    try:
        if (folder / KERAS_HUB).is_file():
            wordpiece = _from_keras_hub(folder)
        elif (folder / "tokenizer.json").is_file():
            wordpiece = WordPiece.load(folder / "tokenizer.json")
        elif (folder / "vocab.txt").is_file():
            wordpiece = _from_vocabulary(folder)
        else:
            raise DataError("holds neither tokenizer.json nor vocab.txt", where=str(folder))
    except DataError as error:
        raise ModelFolderError(error.what, where=error.where, next_step=error.next_step) from error
    if further := wordpiece.tokenizer.get_vocab_size(with_added_tokens=True) - len(wordpiece):
        raise ModelFolderError(
            f"adds {further} tokens to the vocabulary of {len(wordpiece)}",
            where=str(folder / "tokenizer.json"),
            next_step="a BERT without further tokens can be read",
        )
    return wordpiece


def _from_vocabulary(folder: Path) -> WordPiece:
    path = folder / "tokenizer_config.json"
    rules = read_json(path) if path.is_file() else {}
    if rules.get("tokenize_chinese_chars", True) is not True:
        raise ModelFolderError("tokenize_chinese_chars is off, which cannot be read", where=str(path))
    strip = rules.get("strip_accents")
    accents: Accents | None = None if strip is None else "strip" if strip else "keep"
    lowercase = rules.get("do_lower_case")
    if lowercase is None:
        wordpiece = WordPiece.load(folder / "vocab.txt")
        ordinary = (piece for piece in wordpiece.pieces if not piece.startswith("["))
        lowercase = not any("A" <= letter <= "Z" for piece in ordinary for letter in piece)
    return WordPiece.load(folder / "vocab.txt", lowercase=bool(lowercase), accents=accents)


def _from_keras_hub(folder: Path) -> WordPiece:
    rules = read_json(folder / "tokenizer.json").get("config", {})
    accents: Accents = "strip" if rules.get("strip_accents", False) else "keep"
    return WordPiece.load(
        folder / "assets" / "tokenizer" / "vocabulary.txt",
        lowercase=bool(rules.get("lowercase", False)),
        accents=accents,
    )


def _weights(
    tensors: Mapping[str, StoredTensor], config: EncoderConfig, vocabulary: int
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
    weights, unused = from_hugging_face(tensors, shapes)  # type: ignore[arg-type]  # read when asked to be arrays
    kept = tuple(name for name in unused if not name.endswith("position_ids"))
    return weights, pairs, tuple(missing_heads), kept


def _labels(described: Mapping[str, Any], where: Path) -> tuple[str, ...]:
    """Return the names of classes in the order of their numbers."""
    listed = described.get("id2label")
    if listed is None:
        return ()
    try:
        return tuple(str(listed[str(index)]) for index in range(len(listed)))
    except (KeyError, TypeError) as error:
        raise ModelFolderError("id2label does not number the labels from 0", where=str(where)) from error
