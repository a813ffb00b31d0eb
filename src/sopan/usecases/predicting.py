"""Predict with a saved model: an answer waits for what is imported here, which is as little as can be."""

from __future__ import annotations

from typing import NotRequired, TypedDict, final

from sopan.fit.saved import label_names, text_column
from sopan.fit.served import answered_by, load_served
from sopan.options.base import takes
from sopan.options.classify import PredictOptions
from sopan.text.intake import too_long


@final
class PredictedText(TypedDict):
    """The classes of one text; `answered_by`: of a stack or a cascade, the steps that were asked last.

    `cautions`: what was not read of the text, in sentences.
    """

    predicted: str
    probabilities: dict[str, float]
    truncated: bool
    no_known_words: bool
    cautions: list[str]
    answered_by: NotRequired[str]


@final
class WrittenRows(TypedDict):
    """How many rows were written to a file."""

    rows: int
    out: str


@takes(PredictOptions)
def predict(options: PredictOptions) -> PredictedText | WrittenRows:
    """Classify one text, or stream predictions for a file of any size to a `.parquet`, `.csv` or `.jsonl`.

    Raises:
        SopanError: the model or the file cannot be used.
    """
    served = load_served(options.model)
    if options.words is None:
        from sopan.fit.predict import predict_stream, write_predictions  # noqa: PLC0415
        from sopan.text.read import stream_texts  # noqa: PLC0415

        texts = stream_texts(str(options.file), options, trained_on=text_column(options.model))
        found = predict_stream(served, texts)
        return {"rows": write_predictions(found, str(options.out)), "out": str(options.out)}
    answer = served.predict_texts([options.words])
    names, probabilities = label_names(served.classes_), answer.probabilities[0]
    told: PredictedText = {
        "predicted": names[int(probabilities.argmax())],
        "probabilities": dict(zip(names, probabilities.tolist(), strict=True)),
        "truncated": bool(answer.truncated[0]),
        "no_known_words": bool(answer.no_known_words[0]),
        "cautions": [too_long(served)] if answer.truncated[0] else [],
    }
    if (name := answered_by(served, answer, 0)) is not None:
        told["answered_by"] = name
    return told
