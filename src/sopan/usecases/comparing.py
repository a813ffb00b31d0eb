"""The main job, and the look at the data that comes before it."""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from sopan.comparison.comparison import Comparison
from sopan.comparison.jobs import Progress
from sopan.comparison.run import Plan, run_comparison, write_comparison
from sopan.fit.publish import folder_lock
from sopan.fit.tune import Budget
from sopan.steps import STEPS
from sopan.text.audit import audit_corpus
from sopan.text.datasets import fetch
from sopan.text.read import read_corpus
from sopan.text.tokenize import TokenRule
from sopan.types import Json
from sopan.usecases.inputs import (
    DEFAULT_PARTS,
    DEFAULT_READING,
    Parts,
    Reading,
    check_out,
    check_steps,
    with_unlabelled,
)


def _quiet(step: str, message: dict[str, Json]) -> None:
    """Ignore progress."""


def compare(
    data: str | Path,
    out: str | Path | None = None,
    *,
    steps: str | Sequence[str] | None = None,
    text: str | None = None,
    label: str | None = None,
    split_column: str | None = None,
    header: bool = True,
    encoding: str = "utf-8",
    max_rejects: int = 0,
    train: float | None = None,
    val: float | None = None,
    test: float | None = None,
    unlabelled: str | Path | None = None,
    seed: int = 0,
    seeds: int = 1,
    budget: str = "60s",
    margin: float = 0.005,
    tokens: TokenRule = "words",
    deterministic: bool = True,
    learning_curve: bool = False,
    progress: Progress = _quiet,
) -> Comparison:
    """Train every step on the same texts, measure them, and say which is worth its cost.

    Args:
        data: a file, a folder of class folders, or a named data set.
        out: folder for results.json, report.html, predictions.parquet, config.json and models/;
            `runs/<name>` unless given.
        steps: names from the table of steps, maybe with a variant: `bow`, `bow:counts`; all unless given.
        text, label, split_column, header, encoding, max_rejects: see `Reading`.
        train, val, test: see `Parts`.
        unlabelled: more texts, without labels, for the steps that can use them.
        seed, seeds, budget, margin, tokens, deterministic, learning_curve: see `Plan`.
        progress: told what is going on.

    Raises:
        SopanError: one line that says what is wrong, where, and what to do.
    """
    steps = check_steps(tuple(STEPS) if steps is None else steps)
    options = {key: value for key, value in locals().items() if key not in ("data", "out", "progress")}
    options["unlabelled"] = unlabelled and str(unlabelled)
    plan = Plan(steps, seed, seeds, Budget.parse(budget), margin, tokens, deterministic, learning_curve)
    reading = Reading(text, label, split_column, header, encoding, max_rejects)
    folder = check_out(out or Path("runs") / re.sub(r"[^\w.-]+", "-", Path(str(data)).name))
    progress("read", {"stage": str(data)})
    corpus = reading.corpus(data)
    split = Parts(train, val, test).split(corpus, seed)
    corpus, extra = with_unlabelled(corpus, split, unlabelled, reading)
    with folder_lock(folder):
        started = datetime.now(UTC).isoformat(timespec="seconds")
        results, predictions = run_comparison(corpus, split, extra, plan, folder, progress)
        results["run"] |= {
            "command": _command_line(data, out, options),
            "started": started,
            **{key: options[key] for key in ("seed", "seeds", "budget", "deterministic")},
        }
        config = {"data": {"given": str(data), **asdict(corpus.source)}, "out": str(folder), **options}
        write_comparison(folder, results, predictions, config)
    return Comparison(results, folder)


def _command_line(data: str | Path, out: str | Path | None, options: dict[str, Any]) -> str:
    """Write the command that does the same, defaults left out."""
    defaults = {name: p.default for name, p in inspect.signature(compare).parameters.items()}
    words = ["sopan", "compare", str(data)] + (["--out", str(out)] if out else [])
    for name, value in options.items():
        flag = name.replace("_", "-")
        if value == defaults[name] or (name == "steps" and tuple(value) == tuple(STEPS)):
            continue
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words += [f"--{flag}", ",".join(value) if name == "steps" else str(value)]
    return shlex.join(words)


def audit(
    data: str | Path, *, seed: int = 0, parts: Parts = DEFAULT_PARTS, reading: Reading = DEFAULT_READING
) -> dict[str, Json]:
    """Look for what would spoil a comparison: duplicates, leaks, conflicting labels, empties, imbalance.

    Raises:
        SopanError: the data cannot be read or split.
    """
    corpus = reading.corpus(data)
    return audit_corpus(corpus, parts.split(corpus, seed)).to_json()


def fetch_data(name: str) -> dict[str, Json]:
    """Fetch a named data set into the cache; say what it holds and where it lies."""
    path = fetch(name)
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
