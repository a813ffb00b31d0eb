"""The steps, lowest first. A new step is one new file and one line in `STEPS`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from sopan.errors import ConfigError, did_you_mean
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
BACKENDS = ("keras", "tensorflow", "jax", "torch")


def step_class(step: str) -> type[Step]:
    """Import the class of a step, named plainly (`bow`) or with a variant (`bow:counts`).

    Importing lazily keeps TensorFlow out of processes that use only the steps below it.

    Raises:
        ConfigError: no step has that name (the nearest is offered), or Keras has nothing to run it on.
    """
    name = step.partition(":")[0]
    if name not in STEPS:
        hint = did_you_mean(name, STEPS)
        raise ConfigError(f"no step is called {name!r}", next_step=f"{hint}steps: {', '.join(STEPS)}")
    module, attribute = STEPS[name].path.split(":")
    return cast("type[Step]", getattr(import_with_backend(module, name), attribute))


def import_with_backend(module: str, what: str) -> Any:
    """Import a module that may bring Keras and its backend in, without what these say of themselves.

    Raises:
        ConfigError: Keras has nothing to run `what` on.
    """
    try:
        with quiet():
            return import_module(module)
    except ModuleNotFoundError as error:
        if error.name not in BACKENDS:
            raise
        raise ConfigError(
            f"{what} runs on Keras, and Keras lacks {error.name}",
            next_step="pip install tensorflow, or set KERAS_BACKEND to what is installed: jax, torch",
        ) from error


def make_step(step: str, **settings: Any) -> Step:
    """Make an unfitted step, with its variant's settings under the given ones.

    Raises:
        ConfigError: an unknown step, variant or setting.
    """
    cls = step_class(step)
    return cls(**{**cls.variant_settings(step), **settings})
