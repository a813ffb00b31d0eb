"""Checksums: `manifest.json` holds the size and SHA-256 of every other file in a folder.

One flipped bit in a weights file raises no error and changes every prediction, so no file is used before
it has been compared with the manifest. That finds damage, not forgery: whoever can rewrite the files can
rewrite the manifest too.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeAlias, TypedDict

from sopan.errors import ModelFolderError, damaged
from sopan.storage.strict_json import parse_object

MANIFEST = "manifest.json"

FORMAT = 1
"""Version of the folder's layout, raised when an older sopan could no longer read it."""

LARGEST_MANIFEST = 1 << 20

MEMBERS = "members"
"""Folder within a folder, of folders that have manifests of their own; the outer manifest lists those."""
_MEMBER = re.compile(rf"{MEMBERS}/([\w@-][\w.@-]*)/{re.escape(MANIFEST)}", re.ASCII)

Buffer: TypeAlias = "memoryview[Any]"


class _Entry(TypedDict):
    bytes: int
    sha256: str


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(folder: Path) -> None:
    """Write the manifest of a folder's files; of its members, which have theirs already, it lists those."""
    paths = [path for path in folder.iterdir() if path.is_file()]
    paths += (folder / MEMBERS).glob(f"*/{MANIFEST}")
    files = {
        path.relative_to(folder).as_posix(): _Entry(bytes=path.stat().st_size, sha256=sha256_of(path))
        for path in sorted(paths)
    }
    (folder / MANIFEST).write_bytes(_dump({"format": FORMAT, "files": files}))


def read_verified(
    folder: Path, *, names: Collection[str], optional: Collection[str] = (), memory_map: bool = False
) -> dict[str, Buffer]:
    """Return the verified bytes of every file that a folder's manifest lists.

    A member's manifest stands among them under the path that it has in the folder; what that one lists is for
    another call. Folders among the members that are not listed are refused.

    Args:
        folder: with a `manifest.json`.
        names: what it must list.
        optional: what it may list besides.
        memory_map: map large files instead of copying them. Pages are then shared between processes;
            writing to them changes this process's view only, never the file.

    Raises:
        ModelFolderError: a file is missing, or differs from the manifest by as much as a bit.
    """
    try:
        with (folder / MANIFEST).open("rb") as stream:
            sealed = stream.read(LARGEST_MANIFEST + 1)
    except FileNotFoundError as error:
        raise damaged(folder, f"{MANIFEST} is missing, so the model cannot be verified") from error
    except OSError as error:
        raise damaged(folder / MANIFEST, f"cannot be read ({error.strerror})") from error
    entries = _entries(sealed, folder, names, optional)
    _check_members(folder, entries)
    return {name: _verified(folder / name, entry, memory_map=memory_map) for name, entry in entries.items()}


def member_folders(listed: Collection[str]) -> list[str]:
    """Return the names of the members whose manifests are among the files that a manifest lists."""
    return [match[1] for match in map(_MEMBER.fullmatch, listed) if match]


def check_format(description: Mapping[str, object], where: Path) -> None:
    """Refuse a folder laid out by rules that this version does not know.

    Raises:
        ModelFolderError: the format version is another than `FORMAT`.
    """
    found = description.get("format")
    if found != FORMAT:
        raise ModelFolderError(
            f"has format version {found!r}, and this sopan reads version {FORMAT}",
            where=str(where),
            next_step="upgrade sopan with: pip install --upgrade sopan",
        )


def _check_members(folder: Path, entries: Collection[str]) -> None:
    """Hold that the folder's members are those that are listed, neither more nor fewer."""
    place = folder / MEMBERS
    there = {path.name for path in place.iterdir()} if place.is_dir() else set()
    listed = set(member_folders(entries))
    for name in sorted(there ^ listed):
        raise damaged(
            place, f"{name} is missing" if name in listed else f"{name} is not listed in {MANIFEST}"
        )


def _verified(path: Path, entry: _Entry, *, memory_map: bool) -> Buffer:
    """Read one file whose size and hash must be those of its entry."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, 2)
            if size != entry["bytes"]:  # before anything is allocated
                raise damaged(path, f"has {size:,} bytes where the manifest says {entry['bytes']:,}")
            if memory_map and size:
                buffer = memoryview(mmap.mmap(stream.fileno(), size, access=mmap.ACCESS_COPY))
            else:
                stream.seek(0)
                buffer = memoryview(bytearray(size))
                buffer = buffer[: stream.readinto(buffer)]
    except FileNotFoundError as error:
        raise damaged(path.parent, f"{path.name} is missing") from error
    except OSError as error:
        raise damaged(path, f"cannot be read ({error.strerror})") from error
    if hashlib.sha256(buffer).hexdigest() != entry["sha256"]:
        raise damaged(path, "was altered or damaged after it was saved (its SHA-256 differs)")
    return buffer


def _entries(
    sealed: bytes, folder: Path, names: Collection[str], optional: Collection[str]
) -> dict[str, _Entry]:
    """Take the manifest apart; it must be, byte for byte, what `write_manifest` writes."""
    where = folder / MANIFEST
    if len(sealed) > LARGEST_MANIFEST:
        raise damaged(where, f"is larger than {LARGEST_MANIFEST:,} bytes")
    manifest = parse_object(sealed, where)
    check_format(manifest, where)
    files: dict[str, _Entry] = manifest.get("files", {})
    known = {*names, *optional}
    if _dump(manifest) != sealed or set(manifest) != {"format", "files"} or not _well_formed(files, known):
        raise damaged(where, "was altered or damaged after it was saved")
    for name in set(names) - set(files):
        raise damaged(where, f"does not list {name}")
    return files


def _well_formed(files: object, known: Collection[str]) -> bool:
    """Return whether every entry is a known file's, or a member's manifest's, size and hash.

    A name can thus never be a path out of the folder.
    """
    if not isinstance(files, dict) or not all(name in known or _MEMBER.fullmatch(name) for name in files):
        return False
    return all(
        isinstance(entry, dict)
        and set(entry) == {"bytes", "sha256"}
        and type(entry["bytes"]) is int
        and isinstance(entry["sha256"], str)
        for entry in files.values()
    )


def _dump(manifest: Mapping[str, object]) -> bytes:
    return (json.dumps(manifest, indent=2, sort_keys=True) + "\n").encode()
