"""Which columns are the text, the label and the split, and which rows of them can be used."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from sopan.errors import DataError, did_you_mean
from sopan.options.data import ReadOptions, TextOptions
from sopan.text.display import printable
from sopan.text.formats import Table
from sopan.text.labels import is_blank

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

NO_HEADER = "use --no-header"
"""What to do about a table whose first line is a row."""
_LONGEST_LABEL = 80
_CLEARLY_LONGER = 1.5


@dataclass(frozen=True, slots=True)
class Roles:
    """The columns that are read.

    Args:
        text, label, split: column names; the last two may be None.
        notes: why one of several was taken.
    """

    text: str
    label: str | None = None
    split: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """All of them, text first."""
        return [name for name in (self.text, self.label, self.split) if name is not None]


def choose_columns(
    table: Table,
    sample: pa.RecordBatch,
    options: TextOptions,
    *,
    labelled: bool,
    trained_on: str | None = None,
) -> Roles:
    """Decide which columns to read.

    Args:
        table: whose columns they are.
        sample: its first rows, as `Table.sample` gives them.
        options: the user's choice of columns; names, or positions where there is no header.
        labelled: whether a label is needed; then `options` are `ReadOptions`.
        trained_on: the column of the texts that a model has learnt from; it is taken where it is there.

    Raises:
        DataError: no such column, one that holds no text, or several could be meant.
    """
    name = table.name
    if options.text is None and trained_on in (*table.columns, *table.unusable, *table.repeated):
        options = replace(options, text=trained_on)
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
    found_text = chosen.get("text") or _find_text(table, sample, free)
    if not labelled:
        if options.header and options.text is None:
            for column in free:
                _check_header(sample, found_text, column, name)
        return Roles(found_text)
    others = [c for c in free if c != found_text]
    found_label, notes = (chosen["label"], ()) if "label" in chosen else _find_label(sample, others, name)
    roles = Roles(found_text, found_label, split, notes)
    if len(set(roles.columns)) < len(roles.columns):
        raise DataError(f"one column cannot be both: {', '.join(roles.columns)}", where=name)
    if options.header and "label" not in chosen:
        _check_header(sample, found_text, found_label, name)
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
                raise _unusable(column, table, role)


def _unusable(column: str, table: Table, role: str) -> DataError:
    """Return the error for a column that is there and holds no text."""
    return DataError(
        f"the column {column!r} is {table.unusable[column]}, not text",
        where=table.name,
        next_step=f"name another: --{role} COLUMN",
    )


def _is_meant(column: str, names: tuple[str, ...], table: Table) -> bool:
    """Tell whether a column's name says its role, and no column that can be read says so as plainly."""
    if column.lower() not in names:
        return False
    return column.lower() == names[0] or not any(c.lower() in names for c in table.columns)


def _check_header(sample: pa.RecordBatch, text: str, label: str, name: str) -> None:
    """Refuse a table whose first line is a row, which would be lost as a header."""
    if label != text and _no_header(sample, text, label):
        raise DataError(
            f"the first line looks like data, not like column names ({printable(label)})",
            where=f"{name}:1",
            next_step=NO_HEADER,
        )


def _no_header(sample: pa.RecordBatch, text: str, label: str) -> bool:
    """Tell whether the first line is a row: its label is one of the labels, its text as long as the texts.

    A column may be called as one of its values is: `message,toxic` stands above toxic and fine.
    """
    words = _words(text)
    if label not in sample.column(label).to_pylist() or (len(words) < 3 and set(words) & set(TEXT_NAMES)):
        return False
    shortest = pc.min(pc.utf8_length(sample.column(text))).as_py() or 0
    return len(text) >= shortest


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


def _find_text(table: Table, sample: pa.RecordBatch, free: Sequence[str]) -> str:
    by_name = _by_name(free, TEXT_NAMES)
    if len(by_name) == 1:
        return by_name[0]
    lengths = {c: _mean_length(sample.column(c)) for c in by_name or free}
    ranked = sorted(lengths, key=lambda c: -lengths[c])
    if not by_name and (nested := _hold_texts(table)):
        raise _unusable(nested[0], table, "text")
    if not ranked:
        raise DataError("no column holds the text", where=table.name, next_step="say which: --text COLUMN")
    if len(ranked) > 1 and lengths[ranked[0]] < _CLEARLY_LONGER * lengths[ranked[1]]:
        evident = _by_word(ranked, TEXT_NAMES)
        if len(evident) == 1:
            return evident[0]
        raise _ambiguous("text", ranked, table.name)
    return ranked[0]


def _find_label(sample: pa.RecordBatch, free: Sequence[str], name: str) -> tuple[str, tuple[str, ...]]:
    """Return the column of the label, and why it was taken where that is not plain."""
    by_name = _by_name(free, LABEL_NAMES)
    if len(by_name) == 1:
        return by_name[0], ()
    few = [c for c in by_name or free if _few_values(sample.column(c))]
    varied = [c for c in few if pc.count_distinct(sample.column(c)).as_py() > 1]
    few = varied or few
    if len(few) > 1:
        evident = _by_word([c for c in few if _mostly_filled(sample.column(c))], LABEL_NAMES)
        if len(evident) == 1:
            others = ", ".join(printable(c, 30) for c in few if c != evident[0])
            return evident[0], (f"{evident[0]!r} was taken for the label, as its name says, not {others}",)
        few = [c for c in few if c.lower() in WEAK_LABEL_NAMES][:1] or few
    if len(few) != 1:
        raise _ambiguous("label", few or free, name)
    return few[0], ()


def _hold_texts(table: Table) -> list[str]:
    """Return the columns in whose lists or structs the text may well be."""
    nested = [c for c, why in table.unusable.items() if "struct<" in why or "string" in why]
    return [c for c in nested if not set(_words(c)) & set(LABEL_NAMES)]


def _by_name(free: Sequence[str], names: tuple[str, ...]) -> list[str]:
    """Return the columns whose names say it; the plainest name (`text`, `label`) beats all others."""
    found = [c for c in free if c.lower() in names]
    return [c for c in found if c.lower() == names[0]] or found


def _by_word(columns: Sequence[str], names: tuple[str, ...]) -> list[str]:
    """Return the columns whose names hold such a word, at best as the last: `airline_sentiment`."""
    words = {c: _words(c) for c in columns}
    last = [c for c in columns if words[c] and words[c][-1] in names]
    return last or [c for c in columns if set(words[c]) & set(names)]


def _words(name: str) -> list[str]:
    """Cut a column's name into its words: `airline_sentiment`, `Review Text`, `reviewText`."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+", name)]


def _mean_length(column: pa.Array) -> float:
    return pc.mean(pc.utf8_length(column)).as_py() or 0.0


def _few_values(column: pa.Array) -> bool:
    """Tell whether values repeat and are short, as labels do."""
    filled = column.drop_null()
    distinct = pc.count_distinct(filled).as_py()
    return 0 < 2 * distinct <= max(len(filled), 2) and _mean_length(filled) <= _LONGEST_LABEL


def _mostly_filled(column: pa.Array) -> bool:
    """Tell whether at least half of the rows have a value that is not blank."""
    return 2 * int(is_blank(column).sum()) <= len(column)


def _ambiguous(role: str, columns: Sequence[str], name: str) -> DataError:
    listed = ", ".join(printable(column, 30) for column in columns)
    if len(columns) > 1:
        what = f"several columns could be the {role}: {listed}"
    else:
        what = f"no column is plainly the {role}" + (f" ({listed} is all there is)" if listed else "")
    return DataError(what, where=name, next_step=f"say which: --{role} COLUMN")
