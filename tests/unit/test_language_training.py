"""Training a language model: what it learns from, going on to the very bit, and refusing another run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_language import PIECES, sentences

from sopan.errors import ConfigError
from sopan.runtime.encoder_config import bert_config
from sopan.steps.language_model import LanguageModel
from sopan.text.packing import PieceStore, Rows
from sopan.text.wordpiece import WordPiece
from sopan.training import loop
from sopan.training.backend import make_stepper
from sopan.training.checkpoint import CheckpointFile
from sopan.training.language_modelling import Batches, PretrainingTask, language_loss, train_language_model
from sopan.training.optimizer import make_optimizer
from sopan.training.recipe import DivergedError, LanguageRecipe, Monitor

WORDPIECE = WordPiece.of(PIECES)
RECIPE = LanguageRecipe(12, learning_rate=3e-3, warm_up=3, decay=0.25, judge_every=4)


def make_model(*, causal=False, pairs=False, dropout=0.0, seed=0):
    config = bert_config(
        width=16, depth=1, heads=2, inner=32, max_length=24, dropout=dropout, attention_dropout=dropout
    )
    return LanguageModel.make(replace(config, causal=causal), WORDPIECE, seed=seed, pairs=pairs)


def batches(task, seed=0):
    rng = np.random.default_rng(0)
    encoded = WORDPIECE.encode([" ".join(rng.choice(sentences(), 3)) for _ in range(60)])
    return Batches(PieceStore(encoded.ids, encoded.offsets), WORDPIECE, task, seed)


class StoppedError(Exception):
    """Ends a run from outside."""


def stop_after(steps):
    def told(progress):
        if progress.done == steps:
            raise StoppedError

    return told


@pytest.fixture
def at_every_step(monkeypatch):
    """Snapshots and progress at each step, and the moment before a step's snapshot is where it dies."""
    monkeypatch.setattr(loop, "SNAPSHOT_SECONDS", 0.0)
    monkeypatch.setattr(loop, "PROGRESS_SECONDS", 0.0)


def run(task, recipe, monitor=None, *, dropout=0.1, identity="it"):
    """Train a new model; return its weights, its evaluations, and those that were reported."""
    model = make_model(causal=task.causal, pairs=task.pairs != "none", dropout=dropout)
    told = []
    draw = batches(task)

    def judge():
        inputs, _ = draw(0)
        return {"sum": float(np.abs(model.logits(Rows(*inputs[:4]), inputs[4])).sum())}

    evaluations = train_language_model(
        model.network,
        draw,
        recipe,
        identity=identity,
        judge=judge,
        monitor=replace(monitor or Monitor(), on_evaluation=told.append),
    )
    return model.weights(), [each._replace(seconds=0) for each in evaluations], told


def same_bits(one, other):
    assert list(one) == list(other)
    for path in one:
        assert one[path].tobytes() == other[path].tobytes(), path


# ---- Kept and gone on with -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("optimizer", "causal", "accumulate"),
    [("adamw", False, 2), ("adamw", True, 1), ("muon", False, 1), ("muon", True, 2)],
)
def test_a_stopped_run_goes_on_to_the_very_bits(tmp_path, at_every_step, optimizer, causal, accumulate):
    task = PretrainingTask(causal=causal, length=24, rows=4)
    recipe = replace(RECIPE, optimizer=optimizer, accumulate=accumulate)
    whole, evaluations, told = run(task, recipe)
    assert [each.step for each in evaluations] == [4, 8, 12]
    assert [each.pieces for each in evaluations] == [step * accumulate * 4 * 24 for step in (4, 8, 12)]
    kept = CheckpointFile(tmp_path / "run.safetensors")
    with pytest.raises(StoppedError):
        run(task, recipe, Monitor(stop_after(7), checkpoint=kept))
    # The snapshot is of the batch before: with accumulation, in the midst of a step.
    assert kept.read().position["at"]["batch"] == 7 * accumulate - 1
    resumed, evaluations_again, told_again = run(task, recipe, Monitor(checkpoint=kept))
    same_bits(whole, resumed)
    assert evaluations == evaluations_again
    assert [each.step for each in told] == [4, 8, 12]
    assert [each.step for each in told_again] == [8, 12], "only what is new is told"


