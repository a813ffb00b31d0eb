"""BERT folders held to `transformers`: MiniLM read by us, ours read by it, a chemical BERT with its heads."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
import zipfile
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import missing, need
from safetensors.numpy import load_file

from sopan.lm.hugging_face import save_hugging_face
from sopan.runtime.encoder_config import bert_config
from sopan.steps.bert_folder import read_bert_folder
from sopan.steps.folder_tokenizer import read_tokenizer
from sopan.steps.language_model import LanguageModel
from sopan.text.packing import Rows
from sopan.text.wordpiece import SPECIALS, WordPiece

NEAR = 1e-4


@pytest.fixture(scope="module")
def transformers():
    need("torch")
    need("transformers")
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers


@pytest.fixture(scope="module")
def sentences(imdb_file):
    """Real ones, of 3 to 100 pieces."""
    reviews = pq.read_table(imdb_file)["text"][:40].to_pylist()
    found = [sentence.strip() for review in reviews for sentence in review.split(". ")]
    return [sentence for sentence in found if 10 < len(sentence) < 400][:64]


def rows_of(wordpiece, texts):
    """Texts as rows, a row each, padded at the end."""
    cut = [wordpiece.encode([text]).ids.tolist() for text in texts]
    cls, sep = wordpiece.specials["[CLS]"], wordpiece.specials["[SEP]"]
    length = max(map(len, cut)) + 2
    ids, blocks = (np.zeros((len(cut), length), np.int32) for _ in range(2))
    for row, pieces in enumerate(cut):
        ids[row, : len(pieces) + 2] = [cls, *pieces, sep]
        blocks[row, : len(pieces) + 2] = 1
    places = np.arange(length, dtype=np.int32)[None].repeat(len(cut), 0) * blocks
    return Rows(ids, blocks, places, np.zeros_like(ids))


def asked(model, rows):
    """Ask a model of `transformers`."""
    import torch

    with torch.no_grad():
        return model(
            input_ids=torch.tensor(rows.ids.astype(np.int64)),
            attention_mask=torch.tensor(rows.blocks.astype(np.int64)),
        )


def test_minilms_hidden_states_equal_transformers(transformers, minilm, sentences):
    read = read_bert_folder(minilm)
    assert read.missing_heads == ("predict", "order")
    model = read.language_model()
    rows = rows_of(model.wordpiece, sentences)
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(minilm))
    theirs = tokenizer(sentences, padding=True, return_tensors="np", truncation=False)["input_ids"]
    np.testing.assert_array_equal(rows.ids, theirs[:, : rows.ids.shape[1]] * (rows.blocks > 0))
    found, expected = model.hidden(rows), asked(transformers.AutoModel.from_pretrained(str(minilm)), rows)
    words = rows.blocks > 0
    gap = np.abs(found - expected.last_hidden_state.numpy())[words].max()
    assert gap < NEAR, gap


def test_minilm_comes_back_bit_for_bit(minilm, tmp_path):
    save_hugging_face(read_bert_folder(minilm).language_model(), tmp_path / "m", card="")
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (tmp_path / "m", minilm))
    del theirs["embeddings.position_ids"]  # 0 … 511, no weight
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert tensor.dtype == theirs[name].dtype
        np.testing.assert_array_equal(tensor, theirs[name])


# ---- what we write -----------------------------------------------------------------------------


def small_model(wordpiece, *, causal=False, pairs=False, seed=0):
    config = bert_config(width=24, depth=2, heads=4, inner=48, max_length=128)
    model = LanguageModel.make(replace(config, causal=causal), wordpiece, seed=seed, pairs=pairs)
    rng = np.random.default_rng(seed)
    model.set_weights({path: rng.normal(0, 0.2, array.shape) for path, array in model.weights().items()})
    return model


@pytest.fixture(scope="module")
def trained_pieces(sentences):
    more = ["ভালো ছবি, খুব সুন্দর।", "अच्छी फ़िल्म है", "café naïve Ελλάδα й"] * 20
    return WordPiece.train([*sentences, *more], 600)


@pytest.mark.parametrize(
    ("settings", "architecture"),
    [
        ({}, "BertForMaskedLM"),
        ({"pairs": True}, "BertForPreTraining"),
        ({"causal": True}, "BertLMHeadModel"),
    ],
)
def test_transformers_loads_what_we_write(
    transformers, trained_pieces, sentences, tmp_path, settings, architecture
):
    model = small_model(trained_pieces, **settings)
    save_hugging_face(model, tmp_path / "m", card="# Ours\n")
    assert json.loads((tmp_path / "m" / "config.json").read_text())["architectures"] == [architecture]
    theirs, told = getattr(transformers, architecture).from_pretrained(
        str(tmp_path / "m"), output_loading_info=True
    )
    assert not any(told.values()), told
    theirs.eval()
    rows = rows_of(trained_pieces, sentences[:8])
    answer = asked(theirs, rows)
    logits = answer.prediction_logits if settings.get("pairs") else answer.logits
    at = np.flatnonzero(rows.blocks.ravel()).astype(np.int32)
    expected = logits.numpy().reshape(-1, len(trained_pieces))[at]
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(model.logits(rows, at), expected, atol=NEAR)
    if settings.get("pairs"):
        firsts = np.arange(len(rows.ids), dtype=np.int32) * rows.ids.shape[1]
        order = np.asarray(model.network([*rows, at[:1], firsts])["order"])
        np.testing.assert_allclose(order, answer.seq_relationship_logits.numpy(), atol=NEAR)


@pytest.mark.parametrize("stored", ["float16", "bfloat16"])
def test_transformers_reads_half_precision(transformers, trained_pieces, tmp_path, stored):
    import torch

    model = small_model(trained_pieces)
    save_hugging_face(model, tmp_path / "m", card="", stored=stored)
    theirs = transformers.BertForMaskedLM.from_pretrained(str(tmp_path / "m"))
    assert theirs.dtype == getattr(torch, stored)
    kept = read_bert_folder(tmp_path / "m").weights["words/embeddings"]
    np.testing.assert_array_equal(
        theirs.bert.embeddings.word_embeddings.weight.detach().float().numpy(), kept
    )


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("accents", ["keep", "strip", "strip-alphabets"])
def test_its_tokenizer_gives_our_ids(transformers, trained_pieces, sentences, tmp_path, lowercase, accents):
    wordpiece = WordPiece.of(trained_pieces.pieces, lowercase=lowercase, accents=accents)
    save_hugging_face(small_model(wordpiece), tmp_path / "m", card="")
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(tmp_path / "m"))
    texts = [*sentences, "ভালো ছবি কু", "अच्छी फ़िल्म कु", "Café e\u0301 naïve Ελλάδα й 北京", ""]
    for text in texts:
        ids = wordpiece.encode([text]).ids.tolist()
        assert tokenizer(text)["input_ids"] == [2, *ids, 3], text
    pair = tokenizer("a b", "c")
    assert pair["token_type_ids"] == [0] * (pair["input_ids"].index(3) + 1) + [1] * (
        len(pair["input_ids"]) - pair["input_ids"].index(3) - 1
    )
    specials = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    assert [getattr(tokenizer, name) for name in specials] == list(SPECIALS)
    assert tokenizer.convert_tokens_to_ids("[MASK]") in tokenizer("a [MASK] b")["input_ids"]


# ---- a BERT with its heads, as PyTorch kept it in 2021 -----------------------------------------


@pytest.fixture(scope="module")
def chemical(tmp_path_factory):
    """The BERT of rxnfp 0.1.0 (Schwaller et al. 2021), if a package mirror can be reached."""
    folder = tmp_path_factory.mktemp("rxnfp")
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), "rxnfp==0.1.0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        missing(f"the network ({done.stderr.strip().splitlines()[-1][:200]})")
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        for name in ("config.json", "pytorch_model.bin", "vocab.txt"):
            content = archive.read(f"rxnfp/models/transformers/bert_pretrained/{name}")
            (folder / name).write_bytes(content)
    return folder


def test_a_bert_of_2021_is_read_heads_and_all(transformers, chemical, tmp_path):
    read = read_bert_folder(chemical)
    assert (read.pairs, read.missing_heads, read.unused, read.wordpiece.rules.lowercase) == (
        True,
        (),
        (),
        False,
    )
    model = read.language_model()
    save_hugging_face(model, tmp_path / "m", card="")
    theirs, told = transformers.BertForPreTraining.from_pretrained(
        str(tmp_path / "m"), output_loading_info=True
    )
    assert not any(told.values()), told
    rows = rows_of(read.wordpiece, ["C C O . C ( = O ) O", "c 1 c c c c c 1"])
    at = np.flatnonzero(rows.blocks.ravel()).astype(np.int32)
    logits = asked(theirs.eval(), rows).prediction_logits.numpy()
    expected = logits.reshape(-1, len(read.wordpiece))[at]
    np.testing.assert_allclose(model.logits(rows, at), expected, atol=NEAR)
    assert (model.logits(rows, at).argmax(-1) == rows.ids.ravel()[at])[1:-1].mean() > 0.8


# ---- folders that contradict themselves --------------------------------------------------------

CASED = [*SPECIALS, "cafe", "Cafe", "café", "Café", "e", "##e", "caf", "##é", "北", "京"]
TELLING = ["cafe Cafe café Café", "CAFÉ e\u0301 北京", "Cafe\u0301"]


@pytest.mark.parametrize("held", [(True, None), (False, None), (True, False), (False, True)])
@pytest.mark.parametrize(
    ("told", "class_name"),
    [
        ({"do_lower_case": False}, "BertTokenizer"),
        ({"do_lower_case": True}, "BertTokenizer"),
        ({"strip_accents": False}, "BertTokenizerFast"),
        ({"strip_accents": True}, None),
        ({"do_lower_case": False, "strip_accents": True}, "ElectraTokenizer"),
        ({"do_lower_case": True, "strip_accents": False}, "DistilBertTokenizer"),
        ({"do_lower_case": False, "strip_accents": True}, "PreTrainedTokenizerFast"),
    ],
)
def test_of_two_files_that_contradict_each_other_the_same_one_holds(
    transformers, tmp_path, held, told, class_name
):
    lowercase, strip = held
    accents = None if strip is None else "strip" if strip else "keep"
    wordpiece = WordPiece.of(CASED, lowercase=lowercase, accents=accents)
    wordpiece.tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    named = {} if class_name is None else {"tokenizer_class": class_name}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(named | told))
    theirs = transformers.AutoTokenizer.from_pretrained(str(tmp_path))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        ours = read_tokenizer(tmp_path, {special: special for special in SPECIALS})
    for text in TELLING:
        assert ours.encode([text]).ids.tolist() == theirs(text, add_special_tokens=False)["input_ids"], text
    assert bool(said) == (ours.rules != wordpiece.rules)
    assert all("contradicts tokenizer.json, and holds" in str(each.message) for each in said)
