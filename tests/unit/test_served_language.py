"""The served language model: which model fills a blank from its left side alone."""

from __future__ import annotations

import shutil

import pytest

from sopan.lm.fill import fill_blanks
from sopan.steps.presets import from_preset, preset_folder
from sopan.usecases.served.served_language import ServedLanguageModel

TEXT = "the movie was [MASK] , and very long ."


def filled(model, *, left_only):
    return model.fill(TEXT, 5, left_only=left_only)


def candidates(answer):
    return [(one["text"], one["probability"]) for one in answer["blanks"][0]]


def test_the_left_side_is_read_by_a_causal_model_as_large():
    model = ServedLanguageModel("sopan-mini")
    both, left = filled(model, left_only=False), filled(model, left_only=True)
    assert (both["language_model"], both["reads"]) == ("sopan-mini", "both sides")
    assert (left["language_model"], left["reads"]) == ("sopan-mini-causal", "the left side")
    expected = fill_blanks(from_preset("sopan-mini-causal"), "the movie was [MASK]", top=5).as_json()
    assert [text for text, _ in candidates(left)] == [text for text, _ in candidates(expected)]
    chances = [chance for _, chance in candidates(expected)]
    assert [chance for _, chance in candidates(left)] == pytest.approx(chances, abs=1e-4)
    assert candidates(both) != candidates(left)


def test_a_model_of_ones_own_reads_the_left_side_itself(tmp_path):
    folder = shutil.copytree(preset_folder("sopan-mini"), tmp_path / "sopan-mini")
    left = filled(ServedLanguageModel(str(folder)), left_only=True)
    assert (left["language_model"], left["reads"]) == ("sopan-mini", "the left side")
    expected = fill_blanks(from_preset("sopan-mini"), "the movie was [MASK]", top=5).as_json()
    chances = [chance for _, chance in candidates(expected)]
    assert [chance for _, chance in candidates(left)] == pytest.approx(chances, abs=1e-4)
