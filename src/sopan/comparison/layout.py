"""How figures are shown, alike in terminal, notebook and report: numbers, marks, places in a chart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

# ---- numbers -------------------------------------------------------------------------------------

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


def quantity(value: float, digits: int = 3) -> str:
    """Write a positive amount with so many significant digits: `0.0123`, `4.56`, `78.9`, `12,300`."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "–"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{round(value, decimals):,.{max(0, decimals)}f}"


def megabytes(n_bytes: float | None) -> str:
    """Write a number of bytes in MB (10^6 bytes), without the unit; a dash where there is none."""
    return "–" if n_bytes is None else quantity(n_bytes / 1e6)


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


# ---- marks ---------------------------------------------------------------------------------------
# Colours are names of CSS variables, so that the page, not the chart, decides between light and dark. They
# stem from Okabe and Ito's palette (2008), which colour-blind readers can tell apart; shape, dash and a label
# beside the mark say the same again without colour.

SHAPES = (
    "M0,-.9A.9,.9,0,1,1,0,.9A.9,.9,0,1,1,0,-.9Z",
    "M-.8,-.8H.8V.8H-.8Z",
    "M0,-1L1,.8H-1Z",
    "M0,-1.1L1.1,0L0,1.1L-1.1,0Z",
    "M0,1L1,-.8H-1Z",
    "M-.35,-1H.35V-.35H1V.35H.35V1H-.35V.35H-1V-.35H-.35Z",
    "M-.8,-1L1,0L-.8,1Z",
    "M.8,-1L-1,0L.8,1Z",
)
"""SVG paths within about one unit of the origin; Vega takes them as they are."""

DASHES = ((1, 0), (6, 3), (2, 2), (8, 3, 2, 3), (4, 4), (10, 3), (1, 3), (6, 2, 1, 2, 1, 2))


@dataclass(frozen=True, slots=True)
class Mark:
    """How one step is drawn.

    Args:
        colour: a CSS value, `var(--step-1)`.
        shape: an SVG path about the origin, one unit in radius.
        dash: lengths of strokes and gaps, in pixels.
    """

    colour: str
    shape: str
    dash: tuple[int, ...]


