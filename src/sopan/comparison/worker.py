"""One step in a process of its own: tune, fit, measure, save. A `worker_pool.Worker` starts it.

It is given a folder and a step's name, loads what the step needs, and begins at a line of standard input.
What goes in lies beside the folder (`read_job`); one file with the outcome comes out. Progress goes to
standard output, one JSON object a line. A process of its own makes peak memory honest, and keeps one step's
failure from taking the comparison with it.
"""

from __future__ import annotations

import json
import pickle
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.base import clone

from sopan.comparison.combining import combines, is_taught, read_peers, run_combination, taught_by_best
from sopan.comparison.jobs import ESTIMATOR, OUTCOME, Job, Outcome, read_job
from sopan.comparison.measuring import as_json_values, measure_tuned, seed_scores
from sopan.comparison.results import SeedScores, StepScores, model_folder
from sopan.errors import SopanError
from sopan.fit.artifact import save_model
from sopan.fit.metrics import measure
from sopan.fit.scores import ModelMetrics, PredictionScores
from sopan.fit.tune import Budget, tune
from sopan.steps import make_step, step_class
from sopan.steps.base import Step
from sopan.training.recipe import Monitor
from sopan.types import BoolArray, Int64Array, Labelled, SoftLabels

CURVE_SIZES = (100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)
"""Training texts at the points of a learning curve, as far as there are so many."""
CURVE_TEXTS = 10_000
"""Test texts, drawn once, on which a learning curve is measured."""


def run_job(step: str, job: Job, folder: Path, outside: Step | None = None) -> Outcome:
    """Do one contender's job.

    Args:
        step: its name.
        job: what is given.
        folder: the job folder, where the outcomes of those before it are.
        outside: the estimator, of one from outside.
    """
    if outside is None and combines(step):
        _say(stage="weigh the steps together")
        return run_combination(step, job, read_peers(folder, job.names))
    if outside is None and is_taught(step):
        _say(stage="ask the teacher")
        teacher, soft = taught_by_best(job, read_peers(folder, job.names))
        outcome = run_tuning(step, job._replace(soft=soft))
        return replace(outcome, scores=replace(outcome.scores, teacher=teacher))
    return run_tuning(step, job, outside)


def run_tuning(step: str, job: Job, outside: Step | None = None) -> Outcome:
    """Tune, fit, measure and save one contender; one from outside is not tuned, and not saved."""
    options, train = job.options, job.train
    _warm_up(outside or make_step(step, **job.settings[step]), train)
    fixed = {
        "tokens": options.tokens,
        "random_state": options.seed,
        "deterministic": options.deterministic,
        **job.settings[step],
    }
    with _interruptible():
        tuned = tune(
            step,
            train,
            job.val,
            budget=Budget.parse(options.budget),
            fixed=fixed,
            unlabelled=job.unlabelled,
            soft=job.soft,
            outside=outside,
            on_trial=lambda trial, offered: _say(trial=trial.accuracy, offered=offered),
            monitor=lambda number: Monitor(lambda progress: _say(stage=progress.line())),
        )
    _say(stage="measure")
    validation = tuned.estimator.predict_proba(job.val.texts)  # warms up what tuning did not read with
    prediction, metrics = measure_tuned(tuned, job.test, options.seed)
    size = None
    if outside is None:
        folder = model_folder(Path(str(options.out)), step)
        size = save_model(tuned.estimator, folder, step=step, data=job.data, metrics=metrics.as_json())
    _say(measured=True)  # no cost is taken from here on: others may use the machine
    scores = StepScores(
        **vars(metrics),
        step=step,
        artifact_bytes=size,
        config=as_json_values(tuned.estimator.get_params(deep=False)),
        trials=tuned.trials,
        seeds=tuple(_seeds(tuned.estimator, metrics, job)),
    )
    curve = _learning_curve(tuned.estimator, job)
    with_leaks = _with_leaks(step, tuned.estimator, job)
    flags = (prediction.truncated, prediction.no_known_words)
    return Outcome(scores, prediction.probabilities, validation, *flags, curve, with_leaks)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C end the tuning; before and after it, what was begun is finished."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _say(**message: object) -> None:
    print(json.dumps(message), flush=True)


