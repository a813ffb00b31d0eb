"""Why a model says what it says of one text: as a value that JSON takes, and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict, cast

import numpy as np

from sopan.errors import needs_extra
from sopan.fit.artifact import load_model
from sopan.fit.explain import ERASED_SHARES, NOT_A_CAUSE, Explanation, explain_text, top_words
from sopan.fit.saved import label_names
from sopan.options.base import takes
from sopan.options.classify import ExplainOptions
from sopan.steps.base import Step
from sopan.steps.stages import asked_sentence
from sopan.storage.atomic import write_atomic
from sopan.text.intake import too_long
from sopan.types import Asked, Evidence, FloatArray

DECIMALS = 6
"""Of every number that is told."""
TOLD = 2
"""Which of `ERASED_SHARES` the sentence is about: a tenth of the words."""


class ExplainedWord(TypedDict):
    """A word: its place in the text, whether it was read, and what it did to the prediction.

    Its contributions are to each class's logit, in the order of the classes; its occlusion is None where it
    was not tried, its rollout where there is no attention.
    """

    word: str
    start: int
    end: int
    read: bool
    support: float
    contributions: list[float]
    occlusion: float | None
    rollout: float | None


class TopWord(TypedDict):
    """One of the words that weigh most."""

    word: str
    support: float
    times: int


class EvidenceEntry(TypedDict):
    """How the contributions were found, and what they add up to."""

    method: str
    base: list[float | None]
    logits: list[float | None]
    gap: float


class SanityEntry(TypedDict):
    """Whether the words that are said to matter beat random ones: see `sopan.fit.explain.Faithfulness`."""

    sentence: str
    holds: bool
    shares: list[float]
    words: list[int]
    comprehensiveness: list[float]
    sufficiency: list[float]
    random_comprehensiveness: list[float]
    random_sufficiency: list[float]


class AttentionEntry(TypedDict):
    """Each layer's weights (H, Q, A), which words they are of, and what not to take them for."""

    caution: str
    words: list[int]
    layers: list[list[list[list[float]]]]


class AskedStage(TypedDict):
    """A stage of a stack or a cascade that the text came to: see `sopan.types.Asked`."""

    members: list[str]
    weights: dict[str, float]
    confidence: float
    threshold: float | None


class AskedEntry(TypedDict):
    """Who was asked about the text, in that order; the last stage answered. The sentence says why."""

    sentence: str
    stages: list[AskedStage]


class ExplainedText(TypedDict):
    """Why a model says what it says of one text; the fields mean what `sopan.fit.explain` says of them."""

    model: str
    step: str
    text: str
    classes: list[str]
    predicted: str
    probabilities: dict[str, float]
    truncated: bool
    no_known_words: bool
    asked: AskedEntry | None
    evidence: EvidenceEntry
    words: list[ExplainedWord]
    top_words: list[TopWord]
    sanity: SanityEntry | None
    attention: AttentionEntry | None
    cautions: list[str]
    notes: list[str]


@takes(ExplainOptions)
def explain(options: ExplainOptions) -> ExplainedText:
    """Say why a model, a folder or a fitted step, says what it says of one text; maybe as a page, too.

    Raises:
        ModelFolderError: there is no model there, or it was altered.
        DataError: the text is not valid Unicode.
    """
    model, text = options.model, options.text
    estimator = model if isinstance(model, Step) else load_model(str(model))
    found = explain_text(estimator, text, rng=np.random.default_rng(0))
    names = label_names(estimator.classes_)
    evidence = found.evidence
    told: ExplainedText = {
        "model": estimator.name if isinstance(model, Step) else str(model),
        "step": estimator.name,
        "text": text,
        "classes": list(names),
        "predicted": names[found.predicted],
        "probabilities": dict(zip(names, found.probabilities.tolist(), strict=True)),
        "truncated": found.truncated,
        "no_known_words": found.no_known_words,
        "asked": asked_entry(evidence.asked),
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
        "sanity": _sanity(found, names[found.predicted]),
        "attention": _attention(evidence),
        "cautions": _cautions(found, too_long(estimator)),
        "notes": _notes(found),
    }
    if options.html is not None:
        with needs_extra("report", "a page"):
            from sopan.usecases.explanation_page import explanation_page  # noqa: PLC0415  # templates

        write_atomic(Path(options.html), explanation_page(told))
    return told


def _numbers(values: FloatArray) -> list[float | None]:
    """Round numbers, and put None for what is not one."""
    return [None if np.isnan(value) else round(value, DECIMALS) for value in values.tolist()]


def asked_entry(asked: Sequence[Asked]) -> AskedEntry | None:
    """Tell who was asked about a text; None of a single step."""
    if not asked:
        return None
    stages: list[AskedStage] = [
        {
            "members": list(stage.members),
            "weights": {name: round(weight, DECIMALS) for name, weight in stage.weights.items()},
            "confidence": round(stage.confidence, DECIMALS),
            "threshold": None if stage.threshold is None else round(stage.threshold, DECIMALS),
        }
        for stage in asked
    ]
    return {"sentence": asked_sentence(asked), "stages": stages}


def _words(found: Explanation) -> list[ExplainedWord]:
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
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return cast(list[ExplainedWord], rows)


def _sanity(explained: Explanation, predicted: str) -> SanityEntry | None:
    """Give the numbers, and the one sentence that a reader needs."""
    measured = explained.faithfulness
    if measured is None:
        return None
    whole, words = float(explained.probabilities.max()), int(measured.words[TOLD])
    these = "the word that matters" if words == 1 else f"the {words} words that matter"
    random = "a word drawn at random" if words == 1 else f"{words} words drawn at random"
    sentence = (
        f"Without {these} most, the probability of {predicted!r} goes from {whole:.2f} to "
        f"{whole - measured.comprehensiveness[TOLD]:.2f}; without {random}, to "
        f"{whole - measured.random_comprehensiveness[TOLD]:.2f}. With nothing else left, it is "
        f"{whole - measured.sufficiency[TOLD]:.2f}; with {random} left, "
        f"{whole - measured.random_sufficiency[TOLD]:.2f}."
    )
    numbers = {name: np.round(values, DECIMALS).tolist() for name, values in measured._asdict().items()}
    found = {"sentence": sentence, "holds": measured.holds, "shares": list(ERASED_SHARES), **numbers}
    return cast(SanityEntry, found)


def _attention(evidence: Evidence) -> AttentionEntry | None:
    """Give each layer's weights (H, Q, A), which words they are of, and what not to take them for."""
    if not evidence.attention:
        return None
    layers = [np.round(layer.astype(np.float64), 4).tolist() for layer in evidence.attention]
    return {"caution": NOT_A_CAUSE, "words": evidence.attended.tolist(), "layers": layers}


def _cautions(found: Explanation, too_long_text: str) -> list[str]:
    """Say what a reader must not believe."""
    cautions = []
    if found.no_known_words:
        cautions.append("The model knows no word of this text: the answer is only the classes' base rates.")
    if found.truncated:
        cautions.append(too_long_text)
    if found.faithfulness is not None and not found.faithfulness.holds:
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
