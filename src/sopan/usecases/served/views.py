"""How a step sees a text: its words or pieces, its bag, and its attention."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import scipy.sparse as sp

from sopan.fit.explain import NOT_A_CAUSE
from sopan.text.tokenize import tokenize
from sopan.types import Json, Tokens
from sopan.usecases.served.step import DECIMALS, ServedStep
from sopan.usecases.served.words import Seen

MOST_ATTENDED = 64
"""Words whose attention is shown: a page draws their square, in each head of each layer."""
MOST_FEATURES = 300
"""Of a text's bag, told."""

KINDS = {"word": "words", "char_wb": "characters"}


def view(step: ServedStep, text: str, *, attention: bool) -> dict[str, Json]:
    """Return what `/tokens` tells of one text and one step.

    Raises:
        DataError: the text is not valid Unicode.
    """
    pieces = step.name == "bert"
    found: dict[str, Json] = {"kind": "pieces" if pieces else "words", "features": None, "attention": None}
    if step.name == "bow":
        found["features"], words = _bag(step, text)
    else:
        words = step.pieces(text) if pieces else step.seen(text)
    found["tokens"] = _tokens(words)
    if attention and "attention" in step.has:
        found["attention"] = _attention(step, text, words.tokens)
    return found


def _tokens(words: Seen) -> list[dict[str, Json]]:
    tokens = words.tokens
    columns = (tokens.words, tokens.starts.tolist(), tokens.ends.tolist(), words.known.tolist())
    return [
        {"text": word, "start": start, "end": end, "known": known}
        for word, start, end, known in zip(*columns, strict=True)
    ]


def _bag(step: ServedStep, text: str) -> tuple[dict[str, Json], Seen]:
    """Tell the features that a text has, each with its value and what it adds to the logits."""
    from sopan.steps.evidence import contributions_of  # noqa: PLC0415  # come with scikit-learn, as bow does
    from sopan.steps.linear import LinearModel  # noqa: PLC0415

    estimator = step.estimator
    features = estimator.transform([text])
    held = LinearModel(estimator.model_.weights[features.indices], estimator.model_.bias)
    n = len(features.data)
    diagonal = sp.csr_array((features.data, np.arange(n), np.arange(n + 1)), shape=(n, n))
    parts = contributions_of(held, diagonal) / step.temperature  # (n, C)
    names, kinds = np.empty(n, object), np.empty(n, object)
    counters = [block.counter for block in estimator.blocks_]
    for counter, (low, high) in zip(counters, pairwise(np.cumsum([0, *map(len, counters)])), strict=True):
        ours = (features.indices >= low) & (features.indices < high)
        names[ours] = counter.features.take(features.indices[ours] - low).to_pylist()
        kinds[ours] = KINDS[counter.analyzer]
    order = np.argsort(-np.abs(parts).max(axis=1, initial=0.0), kind="stable")[:MOST_FEATURES]
    items = [
        {
            "feature": str(names[i]),
            "kind": str(kinds[i]),
            "value": round(float(features.data[i]), DECIMALS),
            "contributions": np.round(parts[i], DECIMALS).tolist(),
        }
        for i in order.tolist()
    ]
    told = {
        "total": n,
        "vocabulary": int(features.shape[1]),
        "classes": list(step.labels),
        "items": items,
    }
    tokens = tokenize(text, counters[0].rule, lowercase=counters[0].lowercase)
    single = {name for name, kind in zip(names, kinds, strict=True) if kind == "words" and " " not in name}
    known = np.array([word in single for word in tokens.words], bool)
    return told, Seen(tokens, known, known)


def _attention(step: ServedStep, text: str, tokens: Tokens) -> dict[str, Json] | None:
    """Give each layer's weights over the first words, or pieces, of a text."""
    if len(tokens.words) > MOST_ATTENDED:
        text = text[: int(tokens.ends[MOST_ATTENDED - 1])]
    layers = step.attention(text)
    if not layers:
        return None
    shown = [
        {"text": word, "start": start, "end": end}
        for word, start, end in zip(tokens.words, tokens.starts.tolist(), tokens.ends.tolist(), strict=True)
    ]
    weights = [np.round(layer.astype(np.float64), 4).tolist() for layer in layers]
    return {"caution": NOT_A_CAUSE, "words": shown[: layers[0].shape[-1]], "layers": weights}
