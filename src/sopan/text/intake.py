"""Texts on their way into a network and out of it, where it is trained and where it is served.

    texts -> Encoded -> Windows of ids -> (a network) -> logits of windows -> logits of texts, with flags

A network reads only so many pieces at once: `sopan.text.windows` says what is read of longer texts. Texts are
cut into words or pieces some at a time, the next ones while the network reads.
"""

# ruff: noqa: D102  # what the methods of intakes do stands at `Intake`

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol, TypeVar

import numpy as np
import pyarrow as pa

from sopan.text.batch import FIRST_WORD, Clipped, clip, kept_words, without_middle
from sopan.text.piece_tokenizer import CLS, MASK, SEP, PieceTokenizer
from sopan.text.windows import LongTexts, Pool, Windows, cut_windows, kept_pieces, room_of
from sopan.types import BoolArray, Encoded, FloatArray, Int32Array, Int64Array, StepOutput, Tokens

if TYPE_CHECKING:  # it brings compiled kernels along, which pieces do without
    from sopan.text.vocab import Vocabulary


TEXTS_AT_ONCE = 1024
"""Texts that are sorted by length together; sorting more saves hardly any padding."""

T = TypeVar("T")
U = TypeVar("U")


class ReadTokens(NamedTuple):
    """The W words, or P pieces of words, of one text.

    Args:
        tokens: and their places.
        known: (W,) bool, the vocabulary holds it.
        read: (W,) bool, known, and not in the part of a long text that is left out.
    """

    tokens: Tokens
    known: BoolArray
    read: BoolArray


class TokenizedText(NamedTuple):
    """One text as it comes to a network.

    Args:
        words, units: its W words, and the P words or pieces of words that have ids.
        word_of: (P,) int64, which word each is of.
        kept: (P,) bool, it is not in the part of a long text that is left out.
    """

    words: ReadTokens
    units: ReadTokens
    word_of: Int64Array
    kept: BoolArray


class Intake(Protocol):
    """How texts come to a network."""

    @property
    def marks(self) -> int:
        """Marks at either end of a window."""

    @property
    def blank(self) -> int | None:
        """The id that stands for no word in particular; None: there is none."""

    @property
    def pool(self) -> Pool:
        """How the logits of a text's windows become the text's."""

    @property
    def longest(self) -> int:
        """Words or pieces that the network reads at once, at most."""

    @property
    def left_out(self) -> str:
        """Which part of a text that is too long is not read: its middle, or its end."""

    def windows(self, texts: pa.LargeStringArray) -> Windows:
        """Turn n texts into what the network reads of them."""

    def knows(self, ids: Int32Array) -> BoolArray:
        """Say which of the network's ids (T,) stand for words that are known."""

    def tokenize(self, text: str) -> TokenizedText:
        """Cut one text, and say which of its words the network reads."""


def tokenize_words(vocabulary: Vocabulary, text: str, max_length: int | None = None) -> TokenizedText:
    """Cut a text into a vocabulary's words; of a text that is too long the middle is left out."""
    from sopan.text.tokenize import tokenize  # noqa: PLC0415  # brings compiled kernels along

    tokens = tokenize(text, vocabulary.rule, lowercase=vocabulary.lowercase)
    known = np.asarray(vocabulary.encode([text]).ids >= 0)
    most = len(known) if max_length is None else max_length
    kept = without_middle(np.array([len(known)]), *kept_words(len(known), most))
    words = ReadTokens(tokens, known, known & kept)
    return TokenizedText(words, words, np.arange(len(known)), kept)


@dataclass(frozen=True, slots=True)
class WordIntake:
    """Words of a vocabulary; a text that is too long loses its middle.

    Args:
        vocabulary: of V words.
        max_length: words that the network reads at once.
    """

    vocabulary: Vocabulary
    max_length: int
    marks: ClassVar[int] = 0
    left_out: ClassVar[str] = "middle"
    blank: ClassVar[int | None] = None
    pool: ClassVar[Pool] = "mean"

    @property
    def longest(self) -> int:
        return self.max_length

    def windows(self, texts: pa.LargeStringArray) -> Windows:
        return Windows.whole(clip(self.vocabulary.encode(texts), len(self.vocabulary), self.max_length))

    def knows(self, ids: Int32Array) -> BoolArray:
        return ids >= FIRST_WORD

    def tokenize(self, text: str) -> TokenizedText:
        return tokenize_words(self.vocabulary, text, self.max_length)


@dataclass(frozen=True, slots=True)
class PieceIntake:
    """Pieces of words between `[CLS]` and `[SEP]`.

    Args:
        wordpiece: cuts texts.
        window_length: pieces of a window, marks included.
        long_texts, max_windows: what is read of a text that one window does not hold; see `cut_windows`.
        pool: how the logits of a text's windows become the text's.
    """

    wordpiece: PieceTokenizer
    window_length: int
    long_texts: LongTexts
    max_windows: int
    pool: Pool
    marks: ClassVar[int] = 1

    @property
    def blank(self) -> int:
        return self.wordpiece.specials[MASK]

    @property
    def left_out(self) -> str:
        return "end" if self.long_texts == "head" else "middle"

    @property
    def longest(self) -> int:
        return self.window_length

    def windows(self, texts: pa.LargeStringArray) -> Windows:
        return self.cut(self.wordpiece.encode(texts))

    def cut(self, encoded: Encoded) -> Windows:
        """Turn the pieces of n texts into windows."""
        return cut_windows(
            encoded,
            max_length=self.window_length,
            long_texts=self.long_texts,
            max_windows=self.max_windows,
            cls=self.wordpiece.specials[CLS],
            sep=self.wordpiece.specials[SEP],
        )

    def knows(self, ids: Int32Array) -> BoolArray:
        """Say which are not special pieces."""
        return ~np.isin(ids, list(self.wordpiece.specials.values()))

    def tokenize(self, text: str) -> TokenizedText:
        """Cut a text into its words; they are read if one of their pieces is."""
        pieces = self.wordpiece.cut(text, specials=False)
        known = self.knows(pieces.ids)
        room = room_of(self.window_length, self.long_texts, self.max_windows)
        kept = without_middle(np.array([len(known)]), *kept_pieces(len(known), room, self.long_texts))
        units = ReadTokens(Tokens(pieces.pieces, pieces.starts, pieces.ends), known, known & kept)
        firsts = np.flatnonzero(np.diff(pieces.words, prepend=-1))
        if not len(firsts):
            return TokenizedText(units, units, pieces.words, kept)
        starts, ends = pieces.starts[firsts], np.maximum.reduceat(pieces.ends, firsts)
        spelt = tuple(text[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True))
        flags = (np.logical_or.reduceat(flag, firsts) for flag in (units.known, units.read))
        return TokenizedText(ReadTokens(Tokens(spelt, starts, ends), *flags), units, pieces.words, kept)


def too_long(model: object) -> str:
    """Say which part of a text a model does not read; of a stack or a cascade that hangs on the member."""
    intake = getattr(model, "intake", None)
    part = "a part of it" if intake is None else f"its {intake.left_out}"
    return f"The text is longer than the model reads: {part} was left out."


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
        logits = windows.pooled(network(windows.clipped), intake.pool)
        of_known = np.repeat(windows.of, windows.clipped.lengths)[intake.knows(windows.clipped.encoded.ids)]
        known = np.bincount(of_known, minlength=len(windows.truncated))
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
