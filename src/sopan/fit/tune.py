"""Choose a step's settings on the validation texts, within a budget that is the same for every step."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.base import clone

from sopan.errors import ConfigError, DataError
from sopan.fit.metrics import measure
from sopan.fit.scores import Trial
from sopan.steps import make_step, step_class
from sopan.steps.base import Step
from sopan.steps.temperature import fit_temperature
from sopan.steps.training_data import Memo
from sopan.text.facts import Metric, TrainingFacts, tuned_for
from sopan.training.recipe import Monitor
from sopan.types import Labelled, Labels, SoftLabels, softmax


@dataclass(frozen=True, slots=True)
class Budget:
    """How long a step may be tuned: `seconds`, and at most `trials` of them.

    The first trial is free of charge: it is the fit that every step must pay for, tuned or not, and
    word vectors trained in it serve the later trials too. A further one starts only if there is time for it,
    should it take as long as the one before: a step whose fits are long is not given more time for it.
    """

    seconds: float = float("inf")
    trials: int | None = None

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read `90s`, `2m`, `1h`, `5 trials` or `all`.

        Raises:
            ConfigError: anything else.
        """
        if text.strip() == "all":
            return cls()
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|h|trials?)\s*", text)
        if not match or float(match[1]) <= 0 or (match[2][0] == "t" and "." in match[1]):
            raise ConfigError(
                f"a budget of {text!r} cannot be read", next_step="write 60s, 2m, 5trials or all"
            )
        if match[2][0] == "t":
            return cls(trials=int(match[1]))
        return cls(seconds=float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]])


@dataclass(frozen=True, slots=True)
class Tuned:
    """The outcome of tuning one step.

    Args:
        estimator: fitted with the best settings on the training texts, calibrated on the validation texts.
        trials: in the order tried.
        offered: how many settings there were to try.
        fit_seconds: what fitting the chosen settings alone costs, shared features included.
        tune_seconds: all the other time that tuning took.
        interrupted: Ctrl-C ended the search early; `estimator` is the best until then.
    """

    estimator: Step
    trials: tuple[Trial, ...]
    offered: int
    fit_seconds: float
    tune_seconds: float
    interrupted: bool = False


def tuning_metric(labels: Labels) -> Metric:
    """Name the score that tuning maximises; see `sopan.text.facts`."""
    return tuned_for(np.bincount(labels))


def tune(
    step: str,
    train: Labelled,
    val: Labelled,
    *,
    budget: Budget,
    fixed: dict[str, Any],
    unlabelled: pa.LargeStringArray | None = None,
    outside: Step | None = None,
    soft: SoftLabels | None = None,
    on_trial: Callable[[Trial, int], None] = lambda trial, offered: None,
    monitor: Callable[[int], Monitor] = lambda number: Monitor(),
) -> Tuned:
    """Fit candidates in order until the budget ends; keep the best on the validation texts.

    The first candidate is always tried, then the budget's clock starts. Ties go to the lower log-loss, then
    to the earlier one.

    Args:
        step: a name, or a name with a variant.
        train, val: of the same classes; every class occurs in `train`.
        fixed: settings that every trial shares (the seed, the token rule).
        unlabelled: further texts, without any validation or test text among them.
        outside: what is fitted instead of the step of that name, with its own settings.
        soft: a teacher's probabilities of further texts, likewise, for a step that is distilled.
        on_trial: told of each trial and of how many are offered.
        monitor: who watches the training of the trial with this number, from 0.

    Raises:
        DataError: the classes are not sorted as text, or one of them has no training text.
    """
    if tuple(np.unique(train.names).tolist()) != tuple(train.classes):
        raise DataError("the classes must be sorted, and each have a training text")
    started = clock = time.perf_counter()
    metric, memo = tuning_metric(train.labels), Memo()
    candidates = [{}] if outside else _candidates(step, fixed, TrainingFacts.of(train.texts, train.labels))
    best: tuple[tuple[float, float], Step, float] | None = None
    trials: list[Trial] = []
    interrupted, last = False, 0.0
    try:
        for number, settings in enumerate(candidates[: budget.trials]):
            if interrupted or (best and time.perf_counter() - clock + last >= budget.seconds):
                break
            shared = memo.made_seconds
            unfitted = make_step(step, **settings) if outside is None else clone(outside)
            more = (unlabelled, soft)
            estimator, trial, alone = _try(unfitted, settings, train, val, more, memo, monitor(number))
            trained = estimator.training()
            interrupted = trained is not None and trained.interrupted
            clock = clock if best else time.perf_counter()
            last = trial.seconds - (memo.made_seconds - shared)  # what a trial costs once features are shared
            score = (getattr(trial, metric), -trial.log_loss)
            if best is None or score > best[0]:
                best = score, estimator, alone
            trials.append(trial)
            on_trial(trial, len(candidates))
    except KeyboardInterrupt:
        if best is None:
            raise
        interrupted = True
    assert best is not None, "a step offers at least one candidate"
    _, estimator, fit_seconds = best
    tune_seconds = max(0.0, time.perf_counter() - started - fit_seconds)
    return Tuned(estimator, tuple(trials), len(candidates), fit_seconds, tune_seconds, interrupted)


def _candidates(step: str, fixed: dict[str, Any], facts: TrainingFacts) -> list[dict[str, Any]]:
    """List the step's candidates that agree with its variant, each with the fixed settings it knows."""
    cls = step_class(step)
    variant, known = cls.named_settings(step), cls().get_params()
    shared = {key: value for key, value in fixed.items() if key in known} | variant
    return cls.candidates_with(facts, shared)


def _try(
    unfitted: Step,
    settings: dict[str, Any],
    train: Labelled,
    val: Labelled,
    more: tuple[pa.LargeStringArray | None, SoftLabels | None],
    memo: Memo,
    monitor: Monitor,
) -> tuple[Step, Trial, float]:
    """Fit one candidate, calibrate it, score it; also return what its fit would have cost alone."""
    started, reused = time.perf_counter(), memo.reused_seconds
    estimator = unfitted.fit(
        train.texts,
        train.names,
        unlabelled=more[0],
        soft=more[1],
        validation=(val.texts, val.names),
        memo=memo,
        monitor=monitor,
    )
    fitted = time.perf_counter()
    known = estimator.validation_logits()
    logits = estimator.logits(val.texts) if known is None else known
    estimator.temperature_ = fit_temperature(logits, val.labels)
    scores = measure(softmax(logits / estimator.temperature_), val.labels, val.classes)
    found_settings = estimator.found_settings()
    estimator.set_params(**found_settings)
    trial = Trial(
        settings=settings | found_settings,
        accuracy=scores.accuracy,
        macro_f1=scores.macro_f1,
        log_loss=scores.log_loss,
        seconds=time.perf_counter() - started,
    )
    return estimator, trial, fitted - started + memo.reused_seconds - reused
