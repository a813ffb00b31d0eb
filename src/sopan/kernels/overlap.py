"""What texts share: the weight of their common words, and the runs of words of one that stand in another."""

from __future__ import annotations

import numpy as np

from sopan.kernels import kernel
from sopan.kernels.minhash import UInt64Array, shingles
from sopan.types import FloatArray, Int32Array, Int64Array


@kernel
def shared_weights(
    words: Int64Array, offsets: Int64Array, weights: FloatArray, first: Int64Array, second: Int64Array
) -> FloatArray:
    """Return the weight of the words that both texts of P pairs have; (P,) float64.

    Args:
        words: (T,) the distinct words of each text, ascending.
        offsets: (N + 1,) text i is `words[offsets[i]:offsets[i + 1]]`.
        weights: (V,) of each word.
        first, second: (P,) the texts of each pair.
    """
    shared = np.zeros(len(first), np.float64)
    for pair in range(len(first)):
        i, end_i = offsets[first[pair]], offsets[first[pair] + 1]
        j, end_j = offsets[second[pair]], offsets[second[pair] + 1]
        while i < end_i and j < end_j:
            if words[i] == words[j]:
                shared[pair] += weights[words[i]]
                i += 1
                j += 1
            elif words[i] < words[j]:
                i += 1
            else:
                j += 1
    return shared


@kernel
def shingle_sketches(
    ids: Int32Array, starts: Int64Array, ends: Int64Array, size: int, most: int
) -> tuple[UInt64Array, Int64Array]:
    """Return the smallest shingles of each of N texts, hashes of runs of `size` words: so many at most.

    Returns:
        (S,) the hashes, and (N + 1,) where each text's begin. The hash being random, they are a fair sample.
    """
    offsets = np.zeros(len(starts) + 1, np.int64)
    found = np.empty(len(starts) * most, np.uint64)
    for text in range(len(starts)):
        own = shingles(ids, starts[text], ends[text], size)[:most]
        begin = offsets[text]
        found[begin : begin + len(own)] = own
        offsets[text + 1] = begin + len(own)
    return found[: offsets[-1]], offsets


@kernel
def shingle_hits(
    ids: Int32Array, starts: Int64Array, ends: Int64Array, size: int, wanted: UInt64Array
) -> tuple[Int64Array, Int64Array]:
    """Find which of some shingles stand in each of N texts.

    Args:
        ids, starts, ends: the texts, text i being `ids[starts[i]:ends[i]]`.
        size: words in a shingle.
        wanted: (S,) distinct hashes, ascending.

    Returns:
        (H,) texts, and (H,) places in `wanted`: one for each shingle that a text holds.
    """
    texts, places = np.empty(1024, np.int64), np.empty(1024, np.int64)
    hits = 0
    for text in range(len(starts)):
        own = shingles(ids, starts[text], ends[text], size)
        for hash_ in own:
            place = np.searchsorted(wanted, hash_)
            if place < len(wanted) and wanted[place] == hash_:
                if hits == len(texts):
                    texts = np.concatenate((texts, np.empty(hits, np.int64)))
                    places = np.concatenate((places, np.empty(hits, np.int64)))
                texts[hits], places[hits] = text, place
                hits += 1
    return texts[:hits], places[:hits]
