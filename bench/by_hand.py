"""What `sopan compare` does, written by hand with scikit-learn and gensim: the peer of `compare.py`.

    python bench/by_hand.py REVIEWS.parquet OUT --epochs N

One file, the way a practitioner writes it who knows both libraries well: the parts of the data as given,
texts of the validation and test parts taken out of the training part, five settings tried on the validation
part for each of two kinds of features, the best of each applied to the test part, intervals, a paired test,
and all of it written down. The settings are those that `sopan compare --budget 5trials` tries. Each
vectorizer is fitted once for all settings that share it, and whatever can use two cores does: vectorizers
and classifiers by joblib, word vectors by gensim's own workers.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp
from gensim.models import Word2Vec
from joblib import Parallel, delayed
from scipy.stats import binomtest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, log_loss
from sklearn.preprocessing import StandardScaler

CORES = 2
RESAMPLES = 10_000
BAGS = [((1, 2), 0.0, 30), ((1, 2), 1.0, 10), ((1, 2), 1.0, 100), ((1, 3), 0.5, 100), ((1, 2), 1.0, 1)]
"""Words in a feature, what features of characters count beside them, C."""
POOLINGS = ["mean of distinct", "sif of distinct", "mean", "idf", "sif"]


def main() -> None:
    """Compare a bag of words and averaged word vectors; write predictions and a summary."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("reviews", type=Path)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--epochs", type=int, required=True)
    asked = arguments.parse_args()

    table = pd.read_parquet(asked.reviews)
    parts = {name: table[table.talk == name] for name in ("train", "val", "test")}
    held_out = pd.concat([parts["val"], parts["test"]]).text
    parts["train"] = parts["train"][~parts["train"].text.isin(held_out)].drop_duplicates("text")
    texts = {name: part.text.tolist() for name, part in parts.items()}
    labels = {name: (part.label == "positive").to_numpy(int) for name, part in parts.items()}

    predicted = {"bag": bag_of_words(texts, labels), "vectors": word_vectors(texts, labels, asked.epochs)}
    summary = {name: summarise(probabilities, labels["test"]) for name, probabilities in predicted.items()}
    right = {name: (chances > 0.5) == labels["test"] for name, chances in predicted.items()}
    summary["pair"] = compare(right["bag"], right["vectors"])
    asked.out.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(predicted, index=parts["test"].index).to_parquet(asked.out / "predictions.parquet")
    (asked.out / "summary.json").write_text(json.dumps(summary, indent=2))
    print(json.dumps(summary))


# ---- bag of words ------------------------------------------------------------------------------


def bag_of_words(texts: dict, labels: dict) -> np.ndarray:
    """Return the test texts' probabilities by the best of five TF-IDF models."""
    few = {"sublinear_tf": True, "min_df": 2, "dtype": np.float32}
    vectorizers = {lengths: TfidfVectorizer(ngram_range=lengths, **few) for lengths in ((1, 2), (1, 3))}
    vectorizers["characters"] = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), **few)
    made = Parallel(n_jobs=CORES)(delayed(vectorize)(each, texts) for each in vectorizers.values())
    fitted = {name: vectorizer for name, (vectorizer, _, _) in zip(vectorizers, made, strict=True)}
    train, val = ({name: found[i] for name, found in zip(vectorizers, made, strict=True)} for i in (1, 2))

    def side_by_side(parts: dict, lengths: tuple, weight: float) -> sp.csr_matrix:
        return sp.hstack([parts[lengths], parts["characters"] * weight], "csr") if weight else parts[lengths]

    def attempt(lengths: tuple, weight: float, C: float) -> tuple[float, LogisticRegression]:
        model = LogisticRegression(C=C, solver="liblinear")
        model.fit(side_by_side(train, lengths, weight), labels["train"])
        return model.score(side_by_side(val, lengths, weight), labels["val"]), model

    tried = Parallel(n_jobs=CORES, prefer="threads")(delayed(attempt)(*setting) for setting in BAGS)
    best = int(np.argmax([score for score, _ in tried]))
    lengths, weight, _ = BAGS[best]
    needed = [lengths, "characters"] if weight else [lengths]
    found = Parallel(n_jobs=CORES)(delayed(fitted[name].transform)(texts["test"]) for name in needed)
    test = side_by_side(dict(zip(needed, found, strict=True)), lengths, weight)
    return tried[best][1].predict_proba(test)[:, 1]


def vectorize(
    vectorizer: TfidfVectorizer, texts: dict
) -> tuple[TfidfVectorizer, sp.csr_matrix, sp.csr_matrix]:
    """Fit a vectorizer; return it, and the features of the training and of the validation texts."""
    train = vectorizer.fit_transform(texts["train"])
    return vectorizer, train, vectorizer.transform(texts["val"])


