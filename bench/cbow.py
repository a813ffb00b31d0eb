"""Word vectors from a text file by CBOW: how fast, and are they as good, against gensim and fastText?

    python bench/cbow.py [--data FILE] [--texts N] [--rounds N] [--rates] [--smoke]

All read the same file, one text a line, words between spaces, and give a vector to each word that occurs 5
times or more: 100 dimensions, windows of up to 5, 5 negatives, 3 epochs, two threads each. Against each peer
ours thins frequent words as that peer does by default (gensim: 1e-3, fastText: 1e-4), so that both train on
as many words; the learning rate is each one's own. Each round is another seed.

* ratio: raw words a second, of training alone: of the passes over the corpus, in words before any are left
  out. fastText does not tell its passes from its reading, so what it takes without passes is taken off.
* whole: the same from the file to the vectors: ours reads, finds words as everywhere and counts them too.
* limit: the multiplications and additions of the targets' scores and gradients, at the rate at which
  the cores multiply and add when they do nothing else.

`--rates` trains each with other learning rates as well, one seed each, and compares each one's best.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Any, NamedTuple

import fasttext
import numpy as np
import pyarrow as pa
from cbow_quality import MEASURES, quality
from gensim.models import Word2Vec
from measure import Contest, Work, contest, report, table
from reviews import unlabelled

from sopan.kernels import float_kernel
from sopan.kernels.simd import LANES, add_product, broadcast, total
from sopan.steps.embedding import CbowSettings, keep_chances, train_word_vectors
from sopan.text.read import read_texts
from sopan.text.vectors import WordVectors
from sopan.text.vocab import build_vocabulary

THREADS, MIN_COUNT = 2, 5
EQUAL = CbowSettings(
    dimension=100, window=5, negatives=5, epochs=3, noise_words=16, threads=THREADS, learning_rate=0.2
)
THINNED = {"gensim": 1e-3, "fastText": 1e-4}
BARS = {"gensim": 3.0, "fastText": 6.0}
RATES = {"sopan": (0.1, 0.2, 0.3), "gensim": (0.025, 0.05, 0.1), "fastText": (0.05, 0.1, 0.2)}


TRIES = 10
"""fastText's threads overwrite each other's sums; where that ends in its "Encountered NaN" it tries again."""


class Trained(NamedTuple):
    """What training gave.

    Args:
        vectors: of the words.
        seconds: that the passes over the corpus took.
        whole: seconds from the file to the vectors.
        failed: tries before this one that ended in NaN; not timed.
    """

    vectors: WordVectors
    seconds: float
    whole: float
    failed: int = 0


# ---- the contenders ----------------------------------------------------------------------


def make_sopan(corpus: str, subsample: float, rate: float = EQUAL.learning_rate) -> Work:
    def work(number: int) -> Trained:
        opened = time.perf_counter()
        vocabulary, encoded = build_vocabulary(read_texts(corpus)[0], min_count=MIN_COUNT)
        settings = replace(EQUAL, subsample=subsample, learning_rate=rate)
        rng = np.random.default_rng(number + 1)
        started = time.perf_counter()
        vectors = train_word_vectors(encoded, vocabulary.counts, settings, rng)
        ended = time.perf_counter()
        return Trained(WordVectors(vocabulary.words, vectors), ended - started, ended - opened)

    return work


def make_gensim(corpus: str, subsample: float, rate: float = RATES["gensim"][0]) -> Work:
    def work(number: int) -> Trained:
        opened = time.perf_counter()
        model = Word2Vec(
            vector_size=EQUAL.dimension,
            window=EQUAL.window,
            negative=EQUAL.negatives,
            min_count=MIN_COUNT,
            sample=subsample,
            sg=0,
            workers=THREADS,
            alpha=rate,
            seed=number + 2,
        )
        model.build_vocab(corpus_file=corpus)
        size = {"total_examples": model.corpus_count, "total_words": model.corpus_total_words}
        started = time.perf_counter()
        model.train(corpus_file=corpus, epochs=EQUAL.epochs, **size)
        ended = time.perf_counter()
        vectors = WordVectors(tuple(model.wv.index_to_key), model.wv.vectors)
        return Trained(vectors, ended - started, ended - opened)

    return work


def make_fasttext(corpus: str, subsample: float, rate: float = RATES["fastText"][0]) -> Work:
    def train(epochs: int) -> Any:
        return fasttext.train_unsupervised(
            corpus,
            model="cbow",
            dim=EQUAL.dimension,
            ws=EQUAL.window,
            neg=EQUAL.negatives,
            minCount=MIN_COUNT,
            minn=0,
            maxn=0,
            t=subsample,
            lr=rate,
            epoch=epochs,
            thread=THREADS,
            verbose=0,
        )

    def work(_number: int) -> Trained:
        for failed in range(TRIES):
            started = time.perf_counter()
            try:
                model = train(EQUAL.epochs)
            except RuntimeError:
                continue
            whole = time.perf_counter() - started
            words = tuple(model.get_words())
            vectors = WordVectors(words, model.get_input_matrix()[: len(words)])
            return Trained(vectors, whole - reading, whole, failed)
        return Trained(WordVectors((), np.empty((0, EQUAL.dimension), np.float32)), np.nan, np.nan, TRIES)

    started = time.perf_counter()
    with suppress(RuntimeError):  # it reads, and then complains that it has no loss to tell of
        train(0)
    reading = time.perf_counter() - started
    return work


MAKERS = {"sopan": make_sopan, "gensim": make_gensim, "fastText": make_fasttext}

# ---- the limit ---------------------------------------------------------------------------


@float_kernel
def multiply_and_add(times: int, start: np.ndarray) -> float:
    """Do eight rows of lanes' products and sums so many times, in registers."""
    a, b = broadcast(start[0]), broadcast(start[1])
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = a
    for _ in range(times):
        s0, s1, s2, s3 = (
            add_product(a, s0, b),
            add_product(a, s1, b),
            add_product(a, s2, b),
            add_product(a, s3, b),
        )
        s4, s5, s6, s7 = (
            add_product(a, s4, b),
            add_product(a, s5, b),
            add_product(a, s6, b),
            add_product(a, s7, b),
        )
    return total(s0) + total(s1) + total(s2) + total(s3) + total(s4) + total(s5) + total(s6) + total(s7)


