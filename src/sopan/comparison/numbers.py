"""How numbers are written for people, the same in the terminal, the notebook and the report."""

from __future__ import annotations

import math
from collections.abc import Sequence

MINUS = "\N{MINUS SIGN}"


def share(value: float) -> str:
    """Write a share of 1 with three decimals: `0.888`."""
    return f"{value:.3f}"


def signed(value: float) -> str:
    """Write a difference with its sign and four decimals: `+0.0021`, `−0.0100`, `0.0000`."""
    text = f"{abs(value):.4f}"
    if float(text) == 0:
        return text
    return f"{'+' if value > 0 else MINUS}{text}"


def interval(ends: Sequence[float]) -> str:
    """Write the interval of a share: `0.885–0.891`."""
    low, high = ends
    return f"{low:.3f}–{high:.3f}"


def quantity(value: float) -> str:
    """Write a positive amount with three significant digits: `0.0123`, `4.56`, `78.9`, `12,300`."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "–"
    decimals = 2 - math.floor(math.log10(abs(value)))
    return f"{round(value, decimals):,.{max(0, decimals)}f}"


def megabytes(n_bytes: float) -> str:
    """Write a number of bytes in MB (10^6 bytes), without the unit."""
    return quantity(n_bytes / 1e6)


def p_value(value: float) -> str:
    """Write a p-value: `0.034`, `< 0.001`."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def duration(seconds: float) -> str:
    """Write a time in words: `0.4 s`, `12 s`, `5 min 18 s`, `2 h 05 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def plural(count: int, thing: str, things: str | None = None) -> str:
    """Write a count with its noun: `1 text`, `40,000 texts`."""
    return f"{count:,} {thing if count == 1 else things or thing + 's'}"
