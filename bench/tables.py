"""Labelled texts that are drawn, in a language that is drawn too: for what no data set at hand has.

A language has stems that come by Zipf's law, and a third of the words has an ending: `talor`, `talorin`.
Who knows one form of a word knows something of the others. What a label depends on is drawn with noise, so
that no one can be right throughout.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"
ENDINGS = ("",) * 6 + ("in", "ek", "os")


@dataclass(frozen=True)
class Language:
    """Stems, with how often they come and what each says of an opinion, 0 for most.

    Args:
        stems: V of them.
        chances: (V,).
        leanings: (V,).
    """

    stems: list[str]
    chances: np.ndarray
    leanings: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator, stems: int) -> Language:
        """Draw a language of so many stems."""
        found: dict[str, None] = {}
        while len(found) < stems:
            syllables = rng.integers(1, 4)
            letters = [rng.choice(list(each)) for _ in range(syllables) for each in (CONSONANTS, VOWELS)]
            found["".join(letters) + str(rng.choice(list(CONSONANTS)))] = None
        chances = 1 / (np.arange(stems) + 10.0)
        leanings = np.where(rng.random(stems) < 0.3, rng.normal(size=stems), 0.0)
        return cls(list(found), chances / chances.sum(), leanings)

    def say(self, rng: np.random.Generator, stems: np.ndarray) -> str:
        """Write stems down, each with an ending."""
        return " ".join(self.stems[stem] + ENDINGS[rng.integers(len(ENDINGS))] for stem in stems)


def phrases(
    count: int, seed: int, *, words: tuple[int, int] = (2, 5), share: float = 0.5
) -> tuple[list[str], list[str]]:
    """Return phrases of few words, and whether they speak well of something.

    Args:
        count: how many.
        seed: of all chance.
        words: the fewest and the most.
        share: of the phrases that speak well, about.
    """
    rng = np.random.default_rng(seed)
    language = Language.draw(rng, 3000)
    said = [rng.choice(3000, rng.integers(words[0], words[1] + 1), p=language.chances) for _ in range(count)]
    opinions = np.array([language.leanings[stems].sum() for stems in said]) + 0.3 * rng.normal(size=count)
    above = opinions > np.quantile(opinions, 1 - share)
    return [language.say(rng, stems) for stems in said], ["good" if good else "bad" for good in above]


def intents(count: int, seed: int, *, classes: int = 77) -> tuple[list[str], list[str]]:
    """Return sentences of 5 to 15 words with one of many intents, each of which has stems of its own."""
    rng = np.random.default_rng(seed)
    language = Language.draw(rng, 3000)
    topics = rng.choice(3000, (classes // 4 + 1, 6))  # four intents share a topic
    own = rng.choice(3000, (classes, 8))
    labels = rng.permutation(np.arange(count) % classes)
    texts = []
    for label in labels:
        length = rng.integers(5, 16)
        stems = rng.choice(3000, length, p=language.chances)
        drawn = rng.random(length)
        stems = np.where(drawn < 0.2, rng.choice(topics[label // 4], length), stems)
        texts.append(language.say(rng, np.where(drawn > 0.85, rng.choice(own[label], length), stems)))
    return texts, [f"intent {label:02}" for label in labels]


def stars(count: int, seed: int) -> tuple[list[str], list[str]]:
    """Return sentences of 8 to 25 words, from one star to five; the first stem turns what follows around."""
    rng = np.random.default_rng(seed)
    language = Language.draw(rng, 5000)
    language.leanings[0] = 0
    said = [rng.choice(5000, rng.integers(8, 26), p=language.chances) for _ in range(count)]
    turned = [np.where(np.concatenate([[0], stems[:-1]]) == 0, -1, 1) for stems in said]
    turned = [np.where(np.arange(len(signs)) == 0, 1, signs) for signs in turned]
    opinions = np.array(
        [(language.leanings[s] * t).sum() / np.sqrt(len(s)) for s, t in zip(said, turned, strict=True)]
    )
    opinions += 0.3 * rng.normal(size=count)
    places = np.searchsorted(np.quantile(opinions, [0.13, 0.38, 0.58, 0.83]), opinions)
    return [language.say(rng, stems) for stems in said], [f"{1 + place} stars" for place in places]
