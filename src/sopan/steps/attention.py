"""A recurrent encoder read by attention: which words of the text matter.

Adds order and choice: a GRU reads the text in both directions, so that `not good` is not `good`, and
attention decides where to look. Lacks a view of word on word: each word knows of the others only what the
recurrence carried to it, one step at a time. Next step: `self_attention`, where words look at each other.

    vectors (B, T, D) -> bidirectional GRU -> states (B, T, E), final state (B, E)
    final state -> K queries -> attend over the states, everywhere or near a place -> contexts (B, K, E)
    contexts and final state -> tanh -> vector (B, units) -> logits (B, C)

A translator's decoder asks once for each word that it writes; a classifier writes none, so `reads` learned
queries take the decoder's place.

Source: M.-T. Luong, H. Pham and C. Manning, "Effective Approaches to Attention-based Neural Machine
Translation" (2015); D. Bahdanau, K. Cho and Y. Bengio, "Neural Machine Translation by Jointly Learning to
Align and Translate" (2015).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import ClassVar, Literal, get_args

import keras
from keras import ops

from sopan.options.rules import Between, OneOf, Rule
from sopan.steps.attend import attend, dot
from sopan.steps.base import Settings
from sopan.steps.layers import Seeds, dense
from sopan.steps.neural import NEURAL_RULES, NeuralStep, settings_to_try
from sopan.steps.teaching import DISTILLED
from sopan.text.facts import TrainingFacts
from sopan.types import Tensor

Look = Literal["global", "local-m", "local-p"]
Scoring = Literal["dot", "general", "additive"]


@keras.saving.register_keras_serializable("sopan")
class Reader(keras.layers.Layer):  # type: ignore[misc]  # an untyped base
    """Reads a sequence of states K times, each with a query made from the final state.

    Args:
        look: `global`: over all states (Luong eq. 7). `local-m`: read k over the states within `window` of
            the middle of the k-th K-th of the text, so that the places rise as the reads do. `local-p`:
            within `window` of a place that is predicted (eq. 9), weighted by a Gaussian around it (eq. 10).
        scoring: how a query h fits a state s (eq. 8): `dot` hᵀs, `general` hᵀWs, or `additive`
            vᵀtanh(W[h; s]) (Bahdanau's).
        reads: K.
        window: D, in words to either side; the Gaussian's σ is D / 2.
        seed: of the weights.
    """

    def __init__(
        self, look: Look, scoring: Scoring, reads: int, window: int, *, seed: int, **kwargs: object
    ) -> None:
        super().__init__(**kwargs)
        self.settings = {"look": look, "scoring": scoring, "reads": reads, "window": window, "seed": seed}
        self.look, self.scoring, self.reads, self.window = look, scoring, reads, window
        self.seeds = Seeds(seed)
        self.supports_masking = True  # masks are arguments here; Keras need not warn that it drops its own

    def build(self, states_shape: tuple[int | None, ...], final_shape: tuple[int | None, ...]) -> None:
        """Make the weights for states of shape (B, T, E)."""
        width = int(states_shape[-1] or 0)

        def weight(name: str, *shape: int) -> keras.Variable:
            start = keras.initializers.GlorotUniform(next(self.seeds))
            return self.add_weight(shape, initializer=start, name=name)

        self.to_query = weight("to_query", width, self.reads, width)
        self.own = weight("own", self.reads, width)
        if self.scoring == "general":
            self.general = weight("general", width, width)
        if self.scoring == "additive":
            self.of_query, self.of_state = weight("of_query", width, width), weight("of_state", width, width)
            self.additive = weight("additive", width, 1)
        if self.look == "local-p":
            self.of_place, self.place = weight("of_place", width, width), weight("place", width, 1)
        self.built = True

    def call(self, states: Tensor, final: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Read the states.

        Args:
            states: (B, T, E).
            final: (B, E), what the encoder remembers of the whole text.
            mask: (B, T) bool, False hides a state.

        Returns:
            contexts (B, K, E) and weights (B, K, T).
        """
        query = ops.tanh(ops.einsum("be,eqf->bqf", final, self.to_query) + self.own)  # (B, K, E)
        seen, bell = mask[:, None, :], None
        if self.look != "global":
            distance = self._distance(query, mask)  # (B, K, T)
            seen = ops.logical_and(seen, ops.abs(distance) <= self.window)
            if self.look == "local-p":
                bell = ops.exp(-ops.square(distance) / (2 * (self.window / 2) ** 2))  # eq. 10
                bell = ops.cast(bell, query.dtype)
        return attend(query, states, states, seen, score=self._score, window=bell)

    def _distance(self, query: Tensor, mask: Tensor) -> Tensor:
        """Return how far each word stands from the place that each read looks at: (B, K, T), in words.

        Places are at least float32 whatever the rest is: bfloat16 counts no further than 256.
        """
        exact = keras.backend.result_type(query.dtype, "float32")
        words = ops.sum(ops.cast(mask, exact), axis=-1)[:, None]  # (B, 1)
        if self.look == "local-m":
            share = (ops.arange(self.reads, dtype=exact)[None, :] + 0.5) / self.reads
        else:
            share = ops.sigmoid(ops.matmul(ops.tanh(ops.matmul(query, self.of_place)), self.place))[..., 0]
            share = ops.cast(share, exact)
        place = ops.arange(ops.shape(mask)[-1], dtype=exact)
        return place[None, None, :] - (share * ops.maximum(words - 1, 0))[..., None]

    def _score(self, query: Tensor, states: Tensor) -> Tensor:
        """Return the scores (B, K, T): Luong eq. 8."""
        if self.scoring == "dot":
            return dot(query, states)
        if self.scoring == "general":
            return dot(ops.matmul(query, self.general), states)
        of_query = ops.matmul(query, self.of_query)[:, :, None, :]  # (B, K, 1, E)
        of_state = ops.matmul(states, self.of_state)[:, None, :, :]  # (B, 1, T, E)
        return ops.matmul(ops.tanh(of_query + of_state), self.additive)[..., 0]

    def get_config(self) -> dict[str, object]:
        """Return the arguments that made this layer."""
        return {**super().get_config(), **self.settings}


@dataclass(kw_only=True, eq=False, repr=False)
class Attention(NeuralStep):
    """A bidirectional GRU read by attention; further settings are those of `NeuralStep`.

    Args:
        look: where a read may look: everywhere, or near a place; see `Reader`.
        scoring: how a query fits a state.
        reads: how often the text is read.
        window: words to either side of the place that a local read looks at.
        units: width of the GRU in either direction.
    """

    name: ClassVar[str] = "attention"
    variants: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "global": {"look": "global"},
        "local": {"look": "local-p"},
        "local-m": {"look": "local-m"},
        "local-p": {"look": "local-p"},
        **{scoring: {"look": "global", "scoring": scoring} for scoring in get_args(Scoring)},
        **DISTILLED,
    }

    look: Look = "global"
    scoring: Scoring = "additive"
    reads: int = 4
    window: int = 16
    units: int = 64
    weight_decay: float = 0.01

    rules: ClassVar[Mapping[str, Rule]] = {
        **NEURAL_RULES,
        "look": OneOf(get_args(Look)),
        "scoring": OneOf(get_args(Scoring)),
        "reads": Between(Integral, 1, 64),
        "window": Between(Integral, 1, 10_000),
        "units": Between(Integral, 1, 4096),
    }

    def body(self, dimension: int, n_classes: int, seeds: Seeds) -> keras.Model:
        """Assemble the GRU, the reader and the logits."""
        vectors = keras.Input((None, dimension), name="vectors")
        mask = keras.Input((None,), dtype="bool", name="mask")
        x = keras.layers.Dropout(self.dropout, seed=next(seeds), name="drop_in")(vectors)
        gru = keras.layers.GRU(
            self.units,
            return_sequences=True,
            return_state=True,
            kernel_initializer=keras.initializers.GlorotUniform(next(seeds)),
            recurrent_initializer=keras.initializers.Orthogonal(seed=next(seeds)),
            name="gru",
        )
        states, *finals = keras.layers.Bidirectional(gru, name="both_ways")(x, mask=mask)
        final = keras.layers.Concatenate(name="final")(finals)
        reader = Reader(self.look, self.scoring, self.reads, self.window, seed=next(seeds), name="reader")
        contexts, weights = reader(states, final, mask)
        read = keras.layers.Concatenate(name="read")(
            [ops.reshape(contexts, (-1, self.reads * 2 * self.units)), final]
        )
        read = keras.layers.Dropout(self.dropout, seed=next(seeds), name="drop_read")(read)
        vector = dense(2 * self.units, seeds, "vector", "tanh")(read)  # eq. 5
        hidden = keras.layers.Dropout(self.dropout, seed=next(seeds), name="drop_out")(vector)
        logits = dense(n_classes, seeds, "logits")(hidden)  # eq. 6
        outputs = {"logits": logits, "vector": vector, "attention": [weights[:, None]]}
        return keras.Model([vectors, mask], outputs, name="body")

    @classmethod
    def candidates(cls, facts: TrainingFacts) -> list[Settings]:
        """List settings, the best guess first."""
        return settings_to_try(facts, {"look": "local-p"})
