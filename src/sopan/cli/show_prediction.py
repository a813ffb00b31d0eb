"""One prediction as a person reads it."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from sopan.text.display import escape_for_display

out = Console(highlight=False)


def show_prediction(answer: dict[str, Any]) -> None:
    """Print one text's classes, most probable first, and what the model did not read."""
    ranked = sorted(answer["probabilities"].items(), key=lambda item: -item[1])
    for name, probability in ranked[:10]:
        bar = "█" * round(probability * 30)
        out.print(Text(f"{probability:7.4f}  {escape_for_display(name):<20} {bar}"))
    if answer["no_known_words"]:
        out.print("The model knows no word of this text: these are only the classes' base rates.")
    if answer["truncated"]:
        out.print("The text is longer than the model reads: its end was left out.")
