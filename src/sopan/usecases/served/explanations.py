"""How a step reads a text: its words or pieces, its bag of words, its attention, and what each word does.

What each word does for the predicted label is given in log odds of that label, so that steps can be compared:

    exact       bow, cbow: the logits are sums, and each word's part is known (`Step.evidence`)
    occlusion   networks: the text is read again without each word, all these texts at once
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import scipy.sparse as sp

from sopan.fit.explain import (
    NOT_A_CAUSE,
    Occluded,
    margin_contributions,
    predict_occluded,
)
from sopan.fit.served import ServedCombination
from sopan.steps.stages import asked_of, asked_sentence
from sopan.text.intake import ReadTokens, tokenize_words
from sopan.text.tokenize import tokenize
from sopan.types import BoolArray, FloatArray, Prediction, Tokens
from sopan.usecases.served.answers import (
    AttentionWeights,
    Feature,
    Features,
    StepExplanation,
    StepTokens,
    TextSpan,
    WordAttribution,
)
from sopan.usecases.served.served_step import DECIMALS, EXACT, ServedStep

MOST_ATTENDED = 64
"""Words whose attention is shown: a page draws their square, in each head of each layer."""
MOST_FEATURES = 300
"""Features of a bag of words that are listed."""
MOST_READ = 20_000
"""About so many words are read again for one explanation: of long texts, several are taken away at a time."""

KINDS = {"word": "words", "char_wb": "characters"}
NOTES = {
    "exact": "What each word adds to the log odds of the label, from the weights.",
    "occlusion": "By how much the log odds of the label fall when the word is taken away.",
}


# ---- words and pieces ------------------------------------------------------------------------------


def read_words(step: ServedStep, text: str) -> ReadTokens:
    """Cut a text into words as a step reads it; pieces are put together to words.

    The words of a stack or a cascade are those of its first member, and read where any member reads them.
    """
    if step.members:
        first, *others = [read_words(member, text) for member in step.members]
        known, read = first.known.copy(), first.read.copy()
        for other in others:
            known |= _touched(first.tokens, other.tokens, other.known)
            read |= _touched(first.tokens, other.tokens, other.read)
        return ReadTokens(first.tokens, known, read)
    if step.name == "bow":
        return _bag(step, text)[1]
    if step.name == "cbow":
        return tokenize_words(step.cbow.vocabulary_, text).words
    return step.intake.tokenize(text).words


def _touched(tokens: Tokens, theirs: Tokens, which: BoolArray) -> BoolArray:
    """Say which words share a character with some of another step's, (W,)."""
    edges = np.zeros(1 + max(tokens.ends.max(initial=0), theirs.ends.max(initial=0)), np.int64)
    np.add.at(edges, theirs.starts[which], 1)
    np.add.at(edges, theirs.ends[which], -1)
    covered = np.concatenate([[0], np.cumsum(np.cumsum(edges) > 0)])
    return np.asarray(covered[tokens.ends] > covered[tokens.starts])


def _spans(tokens: Tokens) -> list[TextSpan]:
    places = zip(tokens.words, tokens.starts.tolist(), tokens.ends.tolist(), strict=True)
    return [{"text": word, "start": start, "end": end} for word, start, end in places]


# ---- POST /tokens ----------------------------------------------------------------------------------


def step_tokens(step: ServedStep, text: str, *, attention: bool) -> StepTokens:
    """Say how a step reads one text.

    Raises:
        DataError: the text is not valid Unicode.
    """
    features = None
    if step.name == "bow":
        features, found = _bag(step, text)
    elif step.name == "bert":
        found = step.intake.tokenize(text).units
    else:
        found = read_words(step, text)
    tokens: list[TextSpan] = [
        {**span, "known": known}
        for span, known in zip(_spans(found.tokens), found.known.tolist(), strict=True)
    ]
    weights = _attention(step, text, found.tokens) if attention and "attention" in step.has else None
    return {
        "step": step.step,
        "kind": "pieces" if step.name == "bert" else "words",
        "tokens": tokens,
        "features": features,
        "attention": weights,
    }


def _bag(step: ServedStep, text: str) -> tuple[Features, ReadTokens]:
    """List the features that a text has, each with its value and what it adds to the logits."""
    from sopan.steps.evidence import contributions_of  # noqa: PLC0415  # come with scikit-learn, as bow does
    from sopan.steps.linear import LinearModel  # noqa: PLC0415

    features = step.bow.transform([text])
    held = LinearModel(step.bow.model_.weights[features.indices], step.bow.model_.bias)
    n = len(features.data)
    diagonal = sp.csr_array((features.data, np.arange(n), np.arange(n + 1)), shape=(n, n))
    parts = contributions_of(held, diagonal) / step.temperature  # (n, C)
    names, kinds = np.empty(n, object), np.empty(n, object)
    counters = [block.counter for block in step.bow.blocks_]
    for counter, (low, high) in zip(counters, pairwise(np.cumsum([0, *map(len, counters)])), strict=True):
        ours = (features.indices >= low) & (features.indices < high)
        names[ours] = counter.features.take(features.indices[ours] - low).to_pylist()
        kinds[ours] = KINDS[counter.analyzer]
    order = np.argsort(-np.abs(parts).max(axis=1, initial=0.0), kind="stable")[:MOST_FEATURES]
    items: list[Feature] = [
        {
            "feature": str(names[i]),
            "kind": str(kinds[i]),
            "value": round(float(features.data[i]), DECIMALS),
            "contributions": np.round(parts[i], DECIMALS).tolist(),
        }
        for i in order.tolist()
    ]
    tokens = tokenize(text, counters[0].rule, lowercase=counters[0].lowercase)
    single = {name for name, kind in zip(names, kinds, strict=True) if kind == "words" and " " not in name}
    known = np.array([word in single for word in tokens.words], bool)
    bag: Features = {
        "total": n,
        "vocabulary": int(features.shape[1]),
        "classes": list(step.labels),
        "items": items,
    }
    return bag, ReadTokens(tokens, known, known)


