"""The report's charts: Altair describes them, vl-convert draws them once, the page holds plain SVG.

No script runs in the page, so that it reads anywhere and prints as it looks. Colours are CSS variables,
a mark's `<title>` is its tooltip, and each chart has a sentence for those who cannot see it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import altair as alt
import vl_convert
from markupsafe import Markup

from sopan.comparison import layout
from sopan.comparison.layout import Mark, plural, quantity, share
from sopan.comparison.results import LearningPoint, StepScores

INK, SOFT, GRID, PAPER = "var(--ink)", "var(--soft)", "var(--grid)", "var(--paper)"
FONT_SIZE = 12
Row = dict[str, Any]
"""What Vega draws: numbers and words by name."""
HALO: dict[str, Any] = {"stroke": PAPER, "strokeWidth": 4, "strokeJoin": "round", "aria": False}
"""Around a label that lies on lines; the page's style sheet paints it under the letters."""

MOST_CELLS = 20
"""Up to this many classes a confusion matrix is drawn; beyond, its largest cells are listed."""


def tradeoff(
    steps: Sequence[StepScores], marks: Mapping[str, Mark], costs: Sequence[float], cost_name: str
) -> Markup:
    """Plot accuracy, with its interval, against a cost on a logarithmic axis; mark the Pareto front.

    Args:
        marks: each step's look.
        costs: one positive number a step.
        cost_name: the axis title, with the unit.
    """
    width, height = 400, 260
    rows: list[Row] = [
        {
            "step": step.step,
            "cost": max(cost, 1e-9),
            "accuracy": step.accuracy,
            "low": step.accuracy_ci[0],
            "high": step.accuracy_ci[1],
            "about": f"{step.step}: accuracy {share(step.accuracy)}, {cost_name} {quantity(cost)}",
        }
        for step, cost in zip(steps, costs, strict=True)
    ]
    front = layout.pareto_front([(row["cost"], row["accuracy"]) for row in rows])
    x_range = (min(row["cost"] for row in rows) / 2, max(row["cost"] for row in rows) * 2)
    y_range = layout.padded_range([row[end] for row in rows for end in ("low", "high")])
    x = alt.X(
        "cost:Q", title=cost_name, axis=alt.Axis(values=layout.log_ticks(*x_range), grid=False, format=",~g")
    )
    x = x.scale(type="log", domain=x_range, nice=False)
    y = alt.Y("accuracy:Q", title="accuracy").scale(domain=y_range, zero=False, nice=False)
    colour = _by_step(alt.Color, marks, "colour")
    shape = _by_step(alt.Shape, marks, "shape")
    base = alt.Chart(alt.InlineData(values=rows), width=width, height=height)
    stairs = base.transform_filter(alt.FieldOneOfPredicate("step", [rows[i]["step"] for i in front]))
    layers = [
        stairs.mark_line(interpolate="step-after", stroke=SOFT, strokeDash=[2, 3], aria=False).encode(x, y),
        base.mark_rule(strokeWidth=1.5, aria=False).encode(x, alt.Y("low:Q"), alt.Y2("high:Q"), colour),
        base.mark_point(filled=True, size=90, opacity=1).encode(x, y, colour, shape, description="about:N"),
    ]
    dominated = [row["step"] for i, row in enumerate(rows) if i not in front]
    hollow = base.transform_filter(alt.FieldOneOfPredicate("step", dominated))
    layers.append(
        hollow.mark_point(filled=True, size=16, fill=PAPER, opacity=1, aria=False).encode(x, y, shape)
    )
    pixels = [
        (
            width * math.log(row["cost"] / x_range[0]) / math.log(x_range[1] / x_range[0]),
            height * (y_range[1] - row["accuracy"]) / (y_range[1] - y_range[0]),
        )
        for row in rows
    ]
    offsets = layout.place_labels(pixels, [row["step"] for row in rows], width)
    for row, (dx, dy, align) in zip(rows, offsets, strict=True):
        text = base.transform_filter(alt.FieldEqualPredicate(row["step"], "step"))
        text = text.mark_text(dx=dx, dy=dy, align=align, baseline="middle", fill=INK, **HALO)
        layers.append(text.encode(x, y, text="step:N"))
    return draw(*layers, about="; ".join(row["about"] for row in rows))


