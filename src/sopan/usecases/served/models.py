"""All that is served, loaded once: the models of a run, lowest step first, and a language model.

A question is a JSON object with `op` and the fields of the API; an answer is a JSON object, or a refusal.
"""

from __future__ import annotations

import hashlib
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from sopan.errors import InputError, ModelFolderError
from sopan.fit.served import Served
from sopan.runtime.program import settle
from sopan.steps import STEPS
from sopan.types import Json
from sopan.usecases.served.guess import guess
from sopan.usecases.served.language import ServedLanguageModel
from sopan.usecases.served.reasons import reasons
from sopan.usecases.served.records import Records, read_records
from sopan.usecases.served.step import DECIMALS, ServedStep
from sopan.usecases.served.views import view

GOLDEN = "It was not good, it was wonderful: ছবিটা খুব ভালো।"
"""A sentence that every model must answer, and answer alike twice, before it is served."""

SHORT = 128
"""Words, or pieces, of texts that a room types."""

Question = Mapping[str, Json]
Answer = dict[str, Json]


class ServedRun:
    """The models of a folder and a language model, ready to be asked.

    Args:
        folder: as `sopan compare` or `sopan train` wrote it.
        language_model: a preset, a folder of a BERT or its name on the hub; None: there is none to ask.

    Raises:
        SopanError: there is no model there, it was altered, or it fails on `GOLDEN`.
    """

    def __init__(self, folder: str | Path, language_model: str | None) -> None:
        self.folder = Path(folder)
        self.records: Records = read_records(self.folder)
        with ThreadPoolExecutor(len(self.records.models)) as pool:  # compiles graphs while Python imports
            self.models = list(pool.map(ServedStep.load, self.records.models))
        self.models.sort(key=lambda model: list(STEPS).index(model.step.partition(":")[0]))
        self.language_model = None if language_model is None else ServedLanguageModel(language_model)
        self._check()
        self._together: dict[str, Callable[[Sequence[Question]], list[Answer]]] = {
            "predict": self._predict,
            "explain": self._explain,
        }
        self._ops: dict[str, Callable[[Question], Answer]] = {
            "tokens": self._tokens,
            "neighbors": self._neighbors,
            "guess": self._guess,
            "embed": self._embed,
            "disagreements": self._disagreements,
            "table": self._read_table,
            "table_scores": self._score_table,
            "fill": lambda question: self._language().fill(question),
            "score": lambda question: self._language().score(question),
        }

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

    def describe(self) -> Answer:
        """Say what is served: the fields of `GET /run`, but for the limits; and each model's folder."""
        steps = [
            {
                "step": model.step,
                "adds": STEPS[model.name].adds,
                "lacks": STEPS[model.name].lacks,
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
        """Make the networks ready for all shapes of short texts, one a turn: for when nobody asks.

        A server meets nearly all of them sooner or later. So its memory has its size early, and nobody waits.
        """
        for model in self.models:
            if isinstance(model.model, Served):
                yield from settle(model.model.program, min(SHORT, model.model.intake.longest))

    # ---- asking --------------------------------------------------------------------------

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer questions, all predictions together; each answer has `model`, or `status` and `error`."""
        answers: dict[int, Answer] = {}
        for op, work in self._together.items():
            places = [i for i, question in enumerate(questions) if question["op"] == op]
            if len(places) > 1:
                found = self._guarded(partial(work, [questions[i] for i in places]))
                if isinstance(found, list):
                    answers |= dict(zip(places, found, strict=True))
        for i, question in enumerate(questions):
            if i not in answers:  # one that fails alone must not take the others with it
                answers[i] = self._alone(question)
        return [answers[i] for i in range(len(questions))]

    def _alone(self, question: Question) -> Answer:
        if together := self._together.get(question["op"]):
            found = self._guarded(lambda: together([question])[0])
        else:
            found = self._guarded(lambda: self._ops[question["op"]](question))
        return found if isinstance(found, dict) else {"status": 500, "error": "the model failed"}

    def _guarded(self, work: Callable[[], Any]) -> Any:
        """Do it, and put `model` to the answers; a failure becomes an answer that repeats nothing."""
        try:
            found = work()
        except InputError as error:
            return {"status": 422, "error": error.what, "error_type": "input"}
        except Exception:
            traceback.print_exc(file=sys.stderr)
            return {"status": 500, "error": "the model failed", "error_type": "internal"}
        if isinstance(found, list):
            return [{"model": self.hash, **each} for each in found]
        return {"model": self.hash, **found}

    def _predict(self, questions: Sequence[Question]) -> list[Answer]:
        """Let every step read the texts of all questions that ask it at once."""
        found: list[list[dict[str, Json]]] = [[{"steps": []} for _ in q["texts"]] for q in questions]
        for model in self.models:
            asked = [i for i, question in enumerate(questions) if _asks(question, model)]
            texts = [text for i in asked for text in questions[i]["texts"]]
            if not texts:
                continue
            prediction = model.model.predict_texts(texts)
            row = 0
            for i in asked:
                for result in found[i]:
                    result["steps"].append(model.said(prediction, row))
                    row += 1
        return [{"results": results} for results in found]

    def _explain(self, questions: Sequence[Question]) -> list[Answer]:
        """Let every step give its reasons for the texts of all questions that ask it at once."""
        found: list[list[dict[str, Json]]] = [[] for _ in questions]
        for model in self.models:
            asked = [i for i, question in enumerate(questions) if _asks(question, model)]
            if not asked:
                continue
            given = reasons(model, [questions[i]["text"] for i in asked])
            for i, why in zip(asked, given, strict=True):
                found[i].append(model.said(why.prediction, 0) | why.as_json(DECIMALS))
        return [{"steps": steps} for steps in found]

    def _tokens(self, question: Question) -> Answer:
        steps = self._asked(question)
        return {
            "steps": [
                {"step": model.step, **view(model, question["text"], attention=question["attention"])}
                for model in steps
            ]
        }

    def _neighbors(self, question: Question) -> Answer:
        word, steps = question["word"], []
        for model in self._asked(question, "vectors"):
            spelt = model.spelling(word)
            near = [] if spelt is None else model.word_vectors.nearest(spelt, question["top"])
            steps.append(
                {
                    "step": model.step,
                    "known": spelt is not None,
                    "neighbors": [{"word": w, "cosine": round(cosine, DECIMALS)} for w, cosine in near],
                }
            )
        return {"word": word, "steps": steps}

    def _guess(self, question: Question) -> Answer:
        asked = (question["context"], question["word"], question["top"])
        return {"steps": [guess(model, *asked) for model in self._asked(question, "guess")]}

    def _embed(self, question: Question) -> Answer:
        steps = []
        for model in self._asked(question, "embed"):
            vectors = np.asarray(model.embed(question["texts"]), np.float64)
            steps.append(
                {
                    "step": model.step,
                    "dimension": vectors.shape[1],
                    "vectors": np.round(vectors, DECIMALS).tolist(),
                }
            )
        return {"steps": steps}

    def _disagreements(self, question: Question) -> Answer:
        return self.records.disagreements(question.get("a"), question.get("b"))

    def _read_table(self, question: Question) -> Answer:
        from sopan.usecases.served.table import read_table  # noqa: PLC0415  # brings SciPy's statistics in

        return read_table(question, self.labels)

    def _score_table(self, question: Question) -> Answer:
        from sopan.usecases.served.table import score_table  # noqa: PLC0415

        return score_table(question, self.labels)

    def _language(self) -> ServedLanguageModel:
        if self.language_model is None:
            raise InputError("no language model is served here")
        return self.language_model

    def _asked(self, question: Question, need: str | None = None) -> list[ServedStep]:
        """Return the models that a question is about, of those that have what it needs."""
        asked = [model for model in self.models if _asks(question, model)]
        able = [model for model in asked if need is None or need in model.has]
        if question["steps"] is not None and len(able) < len(asked):
            raise InputError("one of these steps has no such thing: see `has` in /run")
        return able

    def _check(self) -> None:
        """Hold that every model answers the golden sentence, and answers it alike twice."""
        for model in self.models:
            first, second = (model.model.predict_texts([GOLDEN]).probabilities for _ in range(2))
            if not np.isfinite(first).all() or not np.allclose(first, second, atol=1e-6):
                raise ModelFolderError("the model does not answer alike twice", where=str(model.folder))


def _asks(question: Question, model: ServedStep) -> bool:
    """Say whether a question is put to a model: none named means all."""
    return question["steps"] is None or model.step in question["steps"]
