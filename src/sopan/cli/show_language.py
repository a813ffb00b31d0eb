"""How language models look in a terminal: what training came to, and words coloured by their surprise."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from sopan.cli.progress import evaluation_line
from sopan.cli.show import out
from sopan.text.display import escape_for_display

if TYPE_CHECKING:
    from sopan.lm.fill import Filled
    from sopan.lm.generate import Generated
    from sopan.lm.score import ScoredWord, TextScore
    from sopan.options.base import Options
    from sopan.options.language import AdaptOptions, PretrainOptions, ScoreOptions
    from sopan.usecases.adapting import Adapted, Objectives
    from sopan.usecases.language import PresetEntry, ScoredText
    from sopan.usecases.models import NearWord
    from sopan.usecases.pretraining import TrainingAccount

SURPRISE = ((15.0, "bold white on red"), (10.0, "bold red"), (6.0, "yellow"))
"""Styles of words, and from how many bits on: 10 bits are a word that is likely once in a thousand times."""


# ---- training ------------------------------------------------------------------------------------


def pretraining(account: TrainingAccount, options: PretrainOptions) -> None:
    """Print what a finished training came to."""
    if account["looks"]:
        print(evaluation_line(account["looks"][-1]))
    print(f"model in {options.out}")


def adapting(report: Adapted, options: AdaptOptions) -> None:
    """Print what adapting came to: new words, blanks before and after, and labels where there were any."""
    new = report["new_words"]
    print(f"{len(new):,} new words{': ' + ', '.join(new[:10]) + ', …' if new else ''}")
    _comparison(report, "after", "before")
    print(f"model in {options.out}")


def objectives(report: Objectives, _: Options) -> None:
    """Print how a masked and a causal model compare."""
    _comparison(report, "masked", "causal")


def _comparison(report: Adapted | Objectives, a: str, b: str) -> None:
    """Print how two models fill blanks and learn labels, as far as either was tried."""
    if "blanks" in report:
        blanks = report["blanks"]
        print(f"{blanks[a]['blanks']:,} words of held-out sentences, each hidden in turn:")
        for name in (b, a):
            first, among = blanks[name]["top_1"], blanks[name]["top_5"]
            right = f"{first['share']:.3f} ({first['low']:.3f} to {first['high']:.3f})"
            print(f"  {name:<7} first answer right {right}, in five {among['share']:.3f}")
        print(f"  {_difference(blanks['difference'], a, b)}")
    if "downstream" in report:
        found = report["downstream"]
        shares = ", ".join(f"{name} {found['accuracy'][name]:.4f}" for name in (b, a))
        print(f"accuracy of bert on {found['tests']:,} test texts: {shares}")
        print(f"  {_difference(found['difference'], a, b)}")


def _difference(found: Mapping[str, float], a: str, b: str) -> str:
    inside = f"{found['low']:+.4f} to {found['high']:+.4f}"
    return f"{a} − {b}: {found['difference']:+.4f} (95%: {inside}; exact McNemar p = {found['p']:.2g})"


# ---- answers -------------------------------------------------------------------------------------


def filling(found: Filled, _: Options) -> None:
    """Print each blank's candidates, and with several blanks the fillings of all."""
    several = len(found.blanks) > 1
    for number, candidates in enumerate(found.blanks, start=1):
        if several:
            out.print(Text(f"blank {number}", style="bold"))
        for candidate in candidates:
            bar = "█" * round(candidate.probability * 30)
            out.print(Text(f"{candidate.probability:7.4f}  {_one_line(candidate.text):<20} {bar}"))
    if several:
        out.print(Text("all blanks together", style="bold"))
        for joint in found.joint:
            out.print(Text(f"{joint.probability:7.4f}  {_one_line(joint.text)}"))
    if found.reads == "the left side":
        out.print("A causal model: it saw only what stands before each blank.")
    if found.truncated:
        out.print("The text is longer than the model reads: it saw the part around the blanks.")


