"""Is the first guess of `bow` as good as scikit-learn's defaults, and are its sixty seconds better?

    python bench/first_guess.py [--folder DIR] [--sets MR …] [--seed 0] [--smoke]

Ours: `bow`, tuned as `sopan compare` does it, with one trial and with sixty seconds. The peer: TF-IDF of
words (1 to 2), of characters inside words (2 to 5), and of both, each with `LogisticRegression` at C = 1,
10 and 100; of the nine the best on the validation texts. Test texts are asked once, of what was chosen. The
bar: one trial at most half a point below the peer. Sets: those of `few_labels`, and three tables that are
drawn (`tables`).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np
from few_labels import labelled, read_lines, read_set
from measure import report, table
from reviews import made_up
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_union
from tables import intents, phrases, stars

from sopan.fit.tune import Budget, tune
from sopan.types import Labelled

DRAWN = {"phrases": (phrases, 4000), "77 intents": (intents, 6000), "5 stars": (stars, 8000)}
"""Tables that are drawn, and how many training texts they have."""
SETS = ("MR", "SST-2", "SUBJ", "TREC", *DRAWN)
TEST = 5000
"""Test texts of a table that is drawn."""
BAR = 0.5
"""Points that the first guess may lie below the peer."""
STRENGTHS = (1.0, 10.0, 100.0)
BUDGETS = {"1 trial": Budget(trials=1), "60 s": Budget(seconds=60)}


def main() -> None:
    """Measure every set; print a table and the lines of JSON."""
    asked = parse()
    rows: list[tuple[str, ...]] = [("set", *BUDGETS, "seconds", "peer", "seconds", "which")]
    for name in asked.sets:
        train, val, test = smoke() if asked.smoke else parts_of(name, asked.folder, asked.seed)
        ours, seconds, trials = by_bow(train, val, test)
        peer, peer_seconds, which = by_peer(train, val, test, STRENGTHS[:1] if asked.smoke else STRENGTHS)
        shown = (*(f"{ours[each]:.1f}" for each in BUDGETS), f"{seconds['1 trial']:.1f}")
        rows.append((name, *shown, f"{peer:.1f}", f"{peer_seconds:.1f}", which))
        print("  ".join(rows[-1]), file=sys.stderr, flush=True)
        for each in BUDGETS:
            report(
                f"first guess, {name}, {each}",
                peer_name="scikit-learn, best of nine",
                ours=ours[each],
                peer=peer,
                ratio=ours[each] / peer,
                bar=1 - BAR / peer if each == "1 trial" else 1.0,
                unit="accuracy, %",
                texts=len(train),
                trials=trials[each],
                seconds=round(seconds[each], 1),
                which=which,
            )
    table("Accuracy on test texts, %", rows)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path(os.environ.get("SOPAN_DATA", ".")) / "classify")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--smoke", action="store_true", help="made-up texts, seconds")
    asked = parser.parse_args()
    if asked.smoke:
        asked.sets = ["made up"]
    return asked


def parts_of(name: str, folder: Path, seed: int) -> tuple[Labelled, Labelled, Labelled]:
    """Return training, validation and test texts: a tenth to validate by unless the set says."""
    if name in DRAWN:
        make, count = DRAWN[name]
        texts, labels = (np.array(part, object) for part in make(count + count // 10 + TEST, seed))
        every = labelled(texts, labels, np.unique(labels.astype(str)))
        pool, test = every.take(np.arange(TEST, len(texts))), every.take(np.arange(TEST))
    else:
        one = read_set(folder, name)
        pool, test = one.pool, one.test
    if name == "SST-2":
        texts, labels = read_lines(folder / "stsa.binary.dev")
        return pool, labelled(texts, labels, np.array(pool.classes)), test
    order = np.random.default_rng(seed).permutation(len(pool))
    cut = len(pool) // 10
    return pool.take(np.sort(order[cut:])), pool.take(np.sort(order[:cut])), test


def smoke() -> tuple[Labelled, Labelled, Labelled]:
    """Make texts up."""
    texts, labels = (np.array(part, object) for part in made_up(300, words=20))
    every = labelled(texts, labels, np.unique(labels.astype(str)))
    return every.take(np.arange(200)), every.take(np.arange(200, 250)), every.take(np.arange(250, 300))


def by_bow(
    train: Labelled, val: Labelled, test: Labelled
) -> tuple[dict[str, float], dict[str, float], dict[str, int]]:
    """Return accuracy, seconds and trials of each budget."""
    ours, seconds, trials = {}, {}, {}
    for each, budget in BUDGETS.items():
        started = time.perf_counter()
        tuned = tune("bow", train, val, budget=budget, fixed={})
        seconds[each], trials[each] = time.perf_counter() - started, len(tuned.trials)
        right = tuned.estimator.logits(test.texts).argmax(axis=1) == test.labels
        ours[each] = 100 * float(right.mean())
    return ours, seconds, trials


def by_peer(
    train: Labelled, val: Labelled, test: Labelled, strengths: tuple[float, ...]
) -> tuple[float, float, str]:
    """Return accuracy and seconds of scikit-learn, and what it chose."""
    kinds = {
        "words": lambda: make_union(TfidfVectorizer(ngram_range=(1, 2))),
        "characters": lambda: make_union(TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5))),
    }
    kinds["both"] = lambda: make_union(kinds["words"](), kinds["characters"]())
    started, best = time.perf_counter(), (-1.0, "", 0.0)
    texts, validation, unseen = (part.texts.to_pylist() for part in (train, val, test))
    for kind, make in kinds.items():
        features = make()
        known, chosen_by, asked = features.fit_transform(texts), features.transform(validation), None
        for C in strengths:
            peer = LogisticRegression(C=C, max_iter=1000).fit(known, train.labels)
            score = float((peer.predict(chosen_by) == val.labels).mean())
            print(f"    {kind}, C = {C:g}: {score:.4f} on validation", file=sys.stderr, flush=True)
            if score > best[0]:
                asked = features.transform(unseen) if asked is None else asked
                best = (score, f"{kind}, C = {C:g}", 100 * float((peer.predict(asked) == test.labels).mean()))
    return best[2], time.perf_counter() - started, best[1]


if __name__ == "__main__":
    main()
