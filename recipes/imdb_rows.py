"""Make `src/sopan/text/datasets/imdb_rows.parquet` from a table of the reviews with their labels and splits.

    python recipes/imdb_rows.py REVIEWS.parquet

The table needs the columns text, label, talk and official; only hashes of the texts are kept.
"""

from __future__ import annotations

import sys
from collections import defaultdict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sopan.text.datasets.imdb import ROWS, text_hash


def rows(reviews: pa.Table) -> pa.Table:
    """Return each review's hash, its place among equal hashes, its label and its parts."""
    texts = reviews["text"].to_pylist()
    copies = defaultdict(list)
    for row, text in enumerate(texts):
        copies[text_hash(text)].append((text, row))
    hashes, place = np.zeros(len(texts), np.uint64), np.zeros(len(texts), np.uint8)
    for value, group in copies.items():
        for copy, (_, row) in enumerate(sorted(group)):
            hashes[row], place[row] = value, copy
    columns = {name: reviews[name] for name in ("label", "talk", "official")}
    return pa.table({"hash": hashes, "copy": place} | columns)


if __name__ == "__main__":
    pq.write_table(
        rows(pq.read_table(sys.argv[1])),
        str(ROWS),
        compression="zstd",
        use_dictionary=["copy", "label", "talk", "official"],
        write_page_checksum=True,
    )
