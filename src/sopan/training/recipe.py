"""What training is told and what it tells: its settings, its examples, its progress and its outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

import numpy.typing as npt

from sopan.errors import SopanError
from sopan.text.batch import Clipped
from sopan.types import Float32Array, FloatArray, Int64Array, Json

Decay: TypeAlias = Literal["cosine", "linear"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a classifier is trained.

    Args:
        learning_rate: at its height.
        epochs: passes over the texts; more where they would not come to `min_steps`.
        min_steps: of the optimiser; a corpus of few batches is gone through more often, to come to so many.
        batch_words: words of a batch, padding included, at most.
        batch_texts: texts of a batch, at most.
        warm_up: share of all steps in which the rate rises.
        decay: how the rate falls then.
        weight_decay: share by which a step at rate 1 draws the weights to 0, decoupled from the gradient. Few
            texts want much of it: 1.0 at a rate of 2e-3 takes off 0.2% a step.
        label_smoothing: probability taken from the true class and shared out (Szegedy et al. 2016).
        word_dropout: chance that a word is hidden.
        patience: epochs without a better validation score before training stops; more where `min_steps` asks
            for more epochs.
        rates: beginnings of weights' paths, each with what their rate is multiplied by; the first that fits
            counts, and 1 where none does.
    """

    learning_rate: float = 1e-3
    epochs: int = 5
    min_steps: int = 400
    batch_words: int = 8192
    batch_texts: int = 32
    warm_up: float = 0.1
    decay: Decay = "cosine"
    weight_decay: float = 1.0
    label_smoothing: float = 0.0
    word_dropout: float = 0.1
    patience: int = 3
    rates: tuple[tuple[str, float], ...] = ()


class Examples(NamedTuple):
    """N texts to learn from, or to stop by.

    Args:
        texts: as the network reads them.
        labels: (N,) class indices.
        weights: (N,) float32, what each counts.
    """

    texts: Clipped
    labels: Int64Array
    weights: Float32Array


class Progress(NamedTuple):
    """How far training is.

    Args:
        epoch, epochs: the current one, from 1, and how many there will be at most.
        unit: what is counted so: epochs, or steps where a run has no epochs.
        loss: of the last batches, averaged.
        words_per_second: without padding.
        seconds_left: if all epochs are needed.
        validation: the last epoch's score, or None before the first.
    """

    epoch: int
    epochs: int
    loss: float
    words_per_second: float
    seconds_left: float
    validation: float | None
    unit: str = "epoch"

    def line(self) -> str:
        """Say it in one line."""
        minutes, seconds = divmod(round(self.seconds_left), 60)
        score = "" if self.validation is None else f", {self.validation:.4f} on validation"
        pace = f"loss {self.loss:.3f}, {self.words_per_second:,.0f} words/s, {minutes}:{seconds:02} left"
        return f"{self.unit} {self.epoch} of {self.epochs}: {pace}{score}"


class Snapshot(NamedTuple):
    """All that a run needs in order to go on as if it had not stopped.

    Args:
        arrays: by name: the variables of network and optimiser, and the best weights so far.
        position: where it was, and what it had found.
    """

    arrays: Mapping[str, npt.NDArray[Any]]
    position: dict[str, Json]


class Checkpoint(Protocol):
    """Where snapshots are kept."""

    def read(self) -> Snapshot | None:
        """Return the last snapshot, or None."""

    def write(self, snapshot: Snapshot) -> None:
        """Keep a snapshot in place of the last, so that a crash leaves one of the two."""


@dataclass(frozen=True, slots=True)
class Monitor:
    """Who watches a training run.

    Args:
        on_progress: told about twice a second.
        checkpoint: where to keep snapshots, and to go on from.
        logs: folder for TensorBoard's event files.
    """

    on_progress: Callable[[Progress], None] = lambda progress: None
    checkpoint: Checkpoint | None = None
    logs: Path | None = None


class Epoch(NamedTuple):
    """What one epoch came to: mean loss; score and log-loss on validation texts, or NaN."""

    loss: float
    score: float
    log_loss: float


@dataclass(frozen=True, slots=True)
class Trained:
    """The outcome of a run; the network holds the weights of the best epoch.

    Args:
        epochs: what each came to.
        best_epoch: from 0; the last one without validation texts.
        padding: share of the batches that was padding.
        interrupted: Ctrl-C ended it.
        diverged: why it stopped early, if the loss was no longer a number; the best weights were kept.
    """

    epochs: tuple[Epoch, ...]
    best_epoch: int
    padding: float
    interrupted: bool = False
    diverged: str = ""

    def as_json(self) -> dict[str, Json]:
        """Return it as JSON values; a score that there is not is None."""
        plain = [[value if value == value else None for value in epoch] for epoch in self.epochs]  # noqa: PLR0124
        named = [dict(zip(Epoch._fields, epoch, strict=True)) for epoch in plain]
        return {
            "epochs": named,
            "best_epoch": self.best_epoch + 1,
            "padding": self.padding,
            "interrupted": self.interrupted,
            "diverged": self.diverged,
        }


class DivergedError(SopanError):
    """The loss was no longer a number before anything worth keeping was learnt."""


@dataclass(slots=True)
class Position:
    """Where a run is: changes as it goes, and is written into snapshots."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss: float = 0.0
    best_epoch: int = -1
    epochs: list[Epoch] = field(default_factory=list)

    def as_json(self) -> dict[str, Json]:
        """Return the position as JSON values."""
        plain = {name: getattr(self, name) for name in ("epoch", "batch", "step", "loss", "best_epoch")}
        return plain | {"epochs": [list(epoch) for epoch in self.epochs]}

    @classmethod
    def of_json(cls, value: Mapping[str, Json]) -> Position:
        """Take back what `as_json` gave."""
        return cls(**{**value, "epochs": [Epoch(*epoch) for epoch in value["epochs"]]})


Score = Callable[[FloatArray], tuple[float, float]]
"""From validation logits (N, C) to a score to maximise and the log-loss that decides between equals."""
