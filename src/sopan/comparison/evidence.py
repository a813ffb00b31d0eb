"""What a comparison leaves behind besides scores: every prediction, texts worth reading, what leaks did."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from sopan.comparison.jobs import Outcome
from sopan.comparison.results import (
    Disagreement,
    LabelError,
    LeakedScores,
    LeakEffect,
    LearningPoint,
    TrainedWithLeaks,
)
from sopan.errors import needs_extra
from sopan.fit.intervals import accuracy_interval
from sopan.types import BoolArray, FloatArray, Int64Array, Labelled

EXCERPT = 700
"""Characters of a text that the report shows."""


def predictions_table(tested: Labelled, rows: Int64Array, outcomes: Mapping[str, Outcome]) -> pa.Table:
    """Lay out one row for each of N test texts and each step.

    Columns: `row, text_sha1, label, step, predicted, p_<class>..., truncated`.

    Args:
        rows: (N,) each text's row in the source.
    """
    names = np.asarray(tested.classes)
    digests = [hashlib.sha1(text.encode()).hexdigest() for text in tested.texts.to_pylist()]
    tables = []
    for step, outcome in outcomes.items():
        columns = {
            "row": pa.array(rows),
            "text_sha1": pa.array(digests),
            "label": pa.array(tested.names),
            "step": pa.array([step] * len(tested)),
            "predicted": pa.array(names[outcome.probabilities.argmax(axis=1)]),
        }
        for place, name in enumerate(tested.classes):
            columns[f"p_{name}"] = pa.array(outcome.probabilities[:, place])
        columns["truncated"] = pa.array(outcome.truncated)
        tables.append(pa.table(columns))
    return pa.concat_tables(tables)


def learning_points(outcomes: Mapping[str, Outcome], rng: np.random.Generator) -> tuple[LearningPoint, ...]:
    """Put intervals to the points of the learning curves."""
    return tuple(
        LearningPoint(
            step=step,
            train=train,
            accuracy=right / tested,
            ci=accuracy_interval(np.array([[right, tested - right], [0, 0]]), rng),
        )
        for step, outcome in outcomes.items()
        for train, right, tested in outcome.curve.tolist()
    )


def disagreements(
    tested: Labelled, rows: Int64Array, outcomes: Mapping[str, Outcome], limit: int = 24
) -> tuple[Disagreement, ...]:
    """List test texts on which the steps differ, the most confidently contested first.

    A text is contested as strongly as its least confident step is sure of its own answer.
    """
    chosen = np.stack([outcome.probabilities.argmax(axis=1) for outcome in outcomes.values()])
    sure = np.stack([outcome.probabilities.max(axis=1) for outcome in outcomes.values()])
    contested = np.flatnonzero((chosen != chosen[0]).any(axis=0))
    order = contested[np.argsort(-sure[:, contested].min(axis=0), kind="stable")][:limit]
    return tuple(
        Disagreement(
            row=int(rows[i]),
            text=_excerpt(tested.texts[i].as_py()),
            label=tested.classes[tested.labels[i]],
            predicted={step: tested.classes[chosen[k, i]] for k, step in enumerate(outcomes)},
            confidence={step: float(sure[k, i]) for k, step in enumerate(outcomes)},
        )
        for i in order.tolist()
    )


def _excerpt(text: str) -> str:
    """Cut a text to a length that a report can show, marking the cut."""
    return text if len(text) <= EXCERPT else text[:EXCERPT].rstrip() + " …"


def likely_label_errors(
    tested: Labelled, rows: Int64Array, probabilities: FloatArray, limit: int = 50
) -> tuple[LabelError, ...]:
    """Return the texts whose label a step contradicts with the most confidence, likeliest error first.

    Confident learning: from how often texts labelled i are confidently predicted j, it is estimated how
    many labels are wrong; that many are named, in order of the normalised margin, which is the probability
    of the label as given minus that of the likeliest other. They are worth a second look, no more.

    Args:
        tested: N texts that the step was not trained on.
        rows: (N,) each text's row in the source.
        probabilities: (N, C) that the step gave.
        limit: how many to return at most.

    Raises:
        MissingExtraError: cleanlab is not installed.

    Source: Northcutt, Jiang & Chuang (2021), "Confident Learning", JAIR 70, by the authors' cleanlab.
    """
    if len(np.unique(tested.labels)) < 2:
        return ()  # there is nothing that a label could be confused with
    # cleanlab takes seconds to import, so that only those who ask for label errors wait for it
    with needs_extra("report", "looking for likely label errors"):
        from cleanlab.filter import find_label_issues  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "May not flag all label issues", UserWarning)  # of rare classes
        order: Sequence[int] = find_label_issues(
            np.asarray(tested.labels, np.int64),
            np.clip(probabilities, 0.0, 1.0),
            return_indices_ranked_by="normalized_margin",
            n_jobs=1,
        )
    return tuple(
        LabelError(
            row=int(rows[i]),
            text=_excerpt(tested.texts[int(i)].as_py()),
            label=tested.classes[tested.labels[i]],
            suggested=tested.classes[probabilities[i].argmax()],
            probability=float(probabilities[i].max()),
        )
        for i in order[:limit]
    )


def leak_effect(
    correct: Mapping[str, BoolArray], leaked: BoolArray, with_leaks: Mapping[str, BoolArray]
) -> LeakEffect:
    """Say how each step does on the leaked test texts and on the others, and with the leaks put back.

    Args:
        correct: for each step, (N,) whether it got each test text right.
        leaked: (N,) whether the test text also stands in train or validation.
        with_leaks: the same as `correct`, of the step that was also trained with the leaks, if any.
    """
    put_back = [
        TrainedWithLeaks(
            step=step, accuracy=float(right.mean()), accuracy_without=float(correct[step].mean())
        )
        for step, right in with_leaks.items()
    ]
    return LeakEffect(
        leaked=int(leaked.sum()),
        steps={step: _leaked_scores(right, leaked) for step, right in correct.items()},
        trained_with_leaks=put_back[0] if put_back else None,
    )


def _leaked_scores(right: BoolArray, leaked: BoolArray) -> LeakedScores:
    on_all, on_leaked, on_rest = (
        float(part.mean()) if len(part) else None for part in (right, right[leaked], right[~leaked])
    )
    return LeakedScores(
        accuracy=on_all,
        accuracy_leaked=on_leaked,
        accuracy_rest=on_rest,
        difference=None if on_all is None or on_rest is None else on_all - on_rest,
    )
