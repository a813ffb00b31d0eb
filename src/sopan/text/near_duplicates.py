"""Which texts have the same words, or nearly the same, or hold another text among theirs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from sopan.kernels.minhash import (
    UInt32Array,
    band_keys,
    equal_key_pairs,
    pair_jaccards,
    signatures,
    text_hashes,
)
from sopan.kernels.overlap import shared_weights, shingle_hits, shingle_sketches
from sopan.types import BoolArray, Encoded, FloatArray, Int32Array, Int64Array

SHINGLE = 3
"""Words in a shingle."""
THRESHOLD = 0.8
"""Jaccard similarity from which two texts are called near-duplicates."""
BANDS, BAND_ROWS = 25, 5
"""Pairs with Jaccard similarity J are found with probability 1 - (1 - J^5)^25: 0.9999 at 0.8, 0.01 at 0.2."""
WINDOW = 20
"""In a bucket of alike texts each is compared with this many others at most."""

SHORT_WORDS = 100
"""Up to so many words a text is short: three words changed in it leave hardly a shingle as it was, so it is
also compared by the words it shares. Each weighs what it tells: ln(N / texts with it), of N short ones."""
SHORT_SHARE, SHORT_ALIKE = 0.5, 0.8
"""Two short texts are near-duplicates if they share the first of the heavier one, and more than chance gives
any of N² pairs (2 ln N + 3, N being 1,000 at least); or, however little they say, if they share the second.
With one to three words of ten to thirty changed that finds 95 to 100%, and calls fewer than 1% of other
sentences alike: docs/log.md."""
FEW_TEXTS = 1000
SHORT_WINDOW = 100
"""Among the short texts that have a rare word in common each is compared with this many others at most."""


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """Texts with the same words, and pairs with nearly the same.

    A pair is there because its shingles are alike, or because it is short and shares most of its words.

    Args:
        groups: (N,) int64, equal for texts with the same words in the same order, numbered from 0.
            A text without words is a group of its own.
        first, second: (P,) int64, pairs of such groups, first < second.
        similarity: (P,) float64, Jaccard similarity of their sets of shingles.
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
    groups, ids, starts, ends = _different(encoded)
    first, second, skipped = _candidates(signatures(ids, starts, ends, size, BANDS * BAND_ROWS))
    alike = pair_jaccards(ids, starts, ends, size, first, second) >= threshold
    short, more_skipped = _short_pairs(ids, starts, ends)
    n = len(starts)
    pairs = np.union1d(first[alike] * n + second[alike], short)
    first, second = pairs // max(n, 1), pairs % max(n, 1)
    similarity = pair_jaccards(ids, starts, ends, size, first, second)
    return NearDuplicates(groups, first, second, similarity, skipped + more_skipped)


def _different(encoded: Encoded) -> tuple[Int64Array, Int32Array, Int64Array, Int64Array]:
    """Number the word sequences of N texts, and return where one text of each that has words stands."""
    starts, ends = encoded.offsets[:-1], encoded.offsets[1:]
    groups, one_each = _word_groups(encoded.ids, starts, ends)
    return groups, encoded.ids, starts[one_each], ends[one_each]


def _short_pairs(ids: Int32Array, starts: Int64Array, ends: Int64Array) -> tuple[Int64Array, int]:
    """Return the pairs of short texts that share most of their words, as `first * N + second`, rising.

    Two texts that share half of the heavier one's weight have one of their rarest words in common, of those
    that make up the other half (prefix filtering: Bayardo, Ma & Srikant 2007, "Scaling Up All Pairs
    Similarity Search"). Such pairs are proposed, and decided by what they share in truth.
    """
    n = len(starts)
    short = np.flatnonzero(ends - starts <= SHORT_WORDS)
    if not len(short):
        return np.empty(0, np.int64), 0
    starts, lengths = starts[short], ends[short] - starts[short]
    width = int(ids.max(initial=0)) + 1
    place = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths - starts, lengths)
    distinct = np.unique(np.repeat(short, lengths) * width + ids[place])
    texts, words = distinct // width, distinct % width
    weights = np.log(len(short) / np.maximum(np.bincount(words, minlength=width), 1))
    offsets = np.searchsorted(texts, np.arange(n + 1))
    totals = np.bincount(texts, weights[words], minlength=n)
    order = np.lexsort((words, -weights[words], texts))
    rarer = np.cumsum(weights[words][order]) - weights[words][order]
    rarer -= np.concatenate([[0.0], np.cumsum(totals)])[texts]  # what is rarer in the same text
    prefix = order[rarer <= (1 - SHORT_SHARE) * totals[texts] + 1e-9]
    keys = words[prefix].astype(np.uint64)
    a, b, skipped = equal_key_pairs(keys, np.argsort(keys, kind="stable"), SHORT_WINDOW)
    a, b = texts[prefix][a], texts[prefix][b]
    pairs = np.unique(np.minimum(a, b) * n + np.maximum(a, b))
    first, second = pairs // n, pairs % n
    shared = shared_weights(words, offsets, weights, first, second)
    share = shared / np.maximum(np.maximum(totals[first], totals[second]), 1e-9)
    telling = shared >= 2 * np.log(max(len(short), FEW_TEXTS)) + 3
    return pairs[(share >= SHORT_ALIKE) | ((share >= SHORT_SHARE) & telling)], skipped


CONTAINED, SKETCH, LEAST_SHINGLES = 0.8, 16, 5
"""A text is contained in another if this share of a sample of its shingles stands there. The sample has at
most so many, and at least so many: a saying of six words may stand anywhere."""


def holds_copy(encoded: Encoded, held_out: BoolArray) -> BoolArray:
    """Tell which texts repeat a held-out one, nearly repeat it, or hold it among other words.

    Args:
        encoded: N texts as word ids.
        held_out: (N,) which of them are held out.

    Returns:
        (N,) bool; a held-out text itself is not asked, and False.
    """
    near = near_duplicates(encoded)
    groups = near.groups
    taken = np.zeros(int(groups.max(initial=-1)) + 1, np.bool_)
    taken[groups[held_out]] = True
    touched = taken.copy()
    touched[near.first[taken[near.second]]] = True
    touched[near.second[taken[near.first]]] = True
    starts, ends = encoded.offsets[:-1], encoded.offsets[1:]
    sketches, offsets = shingle_sketches(encoded.ids, starts[held_out], ends[held_out], SHINGLE, SKETCH)
    wanted, place = np.unique(sketches, return_inverse=True)
    hits, places = shingle_hits(encoded.ids, starts[~held_out], ends[~held_out], SHINGLE, wanted)
    sizes = np.diff(offsets)
    owners = np.repeat(np.arange(len(sizes)), sizes)
    holds = sp.csr_array((np.ones(len(hits)), (hits, places)), shape=((~held_out).sum(), len(wanted)))
    owned = sp.csr_array((np.ones(len(place)), (place, owners)), shape=(len(wanted), len(sizes)))
    found = sp.coo_array(holds @ owned)  # how many of a held-out text's sample each text holds
    whole = sizes[found.col]
    inside = (found.data >= CONTAINED * whole) & (whole >= LEAST_SHINGLES)
    held = np.zeros(len(held_out), np.bool_)
    held[np.flatnonzero(~held_out)[found.row[inside]]] = True
    return np.asarray((touched[groups] | held) & ~held_out)


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
