"""Pre-train `sopan-mini`, the BERT that sopan ships; run anew, it goes on where it was.

    python recipes/sopan_mini.py --articles WIKIPEDIA.parquet --books GUTENBERG.parquet --work runs/sopan-mini

The reviews are those of `sopan data imdb` and `imdb-unlabelled`. Any tables of articles and of books with a
column `text` will do; the shipped weights have read 71,239 articles of English Wikipedia over 600 characters,
and 271 books of Project Gutenberg.

1. The corpus: IMDB's reviews without labels, but for copies of labelled ones and for 1% that is held out;
   6,000 articles of the encyclopedia; 700 stretches of books.
2. The phases of `PHASES`, each on from the last: in short rows attention finds its neighbours sooner, and
   rows that begin at a random place (`shift`) teach the far places too. The last phases read reviews alone.
3. The weights: the mean of those that the last two phases ended with (Wortsman et al. 2022, "Model soups").
4. The exam: 2,000 sentences of the held-out reviews, a word of each hidden.

What it writes: WORK/sopan-mini, the folder that stands in src/sopan/presets, its card and its log included.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sopan.lm.evaluate import evaluate_blanks, make_blanks, sentences
from sopan.lm.hugging_face import save_hugging_face
from sopan.lm.model_card import describe_model
from sopan.steps.language_model import LanguageModel
from sopan.steps.presets import from_preset
from sopan.text.datasets import fetch
from sopan.text.unicode import LINE_BREAK
from sopan.types import Json
from sopan.usecases.adapting import adapt
from sopan.usecases.pretraining import pretrain

ARTICLES, STRETCHES, STRETCH = 6000, 700, 20_000
"""Articles, stretches of books, and characters of such a stretch."""
HELD_OUT = 100
"""One review in so many is held out."""
ENCODER = {"vocabulary": 12_000, "width": 256, "depth": 4, "heads": 4, "max_length": 256}


class Phase(NamedTuple):
    """What one phase reads, and how the rate goes."""

    reviews_only: bool
    rows: int
    length: int
    mask_rate: float
    shift: int
    learning_rate: float
    warm_up: int
    decay: float
    """Share of the steps, the last ones, in which the rate falls to 0."""
    steps: int

    def options(self, scale: float) -> dict[str, Json]:
        """Return the options of `pretrain` and `adapt`, for so many of its steps."""
        same = ("rows", "length", "mask_rate", "shift", "learning_rate", "decay")
        return {name: getattr(self, name) for name in same} | {
            "warm_up": round(self.warm_up * scale),
            "optimizer": "muon",
            "look_every": 250,
            "steps": max(2, round(self.steps * scale)),
            "held_out": 0.005,
            "progress": tell,
        }


PHASES = {
    "begin": Phase(False, 16, 256, 0.2, 0, 2e-3, 200, 0.0, 750),
    "neighbours": Phase(False, 64, 64, 0.2, 0, 1e-3, 100, 0.0, 1704),
    "stretch": Phase(False, 16, 256, 0.2, 0, 1e-3, 20, 0.9, 350),
    "short": Phase(False, 64, 64, 0.2, 0, 1e-3, 200, 0.25, 5200),
    "shifted": Phase(True, 64, 64, 0.2, 192, 1e-3, 90, 0.1, 900),
    "long": Phase(True, 16, 256, 0.15, 0, 8e-4, 50, 0.8, 1000),
    "more": Phase(True, 64, 64, 0.15, 192, 1e-3, 50, 0.6, 3200),
    "settle": Phase(True, 64, 64, 0.15, 192, 8e-4, 50, 0.9, 2600),
    "last": Phase(True, 32, 128, 0.15, 128, 7e-4, 50, 0.9, 1300),
}
"""As the shipped weights were made; `docs/log.md` says what each was worth."""

COUNTED = ("step", "pieces", "seconds")
"""What a look at held-out text counts from the beginning of its phase."""


def plain(text: str) -> str:
    """Return a text with its line breaks and runs of spaces as single spaces."""
    return " ".join(re.sub(LINE_BREAK, " ", text).split())


def write(path: Path, texts: list[str]) -> None:
    """Write texts as a Parquet table of one column."""
    pq.write_table(pa.table({"text": pa.array(texts, pa.large_string())}), path)


def stretches(book: str) -> Iterator[str]:
    """Cut a book, but for its first pages, into stretches."""
    for start in range(2000, len(book) - STRETCH, STRETCH):
        yield plain(book[start : start + STRETCH])


def make_corpus(articles: Path, books: Path, work: Path) -> tuple[Path, Path, Path]:
    """Write all texts that teach, the reviews among them, and the held-out reviews; none is labelled."""
    everything, alone, held_out = (work / f"{name}.parquet" for name in ("corpus", "reviews", "held_out"))
    if not (everything.exists() and alone.exists() and held_out.exists()):
        rng = np.random.default_rng(0)
        labelled = {plain(text) for text in column(fetch("imdb"))}
        reviews = dict.fromkeys(map(plain, column(fetch("imdb-unlabelled"))))
        reviews = [text for text in reviews if text not in labelled]
        apart = [zlib.crc32(text.encode()) % HELD_OUT == 0 for text in reviews]
        entries = column(articles)
        entries = [plain(entries[i]) for i in rng.permutation(len(entries))[:ARTICLES]]
        parts = [part for book in column(books) for part in stretches(book)]
        parts = [parts[i] for i in rng.permutation(len(parts))[:STRETCHES]]
        teach = [text for text, is_apart in zip(reviews, apart, strict=True) if not is_apart]
        texts = teach + entries + parts
        write(held_out, [text for text, is_apart in zip(reviews, apart, strict=True) if is_apart])
        write(alone, teach)
        write(everything, [texts[i] for i in rng.permutation(len(texts))])
    return everything, alone, held_out


def column(path: Path) -> list[str]:
    """Read the column `text` of a Parquet file."""
    return pq.read_table(path, columns=["text"])["text"].to_pylist()


def end_to_end(parts: list[list[dict]]) -> list[dict]:
    """Count the looks of every part on from the last of the part before."""
    looks: list[dict] = []
    for part in parts:
        last = looks[-1] if looks else dict.fromkeys(COUNTED, 0)
        looks += [{**look, **{name: look[name] + last[name] for name in COUNTED}} for look in part]
    return looks


def tell(part: str, message: dict) -> None:
    """Log every look at held-out text."""
    if "evaluation" in message:
        print(json.dumps(message["evaluation"]), file=sys.stderr, flush=True)


def run_phases(everything: Path, reviews: Path, work: Path, precision: str, scale: float) -> list[Json]:
    """Run the phases, but for those whose folder is there; return the account of each."""
    accounts, before = [], None
    for name, phase in PHASES.items():
        out, corpus = work / name, [reviews if phase.reviews_only else everything]
        options = {**phase.options(scale), "precision": precision}
        if not out.exists() and before is None:
            pretrain(corpus, out, **ENCODER, **options)
        elif not out.exists():
            adapt(str(before), corpus, out, words=0, **options)
        accounts.append(json.loads((out / "training.json").read_text()))
        before = out
    return accounts


def mean_of_last(work: Path) -> LanguageModel:
    """Return the model whose weights are the mean of those of the last two phases."""
    one, other = (from_preset(str(work / name)) for name in list(PHASES)[-2:])
    weights = other.weights()
    other.set_weights({path: (array + weights[path]) / 2 for path, array in one.weights().items()})
    return other


def main() -> None:
    """Run the recipe."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--articles", type=Path, required=True)
    parser.add_argument("--books", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("runs/sopan-mini"))
    parser.add_argument("--scale", type=float, default=1.0, help="of the steps: 0.001 to see that it runs")
    parser.add_argument("--precision", default="bfloat16", choices=["float32", "bfloat16"])
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    everything, reviews, held_out = make_corpus(given.articles, given.books, given.work)
    accounts = run_phases(everything, reviews, given.work, given.precision, given.scale)
    model = mean_of_last(given.work)
    rng = np.random.default_rng(0)
    blanks = make_blanks(sentences(column(held_out), 2000, rng), model.wordpiece, rng)
    account = {
        "corpus": ["IMDB reviews without labels", "English Wikipedia", "Project Gutenberg"],
        "settings": accounts[-1]["settings"],
        "phases": [phase["settings"] for phase in accounts],
        "looks": end_to_end([phase["looks"] for phase in accounts]),
        "blanks": evaluate_blanks(model, blanks).as_json(),
    }
    card = describe_model(model, account, title="sopan-mini")
    save_hugging_face(model, given.work / "sopan-mini", card=card, stored="float16", account=account)
    print(json.dumps(account["blanks"]))


if __name__ == "__main__":
    main()
