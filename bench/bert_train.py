"""How fast does a BERT learn: fine-tuning and filling blanks, against KerasHub's `fit` and `Trainer`?

python bench/bert_train.py [--steps N] [--rounds R] [--only fine_tune|masked] [--smoke]

The encoder is sopan-mini's (4 layers of 256, 4 heads, 1,024 inside, 12,000 pieces, 256 places), the texts are
IMDB's reviews at their lengths, cut at 256 pieces. All sides read the same pieces, 32 texts at a time, with
AdamW and a dropout of 0.1 everywhere. What counts is pieces a second without padding.

sopan      as `Bert.fit` and `sopan pretrain` make their steps, cutting texts into pieces included
KerasHub   `BertTextClassifier.fit` and `BertMaskedLM.fit` on TensorFlow, each with its preprocessor, 256 long
Trainer    transformers on PyTorch, texts cut into pieces beforehand; float32 and bfloat16, the quicker counts

The limit is the best rate of large matrix products in TensorFlow or PyTorch, in between the rounds, over the
products that one piece needs, forward and backward.
"""

from __future__ import annotations

import argparse
from functools import partial

import numpy as np
from bert_train_sides import (
    HEIGHT,
    Reviews,
    gemm,
    keras_hub,
    products,
    sopan_fine_tune,
    sopan_masked,
    trainer,
)
from measure import Contest, Make, contest, report, table
from reviews import labelled

PEERS = {"KerasHub": ("KerasHub", "KerasHub bf16"), "Trainer": ("Trainer", "Trainer bf16")}
BARS = {"KerasHub": 2.5, "Trainer": 1.3}
TASKS = ("fine_tune", "masked")


# ---- The contest ------------------------------------------------------------------------------------------


def contenders(task: str, path: str, n: int) -> dict[str, Make]:
    """Return who takes part, by name."""
    ours = sopan_fine_tune if task == "fine_tune" else sopan_masked
    found: dict[str, Make] = {}
    for mark, precision in (("", "float32"), (" bf16", "bfloat16")):
        found[f"sopan{mark}"] = partial(ours, path, n, precision)
        found[f"KerasHub{mark}"] = partial(keras_hub, path, n, precision, task)
        found[f"Trainer{mark}"] = partial(trainer, path, n, precision, task)
        for framework in ("tensorflow", "torch"):
            found[f"{framework} products{mark}"] = partial(gemm, framework, precision)
    return found


def rates(found: Contest, name: str) -> list[float]:
    """Return pieces a second of each round."""
    return [r["pieces"] / s for r, s in zip(found.results[name], found.seconds[name], strict=True)]


def tell(task: str, found: Contest, needed: float, rounds: int) -> None:
    """Print what was found."""
    speeds = {name: rates(found, name) for name, results in found.results.items() if "pieces" in results[0]}
    ceiling = {name: results for name, results in found.results.items() if "rate" in results[0]}
    tops = {name: float(np.median([one["rate"] for one in results])) for name, results in ceiling.items()}
    limit = max(tops.values(), default=0.0) / needed
    rows = [("who", "pieces/s", "of the limit", "last loss")]
    for name, own in speeds.items():
        loss = f"{found.results[name][-1]['loss']:.3f}"
        rows.append((name, f"{np.median(own):,.0f}", f"{np.median(own) / limit:.1%}" if limit else "–", loss))
    rows += [(name, f"{rate / needed:,.0f}", f"{rate / 1e9:,.0f} GFLOP/s", "") for name, rate in tops.items()]
    table(f"bert_train, {task}: {needed / 1e6:.1f} MFLOP a piece", rows)
    best = {
        who: max((n for n in names if n in speeds), key=lambda n: np.median(speeds[n]), default="")
        for who, names in {"sopan": ("sopan", "sopan bf16"), **PEERS}.items()
    }
    for who in PEERS:
        if best[who]:
            ours, theirs = speeds[best["sopan"]], speeds[best[who]]
            report(
                f"bert_train_{task}",
                peer_name=best[who],
                ours=float(np.median(ours)),
                peer=float(np.median(theirs)),
                ratio=float(np.median(np.array(ours) / np.array(theirs))),
                bar=BARS[who],
                unit="pieces/s",
                limit=limit or None,
                ratio_to_limit=float(np.median(ours)) / limit if limit else None,
                ours_name=best["sopan"],
                rounds=rounds,
            )


def main() -> None:
    """Let them train by turns."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=12, help="of 32 texts, a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=TASKS)
    parser.add_argument("--who", nargs="*", help="take these only")
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    steps, rounds = (2, 1) if given.smoke else (given.steps, given.rounds)
    data = str(labelled())
    for task in TASKS:
        if given.only in (None, task):
            n = HEIGHT * steps
            asked = contenders(task, data, n)
            asked = {name: make for name, make in asked.items() if given.who is None or name in given.who}
            found = contest(asked, rounds=rounds)
            tell(task, found, products(Reviews(data, n).pieces().lengths, task), rounds)


if __name__ == "__main__":
    main()
