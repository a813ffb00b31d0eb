"""Count n-grams without hashing or sorting the texts: group by the first word, then by the next.

All texts are one *stream* of word ids, in which END closes each sequence that n-grams do not cross. The
places of a word are brought together by a counting sort, and each such group is split by the word that
follows, as deep as the n-grams are long (a most-significant-digit radix sort of the stream's suffixes). Ids
being in sorted order, n-grams come out sorted, and each with its texts in order: these are the columns of the
count matrix. A group found in too few texts is dropped with all its longer n-grams, which stand in no more
texts than it does.
"""

from __future__ import annotations

import numpy as np

from sopan.kernels.segment import doubled, kernel
from sopan.kernels.words import sort_ids
from sopan.types import Int32Array, Int64Array

END = -1
"""Closes a sequence in a stream. Other negative ids are unknown words: no n-gram holds one."""


@kernel
def stream_of(ids: Int32Array, offsets: Int64Array) -> tuple[Int32Array, Int64Array]:
    """Put N texts of word ids into one stream, each closed by END.

    Args:
        ids: (T,) int32, -1 for unknown words.
        offsets: (N + 1,) int64.

    Returns:
        stream (1 + T + N,), which begins with an END of its own, and bounds (N + 1,): text i is
        stream[bounds[i]:bounds[i + 1]], its END included.
    """
    n = len(offsets) - 1
    stream = np.full(1 + len(ids) + n, END, np.int32)
    bounds = np.empty(n + 1, np.int64)
    for text in range(n):
        bounds[text] = offsets[text] + text + 1
        for i in range(offsets[text], offsets[text + 1]):
            stream[i + text + 1] = ids[i]
    bounds[n] = len(stream)
    return stream, bounds


@kernel
def tally_words(stream: Int32Array, low: int, high: int, words: int) -> Int64Array:
    """Count each word id in stream[low:high]: (words,) int64."""
    tally = np.zeros(words, np.int64)
    for i in range(low, high):
        if stream[i] >= 0:
            tally[stream[i]] += 1
    return tally


@kernel
def place_words(
    stream: Int32Array,
    bounds: Int64Array,
    first: int,
    last: int,
    cursors: Int64Array,
    places: Int64Array,
    texts: Int32Array,
) -> None:
    """Write where each word of texts first … last - 1 stands, grouped by word, in order of place.

    Args:
        stream, bounds: from `stream_of`.
        cursors: (V,) int64, where the next place of each word is to be written; moved on.
        places, texts: written: places in the stream, and the texts they are in.
    """
    for text in range(first, last):
        for i in range(bounds[text], bounds[text + 1]):
            word = stream[i]
            if word >= 0:
                at = cursors[word]
                cursors[word] = at + 1
                places[at] = i
                texts[at] = text


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
def find_ngrams(  # noqa: C901 - one walk through the tree of n-grams
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
) -> tuple[Int32Array, Int64Array, Int32Array, Int32Array]:
    """Find all n-grams that begin with one of the words first … last - 1, and count them in each text.

    Args:
        stream: from `stream_of`.
        places, texts: from `place_words`; those of word w are at starts[w]:starts[w + 1].
        starts: (V + 1,) int64.
        shortest, longest: lengths of the n-grams.
        whole: also take a whole sequence that is shorter than `shortest` (characters of short words).
        least, most: numbers of texts that an n-gram must stand in.

    Returns:
        F n-grams (F, longest) int32, sorted, filled up with -1; their bounds (F + 1,); and within these, for
        each text that has the n-gram, the text and how often it has it.
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
    return ngrams[: n * longest].copy().reshape(n, longest), bounds[: n + 1], rows[:filled], counts[:filled]
