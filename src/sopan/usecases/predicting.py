"""Predict with a saved model: an answer waits for what is imported here, which is as little as can be."""

from __future__ import annotations

from pathlib import Path

from sopan.fit.saved import label_names
from sopan.fit.served import load_served
from sopan.types import Json


def predict_text(model: str | Path, text: str) -> dict[str, Json]:
    """Classify one text: `predicted`, `probabilities` by class, `truncated`, `no_known_words`."""
    served = load_served(model)
    answer = served.predict_texts([text])
    names, probabilities = label_names(served.classes_), answer.probabilities[0]
    return {
        "predicted": names[int(probabilities.argmax())],
        "probabilities": dict(zip(names, probabilities.tolist(), strict=True)),
        "truncated": bool(answer.truncated[0]),
        "no_known_words": bool(answer.no_known_words[0]),
    }
