"""Word ids are range-checked before anything is looked up by them; names of contenders are taken apart."""

from __future__ import annotations

import numpy as np
import pytest

from sopan.errors import ConfigError, DataError
from sopan.options.names import StepName, path_name
from sopan.steps import make_step
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


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("bow", ("bow", None, None)),
        ("bow:counts", ("bow", "counts", None)),
        ("bert@minilm", ("bert", None, "minilm")),
        ("bert:frozen@org/name", ("bert", "frozen", "org/name")),
        ("bert@./a:b@c", ("bert", None, "./a:b@c")),
    ],
)
def test_a_contenders_name_is_taken_apart_and_put_together(
    text: str, parts: tuple[str, str | None, str | None]
) -> None:
    assert StepName.parse(text) == parts
    assert str(StepName(*parts)) == text


def test_the_name_of_a_contenders_folder_is_plain_and_its_own() -> None:
    assert [path_name(name) for name in ("bow", "bow:counts", "bert:frozen@minilm")] == [
        "bow",
        "bow-counts",
        "bert-frozen@minilm",
    ]
    odd = [path_name(name) for name in ("bert@a/b", "bert@a-b", "bert@a b", "bert@../../b", "bert@/")]
    assert len(set(odd)) == 5
    assert all("/" not in name and " " not in name and not name.startswith(".") for name in odd)


def test_a_preset_is_named_only_where_a_step_starts_from_one() -> None:
    assert make_step("bert:cls@minilm").get_params()["preset"] == "minilm"
    with pytest.raises(ConfigError, match="bow starts from no preset"):
        make_step("bow@minilm")
