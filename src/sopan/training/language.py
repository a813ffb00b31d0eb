"""The training loop of language models: so many steps on batches that a position alone decides.

    draw(number): inputs and targets -> a step of the optimiser -> now and then a look at held-out text

A run may be stopped at any moment and goes on to the very bits that it would have reached undisturbed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from sopan.errors import ConfigError
from sopan.training.backend import Arrays, Stepper, make_stepper
from sopan.training.language_recipe import LanguageRecipe, make_optimizer
from sopan.training.recipe import DivergedError, Monitor, Progress, Snapshot
from sopan.training.snapshot import Variables, run_digest
from sopan.training.watch import TELL_SECONDS
from sopan.types import Json

SNAPSHOT_SECONDS = 120.0
"""A snapshot is kept so often, and at the end."""

Draw = Callable[[int], tuple[Arrays, Arrays]]
"""From a step's number to its inputs and targets: the same number, the same batch."""
Judge = Callable[[], dict[str, float]]
"""Measure the network on held-out text."""


class Look(NamedTuple):
    """What a look at held-out text found.

    Args:
        step: of the optimiser, so many were done.
        pieces: read so far, in training.
        seconds: spent so far, in training.
        loss: mean of the training loss since the last look.
        held_out: what the judge measured.
    """

    step: int
    pieces: int
    seconds: float
    loss: float
    held_out: dict[str, float]


def language_loss(outputs: Any, targets: Arrays) -> Any:
    """Return the weighted mean cross-entropy of the asked pieces, as a loss of `make_stepper`.

    The targets are truth (P,) int32 and weights (P,) float32; with pairs, also which order (S,) int32 is true
    and weights (S,) float32, whose mean cross-entropy is added (Devlin et al. 2019, section 3.1).
    """
    value = _cross_entropy(outputs["logits"], *targets[:2])
    return value if len(targets) == 2 else value + _cross_entropy(outputs["order"], *targets[2:])


def _cross_entropy(logits: Any, truth: Any, weights: Any) -> Any:
    each = ops.sparse_categorical_crossentropy(truth, ops.cast(logits, "float32"), from_logits=True)
    return ops.sum(each * weights) / ops.maximum(ops.sum(weights), 1.0)


def train_language(
    network: keras.Model,
    draw: Draw,
    recipe: LanguageRecipe,
    *,
    pieces_per_step: int,
    identity: str = "",
    judge: Judge | None = None,
    on_look: Callable[[Look], None] = lambda look: None,
    monitor: Monitor | None = None,
    xla: bool = False,
    shared: bool = False,
) -> list[Look]:
    """Train a language model, or go on with a run that was kept; afterwards the network holds its weights.

    Args:
        network: from `build_language_model`.
        draw: gives the batches, one for each of `recipe.accumulate` parts of a step.
        recipe: how.
        pieces_per_step: of one batch, for the record.
        identity: tells this run's data and settings from others', for its snapshots.
        judge: measures on held-out text; None: no looks but for the training loss.
        on_look: told of each look.
        monitor: who watches, and where snapshots are kept. A snapshot there is gone on from.
        xla, shared: see `make_stepper`.

    Returns:
        The looks, from the very beginning of the run.

    Raises:
        DivergedError: the loss became infinite or NaN.
        ConfigError: the snapshot is of another run.
    """
    monitor = monitor or Monitor()
    if monitor.checkpoint is not None:
        identity = _identity(network, recipe, identity)
    optimizer = make_optimizer(recipe)
    stepper = make_stepper(network, language_loss, optimizer, xla=xla, shared=shared)
    run = _Run(stepper, Variables(network, optimizer, stepper), recipe, identity, monitor)
    run.resume()
    total = recipe.steps * recipe.accumulate
    with ThreadPoolExecutor(1) as ahead:  # the next batch is drawn while this one is learnt
        waiting = ahead.submit(draw, run.batch) if run.batch < total else None
        while waiting is not None:
            batch = waiting.result()
            waiting = ahead.submit(draw, run.batch + 1) if run.batch + 1 < total else None
            run.learn(batch, pieces_per_step)
            if run.batch % (recipe.judge_every * recipe.accumulate) == 0 or waiting is None:
                run.look(judge, on_look, pieces_per_step)
            run.keep_now_and_then(last=waiting is None)
    run.stepper.settle()
    return run.looks


