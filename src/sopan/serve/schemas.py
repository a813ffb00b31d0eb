"""What the native API takes and gives, with its limits; every field that is not named is refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, model_validator

from sopan.serve.limits import MOST_CHARACTERS, MOST_TEXTS

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


class RequestBody(BaseModel):
    """A request."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class ResponseBody(BaseModel):
    """An answer; `model` is the hash of what is served."""

    model: str


# ---- requests ------------------------------------------------------------------------------------


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


class PredictRequest(TextOrTexts):
    """Texts to classify."""

    steps: Steps = None
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"text": "a warm and funny film"},
                {"texts": ["a warm film", "dull"], "steps": ["bow"]},
            ]
        }
    )


class EmbedRequest(PredictRequest):
    """Texts to turn into vectors."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "a warm and funny film"}]})


class ExplainRequest(RequestBody):
    """A text to explain."""

    text: Text
    steps: Steps = None
    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "a warm and funny film"}]})


class TokensRequest(ExplainRequest):
    """A text to look into."""

    attention: StrictBool = False
    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "a warm film", "attention": True}]})


class NeighborsRequest(RequestBody):
    """A word."""

    word: Word
    top: Top = 10
    steps: Steps = None
    model_config = ConfigDict(json_schema_extra={"examples": [{"word": "warm", "top": 5}]})


class FillRequest(RequestBody):
    """A text with blanks."""

    text: Text
    top: Top = 5
    left_only: StrictBool = False
    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "the movie was [MASK] ."}]})


class ScoreRequest(TextOrTexts):
    """Texts to score."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "the movie was good ."}]})

    @model_validator(mode="after")
    def _short(self) -> Self:
        if sum(map(len, self.all)) > LONGEST_SCORED:
            raise ValueError(f"at most {LONGEST_SCORED:,} characters are scored at once")
        return self


class ReloadRequest(RequestBody):
    """Nothing."""


# ---- answers -------------------------------------------------------------------------------------


class Failure(BaseModel):
    """Why there is no answer; never what was sent."""

    error: str
    error_type: str
    retry_after: float | None = Field(None, description="Seconds, of 429 and 503.")
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"error": "too many are waiting", "error_type": "busy", "retry_after": 0.7}]
        }
    )


class StepPrediction(BaseModel):
    """What one step says of one text."""

    step: str
    label: str
    confidence: float
    probabilities: dict[str, float]
    truncated: bool
    no_known_words: bool


class TextPrediction(BaseModel):
    """What all steps say of one text."""

    steps: list[StepPrediction]


class PredictAnswer(ResponseBody):
    """Of each text, in their order."""

    results: list[TextPrediction]


class WordReason(BaseModel):
    """What one word did, in log odds of the label."""

    word: str
    start: int
    end: int
    read: bool
    support: float
    fall: float | None


class StepReasons(StepPrediction):
    """A prediction and the words behind it."""

    method: Literal["exact", "occlusion"]
    span: int
    note: str
    words: list[WordReason]


class ExplainAnswer(ResponseBody):
    """Of each step."""

    steps: list[StepReasons]


class TokensAnswer(ResponseBody):
    """How each step sees the text: see docs/adr/0010."""

    steps: list[dict[str, Any]]


class NeighborsAnswer(ResponseBody):
    """The words nearest by cosine, of each step."""

    word: str
    steps: list[dict[str, Any]]


class StepVectors(BaseModel):
    """Text vectors of one step."""

    step: str
    dimension: int
    vectors: list[list[float]]


class EmbedAnswer(ResponseBody):
    """Of each step."""

    steps: list[StepVectors]


class FillAnswer(ResponseBody):
    """Candidates of each blank, and of all together."""

    language_model: str
    text: str
    reads: str
    truncated: bool
    blanks: list[list[dict[str, Any]]]
    joint: list[dict[str, Any]]


class ScoreAnswer(ResponseBody):
    """Of each text: its (pseudo-)log-likelihood, by word."""

    language_model: str
    results: list[dict[str, Any]]


class RunAnswer(ResponseBody):
    """What is served: see docs/adr/0010."""

    name: str
    kind: Literal["run", "model"]
    labels: list[str]
    steps: list[dict[str, Any]]
    language_model: str | None
    limits: dict[str, float]


class DisagreementsAnswer(ResponseBody):
    """Where the steps of a run differ."""

    test: int
    pairs: list[dict[str, Any]]
    texts: list[dict[str, Any]]


class VectorsAnswer(ResponseBody):
    """Words on a map."""

    step: str
    view: Literal["pca", "tsne"]
    of: int
    words: list[str]
    x: list[float]
    y: list[float]
    explained: list[float] | None


class ReloadAnswer(ResponseBody):
    """The hash now and before."""

    before: str
