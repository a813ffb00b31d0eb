"""Weigh what the workers found: scores with intervals, paired tests, the verdict, texts worth reading."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import numpy as np
import psutil

from sopan import __version__
from sopan.comparison.evidence import disagreements, leak_effect, learning_points, likely_label_errors
from sopan.comparison.jobs import Outcome
from sopan.comparison.results import (
    AuditResults,
    DataReport,
    DataSummary,
    Environment,
    Results,
    RunReport,
)
from sopan.comparison.verdict import compare_pairs, explain, recommend
from sopan.errors import MissingExtraError
from sopan.fit.tune import tuning_metric
from sopan.options.classify import CompareOptions
from sopan.text.arrow import cores
from sopan.text.audit import CleanData
from sopan.text.duplicates import fingerprint

LIBRARIES = (
    "sopan",
    "numpy",
    "scipy",
    "scikit-learn",
    "numba",
    "pyarrow",
    "keras",
    "tensorflow-cpu",
    "tensorflow",
)


def summarise(data: CleanData) -> DataSummary:
    """Say what steps are trained and measured on."""
    corpus, split = data.corpus, data.split
    return DataSummary(
        name=corpus.source.name,
        rows=len(corpus),
        train=len(split.train),
        val=len(split.val),
        test=len(split.test),
        classes=corpus.classes,
        fingerprint=fingerprint(corpus),
        tuned_for=tuning_metric(corpus.labels[split.train]),
        unlabelled=0 if data.unlabelled is None else len(data.unlabelled),
        notes=corpus.source.notes,
    )


def weigh(
    options: CompareOptions,
    data: CleanData,
    summary: DataSummary,
    outcomes: Mapping[str, Outcome],
    command: str,
    started: datetime,
) -> Results:
    """Turn the outcomes of all steps into the results of their comparison.

    Args:
        command: that does the same.
        started: when it began, UTC.
    """
    rng = np.random.default_rng(np.random.SeedSequence(options.seed, spawn_key=(1,)))
    tested, rows = data.tested()
    steps = tuple(outcome.scores for outcome in outcomes.values())
    correct = {step: each.probabilities.argmax(axis=1) == tested.labels for step, each in outcomes.items()}
    with_leaks = {
        step: each.correct_with_leaks
        for step, each in outcomes.items()
        if each.correct_with_leaks is not None
    }
    curve = learning_points(outcomes, rng)
    pairs = compare_pairs(correct, margin=options.margin, rng=rng)
    recommendation = recommend(steps, pairs, options.margin)
    unchecked: tuple[str, ...] = ()
    try:
        best = max(steps, key=lambda scores: scores.accuracy).step
        label_errors = likely_label_errors(tested, rows, outcomes[best].probabilities)
    except MissingExtraError as error:
        label_errors, unchecked = (), (f"{error}.",)
    effect = leak_effect(correct, data.audit.leaked_test, with_leaks)
    return Results(
        sopan=__version__,
        data=DataReport(**vars(summary), audit=AuditResults(**vars(data.audit.report), leak_effect=effect)),
        steps=steps,
        pairs=pairs,
        recommendation=recommendation,
        verdict=explain(pairs, steps, len(tested), recommendation) + unchecked,
        learning_curve=curve or None,
        disagreements=disagreements(tested, rows, outcomes),
        label_errors=label_errors,
        environment=environment(),
        run=RunReport(
            command=command,
            seed=options.seed,
            seeds=options.seeds,
            budget=options.budget,
            deterministic=options.deterministic,
            seconds=max(0.0, (datetime.now(UTC) - started).total_seconds()),
            started=started.isoformat(timespec="seconds"),
        ),
    )


def environment() -> Environment:
    """Describe the machine and the versions of the libraries that the figures depend on."""
    return Environment(
        python=platform.python_version(),
        platform=platform.platform(terse=True),
        cpu=_cpu(),
        cores=cores(),
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
        versions={name: version for name in LIBRARIES if (version := _version(name))},
    )


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