# ---- word vectors ------------------------------------------------------------------------------


def word_vectors(texts: dict, labels: dict, epochs: int) -> np.ndarray:
    """Return the test texts' probabilities by the best of five ways to average CBOW's vectors."""
    split = re.compile(r"(?u)\b\w+\b").findall
    words = {name: [split(text.lower()) for text in part] for name, part in texts.items()}
    settings = {"vector_size": 200, "window": 40, "negative": 5, "min_count": 2, "sample": 3e-5}
    model = Word2Vec(words["train"], sg=0, epochs=epochs, workers=CORES, seed=0, **settings)
    counts = np.array([model.wv.get_vecattr(word, "count") for word in model.wv.index_to_key])
    bags = {name: count(part, model.wv.key_to_index) for name, part in words.items()}
    df = np.bincount(bags["train"].indices, minlength=len(counts))

    def attempt(pooling: str) -> tuple[float, np.ndarray]:
        pooled = pool(pooling, bags, model.wv.vectors, counts, df)
        scaler = StandardScaler().fit(pooled["train"])
        pooled = {name: scaler.transform(part) for name, part in pooled.items()}
        classifier = LogisticRegression(C=0.1, max_iter=1000).fit(pooled["train"], labels["train"])
        score = classifier.score(pooled["val"], labels["val"])
        return score, classifier.predict_proba(pooled["test"])[:, 1]

    tried = Parallel(n_jobs=CORES, prefer="threads")(delayed(attempt)(pooling) for pooling in POOLINGS)
    return max(tried, key=lambda each: each[0])[1]


def count(texts: list[list[str]], index: dict[str, int]) -> sp.csr_matrix:
    """Count the words that have a vector."""
    known = [[index[word] for word in text if word in index] for text in texts]
    indptr = np.cumsum([0, *map(len, known)])
    indices = np.concatenate([np.asarray(text, np.int64) for text in known])
    found = sp.csr_matrix(
        (np.ones(len(indices), np.float32), indices, indptr), shape=(len(texts), len(index))
    )
    found.sum_duplicates()
    return found


def pool(pooling: str, bags: dict, vectors: np.ndarray, counts: np.ndarray, df: np.ndarray) -> dict:
    """Average each text's vectors; `sif` is smooth inverse frequency without the common component."""
    weight = np.ones(len(counts), np.float32)
    if pooling.startswith("idf"):
        weight = np.log((1 + bags["train"].shape[0]) / (1 + df)).astype(np.float32)
    elif pooling.startswith("sif"):
        weight = (1e-3 / (1e-3 + counts / counts.sum())).astype(np.float32)
    pooled = {}
    for name, bag in bags.items():
        weighed = (bag > 0).astype(np.float32) if "distinct" in pooling else bag
        totals = np.maximum(weighed @ weight, 1e-9)
        pooled[name] = (weighed @ (vectors * weight[:, None])) / totals[:, None]
    if pooling.startswith("sif"):
        common = np.linalg.svd(pooled["train"], full_matrices=False)[2][0]
        pooled = {name: part - np.outer(part @ common, common) for name, part in pooled.items()}
    return pooled


# ---- statistics --------------------------------------------------------------------------------


def summarise(chances: np.ndarray, labels: np.ndarray) -> dict:
    """Score predictions, with bootstrap intervals from the four cells of the confusion matrix."""
    predicted = (chances > 0.5).astype(int)
    cells = np.bincount(2 * labels + predicted, minlength=4)  # (true, predicted): 00, 01, 10, 11
    draws = np.random.default_rng(0).multinomial(len(labels), cells / len(labels), RESAMPLES)
    wrong = draws[:, 1] + draws[:, 2]
    f1 = sum(2 * draws[:, k] / (2 * draws[:, k] + wrong) for k in (0, 3)) / 2
    return {
        "accuracy": accuracy_score(labels, predicted),
        "accuracy_ci": np.percentile(1 - wrong / len(labels), [2.5, 97.5]).tolist(),
        "macro_f1": f1_score(labels, predicted, average="macro"),
        "macro_f1_ci": np.percentile(f1, [2.5, 97.5]).tolist(),
        "log_loss": log_loss(labels, chances),
    }


def compare(a: np.ndarray, b: np.ndarray) -> dict:
    """Test a pair with McNemar's exact test, and give a bootstrap interval of the difference."""
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    chances = np.array([only_a, only_b, len(a) - only_a - only_b]) / len(a)
    draws = np.random.default_rng(0).multinomial(len(a), chances, RESAMPLES)
    return {
        "difference": float(a.mean() - b.mean()),
        "ci": np.percentile((draws[:, 0] - draws[:, 1]) / len(a), [2.5, 97.5]).tolist(),
        "p_value": binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0,
    }


if __name__ == "__main__":
    main()
