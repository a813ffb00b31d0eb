"""Tell how training goes: to whoever watches, and to TensorBoard."""

from __future__ import annotations

import time
from typing import Any

from sopan.training.recipe import Monitor, Position, Progress

TELL_SECONDS = 0.5
"""Progress is told at most so often."""
SMOOTHING = 0.95
"""How much the shown loss and speed lean on the past."""


class Watch:
    """Follows one run.

    Args:
        monitor: who is told.
        epochs: how many there will be at most.
        batches: of an epoch.
    """

    def __init__(self, monitor: Monitor, epochs: int, batches: int):
        self._monitor = monitor
        self._epochs = epochs
        self._batches = batches
        self._loss = 0.0
        self._steps = self._words = 0
        self._told = self._since = time.monotonic()
        self._writer: Any = None
        if monitor.logs is not None:
            import tensorflow as tf  # noqa: PLC0415  # TensorBoard's file format, whatever the backend

            self._writer = tf.summary.create_file_writer(str(monitor.logs))

    def step(self, position: Position, words: int, loss: float) -> None:
        """Note one step of the optimiser on so many words."""
        self._steps, self._words = self._steps + 1, self._words + words
        keep = SMOOTHING if self._steps > 1 else 0.0
        self._loss = keep * self._loss + (1 - keep) * loss
        self._log("train/loss", loss, position.step)
        now = time.monotonic()
        if now - self._told >= TELL_SECONDS:
            self._tell(position, now)

    def epoch(self, position: Position) -> None:
        """Note the end of an epoch, its outcome appended to the position."""
        last = position.epochs[-1]
        self._log("validation/score", last.score, position.step)
        self._log("validation/log_loss", last.log_loss, position.step)
        self._tell(position, time.monotonic())
        if self._writer is not None:
            self._writer.flush()

    def _tell(self, position: Position, now: float) -> None:
        speed = self._words / max(1e-9, now - self._since)
        per_step = (now - self._since) / max(1, self._steps)
        left = (self._epochs - position.epoch) * self._batches - position.batch
        score = position.epochs[-1].score if position.epochs else None
        epoch = min(position.epoch + 1, self._epochs)
        self._monitor.on_progress(Progress(epoch, self._epochs, self._loss, speed, left * per_step, score))
        self._told = now

    def _log(self, name: str, value: float, step: int) -> None:
        if self._writer is not None and value == value:  # noqa: PLR0124  # NaN: there was no validation
            import tensorflow as tf  # noqa: PLC0415

            with self._writer.as_default():
                tf.summary.write(name, tf.constant(value, tf.float32), step, _scalars())


def _scalars() -> Any:
    """Return what marks a value as a scalar; TensorBoard itself, whose helper does this, need not be here."""
    import tensorflow as tf  # noqa: PLC0415

    kind = tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
    return tf.compat.v1.SummaryMetadata(plugin_data=kind)
