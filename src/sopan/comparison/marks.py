"""One look for each step, the same in every table and chart: a colour, a shape and a dash.

Colours are names of CSS variables, so that the page, not the chart, decides between light and dark. They
stem from Okabe and Ito's palette (2008), which colour-blind readers can tell apart; shape, dash and a label
beside the mark say the same again without colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    """Give each step its mark, by its place; the eight marks repeat beyond eight steps."""
    return {
        step: Mark(f"var(--step-{place % 8 + 1})", SHAPES[place % 8], DASHES[place % 8])
        for place, step in enumerate(steps)
    }