def test_pairs_go_on_too(tmp_path, at_every_step):
    task = PretrainingTask(length=24, rows=4, pairs="order")
    whole, evaluations, _ = run(task, RECIPE)
    assert "order/kernel" in whole
    kept = CheckpointFile(tmp_path / "run.safetensors")
    with pytest.raises(StoppedError):
        run(task, RECIPE, Monitor(stop_after(5), checkpoint=kept))
    resumed, evaluations_again, _ = run(task, RECIPE, Monitor(checkpoint=kept))
    same_bits(whole, resumed)
    assert evaluations == evaluations_again


def test_a_run_may_be_made_longer_while_its_rate_is_stable(tmp_path, at_every_step):
    task = PretrainingTask(length=24, rows=4)
    longer = replace(RECIPE, steps=16)
    whole, evaluations, _ = run(task, longer)
    kept = CheckpointFile(tmp_path / "run.safetensors")
    with pytest.raises(StoppedError):
        run(task, RECIPE, Monitor(stop_after(9), checkpoint=kept))
    assert kept.read().position["at"]["batch"] == 8 < RECIPE.stable_until
    resumed, evaluations_again, _ = run(task, longer, Monitor(checkpoint=kept))
    same_bits(whole, resumed)
    assert evaluations == evaluations_again


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Where a finished run is kept."""
    kept = CheckpointFile(tmp_path_factory.mktemp("run") / "run.safetensors")
    whole, evaluations, _ = run(PretrainingTask(length=24, rows=4), RECIPE, Monitor(checkpoint=kept))
    again, evaluations_again, told = run(PretrainingTask(length=24, rows=4), RECIPE, Monitor(checkpoint=kept))
    same_bits(whole, again)
    assert (evaluations_again, told) == (evaluations, []), "the same command again finds what was found"
    return kept


@pytest.mark.parametrize("other", [{"steps": 16}, {"steps": 10}, {"decay": 0.5}, {"decay": 0.1}])
def test_once_the_rate_falls_the_length_is_settled(finished, other):
    with pytest.raises(ConfigError, match="the rate has begun to fall, towards step 12"):
        run(PretrainingTask(length=24, rows=4), replace(RECIPE, **other), Monitor(checkpoint=finished))


@pytest.mark.parametrize(
    "other",
    [
        {"learning_rate": 1e-3},
        {"warm_up": 4},
        {"weight_decay": 0.1},
        {"optimizer": "muon"},
        {"accumulate": 2},
        {"judge_every": 5},
    ],
)
def test_another_recipe_is_another_run(finished, other):
    with pytest.raises(ConfigError, match="another run"):
        run(PretrainingTask(length=24, rows=4), replace(RECIPE, **other), Monitor(checkpoint=finished))


def test_other_data_or_another_network_are_another_run(finished):
    with pytest.raises(ConfigError, match="another run"):
        run(PretrainingTask(length=24, rows=4), RECIPE, Monitor(checkpoint=finished), identity="other")
    with pytest.raises(ConfigError, match="another run"):
        run(PretrainingTask(length=24, rows=4, pairs="next"), RECIPE, Monitor(checkpoint=finished))


# ---- The loss --------------------------------------------------------------------------------


def test_the_loss_is_the_mean_over_the_asked_and_pairs_add_theirs():
    rng = np.random.default_rng(0)
    logits, order = rng.normal(size=(4, 5)).astype(np.float32), rng.normal(size=(3, 2)).astype(np.float32)
    truth, weights = np.array([1, 0, 4, 2], np.int32), np.array([1, 0, 1, 1], np.float32)
    which, counted = np.array([1, 0, 0], np.int32), np.array([1, 1, 0], np.float32)

    def nats(scores, true):
        return np.log(np.exp(scores).sum()) - scores[true]

    blanks = np.mean([nats(logits[i], truth[i]) for i in (0, 2, 3)])
    pairs = np.mean([nats(order[i], which[i]) for i in (0, 1)])
    outputs = {"logits": logits, "order": order}
    assert float(language_loss(outputs, (truth, weights))) == pytest.approx(blanks, rel=1e-5)
    both = float(language_loss(outputs, (truth, weights, which, counted)))
    assert both == pytest.approx(blanks + pairs, rel=1e-5)
    assert float(language_loss(outputs, (truth, np.zeros(4, np.float32)))) == 0


def test_a_loss_that_is_no_number_ends_the_run_at_its_step(tmp_path):
    kept = CheckpointFile(tmp_path / "run.safetensors")
    recipe = replace(RECIPE, learning_rate=1e30, warm_up=0, accumulate=2)
    with pytest.raises(DivergedError, match=r"the loss was (nan|inf) at batch \d+") as caught:
        run(PretrainingTask(length=24, rows=4), recipe, Monitor(checkpoint=kept))
    assert 1 < int(str(caught.value).split("batch ")[1].split()[0]) <= 24
    assert "lower the learning rate" in caught.value.next_step


@pytest.mark.parametrize("causal", [False, True])
def test_a_model_learns(causal):
    task = PretrainingTask(causal=causal, length=24, rows=8)
    recipe = LanguageRecipe(80, learning_rate=1e-2, warm_up=5, judge_every=10)
    _, evaluations, _ = run(task, recipe, dropout=0.0)
    assert evaluations[-1].loss < evaluations[0].loss - 0.3


# ---- Accumulation ----------------------------------------------------------------------------


@pytest.mark.parametrize(("optimizer", "agree"), [("adamw", 0.99), ("muon", 0.9)])
def test_two_small_batches_make_the_step_of_one_large_one(optimizer, agree):
    """Both halves ask as often, so that the mean of their means is the mean of all.

    Muon makes every direction of a matrix count alike, those in which there is little but rounding too.
    """
    task = PretrainingTask(length=24, rows=4, causal=False, mask_rate=0.25, whole_words=False)
    draw = batches(task)
    halves = [draw(0), draw(1)]
    assert all(weights.all() for _, (_, weights) in halves)
    (a, b) = halves
    at = np.concatenate([a[0][4], b[0][4] + 4 * 24])
    joined = (
        (*(np.concatenate(pair) for pair in zip(a[0][:4], b[0][:4], strict=True)), at),
        tuple(np.concatenate(pair) for pair in zip(a[1], b[1], strict=True)),
    )
    moved, losses = [], []
    for accumulate, parts in ((1, [joined]), (2, halves)):
        model = make_model()
        before = model.weights()
        recipe = LanguageRecipe(
            10, learning_rate=1e-2, warm_up=1, optimizer=optimizer, accumulate=accumulate, weight_decay=0.1
        )
        stepper = make_stepper(model.network, language_loss, make_optimizer(recipe))
        losses.append(np.mean([stepper.step(*part) for part in parts]))
        stepper.settle()
        after = model.weights()
        moved.append({path: after[path] - before[path] for path in before})
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for path, change in moved[0].items():
        other = moved[1][path]
        if np.abs(change).max() < 1e-7:  # a key's bias changes nothing: its gradient is rounding only
            continue
        cosine = (change * other).sum() / np.sqrt((change**2).sum() * (other**2).sum())
        assert cosine > agree, path
        assert np.abs(other).sum() == pytest.approx(np.abs(change).sum(), rel=0.05), path


def test_the_weights_stay_until_all_parts_are_in():
    model, draw = make_model(), batches(PretrainingTask(length=24, rows=4))
    recipe = LanguageRecipe(10, accumulate=3, warm_up=1)
    stepper = make_stepper(model.network, language_loss, make_optimizer(recipe))
    before = model.weights()
    for number in (0, 1):
        stepper.step(*draw(number))
        same_bits(before, model.weights())
    stepper.step(*draw(2))
    assert (model.weights()["words/embeddings"] != before["words/embeddings"]).any()
