"""One step in a process of its own: tune, fit, measure, save. `sopan.comparison.jobs.Worker` starts it.

It is given a folder and a step's name, loads what the step needs, and begins at a line of standard input.
`step.json` and, beside the folder, `job.json` and the texts as Arrow files go in; `outcome.json` and
`arrays.safetensors` come out. Progress goes to standard output, one JSON object a line. A process of its own
makes peak memory honest, and keeps one step's failure from taking the comparison with it.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from safetensors.numpy import save_file

from sopan.errors import SopanError
from sopan.fit.artifact import save_model
from sopan.fit.costs import latency_ms, peak_rss_mb
from sopan.fit.metrics import measure
from sopan.fit.predict import score_prediction
from sopan.fit.tune import Budget, Tuned, tune
from sopan.steps import STEPS, make_step, step_class
from sopan.steps.base import Step
from sopan.training.recipe import Monitor
from sopan.types import Json, Labelled

CURVE_SIZES = (100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)
"""Training texts at the points of a learning curve, as far as there are so many."""
CURVE_TEXTS = 10_000
"""Test texts, drawn once, on which a learning curve is measured."""
SEED_SCORES = ("accuracy", "macro_f1", "log_loss")


def write_part(folder: Path, name: str, texts: pa.LargeStringArray, labels: Any = None) -> None:
    """Write one part of the data as an Arrow file that a worker maps instead of copying."""
    columns: dict[str, Any] = {"text": texts}
    if labels is not None:
        columns["label"] = pa.array(labels, pa.int32())
    table = pa.table(columns)
    with (
        pa.OSFile(str(folder / f"{name}.arrow"), "wb") as sink,
        pa.ipc.new_file(sink, table.schema) as writer,
    ):
        writer.write_table(table)


def read_part(folder: Path, name: str, classes: tuple[str, ...]) -> Labelled:
    """Map a part that `write_part` wrote; labels are empty where it had none."""
    with pa.memory_map(str(folder / f"{name}.arrow")) as source:
        table = pa.ipc.open_file(source).read_all().combine_chunks()
    text = table["text"].combine_chunks()
    labels = table["label"].to_numpy() if "label" in table.column_names else np.empty(0, np.int32)
    return Labelled(text, labels, classes)


def run_job(folder: Path) -> None:
    """Do the job in `folder` and write its outcome there."""
    job = json.loads((folder.parent / "job.json").read_text()) | json.loads(
        (folder / "step.json").read_text()
    )
    classes = tuple(job["classes"])
    train, val, test = (read_part(folder.parent, part, classes) for part in ("train", "val", "test"))
    unlabelled = read_part(folder.parent, "unlabelled", classes).texts if job["unlabelled"] else None
    texts = _Texts(train, val, test, unlabelled)
    fixed = job["fixed"]
    _warm_up(job["step"], train)

    with _interruptible():
        tuned = tune(
            job["step"],
            train,
            val,
            budget=Budget(job["budget_seconds"] or float("inf"), job["budget_trials"]),
            fixed=fixed,
            unlabelled=unlabelled,
            on_trial=lambda trial, offered: _say(trial=trial.accuracy, offered=offered),
            monitor=lambda number: Monitor(lambda progress: _say(stage=progress.line())),
        )
    _say(stage="measure")
    outcome, arrays = _measure(tuned, train, test, job["seed"])
    outcome["peak_rss_mb"] = peak_rss_mb()
    outcome["artifact_bytes"] = save_model(
        tuned.estimator,
        Path(job["model_folder"]),
        step=job["step"],
        data=job["data"],
        metrics={key: value for key, value in outcome.items() if key not in ("config", "trials")},
    )
    _say(measured=True)  # no cost is taken from here on: others may use the machine
    outcome["seeds"] = _seeds(tuned.estimator, outcome, job, texts)
    outcome["learning_curve"] = _learning_curve(tuned.estimator, job, texts)
    arrays |= _with_leaks(tuned.estimator, job, folder.parent, texts)
    save_file(
        {name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / "arrays.safetensors"
    )
    (folder / "outcome.json").write_text(json.dumps(outcome))


class _Texts(NamedTuple):
    """The parts of the data that a step is fitted, stopped and measured on."""

    train: Labelled
    val: Labelled
    test: Labelled
    unlabelled: pa.LargeStringArray | None


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C end the tuning; before and after it, what was begun is finished."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _say(**message: Json) -> None:
    print(json.dumps(message), flush=True)


def _warm_up(step: str, train: Labelled) -> None:
    """Compile kernels and load libraries on a few texts, so that no step's cost includes it."""
    firsts = np.concatenate(
        [np.flatnonzero(train.labels == c)[:8] for c in range(min(2, len(train.classes)))]
    )
    few = train.texts.take(pa.array(firsts))
    estimator = make_step(step)
    estimator.set_params(**{name: 1 for name in ("epochs", "min_steps") if name in estimator.get_params()})
    estimator.fit(few, train.names[firsts]).predict_texts(few)


