"""Which layers of `bert` learn, how fast, and those that do not apart from those that do.

    ids (B, T) -> below: all that does not learn -> hidden (B, T, width): once, without dropout, kept
    hidden -> above: the blocks that learn, summary, logits: in every epoch

Sources: J. Howard and S. Ruder, "Universal Language Model Fine-tuning for Text Classification" (2018),
section 3.2, for rates that differ from layer to layer; J. Lee et al., "What Would Elsa Do? Freezing Layers
During Transformer Fine-Tuning" (2019).
"""

from __future__ import annotations

import keras

from sopan.runtime.encoder_config import EncoderConfig, summary_parts
from sopan.steps.bert_network import EMBEDDINGS, PieceSummary, classify
from sopan.training.kept import Halves


def layer_rates(depth: int, layer_decay: float) -> tuple[tuple[str, float], ...]:
    """Say by how much slower each layer learns than the head: by `layer_decay` for every layer between.

    Args:
        depth: blocks of the encoder.
        layer_decay: 1: all learn alike, and nothing is returned.
    """
    if layer_decay == 1:
        return ()
    blocks = tuple((f"block_{i}/", layer_decay ** (depth - i)) for i in range(depth))
    lowest = tuple((start, layer_decay ** (depth + 1)) for start in EMBEDDINGS)
    return (*blocks, *lowest, ("output_norm/", layer_decay))


def freeze(network: keras.Model, layers: int) -> None:
    """Keep the lowest layers from learning, and leave dropout out of them: they read as they will in use.

    Args:
        network: from `build_classifier`.
        layers: how many: the vectors of pieces and places are the first, then come the blocks.
    """
    if layers == 0:
        return
    body = network.get_layer("body")
    network.get_layer("words").trainable = False
    for layer in body.layers:
        if f"{layer.name}/".startswith(EMBEDDINGS):
            layer.trainable = False
    blocks = [layer for layer in body.layers if layer.name in {f"block_{i}" for i in range(layers - 1)}]
    for block in blocks:
        block.trainable = False
        for drop in (*block.drops, block.attention.drop):
            drop.rate = 0.0
    if blocks:  # what stands between the vectors and a block that learns is part of what is learnt
        body.get_layer("input_drop").rate = 0.0


def halves(network: keras.Model, layers: int, config: EncoderConfig, summary: PieceSummary) -> Halves | None:
    """Return the blocks that do not learn apart from what stands above them.

    Args:
        network: from `build_classifier`, frozen.
        layers: how many do not learn, as in `freeze`.
        config, summary: of the network.

    Returns:
        None where no block can be kept apart: nothing is gained by keeping the pieces' vectors.
    """
    parts = summary_parts(summary, config.depth)
    kept = min(layers - 1, *(block for _, block in parts))  # a summary may read a block that does not learn
    if kept < 1:
        return None
    body, top = network.get_layer("body"), max(block for _, block in parts)
    ids, mask = (
        keras.Input((None,), dtype="int32", name="ids"),
        keras.Input((None,), dtype="bool", name="mask"),
    )
    hidden = body.get_layer(f"block_{kept - 1}").output[0]
    if kept == config.depth and config.norm == "pre":
        hidden = body.get_layer("output_norm").output
    lower = keras.Model(body.inputs, hidden, name="lower")
    below = keras.Model([ids, mask], {"hidden": lower([network.get_layer("words")(ids), mask])}, name="below")

    hidden = keras.Input((None, config.width), dtype=below.output["hidden"].dtype, name="hidden")
    x, after = hidden, {kept: hidden}
    distances = [
        layer(hidden) for layer in body.layers if layer.name == "distances"
    ]  # MPNet's, by place alone
    for i in range(kept, top):
        x, _ = body.get_layer(f"block_{i}")(x, mask, *distances)
        after[i + 1] = x
    if config.norm == "pre" and kept < top == config.depth:
        after[top] = body.get_layer("output_norm")(x)
    _, logits = classify(after, mask, config, summary, body.get_layer)
    return Halves(below, keras.Model([hidden, mask], {"logits": logits}, name="above"))
