"""The steps, lowest first, and what is made of them. A new step is one new file and one line in `STEPS`."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple, cast

from sopan.errors import ConfigError, did_you_mean, needs_extra
from sopan.options.names import StepName
from sopan.training.quiet import quiet

if TYPE_CHECKING:  # it brings scikit-learn along, which a server of networks does without
    from sopan.steps.base import Step


class StepEntry(NamedTuple):
    """What is known of a step before its module, which may bring Keras in, is imported.

    Args:
        path: of its class, `module:name`.
        adds: what this step has that the one below lacks, in a few words.
        lacks: what it still cannot do.
    """

    path: str
    adds: str
    lacks: str


STEPS: dict[str, StepEntry] = {
    "bow": StepEntry(
        "sopan.steps.bow:BagOfWords", "words as features", "similarity between words, and their order"
    ),
    "cbow": StepEntry(
        "sopan.steps.cbow:CBOW", "similarity between words", "order, and a word's meaning in its context"
    ),
    "attention": StepEntry(
        "sopan.steps.attention:Attention", "order, and which words matter", "words that see each other"
    ),
    "self_attention": StepEntry(
        "sopan.steps.self_attention:SelfAttention", "words that see each other", "position, depth"
    ),
    "transformer": StepEntry(
        "sopan.steps.transformer:Transformer", "position, depth", "knowledge from unlabelled text"
    ),
    "bert": StepEntry("sopan.steps.bert:Bert", "unlabelled text", "–"),
}
_OUTSIDE = StepEntry("sopan.steps.estimator:EstimatorStep", "what its maker gave it", "what its maker knows")
COMBINATIONS: dict[str, StepEntry] = {
    "stack": StepEntry(
        "sopan.steps.stack:Stack", "what the steps know together", "speed: each text costs all that count"
    ),
    "cascade": StepEntry("sopan.steps.cascade:Cascade", "costly steps only where cheap ones are unsure", "–"),
}
"""Steps that are made of fitted steps, and are fitted on validation texts: see `sopan.steps.combination`."""
BACKENDS = ("tensorflow", "jax", "torch")
"""What Keras runs on, each an extra of the same name."""


def step_class(step: str) -> type[Step]:
    """Import the class of a step by its own name (`bow`) or a contender's (`bow:counts`, `bert@minilm`).

    Importing lazily keeps TensorFlow out of processes that use only the steps below it.

    Raises:
        ConfigError: no step has that name (the nearest is offered).
        MissingExtraError: see `import_with_backend`.
    """
    name, known = StepName.parse(step).step, STEPS | COMBINATIONS
    if name not in known:
        hint = did_you_mean(name, known)
        raise ConfigError(f"no step is called {name!r}", next_step=f"{hint}steps: {', '.join(known)}")
    module, attribute = known[name].path.split(":")
    return cast("type[Step]", getattr(import_with_backend(module, name), attribute))


def step_entry(name: str) -> StepEntry:
    """Return what is known of a step by its own name, or of an estimator from outside."""
    return (STEPS | COMBINATIONS).get(name, _OUTSIDE)


def import_with_backend(module: str, what: str) -> ModuleType:
    """Import a module that may bring Keras and its backend in, without what these say of themselves.

    Args:
        module: its full name.
        what: what it is for, to begin a message with.

    Raises:
        MissingExtraError: Keras, or what it runs on, is not installed.
    """
    with needs_extra(_backend(), what), quiet():
        return import_module(module)


def check_backend(what: str) -> None:
    """Check that Keras and what it runs on are installed, without importing them.

    Raises:
        MissingExtraError: see `import_with_backend`.
    """
    backend = _backend()
    with needs_extra(backend, what):
        for library in ("keras", backend):
            if not find_spec(library):
                raise ModuleNotFoundError(name=library)


def _backend() -> str:
    """Return what Keras runs on; where that is not decided yet, decide for what is installed."""
    named = os.environ.get("KERAS_BACKEND")
    if named is None and not find_spec("tensorflow"):
        named = next((backend for backend in BACKENDS if find_spec(backend)), None)
        if named:
            os.environ["KERAS_BACKEND"] = named
    return named if named in BACKENDS else BACKENDS[0]


def make_step(step: str, **settings: object) -> Step:
    """Make an unfitted step, with the settings that its variant and preset stand for under the given ones.

    Raises:
        ConfigError: an unknown step, variant or setting.
    """
    cls = step_class(step)
    return cls(**{**cls.named_settings(step), **settings})