def _warm_up(estimator: Step, train: Labelled) -> None:
    """Compile kernels and load libraries on a few texts, so that no step's cost includes it."""
    firsts = np.concatenate(
        [np.flatnonzero(train.labels == c)[:8] for c in range(min(2, len(train.classes)))]
    )
    few = train.take(firsts)
    estimator.set_params(**{name: 1 for name in ("epochs", "min_steps") if name in estimator.get_params()})
    soft = None
    if estimator.get_params().get("distilled"):
        soft = SoftLabels(few.texts, np.eye(len(few.classes))[few.labels][:, np.unique(few.labels)])
    estimator.fit(few.texts, few.names, soft=soft).predict_texts(few.texts)


def _refit(estimator: Step, job: Job, part: Labelled, **settings: object) -> Step:
    """Fit the chosen settings again on another part or with another seed, keeping the temperature."""
    again: Step = clone(estimator).set_params(**settings)
    validation = (job.val.texts, job.val.names)
    again.fit(part.texts, part.names, unlabelled=job.unlabelled, soft=job.soft, validation=validation)
    again.temperature_ = estimator.temperature_
    return again


def _seeds(estimator: Step, metrics: ModelMetrics, job: Job) -> Iterator[SeedScores]:
    """Train the chosen settings with further seeds: how much does the outcome owe to luck?"""
    first, test = job.options.seed, job.test
    for seed in range(first, first + job.options.seeds):
        scores: PredictionScores = metrics
        if seed != first:
            _say(stage=f"seed {seed}")
            seeded = {"random_state": seed} if "random_state" in estimator.get_params() else {}
            again = _refit(estimator, job, job.train, **seeded)
            scores = measure(again.predict_proba(test.texts), test.labels, test.classes)
        yield seed_scores(seed, scores)


def _learning_curve(estimator: Step, job: Job) -> Int64Array:
    """Train the chosen settings on growing, nested parts of the training texts: `Outcome.curve`."""
    points: list[tuple[int, int, int]] = []
    if job.options.learning_curve:
        train, classes = job.train, job.train.classes
        rng = np.random.default_rng(job.options.seed)
        order = rng.permutation(len(train))
        firsts = np.array([np.flatnonzero(train.labels[order] == c)[0] for c in range(len(classes))])
        order = np.concatenate([order[firsts], np.delete(order, firsts)])  # every class from the start
        few = job.test.take(np.sort(rng.permutation(len(job.test))[:CURVE_TEXTS]))
        for size in (*(s for s in CURVE_SIZES if len(classes) * 2 <= s < len(train)), len(train)):
            _say(stage=f"learning curve, {size} texts")
            part = train.take(np.sort(order[:size]))
            again = estimator if size == len(train) else _refit(estimator, job, part)
            right = again.logits(few.texts).argmax(1) == few.labels
            points.append((size, int(right.sum()), len(few)))
    return np.array(points, np.int64).reshape(-1, 3)


def _with_leaks(step: str, estimator: Step, job: Job) -> BoolArray | None:
    """Train the first step once more with the leaked texts put back, to tell what they would have done."""
    if job.leaky is None or step != (job.options.steps or "")[0]:
        return None
    _say(stage="with the leaks put back")
    again = _refit(estimator, job, job.leaky)
    return np.asarray(again.logits(job.test.texts).argmax(1) == job.test.labels)


def _from_outside(path: Path) -> Step | None:
    """Return the estimator that whoever started this sent, if any."""
    if not path.is_file():
        return None
    from sopan.steps.estimator import EstimatorStep  # noqa: PLC0415  # sopan's own steps do without

    return EstimatorStep(pickle.loads(path.read_bytes()))


def main() -> None:
    """Do the job named on the command line once told to; a known failure becomes one line and exit code."""
    folder, step = Path(sys.argv[1]), sys.argv[2]
    try:
        outside = _from_outside(folder / ESTIMATOR)
        if outside is None:
            step_class(step)
        if sys.stdin.readline():  # else whoever started this has gone
            run_job(step, read_job(folder.parent), folder.parent, outside).write(folder / OUTCOME)
    except SopanError as error:
        _say(error=str(error), kind=type(error).__name__)
        sys.exit(error.exit_code)
