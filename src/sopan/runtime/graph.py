"""The networks of the steps, written once in the operations that every runtime has.

They give what the Keras networks give (`sopan.steps`), and compute less:

* only the outputs that are asked for, no attention weights, and no block that no output needs;
* where the first place alone is read (`cls`), the last block computes that place alone: its query looks at
  the keys and values of all, but attention's output, norms and feed-forward are those of one place in T.

Sources: as the steps have them; the equations are those of `sopan.steps.attention`.
"""

from __future__ import annotations

import numpy as np

from sopan.runtime.encoder_config import EncoderConfig, distance_buckets, summary_parts
from sopan.runtime.network import (
    Body,
    EncoderBody,
    Network,
    Output,
    ReaderBody,
    SelfAttentionBody,
    place_table,
)
from sopan.runtime.operations import LOWEST_SCORE, Operations
from sopan.text.batch import MULTIPLE, open_length
from sopan.types import Array, Tensor


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
        return self.reader(body, x, mask)

    # ---- steps -----------------------------------------------------------------------------------

    def encoder(self, body: EncoderBody, x: Tensor, mask: Tensor) -> Tensor:
        """Return the vectors (B, E): `sopan.steps.encoder.encode` and a summary."""
        ops, arrays, config = self.ops, self.arrays, body.config
        parts = summary_parts(body.summary, config.depth)
        blocks = max(block for _, block in parts)
        first = all(part == ("cls", blocks) for part in parts) and not config.causal
        if "first/vector" in arrays:  # a learned one before the words
            nothing = ops.multiply(ops.cut(x, 1, 0, 1), ops.constant(np.zeros(1, np.float32)))
            x = ops.concatenate([ops.add(nothing, ops.constant(arrays["first/vector"])), x], 1)
            always = ops.less_equal(ops.cast(ops.cut(mask, 1, 0, 1), np.float32), ops.constant(np.float32(1)))
            mask = ops.concatenate([always, mask], 1)
        projects = "project/kernel" in arrays
        if projects and config.embedding_width is None:
            x = self.dense(x, "project")
        table = place_table(self.network, config.embedded)
        if table is not None:
            x = ops.add(x, ops.first_rows(table, x))
        if "input_norm/gamma" in arrays:
            x = self.norm(x, "input_norm", config.epsilon)
        if projects and config.embedding_width is not None:
            x = self.dense(x, "project")
        hide = self.hidden(mask, config.causal)
        if config.buckets:
            hide = ops.add(hide, self.distances(body, mask))
        after = {}
        for i in range(blocks):
            x = self.block(config, x, hide, f"block_{i}/", alone=first and i == blocks - 1)
            after[i + 1] = x
        if config.norm == "pre" and blocks == config.depth:
            after[blocks] = self.norm(x, "output_norm", config.epsilon)
        found = [self.summary(after[block], mask, how) for how, block in parts]
        vector = found[0] if len(found) == 1 else ops.concatenate(found, 1)
        pooled = body.summary == "cls" and "pooler/kernel" in arrays
        return ops.tanh(self.dense(vector, "pooler")) if pooled else vector

    def self_attention(self, body: SelfAttentionBody, x: Tensor, mask: Tensor) -> Tensor:
        """Return the vectors (B, width) of `sopan.steps.self_attention`."""
        context = self.heads(x, x, self.hidden(mask, body.causal), "heads/qkv", body.heads)
        hidden = self.ops.gelu(self.ops.add(context, self.dense(x, "itself")), exact=False)
        return self.summary(hidden, mask, body.summary)

    # ---- parts -----------------------------------------------------------------------------------

    def block(self, config: EncoderConfig, x: Tensor, hide: Tensor, path: str, *, alone: bool) -> Tensor:
        """Return x (B, T, D) after one block, or its first place (B, 1, D) `alone`."""
        ops, pre = self.ops, config.norm == "pre"
        seen = self.norm(x, f"{path}attention_norm", config.epsilon) if pre else x
        asks = ops.cut(seen, 1, 0, 1) if alone else seen
        x = ops.cut(x, 1, 0, 1) if alone else x
        if alone and config.buckets:  # what is added differs from query to query
            hide = ops.cut(hide, 2, 0, 1)
        context = self.heads(asks, seen, hide, f"{path}attention/qkv", config.heads)
        x = ops.add(x, self.dense(context, f"{path}attention/out"))
        x = x if pre else self.norm(x, f"{path}attention_norm", config.epsilon)
        inner = self.norm(x, f"{path}feed_forward_norm", config.epsilon) if pre else x
        inner = ops.gelu(self.dense(inner, f"{path}feed_forward/up"))
        x = ops.add(x, self.dense(inner, f"{path}feed_forward/down"))
        return x if pre else self.norm(x, f"{path}feed_forward_norm", config.epsilon)

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
        return self.hide(seen)

    def distances(self, body: EncoderBody, mask: Tensor) -> Tensor:
        """Return what the distance between two words adds to scores (1, H, T, T)."""
        ops, place = self.ops, self.ops.places(mask)
        most = open_length(body.longest) + MULTIPLE
        table = self.arrays["distances/embeddings"][distance_buckets(most, body.config.buckets)]
        key = ops.add(ops.reshape(place, (1, 1, -1)), ops.constant(np.float32(most - 1)))
        rows = ops.cast(ops.subtract(key, ops.reshape(place, (1, -1, 1))), np.int32)  # (1, T, T)
        return ops.transpose(ops.gather(table, rows), (0, 3, 1, 2))

    def hide(self, seen: Tensor) -> Tensor:
        """Return what is added to scores: 0 where something is seen, and else what leaves a weight of 0."""
        return self.ops.where(seen, self.ops.constant(np.float32(0)), self.ops.constant(LOWEST_SCORE))

    def summary(self, x: Tensor, mask: Tensor, summary: str) -> Tensor:
        """Return (B, D) for x (B, T, D): `sopan.steps.layers.summarise`."""
        ops = self.ops
        seen = ops.reshape(ops.cast(mask, np.float32), (0, -1, 1))  # (B, T, 1)
        some = ops.reduce("max", seen, 1)  # (B, 1): whether there is any word
        if summary == "cls":
            return ops.reduce("sum", ops.multiply(ops.cut(x, 1, 0, 1), ops.cut(seen, 1, 0, 1)), 1)
        if summary == "max":
            shown = ops.where(ops.reshape(mask, (0, -1, 1)), x, ops.constant(LOWEST_SCORE))
            return ops.multiply(ops.reduce("max", shown, 1), some)
        if summary == "attention":
            scores = ops.reshape(ops.dense(x, self.arrays["pick/key/kernel"]), (0, 1, -1))  # (B, 1, T)
            hide = self.hide(ops.reshape(mask, (0, 1, -1)))
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

    # ---- a GRU in both directions, read by attention ----------------------------------------------

    def reader(self, body: ReaderBody, x: Tensor, mask: Tensor) -> Tensor:
        """Return the vectors (B, units) of `sopan.steps.attention`."""
        ops, arrays = self.ops, self.arrays
        number = ops.cast(mask, np.float32)
        words = ops.reduce("sum", number, 1, keepdims=True)  # (B, 1)
        cells = [f"both_ways/{way}_gru/gru_cell" for way in ("forward", "backward")]
        kernels = [
            (_still(arrays[f"{cell}/kernel"]), arrays[f"{cell}/recurrent_kernel"], arrays[f"{cell}/bias"])
            for cell in cells
        ]
        padding = ops.subtract(ops.constant(np.float32(1)), ops.reshape(number, (0, -1, 1)))  # (B, T, 1)
        states, final = ops.gru(ops.concatenate([x, padding], 2), kernels)  # (B, T, E), (B, E)
        width, reads = arrays["reader/own"].shape[1], body.reads
        kernel = arrays["reader/to_query"].reshape(width, reads * width)
        query = ops.reshape(ops.dense(final, kernel), (0, reads, width))
        query = ops.tanh(ops.add(query, ops.constant(arrays["reader/own"])))  # (B, K, E)
        contexts = self._read(body, query, states, mask, words)
        both = ops.concatenate([ops.reshape(contexts, (0, reads * width)), final], 1)
        return ops.tanh(self.dense(both, "vector"))  # eq. 5

    def _read(self, body: ReaderBody, query: Tensor, states: Tensor, mask: Tensor, words: Tensor) -> Tensor:
        """Return the contexts (B, K, E); a read that may look nowhere gives zeros."""
        ops = self.ops
        seen = ops.reshape(mask, (0, 1, -1))  # (B, 1, T)
        if body.look != "global":
            distance = self._distance(body, query, mask, words)  # (B, K, T)
            near = ops.less_equal(ops.abs(distance), ops.constant(np.float32(body.window)))
            seen = ops.logical_and(seen, near)
        hide = self.hide(seen)
        weights = ops.softmax(ops.add(self._score(body, query, states), hide))
        if body.look == "local-p":
            spread = np.float32(-1 / (2 * (body.window / 2) ** 2))
            bell = ops.exp(ops.multiply(ops.multiply(distance, distance), ops.constant(spread)))  # eq. 10
            weights = ops.multiply(weights, bell)
        some = ops.reduce("max", ops.cast(seen, np.float32), 2, keepdims=True)
        return ops.multiply(ops.matmul(weights, states), some)

    def _distance(self, body: ReaderBody, query: Tensor, mask: Tensor, words: Tensor) -> Tensor:
        """Return how far each word stands from the place that each read looks at: (B, K, T)."""
        ops = self.ops
        if body.look == "local-m":
            share = ops.constant(((np.arange(body.reads, dtype=np.float32) + 0.5) / body.reads)[None, :])
        else:
            guess = ops.tanh(ops.dense(query, self.arrays["reader/of_place"]))
            share = ops.reshape(ops.sigmoid(ops.dense(guess, self.arrays["reader/place"])), (0, -1))  # (B, K)
        one, none = ops.constant(np.float32(1)), ops.constant(np.float32(0))
        place = ops.multiply(share, ops.maximum(ops.subtract(words, one), none))  # (B, K)
        return ops.subtract(ops.reshape(ops.places(mask), (1, 1, -1)), ops.reshape(place, (0, -1, 1)))

    def _score(self, body: ReaderBody, query: Tensor, states: Tensor) -> Tensor:
        """Return the scores (B, K, T): eq. 8."""
        ops, arrays = self.ops, self.arrays
        if body.scoring == "dot":
            return ops.matmul(query, states, turned=True)
        if body.scoring == "general":
            return ops.matmul(ops.dense(query, arrays["reader/general"]), states, turned=True)
        width = arrays["reader/own"].shape[1]
        of_query = ops.reshape(ops.dense(query, arrays["reader/of_query"]), (0, body.reads, 1, width))
        of_state = ops.reshape(ops.dense(states, arrays["reader/of_state"]), (0, 1, -1, width))
        bent = ops.tanh(ops.add(of_query, of_state))  # (B, K, T, E)
        return ops.reshape(ops.dense(bent, arrays["reader/additive"]), (0, 0, -1))


def _still(kernel: Array) -> Array:
    """Add a row for padding to a GRU's kernel (D, 3 · U): the gate z opens, and the state stays as it is.

    Runtimes take the lengths of texts in ways of their own: OpenVINO 2026.4 does not look at them.
    """
    row = np.zeros((1, kernel.shape[1]), kernel.dtype)
    row[:, : kernel.shape[1] // 3] = 100  # its sigmoid is 1 to the last bit
    return np.concatenate([kernel, row])
