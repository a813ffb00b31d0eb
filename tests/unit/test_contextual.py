"""Words in context: their vectors, their neighbours, their sentences; long texts; layers."""

from __future__ import annotations

import numpy as np
import pytest
from small_language import trained, untrained

from sopan.errors import ConfigError, DataError
from sopan.lm.contextual import find_contextual_neighbors, layer_states, word_in_context
from sopan.lm.inference import Window, fill_rectangle, overlapping_windows, with_marks

TEXTS = [
    "the dog barks . a good film is fine .",
    "the cow moos . a bad film is dull .",
    "the nightowl hoots .",
]


def hidden(model, text):
    """Hidden states (P, D) of a text's pieces."""
    ids = with_marks(model, model.wordpiece.cut(text).ids)
    return model.hidden(fill_rectangle([ids], 1, len(ids)))[0, 1:-1]


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def vector_of(model, word, text):
    return word_in_context(model, word, text, layer_states(model))[0]


def test_a_words_vector_is_the_mean_of_its_pieces():
    model, text = untrained(), "A film: the NightOwl hoots."
    states = hidden(model, text)
    np.testing.assert_allclose(vector_of(model, "nightowl", text), states[4:6].mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(vector_of(model, "film", text), states[1], atol=1e-5)
    np.testing.assert_allclose(vector_of(model, "the nightowl", text), states[3:6].mean(axis=0), atol=1e-5)


def test_the_same_word_differs_by_its_context():
    model = untrained()
    one, other = (vector_of(model, "cat", text) for text in ("the cat purrs .", "a cat is dull"))
    assert cosine(one, other) < 0.999


def test_neighbours_are_those_that_all_cosines_say():
    model = untrained()
    query = vector_of(model, "cat", "the cat purrs .")
    expected = []
    for row, text in enumerate(TEXTS):
        pieces = model.wordpiece.cut(text)
        states = hidden(model, text)
        for word in range(pieces.words[-1] + 1):
            of_word = np.flatnonzero(pieces.words == word)
            written = text[pieces.starts[of_word[0]] : pieces.ends[of_word[-1]]]
            if written != ".":
                expected.append((cosine(states[of_word].mean(axis=0), query), written, row))
    found = find_contextual_neighbors(model, "cat", "the cat purrs .", enumerate(TEXTS), top=5)
    assert [(one.word, one.row) for one in found] == [one[1:] for one in sorted(expected, reverse=True)[:5]]
    np.testing.assert_allclose(
        [one.cosine for one in found], sorted([e[0] for e in expected])[:-6:-1], atol=1e-5
    )
    for one in found:
        assert one.sentence in TEXTS[one.row]
        assert one.sentence.endswith(" .")
        assert one.sentence.count(".") == 1
        assert one.sentence[one.start : one.end] == one.word


def test_an_animal_is_near_animals():
    found = find_contextual_neighbors(trained(), "cat", "the cat purrs .", enumerate(TEXTS), top=3)
    assert {one.word for one in found} & {"dog", "cow", "nightowl"}
    assert all(one.word not in ("is", "a") for one in found)


def test_equal_sentences_come_once_and_the_word_itself_not_at_all():
    texts = [*TEXTS, *TEXTS, "the cat purrs . " * 30, "the cat purrs ."]
    found = find_contextual_neighbors(untrained(), "cat", "the cat purrs .", enumerate(texts), top=50)
    places = [(one.sentence, one.start) for one in found]
    assert len(set(places)) == len(places)
    assert ("the cat purrs .", 4) not in places
    assert len(found) == 19 + 2  # the words of TEXTS, and those beside the cat


def test_the_order_of_texts_and_how_many_are_read_at_a_time_change_nothing():
    model = untrained()
    many = [f"{text} " for text in TEXTS] + ["the cow", "is film a"] * 300
    one, other = (
        find_contextual_neighbors(model, "dog", "a dog is fine", texts, top=4)
        for texts in (enumerate(many), reversed(list(enumerate(many))))
    )
    assert [(found.word, found.sentence) for found in one] == [
        (found.word, found.sentence) for found in other
    ]


def test_words_of_long_texts_are_read_in_windows():
    model = untrained()
    text = "the dog barks . " * 20 + "a nightowl is fine"
    found = find_contextual_neighbors(model, "nightowl", text, [(7, "the cow moos . " * 30 + text)], top=1)
    assert found[0].row == 7
    assert found[0].cosine > 0.5
    assert np.isfinite(vector_of(model, "nightowl", text)).all()


def test_long_sentences_are_shown_in_part():
    found = find_contextual_neighbors(untrained(), "cat", "the cat", [(0, "film " * 500)], top=3)
    assert all(len(one.sentence) <= 610 for one in found)
    assert all(one.sentence[one.start : one.end] == "film" for one in found)


def test_layers_lead_from_the_words_to_the_last():
    model = untrained()
    ids = with_marks(model, model.wordpiece.cut("the cat purrs .").ids)
    rows = fill_rectangle([ids], 1, len(ids))
    lowest, middle, last = (layer_states(model, layer)(rows) for layer in (0, 1, 2))
    np.testing.assert_array_equal(last, model.hidden(rows))
    assert lowest.shape == middle.shape == last.shape
    block = model.network.get_layer("block_1")
    through, _ = block(middle, np.ones((1, len(ids)), bool))
    np.testing.assert_allclose(np.asarray(through), last, atol=1e-5)
    alone = fill_rectangle([ids[:2]], 1, 2)
    np.testing.assert_allclose(layer_states(model, 0)(alone), lowest[:, :2], atol=1e-6)  # no context yet
    for layer in (-1, 3):
        with pytest.raises(ConfigError, match="no layer") as caught:
            layer_states(model, layer)
        assert "0 to 2" in caught.value.next_step


@pytest.mark.parametrize(
    ("word", "text"), [("dog", "the cat"), ("owl", "the nightowl"), ("", "the"), ("the", "")]
)
def test_a_word_that_does_not_stand_in_the_text_is_refused(word, text):
    with pytest.raises(DataError, match="does not stand in the text"):
        vector_of(untrained(), word, text)


def test_no_words_to_compare_with():
    for texts in ([], [(0, ""), (1, "... !")]):
        with pytest.raises(DataError, match="no words in the texts"):
            find_contextual_neighbors(untrained(), "cat", "the cat", texts)


def test_windows_cover_a_text_once():
    assert overlapping_windows(0, 8, 2) == []
    assert overlapping_windows(8, 8, 2) == [Window(0, 8, 0, 8)]
    for length in range(1, 60):
        for room in (1, 2, 3, 8, 9):
            for before in {0, room // 4, room // 2}:
                found = overlapping_windows(length, room, before)
                answered = [place for one in found for place in range(one.first, one.last)]
                assert answered == list(range(length))
                assert all(one.start <= one.first <= one.last <= one.stop <= length for one in found)
                assert all(one.first - one.start >= before for one in found[1:])
