"""Self-attention: every word looks at every word, in one layer.

Adds words that see each other: a word's vector becomes a mixture of all words of the text, by how well they
go together, whatever lies between them. Lacks position and depth: turn the words round and each gets the same
vector as before, so that `man bites dog` is `dog bites man`; and one look cannot build on another. Next step:
`transformer`, which tells places apart and looks again and again.

    vectors (B, T, D) -> queries, keys, values (B, H, T, K) -> attend -> heads side by side (B, T, width)
    + the words themselves -> GELU -> summary (B, width) -> logits (B, C)

Source: A. Vaswani et al., "Attention Is All You Need" (2017), eq. 1 and section 3.2.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import ClassVar, get_args

import keras
from keras import ops

from sopan.options.rules import Between, OneOf, Rule
from sopan.runtime.encoder_config import check_heads
from sopan.steps.base import Settings
from sopan.steps.heads import MultiHeadAttention
from sopan.steps.layers import Seeds, Summary, dense, summarise
from sopan.steps.neural import NEURAL_RULES, NeuralStep, settings_to_try
from sopan.steps.teaching import DISTILLED
from sopan.text.facts import TrainingFacts


@dataclass(kw_only=True, eq=False, repr=False)
class SelfAttention(NeuralStep):
    """One layer of multi-head self-attention, no positions; further settings are those of `NeuralStep`.

    Args:
        width: of all heads together.
        heads: H; one is the plain scaled dot-product attention.
        causal: whether a word sees only itself and what stands before it.
        summary: how the words become one vector.
    """

    name: ClassVar[str] = "self_attention"
    variants: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "single": {"heads": 1},
        "multi": {"heads": 4},
        "causal": {"causal": True},
        **DISTILLED,
    }

    width: int = 128
    heads: int = 4
    causal: bool = False
    summary: Summary = "mean"

    rules: ClassVar[Mapping[str, Rule]] = {
        **NEURAL_RULES,
        "width": Between(Integral, 1, 4096),
        "heads": Between(Integral, 1, 64),
        "causal": OneOf((True, False)),
        "summary": OneOf(tuple(name for name in get_args(Summary) if name != "cls")),
    }

    def check_settings(self) -> None:
        """Refuse settings that cannot work."""
        super().check_settings()
        check_heads(self.width, self.heads)

    def body(self, dimension: int, n_classes: int, seeds: Seeds) -> keras.Model:
        """Assemble the heads, the summary and the logits."""
        vectors = keras.Input((None, dimension), name="vectors")
        mask = keras.Input((None,), dtype="bool", name="mask")
        x = keras.layers.Dropout(self.dropout, seed=next(seeds), name="drop_in")(vectors)
        heads = MultiHeadAttention(
            self.width, self.heads, seed=next(seeds), causal=self.causal, project_out=False, name="heads"
        )
        context, weights = heads(x, mask)
        hidden = ops.gelu(context + dense(self.width, seeds, "itself")(x))
        vector = summarise(hidden, mask, self.summary, seed=next(seeds))
        dropped = keras.layers.Dropout(self.dropout, seed=next(seeds), name="drop_out")(vector)
        outputs = {
            "logits": dense(n_classes, seeds, "logits")(dropped),
            "vector": vector,
            "attention": [weights],
        }
        return keras.Model([vectors, mask], outputs, name="body")

    @classmethod
    def candidates(cls, facts: TrainingFacts) -> list[Settings]:
        """List settings, the best guess first."""
        return settings_to_try(facts, {"summary": "max"})
