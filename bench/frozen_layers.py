"""How much faster is fine-tuning where blocks that do not learn are read once, not in every epoch?

    python bench/frozen_layers.py [--texts 256] [--epochs 4] [--rounds 3] [--preset minilm] [--smoke]

For each number of frozen layers (the vectors of pieces are one, then come the blocks) the same texts are
learnt twice, by turns: the frozen blocks read once and kept, and, as the peer, led through anew with every
batch, as is usual. Both come to the same weights (tests/unit/test_bert.py). The ratio is of an epoch, its
validation included, from the second one on: the first has the reading in it, and compiling. It is of seconds
of the processor, all threads together: what else the machine does counts little in them.
"""

from __future__ import annotations

import argparse
import sys
import time
from statistics import median

import numpy as np
from measure import report, table
from reviews import made_up

from sopan.steps.bert import Bert
from sopan.training.kept import Halves
from sopan.training.recipe import Monitor


class Anew(Bert):
    """The step without its short cut."""

    def _halves(self) -> Halves | None:
        return None


def main() -> None:
    """Measure by turns; print a table and lines of JSON."""
    asked = parse()
    texts, labels = made_up(asked.texts + asked.texts // 4, words=100)
    seconds: dict[tuple[int, bool], list[float]] = {}
    for _ in range(asked.rounds):
        for frozen in asked.layers:
            for cls in (Bert, Anew):
                took = fit(cls, texts, labels, frozen, asked)
                seconds.setdefault((frozen, cls is Bert), []).append(took)
                print(f"  {frozen} {cls.__name__} {took:.2f} s", file=sys.stderr, flush=True)
    usual = seconds[1, False]
    rows: list[tuple[str, ...]] = [("frozen layers", "once", "every epoch", "ratio", "to 1 frozen layer")]
    for frozen in asked.layers:
        once, anew = seconds[frozen, True], seconds[frozen, False]
        ratio = median(peer / own for own, peer in zip(once, anew, strict=True))
        to_one = median(peer / own for own, peer in zip(once, usual, strict=True))
        shown = (f"{median(once):.2f} s", f"{median(anew):.2f} s", f"{ratio:.2f}", f"{to_one:.2f}")
        rows.append((str(frozen), *shown))
        report(
            f"frozen layers, {frozen}",
            peer_name="read in every epoch",
            ours=median(once),
            peer=median(anew),
            ratio=ratio,
            bar=None,
            unit="s an epoch",
            to_one_frozen_layer=round(to_one, 2),
            texts=asked.texts,
            epochs=asked.epochs,
            preset=asked.preset,
            precision=asked.precision,
        )
    table(f"An epoch of {asked.texts} texts, {asked.preset}, {asked.precision}", rows)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--texts", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--preset", default="minilm")
    parser.add_argument("--layers", type=int, nargs="+", default=[1, 2, 3, 4, 5, 6, 7], help="1 among them")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--smoke", action="store_true", help="a few texts, a small preset")
    asked = parser.parse_args()
    if asked.smoke:
        asked.texts, asked.epochs, asked.rounds, asked.preset = 16, 3, 1, "sopan-mini"
        asked.layers = [1, 2]
    return asked


def fit(
    cls: type[Bert], texts: list[str], labels: list[str], frozen: int, asked: argparse.Namespace
) -> float:
    """Return an epoch's seconds of the processor: the least of those after the first."""
    step = cls(
        preset=asked.preset,
        frozen_layers=frozen,
        epochs=asked.epochs,
        min_steps=1,
        patience=asked.epochs,
        precision=asked.precision,
    )
    train, judged = slice(0, asked.texts), slice(asked.texts, None)
    ends: list[float] = []
    monitor = Monitor(on_evaluation=lambda evaluation: ends.append(time.process_time()))
    step.fit(
        texts[train], np.array(labels[train]), validation=(texts[judged], labels[judged]), monitor=monitor
    )
    return min(np.diff(ends).tolist())


if __name__ == "__main__":
    main()
