"""What is going on, on standard error, so that a long command never looks stuck."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn


@contextmanager
def step_progress() -> Iterator[Callable[[str, dict[str, Any]], None]]:
    """Show one line for each part of a comparison: how far, best so far, time taken."""
    columns = (SpinnerColumn(finished_text="✓"), TextColumn("{task.fields[part]:<10}"), TimeElapsedColumn())
    bar = Progress(*columns, TextColumn("{task.description}"), console=Console(stderr=True))
    tasks: dict[str, TaskID] = {}
    scores: dict[str, list[float]] = {}

    def tell(part: str, message: dict[str, Any]) -> None:
        if part not in tasks:
            for earlier in tasks.values():
                bar.update(earlier, total=1, completed=1)
            tasks[part] = bar.add_task("", total=None, part=part)
        if "trial" in message:
            tried = scores.setdefault(part, [])
            tried.append(message["trial"])
            words = (
                f"tuning: {len(tried)} of {message['offered']} settings, best {max(tried):.4f} on validation"
            )
            bar.update(tasks[part], description=words)
        else:
            bar.update(tasks[part], description=str(message.get("stage", "")))

    with bar:
        yield tell
        for task in tasks.values():
            bar.update(task, total=1, completed=1)
