"""What measuring a step gives: values that are quick to import, by whoever shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

import annotated_types as at

from sopan.training.recipe import TrainingReport
from sopan.types import Amount, Count, Record, Share

Interval: TypeAlias = tuple[float, float]
"""Lower and upper end, at 95%."""


@dataclass(frozen=True, kw_only=True)
class ClassScores(Record):
    """How well one class is told from the others; `support` texts have that label."""

    class_: str
    precision: Share
    recall: Share
    f1: Share
    support: Count


@dataclass(frozen=True, kw_only=True)
class ReliabilityBin(Record):
    """Texts of like confidence in their predicted class: its mean, and how many of them were right."""

    confidence: Share
    accuracy: Share
    count: Count


@dataclass(frozen=True, kw_only=True)
class PredictionScores(Record):
    """How good predictions are.

    Args:
        log_loss: mean -ln p(label), in nats.
        brier: mean squared error of the probabilities, summed over classes (Brier 1950, 0 .. 2);
            for two classes that of one class alone (0 .. 1), as scikit-learn does it.
        ece: expected calibration error (Guo et al. 2017), 15 equal-width bins of confidence.
        per_class: a row for each of C classes.
        confusion: C x C counts, a row for each true class, a column for each predicted one.
        reliability: a row for each bin that holds a text.
    """

    accuracy: Share
    macro_f1: Share
    log_loss: Amount
    brier: Annotated[float, at.Interval(ge=0, le=2)]
    ece: Share
    per_class: Annotated[tuple[ClassScores, ...], at.MinLen(2)]
    confusion: tuple[tuple[Count, ...], ...]
    reliability: tuple[ReliabilityBin, ...]


@dataclass(frozen=True, kw_only=True)
class EvaluationScores(PredictionScores):
    """How good predictions are, with 95% intervals; texts that were cut short, or had no known word.

    Args:
        notes: what these texts cannot tell, and labels that were matched though they are written otherwise.
    """

    accuracy_ci: Interval
    macro_f1_ci: Interval
    truncated: Count
    no_known_words: Count
    notes: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Latency(Record):
    """Milliseconds for one text at a time: half of all texts take no more than `p50`."""

    p50: Amount
    p95: Amount
    p99: Amount


@dataclass(frozen=True, kw_only=True)
class Trial(Record):
    """One setting tried: its scores on the validation texts and the seconds that it took."""

    settings: Mapping[str, Any]
    accuracy: Share
    macro_f1: Share
    log_loss: Amount
    seconds: Amount


@dataclass(frozen=True, kw_only=True)
class ModelMetrics(EvaluationScores):
    """How good a tuned step is on the test texts, and what it costs; also in its model's config.json.

    Args:
        adds, lacks: its idea, in words.
        truncated: test texts of which the step did not read all.
        no_known_words: test texts of which the step knew no word.
        peak_rss_mb: in 10^6 bytes, of the step's own process.
        interrupted: tuning was ended early by the user.
        trials_total: how many settings there were to try.
        training: how the chosen setting was trained, for a step that is trained in epochs.
    """

    adds: str
    lacks: str
    temperature: Annotated[float, at.Gt(0)]
    fit_seconds: Amount
    tune_seconds: Amount
    texts_per_second: Amount
    latency_ms: Latency
    peak_rss_mb: Amount
    interrupted: bool
    trials_total: Count
    training: TrainingReport | None
