"""Windows: what a network reads of a text that is longer than it reads at once.

Of longer texts `head` reads the beginning, `head+tail` the beginning and the end (Sun et al. 2019, "How to
Fine-Tune BERT for Text Classification?", section 5.3.1), and `windows` everything, up to so many windows of
like length, each between `[CLS]` and `[SEP]`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from sopan.text.batch import Clipped, kept_words, without_middle
from sopan.text.piece_tokenizer import MARKS
from sopan.types import Array, BoolArray, Encoded, Int64Array

LongTexts = Literal["head", "head+tail", "windows"]
Pool = Literal["mean", "max"]


class Windows(NamedTuple):
    """N texts as W >= N rows for a network; every text has one or more, in order.

    Args:
        clipped: the W windows; `truncated` there is that of the text.
        of: (W,) int64, which text a window is of, rising.
        truncated: (N,) bool, the text is not read whole.
    """

    clipped: Clipped
    of: Int64Array
    truncated: BoolArray

    @classmethod
    def whole(cls, clipped: Clipped) -> Windows:
        """Take texts that are one window each."""
        return cls(clipped, np.arange(len(clipped.truncated)), clipped.truncated)

    @property
    def counts(self) -> Int64Array:
        """Windows of each text, (N,)."""
        return np.bincount(self.of, minlength=len(self.truncated))

    def pooled(self, values: Array, pool: Pool = "mean") -> Array:
        """Bring what was found for each window (W, K) together for each text: (N, K)."""
        if len(self.of) == len(self.truncated):
            return values
        counts = self.counts
        starts = np.cumsum(counts) - counts
        if pool == "max":
            return np.asarray(np.maximum.reduceat(values, starts))
        return np.asarray(np.add.reduceat(values, starts) / counts[:, None])


def room_of(max_length: int, long_texts: LongTexts, max_windows: int) -> int:
    """Return how many pieces of a text are read at most, marks not counted."""
    return (max_length - MARKS) * (max_windows if long_texts == "windows" else 1)


def kept_pieces(length: int, room: int, long_texts: LongTexts) -> tuple[int, int]:
    """Say how many of a text's pieces are read from its start, and how many from its end."""
    if long_texts == "head":
        return min(length, room), 0
    return kept_words(length, room)


def cut_windows(
    encoded: Encoded, *, max_length: int, long_texts: LongTexts, max_windows: int, cls: int, sep: int
) -> Windows:
    """Cut N texts into windows of at most `max_length` pieces, `[CLS]` and `[SEP]` included.

    Args:
        encoded: ids of pieces, all at least 0, without marks.
        max_length: of a window, above 2.
        long_texts: what is read of a text that one window does not hold.
        max_windows: of a text, where it is read window by window; a longer text loses its middle.
        cls, sep: ids of the marks.
    """
    lengths = np.diff(encoded.offsets)
    room = room_of(max_length, long_texts, max_windows)
    ids = encoded.ids[without_middle(lengths, *kept_pieces(room + 1, room, long_texts))]
    read = np.minimum(lengths, room)
    counts = np.maximum(1, -(-read // (max_length - MARKS)))
    of = np.repeat(np.arange(len(lengths)), counts)
    number = np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)
    sizes = read[of] // counts[of] + (number < read[of] % counts[of])
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes + MARKS)])
    marked = np.empty(offsets[-1], np.int32)
    piece = np.ones(len(marked), bool)
    piece[offsets[:-1]] = piece[offsets[1:] - 1] = False
    marked[offsets[:-1]], marked[offsets[1:] - 1], marked[piece] = cls, sep, ids
    truncated = lengths > room
    return Windows(Clipped(Encoded(marked, offsets), truncated[of]), of, truncated)
