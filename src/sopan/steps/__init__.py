"""The steps, lowest first. A new step is one new file and one line in `STEPS`."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from sopan.errors import ConfigError
from sopan.training.quiet import quiet

if TYPE_CHECKING:  # it brings scikit-learn along, which a server of networks does without
    from sopan.steps.base import Step

STEPS: dict[str, str] = {
    "bow": "sopan.steps.bow:BagOfWords",
    "cbow": "sopan.steps.cbow:CBOW",
    "attention": "sopan.steps.attention:Attention",
    "self_attention": "sopan.steps.self_attention:SelfAttention",
    "transformer": "sopan.steps.transformer:Transformer",
    "bert": "sopan.steps.bert:Bert",
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
        near = get_close_matches(name, STEPS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ConfigError(f"no step is called {name!r}", next_step=f"{hint}steps: {', '.join(STEPS)}")
    module, attribute = STEPS[name].split(":")
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
