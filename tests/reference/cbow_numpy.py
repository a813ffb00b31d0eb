"""CBOW with negative sampling, slowly and plainly: one target at a time, in NumPy."""

from __future__ import annotations

import numpy as np


def block_loss(inputs, outputs, words, low, high, first, last, noise_words, noise_weight):
    """Sum of the losses of the targets `words[first:last]`."""
    return sum(
        target_loss(inputs, outputs, *example, noise_weight)
        for example in examples(words, low, high, first, last, noise_words)
    )


def examples(words, low, high, first, last, noise_words):
    """Each target with its context words and its noise words."""
    for t in range(first, last):
        context = [words[c] for c in range(low[t], high[t]) if c != t]
        yield words[t], context, [word for word in noise_words if word != words[t]]


def target_loss(inputs, outputs, target, context, noise, noise_weight):
    hidden = np.mean([inputs[word] for word in context], axis=0)
    loss = np.log1p(np.exp(-outputs[target] @ hidden))
    return loss + noise_weight * sum(np.log1p(np.exp(outputs[word] @ hidden)) for word in noise)


def block_gradients(inputs, outputs, words, low, high, first, last, noise_words, noise_weight):
    """Gradients of `block_loss` by `inputs` and by `outputs`."""
    by_inputs, by_outputs = np.zeros_like(inputs), np.zeros_like(outputs)
    for target, context, noise in examples(words, low, high, first, last, noise_words):
        hidden = np.mean([inputs[word] for word in context], axis=0)
        by_hidden = np.zeros_like(hidden)
        for word, label, weight in [(target, 1, 1.0), *((word, 0, noise_weight) for word in noise)]:
            by_score = weight * (1 / (1 + np.exp(-outputs[word] @ hidden)) - label)
            by_hidden += by_score * outputs[word]
            by_outputs[word] += by_score * hidden
        for word in context:
            by_inputs[word] += by_hidden / len(context)  # the division that word2vec forgets
    return by_inputs, by_outputs
