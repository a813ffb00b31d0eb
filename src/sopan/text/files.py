"""From a path to plain bytes: compression under caps, encodings, checksums, and no change while reading.

Every table format sits on `plain_file`, so that a truncated archive, a decompression bomb or a
file edited while it is read is refused in one place, before any row is used.
"""

from __future__ import annotations

import codecs
import stat
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO

import pyarrow as pa

from sopan.errors import ConfigError, DataError

CHUNK_BYTES = 1 << 20
MAX_EXPANDED_BYTES = 64 << 30
"""No compressed file may unfold to more than this."""
MAX_EXPANSION = 200
"""Nor to more than this many times its size; text compresses 3 to 20 times, a bomb 1,000 times."""
FREE_EXPANSION_BYTES = 64 << 20
"""Up to this size the ratio is not checked: small, very repetitive tables exist."""

_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip", b"PK\x05\x06": "zip"}
_SUFFIXES = {".gz": "gzip", ".zst": "zstd", ".zip": "zip"}


@dataclass(frozen=True, slots=True)
class PlainFile:
    """An uncompressed file that parsers may open.

    Args:
        path: the file given, or a temporary copy of what was inside it.
        name: the file as the user named it, for error messages.
        suffix: lower-case, compression taken off: `.csv`.
        folder: a temporary folder that lives as long as the reading.
    """

    path: Path
    name: str
    suffix: str
    folder: Path


@contextmanager
def plain_file(given: Path) -> Iterator[PlainFile]:
    """Open a file for parsing, decompressed if need be, and hold that it stays as it was.

    Raises:
        DataError: not a file, empty, truncated, corrupted, expanding without end, or changed while read.
    """
    before = _stamp(given)
    if before[0] == 0:
        raise DataError("the file is empty", where=str(given))
    with tempfile.TemporaryDirectory(prefix="sopan-") as temporary:
        folder = Path(temporary)
        kind = _compression(given)
        suffix = given.suffix.lower()
        path = given
        if kind:
            inner = Path(given.stem) if suffix in _SUFFIXES else given
            path = folder / "plain"
            if kind == "zip":
                inner = _unzip(given, path)
            else:
                _decompress(given, path, kind)
            suffix = inner.suffix.lower()
            if path.stat().st_size == 0:
                raise DataError("there is nothing inside the compressed file", where=str(given))
        yield PlainFile(path, str(given), suffix, folder)
    if _stamp(given) != before:
        raise DataError("the file changed while it was being read", where=str(given), next_step="run again")


def _stamp(path: Path) -> tuple[int, int]:
    """Return size and modification time, which move when a file is edited."""
    try:
        status = path.stat()
    except OSError as error:
        raise DataError("there is no such file", where=str(path)) from error
    if not stat.S_ISREG(status.st_mode):
        raise DataError("this is not a regular file", where=str(path))
    return status.st_size, status.st_mtime_ns


def _compression(path: Path) -> str | None:
    """Tell the compression from the first bytes, and hold the file's name to it."""
    with path.open("rb") as file:
        head = file.read(4)
    kind = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)
    named = _SUFFIXES.get(path.suffix.lower())
    if named and named != kind:
        raise DataError(f"the name says {named}, the contents do not", where=str(path))
    return kind


def _decompress(source: Path, target: Path, kind: str) -> None:
    with pa.OSFile(str(source)) as raw, target.open("wb") as out:
        try:
            stream = pa.CompressedInputStream(raw, kind)
            _copy_capped(stream.read, out, source)
        except OSError as error:
            cause = "truncated" if "runcated" in str(error) else f"damaged ({error})"
            raise DataError(
                f"the {kind} file is {cause}", where=str(source), next_step="fetch or write it again"
            ) from error


def _unzip(source: Path, target: Path) -> Path:
    """Unpack the one file of a zip archive to a name of our own; return its name inside."""
    try:
        with zipfile.ZipFile(source) as archive:
            member = _only_member(archive, source)
            with archive.open(member) as stream, target.open("wb") as out:
                _copy_capped(stream.read, out, source)
            return Path(member.filename)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise DataError(f"the zip file cannot be read ({error})", where=str(source)) from error


def _only_member(archive: zipfile.ZipFile, source: Path) -> zipfile.ZipInfo:
    members = [m for m in archive.infolist() if not m.is_dir() and not m.filename.startswith("__MACOSX/")]
    for member in members:
        posix, windows = PurePosixPath(member.filename), PureWindowsPath(member.filename)
        leaves = ".." in windows.parts or posix.is_absolute() or windows.drive or windows.root
        if leaves or stat.S_ISLNK(member.external_attr >> 16):
            raise DataError(f"the zip file holds an unsafe entry: {member.filename!r}", where=str(source))
    if len(members) != 1:
        raise DataError(
            f"the zip file holds {len(members)} files where one table is expected",
            where=str(source),
            next_step="unpack it and name the file or folder",
        )
    return members[0]


def _copy_capped(read: Callable[[int], bytes], out: BinaryIO, source: Path) -> None:
    """Copy a decompressing stream up to the limits above."""
    limit = min(MAX_EXPANDED_BYTES, max(FREE_EXPANSION_BYTES, MAX_EXPANSION * source.stat().st_size))
    written = 0
    while chunk := read(CHUNK_BYTES):
        written += len(chunk)
        if written > limit:
            raise DataError(
                f"{source.stat().st_size:,} compressed bytes unfold to more than {limit:,}",
                where=str(source),
                next_step="unpack it yourself if you trust it",
            )
        out.write(chunk)


# ---- encodings ---------------------------------------------------------------------------


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
    """Return the path of the file's text in UTF-8: itself, or a strict transcription.

    Invalid bytes inside a UTF-8 file are left to the parsers, which can name the row.

    Raises:
        DataError: UTF-16 or UTF-32 where UTF-8 was expected, or bytes that do not decode.
        ConfigError: Python knows no such encoding.
    """
    name = encoding_name(encoding)
    if name in ("utf-8", "utf-8-sig"):
        _refuse_wide(file)
        return file.path
    target = file.folder / "utf-8"
    decoder = codecs.getincrementaldecoder(name)("strict")
    line = 1
    with file.path.open("rb") as source, target.open("w", encoding="utf-8", newline="") as out:
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
                return target


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
