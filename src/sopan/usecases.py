"""The only door: everything that the command line, the API or a notebook may ask of sopan.

Each function reads its input, hands it down the floors, and returns a value; none prints.
"""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import pyarrow as pa

from sopan.compare.comparison import Comparison
from sopan.compare.evidence import fingerprint
from sopan.compare.jobs import Progress
from sopan.compare.run import Plan, check_parts, run_comparison, write_comparison
from sopan.errors import ConfigError
from sopan.fit.artifact import label_names, load_model, save_model
from sopan.fit.predict import evaluate_model, predict_stream, write_predictions
from sopan.fit.publish import folder_lock
from sopan.fit.tune import Budget, Labelled, tune
from sopan.rungs import STEPS, step_class
from sopan.rungs.base import Rung
from sopan.text.audit import audit_corpus, remove_leaks
from sopan.text.datasets import fetch
from sopan.text.read import read_corpus, read_texts, stream_texts
from sopan.text.split import dedupe_unlabelled, make_split
from sopan.text.tokenize import TokenRule
from sopan.types import Corpus, Json, Split


def _quiet(step: str, message: dict[str, Json]) -> None:
    """Ignore progress."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read a table of texts; the defaults infer what they can.

    Args:
        text, label, split_column: column names, or positions where there is no header.
        header: whether the first line names the columns.
        encoding: of text files; bytes that do not decode are rejected rows.
        max_rejects: how many unreadable rows to tolerate.
    """

    text: str | None = None
    label: str | None = None
    split_column: str | None = None
    header: bool = True
    encoding: str = "utf-8"
    max_rejects: int = 0

    def corpus(self, data: str | Path) -> Corpus:
        """Read labelled texts."""
        return read_corpus(data, **asdict(self))

    @property
    def unlabelled(self) -> dict[str, Any]:
        """The settings that reading without labels needs."""
        return {key: value for key, value in asdict(self).items() if key not in ("label", "split_column")}


@dataclass(frozen=True, slots=True)
class Parts:
    """How many texts to train, validate and test on: counts (>= 1) or fractions (< 1)."""

    train: float | None = None
    val: float | None = None
    test: float | None = None

    def split(self, corpus: Corpus, seed: int) -> Split:
        """Split a corpus, reproducibly."""
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
        return make_split(corpus, **asdict(self), rng=rng)


DEFAULT_READING = Reading()
DEFAULT_PARTS = Parts()


