"""Texts to word ids inside a TensorFlow graph: what `Vocabulary.encode` and `clip` do, without Python.

The very rules of `sopan.text.tokenize`, as plain TensorFlow operations over the characters of all texts at
once, so that a saved model takes raw strings wherever it is loaded. The kernels' automaton reads one
character after the other; here the rules of UAX #29 stand as the standard writes them: whether two characters
belong together depends on at most two on either side, once marks are put aside (WB4).
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from sopan.fit.export.graph_unicode import Chain, Composed, FormatRemoval, Lookup, Lower, to_stream
from sopan.fit.export.unicode_tables import SEPARATOR, class_table
from sopan.kernels.segment import (
    DOUBLE_QUOTE,
    EMOJI,
    EXTEND,
    FLAG,
    GREATER_THAN,
    HEBREW,
    JOINER,
    LESS_THAN,
    LETTER,
    LETTER_B,
    LETTER_R,
    MID_EITHER,
    MID_LETTER,
    MID_NUMBER,
    NUMBER,
    SINGLE_QUOTE,
    SLASH,
    UNSPACED,
    ZERO_WIDTH_JOINER,
)
from sopan.options.data import TokenRule
from sopan.text.batch import FIRST_WORD, PADDING, UNKNOWN, kept_words
from sopan.types import Tensor

SHORTEST_RUN = 2
"""Fewest characters of a word under rule `sklearn`."""


class GraphWords(tf.Module):  # type: ignore[misc]  # untyped base
    """Cut texts into words as `sopan.text.tokenize` does, in the graph.

    Args:
        rule: how texts are cut into words.
        lowercase: fold to lower case first.
    """

    def __init__(self, rule: TokenRule, *, lowercase: bool):
        super().__init__()
        composed = [Composed()] if rule != "sklearn" else []
        lower = [Lower()] if lowercase else []
        self.normal_form = Chain(*composed, *(FormatRemoval() for _ in composed), *lower, *composed)
        self.kinds = Lookup(class_table(rule))
        self.rule = rule

    def __call__(self, texts: Tensor) -> Tensor:
        """Return the words of N texts, (N,) string, as a ragged tensor (N, words of each) string."""
        stream, starts, ends = self.ranges(texts)
        rows = rows_of(stream, starts)
        return tf.RaggedTensor.from_value_rowids(spelt(stream, starts, ends), rows, tf.size(texts, tf.int64))

    def ranges(self, texts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Find the words of N texts, (N,) string.

        Returns:
            The normal form's characters (M,) int32, and in them each word's start and end (T,) int64.
        """
        stream = self.normal_form(to_stream(texts))
        if self.rule == "sklearn":
            return (stream, *runs(self.kinds.is_set(stream)))
        return (
            stream,
            *without_line_breaks(stream, *unicode_words(self.kinds(stream), stream == ZERO_WIDTH_JOINER)),
        )


class GraphVocabulary(tf.Module):  # type: ignore[misc]  # untyped base
    """Turn texts into the ids and the mask that a network reads, in the graph.

    Args:
        words: the vocabulary, in id order.
        rule: how texts are cut into words.
        lowercase: fold to lower case first.
        max_length: the most words that are read of a text; see `kept_words`.
    """

    def __init__(self, words: Sequence[str], rule: TokenRule, *, lowercase: bool, max_length: int):
        super().__init__()
        self.cut = GraphWords(rule, lowercase=lowercase)
        ids = tf.range(FIRST_WORD, len(words) + FIRST_WORD, dtype=tf.int32)
        pairs = tf.lookup.KeyValueTensorInitializer(tf.constant(list(words), tf.string), ids)
        self.ids = tf.lookup.StaticHashTable(pairs, UNKNOWN)
        self.kept = kept_words(max_length + 1, max_length)

    def __call__(self, texts: Tensor) -> tuple[Tensor, Tensor]:
        """Encode N texts, (N,) string.

        Returns:
            Network ids (N, T) int32, `PADDING` after a text's end, and the mask (N, T) bool, True where there
            is a word. T is the number of words read of the longest text, and at least 1.
        """
        stream, starts, ends = self.cut.ranges(texts)
        n_texts = tf.size(texts, tf.int64)
        rows = rows_of(stream, starts)
        kept = within(rows, n_texts, *self.kept)
        starts, ends, rows = (tf.boolean_mask(value, kept) for value in (starts, ends, rows))
        ids = self.ids.lookup(spelt(stream, starts, ends))
        ids = tf.RaggedTensor.from_value_rowids(ids, rows, n_texts).to_tensor(PADDING)
        ids = tf.pad(ids, [[0, 0], [0, tf.maximum(1 - tf.shape(ids)[1], 0)]], constant_values=PADDING)
        return ids, ids != PADDING


