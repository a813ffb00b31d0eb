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

import json
import math
import platform
import unicodedata
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted

from sopan.errors import ModelFolderError, SopanError
from sopan.fit.card import model_card
from sopan.fit.manifest import (
    FORMAT,
    MANIFEST,
    check_format,
    damaged,
    parse_json,
    read_folder,
    write_manifest,
)
from sopan.fit.publish import current_folder, replacing_folder
from sopan.fit.tensors import read_tensors, write_tensors
from sopan.fit.words import decode_words, encode_words
from sopan.rungs import step_class
from sopan.rungs.base import Rung
from sopan.types import Json, RungState

PREPROCESSING = ("tokens", "lowercase", "ngrams", "characters", "max_tokens")
"""Settings that say how a text becomes words, repeated under `preprocessing` for other programs' use."""

LIBRARIES = ("sopan", "numpy", "pyarrow", "scikit-learn", "numba")

LABEL_DTYPES = {np.dtype(kind).name for kind in "?bhilqBHILQefd"} | {"str", "object"}
"""Kinds of label that JSON can hold and give back unchanged."""

K = TypeVar("K")


def save_model(
    rung: Rung,
    folder: str | Path,
    *,
    data: Mapping[str, Json],
    metrics: Mapping[str, Json],
    step: str | None = None,
) -> int:
    """Publish a fitted step as a model folder, in place of an older model if there is one.

    A crash, a full disk or a `kill -9` at any moment leaves the older model as it was.

    Args:
        rung: a fitted step.
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
    check_is_fitted(rung, "classes_")
    state = rung.state()
    config = _describe(rung, state, step or rung.name) | {"data": dict(data), "metrics": dict(metrics)}
    files = {
        "config.json": _to_json(config),
        "vocab.txt": encode_words(state.words),
        "README.md": model_card(config, adds=rung.adds, lacks=rung.lacks).encode(),
    }
    needed = sum(map(len, files.values())) + sum(array.nbytes for array in state.arrays.values())
    with replacing_folder(Path(folder), bytes_needed=needed) as new:
        for name, content in files.items():
            (new / name).write_bytes(content)
        write_tensors(state.arrays, new / "model.safetensors")
        return write_manifest(new)


def load_model(folder: str | Path, *, memory_map: bool = False) -> Rung:
    """Rebuild the fitted step of a model folder, after every file has been verified.

    Args:
        folder: made by `save_model`.
        memory_map: map the arrays instead of copying them, so that processes share them.

    Raises:
        ModelFolderError: there is no model, it was damaged, or this version of sopan cannot read it.
    """
    asked = Path(folder)
    found = current_folder(asked)
    _check_there(found, asked)
    files = read_folder(found, memory_map=memory_map)
    config = parse_json(files["config.json"], asked / "config.json")
    words = decode_words(files["vocab.txt"], asked / "vocab.txt")
    arrays = read_tensors(files["model.safetensors"], asked / "model.safetensors")
    return _rebuild(config, words, arrays, asked / "config.json")


def label_names(classes: Sequence[Any] | npt.NDArray[Any]) -> tuple[str, ...]:
    """Return the C labels as text, as they are shown, written and looked up."""
    return tuple(str(label) for label in np.asarray(classes).tolist())


# ---- writing -----------------------------------------------------------------------------


def _describe(rung: Rung, state: RungState, step: str) -> dict[str, Json]:
    """Return config.json but for `data` and `metrics`."""
    if step_class(step) is not type(rung):
        raise ModelFolderError(f"{type(rung).__name__} is not the class of the step {step!r}")
    settings = {name: _plain(value, name) for name, value in rung.get_params(deep=False).items()}
    labels, dtype = _labels(np.asarray(rung.classes_))
    names = label_names(rung.classes_)
    if len(set(names)) < len(names):
        raise ModelFolderError(f"two labels are written alike: {', '.join(names)}")
    return {
        "format": FORMAT,
        "step": step,
        "settings": settings,
        "state": {name: _plain(value, name) for name, value in state.settings.items()},
        "temperature": float(getattr(rung, "temperature_", 1.0)),
        "vocabulary_size": len(state.words),
        "labels": labels,
        "label_dtype": dtype,
        "id2label": {str(index): name for index, name in enumerate(names)},
        "label2id": {name: index for index, name in enumerate(names)},
        "preprocessing": {name: settings[name] for name in PREPROCESSING if name in settings},
        "versions": _versions(),
    }


@cache
def _versions() -> dict[str, str]:
    """Return what made the model; asking for an installed version takes milliseconds."""
    python = {"python": platform.python_version(), "unicode": unicodedata.unidata_version}
    return python | {library: version(library) for library in LIBRARIES}


def _labels(classes: npt.NDArray[Any]) -> tuple[list[Json], str]:
    """Return the labels as JSON values, and the name of the dtype that takes them back."""
    dtype = "str" if classes.dtype.kind == "U" else classes.dtype.name
    labels = classes.tolist()
    if dtype not in LABEL_DTYPES or not all(isinstance(label, str | int | float) for label in labels):
        raise ModelFolderError(f"labels of dtype {classes.dtype} cannot be written; use text or numbers")
    return labels, dtype


def _plain(value: Any, name: str) -> Json:
    """Return a setting as a JSON value; tuples become lists, NumPy's scalars Python's."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, list | tuple):
        return [_plain(item, name) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item, name) for key, item in value.items()}
    if isinstance(value, Path):
        return str(value)
    if (
        value is None
        or isinstance(value, str | bool | int)
        or (isinstance(value, float) and math.isfinite(value))
    ):
        return value
    raise ModelFolderError(
        f"the setting {name!r} is {value!r}, which cannot be written to a model folder",
        next_step="use numbers, text, or lists of them",
    )


