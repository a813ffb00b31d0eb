"""The main job, and the look at the data that comes before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime

import numpy as np

from sopan.comparison.combining import check_needs, in_order
from sopan.comparison.comparison import Comparison, summarise_data, weigh_outcomes
from sopan.comparison.contenders import Contender, check_contenders
from sopan.comparison.defaults import DEFAULT, lacks_preset, name_presets, preset_findings
from sopan.comparison.estimate import estimate
from sopan.comparison.evidence import predictions_table
from sopan.comparison.run_folder import run_folder
from sopan.comparison.worker_pool import Workers
from sopan.fit.tune import Budget
from sopan.options.base import takes
from sopan.options.classify import INPUTS, AuditOptions, CompareOptions, FetchOptions
from sopan.storage.atomic import folder_lock
from sopan.text.audit import audit_corpus
from sopan.text.audit_report import AuditReport
from sopan.text.datasets import NAMES, fetch
from sopan.text.memory import data_name, in_memory
from sopan.text.read import read_corpus, read_texts
from sopan.usecases.inputs import check_out, split_corpus, tuning_data, without_tables


@takes(CompareOptions)
def compare(options: CompareOptions) -> Comparison:
    """Train every step on the same texts, measure them, and say which is worth its cost.

    Writes results.json, report.html, predictions.parquet, config.json and models/ into the folder `out`.

    Raises:
        SopanError: one line that says what is wrong, where, and what to do.
    """
    given = check_contenders(DEFAULT if options.steps is None else options.steps, options.settings)
    check_needs(given, unlabelled=options.unlabelled is not None)
    Budget.parse(options.budget)
    folder, command = check_out(run_folder(options)), _command(options, given)
    with Workers(None if options.resume or lacks_preset(given[0]) else given[0]) as workers:
        data = tuning_data(options)
        train, *read = data.parts()
        named = name_presets(given, train.texts, options.progress)
        data = data.noting(preset_findings(given, train.texts))
        told = estimate(named, train.texts, sum(map(len, read)), Budget.parse(options.budget))
        options.progress("estimate", {"stage": told})
        contenders = [named[place] for place in in_order([one.name for one in named])]
        options = replace(
            without_tables(options, {}), out=folder, steps=tuple(one.name for one in contenders)
        )
        with folder_lock(folder):
            started, summary = datetime.now(UTC), summarise_data(data)
            outcomes = workers.run(contenders, options, data, summary)
            options.progress("compare", {"stage": "intervals, paired tests, verdict"})
            found = Comparison(weigh_outcomes(options, data, summary, outcomes, command, started), folder)
            config = options.as_json()
            config["data"] = {"given": config["data"], **asdict(data.corpus.source)}
            found.write(predictions_table(*data.tested(), outcomes), config)
    return found


def _command(options: CompareOptions, contenders: Sequence[Contender]) -> str:
    """Return the command that does the same; an estimator from outside stands there by its name."""
    names = None if options.steps is None else tuple(one.name for one in contenders)
    stand_ins = {name: name.upper() for name in INPUTS}
    command = replace(without_tables(options, stand_ins), steps=names).command_line("compare")
    from_memory = [
        f"{stand_ins[name]}: {data_name(value)}, from memory"
        for name in INPUTS
        if (value := getattr(options, name)) is not None and in_memory(value)
    ]
    return command + (f"  # {'; '.join(from_memory)}" if from_memory else "")


@takes(AuditOptions)
def audit(options: AuditOptions) -> AuditReport:
    """Look for what would spoil a comparison: duplicates, leaks, conflicting labels, empties, imbalance.

    Raises:
        SopanError: the data cannot be read or split.
    """
    corpus = read_corpus(options.data, options)
    return audit_corpus(corpus, split_corpus(corpus, options)).report


@takes(FetchOptions)
def fetch_data(options: FetchOptions) -> dict[str, object]:
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
