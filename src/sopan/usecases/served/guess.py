"""A word guessed from those around it, by the vectors that a CBOW step has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sopan.types import Json
from sopan.usecases.served.step import DECIMALS, ServedStep


def guess(step: ServedStep, context: Sequence[str], word: str | None, top: int) -> dict[str, Json]:
    """Rank a step's words by their cosine with the mean of a context's vectors.

    In training the mean was held against a second vector of each word (see `sopan.kernels.cbow_block`). A
    model does not keep these, so the words' own vectors stand in for them.

    Args:
        step: one with vectors of words.
        context: words; those that have no vector are left out of the mean, and all out of the ranking.
        word: one whose rank is asked; it is ranked even if it is of the context.
        top: so many words are told.
    """
    vectors = step.word_vectors
    known, wanted = [step.spelling(each) for each in context], step.spelling(word or "")
    told: dict[str, Json] = {"step": step.step, "known": [each is not None for each in known]}
    around = [each for each in known if each is not None]
    if not around:
        return {**told, "of": 0, "guesses": [], "asked": None}
    cosines = vectors.cosines(np.mean([vectors[each] for each in around], axis=0))
    candidate = np.ones(len(vectors), bool)
    candidate[[vectors.place(each) for each in set(around) - {wanted}]] = False
    places = np.flatnonzero(candidate)
    ranked = places[np.argsort(-cosines[places], kind="stable")].tolist()

    def one(place: int) -> dict[str, Json]:
        return {"word": vectors.words[place], "cosine": round(float(cosines[place]), DECIMALS)}

    asked = None
    if wanted is not None:
        place = vectors.place(wanted)
        asked = {**one(place), "rank": ranked.index(place) + 1}
    return {**told, "of": len(ranked), "guesses": [one(place) for place in ranked[:top]], "asked": asked}
