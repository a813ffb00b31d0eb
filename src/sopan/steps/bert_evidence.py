"""What each word did to the logits of `bert`: integrated gradients over its pieces, from blanks to the text.

    vectors (T, D) = start + α · (end - start),  α from 0 to 1        start: `[MASK]`, where a piece is known

A word's part is the sum of its pieces'. Where a text is read in windows, their parts are pooled as the logits
are: averaged, or for each class those of the window that decides.

Sources: see `sopan.steps.integrated_gradients`; for attention between words, K. Clark et al., "What Does BERT
Look At?" (2019), section 4.1: that between pieces, summed to a word and averaged from it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from keras import ops

from sopan.steps.integrated_gradients import WindowEvidence, window_evidence
from sopan.steps.network import NetworkStep
from sopan.text.arrow import as_texts
from sopan.text.batch import MULTIPLE, batches
from sopan.text.intake import Pool, Windows
from sopan.text.wordpiece import MASK, Pieces, WordPiece
from sopan.types import Evidence, Float32Array, Int64Array, Tokens


def piece_evidence(
    estimator: NetworkStep,
    text: str,
    wordpiece: WordPiece,
    kept: Callable[[int], tuple[int, int]],
    pool: Pool,
) -> Evidence:
    """Tell the words' parts in the logits of a step over pieces, and the attention between words.

    The base is what the network says of as many `[MASK]`; a piece `[UNK]` stays as it is, and adds nothing.
    Words are those that WordPiece cuts: punctuation counts. Attention to the marks is left out; of a text
    in several windows it is the mean over the heads.

    Args:
        estimator: fitted; its network has the layers `words` and `body`, as `build_classifier` makes them.
        text: one text.
        wordpiece: what cuts it.
        kept: of so many pieces, how many are read from the start and from the end.
        pool: how windows come together.
    """
    texts = as_texts([text])
    pieces, windows, logits = (
        wordpiece.cut(text, specials=False),
        estimator.windows(texts),
        estimator.logits(texts)[0],
    )
    tokens = _words(text, pieces, wordpiece.rules.lowercase)
    added, read = np.zeros((len(tokens.words), len(logits))), np.zeros(len(tokens.words), bool)
    first, last = kept(len(pieces.ids))
    places = np.concatenate([np.arange(first), np.arange(len(pieces.ids) - last, len(pieces.ids))])
    if not len(places):
        return Evidence(tokens, read, added, logits, logits, "integrated gradients")
    word_of = pieces.words[places]  # of each piece that is read
    mask = np.array([[wordpiece.id_of(MASK)]], np.int32)
    blank = ops.convert_to_numpy(estimator.network_.get_layer("words")(mask))[0, 0].astype(np.float32)
    found = [_of_window(estimator, windows, number, blank) for number in range(len(windows.of))]
    said = np.stack([window.logits for window in found])
    shares = np.full(said.shape, 1 / len(found))  # what each window counts for each class
    if pool == "max":
        shares = np.eye(len(found))[said.argmax(axis=0)].T
    parts = np.concatenate([w.contributions * share for w, share in zip(found, shares, strict=True)])
    np.add.at(added, word_of, parts)
    read[word_of[estimator.intake.knows(pieces.ids[places])]] = True
    base = (np.stack([window.base for window in found]) * shares).sum(axis=0)
    attended = np.unique(word_of)
    attention = _between_words([window.attention for window in found], np.searchsorted(attended, word_of))
    return Evidence(tokens, read, added, base, logits, "integrated gradients", attention, attended)


def _words(text: str, pieces: Pieces, lowercase: bool) -> Tokens:
    """Put pieces together to the words that they were cut from."""
    firsts = np.flatnonzero(np.diff(pieces.words, prepend=-1))
    if not len(firsts):
        return Tokens((), np.empty(0, np.int64), np.empty(0, np.int64))
    starts, ends = pieces.starts[firsts], np.maximum.reduceat(pieces.ends, firsts)
    words = (text[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True))
    return Tokens(tuple(word.lower() if lowercase else word for word in words), starts, ends)


def _of_window(estimator: NetworkStep, windows: Windows, number: int, blank: Float32Array) -> WindowEvidence:
    """Lead the network to one window; the marks at its ends are left out of what is found."""
    length = int(windows.clipped.lengths[number])
    padded = min(-(-length // MULTIPLE) * MULTIPLE, estimator.buckets_[-1])
    (batch,) = batches(windows.clipped, [(np.array([number]), 1, padded)])
    ids, mask, inner = batch.ids[0], batch.mask[0], slice(1, length - 1)
    found = window_evidence(estimator.network_, ids, mask, estimator.intake.knows(ids) & mask, blank)
    attention = [weights[:, inner, inner] for weights in found.attention]
    return found._replace(contributions=found.contributions[inner], attention=attention)


def _between_words(windows: list[list[Float32Array]], word_of: Int64Array) -> tuple[Float32Array, ...]:
    """Turn attention between the pieces of each window, layer by layer, into that between A words.

    Args:
        windows: for each window, for each layer (H, T, T).
        word_of: (all windows' T together,) which of the A words each piece is of.
    """
    n_words = int(word_of.max()) + 1
    sizes = np.bincount(word_of, minlength=n_words)
    bounds = np.cumsum([0, *(window[0].shape[-1] for window in windows)])
    layers = []
    for parts in zip(*windows, strict=True):
        heads = 1 if len(windows) > 1 else parts[0].shape[0]
        between = np.zeros((heads, n_words, n_words), np.float32)
        for weights, low, high in zip(parts, bounds[:-1], bounds[1:], strict=True):
            some = weights.mean(axis=0, keepdims=True) if len(windows) > 1 else weights
            own = np.arange(n_words)[:, None] == word_of[low:high]  # (A, T)
            between += (own / sizes[:, None]).astype(np.float32) @ some @ own.T.astype(np.float32)
        layers.append(between)
    return tuple(layers)
