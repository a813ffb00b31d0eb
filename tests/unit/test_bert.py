"""The step `bert`: where it starts, what it reads of long texts, which layers learn, what each word did."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
from conftest import need
from family_folders import make_folder
from quick_steps import EIGHT, LABELS, SOIL_OR_SEA, TEXTS, brief, eagerly, quick

from sopan.errors import ConfigError, DataError, SopanError
from sopan.fit.artifact import load_model, save_model
from sopan.lm.hugging_face import save_hugging_face
from sopan.runtime.encoder_config import bert_config
from sopan.steps import make_step
from sopan.steps.bert_network import Adaptation, Start, adapted
from sopan.steps.language_model import LanguageModel
from sopan.steps.training_data import Memo
from sopan.text.arrow import as_texts
from sopan.text.packing import Rows
from sopan.text.wordpiece import SPECIALS, WordPiece
from sopan.training.checkpoint import CheckpointFile
from sopan.training.recipe import Monitor

LETTERS = [*"abcdefghijklmnopqrstuvwxyz!"]
PIECES = [*SPECIALS, *LETTERS, "soil", "sea", *(f"##{letter}" for letter in LETTERS[:-1])]
LIKE_BEFORE = {"learning_rate": 1e-8, "epochs": 1, "min_steps": 1, "dropout": 0.0, "layer_decay": 1.0}
"""Settings under which fitting changes no weight that a language model has by anything to speak of."""


def small_model(*, causal=False, seed=0):
    """Return a language model with weights that are random, and not small."""
    config = bert_config(
        width=16, depth=2, heads=2, inner=32, max_length=24, dropout=0.0, attention_dropout=0.0
    )
    model = LanguageModel.make(
        replace(config, causal=causal), WordPiece.of(PIECES), seed=seed, pairs=not causal
    )
    rng = np.random.default_rng(seed)
    noise = {path: 0.2 * rng.normal(size=value.shape) for path, value in sorted(model.weights().items())}
    model.set_weights({path: value + noise[path] for path, value in model.weights().items()})
    return model


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "small"
    save_hugging_face(small_model(), folder, card="A small one.")
    return str(folder)


TWO, NAMES = ["a soil b", "the sea !", "soil soil", "sea"], ["soil", "sea", "soil", "sea"]


def from_preset(preset, **settings):
    with eagerly():
        return make_step("bert", **{"preset": preset, **LIKE_BEFORE, **settings}).fit(TWO, NAMES)


# ---- what it starts from -----------------------------------------------------------------------------------


@pytest.mark.parametrize("summary", ["mean", "cls", "first", "third", "joined"])
def test_it_reads_what_transformers_reads(preset, summary):
    """Both cut the texts, set the marks and fill up by themselves; `cls` goes through the preset's pooler.

    Of two blocks the third from the top is the lower one.
    """
    need("transformers")
    need("torch")
    import torch
    from transformers import AutoModelForPreTraining, AutoTokenizer

    texts = ["The SEA, and a soil!", "", "wörter 7 sea", "z"]
    peer = AutoModelForPreTraining.from_pretrained(preset).bert.eval()
    encoded = AutoTokenizer.from_pretrained(preset)(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        found = peer(**encoded, output_hidden_states=True)
    mask = encoded["attention_mask"].numpy()[..., None]
    mean, third = ((found.hidden_states[i].numpy() * mask).sum(1) / mask.sum(1) for i in (-1, 1))
    first, cls = found.last_hidden_state[:, 0].numpy(), found.pooler_output.numpy()
    theirs = {"mean": mean, "cls": cls, "first": first, "third": third}
    theirs["joined"] = np.concatenate([mean, first, third], axis=1)
    estimator = from_preset(preset, summary=summary)
    np.testing.assert_allclose(estimator.transform(texts), theirs[summary], atol=1e-4)


def test_a_saved_model_needs_no_preset(tmp_path, preset):
    copied = shutil.copytree(preset, tmp_path / "preset")
    estimator = from_preset(str(copied), long_texts="windows", max_length=8, summary="cls")
    texts = [*TWO, "", "a b c d e f g h i j k l", "7 ॐ"]
    save_model(estimator, tmp_path / "model", data={}, metrics={})
    shutil.rmtree(copied)
    card = (tmp_path / "model" / "README.md").read_text()
    assert "features, from the preset" in card
    assert "from the training texts alone" not in card
    again = load_model(tmp_path / "model")
    np.testing.assert_array_equal(again.logits(texts), estimator.logits(texts))
    assert again.wordpiece_.pieces == tuple(PIECES)
    assert again.config_ == estimator.config_


def test_a_preset_that_is_not_there_is_named():
    with pytest.raises(SopanError, match="nowhere") as refusal:
        make_step("bert", preset="./nowhere/at-all").fit(EIGHT, SOIL_OR_SEA)
    assert refusal.value.next_step


def test_what_does_not_go_with_the_preset_is_refused(preset):
    with pytest.raises(ConfigError, match="frozen_layers=4"):
        from_preset(preset, frozen_layers=4)
    with pytest.raises(ConfigError, match="frozen_layers='most'") as refusal:
        make_step("bert", frozen_layers="most").check_settings()
    assert refusal.value.next_step == "give a whole number from 0 to 1000, or choices: 'half'"
    with pytest.raises(ConfigError, match="depth"):
        make_step("bert", depth=0, preset="scratch").fit(TWO, NAMES)


def test_letters_are_words_and_punctuation_is_not(preset):
    with pytest.raises(DataError, match="no words"):
        make_step("bert", preset=preset).fit(["!", "!!", " ", "! !"], NAMES)


def test_a_causal_model_can_be_taken_up_but_not_by_its_first_piece():
    """What its last pieces have seen counts; the first has seen nothing."""
    causal = small_model(causal=True)
    estimator = make_step("bert", **LIKE_BEFORE, summary="cls")
    estimator.wordpiece_, estimator.config_ = causal.wordpiece, causal.config
    with pytest.raises(ConfigError, match="causal"):
        estimator._check()


# ---- which layers learn ------------------------------------------------------------------------------------


def moved(preset, **settings):
    """Return by how much training moved each weight that came from the preset, at most."""
    before = small_model().weights()
    after = from_preset(preset, learning_rate=0.01, weight_decay=0.0, **settings).state().arrays
    common = [path for path in after if path in before and "segment" not in path]
    return {path: float(np.abs(after[path] - before[path]).max()) for path in common}


def test_frozen_layers_stay_as_they_were(preset):
    found = moved(preset, frozen_layers=2)
    low = {path for path in found if path.startswith(("words", "positions", "input_norm", "block_0"))}
    assert 10 < len(low) < len(found)
    assert {path for path, distance in found.items() if distance == 0} == low
    assert all(moved(preset, frozen_layers=0).values())


def test_unless_told_otherwise_the_vectors_of_a_presets_pieces_stay_as_they_were(preset):
    found = moved(preset)
    lowest = {path for path in found if path.startswith(("words", "positions", "input_norm"))}
    assert {path for path, distance in found.items() if distance == 0} == lowest
    with eagerly():
        scratch = make_step("bert", preset="scratch", width=8, depth=1, heads=2, inner=16, **LIKE_BEFORE)
        scratch.fit(EIGHT, SOIL_OR_SEA)
    assert not scratch.network_.non_trainable_weights


def test_each_layer_learns_slower_than_the_one_above(preset):
    """The first step of Adam is as long as the rate, whatever the gradient: here it is the only one."""
    found = moved(preset, layer_decay=0.5, warm_up=0.0, frozen_layers=0)
    rate = max(found.values()) / 0.5
    for start, factor in {"block_1": 0.5, "block_0": 0.25, "words": 0.125, "positions": 0.125}.items():
        farthest = max(distance for path, distance in found.items() if path.startswith(start))
        assert farthest == pytest.approx(rate * factor, rel=1e-2), start


# ---- long texts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("long_texts", "read"), [("head", "a b c d e f"), ("head+tail", "a b c j k l")], ids=["head", "both ends"]
)
def test_what_is_cut_away_says_so_and_changes_nothing(preset, long_texts, read):
    estimator = from_preset(preset, long_texts=long_texts, max_length=8)
    found = estimator.read(["a b c d e f g h i j k l", read, "a b c d e f g"])
    assert found.truncated.tolist() == [True, False, True]
    np.testing.assert_array_equal(found.logits[0], found.logits[1])


def test_a_window_is_no_longer_than_the_preset_has_places(preset):
    estimator = from_preset(preset, max_length=512, max_windows=1)
    assert estimator.read(["a " * 22, "a " * 23]).truncated.tolist() == [False, True]


def test_unless_told_otherwise_long_texts_are_read_whole(preset):
    estimator = from_preset(preset, max_length=8)
    found = estimator.read(["a b c d e f " * 8, "a b c d e f"])
    assert found.truncated.tolist() == [False, False]
    np.testing.assert_allclose(found.logits[0], found.logits[1], rtol=1e-5)  # the mean of eight equal windows


@pytest.mark.parametrize("pool", ["mean", "max"])
def test_windows_are_read_apart_and_pooled(preset, pool):
    estimator = from_preset(preset, long_texts="windows", pool=pool, max_length=8, max_windows=2)
    parts = ["a b c d e f", "g h i j k"]
    found = estimator.read([" ".join(parts), *parts, "a " * 13])
    assert found.truncated.tolist() == [False, False, False, True]
    pooled = found.logits[1:3].mean(axis=0) if pool == "mean" else found.logits[1:3].max(axis=0)
    np.testing.assert_allclose(found.logits[0], pooled, atol=1e-6)
    vectors = estimator.transform([" ".join(parts), *parts])
    np.testing.assert_allclose(vectors[0], vectors[1:].mean(axis=0), atol=1e-6)


def test_long_texts_are_learnt_window_by_window():
    """What tells the classes apart stands in the last window, and validation texts are judged whole."""
    filler = "the old captain rows the dinghy and mends the nets " * 2
    texts = [f"{filler}{word}" for word in ("roses", "gulls") * 4]
    labels = ["soil", "sea"] * 4
    with eagerly():
        estimator = brief(
            "bert", long_texts="windows", max_length=12, pool="max", learning_rate=0.02, min_steps=30
        )
        estimator.fit(texts, labels, validation=(texts, labels))
    assert estimator.windows(as_texts(texts)).counts.tolist() == [3] * 8
    assert estimator.trained_.epochs[estimator.trained_.best_epoch - 1].score == 1.0
    assert estimator.predict(texts).tolist() == labels


# ---- evidence ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pool", ["mean", "max"])
def test_the_evidence_is_of_words_and_adds_up_over_windows(preset, pool):
    estimator = from_preset(preset, long_texts="windows", pool=pool, max_length=8)
    text = "Soil, sea! [MASK] abc xyz soils a b c d e"
    found = estimator.evidence(text)
    assert found.tokens.words == (
        *("soil", ",", "sea", "!", "[", "mask", "]", "abc", "xyz", "soils"),
        *"abcde",
    )
    assert [text[a:b].lower() for a, b in zip(found.tokens.starts, found.tokens.ends, strict=True)] == list(
        found.tokens.words
    )
    unread = [found.tokens.words[i] for i in np.flatnonzero(~found.read)]
    assert unread == [",", "[", "]"]
    assert not found.contributions[~found.read].any()
    gap = found.base + found.contributions.sum(axis=0) - found.logits
    assert np.abs(gap).max() <= 0.03 * max(1.0, np.abs(found.logits - found.base).max())
    np.testing.assert_allclose(found.logits, estimator.logits([text])[0], atol=1e-6)
    assert [weights.shape for weights in found.attention] == [(1, 15, 15)] * 2


def test_attention_between_words_is_that_between_their_pieces_by_hand(preset):
    estimator = from_preset(preset)
    found = estimator.evidence("sea abc soil")
    pieces = ("[CLS]", "sea", "a", "##b", "##c", "soil", "[SEP]")
    ids = np.array([[estimator.wordpiece_.id_of(piece) for piece in pieces]], np.int32)
    layers = estimator.network_([ids, np.ones_like(ids, bool)], training=False)["attention"]
    for ours, theirs in zip(found.attention, layers, strict=True):
        pieces = np.asarray(theirs)[0]
        assert ours.shape == (2, 3, 3)
        np.testing.assert_allclose(ours[:, 0, 1], pieces[:, 1, 2:5].sum(axis=-1), atol=1e-5)
        np.testing.assert_allclose(ours[:, 1, 0], pieces[:, 2:5, 1].mean(axis=-1), atol=1e-5)
        np.testing.assert_allclose(ours[:, 1, 1], pieces[:, 2:5, 2:5].sum(axis=-1).mean(axis=-1), atol=1e-5)


def test_words_that_were_cut_out_are_neither_read_nor_attended(preset):
    found = from_preset(preset, max_length=6, long_texts="head+tail").evidence("a b c d e f g h")
    assert found.read.tolist() == [True, True, False, False, False, False, True, True]
    assert found.attended.tolist() == [0, 1, 6, 7]


def test_a_special_piece_written_in_a_text_is_text(preset):
    estimator = from_preset(preset)
    assert estimator.read(["[PAD]", "[UNK] 7", "7"]).no_known_words.tolist() == [False, False, True]
    assert estimator.windows(as_texts(["[SEP]"])).clipped.encoded.ids.tolist() == [
        estimator.wordpiece_.id_of(piece) for piece in ("[CLS]", "[UNK]", "s", "##e", "##p", "[UNK]", "[SEP]")
    ]


# ---- reading the texts at hand -----------------------------------------------------------------------------


RHYMES = ["a b c d e f g h i j", "j i h g f e d c b a"] * 40


def loss_of(weights, texts):
    """Return the mean loss over every piece hidden in its turn."""
    model = small_model()
    model.set_weights({**model.weights(), **weights})
    piece, losses = model.wordpiece.id_of, []
    for text in texts:
        ids = np.array([[piece("[CLS]"), *map(piece, text.split()), piece("[SEP]")]], np.int32)
        ones, places = np.ones_like(ids), np.arange(ids.size, dtype=np.int32)[None]
        for at in range(1, ids.size - 1):
            hidden = ids.copy()
            hidden[0, at] = piece("[MASK]")
            logits = model.logits(Rows(hidden, ones, places, 0 * ones), np.array([at], np.int32))[0]
            losses.append(np.log(np.exp(logits).sum()) - logits[ids[0, at]])
    return float(np.mean(losses))


def taken_up(preset):
    from sopan.steps.presets import preset_bert

    return Start.of(preset_bert(preset), 0.0)


def test_adapting_learns_what_fills_the_blanks_of_the_texts(preset):
    start = taken_up(preset)
    how = Adaptation(steps=150, seconds=None, rate=0.01, precision="float32", seed=0)
    found = adapted(start, as_texts(RHYMES), how, Monitor())
    before, after = loss_of(start.weights, RHYMES[:2]), loss_of(found.weights, RHYMES[:2])
    assert before > 3
    assert after < 0.6 * before
    again = adapted(start, as_texts(RHYMES), how, Monitor())
    for path, value in found.weights.items():
        np.testing.assert_array_equal(again.weights[path], value, err_msg=path)


def test_a_preset_without_a_head_grows_one_which_learns_first(preset, monkeypatch):
    whole = taken_up(preset)
    body = {path: array for path, array in whole.weights.items() if not path.startswith("predict")}
    start = replace(whole, weights=body, fills_blanks=False)
    how = Adaptation(steps=4, seconds=None, rate=0.01, precision="float32", seed=0)
    with eagerly():
        found = adapted(start, as_texts(RHYMES), how, Monitor())
        monkeypatch.setattr("sopan.steps.bert_network.HEAD_SHARE", 1.0)
        still = adapted(start, as_texts(RHYMES), how, Monitor())
    assert found.fills_blanks
    assert found.weights.keys() == whole.weights.keys()
    blocks = [path for path in body if path.startswith("block_")]
    assert all(np.array_equal(still.weights[path], body[path]) for path in body)
    assert not any(np.array_equal(found.weights[path], body[path]) for path in blocks)
    assert loss_of(still.weights, RHYMES[:2]) < loss_of(start.weights, RHYMES[:2])


def test_a_limit_of_time_makes_fewer_steps_from_the_same_start(preset):
    told = []
    how = Adaptation(steps=1_000_000, seconds=0.5, rate=1e-3, precision="float32", seed=0)
    adapted(taken_up(preset), as_texts(RHYMES), how, Monitor(on_progress=told.append))
    assert all(progress.total < 100_000 for progress in told)


def test_unlabelled_texts_are_read_where_there_are_some_and_trials_share_it(preset):
    def fit(memo=None, **more):
        return make_step("bert", **{"preset": preset, **LIKE_BEFORE}).fit(TWO, NAMES, memo=memo, **more)

    with eagerly():
        alone, memo = fit().transform(TWO), Memo()
        first = fit(memo, unlabelled=RHYMES).transform(TWO)
        reused = memo.reused_seconds
        assert np.abs(first - alone).max() > 1e-3
        np.testing.assert_array_equal(fit(memo, unlabelled=RHYMES).transform(TWO), first)
        assert memo.reused_seconds > reused
        unread = fit(unlabelled=["!"]).transform(TWO)
    np.testing.assert_array_equal(unread, alone)  # too little to teach anything


def test_validation_texts_are_not_read_before_they_judge(preset):
    with eagerly():
        found = [
            make_step("bert", **{"preset": preset, **LIKE_BEFORE, "adapt_steps": 3})
            .fit(TWO, NAMES, unlabelled=RHYMES, validation=(judges, ["soil", "sea"]))
            .transform(TWO)
            for judges in (["x y z"] * 2, ["soil soil", "sea sea"])
        ]
    np.testing.assert_array_equal(*found)


def test_it_computes_in_half_precision_where_asked():
    with eagerly():
        exact, rough = (brief("bert", precision=p).fit(EIGHT, SOIL_OR_SEA) for p in ("float32", "bfloat16"))
    assert rough.predict(EIGHT).tolist() == SOIL_OR_SEA
    assert all(array.dtype == np.float32 for array in rough.state().arrays.values())
    assert rough.transform(EIGHT).dtype == exact.transform(EIGHT).dtype == np.float32
    assert rough.evidence(EIGHT[0]).read.any()


def test_its_pieces_have_vectors():
    estimator = quick("bert", min_steps=1).fit(TEXTS, LABELS)
    vectors = estimator.word_vectors
    assert vectors.words == estimator.wordpiece_.pieces
    assert vectors["gulls"].shape == (32,)


# ---- layers that do not learn are read once ----------------------------------------------------------------


def learnt(preset, monkeypatch, *, apart, **settings):
    """Return the weights that training with frozen layers comes to, these read once or in every epoch."""
    with monkeypatch.context() as patch, eagerly():
        if not apart:
            patch.setattr(type(make_step("bert")), "_halves", lambda self: None)
        chosen = {"frozen_layers": 2, "learning_rate": 0.01, "epochs": 3, "dropout": 0.2, **settings}
        estimator = make_step("bert", **{"preset": preset, "max_length": 8, "min_steps": 6, **chosen})
        judges = (["sea a b", "the soil a b c d e f g h i"], ["sea", "soil"])
        estimator.fit(TWO, NAMES, validation=judges)
    return estimator.state().arrays, estimator.trained_


@pytest.mark.parametrize(
    "settings",
    [
        {"frozen_layers": "half"},
        {"summary": "cls", "frozen_layers": 3},
        {"summary": "joined", "frozen_layers": 3},
        {"precision": "bfloat16"},
    ],
    ids=str,
)
def test_frozen_layers_that_are_read_once_give_what_those_read_every_epoch_give(
    preset, monkeypatch, settings
):
    """What learns drops the same numbers either way; what does not drops none."""
    (once, first), (always, second) = (
        learnt(preset, monkeypatch, apart=apart, **settings) for apart in (True, False)
    )
    assert once.keys() == always.keys()
    tolerance = 0.02 if "precision" in settings else 2e-4
    for path, value in always.items():
        np.testing.assert_allclose(once[path], value, atol=tolerance, err_msg=path)
    np.testing.assert_allclose(
        [epoch.loss for epoch in first.epochs], [epoch.loss for epoch in second.epochs], rtol=tolerance
    )
    assert [epoch.score for epoch in first.epochs] == [epoch.score for epoch in second.epochs]


@pytest.mark.parametrize("family", ["electra", "mpnet"])
def test_so_do_those_of_berts_relatives(tmp_path, monkeypatch, family):
    """ELECTRA's vectors are narrower than its blocks; MPNet adds a number for each distance to all scores."""
    need("transformers")
    need("torch")
    make_folder(family, tmp_path / family, [*TEXTS, *TWO])
    (once, _), (always, _) = (
        learnt(str(tmp_path / family), monkeypatch, apart=apart, learning_rate=1e-3)
        for apart in (True, False)
    )
    for path, value in always.items():
        np.testing.assert_allclose(once[path], value, atol=2e-4, err_msg=path)
    frozen = make_step("bert:frozen", preset=str(tmp_path / family)).fit(TWO, NAMES)
    network = frozen.logits([*TWO, ""])
    with monkeypatch.context() as patch, eagerly():
        patch.setenv("SOPAN_RUNTIME", "keras")
        frozen._programs.clear()
        np.testing.assert_allclose(frozen.logits([*TWO, ""]), network, atol=1e-3)


