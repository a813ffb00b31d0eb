"""How well a language model fills blanks: whole words of held-out sentences, each hidden in turn.

The question is put as a user would put it, by `sopan.lm.fill`: the sentence alone, one word of it `[MASK]`,
as many masks as the model has pieces for that word. An answer is right if all its pieces are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from sopan.fit.intervals import accuracy_interval, paired_difference
from sopan.lm.fill import fill_blanks
from sopan.steps.language_model import LanguageModel
from sopan.text.piece_tokenizer import MASK, UNK, PieceTokenizer
from sopan.text.unicode import LINE_BREAK
from sopan.types import BoolArray, Json

TOP = 5
"""Among so many answers a word is looked for."""
WORDS = (5, 40)
"""A sentence has at least and at most so many words."""
_END = re.compile(r"(?<=[.!?।॥])\s+")
_WORD = re.compile(r"[^\W_]")


@dataclass(frozen=True, slots=True)
class Blank:
    """A sentence with one word hidden.

    Args:
        text: the sentence, `[MASK]` in the word's place.
        word: as it stood there.
    """

    text: str
    word: str


@dataclass(frozen=True, slots=True)
class BlankScores:
    """Which of N blanks a model filled right.

    Args:
        first: (N,) bool, its first answer was right.
        among: (N,) bool, one of its first `TOP` was.
    """

    first: BoolArray
    among: BoolArray

    def as_json(self) -> dict[str, Json]:
        """Return both shares with their 95% intervals."""
        return {
            "blanks": len(self.first),
            "top_1": _share(self.first),
            f"top_{TOP}": _share(self.among),
        }


def compare_filled(filled: Mapping[str, BlankScores], a: str, b: str) -> dict[str, Json]:
    """Say how many of the same blanks each model filled right, and by how much `a` beats `b`."""
    difference = paired_difference(filled[a].first, filled[b].first, np.random.default_rng(0))
    return {name: scores.as_json() for name, scores in filled.items()} | {"difference": difference}


def sentences(texts: Iterable[str], n: int, rng: np.random.Generator) -> list[str]:
    """Draw up to n sentences of 5 to 40 words from texts, at most one a text while there are enough texts."""
    found = []
    for text in texts:
        plain = " ".join(re.sub(LINE_BREAK, " ", text).split())
        some = [one for one in _END.split(plain) if WORDS[0] <= len(one.split()) <= WORDS[1]]
        found.append([some[i] for i in rng.permutation(len(some))])
    order = rng.permutation(len(found))
    drawn: list[str] = []
    for depth in range(max(map(len, found), default=0)):
        drawn += [found[i][depth] for i in order if len(found[i]) > depth]
        if len(drawn) >= n:
            break
    return drawn[:n]


def make_blanks(texts: Iterable[str], wordpiece: PieceTokenizer, rng: np.random.Generator) -> list[Blank]:
    """Hide one word of each sentence, any word with a letter or digit, each as likely as the others.

    Args:
        texts: sentences.
        wordpiece: parts words from punctuation; models with other pieces but the same rules find the same.
        rng: draws the words.
    """
    blanks = []
    for text in texts:
        if MASK in text:
            continue
        cut = wordpiece.cut(text)
        spans = [
            (int(cut.starts[cut.words == word][0]), int(cut.ends[cut.words == word][-1]))
            for word in np.unique(cut.words)
        ]
        words = [(start, end) for start, end in spans if _WORD.search(text[start:end])]
        if words:
            start, end = words[int(rng.integers(len(words)))]
            blanks.append(Blank(f"{text[:start]}{MASK}{text[end:]}", text[start:end]))
    return blanks


def evaluate_blanks(model: LanguageModel, blanks: Iterable[Blank]) -> BlankScores:
    """Let a model fill blanks; a word that its vocabulary cannot spell counts as wrong."""
    first, among = [], []
    for blank in blanks:
        truth = model.wordpiece.cut(blank.word).pieces
        if UNK in truth or not truth:
            first.append(False)
            among.append(False)
            continue
        filled = fill_blanks(model, blank.text, top=TOP, pieces=len(truth)).blanks[0]
        answers = [candidate.pieces for candidate in filled]
        first.append(answers[0] == truth)
        among.append(truth in answers)
    return BlankScores(np.array(first, bool), np.array(among, bool))


def _share(right: BoolArray) -> dict[str, float]:
    counts = np.array([[int(right.sum()), 0], [int((~right).sum()), 0]])
    low, high = accuracy_interval(counts, np.random.default_rng(0))
    return {"share": float(right.mean()), "low": low, "high": high}
