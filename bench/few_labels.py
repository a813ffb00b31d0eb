"""Which step wins where labels are few, and is a frozen encoder as good as scikit-learn on its vectors?

    python bench/few_labels.py [--folder DIR] [--sizes 100 …] [--seeds 3] [--smoke]

Four sets of short texts, one text a line behind its label: SST-2, MR, SUBJ and TREC, in DIR. SST-2 and TREC
have test texts of their own; of the others 2,000 are drawn, the same for every seed. For each seed so many
training texts are drawn, and 500 to choose settings by. Each step is tuned as `sopan compare` does it. The
peer is `LogisticRegression()` on the mean of MiniLM's last block; the peer too may choose its C by the same
validation texts, from 0.01 to 100, and the better of the two counts. The bar: bert:frozen at most half
a point below. With --smoke the texts are made up, and the preset is the one that sopan brings.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measure import report, table
from reviews import made_up
from sklearn.linear_model import LogisticRegression

from sopan.fit.tune import Budget, tune
from sopan.steps import make_step
from sopan.text.arrow import as_texts
from sopan.types import Labelled

SIZES = (100, 200, 500, 1000, 2000, 5000)
VALIDATION, TEST = 500, 2000
BAR = 0.5
"""Points that the frozen encoder may lie below the peer."""
PEER, CHOSEN = "scikit-learn", "its C chosen"
STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)
FILES = {
    "SST-2": ("stsa.binary.train", "stsa.binary.test"),
    "MR": ("rt-polarity.all", None),
    "SUBJ": ("subj.all", None),
    "TREC": ("TREC.train.all", "TREC.test.all"),
}


@dataclass(frozen=True)
class Set:
    """Texts to draw training and validation texts from, and those to measure on."""

    name: str
    pool: Labelled
    test: Labelled

    def draw(self, size: int, seed: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Return rows of training and validation texts; every class is there. None: there are too few."""
        order = np.random.default_rng([seed, size]).permutation(len(self.pool))
        if len(order) < size + VALIDATION // 5:
            return None
        firsts = [int(order[self.pool.labels[order] == label][0]) for label in range(len(self.pool.classes))]
        order = np.concatenate([firsts, order[~np.isin(order, firsts)]])
        return np.sort(order[:size]), np.sort(order[size : size + VALIDATION])


def main() -> None:
    """Measure every set, size and seed; print two tables and the lines of JSON."""
    asked = parse()
    preset = "sopan-mini" if asked.smoke else "minilm"
    steps = ("bow", "cbow", f"bert:frozen@{preset}")
    sets = [smoke()] if asked.smoke else [read_set(asked.folder, name) for name in asked.sets]
    found: dict[tuple[str, int, str], list[float]] = defaultdict(list)
    for one in sets:
        vectors = mean_vectors(one, preset, asked.precision)
        for size in asked.sizes:
            for seed in range(asked.seeds):
                rows = one.draw(size, seed)
                if rows is None:
                    continue
                result = by_steps(steps, one, rows, asked.precision) | by_peer(one, rows, vectors)
                for who, accuracy in result.items():
                    found[one.name, size, who].append(accuracy)
                    print(f"  {one.name} {size} {seed} {who} {accuracy:.4f}", file=sys.stderr, flush=True)
    show(found, steps, asked)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path(os.environ.get("SOPAN_DATA", ".")) / "classify")
    parser.add_argument("--sets", nargs="+", choices=FILES, default=list(FILES))
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--precision", default="float32", help="what the encoder computes in, for both")
    parser.add_argument("--smoke", action="store_true", help="made-up texts, seconds")
    asked = parser.parse_args()
    if asked.smoke:
        asked.sizes, asked.seeds = [40], 1
    return asked


def read_set(folder: Path, name: str) -> Set:
    """Read a set's files."""
    train, test = FILES[name]
    texts, labels = read_lines(folder / train)
    if test is None:
        order = np.random.default_rng(0).permutation(len(texts))
        more, named = texts[order[:TEST]], labels[order[:TEST]]
        texts, labels = texts[order[TEST:]], labels[order[TEST:]]
    else:
        more, named = read_lines(folder / test)
    classes = np.unique(labels)
    return Set(name, labelled(texts, labels, classes), labelled(more, named, classes))


