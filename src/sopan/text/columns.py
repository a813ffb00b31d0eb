"""Which columns are the text, the label and the split, and which rows of them can be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sopan.errors import DataError, did_you_mean
from sopan.text.display import printable
from sopan.text.formats import LINE, ROW
from sopan.text.labels import is_blank
from sopan.types import BoolArray, Reject

TEXT_NAMES = (
    *("text", "texts", "sentence", "content", "document", "review", "comment", "tweet", "message"),
    *("utterance", "question", "query", "phrase", "snippet", "body", "article", "post", "description"),
    *("review_text", "reviewtext", "review_body", "comment_text", "tweet_text"),
)
LABEL_NAMES = (
    *("label", "labels", "sentiment", "class", "category", "target", "intent", "emotion", "polarity"),
    *("topic", "tag", "gold", "y"),
)
WEAK_LABEL_NAMES = ("stars", "rating", "score", "type")
"""Settle a tie between columns that could all be labels by their values."""
SPLIT_NAME = "split"

_LONGEST_LABEL = 80
_CLEARLY_LONGER = 1.5


@dataclass(frozen=True, slots=True)
class Roles:
    """The columns that are read.

    Args:
        text, label, split: column names; the last two may be None.
    """

    text: str
    label: str | None = None
    split: str | None = None

    @property
    def columns(self) -> list[str]:
        """All of them, text first."""
        return [name for name in (self.text, self.label, self.split) if name is not None]


def choose_columns(
    sample: pa.RecordBatch,
    name: str,
    *,
    text: str | None = None,
    label: str | None = None,
    split_column: str | None = None,
    header: bool = True,
    labelled: bool = True,
) -> Roles:
    """Decide which columns to read.

    Args:
        sample: the first rows, as `Table.sample` gives them.
        name: the file, for errors.
        text, label, split_column: the user's choice; a name, or a position where there is no header.
        header: whether the file's own names are used.
        labelled: whether a label is needed.

    Raises:
        DataError: no such column, or several could be meant.
    """
    columns = [c for c in sample.schema.names[2:] if c.strip()]
    chosen = {
        role: _named(given, columns, name, role, header=header)
        for role, given in (("text", text), ("label", label), ("split-column", split_column))
        if given is not None
    }
    split = chosen.get("split-column")
    if labelled and split is None and SPLIT_NAME in columns and SPLIT_NAME not in chosen.values():
        split = SPLIT_NAME
    free = [c for c in columns if c not in chosen.values() and c != split]
    found_text = chosen.get("text") or _find_text(sample, free, name)
    if not labelled:
        return Roles(found_text)
    found_label = chosen.get("label") or _find_label(sample, [c for c in free if c != found_text], name)
    roles = Roles(found_text, found_label, split)
    if len(set(roles.columns)) < len(roles.columns):
        raise DataError(f"one column cannot be both: {', '.join(roles.columns)}", where=name)
    if header and label is None and found_label in sample.column(found_label).to_pylist():
        raise DataError(
            f"the first line looks like data, not like column names ({printable(found_label)})",
            where=f"{name}:1",
            next_step="use --no-header",
        )
    return roles


def _named(given: str, columns: Sequence[str], name: str, role: str, *, header: bool) -> str:
    wanted = f"column{given}" if not header and given.isdecimal() else given
    if wanted in columns:
        return wanted
    hint = did_you_mean(repr(wanted), map(repr, columns))
    raise DataError(
        f"no column is called {given!r}",
        where=name,
        next_step=f"{hint}--{role} takes one of: {', '.join(columns)}",
    )


def _find_text(sample: pa.RecordBatch, free: Sequence[str], name: str) -> str:
    by_name = _by_name(free, TEXT_NAMES)
    if len(by_name) == 1:
        return by_name[0]
    lengths = {c: _mean_length(sample.column(c)) for c in by_name or free}
    ranked = sorted(lengths, key=lambda c: -lengths[c])
    if not ranked:
        raise DataError("no column holds the text", where=name, next_step="say which: --text COLUMN")
    if len(ranked) > 1 and lengths[ranked[0]] < _CLEARLY_LONGER * lengths[ranked[1]]:
        raise _ambiguous("text", ranked, name)
    return ranked[0]


def _find_label(sample: pa.RecordBatch, free: Sequence[str], name: str) -> str:
    by_name = _by_name(free, LABEL_NAMES)
    if len(by_name) == 1:
        return by_name[0]
    few = [c for c in by_name or free if _few_values(sample.column(c))]
    varied = [c for c in few if pc.count_distinct(sample.column(c)).as_py() > 1]
    few = varied or few
    if len(few) > 1:
        few = [c for c in few if c.lower() in WEAK_LABEL_NAMES][:1] or few
    if len(few) != 1:
        raise _ambiguous("label", few or free, name)
    return few[0]


def _by_name(free: Sequence[str], names: tuple[str, ...]) -> list[str]:
    """Return the columns whose names say it; the plainest name (`text`, `label`) beats all others."""
    found = [c for c in free if c.lower() in names]
    return [c for c in found if c.lower() == names[0]] or found


def _mean_length(column: pa.Array) -> float:
    return pc.mean(pc.utf8_length(column)).as_py() or 0.0


def _few_values(column: pa.Array) -> bool:
    """Tell whether values repeat and are short, as labels do."""
    filled = column.drop_null()
    distinct = pc.count_distinct(filled).as_py()
    return 0 < 2 * distinct <= max(len(filled), 2) and _mean_length(filled) <= _LONGEST_LABEL


def _ambiguous(role: str, columns: Sequence[str], name: str) -> DataError:
    listed = ", ".join(printable(column, 30) for column in columns)
    if len(columns) > 1:
        what = f"several columns could be the {role}: {listed}"
    else:
        what = f"no column is plainly the {role}" + (f" ({listed} is all there is)" if listed else "")
    return DataError(what, where=name, next_step=f"say which: --{role} COLUMN")


MAX_TEXT_CHARS = 1_000_000
"""Longer texts are cut here before anything else is done with them, and counted."""

_LISTED_REJECTS = 5


def usable_rows(batch: pa.RecordBatch, roles: Roles) -> tuple[pa.RecordBatch, list[Reject]]:
    """Part a batch into the rows that can be used and the refusals of those without text or label."""
    no_text = np.asarray(batch.column(roles.text).is_null())
    no_label = is_blank(batch.column(roles.label)) if roles.label else np.zeros(len(no_text), bool)
    bad = np.flatnonzero(no_text | no_label)
    if not len(bad):
        return batch, []
    refused = []
    for i in bad.tolist():
        row, line, text = (batch.column(name)[i].as_py() for name in (ROW, LINE, roles.text))
        reason = f"no {roles.text}" if no_text[i] else f"no {roles.label}"
        refused.append(Reject(line, reason if line else f"row {row}: {reason}", printable(text or "")))
    return batch.filter(pa.array(~(no_text | no_label))), refused


def judge(rejects: list[Reject], max_rejects: int, name: str) -> list[Reject]:
    """Return the rejects in the order of the file if they may be tolerated.

    Raises:
        DataError: there are more than `max_rejects`.
    """
    rejects = sorted(rejects, key=lambda reject: reject.line or 0)
    if len(rejects) <= max_rejects:
        return rejects
    shown = [
        (f"line {r.line}: " if r.line else "") + r.reason + (f" ({r.excerpt})" if r.excerpt else "")
        for r in rejects[:_LISTED_REJECTS]
    ]
    more = len(rejects) - len(shown)
    listed = "; ".join(shown) + (f"; and {more:,} more" if more > 0 else "")
    where = f"{name}:{rejects[0].line}" if rejects[0].line else name
    encoding = ", use --encoding if the file has another" if "not valid UTF-8" in listed else ""
    raise DataError(
        f"{len(rejects):,} row{'s' * (len(rejects) > 1)} cannot be used: {listed}",
        where=where,
        next_step=f"mend the file{encoding}, or go on without them: --max-rejects {len(rejects)}",
    )


def cut_long(texts: pa.LargeStringArray) -> tuple[pa.LargeStringArray, BoolArray]:
    """Cut texts at `MAX_TEXT_CHARS`, and tell which were."""
    cut = np.asarray(pc.greater(pc.utf8_length(texts), MAX_TEXT_CHARS))
    if cut.any():
        texts = pc.utf8_slice_codeunits(texts, 0, MAX_TEXT_CHARS)
    return texts, cut


def loss_notes(cut: int, rejects: Sequence[Reject]) -> list[str]:
    """Say in words what was cut and what was refused."""
    notes = []
    if cut:
        notes.append(f"{cut:,} text{'s' * (cut > 1)} cut at {MAX_TEXT_CHARS:,} characters")
    if rejects:
        notes.append(f"{len(rejects):,} row{'s' * (len(rejects) > 1)} refused and left out")
    return notes
