"""How long one text takes: warm, call after call, and cold, from the start of a process to its first answer.

    python bench/bert_latency.py [--shape 4x256] [--calls 100] [--rounds 5] [--cold-rounds 5] [--smoke]

Everyone has the same weights and reads the same text of thirty words. Warm: each in a process of its own, by
turns, so many calls a round; a round's ratio is of its own two medians. Cold: a fresh interpreter that
imports, loads and answers once, by turns too; files are in the page cache for all alike.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import bert_peers
import numpy as np
from bert_models import SIZES, Folders, made
from bert_ours import make_ours
from measure import Work, contest, report, table

TEXT = (
    "I went in there expecting very little, and yet the story, slow as it is at first, won me over "
    "completely: warm, funny, beautifully acted, and over far too soon."
)
LENGTH = 256
"""Pieces that KerasHub pads the text to; it has one length for all texts. The others read what is there."""
WARM_BARS = {"keras_hub": 8.0, "pipeline": 2.0, "pipeline in float32": 2.0}
COLD_BARS = {"keras_hub": 5.0, "pipeline": 5.0}
NAMES = {
    "keras_hub": "KerasHub predict",
    "pipeline": "transformers pipeline, bfloat16",
    "pipeline in float32": "transformers pipeline, float32",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shape", default="4x256", choices=sorted(SIZES))
    parser.add_argument("--calls", type=int, default=100, help="warm calls a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cold-rounds", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="a tiny network, a few calls")
    options = parser.parse_args()
    if options.smoke:
        options.shape, options.calls, options.rounds, options.cold_rounds = "tiny", 3, 1, 1
    folders = made(options.shape)
    warm(folders, options)
    cold(folders, options)


def makes(folders: Folders) -> dict[str, Callable[[], bert_peers.Read]]:
    return {
        "sopan": partial(make_ours, folders.sopan(LENGTH), "bfloat16"),
        "pipeline": partial(bert_peers.make_pipeline, folders.hugging_face, LENGTH),
        "pipeline in float32": partial(bert_peers.make_pipeline, folders.hugging_face, LENGTH, "float32"),
        "keras_hub": partial(bert_peers.make_keras_hub, folders.keras_hub, LENGTH),
    }


def warm(folders: Folders, options: argparse.Namespace) -> None:
    """Report the median and the 99th percentile of a call."""
    found = contest(
        {name: partial(calls_of, make, options.calls) for name, make in makes(folders).items()},
        rounds=options.rounds,
    )
    check({name: float(results[0][1]) for name, results in found.results.items()})
    times = {name: np.array([spent for spent, _ in results]) * 1e3 for name, results in found.results.items()}
    middle = {name: np.median(spent, axis=1) for name, spent in times.items()}
    tail = {name: float(np.percentile(spent, 99)) for name, spent in times.items()}
    rows = [("contender", "p50 ms", "p99 ms")]
    rows += [(name, f"{np.median(middle[name]):.2f}", f"{tail[name]:.2f}") for name in times]
    table(f"{options.shape}, one text of {len(TEXT.split())} words, warm", rows)
    for peer, bar in WARM_BARS.items():
        report(
            f"bert latency {options.shape}, warm p50",
            peer_name=NAMES[peer],
            ours=float(np.median(middle["sopan"])),
            peer=float(np.median(middle[peer])),
            ratio=float(np.median(middle[peer] / middle["sopan"])),
            bar=bar,
            unit="ms",
            calls=options.calls * options.rounds,
            p99=round(tail["sopan"], 3),
            p99_peer=round(tail[peer], 3),
        )


def calls_of(make: Callable[[], bert_peers.Read], calls: int) -> Work:
    """Turn what reads texts into a contender that times so many calls itself."""
    read = make()

    def work(number: int) -> tuple[list[float], float]:
        spent = []
        for _ in range(calls if number >= 0 else 5):
            started = time.perf_counter()
            answer = read([TEXT])
            spent.append(time.perf_counter() - started)
        return spent, float(answer[0])

    return work


def cold(folders: Folders, options: argparse.Namespace) -> None:
    """Report the time from starting an interpreter to its first answer."""
    programs = {
        "sopan": _program("bert_ours", "make_ours", folders.sopan(LENGTH), "bfloat16"),
        "pipeline": _program("bert_peers", "make_pipeline", folders.hugging_face, LENGTH),
        "keras_hub": _program("bert_peers", "make_keras_hub", folders.keras_hub, LENGTH),
    }
    found = contest(
        {name: partial(starts_of, program) for name, program in programs.items()},
        rounds=options.cold_rounds,
        warm_up=0 if options.smoke else 1,
    )
    check({name: results[0] for name, results in found.results.items()})
    rows = [("contender", "seconds"), *((name, f"{found.median(name):.2f}") for name in programs)]
    table(f"{options.shape}, process start to first answer", rows)
    for peer, bar in COLD_BARS.items():
        report(
            f"bert latency {options.shape}, cold start",
            peer_name=NAMES[peer],
            ours=found.median("sopan"),
            peer=found.median(peer),
            ratio=found.ratio("sopan", peer),
            bar=bar,
            unit="s",
            rounds=options.cold_rounds,
        )


def _program(module: str, make: str, folder: Path, given: str | int) -> str:
    return (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); from pathlib import Path\n"
        f"from {module} import {make}\n"
        f"print(float({make}(Path({str(folder)!r}), {given!r})([{TEXT!r}])[0]))"
    )


def starts_of(program: str) -> Work:
    """Make a contender of which each round is a fresh interpreter that runs a program."""

    def work(number: int) -> float:
        done = subprocess.run(
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=True,
        )
        return float(done.stdout.split()[-1])

    return work


def check(answers: dict[str, float]) -> None:
    """Hold that all say the same of the text.

    Raises:
        SystemExit: they do not.
    """
    if max(answers.values()) - min(answers.values()) > 0.1:
        raise SystemExit(f"the contenders differ: {answers}")


if __name__ == "__main__":
    main()