def compare(
    data: str | Path,
    out: str | Path | None = None,
    *,
    steps: Sequence[str] = tuple(STEPS),
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
        steps: names from the table of steps, maybe with a variant: `bow`, `bow:counts`.
        text, label, split_column, header, encoding, max_rejects: see `Reading`.
        train, val, test: see `Parts`.
        unlabelled: more texts, without labels, for the steps that can use them.
        seed, seeds, budget, margin, tokens, deterministic, learning_curve: see `Plan`.
        progress: told what is going on.

    Raises:
        SopanError: one line that says what is wrong, where, and what to do.
    """
    options = {key: value for key, value in locals().items() if key not in ("data", "out", "progress")}
    plan = Plan(
        check_steps(steps), seed, seeds, Budget.parse(budget), margin, tokens, deterministic, learning_curve
    )
    reading = Reading(text, label, split_column, header, encoding, max_rejects)
    progress("read", {"stage": str(data)})
    corpus = reading.corpus(data)
    split = Parts(train, val, test).split(corpus, seed)
    corpus, extra = _with_unlabelled(corpus, split, unlabelled, reading)
    folder = Path(out) if out else Path("runs") / re.sub(r"[^\w.-]+", "-", Path(str(data)).name)
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


def _with_unlabelled(
    corpus: Corpus, split: Split, unlabelled: str | Path | None, reading: Reading
) -> tuple[Corpus, pa.LargeStringArray | None]:
    """Read further texts, drop those that are held out, and note both numbers on the corpus."""
    if unlabelled is None:
        return corpus, None
    texts, _ = read_texts(unlabelled, **reading.unlabelled)
    held_out = corpus.texts.take(pa.array(np.concatenate([split.val, split.test])))
    kept, dropped = dedupe_unlabelled(texts, held_out)
    note = f"{len(kept):,} unlabelled texts, {dropped:,} dropped that stand in validation or test"
    return replace(corpus, source=replace(corpus.source, notes=(*corpus.source.notes, note))), kept


def audit(
    data: str | Path, *, seed: int = 0, parts: Parts = DEFAULT_PARTS, reading: Reading = DEFAULT_READING
) -> dict[str, Json]:
    """Look for what would spoil a comparison: duplicates, leaks, conflicting labels, empties, imbalance.

    Raises:
        SopanError: the data cannot be read or split.
    """
    corpus = reading.corpus(data)
    return audit_corpus(corpus, parts.split(corpus, seed)).to_json()


def train(
    step: str,
    data: str | Path,
    out: str | Path,
    *,
    budget: str = "60s",
    seed: int = 0,
    tokens: TokenRule = "words",
    unlabelled: str | Path | None = None,
    parts: Parts = DEFAULT_PARTS,
    reading: Reading = DEFAULT_READING,
) -> dict[str, Json]:
    """Tune and fit one step and publish its model folder; return its scores on the test part.

    Raises:
        SopanError: the step, the data or the folder cannot be used.
    """
    check_steps([step])
    limit = Budget.parse(budget)
    corpus = reading.corpus(data)
    split = parts.split(corpus, seed)
    split = remove_leaks(split, audit_corpus(corpus, split, rule=tokens))
    check_parts(corpus, split)
    corpus, extra = _with_unlabelled(corpus, split, unlabelled, reading)
    train_part, val_part, test_part = (
        Labelled(corpus.texts.take(pa.array(rows)), corpus.labels[rows], corpus.classes)
        for rows in (split.train, split.val, split.test)
    )
    with folder_lock(Path(out)):
        fixed = {"tokens": tokens, "random_state": seed}
        tuned = tune(step, train_part, val_part, budget=limit, fixed=fixed, unlabelled=extra)
        scores = evaluate_model(tuned.rung, test_part)
        counts = {"train": len(train_part), "val": len(val_part), "test": len(test_part)}
        about = {"name": corpus.source.name, "fingerprint": fingerprint(corpus), **counts}
        save_model(tuned.rung, out, data=about, metrics=scores, step=step)
    return scores


def evaluate(model: str | Path, data: str | Path, *, reading: Reading = DEFAULT_READING) -> dict[str, Json]:
    """Measure a saved model on every labelled text of `data`.

    Raises:
        SopanError: the folder or the data cannot be used, or a label is unknown to the model.
    """
    rung = load_model(model)
    return evaluate_model(rung, reading.corpus(data))


def predict_text(model: str | Path, text: str) -> dict[str, Json]:
    """Classify one text: `predicted`, `probabilities` by class, `truncated`, `no_known_words`."""
    rung = load_model(model)
    answer = rung.predict_texts([text])
    names, probabilities = label_names(rung.classes_), answer.probabilities[0]
    return {
        "predicted": names[int(probabilities.argmax())],
        "probabilities": dict(zip(names, probabilities.tolist(), strict=True)),
        "truncated": bool(answer.truncated[0]),
        "no_known_words": bool(answer.no_known_words[0]),
    }


def predict_file(
    model: str | Path, data: str | Path, out: str | Path, *, reading: Reading = DEFAULT_READING
) -> int:
    """Stream predictions for a file of any size to `.parquet`, `.csv` or `.jsonl`; return how many."""
    rung = load_model(model)
    return write_predictions(predict_stream(rung, iter(stream_texts(data, **reading.unlabelled))), out)


def load(model: str | Path) -> Rung:
    """Load a model folder: a fitted scikit-learn classifier of texts.

    Raises:
        ModelFolderError: there is no model there, or it was altered.
    """
    return load_model(model)


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


def check_steps(steps: Sequence[str]) -> tuple[str, ...]:
    """Hold that every step, with its variant, exists and is named once.

    Raises:
        ConfigError: which is not so.
    """
    if not steps:
        raise ConfigError("no step was named", next_step=f"steps: {', '.join(STEPS)}")
    for step in steps:
        step_class(step).variant_settings(step)
    twice = {step for step in steps if list(steps).count(step) > 1}
    if twice:
        raise ConfigError(f"the step {min(twice)} is named twice")
    return tuple(steps)


def token_rule(name: str) -> TokenRule:
    """Return the rule of that name.

    Raises:
        ConfigError: there is none.
    """
    rules = get_args(TokenRule)
    if name not in rules:
        near = get_close_matches(name, rules, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ConfigError(f"no token rule is called {name!r}", next_step=f"{hint}rules: {', '.join(rules)}")
    return cast(TokenRule, name)
