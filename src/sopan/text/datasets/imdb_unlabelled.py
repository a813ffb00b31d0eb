"""The 50,000 IMDB reviews without labels of the same archive, in the order of their hashes."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sopan.text.datasets.imdb import STANFORD, stanford_reviews, text_hash
from sopan.text.datasets.sources import Archive, LocalFile, SourceError

REVIEWS = 50_000
LOCAL = LocalFile(
    "imdb_unlabelled.parquet of SOPAN_DATA",
    "imdb_unlabelled.parquet",
    "ed7128a81f4119290998ecf3fba3cb89c5b9af9233ee4198c2e7b019a974887c",
)
SOURCES: tuple[Archive, ...] = (LOCAL, STANFORD)

_MEMBER = re.compile(r"aclImdb/train/unsup/\d+_0\.txt")


def build(source: Archive, path: Path) -> pa.Table:
    """Read an archive into the table that is cached: `text`.

    Raises:
        SourceError: the archive does not hold as many reviews.
    """
    if source is LOCAL:
        texts = pq.read_table(path, columns=["review"])["review"].to_pylist()
    else:
        texts = [text for _, text in stanford_reviews(path, _MEMBER)]
    if len(texts) != REVIEWS:
        raise SourceError(f"{len(texts):,} reviews came; {REVIEWS:,} are right")
    texts.sort(key=lambda text: (text_hash(text), text))
    return pa.table({"text": pa.array(texts, pa.large_string())})