def runs(inside: Tensor) -> tuple[Tensor, Tensor]:
    """Find the longest runs of True of at least `SHORTEST_RUN` in (M,) bool, whose ends are False.

    Returns:
        Their starts and ends (T,) int64.
    """
    starts = tf.where(inside & ~before(inside))[:, 0]
    ends = tf.where(inside & ~after(inside))[:, 0] + 1
    long = ends - starts >= SHORTEST_RUN
    return tf.boolean_mask(starts, long), tf.boolean_mask(ends, long)


def unicode_words(kinds: Tensor, joiners: Tensor) -> tuple[Tensor, Tensor]:
    """Find the Unicode words of a stream, `br` of line-break tags among them: see `kernels.segment`.

    Args:
        kinds: (M,) int32, classes of the characters; the first and the last are `BREAK`.
        joiners: (M,) bool, which of them are ZWJ.

    Returns:
        The words' starts and ends (T,) int64, in order.
    """
    solid = tf.where(kinds != EXTEND)[:, 0]
    kinds = tf.gather(kinds, solid)
    core = (kinds >= LETTER) & (kinds <= JOINER)
    joined, bridge = _joined(kinds, core)
    joined |= _joined_pictures(kinds, tf.gather(before(joiners), solid))
    pictures = (kinds == EMOJI) | (kinds == FLAG)
    core |= pictures
    starts, lasts = core & ~joined, (core | bridge) & ~after(joined)
    content = tf.cumsum(tf.cast(((kinds >= LETTER) & (kinds <= NUMBER)) | pictures, tf.int64))
    number = tf.cumsum(tf.cast(starts, tf.int64))
    last = tf.gather(tf.concat([[0], tf.where(lasts)[:, 0]], axis=0), number)
    has_content = tf.gather(content, last) > content - tf.cast(core & (kinds != JOINER), tf.int64)

    unspaced = kinds == UNSPACED
    paired = unspaced & after(unspaced)
    alone = unspaced & ~paired & ~before(unspaced)
    here = tf.range(tf.size(kinds, tf.int64))
    last = tf.where(unspaced, here + tf.cast(paired, tf.int64), last)
    words = tf.where((starts & has_content) | paired | alone)[:, 0]
    return tf.gather(solid, words), tf.gather(solid, tf.gather(last, words) + 1)


def _joined(kinds: Tensor, core: Tensor) -> tuple[Tensor, Tensor]:
    """Say which characters, marks put aside, belong to the word of the one before (UAX #29, WB5 to WB13b).

    Returns:
        That, and which of them are not letters, digits or joiners themselves; both (K,) bool.
    """
    letter = (kinds == LETTER) | (kinds == HEBREW)
    single = (kinds == MID_EITHER) | (kinds == SINGLE_QUOTE)
    between = {  # what may stand between two of a kind: WB6 and WB7, WB7b and WB7c, WB11 and WB12
        "letters": _between(letter) & (single | (kinds == MID_LETTER)),
        "hebrew": _between(kinds == HEBREW) & (kinds == DOUBLE_QUOTE),
        "numbers": _between(kinds == NUMBER) & (single | (kinds == MID_NUMBER)),
    }
    bridge = between["letters"] | between["hebrew"] | between["numbers"]
    quoted = before(kinds == HEBREW) & (kinds == SINGLE_QUOTE)  # WB7a
    joined = (core & (before(core) | before(bridge))) | bridge | quoted
    return joined, bridge | quoted


