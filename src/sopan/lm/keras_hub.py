"""A language model as a folder that `keras_hub.models.BertMaskedLM.from_preset` loads.

The layout is in `sopan.steps.keras_hub_folder`. KerasHub has no head for pairs, so that is left out; it has
a pooler always: a model without one gets the identity there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import keras
import numpy as np
import numpy.typing as npt

from sopan.errors import ConfigError
from sopan.lm.hugging_face import check_bert
from sopan.steps.keras_hub_folder import HEAD, SIZES, VOCABULARY, WEIGHTS, keras_hub_names
from sopan.steps.language_model import LanguageModel
from sopan.storage.atomic import replacing_folder
from sopan.text.wordpiece import CONTINUES, UNK
from sopan.types import Json

FILES = ("config.json", "tokenizer.json", "metadata.json", "assets", "task.json", WEIGHTS, HEAD)
"""Every name that a folder which is replaced may hold."""

_HOME = "keras_hub.src.models.bert."


def save_keras_hub(model: LanguageModel, folder: str | Path) -> None:
    """Write a language model as a KerasHub preset, in place of an older one if there is one.

    Args:
        model: a masked one, of BERT's kind; without a head that has learnt, the backbone alone is written.
        folder: where; its parents are made.

    Raises:
        ConfigError: KerasHub has no such model, or no such rule of cutting texts.
        ModelFolderError: another run is writing there, or `folder` holds other files.
        SopanError: the disk is full, or the folder cannot be written.
    """
    check_bert(model.config)
    if model.config.causal or model.wordpiece.rules.accents == "strip-alphabets":
        kind = "causal BERT" if model.config.causal else "cutting that strips accents from alphabets only"
        raise ConfigError(f"KerasHub has no {kind}", next_step="write it for Hugging Face")
    weights = model.weights()
    width = model.config.width
    weights.setdefault("pooler/kernel", np.eye(width, dtype=np.float32))
    weights.setdefault("pooler/bias", np.zeros(width, np.float32))
    size = sum(array.nbytes for array in weights.values()) + (1 << 20)
    with replacing_folder(Path(folder), bytes_needed=size, names=FILES) as new:
        (new / VOCABULARY).parent.mkdir(parents=True)
        (new / VOCABULARY).write_text("".join(f"{p}\n" for p in model.wordpiece.pieces), encoding="utf-8")
        for name, content in _descriptions(model).items():
            (new / name).write_text(f"{json.dumps(content, indent=2)}\n")
        _write(new / WEIGHTS, model, weights, head=False)
        if "predict" not in model.missing_heads:
            _write(new / HEAD, model, weights, head=True)


def _write(path: Path, model: LanguageModel, weights: dict[str, npt.NDArray[Any]], *, head: bool) -> None:
    with h5py.File(path, "w") as file:
        file.create_group("vars")
        for ours, parts in keras_hub_names(weights, model.config, head=head):
            arrays = np.split(weights[ours], len(parts), axis=-1)
            for (name, shape), array in zip(parts, arrays, strict=True):
                file[name] = array.reshape(shape) if shape else array


def _descriptions(model: LanguageModel) -> dict[str, Json]:
    config, wordpiece = model.config, model.wordpiece
    backbone = _described("bert_backbone", "BertBackbone") | {
        "config": {
            "vocabulary_size": len(wordpiece),
            **{theirs: getattr(config, ours) for theirs, ours in SIZES.items()},
            "dropout": config.dropout,
        }
    }
    rules = {
        "vocabulary": None,
        "lowercase": wordpiece.rules.lowercase,
        "strip_accents": wordpiece.rules.accents == "strip",
        "suffix_indicator": CONTINUES,
        "oov_token": UNK,
        "config_file": "tokenizer.json",
    }
    described: dict[str, Json] = {
        "config.json": backbone,
        "tokenizer.json": _described("bert_tokenizer", "BertTokenizer") | {"config": rules},
        "metadata.json": {"keras_version": keras.__version__, "tasks": ["MaskedLM"]},
    }
    if "predict" not in model.missing_heads:
        inner = {"backbone": backbone, "preprocessor": None, "name": "bert_masked_lm"}
        described["task.json"] = _described("bert_masked_lm", "BertMaskedLM") | {"config": inner}
    return described


def _described(module: str, name: str) -> dict[str, Json]:
    return {"module": _HOME + module, "class_name": name, "registered_name": f"keras_hub>{name}"}
