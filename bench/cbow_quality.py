"""How good word vectors are: as people rate likeness, and as analogies go.

WordSim-353 (Finkelstein et al. 2002) and MEN (Bruni, Tran & Baroni 2014): 100 times Spearman's rank
correlation of cosines with the ratings. Google's analogies (Mikolov et al. 2013): percent of questions "a is
to b as c is to …?" of which the word nearest to b - a + c is the answer, among all words but those three.
Words are in lower case; a pair or question counts if all its words are known. Gensim ships the first and the
last; MEN is read where the folder that `SOPAN_DATA` names has it.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from gensim.test.utils import datapath
from scipy.stats import spearmanr

from sopan.text.vectors import WordVectors

_MEN = Path(os.environ.get("SOPAN_DATA", "")) / "wordsim" / "EN-MEN-TR-3k.txt"
RATINGS = {"WordSim-353": Path(datapath("wordsim353.tsv"))} | ({"MEN": _MEN} if _MEN.is_file() else {})
ANALOGIES = Path(datapath("questions-words.txt"))
MEASURES = (*RATINGS, "analogies")
QUESTIONS_AT_ONCE = 512


def quality(vectors: WordVectors) -> dict[str, float]:
    """Return each of `MEASURES`, 0 to 100.

    Args:
        vectors: V words.
    """
    place = {word: i for i, word in enumerate(vectors.words)}
    unit = vectors.vectors / np.maximum(np.linalg.norm(vectors.vectors, axis=1, keepdims=True), 1e-12)
    rated = {name: _correlation(place, unit, file) for name, file in RATINGS.items()}
    return rated | {"analogies": _analogies(place, unit, ANALOGIES)}


def _correlation(place: dict[str, int], unit: np.ndarray, path: Path) -> float:
    lines = path.read_text(encoding="utf-8").lower().splitlines()
    pairs = [line.split() for line in lines if not line.startswith("#")]
    known = [(place[a], place[b], float(score)) for a, b, score in pairs if a in place and b in place]
    left, right, scores = zip(*known, strict=True)
    cosines = (unit[list(left)] * unit[list(right)]).sum(axis=1)
    return 100 * float(spearmanr(cosines, scores).statistic)


def _analogies(place: dict[str, int], unit: np.ndarray, path: Path) -> float:
    lines = path.read_text(encoding="utf-8").lower().splitlines()
    questions = [line.split() for line in lines if not line.startswith(":")]
    known = np.array(
        [[place[word] for word in words] for words in questions if all(w in place for w in words)]
    )
    right = 0
    for start in range(0, len(known), QUESTIONS_AT_ONCE):
        a, b, c, answer = known[start : start + QUESTIONS_AT_ONCE].T
        likeness = (unit[b] - unit[a] + unit[c]) @ unit.T
        for given in (a, b, c):
            likeness[np.arange(len(given)), given] = -np.inf
        right += int((likeness.argmax(axis=1) == answer).sum())
    return 100 * right / max(1, len(known))
