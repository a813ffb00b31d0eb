"""What of training does not need Keras: its settings, who watches a run, and what comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, TypeAlias

from annotated_types import Ge, MinLen

from sopan.errors import SopanError
from sopan.options.language import OptimizerName
from sopan.training.checkpoint import CheckpointFile
from sopan.types import Amount, Record, Share

Decay: TypeAlias = Literal["cosine", "linear"]

HEAD_SHARE = 0.2
"""Unless told otherwise, a new head learns alone in so much of a run."""


# ---- Settings ----------------------------------------------------------------------------------


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
        patience: epochs without a better validation score before training stops; more where `min_steps` makes
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


@dataclass(frozen=True, slots=True)
class LanguageRecipe:
    """How a language model is trained.

    The rate rises, stays, and falls in the last part ("warm-up, stable, decay"; Hu et al. 2024, "MiniCPM",
    section 4): until it falls, how long the run will be does not matter, so that it can be made longer.

    Args:
        steps: of the optimiser.
        learning_rate: while it is stable.
        warm_up: steps in which it rises.
        decay: share of the steps, the last ones, in which it falls to 0.
        weight_decay: decoupled; biases, norms and vectors are spared.
        optimizer: `adamw` (Loshchilov & Hutter 2019), or `muon`, which makes each matrix's step orthogonal
            (Jordan et al. 2024; scaled as Liu et al. 2025 do, to the rates of AdamW); vectors go to Adam.
        accumulate: batches whose gradients are added up for one change of the weights.
        judge_every: steps between evaluations on held-out text.
        head_steps: steps, the first ones, in which the heads alone learn and the body keeps still: a new head
            would else spoil what the body knows.
    """

    steps: int
    learning_rate: float = 1e-3
    warm_up: int = 100
    decay: float = 0.2
    weight_decay: float = 0.01
    optimizer: OptimizerName = "adamw"
    accumulate: int = 1
    judge_every: int = 500
    head_steps: int = 0

    @property
    def stable_until(self) -> int:
        """The step at which the rate begins to fall."""
        return self.steps - round(self.decay * self.steps)


# ---- While a run goes on -----------------------------------------------------------------------


class TrainingProgress(NamedTuple):
    """How far training is.

    Args:
        done, total: of what `unit` counts: the current epoch, from 1, or how many steps were made.
        loss: of the last batches, averaged.
        words_per_second: a language model's with padding, a classifier's without.
        seconds_left: if the run goes to its end.
        validation: the last evaluation's score, or None before the first.
        unit: `epoch` or `step`.
    """

    done: int
    total: int
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
        return f"{self.unit} {self.done} of {self.total}: {pace}{score}"


class Evaluation(NamedTuple):
    """What an evaluation found in the midst of training.

    Args:
        step: of the optimiser, so many were made.
        pieces: words or pieces of words read so far, in training.
        seconds: spent so far, in training.
        loss: mean of the training loss since the last evaluation.
        held_out: what was measured on held-out text, by name; nothing where there is none.
    """

    step: int
    pieces: int
    seconds: float
    loss: float
    held_out: dict[str, float]


@dataclass(frozen=True, slots=True)
class Monitor:
    """Who watches a training run.

    Args:
        on_progress: called about twice a second.
        on_evaluation: called after each evaluation.
        checkpoint: where snapshots are kept, and gone on from.
        logs: folder for TensorBoard's event files.
    """

    on_progress: Callable[[TrainingProgress], None] = lambda progress: None
    checkpoint: CheckpointFile | None = None
    logs: Path | None = None
    on_evaluation: Callable[[Evaluation], None] = lambda evaluation: None


class DivergedError(SopanError):
    """The loss was no longer a number before anything worth keeping was learnt."""


# ---- What comes out ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Epoch(Record):
    """What one epoch came to: mean loss; score and log-loss on validation texts, None if there are none."""

    loss: Amount
    score: float | None
    log_loss: float | None


@dataclass(frozen=True, kw_only=True)
class TrainingReport(Record):
    """How the training of a classifier went; the network holds the weights of the best epoch.

    Args:
        epochs: what each came to.
        best_epoch: from 1; the last one without validation texts.
        padding: share of the batches that was padding.
        interrupted: Ctrl-C ended it.
        diverged: why it stopped early, if the loss was no longer a number; the best weights were kept.
    """

    epochs: Annotated[tuple[Epoch, ...], MinLen(1)]
    best_epoch: Annotated[int, Ge(1)]
    padding: Share
    interrupted: bool
    diverged: str
