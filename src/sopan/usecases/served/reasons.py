"""The words behind a prediction, quickly: from the weights where they tell it, else by taking words away.

    exact       bow, cbow: the logits are sums, and each word's part is known (`Step.evidence`)
    occlusion   networks: the text is read again without each word, all these texts at once

Both are told in log odds of the predicted label, so that steps can be looked at side by side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sopan.fit.explain import Occluded, margin_contributions, predict_occluded
from sopan.types import BoolArray, FloatArray, Json, Prediction, Tokens
from sopan.usecases.served.step import EXACT, ServedStep
from sopan.usecases.served.words import Seen

MOST_READ = 20_000
"""About so many words are read again for one explanation: of long texts, several go at a time."""

NOTES = {
    "exact": "What each word adds to the log odds of the label, from the weights.",
    "occlusion": "By how much the log odds of the label fall when the word is taken away.",
}


@dataclass(frozen=True, slots=True)
class Reasons:
    """What each of W words did for the predicted label.

    Args:
        prediction: of the text, in its first row.
        tokens: the words.
        read: (W,) bool.
        support: (W,) float64, in log odds of the predicted label; 0 where not read.
        fall: (W,) float64, of the label's probability without the word; NaN where that was not asked.
        method: see `NOTES`.
        span: so many words were taken away at a time, and share what came of it.
    """

    prediction: Prediction
    tokens: Tokens
    read: BoolArray
    support: FloatArray
    fall: FloatArray
    method: str
    span: int = 1

    def as_json(self, decimals: int) -> dict[str, Json]:
        """Return the fields of `/explain` but for the prediction."""
        columns = zip(
            self.tokens.words,
            self.tokens.starts.tolist(),
            self.tokens.ends.tolist(),
            self.read.tolist(),
            np.round(self.support, decimals).tolist(),
            [None if math.isnan(fall) else round(fall, decimals) for fall in self.fall.tolist()],
            strict=True,
        )
        names = ("word", "start", "end", "read", "support", "fall")
        return {
            "method": self.method,
            "span": self.span,
            "note": NOTES[self.method],
            "words": [dict(zip(names, row, strict=True)) for row in columns],
        }


def reasons(step: ServedStep, texts: Sequence[str]) -> list[Reasons]:
    """Say what each word of each text did for the label that a step gives it.

    Raises:
        DataError: a text is not valid Unicode.
    """
    return [_exact(step, text) for text in texts] if step.name in EXACT else occlusions(step, texts)


def _exact(step: ServedStep, text: str) -> Reasons:
    found = step.estimator.evidence(text)
    support = margin_contributions(found.contributions, found.logits, step.temperature)
    nothing = np.full(len(support), np.nan)
    return Reasons(step.model.predict_texts([text]), found.tokens, found.read, support, nothing, "exact")


def occlusions(step: ServedStep, texts: Sequence[str], most_read: int = MOST_READ) -> list[Reasons]:
    """Take the words that a step reads away, one by one or a few at a time, and read the texts again.

    All that is to be read, for all texts, is read together. A word's support is log p/(1 - p) of the label
    with all words, less that without it (and its share of that, where several went together): what
    `margin_contributions` gives for exact contributions, but by a difference.
    """
    cases, seen, spans = [], [step.seen(text) for text in texts], []
    for text, words in zip(texts, seen, strict=True):
        read = np.flatnonzero(words.read)
        span = max(1, math.ceil(len(read) ** 2 / most_read))
        spans.append(span)
        groups = [read[start : start + span] for start in range(0, len(read), span)]
        cases.append(Occluded(text, words.tokens, groups))
    predictions = predict_occluded(step.model, cases)
    return [
        _compared(words, case, span, prediction)
        for words, case, span, prediction in zip(seen, cases, spans, predictions, strict=True)
    ]


def _compared(words: Seen, case: Occluded, span: int, prediction: Prediction) -> Reasons:
    """Compare a text, the first row of a prediction, with what is left of it without each group of words."""
    best = int(prediction.probabilities[0].argmax())
    odds, chances = log_odds(prediction.probabilities, best), prediction.probabilities[:, best]
    support, fall = np.zeros(len(words.read)), np.zeros(len(words.read))
    for number, group in enumerate(case.groups, start=1):
        support[group] = (odds[0] - odds[number]) / len(group)
        fall[group] = (chances[0] - chances[number]) / len(group)
    return Reasons(prediction, words.tokens, words.read, support, fall, "occlusion", span)


def log_odds(probabilities: FloatArray, label: int) -> FloatArray:
    """Return ln p/(1 - p) of one class (N,), finite however sure the step is."""
    tiny = np.finfo(np.float64).tiny
    others = np.delete(probabilities, label, axis=1).sum(axis=1)
    return np.asarray(np.log(np.maximum(probabilities[:, label], tiny)) - np.log(np.maximum(others, tiny)))
