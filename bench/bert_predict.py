"""How many reviews a second a BERT reads, raw text in and label out, against what one would use instead.

    python bench/bert_predict.py [--shapes 4x256 6x384] [--lengths 256 512] [--rounds 5] [--smoke]

Everyone has the same weights and reads the same 1,000 real reviews in a round, cut after so many pieces;
round i takes the i-th thousand of the test reviews. Before a number is printed all answers are compared:
where the float32 graph of ONNX Runtime is sure by more than a tolerance, all must give its label; KerasHub
may miss 1 text of 200, for its tokenizer cuts a few odd ones otherwise. Int8 need not where the network is a
random one (6x384): what training leaves small, it has not.

The limit is what the operations of the real pieces, padding not counted, take at the measured ceiling of
matrix products in that precision. Int8 also pays in accuracy, which is measured on labelled test reviews.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import bert_peers
import numpy as np
from bert_models import PLACES, SIZES, Folders, in_bytes, made
from bert_ours import make_ours
from limit import limits
from measure import Contest, Work, contest, report, table
from reviews import made_up, reviews

BARS = {
    ("keras_hub", "bfloat16"): 10.0,
    ("keras_hub", "int8"): 10.0,
    ("pipeline", "bfloat16"): 2.0,
    ("torch", "bfloat16"): 1.15,
    ("torch", "int8"): 1.6,
    ("onnx", "bfloat16"): 1.5,
}
"""By peer and our precision: the ratio that is aimed at."""
NAMES = {
    "keras_hub": "KerasHub on TensorFlow, float32",
    "pipeline": "transformers pipeline on PyTorch, bfloat16",
    "torch": "PyTorch by hand, bfloat16",
    "onnx": "ONNX Runtime, fused, float32",
}
TOLERANCES = {"keras_hub": 0.02, "pipeline": 0.1, "torch": 0.1, "bfloat16": 0.1, "int8": 0.25}
"""By contender: how far from even the float32 probability must be for the label to count."""
OTHERWISE = {"keras_hub": 0.005}
"""By contender: the share of the sure texts that may get another label; of others none."""
LEARNT = ("4x256",)
"""Networks that tell good from bad."""
ROUND = 1000
JUDGED = 10_000
"""Test reviews, others than those of the race, that say what int8 costs."""
WARM = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shapes", nargs="+", default=["4x256", "6x384"], choices=sorted(SIZES))
    parser.add_argument("--lengths", nargs="+", type=int, default=[256, PLACES])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--texts", type=int, default=ROUND, help="texts of a round")
    parser.add_argument("--without", nargs="*", default=[], choices=sorted(NAMES), help="peers to leave out")
    parser.add_argument("--smoke", action="store_true", help="a tiny network on made-up texts")
    options = parser.parse_args()
    if options.smoke:
        options.shapes, options.lengths, options.rounds, options.texts = ["tiny"], [64], 1, 40
    for shape in options.shapes:
        folders = made(shape)
        for length in options.lengths:
            race(shape, folders, length, options)
        if shape in LEARNT:
            int8_cost(shape, folders)


def race(shape: str, folders: Folders, length: int, options: argparse.Namespace) -> None:
    """Let all read; compare their answers; report one line a peer and precision."""
    count = options.rounds * options.texts
    texts, _ = made_up(count) if options.smoke else reviews("test", count)
    contenders = {
        precision: partial(make_ours, folder, precision)
        for precision, folder in ours(folders, length, options.smoke).items()
    } | {
        "torch": partial(bert_peers.make_torch, folders.hugging_face, length),
        "onnx": partial(bert_peers.make_onnx, folders.hugging_face, length),
        "pipeline": partial(bert_peers.make_pipeline, folders.hugging_face, length),
        "keras_hub": partial(bert_peers.make_keras_hub, folders.keras_hub, length),
    }
    bert_peers.exported(folders.hugging_face)
    found = contest(
        {
            name: partial(rounds_of, make, texts, options.texts)
            for name, make in contenders.items()
            if name not in options.without or name == "onnx"
        },
        rounds=options.rounds,
    )
    agreement = compare(found, {} if shape in LEARNT else {"int8": 1.0})
    tell(shape, length, found, agreement, pieces_of(folders, texts, length), options)


def ours(folders: Folders, length: int, smoke: bool) -> dict[str, Path]:
    """Return our model folder by precision; int8 takes long to export, and is left out of a smoke."""
    return {"bfloat16": folders.sopan(length)} | ({} if smoke else {"int8": in_bytes(folders, length)})


def rounds_of(make: Any, texts: Sequence[str], size: int) -> Work:
    """Turn what reads texts into a contender, which reads `size` of them a round."""
    read = make()

    def work(number: int) -> np.ndarray:
        if number < 0:
            return np.asarray(read(texts[: min(WARM, size)]))
        return np.asarray(read(texts[number * size : (number + 1) * size]))

    return work


def compare(found: Contest, further: dict[str, float]) -> dict[str, tuple[float, float]]:
    """Hold that all give the same labels as float32 does where it is sure.

    Args:
        found: what all said.
        further: tolerances that take the place of `TOLERANCES`.

    Returns:
        By contender: the largest difference of a probability, and the share of equal labels.

    Raises:
        SystemExit: one does not.
    """
    true = np.concatenate(found.results["onnx"])
    agreement = {}
    for name, results in found.results.items():
        probability = np.concatenate(results)
        same = (probability > 0.5) == (true > 0.5)
        sure = np.abs(true - 0.5) > (TOLERANCES | further).get(name, 0)
        if (~same[sure]).sum() > OTHERWISE.get(name, 0) * sure.sum():
            raise SystemExit(f"{name} gives {(~same[sure]).sum()} of {sure.sum()} sure texts another label")
        agreement[name] = float(np.abs(probability - true).max()), float(same.mean())
    return agreement


def pieces_of(folders: Folders, texts: Sequence[str], length: int) -> np.ndarray:
    """Return how many pieces are read of each text, `[CLS]` and `[SEP]` included: (N,)."""
    from sopan.text.wordpiece import WordPiece  # noqa: PLC0415

    wordpiece = WordPiece.load(Path(folders.hugging_face) / "tokenizer.json")
    return np.minimum(np.diff(wordpiece.encode(list(texts)).offsets) + 2, length)


def operations(shape: str, pieces: np.ndarray) -> np.ndarray:
    """Return the operations (N,) that matrix products of a text need, a multiply-add being two."""
    depth, width, inner = SIZES[shape]
    dense = 2 * (4 * width * width + 2 * width * inner)
    return np.asarray(depth * (dense * pieces + 4 * width * pieces.astype(float) ** 2))


def tell(
    shape: str,
    length: int,
    found: Contest,
    agreement: dict[str, tuple[float, float]],
    pieces: np.ndarray,
    options: argparse.Namespace,
) -> None:
    rates = {name: options.texts / found.median(name) for name in found.seconds}
    ceiling = limits(seconds=0.05 if options.smoke else 0.5).gemm
    per_text = operations(shape, pieces).mean()
    rows = [("contender", "texts/s", "pieces/s", "largest difference", "same labels")]
    for name, rate in rates.items():
        far, same = agreement[name]
        rows.append((name, f"{rate:.1f}", f"{rate * pieces.mean():,.0f}", f"{far:.4f}", f"{same:.2%}"))
    table(f"{shape}, at most {length} pieces ({pieces.mean():.0f} on average)", rows)
    for (peer, precision), bar in BARS.items():
        if not {peer, precision} <= rates.keys() or peer in options.without:
            continue
        limit = ceiling[precision] / per_text
        report(
            f"bert predict {shape}, {length} pieces, {precision}",
            peer_name=NAMES[peer],
            ours=rates[precision],
            peer=rates[peer],
            ratio=found.ratio(precision, peer),
            bar=bar,
            unit="texts/s",
            limit=limit,
            ratio_to_limit=rates[precision] / limit,
            rounds=options.rounds,
            texts=options.texts,
            pieces=round(float(pieces.mean()), 1),
            same_labels=round(agreement[precision][1], 4),
        )


def int8_cost(shape: str, folders: Folders) -> None:
    """Report what int8 costs in accuracy: the same labelled reviews read in float32 and in int8."""
    texts, labels = reviews("test", JUDGED, start=5 * ROUND)
    truth = np.array(labels) == sorted(set(labels))[1]
    contenders = {
        "float32": partial(make_ours, folders.sopan(256), "float32"),
        "int8": partial(make_ours, in_bytes(folders, 256), "int8"),
    }
    found = contest(
        {name: partial(rounds_of, make, texts, JUDGED) for name, make in contenders.items()}, rounds=1
    )
    right = {name: (found.results[name][0] > 0.5) == truth for name in contenders}
    lost = 100 * (right["float32"].mean() - right["int8"].mean())
    differ = right["float32"] != right["int8"]
    error = 100 * np.sqrt(differ.mean()) / np.sqrt(len(texts))
    accuracy = {name: 100 * float(hits.mean()) for name, hits in right.items()}
    table(
        f"{shape}: what int8 costs on {len(texts):,} labelled test reviews",
        [("float32", "int8", "points lost", "standard error", "answers that differ"),
         (f"{accuracy['float32']:.2f}", f"{accuracy['int8']:.2f}", f"{lost:.2f}", f"{error:.2f}",
          str(differ.sum()))],
    )  # fmt: skip
    report(
        f"bert int8 accuracy {shape}",
        peer_name="float32",
        ours=accuracy["int8"],
        peer=accuracy["float32"],
        ratio=accuracy["int8"] / accuracy["float32"],
        bar=None,
        unit="% right",
        points_lost=round(float(lost), 3),
        points_allowed=0.2,
        standard_error=round(float(error), 3),
        texts=len(texts),
    )


if __name__ == "__main__":
    main()
