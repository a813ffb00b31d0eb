"""The chart of docs/performance.md: each ratio as a dot, its bar as a tick, on a logarithmic axis."""

from __future__ import annotations

from typing import Any

import altair as alt

from sopan.comparison.charts import INK, SOFT, draw
from sopan.comparison.layout import log_ticks

STYLE = (
    "<style>svg{--ink:#1b1f23;--soft:#666d73;--grid:#e7e7e2;--paper:#fffefb;--good:#00694d;--bad:#b04a00;"
    "background:var(--paper)}text{font-family:system-ui,sans-serif}@media (prefers-color-scheme:dark){svg{"
    "--ink:#e6e6e1;--soft:#9aa1a7;--grid:#2b3035;--paper:#16191c;--good:#4cc9a1;--bad:#f0945a}}</style>"
)
"""A file of its own has no page to take colours from: these are the report's."""
ROW = 18


def chart(rows: list[dict[str, Any]]) -> str:
    """Draw the rows that have a ratio and a bar, in their order, as an SVG file's content."""
    points = [
        {
            "name": f"{row['bench']} · {row['peer_name']}",
            "ratio": row["ratio"],
            "bar": row["bar"],
            "met": "met" if row["ratio"] >= row["bar"] else "missed",
            "about": f"{row['bench']} against {row['peer_name']}: {row['ratio']:.2f}, bar {row['bar']:g}",
        }
        for row in rows
    ]
    values = [1.0, *(point[kind] for point in points for kind in ("ratio", "bar"))]
    domain = (min(values) / 1.15, max(values) * 1.15)
    x_axis = alt.Axis(values=log_ticks(*domain), format="~g", grid=True)
    scale = alt.Scale(type="log", domain=domain, nice=False)
    names = [point["name"] for point in points]
    y = alt.Y("name:N", title=None, sort=names, axis=alt.Axis(labelLimit=460, ticks=False, domain=False))
    title = "times better than the other (dot), and the bar (tick)"
    x, bar = alt.X("ratio:Q", title=title, scale=scale, axis=x_axis), alt.X("bar:Q", scale=scale)
    colour = alt.Color("met:N", legend=None).scale(
        domain=["met", "missed"], range=["var(--good)", "var(--bad)"]
    )
    base = alt.Chart(alt.InlineData(values=points), width=420, height=ROW * max(1, len(points)))
    even = alt.Chart(alt.InlineData(values=[{"ratio": 1}])).mark_rule(
        stroke=SOFT, strokeDash=[2, 3], aria=False
    )
    layers = [
        even.encode(alt.X("ratio:Q", scale=scale)),
        base.mark_rule(strokeWidth=1, aria=False).encode(bar, y, alt.X2("ratio:Q"), colour),
        base.mark_tick(thickness=2, height=11, color=INK, aria=False).encode(bar, y),
        base.mark_point(filled=True, size=70, opacity=1).encode(x, y, colour, description="about:N"),
    ]
    svg = draw(*layers, about="; ".join(point["about"] for point in points) or "nothing was measured")
    head, rest = svg.split(">", 1)
    return f"{head}>{STYLE}{rest}\n"
