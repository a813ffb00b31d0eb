"""A user's table: read as sopan reads every table, audited, and scored where its labels are served.

A table comes and goes as text. Between the two the server has its texts predicted, a few at a time, like any
others: no table holds the models for long.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sopan.errors import DataError, InputError
from sopan.fit.intervals import accuracy_interval
from sopan.fit.metrics import count_confusion, macro_f1
from sopan.text.audit import audit_corpus
from sopan.text.read import read_corpus, read_texts
from sopan.types import Corpus, Int64Array, Split
from sopan.usecases.served import StepScore, TableAudit, TableContent, Unmeasured
from sopan.usecases.served.served_step import DECIMALS

NOBODY_TESTS = "class_not_in_test"
"""A finding of audits of parts: a table of one's own has none."""
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)


def read_table(content: str, form: str, most_rows: int, served: Sequence[str]) -> TableContent:
    """Read and audit a table; return its texts and labels too if they can be scored.

    Args:
        content: the table's text.
        form: csv, tsv or jsonl.
        most_rows: that it may have.
        served: the labels that the steps know.

    Raises:
        InputError: it is no table that can be read, or has too many rows. Nothing of it is repeated.
    """
    with tempfile.TemporaryDirectory(prefix="sopan-") as folder:
        path = Path(folder) / f"table.{form}"
        path.write_text(content, encoding="utf-8", newline="")
        try:
            corpus, unlabelled = _read(path)
        except DataError as error:
            raise InputError(own_words(error)) from error
    if len(corpus) > most_rows:
        raise InputError(f"the table has {len(corpus):,} rows, and {most_rows:,} are taken at most")
    unmeasured = _unmeasured(corpus, unlabelled, served)
    rows = np.empty(0, np.int64) if unmeasured is not None else _to_score(corpus)
    return {
        "audit": _audit(corpus, labelled=unlabelled is None),
        "unmeasured": unmeasured,
        "rows": corpus.rows[rows].tolist(),
        "texts": corpus.texts.take(rows).to_pylist(),
        "labels": [corpus.classes[label] for label in corpus.labels[rows].tolist()],
    }


def score_table(
    labels: Sequence[str], predicted: Mapping[str, Sequence[str]], served: Sequence[str]
) -> list[StepScore]:
    """Score what every step predicted for a table's N texts.

    Args:
        labels: N names.
        predicted: N names of each step.
        served: the labels that the steps know.
    """
    place = {name: i for i, name in enumerate(served)}
    truth = _places(labels, place)
    scores: list[StepScore] = []
    for step, names in predicted.items():
        confusion = count_confusion(truth, _places(names, place), len(served))
        interval = accuracy_interval(confusion, np.random.default_rng(0))
        scores.append(
            {
                "step": step,
                "accuracy": round(float(confusion.trace() / len(truth)), DECIMALS),
                "accuracy_ci": [round(end, DECIMALS) for end in interval],
                "macro_f1": round(macro_f1(confusion), DECIMALS),
            }
        )
    return scores


def own_words(error: DataError) -> str:
    """Say what is wrong with a table without a word of it: what is quoted, listed or in brackets goes."""
    what = re.split(r"[:(]", _QUOTED.sub("…", error.what))[0].strip(" ,")
    line = re.search(r":(\d+)$", error.where or "")
    return f"{what} (line {line[1]})" if line else what


# ---- reading ---------------------------------------------------------------------------------------


def _read(path: Path) -> tuple[Corpus, str | None]:
    """Read a table with its labels; or without them, and say why.

    Raises:
        DataError: there are no texts to be had either, or the first line is no header.
    """
    try:
        return read_corpus(path), None
    except DataError as error:
        if "--no-header" in (error.next_step or ""):
            raise
        unlabelled = own_words(error)
    texts, source = read_texts(path)
    n = len(texts)
    return Corpus(texts, np.zeros(n, np.int32), ("",), np.arange(n), source), unlabelled


def _unmeasured(corpus: Corpus, unlabelled: str | None, served: Sequence[str]) -> Unmeasured | None:
    """Say why a table cannot be scored, if it cannot."""
    if unlabelled is not None:
        return {"reason": "no_labels", "detail": unlabelled}
    strange = len(set(corpus.classes) - set(served))
    if strange:
        detail = f"{strange:,} of the {len(corpus.classes):,} labels are none that the steps know"
        return {"reason": "other_labels", "detail": detail}
    return None


def _to_score(corpus: Corpus) -> Int64Array:
    """Return which texts are scored: those that the table itself names for testing, or all."""
    every = np.arange(len(corpus))
    tests = every if corpus.split is None else np.flatnonzero(corpus.split == "test")
    return tests if len(tests) else every


def _audit(corpus: Corpus, *, labelled: bool) -> TableAudit:
    """Look at all texts as one part, and keep what a page shows."""
    none = np.empty(0, np.int64)
    found = audit_corpus(corpus, Split(np.arange(len(corpus)), none, none)).report
    classes = [
        {"class": row.class_, "texts": row.train, "share": round(row.share, DECIMALS)}
        for row in found.classes
    ]
    return {
        "texts": len(corpus),
        "findings": [finding.as_json() for finding in found.findings if finding.code != NOBODY_TESTS],
        "classes": classes if labelled else [],
        "imbalance": round(found.imbalance, DECIMALS) if labelled else None,
        "lengths": found.lengths.as_json(),
        "empty": found.empty.empty + found.empty.blank + found.empty.no_words,
        "duplicates": found.duplicates.within.train,
        "near_duplicates": found.near_duplicates.pairs["train_train"],
        "conflicts": found.conflicts.texts,
        "scripts": {name: round(share, DECIMALS) for name, share in found.scripts.items()},
    }


def _places(names: Sequence[str], place: Mapping[str, int]) -> npt.NDArray[np.int64]:
    return np.array([place[name] for name in names], np.int64)
