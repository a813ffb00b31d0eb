"""How long does a whole comparison take, against the same one written by hand?

    python bench/compare.py [--rounds 5] [--smoke]

Ours is the command, start to end: `sopan compare DATA --steps bow,cbow --budget 5trials`, on the talk's 5,000
training, 5,000 validation and 40,000 test reviews. The peer is `by_hand.py`, run in the same way. Each round
takes minutes. Ours also audits the data for duplicates and leaks, calibrates, measures latency and memory,
saves both models and writes a report, all of which the peer goes without; and it trains word vectors on one
core, so that the same command gives the same bits, where gensim has both.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from measure import Work, contest, report, table
from reviews import labelled

from sopan.steps.embedding import sensible_epochs
from sopan.text.vocab import build_vocabulary

BAR = 4.0


def main() -> None:
    """Run both by turns; print a table and a line of JSON."""
    asked = parse()
    with tempfile.TemporaryDirectory() as folder:
        data = some_of(labelled(), Path(folder) / "few.parquet") if asked.smoke else labelled()
        sides = {side: partial(make, side, data, Path(folder)) for side in ("sopan", "by hand")}
        rounds = 1 if asked.smoke else asked.rounds
        found = contest(sides, rounds=rounds, warm_up=0)
    rows = [("", "seconds", "bow", "cbow")]
    for side, results in found.results.items():
        rows.append((side, f"{found.median(side):.1f}", *(f"{score:.4f}" for score in results[0])))
    table("A whole comparison, and the accuracies found", rows)
    report(
        "compare",
        peer_name="scikit-learn and gensim by hand",
        ours=found.median("sopan"),
        peer=found.median("by hand"),
        ratio=found.ratio("sopan", "by hand"),
        bar=BAR,
        unit="s",
        rounds=rounds,
        accuracies=found.results["sopan"][0],
        peer_accuracies=found.results["by hand"][0],
    )


def parse() -> argparse.Namespace:
    """Read the command line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--smoke", action="store_true", help="little data, to see that it runs")
    return arguments.parse_args()


def some_of(data: Path, path: Path) -> Path:
    """Write every 25th review."""
    reviews = pq.read_table(data)
    pq.write_table(reviews.take(pa.array(range(0, len(reviews), 25))), path)
    return path


def make(side: str, data: Path, folder: Path) -> Work:
    """Return one contender's work; it answers with the two accuracies."""
    out = folder / side.replace(" ", "-")
    if side == "sopan":
        command = ["-c", "from sopan.cli import main; main()", "compare", str(data), "--split-column", "talk"]
        command += ["--steps", "bow,cbow", "--budget", "5trials", "--out", str(out), "--overwrite"]
    else:
        script = Path(__file__).with_name("by_hand.py")
        command = [str(script), str(data), str(out), "--epochs", str(epochs_of(data))]

    def work(number: int) -> list[float]:
        subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
        if side == "sopan":
            steps = json.loads((out / "results.json").read_text())["steps"]
            return [step["accuracy"] for step in steps]
        summary = json.loads((out / "summary.json").read_text())
        return [summary[kind]["accuracy"] for kind in ("bag", "vectors")]

    return work


def epochs_of(data: Path) -> int:
    """Return how many passes ours makes over these texts, for the peer to make as many."""
    texts = pq.read_table(data, filters=[("talk", "=", "train")])["text"]
    return sensible_epochs(len(build_vocabulary(texts, min_count=2)[1].ids))


if __name__ == "__main__":
    main()
