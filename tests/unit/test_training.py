"""The training loop: it learns, stops, resumes to the bit, survives Ctrl-C, and never keeps a NaN."""

from __future__ import annotations

import math
import resource

import keras
import numpy as np
import pytest
from keras import ops

from sopan.errors import ConfigError, ModelFolderError
from sopan.text.batch import bucket_lengths, clip
from sopan.training import loop
from sopan.training.backend import make_forward, read_all
from sopan.training.checkpoint import CheckpointFile
from sopan.training.classification import Classification, Examples, cross_entropy, scorer, train_classifier
from sopan.training.optimizer import WarmUpDecay, adamw
from sopan.training.recipe import DivergedError, Monitor, Recipe
from sopan.types import Encoded

RNG = np.random.default_rng(3)
LABELS = RNG.integers(0, 2, 120)
LENGTHS = RNG.integers(3, 30, 120)
IDS = np.concatenate(
    [
        np.where(RNG.random(n) < 0.4, 2 + y, RNG.integers(4, 20, n))
        for n, y in zip(LENGTHS, LABELS, strict=True)
    ]
)
TEXTS = clip(Encoded(IDS.astype(np.int32), np.concatenate([[0], np.cumsum(LENGTHS)])), 20, 24)
EXAMPLES = Examples(TEXTS, LABELS, np.ones(120, np.float32))
BUCKETS = bucket_lengths(TEXTS.lengths, 24)
RECIPE = Recipe(learning_rate=0.01, epochs=3, batch_words=256, batch_texts=8, word_dropout=0.2)
VALIDATION = (TEXTS.rows(0, 60), scorer(LABELS[:60]))


def network(seed=0):
    """The mean of word vectors, dropout, two logits."""
    ids, mask = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="bool")
    start = keras.initializers.RandomNormal(seed=seed)
    vectors = keras.layers.Embedding(22, 8, embeddings_initializer=start, name="words")(ids)
    seen = ops.cast(mask, "float32")[..., None]
    mean = ops.sum(vectors * seen, axis=1) / ops.maximum(ops.sum(seen, axis=1), 1)
    dropped = keras.layers.Dropout(0.3, seed=seed + 1)(mean)
    start = keras.initializers.GlorotUniform(seed + 2)
    return keras.Model(
        [ids, mask], {"logits": keras.layers.Dense(2, kernel_initializer=start, name="logits")(dropped)}
    )


def weights_of(model):
    return [np.array(weight) for weight in model.get_weights()]


def logits_of(model, texts=TEXTS):
    return read_all(make_forward(model, ["logits"]), texts, BUCKETS, 2)


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


class Kept:
    """A checkpoint in memory that remembers every snapshot, and may break off after one of them."""

    def __init__(self, last=None, stop_after=None):
        self.last, self.stop_after, self.count = last, stop_after, 0

    def read(self):
        return self.last

    def write(self, snapshot):
        self.last, self.count = snapshot, self.count + 1
        if self.count == self.stop_after:
            raise SystemExit("killed")


def test_learns_and_keeps_the_best_epoch():
    model = network()
    trained = train_classifier(model, EXAMPLES, RECIPE, BUCKETS, seed=1, validation=VALIDATION)
    scores = [(epoch.score, -epoch.log_loss) for epoch in trained.epochs]
    best = scores[trained.best_epoch - 1]
    assert best == max(scores)
    assert VALIDATION[1](logits_of(model, VALIDATION[0]))[0] == best[0] > 0.9
    assert 0 < trained.padding < 0.5
    assert not trained.interrupted


def test_few_texts_are_gone_through_more_often():
    trained = train_classifier(network(), EXAMPLES, RECIPE, BUCKETS, seed=1)
    steps_an_epoch = 120 // 8
    assert len(trained.epochs) >= RECIPE.min_steps / (steps_an_epoch + len(BUCKETS))
    assert trained.best_epoch == len(trained.epochs)
    assert trained.epochs[0].score is None


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    found = []
    for seed in (1, 1, 2):
        model = network()
        train_classifier(model, EXAMPLES, RECIPE, BUCKETS, seed=seed, validation=VALIDATION)
        found.append(weights_of(model))
    assert same(found[0], found[1])
    assert not same(found[0], found[2])


@pytest.mark.parametrize("stop_after", [1, 4, 9])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(monkeypatch, stop_after):
    whole = network()
    expected = train_classifier(whole, EXAMPLES, RECIPE, BUCKETS, seed=1, validation=VALIDATION)
    monkeypatch.setattr(loop, "SNAPSHOT_SECONDS", 0.0)  # after every step, also amid an epoch
    broken = Kept(stop_after=stop_after)
    with pytest.raises(SystemExit):
        train_classifier(
            network(),
            EXAMPLES,
            RECIPE,
            BUCKETS,
            seed=1,
            validation=VALIDATION,
            monitor=Monitor(checkpoint=broken),
        )
    resumed = network(seed=50)  # whatever it starts from, the snapshot decides
    going_on = Kept(broken.last)
    trained = train_classifier(
        resumed,
        EXAMPLES,
        RECIPE,
        BUCKETS,
        seed=1,
        validation=VALIDATION,
        monitor=Monitor(checkpoint=going_on),
    )
    assert same(weights_of(resumed), weights_of(whole))
    assert trained.epochs == expected.epochs
    np.testing.assert_array_equal(logits_of(resumed), logits_of(whole))


