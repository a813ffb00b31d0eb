"""How the answers of a language model look in a terminal: words coloured by how much they surprise."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

from rich.table import Table
from rich.text import Text

from sopan.cli.show import out
from sopan.text.display import escape_for_display

SURPRISE = ((15.0, "bold white on red"), (10.0, "bold red"), (6.0, "yellow"))
"""Styles of words, and from how many bits on: 10 bits are a word that is likely once in a thousand times."""


def show_filled(found: dict[str, Any]) -> None:
    """Print each blank's candidates, and with several blanks the fillings of all."""
    several = len(found["blanks"]) > 1
    for number, candidates in enumerate(found["blanks"], start=1):
        if several:
            out.print(Text(f"blank {number}", style="bold"))
        for candidate in candidates:
            bar = "█" * round(candidate["probability"] * 30)
            out.print(Text(f"{candidate['probability']:7.4f}  {_safe(candidate['text']):<20} {bar}"))
    if several:
        out.print(Text("all blanks together", style="bold"))
        for filling in found["joint"]:
            out.print(Text(f"{filling['probability']:7.4f}  {_safe(filling['text'])}"))
    if found["reads"] == "the left side":
        out.print("A causal model: it saw only what stands before each blank.")
    if found["truncated"]:
        out.print("The text is longer than the model reads: it saw the part around the blanks.")


def show_score(found: dict[str, Any]) -> None:
    """Print the coloured text, its most surprising words, and the totals."""
    out.print(coloured(found["text"], found["words"]))
    if not found["words"]:
        out.print("There are no words to score.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("most surprising", overflow="fold", max_width=30)
    table.add_column("bits", justify="right")
    table.add_column("probability", justify="right")
    for word in sorted(found["words"], key=lambda word: word["log_probability"])[:8]:
        likely = math.exp(word["log_probability"])
        note = "" if word["known"] else " (unknown)"
        table.add_row(Text(_safe(word["text"]) + note), f"{bits(word):.1f}", f"{likely:.2g}")
    out.print()
    out.print(table)
    kind = "log-likelihood" if found["method"] == "causal" else "pseudo-log-likelihood"
    out.print(
        f"\n{kind} {found['total']:.2f} ({found['method']}), perplexity {found['perplexity_per_word']:,.1f} "
        f"a word ({found['n_words']:,}), {found['perplexity_per_piece']:,.1f} a piece ({found['n_pieces']:,})"
    )
    if found["windowed"]:
        out.print("The text is longer than the model reads at once: each piece was scored in a part of it.")


def show_scored_texts(scores: Iterable[dict[str, Any]]) -> None:
    """Print a line for each text, coloured, and the perplexity of all together."""
    from sopan.usecases import perplexity  # noqa: PLC0415

    total, texts, words, pieces = 0.0, 0, 0, 0
    for found in scores:
        out.print(Text(f"{found['total']:10.2f}  ") + coloured(found["text"], found["words"], line=True))
        total, texts = total + found["total"], texts + 1
        words, pieces = words + found["n_words"], pieces + found["n_pieces"]
    if words:
        by_word, by_piece = perplexity(total, words), perplexity(total, pieces)
        out.print(
            f"{texts:,} texts: perplexity {by_word:,.1f} a word ({words:,}), "
            f"{by_piece:,.1f} a piece ({pieces:,})"
        )


def show_neighbors_in_context(found: list[dict[str, Any]]) -> None:
    """Print each word's cosine and its sentence, the word standing out."""
    for one in found:
        sentence, start, end = one["sentence"], one["start"], one["end"]
        line = Text(f"{one['cosine']:6.3f}  {_safe(one['word']):<16}  ")
        parts = sentence[:start], (sentence[start:end], "bold"), sentence[end:]
        styled = [(_safe(part), "") if isinstance(part, str) else (_safe(part[0]), part[1]) for part in parts]
        out.print(line + Text.assemble(*styled))


def show_generated(found: dict[str, Any]) -> None:
    """Print the prompt and what follows it."""
    prompt = escape_for_display(found["prompt"])
    rest = escape_for_display(found["text"][len(found["prompt"]) :])
    out.print(Text.assemble((prompt, "bold"), rest))


def bits(word: dict[str, Any]) -> float:
    """Return how much a word surprises: log2 of 1 / its probability."""
    return float(-word["log_probability"] / math.log(2))


def coloured(text: str, words: list[dict[str, Any]], *, line: bool = False) -> Text:
    """Return a text, safe to print, its words styled by how much they surprise; unknown ones are dim.

    Args:
        text: as the user gave it.
        words: as from `sopan.usecases.score_text`.
        line: print its line breaks and tabs as spaces.
    """
    safe = _safe if line else escape_for_display
    shown, behind = Text(), 0
    for word in words:
        style = next((style for least, style in SURPRISE if bits(word) >= least), "")
        shown.append(safe(text[behind : word["start"]]))
        shown.append(safe(text[word["start"] : word["end"]]), (style if word["known"] else "dim") or None)
        behind = word["end"]
    return shown.append(safe(text[behind:]))


def _safe(text: str) -> str:
    return re.sub(r"\s", " ", escape_for_display(text))