def products_a_second(times: int = 20_000_000) -> float:
    """Return how many float32 products, each with a sum, the cores do in a second at most."""
    start = np.array([1e-3, 0.5], np.float32)
    multiply_and_add(1, start)
    fastest = np.inf
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in range(3):
            started = time.perf_counter()
            list(pool.map(multiply_and_add, [times] * THREADS, [start] * THREADS))
            fastest = min(fastest, time.perf_counter() - started)
    return THREADS * times * 8 * LANES / fastest


def products_a_word(corpus: str, subsample: float) -> float:
    """Return how many products a word of the corpus needs, those included that are left out and need none.

    A target's score, its part in the error, and its change: 3 · D; and the same with each noise word.
    """
    vocabulary, encoded = build_vocabulary(read_texts(corpus)[0], min_count=MIN_COUNT)
    kept = float(keep_chances(vocabulary.counts, subsample) @ vocabulary.counts) / len(encoded.ids)
    return kept * 3 * EQUAL.dimension * (1 + EQUAL.noise_words)


# ---- the measurement ---------------------------------------------------------------------


def main() -> None:
    """Print tables, and a line of JSON for each peer."""
    options = parse()
    with tempfile.TemporaryDirectory() as folder:
        corpus = str(Path(folder) / "corpus.txt")
        texts, _ = read_texts(options.data or unlabelled())
        n_words = write_corpus(texts.slice(0, options.texts), Path(corpus))
        for peer, subsample in THINNED.items():
            makes = {name: partial(MAKERS[name], corpus, subsample) for name in ("sopan", peer)}
            found = contest(makes, rounds=options.rounds)
            tell(peer, found, n_words, options, corpus)
            if options.rates:
                tell_rates(peer, corpus)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="a table of texts; the reviews without labels unless given")
    parser.add_argument("--texts", type=int, default=None, help="only the first N")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rates", action="store_true", help="also each one's best of some learning rates")
    parser.add_argument("--smoke", action="store_true", help="400 texts, one round: shows that it runs")
    options = parser.parse_args()
    if options.smoke:
        options.texts, options.rounds = 400, 1
    return options


