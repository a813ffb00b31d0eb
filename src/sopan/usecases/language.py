"""What a language model answers: it fills blanks, scores texts, goes on with them, compares words in context.

A model is the name of a preset, a folder, a name on the hub, or a `LanguageModel` that was loaded before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, cast

from sopan.errors import ConfigError, ModelFolderError
from sopan.options.base import listed, takes
from sopan.options.data import TextOptions
from sopan.options.language import (
    FillOptions,
    GenerateOptions,
    GetPresetOptions,
    ListPresetsOptions,
    ScoreOptions,
)
from sopan.steps import import_with_backend
from sopan.steps.bert_folder import CONFIGS
from sopan.steps.presets import PRESETS, Preset, from_preset, present, preset_folder
from sopan.text.read import stream_texts

if TYPE_CHECKING:  # Keras is imported when a model is loaded
    from sopan.lm.fill import Filled
    from sopan.lm.generate import Generated
    from sopan.lm.score import TextScore
    from sopan.steps.language_model import LanguageModel


@dataclass(frozen=True, slots=True)
class ScoredText:
    """The score of a text, and the row of the file that it is from, None for a text by itself."""

    score: TextScore
    row: int | None = None

    def as_json(self) -> dict[str, object]:
        """Return the fields of `TextScore` with the perplexities, and `row` where there is one."""
        row = {} if self.row is None else {"row": self.row}
        return {**row, **self.score.as_json()}


@takes(FillOptions)
def fill(options: FillOptions) -> Filled:
    """Fill the blanks of a text, several of them jointly.

    Raises:
        SopanError: the model, the text or a setting cannot be used.
    """
    lm = import_with_backend("sopan.lm.fill", "a language model")
    model, candidates = load_language_model(options.model), listed(options.candidates)
    found: Filled = lm.fill_blanks(
        model, options.text, top=options.top, pieces=options.sizes, candidates=candidates
    )
    return found


@takes(ScoreOptions)
def score(options: ScoreOptions) -> Iterator[ScoredText]:
    """Say how likely a model finds one text, or each of a file's, and their words; streamed, in their order.

    Raises:
        SopanError: the model, the texts or the method cannot be used.
    """
    lm = import_with_backend("sopan.lm.score", "a language model")
    model, rows = load_language_model(options.model), deque[int | None]()

    def texts() -> Iterator[str]:
        if options.file is None:
            rows.append(None)
            yield options.words or ""
            return
        for row, text in numbered_texts(options.file, options):
            rows.append(row)
            yield text

    for found in lm.score_texts(model, texts(), method=options.method):
        yield ScoredText(found, rows.popleft())


@takes(GenerateOptions)
def generate(options: GenerateOptions) -> Generated:
    """Go on with a text: draw one piece after the other, the same ones for the same seed.

    Raises:
        SopanError: the model is masked, or a setting is out of range.
    """
    lm = import_with_backend("sopan.lm.generate", "a language model")
    found: Generated = lm.generate_text(
        load_language_model(options.model),
        options.prompt,
        most=options.pieces,
        temperature=options.temperature,
        top_k=options.top_k,
        top_p=options.top_p,
        seed=options.seed,
    )
    return found


def numbered_texts(data: str | Path, options: TextOptions) -> Iterator[tuple[int, str]]:
    """Stream a file's texts, each with its row."""
    for batch in stream_texts(data, options):
        yield from zip(batch["row"].to_pylist(), batch["text"].to_pylist(), strict=True)


def load_language_model(model: object) -> LanguageModel:
    """Load the model of a name or a folder; one that is loaded comes back as it is.

    Raises:
        SopanError: there is no such model.
    """
    home = import_with_backend("sopan.steps.language_model", "a language model")
    loaded = from_preset(model) if isinstance(model, str | Path) else model
    if not isinstance(loaded, home.LanguageModel):
        raise ConfigError(
            f"a {type(model).__name__} is no language model", next_step="name a preset or a folder"
        )
    return cast("LanguageModel", loaded)


# ---- presets -------------------------------------------------------------------------------------


class PresetEntry(TypedDict):
    """A ready-made BERT; its folder is None where it is not here yet."""

    name: str
    about: str
    megabytes: float
    folder: str | None


@takes(ListPresetsOptions)
def list_presets(_: ListPresetsOptions) -> list[PresetEntry]:
    """List the ready-made BERTs."""
    return [_entry(preset) for preset in PRESETS.values()]


@takes(GetPresetOptions)
def get_preset(options: GetPresetOptions) -> PresetEntry:
    """Fetch a preset unless it is here; return what `list_presets` says of it.

    Raises:
        ConfigError: no preset has that name.
        ModelFolderError: it is a folder that holds no BERT.
        DownloadError: no source worked; each is listed with its reason.
    """
    name = options.name
    if not name:
        raise ConfigError("no preset was named", next_step=f"presets: {', '.join(PRESETS)}")
    folder = preset_folder(name)
    if name in PRESETS:
        return _entry(PRESETS[name]) | {"folder": str(folder)}
    if not any((folder / described).is_file() for described in CONFIGS):
        raise ModelFolderError(
            "holds no config.json", where=name, next_step="name a folder that holds a BERT"
        )
    about = "a folder" if Path(name).expanduser().is_dir() else "from the hub"
    size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    return {"name": name, "about": about, "megabytes": round(size, 1), "folder": str(folder)}


def _entry(preset: Preset) -> PresetEntry:
    folder = present(preset)
    return {
        "name": preset.name,
        "about": preset.about,
        "megabytes": preset.megabytes,
        "folder": None if folder is None else str(folder),
    }
