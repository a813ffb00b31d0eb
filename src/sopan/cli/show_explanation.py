"""How an explanation looks in a terminal: the text with its words coloured, and whether to believe it."""

from __future__ import annotations

from typing import Any

from rich.table import Table
from rich.text import Text

from sopan.cli.show import out
from sopan.text.display import escape_for_display

FOR = ((0.6, "bold white on blue"), (0.25, "bold bright_blue"), (0.08, "bright_blue"))
AGAINST = ((0.6, "bold black on yellow"), (0.25, "bold yellow"), (0.08, "yellow"))
"""Styles of words for and against the prediction, and from which share of the strongest word's support on."""


def show_explanation(found: dict[str, Any]) -> None:
    """Print the prediction, the coloured text, the words that weigh most, the check, and the cautions."""
    predicted = escape_for_display(found["predicted"])
    probability = found["probabilities"][found["predicted"]]
    out.print(Text.assemble((predicted, "bold"), f", with probability {probability:.3f} ({found['step']})\n"))
    if found["text"].strip():
        out.print(coloured(found["text"], found["words"]))
        out.print()
    if found["top_words"]:
        out.print(_top_words(found["top_words"]))
        key = Text.assemble("Words for the prediction are ", ("blue", FOR[1][1]), ", words against it ")
        out.print(
            key + Text.assemble(("yellow", AGAINST[1][1]), ", unknown or unread ones ", ("dim", "dim"), ".")
        )
        out.print(f"Contributions: {found['evidence']['method']}.")
    if found["sanity"]:
        out.print(Text("\n" + escape_for_display(found["sanity"]["sentence"])))
    cautions = [*found["cautions"], *([found["attention"]["caution"]] if found["attention"] else [])]
    for caution in cautions:
        out.print(Text(caution, style="italic"))
    for note in found["notes"]:
        out.print(Text(note, style="dim"))


def coloured(text: str, words: list[dict[str, Any]]) -> Text:
    """Return the text, safe to print, its words styled by their support.

    Args:
        text: as the user gave it.
        words: as from `sopan.usecases.explain`, in the order of the text; where they overlap, as the pairs of
            unspaced scripts do, the stronger one colours what they share.
    """
    strongest = max((abs(word["support"]) for word in words), default=0.0)
    styles = [""] * len(text)
    for word in sorted(words, key=lambda word: abs(word["support"])):
        style = style_of(word["support"] / strongest if strongest else 0.0, read=word["read"])
        styles[word["start"] : word["end"]] = [style] * (word["end"] - word["start"])
    shown, start = Text(), 0
    for end in range(1, len(text) + 1):
        if end == len(text) or styles[end] != styles[start]:
            shown.append(escape_for_display(text[start:end]), styles[start] or None)
            start = end
    return shown


def style_of(share: float, *, read: bool) -> str:
    """Return the style of a word, given its support as a share of the strongest word's: -1 to 1."""
    if not read:
        return "dim"
    levels = FOR if share > 0 else AGAINST
    return next((style for least, style in levels if abs(share) >= least), "")


def _top_words(top: list[dict[str, Any]]) -> Table:
    """Lay out the words that weigh most, with bars to the left and right of nothing."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("word", overflow="fold", max_width=30)
    table.add_column("times", justify="right")
    table.add_column("adds to the lead", justify="right")
    table.add_column("")
    strongest = abs(top[0]["support"])
    for row in top:
        length = max(1, round(abs(row["support"]) / strongest * 20))
        style = FOR[1][1] if row["support"] > 0 else AGAINST[1][1]
        word = Text(escape_for_display(row["word"]))
        table.add_row(word, str(row["times"]), f"{row['support']:+.3f}", Text("█" * length, style))
    return table
