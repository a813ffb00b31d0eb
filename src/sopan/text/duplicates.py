"""Which texts are the same text, and which share most of their runs of words, though not every character.

One canonical form is used wherever two texts are compared for equality.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sopan.kernels.minhash import (
    UInt32Array,
    band_keys,
    equal_key_pairs,
    pair_jaccards,
    signatures,
    text_hashes,
)
from sopan.kernels.segment import collapse_spaces
from sopan.types import Corpus, Encoded, FloatArray, Int32Array, Int64Array

CANONICAL = (
    "the same characters after canonical normalisation (NFC), runs of white space counted as one space"
)


def canonical(texts: pa.LargeStringArray) -> pa.LargeStringArray:
    """Return N texts in the form in which they are compared.

    Unicode NFC, and every run of white space one space, with none at the ends. Case, punctuation and
    markup are kept: texts that differ in those are *near*-duplicates, and are found as such.
    """
    foreign = pc.invert(pc.string_is_ascii(texts))
    composed = pc.utf8_normalize(texts.filter(foreign), form="NFC")
    composed = pc.replace_with_mask(texts, foreign, composed)
    _, ends, characters = composed.buffers()
    offsets = np.frombuffer(ends, np.int64)[composed.offset : composed.offset + len(composed) + 1]
    data = np.frombuffer(characters, np.uint8) if characters else np.empty(0, np.uint8)
    data, offsets = collapse_spaces(data, offsets)
    return pa.LargeStringArray.from_buffers(len(texts), pa.py_buffer(offsets), pa.py_buffer(data))


def duplicate_groups(texts: pa.LargeStringArray) -> Int64Array:
    """Number the distinct texts 0, 1, … in order of appearance; return each text's number (N,) int64."""
    return number_groups(canonical(texts))


def number_groups(strings: pa.LargeStringArray) -> Int64Array:
    """Number distinct strings in order of appearance, comparing them byte by byte; (N,) int64."""
    return np.asarray(strings.dictionary_encode().indices, dtype=np.int64)


def fingerprint(corpus: Corpus) -> str:
    """Hash the texts and labels, in order: the same data has the same fingerprint whatever file it is in."""
    digest = hashlib.sha256()
    for text, label in zip(corpus.texts.to_pylist(), corpus.labels.tolist(), strict=True):
        body = text.encode()
        digest.update(len(body).to_bytes(8, "little") + body + corpus.classes[label].encode() + b"\n")
    return digest.hexdigest()


# ---- nearly the same ------------------------------------------------------------------

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