def test_a_finished_run_is_not_run_again(tmp_path):
    file = CheckpointFile(tmp_path / "kept" / "trial-0.safetensors")
    first, again = network(), network(seed=9)
    told = []
    train_classifier(
        first, EXAMPLES, RECIPE, BUCKETS, seed=1, validation=VALIDATION, monitor=Monitor(checkpoint=file)
    )
    watched = Monitor(told.append, checkpoint=file)
    trained = train_classifier(
        again, EXAMPLES, RECIPE, BUCKETS, seed=1, validation=VALIDATION, monitor=watched
    )
    assert same(weights_of(first), weights_of(again))
    assert not told
    assert trained.epochs


@pytest.mark.parametrize("change", ["seed", "recipe", "texts", "labels"])
def test_a_snapshot_of_another_run_is_refused(change):
    kept = Kept(stop_after=1)
    with pytest.raises(SystemExit):
        train_classifier(network(), EXAMPLES, RECIPE, BUCKETS, seed=1, monitor=Monitor(checkpoint=kept))
    examples, recipe, seed = EXAMPLES, RECIPE, 1
    if change == "seed":
        seed = 2
    elif change == "recipe":
        recipe = Recipe(**{**{f: getattr(RECIPE, f) for f in RECIPE.__slots__}, "learning_rate": 0.02})
    elif change == "labels":
        examples = EXAMPLES._replace(labels=1 - LABELS)
    else:
        other = TEXTS.encoded.ids.copy()
        other[0] = 5 if other[0] != 5 else 6
        examples = EXAMPLES._replace(texts=TEXTS._replace(encoded=Encoded(other, TEXTS.encoded.offsets)))
    with pytest.raises(ConfigError, match="another run"):
        train_classifier(
            network(), examples, recipe, BUCKETS, seed=seed, monitor=Monitor(checkpoint=Kept(kept.last))
        )


def test_one_flipped_bit_in_a_checkpoint_is_found(tmp_path):
    file = CheckpointFile(tmp_path / "trial-0.safetensors")
    train_classifier(network(), EXAMPLES, RECIPE, BUCKETS, seed=1, monitor=Monitor(checkpoint=file))
    content = bytearray(file.path.read_bytes())
    content[-20] ^= 1
    file.path.write_bytes(content)
    with pytest.raises(ModelFolderError, match="damaged"):
        file.read()


def test_a_loss_that_is_no_number_stops_before_anything_is_kept():
    wild = Examples(TEXTS, LABELS, np.full(120, np.nan, np.float32))
    with pytest.raises(DivergedError, match=r"nan at batch 1 \(epoch 1 of \d+\)"):
        train_classifier(network(), wild, RECIPE, BUCKETS, seed=1)


def test_a_loss_that_is_no_number_later_leaves_the_best_weights():
    model, weights = network(), np.ones(120, np.float32)
    examples = Examples(TEXTS, LABELS, weights)
    best = []

    def spoil(progress):
        if progress.validation is not None and not best:  # after the first epoch
            best.append(weights_of(model))
            weights[:] = np.nan

    trained = train_classifier(
        model, examples, RECIPE, BUCKETS, seed=1, validation=VALIDATION, monitor=Monitor(spoil)
    )
    assert "(epoch 2 of" in trained.diverged
    assert len(trained.epochs) == 1
    assert same(weights_of(model), best[0])


def test_ctrl_c_keeps_the_best_epoch_so_far():
    def press(progress):
        if progress.validation is not None:
            raise KeyboardInterrupt

    model = network()
    trained = train_classifier(
        model, EXAMPLES, RECIPE, BUCKETS, seed=1, validation=VALIDATION, monitor=Monitor(press)
    )
    assert trained.interrupted
    assert len(trained.epochs) == 1
    assert np.isfinite(logits_of(model)).all()


def test_ctrl_c_before_the_first_epoch_is_over_is_ctrl_c(monkeypatch):
    def press(progress):
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "PROGRESS_SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        train_classifier(network(), EXAMPLES, RECIPE, BUCKETS, seed=1, monitor=Monitor(press))


def test_stops_when_no_epoch_gets_better():
    calls = iter([0.9, 0.8, 0.7, 0.95, 0.96])
    recipe = Recipe(epochs=50, patience=1, batch_words=256, batch_texts=8)
    trained = train_classifier(
        network(), EXAMPLES, recipe, BUCKETS, seed=1, validation=(TEXTS, lambda logits: (next(calls), 1.0))
    )
    assert [epoch.score for epoch in trained.epochs] == [0.9, 0.8]
    assert trained.best_epoch == 1


def test_tensorboard_gets_the_losses(tmp_path):
    train_classifier(
        network(), EXAMPLES, RECIPE, BUCKETS, seed=1, validation=VALIDATION, monitor=Monitor(logs=tmp_path)
    )
    (file,) = tmp_path.glob("events.out.tfevents.*")
    content = file.read_bytes()
    assert b"train/loss" in content
    assert b"validation/score" in content


