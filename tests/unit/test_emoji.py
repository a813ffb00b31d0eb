"""Emoji are words: they are learnt from and explained; models of before keep their rule."""

from __future__ import annotations

import json

import numpy as np
import pytest
from quick_steps import brief, eagerly

from sopan.fit.artifact import load_model, save_model
from sopan.fit.explain import explain_text, top_words
from sopan.steps import make_step
from sopan.storage.manifest import write_manifest

GOOD, BAD = ("😀", "👍🏽", "❤\ufe0f", "👩\u200d🚀"), ("😡", "👎", "💔", "🇧🇩")
FILLERS = ("we saw it", "on the train", "the same day", "with my aunt", "once more")
ROWS = [
    (f"{filler} {sign}", label)
    for label, signs in (("good", GOOD), ("bad", BAD))
    for sign in signs
    for filler in FILLERS
]
TEXTS, LABELS = [text for text, _ in ROWS], [label for _, label in ROWS]
NEW, TRUE = [f"a quiet evening {sign}" for sign in GOOD + BAD], ["good"] * 4 + ["bad"] * 4


@pytest.mark.parametrize("step", ["bow", "cbow", "attention"])
def test_labels_carried_by_emoji_alone_are_learnt_and_explained(step):
    with eagerly():
        estimator = brief(step, **({"min_steps": 60} if step == "attention" else {})).fit(TEXTS, LABELS)
        assert estimator.predict(NEW).tolist() == TRUE
    if step != "attention":  # the gradients of a network need it compiled, which takes seconds
        found = explain_text(estimator, f"once more {GOOD[3]}", rng=np.random.default_rng(0))
        assert top_words(found.evidence.tokens, found.support)[0][0] == GOOD[3]


@pytest.mark.parametrize("step", ["bow", "cbow"])
def test_a_model_that_was_saved_before_emoji_were_words_answers_as_before(tmp_path, step):
    """Its folder calls the rule `words`, and that rule knew no emoji: `a 😀 b` has the pair `a b`."""
    texts = ["warm 😀 film", "dull film", "a warm 👍🏽 day", "a dull day"] * 3
    before = make_step(step, tokens="words-1").fit(texts, ["good", "bad"] * 6)
    save_model(before, tmp_path / "model", data={"name": "made up"}, metrics={})
    path = tmp_path / "model" / "config.json"
    config = json.loads(path.read_text())
    assert config["settings"]["tokens"] == "words-1"
    config["settings"]["tokens"] = config["preprocessing"]["tokens"] = "words"
    path.write_text(json.dumps(config))
    (path.parent / "manifest.json").unlink()
    write_manifest(path.parent)
    after = load_model(path.parent)
    assert after.tokens == "words-1"
    np.testing.assert_array_equal(after.logits(texts), before.logits(texts))
    save_model(make_step(step).fit(texts, ["good", "bad"] * 6), tmp_path / "new", data={}, metrics={})
    assert json.loads((tmp_path / "new" / "config.json").read_text())["settings"]["tokens"] == "words-2"
    assert load_model(tmp_path / "new").tokens == "words"
