"""Tuning: the budget's language, the order of trials, ties, interruption and what a fit costs."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tables

from sopan.errors import ConfigError, DataError
from sopan.fit import tune as tune_module
from sopan.fit.tune import Budget, Trial, tune, tuning_metric
from sopan.steps.training_data import Memo
from sopan.types import Labelled


def labelled(each: int, seed: int) -> Labelled:
    signs = {label: tables.ENGLISH[label] for label in ("good", "bad")}
    rows = tables.opinions(dict.fromkeys(signs, each), signs, seed=seed)
    classes = ("bad", "good")
    labels = np.array([classes.index(label) for _, label in rows])
    return Labelled(pa.array([text for text, _ in rows], pa.large_string()), labels, classes)


TRAIN, VAL = labelled(60, 0), labelled(40, 1)


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("60s", Budget(seconds=60)),
        ("1.5m", Budget(seconds=90)),
        ("2h", Budget(seconds=7200)),
        ("5trials", Budget(trials=5)),
        ("1 trial", Budget(trials=1)),
        ("all", Budget()),
    ],
)
def test_budgets_that_can_be_read(text: str, budget: Budget) -> None:
    assert Budget.parse(text) == budget


@pytest.mark.parametrize("text", ["", "60", "soon", "-5s", "0s", "2.5trials", "0trials", "nan s", "1d"])
def test_budgets_that_cannot(text: str) -> None:
    with pytest.raises(ConfigError, match="60s"):
        Budget.parse(text)


def test_macro_f1_is_the_aim_where_classes_are_imbalanced() -> None:
    assert tuning_metric(np.array([0] * 30 + [1] * 10)) == "accuracy"
    assert tuning_metric(np.array([0] * 31 + [1] * 10)) == "macro_f1"


def test_trials_run_in_order_and_the_budget_counts_them() -> None:
    heard: list[tuple[Trial, int]] = []
    tuned = tune(
        "bow", TRAIN, VAL, budget=Budget(trials=2), fixed={}, on_trial=lambda *said: heard.append(said)
    )
    assert [trial for trial, _ in heard] == list(tuned.trials)
    assert len(tuned.trials) == 2 < tuned.offered
    best = max(tuned.trials, key=lambda trial: (trial.accuracy, -trial.log_loss))
    assert best.settings.items() <= tuned.estimator.get_params().items()
    assert tuned.estimator.temperature_ > 0
    assert all(isinstance(trial.settings["C"], float) for trial in tuned.trials)  # chosen along a path


def test_the_first_candidate_is_tried_however_short_the_time() -> None:
    tuned = tune("bow", TRAIN, VAL, budget=Budget(seconds=1e-9), fixed={})
    assert len(tuned.trials) == 1


def test_a_variant_holds_in_every_trial_and_no_trial_is_made_twice() -> None:
    tuned = tune("bow:counts", TRAIN, VAL, budget=Budget(), fixed={"tokens": "sklearn", "unheard_of": 1})
    settings = [trial.settings for trial in tuned.trials]
    assert all(s["tf"] == "counts" and s["tokens"] == "sklearn" and "unheard_of" not in s for s in settings)
    assert all(settings.count(s) == 1 for s in settings)


def test_ctrl_c_keeps_the_best_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = tune_module._try, []

    def interrupted_at_the_second(*given: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(tune_module, "_try", interrupted_at_the_second)
    tuned = tune("bow", TRAIN, VAL, budget=Budget(), fixed={})
    assert tuned.interrupted
    assert len(tuned.trials) == 1
    assert tuned.estimator.predict(["a warm and honest film"]).tolist() == ["good"]


def test_ctrl_c_before_the_first_trial_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*given: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(tune_module, "_try", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tune("bow", TRAIN, VAL, budget=Budget(), fixed={})


def test_classes_out_of_order_are_refused_rather_than_mixed_up() -> None:
    swapped = Labelled(TRAIN.texts, 1 - TRAIN.labels, TRAIN.classes[::-1])
    with pytest.raises(DataError, match="sorted"):
        tune("bow", swapped, VAL, budget=Budget(trials=1), fixed={})


def test_a_memo_charges_for_what_it_hands_out_again() -> None:
    memo = Memo()

    def slow() -> str:
        time.sleep(0.02)
        return "made"

    assert memo.recall("key", slow) == "made"
    assert memo.reused_seconds == 0
    assert memo.recall("key", lambda: "never made") == "made"
    assert 0.02 <= memo.reused_seconds < 1

    assert memo.recall("built on it", lambda: memo.recall("key", slow) + "!") == "made!"
    before = memo.reused_seconds
    assert memo.recall("built on it", str) == "made!"
    assert memo.reused_seconds - before >= 0.02