# ---- the optimiser -----------------------------------------------------------------------------------------


def test_the_rate_rises_then_falls_by_hand():
    line = WarmUpDecay(1.0, 9, warm_up=0.2, decay="linear")
    assert [float(line(step)) for step in (0, 1, 5, 8)] == pytest.approx([0.5, 1.0, 0.5, 0.125], abs=1e-6)
    wave = WarmUpDecay(1.0, 9, warm_up=0.2, decay="cosine")
    assert [float(wave(step)) for step in (1, 5, 8)] == pytest.approx(
        [1.0, 0.5, 0.5 + 0.5 * math.cos(math.pi * 0.875)], abs=1e-6
    )
    assert WarmUpDecay.from_config(line.get_config()).get_config() == line.get_config()


@pytest.mark.parametrize("slower", [None, 0.25])
def test_adamw_equals_its_formula_and_spares_the_bias(slower):
    """A factor for the kernel shortens its step and its decay, and not those of the bias."""
    kernel, bias = keras.Variable(np.array([[2.0, -1.0]]), name="kernel"), keras.Variable([3.0], name="bias")
    schedule, decay = WarmUpDecay(0.1, 4, warm_up=0.0, decay="linear"), 0.5
    optimizer = adamw(schedule, decay, () if slower is None else (("ker", slower), ("", 1.0)))
    optimizer.build([kernel, bias])
    gradients = [[np.array([[3.0, 0.0]]), np.array([4.0])], [np.array([[0.1, 0.2]]), np.array([0.2])]]
    values = [np.array([[2.0, -1.0]]), np.array([3.0])]
    first, second = [0.0, 0.0], [0.0, 0.0]
    for t, given in enumerate(gradients, 1):
        length = math.sqrt(sum(float((g**2).sum()) for g in given))
        clipped = [g / max(1.0, length) for g in given]
        rate = 0.1 * (1 - t / 5)
        for i, g in enumerate(clipped):
            first[i] = 0.9 * first[i] + 0.1 * g
            second[i] = 0.999 * second[i] + 0.001 * g**2
            own = rate * (slower or 1.0) if i == 0 else rate
            if i == 0:
                values[i] = values[i] - own * decay * values[i]
            step = (first[i] / (1 - 0.9**t)) / (np.sqrt(second[i] / (1 - 0.999**t)) + 1e-7)
            values[i] = values[i] - own * step
        optimizer.apply([ops.convert_to_tensor(g, "float32") for g in given], [kernel, bias])
    np.testing.assert_allclose(np.array(kernel), values[0], rtol=1e-4)
    np.testing.assert_allclose(np.array(bias), values[1], rtol=1e-4)


def test_the_loss_equals_its_formula():
    rng = np.random.default_rng(0)
    logits, labels, weights = rng.normal(size=(4, 3)), np.array([0, 2, 1, 1]), np.array([1.0, 2.0, 0.5, 0.0])
    smooth = 0.3
    total = 0.0
    for row in range(4):
        p = np.exp(logits[row]) / np.exp(logits[row]).sum()
        target = [smooth / 3 + (1 - smooth) * (label == labels[row]) for label in range(3)]
        total += weights[row] * -sum(t * math.log(q) for t, q in zip(target, p, strict=True))
    found = cross_entropy(smooth)(
        {"logits": ops.convert_to_tensor(logits)}, (labels, weights.astype(np.float32))
    )
    assert float(found) == pytest.approx(total / weights.sum(), rel=1e-5)


def test_imbalanced_classes_are_judged_by_macro_f1():
    even, uneven = np.array([0, 1] * 4), np.array([0] * 9 + [1])
    all_zero = np.array([[1.0, 0.0]] * 10)
    assert scorer(uneven)(all_zero)[0] == pytest.approx(0.5 * (2 * 9 / (2 * 9 + 1)))
    assert scorer(even)(all_zero[:8])[0] == 0.5
    assert scorer(even)(all_zero[:8])[1] == pytest.approx(
        -0.5 * (math.log(0.26894142) + math.log(0.73105858))
    )


def test_every_epoch_has_an_order_of_its_own():
    task = Classification(network(), EXAMPLES, RECIPE, BUCKETS, 1, None)
    orders = [np.concatenate([rows for rows, _, _ in task.plan(epoch)]).tolist() for epoch in (0, 1, 0)]
    assert orders[0] == orders[2] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1])


def test_texts_of_all_lengths_do_not_make_memory_grow():
    """600 calls of varying shapes took a `tf.function` from 530 to 2,376 MB."""
    forward = make_forward(network(), ["logits"])
    rng = np.random.default_rng(0)

    def call(times):
        for _ in range(times):
            shape = (int(rng.integers(1, 40)), int(rng.integers(1, 500)))
            assert np.isfinite(
                forward(rng.integers(0, 22, shape).astype(np.int32), np.ones(shape, bool))[0]
            ).all()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    warm = call(100)
    assert call(600) - warm < 50
