"""Atomic files and folders: written beside their destination, put in place in one step, whole or not at all.

A folder is written beside its destination, flushed to the disk, and then *exchanged* with the old one in
a single step of the file system: `renameat2(RENAME_EXCHANGE)` on Linux, `renamex_np(RENAME_SWAP)` on macOS.
Where the file system cannot exchange, the old folder first steps aside to `.NAME.old`, and
`read_published` finds it there should the process die before the new one is in place.

Around a folder `NAME` these siblings may be seen: `.NAME.lock` (stays), `.NAME.new-*` (being written, or
left by a killed run; the next save removes it) and `.NAME.old`.
"""

from __future__ import annotations

import ctypes
import errno
import glob
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from sopan.errors import ModelFolderError, SopanError
from sopan.storage.manifest import MEMBERS

SPARE_BYTES = 1 << 20
"""Room required beyond the files themselves: directory entries, rounding up to blocks."""

REREADS = 20
"""How often a folder that is being replaced is read again before giving up."""

_T = TypeVar("_T")

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_CANNOT_EXCHANGE = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP}
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h; macOS calls the same 2 RENAME_SWAP


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Keep other runs from writing `folder`; may be nested within one thread.

    A long run takes the lock before it starts, so that a second one fails at once and not after an hour's
    training. The lock ends with the process, however that ends.

    Raises:
        ModelFolderError: another run holds it.
    """
    folder = _real(folder)
    with named_failures(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(_sibling(folder, "lock"), timeout=0, is_singleton=True)
        try:
            lock.acquire()
        except Timeout as error:
            raise ModelFolderError(
                "another run is writing this folder",
                where=str(folder),
                next_step="wait for it to end, or choose another --out",
            ) from error
    try:
        yield
    finally:
        lock.release()


def check_replaceable(folder: Path, names: Collection[str]) -> None:
    """Refuse a folder that holds anything but a model: replacing it would lose what it holds.

    A long run checks before it starts; `replacing_folder` checks again.

    Args:
        folder: existing or not.
        names: what may be in it; `members` holds folders of the same kind.

    Raises:
        ModelFolderError: `folder` is a file, or holds files that are not a model's.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ModelFolderError("is a file, not a folder", where=str(folder), next_step="choose another --out")
    foreign = sorted(entry.name for entry in folder.iterdir() if entry.name not in names)
    if foreign:
        raise ModelFolderError(
            f"holds files that are not a model's ({', '.join(foreign[:3])}{', …' if foreign[3:] else ''})",
            where=str(folder),
            next_step="a save would replace them: choose a new or empty folder with --out",
        )
    if MEMBERS in names and (folder / MEMBERS).is_dir():
        for member in (folder / MEMBERS).iterdir():
            check_replaceable(member, names)


