"""For any text at all, the fast words are the slow reference's words, and offsets lead back to the text."""

from __future__ import annotations

import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties.strategies import corpora, texts
from reference.ref_tokenize import ref_character_ngrams, ref_counts, ref_ngrams, ref_words

from sopan.errors import DataError, InputError
from sopan.text.display import escape_for_display
from sopan.text.ngrams import NgramCounter, count_ngrams
from sopan.text.tokenize import tokenize
from sopan.text.unicode import normal_form
from sopan.text.vocab import Vocabulary, build_vocabulary

RULES = pytest.mark.parametrize("rule", ["words", "sklearn", "words-1"])


@RULES
@given(text=texts(), lowercase=st.booleans())
def test_words_are_the_reference_words(rule, text, lowercase):
    assert list(tokenize(text, rule, lowercase=lowercase).words) == ref_words(text, rule, lowercase)


@RULES
@given(text=texts())
def test_offsets_lead_to_what_the_word_was_made_from(rule, text):
    tokens = tokenize(text, rule)
    assert (tokens.starts < tokens.ends).all()
    assert (np.diff(tokens.starts) >= 0).all()
    assert (np.diff(tokens.ends) >= 0).all()
    whole = normal_form(text, rule)
    for word, start, end in zip(tokens.words, tokens.starts, tokens.ends, strict=True):
        form = normal_form(text[start:end], rule)
        # Cut out, a sigma may have become final; marks joined over a boundary widen the cut.
        assert word.replace("ς", "σ") in form.replace("ς", "σ")
        assert word in whole


@given(text=texts())
def test_canonically_equal_texts_have_equal_words(text):
    forms = [unicodedata.normalize(form, text) for form in ("NFC", "NFD")]
    assert tokenize(forms[0]).words == tokenize(forms[1]).words == tokenize(text).words


@given(text=texts())
def test_no_mark_is_lost_and_no_word_holds_a_space(text):
    words = tokenize(text).words
    for word in words:
        assert not any(c.isspace() for c in word)
        assert unicodedata.is_normalized("NFC", word)
        assert not unicodedata.category(word[0]).startswith("M")
    marks = [c for c in unicodedata.normalize("NFD", "".join(words)) if unicodedata.combining(c)]
    inside = [c for c in unicodedata.normalize("NFD", normal_form(text, "words")) if unicodedata.combining(c)]
    assert set(marks) <= set(inside)


@RULES
@given(corpus=corpora(), lowercase=st.booleans(), min_count=st.integers(1, 3))
def test_encoded_texts_spell_the_tokenised_ones(rule, corpus, lowercase, min_count):
    expected = [list(tokenize(text, rule, lowercase=lowercase).words) for text in corpus]
    flat = [word for words in expected for word in words]
    kept = sorted({word for word in flat if flat.count(word) >= min_count})
    if not kept:
        with pytest.raises(DataError):
            build_vocabulary(corpus, rule, lowercase=lowercase, min_count=min_count)
        return
    vocabulary, encoded = build_vocabulary(corpus, rule, lowercase=lowercase, min_count=min_count)
    assert list(vocabulary.words) == kept
    assert vocabulary.counts.tolist() == [flat.count(word) for word in kept]
    again = Vocabulary(vocabulary.words, rule=rule, lowercase=lowercase).encode(corpus)
    for found in (encoded, again):
        assert found.offsets.tolist() == np.cumsum([0, *map(len, expected)]).tolist()
        assert ((found.ids >= -1) & (found.ids < len(kept))).all()
        spelt = [vocabulary.words[i] if i >= 0 else None for i in found.ids]
        assert spelt == [word if word in kept else None for word in flat]


@pytest.mark.parametrize("analyzer", ["word", "char_wb"])
@RULES
@given(corpus=corpora(), shortest=st.integers(1, 4), more=st.integers(0, 3), min_df=st.integers(1, 2))
def test_counts_are_the_reference_counts(rule, analyzer, corpus, shortest, more, min_df):
    longest = shortest + more
    if analyzer == "word":
        lists = [ref_ngrams(ref_words(text, rule), shortest, longest) for text in corpus]
    else:
        lists = [ref_character_ngrams(text, rule, shortest, longest) for text in corpus]
    features, expected = ref_counts(lists, min_df)
    settings = {"analyzer": analyzer, "ngram_range": (shortest, longest)}
    if not features:
        with pytest.raises(InputError):
            count_ngrams(corpus, rule, min_df=min_df, **settings)
        return
    counter, counts = count_ngrams(corpus, rule, min_df=min_df, **settings)
    assert counter.features.to_pylist() == features
    restored = NgramCounter(pa.array(features, pa.large_string()), rule, **settings)
    for matrix in (counts, restored.transform(corpus)):
        assert matrix.shape == (len(corpus), len(features))
        for row, wanted in zip(matrix, expected, strict=True):
            assert dict(zip([features[i] for i in row.indices], row.data.tolist(), strict=True)) == wanted
            assert (np.diff(row.indices) > 0).all()


@given(known=corpora(), new=corpora(), rule=st.sampled_from(["words", "sklearn"]))
def test_new_texts_are_counted_by_the_fitted_features_alone(known, new, rule):
    try:
        counter, _ = count_ngrams(known, rule, ngram_range=(1, 2))
    except DataError:
        return
    features = set(counter.features.to_pylist())
    rows = counter.transform(new)
    for text, row in zip(new, rows, strict=True):
        wanted = [gram for gram in ref_ngrams(ref_words(text, rule), 1, 2) if gram in features]
        assert row.data.sum() == len(wanted)
        assert len(row.indices) == len(set(wanted))


@given(text=texts())
def test_displayed_text_hides_nothing(text):
    shown = escape_for_display(text)
    assert shown.encode().decode() == shown
    hidden = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert not [c for c in shown if unicodedata.category(c) in hidden and c not in "\t\n\u200c\u200d"]
