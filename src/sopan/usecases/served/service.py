"""All that is served, loaded once: the models of a run, lowest step first, and a language model."""

from __future__ import annotations

import hashlib
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from sopan.errors import InputError, ModelFolderError
from sopan.fit.served import Served
from sopan.options.names import StepName
from sopan.runtime.program import settle
from sopan.steps import COMBINATIONS, STEPS, step_entry
from sopan.usecases.served import (
    About,
    Answer,
    DisagreementsAnswer,
    Question,
    StepAbout,
    TableContentAnswer,
    TableScoresAnswer,
)
from sopan.usecases.served.answers import (
    EmbedAnswer,
    ExplainAnswer,
    FillAnswer,
    GuessAnswer,
    NeighborsAnswer,
    PredictAnswer,
    ScoreAnswer,
    StepExplanation,
    StepVectors,
    TextPrediction,
    TokensAnswer,
)
from sopan.usecases.served.explanations import explanations, step_tokens
from sopan.usecases.served.records import Records, read_records
from sopan.usecases.served.served_language import ServedLanguageModel
from sopan.usecases.served.served_step import DECIMALS, ServedStep, guess, neighbors

GOLDEN = "It was not good, it was wonderful: ছবিটা খুব ভালো।"
"""A sentence that every model must answer, alike twice, before it is served."""

ORDER = (*STEPS, *COMBINATIONS)
"""In which the steps are served."""
SHORT = 128
"""Words, or pieces, of texts that a room types."""

Steps: TypeAlias = Sequence[str] | None
"""Which steps a question is about; None: all that can answer it."""