def write_corpus(texts: pa.LargeStringArray, path: Path) -> int:
    """Write the texts' words as peers read them, between spaces, one text a line; return how many words."""
    vocabulary, encoded = build_vocabulary(texts)
    words = np.array(vocabulary.words, dtype=object)
    with path.open("w", encoding="utf-8") as out:
        for start, stop in zip(encoded.offsets[:-1], encoded.offsets[1:], strict=True):
            out.write(" ".join(words[encoded.ids[start:stop]]) + "\n")
    return len(encoded.ids)


def tell(peer: str, found: Contest, n_words: int, options: argparse.Namespace, corpus: str) -> None:
    """Print what a contest found, of the rounds that the peer came through."""
    passed = EQUAL.epochs * n_words
    failed = sum(result.failed for result in found.results[peer])
    rounds = [i for i, result in enumerate(found.results[peer]) if result.failed < TRIES]
    if not rounds:
        print(f"{peer}: {failed} tries, and each ended in a NaN of its own")
        ours = passed / median(one.seconds for one in found.results["sopan"])
        nothing = {"peer": None, "ratio": None, "bar": BARS[peer], "peer_failed": failed}
        report("cbow", peer_name=peer, ours=ours, unit="raw words/s of training", **nothing)
        return
    results = {name: [found.results[name][i] for i in rounds] for name in found.results}
    speed = {name: passed / median(one.seconds for one in ones) for name, ones in results.items()}
    whole = {name: passed / median(one.whole for one in ones) for name, ones in results.items()}
    pairs = list(zip(results["sopan"], results[peer], strict=True))
    marks = {name: mean_quality(ones) for name, ones in results.items()}
    limit = products_a_second() / products_a_word(corpus, THINNED[peer])
    rows = [("", "M words/s, training", "M words/s, whole", *MEASURES)]
    for name in results:
        good = (f"{marks[name][measure]:.1f}" for measure in MEASURES)
        rows.append((name, f"{speed[name] / 1e6:.2f}", f"{whole[name] / 1e6:.2f}", *good))
    table(f"{n_words:,} words, {len(rounds)} rounds, subsampling at {THINNED[peer]:g}", rows)
    report(
        "cbow",
        peer_name=peer,
        ours=speed["sopan"],
        peer=speed[peer],
        ratio=median(theirs.seconds / own.seconds for own, theirs in pairs),
        bar=BARS[peer],
        unit="raw words/s of training",
        limit=limit,
        ratio_to_limit=speed["sopan"] / limit,
        whole={name: float(f"{value:.4g}") for name, value in whole.items()},
        whole_ratio=float(f"{median(theirs.whole / own.whole for own, theirs in pairs):.4g}"),
        quality=marks,
        subsample=THINNED[peer],
        words=n_words,
        rounds=len(rounds),
        peer_failed=failed,
    )


def mean_quality(results: list[Trained]) -> dict[str, float]:
    """Return the mean of each measure over the rounds, which are seeds."""
    marks = [quality(result.vectors) for result in results]
    return {name: round(mean(mark[name] for mark in marks), 2) for name in MEASURES}


def tell_rates(peer: str, corpus: str) -> None:
    """Print the quality that each reaches with other learning rates."""
    rows = [("", "rate", *MEASURES)]
    for name in ("sopan", peer):
        for rate in RATES[name]:
            marks = quality(MAKERS[name](corpus, THINNED[peer], rate)(0).vectors)
            rows.append((name, f"{rate:g}", *(f"{marks[measure]:.1f}" for measure in MEASURES)))
    table(f"learning rates, subsampling at {THINNED[peer]:g}, one seed", rows)


if __name__ == "__main__":
    main()
