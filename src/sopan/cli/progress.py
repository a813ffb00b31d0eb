"""What is going on, on standard error, so that a long command never looks stuck."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from sopan.options.base import EvaluationEntry, Message, ProgressCallback
from sopan.text.display import escape_for_display


@contextmanager
def show_progress() -> Iterator[ProgressCallback]:
    """Show a line for each part of the work (how far, best so far, time taken) and for each evaluation."""
    columns = (
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.fields[part]:<10}", markup=False),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True, highlight=False, markup=False)
    bars = Progress(*columns, TextColumn("{task.description}", markup=False), console=console)
    tasks: dict[str, TaskID] = {}
    scores: dict[str, list[float]] = {}

    def tell(part: str, message: Message) -> None:
        if "evaluation" in message:
            console.print(evaluation_line(message["evaluation"]))
            return
        if part not in tasks:
            for earlier in tasks.values():
                bars.update(earlier, total=1, completed=1)
            tasks[part] = bars.add_task("", total=None, part=part)
        words = escape_for_display(message.get("stage", ""))
        if "trial" in message:
            tried = scores.setdefault(part, [])
            tried.append(message["trial"])
            words = (
                f"tuning: {len(tried)} of {message['offered']} settings, best {max(tried):.4f} on validation"
            )
        bars.update(tasks[part], description=words)

    with bars:
        yield tell
        for task in tasks.values():
            bars.update(task, total=1, completed=1)


def evaluation_line(found: EvaluationEntry) -> str:
    """Say what an evaluation on held-out text found, in a line."""
    held_out = found["held_out"]
    line = f"step {found['step']:,}: {found['pieces']:,} pieces, loss {found['loss']:.3f}"
    if held_out:
        line += f"; held out {held_out['loss']:.3f}, accuracy {held_out['accuracy']:.3f}"
    return line
