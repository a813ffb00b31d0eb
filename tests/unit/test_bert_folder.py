"""Folders of BERTs: what is read, what is written, what is refused; heads that are missing are never used."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest
from conftest import need
from encoders import from_hugging_face, to_hugging_face
from safetensors.numpy import load_file, save_file

from sopan.errors import ConfigError, ContradictionWarning, ModelFolderError
from sopan.lm.hugging_face import save_hugging_face
from sopan.runtime.encoder_config import EncoderConfig, bert_config
from sopan.steps.bert_folder import encoder_config, read_bert_folder
from sopan.steps.bert_layout import language_model_shapes
from sopan.steps.folder_tokenizer import read_tokenizer
from sopan.steps.language_model import LanguageModel, build_language_model
from sopan.text.packing import Rows
from sopan.text.wordpiece import SPECIALS, WordPiece

PIECES = [*SPECIALS, "the", "cat", "dog", "s", "##s", ".", "é", "e", "क", "##ु", "कु", "un", "##know", "##n"]
TINY = bert_config(width=8, depth=2, heads=2, inner=12, max_length=16)


def random_model(config=TINY, *, pairs=True, seed=0, **rules):
    """A model whose biases and norms matter too."""
    model = LanguageModel.make(config, WordPiece.of(PIECES, **rules), seed=seed, pairs=pairs)
    rng = np.random.default_rng(seed)
    model.set_weights({path: rng.normal(0, 0.3, array.shape) for path, array in model.weights().items()})
    return model


def equal(ours, theirs):
    assert ours.keys() == theirs.keys()
    for path, array in ours.items():
        assert array.dtype == theirs[path].dtype, path
        np.testing.assert_array_equal(array, theirs[path])


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert") / "model"
    save_hugging_face(random_model(), folder, card="# A card\n", labels=["bad", "good"])
    return folder


@pytest.fixture
def folder(written, tmp_path):
    """A copy that a test may spoil."""
    return shutil.copytree(written, tmp_path / "copy")


def change_config(folder, **values):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def change_tensors(folder, change):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


# ---- names and shapes --------------------------------------------------------------------------


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("config", [TINY, replace(TINY, segments=0, depth=1)])
def test_shapes_are_known_without_building_the_network(config, pairs):
    network = build_language_model(config, 30, seed=0, pairs=pairs)
    built = {weight.path: tuple(weight.shape) for weight in network.weights}
    assert language_model_shapes(config, 30, pairs=pairs) == built


def test_a_network_gives_and_takes_all_its_weights():
    one, other = (build_language_model(TINY, 30, seed=seed, pairs=True) for seed in (0, 1))
    tensors = to_hugging_face(one)
    assert {name.partition(".")[0] for name in tensors} == {"bert", "cls"}
    assert from_hugging_face(other, tensors) == []
    equal(to_hugging_face(other), tensors)


# ---- there and back ----------------------------------------------------------------------------


@pytest.mark.parametrize("stored", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("pairs", [False, True])
def test_tensors_come_back_bit_for_bit(tmp_path, stored, pairs):
    size = save_hugging_face(random_model(pairs=pairs), tmp_path / "one", card="one", stored=stored)
    assert size == sum(file.stat().st_size for file in (tmp_path / "one").iterdir())
    read = read_bert_folder(tmp_path / "one")
    assert (read.pairs, read.missing_heads, read.unused, read.labels) == (pairs, (), (), ())
    assert all(array.dtype == np.float32 for array in read.weights.values())
    model = read.language_model()
    equal(model.weights(), dict(read.weights))
    save_hugging_face(model, tmp_path / "two", card="one", stored=stored)
    equal(
        load_file(tmp_path / "one" / "model.safetensors"), load_file(tmp_path / "two" / "model.safetensors")
    )
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt", "README.md"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("accents", ["keep", "strip", "strip-alphabets"])
def test_rules_of_cutting_come_back(tmp_path, lowercase, accents):
    model = random_model(lowercase=lowercase, accents=accents)
    save_hugging_face(model, tmp_path / "m", card="")
    read = read_bert_folder(tmp_path / "m").wordpiece
    assert (read.rules.lowercase, read.rules.accents, read.pieces) == (
        lowercase,
        accents,
        model.wordpiece.pieces,
    )
    text = "The cats, É e\u0301 कु [MASK] unknown."
    assert read.encode([text]).ids.tolist() == model.wordpiece.encode([text]).ids.tolist()
    assert read.cut(text).pieces == model.wordpiece.cut(text).pieces


def test_configuration_and_labels_come_back(tmp_path, written):
    assert read_bert_folder(written).config == TINY
    assert read_bert_folder(written).labels == ("bad", "good")
    causal = replace(TINY, causal=True)
    save_hugging_face(random_model(causal, pairs=False), tmp_path / "m", card="")
    assert read_bert_folder(tmp_path / "m").config == causal
    assert read_bert_folder(tmp_path / "m").language_model().objective == "causal"


def test_a_failed_save_leaves_the_folder_as_it_was(written, folder):
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    model = random_model()
    big = {path: array * (1e6 if path == "predict/kernel" else 1) for path, array in model.weights().items()}
    model.set_weights(big)
    with pytest.raises(ConfigError, match=r"transform.dense.weight does not fit into float16; store float32"):
        save_hugging_face(model, folder, card="", stored="float16")
    (folder / "thesis.txt").write_text("mine")
    with pytest.raises(ModelFolderError, match=r"thesis\.txt"):
        save_hugging_face(model, folder, card="")
    (folder / "thesis.txt").unlink()
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_only_a_bert_is_written(tmp_path):
    config = EncoderConfig(width=8, depth=1, heads=2, inner=8)
    with pytest.raises(ConfigError, match="only a BERT can be written"):
        save_hugging_face(LanguageModel.make(config, WordPiece.of(PIECES), seed=0), tmp_path / "m", card="")
    with pytest.raises(ConfigError, match="cannot be stored as 'int8'; as: float32, float16, bfloat16"):
        save_hugging_face(random_model(), tmp_path / "m", card="", stored="int8")
    assert not (tmp_path / "m").exists()


# ---- other layouts -----------------------------------------------------------------------------


def test_a_bert_without_heads_refuses_to_fill(folder):
    def strip(tensors):
        for name in list(tensors):
            if name.startswith("bert."):
                tensors[name.removeprefix("bert.")] = tensors.pop(name)
            else:
                del tensors[name]
        tensors["embeddings.position_ids"] = np.arange(16)[None]

    change_tensors(folder, strip)
    read = read_bert_folder(folder)
    assert (read.missing_heads, read.unused) == (("predict", "order"), ())
    model = read.language_model()
    assert not np.abs(model.weights()["predict/bias"]).any()
    row = Rows(
        np.array([[2, 5, 3]], np.int32), *(np.array([k], np.int32) for k in ([1] * 3, [0, 1, 2], [0] * 3))
    )
    assert model.hidden(row).shape == (1, 3, 8)
    with pytest.raises(ModelFolderError, match="came without the head that fills blanks"):
        model.logits(row, np.array([1], np.int32))
    save_hugging_face(model, folder, card="")
    assert json.loads((folder / "config.json").read_text())["architectures"] == ["BertModel"]
    again = load_file(folder / "model.safetensors")
    assert not [name for name in again if name.startswith(("bert.", "cls."))]
    equal(dict(read_bert_folder(folder).weights), dict(read.weights))


def test_tied_copies_are_compared(folder):
    def tie(tensors):
        tensors["cls.predictions.decoder.weight"] = tensors["bert.embeddings.word_embeddings.weight"].copy()
        tensors["cls.predictions.decoder.bias"] = tensors["cls.predictions.bias"].copy()

    change_tensors(folder, tie)
    assert read_bert_folder(folder).unused == ()
    change_tensors(folder, lambda tensors: tensors["cls.predictions.decoder.weight"].__iadd__(1))
    with pytest.raises(
        ModelFolderError, match=r"decoder.weight is not bert.embeddings.word_embeddings.weight"
    ):
        read_bert_folder(folder)


def test_shards_are_put_together(written, folder):
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    files = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, part in files.items():
        save_file({name: tensors[name] for name in part}, folder / file)
    (folder / "model.safetensors").unlink()
    index = folder / "model.safetensors.index.json"
    listed = {name: file for file, part in files.items() for name in part}
    index.write_text(json.dumps({"weight_map": listed}))
    equal(dict(read_bert_folder(folder).weights), dict(read_bert_folder(written).weights))
    index.write_text(json.dumps({"weight_map": listed | {names[0]: "../a.safetensors"}}))
    with pytest.raises(ModelFolderError, match=r"names '\.\./a\.safetensors', which is not there"):
        read_bert_folder(folder)
    index.write_text(json.dumps({"weight_map": listed | {names[0]: "b.safetensors"}}))
    with pytest.raises(ModelFolderError, match=r"b\.safetensors lacks bert\."):
        read_bert_folder(folder)


def test_pytorchs_format_is_read_without_running_it(written, folder):
    need("torch")
    import torch

    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    path = folder / "pytorch_model.bin"
    torch.save({name: torch.from_numpy(array).half() for name, array in tensors.items()}, path)
    found = read_bert_folder(folder).weights
    for name, array in read_bert_folder(written).weights.items():
        np.testing.assert_array_equal(found[name], array.astype(np.float16).astype(np.float32))
    torch.save({"a": _Harm()}, path)
    with pytest.raises(ModelFolderError, match=r"pytorch_model.bin: cannot be read"):
        read_bert_folder(folder)


class _Harm:
    """What a pickle would run."""

    def __reduce__(self):
        return (pytest.fail, ("the file was executed",))


def test_without_pytorch_its_format_is_refused(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    code = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'torch': raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "from sopan.steps.stored_tensors import stored_tensors\n"
        "from pathlib import Path\n"
        f"try: stored_tensors(Path({str(folder)!r}))\n"
        "except Exception as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "PyTorch is not installed; pip install torch, or take a folder" in done.stdout, done.stderr


def under_googles_name(name, array):
    """Return a tensor's name and array as Google's BERT has them."""
    google = name.replace(".layer.", ".layer_").replace(".", "/")
    google = google.replace("predictions/bias", "predictions/output_bias")
    google = google.replace("relationship/weight", "relationship/output_weights")
    google = google.replace("relationship/bias", "relationship/output_bias")
    if "LayerNorm" in google:
        return google.replace("/weight", "/gamma").replace("/bias", "/beta"), array
    if google.endswith("_embeddings/weight"):
        return google.removesuffix("/weight"), array
    if google.endswith("/weight"):
        return google.removesuffix("weight") + "kernel", array.T
    return google, array


def test_googles_checkpoint_is_read(written, folder):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("checkpoints are TensorFlow's")
    import tensorflow as tf

    theirs = dict(under_googles_name(*item) for item in load_file(folder / "model.safetensors").items())
    theirs["bert/pooler/dense/kernel/adam_m"] = np.zeros((8, 8), np.float32)
    theirs["global_step"] = np.int64(7)
    prefix = str(folder / "bert_model.ckpt")
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=list(theirs),
        shape_and_slices=[""] * len(theirs),
        tensors=list(theirs.values()),
    )
    (folder / "model.safetensors").unlink()
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    (folder / "config.json").rename(folder / "bert_config.json")
    read = read_bert_folder(folder)
    assert (read.missing_heads, read.unused, read.wordpiece.rules.lowercase) == ((), (), True)
    equal(dict(read.weights), dict(read_bert_folder(written).weights))


def test_a_vocabulary_alone_tells_whether_it_is_cased(folder):
    (folder / "tokenizer.json").unlink()
    rules = folder / "tokenizer_config.json"
    rules.write_text(json.dumps({"do_lower_case": False, "strip_accents": True}))
    read = read_bert_folder(folder).wordpiece
    assert (read.rules.lowercase, read.rules.accents) == (False, "strip")
    rules.unlink()
    assert read_bert_folder(folder).wordpiece.rules.lowercase
    pieces = (folder / "vocab.txt").read_text().replace("dog", "Dog")
    (folder / "vocab.txt").write_text(pieces)
    assert not read_bert_folder(folder).wordpiece.rules.lowercase


def test_tokenizer_config_holds_against_tokenizer_json_and_a_warning_says_so(folder):
    """Of `the É`: `tokenizer.json` folds it; `tokenizer_config.json` says cased, as transformers reads it."""
    told = folder / "tokenizer_config.json"
    told.write_text(json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": False}))
    with pytest.warns(
        ContradictionWarning, match=r"contradicts tokenizer.json.*lowercase=False instead of True"
    ):
        read = read_bert_folder(folder).wordpiece
    assert [read.pieces[i] for i in read.encode(["the THE é"]).ids] == ["the", "[UNK]", "é"]
    told.write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": False}))
    assert read_bert_folder(folder).wordpiece.rules.lowercase
    told.write_text("{}")
    assert read_bert_folder(folder).wordpiece.rules.lowercase


# ---- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (
            {"model_type": "albert"},
            "model_type is 'albert'; these can be read: bert, distilbert, roberta, xlm-roberta, camembert, "
            "electra, mpnet",
        ),
        ({"hidden_act": "relu"}, "hidden_act is 'relu'"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key'"),
        ({"add_cross_attention": True}, "add_cross_attention is True"),
        ({"hidden_size": 10**9}, "hidden_size is 1000000000; it is a whole number, 1 to 65536"),
        ({"hidden_size": 8.0}, "hidden_size is 8.0"),
        ({"num_hidden_layers": True}, "num_hidden_layers is True"),
        ({"num_attention_heads": 3}, "heads"),
        ({"hidden_dropout_prob": "0.1"}, "hidden_dropout_prob is '0.1'; it is 0 or more, and less than 1"),
        ({"layer_norm_eps": float("nan")}, "NaN is not JSON"),
        ({"is_decoder": 1}, "is_decoder is 1"),
        ({"vocab_size": 999}, "vocab_size is 999 and the vocabulary has 19 pieces"),
        ({"num_hidden_layers": 3}, r"the weights lack encoder\.layer\.2"),
        ({"intermediate_size": 13}, r"has shape \(12, 8\) where the model has \(13, 8\)"),
        ({"max_position_embeddings": 1 << 20}, r"where the model has \(1048576, 8\)"),
        ({"id2label": {"one": "x"}}, "id2label does not number the labels"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(folder, values, says):
    change_config(folder, **values)
    with pytest.raises(ModelFolderError, match=says):
        read_bert_folder(folder)


def test_what_is_left_out_is_as_in_bert_base():
    assert encoder_config({}) == bert_config()


def test_missing_and_damaged_files_are_named(folder, tmp_path):
    with pytest.raises(ModelFolderError, match="there is no such folder; name a folder that holds a BERT"):
        read_bert_folder(tmp_path / "nowhere")
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-5])
    with pytest.raises(ModelFolderError, match=r"model\.safetensors: cannot be read .*fetch the file anew"):
        read_bert_folder(folder)
    weights.write_bytes(b"\xff" * 8 + content[8:])
    with pytest.raises(ModelFolderError, match=r"model\.safetensors: cannot be read"):
        read_bert_folder(folder)
    weights.unlink()
    with pytest.raises(ModelFolderError, match=r"holds no weights; model\.safetensors, pytorch_model\.bin, "):
        read_bert_folder(folder)
    for name in ("tokenizer.json", "vocab.txt"):
        (folder / name).unlink()
    with pytest.raises(ModelFolderError, match=r"holds neither tokenizer\.json nor vocab\.txt"):
        read_bert_folder(folder)
    (folder / "config.json").write_text("[1]")
    with pytest.raises(ModelFolderError, match=r"config\.json: does not hold a JSON object"):
        read_bert_folder(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelFolderError, match=r"config\.json: is not valid JSON"):
        read_bert_folder(folder)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda t: t.update({"cls.predictions.bias": t["cls.predictions.bias"].astype(np.int8)}),
            "stored as I8",
        ),
        (lambda t: t["cls.predictions.bias"].__setitem__(3, np.nan), "a weight is NaN or infinite"),
        (lambda t: t.pop("cls.predictions.bias"), r"the weights lack cls\.predictions\.bias"),
        (lambda t: t.pop("bert.pooler.dense.bias"), r"the weights lack pooler\.dense\.bias"),
    ],
)
def test_weights_that_cannot_be_are_refused(folder, change, says):
    change_tensors(folder, change)
    with pytest.raises(ModelFolderError, match=says):
        read_bert_folder(folder)


def test_labels_that_count_from_one_are_names_in_order(folder):
    change_config(folder, id2label={"10": "c", "1": "a", "2": "b"})
    assert read_bert_folder(folder).labels == ("a", "b", "c")


def test_weights_that_data_parallel_wrapped_are_read(written, folder):
    def wrap(tensors):
        for name in list(tensors):
            tensors[f"module.{name}"] = tensors.pop(name)

    change_tensors(folder, wrap)
    equal(read_bert_folder(folder).weights, read_bert_folder(written).weights)


def test_rows_that_pad_the_vocabulary_are_left_out(written, folder):
    size = len(read_bert_folder(written).wordpiece)

    def pad(tensors):
        for name in list(tensors):
            if tensors[name].shape[0] == size:
                more = np.ones((5, *tensors[name].shape[1:]), tensors[name].dtype)
                tensors[name] = np.concatenate([tensors[name], more])

    change_tensors(folder, pad)
    change_config(folder, vocab_size=size + 5)
    equal(read_bert_folder(folder).weights, read_bert_folder(written).weights)


def test_a_vocabulary_with_a_mark_and_blank_lines_is_read_as_transformers_does(folder):
    transformers = pytest.importorskip("transformers")
    (folder / "tokenizer.json").unlink()
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "fine", "", "film", "##s"]
    (folder / "vocab.txt").write_text("\ufeff" + "\n".join(pieces) + "\n\n", encoding="utf-8")
    ours = read_tokenizer(folder, {special: special for special in pieces[:5]})
    assert len(ours) == 9
    ids = ours.encode(["fine films"]).ids.tolist()
    plain = folder / "plain.txt"
    plain.write_text("\n".join(pieces) + "\n", encoding="utf-8")
    theirs = transformers.BertTokenizer(vocab={piece: i for i, piece in enumerate(pieces)})
    assert ids == theirs("fine films", add_special_tokens=False)["input_ids"] == [5, 7, 8]


def test_further_tokens_are_refused(folder):
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    tokenizer["added_tokens"].append(tokenizer["added_tokens"][0] | {"id": len(PIECES), "content": "[NEW]"})
    path.write_text(json.dumps(tokenizer))
    with pytest.raises(ModelFolderError, match="adds 1 tokens to the vocabulary of 19"):
        read_bert_folder(folder)
