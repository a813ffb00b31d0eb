"""The networks of the steps, written once in the operations that every runtime has.

They give what the Keras networks give (`sopan.steps`), and compute less:

* only the outputs that are asked for, and no attention weights;
* where the first place alone is read (`cls`), the last block computes that place alone: its query looks at
  the keys and values of all, but attention's output, norms and feed-forward are those of one place in T.

Sources: as the steps have them.
"""

from __future__ import annotations

import numpy as np

from sopan.runtime.network import Body, EncoderBody, Network, Output, SelfAttentionBody, place_table
from sopan.runtime.operations import HIDDEN, Operations, Tensor
from sopan.runtime.reader import read


class Graph:
    """Leads ids and mask through a network.

    Args:
        ops: of the runtime.
        network: what to build.
    """

    def __init__(self, ops: Operations, network: Network):
        self.ops, self.network, self.arrays = ops, network, network.arrays

    def outputs(self, ids: Tensor, mask: Tensor, wanted: tuple[Output, ...]) -> list[Tensor]:
        """Return the outputs asked for, of ids (B, T) int32 and mask (B, T) bool."""
        x = self.ops.gather(self.arrays["words/embeddings"], ids)  # (B, T, D)
        vector = self._vector(self.network.body, x, mask)
        return [vector if name == "vector" else self.dense(vector, "logits") for name in wanted]

    def _vector(self, body: Body, x: Tensor, mask: Tensor) -> Tensor:
        if isinstance(body, EncoderBody):
            return self.encoder(body, x, mask)
        if isinstance(body, SelfAttentionBody):
            return self.self_attention(body, x, mask)

        return read(self.ops, self.arrays, body, x, mask)

    # ---- steps -----------------------------------------------------------------------------------

    def encoder(self, body: EncoderBody, x: Tensor, mask: Tensor) -> Tensor:
        """Return the vectors (B, E): `sopan.steps.encoder.encode` and a summary."""
        ops, arrays, first = self.ops, self.arrays, body.summary == "cls"
        if "first/vector" in arrays:  # a learned one before the words
            nothing = ops.multiply(ops.cut(x, 1, 0, 1), ops.constant(np.zeros(1, np.float32)))
            x = ops.concatenate([ops.add(nothing, ops.constant(arrays["first/vector"])), x], 1)
            always = ops.less_equal(ops.cast(ops.cut(mask, 1, 0, 1), np.float32), ops.constant(np.float32(1)))
            mask = ops.concatenate([always, mask], 1)
        if "project/kernel" in arrays:
            x = self.dense(x, "project")
        table = place_table(self.network, self.width)
        if table is not None:
            x = ops.add(x, ops.first_rows(table, x))
        if "input_norm/gamma" in arrays:
            x = self.norm(x, "input_norm", body.epsilon)
        hide = self.hidden(mask, body.causal)
        for i in range(body.depth):
            x = self.block(
                body, x, hide, f"block_{i}/", alone=first and not body.causal and i == body.depth - 1
            )
        if body.norm == "pre":
            x = self.norm(x, "output_norm", body.epsilon)
        vector = self.summary(x, mask, body.summary)
        return ops.tanh(self.dense(vector, "pooler")) if "pooler/kernel" in arrays else vector

    def self_attention(self, body: SelfAttentionBody, x: Tensor, mask: Tensor) -> Tensor:
        """Return the vectors (B, width) of `sopan.steps.self_attention`."""
        context = self.heads(x, x, self.hidden(mask, body.causal), "heads/qkv", body.heads)
        hidden = self.ops.gelu(self.ops.add(context, self.dense(x, "itself")), exact=False)
        return self.summary(hidden, mask, body.summary)

    # ---- parts -----------------------------------------------------------------------------------

    @property
    def width(self) -> int:
        """Of the encoder."""
        return int(self.arrays["block_0/attention/out/kernel"].shape[1])

    def block(self, body: EncoderBody, x: Tensor, hide: Tensor, path: str, *, alone: bool) -> Tensor:
        """Return x (B, T, D) after one block, or its first place (B, 1, D) `alone`."""
        ops, pre = self.ops, body.norm == "pre"
        seen = self.norm(x, f"{path}attention_norm", body.epsilon) if pre else x
        asks = ops.cut(seen, 1, 0, 1) if alone else seen
        x = ops.cut(x, 1, 0, 1) if alone else x
        context = self.heads(asks, seen, hide, f"{path}attention/qkv", body.heads)
        x = ops.add(x, self.dense(context, f"{path}attention/out"))
        x = x if pre else self.norm(x, f"{path}attention_norm", body.epsilon)
        inner = self.norm(x, f"{path}feed_forward_norm", body.epsilon) if pre else x
        inner = ops.gelu(self.dense(inner, f"{path}feed_forward/up"))
        x = ops.add(x, self.dense(inner, f"{path}feed_forward/down"))
        return x if pre else self.norm(x, f"{path}feed_forward_norm", body.epsilon)

    def heads(self, asks: Tensor, seen: Tensor, hide: Tensor, path: str, heads: int) -> Tensor:
        """Let the words of `asks` (B, Q, D) look at those of `seen` (B, T, D): (B, Q, width)."""
        kernels = np.split(self.arrays[f"{path}/kernel"], 3, axis=1)
        biases = np.split(self.arrays[f"{path}/bias"], 3)
        parts = []
        for x, kernel, bias in zip((asks, seen, seen), kernels, biases, strict=True):
            apart = self.ops.reshape(self.ops.dense(x, kernel, bias), (0, 0, heads, len(bias) // heads))
            parts.append(self.ops.transpose(apart, (0, 2, 1, 3)))
        query, key, value = parts
        context = self.ops.attend(query, key, value, hide, len(biases[0]) // heads)  # (B, H, Q, K)
        context = self.ops.transpose(context, (0, 2, 1, 3))
        return self.ops.reshape(context, (0, 0, len(biases[0])))

    def hidden(self, mask: Tensor, causal: bool) -> Tensor:
        """Return what is added to scores: (B, 1, 1, T), or (B, 1, T, T) where later words are hidden too."""
        ops = self.ops
        seen = ops.reshape(mask, (0, 1, 1, -1))
        if causal:
            place = ops.places(mask)  # (T,)
            before = ops.less_equal(ops.reshape(place, (1, 1, 1, -1)), ops.reshape(place, (1, 1, -1, 1)))
            seen = ops.logical_and(seen, before)
        return ops.where(seen, ops.constant(np.float32(0)), ops.constant(HIDDEN))

    def summary(self, x: Tensor, mask: Tensor, summary: str) -> Tensor:
        """Return (B, D) for x (B, T, D): `sopan.steps.summary.summarise`."""
        ops = self.ops
        seen = ops.reshape(ops.cast(mask, np.float32), (0, -1, 1))  # (B, T, 1)
        some = ops.reduce("max", seen, 1)  # (B, 1): whether there is any word
        if summary == "cls":
            return ops.reduce("sum", ops.multiply(ops.cut(x, 1, 0, 1), ops.cut(seen, 1, 0, 1)), 1)
        if summary == "max":
            shown = ops.where(ops.reshape(mask, (0, -1, 1)), x, ops.constant(HIDDEN))
            return ops.multiply(ops.reduce("max", shown, 1), some)
        if summary == "attention":
            scores = ops.reshape(ops.dense(x, self.arrays["pick/key/kernel"]), (0, 1, -1))  # (B, 1, T)
            hide = ops.where(ops.reshape(mask, (0, 1, -1)), ops.constant(np.float32(0)), ops.constant(HIDDEN))
            picked = ops.matmul(ops.softmax(ops.add(scores, hide)), x)  # (B, 1, D)
            return ops.multiply(ops.reduce("sum", picked, 1), some)
        total = ops.reduce("sum", ops.multiply(x, seen), 1)
        words = ops.maximum(ops.reduce("sum", seen, 1), ops.constant(np.float32(1)))
        return ops.divide(total, words)

    def dense(self, x: Tensor, path: str) -> Tensor:
        """Return x through the dense layer of a path."""
        return self.ops.dense(x, self.arrays[f"{path}/kernel"], self.arrays[f"{path}/bias"])

    def norm(self, x: Tensor, path: str, epsilon: float) -> Tensor:
        """Return x through the layer norm of a path."""
        return self.ops.layer_norm(x, self.arrays[f"{path}/gamma"], self.arrays[f"{path}/beta"], epsilon)
