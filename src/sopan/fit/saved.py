"""The content of a model folder, read and checked: enough to rebuild the step, or to serve it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, NotRequired, TypedDict, TypeVar, cast

import numpy as np

from sopan.errors import ModelFolderError, damaged
from sopan.options.names import path_name
from sopan.storage.atomic import read_published
from sopan.storage.manifest import MANIFEST, MEMBERS, Buffer, check_format, member_folders, read_verified
from sopan.storage.strict_json import parse_object, read_json
from sopan.storage.tensors import read_tensors
from sopan.types import Array, Json, StepState

SEALED = ("config.json", "vocab.txt", "model.safetensors", "README.md")
"""What a model folder holds beside its manifest."""
GRAPH = ("network.xml", "network.bin")
"""What it may hold besides: its network as a graph of OpenVINO's; see `sopan.fit.export.runtimes`."""
MODEL_FILES = (*SEALED, MANIFEST, *GRAPH, MEMBERS)
"""Every name that a model folder may hold; `members` is the folder of what a combination is made of."""

LABEL_DTYPES = {np.dtype(kind).name for kind in "?bhilqBHILQefd"} | {"str", "object"}
"""Kinds of label that JSON can hold and give back unchanged."""

_STORED_RULES = {"words": "words-2"}
_RULES_READ = {"words-2": "words", "words": "words-1"}
"""Names of rules for tokens in a folder, where they are others than ours: in one that was saved before emoji
were words, `words` is the rule that is `words-1` now, so that the model cuts texts, and answers, as ever."""

_K = TypeVar("_K")


class ModelConfig(TypedDict):
    """The content of `config.json`."""

    format: int
    step: str
    settings: Mapping[str, Json]
    state: Mapping[str, Json]
    temperature: float
    vocabulary_size: int
    labels: list[str | float]
    label_dtype: str
    id2label: dict[str, str]
    label2id: dict[str, int]
    preprocessing: dict[str, Json]
    versions: dict[str, str]
    data: Mapping[str, Json]
    metrics: Mapping[str, Json]
    served: NotRequired[dict[str, float | str]]


class Saved(NamedTuple):
    """A fitted step as its folder holds it.

    Args:
        step: its name, maybe with a variant.
        settings: as `get_params` gives them; what was a tuple is a list.
        state: see `Step.state`.
        classes: (C,) labels in their own type.
        temperature: above 0.
        where: config.json's path, for error messages.
        config: all of config.json.
        files: the verified bytes of each file by name.
        members: what it is made of, by name, in the order of its state; none of a single step.
    """

    step: str
    settings: Mapping[str, Json]
    state: StepState
    classes: Array
    temperature: float
    where: Path
    config: ModelConfig
    files: Mapping[str, Buffer]
    members: Mapping[str, Saved]


def read_saved(folder: str | Path, *, memory_map: bool = False) -> Saved:
    """Read a model folder, after every file in it has been verified.

    Args:
        folder: made by `save_model`.
        memory_map: map the arrays instead of copying them, so that processes share them.

    Raises:
        ModelFolderError: there is no model, it was damaged, or its parts do not fit together.
    """
    given = Path(folder)

    def read(found: Path) -> tuple[dict[str, Buffer], dict[str, dict[str, Buffer]]]:
        _check_there(found, given)
        outer = read_verified(found, names=SEALED, optional=GRAPH, memory_map=memory_map)
        return outer, {
            member: read_verified(
                found / MEMBERS / member, names=SEALED, optional=GRAPH, memory_map=memory_map
            )
            for member in member_folders(outer)
        }

    outer, of_members = read_published(given, read)
    saved = _checked(outer, given)
    members = {member: _checked(files, given / MEMBERS / member) for member, files in of_members.items()}
    return saved._replace(members=_named(saved, members))


def text_column(folder: str | Path) -> str | None:
    """Return the column that the texts of a saved model stood in, where it is known.

    Models that were saved before this was kept, or that learnt from lists, have none.
    """
    try:
        data = read_json(Path(folder) / "config.json")["data"]
    except (ModelFolderError, LookupError, TypeError):
        return None  # whoever reads the model itself says what is wrong with it
    column = data.get("text_column") if isinstance(data, Mapping) else None
    return column if isinstance(column, str) else None


def _named(saved: Saved, members: Mapping[str, Saved]) -> dict[str, Saved]:
    """Return the members by their own names, in the order of the state, which must name each of them."""
    names = saved.state.settings.get("members", []) if members else []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise damaged(saved.where, "the state does not name the members")
    folders = [path_name(name) for name in names]
    if sorted(folders) != sorted(members):
        raise damaged(saved.where, f"the members are {', '.join(sorted(members))}, not {', '.join(names)}")
    for name, folder in zip(names, folders, strict=True):
        if members[folder].step != name:
            raise damaged(members[folder].where, f"is the member {members[folder].step!r}, not {name!r}")
    return {name: members[folder] for name, folder in zip(names, folders, strict=True)}


def _checked(files: Mapping[str, Buffer], folder: Path) -> Saved:
    """Check config.json against itself and the number of words, and return what `Saved` holds."""
    where = folder / "config.json"
    config: dict[str, object] = parse_object(files["config.json"], where)
    words = decode_words(files["vocab.txt"], folder / "vocab.txt")
    arrays = read_tensors(files["model.safetensors"], folder / "model.safetensors")
    check_format(config, where)
    step = _field(config, "step", str, where)
    classes = _classes(config, where)
    temperature = _field(config, "temperature", float, where)
    if not (math.isfinite(temperature) and temperature > 0):
        raise damaged(where, f"the temperature must be above 0, not {temperature}")
    size = _field(config, "vocabulary_size", int, where)
    if size != len(words):
        raise damaged(where, f"vocab.txt has {len(words):,} words where {size:,} are said")
    state = StepState(_field(config, "state", dict, where), words, arrays)
    settings = _renamed_rule(_field(config, "settings", dict, where), _RULES_READ)
    return Saved(step, settings, state, classes, temperature, where, cast(ModelConfig, config), files, {})