def reliability(step: StepScores, mark: Mark) -> Markup:
    """Plot how often a step was right against how sure it was; the diagonal is perfect honesty."""
    rows: list[Row] = [
        {
            **vars(each),
            "about": f"said {share(each.confidence)}, right {share(each.accuracy)}, "
            f"{plural(each.count, 'text')}",
        }
        for each in step.reliability
        if each.count
    ]
    axis: dict[str, Any] = {"scale": alt.Scale(domain=[0, 1]), "axis": alt.Axis(tickCount=3, format=".1~f")}
    x = alt.X("confidence:Q", title="how sure", **axis)
    y = alt.Y("accuracy:Q", title="how often right", **axis)
    base = alt.Chart(alt.InlineData(values=rows), width=190, height=190)
    ends = alt.InlineData(values=[{"confidence": 0, "accuracy": 0}, {"confidence": 1, "accuracy": 1}])
    diagonal = alt.Chart(ends).mark_line(stroke=SOFT, strokeWidth=1, strokeDash=[2, 3], aria=False)
    line = base.mark_line(stroke=mark.colour, strokeWidth=1.5, strokeDash=mark.dash, aria=False)
    points = base.mark_point(filled=True, shape=mark.shape, fill=mark.colour, opacity=1)
    size = alt.Size("count:Q", legend=None).scale(range=[8, 90])
    about = f"{step.step}: " + "; ".join(row["about"] for row in rows)
    return draw(
        diagonal.encode(x, y),
        line.encode(x, y),
        points.encode(x, y, size, description="about:N"),
        about=about,
    )


def confusion(step: StepScores, classes: Sequence[str]) -> Markup:
    """Draw a confusion matrix: a row for each true class, shaded by the share of that row.

    Args:
        classes: C <= `MOST_CELLS` names, made fit for display.
    """
    few = len(classes) <= 10
    cell = 72 if len(classes) <= 3 else 44 if few else 24
    rows: list[Row] = []
    for name, counts in zip(classes, step.confusion, strict=True):
        total = max(1, sum(counts))
        for guess, count in zip(classes, counts, strict=True):
            about = f"{name}, taken for {guess}: {count:,} of {sum(counts):,}"
            part = count / total
            rows.append({"true": name, "predicted": guess, "count": count, "share": part, "about": about})
    side = cell * len(classes)
    base = alt.Chart(alt.InlineData(values=rows), width=side, height=side)
    order: dict[str, Any] = {"sort": list(classes), "scale": alt.Scale(paddingInner=0.04, paddingOuter=0)}
    bare: dict[str, Any] = {
        "domain": False,
        "ticks": False,
        "grid": False,
        "labelLimit": 120,
        "labelOverlap": False,
        "titlePadding": 10,
    }
    slant: dict[str, Any] = (
        {"labelAngle": 0} if len(classes) <= 3 else {"labelAngle": -45, "labelAlign": "left"}
    )
    x = alt.X("predicted:N", title="predicted", axis=alt.Axis(orient="top", **bare, **slant), **order)
    y = alt.Y("true:N", title="true", axis=alt.Axis(**bare), **order)
    opacity = alt.FillOpacity("share:Q", legend=None).scale(domain=[0, 1], range=[0.05, 1])
    layers = [base.mark_rect(fill="var(--heat)").encode(x, y, opacity, description="about:N")]
    if few:
        ink = alt.when("datum.share > 0.55").then(alt.value(PAPER)).otherwise(alt.value(INK))
        text = base.mark_text(fontSize=11, aria=False)
        layers.append(text.encode(x, y, fill=ink, text=alt.Text("count:Q", format=",")))
    right = [row["about"] for row in rows if row["true"] == row["predicted"]]
    return draw(*layers, about=f"{step.step}: " + "; ".join(right))


