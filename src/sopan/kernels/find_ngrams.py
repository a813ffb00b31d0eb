"""Count n-grams without hashing or sorting the texts: group by the first word, then by the next.

All texts are one *stream* of word ids, in which END closes each sequence that n-grams do not cross. The
places of a word are brought together by a counting sort, and each such group is split by the word that
follows, as deep as the n-grams are long (a most-significant-digit radix sort of the stream's suffixes). Ids
being in sorted order, n-grams come out sorted, and each with its texts in order: these are the columns of the
count matrix. A group found in too few texts is dropped with all its longer n-grams, which stand in no more
texts than it does.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sopan.kernels import doubled, kernel
from sopan.kernels.known_ngrams import sort_ids
from sopan.kernels.streams import END
from sopan.types import Int32Array, Int64Array


class NgramColumns(NamedTuple):
    """The count matrix of F n-grams, by columns.

    Args:
        ngrams: (F, longest) int32, sorted, filled up with -1.
        bounds: (F + 1,) int64: n-gram f has the entries from bounds[f] to bounds[f + 1] of the next two.
        rows: (entries,) int32, each text that has the n-gram, ascending.
        counts: (entries,) int32, how often it has it.
    """

    ngrams: Int32Array
    bounds: Int64Array
    rows: Int32Array
    counts: Int32Array


@kernel
def split_group(
    stream: Int32Array,
    depth: int,
    least: int,
    places: Int64Array,
    texts: Int32Array,
    tally: Int64Array,
    following: Int32Array,
    spare: Int32Array,
    out_words: Int32Array,
    out_bounds: Int64Array,
    out_places: Int64Array,
    out_texts: Int32Array,
) -> int:
    """Split the places of an n-gram by the word `depth` further on; return how many words that gives.

    Words found fewer than `least` times are left out.

    Args:
        places, texts: (G,) the group.
        tally: (V,) zeros, and zeros again afterwards.
        following, spare: (G,) scratch.
        out_words, out_bounds: written: the words, ascending, and where the places of each are in
        out_places, out_texts: which are written too.
    """
    found = 0
    for i in range(len(places)):
        word = stream[places[i] + depth]
        following[i] = word
        if word >= 0:
            if tally[word] == 0:
                out_words[found] = word
                found += 1
            tally[word] += 1
    kept = 0
    for j in range(found):
        word = out_words[j]
        if tally[word] >= least:
            out_words[kept] = word
            kept += 1
        else:
            tally[word] = 0  # means "left out" from here on: the places of the others count from 1
    words = sort_ids(out_words[:kept], spare[:kept], len(tally))
    at = 0
    for j in range(kept):
        out_bounds[j] = at
        size = tally[words[j]]
        tally[words[j]] = at + 1
        at += size
    out_bounds[kept] = at
    for i in range(len(places)):
        word = following[i]
        if word >= 0 and tally[word] > 0:
            to = tally[word] - 1
            tally[word] += 1
            out_places[to] = places[i]
            out_texts[to] = texts[i]
    for j in range(kept):
        tally[words[j]] = 0
        out_words[j] = words[j]
    return kept


@kernel
def count_texts(texts: Int32Array) -> int:
    """Count the distinct values of an ascending array."""
    distinct = 0
    before = -1
    for text in texts:
        if text != before:
            distinct += 1
            before = text
    return distinct


@kernel
def whole_sequences(
    stream: Int32Array, length: int, places: Int64Array, texts: Int32Array, out: Int32Array
) -> Int32Array:
    """Return the texts of those places whose n-gram of this length is a whole sequence, between two ENDs."""
    n = 0
    for i in range(len(places)):
        if stream[places[i] - 1] == END and stream[places[i] + length] == END:
            out[n] = texts[i]
            n += 1
    return out[:n]


@kernel
def append_counts(texts: Int32Array, rows: Int32Array, counts: Int32Array, filled: int) -> int:
    """Append each distinct value of an ascending array to `rows`, and how often it is there to `counts`."""
    before = -1
    for text in texts:
        if text == before:
            counts[filled - 1] += 1
        else:
            rows[filled], counts[filled] = text, 1
            filled += 1
            before = text
    return filled


@kernel
def find_ngrams(  # noqa: C901 - one walk; as several functions it takes a tenth longer
    stream: Int32Array,
    places: Int64Array,
    texts: Int32Array,
    starts: Int64Array,
    first: int,
    last: int,
    shortest: int,
    longest: int,
    whole: bool,
    least: int,
    most: int,
) -> NgramColumns:
    """Find all n-grams that begin with one of the words first … last - 1, and count them in each text.

    Args:
        stream: from `stream_of`.
        places, texts: from `place_words`; those of word w are at starts[w]:starts[w + 1].
        starts: (V + 1,) int64.
        shortest, longest: lengths of the n-grams.
        whole: also take a whole sequence that is shorter than `shortest` (characters of short words).
        least, most: numbers of texts that an n-gram must stand in.
    """
    widest = 1
    for word in range(first, last):
        widest = max(widest, starts[word + 1] - starts[word])
    tally = np.zeros(len(starts) - 1, np.int64)
    scratch, spare = np.empty(widest, np.int32), np.empty(widest, np.int32)
    # Level d holds the groups that share their first d words, split by the word after these.
    level_words = np.empty((longest, widest), np.int32)
    level_bounds = np.zeros((longest, widest + 1), np.int64)
    level_places = np.empty((longest, widest), np.int64)
    level_texts = np.empty((longest, widest), np.int32)
    groups, done = np.zeros(longest, np.int64), np.zeros(longest, np.int64)

    path = np.full(longest, -1, np.int32)
    ngrams, bounds = np.empty(1024 * longest, np.int32), np.zeros(1024, np.int64)
    rows, counts = np.empty(4096, np.int32), np.empty(4096, np.int32)
    n = filled = 0
    for word in range(first, last):
        size = starts[word + 1] - starts[word]
        level_words[0, 0], level_bounds[0, 1] = word, size
        for i in range(size):
            level_places[0, i], level_texts[0, i] = places[starts[word] + i], texts[starts[word] + i]
        groups[0], done[0] = 1, 0
        level = 0
        while level >= 0:
            if done[level] == groups[level]:
                path[level] = -1
                level -= 1
                continue
            group = done[level]
            done[level] += 1
            low, high = level_bounds[level, group], level_bounds[level, group + 1]
            here, within = level_places[level, low:high], level_texts[level, low:high]
            in_texts = count_texts(within)
            if in_texts < least:
                continue
            path[level] = level_words[level, group]
            length = level + 1
            taken = within
            if length < shortest:
                taken = whole_sequences(stream, length, here, within, scratch) if whole else within[:0]
                in_texts = count_texts(taken)
            if len(taken) > 0 and least <= in_texts <= most:
                ngrams, bounds = doubled(ngrams, (n + 1) * longest), doubled(bounds, n + 2)
                rows, counts = doubled(rows, filled + in_texts), doubled(counts, filled + in_texts)
                for i in range(longest):
                    ngrams[n * longest + i] = path[i]
                filled = append_counts(taken, rows, counts, filled)
                n += 1
                bounds[n] = filled
            if length < longest:
                groups[length] = split_group(
                    stream,
                    length,
                    least,
                    here,
                    within,
                    tally,
                    scratch,
                    spare,
                    level_words[length],
                    level_bounds[length],
                    level_places[length],
                    level_texts[length],
                )
                done[length] = 0
                level = length
    table = ngrams[: n * longest].copy().reshape(n, longest)
    return NgramColumns(table, bounds[: n + 1], rows[:filled], counts[:filled])


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
