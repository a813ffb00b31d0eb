"""Why a model says what it says of one text: as a value that JSON takes, and as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sopan.fit.artifact import load_model
from sopan.fit.explain import NOT_A_CAUSE, SHARES, Explanation, Sanity, explain_text, top_words
from sopan.fit.saved import label_names
from sopan.steps.base import Step
from sopan.storage.atomic import write_atomic
from sopan.types import Evidence, Json

DECIMALS = 6
"""Of every number that is told."""
TOLD = 2
"""Which of `SHARES` the sentence is about: a tenth of the words."""


def explain(model: str | Path | Step, text: str) -> dict[str, Json]:
    """Say why a model says what it says of one text.

    Args:
        model: a model folder, or a fitted step.
        text: one text.

    Returns:
        `predicted`, `probabilities` by class, `truncated`, `no_known_words`; `words`, each with its place in
        the text, whether it was read, its `contributions` to each class's logit (in the order of `classes`),
        its `support` of the prediction, its `occlusion` (None where not tried) and `rollout` (None without
        attention); `top_words`; `evidence` (method, base, logits, gap); `sanity`; `attention`; `cautions` and
        `notes`, sentences.
        The fields mean what `sopan.fit.explain` says of them.

    Raises:
        ModelFolderError: there is no model there, or it was altered.
        DataError: the text is not valid Unicode.
    """
    estimator = model if isinstance(model, Step) else load_model(model)
    found = explain_text(estimator, text, rng=np.random.default_rng(0))
    names = label_names(estimator.classes_)
    evidence = found.evidence
    return {
        "model": estimator.name if isinstance(model, Step) else str(model),
        "step": estimator.name,
        "text": text,
        "classes": list(names),
        "predicted": names[found.predicted],
        "probabilities": dict(zip(names, found.probabilities.tolist(), strict=True)),
        "truncated": found.truncated,
        "no_known_words": found.no_known_words,
        "evidence": {
            "method": evidence.method,
            "base": _numbers(evidence.base),
            "logits": _numbers(evidence.logits),
            "gap": round(found.gap, DECIMALS),
        },
        "words": _words(found),
        "top_words": [
            {"word": word, "support": round(support, DECIMALS), "times": times}
            for word, support, times in top_words(evidence.tokens, np.round(found.support, DECIMALS))
        ],
        "sanity": None if found.sanity is None else _sanity(found.sanity, found, names[found.predicted]),
        "attention": _attention(evidence),
        "cautions": _cautions(found),
        "notes": _notes(found),
    }


def write_explanation(found: dict[str, Json], path: str | Path) -> None:
    """Write what `explain` found as one HTML page that needs nothing else.

    Raises:
        SopanError: the file cannot be written.
    """
    from sopan.usecases.explanation_page import explanation_page  # noqa: PLC0415 - templates, for pages only

    write_atomic(Path(path), explanation_page(found))


def _numbers(values: Any) -> list[float | None]:
    """Round numbers, and put None for what is not one."""
    return [None if np.isnan(value) else round(value, DECIMALS) for value in np.asarray(values).tolist()]


def _words(found: Explanation) -> list[dict[str, Json]]:
    evidence = found.evidence
    rollout = [None] * len(found.support) if found.rollout is None else _numbers(found.rollout)
    columns = {
        "word": evidence.tokens.words,
        "start": evidence.tokens.starts.tolist(),
        "end": evidence.tokens.ends.tolist(),
        "read": evidence.read.tolist(),
        "support": _numbers(found.support),
        "contributions": np.round(evidence.contributions, DECIMALS).tolist(),
        "occlusion": _numbers(found.occlusion),
        "rollout": rollout,
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _sanity(sanity: Sanity, found: Explanation, predicted: str) -> dict[str, Json]:
    """Give the numbers, and the one sentence that a reader needs."""
    whole, words = float(found.probabilities.max()), int(sanity.words[TOLD])
    these = "the word that matters" if words == 1 else f"the {words} words that matter"
    random = "a word drawn at random" if words == 1 else f"{words} words drawn at random"
    sentence = (
        f"Without {these} most, the probability of {predicted!r} goes from {whole:.2f} to "
        f"{whole - sanity.comprehensiveness[TOLD]:.2f}; without {random}, to "
        f"{whole - sanity.random_comprehensiveness[TOLD]:.2f}. With nothing else left, it is "
        f"{whole - sanity.sufficiency[TOLD]:.2f}; with {random} left, "
        f"{whole - sanity.random_sufficiency[TOLD]:.2f}."
    )
    return {
        "sentence": sentence,
        "holds": sanity.holds,
        "shares": list(SHARES),
        **{name: np.round(values, DECIMALS).tolist() for name, values in sanity._asdict().items()},
    }


def _attention(evidence: Evidence) -> dict[str, Json] | None:
    """Give each layer's weights (H, Q, A), which words they are of, and what not to take them for."""
    if not evidence.attention:
        return None
    layers = [np.round(layer.astype(np.float64), 4).tolist() for layer in evidence.attention]
    return {"caution": NOT_A_CAUSE, "words": evidence.attended.tolist(), "layers": layers}


def _cautions(found: Explanation) -> list[str]:
    """Say what a reader must not believe."""
    cautions = []
    if found.no_known_words:
        cautions.append("The model knows no word of this text: the answer is only the classes' base rates.")
    if found.truncated:
        cautions.append("The text is longer than the model reads: its middle was left out.")
    if found.sanity is not None and not found.sanity.holds:
        cautions.append(
            "The words that are said to matter do not beat words drawn at random here: do not trust them."
        )
    if found.evidence.method != "exact" and found.gap > 0.05:  # of a logit: a probability moves by 1 %
        cautions.append(f"The contributions miss {found.gap:.2f} of a logit.")
    return cautions


def _notes(found: Explanation) -> list[str]:
    """Say what was left undone."""
    tried, words = int(np.isfinite(found.occlusion).sum()), len(found.occlusion)
    if tried == words:
        return []
    return [
        f"The text is long: of its {words:,} words only the {tried:,} that weigh most were taken away singly."
    ]
