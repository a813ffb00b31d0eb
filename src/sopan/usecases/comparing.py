"""The main job, and the look at the data that comes before it."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from sopan.comparison.comparison import Comparison
from sopan.comparison.run import Plan, run_comparison, write_comparison
from sopan.fit.tune import Budget
from sopan.options.base import takes
from sopan.options.classify import AuditOptions, CompareOptions, FetchOptions
from sopan.steps import STEPS
from sopan.storage.atomic import folder_lock
from sopan.text.audit import audit_corpus
from sopan.text.audit_report import AuditReport
from sopan.text.datasets import NAMES, fetch
from sopan.text.read import read_corpus, read_texts
from sopan.types import Json
from sopan.usecases.inputs import check_out, check_steps, split_corpus, with_unlabelled


@takes(CompareOptions)
def compare(options: CompareOptions) -> Comparison:
    """Train every step on the same texts, measure them, and say which is worth its cost.

    Writes results.json, report.html, predictions.parquet, config.json and models/ into the folder `out`.

    Raises:
        SopanError: one line that says what is wrong, where, and what to do.
    """
    steps = check_steps(tuple(STEPS) if options.steps is None else options.steps)
    plan = Plan(
        steps,
        options.seed,
        options.seeds,
        Budget.parse(options.budget),
        options.margin,
        options.tokens,
        options.deterministic,
        options.learning_curve,
    )
    folder = check_out(options.out or Path("runs") / re.sub(r"[^\w.-]+", "-", Path(str(options.data)).name))
    options.progress("read", {"stage": str(options.data)})
    corpus = read_corpus(options.data, options)
    split = split_corpus(corpus, options)
    corpus, extra = with_unlabelled(corpus, split, options)
    with folder_lock(folder):
        started = datetime.now(UTC).isoformat(timespec="seconds")
        results, predictions = run_comparison(corpus, split, extra, plan, folder, options.progress)
        given = replace(options, out=folder, steps=steps).as_json()
        results["run"] |= {
            "command": options.command_line("compare"),
            "started": started,
            **{key: given[key] for key in ("seed", "seeds", "budget", "deterministic")},
        }
        config = given | {"data": {"given": given["data"], **asdict(corpus.source)}}
        write_comparison(folder, results, predictions, config)
    return Comparison(results, folder)


@takes(AuditOptions)
def audit(options: AuditOptions) -> AuditReport:
    """Look for what would spoil a comparison: duplicates, leaks, conflicting labels, empties, imbalance.

    Raises:
        SopanError: the data cannot be read or split.
    """
    corpus = read_corpus(options.data, options)
    return audit_corpus(corpus, split_corpus(corpus, options)).report


@takes(FetchOptions)
def fetch_data(options: FetchOptions) -> dict[str, Json]:
    """Fetch a named data set into the cache; say what it holds and where it lies."""
    name = options.name
    path = fetch(name)
    if NAMES[name].label is None:
        texts, source = read_texts(name)
        return {"name": name, "texts": len(texts), "file": str(path), "notes": list(source.notes)}
    corpus = read_corpus(name)
    parts = (
        {} if corpus.split is None else dict(zip(*np.unique(corpus.split, return_counts=True), strict=True))
    )
    return {
        "name": name,
        "texts": len(corpus),
        **{part: int(parts[part]) for part in ("train", "val", "test") if part in parts},
        "classes": list(corpus.classes),
        "file": str(path),
        "notes": list(corpus.source.notes),
    }
