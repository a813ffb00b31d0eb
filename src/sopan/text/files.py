"""From a path to plain bytes: compression under caps, standard input, and no change while reading.

Every table format sits on `plain_file`, so that a truncated archive, a decompression bomb or a
file edited while it is read is refused in one place, before any row is used.
"""

from __future__ import annotations

import bz2
import lzma
import os
import stat
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO, cast

import pyarrow as pa

from sopan.errors import DataError
from sopan.text.foreign import SPREADSHEETS, refuse_archive, refuse_foreign, sheet_suffix

CHUNK_BYTES = 1 << 20
MAX_EXPANDED_BYTES = 64 << 30
"""No compressed file may unfold to more than this."""
MAX_EXPANSION = 200
"""Nor to more than this many times its size; text compresses 3 to 20 times, a bomb 1,000 times."""
FREE_EXPANSION_BYTES = 64 << 20
"""Up to this size the ratio is not checked: small, very repetitive tables exist."""

_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
}
COMPRESSED = {".gz": "gzip", ".zst": "zstd", ".bz2": "bzip2", ".xz": "xz", ".zip": "zip"}
"""Endings of compressed files, and what each says."""
STANDARD_INPUT = "standard input"


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


def is_stream(data: str | Path) -> bool:
    """Tell whether an input can be read once only: `-`, `/dev/stdin`, or a shell's `<(…)`."""
    return str(data) in ("-", "/dev/stdin") or str(data).startswith("/dev/fd/")


@contextmanager
def regular_file(data: str | Path) -> Iterator[tuple[Path, str]]:
    """Give a file that can be read again and again, and its name for messages; a stream is copied to one.

    Raises:
        DataError: there is no standard input, or it has been read already, for another input.
    """
    if not is_stream(data):
        yield Path(data).expanduser(), str(data)
        return
    standard = str(data) in ("-", "/dev/stdin")
    name = STANDARD_INPUT if standard else str(data)
    if standard and sys.stdin is not None and sys.stdin.closed:
        raise DataError(
            "has been read already, and can be only once", where=name, next_step="write it to a file"
        )
    with tempfile.TemporaryDirectory(prefix="sopan-") as temporary:
        path = Path(temporary) / "stream"
        try:
            with sys.stdin.buffer if standard else Path(data).open("rb") as source, path.open("wb") as out:
                while chunk := source.read(CHUNK_BYTES):
                    out.write(chunk)
        except (OSError, ValueError, AttributeError) as error:
            raise DataError(f"cannot be read ({error})", where=name) from error
        yield path, name


@contextmanager
def plain_file(given: Path, name: str | None = None, *, binary: bool = False) -> Iterator[PlainFile]:
    """Open a file for parsing, decompressed if need be, and hold that it stays as it was.

    Args:
        given: its path.
        name: what messages call it, unless by its path.
        binary: whether it may hold other than text, as files of word vectors do.

    Raises:
        DataError: not a file, empty, truncated, corrupted, expanding without end, changed while read, or
            of a kind that holds no table.
    """
    before = _stamp(given)
    name = name or str(given)
    if before[0] == 0:
        raise DataError("the file is empty", where=name)
    with tempfile.TemporaryDirectory(prefix="sopan-") as temporary:
        folder = Path(temporary)
        kind = _compression(given)
        suffix = given.suffix.lower()
        path = given
        if kind == "zip" and sheet_suffix(given, suffix) in SPREADSHEETS:
            kind = None
        if kind:
            inner = Path(given.stem) if suffix in COMPRESSED else given
            path = folder / "plain"
            if kind == "zip":
                inner = _unzip(given, path, name)
            else:
                _decompress(given, path, kind, name)
            suffix = inner.suffix.lower()
            if path.stat().st_size == 0:
                raise DataError("there is nothing inside the compressed file", where=name)
        suffix = sheet_suffix(path, suffix)
        if suffix not in SPREADSHEETS:
            refuse_foreign(path, name, binary=binary)
        yield PlainFile(path, name, suffix, folder)
    if _stamp(given) != before:
        raise DataError("the file changed while it was being read", where=name, next_step="run again")


