"""The rows of a table that can be used, and what is said of those that cannot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sopan.errors import DataError
from sopan.options.data import TextOptions
from sopan.text.columns import choose_columns
from sopan.text.display import printable
from sopan.text.encodings import encoding_hint
from sopan.text.formats import LINE, ROW, Table
from sopan.text.labels import is_blank
from sopan.types import Reject

MAX_TEXT_CHARS = 1_000_000
"""Longer texts are cut here before anything else is done with them, and counted."""

_LISTED_REJECTS = 5


class UsableRows:
    """The rows of a table that have what is needed, batch by batch, and an account of the others.

    Args:
        table: what is read.
        options, labelled, trained_on: as for `choose_columns`.

    Attributes:
        roles: the columns that are read.
        cut_rows: data rows whose text was longer than `MAX_TEXT_CHARS`, so far.

    Raises:
        DataError: the table has no rows, or it is not plain which columns are meant.
    """

    def __init__(
        self, table: Table, options: TextOptions, *, labelled: bool, trained_on: str | None = None
    ) -> None:
        self.table, self._max_rejects = table, options.max_rejects
        self._taken = 0
        self.cut_rows: list[int] = []
        self._missing: list[Reject] = []
        sample = table.sample()
        if not sample.num_rows:
            self.rejects()
            raise DataError("the file has no rows", where=table.name)
        self.roles = choose_columns(table, sample, options, labelled=labelled, trained_on=trained_on)

    def batches(self, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows that can be used as `Table.read` does, with texts cut at `MAX_TEXT_CHARS`."""
        self._taken = 0
        for batch in self.table.read(self.roles.columns, batch_rows):
            usable = self._usable(batch)
            self._taken += usable.num_rows
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
            reason = f"no {text if no_text[i] else label}"
            self._missing.append(self.table.refusal(row, line, reason, printable(start or "")))
        return batch.filter(pa.array(~(no_text | no_label))) if len(bad) else batch

    def rejects(self) -> tuple[Reject, ...]:
        """Return the rows refused so far in the order of the file, if so many may be.

        Raises:
            DataError: there are more than `max_rejects`.
        """
        rejects = sorted([*self.table.rejects, *self._missing], key=lambda reject: reject.line or 0)
        if len(rejects) > self._max_rejects:
            raise _too_many(rejects, self.table, self._taken)
        return tuple(rejects)

    def notes(self) -> tuple[str, ...]:
        """Say how the table was understood, what was cut and what was refused."""
        notes, cut, refused = list(self.table.notes), len(self.cut_rows), len(self.rejects())
        if self.roles.label:
            split = f", split {self.roles.split!r}" if self.roles.split else ""
            notes.append(f"columns: text {self.roles.text!r}, label {self.roles.label!r}{split}")
            notes += self.roles.notes
        if cut:
            notes.append(f"{cut:,} text{'s' * (cut > 1)} cut at {MAX_TEXT_CHARS:,} characters")
        if refused:
            notes.append(f"{refused:,} row{'s' * (refused > 1)} refused and left out")
        return tuple(notes)


def _too_many(rejects: Sequence[Reject], table: Table, taken: int) -> DataError:
    """Return the error that names the first rejects and what to do.

    Args:
        rejects: all of them.
        table: the file's.
        taken: rows that could be used; where they are fewer, the fault is not one of single rows.
    """
    shown = [
        (f"line {r.line}: " if r.line else "") + r.reason + (f" ({r.excerpt})" if r.excerpt else "")
        for r in rejects[:_LISTED_REJECTS]
    ]
    more = len(rejects) - len(shown)
    listed = "; ".join(shown) + (f"; and {more:,} more" if more > 0 else "")
    where = f"{table.name}:{rejects[0].line}" if rejects[0].line else table.name
    encoding = ""
    if "not valid UTF-8" in listed:
        encoding = f", {encoding_hint(table.path) if table.path else 'use --encoding if it has another'}"
    remedy = f"mend the file{encoding}, or go on without them: --max-rejects {len(rejects)}"
    if taken < len(rejects):
        reason = rejects[0].reason
        hints = {"not valid UTF-8": encoding.removeprefix(", "), **_CAUSES}
        remedy = next((hint for known, hint in hints.items() if known in reason), "see what they lack")
    number = "1 row" if len(rejects) == 1 else f"{len(rejects):,} rows"
    return DataError(f"{number} cannot be used: {listed}", where=where, next_step=remedy)


_CAUSES = {
    "JSON": "give one JSON object a line",
    " field": "see whether its delimiter stands in texts without quotes",
    "no ": "name the columns if others are meant: --text COLUMN, --label COLUMN",
    "not a text": "write the text as a string of its own, or name another column: --text COLUMN",
}
"""What to do about a table of which most rows are refused, by words of the reason."""
