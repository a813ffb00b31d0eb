"""A small neural step with random weights, for tests of what looks into networks."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers, ops

from sopan.steps.attend import attend
from sopan.steps.base import Step
from sopan.steps.integrated_gradients import network_evidence
from sopan.text.arrow import as_texts
from sopan.text.batch import FIRST_WORD, clip
from sopan.text.intake import WordIntake
from sopan.text.vocab import build_vocabulary
from sopan.types import StepOutput, StepState


@keras.saving.register_keras_serializable("small")
class TwoHeads(layers.Layer):
    """Each word attends to all, in two heads without weights of their own; then the words' mean."""

    def call(self, vectors, present):
        heads = ops.stack(ops.split(vectors, 2, axis=-1), axis=1)  # (B, 2, T, D / 2)
        context, weights = attend(heads, heads, heads, present[:, None, None, :])
        kept = ops.cast(present, vectors.dtype)[:, :, None]
        joined = ops.reshape(ops.transpose(context, (0, 2, 1, 3)), ops.shape(vectors)) * kept
        return ops.sum(joined, axis=1) / ops.maximum(ops.sum(kept, axis=1), 1), weights


class SmallNetwork(Step):
    name = "small_network"

    def __init__(self, max_length=64, width=8, tokens="words", lowercase=True):
        self.max_length = max_length
        self.width = width
        self.tokens = tokens
        self.lowercase = lowercase

    def learn(self, data):
        self.vocabulary_, _ = build_vocabulary(data.texts, self.tokens, lowercase=self.lowercase)
        self.network_ = self._network(len(self.vocabulary_) + FIRST_WORD, len(self.classes_))

    def _network(self, n_words, n_classes):
        def seeded(seed):
            return keras.initializers.RandomNormal(stddev=1.0, seed=seed)

        vectors, mask = keras.Input((None, self.width)), keras.Input((None,), dtype="bool")
        pooled, weights = TwoHeads()(vectors, mask)
        hidden = layers.Dense(self.width, "gelu", kernel_initializer=seeded(1))(pooled)
        logits = layers.Dense(n_classes, kernel_initializer=seeded(2))(hidden)
        outputs = {"logits": logits, "vector": pooled, "attention": [weights]}
        body = keras.Model([vectors, mask], outputs, name="body")
        ids, known = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="bool")
        embedded = layers.Embedding(n_words, self.width, embeddings_initializer=seeded(3), name="words")(ids)
        return keras.Model([ids, known], body([embedded, known]))

    @property
    def intake(self):
        return WordIntake(self.vocabulary_, self.max_length)

    @property
    def buckets_(self):
        return (self.max_length,)

    def read_some(self, texts):
        clipped = clip(self.vocabulary_.encode(texts), len(self.vocabulary_), self.max_length)
        logits = np.zeros((len(texts), len(self.classes_)))
        unknown = np.zeros(len(texts), bool)
        for row in range(len(texts)):
            ids = clipped.rows(row, row + 1).encoded.ids
            padded = np.zeros((1, self.max_length), np.int32)
            padded[0, : len(ids)] = ids
            found = self.network_([padded, padded > 0], training=False)
            logits[row] = ops.convert_to_numpy(found["logits"])[0]
            unknown[row] = (ids < FIRST_WORD).all()
        return StepOutput(logits, clipped.truncated, unknown)

    def evidence(self, text):
        return network_evidence(self, text)

    def state(self):
        weights = {f"w{i:02}": weight.numpy() for i, weight in enumerate(self.network_.weights)}
        return StepState({}, self.vocabulary_.words, weights)

    def restore(self, state):
        raise NotImplementedError

    @classmethod
    def candidates(cls, class_counts):
        return [{}]


def random_network(texts, labels, **settings):
    return SmallNetwork(**settings).fit(as_texts(texts), labels)