def test_a_run_that_was_stopped_reads_frozen_layers_anew_and_goes_on(preset, tmp_path):
    """What filling blanks made of these layers is in the snapshot, and taken from it before they are read."""
    settings = {"frozen_layers": 2, "learning_rate": 0.01, "epochs": 3, "dropout": 0.2, "min_steps": 6}

    def fit(**how):
        step = make_step("bert", preset=preset, max_length=8, adapt_steps=2, **settings)
        with eagerly():
            return step.fit(TWO * 8, NAMES * 8, unlabelled=RHYMES, monitor=Monitor(**how)).state().arrays

    def stop(evaluation):
        raise KeyboardInterrupt

    undisturbed, kept = fit(), CheckpointFile(tmp_path / "kept")
    fit(checkpoint=kept, on_evaluation=stop)
    for path, value in fit(checkpoint=kept).items():
        np.testing.assert_allclose(value, undisturbed[path], atol=1e-5, err_msg=path)


def test_where_there_is_no_room_in_memory_a_file_holds_what_was_read(preset, monkeypatch):
    in_memory, _ = learnt(preset, monkeypatch, apart=True)
    monkeypatch.setattr("sopan.training.kept.IN_MEMORY", 3)
    on_disk, _ = learnt(preset, monkeypatch, apart=True)
    for path, value in in_memory.items():
        np.testing.assert_array_equal(on_disk[path], value, err_msg=path)
