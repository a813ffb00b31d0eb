"""What `POST /guess` takes and tells."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from sopan.serve.schemas import RequestBody, ResponseBody, Steps, Top, Word


class GuessRequest(RequestBody):
    """The words around a gap, and maybe the word that stood in it, whose rank is then told."""

    context: Annotated[list[Word], Field(min_length=1, max_length=80)]
    word: Word | None = None
    top: Top = 10
    steps: Steps = None
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"context": ["a", "warm", "funny"], "word": "film", "top": 5}]}
    )


class Guess(BaseModel):
    """A word, and its cosine with the mean of the context's vectors."""

    word: str
    cosine: float


class RankedGuess(Guess):
    """The word that was asked about."""

    rank: int = Field(description="1 is the word that the step guesses first.")


class StepGuesses(BaseModel):
    """What one CBOW step guesses.

    Computed: the plain mean of the context words' vectors (in CBOW's terms input vectors, those that the
    model keeps), and each word's cosine with it, by the same vectors. CBOW was trained with a second, output
    vector of each word, which a model does not keep: these are no probabilities.
    """

    step: str
    known: list[bool] = Field(description="Which context words have a vector; the others do not count.")
    of: int = Field(description="Words ranked: all that have a vector, but for those of the context.")
    guesses: list[Guess]
    asked: RankedGuess | None


class GuessAnswer(ResponseBody):
    """Of each CBOW step."""

    steps: list[StepGuesses]