class ServedRun:
    """The models of a folder and a language model, ready to answer.

    Args:
        folder: as `sopan compare` or `sopan train` wrote it.
        language_model: a preset, a folder of a BERT or its name on the hub; None: none is served.

    Raises:
        SopanError: there is no model there, it was altered, or it fails on `GOLDEN`.
    """

    def __init__(self, folder: str | Path, language_model: str | None) -> None:
        self.folder = Path(folder)
        self.records: Records = read_records(self.folder)
        with ThreadPoolExecutor(len(self.records.models)) as pool:  # compiles graphs while Python imports
            self.models = list(pool.map(ServedStep.load, self.records.models))
        self.models.sort(key=lambda model: ORDER.index(StepName.parse(model.step).step))
        self.language_model = None if language_model is None else ServedLanguageModel(language_model)
        self._check()
        self._together: dict[str, Callable[[Sequence[Mapping[str, Any]]], Sequence[Answer]]] = {
            "predict": self.predict,
            "explain": self.explain,
        }
        alone: list[Callable[..., Answer]] = [self.tokens, self.neighbors, self.guess, self.embed]
        alone += [self.disagreements, self.table, self.table_scores, self.fill, self.score]
        self._alone = {method.__name__: method for method in alone}

    @cached_property
    def hash(self) -> str:
        """16 hexadecimal digits that tell all that is served from anything else."""
        parts = [f"{model.step}={model.hash}" for model in self.models]
        parts += [] if self.language_model is None else [self.language_model.hash]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that the steps know."""
        return self.models[-1].labels

    def describe(self) -> About:
        """Say what is served: the fields of `GET /run`, but for the limits; and each model's folder."""
        steps: list[StepAbout] = [
            {
                "step": model.step,
                "adds": step_entry(model.name).adds,
                "lacks": step_entry(model.name).lacks,
                "hash": model.hash,
                "has": model.has,
                "folder": str(model.folder.resolve()),
                "labels": list(model.labels),
                **self.records.scores(model.step, model.folder),
            }
            for model in self.models
        ]
        return {
            "model": self.hash,
            **self.records.about(),
            "labels": list(self.labels),
            "steps": steps,
            "language_model": None if self.language_model is None else self.language_model.name,
        }

    def settle(self) -> Iterator[None]:
        """Make the networks ready for all shapes of short texts, one a turn: for when no question waits.

        A server meets nearly all of them sooner or later: so its memory has its size early, and nobody waits.
        """
        for model in (each for whole in self.models for each in (whole, *whole.members)):
            if isinstance(model.model, Served):
                yield from settle(model.model.program, min(SHORT, model.model.intake.longest))

    # ---- questions -----------------------------------------------------------------------

    def answer(self, questions: Sequence[Question]) -> list[tuple[int, Answer]]:
        """Answer questions, all predictions together: an HTTP status and a JSON object for each."""
        answers: dict[int, tuple[int, Answer]] = {}
        for op, together in self._together.items():
            places = [i for i, question in enumerate(questions) if question.op == op]
            if len(places) > 1:
                with suppress(Exception):  # one that fails must not take the others with it: each alone, then
                    found = together([questions[i].arguments for i in places])
                    answers |= {i: (200, one) for i, one in zip(places, found, strict=True)}
        return [answers.get(i) or self._answer(question) for i, question in enumerate(questions)]

    def _answer(self, question: Question) -> tuple[int, Answer]:
        """Answer one question; a failure becomes an answer that repeats nothing."""
        try:
            if together := self._together.get(question.op):
                return 200, together([question.arguments])[0]
            return 200, self._alone[question.op](**question.arguments)
        except InputError as error:
            return 422, {"error": error.what, "error_type": "input"}
        except Exception:
            traceback.print_exc(file=sys.stderr)
            return 500, {"error": "the model failed", "error_type": "internal"}

    def predict(self, questions: Sequence[Mapping[str, Any]]) -> list[PredictAnswer]:
        """Let every step read the `texts` of all questions about it at once."""
        results: list[list[TextPrediction]] = [[{"steps": []} for _ in q["texts"]] for q in questions]
        for model in self.models:
            about = [i for i, question in enumerate(questions) if _is_about(question["steps"], model)]
            texts = [text for i in about for text in questions[i]["texts"]]
            if not texts:
                continue
            prediction = model.model.predict_texts(texts)
            for row, result in enumerate(result for i in about for result in results[i]):
                result["steps"].append(model.prediction(prediction, row))
        return [{"model": self.hash, "results": each} for each in results]

    def explain(self, questions: Sequence[Mapping[str, Any]]) -> list[ExplainAnswer]:
        """Let every step explain the `text` of all questions about it at once."""
        steps: list[list[StepExplanation]] = [[] for _ in questions]
        for model in self.models:
            about = [i for i, question in enumerate(questions) if _is_about(question["steps"], model)]
            if about:
                found = explanations(model, [questions[i]["text"] for i in about])
                for i, explanation in zip(about, found, strict=True):
                    steps[i].append(explanation)
        return [{"model": self.hash, "steps": each} for each in steps]

    def tokens(self, text: str, steps: Steps, *, attention: bool) -> TokensAnswer:
        """Say how each step reads a text."""
        found = [step_tokens(model, text, attention=attention) for model in self._able(steps)]
        return {"model": self.hash, "steps": found}

    def neighbors(self, word: str, top: int, steps: Steps) -> NeighborsAnswer:
        """List the words nearest to a word."""
        found = [neighbors(model, word, top) for model in self._able(steps, "vectors")]
        return {"model": self.hash, "word": word, "steps": found}

    def guess(self, context: Sequence[str], word: str | None, top: int, steps: Steps) -> GuessAnswer:
        """Guess a word from those around it."""
        found = [guess(model, context, word, top) for model in self._able(steps, "guess")]
        return {"model": self.hash, "steps": found}

    def embed(self, texts: list[str], steps: Steps) -> EmbedAnswer:
        """Turn texts into vectors."""
        found: list[StepVectors] = []
        for model in self._able(steps, "embed"):
            vectors = np.round(model.embed(texts).astype(np.float64), DECIMALS)
            found.append({"step": model.step, "dimension": vectors.shape[1], "vectors": vectors.tolist()})
        return {"model": self.hash, "steps": found}

    def disagreements(self, a: str | None, b: str | None) -> DisagreementsAnswer:
        """Count the test texts on which steps disagree."""
        return {"model": self.hash, **self.records.disagreements(a, b)}

    def table(self, content: str, form: str, most_rows: int) -> TableContentAnswer:
        """Read and audit a user's table."""
        from sopan.usecases.served.user_table import read_table  # noqa: PLC0415  # brings SciPy's statistics in

        return {"model": self.hash, **read_table(content, form, most_rows, self.labels)}

    def table_scores(
        self, labels: Sequence[str], predicted: Mapping[str, Sequence[str]]
    ) -> TableScoresAnswer:
        """Score what every step predicted for a table's texts."""
        from sopan.usecases.served.user_table import score_table  # noqa: PLC0415

        return {"model": self.hash, "steps": score_table(labels, predicted, self.labels)}

    def fill(self, text: str, top: int, *, left_only: bool) -> FillAnswer:
        """Fill the blanks of a text."""
        return {"model": self.hash, **self._loaded_language_model.fill(text, top, left_only=left_only)}

    def score(self, texts: Sequence[str]) -> ScoreAnswer:
        """Say how likely texts are."""
        results = [self._loaded_language_model.score(text) for text in texts]
        return {"model": self.hash, "language_model": self._loaded_language_model.name, "results": results}

    @property
    def _loaded_language_model(self) -> ServedLanguageModel:
        if self.language_model is None:
            raise InputError("no language model is served here")
        return self.language_model

    def _able(self, steps: Steps, need: str | None = None) -> list[ServedStep]:
        """Return the models that a question is about, of those that have what it needs."""
        about = [model for model in self.models if _is_about(steps, model)]
        able = [model for model in about if need is None or need in model.has]
        if steps is not None and len(able) < len(about):
            raise InputError("one of these steps has no such thing: see `has` in /run")
        return able

    def _check(self) -> None:
        """Hold that every model answers the golden sentence, and answers it alike twice."""
        for model in self.models:
            first, second = (model.model.predict_texts([GOLDEN]).probabilities for _ in range(2))
            if not np.isfinite(first).all() or not np.allclose(first, second, atol=1e-6):
                raise ModelFolderError("the model does not answer alike twice", where=str(model.folder))


def _is_about(steps: Steps, model: ServedStep) -> bool:
    """Say whether a question is about a model: none named means all."""
    return steps is None or model.step in steps
