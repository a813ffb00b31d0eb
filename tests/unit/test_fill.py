"""Blanks: the right words, jointly, of several pieces, among candidates; what cannot be filled."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from small_language import JUDGED, SOUNDS, trained, untrained, without_head

from sopan.errors import ConfigError, DataError
from sopan.lm.fill import BlankedText, fill_blanks
from sopan.lm.inference import log_softmax
from sopan.text.packing import Rows


def direct(model, ids, place):
    """Log-probabilities (V,) of the pieces at one place, asked without any of the code under test."""
    ids = np.array(ids, np.int32)[None]
    rows = Rows(ids, np.ones_like(ids), np.arange(ids.size, dtype=np.int32)[None], np.zeros_like(ids))
    return log_softmax(model.logits(rows, np.array([place], np.int32)))[0].astype(np.float64)


@pytest.mark.parametrize("animal", ["cat", "dog", "cow"])
def test_a_blank_is_filled_from_its_right_side_too(animal):
    found = fill_blanks(trained(), f"the [MASK] {SOUNDS[animal]} .")
    assert found.blanks[0][0].text == animal
    assert found.blanks[0][0].probability > 0.5
    assert found.joint[0].text == f"the {animal} {SOUNDS[animal]} ."
    assert found.reads == "both sides"
    assert not found.truncated


def test_several_blanks_agree_jointly_where_each_alone_cannot_know():
    found = fill_blanks(trained(), "A [MASK] film is [MASK] .", top=2)
    assert {filling.words for filling in found.joint} == {("good", "fine"), ("bad", "dull")}
    assert sum(filling.probability for filling in found.joint) > 0.7
    assert {candidate.text for candidate in found.blanks[0]} == {"good", "bad"}
    assert {candidate.text for candidate in found.blanks[1]} == {"fine", "dull"}
    assert found.joint[0].text.startswith("A ")  # what was written stays as it was written


def test_a_blank_of_two_pieces_is_one_word():
    found = fill_blanks(trained(), "the [MASK] hoots .", pieces=2)
    assert found.blanks[0][0].text == "nightowl"
    assert found.blanks[0][0].pieces == ("night", "##owl")
    both = fill_blanks(trained(), "the [MASK] hoots . a [MASK] film is fine .", pieces=(2, 3))
    assert both.joint[0].words == ("nightowl", "unbelievable")


def test_candidates_of_different_length_are_weighed_and_sum_to_one():
    found = fill_blanks(
        trained(), "a [MASK] film is dull .", candidates=["unbelievable", "bad", "Bad", "good"], top=9
    )
    assert found.blanks[0][0].text == "bad"
    assert len(found.blanks[0]) == 3  # `Bad` is spelt as `bad`
    assert sum(one.probability for one in found.blanks[0]) == pytest.approx(1, abs=1e-6)
    two = fill_blanks(trained(), "a [MASK] film is [MASK] .", candidates=[*JUDGED, "fine", "dull"], top=16)
    assert two.joint[0].words in JUDGED.items()


def test_all_pairs_of_candidates_sum_to_one():
    found = fill_blanks(
        untrained(), "a [MASK] film is [MASK] .", candidates=["good", "nightowl", "fine"], top=9
    )
    assert len(found.joint) == 9
    assert sum(one.probability for one in found.joint) == pytest.approx(1, abs=1e-6)


# ---- The numbers -----------------------------------------------------------------------------


def test_free_filling_equals_the_chain_rule_over_all_pairs():
    """With a beam as wide as the vocabulary, the best pairs are those that trying all pairs finds."""
    model = untrained()
    wordpiece = model.wordpiece
    ids = [wordpiece.id_of(piece) for piece in ("[CLS]", "a", "[MASK]", "is", "[MASK]", "[SEP]")]
    may = [i for i, piece in enumerate(wordpiece.pieces) if piece[0] != "[" and not piece.startswith("##")]
    expected = {}
    for first in may:
        filled = [*ids[:2], first, *ids[3:]]
        for second in may:
            log = direct(model, ids, 2)[first] + direct(model, filled, 4)[second]
            expected[wordpiece.pieces[first], wordpiece.pieces[second]] = np.exp(log)
    found = fill_blanks(model, "a [MASK] is [MASK]", top=len(may) ** 2)
    assert len(found.joint) == len(expected)
    for filling in found.joint:
        assert filling.probability == pytest.approx(expected[filling.words], rel=1e-4)
    assert list(found.joint) == sorted(found.joint, key=lambda one: -one.probability)
    alone = direct(model, ids, 4)
    for candidate in found.blanks[1]:  # the first blank being blank
        assert candidate.probability == pytest.approx(
            np.exp(alone[wordpiece.id_of(candidate.text)]), rel=1e-4
        )


def test_a_candidate_of_three_pieces_is_scored_behind_three_masks_from_the_left():
    model = untrained()
    id_of = model.wordpiece.id_of
    logs = {}
    for word in (("un", "##believ", "##able"), ("good",)):
        ids = [id_of("[CLS]"), id_of("a"), *[id_of("[MASK]")] * len(word), id_of("film"), id_of("[SEP]")]
        logs[word] = 0.0
        for place, piece in enumerate(word, start=2):
            logs[word] += direct(model, ids, place)[id_of(piece)]
            ids[place] = id_of(piece)
    values = np.exp(list(logs.values()))
    found = fill_blanks(model, "a [MASK] film", candidates=["unbelievable", "good"])
    by_name = {one.text: one.probability for one in found.blanks[0]}
    assert by_name["unbelievable"] == pytest.approx(values[0] / values.sum(), rel=1e-4)
    assert by_name["good"] == pytest.approx(values[1] / values.sum(), rel=1e-4)


def test_no_special_piece_and_no_half_word_is_offered():
    found = fill_blanks(untrained(), "a [MASK]", top=100)
    assert not [one.text for one in found.blanks[0] if one.text[0] == "[" or one.text.startswith("##")]
    long = fill_blanks(untrained(), "a [MASK]", pieces=2, top=100)
    assert all(one.pieces[1].startswith("##") for one in long.blanks[0])


# ---- Causal ----------------------------------------------------------------------------------


def test_a_causal_model_reads_the_left_side_only():
    model = trained(causal=True)
    found = fill_blanks(model, "the dog [MASK] .")
    assert found.blanks[0][0].text == "barks"
    assert found.reads == "the left side"
    one, other = (fill_blanks(model, f"the [MASK] {sound} .").blanks for sound in ("barks", "moos"))
    assert one == other
    assert not fill_blanks(
        model, "the dog [MASK] " + "the cat purrs . " * 20
    ).truncated  # it does not read that anyway


def test_a_causal_models_later_blanks_stand_behind_the_best_filling_of_earlier_ones():
    found = fill_blanks(trained(causal=True), "the [MASK] [MASK] .", top=1)
    assert (
        SOUNDS.get(found.joint[0].words[0], "") == found.joint[0].words[1] or "night" in found.joint[0].words
    )
    assert found.blanks[1][0].text == found.joint[0].words[1]


# ---- Long texts, and what cannot be filled ---------------------------------------------------


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("before", "behind"), [(40, 0), (0, 40), (40, 40), (9, 9)])
def test_of_a_long_text_the_part_around_the_blanks_is_read(causal, before, behind):
    text = "nightowl " * before + "the [MASK] " + "unbelievable " * behind
    found = fill_blanks(untrained(causal=causal), text, pieces=2)
    assert found.truncated == (not causal or before > 9)
    assert found.joint[0].text.count("nightowl") >= before
    assert found.joint[0].text.endswith("unbelievable " * bool(behind))


def test_the_window_begins_and_ends_with_whole_words():
    model = untrained()
    for room in range(6, 24):
        pieces = model.wordpiece.cut("nightowl " * 9 + "[MASK] " + "unbelievable " * 9)
        blank = np.flatnonzero(pieces.ids == model.wordpiece.specials["[MASK]"])
        frame = BlankedText.around(model, pieces, blank, 22 - room, ())
        before, behind = ([model.wordpiece.pieces[i] for i in part] for part in frame.parts)
        assert len(before) + len(behind) + 1 <= room
        assert before[:1] in ([], ["night"])
        assert behind[-1:] in ([], ["##able"])


def test_blanks_too_far_apart_are_refused():
    with pytest.raises(DataError, match="43 pieces, and the model reads 22") as caught:
        fill_blanks(untrained(), "[MASK] " + "the " * 41 + "[MASK]")
    assert "one after the other" in caught.value.next_step


def test_a_text_without_a_blank_is_refused():
    for text in ("", "the cat purrs .", "the [mask] purrs"):
        with pytest.raises(DataError, match="no blank to fill") as caught:
            fill_blanks(untrained(), text)
        assert "[MASK]" in caught.value.next_step


@pytest.mark.parametrize("word", ["", "zebra", "[SEP]", "🙂"])
def test_candidates_that_cannot_be_spelt_are_refused(word):
    with pytest.raises(DataError, match="cannot spell"):
        fill_blanks(untrained(), "a [MASK]", candidates=["good", word])


@pytest.mark.parametrize("settings", [{"top": 0}, {"pieces": 0}, {"pieces": (1, 2, 3)}, {"pieces": ()}])
def test_settings_that_cannot_be_are_refused(settings):
    with pytest.raises(ConfigError):
        fill_blanks(untrained(), "[MASK] [MASK]", **settings)


def test_a_model_without_a_trained_head_is_refused():
    with pytest.raises(ConfigError, match="without the head") as caught:
        fill_blanks(without_head(), "a [MASK]")
    assert "sopan-mini" in caught.value.next_step


def test_json_holds_all_of_it():
    found = fill_blanks(untrained(), "a [MASK]", top=2).as_json()
    assert list(found) == ["text", "reads", "truncated", "blanks", "joint"]
    assert list(itertools.chain(found["blanks"][0][0])) == ["text", "probability", "pieces"]
