"""How fast are bags of words made, against scikit-learn's vectorizers?

    python bench/bow_count.py [--each 10000] [--smoke]

Each round takes the next `--each` of the 50,000 labelled reviews for `fit_transform` and as many after them
for `transform` (after the last come the first): five rounds read all of them, in both roles. Both sides
are given the same lists of strings, and their own settings are left alone:

* counts   single words: `CountVectorizer()`;
* tfidf    words and pairs, TF-IDF: `TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, dtype=float32)`.

Ours cuts words by scikit-learn's rule (`tokens="sklearn"`), and what comes out is equal, which is held before
anything is timed: the same vocabulary, the same places in both matrices, and there the same numbers (those of
TF-IDF, which both keep in 32 bits, to 1 in 100,000). "words" is our own default rule against the same peer.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow.parquet as pq
import scipy.sparse as sp
from measure import Work, contest, report, table
from reviews import labelled
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from sopan.options.data import TokenRule
from sopan.steps.feature_weights import weigh
from sopan.text.ngrams import count_ngrams

LENGTHS = {"counts": (1, 1), "tfidf": (1, 2)}
BARS = {"counts": 10.0, "tfidf": 8.0}
Made: TypeAlias = tuple[Any, sp.sparray | sp.spmatrix, sp.sparray | sp.spmatrix]
"""What knows the features, and the matrices of the texts learnt from and of the new ones."""


def main() -> None:
    """Measure both kinds of bags with both token rules; print a table and two lines of JSON."""
    asked = parse()
    data, (each, rounds) = labelled(), (400, 2) if asked.smoke else (asked.each, 5)
    rows = [("bag", "token rule", "texts", "sopan", "scikit-learn", "ratio")]
    found = {}
    for bag in BARS:
        hold_equal(bag, Reviews(data, each))
        sides = {side: partial(make, side, bag, data, each) for side in ("sklearn", "words", "peer")}
        found[bag] = contest(sides, rounds=rounds)
        for rule in ("sklearn", "words"):
            times = (f"{found[bag].median(name):.3f} s" for name in (rule, "peer"))
            rows.append((bag, rule, f"{each:,}", *times, f"{found[bag].ratio(rule, 'peer'):.1f}"))
    table("Bags of words: fit_transform, then transform", rows)
    for bag, bar in BARS.items():
        report(
            f"bow_count_{bag}",
            peer_name="scikit-learn",
            ours=2 * each / found[bag].median("sklearn"),
            peer=2 * each / found[bag].median("peer"),
            ratio=found[bag].ratio("sklearn", "peer"),
            bar=bar,
            unit="texts/s",
            ratio_own_rule=round(found[bag].ratio("words", "peer"), 2),
            rounds=rounds,
            texts=each,
        )


def parse() -> argparse.Namespace:
    """Read the command line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--each", type=int, default=10_000, help="reviews in a round's training part")
    arguments.add_argument("--smoke", action="store_true", help="seconds, to see that it runs")
    return arguments.parse_args()


class Reviews:
    """The texts of each round: N to learn from, and N to count in."""

    def __init__(self, data: Path, each: int):
        self.reviews = pq.read_table(data, columns=["text"])["text"].to_pylist()
        self.each = each

    def of_round(self, number: int) -> tuple[list[str], list[str]]:
        first = max(0, number) * self.each
        chosen = [self.reviews[i % len(self.reviews)] for i in range(first, first + 2 * self.each)]
        return chosen[: self.each], chosen[self.each :]


def make(side: str, bag: str, data: Path, each: int) -> Work:
    """Return one contender's work; it answers with the number of features."""
    reviews = Reviews(data, each)
    rounds = [reviews.of_round(number) for number in range(5)]

    def work(number: int) -> int:
        texts = rounds[max(0, number)]
        made = peers(bag, *texts) if side == "peer" else ours(bag, side, *texts)
        return int(made[1].shape[1])

    return work


def ours(bag: str, rule: TokenRule, train: list[str], new: list[str]) -> Made:
    """Do what the bag-of-words step does."""
    counter, counts = count_ngrams(train, rule, ngram_range=LENGTHS[bag])
    matrices = counts, counter.transform(new)
    if bag == "tfidf":
        df = np.bincount(counts.indices, minlength=len(counter))
        idf = (np.log((1 + len(train)) / (1 + df)) + 1).astype(np.float32)
        matrices = tuple(weigh(found, "sublinear", idf) for found in matrices)
    return counter, *matrices


def peers(bag: str, train: list[str], new: list[str]) -> Made:
    """Do what scikit-learn's documentation says."""
    if bag == "counts":
        vectorizer = CountVectorizer()
    else:
        vectorizer = TfidfVectorizer(ngram_range=LENGTHS[bag], sublinear_tf=True, dtype=np.float32)
    return vectorizer, vectorizer.fit_transform(train), vectorizer.transform(new)


def hold_equal(bag: str, reviews: Reviews) -> None:
    """Compare all that both make of the first round.

    Raises:
        AssertionError: something differs.
    """
    counter, *mine = ours(bag, "sklearn", *reviews.of_round(0))
    vectorizer, *theirs = peers(bag, *reviews.of_round(0))
    np.testing.assert_array_equal(counter.features.to_pylist(), vectorizer.get_feature_names_out())
    for own, other in zip(mine, theirs, strict=True):
        other.sort_indices()
        np.testing.assert_array_equal(own.indptr, other.indptr)
        np.testing.assert_array_equal(own.indices, other.indices)
        np.testing.assert_allclose(own.data, other.data, rtol=0 if bag == "counts" else 1e-5)


if __name__ == "__main__":
    main()
