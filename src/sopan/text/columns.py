"""Which columns are the text, the label and the split, and which rows of them can be used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sopan.errors import DataError, did_you_mean
from sopan.options.data import ReadOptions, TextOptions
from sopan.text.display import printable
from sopan.text.files import encoding_hint
from sopan.text.formats import LINE, ROW, Table
from sopan.text.labels import is_blank
from sopan.types import Reject

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

MAX_TEXT_CHARS = 1_000_000
"""Longer texts are cut here before anything else is done with them, and counted."""

_LONGEST_LABEL = 80
_CLEARLY_LONGER = 1.5
_LISTED_REJECTS = 5


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


def choose_columns(table: Table, sample: pa.RecordBatch, options: TextOptions, *, labelled: bool) -> Roles:
    """Decide which columns to read.

    Args:
        table: whose columns they are.
        sample: its first rows, as `Table.sample` gives them.
        options: the user's choice of columns; names, or positions where there is no header.
        labelled: whether a label is needed; then `options` are `ReadOptions`.

    Raises:
        DataError: no such column, or several could be meant.
    """
    name = table.name
    _check_readable(table, options, labelled=labelled)
    columns = [c for c in sample.schema.names[2:] if c.strip()]
    given = {"text": options.text}
    if labelled and isinstance(options, ReadOptions):
        given |= {"label": options.label, "split-column": options.split_column}
    chosen = {
        role: _named(column, columns, name, role, header=options.header)
        for role, column in given.items()
        if column is not None
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
    if options.header and "label" not in chosen and found_label in sample.column(found_label).to_pylist():
        raise DataError(
            f"the first line looks like data, not like column names ({printable(found_label)})",
            where=f"{name}:1",
            next_step="use --no-header",
        )
    return roles


def _check_readable(table: Table, options: TextOptions, *, labelled: bool) -> None:
    """Refuse a column that cannot be read, if it is asked for, or is plainly the one that is meant."""
    roles: dict[str, tuple[str | None, tuple[str, ...]]] = {"text": (options.text, TEXT_NAMES)}
    if labelled and isinstance(options, ReadOptions):
        roles |= {
            "label": (options.label, LABEL_NAMES),
            "split-column": (options.split_column, (SPLIT_NAME,)),
        }
    for role, (asked, names) in roles.items():
        meant = {
            c for c in (*table.repeated, *table.unusable) if asked is None and _is_meant(c, names, table)
        }
        for column in (asked,) if asked else sorted(meant):
            if column in table.repeated:
                raise DataError(
                    f"several columns are called {column!r}",
                    where=f"{table.name}:1",
                    next_step="rename all but one",
                )
            if column in table.unusable:
                raise DataError(
                    f"the column {column!r} is {table.unusable[column]}, not text",
                    where=table.name,
                    next_step=f"name another: --{role} COLUMN",
                )


def _is_meant(column: str, names: tuple[str, ...], table: Table) -> bool:
    """Tell whether a column's name says its role, and no column that can be read says so as plainly."""
    if column.lower() not in names:
        return False
    return column.lower() == names[0] or not any(c.lower() in names for c in table.columns)


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


class UsableRows:
    """The rows of a table that have what is needed, batch by batch, and an account of the others.

    Args:
        table: what is read.
        options, labelled: as for `choose_columns`.

    Attributes:
        roles: the columns that are read.
        cut_rows: data rows whose text was longer than `MAX_TEXT_CHARS`, so far.

    Raises:
        DataError: the table has no rows, or it is not plain which columns are meant.
    """

    def __init__(self, table: Table, options: TextOptions, *, labelled: bool):
        self.table, self._max_rejects = table, options.max_rejects
        self.cut_rows: list[int] = []
        self._missing: list[Reject] = []
        sample = table.sample()
        if not sample.num_rows:
            self.rejects()
            raise DataError("the file has no rows", where=table.name)
        self.roles = choose_columns(table, sample, options, labelled=labelled)

    def batches(self, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows that can be used as `Table.read` does, with texts cut at `MAX_TEXT_CHARS`."""
        for batch in self.table.read(self.roles.columns, batch_rows):
            usable = self._usable(batch)
            texts = usable.column(self.roles.text)
            cut = pc.greater(pc.utf8_length(texts), MAX_TEXT_CHARS)
            if pc.any(cut).as_py():
                self.cut_rows += usable.column(ROW).filter(cut).to_pylist()
                place = usable.schema.names.index(self.roles.text)
                texts = pc.utf8_slice_codeunits(texts, 0, MAX_TEXT_CHARS)
                usable = usable.set_column(place, self.roles.text, texts)
            yield usable

    def _usable(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Take out the rows without text or label, and note them."""
        text, label = self.roles.text, self.roles.label
        no_text = np.asarray(batch.column(text).is_null())
        no_label = is_blank(batch.column(label)) if label else np.zeros(len(no_text), bool)
        bad = np.flatnonzero(no_text | no_label)
        for i in bad.tolist():
            row, line, start = (batch.column(name)[i].as_py() for name in (ROW, LINE, text))
            reason = ("" if line else f"row {row}: ") + f"no {text if no_text[i] else label}"
            self._missing.append(Reject(line, reason, printable(start or "")))
        return batch.filter(pa.array(~(no_text | no_label))) if len(bad) else batch

    def rejects(self) -> tuple[Reject, ...]:
        """Return the rows refused so far in the order of the file, if so many may be.

        Raises:
            DataError: there are more than `max_rejects`.
        """
        rejects = sorted([*self.table.rejects, *self._missing], key=lambda reject: reject.line or 0)
        if len(rejects) > self._max_rejects:
            raise _too_many(rejects, self.table)
        return tuple(rejects)

    def notes(self) -> tuple[str, ...]:
        """Say how the table was understood, what was cut and what was refused."""
        notes, cut, refused = list(self.table.notes), len(self.cut_rows), len(self.rejects())
        if self.roles.label:
            split = f", split {self.roles.split!r}" if self.roles.split else ""
            notes.append(f"columns: text {self.roles.text!r}, label {self.roles.label!r}{split}")
        if cut:
            notes.append(f"{cut:,} text{'s' * (cut > 1)} cut at {MAX_TEXT_CHARS:,} characters")
        if refused:
            notes.append(f"{refused:,} row{'s' * (refused > 1)} refused and left out")
        return tuple(notes)


def _too_many(rejects: Sequence[Reject], table: Table) -> DataError:
    """Return the error that names the first rejects and what to do."""
    name = table.name
    shown = [
        (f"line {r.line}: " if r.line else "") + r.reason + (f" ({r.excerpt})" if r.excerpt else "")
        for r in rejects[:_LISTED_REJECTS]
    ]
    more = len(rejects) - len(shown)
    listed = "; ".join(shown) + (f"; and {more:,} more" if more > 0 else "")
    where = f"{name}:{rejects[0].line}" if rejects[0].line else name
    encoding = ""
    if "not valid UTF-8" in listed:
        encoding = f", {encoding_hint(table.path) if table.path else 'use --encoding if it has another'}"
    return DataError(
        f"{len(rejects):,} row{'s' * (len(rejects) > 1)} cannot be used: {listed}",
        where=where,
        next_step=f"mend the file{encoding}, or go on without them: --max-rejects {len(rejects)}",
    )
