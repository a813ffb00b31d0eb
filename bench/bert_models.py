"""The encoders that the BERT benches race on: one set of weights, written as each contender wants them.

    made("4x256") -> Folders(home), made once and kept in bench/out

Texts are cut by BERT's own rules (folded, accents stripped), which every contender has, not by sopan-mini's.

* 4x256: sopan-mini, its 256 places repeated to 512, fine-tuned on 2,000 reviews: it tells good from bad.
* 6x384: random blocks under a head fitted to them, so that its answers, too, are not all alike.
* tiny: for a smoke.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock
from reviews import made_up, reviews

OUT = Path(__file__).with_name("out")
PLACES = 512
LENGTHS = (64, 256, PLACES)
LEARNT = 2000
"""Reviews that the 4x256 is fine-tuned on."""
SHOWN = 600
"""Other training reviews, half of which say how large the numbers of an int8 network grow."""
SIZES = {"tiny": (2, 32, 128), "4x256": (4, 256, 1024), "6x384": (6, 384, 1536)}
"""Depth, width and inner width."""
HEADS = {"tiny": 2, "4x256": 4, "6x384": 6}


class Folders(NamedTuple):
    """The same classifier for each contender.

    Args:
        home: what holds the others.
    """

    home: Path

    def sopan(self, length: int) -> Path:
        """Return our model folder, of the model that reads so many pieces, one of `LENGTHS`."""
        return self.home / f"sopan-{length}"

    @property
    def hugging_face(self) -> Path:
        """What `BertForSequenceClassification` loads."""
        return self.home / "hugging_face"

    @property
    def keras_hub(self) -> Path:
        """A preset of the backbone; `logits.npz` in it holds what its classifier adds."""
        return self.home / "keras_hub"


def made(shape: str) -> Folders:
    """Return a classifier's folders, made if they are not there, by one script at a time."""
    home = OUT / f"bert-{shape}"
    home.mkdir(parents=True, exist_ok=True)
    folders = Folders(home)
    with FileLock(home / "lock"):
        if not (home / "done").exists():
            estimator = _fine_tuned(home) if shape == "4x256" else _random(shape)
            _write(estimator, folders)
            (home / "done").touch()
    return folders


def in_bytes(folders: Folders, length: int) -> Path:
    """Return our model folder whose network is of bytes, exported if it is not there.

    It is shown training reviews that the network did not learn from, as a user has them at hand.
    """
    target = folders.home / f"sopan-{length}-int8"
    if not target.exists():
        from sopan.fit.export.runtimes import export_openvino  # noqa: PLC0415
        from sopan.text.arrow import as_texts  # noqa: PLC0415

        texts, _ = reviews("train", SHOWN, start=LEARNT)
        export_openvino(folders.sopan(length), target, as_texts(texts), "int8")
    return target


def _fine_tuned(home: Path) -> Any:
    from sopan.lm.hugging_face import save_hugging_face  # noqa: PLC0415
    from sopan.steps.bert import Bert  # noqa: PLC0415
    from sopan.steps.language_model import LanguageModel  # noqa: PLC0415
    from sopan.steps.presets import preset_bert  # noqa: PLC0415
    from sopan.text.wordpiece import WordPiece  # noqa: PLC0415

    mini = preset_bert("sopan-mini")
    config = replace(mini.config, max_length=PLACES)
    start = LanguageModel.make(config, WordPiece.of(mini.wordpiece.pieces), seed=0, pairs=mini.pairs)
    places = np.resize(mini.weights["positions/vectors"], (PLACES, config.width))
    start.set_weights(start.weights() | dict(mini.weights) | {"positions/vectors": places})
    save_hugging_face(start, home / "start", card="# sopan-mini with 512 places\n")
    texts, labels = reviews("train", LEARNT)
    estimator = Bert(
        preset=str(home / "start"), summary="cls", long_texts="head", epochs=2, precision="bfloat16"
    )
    return estimator.fit(texts, labels).set_params(precision="float32")


