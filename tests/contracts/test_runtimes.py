"""Every runtime gives what the Keras network gives, whatever the network and the texts.

The Keras network computes every place of every layer. It is the slow reference of all that runtimes fuse, and
of the last layer, of which they compute the first place alone where nothing else is read (`cls`).
"""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import need
from hypothesis import given
from hypothesis import strategies as st
from quick_steps import EIGHT, SOIL_OR_SEA, brief, eagerly

from sopan.errors import ConfigError
from sopan.runtime import program as runtimes
from sopan.runtime.encoder_config import EncoderConfig
from sopan.runtime.network import EncoderBody, Network, network_of, place_table
from sopan.runtime.program import (
    RUNTIMES,
    choose_runtime,
    compile_network,
    plan_sorted,
    run_program,
    settle,
    shapes,
)
from sopan.text.arrow import as_texts
from sopan.text.batch import Batch, open_length
from sopan.training.backend import make_forward, read_all

ODD = ["", "   \n\t", "?!… —", "qwrtz xyzzy", "Zażółć", "🙂🙂", "x" * 500, "soup " * 200, "gulls"]
CASES = {
    "bert, first piece": ("bert", {"summary": "cls", "depth": 2}),
    "bert, mean": ("bert", {"summary": "mean"}),
    "bert, first piece, no pooler": ("bert", {"summary": "first", "depth": 2}),
    "bert, third block from the top": ("bert", {"summary": "third", "depth": 4}),
    "bert, side by side": ("bert", {"summary": "joined", "depth": 3}),
    "bert, windows": ("bert", {"long_texts": "windows", "max_windows": 3, "pool": "max"}),
    "transformer, post, learned, first": (
        "transformer",
        {"norm": "post", "positions": "learned", "summary": "cls", "depth": 2},
    ),
    "transformer, pre, sinusoidal, first": ("transformer", {"summary": "cls", "depth": 2}),
    "transformer, projected, max": ("transformer", {"width": 16, "summary": "max"}),
    "transformer, no positions, attention": ("transformer", {"positions": "none", "summary": "attention"}),
    "self-attention": ("self_attention", {}),
    "self-attention, causal, max": ("self_attention", {"causal": True, "summary": "max"}),
    "attention, global, additive": ("attention", {"look": "global", "scoring": "additive"}),
    "attention, local-p, general": ("attention", {"look": "local-p", "scoring": "general", "window": 2}),
    "attention, local-m, dot": ("attention", {"look": "local-m", "scoring": "dot", "window": 2}),
}


@pytest.fixture(scope="module", params=CASES)
def estimator(request):
    step, settings = CASES[request.param]
    with eagerly():
        return brief(step, min_steps=1, **settings).fit(EIGHT, SOIL_OR_SEA)


@pytest.fixture(params=["openvino", "onnxruntime"])
def runtime(request):
    for module in RUNTIMES[request.param].needs:
        need(module)
    return request.param


def compiled(estimator, *outputs, **how):
    network = network_of(estimator.name, estimator.get_params(), estimator.state())
    return compile_network(network, outputs or ("logits",), **how)


def by_keras(estimator, output, width):
    """Return one output for the windows of all texts, from the network that was trained."""
    clipped = estimator.windows(as_texts(EIGHT + ODD)).clipped
    with eagerly():
        return clipped, read_all(
            make_forward(estimator.network_, [output]), clipped, estimator.buckets_, width
        )


@pytest.mark.parametrize("output", ["logits", "vector"])
def test_gives_what_the_keras_network_gives(estimator, runtime, output):
    width = estimator.network_.output[output].shape[-1]
    clipped, expected = by_keras(estimator, output, width)
    found = run_program(compiled(estimator, output, runtime=runtime), clipped, width)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert np.ptp(expected) > 1e-3  # there is something to compare


def test_bfloat16_comes_as_near_as_its_eight_bits(estimator):
    clipped, expected = by_keras(estimator, "logits", 2)
    found = run_program(compiled(estimator, precision="bfloat16", runtime="openvino"), clipped, 2)
    np.testing.assert_allclose(found, expected, atol=0.05 * max(1, np.abs(expected).max()))


