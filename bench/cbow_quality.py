"""Are our CBOW's word vectors as good as gensim's, at equal settings, and how fast are both?

python bench/cbow_quality.py [--texts N] [--seeds K] [--threads T] [--gensim-rate R]

Both read the same words of the same texts: 100 dimensions, window 5, 5 negatives, 5 epochs, words seen 5
times or more, subsampling at 1e-3. The learning rate is each one's own default, unless gensim is given
another: the corrected gradient makes smaller steps at the same rate. Quality is Spearman's rank correlation,
in percent, of cosines with human ratings: WordSim-353 and MEN. Speed is of the passes over the corpus alone,
in words before any are left out.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from gensim.models import Word2Vec
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr

from sopan.rungs.embedding import CbowSettings, train_word_vectors
from sopan.text.read import read_texts
from sopan.text.vectors import WordVectors
from sopan.text.vocab import Vocabulary, build_vocabulary
from sopan.types import Encoded

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
RATINGS = {"WordSim-353": "EN-WS-353-ALL.txt", "MEN": "EN-MEN-TR-3k.txt"}
EQUAL = CbowSettings(dimension=100, window=5, negatives=5, epochs=5, subsample=1e-3)
MIN_COUNT = 5

Maker: TypeAlias = Callable[[int], tuple[WordVectors, "Stopwatch"]]


class Stopwatch:
    """Times a block by the clock, and by how long cores were busy with it."""

    def __enter__(self) -> Stopwatch:
        self.wall, self.busy = -time.perf_counter(), -time.process_time()
        return self

    def __exit__(self, *error: object) -> None:
        self.wall += time.perf_counter()
        self.busy += time.process_time()


def main() -> None:
    """Train both with each seed; print a table and a line of JSON."""
    options = parse()
    texts = read_texts(options.data)[0].slice(0, options.texts)
    vocabulary, encoded = build_vocabulary(texts, min_count=MIN_COUNT)
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus.txt"
        n_words = write_corpus(texts, corpus)
        makers: dict[str, Maker] = {
            "sopan": lambda seed: train_ours(vocabulary, encoded, options.threads, seed),
            "gensim": lambda seed: train_gensim(corpus, n_words, options, seed),
        }
        makers["sopan"](0)  # compiles
        runs = [
            {"by": by, "seed": seed, **measure(make, seed, n_words, options.wordsim)}
            for seed in range(options.seeds)
            for by, make in makers.items()
        ]
    report(
        runs,
        {
            "texts": len(texts),
            "words": n_words,
            "threads": options.threads,
            "gensim_rate": options.gensim_rate,
        },
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--texts", type=int, default=None, help="only the first N")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--gensim-rate", type=float, default=0.025, help="gensim's learning rate")
    parser.add_argument("--data", default=str(SHARED / "imdb_unlabelled.parquet"))
    parser.add_argument("--wordsim", type=Path, default=SHARED / "wordsim")
    return parser.parse_args()


def write_corpus(texts: pa.LargeStringArray, path: Path) -> int:
    """Write the texts as gensim reads them, words between spaces, one text a line; return how many words."""
    vocabulary, encoded = build_vocabulary(texts)
    words = np.array(vocabulary.words, dtype=object)
    with path.open("w", encoding="utf-8") as out:
        for start, stop in zip(encoded.offsets[:-1], encoded.offsets[1:], strict=True):
            out.write(" ".join(words[encoded.ids[start:stop]]) + "\n")
    return len(encoded.ids)


def train_ours(
    vocabulary: Vocabulary, encoded: Encoded, threads: int, seed: int
) -> tuple[WordVectors, Stopwatch]:
    assert vocabulary.counts is not None, "a built vocabulary has counts"
    settings, rng = replace(EQUAL, threads=threads), np.random.default_rng(seed)
    with Stopwatch() as watch:
        vectors = train_word_vectors(encoded, vocabulary.counts, settings, rng)
    return WordVectors(vocabulary.words, vectors), watch


def train_gensim(
    corpus: Path, n_words: int, options: argparse.Namespace, seed: int
) -> tuple[WordVectors, Stopwatch]:
    model = Word2Vec(
        vector_size=EQUAL.dimension,
        window=EQUAL.window,
        negative=EQUAL.negatives,
        min_count=MIN_COUNT,
        sample=EQUAL.subsample,
        sg=0,
        cbow_mean=1,
        workers=options.threads,
        alpha=options.gensim_rate,
        seed=seed,
    )
    model.build_vocab(corpus_file=str(corpus))
    size = {"total_examples": model.corpus_count, "total_words": n_words}
    with Stopwatch() as watch:
        model.train(corpus_file=str(corpus), epochs=EQUAL.epochs, **size)
    return WordVectors(tuple(model.wv.index_to_key), model.wv.vectors), watch


def measure(make: Maker, seed: int, n_words: int, ratings: Path) -> dict[str, float]:
    """Train; return quality, and words a second by the clock and by the time that cores were busy."""
    vectors, watch = make(seed)
    passed = EQUAL.epochs * n_words
    speed = {"words_per_second": passed / watch.wall, "words_per_busy_second": passed / watch.busy}
    return {name: correlation(vectors, ratings / file) for name, file in RATINGS.items()} | speed


def correlation(vectors: WordVectors, ratings: Path) -> float:
    """Return 100 times Spearman's correlation over the pairs of which both words are known."""
    pairs = [line.split() for line in ratings.read_text(encoding="utf-8").lower().splitlines()]
    known = [(a, b, float(score)) for a, b, score in pairs if a in vectors and b in vectors]
    cosines = [
        vectors[a] @ vectors[b] / (np.linalg.norm(vectors[a]) * np.linalg.norm(vectors[b]))
        for a, b, _ in known
    ]
    return 100 * float(spearmanr(cosines, [score for *_, score in known]).statistic)


def report(runs: list[dict[str, float]], corpus: dict[str, int]) -> None:
    columns = [*RATINGS, "words_per_second", "words_per_busy_second"]
    means = {
        by: {name: float(np.mean([run[name] for run in runs if run["by"] == by])) for name in columns}
        for by in ("sopan", "gensim")
    }
    seeds = len(runs) // 2
    table = Table(
        "", *columns, title=f"{corpus['words']:,} words, {corpus['threads']} thread(s), {seeds} seed(s)"
    )
    for by, row in means.items():
        table.add_row(
            by, *(f"{row[name]:,.2f}" if name in RATINGS else f"{row[name]:,.0f}" for name in columns)
        )
    ratios = {name: means["sopan"][name] / means["gensim"][name] for name in columns}
    table.add_row("ratio", *(f"{ratios[name]:.2f}" for name in columns))
    Console().print(table)
    print(json.dumps({"bench": "cbow_quality", **corpus, "means": means, "ratios": ratios, "runs": runs}))


if __name__ == "__main__":
    main()
