"""Make a language model at home in new text: words that are frequent there become pieces of their own.

A new word's vector starts as the mean of the vectors of its pieces, so that the model reads the text almost
as before, and learns from there (J. Hong et al. 2021, "AVocaDo", section 3, for growth by frequency).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from sopan.steps.language_model import LanguageModel
from sopan.text.wordpiece import UNK, WordPiece

LEAST_COUNT = 20
"""A word that occurs less often does not become a piece."""
_LETTERS = re.compile(r"[^\W\d_]")


def new_words(texts: Iterable[pa.LargeStringArray], wordpiece: WordPiece, most: int) -> list[str]:
    """Find the words of a text that are cut into several pieces, by the pieces that they would save.

    Args:
        texts: batches, read once.
        wordpiece: cuts them.
        most: how many words at most.

    Returns:
        Words in normal form, the most worthwhile first.
    """
    counts: Counter[tuple[int, ...]] = Counter()
    for batch in texts:
        encoded = wordpiece.encode(batch)
        if not len(encoded.ids):
            continue
        first = ~wordpiece.continues[encoded.ids]
        first[encoded.offsets[:-1][encoded.offsets[:-1] < len(first)]] = True
        starts = np.flatnonzero(first)
        sizes = np.diff(np.append(starts, len(first)))
        several = sizes > 1
        counts.update(
            tuple(encoded.ids[start : start + size].tolist())
            for start, size in zip(starts[several], sizes[several], strict=True)
        )
    unknown = wordpiece.specials[UNK]
    worth = [
        (count * (len(ids) - 1), wordpiece.join(ids))
        for ids, count in counts.items()
        if count >= LEAST_COUNT and unknown not in ids
    ]
    words = [word for _, word in sorted(worth, key=lambda pair: (-pair[0], pair[1])) if _LETTERS.search(word)]
    return words[:most]


def grow(model: LanguageModel, words: Iterable[str]) -> LanguageModel:
    """Return the model with further pieces, whole words, at the end of its vocabulary.

    A word's vector is the mean of its pieces' vectors, and its bias the mean of theirs.

    Args:
        model: stays as it is.
        words: in normal form, none of them a piece yet.
    """
    before, added = model.wordpiece, list(dict.fromkeys(words))
    cuts = [before.encode([word]).ids for word in added]
    wordpiece = before.with_pieces([*before.pieces, *added])
    weights = model.weights()
    for path in ("words/embeddings", "predict_bias/bias"):
        table = weights[path]
        more = [table[cut].mean(axis=0) for cut in cuts]
        weights[path] = np.concatenate([table, np.array(more, table.dtype).reshape(-1, *table.shape[1:])])
    grown = LanguageModel.make(model.config, wordpiece, seed=0, pairs=model.pairs)
    grown.set_weights(weights)
    grown.missing_heads = model.missing_heads
    return grown