def _random(shape: str) -> Any:
    """Make a BERT of random weights; only its head learns, by logistic regression over what blocks say."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    from sopan.runtime.encoder_config import bert_config  # noqa: PLC0415
    from sopan.steps.bert import Bert  # noqa: PLC0415
    from sopan.steps.presets import preset_bert  # noqa: PLC0415
    from sopan.text.wordpiece import WordPiece  # noqa: PLC0415

    depth, width, inner = SIZES[shape]
    config = bert_config(width=width, depth=depth, heads=HEADS[shape], inner=inner, max_length=PLACES)
    texts, labels = made_up(60) if shape == "tiny" else reviews("train", 600)
    estimator = Bert(summary="cls", long_texts="head", max_length=PLACES)
    estimator.wordpiece_ = WordPiece.of(preset_bert("sopan-mini").wordpiece.pieces)
    estimator.config_, estimator.classes_, estimator.temperature_ = config, np.unique(labels), 1.0
    estimator.buckets_ = (32, 64, 128, 256, 384, PLACES)
    estimator._set_network(estimator._build(None))
    rng = np.random.default_rng(0)
    weights = estimator.state().arrays
    estimator._set_weights({
        path: rng.normal(0, 0.1, array.shape).astype(np.float32) if path.endswith(("kernel", "embeddings"))
        else array
        for path, array in weights.items()
    })  # fmt: skip
    fitted = LogisticRegression(C=1.0, max_iter=2000).fit(estimator.transform(texts), labels)
    kernel = np.stack([np.zeros(width), fitted.coef_[0]], axis=1).astype(np.float32)
    bias = np.array([0, fitted.intercept_[0]], np.float32)
    estimator._set_weights(estimator.state().arrays | {"logits/kernel": kernel, "logits/bias": bias})
    return estimator


def _write(estimator: Any, folders: Folders) -> None:
    from sopan.fit.artifact import save_model  # noqa: PLC0415
    from sopan.steps.language_model import LanguageModel  # noqa: PLC0415

    for length in LENGTHS:
        save_model(estimator.set_params(max_length=length), folders.sopan(length), data={}, metrics={})
    weights = dict(estimator.state().arrays)
    logits = {kind: weights.pop(f"logits/{kind}") for kind in ("kernel", "bias")}
    model = LanguageModel.make(estimator.config_, estimator.wordpiece_, seed=0, pairs=True)
    model.set_weights(model.weights() | weights)
    model.missing_heads = ("predict", "order")
    _write_keras_hub(model, folders.keras_hub)
    np.savez(folders.keras_hub / "logits.npz", **logits)
    _write_hugging_face(model, logits, estimator.classes_.tolist(), folders.hugging_face)


def _write_keras_hub(model: Any, folder: Path) -> None:
    """Let KerasHub write a preset of random weights, and put the model's in their place."""
    import h5py  # noqa: PLC0415
    from keras_hub.models import BertBackbone, BertTokenizer  # noqa: PLC0415

    from sopan.steps.bert_layout import keras_hub_name, to_hugging_face  # noqa: PLC0415

    config, rules = model.config, model.wordpiece.rules
    BertBackbone(
        vocabulary_size=len(model.wordpiece),
        num_layers=config.depth,
        num_heads=config.heads,
        hidden_dim=config.width,
        intermediate_dim=config.inner,
        max_sequence_length=config.max_length,
        dropout=config.dropout,
    ).save_to_preset(str(folder))
    BertTokenizer(
        vocabulary=list(model.wordpiece.pieces),
        lowercase=rules.lowercase,
        strip_accents=rules.accents == "strip",
    ).save_to_preset(str(folder))
    tensors = {name.removeprefix("bert."): a for name, a in to_hugging_face(model.weights()).items()}
    names: list[str] = []
    with h5py.File(folder / "model.weights.h5", "r+") as file:
        file.visit(names.append)
        for theirs in names:
            if ours := keras_hub_name(theirs):
                turned = ours.endswith(".weight") and not ours.endswith("_embeddings.weight")
                array = tensors[ours].T if turned else tensors[ours]
                file[theirs][...] = array.reshape(file[theirs].shape)


def _write_hugging_face(model: Any, logits: dict[str, Any], labels: list[str], folder: Path) -> None:
    """Write what `BertForSequenceClassification` loads: the encoder, and the classifier's tensors."""
    from safetensors.numpy import load_file, save_file  # noqa: PLC0415

    from sopan.lm.hugging_face import save_hugging_face  # noqa: PLC0415

    save_hugging_face(model, folder, card="# A classifier to measure\n", labels=labels)
    tensors = {f"bert.{name}": array for name, array in load_file(folder / "model.safetensors").items()}
    head = {"classifier.weight": logits["kernel"].T.copy(), "classifier.bias": logits["bias"]}
    save_file(tensors | head, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config["architectures"] = ["BertForSequenceClassification"]
    (folder / "config.json").write_text(json.dumps(config, indent=2))
