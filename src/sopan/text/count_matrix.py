"""The count matrix of a collection: found by columns on every core, handed out by rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from sopan.kernels.find_ngrams import NgramColumns, find_ngrams, place_rows, tally_rows
from sopan.kernels.known_ngrams import count_words, tally_texts
from sopan.kernels.streams import place_words, tally_words
from sopan.text.arrow import cores, on_every_core, shares_of
from sopan.types import Array, Encoded, Int32Array, Int64Array

SHARE_WORDS = 1 << 16
"""Least number of words for which another thread is worth its start."""


@dataclass(frozen=True)
class Columns:
    """The count matrix of N texts by columns, in parts whose n-grams follow one another."""

    parts: list[NgramColumns]
    texts: int

    @classmethod
    def find(
        cls,
        stream: Int32Array,
        bounds: Int64Array,
        words: int,
        ngram_range: tuple[int, int],
        whole: bool,
        least: int,
        most: int,
    ) -> Columns:
        """Find the n-grams of a stream: place every word, then let each thread group some of the words."""
        shares = shares_of(bounds, SHARE_WORDS, cores())
        tallies = on_every_core(lambda s: tally_words(stream, bounds[s.start], bounds[s.stop], words), shares)
        starts, cursors = write_places(tallies)
        places, texts = np.empty(starts[-1], np.int64), np.empty(starts[-1], np.int32)

        def place(job: tuple[slice, Int64Array]) -> None:
            place_words(stream, bounds, job[0].start, job[0].stop, job[1], places, texts)

        def group(share: slice) -> NgramColumns:
            between = (share.start, share.stop)
            return find_ngrams(stream, places, texts, starts, *between, *ngram_range, whole, least, most)

        on_every_core(place, list(zip(shares, cursors, strict=True)))
        return cls(on_every_core(group, shares_of(starts, SHARE_WORDS, cores())), len(bounds) - 1)

    def most_frequent(self, limit: int | None) -> npt.NDArray[np.bool_]:
        """Say which n-grams are kept: (F,) bool. Ties fall as they do in scikit-learn."""
        kept = np.ones(sum(len(part.ngrams) for part in self.parts), np.bool_)
        if limit is not None and limit < len(kept):
            totals = [
                np.add.reduceat(part.counts, part.bounds[:-1], dtype=np.int64)
                for part in self.parts
                if len(part.ngrams)
            ]
            kept[:] = False
            kept[(-np.concatenate(totals)).argsort()[:limit]] = True
        return kept

    def matrix(self, kept: npt.NDArray[np.bool_]) -> csr_matrix:
        """Turn the kept columns into rows: (N, kept) int64."""
        columns = np.where(kept, np.cumsum(kept) - 1, -1)
        ends = np.cumsum([len(part.ngrams) for part in self.parts])
        jobs = list(zip(self.parts, np.split(columns, ends[:-1]), strict=True))
        tallies = on_every_core(lambda job: tally_rows(job[0].rows, job[0].bounds, job[1], self.texts), jobs)
        indptr, cursors = write_places(tallies)
        data = np.empty(indptr[-1], np.int64)
        indices = np.empty(len(data), np.int32 if len(data) <= np.iinfo(np.int32).max else np.int64)

        def place(job: tuple[tuple[NgramColumns, Int64Array], Int64Array]) -> None:
            (part, numbers), at = job
            place_rows(part.rows, part.counts, part.bounds, numbers, at, indices, data)

        on_every_core(place, list(zip(jobs, cursors, strict=True)))
        return csr(data, indices, indptr, int(kept.sum()))


def count_single_words(
    encoded: Encoded, words: int, least: int, most: int, limit: int | None
) -> tuple[Int64Array, csr_matrix]:
    """Count the words of N texts, each on its own.

    Args:
        encoded: the texts as ids below `words`.
        least, most: numbers of texts that a word must stand in.
        limit: keep only so many words, the most frequent.

    Returns:
        The K words that are kept, ascending, and the matrix (N, K) int64.
    """
    ids, offsets = encoded.ids, encoded.offsets
    shares = shares_of(offsets, SHARE_WORDS, cores())
    kept = np.arange(words)
    if least > 1 or most < len(offsets) - 1 or limit is not None:
        tallies = on_every_core(lambda s: tally_texts(ids, offsets[s.start : s.stop + 1], words), shares)
        texts, totals = (np.sum(each, axis=0) for each in zip(*tallies, strict=True))
        kept = np.flatnonzero((least <= texts) & (texts <= most))
        if limit is not None and limit < len(kept):
            kept = np.sort(kept[(-totals[kept]).argsort()[:limit]])
    columns = np.full(words, -1, np.int32)
    columns[kept] = np.arange(len(kept), dtype=np.int32)
    return kept, stacked(
        on_every_core(lambda s: count_words(ids, offsets[s.start : s.stop + 1], columns, len(kept)), shares),
        len(kept),
    )


def stacked(parts: list[tuple[Int64Array, Int32Array, Int64Array]], columns: int) -> csr_matrix:
    """Put matrices by rows (indptr, indices, data) one below the other."""
    lengths = [np.zeros(1, np.int64), *(np.diff(indptr) for indptr, _, _ in parts)]
    indices = np.concatenate([indices for _, indices, _ in parts])
    data = np.concatenate([data for _, _, data in parts])
    return csr(data, indices, np.cumsum(np.concatenate(lengths)), columns)


def write_places(tallies: list[Int64Array]) -> tuple[Int64Array, list[Int64Array]]:
    """Lay out what several threads counted for each key: first by key, then by thread.

    Returns:
        Where each key starts (K + 1,), and where each thread starts to write each key (K,).
    """
    counts = np.stack(tallies)
    starts = np.concatenate([[0], np.cumsum(counts.sum(axis=0))])
    before = np.cumsum(counts, axis=0) - counts
    return starts, list(starts[:-1] + before)


def csr(data: Int64Array, indices: Array, indptr: Int64Array, columns: int) -> csr_matrix:
    """Return a sorted matrix without copying its entries; row pointers get the column indices' dtype."""
    indptr = indptr.astype(indices.dtype) if indptr[-1] <= np.iinfo(indices.dtype).max else indptr
    matrix = csr_matrix((data, indices, indptr), shape=(len(indptr) - 1, columns))
    matrix.has_sorted_indices = matrix.has_canonical_format = True
    return matrix
