"""How results look in a terminal: scores, predictions, and an explanation's text with its words coloured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sopan.comparison.terminal import LeaderboardTable, audit_table
from sopan.text.display import escape_for_display

if TYPE_CHECKING:
    from sopan.comparison.comparison import Comparison
    from sopan.fit.scores import EvaluationScores
    from sopan.options.base import Options
    from sopan.options.classify import (
        AuditOptions,
        CompareOptions,
        DistillOptions,
        EvaluateOptions,
        ExplainOptions,
        ExportOptions,
        TrainOptions,
    )
    from sopan.text.audit_report import AuditReport
    from sopan.usecases.explaining import ExplainedText, ExplainedWord, TopWord
    from sopan.usecases.predicting import PredictedText, WrittenRows

FOR = ((0.6, "bold white on blue"), (0.25, "bold bright_blue"), (0.08, "bright_blue"))
AGAINST = ((0.6, "bold black on yellow"), (0.25, "bold yellow"), (0.08, "yellow"))
"""Styles of words for and against the prediction, and from which share of the strongest word's support on."""

out = Console(highlight=False, markup=False)


# ---- labelled texts ------------------------------------------------------------------------------


def comparison(found: Comparison, _: CompareOptions) -> None:
    """Print the leaderboard, the verdict, and where the report is, or how to get one."""
    out.print(LeaderboardTable(found.results))
    for sentence in found.results.verdict:
        out.print(Text(escape_for_display(sentence)))
    written = f"Report: {found.report}"
    if not found.report.exists():
        written = f'Results: {found.folder / "results.json"}; for report.html: pip install "sopan[report]"'
    out.print(Text(f"\n{written}"))


def findings(found: AuditReport, _: AuditOptions) -> None:
    """Print what an audit found."""
    out.print(audit_table(found))


def training(scores: EvaluationScores, options: TrainOptions) -> None:
    """Print the scores of a model that was trained, and where it is."""
    _scores(scores, f"{options.step} on its test part; model in {options.out}")


def distilled(scores: EvaluationScores, options: DistillOptions) -> None:
    """Print the scores of a model that another taught, and where it is."""
    _scores(scores, f"{options.into}, taught by {options.teacher}, on its test part; model in {options.out}")


def evaluation(scores: EvaluationScores, options: EvaluateOptions) -> None:
    """Print the scores of a saved model."""
    _scores(scores, f"{options.model} on {options.data}")


def _scores(scores: EvaluationScores, title: str) -> None:
    """Print one model's scores, and a row for each class."""
    out.print(Text(title, style="bold"))
    low, high = scores.accuracy_ci
    out.print(f"accuracy {scores.accuracy:.4f} (95% interval {low:.4f} to {high:.4f})")
    for key in ("macro_f1", "log_loss", "brier", "ece"):
        out.print(f"{key:<9}{getattr(scores, key):.4f}")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("class", "precision", "recall", "f1", "texts"):
        table.add_column(head, justify="left" if head == "class" else "right")
    for row in scores.per_class:
        measured = row.support > 0
        figures = (f"{one:.3f}" if measured else "-" for one in (row.precision, row.recall, row.f1))
        table.add_row(Text(escape_for_display(row.class_)), *figures, f"{row.support:,}")
    out.print(table)
    for note in scores.notes or ():
        out.print(Text(f"Note: {escape_for_display(note)}."))


# ---- predictions, files, entries -----------------------------------------------------------------


def prediction(found: PredictedText | WrittenRows, _: Options) -> None:
    """Print one text's classes, most probable first, and what the model did not read; or where a file is."""
    if "out" in found:
        print(f"{found['rows']:,} predictions in {found['out']}")
        return
    ranked = sorted(found["probabilities"].items(), key=lambda item: -item[1])
    for name, probability in ranked[:10]:
        bar = "█" * round(probability * 30)
        out.print(Text(f"{probability:7.4f}  {escape_for_display(name):<20} {bar}"))
    if "answered_by" in found:
        out.print(f"Answered by {found['answered_by']}.")
    if found["no_known_words"]:
        out.print("The model knows no word of this text: these are only the classes' base rates.")
    for caution in found["cautions"]:
        out.print(caution)


def embedding(found: WrittenRows, _: Options) -> None:
    """Print how many vectors are where."""
    print(f"{found['rows']:,} vectors in {found['out']}")


def files(found: Sequence[Path], _: ExportOptions) -> None:
    """Print the files that were written."""
    for path in found:
        print(path)


def entries(found: Mapping[str, object], _: Options) -> None:
    """Print a line for each entry."""
    for key, value in found.items():
        print(f"{key:<10} {'; '.join(value) if isinstance(value, list) else value}")


# ---- explanations --------------------------------------------------------------------------------


def explanation(found: ExplainedText, options: ExplainOptions) -> None:
    """Print the prediction, the coloured text, the words that weigh most, the check, and the cautions."""
    if options.html is not None:
        print(options.html)
        return
    predicted = escape_for_display(found["predicted"])
    probability = found["probabilities"][found["predicted"]]
    out.print(Text.assemble((predicted, "bold"), f", with probability {probability:.3f} ({found['step']})\n"))
    if found["asked"]:
        out.print(Text(escape_for_display(found["asked"]["sentence"]) + "\n"))
    if found["text"].strip():
        out.print(by_support(found["text"], found["words"]))
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


def by_support(text: str, words: Sequence[ExplainedWord]) -> Text:
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


def _top_words(top: Sequence[TopWord]) -> Table:
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
