"""Which texts are the same text.

One canonical form is used wherever two texts are compared for equality.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sopan.kernels.segment import collapse_spaces
from sopan.types import Corpus, Int64Array

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
