"""Pre-train `sopan-mini`, the BERT that sopan ships, from the shared data; run anew, it goes on where it was.

    python recipes/sopan_mini.py --data ../shared/data --work runs/sopan-mini --steps 9000,2000

1. The corpus: IMDB's reviews without labels, but for copies of labelled ones and for 1% that is held out;
   6,000 articles of the encyclopedia; 700 stretches of books.
2. From nothing or, with --begin FOLDER, on from a model, whose account becomes part of the new one's.
   Short rows first (64 pieces): attention finds its neighbours sooner among few. Then rows of 256.
3. The exam: 2,000 sentences of the held-out reviews, a word of each hidden.

What it writes: WORK/sopan-mini, the folder that stands in src/sopan/presets, its card and its log included.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sopan.lm.card import describe_model
from sopan.lm.evaluate import fill_blanks, make_blanks, sentences
from sopan.lm.hugging_face import save_hugging_face
from sopan.rungs.presets import from_preset
from sopan.usecases.adapting import adapt
from sopan.usecases.pretraining import pretrain

ARTICLES, STRETCHES, STRETCH = 6000, 700, 20_000
"""Articles, stretches of books, and characters of such a stretch."""
HELD_OUT = 100
"""One review in so many is held out."""
VOCABULARY = 12_000
ENCODER = {"width": 256, "depth": 4, "heads": 4, "max_length": 256}
RECIPE = {"learning_rate": 1e-3, "optimizer": "muon", "decay": 0.25, "judge_every": 250}


COUNTED = ("step", "pieces", "seconds")
"""What a look at held-out text counts from the beginning of its part."""


def plain(text: str) -> str:
    """Return a text with its line breaks and runs of spaces as single spaces."""
    return " ".join(text.replace("<br />", " ").split())


def write(path: Path, texts: list[str]) -> Path:
    """Write texts as a Parquet table of one column."""
    pq.write_table(pa.table({"text": pa.array(texts, pa.large_string())}), path)
    return path


def stretches(book: str) -> Iterator[str]:
    """Cut a book, but for its first pages, into stretches."""
    for start in range(2000, len(book) - STRETCH, STRETCH):
        yield plain(book[start : start + STRETCH])


def make_corpus(data: Path, work: Path) -> tuple[list[Path], Path]:
    """Write the texts that teach, shuffled, and the held-out reviews; no labelled text is in either."""
    teach, held_out = work / "corpus.parquet", work / "held_out.parquet"
    if not (teach.exists() and held_out.exists()):
        rng = np.random.default_rng(0)
        labelled = {plain(text) for text in column(data / "imdb_labelled.parquet", "review")}
        reviews = dict.fromkeys(map(plain, column(data / "imdb_unlabelled.parquet", "review")))
        reviews = [text for text in reviews if text not in labelled]
        apart = [zlib.crc32(text.encode()) % HELD_OUT == 0 for text in reviews]
        articles = column(data / "enwiki_sample.parquet", "text")
        articles = [plain(articles[i]) for i in rng.permutation(len(articles))[:ARTICLES]]
        books = [
            part for book in column(data / "gutenberg_sample.parquet", "text") for part in stretches(book)
        ]
        books = [books[i] for i in rng.permutation(len(books))[:STRETCHES]]
        texts = [text for text, is_apart in zip(reviews, apart, strict=True) if not is_apart]
        texts += articles + books
        write(held_out, [text for text, is_apart in zip(reviews, apart, strict=True) if is_apart])
        write(teach, [texts[i] for i in rng.permutation(len(texts))])
    return [teach], held_out


def column(path: Path, name: str) -> list[str]:
    """Read one column of a Parquet file."""
    return pq.read_table(path, columns=[name])[name].to_pylist()


def end_to_end(parts: list[list[dict]]) -> list[dict]:
    """Count the looks of every part on from the last of the part before."""
    looks: list[dict] = []
    for part in parts:
        last = looks[-1] if looks else dict.fromkeys(COUNTED, 0)
        looks += [{**look, **{name: look[name] + last[name] for name in COUNTED}} for look in part]
    return looks


def tell(part: str, message: dict) -> None:
    """Log every look at held-out text."""
    if "look" in message:
        print(json.dumps(message["look"]), file=sys.stderr, flush=True)


def main() -> None:
    """Run the recipe."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("runs/sopan-mini"))
    parser.add_argument("--steps", default="9000,2000", help="on rows of 64 pieces, on rows of 256")
    parser.add_argument("--begin", type=Path, help="the folder of a model to go on from")
    parser.add_argument("--precision", default="bfloat16", choices=["float32", "bfloat16"])
    given = parser.parse_args()
    short, long = map(int, given.steps.split(","))
    given.work.mkdir(parents=True, exist_ok=True)
    corpus, held_out = make_corpus(given.data, given.work)
    common = {"precision": given.precision, "tell": tell, "held_out": 0.005}
    first = {
        "task": {"length": 64, "rows": 64, "mask_rate": 0.2},
        "recipe": {**RECIPE, "warm_up": 200},
        "steps": short,
    }
    if given.begin is None:
        before = {"phases": [], "looks": []}
        made = pretrain(
            corpus, given.work / "short", encoder=ENCODER, vocabulary=VOCABULARY, **first, **common
        )
    else:
        before = json.loads((given.begin / "training.json").read_text())
        made = adapt(str(given.begin), corpus, given.work / "short", words=0, **first, **common)["training"]
    then = adapt(
        str(given.work / "short"),
        corpus,
        given.work / "long",
        words=0,
        task={"length": 256, "rows": 16, "mask_rate": 0.2},
        recipe={**RECIPE, "learning_rate": 5e-4, "decay": 0.9},
        steps=long,
        **common,
    )["training"]
    model = from_preset(str(given.work / "long"))
    rng = np.random.default_rng(0)
    blanks = make_blanks(sentences(column(held_out, "text"), 2000, rng), model.wordpiece, rng)
    account = {
        "corpus": ["IMDB reviews without labels", "English Wikipedia", "Project Gutenberg"],
        "settings": made["settings"],
        "phases": [*before["phases"], made["settings"], then["settings"]],
        "looks": end_to_end([before["looks"], made["looks"], then["looks"]]),
        "blanks": fill_blanks(model, blanks).as_json(),
    }
    card = describe_model(model, account, title="sopan-mini")
    save_hugging_face(model, given.work / "sopan-mini", card=card, stored="float16", account=account)
    print(json.dumps(account["blanks"]))


if __name__ == "__main__":
    main()
