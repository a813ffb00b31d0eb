"""Vocabularies by hand: order, counts, unknown words, and what is refused."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from sopan.errors import ConfigError, DataError
from sopan.kernels.lexicon import empty_lexicon, find_words, key_of
from sopan.text import vocab
from sopan.text.arrow import read_only, strings
from sopan.text.unicode import normal_form, normal_forms
from sopan.text.vocab import Vocabulary, build_vocabulary

TEXTS = ["The cat sat.", "আমি the CAT!", "", "Ω sat sat"]


def test_words_are_sorted_by_code_point_and_counted():
    vocabulary, encoded = build_vocabulary(TEXTS)
    assert vocabulary.words == ("cat", "sat", "the", "ω", "আমি")
    assert vocabulary.counts.tolist() == [2, 3, 2, 1, 1]
    assert len(vocabulary) == 5
    assert encoded.ids.tolist() == [2, 0, 1, 4, 2, 0, 3, 1, 1]
    assert encoded.offsets.tolist() == [0, 3, 6, 6, 9]
    assert (encoded.ids.dtype, encoded.offsets.dtype) == (np.int32, np.int64)


def test_unknown_words_are_minus_one():
    vocabulary = Vocabulary(("the", "cat"))
    encoded = vocabulary.encode(["The dog, the cat", "", "dog"])
    assert encoded.ids.tolist() == [0, -1, 0, 1, -1]
    assert encoded.offsets.tolist() == [0, 4, 4, 5]


def test_rare_words_are_left_out():
    vocabulary, encoded = build_vocabulary(TEXTS, min_count=2)
    assert vocabulary.words == ("cat", "sat", "the")
    assert encoded.ids.tolist() == [2, 0, 1, -1, 2, 0, -1, 1, 1]


def test_arrow_slices_are_read_from_their_own_first_text():
    texts = pa.array(["not this", *TEXTS, "nor this"], pa.large_string()).slice(1, len(TEXTS))
    assert build_vocabulary(texts)[0].words == build_vocabulary(TEXTS)[0].words


@pytest.mark.parametrize(
    ("texts", "settings", "message"),
    [
        (["... !", "—"], {}, "no words"),
        ([], {}, "no words"),
        (["a b c"], {"rule": "sklearn"}, "--tokens words also"),
        (["one two"], {"min_count": 2}, "none of the 2 words is left"),
        (["fine", None], {}, "row 1"),
        (pa.array(["fine", None]), {}, "row 1"),
        (["lone \ud800"], {}, "surrogate"),
    ],
    ids=str,
)
def test_refused(texts, settings, message):
    with pytest.raises(DataError, match=message):
        build_vocabulary(texts, **settings)


@pytest.mark.parametrize("rule", ["words", "sklearn"])
@pytest.mark.parametrize("lowercase", [True, False])
def test_normal_forms_of_many_texts_are_those_of_each(rule, lowercase):
    """Arrow makes those of texts without special characters: each such character is one of these texts."""
    texts = [
        f"A{chr(point)}b" for point in [*range(0x80, 0x250), *range(0x300, 0x310), *range(0x2000, 0x2080)]
    ]
    texts += ["e\u0301", "\u0130", "ΟΔΟΣ", "Straße", "\u00adx", "«Ça» – d’où", "\U0001f600 É", "\u212a"]
    found = normal_forms(pa.array(texts, pa.large_string()), rule, lowercase)
    assert found.to_pylist() == [normal_form(text, rule, lowercase=lowercase) for text in texts]


def test_bytes_that_are_no_text_are_refused():
    texts = strings(np.frombuffer(b"fine\xff\xfe", np.uint8), np.array([0, 4, 6]))
    with pytest.raises(DataError, match="not valid UTF-8"):
        build_vocabulary(texts)


def test_an_unknown_rule_is_refused():
    with pytest.raises(ConfigError, match="rules: words, sklearn"):
        build_vocabulary(["a"], "spacy")


def test_a_word_listed_twice_is_refused():
    with pytest.raises(ConfigError, match="'cat' twice"):
        Vocabulary(("cat", "dog", "cat")).encode(["cat"])


def test_the_result_does_not_depend_on_how_the_work_is_shared(monkeypatch):
    texts = [f"text {i} of আমি{i % 7} Ünï{i % 5} the {'long' * (i % 9)}er word" for i in range(200)]
    whole, encoded = build_vocabulary(texts)
    monkeypatch.setattr(vocab, "SHARE_BYTES", 100)
    monkeypatch.setattr(vocab, "PIECE_BYTES", 300)
    monkeypatch.setattr(vocab, "cores", lambda: 5)
    shared, again = build_vocabulary(texts)
    assert shared.words == whole.words
    np.testing.assert_array_equal(shared.counts, whole.counts)
    for found in (again, shared.encode(texts)):
        np.testing.assert_array_equal(found.ids, encoded.ids)
        np.testing.assert_array_equal(found.offsets, encoded.offsets)


def _ranges(words: list[bytes]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    bounds = np.cumsum([0, *map(len, words)])
    data = read_only(np.frombuffer(b"".join(words), np.uint8))
    return data, bounds[:-1], bounds[1:]


def test_a_lexicon_grows_and_tells_every_word_from_every_other():
    rng = np.random.default_rng(0)
    alphabet = np.frombuffer(b"\0\1ab", np.uint8)
    words = list({bytes(rng.choice(alphabet, size)) for size in rng.integers(0, 24, 5000)})
    ids = np.empty(len(words), np.int32)
    lexicon = find_words(empty_lexicon(1), *_ranges(words), True, ids)
    assert ids.tolist() == list(range(len(words)))
    again = np.empty(len(words), np.int32)
    find_words(lexicon, *_ranges(words[::-1]), False, again)
    assert again.tolist() == list(range(len(words)))[::-1]


def test_words_of_one_hash_are_told_apart():
    """Two long words are given one key by hand: the lexicon still compares their bytes."""
    words = [b"a-long-word-0", b"a-long-word-1"]
    ids = np.empty(2, np.int32)
    lexicon = find_words(empty_lexicon(), *_ranges(words[:1]), True, ids[:1])
    key = key_of(_ranges(words[:1])[0], 0, len(words[0]))
    slot = int(np.flatnonzero(lexicon.slots[0::2] == key)[0])
    other_key = key_of(_ranges(words[1:])[0], 0, len(words[1]))
    lexicon.slots[2 * slot : 2 * slot + 2] = 0
    home = int(np.flatnonzero(_slots_after_adding(words[1])[0::2] == other_key)[0])
    lexicon.slots[2 * home], lexicon.slots[2 * home + 1] = other_key, 1  # word 0 under word 1's key
    find_words(lexicon, *_ranges(words), False, ids)
    assert ids[1] == -1


def _slots_after_adding(word: bytes) -> np.ndarray:
    return find_words(empty_lexicon(), *_ranges([word]), True, np.empty(1, np.int32)).slots
