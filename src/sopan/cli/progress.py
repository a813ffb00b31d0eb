"""What is going on, on standard error, so that a long command never looks stuck."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from sopan.options.base import LookEntry, Message, ProgressCallback


@contextmanager
def show_progress() -> Iterator[ProgressCallback]:
    """Show a line for each part of the work (how far, best so far, time taken), and one for each look."""
    columns = (SpinnerColumn(finished_text="✓"), TextColumn("{task.fields[part]:<10}"), TimeElapsedColumn())
    console = Console(stderr=True, highlight=False)
    bars = Progress(*columns, TextColumn("{task.description}"), console=console)
    tasks: dict[str, TaskID] = {}
    scores: dict[str, list[float]] = {}

    def tell(part: str, message: Message) -> None:
        if "look" in message:
            console.print(look_line(message["look"]))
            return
        if part not in tasks:
            for earlier in tasks.values():
                bars.update(earlier, total=1, completed=1)
            tasks[part] = bars.add_task("", total=None, part=part)
        words = message.get("stage", "")
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


def look_line(look: LookEntry) -> str:
    """Say one look at held-out text in a line."""
    held_out = look["held_out"]
    line = f"step {look['step']:,}: {look['pieces']:,} pieces, loss {look['loss']:.3f}"
    if held_out:
        line += f"; held out {held_out['loss']:.3f}, accuracy {held_out['accuracy']:.3f}"
    return line
