"""Why a step gives one text its prediction, and how faithful that explanation is.

Three views of the same words: what each added to the logits (`Step.evidence`), what happens to the
probability without it (occlusion), and how much attention reached it, where the step attends. Then a test of
the first: the words with the largest contributions are erased, or only they are kept, and the probability
should move more than it does with words drawn at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from sopan.fit.rollout import rollout_by_word
from sopan.types import (
    BoolArray,
    Evidence,
    FloatArray,
    Int64Array,
    Prediction,
    Tokens,
    softmax,
)

if TYPE_CHECKING:  # it brings scikit-learn along, which a server of networks does without
    from sopan.fit.served import Predictor
    from sopan.steps.base import Step

ERASED_SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)
"""Of a text's words, how many are erased or kept: DeYoung et al. (2020), section 4."""
DRAWS = 10
"""How many orders of the words are drawn at random, to compare with."""
MOST_READ_AGAIN = 200_000
"""Occlusion reads a text again for each word; it stops at about so many words read."""
FEWEST_OCCLUDED = 20
"""However long a text is, so many of its words are occluded one by one."""

NOT_A_CAUSE = (
    "Attention shows where the step looked, not why it decided: other weights can lead to the same answer "
    "(Jain and Wallace 2019). Trust the words' contributions, as far as erasing the words bears them out."
)
"""The caution that goes with every view of attention."""


class Faithfulness(NamedTuple):
    """How the probability of the predicted class falls without words; each (5,) float64, one for each share.

    Args:
        words: int64, how many words each share is.
        comprehensiveness: the fall when the words that matter most are erased: much is good.
        sufficiency: the fall when only they are kept: little is good.
        random_comprehensiveness, random_sufficiency: the same for words drawn at random, on average.
    """

    words: Int64Array
    comprehensiveness: FloatArray
    sufficiency: FloatArray
    random_comprehensiveness: FloatArray
    random_sufficiency: FloatArray

    @property
    def holds(self) -> bool:
        """Whether, over all shares, the words with the largest support matter more than random ones."""
        more = self.comprehensiveness.mean() > self.random_comprehensiveness.mean()
        return bool(more and self.sufficiency.mean() < self.random_sufficiency.mean())


@dataclass(frozen=True, slots=True)
class Explanation:
    """The explanation of one prediction, of a text of W words.

    Args:
        text: as given.
        evidence: what each word added to each class's logit, and the attention.
        probabilities: (C,) float64, calibrated.
        truncated, no_known_words: as in `Prediction`.
        support: (W,) float64, what each word added to the predicted class's lead over the others, in logits
            after the temperature: of two classes, in log odds.
        occlusion: (W,) float64, by how much the predicted class's probability falls without the word; NaN
            where it was not tried (see `MOST_READ_AGAIN`).
        rollout: (W,) float64, the share of attention that reached each word through all layers, or None.
        faithfulness: None for a text without words that the step read.
    """

    text: str
    evidence: Evidence
    probabilities: FloatArray
    truncated: bool
    no_known_words: bool
    support: FloatArray
    occlusion: FloatArray
    rollout: FloatArray | None
    faithfulness: Faithfulness | None

    @property
    def predicted(self) -> int:
        """Index of the most probable class."""
        return int(self.probabilities.argmax())

    @property
    def gap(self) -> float:
        """How much of a logit the words and the base do not account for, at most."""
        evidence = self.evidence
        sums = evidence.base + evidence.contributions.sum(axis=0)
        return float(np.abs(evidence.logits - sums).max())


def explain_text(estimator: Step, text: str, *, rng: np.random.Generator) -> Explanation:
    """Explain the prediction of a fitted step for one text.

    Args:
        estimator: a fitted step.
        text: one text.
        rng: draws the random words that faithfulness is compared with.

    Raises:
        DataError: the text is not a string, or is not valid Unicode.
    """
    evidence, prediction = estimator.evidence(text), estimator.predict_texts([text])
    probabilities = prediction.probabilities[0]
    best = int(probabilities.argmax())
    temperature = getattr(estimator, "temperature_", 1.0)
    support = margin_contributions(evidence.contributions, evidence.logits, temperature)
    return Explanation(
        text=text,
        evidence=evidence,
        probabilities=probabilities,
        truncated=bool(prediction.truncated[0]),
        no_known_words=bool(prediction.no_known_words[0]),
        support=support,
        occlusion=occlude(estimator, text, evidence.tokens, support, best),
        rollout=rollout_by_word(evidence),
        faithfulness=measure_faithfulness(estimator, text, evidence, support, rng),
    )


def margin_contributions(contributions: FloatArray, logits: FloatArray, temperature: float) -> FloatArray:
    """Return what each word added to the margin of the most probable class over its rivals.

    The margin over one rival is the difference of two logits; over several, their mean, each rival weighted
    by its probability among them. That is the direction in which the log odds of the first class rise.

    Args:
        contributions: (W, C).
        logits: (C,).
        temperature: divides logits.

    Returns:
        (W,) float64.
    """
    best = int(logits.argmax())
    rivals = softmax(np.delete(logits, best)[None] / temperature)[0]
    against = np.delete(contributions, best, axis=1) @ rivals
    return np.asarray((contributions[:, best] - against) / temperature)


