"""What a language model is asked: to fill blanks, to score texts, to go on, to compare words in context.

A model is the name of a preset, a folder, a name on the hub, or a `LanguageModel` that was loaded before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sopan.options.data import TextOptions
from sopan.steps import import_with_backend
from sopan.text.read import stream_texts
from sopan.types import Json

if TYPE_CHECKING:  # Keras is imported when a model is loaded
    from sopan.steps.language_model import LanguageModel

    Model = str | Path | LanguageModel

PRESET = "sopan-mini"
"""The model that is asked if none is named."""


def fill(
    text: str,
    *,
    model: Model = PRESET,
    top: int = 5,
    pieces: int | Sequence[int] = 1,
    candidates: Sequence[str] = (),
) -> dict[str, Json]:
    """Fill the blanks of a text: the fields of `sopan.lm.fill.Filled`, and its arguments.

    Raises:
        SopanError: the model, the text or a setting cannot be used.
    """
    lm = _lm("fill")

    found = lm.fill(_loaded(model), text, top=top, pieces=pieces, candidates=candidates)
    return dict(found.as_json())


def score_text(text: str, *, model: Model = PRESET, method: str | None = None) -> dict[str, Json]:
    """Say how likely a model finds a text and each of its words: `sopan.lm.score.Score`, with perplexities.

    Args:
        text: of any length.
        model: masked or causal.
        method: `word-l2r` or `original` for a masked model, `causal` for a causal one; None: the first.

    Raises:
        SopanError: the model, the text or the method cannot be used.
    """
    return next(_scores(iter([text]), model, method))


def score_file(
    data: str | Path,
    *,
    model: Model = PRESET,
    method: str | None = None,
    reading: TextOptions = TextOptions(),
) -> Iterator[dict[str, Json]]:
    """Stream the scores of a file's texts, in their order: as `score_text`, and `row`."""
    rows: deque[int] = deque()

    def texts() -> Iterator[str]:
        for row, text in _texts(data, reading):
            rows.append(row)
            yield text

    for found in _scores(texts(), model, method):
        yield {"row": rows.popleft(), **found}


def perplexity(total: float, n: int) -> float | None:
    """Return the perplexity of n words or pieces with this total log-probability; None for none."""
    lm = _lm("score")

    found: float | None = lm.perplexity(total, n)
    return found


def generate(
    prompt: str,
    *,
    model: Model,
    most: int = 50,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: int = 0,
) -> dict[str, Json]:
    """Go on with a text: the fields of `sopan.lm.generate.Generated`, and its arguments.

    Raises:
        SopanError: the model is masked, or a setting is out of range.
    """
    lm = _lm("generate")

    found = lm.generate(
        _loaded(model), prompt, most=most, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed
    )
    return dict(found.as_json())


def neighbors_in_context(
    word: str,
    text: str,
    data: str | Path,
    *,
    model: Model = PRESET,
    top: int = 10,
    layer: int | None = None,
    reading: TextOptions = TextOptions(),
) -> list[dict[str, Json]]:
    """Find the words of a file that are nearest to a word in its context, nearest first.

    Args:
        word: stands in `text`.
        text: its context.
        data: a table of texts, read once.
        model: need not have a head that fills blanks.
        top, layer: see `sopan.lm.contextual.neighbors_in_context`, whose fields are returned.
        reading: how to read the table.

    Raises:
        SopanError: the model, the word, the layer or the file cannot be used.
    """
    lm = _lm("contextual")

    texts = _texts(data, reading)
    found = lm.neighbors_in_context(_loaded(model), word, text, texts, top=top, layer=layer)
    return [one.as_json() for one in found]


def _scores(texts: Iterator[str], model: Model, method: str | None) -> Iterator[dict[str, Json]]:
    for found in _lm("score").score_texts(_loaded(model), texts, method=method):
        yield found.as_json()


def _texts(data: str | Path, reading: TextOptions) -> Iterator[tuple[int, str]]:
    for batch in stream_texts(data, reading):
        yield from zip(batch["row"].to_pylist(), batch["text"].to_pylist(), strict=True)


def _lm(module: str) -> Any:
    """Import what asks a language model, and Keras with it."""
    return import_with_backend(f"sopan.lm.{module}", "a language model")


def _loaded(model: Model) -> LanguageModel:
    if isinstance(model, str | Path):
        import_with_backend("sopan.steps.language_model", "a language model")
        from sopan.steps.presets import from_preset  # noqa: PLC0415

        return from_preset(model)
    return model
