"""What a model folder says, read and checked: enough to make the step anew, or to serve it without Keras."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from sopan.errors import ModelFolderError, damaged
from sopan.storage.atomic import read_published
from sopan.storage.manifest import MANIFEST, Buffer, check_format, read_verified
from sopan.storage.strict_json import parse_object
from sopan.storage.tensors import read_tensors
from sopan.types import Json, StepState

SEALED = ("config.json", "vocab.txt", "model.safetensors", "README.md")
"""What a model folder holds beside its manifest."""
GRAPH = ("network.xml", "network.bin")
"""What it may hold besides: its network as a graph of OpenVINO's; see `sopan.fit.export.runtimes`."""
MODEL_FILES = (*SEALED, MANIFEST, *GRAPH)
"""Every name that a model folder may hold."""

LABEL_DTYPES = {np.dtype(kind).name for kind in "?bhilqBHILQefd"} | {"str", "object"}
"""Kinds of label that JSON can hold and give back unchanged."""

K = TypeVar("K")


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
    """

    step: str
    settings: Mapping[str, Json]
    state: StepState
    classes: npt.NDArray[Any]
    temperature: float
    where: Path
    config: Mapping[str, Json]
    files: Mapping[str, Buffer]


def read_saved(folder: str | Path, *, memory_map: bool = False) -> Saved:
    """Read a model folder, after every file in it has been verified.

    Args:
        folder: made by `save_model`.
        memory_map: map the arrays instead of copying them, so that processes share them.

    Raises:
        ModelFolderError: there is no model, it was damaged, or its parts do not fit together.
    """
    asked = Path(folder)

    def read(found: Path) -> dict[str, Buffer]:
        _check_there(found, asked)
        return read_verified(found, names=SEALED, optional=GRAPH, memory_map=memory_map)

    files = read_published(asked, read)
    config = parse_object(files["config.json"], asked / "config.json")
    words = decode_words(files["vocab.txt"], asked / "vocab.txt")
    arrays = read_tensors(files["model.safetensors"], asked / "model.safetensors")
    return _checked(config, words, arrays, asked / "config.json", files)


def _checked(
    config: Mapping[str, Json],
    words: tuple[str, ...],
    arrays: dict[str, npt.NDArray[Any]],
    where: Path,
    files: Mapping[str, Buffer],
) -> Saved:
    """Check what config.json says, against itself and the number of words; see `Saved`."""
    check_format(config, where)
    step = _field(config, "step", str, where)
    classes = _classes(config, where)
    temperature = _field(config, "temperature", float, where)
    if not (math.isfinite(temperature) and temperature > 0):
        raise damaged(where, f"the temperature must be above 0, not {temperature}")
    if _field(config, "vocabulary_size", int, where) != len(words):
        raise damaged(
            where, f"vocab.txt has {len(words):,} words where {config['vocabulary_size']:,} are said"
        )
    state = StepState(_field(config, "state", dict, where), words, arrays)
    settings = _field(config, "settings", dict, where)
    return Saved(step, settings, state, classes, temperature, where, config, files)


def label_names(classes: Sequence[Any] | npt.NDArray[Any]) -> tuple[str, ...]:
    """Return the C labels as text, as they are shown, written and looked up."""
    return tuple(str(label) for label in np.asarray(classes).tolist())


def label_maps(names: Sequence[str]) -> dict[str, Json]:
    """Return the labels' ids as Hugging Face writes them."""
    return {
        "id2label": {str(index): name for index, name in enumerate(names)},
        "label2id": {name: index for index, name in enumerate(names)},
    }


def _classes(config: Mapping[str, Json], where: Path) -> npt.NDArray[Any]:
    """Return the (C,) labels in their own type, after a check that all ways to tell them agree."""
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
    if any(config.get(name) != mapping for name, mapping in label_maps(names).items()):
        raise damaged(where, f"id2label and label2id must give the ids 0 to {len(names) - 1} to the labels")
    return classes


def _field(config: Mapping[str, Json], name: str, kind: type[K], where: Path) -> K:
    value = config.get(name)
    if type(value) is not kind:
        what = f"{name} must be of the kind {kind.__name__}" if name in config else f"{name} is missing"
        raise damaged(where, what)
    return value


def _check_there(folder: Path, asked: Path) -> None:
    """Tell the commonest mistakes apart: a wrong path, a comparison's folder, an untrained one."""
    models = sorted(found.name for found in (folder / "models").glob("[!.]*"))
    if models and not (folder / MANIFEST).exists():
        choices = ", ".join(str(asked / "models" / name) for name in models)
        raise ModelFolderError(
            f"{asked} is a comparison, not a model", next_step=f"choose one of its models: {choices}"
        )
    if not (folder / "config.json").exists():
        what = f"no config.json in {asked}" if folder.is_dir() else f"there is no model folder {asked}"
        raise ModelFolderError(what, next_step=f"train one with: sopan train STEP DATA --out {asked}")


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
