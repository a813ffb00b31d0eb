"""Generation: what the language says, the same for the same seed; the cuts; who is refused."""

from __future__ import annotations

import numpy as np
import pytest
from small_language import sentences, trained, untrained

from sopan.errors import ConfigError
from sopan.lm.generate import generate_text, shares
from sopan.lm.score import score_text


@pytest.mark.parametrize(("prompt", "goes_on"), [("the dog", " barks ."), ("A bad film is", " dull .")])
def test_the_likeliest_text_is_what_the_language_says(prompt, goes_on):
    found = generate_text(trained(causal=True), prompt, temperature=0)
    assert found.text.startswith(prompt + goes_on)
    assert found.ended
    assert not found.truncated


def test_pieces_of_a_word_are_joined_to_what_stands_there():
    assert generate_text(trained(causal=True), "the night", temperature=0).text.startswith(
        "the nightowl hoots"
    )
    assert generate_text(trained(causal=True), "the cow ", temperature=0).text.startswith("the cow moos")
    assert generate_text(trained(causal=True), "", temperature=0).text[0] != " "


def test_the_same_seed_gives_the_same_text_and_others_give_others():
    model = trained(causal=True)
    texts = [generate_text(model, "", seed=seed, top_p=0.95).text for seed in range(12)]
    assert texts[3] == generate_text(model, "", seed=3, top_p=0.95).text
    assert len(set(texts)) > 3
    said = set(sentences())
    assert sum(text in said for text in texts) >= 8


def test_the_log_probability_is_that_of_scoring():
    model = trained(causal=True)
    found = generate_text(model, "the", temperature=0, most=3)
    assert len(found.pieces) == 3
    words = score_text(model, found.text).words[1:]
    assert found.log_probability == pytest.approx(sum(word.log_probability for word in words), abs=1e-4)


def test_a_text_may_grow_longer_than_the_model_reads():
    model = untrained(causal=True, max_length=8)
    found = generate_text(model, "the " * 6, most=20, seed=1, temperature=3)
    assert found.ended or len(found.pieces) == 20
    assert found.truncated == (6 + len(found.pieces) > 7)
    other = generate_text(model, "a " * 30 + "the " * 6, most=20, seed=1, temperature=3)
    assert other.truncated


def test_no_special_piece_is_drawn():
    model = untrained(causal=True)
    drawn = {
        piece for seed in range(20) for piece in generate_text(model, "", seed=seed, temperature=9).pieces
    }
    assert len(drawn) > 20
    assert not [piece for piece in drawn if piece.startswith("[")]


# ---- Cuts ------------------------------------------------------------------------------------

LOGS = np.log(
    np.array([0.1, 0.5, 0.0, 0.3, 0.1], np.float32), where=[1, 1, 0, 1, 1], out=np.full(5, -np.inf, "f")
)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ((1.0, 0, 1.0), [0.1, 0.5, 0, 0.3, 0.1]),
        ((0.0, 0, 1.0), [0, 1, 0, 0, 0]),
        ((1.0, 2, 1.0), [0, 0.625, 0, 0.375, 0]),
        ((1.0, 0, 0.5), [0, 1, 0, 0, 0]),
        ((1.0, 0, 0.51), [0, 0.625, 0, 0.375, 0]),
        ((1.0, 99, 0.8), [0, 0.625, 0, 0.375, 0]),
        ((0.5, 0, 1.0), [0.01 / 0.36, 0.25 / 0.36, 0, 0.09 / 0.36, 0.01 / 0.36]),
    ],
)
def test_shares_by_hand(settings, expected):
    np.testing.assert_allclose(shares(LOGS, *settings), expected, atol=1e-6)


def test_shares_stay_finite_at_any_temperature():
    for temperature in (1e-6, 1e-300, 1e6):
        found = shares(LOGS, temperature, 0, 1.0)
        assert found.sum() == pytest.approx(1)
        assert found[2] == 0


# ---- Refused ---------------------------------------------------------------------------------


def test_a_masked_model_is_refused():
    with pytest.raises(ConfigError, match="masked model") as caught:
        generate_text(untrained(), "the")
    assert "--objective causal" in caught.value.next_step


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": -1},
        {"temperature": float("nan")},
        {"top_p": 0},
        {"top_p": 1.1},
        {"top_p": float("nan")},
        {"top_k": -1},
        {"most": 0},
    ],
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ConfigError):
        generate_text(untrained(causal=True), "the", **settings)
