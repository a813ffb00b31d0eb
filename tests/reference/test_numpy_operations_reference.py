"""What is served without Keras is what Keras says: attention, and the language model's logits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import small_language
from quick_steps import EIGHT, ON_KERAS, SOIL_OR_SEA, brief, eagerly

from sopan.fit.artifact import save_model
from sopan.lm.inference import fill_rectangle
from sopan.runtime.language import RuntimeLanguageModel
from sopan.usecases.served.explanations import read_words
from sopan.usecases.served.served_step import ServedStep

VARIANTS = (*ON_KERAS, "attention:local")
TEXT = "The baker waters the roses, and zzz digs."


@pytest.mark.parametrize("name", VARIANTS)
def test_attention_is_that_of_keras(name: str, tmp_path: Path) -> None:
    with eagerly():
        estimator = brief(name, min_steps=1).fit(EIGHT, SOIL_OR_SEA)
        save_model(estimator, tmp_path / "model", data={}, metrics={}, step=name)
    evidence = estimator.evidence(TEXT)
    step = ServedStep.load(tmp_path / "model")
    found = step.attention(TEXT)
    assert len(found) == len(evidence.attention) > 0
    assert (read_words(step, TEXT).read == evidence.read).all()
    if name == "bert":  # evidence puts pieces together to words; these are of pieces
        assert found[0].shape[-1] == len(step.intake.tokenize(TEXT).units.tokens.words)
        return
    for mine, keras in zip(found, evidence.attention, strict=True):
        np.testing.assert_allclose(mine, keras, atol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("numpy", [False, True])
def test_the_language_model_is_that_of_keras(causal: bool, numpy: bool) -> None:
    model = small_language.untrained(causal=causal)
    texts = [np.array([2, 5, 6, 7, 3], np.int32), np.array([2, 8, 3], np.int32)]
    rows, at = fill_rectangle(texts, 2, 8), np.array([1, 2, 9], np.int32)
    served = RuntimeLanguageModel(model.weights(), model.config, numpy=numpy)
    np.testing.assert_allclose(
        served.logits(rows.ids, rows.blocks > 0, at), model.logits(rows, at), rtol=1e-4, atol=1e-4
    )