def read_lines(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read lines `LABEL TEXT`, in UTF-8 or, as TREC is, Latin-1."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    lines = [line.split(" ", 1) for line in text.split("\n") if line.strip()]
    return np.array([text for _, text in lines], object), np.array([label for label, _ in lines])


def smoke() -> Set:
    """Make a set up."""
    texts, labels = (np.array(part, object) for part in made_up(400, words=20))
    classes = np.unique(labels.astype(str))
    return Set(
        "made up", labelled(texts[:200], labels[:200], classes), labelled(texts[200:], labels[200:], classes)
    )


def labelled(texts: np.ndarray, labels: np.ndarray, classes: np.ndarray) -> Labelled:
    """Put texts and the names of their labels together."""
    index = np.searchsorted(classes, labels.astype(str))
    return Labelled(as_texts(texts.tolist()), index, tuple(classes.tolist()))


def mean_vectors(one: Set, preset: str, precision: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of the encoder's last block for the texts to draw from, and for the test texts."""
    estimator = make_step(f"bert:frozen@{preset}", summary="mean", precision=precision)
    firsts = [int(np.flatnonzero(one.pool.labels == label)[0]) for label in (0, 1)]
    estimator.fit(one.pool.texts.take(firsts), one.pool.names[firsts])  # its encoder is what it was before
    pool, test = estimator.transform(one.pool.texts), estimator.transform(one.test.texts)
    return pool, test


def by_steps(
    steps: tuple[str, ...], one: Set, rows: tuple[np.ndarray, np.ndarray], precision: str
) -> dict[str, float]:
    """Return each step's accuracy on the test texts, tuned in a minute at most."""
    train, val = (one.pool.take(part) for part in rows)
    fixed = {"random_state": 0, "deterministic": True, "precision": precision}
    found = {}
    for step in steps:
        estimator = tune(step, train, val, budget=Budget(seconds=60), fixed=fixed).estimator
        found[step] = float((estimator.logits(one.test.texts).argmax(axis=1) == one.test.labels).mean())
    return found


def by_peer(
    one: Set, rows: tuple[np.ndarray, np.ndarray], vectors: tuple[np.ndarray, np.ndarray]
) -> dict[str, float]:
    """Return scikit-learn's accuracy on the vectors, with its own C and with one chosen."""
    (train, val), (pool, test), labels = rows, vectors, one.pool.labels
    peers = {C: LogisticRegression(C=C, max_iter=5000).fit(pool[train], labels[train]) for C in STRENGTHS}
    chosen = max(peers.values(), key=lambda peer: peer.score(pool[val], labels[val]))
    scores = {PEER: peers[1.0].score(test, one.test.labels), CHOSEN: chosen.score(test, one.test.labels)}
    return {who: float(score) for who, score in scores.items()}


def show(
    found: dict[tuple[str, int, str], list[float]], steps: tuple[str, ...], asked: argparse.Namespace
) -> None:
    """Print means over seeds: by set and size, and who wins; then the lines of JSON."""
    places = list(dict.fromkeys((name, size) for name, size, _ in found))
    rows: list[tuple[str, ...]] = [("set", "labels", *steps, PEER, CHOSEN, "wins")]
    for name, size in places:
        means = {who: float(np.mean(found[name, size, who])) for who in (*steps, PEER, CHOSEN)}
        best = max(steps, key=lambda step: means[step])
        rows.append((name, str(size), *(f"{100 * mean:.1f}" for mean in means.values()), best))
        ours, peer = means[steps[-1]], max(means[PEER], means[CHOSEN])
        report(
            f"few labels, {name}, {size}",
            peer_name="scikit-learn on mean-pooled vectors",
            ours=100 * ours,
            peer=100 * peer,
            ratio=ours / peer,
            bar=1 - BAR / 100 / peer,
            unit="accuracy, %",
            seeds=asked.seeds,
            precision=asked.precision,
            steps={step: round(100 * means[step], 2) for step in steps},
        )
    table(f"Accuracy in %, mean of {asked.seeds} seeds", rows)


if __name__ == "__main__":
    main()
