"""Texts to windows of pieces inside a TensorFlow graph: what `sopan.text.windows` does, without Python."""

from __future__ import annotations

import tensorflow as tf

from sopan.fit.graph_pieces import GraphPieces
from sopan.fit.graph_unicode import Tensor
from sopan.fit.graph_words import within
from sopan.text.windows import MARKS, LongTexts, Pool, kept_pieces, room_of
from sopan.text.wordpiece import CLS, SEP, WordPiece


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
        self.marks = [wordpiece.id_of(CLS)], [wordpiece.id_of(SEP)]
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
