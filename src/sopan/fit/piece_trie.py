"""Pieces of words as a trie in two arrays, from which a computation graph looks up the longest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sopan.fit.graph_tables import PAIR
from sopan.text.wordpiece import CONTINUES
from sopan.types import Int32Array, Int64Array

FIRST_ROOT, LATER_ROOT, ROOTS = 0, 1, 2
"""Nodes of a trie from which the first piece of a word, and the others, are spelt."""

NO_PIECE = -1


class Trie(NamedTuple):
    """Pieces by their characters, in nodes numbered breadth first from `ROOTS` on.

    Args:
        edges: (E,) int64, sorted: `parent * PAIR + code point`; the i-th leads to node `ROOTS + i`.
        pieces: (E + ROOTS,) int32, the id of the piece that ends at a node, or `NO_PIECE`.
    """

    edges: Int64Array
    pieces: Int32Array


def trie_of(pieces: Sequence[str], longest: int) -> Trie:
    """Lay out V pieces in id order as a trie.

    Args:
        pieces: those that begin with `CONTINUES` are spelt from `LATER_ROOT`, without it.
        longest: the most characters of a word that is cut; pieces that are longer are left out.
    """
    texts = [piece.removeprefix(CONTINUES) for piece in pieces]
    lengths = np.array(list(map(len, texts)))
    nodes = np.array([LATER_ROOT if piece.startswith(CONTINUES) else FIRST_ROOT for piece in pieces])
    used = np.flatnonzero((lengths > 0) & (lengths <= longest))
    points = np.zeros((len(used), lengths[used].max(initial=0)), np.int64)
    for row, index in enumerate(used):
        points[row, : lengths[index]] = list(map(ord, texts[index]))
    lengths, nodes = lengths[used], nodes[used]
    edges, n_nodes = [np.empty(0, np.int64)], ROOTS
    for depth in range(points.shape[1]):
        longer = lengths > depth
        found, which = np.unique(nodes[longer] * PAIR + points[longer, depth], return_inverse=True)
        nodes[longer] = n_nodes + which
        edges.append(found)
        n_nodes += len(found)
    ids = np.full(n_nodes, NO_PIECE, np.int32)
    ids[nodes] = used
    return Trie(np.concatenate(edges), ids)
