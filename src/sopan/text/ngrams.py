"""Counting n-grams of words or characters (provisional inside; signatures are settled)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
from scipy.sparse import csr_matrix

from sopan.text.arrow import Texts, as_texts
from sopan.text.tokenize import tokenize
from sopan.text.unicode import TokenRule

Analyzer = Literal["word", "char_wb"]
"""`word`: n-grams of words. `char_wb`: n-grams of characters inside space-padded words."""


@dataclass(frozen=True)
class NgramCounter:
    """A fixed list of n-grams, counted in any texts.

    Args:
        features: F n-grams in column order; the words of a word n-gram are joined by one space.
        rule, lowercase: how texts are cut into words.
        analyzer: words or characters.
        ngram_range: shortest and longest n-gram.
    """

    features: pa.LargeStringArray
    rule: TokenRule = "words"
    lowercase: bool = True
    analyzer: Analyzer = "word"
    ngram_range: tuple[int, int] = (1, 1)

    def __len__(self) -> int:
        return len(self.features)

    def transform(self, texts: Texts) -> csr_matrix:
        """Count the features in N texts: (N, F) int64, column indices sorted in each row."""
        vectorizer = _vectorizer(self.rule, self.lowercase, self.analyzer, self.ngram_range)
        vectorizer.set_params(vocabulary=self.features.to_pylist())
        return vectorizer.transform(as_texts(texts).to_pylist())


def count_ngrams(
    texts: Texts,
    rule: TokenRule = "words",
    *,
    lowercase: bool = True,
    analyzer: Analyzer = "word",
    ngram_range: tuple[int, int] = (1, 1),
    min_df: float = 1,
    max_df: float = 1.0,
    max_features: int | None = None,
) -> tuple[NgramCounter, csr_matrix]:
    """Find the n-grams of N texts and count them.

    Args:
        min_df, max_df: least and most texts that a kept n-gram stands in: a count (int) or a fraction (float).
        max_features: keep only so many, the most frequent.

    Returns:
        The counter, and its counts in `texts`: (N, F) int64, column indices sorted in each row.

    Raises:
        DataError: no n-gram is left.
    """
    vectorizer = _vectorizer(rule, lowercase, analyzer, ngram_range)
    vectorizer.set_params(min_df=min_df, max_df=max_df, max_features=max_features)
    counts = vectorizer.fit_transform(as_texts(texts).to_pylist())
    features = pa.array(vectorizer.get_feature_names_out().tolist(), pa.large_string())
    return NgramCounter(features, rule, lowercase, analyzer, ngram_range), counts


def _vectorizer(rule, lowercase, analyzer, ngram_range):  # type: ignore
    from sklearn.feature_extraction.text import CountVectorizer

    def words(text: str) -> tuple[str, ...]:
        return tokenize(text, rule, lowercase=lowercase).words

    return CountVectorizer(
        lowercase=lowercase,
        analyzer=analyzer,
        ngram_range=ngram_range,
        tokenizer=words if analyzer == "word" and rule == "words" else None,
        token_pattern=r"(?u)\b\w\w+\b" if rule == "sklearn" else None,
    )
