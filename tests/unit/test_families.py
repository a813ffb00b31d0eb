"""BERT's relatives used: saved, served, explained, filled, scored; and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import need
from family_folders import CALLED, FAMILIES, make_folder, train_tokenizer
from quick_steps import EIGHT, SOIL_OR_SEA, eagerly

from sopan.errors import ConfigError, DataError, ModelFolderError
from sopan.fit.artifact import load_model, save_model
from sopan.fit.served import load_served
from sopan.lm.fill import fill_blanks
from sopan.lm.hugging_face import save_hugging_face
from sopan.lm.score import score_text
from sopan.runtime.encoder_config import distance_buckets
from sopan.steps import make_step
from sopan.steps.bert_folder import encoder_config, read_bert_folder
from sopan.steps.bert_layers import freeze, halves
from sopan.steps.bert_network import build_classifier
from sopan.text.piece_tokenizer import PieceTokenizer

KINDS = ("distilbert", "roberta", "xlm-roberta", "electra", "mpnet")
TEXTS = [*EIGHT, "Café naïve: the  sea, don't!", "", "北京 😀 soil"]
BRIEF = {"learning_rate": 1e-3, "epochs": 1, "min_steps": 1, "max_length": 32}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    need("torch")
    need("transformers")
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    found = {}
    for family in KINDS:
        found[family] = tmp_path_factory.mktemp(family)
        make_folder(family, found[family], TEXTS)
    return found


# ---- classified with -------------------------------------------------------------------------


@pytest.mark.parametrize("family", KINDS)
def test_a_folder_classifies_is_saved_served_and_explained(folders, family, tmp_path):
    summary = "first" if family == "mpnet" else "mean"
    with eagerly():
        fitted = make_step("bert", preset=str(folders[family]), summary=summary, **BRIEF).fit(
            EIGHT, SOIL_OR_SEA
        )
        save_model(fitted, tmp_path / "model", data={}, metrics={})
        loaded, served = load_model(tmp_path / "model"), load_served(tmp_path / "model", runtime="openvino")
        expected = fitted.predict_proba(TEXTS)
        np.testing.assert_allclose(loaded.predict_proba(TEXTS), expected, atol=1e-6)
        np.testing.assert_allclose(served.predict_texts(TEXTS).probabilities, expected, atol=1e-5)
        if family == "mpnet":  # whose graph has an operation of its own
            onnx = load_served(tmp_path / "model", runtime="onnxruntime")
            np.testing.assert_allclose(onnx.predict_texts(TEXTS).probabilities, expected, atol=1e-5)
    text = "Café naïve: the  sea, don't!"
    found = loaded.evidence(text)
    rest = found.logits - found.base - found.contributions.sum(axis=0)
    assert np.abs(rest).max() < 0.02 * max(1, np.abs(found.logits - found.base).max())
    starts, ends = found.tokens.starts.tolist(), found.tokens.ends.tolist()
    shown = [text[start:end] for start, end in zip(starts, ends, strict=True)]
    assert "".join(shown).lower() == "".join(text.split()).lower()
    assert [word.lower() for word in shown] == [word.lower() for word in found.tokens.words]
    assert all(word and not word[0].isspace() for word in shown)


@pytest.mark.parametrize("family", ["mpnet", "electra"])
def test_layers_that_do_not_learn_are_read_apart(folders, family):
    config = replace(read_bert_folder(folders[family]).config, dropout=0.0, attention_dropout=0.0)
    network = build_classifier(config, 40, 2, summary="mean", seed=0)
    rng = np.random.default_rng(0)
    for weight in network.weights:
        weight.assign(rng.normal(0, 0.3, weight.shape))
    freeze(network, 2)
    apart = halves(network, 2, config, "mean")
    ids, mask = np.arange(24, dtype=np.int32).reshape(2, 12), np.arange(12) < np.array([[12], [7]])
    hidden = np.asarray(apart.below([ids, mask])["hidden"])
    found = np.asarray(apart.above([hidden, mask])["logits"])
    np.testing.assert_allclose(found, np.asarray(network([ids, mask])["logits"]), atol=1e-5)


@pytest.mark.parametrize("family", ["mpnet", "roberta"])
def test_a_folder_reads_without_learning(folders, family, tmp_path):
    with eagerly():
        fitted = make_step("bert:frozen", preset=str(folders[family]), max_length=32).fit(EIGHT, SOIL_OR_SEA)
    save_model(fitted, tmp_path / "model", data={}, metrics={})
    served = load_served(tmp_path / "model", runtime="openvino")
    expected = fitted.predict_proba(TEXTS)
    np.testing.assert_allclose(served.predict_texts(TEXTS).probabilities, expected, atol=1e-5)


def test_only_berts_wordpiece_goes_into_a_savedmodel(folders, tmp_path):
    from sopan.fit.export.savedmodel import export_savedmodel

    with eagerly():
        fitted = make_step("bert", preset=str(folders["roberta"]), **BRIEF).fit(EIGHT, SOIL_OR_SEA)
    with pytest.raises(ConfigError, match="graph cannot cut texts as this model's tokenizer does"):
        export_savedmodel(fitted, tmp_path / "served", EIGHT)


# ---- filled and scored -----------------------------------------------------------------------


@pytest.mark.parametrize("family", KINDS)
def test_blanks_are_filled_and_texts_scored(folders, family):
    model = read_bert_folder(folders[family]).language_model()
    found = fill_blanks(model, "the [MASK] was red.", top=3)
    (blank,) = found.blanks
    assert len(blank) == 3
    assert all(candidate.text.strip() == candidate.text for candidate in blank)
    assert found.joint[0].text == f"the {blank[0].text} was red."
    own = CALLED[family]["mask"]
    assert fill_blanks(model, f"the {own} was red.", top=3).blanks == found.blanks
    score = score_text(model, "The sea, red.")
    assert next(word.text for word in score.words) == "The"
    assert score.total < 0
    assert len(score.words) in (3, 5)
    chosen = fill_blanks(model, "the [MASK] was red.", candidates=["sea", "soil"])
    assert sum(one.probability for one in chosen.blanks[0]) == pytest.approx(1, abs=1e-5)


def test_a_text_of_bytes_may_begin_with_any_piece(folders):
    model = read_bert_folder(folders["roberta"]).language_model()
    first, later = (
        {one.pieces[0][0] == "Ġ" for one in fill_blanks(model, text, top=400).blanks[0]}
        for text in ("[MASK] was red", "it [MASK] was red")
    )
    assert first == {True, False}
    marks = {one.pieces[0] for one in fill_blanks(model, "it [MASK] was red", top=400).blanks[0]}
    assert later == {True, False}
    assert not any(mark[0].isalpha() and mark[0].isascii() for mark in marks)


def test_a_discriminator_has_no_head(tmp_path):
    need("torch")
    need("transformers")
    make_folder("electra", tmp_path, TEXTS, headless=True)
    read = read_bert_folder(tmp_path)
    assert read.missing_heads == ("predict",)
    assert [name.partition(".")[0] for name in read.unused] == ["discriminator_predictions"] * 4
    with pytest.raises(ConfigError, match="without the head"):
        fill_blanks(read.language_model(), "the [MASK]")


def test_only_a_bert_is_written(folders, tmp_path):
    for family in ("roberta", "electra"):
        model = read_bert_folder(folders[family]).language_model()
        with pytest.raises(ConfigError, match="only a BERT can be written, and this model is of another"):
            save_hugging_face(model, tmp_path / "m", card="")


# ---- configuration ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({"model_type": "roberta", "hidden_act": "relu"}, "hidden_act is 'relu'; a roberta model whose"),
        (
            {"model_type": "distilbert", "activation": "relu"},
            "activation is 'relu'; a distilbert model",
        ),
        ({"model_type": "distilbert", "n_layers": 0}, "n_layers is 0; it is a whole number, 1 to"),
        ({"model_type": "electra", "embedding_size": 0}, "embedding_size is 0"),
        ({"model_type": "electra", "is_decoder": True}, "is_decoder is True; a electra model whose"),
        ({"model_type": "mpnet", "relative_attention_num_buckets": 16}, "num_buckets is 16"),
        ({"model_type": "roberta", "pad_token_id": 600}, "pad_token_id is 600"),
        ({"model_type": "t5"}, "model_type is 't5'; these can be read: bert, distilbert, roberta"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(described, message):
    with pytest.raises(ConfigError) as refused:
        encoder_config(described)
    assert message in str(refused.value)


def test_configurations_keep_what_sets_a_family_apart():
    roberta = encoder_config({"model_type": "roberta", "max_position_embeddings": 514, "type_vocab_size": 1})
    assert (roberta.max_length, roberta.segments) == (512, 1)
    electra = encoder_config({"model_type": "electra", "hidden_size": 256, "num_attention_heads": 4})
    assert (electra.width, electra.embedding_width, electra.embedded) == (256, 128, 128)
    assert encoder_config({"model_type": "electra", "embedding_size": 768}).embedding_width is None
    mpnet = encoder_config({"model_type": "mpnet", "max_position_embeddings": 514})
    assert (mpnet.max_length, mpnet.segments, mpnet.buckets) == (512, 0, 32)
    distil = encoder_config({"model_type": "distilbert", "n_layers": 6, "dim": 24, "n_heads": 2})
    assert (distil.depth, distil.width, distil.heads, distil.segments) == (6, 24, 2, 0)


def test_distances_are_exact_near_and_coarse_far():
    found = distance_buckets(200, 32)
    assert len(found) == 399
    at = dict(zip(range(-199, 200), found.tolist(), strict=True))
    assert [at[distance] for distance in (0, -1, -7, -8, -127, -128, -199)] == [0, 1, 7, 8, 15, 15, 15]
    assert [at[distance] for distance in (1, 7, 8, 199)] == [17, 23, 24, 31]


# ---- tokenizers ------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tokenizer_comes_back_from_what_is_kept(family):
    names = {f"[{name.upper()}]": token for name, token in CALLED[family].items()}
    made = PieceTokenizer.of_json(train_tokenizer(family, TEXTS).to_str(), names)
    kept = json.loads(json.dumps(made.settings))
    again = PieceTokenizer.kept(made.pieces, **kept)
    assert again.pieces == made.pieces
    assert again.specials == made.specials
    for text in TEXTS:
        assert again.encode([text]).ids.tolist() == made.encode([text]).ids.tolist()
    assert again.settings == kept
    with pytest.raises(DataError):
        PieceTokenizer.kept(made.pieces[5:], **kept)


def test_pieces_of_bytes_say_what_they_spell():
    names = {f"[{name.upper()}]": token for name, token in CALLED["roberta"].items()}
    made = PieceTokenizer.of_json(train_tokenizer("roberta", ["the soil the sea"] * 9).to_str(), names)
    assert made.text_of("Ġthe") == "the"
    assert made.text_of("Ã©") == "é"
    assert made.text_of("Ã") == "\ufffd"
    assert made.join(made.encode([" the soil"]).ids) == "the soil"
    begins = [made.pieces[i] for i in made.encode(["soil the, sea"]).ids]
    assert [made.continues[made.id_of(piece)] for piece in begins if piece == ","] == [False]
    cut = made.cut("  the  sea ")
    assert cut.words.tolist() == sorted(cut.words.tolist())
    assert next(("  the  sea "[s:e]) for s, e in zip(cut.starts, cut.ends, strict=True) if e > s) == "the"


def test_a_folder_without_a_tokenizer_says_how_to_make_one(folders, tmp_path):
    import shutil

    copy = shutil.copytree(folders["roberta"], tmp_path / "copy")
    (copy / "tokenizer.json").unlink()
    with pytest.raises(ModelFolderError, match=r"holds no tokenizer.json; transformers writes one"):
        read_bert_folder(copy)
