"""The report: one self-contained page, made from results.json alone.

The page loads nothing and runs no script; its content security policy says so. Texts and label names come
from outside and are never trusted: they are escaped, their invisible characters are shown, and each stands
in an element of its own so that a right-to-left text cannot reorder what is around it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from sopan.comparison import charts, numbers
from sopan.comparison.layout import Axis
from sopan.comparison.leaderboard import sentence_html
from sopan.comparison.marks import step_marks
from sopan.storage.atomic import write_atomic
from sopan.text.display import escape_for_display
from sopan.types import Json

TOP_CONFUSIONS = 12
"""How many confusions of a step are listed where there are too many classes to draw."""

PLOT_WIDTH = 200
"""Pixels of the interval plots inside tables."""


def write_report(results: Mapping[str, Json], path: Path | str) -> None:
    """Write the report as one HTML file, whole or not at all.

    Args:
        results: the object of results.json.
        path: the file to write.
    """
    write_atomic(Path(path), render_report(results))


def render_report(results: Mapping[str, Json]) -> str:
    """Return the report as HTML.

    Args:
        results: the object of results.json.
    """
    pages = page_templates("sopan.comparison")
    style = template_source(pages, "style.css")
    return pages.get_template("report.html").render(
        **results, **_figures(results), **_tables(results), style=Markup(style), style_digest=digest(style)
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
        "share": numbers.share,
        "signed": numbers.signed,
        "interval": numbers.interval,
        "quantity": numbers.quantity,
        "megabytes": numbers.megabytes,
        "p_value": numbers.p_value,
        "duration": numbers.duration,
        "visible": escape_for_display,
        "shown": shown,
        "told": lambda sentence: Markup(sentence_html(sentence)),
    }
    pages.globals["plural"] = numbers.plural
    return pages


def template_source(pages: jinja2.Environment, *names: str) -> str:
    """Return the text of styles or scripts, one behind the other."""
    assert pages.loader is not None
    return "".join(pages.loader.get_source(pages, name)[0] for name in names)


def digest(source: str) -> str:
    """Return the digest by which a content security policy names a style or a script."""
    return base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


def shown(text: Any) -> Markup:
    """Mark up a text that was not written by us: escaped, nothing invisible, in an element of its own."""
    return Markup('<bdi dir="auto" lang="">{}</bdi>').format(escape_for_display(str(text)))


def _figures(results: Mapping[str, Json]) -> dict[str, Any]:
    """Draw every chart of the page."""
    steps = results["steps"]
    marks = step_marks([step["step"] for step in steps])
    classes = [escape_for_display(name) for name in results["data"]["classes"]]
    drawn = len(classes) <= charts.MOST_CELLS
    return {
        "marks": marks,
        "latency": charts.tradeoff(
            steps, marks, [step["latency_ms"]["p50"] for step in steps], "milliseconds a text (median)"
        ),
        "size": charts.tradeoff(steps, marks, [step["artifact_bytes"] / 1e6 for step in steps], "MB on disk"),
        "reliability": {
            step["step"]: charts.reliability(step, marks[step["step"]])
            for step in steps
            if step["reliability"]
        },
        "confusion": {step["step"]: charts.confusion(step, classes) for step in steps} if drawn else {},
        "curves": charts.learning_curves(results["learning_curve"], marks)
        if results["learning_curve"]
        else None,
    }


def _tables(results: Mapping[str, Json]) -> dict[str, Any]:
    """Prepare what the tables of the page show besides the results as they are."""
    steps, pairs, margin = results["steps"], results["pairs"], results["recommendation"]["margin"]
    ends = [end for pair in pairs for end in pair["ci"]]
    reason = results["recommendation"]["reason"]
    return {
        "sentences": [sentence for sentence in results["verdict"] if sentence != reason],
        "scores_axis": Axis.over([end for step in steps for end in step["accuracy_ci"]], PLOT_WIDTH),
        "pairs_axis": Axis.over([*ends, -margin, margin], PLOT_WIDTH),
        "top_confusions": {
            step["step"]: top_confusions(step["confusion"], results["data"]["classes"]) for step in steps
        },
        "classes_hardest_first": _hardest_first(steps),
        "trials": {step["step"]: _trials(step) for step in steps},
    }


def top_confusions(confusion: list[list[int]], classes: list[str]) -> list[dict[str, Any]]:
    """List the largest cells off a confusion matrix's diagonal: true class, prediction, count, share.

    Args:
        confusion: C x C counts, a row for each true class.
        classes: C names.
    """
    cells: list[dict[str, Any]] = [
        {"true": classes[i], "predicted": classes[j], "count": count, "share": count / sum(row)}
        for i, row in enumerate(confusion)
        for j, count in enumerate(row)
        if i != j and count
    ]
    return sorted(cells, key=lambda cell: -cell["count"])[:TOP_CONFUSIONS]


def _hardest_first(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Line up each class's F1 under every step; the class with the lowest best F1 comes first."""
    rows = [
        {
            "class": scores[0]["class"],
            "support": scores[0]["support"],
            "f1": [score["f1"] for score in scores],
        }
        for scores in zip(*(step["per_class"] for step in steps), strict=True)
    ]
    return sorted(rows, key=lambda row: max(row["f1"]))


def _trials(step: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Say of each trial which settings set it apart, and whether it is the one chosen."""
    trials, chosen = step["trials"], step["config"]
    first = trials[0]["settings"]
    differing = {
        key for trial in trials for key, value in trial["settings"].items() if first.get(key, None) != value
    }
    return [
        trial
        | {
            "apart": ", ".join(
                f"{key} = {value}" for key, value in trial["settings"].items() if key in differing
            )
            or "the step's own settings",
            "chosen": all(chosen.get(key) == value for key, value in trial["settings"].items()),
        }
        for trial in trials
    ]
