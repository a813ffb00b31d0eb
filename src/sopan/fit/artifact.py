"""The model folder: a fitted step as files that any program can read and no program needs to execute.

    config.json         the step, its settings, label names, preprocessing, versions, data, metrics
    vocab.txt           one word a line, in id order (see `sopan.fit.saved`)
    model.safetensors   the arrays
    README.md           the model card
    manifest.json       size and SHA-256 of the others
    members/NAME/       of a step that is made of steps: the folder of each; their manifests are sealed, too

A step is rebuilt from its own class and these values: there is no pickle and no code in the folder.
The same fitted step gives the same bytes.
"""

from __future__ import annotations

import math
import platform
import unicodedata
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sopan.errors import ModelFolderError, SopanError, damaged, did_you_mean
from sopan.fit.model_card import model_card
from sopan.fit.saved import (
    LABEL_DTYPES,
    MODEL_FILES,
    ModelConfig,
    Saved,
    as_stored,
    encode_words,
    label_maps,
    label_names,
    read_saved,
)
from sopan.options.names import path_name
from sopan.steps import step_class, step_entry
from sopan.steps.base import Step
from sopan.steps.combination import Combination
from sopan.storage.atomic import replacing_folder
from sopan.storage.manifest import FORMAT, MEMBERS, write_manifest
from sopan.storage.strict_json import dump_json
from sopan.storage.tensors import write_tensors
from sopan.types import Array, Arrays, Json, StepState

PREPROCESSING = ("tokens", "lowercase", "ngrams", "characters")
"""Settings that say how a text becomes words, repeated under `preprocessing` for other programs' use."""

NORMALISATION = {"words": "NFC", "words-1": "NFC", "sklearn": None}
"""Unicode normal form that each rule brings texts to (see `sopan.text.tokenize`)."""

_LIBRARIES = ("sopan", "numpy", "pyarrow", "scikit-learn", "numba")


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
    whole = _contents(estimator, step or estimator.name, data, metrics)
    members = {
        path_name(name): _contents(member, name, data, {}) for name, member in _members_of(estimator).items()
    }
    if len(members) < len(_members_of(estimator)):
        raise ModelFolderError(f"two members have the same folder: {', '.join(_members_of(estimator))}")
    needed = sum(content.size for content in (whole, *members.values()))
    with replacing_folder(Path(folder), bytes_needed=needed, names=MODEL_FILES) as new:
        for name, content in members.items():
            (new / MEMBERS / name).mkdir(parents=True)
            content.write(new / MEMBERS / name)
        whole.write(new)
        return sum(path.stat().st_size for path in new.rglob("*") if path.is_file())


def load_model(folder: str | Path) -> Step:
    """Rebuild the fitted step of a model folder, after every file has been verified.

    Args:
        folder: made by `save_model`.

    Raises:
        ModelFolderError: there is no model, it was damaged, or this version of sopan cannot read it.
    """
    return rebuild(read_saved(folder))


class _Contents(NamedTuple):
    """What goes into one folder: files by name, and the arrays of model.safetensors."""

    files: Mapping[str, bytes]
    arrays: Arrays

    @property
    def size(self) -> int:
        """How many bytes are needed."""
        return sum(map(len, self.files.values())) + sum(array.nbytes for array in self.arrays.values())

    def write(self, folder: Path) -> None:
        """Write the files and their manifest."""
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        write_tensors(self.arrays, folder / "model.safetensors")
        write_manifest(folder)


def _contents(estimator: Step, step: str, data: Mapping[str, Json], metrics: Mapping[str, Json]) -> _Contents:
    """Return what a fitted step's own folder holds."""
    check_is_fitted(estimator, "classes_")
    state, entry = estimator.state(), step_entry(estimator.name)
    config = _config_of(estimator, state, step, data, metrics)
    files = {
        "config.json": _to_json(as_stored(config)),
        "vocab.txt": encode_words(state.words),
        "README.md": model_card(config, adds=entry.adds, lacks=entry.lacks).encode(),
    }
    return _Contents(files, state.arrays)


def _members_of(estimator: Step) -> Mapping[str, Step]:
    """Return the fitted steps that a combination is made of, by name; none of a single step."""
    return estimator.members_ if isinstance(estimator, Combination) else {}


def _to_json(config: ModelConfig) -> bytes:
    try:
        return dump_json(config)
    except (TypeError, ValueError) as error:
        raise ModelFolderError(f"the labels, metrics or data are not plain JSON ({error})") from error


# ---- config.json -----------------------------------------------------------------------------------


