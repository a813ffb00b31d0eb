"""Texts to piece ids inside a TensorFlow graph: what `WordPiece.encode` does, without its library.

As plain operations over the characters of all texts at once, so that a saved model takes raw strings wherever
it is loaded. The library cuts one word after the other, the longest piece first; here the longest piece from
each place is found for all places side by side, and then all words go from piece to piece.
"""

from __future__ import annotations

import tensorflow as tf

from sopan.fit.export.graph_unicode import Chain, Composed, Lookup, Ordered, Rewritten, to_stream
from sopan.fit.export.graph_words import after, before, rows_of, within
from sopan.fit.export.piece_tables import (
    FIRST_ROOT,
    IN_WORD,
    LATER_ROOT,
    NO_PIECE,
    ROOTS,
    PieceTrie,
    kind_table,
    normal_steps,
    rules_of,
    trie_of,
)
from sopan.fit.export.unicode_tables import PAIR, NormalTables, PointTable, Rewriting
from sopan.text.piece_tokenizer import CLS, MARKS, SEP, UNK
from sopan.text.unicode import LINE_BREAK
from sopan.text.windows import LongTexts, Pool, kept_pieces, room_of
from sopan.text.wordpiece import WordPiece
from sopan.types import Tensor

_SPACE = ord(" ")


