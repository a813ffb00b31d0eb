"""How fast is WordPiece, against transformers' fast tokenizer on the same vocabulary?

    python bench/wordpiece.py [--each 10000] [--smoke]

Each round cuts the next `--each` of the 50,000 labelled reviews, given as a list of strings, into ids of the
public BERT-uncased vocabulary, without special pieces. Both sides stand on the same Rust library and may use
every core, so that the bar is 1: what is measured is what is put around it. The ids are equal, which is held
before anything is timed.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from measure import Work, contest, report, table
from reviews import labelled

from sopan.steps.presets import preset_folder

BAR = 1.0


def main() -> None:
    """Hold that the ids are equal; measure; print a table and a line of JSON."""
    asked = parse()
    each, rounds = (300, 2) if asked.smoke else (asked.each, 5)
    data, vocab = labelled(), preset_folder("minilm") / "vocab.txt"
    hold_equal(data, vocab)
    sides = {side: partial(make, side, data, vocab, each) for side in CUTTERS}
    found = contest(sides, rounds=rounds)
    pieces, peers = (sum(found.results[side]) for side in CUTTERS)
    if pieces != peers:
        raise SystemExit(f"sopan found {pieces} pieces, transformers {peers}")
    ours, peer = found.median("sopan"), found.median("transformers")
    ratio = found.ratio("sopan", "transformers")
    row = (f"{each:,}", f"{ours:.3f} s", f"{peer:.3f} s", f"{ratio:.2f}")
    table("WordPiece", [("texts", "sopan", "transformers", "ratio"), row])
    report(
        "wordpiece",
        peer_name="transformers' fast tokenizer",
        ours=each / ours,
        peer=each / peer,
        ratio=ratio,
        bar=BAR,
        unit="texts/s",
        rounds=rounds,
        texts=each,
        pieces=pieces,
    )


def parse() -> argparse.Namespace:
    """Read the command line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--each", type=int, default=10_000, help="reviews in a round")
    arguments.add_argument("--smoke", action="store_true", help="seconds, to see that it runs")
    return arguments.parse_args()


def sopan(vocab: Path) -> Any:
    """Return what makes one array of ids of many texts."""
    from sopan.text.wordpiece import WordPiece  # noqa: PLC0415 - not in the peer's process

    pieces = WordPiece.load(vocab)
    return lambda texts: pieces.encode(texts).ids


def transformers(vocab: Path) -> Any:
    """Return what makes a list of ids of each of many texts."""
    from transformers import BertTokenizerFast  # noqa: PLC0415 - not in our process

    cut = BertTokenizerFast(str(vocab), do_lower_case=True, model_max_length=1_000_000)
    quiet = {"return_attention_mask": False, "return_token_type_ids": False}
    return lambda texts: cut(texts, add_special_tokens=False, **quiet)["input_ids"]


CUTTERS = {"sopan": sopan, "transformers": transformers}


def make(side: str, data: Path, vocab: Path, each: int) -> Work:
    """Return one contender's work; it answers with the number of pieces."""
    reviews = pq.read_table(data, columns=["text"])["text"].to_pylist()
    cut = CUTTERS[side](vocab)

    def work(number: int) -> int:
        first = max(0, number) * each
        found = cut(reviews[first : first + each])
        return len(found) if side == "sopan" else sum(map(len, found))

    return work


def hold_equal(data: Path, vocab: Path) -> None:
    """Compare the ids of 1,000 reviews.

    Raises:
        AssertionError: one differs.
    """
    texts = pq.read_table(data, columns=["text"])["text"][:1000].to_pylist()
    np.testing.assert_array_equal(sopan(vocab)(texts), np.concatenate(transformers(vocab)(texts)))


if __name__ == "__main__":
    main()
