"""Public data sets by name, fetched once, and cached as one Parquet file each with its checksum beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from filelock import FileLock
from platformdirs import user_cache_dir

from sopan.errors import DataError, DownloadError
from sopan.storage.manifest import sha256_of
from sopan.text.datasets import imdb, imdb_unlabelled, snippets
from sopan.text.datasets.sources import LocalFile, SourceError
from sopan.text.parquet import notes_of, with_notes, write_parquet

_SETS = {"imdb": imdb, "imdb-unlabelled": imdb_unlabelled, "snippets": snippets}


@dataclass(frozen=True, slots=True)
class Named:
    """What a name stands for.

    Args:
        dataset: the data set, which is also its file in the cache.
        about: one line for people.
        split_column: the column that names the parts, if any.
        text, label: the columns; no label: the texts have none.
    """

    dataset: str
    about: str
    split_column: str | None = None
    text: str = "text"
    label: str | None = "label"


_TALK = Named("imdb", "50,000 film reviews: 5,000 train, 5,000 validation, 40,000 test", "talk")
NAMES: dict[str, Named] = {
    "imdb": _TALK,
    "imdb:talk": _TALK,
    "imdb:official": Named("imdb", "50,000 film reviews: 25,000 train, 25,000 test", "official"),
    "imdb-unlabelled": Named("imdb-unlabelled", "50,000 film reviews without labels", label=None),
    "snippets": Named("snippets", "10,072 sentences about films, rated by some 20 people each"),
}


def named(data: str | Path) -> Named | None:
    """Return what `data` stands for if it is a data set's name, or None if it must be a path.

    Raises:
        DataError: a bare word that is neither a file nor a name, or a split that a data set lacks.
    """
    name = str(data)
    if name in NAMES:
        return NAMES[name]
    dataset, colon, split = name.partition(":")
    if Path(name).exists():
        return None
    known = f"data sets known by name: {', '.join(NAMES)}"
    if colon and dataset in _SETS:
        raise DataError(f"{dataset} has no split {split!r}", next_step=known)
    if not Path(name).suffix and Path(name).name == name:
        raise DataError("there is no such file", where=name, next_step=known)
    return None


def cache_folder() -> Path:
    """Return the folder of cached data sets: `$SOPAN_CACHE`, or the platform's cache folder."""
    return Path(os.environ.get("SOPAN_CACHE") or user_cache_dir("sopan"))


def fetch(name: str) -> Path:
    """Return the cached Parquet file of a named data set, fetching it if it is not there or not intact.

    Args:
        name: one of `NAMES`. Of two processes that ask at once, one fetches and the other waits.

    Raises:
        DataError: no data set has that name.
        DownloadError: no source worked; each is listed with its reason.
    """
    if name not in NAMES:
        raise DataError(f"no data set is called {name!r}", next_step=f"known: {', '.join(NAMES)}")
    dataset = NAMES[name].dataset
    target = cache_folder() / f"{dataset}.parquet"
    if _intact(target):
        return target
    with cache_lock(target):
        if not _intact(target):
            write_parquet(_build(dataset), target)
            _checksum_file(target).write_text(sha256_of(target))
    return target


@contextmanager
def cache_lock(target: Path) -> Iterator[None]:
    """Keep other processes from writing what is cached at `target`; its folder is made.

    Raises:
        DownloadError: the cache cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_suffix(".lock")):
            yield
    except OSError as error:
        raise DownloadError(
            f"the cache cannot be written ({error})",
            where=str(target.parent),
            next_step="name another folder: SOPAN_CACHE=FOLDER",
        ) from error


def _build(dataset: str) -> pa.Table:
    """Try the sources in order; return the first table that comes whole."""
    downloads = cache_folder() / "downloads"
    reasons = []
    sources = [one for one in _SETS[dataset].SOURCES if not isinstance(one, LocalFile) or one.path]
    for source in sources:
        try:
            with source.obtained(downloads) as path:
                table = _SETS[dataset].build(source, path)
        except SourceError as error:
            reasons.append(f"{source.what}: {error}")
            continue
        return with_notes(table, [f"from {source.what}", *notes_of(table.schema)])
    archives = " or ".join(source.file for source in sources)
    raise DownloadError(
        f"{dataset} could not be fetched: {'; '.join(reasons)}",
        next_step=f"fetch {archives} elsewhere and put it into {downloads}",
    )


def _intact(target: Path) -> bool:
    """Tell whether a cached file is there and still is what was written."""
    checksum = _checksum_file(target)
    return target.is_file() and checksum.is_file() and checksum.read_text() == sha256_of(target)


def _checksum_file(target: Path) -> Path:
    return target.with_suffix(".sha256")
