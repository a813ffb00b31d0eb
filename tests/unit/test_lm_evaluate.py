"""How well blanks are filled: which words are hidden, and what counts as right."""

from __future__ import annotations

import numpy as np
from small_language import JUDGED, SOUNDS, trained, untrained

from sopan.lm.evaluate import Blank, evaluate_blanks, make_blanks, sentences
from sopan.text.wordpiece import SPECIALS, WordPiece

TEXTS = ["The unbelievable film is good .", "nightowl hoots, cat purrs!", "a DOG barks ."]


def rng(seed=0):
    return np.random.default_rng(seed)


# ---- Sentences -------------------------------------------------------------------------------


def test_sentences_are_five_to_forty_words_of_each_text_in_turn():
    texts = [
        "Too short. This one has just five words! And this one has six of them.",
        "word " * 41 + ". No.",
        "One<br /><br />two three four   five?",
    ]
    found = sentences(texts, 10, rng())
    assert sorted(found) == [
        "And this one has six of them.",
        "One two three four five?",
        "This one has just five words!",
    ]
    assert len({one.startswith("One") for one in sentences(texts, 2, rng())}) == 2, "one a text at first"
    assert sentences(texts, 1, rng(1)) == sentences(texts, 1, rng(1))


def test_there_may_be_no_sentence():
    assert sentences(["", "no"], 5, rng()) == []
    assert sentences([], 5, rng()) == []
    assert sentences(["one two three four five . " * 3], 0, rng()) == []


def test_hindi_sentences_end_with_their_own_stop():
    assert len(sentences(["यह एक बहुत अच्छी फ़िल्म है। हम सब ने मिलकर देखी थी।"], 5, rng())) == 2


# ---- Blanks ----------------------------------------------------------------------------------


def test_a_blank_is_one_whole_word_and_never_punctuation():
    wordpiece = untrained().wordpiece
    seen = set()
    for seed in range(60):
        for text, blank in zip(TEXTS, make_blanks(TEXTS, wordpiece, rng(seed)), strict=True):
            assert blank.text.replace("[MASK]", blank.word) == text
            seen.add(blank.word)
    words = {word for text in TEXTS for word in text.replace(",", "").replace("!", "").split()} - {"."}
    assert seen == words


def test_the_same_draws_give_the_same_blanks_and_all_words_are_as_likely():
    wordpiece = untrained().wordpiece
    assert make_blanks(TEXTS, wordpiece, rng(4)) == make_blanks(TEXTS, wordpiece, rng(4))
    counts = np.unique([b.word for b in make_blanks(TEXTS[:1] * 4000, wordpiece, rng())], return_counts=True)[
        1
    ]
    assert len(counts) == 5
    assert np.abs(counts - 800).max() < 4 * np.sqrt(4000 * 0.2 * 0.8)


def test_models_with_other_pieces_are_asked_the_same():
    letters = [*"abcdefghijklmnopqrstuvwxyz.,!", *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz")]
    other = WordPiece.of([*SPECIALS, *letters])
    assert make_blanks(TEXTS * 20, untrained().wordpiece, rng()) == make_blanks(TEXTS * 20, other, rng())


def test_texts_without_a_word_or_with_a_mask_of_their_own_give_none():
    assert make_blanks(["...", "", "a [MASK] film", "_ -"], untrained().wordpiece, rng()) == []


# ---- Filled ----------------------------------------------------------------------------------


def test_a_model_that_is_certain_fills_all():
    blanks = [Blank(f"the [MASK] {sound} .", animal) for animal, sound in SOUNDS.items()]
    blanks += [Blank(f"the {animal} [MASK] .", sound) for animal, sound in SOUNDS.items()]
    blanks += [Blank("a [MASK] film is dull .", "bad"), Blank("a bad film is [MASK] .", "Dull")]
    scores = evaluate_blanks(trained(), blanks)
    assert scores.first.tolist() == [True] * 10
    assert scores.as_json()["top_1"]["share"] == 1.0
    assert scores.as_json()["blanks"] == 10


def test_wrong_words_and_words_that_cannot_be_spelt_are_wrong():
    blanks = [
        Blank("the [MASK] purrs .", "dog"),
        Blank("the [MASK] purrs .", "zebra"),
        Blank("a [MASK] film is fine .", "unbelievable"),
        Blank("the cat [MASK] .", "purrs"),
    ]
    scores = evaluate_blanks(trained(), blanks)
    assert scores.first.tolist() == [False, False, True, True]
    assert scores.among.tolist()[1:] == [False, True, True]
    assert (scores.among >= scores.first).all()


def test_what_is_good_may_be_called_otherwise_but_is_among_five():
    """Of a fine film two words are true; only the likelier is the first answer."""
    blanks = [Blank("a [MASK] film is fine .", word) for word, said in JUDGED.items() if said == "fine"]
    assert evaluate_blanks(trained(), blanks).among.all()
