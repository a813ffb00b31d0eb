"""Whatever the corpus: parts are disjoint, copies stay together, sizes add up, classes are trained on."""

from __future__ import annotations

import numpy as np
from corpora import corpus
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sopan.errors import SopanError
from sopan.text.split import make_split
from sopan.text.stratify import apportion, apportion_table, deal

counts = st.lists(st.integers(0, 40), min_size=1, max_size=8)


@given(counts.filter(any), st.data())
def test_apportioned_counts_are_quotas_rounded_up_or_down(quotas: list[int], data: st.DataObject) -> None:
    total = data.draw(st.integers(0, sum(quotas)))
    exact = np.array(quotas) * (total / sum(quotas))
    given_out = apportion(np.array(quotas, float), total)
    assert given_out.sum() == total
    assert (np.abs(given_out - exact) < 1 + 1e-6).all()
    assert (given_out <= np.array(quotas)).all()


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.data())
def test_a_table_keeps_both_margins_and_trains_every_class(classes: list[int], data: st.DataObject) -> None:
    total = sum(classes)
    train = data.draw(st.integers(len(classes), total))
    val = data.draw(st.integers(0, total - train))
    parts = np.array([train, val, total - train - val])
    table = apportion_table(np.array(classes), parts)
    assert (table >= 0).all()
    assert table.sum(axis=1).tolist() == classes
    assert table.sum(axis=0).tolist() == parts.tolist()
    assert (table[:, 0] > 0).all()


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 25)), min_size=8, max_size=120), st.integers(0, 9)
)
def test_dealing_parts_no_group_and_deals_every_text(texts: list[tuple[int, int]], seed: int) -> None:
    labels, groups = (np.array(column) for column in zip(*texts, strict=True))
    _, labels = np.unique(labels, return_inverse=True)
    wanted = apportion(np.array([0.5, 0.3, 0.2]), len(texts))
    part_of = deal(labels, groups, wanted, np.random.default_rng(seed))
    assert set(part_of.tolist()) <= {0, 1, 2}
    for group in set(groups.tolist()):
        assert len(set(part_of[groups == group].tolist())) == 1
    assert set(labels[part_of == 0].tolist()) == set(labels.tolist())


@given(
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=60),
    st.one_of(st.none(), st.integers(-1, 70), st.floats(0, 1)),
    st.one_of(st.none(), st.integers(1, 70), st.floats(0, 1)),
    st.integers(0, 5),
)
@example(labels=list("aaaab"), train=3, test=0.0625, seed=0)  # what makes the test part must not be train's
@example(labels=list("ab"), train=None, test=None, seed=0)
@settings(max_examples=200)
def test_a_split_is_right_or_refused(
    labels: list[str], train: float | None, test: float | None, seed: int
) -> None:
    made = corpus([f"text {i}" for i in range(len(labels))], labels)
    try:
        split = make_split(made, train=train, test=test, rng=np.random.default_rng(seed))
    except SopanError:
        return
    rows = np.concatenate([split.train, split.val, split.test])
    assert len(np.unique(rows)) == len(rows) <= len(made)
    assert min(len(split.train), len(split.val), len(split.test)) > 0
    assert set(made.labels[split.train].tolist()) == set(made.labels.tolist())
    if train is not None and train >= 1:
        assert len(split.train) == train
    if test is not None and test >= 1:
        assert len(split.test) == test
