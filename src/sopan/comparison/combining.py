"""What a contender makes of the others' outcomes: `stack` and `cascade` combine them, `:distilled` learns.

All of it goes by what the others said of the validation texts. Their test predictions are used for one thing:
a stack's are worked out from its members', which it would only repeat.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np

from sopan.comparison.contenders import Contender
from sopan.comparison.jobs import OUTCOME, Job, Outcome
from sopan.comparison.measuring import as_json_values, model_metrics, seed_scores
from sopan.comparison.results import StageScores, StepScores, model_folder
from sopan.errors import ConfigError
from sopan.fit.artifact import load_model, save_model
from sopan.fit.metrics import measure
from sopan.fit.scores import Trial
from sopan.fit.teach import soft_labels
from sopan.fit.tune import Tuned
from sopan.options.names import StepName, path_name
from sopan.steps import COMBINATIONS, step_class
from sopan.steps.base import Step
from sopan.steps.combination import Combination
from sopan.steps.stages import Stage, top_probability
from sopan.types import FloatArray, Int64Array, Prediction, SoftLabels, softmax

LOWEST = 1e-300
"""A probability of 0 counts as this, so that its logarithm is a number."""


def combines(step: str) -> bool:
    """Say whether a contender is made of the others."""
    return StepName.parse(step).step in COMBINATIONS


def is_taught(step: str) -> bool:
    """Say whether a contender learns from another one."""
    return StepName.parse(step).variant == "distilled"


def rank(step: str) -> int:
    """Return a contender's place in the order of work: it may hang on those of a lower rank only."""
    return combines(step) + 2 * is_taught(step)


def in_order(names: Sequence[str]) -> list[int]:
    """Return the places of contenders in the order in which they can run: what hangs on others comes last."""
    return sorted(range(len(names)), key=lambda place: rank(names[place]))


def check_needs(contenders: Sequence[Contender], *, unlabelled: bool) -> None:
    """Hold that contenders that are made of others, or learn from one, will have them.

    Raises:
        ConfigError: which will not.
    """
    plain = [one for one in contenders if not combines(one.name) and not is_taught(one.name)]
    own = [one for one in plain if one.estimator is None]
    for one in contenders:
        if combines(one.name) and len(own) < 2:
            raise ConfigError(
                f"{one.name} is made of other steps, two or more", next_step=f"--steps bow,cbow,{one.name}"
            )
        if is_taught(one.name) and not (own and unlabelled):
            raise ConfigError(
                f"{one.name} learns what another contender says of unlabelled texts",
                next_step=f"--steps bow,bert@minilm,{one.name} --unlabelled FILE",
            )


class Models(Mapping[str, Step]):
    """The models of a run by contender, each loaded when it is first asked for."""

    def __init__(self, run: Path, names: Sequence[str]) -> None:
        self._run, self._names = run, list(names)
        self._loaded: dict[str, Step] = {}

    def __getitem__(self, name: str) -> Step:
        if name not in self._loaded:
            self._loaded[name] = load_model(model_folder(self._run, name))
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def read_peers(job: Path, names: Sequence[str]) -> dict[str, Outcome]:
    """Read the outcomes of the other contenders whose models were written, as far as they are there."""
    found = {}
    for name in names:
        path = job / path_name(name) / OUTCOME
        if not is_taught(name) and path.is_file():
            outcome = Outcome.read(path)
            if outcome.scores.artifact_bytes is not None:
                found[name] = outcome
    return found


# ---- stack and cascade ---------------------------------------------------------------------------


def run_combination(step: str, job: Job, peers: Mapping[str, Outcome]) -> Outcome:
    """Combine the other contenders on the validation texts, measure that, and save it."""
    members = {name: outcome for name, outcome in peers.items() if not combines(name)}
    run, test, seed = Path(str(job.options.out)), job.test, job.options.seed
    cls = cast("type[Combination]", step_class(step))
    settings = {"margin": job.options.margin} if "margin" in cls._get_param_names() else {}
    started = time.perf_counter()
    found = cls.of(
        Models(run, list(members)),
        {name: log_probabilities(outcome.validation) for name, outcome in members.items()},
        np.asarray(job.val.labels, np.int64),
        costs={name: 1 / outcome.scores.texts_per_second for name, outcome in members.items()},
        **{**settings, **job.settings[step]},
    )
    weighing = time.perf_counter() - started
    asked = {name: members[name] for name in found.members_}
    validation, _ = combined(found.stages_, [outcome.validation for outcome in asked.values()])
    trial = _trial(found, validation, job, weighing)
    fit = sum(outcome.scores.fit_seconds for outcome in asked.values())
    tune = sum(outcome.scores.tune_seconds for outcome in asked.values())
    tuned = Tuned(found, (trial,), 1, fit, tune + weighing)
    prediction, answered, speed = _predicted(found, job, asked)
    metrics = model_metrics(tuned, prediction, test, seed, texts_per_second=speed)
    size = save_model(found, model_folder(run, step), step=step, data=job.data, metrics=metrics.as_json())
    scores = StepScores(
        **vars(metrics),
        step=step,
        artifact_bytes=size,
        config=as_json_values(found.get_params(deep=False)),
        trials=(trial,),
        seeds=(seed_scores(seed, metrics),),
        stages=stage_scores(found, answered),
    )
    none = np.empty((0, 3), np.int64)
    flags = (prediction.truncated, prediction.no_known_words)
    return Outcome(scores, prediction.probabilities, validation, *flags, none)