def _attention(step: ServedStep, text: str, tokens: Tokens) -> AttentionWeights | None:
    """Give each layer's weights over the first words, or pieces, of a text."""
    if len(tokens.words) > MOST_ATTENDED:
        text = text[: int(tokens.ends[MOST_ATTENDED - 1])]
    layers = step.attention(text)
    if not layers:
        return None
    weights = [np.round(layer.astype(np.float64), 4).tolist() for layer in layers]
    return {"caution": NOT_A_CAUSE, "words": _spans(tokens)[: layers[0].shape[-1]], "layers": weights}


# ---- POST /explain ---------------------------------------------------------------------------------


def explanations(step: ServedStep, texts: Sequence[str]) -> list[StepExplanation]:
    """Say what each word of each text did for the label that a step gives it.

    Raises:
        DataError: a text is not valid Unicode.
    """
    return [exact(step, text) for text in texts] if step.name in EXACT else occlusions(step, texts)


def exact(step: ServedStep, text: str) -> StepExplanation:
    """Say what each word added, from the weights of a step whose logits are sums."""
    found = (step.bow if step.name == "bow" else step.cbow).evidence(text)
    support = margin_contributions(found.contributions, found.logits, step.temperature)
    fall = np.full(len(support), np.nan)  # not tried
    words = _attributions(found.tokens, found.read, support, fall)
    return _explanation(step, step.model.predict_texts([text]), "exact", 1, words)


def occlusions(step: ServedStep, texts: Sequence[str], most_read: int = MOST_READ) -> list[StepExplanation]:
    """Take the words that a step reads away, one by one or a few at a time, and read the texts again.

    A word's support is what `margin_contributions` gives for exact contributions, but by a difference. Words
    that are taken away together share what comes of it.
    """
    cases, spans, read = [], [], [read_words(step, text) for text in texts]
    for text, words in zip(texts, read, strict=True):
        places = np.flatnonzero(words.read)
        spans.append(max(1, math.ceil(len(places) ** 2 / most_read)))
        groups = [places[start : start + spans[-1]] for start in range(0, len(places), spans[-1])]
        cases.append(Occluded(text, words.tokens, groups))
    found = []
    for words, case, span, prediction in zip(
        read, cases, spans, predict_occluded(step.model, cases), strict=True
    ):
        best = int(prediction.probabilities[0].argmax())
        odds, chances = log_odds(prediction.probabilities, best), prediction.probabilities[:, best]
        support, fall = np.zeros((2, len(words.read)))
        for number, group in enumerate(case.groups, start=1):
            support[group] = (odds[0] - odds[number]) / len(group)
            fall[group] = (chances[0] - chances[number]) / len(group)
        attributions = _attributions(words.tokens, words.read, support, fall)
        told = _explanation(step, prediction, "occlusion", span, attributions)
        if isinstance(step.model, ServedCombination):
            told["note"] += f" {_asked(step.model, case.text)}"
        found.append(told)
    return found


def _asked(model: ServedCombination, text: str) -> str:
    """Say who answered a text, and why those that were asked before did not."""
    read = model.read_in_stages([text])
    return asked_sentence(asked_of(list(model.members), model.stages, read, 0))


def log_odds(probabilities: FloatArray, label: int) -> FloatArray:
    """Return ln p/(1 - p) of one class (N,), finite however sure the step is."""
    tiny = np.finfo(np.float64).tiny
    others = np.delete(probabilities, label, axis=1).sum(axis=1)
    return np.asarray(np.log(np.maximum(probabilities[:, label], tiny)) - np.log(np.maximum(others, tiny)))


def _explanation(
    step: ServedStep,
    prediction: Prediction,
    method: Literal["exact", "occlusion"],
    span: int,
    words: list[WordAttribution],
) -> StepExplanation:
    predicted = step.prediction(prediction, 0)
    return {**predicted, "method": method, "span": span, "note": NOTES[method], "words": words}


def _attributions(
    tokens: Tokens, read: BoolArray, support: FloatArray, fall: FloatArray
) -> list[WordAttribution]:
    columns = zip(
        _spans(tokens), read.tolist(), np.round(support, DECIMALS).tolist(), fall.tolist(), strict=True
    )
    return [
        {
            "word": span["text"],
            "start": span["start"],
            "end": span["end"],
            "read": was_read,
            "support": supported,
            "fall": None if math.isnan(fell) else round(fell, DECIMALS),
        }
        for span, was_read, supported, fell in columns
    ]
