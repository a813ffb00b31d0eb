"""From n-grams found column by column (see `count`) to a matrix by rows, and to their names."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sopan.kernels.segment import Bytes, kernel
from sopan.types import Int32Array, Int64Array


@kernel
def tally_rows(rows: Int32Array, bounds: Int64Array, columns: Int64Array, texts: int) -> Int64Array:
    """Count the entries of each row of the matrix, given by columns: (texts,) int64.

    Args:
        rows, bounds: from `find_ngrams`.
        columns: (F,) int64, the column of each n-gram, or -1 if it has none.
        texts: number of rows.
    """
    tally = np.zeros(texts, np.int64)
    for f in range(len(columns)):
        if columns[f] >= 0:
            for i in range(bounds[f], bounds[f + 1]):
                tally[rows[i]] += 1
    return tally


@kernel
def place_rows(
    rows: Int32Array,
    counts: Int32Array,
    bounds: Int64Array,
    columns: Int64Array,
    cursors: Int64Array,
    indices: npt.NDArray,  # type: ignore[type-arg]
    data: Int64Array,
) -> None:
    """Write the matrix by rows (CSR); columns being taken in order, they are sorted within each row.

    Args:
        rows, counts, bounds: from `find_ngrams`.
        columns: as in `tally_rows`.
        cursors: (N,) int64, where the next entry of each row is to be written; moved on.
        indices, data: (entries,) written.
    """
    for f in range(len(columns)):
        if columns[f] >= 0:
            for i in range(bounds[f], bounds[f + 1]):
                at = cursors[rows[i]]
                cursors[rows[i]] = at + 1
                indices[at] = columns[f]
                data[at] = counts[i]


@kernel
def join_words(
    ngrams: Int32Array, data: Bytes, offsets: Int64Array, separator: bool
) -> tuple[Bytes, Int64Array]:
    """Spell out n-grams as UTF-8.

    Args:
        ngrams: (F, n) int32, filled up with -1.
        data, offsets: the words: word i is data[offsets[i]:offsets[i + 1]].
        separator: put a space between the words.

    Returns:
        Bytes, and the bounds (F + 1,) of each n-gram in them.
    """
    bounds = np.zeros(len(ngrams) + 1, np.int64)
    for f in range(len(ngrams)):
        size = 0
        for word in ngrams[f]:
            if word >= 0:
                size += offsets[word + 1] - offsets[word] + separator
        bounds[f + 1] = bounds[f] + size - separator
    text = np.empty(bounds[-1], np.uint8)
    for f in range(len(ngrams)):
        at = bounds[f]
        for word in ngrams[f]:
            if word >= 0:
                if separator and at > bounds[f]:
                    text[at] = 32
                    at += 1
                for i in range(offsets[word], offsets[word + 1]):
                    text[at] = data[i]
                    at += 1
    return text, bounds
