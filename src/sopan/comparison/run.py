"""The main job: audit, remove leaks, run every step, weigh them, write everything down.

Corpus + Split -> audit -> clean Split -> one worker a step -> Outcomes -> results -> folder
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from sopan import __version__
from sopan.comparison.environment import environment
from sopan.comparison.evidence import disagreements, excerpt, leak_effect, predictions_table
from sopan.comparison.jobs import Outcome, Workers
from sopan.comparison.label_errors import likely_label_errors
from sopan.comparison.verdict import compare_pairs, explain, recommend
from sopan.comparison.worker import write_part
from sopan.errors import MissingExtraError, needs_extra
from sopan.fit.intervals import accuracy_interval
from sopan.fit.tune import Budget, tuning_metric
from sopan.options.base import ProgressCallback
from sopan.options.data import TokenRule
from sopan.storage.atomic import write_atomic
from sopan.storage.strict_json import dump_json
from sopan.text.audit import Audit, audit_corpus, remove_leaks
from sopan.text.duplicates import fingerprint
from sopan.text.parquet import write_parquet
from sopan.text.split import check_parts
from sopan.types import BoolArray, Corpus, Int64Array, Json, Labels, Split


@dataclass(frozen=True, slots=True)
class Plan:
    """How to compare: everything that `config.json` records besides the data.

    Args:
        steps: names from the table of steps, maybe with variants; at least one, all different.
        seed: the one seed, split for each stage.
        seeds: how many seeds to train the chosen settings with, `seed` the first.
        budget: for tuning, the same for every step.
        margin: accuracy that one would give up for a cheaper step.
        tokens: the rule that cuts texts into words.
        deterministic: same command, same bits; else word vectors are trained on all cores at once.
        learning_curve: also train on growing parts of the training texts.
    """

    steps: tuple[str, ...]
    seed: int = 0
    seeds: int = 1
    budget: Budget = field(default_factory=lambda: Budget(seconds=60))
    margin: float = 0.005
    tokens: TokenRule = "words"
    deterministic: bool = True
    learning_curve: bool = False


def run_comparison(
    corpus: Corpus,
    split: Split,
    unlabelled: pa.LargeStringArray | None,
    plan: Plan,
    out: Path,
    progress: ProgressCallback,
) -> tuple[dict[str, Json], pa.Table]:
    """Compare the plan's steps on one split; models go to `out/models`.

    Args:
        unlabelled: further texts, those equal to a validation or test text already dropped.

    Returns:
        results: the object that results.json holds.
        predictions: every test text's prediction by every step.

    Raises:
        DataError: the clean training texts lack a class.
    """
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="sopan-") as folder, Workers(plan.steps, Path(folder)) as workers:
        progress("audit", {"stage": "duplicates, leaks, lengths, balance"})
        audit = audit_corpus(corpus, split, rule=plan.tokens)
        clean = remove_leaks(split, audit)
        check_parts(corpus, clean)
        data = _about(corpus, clean, unlabelled)
        _write_job(Path(folder), corpus, split, clean, unlabelled, plan, data)
        leaky = len(split.train) != len(clean.train)
        outcomes = {}
        for step in plan.steps:
            progress(step, {"stage": "start"})
            outcomes[step] = workers.run(step, _settings(step, plan, leaky, out), progress)
    progress("compare", {"stage": "intervals, paired tests, verdict"})
    results: dict[str, Json] = {"sopan": __version__, "data": data}
    results |= _weigh(corpus, clean, outcomes, plan)
    data["audit"] = audit.report.as_json() | {"leak_effect": _leak_effect(corpus, clean, audit, outcomes)}
    results["environment"] = environment()
    results["run"] = {"seconds": time.perf_counter() - started}
    return results, predictions_table(corpus, clean.test, outcomes)


def _about(corpus: Corpus, clean: Split, unlabelled: pa.LargeStringArray | None) -> dict[str, Json]:
    """Say what the data are: what results.json and each model's config.json hold of them."""
    return {
        "name": corpus.source.name,
        "rows": len(corpus),
        "train": len(clean.train),
        "val": len(clean.val),
        "test": len(clean.test),
        "classes": list(corpus.classes),
        "fingerprint": fingerprint(corpus),
        "tuned_for": tuning_metric(corpus.labels[clean.train]),
        "unlabelled": 0 if unlabelled is None else len(unlabelled),
        "notes": list(corpus.source.notes),
    }


def _write_job(
    job: Path,
    corpus: Corpus,
    split: Split,
    clean: Split,
    unlabelled: pa.LargeStringArray | None,
    plan: Plan,
    data: dict[str, Json],
) -> None:
    """Write what every worker reads: the texts, and what is common to all steps."""
    parts = {"train": clean.train, "val": clean.val, "test": clean.test, "leaky": split.train}
    for name, rows in parts.items():
        write_part(job, name, corpus.texts.take(pa.array(rows)), corpus.labels[rows])
    if unlabelled is not None:
        write_part(job, "unlabelled", unlabelled)
    common = {
        "classes": corpus.classes,
        "data": data,
        "unlabelled": unlabelled is not None,
        "seed": plan.seed,
        "seeds": plan.seeds,
        "budget_seconds": None if plan.budget.seconds == float("inf") else plan.budget.seconds,
        "budget_trials": plan.budget.trials,
        "learning_curve": plan.learning_curve,
        "fixed": {
            "tokens": plan.tokens,
            "random_state": plan.seed,
            "deterministic": plan.deterministic,
        },
    }
    (job / "job.json").write_text(json.dumps(common))


