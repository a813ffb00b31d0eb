"""The folder of a comparison: which one it is, and that nothing of somebody else's is replaced in it."""

from __future__ import annotations

import re
from itertools import count
from pathlib import Path

from sopan.comparison.ledger import OUTCOMES
from sopan.comparison.results import MODELS, PREDICTIONS, RESULTS
from sopan.errors import ConfigError, ModelFolderError
from sopan.options.classify import CompareOptions
from sopan.storage.manifest import MANIFEST
from sopan.storage.strict_json import read_json
from sopan.text.memory import data_name, in_memory

CONFIG, REPORT = "config.json", "report.html"
RUN_FILES = frozenset({RESULTS, REPORT, PREDICTIONS, CONFIG, MODELS, OUTCOMES})
"""What a comparison writes into its folder."""


def run_folder(options: CompareOptions) -> Path:
    """Choose the folder of a comparison, before any work is done for it.

    Unless one is named it is `runs/NAME`, or the first of `runs/NAME-2`, `runs/NAME-3` … that is free; with
    `resume`, the last one that is there. A folder that is named may hold a comparison only if that is to be
    replaced or resumed, and never files of the same names that are somebody else's.

    Raises:
        ConfigError: a file is in the way, or what the folder holds would be lost.
    """
    if options.out is None:
        return _unnamed(options)
    folder = Path(options.out)
    ours = folder.is_dir() and {entry.name for entry in folder.iterdir()} & RUN_FILES
    if not ours:
        return folder
    if not is_run(folder):
        raise ConfigError(
            f"holds files that no comparison wrote ({', '.join(sorted(ours))}), which would be replaced",
            where=str(folder),
            next_step="choose another --out",
        )
    if not (options.overwrite or options.resume):
        raise ConfigError(
            "holds a comparison already",
            where=str(folder),
            next_step="--overwrite replaces it, --resume goes on with it; or choose another --out",
        )
    return folder


def _unnamed(options: CompareOptions) -> Path:
    first, last = Path("runs") / _name(options), None
    folder = first
    for number in count(2):
        if not folder.exists():
            break
        last, folder = folder, first.with_name(f"{first.name}-{number}")
    if last is None:
        return folder
    if options.resume:
        return last
    options.progress("out", {"stage": f"{folder}, since {last} is there already"})
    return folder


def _name(options: CompareOptions) -> str:
    """Return what the run is called: as its file or table, or as the folder of the files of its parts."""
    data = options.train_file if options.data is None else options.data
    name = data_name(data)
    if in_memory(data):
        name = name.split(" of ")[0].partition(" ")[2]
    elif options.data is None:
        name = Path(name).absolute().parent.name
    return re.sub(r"[^\w.-]+", "-", Path(name).name)


def is_run(folder: Path) -> bool:
    """Tell whether a comparison wrote, or began to write, what a folder holds."""
    if (folder / CONFIG).exists():
        try:
            config = read_json(folder / CONFIG)
        except ModelFolderError:
            return False
        return isinstance(config, dict) and {"data", "budget", "steps", "margin"} <= config.keys()
    begun = {entry.name for entry in folder.iterdir()} & RUN_FILES
    models = [m for m in (folder / MODELS).glob("*") if not m.name.startswith(".")]
    return begun <= {MODELS, OUTCOMES} and all((model / MANIFEST).is_file() for model in models)