def learning_curves(points: Sequence[LearningPoint], marks: Mapping[str, Mark]) -> Markup:
    """Plot accuracy, with its interval, against the number of training texts, one line a step."""
    width, height = 640, 320
    rows: list[Row] = [
        {
            "step": point.step,
            "train": point.train,
            "accuracy": point.accuracy,
            "low": point.ci[0],
            "high": point.ci[1],
            "about": f"{point.step}, {plural(point.train, 'text')}: {share(point.accuracy)}",
        }
        for point in points
    ]
    sizes = sorted({row["train"] for row in rows})
    y_range = layout.padded_range([row[end] for row in rows for end in ("low", "high")])
    axis = alt.Axis(values=layout.apart(sizes, width), format=",", grid=False)
    x = alt.X("train:Q", title="training texts", axis=axis)
    x = x.scale(type="log", domain=[sizes[0] / 1.1, sizes[-1] * 1.1], nice=False)
    y = alt.Y("accuracy:Q", title="accuracy").scale(domain=y_range, zero=False, nice=False)
    colour = _by_step(alt.Color, marks, "colour")
    fill = _by_step(alt.Fill, marks, "colour")
    shape = _by_step(alt.Shape, marks, "shape")
    dash = _by_step(alt.StrokeDash, marks, "dash")
    base = alt.Chart(alt.InlineData(values=rows), width=width, height=height)
    layers = [
        base.mark_area(opacity=0.12, aria=False).encode(x, alt.Y("low:Q"), alt.Y2("high:Q"), fill),
        base.mark_line(strokeWidth=1.75, aria=False).encode(x, y, colour, dash),
        base.mark_point(filled=True, size=90, opacity=1).encode(x, y, colour, shape, description="about:N"),
    ]
    ends = [max((row for row in rows if row["step"] == step), key=lambda row: row["train"]) for step in marks]
    heights = [height * (y_range[1] - row["accuracy"]) / (y_range[1] - y_range[0]) for row in ends]
    for row, at, new in zip(ends, heights, layout.spread(heights), strict=True):
        text = alt.Chart(alt.InlineData(values=[row])).mark_text(
            align="left", baseline="middle", dx=10, dy=new - at, fill=INK, **HALO
        )
        layers.append(text.encode(x, y, text="step:N"))
    return draw(*layers, about="; ".join(row["about"] for row in rows))


def draw(*layers: alt.Chart, about: str) -> Markup:
    """Render the layers of a chart to SVG that takes its colours and its font from the page.

    Args:
        about: what a screen reader says in place of the chart.
    """
    chart = alt.layer(*layers).configure(
        font="system-ui, sans-serif",
        background="transparent",
        padding={"left": 2, "top": 6, "right": 6, "bottom": 2},
        view=alt.ViewConfig(stroke=None, clip=False),
        text=alt.MarkConfig(fontSize=FONT_SIZE),
        axis=alt.AxisConfig(
            domainColor=SOFT,
            gridColor=GRID,
            labelColor=INK,
            labelFontSize=FONT_SIZE - 1,
            labelOverlap=True,
            tickColor=SOFT,
            tickSize=4,
            titleColor=INK,
            titleFontSize=FONT_SIZE,
            titleFontWeight="normal",
            titlePadding=8,
        ),
    )
    return Markup(_trim(vl_convert.vegalite_to_svg(chart.to_dict()), about))


MARK = re.compile(r'<path aria-label="([^"]*)" role="graphics-symbol" aria-roledescription="[^"]*" ([^>]*)/>')
IDLE = re.compile(
    r'<path class="(?:back|fore)ground"[^>]*/>'
    r'| (?:role="graphics-[a-z]+"|aria-[a-z]+="[^"]*"|pointer-events="none"|opacity="1"|font-family="[^"]*")'
)
FINE = re.compile(r' (?:transform|d|x2|y2|fill-opacity)="[^"]*"')


def _trim(svg: str, about: str) -> str:
    """Turn the labels of marks into tooltips, drop what idles in a page without scripts, add `about`.

    Coordinates keep two decimals. A page of matrices is less than a third as long for all this.
    """
    svg = IDLE.sub("", MARK.sub(r"<path \2><title>\1</title></path>", svg))
    svg = FINE.sub(lambda found: re.sub(r"(\.\d\d)\d+", r"\1", found[0]), svg)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(about)}" ', 1)


def _by_step(channel: Any, marks: Mapping[str, Mark], look: str) -> Any:
    """Encode the step in a channel, without a legend: each has its mark's look."""
    looks = [getattr(mark, look) for mark in marks.values()]
    return channel("step:N", legend=None).scale(domain=list(marks), range=looks)
