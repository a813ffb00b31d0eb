"""The report: one self-contained page, made from results.json alone.

The page loads nothing and runs no script; its content security policy says so. Texts and label names come
from outside and are never trusted: they are escaped, their invisible characters are shown, and each stands
in an element of its own so that a right-to-left text cannot reorder what is around it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import jinja2
from markupsafe import Markup

from sopan.comparison import charts, layout
from sopan.comparison.layout import Axis, step_marks
from sopan.comparison.results import Results, StepScores
from sopan.comparison.terminal import sentence_html
from sopan.fit.scores import Trial
from sopan.text.display import escape_for_display

TOP_CONFUSIONS = 12
"""How many confusions of a step are listed where there are too many classes to draw."""

PLOT_WIDTH = 200
"""Pixels of the interval plots inside tables."""


def render_report(results: Results) -> str:
    """Return the report as HTML."""
    pages = page_templates("sopan.comparison")
    style = template_source(pages, "style.css")
    return pages.get_template("report.html").render(
        **vars(results),
        **_figures(results),
        **_tables(results),
        style=Markup(style),
        style_digest=digest(style),
    )


def page_templates(*packages: str) -> jinja2.Environment:
    """Return the templates of pages, which escape all that they are given, and their filters.

    Args:
        packages: that have a folder `page`; where two hold a file of one name, the first one's is taken.
    """
    pages = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package, "page") for package in packages]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters |= {
        "share": layout.share,
        "signed": layout.signed,
        "interval": layout.interval,
        "quantity": layout.quantity,
        "megabytes": layout.megabytes,
        "p_value": layout.p_value,
        "duration": layout.duration,
        "visible": escape_for_display,
        "shown": shown,
        "told": lambda sentence: Markup(sentence_html(sentence)),
    }
    pages.globals["plural"] = layout.plural
    return pages


def template_source(pages: jinja2.Environment, *names: str) -> str:
    """Return the text of styles or scripts, one behind the other."""
    assert pages.loader is not None
    return "".join(pages.loader.get_source(pages, name)[0] for name in names)


def digest(source: str) -> str:
    """Return the digest by which a content security policy names a style or a script."""
    return base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


def shown(text: object) -> Markup:
    """Mark up a text that was not written by us: escaped, nothing invisible, in an element of its own."""
    return Markup('<bdi dir="auto" lang="">{}</bdi>').format(escape_for_display(str(text)))


def _figures(results: Results) -> dict[str, object]:
    """Draw every chart of the page."""
    steps, curve = results.steps, results.learning_curve
    marks = step_marks([step.step for step in steps])
    classes = [escape_for_display(name) for name in results.data.classes]
    drawn = len(classes) <= charts.MOST_CELLS
    latencies = [step.latency_ms.p50 for step in steps]
    written = [step for step in steps if step.artifact_bytes is not None]
    sizes = [(step.artifact_bytes or 0) / 1e6 for step in written]
    return {
        "marks": marks,
        "latency": charts.tradeoff(steps, marks, latencies, "milliseconds a text (median)"),
        "size": charts.tradeoff(written, marks, sizes, "MB on disk"),
        "reliability": {
            step.step: charts.reliability(step, marks[step.step]) for step in steps if step.reliability
        },
        "confusion": {step.step: charts.confusion(step, classes) for step in steps} if drawn else {},
        "curves": charts.learning_curves(curve, marks) if curve else None,
    }


def _tables(results: Results) -> dict[str, object]:
    """Prepare what the tables of the page show besides the results as they are."""
    steps, pairs, recommendation = results.steps, results.pairs, results.recommendation
    ends = [end for pair in pairs for end in pair.ci]
    by_class = list(zip(*(step.per_class for step in steps), strict=True))
    return {
        "sentences": [sentence for sentence in results.verdict if sentence != recommendation.reason],
        "scores_axis": Axis.over([end for step in steps for end in step.accuracy_ci], PLOT_WIDTH),
        "pairs_axis": Axis.over([*ends, -recommendation.margin, recommendation.margin], PLOT_WIDTH),
        "top_confusions": {step.step: top_confusions(step.confusion, results.data.classes) for step in steps},
        "classes_hardest_first": sorted(by_class, key=lambda scores: max(each.f1 for each in scores)),
        "trials": {step.step: [_set_apart(trial, step) for trial in step.trials] for step in steps},
    }


class Confusion(NamedTuple):
    """How many texts of one class were taken for another, and their share of the class."""

    true: str
    predicted: str
    texts: int
    share: float


def top_confusions(confusion: Sequence[Sequence[int]], classes: Sequence[str]) -> list[Confusion]:
    """List the largest cells off a confusion matrix's diagonal.

    Args:
        confusion: C x C counts, a row for each true class.
        classes: C names.
    """
    cells = [
        Confusion(classes[i], classes[j], count, count / sum(row))
        for i, row in enumerate(confusion)
        for j, count in enumerate(row)
        if i != j and count
    ]
    return sorted(cells, key=lambda cell: -cell.texts)[:TOP_CONFUSIONS]


def _set_apart(trial: Trial, step: StepScores) -> tuple[Trial, str, bool]:
    """Return a trial with the settings in which it differs from another, and whether it was chosen."""
    first = step.trials[0].settings
    differing = {
        key for each in step.trials for key, value in each.settings.items() if first.get(key) != value
    }
    apart = ", ".join(f"{key} = {value}" for key, value in trial.settings.items() if key in differing)
    chosen = all(step.config.get(key) == value for key, value in trial.settings.items())
    return trial, apart or "the step's own settings", chosen