class GraphPieces(tf.Module):  # type: ignore[misc]  # untyped base
    """Turn texts into piece ids as `WordPiece.encode` does, in the graph.

    Args:
        wordpiece: pieces, and the rules of BERT by which texts are cut into them.

    Raises:
        ConfigError: its rules are others.
    """

    def __init__(self, wordpiece: WordPiece):
        super().__init__()
        rules, self.longest = rules_of(wordpiece.tokenizer)
        self.breaks = rules.breaks
        self.normal_form = Chain(*map(_step, normal_steps(rules._replace(breaks=False))))
        self.kinds = Lookup(kind_table())
        self.pieces = LongestPieces(trie_of(wordpiece.pieces, self.longest))
        self.unknown = wordpiece.specials[UNK]

    def __call__(self, texts: Tensor) -> Tensor:
        """Return the piece ids of N texts, (N,) string, as a ragged tensor (N, pieces of each) int32.

        Bytes that are not UTF-8 part words.
        """
        if self.breaks:
            texts = tf.strings.regex_replace(texts, LINE_BREAK, " ")
        stream = self.normal_form(to_stream(texts, invalid=_SPACE))
        starts, ends = word_spans(self.kinds(stream))
        places, ids = self._cut(stream, starts, ends)
        return tf.RaggedTensor.from_value_rowids(ids, rows_of(stream, places), tf.size(texts, tf.int64))

    def _cut(self, stream: Tensor, starts: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
        """Cut words into pieces: of each the longest that the vocabulary has, or else the word is unknown.

        Args:
            stream: (M,) int32.
            starts, ends: (T,) int64, of words.

        Returns:
            Where the pieces start (P,) int64, rising, and their ids (P,) int32.
        """
        read = tf.where(ends - starts > self.longest, starts, ends)  # of a word that is too long, nothing
        lengths, ids = self.pieces(stream, starts, read, FIRST_ROOT)
        open_ones = tf.where((lengths > 0) & (starts + lengths < ends))[:, 0]
        rests = tf.ragged.range(tf.gather(starts + lengths, open_ones), tf.gather(ends, open_ones))
        later, later_ids, is_cut = self._cut_rests(stream, rests)
        failed = tf.boolean_mask(open_ones, ~is_cut)[:, None]
        ids = tf.where(lengths > 0, ids, self.unknown)
        ids = tf.tensor_scatter_nd_update(ids, failed, tf.fill(tf.shape(failed)[:1], self.unknown))
        places = tf.concat([starts, later], axis=0)[:, None]
        found = tf.tensor_scatter_nd_update(
            tf.fill(tf.shape(stream), NO_PIECE), places, tf.concat([ids, later_ids], axis=0)
        )
        places = tf.where(found != NO_PIECE)[:, 0]
        return places, tf.gather(found, places)

    def _cut_rests(self, stream: Tensor, rests: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Cut what is left of words behind their first pieces.

        Args:
            stream: (M,) int32.
            rests: ragged (W, characters of each) int64, their places in the stream.

        Returns:
            Where the pieces of those that can be cut start (P,) int64, their ids (P,) int32, and which can
            be, (W,) bool.
        """
        rows, starts, ends = rests.value_rowids(), rests.row_starts(), rests.row_limits()
        places = rests.flat_values
        limits = tf.gather(tf.gather(places, ends - 1) + 1, rows)
        lengths, ids = self.pieces(stream, places, limits, LATER_ROOT)

        def in_round(at: Tensor, ends: Tensor, passed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            length = tf.gather(lengths, at)
            passed = tf.tensor_scatter_nd_update(passed, at[:, None], tf.ones_like(at, tf.bool))
            goes_on = (length > 0) & (at + length < ends)
            return tf.boolean_mask(at + length, goes_on), tf.boolean_mask(ends, goes_on), passed

        vector = tf.TensorShape([None])
        _, _, passed = tf.while_loop(
            lambda at, ends, passed: tf.size(at) > 0,
            in_round,
            (starts, ends, tf.zeros_like(places, tf.bool)),
            shape_invariants=(vector, vector, vector),
        )
        covered = tf.math.unsorted_segment_sum(tf.where(passed, lengths, 0), rows, rests.nrows())
        is_cut = covered == rests.row_lengths()
        kept = passed & tf.gather(is_cut, rows)
        return tf.boolean_mask(places, kept), tf.boolean_mask(ids, kept), is_cut


class LongestPieces(tf.Module):  # type: ignore[misc]  # untyped base
    """Find the longest piece that starts at a place, for many places side by side."""

    def __init__(self, trie: PieceTrie):
        super().__init__()
        self.edges, self.ids = tf.constant(trie.edges), tf.constant(trie.pieces)

    def __call__(self, stream: Tensor, starts: Tensor, ends: Tensor, root: int) -> tuple[Tensor, Tensor]:
        """Look from K places at once, in round k at the k-th character behind each.

        Args:
            stream: (M,) int32.
            starts, ends: (K,) int64, the places, and where the piece must end at the latest.
            root: `FIRST_ROOT` or `LATER_ROOT`.

        Returns:
            How many characters the longest piece has, (K,) int64, 0 where there is none, and its id, (K,)
            int32.
        """

        def in_round(
            k: Tensor, rows: Tensor, nodes: Tensor, lengths: Tensor, ids: Tensor
        ) -> tuple[Tensor, ...]:
            inside = tf.gather(ends - starts, rows) > k
            rows, nodes = tf.boolean_mask(rows, inside), tf.boolean_mask(nodes, inside)
            points = tf.cast(tf.gather(stream, tf.gather(starts, rows) + k), tf.int64)
            edges = nodes * PAIR + points
            places = tf.minimum(tf.searchsorted(self.edges, edges), self.edges.shape[0] - 1)
            found = tf.gather(self.edges, places) == edges
            rows = tf.boolean_mask(rows, found)
            nodes = tf.cast(tf.boolean_mask(places, found), tf.int64) + ROOTS
            here = tf.gather(self.ids, nodes)
            is_piece = here != NO_PIECE
            ended = tf.boolean_mask(rows, is_piece)[:, None]
            lengths = tf.tensor_scatter_nd_update(lengths, ended, tf.fill(tf.shape(ended)[:1], k + 1))
            ids = tf.tensor_scatter_nd_update(ids, ended, tf.boolean_mask(here, is_piece))
            return k + 1, rows, nodes, lengths, ids

        rows = tf.range(tf.size(starts, tf.int64))
        nothing = (tf.zeros_like(starts), tf.zeros_like(starts, tf.int32))
        _, _, _, lengths, ids = tf.while_loop(
            lambda k, rows, nodes, lengths, ids: tf.size(rows) > 0,
            in_round,
            (
                tf.constant(0, tf.int64),
                rows,
                tf.fill(tf.shape(starts), tf.constant(root, tf.int64)),
                *nothing,
            ),
            shape_invariants=(tf.TensorShape([]), *(tf.TensorShape([None]) for _ in range(4))),
        )
        return lengths, ids


def word_spans(kinds: Tensor) -> tuple[Tensor, Tensor]:
    """Find runs of characters in words, and punctuation one by one.

    Args:
        kinds: (M,) int32; the first and the last are 0.

    Returns:
        The words' starts and ends (T,) int64, in order.
    """
    inside = kinds == IN_WORD
    alone = kinds > IN_WORD
    starts, lasts = alone | (inside & ~before(inside)), alone | (inside & ~after(inside))
    return tf.where(starts)[:, 0], tf.where(lasts)[:, 0] + 1


def _step(tables: Rewriting | PointTable | NormalTables) -> tf.Module:
    if isinstance(tables, Rewriting):
        return Rewritten(tables)
    return Composed(tables) if isinstance(tables, NormalTables) else Ordered(tables)


class GraphWindows(tf.Module):  # type: ignore[misc]  # untyped base
    """Cut texts into windows of pieces as `cut_windows` does, in the graph.

    Args:
        wordpiece: cuts texts into pieces.
        max_length: pieces of a window, `[CLS]` and `[SEP]` included.
        long_texts: what is read of a text that one window does not hold.
        max_windows: of a text, where it is read window by window.

    Raises:
        ConfigError: a tokenizer whose rules are not BERT's.
    """

    def __init__(self, wordpiece: WordPiece, *, max_length: int, long_texts: LongTexts, max_windows: int):
        super().__init__()
        self.cut = GraphPieces(wordpiece)
        self.marks = [wordpiece.specials[CLS]], [wordpiece.specials[SEP]]
        self.room = room_of(max_length, long_texts, max_windows)
        self.kept = kept_pieces(self.room + 1, self.room, long_texts)
        self.most = max_length - MARKS

    def __call__(self, texts: Tensor) -> tuple[Tensor, Tensor]:
        """Cut N texts, (N,) string, into W >= N windows; every text has one or more, in order.

        Returns:
            Piece ids, ragged (W, pieces of each) int32, and which text each window is of, (W,) int64, rising.
        """
        pieces = self.cut(texts)
        is_read = within(pieces.value_rowids(), pieces.nrows(), *self.kept)
        ids, read = tf.boolean_mask(pieces.flat_values, is_read), tf.minimum(pieces.row_lengths(), self.room)
        counts = tf.maximum(tf.constant(1, tf.int64), -(-read // self.most))
        of = tf.repeat(tf.range(pieces.nrows()), counts)
        number = tf.range(tf.size(of, tf.int64)) - tf.gather(tf.cumsum(counts, exclusive=True), of)
        own, read = tf.gather(counts, of), tf.gather(read, of)
        sizes = read // own + tf.cast(number < read % own, tf.int64)
        first, last = (tf.tile(tf.constant([mark]), [tf.size(of), 1]) for mark in self.marks)
        return tf.concat([first, tf.RaggedTensor.from_row_lengths(ids, sizes), last], axis=1), of


def pooled(logits: Tensor, of: Tensor, n_texts: Tensor, pool: Pool) -> Tensor:
    """Bring the logits of windows (W, C) together for each text, (N, C), as `Windows.pooled` does.

    Args:
        logits: float32.
        of: (W,) int64, which text each window is of.
        n_texts: N.
        pool: how.
    """
    by_text = tf.math.unsorted_segment_max if pool == "max" else tf.math.unsorted_segment_mean
    return by_text(logits, of, n_texts)
