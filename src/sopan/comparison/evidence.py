"""What a comparison leaves behind besides scores: every prediction, and the texts worth reading."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa

from sopan.comparison.jobs import Outcome
from sopan.types import Corpus, Int64Array, Json

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