def _to_json(config: Mapping[str, Json]) -> bytes:
    try:
        text = json.dumps(config, ensure_ascii=False, allow_nan=False, indent=2, default=_numpy_scalar)
    except (TypeError, ValueError) as error:
        raise ModelFolderError(
            f"the metrics or the data's description are not plain JSON ({error})"
        ) from error
    return (text + "\n").encode()


def _numpy_scalar(value: Any) -> Json:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not JSON")


# ---- reading -----------------------------------------------------------------------------


def _check_there(folder: Path, asked: Path) -> None:
    """Tell the commonest mistakes apart: a wrong path, a comparison's folder, an untrained one."""
    models = sorted(found.name for found in (folder / "models").glob("[!.]*"))
    if models and not (folder / MANIFEST).exists():
        choices = ", ".join(str(asked / "models" / name) for name in models)
        raise ModelFolderError(
            f"{asked} is a comparison, not a model", next_step=f"choose one of its models: {choices}"
        )
    if not (folder / "config.json").exists():
        what = f"no config.json in {asked}" if folder.is_dir() else f"there is no model folder {asked}"
        raise ModelFolderError(what, next_step=f"train one with: sopan train STEP DATA --out {asked}")


def _rebuild(
    config: Mapping[str, Json], words: tuple[str, ...], arrays: dict[str, npt.NDArray[Any]], where: Path
) -> Rung:
    """Make the step anew from its own class, its settings and its state, and try it on an empty text."""
    check_format(config, where)
    step = _field(config, "step", str, where)
    classes = _classes(config, where)
    temperature = _field(config, "temperature", float, where)
    if not (math.isfinite(temperature) and temperature > 0):
        raise damaged(where, f"the temperature must be above 0, not {temperature}")
    if _field(config, "vocabulary_size", int, where) != len(words):
        raise damaged(
            where, f"vocab.txt has {len(words):,} words where {config['vocabulary_size']:,} are said"
        )
    state = RungState(_field(config, "state", dict, where), words, arrays)
    rung = _unfitted(step, _field(config, "settings", dict, where), where)
    rung.classes_ = classes
    try:
        rung.restore(state)
        rung.temperature_ = temperature
        logits = rung.logits([""])
    except (ArithmeticError, LookupError, TypeError, ValueError, SopanError) as error:
        raise damaged(where, f"the step {step!r} cannot be rebuilt ({error})") from error
    if logits.shape != (1, len(classes)) or not np.isfinite(logits).all():
        raise damaged(where, f"the rebuilt step {step!r} does not give {len(classes)} finite scores a text")
    return rung


def _unfitted(step: str, settings: Mapping[str, Json], where: Path) -> Rung:
    """Make the step with its saved settings; one it does not have is named, with the nearest it has."""
    try:
        cls = step_class(step)
    except SopanError as error:
        raise ModelFolderError(error.what, where=str(where), next_step=error.next_step) from error
    known = cls().get_params(deep=False)
    for name in settings:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise ModelFolderError(
                f"{cls.name} has no setting {name!r}",
                where=str(where),
                next_step=f"{hint}settings: {', '.join(known)}",
            )
    return cls(**{name: _value(value) for name, value in settings.items()})


def _value(value: Json) -> Any:
    """Give a setting back: lists as tuples, since a setting is a value and never changes."""
    return tuple(map(_value, value)) if isinstance(value, list) else value


def _classes(config: Mapping[str, Json], where: Path) -> npt.NDArray[Any]:
    """Return the (C,) labels in their own type, after a check that all ways to tell them agree."""
    labels, dtype = _field(config, "labels", list, where), _field(config, "label_dtype", str, where)
    if dtype not in LABEL_DTYPES:
        raise damaged(where, f"labels of the kind {dtype!r} are unknown")
    try:
        classes = np.array(labels, dtype=dtype)
        names = label_names(classes)
    except (TypeError, ValueError, OverflowError) as error:
        raise damaged(where, f"the labels are not of the kind {dtype!r}") from error
    if classes.ndim != 1 or len(set(names)) != len(names) or len(names) < 2:
        raise damaged(where, "two or more distinct labels are needed")
    id2label, label2id = _field(config, "id2label", dict, where), _field(config, "label2id", dict, where)
    if id2label != {str(i): name for i, name in enumerate(names)} or label2id != {
        name: i for i, name in enumerate(names)
    }:
        raise damaged(where, f"id2label and label2id must give the ids 0 to {len(names) - 1} to the labels")
    return classes


def _field(config: Mapping[str, Json], name: str, kind: type[K], where: Path) -> K:
    value = config.get(name)
    if type(value) is not kind:
        what = f"{name} must be of the kind {kind.__name__}" if name in config else f"{name} is missing"
        raise damaged(where, what)
    return value