@contextmanager
def replacing_folder(folder: Path, *, bytes_needed: int, names: Collection[str]) -> Iterator[Path]:
    """Give an empty folder to write in, which takes the place of `folder` when the block ends well.

    If the block fails, or the process is killed at any moment, `folder` stays as it was.

    Args:
        folder: the model folder, existing or not.
        bytes_needed: total size of the files to be written.
        names: what may be in the folder that is replaced.

    Raises:
        ModelFolderError: another run is writing there, or `folder` holds files that are not a model's.
        SopanError: the disk is full, or the folder cannot be written.
    """
    folder = _real(folder)
    with folder_lock(folder), named_failures(folder):
        check_replaceable(folder, names)
        _tidy(folder)
        _check_room(folder.parent, bytes_needed + SPARE_BYTES)
        new = _sibling(folder, f"new-{secrets.token_hex(4)}")
        try:
            new.mkdir()
            yield new
            for entry in new.rglob("*"):
                _flush(entry)
            _flush(new)
            _put_in_place(new, folder)
            _flush(folder.parent)
        finally:
            _tidy(folder)


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Give the path of a file to write, which takes the place of `path` when the block ends well.

    If the block fails or is interrupted, `path` stays as it was and what was written is removed.

    Raises:
        SopanError: the disk is full, or the file cannot be written.
    """
    with named_failures(_real(path)), atomic_file(path) as new:
        yield new


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Do what `replacing_file` does, for callers that name the failure themselves.

    Raises:
        OSError: the disk is full, or the file cannot be written.
    """
    path = _real(path)
    new = _sibling(path, f"new-{secrets.token_hex(4)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield new
        _flush(new)
        new.replace(path)
        _flush(path.parent)
    finally:
        new.unlink(missing_ok=True)


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a whole file, text as UTF-8, so that it is there in full or as it was before.

    Raises:
        SopanError: the disk is full, or the file cannot be written.
    """
    with replacing_file(path) as new:
        new.write_bytes(content.encode() if isinstance(content, str) else content)


def read_published(folder: Path, read: Callable[[Path], _T]) -> _T:
    """Read a folder that another run may replace at any moment: the old one or the new one, whole.

    Args:
        folder: as it was given to `replacing_folder`.
        read: given where the folder is now; called again if it moved from there meanwhile.

    Raises:
        ModelFolderError: from `read`, of a folder that has not moved; or the system lets nobody look into it.
    """
    try:
        for _ in range(REREADS):
            before = _found(folder)
            try:
                return read(before[0])
            except ModelFolderError:
                if _found(folder) == before:
                    raise
    except OSError as error:
        raise ModelFolderError(f"cannot be read ({error.strerror or error})", where=str(folder)) from error
    raise ModelFolderError("is being replaced over and over", where=str(folder), next_step="try again later")


def _found(folder: Path) -> tuple[Path, int, int]:
    """Return where a folder is, there or aside, and what changes when another takes its place."""
    folder = _real(folder)
    aside = _sibling(folder, "old")
    found = aside if not folder.exists() and aside.exists() else folder
    try:
        status = found.stat()
    except FileNotFoundError:
        return found, 0, 0
    return found, status.st_ino, status.st_mtime_ns


@contextmanager
def named_failures(where: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write into one clear line.

    Raises:
        SopanError: in place of any `OSError`.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            what, hint = "the disk is full; nothing was changed", "free some space, or choose another --out"
        else:
            what, hint = f"cannot be written ({error.strerror or error})", "choose another --out"
        raise SopanError(what, where=str(where), next_step=hint) from error


def _put_in_place(new: Path, folder: Path) -> None:
    """Move the folder `new` to `folder`; what stood there is left under the name of `new` or aside."""
    if not folder.exists():
        new.rename(folder)
    elif not _exchange(new, folder):
        folder.rename(_sibling(folder, "old"))
        new.rename(folder)


def _exchange(a: Path, b: Path) -> bool:
    """Swap two folders in one step of the file system; False where it knows no such step."""
    paths = os.fsencode(a), os.fsencode(b)
    try:
        if sys.platform == "darwin":
            failed = ctypes.CDLL(None, use_errno=True).renamex_np(*paths, _RENAME_EXCHANGE)
        elif sys.platform == "linux":
            libc = ctypes.CDLL(None, use_errno=True)
            failed = libc.renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE)
        else:
            return False
    except AttributeError:  # a C library without the call
        return False
    if failed and ctypes.get_errno() not in _CANNOT_EXCHANGE:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return not failed


def _tidy(folder: Path) -> None:
    """Under the lock: bring back a folder left aside, or clear it away; remove unfinished ones."""
    aside = _sibling(folder, "old")
    if aside.exists():
        # Renamed before it is deleted: what is called `.NAME.old` is always whole.
        aside.rename(_sibling(folder, f"new-{secrets.token_hex(4)}") if folder.exists() else folder)
    for unfinished in folder.parent.glob(glob.escape(_sibling(folder, "new-").name) + "*"):
        shutil.rmtree(unfinished, ignore_errors=True)


def _check_room(parent: Path, needed: int) -> None:
    free = shutil.disk_usage(parent).free
    if free < needed:
        raise SopanError(
            f"{free / 1e6:.1f} MB are free and the model needs {needed / 1e6:.1f}; nothing was changed",
            where=str(parent),
            next_step="free some space, or choose another --out",
        )


def _flush(path: Path) -> None:
    """Wait until a file's bytes, or a folder's list of names, are on the disk."""
    if path.is_dir() and os.name == "nt":  # Windows has no way to flush a folder
        return
    handle = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _real(path: Path) -> Path:
    """Follow links, so that what is replaced is the thing and not the link to it."""
    return Path(os.path.realpath(path))


def _sibling(path: Path, suffix: str) -> Path:
    return path.with_name(f".{path.name}.{suffix}")