class _Run:
    """One run and where it is."""

    def __init__(
        self,
        stepper: Stepper,
        variables: Variables,
        recipe: LanguageRecipe,
        identity: str,
        monitor: Monitor,
    ):
        self.stepper, self.variables = stepper, variables
        self.recipe, self.identity, self.monitor = recipe, identity, monitor
        self.batch = 0
        self.losses: list[float] = []
        self.looks: list[Look] = []
        self.seconds = 0.0
        self._kept = self._told = self._since = time.monotonic()
        self._first = 0

    def learn(self, batch: tuple[Arrays, Arrays], pieces: int) -> None:
        """Make one step and note its loss."""
        started = time.monotonic()
        loss = self.stepper.step(*batch)
        if not math.isfinite(loss):
            raise DivergedError(
                f"the loss was {loss} at step {self.batch // self.recipe.accumulate + 1}",
                next_step="lower the learning rate; the last snapshot is from before",
            )
        self.batch += 1
        self.losses.append(loss)
        now = time.monotonic()
        self.seconds += now - started
        if now - self._told >= TELL_SECONDS:
            self._tell(now, pieces)

    def look(self, judge: Judge | None, on_look: Callable[[Look], None], pieces: int) -> None:
        """Measure on held-out text and note it."""
        self.stepper.settle()
        held_out = {} if judge is None else judge()
        step, read = self.batch // self.recipe.accumulate, self.batch * pieces
        self.looks.append(Look(step, read, self.seconds, float(np.mean(self.losses)), held_out))
        self.losses = []
        on_look(self.looks[-1])

    def _tell(self, now: float, pieces: int) -> None:
        pace = (now - self._since) / max(1, self.batch - self._first)
        left = self.recipe.steps * self.recipe.accumulate - self.batch
        recent = float(np.mean(self.losses[-50:]))
        score = self.looks[-1].held_out.get("accuracy") if self.looks else None
        step = self.batch // self.recipe.accumulate
        self.monitor.on_progress(
            Progress(step, self.recipe.steps, recent, pieces / max(pace, 1e-9), left * pace, score, "step")
        )
        self._told = now

    # ---- kept ----------------------------------------------------------------------------

    def keep_now_and_then(self, *, last: bool) -> None:
        """Write a snapshot if it is time."""
        checkpoint = self.monitor.checkpoint
        if checkpoint is None or not (last or time.monotonic() - self._kept >= SNAPSHOT_SECONDS):
            return
        position: dict[str, Json] = {
            "run": self.identity,
            "batch": self.batch,
            "stable_until": self.recipe.stable_until,
            "steps": self.recipe.steps,
            "seconds": self.seconds,
            "losses": self.losses,
            "looks": [list(look) for look in self.looks],
        }
        checkpoint.write(Snapshot(self.variables.arrays(), position))
        self._kept = time.monotonic()

    def resume(self) -> None:
        """Go on from the snapshot, if there is one."""
        snapshot = self.monitor.checkpoint.read() if self.monitor.checkpoint else None
        if snapshot is None:
            return
        self.variables.go_on(snapshot, self.identity)
        position = snapshot.position
        rates = (position["steps"], position["stable_until"]), (self.recipe.steps, self.recipe.stable_until)
        stable = min(until for _, until in rates) * self.recipe.accumulate
        if rates[0] != rates[1] and position["batch"] > stable:
            raise ConfigError(
                f"the rate has begun to fall, towards step {position['steps']}",
                next_step="only a run whose rate is still stable can be made longer or shorter",
            )
        self.batch = self._first = position["batch"]
        self.seconds, self.losses = position["seconds"], position["losses"]
        self.looks = [Look(*look) for look in position["looks"]]


def _identity(network: keras.Model, recipe: LanguageRecipe, data: str) -> str:
    """Return a digest of all that decides how a run goes, but for its length and the machine."""
    plain = {name: value for name, value in asdict(recipe).items() if name not in ("steps", "decay")}
    return run_digest(network, plain, data)
