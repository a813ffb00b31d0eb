"""The values that flow through sopan, one name per arrow.

    file -> Corpus -> Split -> Encoded -> logits -> Prediction

Shape legend, used in every docstring:
    N texts   T tokens (all texts together)   V vocabulary or features
    C classes   D vector width   B batch   H heads
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Annotated, Any, ClassVar, NamedTuple, Self, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from annotated_types import Ge, Interval

from sopan.errors import DataError

Json = Any
"""A value that `json.dumps` takes: None, bool, int, float, str, list, dict."""

Array: TypeAlias = npt.NDArray[Any]
"""An array of numbers of any kind."""
Arrays: TypeAlias = Mapping[str, Array]
"""Arrays by name."""
Tensor: TypeAlias = Any
"""A tensor of whichever backend or runtime computes: they share no type."""
Bytes = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]
Int32Array = npt.NDArray[np.int32]
Int64Array = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
Labels = npt.NDArray[np.integer[Any]]
"""Indices into the names of classes."""
Targets: TypeAlias = "Labels | Amounts"
"""What texts are to teach: a class each, or an amount for each class."""
Share = Annotated[float, Interval(ge=0, le=1)]
Amount = Annotated[float, Ge(0)]
Count = Annotated[int, Ge(0)]


@dataclass(frozen=True)
class Record:
    """A value that JSON holds as an object, whose keys are its fields' names; `class_` is the key `class`.

    A field with the default None is left out where it is None. From the fields' types pydantic derives the
    JSON Schema, and checks strictly what is read back; making a record checks nothing, and needs no pydantic.
    """

    __pydantic_config__: ClassVar[Mapping[str, object]] = {
        "alias_generator": lambda name: name.rstrip("_"),
        "allow_inf_nan": False,
        "extra": "forbid",
        "strict": True,
    }

    def as_json(self) -> dict[str, Json]:
        """Return the value as `json.dumps` takes it."""
        held = {each: getattr(self, each.name) for each in fields(self)}
        return {
            each.name.rstrip("_"): _as_json(value)
            for each, value in held.items()
            if value is not None or each.default is MISSING
        }


def _as_json(value: Json) -> Json:
    if isinstance(value, Record):
        return value.as_json()
    if isinstance(value, Mapping):
        return {key: _as_json(each) for key, each in value.items()}
    return [_as_json(each) for each in value] if isinstance(value, list | tuple) else value


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that was not taken, and why.

    Args:
        line: 1-based line in the file, or None where lines mean nothing (Parquet).
        reason: in plain words.
        excerpt: the start of the row, safe to print.
    """

    line: int | None
    reason: str
    excerpt: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Where texts came from, so that a later run can tell whether the input changed.

    Args:
        name: as the user gave it: a path, or a data set's name.
        sha256: of the bytes read (of each file's digest, in order, for a folder).
        bytes: total size.
        notes: what a reader should know: which mirror, what was dropped, which rule was applied.
        text: the column of the texts, where columns have names.
    """

    name: str
    sha256: str
    bytes: int
    notes: tuple[str, ...] = ()
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Labelled:
    """N texts with their labels.

    Args:
        texts: N strings, `pa.large_string`, no nulls, each valid UTF-8.
        labels: (N,) integers, indices into `classes`.
        classes: C label names, sorted.
    """

    texts: pa.LargeStringArray
    labels: Labels
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def names(self) -> npt.NDArray[np.str_]:
        """Each text's label by name, (N,)."""
        names: npt.NDArray[np.str_] = np.asarray(self.classes)[self.labels]
        return names

    def take(self, rows: Int64Array) -> Labelled:
        """Return the texts at these places, with their labels."""
        return Labelled(self.texts.take(pa.array(rows)), self.labels[rows], self.classes)


@dataclass(frozen=True, slots=True)
class SoftLabels:
    """Texts without labels, and what a teacher says of them: what a step is distilled from.

    Args:
        texts: U strings.
        probabilities: (U, C) of the classes in their sorted order; each row sums to 1.

    Source: G. Hinton, O. Vinyals and J. Dean, "Distilling the Knowledge in a Neural Network" (2015).
    """

    texts: pa.LargeStringArray | Sequence[str]
    probabilities: npt.ArrayLike


@dataclass(frozen=True, slots=True)
class Amounts:
    """What N texts are to teach, where it is more than a class each.

    Args:
        values: (N, C) float64, 0 or more: what each text counts for each class.
    """

    values: FloatArray

    @property
    def weights(self) -> FloatArray:
        """What each text counts, (N,)."""
        return np.asarray(self.values.sum(axis=1))


@dataclass(frozen=True, slots=True)
class Corpus(Labelled):
    """Labelled texts as they were read.

    Args:
        texts, labels, classes: see `Labelled`.
        rows: (N,) int64, 0-based data row of each text in its source.
        source: where they came from.
        split: (N,) strings 'train' | 'val' | 'test', or None if the source names no split.
        rejects: rows that were refused and tolerated (`--max-rejects`).
    """

    rows: Int64Array
    source: Source
    split: npt.NDArray[np.str_] | None = None
    rejects: tuple[Reject, ...] = ()


@dataclass(frozen=True, slots=True)
class Split:
    """Which texts of a `Corpus` are used for what: three sorted, disjoint index arrays, int64."""

    train: Int64Array
    val: Int64Array
    test: Int64Array


@dataclass(frozen=True, slots=True)
class Tokens:
    """One text's words with their place in the original string.

    Args:
        words: normalised words, in order.
        starts, ends: (len(words),) int64 offsets in *characters* of the text as given:
            `text[starts[i]:ends[i]]` is what word i was made from.
    """

    words: tuple[str, ...]
    starts: Int64Array
    ends: Int64Array


@dataclass(frozen=True, slots=True)
class Encoded:
    """Texts as word ids, end to end; text i is `ids[offsets[i]:offsets[i + 1]]`.

    Args:
        ids: (T,) int32, 0 <= id < V, or -1 for a word that the vocabulary lacks.
        offsets: (N + 1,) int64.
    """

    ids: Int32Array
    offsets: Int64Array

    def then(self, more: Encoded) -> Encoded:
        """Return these texts, and more after them."""
        offsets = np.concatenate([self.offsets, self.offsets[-1] + more.offsets[1:]])
        return Encoded(np.concatenate([self.ids, more.ids]), offsets)

    def check(self, n_words: int) -> None:
        """Hold that every id is -1 or one of V = `n_words`: another would silently read a wrong row.

        Raises:
            DataError: an id out of range.
        """
        if len(self.ids) and not (self.ids.min() >= -1 and self.ids.max() < n_words):
            low, high = int(self.ids.min()), int(self.ids.max())
            raise DataError(f"word ids from {low} to {high} do not fit a vocabulary of {n_words} words")


class StepOutput(NamedTuple):
    """What a step gives for n texts.

    Args:
        logits: (n, C) float64, finite, before the temperature.
        truncated: (n,) bool, the step did not read the whole text.
        no_known_words: (n,) bool, the step knew no word of the text.
    """

    logits: FloatArray
    truncated: BoolArray
    no_known_words: BoolArray


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a fitted step says of N texts.

    Args:
        probabilities: (N, C) float64, rows sum to 1, always finite.
        truncated: (N,) bool, the step did not read the whole text.
        no_known_words: (N,) bool, the step knew no word of the text.
        answered: (N,) int64, of a step made of steps the stage that answered, from 0; else None.
    """

    probabilities: FloatArray
    truncated: BoolArray
    no_known_words: BoolArray
    answered: Int64Array | None = None

    @classmethod
    def of(cls, output: StepOutput, temperature: float, answered: Int64Array | None = None) -> Self:
        """Turn logits into probabilities: softmax over the temperature (Guo et al. 2017)."""
        probabilities = softmax(output.logits / temperature)
        return cls(probabilities, output.truncated, output.no_known_words, answered)


class Asked(NamedTuple):
    """A stage of a stack or a cascade that one text came to.

    Args:
        members: names of the steps that were asked now.
        weights: of all asked so far, those whose logits are in this stage's answer, and their weights.
        confidence: the probability of the answer's best class.
        threshold: how much it takes for the answer to stand; None at the last stage.
    """

    members: tuple[str, ...]
    weights: Mapping[str, float]
    confidence: float
    threshold: float | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a fitted step made of one text, word by word.

    Args:
        tokens: the text's W words and their places in it.
        read: (W,) bool, the step took the word in: it knows it and did not stop before it.
        contributions: (W, C) float64, what each word added to each class's logit; 0 where it was not read.
        base: (C,) float64, the logits without any word.
        logits: (C,) float64, as `Step.logits` gives; base + contributions.sum(0), as near as `method` comes.
        method: how the contributions were found: `exact`, or `integrated gradients`.
        attention: for each layer that attends, lowest first, (H, Q, A) float32: the weight that query q of
            head h gave to each of the A words that the step looked at. Q is A where words attend to words.
            Empty for steps without attention.
        attended: (A,) int64, rising, which of the W words these are: not those cut out of a long text.
        asked: the stages that the text came to, of a step made of steps; the last one answered.
    """

    tokens: Tokens
    read: BoolArray
    contributions: FloatArray
    base: FloatArray
    logits: FloatArray
    method: str
    attention: tuple[Float32Array, ...] = ()
    attended: Int64Array = field(default_factory=lambda: np.empty(0, np.int64))
    asked: tuple[Asked, ...] = ()


@dataclass(frozen=True, slots=True)
class StepState:
    """All that a fitted step needs to be rebuilt, in kinds that need no pickle.

    Args:
        settings: JSON values: the step's parameters and fitted scalars.
        words: the vocabulary, one string a feature (word n-grams hold spaces), in id order.
        arrays: named arrays for `model.safetensors`.
    """

    settings: Mapping[str, Json]
    words: tuple[str, ...] = ()
    arrays: Arrays = field(default_factory=dict)


def softmax(logits: FloatArray) -> FloatArray:
    """Turn logits (N, C) into probabilities (N, C), safely for any finite input."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))
