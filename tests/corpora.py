"""Small corpora for tests, made up here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from sopan.types import Corpus, Source, Split

SUBJECTS = ("the plot", "the score", "her brother", "a tired city", "the sea", "an old clock", "the ending")
VERBS = ("lifts", "forgets", "carries", "betrays", "answers", "follows", "outlives")
OBJECTS = (
    "every promise",
    "a small dog",
    "the last scene",
    "our patience",
    "the rain",
    "its maker",
    "a joke",
)


def sentences(n: int, words: int = 12, seed: int = 0) -> list[str]:
    """Return n different texts of at least so many words."""
    rng = np.random.default_rng(seed)
    made: list[str] = []
    for number in range(n):
        parts = [f"Review {number}:"]
        while len(" ".join(parts).split()) < words:
            parts += [str(rng.choice(choice)) for choice in (SUBJECTS, VERBS, OBJECTS)]
        made.append(" ".join(parts) + ".")
    return made


def corpus(
    texts: Sequence[str],
    labels: Sequence[str],
    split: Sequence[str] | None = None,
    rows: Sequence[int] | None = None,
) -> Corpus:
    """Return a corpus of these texts and label names."""
    classes, index = np.unique(np.array(labels, dtype=str), return_inverse=True)
    return Corpus(
        texts=pa.array(texts, pa.large_string()),
        labels=index.astype(np.int32),
        classes=tuple(classes.tolist()),
        rows=np.arange(len(texts)) if rows is None else np.array(rows),
        source=Source("made-up.csv", "0" * 64, 0),
        split=None if split is None else np.array(split),
    )


def named_split(split: Sequence[str]) -> Split:
    """Return the split that part names describe."""
    names = np.array(split)
    return Split(*(np.flatnonzero(names == part) for part in ("train", "val", "test")))