def _stamp(path: Path) -> tuple[int, int]:
    """Return size and modification time, which move when a file is edited."""
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise DataError("there is no such file", where=str(path)) from error
    except (OSError, ValueError) as error:  # a name that is too long, or holds a NUL
        raise DataError(f"cannot be read ({error})", where=str(path)) from error
    if not stat.S_ISREG(status.st_mode):
        raise DataError("this is not a regular file", where=str(path))
    if not os.access(path, os.R_OK):
        raise DataError("cannot be read (permission denied)", where=str(path))
    return status.st_size, status.st_mtime_ns


def _compression(path: Path) -> str | None:
    """Tell the compression from the first bytes, and hold the file's name to it."""
    with path.open("rb") as file:
        head = file.read(6)
    kind = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)
    suffix = path.suffix.lower()
    named = COMPRESSED.get(suffix)
    if named and named != kind:
        raise DataError(f"the name says {named}, the contents do not", where=str(path))
    return kind


def _decompress(source: Path, target: Path, kind: str, name: str) -> None:
    try:
        with _decompressed(source, kind) as stream, target.open("wb") as out:
            _copy_capped(stream, out, source, name)
    except (OSError, EOFError, lzma.LZMAError) as error:
        ended = isinstance(error, EOFError) or "runcated" in str(error)
        cause = "truncated" if ended else f"damaged ({error})"
        raise DataError(
            f"the {kind} file is {cause}", where=name, next_step="fetch or write it again"
        ) from error


def _decompressed(source: Path, kind: str) -> BinaryIO:
    if kind == "bzip2":
        return cast("BinaryIO", bz2.open(source, "rb"))
    if kind == "xz":
        return cast("BinaryIO", lzma.open(source, "rb"))
    return cast("BinaryIO", pa.CompressedInputStream(pa.OSFile(str(source)), kind))


def _unzip(source: Path, target: Path, name: str) -> Path:
    """Unpack the one file of a zip archive to a name of our own; return its name inside."""
    try:
        with zipfile.ZipFile(source) as archive:
            refuse_archive(archive.namelist(), name)
            member = _only_member(archive, name)
            with archive.open(member) as stream, target.open("wb") as out:
                _copy_capped(cast("BinaryIO", stream), out, source, name)
            return Path(member.filename)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(f"the zip file cannot be read ({error})", where=name) from error
    except NotImplementedError as error:  # zipfile's word for a way of compression that it does not know
        raise DataError(f"the zip file is packed in a way that is not read ({error})", where=name) from error
    except RuntimeError as error:  # and for a password that is missing
        raise DataError("the zip file is encrypted", where=name, next_step="unpack it") from error


def _only_member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    members = [m for m in archive.infolist() if not m.is_dir() and not m.filename.startswith("__MACOSX/")]
    for member in members:
        posix, windows = PurePosixPath(member.filename), PureWindowsPath(member.filename)
        leaves = ".." in windows.parts or posix.is_absolute() or windows.drive or windows.root
        if leaves or stat.S_ISLNK(member.external_attr >> 16):
            raise DataError(f"the zip file holds an unsafe entry: {member.filename!r}", where=name)
    if len(members) != 1:
        raise DataError(
            f"the zip file holds {len(members)} files where one table is expected",
            where=name,
            next_step="unpack it and name the file or folder",
        )
    return members[0]


def _copy_capped(stream: BinaryIO, out: BinaryIO, source: Path, name: str) -> None:
    """Copy a decompressing stream up to the limits above."""
    size = source.stat().st_size
    written = 0
    while chunk := stream.read(CHUNK_BYTES):
        written += len(chunk)
        check_expansion(size, written, name)
        out.write(chunk)


def check_expansion(packed: int, unfolded: int, name: str) -> None:
    """Hold that so many compressed bytes unfold to no more than the limits above.

    Raises:
        DataError: they do.
    """
    limit = min(MAX_EXPANDED_BYTES, max(FREE_EXPANSION_BYTES, MAX_EXPANSION * packed))
    if unfolded > limit:
        raise DataError(
            f"{packed:,} compressed bytes unfold to more than {limit:,}",
            where=name,
            next_step="unpack it yourself if you trust it",
        )
