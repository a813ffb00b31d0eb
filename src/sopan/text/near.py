"""Near-duplicates: texts that share most of their runs of words, though not every character."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sopan.kernels.minhash import (
    UInt32Array,
    band_keys,
    equal_key_pairs,
    pair_jaccards,
    signatures,
    text_hashes,
)
from sopan.types import Encoded, FloatArray, Int32Array, Int64Array

SHINGLE = 3
"""Words in a shingle."""
THRESHOLD = 0.8
"""Jaccard similarity from which two texts are called near-duplicates."""
BANDS, BAND_ROWS = 25, 5
"""Pairs with Jaccard similarity J are found with probability 1 - (1 - J^5)^25: 0.9999 at 0.8, 0.01 at 0.2."""
WINDOW = 20
"""In a bucket of alike texts each is compared with this many others at most."""


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """Texts with the same words, and pairs with nearly the same.

    Args:
        groups: (N,) int64, equal for texts with the same words in the same order, numbered from 0.
            A text without words is a group of its own.
        first, second: (P,) int64, pairs of such groups, first < second.
        similarity: (P,) float64, Jaccard similarity of their sets of shingles, >= the threshold.
        skipped: comparisons left out in buckets of very many alike texts; 0 means that all were made.
    """

    groups: Int64Array
    first: Int64Array
    second: Int64Array
    similarity: FloatArray
    skipped: int


def near_duplicates(encoded: Encoded, *, size: int = SHINGLE, threshold: float = THRESHOLD) -> NearDuplicates:
    """Find the pairs of texts whose sets of word shingles are alike.

    MinHash signatures propose pairs, the true Jaccard similarity decides. The orders behind the
    signatures are fixed, so that the same texts always give the same answer.

    Args:
        encoded: N texts as word ids.
        size: words in a shingle; a shorter text is one shingle.
        threshold: least Jaccard similarity, 0 to 1.

    Source: Broder (1997), "On the resemblance and containment of documents".
    """
    starts, ends = encoded.offsets[:-1], encoded.offsets[1:]
    groups, one_each = _word_groups(encoded.ids, starts, ends)
    starts, ends = starts[one_each], ends[one_each]
    first, second, skipped = _candidates(signatures(encoded.ids, starts, ends, size, BANDS * BAND_ROWS))
    similarity = pair_jaccards(encoded.ids, starts, ends, size, first, second)
    near = similarity >= threshold
    return NearDuplicates(groups, first[near], second[near], similarity[near], skipped)


def _word_groups(ids: Int32Array, starts: Int64Array, ends: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Number the word sequences; return each text's number, and one text for each sequence with words.

    The texts without words come last, with a number each: having no words is not being alike.
    """
    worded, wordless = np.flatnonzero(starts < ends), np.flatnonzero(starts == ends)
    hashes = text_hashes(ids, starts[worded], ends[worded])
    _, one_each, number = np.unique(hashes, return_index=True, return_inverse=True)
    groups = np.empty(len(starts), np.int64)
    groups[worded] = number
    groups[wordless] = len(one_each) + np.arange(len(wordless))
    return groups, worded[one_each]


def _candidates(minima: UInt32Array) -> tuple[Int64Array, Int64Array, int]:
    """Return the pairs (first < second) that agree in a whole band, and how many were left out."""
    n_texts, pairs, skipped = len(minima), np.empty(0, np.int64), 0
    for band in range(BANDS):
        keys = band_keys(minima, band * BAND_ROWS, (band + 1) * BAND_ROWS)
        a, b, left_out = equal_key_pairs(keys, np.argsort(keys, kind="stable"), WINDOW)
        pairs = np.union1d(pairs, a * n_texts + b)
        skipped += left_out
    return pairs // n_texts, pairs % n_texts, skipped
