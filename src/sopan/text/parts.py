"""Training, validation and test texts that are given one by one: by flags, a glob, or a dict of tables."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from sopan.errors import DataError
from sopan.options.data import PartOptions, TextOptions
from sopan.text.files import is_stream
from sopan.text.folders import GatheredTable, part_of
from sopan.text.formats import Table
from sopan.text.labels import PART_NAMES
from sopan.text.memory import data_name
from sopan.text.split import PARTS
from sopan.types import Source


def find_parts(data: object, options: TextOptions) -> dict[str, list[object]]:
    """Find the files or tables of each part; nothing where `data` is one file, folder, name or table.

    Args:
        data: None where the options name the files; else a glob of files whose names say their part, as
            `train.csv` and `dev.tsv` do, or of the shards of one table; or a dict of tables.
        options: in which the files of each part may be named.

    Returns:
        By the name of the part; shards of one table have the part "".

    Raises:
        DataError: a file that was named is not there, or one of several does not say its part.
    """
    if data is None and isinstance(options, PartOptions):
        given = {"train": options.train_file, "val": options.val_file, "test": options.test_file}
        return {part: _files(one) for part, one in given.items() if one is not None}
    if isinstance(data, Mapping) and data and all(_is_table(table) for table in data.values()):
        return _by_part({str(name): table for name, table in data.items()}, data_name(data))
    if isinstance(data, str | Path) and _is_glob(data):
        found = _matching(data)
        if any(part_of(file) for file in found):
            return _by_part({file.name: file for file in found}, str(data))
        return {"": [*found]}
    return {}


def gather_parts(data: object, opened: Mapping[str, Sequence[tuple[Table, Source]]]) -> tuple[Table, Source]:
    """Make one table of the tables of each part, and sum up their checksums in one.

    Args:
        data: as for `find_parts`.
        opened: the tables of each part, and where each came from.
    """
    members = [(part, table, source) for part, each in opened.items() for table, source in each]
    whole = hashlib.sha256(b"".join(bytes.fromhex(source.sha256) for _, _, source in members)).hexdigest()
    name = data_name(data) if data is not None else ", ".join(source.name for _, _, source in members)
    table = GatheredTable(
        name, [(_short(source.name), each, {"split": part} if part else {}) for part, each, source in members]
    )
    if "" in opened:
        table.notes.insert(0, f"{len(members)} file{'s' * (len(members) > 1)} read as one table")
    else:
        said = "; ".join(f"{p} {', '.join(_short(s.name) for _, s in each)}" for p, each in opened.items())
        table.notes.insert(0, f"parts: {said}")
        if "val" not in opened:
            table.notes.insert(1, "no texts are given to validate on: a part of the training texts does")
    return table, Source(name, whole, sum(source.bytes for _, _, source in members))


def _by_part(given: Mapping[str, object], where: str) -> dict[str, list[object]]:
    """Sort files or tables by the part that their name says."""
    said = {name: part_of(Path(name)) for name in given}
    silent = [name for name, part in said.items() if part is None]
    if silent:
        raise DataError(
            f"{silent[0]!r} does not say which part it is",
            where=where,
            next_step=f"its name must hold one of {', '.join(PART_NAMES)}",
        )
    found = {part: [given[name] for name in given if said[name] == part] for part in PARTS}
    return {part: each for part, each in found.items() if each}


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping) or len(getattr(value, "shape", ())) == 2


def _is_glob(data: str | Path) -> bool:
    return not is_stream(data) and not Path(data).expanduser().exists() and glob.has_magic(str(data))


def _files(given: object) -> list[object]:
    """Return what one flag names: a table in memory, a file, or the files of a glob."""
    return [*_matching(given)] if isinstance(given, str | Path) and _is_glob(given) else [given]


def _matching(pattern: str | Path) -> list[Path]:
    """Return the files that a pattern names, in order."""
    names = glob.glob(str(Path(pattern).expanduser()), recursive=True)  # noqa: PTH207  # it may be absolute
    found = [path for path in map(Path, sorted(names)) if path.is_file()]
    if not found:
        raise DataError("no file is called so", where=str(pattern))
    return found


def _short(name: str) -> str:
    """Return a file's name without its folder."""
    return Path(name).name or name
