"""A fitted step as the JSON values of `config.json`, and the step made anew from them."""

from __future__ import annotations

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

from sopan.errors import ModelFolderError, SopanError
from sopan.fit.manifest import FORMAT, check_format, damaged
from sopan.rungs import step_class
from sopan.rungs.base import Rung
from sopan.types import Json, RungState

PREPROCESSING = ("tokens", "lowercase", "ngrams", "characters")
"""Settings that say how a text becomes words, repeated under `preprocessing` for other programs' use."""

NORMALISATION = {"words": "NFC", "sklearn": None}
"""Unicode normal form that each rule brings texts to (see `sopan.text.tokenize`)."""

LIBRARIES = ("sopan", "numpy", "pyarrow", "scikit-learn", "numba")

LABEL_DTYPES = {np.dtype(kind).name for kind in "?bhilqBHILQefd"} | {"str", "object"}
"""Kinds of label that JSON can hold and give back unchanged."""

K = TypeVar("K")


def label_names(classes: Sequence[Any] | npt.NDArray[Any]) -> tuple[str, ...]:
    """Return the C labels as text, as they are shown, written and looked up."""
    return tuple(str(label) for label in np.asarray(classes).tolist())


def describe(rung: Rung, state: RungState, step: str) -> dict[str, Json]:
    """Return the content of config.json, but for `data` and `metrics`.

    Raises:
        ModelFolderError: a setting or the labels are of a kind that JSON cannot hold.
    """
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
        **_label_maps(names),
        "preprocessing": _preprocessing(settings),
        "versions": _versions(),
    }


def _preprocessing(settings: Mapping[str, Json]) -> dict[str, Json]:
    """Return how a text becomes words, or nothing for a step that does not say."""
    chosen = {name: settings[name] for name in PREPROCESSING if name in settings}
    if "tokens" in chosen:
        chosen["normalisation"] = NORMALISATION[chosen["tokens"]]
    return chosen


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


def _label_maps(names: Sequence[str]) -> dict[str, Json]:
    """Return the labels' ids as Hugging Face writes them."""
    return {
        "id2label": {str(index): name for index, name in enumerate(names)},
        "label2id": {name: index for index, name in enumerate(names)},
    }


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
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise ModelFolderError(
        f"the setting {name!r} is {value!r}, which cannot be written to a model folder",
        next_step="use numbers, text, or lists of them",
    )


def rebuild(
    config: Mapping[str, Json], words: tuple[str, ...], arrays: dict[str, npt.NDArray[Any]], where: Path
) -> Rung:
    """Make the step anew from its own class, its settings and its state, and try it on an empty text.

    Args:
        config: the content of config.json.
        words: the vocabulary, V strings.
        arrays: of `model.safetensors`.
        where: config.json's path, for error messages.

    Raises:
        ModelFolderError: an unknown step or setting, or parts that do not fit together.
    """
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
    if any(config.get(name) != mapping for name, mapping in _label_maps(names).items()):
        raise damaged(where, f"id2label and label2id must give the ids 0 to {len(names) - 1} to the labels")
    return classes


def _field(config: Mapping[str, Json], name: str, kind: type[K], where: Path) -> K:
    value = config.get(name)
    if type(value) is not kind:
        what = f"{name} must be of the kind {kind.__name__}" if name in config else f"{name} is missing"
        raise damaged(where, what)
    return value
