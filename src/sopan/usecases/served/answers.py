"""What served models answer about texts and words; `start`, `end` count code points of the text as sent."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict

Projection = Literal["pca", "tsne"]
"""How vectors come to two dimensions."""


# ---- predictions and explanations ------------------------------------------------------------------


class StepPrediction(TypedDict):
    """What one step says of one text; `confidence` is the calibrated probability of `label`.

    `answered_by`: of a stack or a cascade, the steps that were asked last.
    """

    step: str
    label: str
    confidence: float
    probabilities: dict[str, float]
    truncated: bool
    no_known_words: bool
    answered_by: NotRequired[str]


class TextPrediction(TypedDict):
    """What all steps say of one text."""

    steps: list[StepPrediction]


class PredictAnswer(TypedDict):
    """Of each text, in their order."""

    model: str
    results: list[TextPrediction]


class WordAttribution(TypedDict):
    """What one word did, in log odds of the label; `fall`: of the label's probability without it."""

    word: str
    start: int
    end: int
    read: bool
    support: float
    fall: float | None


class StepExplanation(StepPrediction):
    """A prediction and the words behind it."""

    method: Literal["exact", "occlusion"]
    span: int
    note: str
    words: list[WordAttribution]


class ExplainAnswer(TypedDict):
    """Of each step."""

    model: str
    steps: list[StepExplanation]


# ---- how a step reads a text -----------------------------------------------------------------------


class TextSpan(TypedDict):
    """A word or piece and its place; of tokens also whether the vocabulary holds it."""

    text: str
    start: int
    end: int
    known: NotRequired[bool]


class Feature(TypedDict):
    """One feature of a bag of words, and what it adds to the logit of each class."""

    feature: str
    kind: str
    value: float
    contributions: list[float]


class Features(TypedDict):
    """A text's bag of words: how many features it has, and those that contribute most."""

    total: int
    vocabulary: int
    classes: list[str]
    items: list[Feature]


class AttentionWeights(TypedDict):
    """`layers[layer][head][query][key]`, lowest layer first; keys are `words`."""

    caution: str
    words: list[TextSpan]
    layers: list[list[list[list[float]]]]


class StepTokens(TypedDict):
    """How one step reads a text."""

    step: str
    kind: Literal["words", "pieces"]
    tokens: list[TextSpan]
    features: Features | None
    attention: AttentionWeights | None


class TokensAnswer(TypedDict):
    """How each step sees the text."""

    model: str
    steps: list[StepTokens]


# ---- vectors ---------------------------------------------------------------------------------------


class SimilarWord(TypedDict):
    """A word and its cosine; of a word that was named also its rank: 1 is the first guess."""

    word: str
    cosine: float
    rank: NotRequired[int]


class StepNeighbors(TypedDict):
    """The words nearest by cosine; none of a word that is not known."""

    step: str
    known: bool
    neighbors: list[SimilarWord]


class NeighborsAnswer(TypedDict):
    """Of each step that has vectors of words."""

    model: str
    word: str
    steps: list[StepNeighbors]


class StepGuesses(TypedDict):
    """What one CBOW step guesses.

    Computed: the plain mean of the context words' vectors (in CBOW's terms input vectors, those that the
    model keeps), and each word's cosine with it, by the same vectors. CBOW was trained with a second, output
    vector of each word, which a model does not keep: these are no probabilities.

    `known`: which context words have a vector; the others do not count. `of`: words ranked, all that have a
    vector but for those of the context.
    """

    step: str
    known: list[bool]
    of: int
    guesses: list[SimilarWord]
    asked: SimilarWord | None


class GuessAnswer(TypedDict):
    """Of each CBOW step."""

    model: str
    steps: list[StepGuesses]


class StepVectors(TypedDict):
    """Text vectors of one step."""

    step: str
    dimension: int
    vectors: list[list[float]]


class EmbedAnswer(TypedDict):
    """Of each step that has dense vectors."""

    model: str
    steps: list[StepVectors]


class WordMap(TypedDict):
    """Words on a map: places within -1 … 1; of PCA also each axis' share of the variance."""

    view: Projection
    of: int
    words: list[str]
    x: list[float]
    y: list[float]
    explained: list[float] | None


# ---- the language model ----------------------------------------------------------------------------


class BlankFilling(TypedDict):
    """What may fill one blank."""

    text: str
    probability: float
    pieces: list[str]


class TextFilling(TypedDict):
    """What may fill all blanks together."""

    text: str
    words: list[str]
    probability: float


class TextFillings(TypedDict):
    """Candidates of each blank, and of all together."""

    language_model: str
    text: str
    reads: str
    truncated: bool
    blanks: list[list[BlankFilling]]
    joint: list[TextFilling]


class FillAnswer(TextFillings):
    """Candidates of each blank, and of all together."""

    model: str


class WordScore(TypedDict):
    """How likely one word is; not known: the vocabulary cannot spell it."""

    text: str
    start: int
    end: int
    known: bool
    log_probability: float


class TextScore(TypedDict):
    """How likely one text is: its (pseudo-)log-likelihood, by word."""

    text: str
    method: str
    n_words: int
    windowed: bool
    total: float
    perplexity_per_word: float | None
    words: list[WordScore]


class ScoreAnswer(TypedDict):
    """Of each text."""

    model: str
    language_model: str
    results: list[TextScore]
