"""Language models so small that a test trains them in seconds, on a language with two rules.

an animal makes its own sound                the cat purrs .   the dog barks .
what is good is fine, what is bad is dull    a good film is fine .
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import keras
import numpy as np
from keras import ops

from sopan.runtime.encoder_config import bert_config
from sopan.steps.language_model import LanguageModel
from sopan.text.objectives import mask_pieces, next_pieces
from sopan.text.packing import Sequences, fill_rows
from sopan.text.wordpiece import SPECIALS, WordPiece
from sopan.training.backend import make_stepper

SOUNDS = {"cat": "purrs", "dog": "barks", "cow": "moos", "nightowl": "hoots"}
JUDGED = {"good": "fine", "bad": "dull", "unbelievable": "fine"}
WHOLE = ["the", "a", "film", "is", ".", "cat", "dog", "cow", *SOUNDS.values(), "good", "bad", "fine", "dull"]
PIECES = [*SPECIALS, *WHOLE, "night", "##owl", "un", "##believ", "##able"]
LENGTH = 24


def without_head() -> LanguageModel:
    """Return a model as it comes from a folder of an encoder alone."""
    return replace(untrained(), missing_heads=("predict", "order"))


def sentences() -> list[str]:
    """All that can be said in this language, alone and in pairs."""
    animals = [f"the {animal} {sound} ." for animal, sound in SOUNDS.items()]
    films = [f"a {kind} film is {word} ." for kind, word in JUDGED.items()]
    return [*animals, *films, *(f"{one} {other}" for one in animals for other in films)]


@cache
def untrained(*, causal: bool = False, max_length: int = LENGTH, seed: int = 0) -> LanguageModel:
    """Return a model all of whose weights are random, biases and norms too."""
    config = bert_config(
        width=32, depth=2, heads=2, inner=64, max_length=max_length, dropout=0.0, attention_dropout=0.0
    )
    model = LanguageModel.make(replace(config, causal=causal), WordPiece.of(PIECES), seed=seed)
    rng = np.random.default_rng(seed)
    noise = {path: 0.2 * rng.normal(size=value.shape) for path, value in model.weights().items()}
    model.set_weights({path: value + noise[path] for path, value in model.weights().items()})
    return model


@cache
def trained(*, causal: bool = False) -> LanguageModel:
    """Return a model that knows the language."""
    config = replace(untrained(causal=causal).config, initial_std=0.15)
    model = LanguageModel.make(config, WordPiece.of(PIECES), seed=0)
    wordpiece, rng = model.wordpiece, np.random.default_rng(0)
    encoded = wordpiece.encode(sentences())
    everything = Sequences(encoded.offsets[:-1], np.diff(encoded.offsets))
    special = np.isin(np.arange(len(wordpiece)), list(wordpiece.specials.values()))
    rules = {"special": special, "continues": wordpiece.continues, "mask": wordpiece.specials["[MASK]"]}

    def loss(outputs, targets):
        truth, weights = targets
        each = keras.losses.sparse_categorical_crossentropy(truth, outputs["logits"], from_logits=True)
        return ops.sum(each * weights) / ops.sum(weights)

    stepper = make_stepper(model.network, loss, keras.optimizers.Adam(3e-3))
    marks = wordpiece.specials["[CLS]"], wordpiece.specials["[SEP]"]
    for _ in range(400 if causal else 700):
        drawn = [np.array([index]) for index in rng.integers(0, len(everything.starts), 32)]
        rows = fill_rows(encoded.ids, everything, drawn, LENGTH, *marks)
        blanks = next_pieces(rows) if causal else mask_pieces(rows, rng, rate=0.07, **rules)
        stepper.step(
            (blanks.ids, rows.blocks, rows.places, rows.segments, blanks.at), (blanks.truth, blanks.weights)
        )
    stepper.settle()
    return model