def as_stored(config: ModelConfig) -> ModelConfig:
    """Return what config.json says, with the rule for tokens under the name that it has there."""
    settings = _renamed_rule(config["settings"], _STORED_RULES)
    preprocessing = dict(_renamed_rule(config["preprocessing"], _STORED_RULES))
    return {**config, "settings": settings, "preprocessing": preprocessing}


def _renamed_rule(settings: Mapping[str, Json], names: Mapping[str, str]) -> Mapping[str, Json]:
    tokens = settings.get("tokens")
    return {**settings, "tokens": names[tokens]} if isinstance(tokens, str) and tokens in names else settings


def label_names(classes: Sequence[object] | Array) -> tuple[str, ...]:
    """Return the C labels as text, as they are shown, written and looked up."""
    return tuple(str(label) for label in np.asarray(classes).tolist())


def label_maps(names: Sequence[str]) -> tuple[dict[str, str], dict[str, int]]:
    """Return `id2label` and `label2id` as Hugging Face writes them."""
    ids = {name: index for index, name in enumerate(names)}
    return {str(index): name for name, index in ids.items()}, ids


def _classes(config: Mapping[str, object], where: Path) -> Array:
    """Return the (C,) labels in their own type; `labels`, `id2label` and `label2id` must agree."""
    labels, dtype = _field(config, "labels", list, where), _field(config, "label_dtype", str, where)
    if dtype not in LABEL_DTYPES:
        raise damaged(where, f"labels of the kind {dtype!r} are unknown")
    try:
        classes = np.array(labels, dtype=dtype)
        names = label_names(classes)
    except (TypeError, ValueError, OverflowError) as error:
        raise damaged(where, f"the labels are not of the kind {dtype!r}") from error
    if classes.ndim != 1 or len(set(names)) != len(names) or len(names) < 2:
        raise damaged(where, "two or more distinct labels are needed")
    if (config.get("id2label"), config.get("label2id")) != label_maps(names):
        raise damaged(where, f"id2label and label2id must give the ids 0 to {len(names) - 1} to the labels")
    return classes


def _field(config: Mapping[str, object], name: str, kind: type[_K], where: Path) -> _K:
    value = config.get(name)
    if type(value) is not kind:
        what = f"{name} must be of the kind {kind.__name__}" if name in config else f"{name} is missing"
        raise damaged(where, what)
    return value


def _check_there(folder: Path, given: Path) -> None:
    """Tell the commonest mistakes apart: a wrong path, a comparison's folder, an untrained one."""
    models = sorted(found.name for found in (folder / "models").glob("[!.]*"))
    if models and not (folder / MANIFEST).exists():
        choices = ", ".join(str(given / "models" / name) for name in models)
        raise ModelFolderError(
            f"{given} is a comparison, not a model", next_step=f"choose one of its models: {choices}"
        )
    if not (folder / "config.json").exists():
        what = f"no config.json in {given}" if folder.is_dir() else f"there is no model folder {given}"
        raise ModelFolderError(what, next_step=f"train one with: sopan train STEP DATA --out {given}")


# ---- vocab.txt -------------------------------------------------------------------------------------

_SHORT = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
_LONG = {escaped: character for character, escaped in _SHORT.items()}
# NUL, what str.splitlines splits at, and the byte order mark, which editors swallow at the start of a file.
_TO_ESCAPE = re.compile("[\\\\\n\r\x00\v\f\x1c\x1d\x1e\x85\u2028\u2029\ufeff]")
_ESCAPED = re.compile(r"\\(?:u[0-9a-f]{4}|.?)")


def encode_words(words: Sequence[str]) -> bytes:
    """Return the content of `vocab.txt`.

    Raises:
        ModelFolderError: a word holds a lone surrogate and is not valid Unicode.
    """
    lines = [_TO_ESCAPE.sub(_escape, word) + "\n" for word in words]
    try:
        return "".join(lines).encode()
    except UnicodeEncodeError as error:
        raise ModelFolderError("a word of the vocabulary holds a lone surrogate") from error


def decode_words(content: Buffer | bytes, where: Path) -> tuple[str, ...]:
    """Return the words that `encode_words` wrote.

    Raises:
        ModelFolderError: invalid UTF-8, an unknown escape, or no newline at the end.
    """
    try:
        text = bytes(content).decode()
    except UnicodeDecodeError as error:
        raise damaged(where, "is not valid UTF-8") from error
    if text and not text.endswith("\n"):
        raise damaged(where, "ends in the middle of a line")
    words = text.split("\n")[:-1]
    if "\\" not in text:
        return tuple(words)
    try:
        return tuple(_ESCAPED.sub(_unescape, word) if "\\" in word else word for word in words)
    except KeyError as error:
        raise damaged(where, f"holds an unknown escape, {error.args[0]}") from error


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    return _SHORT.get(character) or f"\\u{ord(character):04x}"


def _unescape(match: re.Match[str]) -> str:
    escaped = match[0]
    return chr(int(escaped[2:], 16)) if len(escaped) == 6 else _LONG[escaped]