def _joined_pictures(kinds: Tensor, joined: Tensor) -> Tensor:
    """Say which emoji and which halves of flags belong to the word of the one before (WB3c, WB15, WB16).

    Args:
        kinds: (K,) int32, classes of characters, marks put aside.
        joined: (K,) bool, which stand right behind a ZWJ.
    """
    emoji, flag = kinds == EMOJI, kinds == FLAG
    first = flag & ~before(flag)  # of a run of halves: every other one ends a flag
    met = tf.cumsum(tf.cast(flag, tf.int64))
    earlier = tf.gather(met, tf.where(first)[:, 0]) - 1
    run = tf.cumsum(tf.cast(first, tf.int64))
    second = flag & ((met - tf.gather(tf.concat([[0], earlier], axis=0), run)) % 2 == 0)
    return second | (emoji & before(emoji) & joined)


def without_line_breaks(stream: Tensor, starts: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
    """Take away the words that are the `br` of `<br>`, `<br/>`, `<br />`, in any case."""
    small = tf.bitwise.bitwise_or(stream, 32)
    tag = (ends - starts == 2) & (tf.gather(stream, starts - 1) == LESS_THAN)
    tag &= (tf.gather(small, starts) == LETTER_B) & (tf.gather(small, starts + 1) == LETTER_R)

    def closed() -> tuple[Tensor, Tensor]:
        dark = ~((stream == 32) | ((stream >= 9) & (stream <= 13)))
        places = tf.where(dark)[:, 0]
        rank = tf.cumsum(tf.cast(dark, tf.int64), exclusive=True)
        after = tf.gather(places, tf.gather(rank, ends))
        after += tf.cast(tf.gather(stream, after) == SLASH, tf.int64)
        kept = ~(tag & (tf.gather(stream, after) == GREATER_THAN))
        return tf.boolean_mask(starts, kept), tf.boolean_mask(ends, kept)

    left: tuple[Tensor, Tensor] = tf.cond(tf.reduce_any(tag), closed, lambda: (starts, ends))
    return left


def rows_of(stream: Tensor, places: Tensor) -> Tensor:
    """Return which text each place of a stream is in, (T,) int64."""
    return tf.gather(tf.cumsum(tf.cast(stream == SEPARATOR, tf.int64)), places) - 1


def within(rows: Tensor, n_texts: Tensor, first: int, last: int) -> Tensor:
    """Say which words are read: of a long text the first and the last, as in `clip`.

    Args:
        rows: (T,) int64, rising, each word's text.
        n_texts: N.
        first, last: how many words are read from the start, and from the end, of a text that has more.
    """
    lengths = tf.math.unsorted_segment_sum(tf.ones_like(rows), rows, n_texts)
    place = tf.range(tf.size(rows, tf.int64)) - tf.gather(tf.cumsum(lengths, exclusive=True), rows)
    own = tf.gather(lengths, rows)
    return (own <= first + last) | (place < first) | (place >= own - last)


def spelt(stream: Tensor, starts: Tensor, ends: Tensor) -> Tensor:
    """Return words (T,) string, UTF-8, given where each starts and ends in a stream."""
    places = tf.ragged.range(starts, ends)
    points = places.with_flat_values(tf.gather(stream, places.flat_values))
    return tf.strings.unicode_encode(points, "UTF-8")


def before(values: Tensor) -> Tensor:
    """Return for each place the value (K,) bool of the place before."""
    return tf.concat([[False], values[:-1]], axis=0)


def after(values: Tensor) -> Tensor:
    """Return for each place the value (K,) bool of the place after."""
    return tf.concat([values[1:], [False]], axis=0)


def _between(values: Tensor) -> Tensor:
    return before(values) & after(values)
