"""About how long a comparison will take, said before it starts: from the speed of this machine's products.

    multiplications of the encoder for all texts / (products a second, measured, x the share that is reached)

Networks over words and bags take about their tuning budget; what takes long is an encoder of pieces, whose
arithmetic is known from its configuration (Kaplan et al. 2020, "Scaling Laws for Neural Language Models",
section 2.1: 2 operations a weight and piece forwards, and twice that backwards).
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from sopan.comparison.contenders import Contender
from sopan.comparison.layout import duration
from sopan.fit.tune import Budget
from sopan.options.names import StepName
from sopan.runtime.encoder_config import EncoderConfig
from sopan.steps.presets import preset_bert
from sopan.text.arrow import cores

REACHED = 0.35
"""Share of the machine's products that training reached where it was measured (docs/performance.md)."""
PROBED = 300
"""Texts whose pieces are counted."""
LONGEST = 2048
"""Pieces of a text that are read at most: `max_windows` of `max_length`."""
EPOCHS, FEWEST = 3, 150 * 16
"""Epochs of a fine-tuning, and texts that it reads at least: `min_steps` of some sixteen."""
TRIAL_SECONDS, MOST_TUNING = 10, 600
"""What a trial of a step without an encoder takes, and all of them, where the budget does not say."""
BAG_SECONDS, ENCODER_SECONDS = 5, 10
"""What a step takes besides its tuning, or besides its arithmetic: loading, warming up, writing."""


def estimate(contenders: Sequence[Contender], texts: pa.LargeStringArray, read: int, budget: Budget) -> str:
    """Say about how long each contender will take, in a line.

    Args:
        contenders: with their presets named.
        texts: N training texts.
        read: how many more are only read.
        budget: for tuning.
    """
    rate: float | None = None
    told, total = [], 0.0
    for contender in contenders:
        name = StepName.parse(contender.name)
        tuning = budget.seconds if budget.trials is None else TRIAL_SECONDS * budget.trials
        spare = min(tuning, MOST_TUNING) + BAG_SECONDS
        if contender.estimator is None and name.step == "bert" and name.preset is not None:
            rate = rate or _products_a_second()
            spare = _encoder_seconds(name, contender, texts, read, rate)
        total += spare
        told.append(f"{contender.name} {duration(spare)}")
    return f"about {duration(total)} in all: {', '.join(told)}"


def _encoder_seconds(
    name: StepName,
    contender: Contender,
    texts: pa.LargeStringArray,
    read: int,
    rate: float,
) -> float:
    """Return what reading all texts, and learning from some of them, takes."""
    preset = preset_bert(str(name.preset))
    lengths = np.minimum(np.diff(preset.wordpiece.encode(texts.slice(0, PROBED)).offsets), LONGEST)
    pieces = float(lengths.mean()) if len(lengths) else 1.0
    forwards = pieces * _operations(preset.config)
    epochs = float(str(contender.settings.get("epochs", EPOCHS)))
    learning = 0 if name.variant == "frozen" else 3 * max(FEWEST, len(texts) * epochs)
    return ENCODER_SECONDS + forwards * (learning + len(texts) + read) / (rate * REACHED)


def _operations(config: EncoderConfig) -> float:
    """Return the operations that one piece costs forwards."""
    return 2.0 * config.depth * config.width * (4 * config.width + 2 * config.inner)


def _products_a_second(width: int = 512, seconds: float = 0.2) -> float:
    """Measure the operations of float32 products that all cores do in a second, when nothing else runs."""
    x, began, fastest = np.ones((width, width), np.float32), time.perf_counter(), float("inf")
    with threadpool_limits(1):  # a product that no other process interrupted tells what one core can do
        while time.perf_counter() - began < seconds:
            started = time.perf_counter()
            x @ x
            fastest = min(fastest, time.perf_counter() - started)
    return 2.0 * width**3 / fastest * cores()
