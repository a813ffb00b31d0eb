"""What a fitted contender scores on the test texts, and what it costs, measured the same way for all."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np

from sopan.comparison.results import SeedScores
from sopan.fit.costs import latency_ms, peak_rss_mb
from sopan.fit.predict import score_prediction
from sopan.fit.scores import ModelMetrics, PredictionScores
from sopan.fit.tune import Tuned
from sopan.steps import step_entry
from sopan.types import Json, Labelled, Prediction


def measure_tuned(tuned: Tuned, test: Labelled, seed: int) -> tuple[Prediction, ModelMetrics]:
    """Predict the test texts once, timed, and say how good and how costly that was."""
    started = time.perf_counter()
    prediction = tuned.estimator.predict_texts(test.texts)
    speed = len(test) / (time.perf_counter() - started)
    return prediction, model_metrics(tuned, prediction, test, seed, texts_per_second=speed)


def model_metrics(
    tuned: Tuned, prediction: Prediction, test: Labelled, seed: int, *, texts_per_second: float
) -> ModelMetrics:
    """Score a prediction of the test texts; add what the contender costs, one text at a time too."""
    estimator, entry = tuned.estimator, step_entry(tuned.estimator.name)
    scores = score_prediction(prediction, test.labels, test.classes, np.random.default_rng(seed))
    return ModelMetrics(
        **vars(scores),
        adds=entry.adds,
        lacks=entry.lacks,
        temperature=float(estimator.temperature_),
        fit_seconds=tuned.fit_seconds,
        tune_seconds=tuned.tune_seconds,
        texts_per_second=texts_per_second,
        latency_ms=latency_ms(estimator, test.texts, np.random.default_rng(seed)),
        peak_rss_mb=peak_rss_mb(),
        trials_total=tuned.offered,
        interrupted=tuned.interrupted,
        training=estimator.training(),
    )


def seed_scores(seed: int, scores: PredictionScores) -> SeedScores:
    """Return what is kept of the scores with one seed."""
    return SeedScores(seed=seed, accuracy=scores.accuracy, macro_f1=scores.macro_f1, log_loss=scores.log_loss)


def as_json_values(settings: Mapping[str, object]) -> dict[str, Json]:
    """Return settings as JSON holds them; an object from outside is told by its `repr`."""
    plain = (str, bool, int, float, list, tuple, dict)
    return {
        name: value if value is None or isinstance(value, plain) else repr(value)
        for name, value in settings.items()
    }
