"""A fitted step as the JSON values of `config.json`, and the step made anew from them."""

from __future__ import annotations

import math
import platform
import unicodedata
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sopan.errors import ModelFolderError, SopanError, damaged, did_you_mean
from sopan.fit.saved import LABEL_DTYPES, Saved, label_maps, label_names
from sopan.steps import step_class
from sopan.steps.base import Step
from sopan.storage.manifest import FORMAT
from sopan.types import Json, StepState

PREPROCESSING = ("tokens", "lowercase", "ngrams", "characters")
"""Settings that say how a text becomes words, repeated under `preprocessing` for other programs' use."""

NORMALISATION = {"words": "NFC", "sklearn": None}
"""Unicode normal form that each rule brings texts to (see `sopan.text.tokenize`)."""

LIBRARIES = ("sopan", "numpy", "pyarrow", "scikit-learn", "numba")


def describe(estimator: Step, state: StepState, step: str) -> dict[str, Json]:
    """Return the content of config.json, but for `data` and `metrics`.

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
    return {
        "format": FORMAT,
        "step": step,
        "settings": settings,
        "state": {name: _plain(value, name) for name, value in state.settings.items()},
        "temperature": float(getattr(estimator, "temperature_", 1.0)),
        "vocabulary_size": len(state.words),
        "labels": labels,
        "label_dtype": dtype,
        **label_maps(names),
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


def rebuild(saved: Saved) -> Step:
    """Make the step anew from its own class, its settings and its state, and try it on an empty text.

    Raises:
        ModelFolderError: an unknown step or setting, or parts that do not fit together.
    """
    step, where = saved.step, saved.where
    estimator = _unfitted(step, saved.settings, where)
    estimator.classes_ = saved.classes
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


def _value(value: Json) -> Any:
    """Give a setting back: lists as tuples, since a setting is a value and never changes."""
    return tuple(map(_value, value)) if isinstance(value, list) else value
