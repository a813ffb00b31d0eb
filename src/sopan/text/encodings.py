"""From plain bytes to UTF-8: other encodings, wide characters, and the line ends of old Macs."""

from __future__ import annotations

import codecs
from pathlib import Path

from sopan.errors import ConfigError, DataError
from sopan.text.files import CHUNK_BYTES, PlainFile


def encoding_name(encoding: str) -> str:
    """Return Python's name of an encoding.

    Raises:
        ConfigError: Python knows no such encoding.
    """
    try:
        return codecs.lookup(encoding).name
    except LookupError as error:
        raise ConfigError(f"no encoding is called {encoding!r}", next_step="try latin-1 or utf-16") from error


def as_utf8(file: PlainFile, encoding: str) -> Path:
    """Return the path of the file's text in UTF-8: itself, or a strict transcription, made once.

    Invalid bytes inside a UTF-8 file are left to the parsers, which can name the row.

    Raises:
        DataError: UTF-16 or UTF-32 where UTF-8 was expected, or bytes that do not decode.
        ConfigError: Python knows no such encoding.
    """
    name = encoding_name(encoding)
    if name in ("utf-8", "utf-8-sig"):
        _refuse_wide(file)
        return _with_line_feeds(file)
    target, part = file.folder / "utf-8", file.folder / "utf-8.part"
    if target.exists():
        return target
    decoder = codecs.getincrementaldecoder(name)("strict")
    line = 1
    with file.path.open("rb") as source, part.open("w", encoding="utf-8", newline="") as out:
        while True:
            chunk = source.read(CHUNK_BYTES)
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                line += error.object[: error.start].decode(name, "replace").count("\n")
                raise DataError(f"this is not valid {encoding}", where=f"{file.name}:{line}") from error
            out.write(text)
            line += text.count("\n")
            if not chunk:
                break
    return part.rename(target)


def _with_line_feeds(file: PlainFile) -> Path:
    """Return the path of the file, or of a copy where it ends its lines as old Macs did, by CR alone."""
    target = file.folder / "line-feeds"
    if target.exists():
        return target
    with file.path.open("rb") as source:
        head = source.read(CHUNK_BYTES)
        if b"\r" not in head or b"\n" in head:
            return file.path
        with target.open("wb") as out:
            while head:
                out.write(head.replace(b"\r", b"\n"))
                head = source.read(CHUNK_BYTES)
    return target


def encoding_hint(path: Path) -> str:
    """Say which encoding to try for a file that is not UTF-8: one of Western Europe's two, by its bytes."""
    with path.open("rb") as source:
        head = source.read(CHUNK_BYTES)
    windows = any(byte in head for byte in range(0x80, 0xA0))
    try:
        head.decode("cp1252")
    except UnicodeDecodeError:
        windows = False
    return f"use --encoding {'cp1252' if windows else 'latin-1'}, or whichever it was written in"


def _refuse_wide(file: PlainFile) -> None:
    """Refuse UTF-16 and UTF-32, by their mark or by NULs in every second byte."""
    with file.path.open("rb") as source:
        head = source.read(4096)
    guess = None
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        guess = "utf-32"
    elif head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        guess = "utf-16"
    elif len(head) >= 16 and head[1::2].count(0) > 0.4 * len(head[1::2]):
        guess = "utf-16-le"
    elif len(head) >= 16 and head[::2].count(0) > 0.4 * len(head[::2]):
        guess = "utf-16-be"
    if guess:
        raise DataError(
            f"the file is in {guess.upper()}, not UTF-8", where=file.name, next_step=f"use --encoding {guess}"
        )
