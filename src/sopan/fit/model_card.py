"""The model card, `README.md`: what a model is, what it learned from, how good it is, and where it fails.

After Mitchell et al., "Model Cards for Model Reporting" (2019), https://arxiv.org/abs/1810.03993, with the
front matter that the Hugging Face hub reads. Its text stands in `model_card.md`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.resources import files

from sopan.fit.saved import ModelConfig
from sopan.types import Json

_SCORES = {
    "accuracy": "Accuracy",
    "macro_f1": "Macro-F1",
    "log_loss": "Log-loss",
    "brier": "Brier score",
    "ece": "Expected calibration error",
}
_COSTS = {
    "fit_seconds": ("Training", "s"),
    "tune_seconds": ("Tuning", "s"),
    "texts_per_second": ("Throughput", "texts/s"),
    "latency_ms": ("Latency of one text", "ms"),
    "peak_rss_mb": ("Peak memory of the run", "MB"),
}
_PARTS = {"train": "learn from", "val": "choose settings by", "test": "measure on"}
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|#~])")
_LABELS_SHOWN = 20


def model_card(config: ModelConfig, *, adds: str, lacks: str) -> str:
    """Return the card of a model in Markdown.

    Args:
        config: the content of config.json; metrics that it does not hold are left out.
        adds, lacks: the step's own words.
    """
    data = config["data"]
    names = list(config["label2id"])
    shown = ", ".join(map(_quote, names[:_LABELS_SHOWN]))
    template = files(__package__).joinpath("model_card.md").read_text(encoding="utf-8")
    return template.format(
        step=config["step"],
        data=_quote(data.get("name", "unnamed texts")),
        n_labels=len(names),
        labels=shown + (f" and {len(names) - _LABELS_SHOWN} more" if names[_LABELS_SHOWN:] else ""),
        adds=adds,
        lacks=lacks,
        learned=_learned(config),
        scores=_scores(config["metrics"]),
        costs=_costs(config["metrics"]),
        settings=_table(("Setting", "Value"), [(name, _quote(v)) for name, v in config["settings"].items()]),
    )


def _learned(config: ModelConfig) -> str:
    data = config["data"]
    counts = [f"{data[part]:,} to {verb}" for part, verb in _PARTS.items() if isinstance(data.get(part), int)]
    lines = [f"Texts: {', '.join(counts)}." if counts else "The number of texts was not recorded."]
    if members := config["state"].get("members"):
        lines.append(f"Made of: {', '.join(map(_quote, members))}, each a model of its own in `members/`.")
    if config["vocabulary_size"]:
        preset = config["settings"].get("preset", "scratch")
        source = "the training texts alone" if preset == "scratch" else f"the preset {_quote(preset)}"
        lines.append(f"Vocabulary: {config['vocabulary_size']:,} features, from {source}.")
    if data.get("fingerprint"):
        lines.append(f"Fingerprint of the data: `{data['fingerprint']}`.")
    return "\n".join(lines + [_quote(note) for note in data.get("notes", ())])


def _scores(metrics: Mapping[str, Json]) -> str:
    rows = [
        (title, _number(metrics[name]), _interval(metrics.get(f"{name}_ci")))
        for name, title in _SCORES.items()
        if metrics.get(name) is not None
    ]
    if not rows:
        return "Not measured. Do that with `sopan evaluate`."
    text = "Measured on texts that it did not learn from.\n\n"
    text += _table(("Measure", "Value", "95% interval"), rows)
    parts = ("precision", "recall", "f1")
    classes = [
        (_quote(row["class"]), *(_number(row[part]) for part in parts), f"{row['support']:,}")
        for row in metrics.get("per_class") or ()
    ]
    if classes:
        text += "\n\n" + _table(("Label", "Precision", "Recall", "F1", "Texts"), classes)
    return text


def _costs(metrics: Mapping[str, Json]) -> str:
    rows = []
    for name, (title, unit) in _COSTS.items():
        value = metrics.get(name)
        if isinstance(value, Mapping):
            rows += [(f"{title}, {part}", f"{_number(amount)} {unit}") for part, amount in value.items()]
        elif value is not None:
            rows.append((title, f"{_number(value)} {unit}"))
    return _table(("Cost", "Measured"), rows) if rows else "Not measured."


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.4g}"


def _interval(ends: Sequence[float] | None) -> str:
    return f"{ends[0]:.4g} to {ends[1]:.4g}" if ends else ""


def _quote(value: object) -> str:
    """Show a value from outside as itself: never as Markdown, never unseen, always on one line."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value))
    return _MARKDOWN.sub(r"\\\1", text)
