"""What the settings of `bert` must keep to."""

from __future__ import annotations

from numbers import Integral, Real
from typing import get_args

from sopan.options.rules import Between, OneOf, Rule
from sopan.steps.bert_network import PieceSummary
from sopan.steps.network import NETWORK_RULES
from sopan.steps.settings import TEXT_RULES
from sopan.text.windows import LongTexts, Pool

BERT_RULES: dict[str, Rule] = {
    **NETWORK_RULES,
    "class_weight": TEXT_RULES["class_weight"],
    "random_state": Between(Integral, 0, 1e18),
    "max_length": Between(Integral, 4, 100_000),
    "long_texts": OneOf(get_args(LongTexts)),
    "max_windows": Between(Integral, 1, 1000),
    "pool": OneOf(get_args(Pool)),
    "summary": OneOf(get_args(PieceSummary)),
    "layer_decay": Between(Real, 0.01, 1),
    "frozen_layers": Between(Integral, 0, 1000, optional=True),
    "warm_up": Between(Real, 0, 1),
    "adapt_steps": Between(Integral, 0, 100_000_000, optional=True),
    "adapt_seconds": Between(Real, 0.1, 1e9, optional=True),
    "adapt_rate": Between(Real, 1e-8, 1),
    "width": Between(Integral, 1, 4096),
    "depth": Between(Integral, 1, 48),
    "heads": Between(Integral, 1, 64),
    "inner": Between(Integral, 1, 16_384),
    "vocabulary": Between(Integral, 100, 1_000_000),
}
