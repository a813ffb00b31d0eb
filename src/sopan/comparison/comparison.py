"""A comparison: what the workers found is weighed, written into a folder, and shown in a notebook."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from sopan import __version__
from sopan.comparison.evidence import disagreements, leak_effect, learning_points, likely_label_errors
from sopan.comparison.jobs import Outcome
from sopan.comparison.ledger import OUTCOMES
from sopan.comparison.majority import score_majority, silent_failures
from sopan.comparison.results import (
    PREDICTIONS,
    RESULTS,
    AuditResults,
    DataReport,
    DataSummary,
    Environment,
    Results,
    RunReport,
    model_folder,
)
from sopan.comparison.terminal import summary_html
from sopan.comparison.verdict import compare_pairs, recommend, verdict_sentences
from sopan.errors import MissingExtraError, needs_extra
from sopan.fit.artifact import load_model
from sopan.fit.tune import tuning_metric
from sopan.options.classify import CompareOptions
from sopan.options.names import path_name
from sopan.steps.base import Step
from sopan.storage.atomic import write_atomic
from sopan.storage.manifest import MANIFEST
from sopan.storage.strict_json import dump_json
from sopan.text.arrow import cores
from sopan.text.audit import CleanData
from sopan.text.duplicates import fingerprint
from sopan.text.parquet import write_parquet
from sopan.types import Json

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


def summarise_data(data: CleanData) -> DataSummary:
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
        text_column=corpus.source.text,
    )


def weigh_outcomes(
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
    majority = score_majority(data.corpus.take(data.split.train), tested, summary.classes)
    failures = tuple(silent_failures(steps, majority, summary.classes))
    effect = leak_effect(correct, data.audit.leaked_test, with_leaks)
    return Results(
        sopan=__version__,
        data=DataReport(**vars(summary), audit=AuditResults(**vars(data.audit.report), leak_effect=effect)),
        steps=steps,
        pairs=pairs,
        recommendation=recommendation,
        verdict=verdict_sentences(pairs, steps, len(tested), recommendation) + failures + unchecked,
        learning_curve=curve or None,
        disagreements=disagreements(tested, rows, outcomes),
        label_errors=label_errors,
        environment=environment(),
        majority=majority,
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


# ---- the folder ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `sopan compare` found, and the folder that it wrote.

    Args:
        results: what results.json holds.
        folder: holds results.json, report.html, predictions.parquet, config.json and models/.
    """

    results: Results
    folder: Path

    def write(self, predictions: pa.Table, config: Mapping[str, object]) -> None:
        """Write the files beside the models, each whole or not at all, results.json last."""
        self._remove_other_models()
        write_atomic(self.folder / "config.json", dump_json(config))
        write_parquet(predictions, self.folder / PREDICTIONS)
        self._write_report()
        write_atomic(self.folder / RESULTS, dump_json(self.results.as_json()))

    def _write_report(self) -> None:
        """Write the report, or where what draws it is not installed, remove that of an earlier comparison."""
        try:
            with needs_extra("report", self.report.name):
                from sopan.comparison.report import render_report  # noqa: PLC0415  # imports what draws charts
        except MissingExtraError:
            self.report.unlink(missing_ok=True)
        else:
            write_atomic(self.report, render_report(self.results))

    def _remove_other_models(self) -> None:
        """Remove the models of an earlier comparison in this folder, which these results do not name."""
        kept = {path_name(scores.step) for scores in self.results.steps}
        for folder in (self.folder / "models").glob("*"):
            if folder.name not in kept and (folder / MANIFEST).is_file():
                shutil.rmtree(folder)
        for outcome in (self.folder / OUTCOMES).glob("*.safetensors"):
            if outcome.stem not in kept:
                outcome.unlink()

    def as_json(self) -> dict[str, Json]:
        """Return what results.json holds."""
        return self.results.as_json()

    @property
    def recommended(self) -> str:
        """The step that the verdict recommends."""
        return self.results.recommendation.step

    @property
    def report(self) -> Path:
        """The self-contained page; there where the extra `report` is installed."""
        return self.folder / "report.html"

    def model(self, step: str | None = None) -> Step:
        """Load a compared model, the recommended one unless another step is named."""
        return load_model(model_folder(self.folder, step or self.recommended))

    def predictions(self) -> pa.Table:
        """Read every test text's prediction by every step."""
        return pq.read_table(self.folder / PREDICTIONS, page_checksum_verification=True)

    def __repr__(self) -> str:
        scores = ", ".join(f"{scores.step} {scores.accuracy:.4f}" for scores in self.results.steps)
        return f"Comparison({scores}; recommended: {self.recommended}; folder: {self.folder})"

    def _repr_html_(self) -> str:
        return summary_html(self.results)