def _settings(step: str, plan: Plan, leaky: bool, out: Path) -> dict[str, Json]:
    """Return what one worker is told; the first step also tells what training on the leaks would do."""
    return {
        "model_folder": str((out / "models" / step.replace(":", "-")).resolve()),
        "measure_leaks": leaky and step == plan.steps[0],
    }


def _weigh(corpus: Corpus, split: Split, outcomes: dict[str, Outcome], plan: Plan) -> dict[str, Json]:
    """Turn outcomes into scores with intervals, pairs, a recommendation and texts worth reading."""
    labels = corpus.labels[split.test]
    rng = np.random.default_rng(np.random.SeedSequence(plan.seed, spawn_key=(1,)))
    steps: list[dict[str, Any]] = []
    curve: list[dict[str, Json]] = []
    for step, outcome in outcomes.items():
        steps.append({"step": step} | {k: v for k, v in outcome.scores.items() if k != "learning_curve"})
        curve += [_curve_point(step, point, rng) for point in outcome.scores["learning_curve"]]
    correct = _correct(outcomes, labels)
    pairs = compare_pairs(correct, margin=plan.margin, rng=rng)
    recommendation = recommend(steps, pairs, plan.margin)
    best = outcomes[max(steps, key=lambda s: s["accuracy"])["step"]]
    label_errors, unchecked = _label_errors(corpus, split.test, best)
    return {
        "steps": steps,
        "pairs": pairs,
        "recommendation": recommendation,
        "verdict": explain(pairs, steps, len(labels), plan.margin) + _interruptions(steps) + unchecked,
        "learning_curve": curve or None,
        "disagreements": disagreements(corpus, split.test, outcomes),
        "label_errors": label_errors,
    }


def _interruptions(steps: list[dict[str, Any]]) -> list[str]:
    """Say which steps were not given their whole budget."""
    return [
        f"Tuning of `{s['step']}` was interrupted after {len(s['trials'])} of {s['trials_total']} settings, "
        "so that it may do better than shown."
        for s in steps
        if s["interrupted"]
    ]


def _correct(outcomes: dict[str, Outcome], labels: Labels) -> dict[str, BoolArray]:
    """Say for each step which of the N test texts it got right."""
    return {step: outcome.probabilities.argmax(axis=1) == labels for step, outcome in outcomes.items()}


def _curve_point(step: str, point: dict[str, int], rng: np.random.Generator) -> dict[str, Json]:
    right, n = point["correct"], point["test"]
    interval = list(accuracy_interval(np.array([[right, n - right], [0, 0]]), rng))
    return {"step": step, "train": point["train"], "accuracy": right / n, "ci": interval}


def _label_errors(corpus: Corpus, test: Int64Array, best: Outcome) -> tuple[list[dict[str, Json]], list[str]]:
    """Return the labels that are likely wrong, and a sentence where they could not be looked for."""
    texts = corpus.texts.take(pa.array(test)).to_pylist()
    try:
        found = likely_label_errors(
            best.probabilities, corpus.labels[test], corpus.rows[test], texts, corpus.classes
        )
    except MissingExtraError as error:
        return [], [f"{error}."]
    return [item | {"text": excerpt(item["text"])} for item in found], []


def _leak_effect(corpus: Corpus, split: Split, audit: Audit, outcomes: dict[str, Outcome]) -> dict[str, Json]:
    """Say what the leaked texts do to the scores: on those texts, and through training on them."""
    labels = corpus.labels[split.test]
    correct = _correct(outcomes, labels)
    effect: dict[str, Json] = leak_effect(correct, audit.leaked_test)
    for step, outcome in outcomes.items():
        if outcome.correct_with_leaks is not None:
            effect["trained_with_leaks"] = {
                "step": step,
                "accuracy": float(outcome.correct_with_leaks.mean()),
                "accuracy_without": float(correct[step].mean()),
            }
    return effect


def write_comparison(
    folder: Path, results: dict[str, Json], predictions: pa.Table, config: dict[str, Json]
) -> None:
    """Write a comparison's files, each whole or not at all, results.json last."""
    _remove_other_models(folder / "models", {step["step"].replace(":", "-") for step in results["steps"]})
    write_atomic(folder / "config.json", dump_json(config))
    write_parquet(predictions, folder / "predictions.parquet")
    _write_report(results, folder / "report.html")
    write_atomic(folder / "results.json", dump_json(results))


def _write_report(results: dict[str, Json], path: Path) -> None:
    """Write the report, or where what draws it is not installed, remove that of an earlier comparison."""
    try:
        with needs_extra("report", path.name):
            from sopan.comparison.report import write_report  # noqa: PLC0415  # imports what draws charts
    except MissingExtraError:
        path.unlink(missing_ok=True)
    else:
        write_report(results, path)


def _remove_other_models(models: Path, kept: set[str]) -> None:
    """Remove the models of an earlier comparison in this folder, which the new results say nothing about."""
    for folder in models.iterdir():
        if folder.name not in kept and (folder / "manifest.json").is_file():
            shutil.rmtree(folder)
