"""A language model as a folder of Hugging Face's, which `transformers` loads.

    config.json, tokenizer.json, tokenizer_config.json, vocab.txt, model.safetensors, README.md

What `sopan.steps.bert_folder` read comes out as it went in, tensor for tensor. Heads that have learnt nothing
are not written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save
from tokenizers import Tokenizer, processors

from sopan.errors import ConfigError
from sopan.steps.bert_folder import HEADS
from sopan.steps.bert_layout import to_hugging_face
from sopan.steps.language_model import LanguageModel
from sopan.storage.atomic import replacing_folder
from sopan.storage.strict_json import dump_json
from sopan.text.piece_tokenizer import CLS, MASK, PAD, SEP, SPECIALS, UNK
from sopan.text.wordpiece import WordPiece
from sopan.types import Json

Stored = Literal["float32", "float16", "bfloat16"]
"""What weights are written as; half the bytes keep 3 or 2 digits of each."""

FILES = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "model.safetensors",
    "README.md",
    "training.json",
)
"""Every name that a folder which is replaced may hold."""


def save_hugging_face(
    model: LanguageModel,
    folder: str | Path,
    *,
    card: str,
    stored: Stored = "float32",
    labels: Sequence[str] = (),
    account: Mapping[str, Json] | None = None,
) -> int:
    """Write a language model as a Hugging Face folder, in place of an older one if there is one.

    Args:
        model: of BERT's kind.
        folder: where; its parents are made.
        card: README.md, in Markdown.
        stored: what the weights are written as.
        labels: names of classes, for `id2label`.
        account: how it was trained, for `training.json`; None: no such file.

    Returns:
        The size of its files in bytes.

    Raises:
        ConfigError: the model is no BERT, `stored` is unknown, or a weight is too large for it.
        ModelFolderError: another run is writing there, or `folder` holds other files.
        SopanError: the disk is full, or the folder cannot be written.
    """
    if stored not in get_args(Stored):
        raise ConfigError(
            f"weights cannot be stored as {stored!r}", next_step=f"as: {', '.join(get_args(Stored))}"
        )
    wordpiece = check_bert(model)
    files = {
        "config.json": dump_json(_config(model, stored, labels)),
        "tokenizer.json": dump_json(json.loads(with_template(wordpiece).to_str())),
        "tokenizer_config.json": dump_json(_tokenizer_config(model)),
        "vocab.txt": "".join(f"{piece}\n" for piece in model.wordpiece.pieces).encode(),
        "model.safetensors": save(_tensors(model, stored), metadata={"format": "pt"}),
        "README.md": card.encode(),
    }
    if account is not None:
        files["training.json"] = dump_json(account)
    size = sum(map(len, files.values()))
    with replacing_folder(Path(folder), bytes_needed=size, names=FILES) as new:
        for name, content in files.items():
            (new / name).write_bytes(content)
    return size


def with_template(wordpiece: WordPiece) -> Tokenizer:
    """Return the library's tokenizer that knows special pieces, and puts `[CLS]` and `[SEP]` around texts."""
    tokenizer = Tokenizer.from_str(wordpiece.tokenizer.to_str())
    tokenizer.add_special_tokens(list(SPECIALS))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{CLS}:0 $A:0 {SEP}:0",
        pair=f"{CLS}:0 $A:0 {SEP}:0 $B:1 {SEP}:1",
        special_tokens=[(piece, wordpiece.specials[piece]) for piece in (CLS, SEP)],
    )
    return tokenizer


def check_bert(model: LanguageModel) -> WordPiece:
    """Hold that a BERT, as other libraries know it, has what a model is made of; return what cuts its texts.

    Raises:
        ConfigError: it has not.
    """
    config, wordpiece = model.config, model.wordpiece
    if not isinstance(wordpiece, WordPiece) or config.buckets or config.embedding_width is not None:
        raise ConfigError(
            "only a BERT can be written, and this model is of another family",
            next_step="adapt a BERT, such as sopan-mini or minilm; or let bert read your texts: adapt_steps",
        )
    if (config.norm, config.positions, config.input_norm) != ("post", "learned", True) or not config.segments:
        raise ConfigError(
            "only a BERT can be written: normalised after each part and at the input, with "
            "learned positions and with segments",
            next_step="make its configuration with bert_config",
        )
    return wordpiece


def _tensors(model: LanguageModel, stored: Stored) -> dict[str, npt.NDArray[Any]]:
    weights = {
        path: value for path, value in model.weights().items() if not path.startswith(_left_out(model))
    }
    if stored == "bfloat16":
        import ml_dtypes  # noqa: PLC0415  # which NumPy then knows the name of; Keras brings it

        dtype = np.dtype(ml_dtypes.bfloat16)
    else:
        dtype = np.dtype(stored)
    with np.errstate(over="ignore"):
        tensors = {name: tensor.astype(dtype) for name, tensor in to_hugging_face(weights).items()}
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise ConfigError(f"{name} does not fit into {stored}", next_step="store float32")
    return tensors


def _left_out(model: LanguageModel) -> tuple[str, ...]:
    """Return how the paths of the heads that have learnt nothing begin."""
    return tuple(path for paths in HEADS.values() if paths[0][:-1] in model.missing_heads for path in paths)


def _config(model: LanguageModel, stored: Stored, labels: Sequence[str]) -> Mapping[str, Any]:
    config = model.config
    described: dict[str, Any] = {
        "architectures": [_architecture(model)],
        "model_type": "bert",
        "vocab_size": len(model.wordpiece),
        "hidden_size": config.width,
        "num_hidden_layers": config.depth,
        "num_attention_heads": config.heads,
        "intermediate_size": config.inner,
        "hidden_act": "gelu",
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.attention_dropout,
        "max_position_embeddings": config.max_length,
        "type_vocab_size": config.segments,
        "initializer_range": 0.02,
        "layer_norm_eps": config.epsilon,
        "pad_token_id": model.wordpiece.specials[PAD],
        "is_decoder": config.causal,
        "tie_word_embeddings": True,
        "dtype": stored,
    }
    if labels:
        described["id2label"] = {str(index): label for index, label in enumerate(labels)}
        described["label2id"] = {label: index for index, label in enumerate(labels)}
    return described


def _architecture(model: LanguageModel) -> str:
    """Return the class of `transformers` that has these heads and no others."""
    if "predict" in model.missing_heads:
        return "BertModel"
    if model.config.causal:
        return "BertLMHeadModel"
    return "BertForPreTraining" if model.pairs and "order" not in model.missing_heads else "BertForMaskedLM"


def _tokenizer_config(model: LanguageModel) -> Mapping[str, Any]:
    wordpiece = model.wordpiece
    # BertTokenizer knows of stripping all marks or none: other rules are in tokenizer.json alone.
    bert = wordpiece.rules.accents != "strip-alphabets" and not wordpiece.rules.breaks
    rules = {"do_lower_case": wordpiece.rules.lowercase, "strip_accents": wordpiece.rules.accents == "strip"}
    return {
        "tokenizer_class": "BertTokenizer" if bert else "PreTrainedTokenizerFast",
        **(rules | {"tokenize_chinese_chars": True} if bert else {}),
        "model_max_length": model.config.max_length,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        "pad_token": PAD,
        "unk_token": UNK,
        "cls_token": CLS,
        "sep_token": SEP,
        "mask_token": MASK,
    }
