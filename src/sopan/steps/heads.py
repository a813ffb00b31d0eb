"""Self-attention with several heads: each word looks over all the words of its text, in several ways at once.

    x (B, T, D) -> one projection to queries, keys and values, 3 · (B, H, T, K)
    each head:  attend, scaled dot-product                       -> (B, H, T, K), weights (B, H, T, T)
    heads side by side (B, T, H · K) -> projection out           -> (B, T, width), where width = H · K

Source: A. Vaswani et al., "Attention Is All You Need" (2017), section 3.2.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from sopan.runtime.encoder_config import check_heads
from sopan.steps.attend import attend
from sopan.types import Tensor


def split_seed(seed: int, n: int) -> list[int]:
    """Return n independent seeds made from one, the same ones every time."""
    return [int(one) & 0x7FFFFFFF for one in np.random.SeedSequence(seed).generate_state(n)]


def kernel_initializer(
    seed: int, initial_std: float | None, scale: float = 1.0
) -> keras.initializers.Initializer:
    """Return how a kernel starts: a truncated normal if its spread is given, else Glorot's uniform.

    Args:
        seed: of the draw.
        initial_std: standard deviation of the truncated normal (BERT's is 0.02), or None.
        scale: factor on the variance that Glorot and Bengio (2010), eq. 16, give to the kernel's shape.
    """
    if initial_std is None:
        return keras.initializers.VarianceScaling(scale, mode="fan_avg", distribution="uniform", seed=seed)
    return keras.initializers.TruncatedNormal(stddev=initial_std, seed=seed)


def may_see(mask: Tensor, causal: bool) -> Tensor:
    """Say which word may look at which: boolean, broadcasts against (B, H, T, T).

    Args:
        mask: (B, T) bool, False hides a word from all; or (B, T, T) bool, False hides word k from word q.
        causal: hide later words from earlier ones.
    """
    seen = mask[:, None, :, :] if len(mask.shape) == 3 else mask[:, None, None, :]
    if not causal:
        return seen
    place = ops.arange(ops.shape(mask)[-1])
    return ops.logical_and(seen, place[:, None] >= place[None, :])


@keras.saving.register_keras_serializable("sopan")
class MultiHeadAttention(keras.layers.Layer):  # type: ignore[misc]  # an untyped base
    """Scaled dot-product self-attention with `heads` heads: Vaswani et al. (2017), section 3.2.2.

    Queries, keys and values come from one kernel (D, 3 · width): its columns are the queries, the keys,
    then the values, and head by head within each.

    Args:
        width: of the output, and of all heads together: each is K = width / heads wide.
        heads: H.
        seed: decides the initial weights and the dropout.
        dropout: share of the weights that is dropped in training.
        causal: a word sees itself and what stands before it, not what comes after.
        project_out: mix the heads by a last projection; without it they stand side by side.
        initial_std: spread of the initial kernels; None: Glorot's, each of the four projections for itself.

    Raises:
        ConfigError: `heads` does not divide `width`.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        seed: int,
        dropout: float = 0.0,
        causal: bool = False,
        project_out: bool = True,
        initial_std: float | None = None,
        **kwargs: object,
    ):
        super().__init__(**kwargs)
        check_heads(width, heads)
        self.settings = {
            "width": width,
            "heads": heads,
            "seed": seed,
            "dropout": dropout,
            "causal": causal,
            "project_out": project_out,
            "initial_std": initial_std,
        }
        self.width, self.heads, self.causal = width, heads, causal
        self.qkv_seed, out_seed, drop_seed = split_seed(seed, 3)
        self.qkv = keras.layers.Dense(3 * width, name="qkv", dtype=self.dtype_policy)
        self.out = None
        if project_out:
            start = kernel_initializer(out_seed, initial_std)
            self.out = keras.layers.Dense(
                width, kernel_initializer=start, name="out", dtype=self.dtype_policy
            )
        self.drop = keras.layers.Dropout(dropout, seed=drop_seed, name="drop", dtype=self.dtype_policy)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights for x of shape (B, T, D)."""
        into = int(input_shape[-1] or 0)
        # Glorot's variance is 2 / (rows + columns), and three kernels of `width` columns stand side by side.
        scale = (into + 3 * self.width) / (into + self.width)
        self.qkv.kernel_initializer = kernel_initializer(self.qkv_seed, self.settings["initial_std"], scale)
        self.qkv.build((None, None, into))
        if self.out is not None:
            self.out.build((None, None, self.width))
        self.built = True

    def call(
        self, x: Tensor, mask: Tensor, bias: Tensor | None = None, training: bool | None = None
    ) -> tuple[Tensor, Tensor]:
        """Let every word of a text read the text.

        Args:
            x: (B, T, D) float, the words.
            mask: (B, T) bool, False hides a word from all (padding); or (B, T, T) bool, False hides
                word k from word q (several texts in one row).
            bias: (1 or B, H, T, T), added to the scores; None: nothing is.
            training: whether weights are dropped.

        Returns:
            The words in their context (B, T, width), and the weights (B, H, T, T), before any are dropped.
        """
        parts = ops.reshape(self.qkv(x), (-1, ops.shape(x)[1], 3, self.heads, self.width // self.heads))
        query, key, value = ops.unstack(ops.transpose(parts, (2, 0, 3, 1, 4)), 3)  # each (B, H, T, K)
        context, weights = attend(
            query,
            key,
            value,
            may_see(mask, self.causal),
            bias=bias,
            drop=lambda dropped: self.drop(dropped, training=training),
        )
        side_by_side = ops.reshape(ops.transpose(context, (0, 2, 1, 3)), (-1, ops.shape(x)[1], self.width))
        return (side_by_side if self.out is None else self.out(side_by_side)), weights

    def get_config(self) -> dict[str, object]:
        """Return the arguments that made this layer."""
        return {**super().get_config(), **self.settings}