def top_words(tokens: Tokens, support: FloatArray, most: int = 10) -> list[tuple[str, float, int]]:
    """List the words that weigh most, for or against: word, what its occurrences added together, how many.

    Args:
        tokens: W words.
        support: (W,).
        most: so many words.
    """
    if not tokens.words:
        return []
    words, index, times = np.unique(np.array(tokens.words, object), return_inverse=True, return_counts=True)
    total = np.bincount(index, support)
    order = np.argsort(-np.abs(total), kind="stable")[:most]
    return [(str(words[i]), float(total[i]), int(times[i])) for i in order if total[i]]


# ---- occlusion ----------------------------------------------------------------------------------------


class Occluded(NamedTuple):
    """A text, its W words, and G groups of them that are occluded, one group at a time."""

    text: str
    tokens: Tokens
    groups: Sequence[npt.NDArray[np.integer]]


def predict_occluded(model: Predictor, cases: Sequence[Occluded]) -> list[Prediction]:
    """Predict texts as given, and again without each group of their words, all of them together.

    Returns:
        For each case a prediction of 1 + G rows: the text as given, then without each group.
    """
    texts = [
        [case.text, *(erase_words(case.text, case.tokens, group) for group in case.groups)] for case in cases
    ]
    every = model.predict_texts([text for versions in texts for text in versions])
    ends = np.cumsum([len(versions) for versions in texts])
    return [
        Prediction(
            every.probabilities[rows],
            every.truncated[rows],
            every.no_known_words[rows],
            None if every.answered is None else every.answered[rows],
        )
        for rows in (slice(end - len(versions), end) for end, versions in zip(ends, texts, strict=True))
    ]


def occlude(estimator: Step, text: str, tokens: Tokens, support: FloatArray, best: int) -> FloatArray:
    """Return how far a class's probability falls without each word (occlusion).

    Of a long text only the words with the largest support either way are tried: about
    `MOST_READ_AGAIN` words are read again in all.

    Args:
        estimator: a fitted step.
        text: one text, of W words.
        tokens: its words.
        support: (W,).
        best: the class.

    Returns:
        (W,) float64, NaN where it was not tried. Above 0: the word supports the class.
    """
    n_words = len(tokens.words)
    falls = np.full(n_words, np.nan)
    if n_words == 0:
        return falls
    tried = np.argsort(-np.abs(support), kind="stable")[: max(FEWEST_OCCLUDED, MOST_READ_AGAIN // n_words)]
    (prediction,) = predict_occluded(estimator, [Occluded(text, tokens, list(tried[:, None]))])
    probabilities = prediction.probabilities[:, best]
    falls[tried] = probabilities[0] - probabilities[1:]
    return falls


def measure_faithfulness(
    estimator: Step, text: str, evidence: Evidence, support: FloatArray, rng: np.random.Generator
) -> Faithfulness | None:
    """Measure comprehensiveness and sufficiency, and the same for random words; None where nothing was read.

    The words that matter most are those with the largest support for the prediction.

    Source: J. DeYoung et al., "ERASER: A Benchmark to Evaluate Rationalized NLP Models" (ACL 2020), eqs. 1
    and 2.
    """
    read = np.flatnonzero(evidence.read)
    if not len(read):
        return None
    orders = [read[np.argsort(-support[read], kind="stable")]]
    orders += [rng.permutation(read) for _ in range(DRAWS)]
    sizes = np.maximum(1, np.ceil(np.array(ERASED_SHARES) * len(read)).astype(np.int64))
    texts = [
        cut(text, evidence.tokens, order[:size])
        for order in orders
        for cut in (erase_words, keep_words)
        for size in sizes
    ]
    probabilities = estimator.predict_proba([text, *texts])[:, int(evidence.logits.argmax())]
    falls = (probabilities[0] - probabilities[1:]).reshape(len(orders), 2, len(sizes))
    return Faithfulness(sizes, falls[0, 0], falls[0, 1], *falls[1:].mean(axis=0))


def erase_words(text: str, tokens: Tokens, words: npt.NDArray[np.integer]) -> str:
    """Return the text with a space in the place of each of these words."""
    return _erase(text, _covered(text, tokens, words))


def keep_words(text: str, tokens: Tokens, words: npt.NDArray[np.integer]) -> str:
    """Return the text with a space in the place of each word but these; what is no word stays."""
    every = np.arange(len(tokens.words))
    return _erase(text, _covered(text, tokens, every) & ~_covered(text, tokens, words))


def _covered(text: str, tokens: Tokens, words: npt.NDArray[np.integer]) -> BoolArray:
    """Say which characters of the text belong to these words: (len(text),); words may overlap."""
    edges = np.zeros(len(text) + 1, np.int64)
    np.add.at(edges, tokens.starts[words], 1)
    np.add.at(edges, tokens.ends[words], -1)
    return np.cumsum(edges)[:-1] > 0


def _erase(text: str, gone: BoolArray) -> str:
    """Put one space for each run of characters that go, so that their neighbours do not join."""
    characters = np.frombuffer(text.encode("utf-32-le"), np.uint32).copy()
    first = gone & ~np.concatenate([[False], gone[:-1]])
    characters[first] = ord(" ")
    left: bytes = characters[~gone | first].tobytes()
    return left.decode("utf-32-le")
