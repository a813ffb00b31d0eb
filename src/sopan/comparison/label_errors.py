"""Labels that are likely wrong, judged by a step that has not seen them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from sopan.errors import needs_extra
from sopan.types import FloatArray, Int64Array, Json, Labels


def likely_label_errors(
    probabilities: FloatArray,
    labels: Labels,
    rows: Int64Array,
    texts: Sequence[str],
    classes: Sequence[str],
    limit: int = 50,
) -> list[dict[str, Json]]:
    """Return the texts whose label a step contradicts with the most confidence, likeliest error first.

    Confident learning: from how often texts labelled i are confidently predicted j, it is estimated how
    many labels are wrong; that many are named, in order of the normalised margin, which is the probability
    of the label as given minus that of the likeliest other. They are worth a second look, no more.

    Args:
        probabilities: (N, C) of texts that the step was not trained on, such as the test texts.
        labels: (N,) indices into `classes`.
        rows: (N,) each text's row in the source.
        texts: N texts.
        classes: C label names.
        limit: how many to return at most.

    Returns:
        For each: `row`, `text`, `label` as given, `suggested` and the `probability` of the suggestion.

    Raises:
        MissingExtraError: cleanlab is not installed.

    Source: Northcutt, Jiang & Chuang (2021), "Confident Learning", JAIR 70, by the authors' cleanlab.
    """
    if len(np.unique(labels)) < 2:
        return []  # there is nothing that a label could be confused with
    # cleanlab takes seconds to import, so that only those who ask for label errors wait for it
    with needs_extra("report", "looking for likely label errors"):
        from cleanlab.filter import find_label_issues  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "May not flag all label issues", UserWarning)  # of rare classes
        order = find_label_issues(
            np.asarray(labels, np.int64),
            np.clip(probabilities, 0.0, 1.0),
            return_indices_ranked_by="normalized_margin",
            n_jobs=1,
        )
    return [
        {
            "row": int(rows[i]),
            "text": texts[i],
            "label": classes[labels[i]],
            "suggested": classes[probabilities[i].argmax()],
            "probability": float(probabilities[i].max()),
        }
        for i in order[:limit]
    ]