def scores(found: Iterator[ScoredText], options: ScoreOptions) -> None:
    """Print one text, coloured, with its totals; or a line for each text of a file, and all together."""
    if options.file is None:
        _score(next(found).score)
        return
    total, texts, words, pieces = 0.0, 0, 0, 0
    for each in found:
        score = each.score
        out.print(Text(f"{score.total:10.2f}  ") + by_surprise(score.text, score.words, line=True))
        total, texts = total + score.total, texts + 1
        words, pieces = words + len(score.words), pieces + score.n_pieces
    if words:
        from sopan.lm.score import perplexity  # noqa: PLC0415  # imports Keras, as scoring did

        out.print(
            f"{texts:,} texts: perplexity {perplexity(total, words):,.1f} a word ({words:,}), "
            f"{perplexity(total, pieces):,.1f} a piece ({pieces:,})"
        )


def _score(found: TextScore) -> None:
    """Print the coloured text, its most surprising words, and the totals."""
    out.print(by_surprise(found.text, found.words))
    if not found.words:
        out.print("There are no words to score.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("most surprising", overflow="fold", max_width=30)
    table.add_column("bits", justify="right")
    table.add_column("probability", justify="right")
    for word in sorted(found.words, key=lambda word: word.log_probability)[:8]:
        note = "" if word.known else " (unknown)"
        likely = f"{math.exp(word.log_probability):.2g}"
        table.add_row(Text(_one_line(word.text) + note), f"{bits(word):.1f}", likely)
    out.print()
    out.print(table)
    totals = found.as_json()
    kind = "log-likelihood" if found.method == "causal" else "pseudo-log-likelihood"
    out.print(
        f"\n{kind} {found.total:.2f} ({found.method}), perplexity {totals['perplexity_per_word']:,.1f} "
        f"a word ({len(found.words):,}), {totals['perplexity_per_piece']:,.1f} a piece ({found.n_pieces:,})"
    )
    if found.windowed:
        out.print("The text is longer than the model reads at once: each piece was scored in a part of it.")


def generated(found: Generated, _: Options) -> None:
    """Print the prompt and what follows it."""
    rest = escape_for_display(found.text[len(found.prompt) :])
    out.print(Text.assemble((escape_for_display(found.prompt), "bold"), rest))


def near_words(found: Sequence[NearWord], _: Options) -> None:
    """Print each word's cosine, and where it was found in context its sentence, the word standing out."""
    for one in found:
        if "sentence" not in one:
            print(f"{one['cosine']:6.3f}  {one['word']}")
            continue
        sentence, start, end = one["sentence"], one["start"], one["end"]
        line = Text(f"{one['cosine']:6.3f}  {_one_line(one['word']):<16}  ")
        before, word, behind = map(_one_line, (sentence[:start], sentence[start:end], sentence[end:]))
        out.print(line + Text.assemble(before, (word, "bold"), behind))


def preset_list(found: Sequence[PresetEntry], _: Options) -> None:
    """Print each preset's name, size, whether it is here, and what it is."""
    for preset in found:
        here = "here" if preset["folder"] else "get"
        print(f"{preset['name']:<12} {preset['megabytes']:>4.0f} MB  {here:<4}  {preset['about']}")


def bits(word: ScoredWord) -> float:
    """Return how much a word surprises: log2 of 1 / its probability."""
    return -word.log_probability / math.log(2)


def by_surprise(text: str, words: Sequence[ScoredWord], *, line: bool = False) -> Text:
    """Return a text, safe to print, its words styled by how much they surprise; unknown ones are dim.

    Args:
        text: as the user gave it.
        words: as scored.
        line: print its line breaks and tabs as spaces.
    """
    safe = _one_line if line else escape_for_display
    shown, behind = Text(), 0
    for word in words:
        style = next((style for least, style in SURPRISE if bits(word) >= least), "")
        shown.append(safe(text[behind : word.start]))
        shown.append(safe(text[word.start : word.end]), (style if word.known else "dim") or None)
        behind = word.end
    return shown.append(safe(text[behind:]))


def _one_line(text: str) -> str:
    return re.sub(r"\s", " ", escape_for_display(text))
