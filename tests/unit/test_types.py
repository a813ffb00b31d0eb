"""Word ids are range-checked before anything is looked up by them."""

from __future__ import annotations

import numpy as np
import pytest

from sopan.errors import DataError
from sopan.steps.embedding import CbowSettings, bag, train_word_vectors
from sopan.types import Encoded


def encoded(*ids: int) -> Encoded:
    return Encoded(np.array(ids, np.int32), np.array([0, len(ids)]))


def test_ids_of_the_vocabulary_and_the_mark_of_the_unknown_pass() -> None:
    encoded(0, 4, -1).check(5)
    encoded().check(0)


@pytest.mark.parametrize("ids", [(0, 5), (-2, 1), (2_000_000_000,)])
def test_an_id_out_of_range_is_refused_by_whoever_looks_words_up(ids: tuple[int, ...]) -> None:
    wrong = encoded(*ids)
    with pytest.raises(DataError, match="vocabulary of 5 words"):
        wrong.check(5)
    with pytest.raises(DataError, match="vocabulary of 5 words"):
        bag(wrong, 5, distinct=False)
    settings = CbowSettings(dimension=4, window=2, negatives=1, epochs=1, subsample=0, learning_rate=0.1)
    with pytest.raises(DataError, match="vocabulary of 5 words"):
        train_word_vectors(wrong, np.ones(5, np.int64), settings, np.random.default_rng(0))