def log_probabilities(probabilities: FloatArray) -> FloatArray:
    """Return calibrated logits of probabilities (N, C)."""
    return np.log(np.maximum(probabilities, LOWEST))


def combined(stages: Sequence[Stage], probabilities: Sequence[FloatArray]) -> tuple[FloatArray, Int64Array]:
    """Return what stages answer, (N, C) probabilities, and which of them did, (N,).

    Args:
        stages: see `sopan.steps.stages`.
        probabilities: of each member, (N, C).
    """
    logits = np.stack([log_probabilities(each) for each in probabilities])
    found, answered = np.zeros(logits.shape[1:]), np.full(logits.shape[1], -1, np.int64)
    for number, stage in enumerate(stages):
        weighed = np.tensordot(stage.weights, logits, axes=1)
        sure = (top_probability(weighed) >= stage.threshold) | (number == len(stages) - 1)
        here = sure & (answered < 0)
        found[here], answered[here] = weighed[here], number
    return softmax(found), answered


def _predicted(
    found: Combination, job: Job, asked: Mapping[str, Outcome]
) -> tuple[Prediction, Int64Array, float]:
    """Predict the test texts: say what came out, which stage answered, and how many texts that is a second.

    A stack asks all its members about every text, so it says what theirs weighed together say, and takes as
    long as all of them; a cascade is timed from end to end.
    """
    if len(found.stages_) == 1:
        probabilities, answered = combined(found.stages_, [each.probabilities for each in asked.values()])
        truncated = np.all([each.truncated for each in asked.values()], axis=0)
        unknown = np.all([each.no_known_words for each in asked.values()], axis=0)
        speed = 1 / sum(1 / each.scores.texts_per_second for each in asked.values())
        return Prediction(probabilities, truncated, unknown), answered, speed
    found.read_in_stages(job.val.texts.slice(0, 64))  # libraries are loaded, kernels compiled
    started = time.perf_counter()
    output, answered, _ = found.read_in_stages(job.test.texts)
    speed = len(job.test) / (time.perf_counter() - started)
    return Prediction.of(output, found.temperature_), answered, speed


def _trial(found: Combination, validation: FloatArray, job: Job, seconds: float) -> Trial:
    scores = measure(validation, job.val.labels, job.val.classes)
    return Trial(
        settings={"members": list(found.members_)},
        accuracy=scores.accuracy,
        macro_f1=scores.macro_f1,
        log_loss=scores.log_loss,
        seconds=seconds,
    )


def stage_scores(found: Combination, answered: Int64Array) -> tuple[StageScores, ...]:
    """Say of each stage whom it asks, what counts, and which share of the test texts it answered."""
    names = list(found.members_)
    return tuple(
        StageScores(
            asks=tuple(names[member] for member in stage.asks),
            weights={names[member]: float(stage.weights[member]) for member in stage.counting.tolist()},
            threshold=stage.threshold,
            answered=float(np.mean(answered == number)),
        )
        for number, stage in enumerate(found.stages_)
    )


# ---- distillation --------------------------------------------------------------------------------


def taught_by_best(job: Job, peers: Mapping[str, Outcome]) -> tuple[str, SoftLabels]:
    """Let the contender that is best on the validation texts say what it thinks of the unlabelled ones."""
    assert job.unlabelled is not None, "check_needs saw them"
    scores = {name: measure(each.validation, job.val.labels, job.val.classes) for name, each in peers.items()}
    best = max(scores, key=lambda name: (scores[name].accuracy, -scores[name].log_loss))
    teacher = load_model(model_folder(Path(str(job.options.out)), best))
    return best, soft_labels(teacher, job.unlabelled, job.train.classes)
