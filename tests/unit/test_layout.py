"""Charts put ticks on round numbers, find the Pareto front, and keep labels apart."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sopan.comparison.layout import Axis, apart, log_ticks, pareto_front, place_labels, spread, step_marks

shares = st.floats(0, 1)


@given(st.lists(shares, min_size=1))
@example([0.0, 2.220446049250313e-16])
@example([0.5, 0.5 + 2e-7])
@example([0.1])  # 18 units of 0.005 are a little less than 0.1 - 0.01
def test_an_axis_shows_all_values_and_has_round_ticks_inside(values: list[float]):
    axis = Axis.over(values, 200)
    assert all(0 < axis.at(value) < axis.width for value in values)
    assert 1 <= len(axis.ticks) <= 6
    assert all(axis.low <= tick <= axis.high for tick in axis.ticks)
    if len(axis.ticks) > 1:
        assert len({axis.tick_label(tick) for tick in axis.ticks}) == len(axis.ticks)


def test_ticks_by_hand():
    assert Axis.over([0.70, 0.89], 200).ticks == (0.7, 0.75, 0.8, 0.85, 0.9)
    assert Axis.over([-0.02, 0.01], 200).tick_label(-0.01) == "−0.01"


def test_log_ticks_by_hand():
    assert log_ticks(0.05, 120) == [0.1, 1, 10, 100]
    assert log_ticks(3, 60) == [5, 10, 20, 50]


def test_pareto_front_by_hand():
    points = [(1, 0.80), (2, 0.85), (3, 0.84), (2, 0.70), (9, 0.90), (9, 0.90)]
    assert pareto_front(points) == {0, 1, 4, 5}  # equals do not push each other out


@given(st.lists(st.tuples(shares, shares), min_size=1, max_size=8))
def test_what_is_off_the_front_has_a_better_point_on_it(points: list[tuple[float, float]]):
    front = pareto_front(points)
    assert front
    for i, (cost, score) in enumerate(points):
        better = any(points[j][0] <= cost and points[j][1] >= score for j in front if points[j] != points[i])
        assert better == (i not in front)


@given(st.lists(st.floats(0, 300), min_size=1, max_size=8))
def test_spread_keeps_order_gap_and_middle(heights: list[float]):
    moved = spread(heights, gap=15)
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    gaps = [moved[b] - moved[a] for a, b in pairwise(order)]
    assert all(gap >= 15 - 1e-6 for gap in gaps)
    assert math.isclose(sum(moved), sum(heights), abs_tol=1e-6)


def test_spread_leaves_alone_what_is_apart():
    assert spread([100, 10, 55], gap=15) == [100, 10, 55]


def test_labels_of_neighbours_do_not_cover_one_another():
    points = [(50.0, 100.0), (56.0, 103.0), (300.0, 40.0)]
    (x0, y0, side0), (x1, y1, side1), (_, _, side2) = place_labels(points, ["bow", "cbow", "bert"], 320)
    assert (side0, y0) != (side1, y1)
    assert side2 == "left"  # a label may stand a little beyond the plot's edge
    assert {x0, x1} <= {9, -9}


def test_a_long_label_at_the_edge_turns_inwards():
    [(_, _, side)] = place_labels([(310.0, 50.0)], ["self_attention:multi"], 320)
    assert side == "right"


def test_ticks_of_a_learning_curve_keep_a_distance():
    assert apart([100, 500, 1000, 4990, 5000], 600) == [100, 500, 1000, 5000]
    assert apart([70], 600) == [70]


@pytest.mark.parametrize("attribute", ["colour", "shape", "dash"])
def test_eight_steps_look_different_in_every_way(attribute: str):
    marks = step_marks([f"step {i}" for i in range(8)])
    assert len({getattr(mark, attribute) for mark in marks.values()}) == 8
