"""Layers that do not learn, read once: what they make of each word is kept for every epoch.

texts -> below, one pass -> rows (T, D), in memory or, of very many words, in a file that goes with them
rectangles of places among the T words -> rows -> above
"""

from __future__ import annotations

import shutil
import tempfile
from typing import NamedTuple, Self

import keras
import numpy as np
import numpy.typing as npt

from sopan.errors import ConfigError
from sopan.storage.atomic import SPARE_BYTES
from sopan.text.batch import Batch, Clipped, batches, plan
from sopan.training.backend import Forward, Tensors, make_forward
from sopan.types import Array, Encoded

IN_MEMORY = 1_000_000
"""Words whose outputs are kept in memory (at a width of 384, 1.5 GB); those of more are kept on the disk."""


class Halves(NamedTuple):
    """A network whose lower layers do not learn, in two.

    Args:
        below: `[ids (B, T), mask (B, T)]` to `hidden` (B, T, D).
        above: `[hidden (B, T, D), mask (B, T)]` to `logits`, of the very layers of the whole.
    """

    below: keras.Model
    above: keras.Model


class Source(NamedTuple):
    """Texts as they come to what learns.

    Args:
        clipped: their words: ids, or places in `rows`.
        rows: what lower layers made of each word, (T, D); None: they are given as ids.
    """

    clipped: Clipped
    rows: Array | None

    @classmethod
    def of(cls, texts: Clipped, halves: Halves | None, buckets: tuple[int, ...]) -> Self:
        """Take texts as they are or, of a network in two, lead them through its lower half."""
        if halves is None:
            return cls(texts, None)
        places = Encoded(np.arange(len(texts.encoded.ids), dtype=np.int32), texts.encoded.offsets)
        forward = make_forward(halves.below, ["hidden"])
        where = texts._replace(encoded=places)
        return cls(where, keep_outputs(forward, texts, where, buckets))

    def inputs(self, batch: Batch) -> Tensors:
        """Return what a network is given of a rectangle."""
        return (batch.ids if self.rows is None else np.asarray(self.rows[batch.ids]), batch.mask)

    def forward(self, forward: Forward) -> Forward:
        """Return a forward pass that takes ids for what they stand for here."""
        if self.rows is None:
            return forward
        return lambda ids, mask: forward(*self.inputs(Batch(ids, mask, np.arange(len(ids)))))


def keep_outputs(
    forward: Forward, texts: Clipped, places: Clipped, buckets: tuple[int, ...], in_memory: int | None = None
) -> Array:
    """Return the first output of a forward pass for each of T words, (T, D).

    Args:
        forward: from ids and mask to outputs by word.
        texts: N texts, T words together.
        places: the same, numbered from 0 in place of ids.
        buckets: lengths of rectangles.
        in_memory: words that are kept there at most; of more, on the disk. None: `IN_MEMORY`.
    """
    planned = plan(texts.lengths, buckets)
    rows: Array | None = None
    for batch, where in zip(batches(texts, planned), batches(places, planned), strict=True):
        found = forward(batch.ids, batch.mask)[0]
        if rows is None:
            most = IN_MEMORY if in_memory is None else in_memory
            rows = _room((len(places.encoded.ids), found.shape[-1]), found.dtype, most)
        rows[where.ids[where.mask]] = found[batch.mask]
    return np.empty((0, 1), np.float32) if rows is None else rows


def _room(shape: tuple[int, int], dtype: npt.DTypeLike, most: int) -> Array:
    """Return room for the outputs of T words; a file is gone as soon as nobody holds the array any more.

    Raises:
        ConfigError: the disk has no room for the file.
    """
    if shape[0] <= most:
        return np.empty(shape, dtype)
    size, folder = shape[0] * shape[1] * np.dtype(dtype).itemsize, tempfile.gettempdir()
    if shutil.disk_usage(folder).free < size + SPARE_BYTES:
        raise ConfigError(
            f"{size / 1e9:,.1f} GB are needed for what frozen layers make of {shape[0]:,} words",
            where=folder,
            next_step="name a roomier folder by TMPDIR, or freeze fewer layers",
        )
    with tempfile.TemporaryFile(prefix="sopan-") as file:  # the array holds it open
        return np.memmap(file, dtype, shape=shape)
