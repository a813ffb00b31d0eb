"""What of a bag of words is worth trying, the best guess first: matrices, for C is found on the way."""

from __future__ import annotations

from sopan.steps.base import Settings, with_fixed
from sopan.text.facts import TrainingFacts, class_weights

WORDS: Settings = {"ngrams": (1, 2)}
BOTH: Settings = {"ngrams": (1, 2), "characters": (2, 5)}
CHARACTERS: Settings = {"ngrams": None, "characters": (2, 5)}
LONGER: Settings = {"ngrams": (1, 3), "characters": (2, 5), "character_weight": 0.5}


def matrices(facts: TrainingFacts) -> list[Settings]:
    """List matrices, each of which costs a walk along `sopan.steps.one_vs_rest.STRENGTHS` and no more.

    The first guess. Short texts: words and characters, for such a text has few words, and their forms and
    parts say something too. Long ones: words alone, which are many and cheap. How many classes and texts
    there are changes how strong regularisation must be, which the walk finds. Then what is known to win at
    times: longer n-grams, features that all weigh the same, either kind alone.
    """
    firsts = [BOTH, {**BOTH, "nb": 0.0}, WORDS] if facts.short else [WORDS, LONGER, BOTH]
    more: list[Settings] = [
        LONGER,
        {**WORDS, "nb": 0.0},
        {**BOTH, "nb": 0.0},
        CHARACTERS,
        {**WORDS, "nb": 1.0},
        {"ngrams": (1, 3)},
        {**BOTH, "nb": 0.25},
        {**CHARACTERS, "nb": 0.0},
        {**BOTH, "character_weight": 2.0},
    ]
    return _weighed(facts, with_fixed([*firsts, *more], {}))


def taught_matrices(facts: TrainingFacts) -> list[Settings]:
    """List what many texts with a teacher's probabilities make worth trying, longer n-grams early."""
    settings: list[Settings] = [
        WORDS,
        {"ngrams": (1, 3)},
        BOTH,
        {**WORDS, "soft_weight": 0.3},
        LONGER,
        {**WORDS, "soft_weight": 3.0},
    ]
    return _weighed(facts, settings)


def _weighed(facts: TrainingFacts, settings: list[Settings]) -> list[Settings]:
    """Return the settings with each weighing of classes that is worth trying, the best guess first."""
    weights = class_weights(facts)
    if weights == (None,):
        return settings
    return [{**each, "class_weight": weight} for weight in weights for each in settings]