def _measure(
    tuned: Tuned, train: Labelled, test: Labelled, seed: int
) -> tuple[dict[str, Json], dict[str, np.ndarray]]:
    """Predict the test texts once, timed, and say how good and how costly that was."""
    started = time.perf_counter()
    prediction = tuned.estimator.predict_texts(test.texts)
    seconds = time.perf_counter() - started
    outcome = score_prediction(prediction, test.labels, test.classes, np.random.default_rng(seed)) | {
        "temperature": float(tuned.estimator.temperature_),
        "fit_seconds": tuned.fit_seconds,
        "tune_seconds": tuned.tune_seconds,
        "texts_per_second": len(test) / seconds,
        "latency_ms": latency_ms(tuned.estimator, test.texts, np.random.default_rng(seed)),
        "config": tuned.estimator.get_params(),
        "trials": [asdict(trial) for trial in tuned.trials],
        "trials_total": tuned.offered,
        "interrupted": tuned.interrupted,
        "training": None if (training := tuned.estimator.training()) is None else training.as_json(),
        "adds": STEPS[tuned.estimator.name].adds,
        "lacks": STEPS[tuned.estimator.name].lacks,
    }
    arrays = {"probabilities": prediction.probabilities, "truncated": prediction.truncated}
    return outcome, arrays


def _refit(estimator: Step, job: dict[str, Any], part: Labelled, texts: _Texts, **settings: Any) -> Step:
    """Fit the chosen settings again on another part or with another seed, keeping the temperature."""
    again = make_step(job["step"], **(estimator.get_params() | settings))
    validation = (texts.val.texts, texts.val.names)
    again.fit(part.texts, part.names, unlabelled=texts.unlabelled, validation=validation)
    again.temperature_ = estimator.temperature_
    return again


def _seeds(
    estimator: Step, outcome: dict[str, Json], job: dict[str, Any], texts: _Texts
) -> list[dict[str, Json]]:
    """Train the chosen settings with further seeds: how much does the outcome owe to luck?"""
    runs = [{"seed": job["seed"]} | {key: outcome[key] for key in SEED_SCORES}]
    for seed in range(job["seed"] + 1, job["seed"] + job["seeds"]):
        _say(stage=f"seed {seed}")
        seeded = {"random_state": seed} if "random_state" in estimator.get_params() else {}
        again, test = _refit(estimator, job, texts.train, texts, **seeded), texts.test
        scores = measure(again.predict_proba(test.texts), test.labels, test.classes)
        runs.append({"seed": seed} | {key: scores[key] for key in SEED_SCORES})
    return runs


def _learning_curve(estimator: Step, job: dict[str, Any], texts: _Texts) -> list[dict[str, Json]]:
    """Train the chosen settings on growing, nested parts of the training texts."""
    if not job["learning_curve"]:
        return []
    train, test = texts.train, texts.test
    rng = np.random.default_rng(job["seed"])
    order = rng.permutation(len(train))
    firsts = np.array([np.flatnonzero(train.labels[order] == c)[0] for c in range(len(train.classes))])
    order = np.concatenate([order[firsts], np.delete(order, firsts)])  # every class from the start
    few = test.take(np.sort(rng.permutation(len(test))[:CURVE_TEXTS]))
    points = []
    for size in (*(s for s in CURVE_SIZES if len(train.classes) * 2 <= s < len(train)), len(train)):
        _say(stage=f"learning curve, {size} texts")
        part = train.take(np.sort(order[:size]))
        again = estimator if size == len(train) else _refit(estimator, job, part, texts)
        right = again.logits(few.texts).argmax(1) == few.labels
        points.append({"train": size, "correct": int(right.sum()), "test": len(few)})
    return points


def _with_leaks(estimator: Step, job: dict[str, Any], folder: Path, texts: _Texts) -> dict[str, np.ndarray]:
    """Train once more with the leaked texts put back, to tell what the leak would have done."""
    if not job["measure_leaks"]:
        return {}
    _say(stage="with the leaks put back")
    test = texts.test
    again = _refit(estimator, job, read_part(folder, "leaky", test.classes), texts)
    return {"correct_with_leaks": again.logits(test.texts).argmax(1) == test.labels}


def main() -> None:
    """Do the job named on the command line once told to; a known failure becomes one line and exit code."""
    folder, step = sys.argv[1:]
    try:
        step_class(step)
        if sys.stdin.readline():  # else whoever started this has gone
            run_job(Path(folder))
    except SopanError as error:
        _say(error=str(error), kind=type(error).__name__)
        sys.exit(error.exit_code)
