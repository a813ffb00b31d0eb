"""Ready-made BERTs: which there are, and fetching one."""

from __future__ import annotations

from sopan.errors import ConfigError
from sopan.steps.presets import PRESETS, Preset, present, preset_folder
from sopan.types import Json


def list_presets() -> list[dict[str, Json]]:
    """Return each preset's `name`, `about`, `megabytes` and `folder`, None where it is not here yet."""
    return [_described(preset) for preset in PRESETS.values()]


def get_preset(name: str) -> dict[str, Json]:
    """Fetch a preset unless it is here; return what `list_presets` says of it.

    Args:
        name: of a preset, or of a BERT on the hub.

    Raises:
        ConfigError: no preset has that name.
        DownloadError: no source worked; each is listed with its reason.
    """
    if not name:
        raise ConfigError("no preset was named", next_step=f"presets: {', '.join(PRESETS)}")
    folder = preset_folder(name)
    if name in PRESETS:
        return _described(PRESETS[name]) | {"folder": str(folder)}
    size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    return {"name": name, "about": "from the hub", "megabytes": round(size, 1), "folder": str(folder)}


def _described(preset: Preset) -> dict[str, Json]:
    folder = present(preset)
    return {
        "name": preset.name,
        "about": preset.about,
        "megabytes": preset.megabytes,
        "folder": None if folder is None else str(folder),
    }
