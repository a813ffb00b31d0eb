"""Who takes part in a comparison: steps by name, with settings given to them, and estimators from outside.

All that can be wrong with a contender is found before any data are read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sopan.errors import ConfigError, did_you_mean
from sopan.options.base import listed
from sopan.options.names import StepName
from sopan.runtime.network import NETWORKS
from sopan.steps import STEPS, check_backend, make_step, step_class
from sopan.steps.presets import preset_folder

Given = Sequence[str | tuple[str, object]] | str
"""Contenders as they are named: in one string with commas between them, or one by one."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One contender.

    Args:
        name: `STEP[:variant][@preset]`, or an estimator's, as given.
        settings: that every trial keeps to.
        estimator: a classifier from outside; None: the step of that name.
    """

    name: str
    settings: Mapping[str, object] = field(default_factory=dict)
    estimator: object | None = None


def check_contenders(given: Given, settings: Sequence[str] = ()) -> tuple[Contender, ...]:
    """Hold that every contender exists and is named once, and that its settings are its own.

    Args:
        given: names, or pairs of a name and an estimator.
        settings: `STEP.setting=value`, where STEP is a contender, or a step whose contenders all take it.

    Raises:
        ConfigError: which is not so.
        MissingExtraError: a step is a network, and what it runs on is not installed.
        ModelFolderError, DownloadError: a preset is not there, and could not be fetched.
    """
    named = listed(given) if isinstance(given, str) else list(given)
    contenders = [_contender(each) for each in named if each]
    if not contenders:
        raise ConfigError("no step was named", next_step=f"steps: {', '.join(STEPS)}")
    names = [contender.name for contender in contenders]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ConfigError(f"the step {min(twice)} is named twice")
    values = parse_settings(settings, [one.name for one in contenders if one.estimator is None])
    return tuple(
        Contender(one.name, values.get(one.name, {}), one.estimator) if values else one for one in contenders
    )


def _contender(given: str | tuple[str, object]) -> Contender:
    """Check one contender's name, or the estimator that comes under it."""
    if not isinstance(given, str):
        return _outside(given)
    step, _, preset = StepName.parse(given)
    if given not in STEPS:  # a plain name needs no look into its module, which may bring TensorFlow in
        step_class(given).named_settings(given)
    elif step in NETWORKS:
        check_backend(f"the step {step}")
    if preset is not None:
        preset_folder(preset)
    return Contender(given)


def _outside(given: tuple[str, object]) -> Contender:
    from sopan.steps.estimator import EstimatorStep  # noqa: PLC0415  # brings scikit-learn in

    if not (isinstance(given, tuple | list) and len(given) == 2 and isinstance(given[0], str) and given[0]):
        raise ConfigError(
            f"{given!r} is no contender", next_step='name a step, or give a pair: ("mine", pipeline)'
        )
    name, estimator = given
    if StepName.parse(name).step in STEPS:
        raise ConfigError(f"{name!r} is a step of sopan's", next_step="give your estimator another name")
    EstimatorStep(estimator).check_settings()
    return Contender(name, estimator=estimator)


# ---- settings ------------------------------------------------------------------------------------


def parse_settings(given: Sequence[str], names: Sequence[str]) -> dict[str, dict[str, object]]:
    """Take settings apart, and hold that each is one of its step's, with a value that it can have.

    Args:
        given: `STEP.setting=value`; a value is JSON, numbers with commas between them, or a word.
        names: of the contenders.

    Returns:
        For each contender that is given some, its settings by name.

    Raises:
        ConfigError: which is not so; the nearest name is offered.
    """
    found: dict[str, dict[str, object]] = {}
    for each in given:
        target, setting, value = _taken_apart(each)
        meant = [name for name in names if target in (name, StepName.parse(name).step)]
        if not meant:
            raise ConfigError(
                f"{each!r} is for {target!r}, which is not compared",
                next_step=f"{did_you_mean(target, names)}compared: {', '.join(names)}",
            )
        for name in meant:
            known = step_class(name)._get_param_names()
            if setting not in known:
                raise ConfigError(
                    f"{target} has no setting {setting!r}",
                    next_step=f"{did_you_mean(setting, known)}settings: {', '.join(known)}",
                )
            found.setdefault(name, {})[setting] = value
    for name, settings in found.items():
        try:
            make_step(name, **settings).check_settings()
        except TypeError as error:
            raise ConfigError(f"settings {settings} of {name} cannot work: {error}") from error
    return found


def _taken_apart(given: str) -> tuple[str, str, object]:
    left, equals, text = given.partition("=")
    target, dot, setting = left.rpartition(".")
    if not (equals and dot and target and setting):
        raise ConfigError(f"{given!r} is no setting", next_step="write --set bow.ngrams=1,3")
    return target.strip(), setting.strip(), _value(text.strip())


def _value(text: str) -> object:
    """Return a value: JSON, several with commas between them, Python's None, True and False, or the text."""
    spelled = {"None": "null", "True": "true", "False": "false"}.get(text, text)
    for written in (spelled, f"[{spelled}]"):
        try:
            value = json.loads(written)
        except ValueError:
            continue
        return tuple(value) if isinstance(value, list) else value
    return text