def rectangle(lengths, width, rng):
    """Return a batch whose padding holds ids of words, which nothing may look at."""
    mask = np.arange(width) < np.array(lengths)[:, None]
    return Batch(rng.integers(2, 10, mask.shape).astype(np.int32), mask, np.arange(len(lengths)))


def outputs_of(program, *rectangles):
    found = {id(batch): outputs for batch, outputs in program.run(rectangles)}
    return [found[id(batch)][0] for batch in rectangles]


def test_padding_and_company_change_nothing_and_no_words_are_finite(estimator, runtime):
    rng = np.random.default_rng(0)
    program, batch = compiled(estimator, runtime=runtime), rectangle([5, 0, 7], 8, rng)
    ids = np.concatenate([batch.ids, rng.integers(2, 10, (3, 8)).astype(np.int32)], axis=1)
    wide = Batch(ids, np.concatenate([batch.mask, np.zeros((3, 8), bool)], axis=1), batch.rows)
    alone = Batch(batch.ids[2:], batch.mask[2:], batch.rows[:1])
    narrow, padded, one = outputs_of(program, batch, wide, alone)
    assert np.isfinite(narrow).all()
    np.testing.assert_allclose(padded, narrow, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(one[0], narrow[2], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(outputs_of(program, alone)[0], one, rtol=1e-5, atol=1e-5)


def test_a_reader_that_leaves_half_way_leaves_nothing_behind(estimator):
    program, rng = compiled(estimator, runtime="openvino"), np.random.default_rng(0)
    batches = [rectangle([8] * 4, 8, rng) for _ in range(12)]
    for _ in program.run(iter(batches)):
        break
    assert len(outputs_of(program, *batches)) == 12


def test_every_text_is_planned_once_beside_others_of_its_length():
    lengths = np.random.default_rng(0).integers(0, 300, 500)
    planned = plan_sorted(lengths, 1024)
    assert sorted(np.concatenate([rows for rows, _, _ in planned]).tolist()) == list(range(500))
    for rows, height, width in planned:
        assert 3 / 4 * height <= len(rows) <= height
        assert height * width <= 1024
        assert width % 8 == 0
        assert lengths[rows].max() <= width == open_length(int(lengths[rows].max()))
    assert sum(height * width for _, height, width in planned) < 1.2 * lengths.sum()


def test_a_text_longer_than_a_rectangle_has_one_of_its_own():
    assert [(rows.tolist(), *shape) for rows, *shape in plan_sorted(np.array([3000, 5]), 1024)] == [
        ([0], 1, 3008),
        ([1], 1, 16),
    ]


def test_whatever_comes_there_are_few_shapes():
    rng = np.random.default_rng(0)
    asked = [rng.integers(0, 100, n) for n in rng.integers(1, 200, 3000)]
    shapes = {tuple(shape) for lengths in asked for _, *shape in plan_sorted(lengths)}
    assert len(shapes) <= 40
    assert {height for height, _ in shapes} <= {1 << bits for bits in range(9)}


def test_all_shapes_that_short_texts_come_in_are_known_beforehand():
    rng = np.random.default_rng(0)
    asked = [rng.integers(0, 129, n) for n in rng.integers(1, 400, 3000)]
    met = {tuple(shape) for lengths in asked for _, *shape in plan_sorted(lengths)}
    assert met <= set(shapes(128))
    assert len(set(shapes(128))) == len(list(shapes(128))) < 1.2 * len(met)
    assert {length for _, length in shapes(20)} == {16, 32}


def test_settling_changes_no_answer(estimator, runtime):
    program, batch = compiled(estimator, runtime=runtime), rectangle([5, 0, 7], 8, np.random.default_rng(0))
    (before,) = outputs_of(program, batch)
    assert len(list(settle(program, 16))) == 2 * len(list(shapes(16)))
    np.testing.assert_array_equal(outputs_of(program, batch)[0], before)


@given(st.integers(0, 2000))
def test_a_rectangle_is_hardly_longer_than_its_text(length):
    rounded = open_length(length)
    assert max(length, 1) <= rounded <= length + (16 if length <= 64 else 31)
    assert open_length(rounded) == rounded
    assert rounded <= open_length(length + 1)


@pytest.mark.parametrize("places", [1, 10, 65, 129, 258, 500, 512])
def test_places_are_known_as_far_as_padding_reaches(places):
    body = EncoderBody(EncoderConfig(width=4, heads=1), "cls", places)
    assert len(place_table(Network({}, body), 4)) > open_length(places)


# ---- which runtime -------------------------------------------------------------------------------


def absent(monkeypatch, *modules):
    there = runtimes.find_spec
    monkeypatch.setattr(runtimes, "find_spec", lambda name: None if name in modules else there(name))


def test_the_first_that_is_installed_is_taken(monkeypatch):
    monkeypatch.delenv("SOPAN_RUNTIME", raising=False)
    assert tuple(RUNTIMES) == ("openvino", "onnxruntime", "keras")
    need("onnxruntime")
    assert choose_runtime("float32") == "openvino"
    absent(monkeypatch, "openvino")
    assert choose_runtime("float32") == "onnxruntime"
    assert choose_runtime("bfloat16") == "keras"
    absent(monkeypatch, "openvino", "onnx")
    assert choose_runtime("float32") == "keras"


def test_a_runtime_may_be_named(monkeypatch):
    monkeypatch.setenv("SOPAN_RUNTIME", "keras")
    assert choose_runtime("float32") == "keras"
    assert choose_runtime("float32", "openvino") == "openvino"
    with pytest.raises(ConfigError, match="'tensorrt'") as refusal:
        choose_runtime("float32", "tensorrt")
    assert "openvino" in str(refusal.value.next_step)
    absent(monkeypatch, "openvino")
    with pytest.raises(ConfigError, match="needs openvino") as refusal:
        choose_runtime("float32", "openvino")
    assert "pip install" in str(refusal.value.next_step)


def test_a_runtime_that_lacks_the_precision_is_refused():
    need("onnxruntime")
    with pytest.raises(ConfigError, match="bfloat16"):
        choose_runtime("bfloat16", "onnxruntime")


def test_a_step_reads_with_keras_where_that_is_named(monkeypatch, estimator):
    usual = estimator.logits(EIGHT + ODD)
    monkeypatch.setenv("SOPAN_RUNTIME", "keras")
    monkeypatch.setattr(estimator, "_programs", {})
    with eagerly():
        np.testing.assert_allclose(estimator.logits(EIGHT + ODD), usual, rtol=1e-4, atol=1e-5)
    assert estimator._programs == {"logits": None}


# ---- what it leaves alone ------------------------------------------------------------------------


def test_openvino_tells_nobody_that_it_was_imported(tmp_path):
    code = (
        "import sys\n"
        "import sopan.runtime.openvino_program\n"
        "from openvino.tools.ovc.telemetry_utils import tm\n"
        "print(sys.modules['openvino_telemetry'], tm.__name__)"
    )
    home = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=home)
    assert done.stdout.split() == ["None", "openvino.tools.ovc.telemetry_stub"]
    assert list(tmp_path.iterdir()) == []  # it keeps a number for each user there, where it may


def test_memory_stays_flat_over_texts_of_every_shape():
    import psutil

    with eagerly():
        estimator = brief("bert", min_steps=1, summary="cls").fit(EIGHT, SOIL_OR_SEA)
    program, rng = compiled(estimator, runtime="openvino"), np.random.default_rng(0)

    def read(n):
        for _ in range(n):
            width = 8 * int(rng.integers(1, 4))
            rectangles = [
                rectangle(rng.integers(1, width + 1, rng.integers(1, 9)), width, rng) for _ in range(4)
            ]
            assert len(list(program.run(rectangles))) == 4
        return psutil.Process().memory_info().rss

    before = read(60)
    assert read(120) - before < 16e6
