"""What the native API takes, with its limits, and what the server itself answers.

Every field that is not named is refused. What the models answer is in `sopan.usecases.served`.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StrictBool,
    StrictInt,
    StrictStr,
    model_validator,
)

from sopan.serve.limits import MOST_CHARACTERS, MOST_TEXTS
from sopan.usecases.served import About, Question
from sopan.usecases.served.answers import WordMap

Text = Annotated[StrictStr, Field(max_length=MOST_CHARACTERS, description="A text, in any script.")]
Texts = Annotated[list[Text], Field(min_length=1, max_length=MOST_TEXTS)]
Word = Annotated[StrictStr, Field(min_length=1, max_length=200)]
Name = Annotated[StrictStr, Field(min_length=1, max_length=100)]
Steps = Annotated[
    list[Name] | None, Field(min_length=1, max_length=64, description="Which steps; null: all that can.")
]
Top = Annotated[StrictInt, Field(ge=1, le=50)]
LONGEST_SCORED = 2000
"""Characters that are scored at once: a language model reads a text once for each of its pieces."""

TEXT: JsonValue = {"text": "a warm and funny film"}


def examples(*values: JsonValue) -> dict[str, JsonValue]:
    """Return what shows these values as examples in the OpenAPI document."""
    return {"examples": [*values]}


class RequestBody(BaseModel):
    """A request."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    def as_question(self, op: str) -> Question:
        """Return the question to the child that has these fields as its arguments."""
        return Question(op, self.model_dump())


class TextOrTexts(RequestBody):
    """One text, or some."""

    text: Text | None = None
    texts: Texts | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.text is None) == (self.texts is None):
            raise ValueError("give either text or texts")
        return self

    @property
    def all(self) -> list[str]:
        """The texts, however they were given."""
        return [self.text] if self.text is not None else list(self.texts or ())

    def as_question(self, op: str) -> Question:
        """Return the question to the child: as every request's, with all texts as `texts`."""
        return Question(op, {"texts": self.all, **self.model_dump(exclude={"text", "texts"})})


class PredictRequest(
    TextOrTexts, json_schema_extra=examples(TEXT, {"texts": ["a warm film", "dull"], "steps": ["bow"]})
):
    """Texts to classify."""

    steps: Steps = None


class EmbedRequest(PredictRequest, json_schema_extra=examples(TEXT)):
    """Texts to turn into vectors."""


class ExplainRequest(RequestBody, json_schema_extra=examples(TEXT)):
    """A text to explain."""

    text: Text
    steps: Steps = None


class TokensRequest(ExplainRequest, json_schema_extra=examples({"text": "a warm film", "attention": True})):
    """A text to look into."""

    attention: StrictBool = False


class NeighborsRequest(RequestBody, json_schema_extra=examples({"word": "warm", "top": 5})):
    """A word."""

    word: Word
    top: Top = 10
    steps: Steps = None


class GuessRequest(
    RequestBody, json_schema_extra=examples({"context": ["a", "warm", "funny"], "word": "film", "top": 5})
):
    """The words around a gap, and maybe the word that stood in it, whose rank is then given."""

    context: Annotated[list[Word], Field(min_length=1, max_length=80)]
    word: Word | None = None
    top: Top = 10
    steps: Steps = None


class FillRequest(RequestBody, json_schema_extra=examples({"text": "the movie was [MASK] ."})):
    """A text with blanks."""

    text: Text
    top: Top = 5
    left_only: StrictBool = False


class ScoreRequest(TextOrTexts, json_schema_extra=examples({"text": "the movie was good ."})):
    """Texts to score."""

    @model_validator(mode="after")
    def _short(self) -> Self:
        if sum(map(len, self.all)) > LONGEST_SCORED:
            raise ValueError(f"at most {LONGEST_SCORED:,} characters are scored at once")
        return self


class ReloadRequest(RequestBody):
    """Nothing."""


# ---- answers -------------------------------------------------------------------------------------


class RunAnswer(About):
    """What is served, and the limits of a request."""

    limits: dict[str, float]


class VectorsAnswer(WordMap):
    """Words on a map."""

    model: str
    step: str


class ReloadAnswer(BaseModel):
    """The hash now and before."""

    model: str
    before: str
