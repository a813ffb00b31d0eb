"""What a comparison leaves behind besides scores: every prediction, and the texts worth reading."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from sopan.comparison.jobs import Outcome
from sopan.types import BoolArray, Corpus, Int64Array, Json

EXCERPT = 700
"""Characters of a text that the report shows."""


def predictions_table(corpus: Corpus, test: Int64Array, outcomes: dict[str, Outcome]) -> pa.Table:
    """Lay out one row for each test text and step.

    Columns: `row, text_sha1, label, step, predicted, p_<class>..., truncated`.
    """
    names = np.asarray(corpus.classes)
    digests = [
        hashlib.sha1(text.encode()).hexdigest() for text in corpus.texts.take(pa.array(test)).to_pylist()
    ]
    tables = []
    for step, outcome in outcomes.items():
        columns = {
            "row": pa.array(corpus.rows[test]),
            "text_sha1": pa.array(digests),
            "label": pa.array(names[corpus.labels[test]]),
            "step": pa.array([step] * len(test)),
            "predicted": pa.array(names[outcome.probabilities.argmax(axis=1)]),
        }
        for place, name in enumerate(corpus.classes):
            columns[f"p_{name}"] = pa.array(outcome.probabilities[:, place])
        columns["truncated"] = pa.array(outcome.truncated)
        tables.append(pa.table(columns))
    return pa.concat_tables(tables)


def disagreements(
    corpus: Corpus, test: Int64Array, outcomes: dict[str, Outcome], limit: int = 24
) -> list[dict[str, Json]]:
    """List test texts on which the steps differ, the most confidently contested first.

    A text is contested as strongly as its least confident step is sure of its own answer.
    """
    if len(outcomes) < 2:
        return []
    chosen = np.stack([outcome.probabilities.argmax(axis=1) for outcome in outcomes.values()])
    sure = np.stack([outcome.probabilities.max(axis=1) for outcome in outcomes.values()])
    contested = np.flatnonzero((chosen != chosen[0]).any(axis=0))
    order = contested[np.argsort(-sure[:, contested].min(axis=0), kind="stable")][:limit]
    return [
        {
            "row": int(corpus.rows[test[i]]),
            "text": excerpt(corpus.texts[int(test[i])].as_py()),
            "label": corpus.classes[corpus.labels[test[i]]],
            "predicted": {step: corpus.classes[chosen[k, i]] for k, step in enumerate(outcomes)},
            "confidence": {step: float(sure[k, i]) for k, step in enumerate(outcomes)},
        }
        for i in order
    ]


def excerpt(text: str) -> str:
    """Cut a text to a length that a report can show, marking the cut."""
    return text if len(text) <= EXCERPT else text[:EXCERPT].rstrip() + " …"


def leak_effect(correct: Mapping[str, BoolArray], leaked: BoolArray) -> dict[str, Json]:
    """Say how each step does on the leaked test texts, and on the others.

    Args:
        correct: for each step, (N,) whether it got each test text right.
        leaked: (N,) whether the test text also stands in train or validation.

    Returns:
        `leaked`, how many texts; and in `steps` for each its accuracy on all texts, on the leaked and on
        the rest (None where there are none), and the difference that the leaked texts make to the whole.
    """
    steps: dict[str, Json] = {}
    for step, right in correct.items():
        on_all, on_leaked, on_rest = _mean(right), _mean(right[leaked]), _mean(right[~leaked])
        steps[step] = {
            "accuracy": on_all,
            "accuracy_leaked": on_leaked,
            "accuracy_rest": on_rest,
            "difference": None if on_all is None or on_rest is None else on_all - on_rest,
        }
    return {"leaked": int(leaked.sum()), "steps": steps}


def _mean(right: BoolArray) -> float | None:
    return float(right.mean()) if len(right) else None