def _config_of(
    estimator: Step, state: StepState, step: str, data: Mapping[str, Json], metrics: Mapping[str, Json]
) -> ModelConfig:
    """Return the content of config.json.

    Raises:
        ModelFolderError: a setting or the labels are of a kind that JSON cannot hold.
    """
    if step_class(step) is not type(estimator):
        raise ModelFolderError(f"{type(estimator).__name__} is not the class of the step {step!r}")
    settings = {name: _plain(value, name) for name, value in estimator.get_params(deep=False).items()}
    labels, dtype = _labels(np.asarray(estimator.classes_))
    names = label_names(estimator.classes_)
    if len(set(names)) < len(names):
        raise ModelFolderError(f"two labels are written alike: {', '.join(names)}")
    id2label, label2id = label_maps(names)
    return {
        "format": FORMAT,
        "step": step,
        "settings": settings,
        "state": {name: _plain(value, name) for name, value in state.settings.items()},
        "temperature": float(getattr(estimator, "temperature_", 1.0)),
        "vocabulary_size": len(state.words),
        "labels": labels,
        "label_dtype": dtype,
        "id2label": id2label,
        "label2id": label2id,
        "preprocessing": _preprocessing(settings),
        "versions": _versions(),
        "data": dict(data),
        "metrics": dict(metrics),
    }


def _preprocessing(settings: Mapping[str, Json]) -> dict[str, Json]:
    """Return how a text becomes words, or nothing for a step without such settings."""
    chosen = {name: settings[name] for name in PREPROCESSING if name in settings}
    if "tokens" in chosen:
        chosen["normalisation"] = NORMALISATION[chosen["tokens"]]
    return chosen


@cache
def _versions() -> dict[str, str]:
    """Return what made the model; asking for an installed version takes milliseconds."""
    python = {"python": platform.python_version(), "unicode": unicodedata.unidata_version}
    return python | {library: version(library) for library in _LIBRARIES}


def _labels(classes: Array) -> tuple[list[str | float], str]:
    """Return the labels as JSON values, and the name of the dtype that takes them back."""
    dtype = "str" if classes.dtype.kind == "U" else classes.dtype.name
    labels = classes.tolist()
    if dtype not in LABEL_DTYPES or not all(isinstance(label, str | int | float) for label in labels):
        raise ModelFolderError(f"labels of dtype {classes.dtype} cannot be written; use text or numbers")
    return labels, dtype


def _plain(value: object, name: str) -> Json:
    """Return a setting as a JSON value; tuples become lists, NumPy's scalars Python's."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, list | tuple):
        return [_plain(item, name) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item, name) for key, item in value.items()}
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise ModelFolderError(
        f"the setting {name!r} is {value!r}, which cannot be written to a model folder",
        next_step="use numbers, text, or lists of them",
    )


def rebuild(saved: Saved) -> Step:
    """Rebuild the step from its class, its settings and its state, and try it on an empty text.

    Raises:
        ModelFolderError: an unknown step or setting, or parts that do not fit together.
    """
    step, where = saved.step, saved.where
    estimator = _unfitted(step, saved.settings, where)
    estimator.classes_ = saved.classes
    if isinstance(estimator, Combination):
        estimator.members_ = {name: rebuild(member) for name, member in saved.members.items()}
    elif saved.members:
        raise damaged(where, f"the step {step!r} has no members")
    try:
        estimator.restore(saved.state)
        estimator.temperature_ = saved.temperature
        logits = estimator.logits([""])
    except (ArithmeticError, LookupError, TypeError, ValueError, SopanError) as error:
        raise damaged(where, f"the step {step!r} cannot be rebuilt ({error})") from error
    if logits.shape != (1, len(saved.classes)) or not np.isfinite(logits).all():
        raise damaged(
            where, f"the rebuilt step {step!r} does not give {len(saved.classes)} finite scores a text"
        )
    return estimator


def _unfitted(step: str, settings: Mapping[str, Json], where: Path) -> Step:
    """Make the step with its saved settings; one it does not have is named, with the nearest it has."""
    try:
        cls = step_class(step)
    except SopanError as error:
        raise ModelFolderError(error.what, where=str(where), next_step=error.next_step) from error
    known = cls().get_params(deep=False)
    for name in settings:
        if name not in known:
            raise ModelFolderError(
                f"{cls.name} has no setting {name!r}",
                where=str(where),
                next_step=f"{did_you_mean(name, known)}settings: {', '.join(known)}",
            )
    return cls(**{name: _value(value) for name, value in settings.items()})


def _value(value: Json) -> Json:
    """Give a setting back: lists as tuples, since a setting is a value and never changes."""
    return tuple(map(_value, value)) if isinstance(value, list) else value
