"""Scores: what is right is likelier, words keep their places, long texts lose nothing."""

from __future__ import annotations

import json
import math

import pytest
from small_language import sentences, trained, untrained, without_head

from sopan.errors import ConfigError, DataError
from sopan.lm.score import HIGHEST, perplexity, score_text, score_texts


@pytest.mark.parametrize("causal", [False, True])
def test_what_the_language_says_is_likelier(causal):
    model = trained(causal=causal)
    for right, wrong in (
        ("the dog barks .", "the dog moos ."),
        ("a bad film is dull .", "a bad film is fine ."),
    ):
        assert score_text(model, right).total > score_text(model, wrong).total + 1
    wrong = score_text(model, "the dog moos .")
    assert min(wrong.words, key=lambda word: word.log_probability).text in ("dog", "moos")


def test_words_keep_their_places_as_written():
    text = "  The NightOwl\thoots. "
    found = score_text(untrained(), text)
    assert [word.text for word in found.words] == ["The", "NightOwl", "hoots", "."]
    assert [text[word.start : word.end] for word in found.words] == [word.text for word in found.words]
    assert found.words[1].pieces == ("night", "##owl")
    assert found.total == pytest.approx(sum(word.log_probability for word in found.words))
    for word in found.words:
        assert word.log_probability == pytest.approx(sum(word.of_pieces))


@pytest.mark.parametrize("causal", [False, True])
def test_texts_together_score_as_each_alone(causal):
    model = untrained(causal=causal)
    texts = [*sentences(), "", "the " * 60, "zebra"]
    for text, found in zip(texts, score_texts(model, iter(texts)), strict=True):
        assert found.text == text
        assert found.total == pytest.approx(score_text(model, text).total, rel=1e-5, abs=1e-5)


def test_more_texts_than_are_held_at_a_time():
    model = untrained()
    short, longer = "the cat", "a good film is fine ."
    texts = [short, longer] * 450  # more pieces than a group of texts, and than a batch of questions
    expected = {text: score_text(model, text).total for text in (short, longer)}
    found = list(score_texts(model, iter(texts)))
    assert [one.text for one in found] == texts
    assert all(one.total == pytest.approx(expected[one.text], rel=1e-5) for one in found)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("n", [21, 22, 23, 24, 57, 100])
def test_every_piece_of_a_long_text_is_scored_in_a_window(causal, n):
    found = score_text(untrained(causal=causal), "the " * n)
    assert len(found.words) == n
    assert math.isfinite(found.total)
    assert found.windowed == (n > (23 if causal else 22))


def test_a_word_longer_than_the_model_reads():
    model = untrained(max_length=4)
    found = score_text(model, "unbelievable nightowl")
    assert [len(word.of_pieces) for word in found.words] == [3, 2]
    assert math.isfinite(found.total)


def test_nothing_to_score():
    for text in ("", " \n", "[SEP]"):
        found = score_text(untrained(), text)
        assert (found.total, found.words) == (0, ())
        assert found.as_json()["perplexity_per_word"] is None


def test_special_pieces_are_context_and_unknown_words_are_told():
    found = score_text(untrained(), "the [SEP] zebra [MASK] .")
    assert [(word.text, word.known) for word in found.words] == [("the", True), ("zebra", False), (".", True)]
    assert found.as_json()["n_unknown"] == 1


def test_perplexities():
    assert perplexity(-6.0, 3) == pytest.approx(math.exp(2))
    assert perplexity(-1e9, 1) == pytest.approx(HIGHEST)
    assert perplexity(0.0, 0) is None
    found = score_text(untrained(), "the nightowl hoots .")
    values = found.as_json()
    assert (values["n_words"], values["n_pieces"]) == (4, 5)
    assert values["perplexity_per_word"] == pytest.approx(math.exp(-found.total / 4))
    assert values["perplexity_per_piece"] == pytest.approx(math.exp(-found.total / 5))
    assert json.loads(json.dumps(values, allow_nan=False))["words"][1]["pieces"] == ["night", "##owl"]


@pytest.mark.parametrize(("causal", "method"), [(False, "causal"), (True, "original"), (False, "best")])
def test_a_method_of_the_other_kind_is_refused(causal, method):
    with pytest.raises(ConfigError, match="does not score by") as caught:
        score_text(untrained(causal=causal), "the", method=method)
    assert "use " in caught.value.next_step


def test_a_lone_surrogate_is_refused():
    with pytest.raises(DataError, match="surrogate"):
        score_text(untrained(), "the \ud800")


def test_a_model_without_a_trained_head_is_refused():
    with pytest.raises(ConfigError, match="without the head"):
        score_text(without_head(), "the cat")
