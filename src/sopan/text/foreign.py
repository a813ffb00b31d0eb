"""Files that are something else than a table of texts, or than their name says: recognised by their bytes."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

from sopan.errors import DataError

SPREADSHEETS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
"""Spreadsheets, most of which are zip archives that nobody should unpack."""
_HEAD_BYTES = 4096
_UNPACK = "unpack it and name the file or folder"
_EXPORT = "save its texts as CSV, JSON lines or Parquet"
_FETCH = "fetch the file itself"

_STARTS: tuple[tuple[bytes, str, str], ...] = (
    (b"version https://git-lfs.", "a Git LFS pointer, not the data", f"{_FETCH}: git lfs pull"),
    (b"/annex/objects/", "a git-annex pointer, not the data", f"{_FETCH}: git annex get"),
    (b"%PDF-", "a PDF document", _EXPORT),
    (b"{\\rtf", "a rich text document", _EXPORT),
    (b"PK\x03\x04", "a zip archive inside another", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (b"\x1f\x8b", "a file compressed twice", _UNPACK),
    (b"\xd0\xcf\x11\xe0", "an old Office document", _EXPORT),
    (b"SQLite format 3\x00", "an SQLite database", _EXPORT),
    (b"\x93NUMPY", "a NumPy array", _EXPORT),
    (b"\x89HDF\r\n", "an HDF5 file", _EXPORT),
    (b"ARROW1", "an Arrow or Feather file", _EXPORT),
    (b"\xff\xff\xff\xff", "an Arrow stream", _EXPORT),
    (b"ORC", "an ORC file", _EXPORT),
    (b"Obj\x01", "an Avro file", _EXPORT),
    (b"\x89PNG\r\n", "an image", "give a table of texts"),
    (b"GIF8", "an image", "give a table of texts"),
    (b"\xff\xd8\xff", "an image", "give a table of texts"),
    (b"II*\x00", "an image", "give a table of texts"),
    (b"RIFF", "a sound or a film", "give a table of texts"),
    (b"ID3", "a sound", "give a table of texts"),
    (b"\x7fELF", "a program", "give a table of texts"),
)
_INSIDE: tuple[tuple[str, str], ...] = (
    (r"word/document\.xml", "a Word document"),
    (r"ppt/presentation\.xml", "a presentation"),
    (r"META-INF/container\.xml", "an e-book"),
    (r"content\.xml", "an OpenDocument text"),
    (r".+\.npy", "an archive of NumPy arrays"),
    (r"(?:.+/)?data\.pkl", "a PyTorch checkpoint"),
    (r"model\.weights\.h5", "a Keras model"),
)
"""What a zip archive is that holds such a member."""
_PICKLE = re.compile(rb"\x80[\x02-\x05](?:\x95|[\]}c(]|X|q)")
_MARKUP = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body|\?xml|svg)\b",
    re.IGNORECASE | re.DOTALL,
)
_CONTROL = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b\x1c\x1d\x1e\x1f"))
_MOST_CONTROL = 0.1
"""A text has hardly any control characters; NULs in every second byte are UTF-16, of which others tell."""


def refuse_foreign(path: Path, name: str, *, binary: bool = False) -> None:
    """Refuse a file that is recognised as something else than a table of texts.

    Args:
        path: uncompressed.
        name: as the user calls it.
        binary: whether bytes of an unknown kind are fine.

    Raises:
        DataError: what it is, and what to do.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    for start, what, hint in _STARTS:
        if head.startswith(start) and not (start.isalnum() and _is_prose(head)):
            raise DataError(f"this is {what}", where=name, next_step=hint)
    if head[257:262] == b"ustar":
        raise DataError("this is a tar archive", where=name, next_step=_UNPACK)
    if _PICKLE.match(head):
        raise DataError("this is a Python pickle, which could run any code", where=name, next_step=_EXPORT)
    if _MARKUP.match(head):
        raise DataError(
            "this is a page of HTML or XML, not a table",
            where=name,
            next_step="a download may have failed: open it in a browser, and fetch the file behind it",
        )
    if not head.strip(b"\0"):
        raise DataError("this is filled with NULs, as after a crash", where=name, next_step=_FETCH)
    if binary or head.startswith(b"PAR1") or _is_wide(head):
        return
    if len(head.translate(None, _CONTROL)) < (1 - _MOST_CONTROL) * len(head):
        raise DataError("this is a binary file of an unknown kind", where=name, next_step=_EXPORT)


def refuse_archive(members: Sequence[str], name: str) -> None:
    """Refuse a zip archive whose members' names show that it is a document, a model or arrays.

    Raises:
        DataError: what it is, and what to do.
    """
    for inside, what in _INSIDE:
        if any(re.match(inside, member) for member in members):
            raise DataError(f"this is {what}", where=name, next_step=_EXPORT)


def sheet_suffix(path: Path, suffix: str) -> str:
    """Return the ending that tells how to read a file: a spreadsheet's only if it is one, else as named.

    A workbook under another name is one, and a table of text that is called `.xls`, as many a programme
    exports them, is text.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if suffix in SPREADSHEETS:
        return suffix if b"\0" in head else ""
    if head.startswith(b"PK\x03\x04") and zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
        except (zipfile.BadZipFile, ValueError, OSError):
            return suffix  # whoever unpacks it says what is wrong
        if "xl/workbook.xml" in names:
            return ".xlsx"
    return suffix


def _is_prose(head: bytes) -> bool:
    """Tell whether letters that are also some format's mark begin a text."""
    return head[:64].translate(None, _CONTROL) == head[:64]


def _is_wide(head: bytes) -> bool:
    """Tell UTF-16 and UTF-32 by their mark or by NULs in every second byte."""
    return (
        head[:2] in (b"\xff\xfe", b"\xfe\xff")
        or max((part.count(0) / len(part) for part in (head[::2], head[1::2]) if part), default=0.0) > 0.4
    )
