"""An encoder that only reads: what it makes of texts is found once, and a regression is fitted on that.

    windows -> encoder, in a runtime -> features (N, F), kept from trial to trial
            -> logistic regression -> the layer `logits` of a network like any other

The mean of the windows' logits is the logits of the windows' mean, since both are linear: what is fitted on
the mean is exact.

Source: what J. Devlin et al., "BERT" (2019), section 5.3, call the feature-based approach.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from sopan.errors import ConfigError
from sopan.options.language import Precision
from sopan.runtime.encoder_config import EncoderConfig, blocks_read, summary_parts
from sopan.runtime.network import EncoderBody, Network
from sopan.runtime.program import compile_network, run_program
from sopan.steps.bert_network import EMBEDDINGS, PieceSummary, Start, build_classifier
from sopan.steps.layers import computing_in, get_weights, set_weights
from sopan.steps.linear import fit_standardised
from sopan.steps.training_data import TrainingData
from sopan.text.arrow import as_texts
from sopan.text.batch import Clipped
from sopan.text.facts import ClassWeight
from sopan.text.intake import Intake, read_through
from sopan.text.windows import Windows
from sopan.training.backend import make_forward, read_all
from sopan.training.quiet import quiet
from sopan.types import Array, Arrays, Float32Array, FloatArray

REGULARISATION = (0.01, 0.003, 0.001, 0.03, 0.1)
"""Values of C worth trying, best guess first; see docs/log.md."""
FEATURES: tuple[PieceSummary, ...] = ("third", "joined", "mean", "first")
"""Summaries worth trying, likewise."""


class Reading(NamedTuple):
    """How an encoder reads.

    Args:
        summary: what becomes of the pieces.
        intake: how texts come to it.
        buckets: lengths of rectangles, where Keras has to read.
        precision: what it computes in.
        seed: of its weights, if it has learnt nothing.
    """

    summary: PieceSummary
    intake: Intake
    buckets: tuple[int, ...]
    precision: Precision
    seed: int


class Regression(NamedTuple):
    """How the regression is fitted; see `sopan.steps.linear.fit_logistic` and `TrainingData.taught`."""

    C: float
    class_weight: ClassWeight
    soft_weight: float


class Features(NamedTuple):
    """What an encoder made of texts.

    Args:
        train: of the N training texts, (N, F).
        val: of the validation texts, likewise; None: there are none.
    """

    train: Array
    val: Array | None


def fit_logits(
    start: Start,
    windows: Windows,
    data: TrainingData,
    how: Reading,
    regression: Regression,
    key: tuple[Hashable, ...],
) -> tuple[Arrays, FloatArray | None]:
    """Read the texts, unless a trial before has, and fit a regression on what was found.

    Args:
        start: the encoder.
        windows: of the training texts, those that a teacher speaks of included.
        data: these, and validation texts.
        how, regression: see there.
        key: tells the encoder, and what it reads of the texts, from others in the memo.

    Returns:
        Every weight of the classifier by its path, and what it says of the validation texts.

    Raises:
        ConfigError: the summary goes through a pooler, and there is none.
    """
    # All summaries but that through the pooler are read at once.
    together = how._replace(summary="cls" if how.summary == "cls" else "joined")
    weights = _weights(start, how.seed)
    texts = None if data.validation is None else as_texts(data.validation[0])
    key = ("features", *key, together.summary, how.precision, how.seed, texts is None)
    found = data.memo.recall(key, lambda: _read(start.config, weights, windows, texts, together))
    part = _part(how.summary, together.summary, start.config)
    _, labels = data.taught(regression.soft_weight)
    model = fit_standardised(
        found.train[:, part], labels, C=regression.C, class_weight=regression.class_weight
    )
    kernel, bias = model.weights, model.bias
    if kernel.shape[1] == 1:  # the second class's score: half for it, half against the first
        kernel, bias = (np.concatenate([-half, half], axis=-1) for half in (kernel / 2, bias / 2))
    logits = {"logits/kernel": kernel, "logits/bias": bias}
    judged = None if found.val is None else np.asarray(found.val[:, part] @ kernel + bias, np.float64)
    return _classifier_weights(weights, start.config, how.summary) | logits, judged


def _weights(start: Start, seed: int) -> Arrays:
    """Return an encoder's weights by path; those of one that has learnt nothing are drawn."""
    if start.weights is not None:
        return start.weights
    with quiet():
        network = build_classifier(start.config, len(start.wordpiece), 2, summary="cls", seed=seed)
    return get_weights(network)


def _classifier_weights(weights: Arrays, config: EncoderConfig, summary: PieceSummary) -> dict[str, Array]:
    """Return the weights that a classifier with a summary has, but for its logits."""
    if summary == "cls" and "pooler/kernel" not in weights:
        raise ConfigError("this language model has no pooler", next_step='summary="first" needs none')
    blocks = blocks_read(summary, config.depth)
    parts = EMBEDDINGS + tuple(f"block_{i}/" for i in range(blocks))
    parts += ("output_norm/",) if blocks == config.depth else ()
    parts += ("pooler/",) if summary == "cls" else ()
    return {path: array for path, array in weights.items() if path.startswith(parts)}


def _read(
    config: EncoderConfig,
    weights: Arrays,
    windows: Windows,
    validation: pa.LargeStringArray | None,
    how: Reading,
) -> Features:
    """Read the training texts, already cut, and the validation texts."""
    read = _reader(config, _classifier_weights(weights, config, how.summary), how)
    train: Float32Array = windows.pooled(read(windows.clipped)).astype(np.float32)
    return Features(train, None if validation is None else read_through(how.intake, validation, read).logits)


def _reader(config: EncoderConfig, arrays: Arrays, how: Reading) -> Callable[[Clipped], FloatArray]:
    """Return what gives the summaries (W, F) of W windows."""
    width = len(summary_parts(how.summary, config.depth)) * config.width
    body = EncoderBody(config, how.summary, config.places or how.intake.longest)
    program = compile_network(Network(arrays, body), ("vector",), precision=how.precision)
    if program is not None:
        return lambda clipped: run_program(program, clipped, width)
    with quiet(), computing_in(how.precision):
        pieces = len(arrays["words/embeddings"])
        network = build_classifier(config, pieces, 2, summary=how.summary, seed=how.seed)
    set_weights(network, arrays, spared=("logits/",))
    forward = make_forward(network, ["vector"])
    return lambda clipped: read_all(forward, clipped, how.buckets, width)


def _part(summary: PieceSummary, among: PieceSummary, config: EncoderConfig) -> slice:
    """Say which columns of several summaries side by side are one of them."""
    if summary == among:
        return slice(None)
    # In a shallow encoder the third block from the top may be the last: the first that fits is taken.
    place = summary_parts(among, config.depth).index(summary_parts(summary, config.depth)[0])
    return slice(place * config.width, (place + 1) * config.width)
