"""How the training of a language model looks in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from sopan.cli.progress import step_progress


@contextmanager
def pretraining_progress() -> Iterator[Callable[[str, dict[str, Any]], None]]:
    """Show a line for each part of the work, and one for each look at held-out text."""
    console = Console(stderr=True, highlight=False)
    with step_progress() as tell:

        def told(part: str, message: dict[str, Any]) -> None:
            if "look" in message:
                console.print(look_line(message["look"]))
            else:
                tell(part, message)

        yield told


def look_line(look: dict[str, Any]) -> str:
    """Say one look at held-out text in a line."""
    held_out = look["held_out"]
    line = f"step {look['step']:,}: {look['pieces']:,} pieces, loss {look['loss']:.3f}"
    if held_out:
        line += f"; held out {held_out['loss']:.3f}, accuracy {held_out['accuracy']:.3f}"
    return line


def show_training(account: dict[str, Any], out: Path) -> None:
    """Print what a finished training came to."""
    if account["looks"]:
        print(look_line(account["looks"][-1]))
    print(f"model in {out}")


def show_adapted(report: dict[str, Any], out: Path) -> None:
    """Print what adapting came to: new words, blanks before and after, and labels where there were any."""
    new = report["new_words"]
    print(f"{len(new):,} new words{': ' + ', '.join(new[:10]) + ', …' if new else ''}")
    if "blanks" in report:
        _show_blanks(report["blanks"], "after", "before")
    if "downstream" in report:
        _show_downstream(report["downstream"], "after", "before")
    print(f"model in {out}")


def show_objectives(report: dict[str, Any]) -> None:
    """Print how a masked and a causal model compare."""
    _show_blanks(report["blanks"], "masked", "causal")
    if "downstream" in report:
        _show_downstream(report["downstream"], "masked", "causal")


def _show_blanks(blanks: dict[str, Any], a: str, b: str) -> None:
    print(f"{blanks[a]['blanks']:,} words of held-out sentences, each hidden in turn:")
    for name in (b, a):
        first, among = blanks[name]["top_1"], blanks[name]["top_5"]
        inside = f"{first['low']:.3f} to {first['high']:.3f}"
        print(f"  {name:<7} first answer right {first['share']:.3f} ({inside}), in five {among['share']:.3f}")
    print(f"  {_difference(blanks['difference'], a, b)}")


def _show_downstream(found: dict[str, Any], a: str, b: str) -> None:
    shares = ", ".join(f"{name} {found['accuracy'][name]:.4f}" for name in (b, a))
    print(f"accuracy of bert on {found['tests']:,} test texts: {shares}")
    print(f"  {_difference(found['difference'], a, b)}")


def _difference(found: dict[str, float], a: str, b: str) -> str:
    inside = f"{found['low']:+.4f} to {found['high']:+.4f}"
    return f"{a} − {b}: {found['difference']:+.4f} (95%: {inside}; exact McNemar p = {found['p']:.2g})"
