"""Texts on their way into a network and out of it, where it is trained and where it is served.

    texts -> Windows of ids -> (a network) -> logits of windows -> logits of texts, with flags

Texts are cut into words or pieces some at a time, the next ones while the network reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
import pyarrow as pa

from sopan.text.batch import FIRST_WORD, Clipped, clip
from sopan.text.windows import LongTexts, Pool, Windows, cut_windows
from sopan.text.wordpiece import CLS, SEP, WordPiece
from sopan.types import BoolArray, Encoded, FloatArray, Int32Array, StepOutput

if TYPE_CHECKING:  # it brings compiled kernels along, which pieces do without
    from sopan.text.vocab import Vocabulary

TEXTS_AT_ONCE = 1024
"""Texts that are sorted by length together; sorting more saves hardly any padding."""

T = TypeVar("T")
U = TypeVar("U")


class Intake(Protocol):
    """How texts come to a network."""

    @property
    def longest(self) -> int:
        """Words or pieces that the network reads at once, at most."""

    def windows(self, texts: pa.LargeStringArray) -> Windows:
        """Turn n texts into what the network reads of them."""

    def knows(self, ids: Int32Array) -> BoolArray:
        """Say which of the network's ids (T,) stand for words that are known."""

    def pooled(self, logits: FloatArray, windows: Windows) -> FloatArray:
        """Bring the logits of windows (W, C) together for each text: (N, C)."""


@dataclass(frozen=True, slots=True)
class WordIntake:
    """Words of a vocabulary; a text that is too long loses its middle.

    Args:
        vocabulary: of V words.
        max_length: words that the network reads at once.
    """

    vocabulary: Vocabulary
    max_length: int

    @property
    def longest(self) -> int:
        """See `Intake`."""
        return self.max_length

    def windows(self, texts: pa.LargeStringArray) -> Windows:
        """See `Intake`."""
        return Windows.whole(clip(self.vocabulary.encode(texts), len(self.vocabulary), self.max_length))

    def knows(self, ids: Int32Array) -> BoolArray:
        """See `Intake`."""
        return ids >= FIRST_WORD

    def pooled(self, logits: FloatArray, windows: Windows) -> FloatArray:
        """See `Intake`."""
        return windows.pooled(logits)


@dataclass(frozen=True, slots=True)
class PieceIntake:
    """Pieces of words between `[CLS]` and `[SEP]`.

    Args:
        wordpiece: cuts texts.
        window_length: pieces of a window, marks included.
        long_texts, max_windows: see `sopan.text.windows`.
        pool: how the logits of a text's windows become the text's.
    """

    wordpiece: WordPiece
    window_length: int
    long_texts: LongTexts
    max_windows: int
    pool: Pool

    @property
    def longest(self) -> int:
        """See `Intake`."""
        return self.window_length

    def windows(self, texts: pa.LargeStringArray) -> Windows:
        """See `Intake`."""
        return self.cut(self.wordpiece.encode(texts))

    def cut(self, encoded: Encoded) -> Windows:
        """Turn the pieces of n texts into windows."""
        return cut_windows(
            encoded,
            max_length=self.window_length,
            long_texts=self.long_texts,
            max_windows=self.max_windows,
            cls=self.wordpiece.id_of(CLS),
            sep=self.wordpiece.id_of(SEP),
        )

    def knows(self, ids: Int32Array) -> BoolArray:
        """See `Intake`: all pieces but the special ones."""
        return ~np.isin(ids, list(self.wordpiece.specials.values()))

    def pooled(self, logits: FloatArray, windows: Windows) -> FloatArray:
        """See `Intake`."""
        return windows.pooled(logits, self.pool)


def read_through(
    intake: Intake, texts: pa.LargeStringArray, network: Callable[[Clipped], FloatArray]
) -> StepOutput:
    """Read N texts.

    Args:
        intake: turns them into windows.
        texts: N of them, of any number.
        network: gives the logits (W, C) of W windows.
    """
    starts = range(0, max(len(texts), 1), TEXTS_AT_ONCE)
    parts = []
    for windows in ahead(intake.windows, [texts.slice(start, TEXTS_AT_ONCE) for start in starts]):
        logits = intake.pooled(network(windows.clipped), windows)
        of_word = np.repeat(windows.of, windows.clipped.lengths)
        known = np.bincount(
            of_word[intake.knows(windows.clipped.encoded.ids)], minlength=len(windows.truncated)
        )
        parts.append(StepOutput(logits, windows.truncated, known == 0))
    return StepOutput(*map(np.concatenate, zip(*parts, strict=True)))


def ahead(work: Callable[[T], U], items: Iterable[T]) -> Iterator[U]:
    """Do the work on each item, in order, on the next one while the caller uses what came of the last."""
    given = list(items)
    if len(given) == 1:  # a single text need not wait for a thread
        yield work(given[0])
        return
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(work, given[0])
        for item in given[1:]:
            done = waiting.result()
            waiting = pool.submit(work, item)
            yield done
        yield waiting.result()
