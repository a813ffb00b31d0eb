"""What texts share, against sets of words in plain Python."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sopan.kernels.minhash import shingles
from sopan.kernels.overlap import shared_weights, shingle_hits, shingle_sketches

words = st.lists(st.integers(0, 9), max_size=8)


@given(st.lists(st.sets(st.integers(0, 9)), min_size=2, max_size=5))
def test_shared_weights_are_those_of_the_common_words(sets: list[set[int]]) -> None:
    weights = np.linspace(0.5, 3, 10)
    offsets = np.cumsum([0, *map(len, sets)])
    flat = np.array([word for each in sets for word in sorted(each)], np.int64)
    first, second = np.triu_indices(len(sets), 1)
    got = shared_weights(flat, offsets, weights, first.astype(np.int64), second.astype(np.int64))
    assert np.allclose(
        got, [sum(weights[w] for w in sets[a] & sets[b]) for a, b in zip(first, second, strict=True)]
    )


@given(st.lists(words, min_size=1, max_size=6), st.lists(words, min_size=1, max_size=6))
def test_hits_are_the_shingles_that_stand_in_both(own: list[list[int]], other: list[list[int]]) -> None:
    def flat(texts: list[list[int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        ends = np.cumsum([len(text) for text in texts]).astype(np.int64)
        ids = np.array([word for text in texts for word in text], np.int32)
        return ids, ends - [len(text) for text in texts], ends

    hashes, offsets = shingle_sketches(*flat(own), 3, 2)
    for text, (begin, end) in enumerate(pairwise(offsets)):
        ids = np.array(own[text], np.int32)
        assert hashes[begin:end].tolist() == shingles(ids, 0, len(ids), 3)[:2].tolist()
    wanted = np.unique(hashes)
    texts, places = shingle_hits(*flat(other), 3, wanted)
    got = {(int(t), int(wanted[p])) for t, p in zip(texts, places, strict=True)}
    theirs = [shingles(np.array(text, np.int32), 0, len(text), 3).tolist() for text in other]
    assert got == {(t, h) for t, held in enumerate(theirs) for h in held if h in set(wanted.tolist())}
    assert len(got) == len(texts)
