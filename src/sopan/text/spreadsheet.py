"""Spreadsheets as tables: the one sheet that holds rows, its first row being the header."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, time
from typing import TypeAlias

from sopan.errors import DataError, needs_extra
from sopan.text.files import PlainFile, check_expansion
from sopan.text.formats import Row, RowTable, unique_names

Cell: TypeAlias = object
"""What the library makes of a cell: a string, a number, a truth value, a date, or "" where it is empty."""


class SpreadsheetTable(RowTable):
    """An .xlsx, .xls or .ods file, read by python-calamine, which the extra `excel` installs.

    Args:
        file: what is read.
        header: whether the first row names the columns; else they are column0, column1 …

    Raises:
        DataError: it cannot be read, holds no row, or holds rows in several sheets.
        MissingExtraError: python-calamine is not installed.
    """

    def __init__(self, file: PlainFile, *, header: bool):
        super().__init__(file.name)
        sheet = self._only_sheet(file)
        width, above = max(map(len, sheet)), next(i for i, row in enumerate(sheet) if not _is_blank(row))
        spelled = [[_spelled(cell) for cell in row] + [""] * (width - len(row)) for row in sheet[above:]]
        first, self._first_line = spelled[0], above + 1 + header
        names = [field.strip() or f"column{i}" for i, field in enumerate(first)] if header else []
        self._names = names or [f"column{i}" for i in range(width)]
        self.columns, self.repeated = unique_names(self._names)
        self._rows = spelled[header:]

    def _only_sheet(self, file: PlainFile) -> list[list[Cell]]:
        with needs_extra("excel", "a spreadsheet, unless you save it as CSV,"):
            from python_calamine import CalamineError, CalamineWorkbook  # noqa: PLC0415
        _check_size(file)
        try:
            book = CalamineWorkbook.from_path(str(file.path))
            sheets = {
                name: book.get_sheet_by_name(name).to_python(skip_empty_area=False)
                for name in book.sheet_names
            }
        except (CalamineError, OSError, ValueError) as error:
            raise DataError(f"this is not a readable spreadsheet ({error})", where=file.name) from error
        filled = {name: rows for name, rows in sheets.items() if not all(map(_is_blank, rows))}
        if len(filled) != 1:
            many = f"the sheets {', '.join(filled)} all hold rows, where one table is expected"
            raise DataError(
                many if filled else "the file has no rows",
                where=file.name,
                next_step="keep one sheet, or save it as CSV" if filled else None,
            )
        ((name, rows),) = filled.items()
        if len(sheets) > 1:
            self.notes.append(f"read the sheet {name!r}; the others are empty")
        return [list(row) for row in rows]

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """Yield the rows that are not blank; their lines are the sheet's."""
        wanted = [self._names.index(name) for name in columns]
        for row, values in enumerate(self._rows):
            if any(values):
                yield row, row + self._first_line, [values[i] for i in wanted]


def _check_size(file: PlainFile) -> None:
    """Refuse a workbook that would unfold to far more than it is; old ones are no archives."""
    try:
        with zipfile.ZipFile(file.path) as archive:
            unfolded = sum(member.file_size for member in archive.infolist())
    except zipfile.BadZipFile:
        return  # an old one, or a damaged one, which its reader refuses
    check_expansion(file.path.stat().st_size, unfolded, file.name)


def _is_blank(row: Sequence[Cell]) -> bool:
    return all(cell == "" for cell in row)


def _spelled(cell: Cell) -> str:
    """Write a cell as a CSV file would hold it: a whole number without a point, truth in lower case."""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, date | time):
        return cell.isoformat()
    return str(cell)
