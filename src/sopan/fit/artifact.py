"""The model folder: a fitted step as files that any program can read and no program needs to execute.

    config.json         the step, its settings, label names, preprocessing, versions, data, metrics
    vocab.txt           one word a line, in id order (see `sopan.fit.words`)
    model.safetensors   the arrays
    README.md           the model card
    manifest.json       size and SHA-256 of the others

A step is rebuilt from its own class and these values: there is no pickle and no code in the folder.
The same fitted step gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sklearn.utils.validation import check_is_fitted

from sopan.errors import ModelFolderError
from sopan.fit.card import model_card
from sopan.fit.config import describe, rebuild
from sopan.fit.saved import MODEL_FILES, label_names, read_saved
from sopan.fit.words import encode_words
from sopan.steps import STEPS
from sopan.steps.base import Step
from sopan.storage.atomic import replacing_folder
from sopan.storage.manifest import write_manifest
from sopan.storage.strict_json import dump_json
from sopan.storage.tensors import write_tensors
from sopan.types import Json

__all__ = ["label_names", "load_model", "save_model"]


def save_model(
    estimator: Step,
    folder: str | Path,
    *,
    data: Mapping[str, Json],
    metrics: Mapping[str, Json],
    step: str | None = None,
) -> int:
    """Publish a fitted step as a model folder, in place of an older model if there is one.

    A crash, a full disk or a `kill -9` at any moment leaves the older model as it was.

    Args:
        estimator: a fitted step.
        folder: where; its parents are made.
        data: what it was trained on: name, fingerprint, counts of texts, as `data` in results.json.
        metrics: how good and how costly it is, as an entry of `steps` in results.json.
        step: its name with the variant, if it was asked for by one: `bow:counts`.

    Returns:
        The folder's size in bytes.

    Raises:
        ModelFolderError: another run is writing there, `folder` holds files that are not a model's,
            or the step holds something that cannot be written without pickle.
        SopanError: the disk is full, or the folder cannot be written.
    """
    check_is_fitted(estimator, "classes_")
    state, entry = estimator.state(), STEPS[estimator.name]
    config = describe(estimator, state, step or estimator.name) | {
        "data": dict(data),
        "metrics": dict(metrics),
    }
    files = {
        "config.json": _to_json(config),
        "vocab.txt": encode_words(state.words),
        "README.md": model_card(config, adds=entry.adds, lacks=entry.lacks).encode(),
    }
    needed = sum(map(len, files.values())) + sum(array.nbytes for array in state.arrays.values())
    with replacing_folder(Path(folder), bytes_needed=needed, names=MODEL_FILES) as new:
        for name, content in files.items():
            (new / name).write_bytes(content)
        write_tensors(state.arrays, new / "model.safetensors")
        return write_manifest(new)


def load_model(folder: str | Path, *, memory_map: bool = False) -> Step:
    """Rebuild the fitted step of a model folder, after every file has been verified.

    Args:
        folder: made by `save_model`.
        memory_map: map the arrays instead of copying them, so that processes share them.

    Raises:
        ModelFolderError: there is no model, it was damaged, or this version of sopan cannot read it.
    """
    return rebuild(read_saved(folder, memory_map=memory_map))


def _to_json(config: Mapping[str, Json]) -> bytes:
    try:
        return dump_json(config)
    except (TypeError, ValueError) as error:
        raise ModelFolderError(f"the labels, metrics or data are not plain JSON ({error})") from error
