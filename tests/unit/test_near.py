"""Near-duplicates: what counts as one, and that full buckets stay affordable."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from corpora import sentences

from sopan.text.duplicates import canonical, duplicate_groups
from sopan.text.near_duplicates import WINDOW, NearDuplicates, holds_copy, near_duplicates
from sopan.text.vocab import build_vocabulary


def near(texts: list[str]) -> NearDuplicates:
    return near_duplicates(build_vocabulary(pa.array(texts, pa.large_string()))[1])


def test_case_punctuation_and_line_breaks_make_no_different_words() -> None:
    found = near(["A fine film.<br />Go!", "a FINE film — go", "a fine film, go, go"])
    assert found.groups[0] == found.groups[1] != found.groups[2]


def test_a_changed_word_in_a_text_is_a_near_duplicate_and_one_of_three_is_not() -> None:
    long = " ".join(f"word{i}" for i in range(100))
    found = near([long, long.replace("word50", "other"), "three short words", "three short lines"])
    assert len(found.first) == 1
    assert {found.groups[0], found.groups[1]} == {found.first[0], found.second[0]}
    assert found.similarity[0] == pytest.approx(95 / 101)  # three of 98 shingles change on either side


@pytest.mark.parametrize("changes", [1, 2, 3])
def test_short_texts_with_a_few_words_changed_are_found_and_others_are_not(changes: int) -> None:
    """Sentences of 12 words from a vocabulary as skewed as a language's."""
    rng = np.random.default_rng(changes)
    often = 1 / np.arange(1, 5001)
    words = np.array([f"w{i}" for i in range(5000)])

    def draw(count: int) -> list[str]:
        return rng.choice(words, count, p=often / often.sum()).tolist()

    originals = [draw(12) for _ in range(1000)]
    copies = []
    for text in originals[:200]:
        copy = list(text)
        for place, other in zip(rng.choice(12, changes, replace=False), draw(changes), strict=True):
            copy[place] = other
        copies.append(copy)
    found = near([" ".join(text) for text in originals + copies])
    pairs = set(zip(found.first.tolist(), found.second.tolist(), strict=True))
    twins = [tuple(sorted((found.groups[i], found.groups[1000 + i]))) for i in range(200)]
    assert np.mean([twin in pairs or twin[0] == twin[1] for twin in twins]) >= 0.95
    assert len(pairs - set(twins)) <= 0.01 * len(originals)


def test_a_question_that_names_something_else_is_another() -> None:
    questions = [f"what is the capital of country{i}" for i in range(60)]
    assert len(near([*questions, *sentences(60, words=8)]).first) == 0


def test_what_holds_a_held_out_text() -> None:
    held = "a quiet and patient film about two brothers who never speak"
    others = sentences(40, words=12)
    texts = [
        held,
        f"pos\t{held.upper()}!",
        f"As I said: {held}. " + " ".join(others[:5]),
        *others,
        "who never speak",
    ]
    encoded = build_vocabulary(pa.array(texts, pa.large_string()))[1]
    held_out = np.arange(len(texts)) == 0
    assert np.flatnonzero(holds_copy(encoded, held_out)).tolist() == [1, 2]


def test_texts_without_words_are_not_alike() -> None:
    found = near(["?!", "?!", "🙂", "some words here"])
    assert len(set(found.groups.tolist())) == 4
    assert len(found.first) == 0


def test_one_template_four_thousand_times_takes_linear_time_and_says_so() -> None:
    """All-with-all would be eight million comparisons."""
    stem = " ".join(sentences(20))
    found = near([f"{stem} Order number{i} has left the house." for i in range(4_000)])
    assert found.skipped > 0
    assert 4_000 * WINDOW / 2 < len(found.first) <= 4_000 * WINDOW * 25


def test_the_same_texts_give_the_same_pairs() -> None:
    texts = [text for text in sentences(300, words=40) for _ in (0, 1)]
    texts[1::2] = [f"{text} Indeed." for text in texts[1::2]]
    one, other = near(texts), near(texts)
    np.testing.assert_array_equal(one.first, other.first)
    np.testing.assert_array_equal(one.similarity, other.similarity)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("  two  words \n", "two words"),
        ("cafe\u0301 \u00a0au lait", "café au lait"),
        ("a\u2003b\u3000c\u1680d\u2028e\u205ff\u0085g", "a b c d e f g"),
        ("zero\u200bwidth and \u200d joiners", "zero\u200bwidth and \u200d joiners"),
        ("\t\r\n \u2000", ""),
        ("", ""),
        ("Case, marks & <br />tags Stay!", "Case, marks & <br />tags Stay!"),
        ("বাংলায়  গান", "বাংলায় গান"),
    ],
)
def test_canonical_form(text: str, form: str) -> None:
    assert canonical(pa.array([text], pa.large_string())).to_pylist() == [form]


def test_canonical_form_of_slices_and_of_nothing() -> None:
    texts = pa.array(["x", " y ", "e\u0301", "z  z"], pa.large_string())
    assert canonical(texts.slice(1, 3)).to_pylist() == ["y", "é", "z z"]
    assert canonical(texts.slice(0, 0)).to_pylist() == []
    assert canonical(pa.array([], pa.large_string())).to_pylist() == []


def test_groups_are_numbered_in_order_of_appearance() -> None:
    texts = pa.array(["b", "a", " b", "c", "a ", "A"], pa.large_string())
    assert duplicate_groups(texts).tolist() == [0, 1, 0, 2, 1, 3]
