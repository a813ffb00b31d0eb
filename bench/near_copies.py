"""How many planted near-copies of short texts an audit finds, and how many other texts it calls alike.

    python bench/near_copies.py [--smoke]

Of up to 5,000 different texts of each data set 400 are copied with one, two and three of their words replaced
by words drawn from the same texts, as often as they stand there. Only texts of six words, and of four for
each change, are copied. Needs the folder that SOPAN_DATA names.
"""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

import measure
import numpy as np
import pyarrow as pa

from sopan.text.near_duplicates import NearDuplicates, near_duplicates
from sopan.text.vocab import build_vocabulary

SETS = {
    "TREC": ("TREC.train.all", "TREC.test.all"),
    "SST-2": ("stsa.binary.train",),
    "MR": ("rt-polarity.all",),
    "SUBJ": ("subj.all",),
}
CHANGES = (1, 2, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="one data set, few texts")
    smoke = parser.parse_args().smoke
    for name, files in list(SETS.items())[: 1 if smoke else None]:
        texts = read(files, 300 if smoke else 5000)
        other, found = planted(texts, 20 if smoke else 400)
        print(f"{name:<6}{len(texts):>6} texts; called alike, unchanged: {other:.2%}; found with", end=" ")
        print(", ".join(f"{changes} changed: {share:.1%}" for changes, share in found.items()))
        measure.report(
            f"near copies {name}",
            peer_name="planted",
            ours=min(found.values()),
            peer=1.0,
            ratio=min(found.values()),
            bar=0.95,
            unit="share found",
            called_alike=other,
        )


def read(files: tuple[str, ...], most: int) -> list[list[str]]:
    """Return so many different texts as words, in an order of chance."""
    folder = Path(os.environ["SOPAN_DATA"]) / "classify"
    lines = {
        line.split(" ", 1)[1]
        for file in files
        for line in (folder / file).read_text("latin-1").splitlines()
        if " " in line.strip()
    }
    texts = [re.findall(r"\w+", line.lower()) for line in sorted(lines)]
    np.random.default_rng(0).shuffle(texts)
    return [text for text in texts if text][:most]


def planted(texts: list[list[str]], each: int) -> tuple[float, dict[int, float]]:
    """Return the share of texts that are called alike as they are, and of planted copies found by changes."""
    rng = np.random.default_rng(3)
    words = [word for text in texts for word in text]
    copies, sources = [], []
    for changes in CHANGES:
        long = [i for i, text in enumerate(texts) if len(text) >= max(6, 4 * changes)]
        for i in rng.choice(long, each, replace=False):
            copy = list(texts[i])
            for place in rng.choice(len(copy), changes, replace=False):
                copy[place] = words[rng.integers(len(words))]
            copies.append(copy)
            sources.append(i)
    alone = find(texts)
    alike = np.zeros(alone.groups.max() + 1, bool)
    alike[alone.first] = alike[alone.second] = True
    both = find([*texts, *copies])
    pairs = set(zip(both.first.tolist(), both.second.tolist(), strict=True))
    groups = both.groups.tolist()
    hits = []
    for copy, source in enumerate(sources):
        a, b = sorted((groups[source], groups[len(texts) + copy]))
        hits.append(a == b or (a, b) in pairs)
    shares = np.reshape(hits, (len(CHANGES), each)).mean(axis=1)
    return float(alike[alone.groups].mean()), dict(zip(CHANGES, shares.tolist(), strict=True))


def find(texts: list[list[str]]) -> NearDuplicates:
    joined = pa.array([" ".join(text) for text in texts], pa.large_string())
    return near_duplicates(build_vocabulary(joined)[1])


if __name__ == "__main__":
    main()