def step_marks(steps: Sequence[str]) -> dict[str, Mark]:
    """Give each step its mark, by its place; beyond eight the colours come again, with other shapes."""
    return {
        step: Mark(f"var(--step-{place % 8 + 1})", SHAPES[(place + place // 8) % 8], DASHES[place % 8])
        for place, step in enumerate(steps)
    }


# ---- places --------------------------------------------------------------------------------------

LETTER, LINE = 6.6, 15.0
"""Pixels that a letter of a label takes in width, and a label in height, about."""

ONE_VALUE = 1e-7
"""Values closer than this, which is less than one text in ten million, are drawn as one."""

Offset = tuple[float, float, Literal["left", "right"]]
"""Of a label from its point: pixels to the right, pixels down, and which end is there."""

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels from the top left."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear axis with round ticks, for the small plots inside tables.

    Args:
        low, high: the values at its ends.
        ticks: round values in between.
        width: its length in pixels.
    """

    low: float
    high: float
    ticks: tuple[float, ...]
    width: int

    @classmethod
    def over(cls, values: Sequence[float], width: int, most_ticks: int = 5) -> Axis:
        """Make the axis that shows all of `values`, a little room at both ends."""
        low, high = padded_range(values)
        unit = _round_step((high - low) / most_ticks)
        round_values = (
            round(k * unit, 10) for k in range(math.floor(low / unit), math.ceil(high / unit) + 1)
        )
        return cls(low, high, tuple(value for value in round_values if low <= value <= high), width)

    def at(self, value: float) -> float:
        """Return the pixel at which a value is drawn."""
        return round((value - self.low) / (self.high - self.low) * self.width, 2)

    def tick_label(self, value: float) -> str:
        """Write a tick with the decimals that tell it from its neighbours."""
        unit = self.ticks[1] - self.ticks[0] if len(self.ticks) > 1 else abs(value) or 1.0
        decimals = max(0, -math.floor(math.log10(unit) + 1e-9))
        text = f"{value:.{decimals}f}"
        return text.replace("-", MINUS)


def _round_step(at_least: float) -> float:
    """Return the smallest of 1, 2, 5, 10, 20, 50 ... (and their tenths) not below `at_least`."""
    power: float = 10.0 ** math.floor(math.log10(at_least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= at_least * (1 - 1e-9))


def padded_range(values: Sequence[float]) -> tuple[float, float]:
    """Return a domain that shows all values, with a little room at both ends."""
    low, high = min(values), max(values)
    room = 0.06 * (high - low) if high - low > ONE_VALUE else 0.01
    return low - room, high + room


def log_ticks(low: float, high: float) -> list[float]:
    """Return 1, 2, 5, 10, 20, 50 ... (and their tenths) from low to high; powers of ten alone if enough."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [float(f"{factor}e{power}") for power in powers for factor in (1, 2, 5)]
    ticks = [tick for tick in ticks if low <= tick <= high]
    tens = [tick for tick in ticks if f"{tick:e}".startswith("1.")]
    return tens if len(tens) >= 3 else ticks


def pareto_front(points: Sequence[tuple[float, float]]) -> set[int]:
    """Return the places of the (cost, score) points to which no other is equal or better in both."""
    return {
        i
        for i, (cost, score) in enumerate(points)
        if not any(other[0] <= cost and other[1] >= score and other != (cost, score) for other in points)
    }


def place_labels(points: Sequence[tuple[float, float]], labels: Sequence[str], width: float) -> list[Offset]:
    """Put a label beside each point so that it misses the points and the other labels, if it can.

    Args:
        points: pixels, from the left and from the top.
        labels: one text a point.
        width: of the plot, in pixels.

    Returns:
        For each label its offset from the point (dx, dy) and its alignment.
    """
    taken: list[Box] = [(x - 6, y - 6, x + 6, y + 6) for x, y in points]
    chosen: list[Offset] = []
    for (x, y), label in zip(points, labels, strict=True):
        long = LETTER * len(label)
        offers: list[tuple[Offset, Box]] = []
        for down in (0.7 * LINE, -0.7 * LINE, 1.7 * LINE, -1.7 * LINE):
            top = y + down - LINE / 2
            offers.append(((9, down, "left"), (x + 9, top, x + 9 + long, top + LINE)))
            offers.append(((-9, down, "right"), (x - 9 - long, top, x - 9, top + LINE)))
        best = min(offers, key=lambda offer: (_covered(offer[1], taken, width), abs(offer[0][1])))
        chosen.append(best[0])
        taken.append(best[1])
    return chosen


def _covered(box: Box, taken: Sequence[Box], width: float) -> int:
    """Count the boxes that a label would cover; leaving the plot counts as much as covering two."""
    left, top, right, bottom = box
    hits = sum(left < b[2] and b[0] < right and top < b[3] and b[1] < bottom for b in taken)
    return hits + 2 * (left < 0 or right > width + 30)


def spread(heights: Sequence[float], gap: float = LINE) -> list[float]:
    """Move heights apart until neighbours have `gap` pixels between them, each as little as it can.

    Overlapping labels become a block that is centred on its members' own heights; blocks that then
    touch are merged (the pool-adjacent-violators way).
    """
    blocks: list[list[int]] = []

    def top(block: list[int]) -> float:
        return sum(heights[i] - place * gap for place, i in enumerate(block)) / len(block)

    for i in sorted(range(len(heights)), key=lambda i: heights[i]):
        blocks.append([i])
        while len(blocks) > 1 and top(blocks[-2]) + len(blocks[-2]) * gap > top(blocks[-1]):
            last = blocks.pop()
            blocks[-1] += last
    moved = [0.0] * len(heights)
    for block in blocks:
        for place, i in enumerate(block):
            moved[i] = top(block) + place * gap
    return moved


def apart(sizes: Sequence[int], width: float, gap: float = 48.0) -> list[int]:
    """Choose the ticks, of sorted `sizes` on a logarithmic axis, whose labels keep a gap; the last stays."""
    if sizes[0] == sizes[-1]:
        return [sizes[-1]]
    scale = width / math.log(sizes[-1] / sizes[0])
    kept = [sizes[-1]]
    for size in reversed(sizes[:-1]):
        if scale * math.log(kept[-1] / size) >= gap:
            kept.append(size)
    return kept[::-1]
