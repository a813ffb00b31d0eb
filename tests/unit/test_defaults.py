"""What is compared unless told otherwise: which preset `bert` starts from, and how long it will take."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import tables

from sopan.comparison import defaults
from sopan.comparison.contenders import Contender, check_contenders
from sopan.comparison.defaults import DEFAULT, choose_preset, misfit_of, name_presets, preset_findings
from sopan.comparison.estimate import estimate
from sopan.fit.tune import Budget
from sopan.options.base import Message
from sopan.steps.bert import Bert
from sopan.text.facts import TrainingFacts
from sopan.text.wordpiece import SPECIALS, WordPiece


def texts(signs: dict[str, tuple[str, ...]], language: str) -> pa.LargeStringArray:
    rows = tables.opinions(dict.fromkeys(signs, 10), signs, language)  # type: ignore[arg-type]
    return pa.array([text for text, _ in rows], pa.large_string())


@pytest.fixture(autouse=True)
def _shipped_presets_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(defaults, "BEST_FIRST", ("sopan-mini",))


def test_bert_starts_from_a_preset_that_knows_the_language() -> None:
    told: list[Message] = []
    english = texts(tables.ENGLISH, "en")
    assert choose_preset(english, lambda part, message: told.append(message)) == "sopan-mini"
    assert told == []
    named = name_presets(check_contenders(("bow", "bert", "bert:frozen")), english, lambda *_: None)
    assert [one.name for one in named] == ["bow", "bert@sopan-mini", "bert:frozen@sopan-mini"]


def test_where_no_preset_knows_it_bert_learns_from_scratch() -> None:
    told: list[str] = []
    bengali = texts(tables.BENGALI, "bn")
    given = check_contenders(("bow", "bert", "bert:frozen", "bert@sopan-mini"))
    named = name_presets(given, bengali, lambda part, message: told.append(message["stage"]))
    assert [one.name for one in named] == ["bow", "bert:scratch", "bert@sopan-mini"]
    assert "does not know" in told[0]
    assert "left out" in told[1]


def test_a_preset_that_is_named_is_held_against_the_texts() -> None:
    bengali = texts(tables.BENGALI, "bn")
    (finding,) = preset_findings(check_contenders("bow,bert@sopan-mini,bert:scratch"), bengali)
    assert (finding.level, finding.code) == ("warning", "preset_misfit")
    assert "`bert@sopan-mini`: sopan-mini does not know" in finding.message
    assert "try bert:scratch" in finding.message
    assert preset_findings(check_contenders("bert@sopan-mini"), texts(tables.ENGLISH, "en")) == []


def test_a_preset_that_spells_every_word_is_of_another_language() -> None:
    letters = WordPiece.of(
        [*SPECIALS, *"abcdefghijklmnopqrstuvwxyz", *[f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz"]]
    )
    long = pa.array(["wonderful performances throughout"] * 3, pa.large_string())
    assert misfit_of(letters, long) == "cuts a word of the texts into 10.3 pieces"


def test_what_is_named_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    given = check_contenders("bert:scratch,bert", ["bert.preset=sopan-mini"])
    assert name_presets(given, texts(tables.ENGLISH, "en"), lambda *_: None) == given
    assert DEFAULT[-3:] == ("bert:frozen", "stack", "cascade")


def test_the_estimate_grows_with_the_encoder_and_the_texts() -> None:
    few, many = texts(tables.ENGLISH, "en"), pa.concat_arrays([texts(tables.ENGLISH, "en")] * 400)
    budget = Budget.parse("1s")
    small = estimate([Contender("bow"), Contender("bert@sopan-mini")], few, 10, budget)
    large = estimate([Contender("bow"), Contender("bert@sopan-mini")], many, 10, budget)
    assert small.startswith("about ")
    assert "bow 6.0 s, bert@sopan-mini" in small
    assert small != large


def test_a_named_preset_is_fine_tuned_as_it_is_best() -> None:
    facts = TrainingFacts(np.array([50, 50]))
    assert Bert.candidates_with(facts, {})[0] == {"learning_rate": 2e-4}
    first = Bert.candidates_with(facts, {"preset": "minilm", "epochs": 1})[0]
    assert (first["learning_rate"], first["epochs"], first["preset"]) == (1e-4, 1, "minilm")
