"""The seal on a model folder: `manifest.json` holds the size and SHA-256 of every other file in it.

One flipped bit in a weights file loads without a murmur and changes every prediction, so nothing is
used before it has been compared with the seal. The seal tells of damage, not of forgery: whoever can
rewrite the files can rewrite it too.
"""

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from sopan.errors import ModelFolderError
from sopan.types import Json

MANIFEST = "manifest.json"
MODEL_FILES = ("config.json", "vocab.txt", "model.safetensors", "README.md", MANIFEST)
"""Every name that a model folder holds."""
GRAPH = ("network.xml", "network.bin")
"""What it may hold besides: its network as a graph of OpenVINO's; see `sopan.fit.export_runtime`."""
MAY_HOLD = (*MODEL_FILES, *GRAPH)

FORMAT = 1
"""Version of the folder's layout, raised when an older sopan could no longer read it."""

LARGEST_MANIFEST = 1 << 20

Buffer: TypeAlias = "memoryview[Any]"


def write_manifest(folder: Path) -> int:
    """Seal a folder and return its total size in bytes, the manifest included."""
    files, total = {}, 0
    for path in sorted(folder.iterdir()):
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        size = path.stat().st_size
        files[path.name] = {"bytes": size, "sha256": digest}
        total += size
    manifest = _dump({"format": FORMAT, "files": files})
    (folder / MANIFEST).write_bytes(manifest)
    return total + len(manifest)


def read_folder(folder: Path, *, memory_map: bool = False) -> dict[str, Buffer]:
    """Return the verified bytes of every file in a sealed folder.

    Args:
        folder: with a `manifest.json`.
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
    entries = _entries(sealed, folder)
    return {name: _verified(folder / name, entry, memory_map=memory_map) for name, entry in entries.items()}


def parse_json(content: Buffer | bytes, where: Path) -> dict[str, Json]:
    """Read one JSON object strictly: no repeated keys, no NaN, nothing after it.

    Raises:
        ModelFolderError: it is anything else.
    """
    try:
        value = json.loads(
            bytes(content).decode(), object_pairs_hook=_unique_keys, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as error:  # JSON and UTF-8 errors are both ValueErrors
        raise damaged(where, f"is not valid JSON ({error})") from error
    if not isinstance(value, dict):
        raise damaged(where, "does not hold a JSON object")
    return value


def damaged(where: Path, what: str) -> ModelFolderError:
    """Return the error for a file that is not what was saved."""
    return ModelFolderError(
        what, where=str(where), next_step="restore the folder from a copy, or train the model again"
    )


def check_format(description: Mapping[str, Json], where: Path) -> None:
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


def _verified(path: Path, entry: dict[str, Any], *, memory_map: bool) -> Buffer:
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


def _entries(sealed: bytes, folder: Path) -> dict[str, dict[str, Any]]:
    """Take the manifest apart; it must be, byte for byte, what `write_manifest` writes."""
    where = folder / MANIFEST
    if len(sealed) > LARGEST_MANIFEST:
        raise damaged(where, f"is larger than {LARGEST_MANIFEST:,} bytes")
    manifest = parse_json(sealed, where)
    check_format(manifest, where)
    files: dict[str, dict[str, Any]] = manifest.get("files", {})
    if _dump(manifest) != sealed or set(manifest) != {"format", "files"} or not _well_formed(files):
        raise damaged(where, "was altered or damaged after it was saved")
    for name in set(MODEL_FILES) - {MANIFEST} - set(files):
        raise damaged(where, f"does not list {name}")
    return files


def _well_formed(files: Json) -> bool:
    """Tell whether every entry is a known file's size and hash; a name can thus never be a path."""
    if not isinstance(files, dict) or not set(files) <= set(MAY_HOLD) - {MANIFEST}:
        return False
    return all(
        isinstance(entry, dict)
        and set(entry) == {"bytes", "sha256"}
        and type(entry["bytes"]) is int
        and isinstance(entry["sha256"], str)
        for entry in files.values()
    )


def _dump(manifest: dict[str, Json]) -> bytes:
    return (json.dumps(manifest, indent=2, sort_keys=True) + "\n").encode()


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice")
    return value


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is not a JSON number")
