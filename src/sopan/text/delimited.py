"""CSV and TSV, read by DuckDB under strict rules; every refused row is named by its line.

The file is read twice: once to find the rows that break the rules, so that the reader knows of
them before any text is used, and once to stream the good ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cached_property
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from sopan.errors import DataError
from sopan.text.files import CHUNK_BYTES, PlainFile, as_utf8, link_or_copy, printable
from sopan.text.sniff import Dialect, records, sniff
from sopan.text.table import MAX_LINE_BYTES, ROW, Table, rows_around
from sopan.types import Int64Array, Reject

_REJECTS = """
    SELECT line_byte_position - 1 AS start,
           any_value(error_type::VARCHAR) AS kind,
           max(TRY_CAST(regexp_extract(error_message, 'Found: (\\d+)', 1) AS INTEGER)) AS fields,
           left(any_value(csv_line), 200) AS excerpt,
           contains(trim(any_value(csv_line), chr(10) || chr(13)), chr(10)) AS several_lines
    FROM reject_errors GROUP BY ALL ORDER BY start
"""


class DelimitedTable(Table):
    """A CSV, TSV or otherwise delimited file.

    Quoted fields may hold line breaks. In a tab-separated file whose rows only fit together when
    quotes are ordinary characters, they are.
    """

    def __init__(self, file: PlainFile, *, header: bool, encoding: str):
        super().__init__(file.name)
        path = as_utf8(file, encoding)
        self._dialect = sniff(path, file.name, file.suffix, header=header)
        self.columns = self._dialect.columns
        self._path = file.folder / "table"
        link_or_copy(path, self._path)
        self._find_rejects()

    def read(self, columns: Sequence[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        """Stream the rows that keep the rules, with `ROW` before the columns."""
        self.rejects[:] = self._found
        wanted = [self.columns.index(name) for name in columns]
        done = 0
        with closing(_connect()) as connection:
            for batch in connection.sql(self._query(self._dialect)).to_arrow_reader(batch_rows):
                rows = rows_around(self._rejected_rows, done, batch.num_rows)
                texts = [batch.column(i).cast(pa.large_string()) for i in wanted]
                yield pa.RecordBatch.from_arrays([pa.array(rows), *texts], [ROW, *columns])
                done += batch.num_rows

    def lines_of(self, rows: Int64Array) -> list[int | None]:
        """Return the line on which each data row starts."""
        return [int(line) for line in self._row_lines[rows]]

    # ---- the rows that break the rules ---------------------------------------------------

    def _find_rejects(self) -> None:
        """Read everything once; settle line ends and quoting on the way."""
        found = self._try(self._dialect)
        if (
            found
            and self._dialect.delimiter == "\t"
            and not self._try(literal := replace(self._dialect, quote=""))
        ):
            self._dialect, found = literal, []
            self.notes.append("quotes are ordinary characters in this tab-separated file")
        lines = self._lines_at([start for start, *_ in found])
        self._found: list[Reject] = []
        for above, (_, kind, fields, excerpt, several_lines) in zip(lines, found, strict=True):
            line = above + len(excerpt) - len(excerpt.lstrip("\r\n"))
            reason = _reason(kind, fields, len(self.columns))
            if kind == "LINE SIZE OVER MAXIMUM" or (kind == "UNQUOTED VALUE" and several_lines):
                raise DataError(
                    f"{reason}, and the rows after it cannot be told apart ({printable(excerpt)})",
                    where=f"{self.name}:{line}",
                    next_step="close or double the quote",
                )
            self._found.append(Reject(line, reason, printable(excerpt)))
        starts = np.array([reject.line for reject in self._found], np.int64)
        self._rejected_rows = np.searchsorted(self._row_lines, starts) if len(starts) else starts

    def _try(self, dialect: Dialect) -> list[tuple[Any, ...]]:
        """Return what DuckDB refuses under a dialect, in the order of the file."""
        with closing(_connect()) as connection:
            try:
                for _ in connection.sql(self._query(dialect)).to_arrow_reader(1 << 16):
                    pass
            except duckdb.InvalidInputException as error:
                if self._unify_line_ends():
                    return self._try(dialect)
                raise DataError(
                    f"the table cannot be read ({_first_line(error)})", where=self.name
                ) from error
            found: list[tuple[Any, ...]] = connection.execute(_REJECTS).fetchall()
            return found

    def _unify_line_ends(self) -> bool:
        """Write a copy in which every row ends alike; DuckDB's strict mode asks for that."""
        unified = self._path.with_name("unified")
        if unified.exists():
            return False
        with self._path.open("rb") as source, unified.open("wb") as out:
            held = b""
            while chunk := source.read(CHUNK_BYTES):
                whole = held + chunk
                body = whole.rstrip(b"\r")
                held = whole[len(body) :]
                out.write(re.sub(rb"\r+\n", b"\n", body).replace(b"\r", b" "))
            out.write(b"\n" if held else b"")
        self._path = unified
        self.notes.append("line ends were mixed: rows end at a line feed, a lone carriage return is a space")
        return True

    def _lines_at(self, positions: list[int]) -> list[int]:
        """Return the 1-based line of each byte position; positions ascend."""
        lines, line, offset = [], 1, 0
        waiting = iter([*positions, None])
        position = next(waiting)
        with self._path.open("rb") as file:
            feed = b"\n" if b"\n" in file.read(MAX_LINE_BYTES) else b"\r"
            file.seek(0)
            while position is not None and (chunk := file.read(CHUNK_BYTES)):
                while position is not None and position <= offset + len(chunk):
                    lines.append(line + chunk.count(feed, 0, position - offset))
                    position = next(waiting)
                line += chunk.count(feed)
                offset += len(chunk)
        return lines

    @cached_property
    def _row_lines(self) -> Int64Array:
        """The line on which each data row starts, refused rows included: made only when one must be named."""
        walk = records(self._path, self._dialect.delimiter, self._dialect.quote)
        lines = np.array([line for line, _ in walk], np.int64)
        return lines[1:] if self._dialect.header else lines

    def _query(self, dialect: Dialect) -> str:
        """Write the query: every column text, nothing guessed, nothing padded, nothing skipped unseen."""
        names = [f"c{i}" for i in range(len(dialect.columns))]
        options = {
            "header": dialect.header,
            "delim": dialect.delimiter,
            "quote": dialect.quote,
            "escape": dialect.quote,
            "columns": dict.fromkeys(names, "VARCHAR"),
            "force_not_null": names,
            "auto_detect": False,
            "strict_mode": True,
            "null_padding": False,
            "store_rejects": True,
            "compression": "none",
            "encoding": "utf-8",
            "hive_partitioning": False,
            "parallel": False,
            "max_line_size": MAX_LINE_BYTES,
        }
        settings = ", ".join(f"{key} = {_literal(value)}" for key, value in options.items())
        return f"SELECT * FROM read_csv({_literal(str(self._path))}, {settings})"


def _connect() -> duckdb.DuckDBPyConnection:
    """Open an in-memory DuckDB that fetches nothing from anywhere."""
    return duckdb.connect(
        ":memory:", config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    )


def _literal(value: Any) -> str:
    """Write a Python value as an SQL literal."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_literal(k)}: {_literal(v)}' for k, v in value.items())}}}"
    return "'" + str(value).replace("'", "''") + "'"


def _reason(kind: str, fields: int | None, width: int) -> str:
    """Say in plain words what DuckDB's error type means."""
    if kind in ("TOO MANY COLUMNS", "MISSING COLUMNS") and fields is not None:
        return f"{fields} field{'s' * (fields != 1)} where the table has {width} columns"
    return {
        "UNQUOTED VALUE": "a quote is not closed, or text follows the closing quote",
        "INVALID ENCODING": "not valid UTF-8",
        "LINE SIZE OVER MAXIMUM": f"a row over {MAX_LINE_BYTES >> 20} MB, or a quote that is not closed",
    }.get(kind, kind.lower())


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")
