"""`sopan.text.unicode.normal_form` as TensorFlow operations, on the characters of many texts at once.

A stream is a tensor (M,) int32 of code points: `SEPARATOR`, text, `SEPARATOR`, text, …, `SEPARATOR`.
Every function takes one and returns one, character by character the same as Python's own.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from sopan.fit.export.unicode_tables import (
    CAPITAL_I_WITH_DOT,
    CAPITAL_SIGMA,
    FINAL_SIGMA,
    ITSELF,
    PAIR,
    SEPARATOR,
    NormalTables,
    PointTable,
    Rewriting,
    format_table,
    lower_tables,
    normal_tables,
)
from sopan.types import Tensor

DOT_ABOVE = 0x307
GONE = -1


class Lookup(tf.Module):  # type: ignore[misc]  # untyped base
    """A value for each code point of a stream."""

    def __init__(self, table: PointTable):
        super().__init__()
        self.starts, self.pages = tf.constant(table.starts), tf.constant(table.pages)

    def __call__(self, points: Tensor) -> Tensor:
        """Return the values (…) int32 of code points (…) int32."""
        page = tf.gather(self.starts, tf.bitwise.right_shift(points, 8))
        return tf.gather(self.pages, page + tf.bitwise.bitwise_and(points, 0xFF))

    def is_set(self, points: Tensor) -> Tensor:
        """Return whether the values are not 0, (…) bool."""
        return self(points) != 0


def to_stream(texts: Tensor, invalid: int = 0xFFFD) -> Tensor:
    """Decode UTF-8 texts (N,) string into a stream; what is not UTF-8 becomes `invalid`, which ends words."""
    points = tf.strings.unicode_decode(texts, "UTF-8", errors="replace", replacement_char=invalid)
    before = tf.fill([tf.size(texts), 1], SEPARATOR)
    return tf.concat([tf.concat([before, points], axis=1).flat_values, [SEPARATOR]], axis=0)


def when(needed: Tensor, change: Callable[[], Tensor], stream: Tensor) -> Tensor:
    """Return what `change` makes of a stream if that is needed, else the stream."""
    return tf.cond(needed, change, lambda: tf.identity(stream))


class Chain(tf.Module):  # type: ignore[misc]  # untyped base
    """Change a stream step by step."""

    def __init__(self, *steps: tf.Module):
        super().__init__()
        self.steps = steps

    def __call__(self, stream: Tensor) -> Tensor:
        """Return the stream after the last step."""
        for step in self.steps:
            stream = step(stream)
        return stream


class Rewritten(tf.Module):  # type: ignore[misc]  # untyped base
    """Replace each character of a stream with any number of characters."""

    def __init__(self, tables: Rewriting):
        super().__init__()
        self.number = Lookup(tables.number)
        self.starts, self.lengths = tf.constant(tables.starts), tf.constant(tables.lengths)
        self.parts = tf.constant(tables.parts)

    def __call__(self, stream: Tensor) -> Tensor:
        """Return the stream with the replacements."""
        number = self.number(stream)
        return when(tf.reduce_any(number != 0), lambda: self._rewritten(stream, number), stream)

    def _rewritten(self, stream: Tensor, number: Tensor) -> Tensor:
        lengths = tf.gather(self.lengths, number)
        before = tf.cumsum(lengths, exclusive=True)
        start = tf.repeat(tf.gather(self.starts, number) - before, lengths)
        parts = tf.gather(self.parts, start + tf.range(tf.reduce_sum(lengths)))
        return tf.where(parts == ITSELF, tf.repeat(stream, lengths), parts)


class FormatRemoval(tf.Module):  # type: ignore[misc]  # untyped base
    """Take out `FORMAT_CHARACTERS`."""

    def __init__(self) -> None:
        super().__init__()
        self.is_format = Lookup(format_table())

    def __call__(self, stream: Tensor) -> Tensor:
        """Return the stream without them."""
        found = self.is_format.is_set(stream)
        return when(tf.reduce_any(found), lambda: tf.boolean_mask(stream, ~found), stream)


class Lower(tf.Module):  # type: ignore[misc]  # untyped base
    """`str.lower`: full mappings, and a sigma that ends a word is a final one."""

    def __init__(self) -> None:
        super().__init__()
        tables = lower_tables()
        self.shift, self.skipped, self.cased = map(Lookup, tables)

    def __call__(self, stream: Tensor) -> Tensor:
        """Return the stream in lower case."""
        lowered = stream + self.shift(stream)
        sigma, dotted = stream == CAPITAL_SIGMA, stream == CAPITAL_I_WITH_DOT
        lowered = when(tf.reduce_any(sigma), lambda: self._with_final_sigmas(stream, lowered), lowered)
        return when(tf.reduce_any(dotted), lambda: _with_dots(lowered, dotted), lowered)

    def _with_final_sigmas(self, stream: Tensor, lowered: Tensor) -> Tensor:
        """Make final those sigmas that follow a letter with case and do not precede one."""
        seen = ~self.skipped.is_set(stream)
        places = tf.where(seen)[:, 0]
        sigmas = tf.where(stream == CAPITAL_SIGMA)[:, 0]
        rank = tf.gather(tf.cumsum(tf.cast(seen, tf.int64)), sigmas)  # a sigma is seen: its place is rank - 1
        before, after = (tf.gather(stream, tf.gather(places, rank + step)) for step in (-2, 0))
        final = self.cased.is_set(before) & ~self.cased.is_set(after)
        places = tf.boolean_mask(sigmas, final)[:, None]
        return tf.tensor_scatter_nd_update(lowered, places, tf.fill(tf.shape(places)[:1], FINAL_SIGMA))


def _with_dots(lowered: Tensor, dotted: Tensor) -> Tensor:
    """Put the dot that `İ` leaves in lower case after its i."""
    repeats = tf.where(dotted, 2, 1)
    spread = tf.repeat(lowered, repeats)
    dots = tf.boolean_mask(tf.cumsum(repeats), dotted)[:, None] - 1
    return tf.tensor_scatter_nd_update(spread, dots, tf.fill(tf.shape(dots)[:1], DOT_ABOVE))


class Composed(tf.Module):  # type: ignore[misc]  # untyped base
    """NFC: canonical decomposition, canonical order, canonical composition.

    Args:
        tables: what a library knows of NFC; None: what Python does.

    Source: Unicode Standard Annex #15, and section 3.11 of the Unicode Standard (D108 to D117).
    """

    def __init__(self, tables: NormalTables | None = None):
        super().__init__()
        tables = tables or normal_tables()
        self.ordered = Ordered(tables.order)
        self.unsettled, self.joins = Lookup(tables.unsettled), Lookup(tables.joins)
        self.decomposed = Rewritten(tables.decompositions)
        self.pairs, self.wholes = tf.constant(tables.pairs), tf.constant(tables.wholes)

    def __call__(self, stream: Tensor) -> Tensor:
        """Return the stream in NFC."""
        unsettled = tf.reduce_any(self.unsettled.is_set(stream)) | _is_disordered(self.ordered.order(stream))
        return when(unsettled, lambda: self._composed(self.ordered(self.decomposed(stream))), stream)

    def _composed(self, stream: Tensor) -> Tensor:
        """Compose runs of characters, all runs side by side: in round k the k-th character of each.

        A run starts with a character that cannot be joined to the one before. A character joins the last one
        of order 0 unless one is left between them whose order is not lower.
        """
        order = self.ordered.order(stream)
        heads = tf.where((order == 0) & ~self.joins.is_set(stream))[:, 0]
        lengths = tf.concat([heads[1:], [tf.size(stream, tf.int64)]], axis=0) - heads

        def in_round(k: Tensor, points: Tensor, *runs: Tensor) -> tuple[Tensor, ...]:
            longer = runs[1] > k
            heads, lengths, base, left = (tf.boolean_mask(value, longer) for value in runs)
            at = heads + k
            rank = tf.gather(order, at)
            whole = self._joined(tf.gather(points, base), tf.gather(points, at))
            joins = (whole != GONE) & (left < rank)
            places = tf.concat([tf.boolean_mask(base, joins), tf.boolean_mask(at, joins)], axis=0)
            whole = tf.boolean_mask(whole, joins)
            values = tf.concat([whole, tf.fill(tf.shape(whole), GONE)], axis=0)
            points = tf.tensor_scatter_nd_update(points, places[:, None], values)
            base = tf.where(~joins & (rank == 0), at, base)
            left = tf.where(joins, left, tf.where(rank == 0, GONE, rank))
            return k + 1, points, heads, lengths, base, left

        runs = (heads, lengths, heads, tf.fill(tf.shape(heads), GONE))
        shapes = (tf.TensorShape([]), stream.shape, *(tf.TensorShape([None]) for _ in runs))
        _, points, *_ = tf.while_loop(
            lambda k, points, heads, lengths, base, left: tf.reduce_any(lengths > k),
            in_round,
            (tf.constant(1, tf.int64), stream, *runs),
            shape_invariants=shapes,
        )
        return tf.boolean_mask(points, points != GONE)

    def _joined(self, first: Tensor, second: Tensor) -> Tensor:
        """Return what each pair of characters composes to, or `GONE`."""
        pair = tf.cast(first, tf.int64) * PAIR + tf.cast(second, tf.int64)
        place = tf.minimum(tf.searchsorted(self.pairs, pair), self.pairs.shape[0] - 1)
        return tf.where(tf.gather(self.pairs, place) == pair, tf.gather(self.wholes, place), GONE)


class Ordered(tf.Module):  # type: ignore[misc]  # untyped base
    """Put the marks of a decomposed stream in canonical order (D109).

    Args:
        order: the canonical combining class of each character, or numbers that rise with it.
    """

    def __init__(self, order: PointTable):
        super().__init__()
        self.order = Lookup(order)

    def __call__(self, stream: Tensor) -> Tensor:
        """Return the stream in order."""
        order = self.order(stream)

        def sort() -> Tensor:
            run = tf.cumsum(tf.cast(order == 0, tf.int64))
            return tf.gather(stream, tf.argsort(run * 256 + tf.cast(order, tf.int64), stable=True))

        return when(_is_disordered(order), sort, stream)


def _is_disordered(order: Tensor) -> Tensor:
    """Say whether a mark follows one of a higher combining class."""
    return tf.reduce_any((order[1:] != 0) & (order[:-1] > order[1:]))
