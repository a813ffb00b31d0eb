"""Movie-review snippets rated by people (Hutto and Gilbert, "VADER", ICWSM 2014; MIT licence).

Each of 10,605 snippets carries the mean of some 20 ratings from -4 to 4. Its sign is the label.
"""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pyarrow as pa

from sopan.text.datasets.sources import Archive, PyPIPackage, SourceError
from sopan.text.parquet import with_notes

NEAR_ZERO = 0.5
"""Means closer to zero are dropped: half of all means have a standard error above 0.19, 5% above 0.37
(from the single ratings in the same archive), so within this band the sign is not settled."""

SOURCES: tuple[Archive, ...] = (
    PyPIPackage(
        "vaderSentiment 3.3.2 from PyPI (2.5 MB)",
        "vaderSentiment-3.3.2.tar.gz",
        "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
        "vaderSentiment==3.3.2",
    ),
)
_INNER = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
_RATED = "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"


def build(source: Archive, path: Path) -> pa.Table:
    """Read the archive into the table that is cached: `text`, `label`.

    Raises:
        SourceError: the archive does not hold the snippets.
    """
    rated = _member(_member(path.read_bytes(), _INNER), _RATED).decode()
    texts, labels, dropped = [], [], 0
    for line in rated.splitlines():
        _, mean, text = line.split("\t", 2)
        if abs(float(mean)) < NEAR_ZERO:
            dropped += 1
            continue
        texts.append(text.strip())
        labels.append("positive" if float(mean) > 0 else "negative")
    rated_near_zero = f"{dropped:,} of {dropped + len(texts):,} snippets"
    note = f"{rated_near_zero} have a mean rating within {NEAR_ZERO} of zero and were dropped"
    return with_notes(pa.table({"text": pa.array(texts, pa.large_string()), "label": labels}), [note])


def _member(archive: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as opened:
        try:
            content = opened.extractfile(name)
        except KeyError:
            content = None
        if content is None:
            raise SourceError(f"the archive holds no {name}")
        return content.read()
