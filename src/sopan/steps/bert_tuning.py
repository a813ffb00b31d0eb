"""What is worth trying with `bert`: how a preset is fine-tuned, and what a frozen one's regression reads.

The processor's bfloat16 is taken where it has it, but for our own preset, which was tuned without.
"""

from __future__ import annotations

from collections.abc import Mapping

from sopan.runtime.program import cpu_has_bfloat16
from sopan.steps.base import Settings
from sopan.steps.bert_network import FROM_SCRATCH
from sopan.steps.frozen import FEATURES, REGULARISATION

FACTORS = (1.0, 0.5, 2.0)
"""Of the learning rate, in the order in which they are tried."""
FINE_TUNING: Mapping[str, tuple[float, int]] = {"minilm": (1e-4, 3)}
"""Learning rate and epochs with which a preset is fine-tuned; others take those of `minilm` (docs/log.md)."""


def fine_tunings(preset: str, rate: float, *, tuned: bool) -> list[Settings]:
    """List settings to fine-tune a preset with, the best guess first; few, because each takes long.

    The second guess is half of the blocks frozen, which is quicker; but what is random must learn.

    Args:
        preset: what is fine-tuned.
        rate: the step's default.
        tuned: the step's defaults are this preset's; else it has its own.
    """
    start = Settings()
    if not tuned:
        rate, epochs = FINE_TUNING.get(preset, FINE_TUNING["minilm"])
        start = {"epochs": epochs, **_quick()}
    found: list[Settings] = [{**start, "learning_rate": rate * factor} for factor in FACTORS]
    if preset != FROM_SCRATCH:
        found.insert(1, found[0] | {"frozen_layers": "half"})
    return found


def regressions() -> list[Settings]:
    """List settings of a frozen encoder: what is read of it, and how strongly the regression is held back."""
    tried = [(C, summary) for C in REGULARISATION for summary in FEATURES]
    return [{**_quick(), "C": C, "summary": summary} for C, summary in tried]


def _quick() -> Settings:
    return {"precision": "bfloat16"} if cpu_has_bfloat16() else {}
