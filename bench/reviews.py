"""The texts that benches race on: IMDB reviews, as `sopan data` fetches them, and made-up ones."""

from __future__ import annotations

import random
import sys
from pathlib import Path

COMMON = "the a film story actor was is and of very in it that scene music plot end with for"
MARKS = {"negative": "bad dull boring awful worst", "positive": "good great lovely superb best"}


def labelled() -> Path:
    """Return the table of the 50,000 labelled reviews: text, label, talk and official."""
    from sopan.text.datasets import fetch  # noqa: PLC0415

    return fetch("imdb")


def unlabelled() -> Path:
    """Return the table of the 50,000 reviews without labels, or where it cannot be had, of those with."""
    from sopan.errors import DownloadError  # noqa: PLC0415
    from sopan.text.datasets import fetch  # noqa: PLC0415

    try:
        return fetch("imdb-unlabelled")
    except DownloadError as error:
        print(f"{error}; taking the labelled reviews", file=sys.stderr)
        return labelled()


def reviews(part: str, count: int, *, start: int = 0) -> tuple[list[str], list[str]]:
    """Return `count` reviews of a part of the talk's split (train, val or test), and their labels.

    They come in an order that is drawn once: in the file good reviews stand apart from bad ones.
    """
    import numpy as np  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    table = pq.read_table(labelled())
    rows = table.filter(pc.equal(table["talk"], part))
    rows = rows.take(np.random.default_rng(0).permutation(len(rows))[start : start + count])
    return rows["text"].to_pylist(), rows["label"].to_pylist()


def made_up(count: int, *, words: int = 60, seed: int = 0) -> tuple[list[str], list[str]]:
    """Return texts of a few words' vocabulary, `words` long at most, and their labels, without any file."""
    rng = random.Random(seed)
    labels = [rng.choice(sorted(MARKS)) for _ in range(count)]
    texts = [
        " ".join(rng.choices(COMMON.split() + MARKS[label].split(), k=rng.randint(words // 4, words)))
        for label in labels
    ]
    return texts, labels
