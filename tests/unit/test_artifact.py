"""The model folder: what is saved is what is loaded, and nothing else is."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from quick_steps import QUICK
from safetensors.numpy import load_file, save
from small_step import LABELS, TEXTS, NaiveBayes, enter_in_table, trained

from sopan.errors import ModelFolderError
from sopan.fit.artifact import load_model, rebuild, save_model
from sopan.fit.saved import read_saved
from sopan.steps import STEPS, make_step
from sopan.storage.manifest import write_manifest
from sopan.storage.tensors import read_tensors, write_tensors

DATA = {
    "name": "films",
    "fingerprint": "ab" * 32,
    "train": 8,
    "val": 4,
    "test": 1200,
    "notes": ["made up | here"],
}
METRICS = {
    "accuracy": 0.91,
    "accuracy_ci": [0.89, 0.925],
    "macro_f1": np.float64(0.9),
    "per_class": [{"class": "good", "precision": 0.9, "recall": 0.8, "f1": 0.85, "support": 600}],
    "fit_seconds": 1.5,
    "latency_ms": {"p50": 0.12, "p95": 0.2, "p99": 0.4},
}


@pytest.fixture(autouse=True)
def _in_table(monkeypatch):
    enter_in_table(monkeypatch)


@pytest.fixture
def folder(tmp_path):
    save_model(trained(), tmp_path / "model", data=DATA, metrics=METRICS)
    return tmp_path / "model"


def config_of(folder):
    return json.loads((folder / "config.json").read_text())


def alter(folder, **changes):
    """Change config.json and seal the folder again, as a forger or another version of sopan might."""
    config = config_of(folder) | changes
    (folder / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v is not None}))
    reseal(folder)


def reseal(folder):
    (folder / "manifest.json").unlink()
    write_manifest(folder)


# ---- what is saved is what is loaded ---------------------------------------------------------


@pytest.mark.parametrize("memory_map", [False, True])
def test_a_loaded_step_predicts_the_very_same(folder, memory_map):
    estimator, again = trained(), rebuild(read_saved(folder, memory_map=memory_map))
    texts = [*TEXTS, "", "words never seen", "a fine fine film"]
    np.testing.assert_array_equal(again.predict_proba(texts), estimator.predict_proba(texts))
    assert again.predict(texts).tolist() == estimator.predict(texts).tolist()
    assert again.get_params() == estimator.get_params()


def test_the_temperature_is_kept(tmp_path):
    estimator = trained()
    estimator.temperature_ = 1.7
    save_model(estimator, tmp_path / "m", data={}, metrics={})
    assert load_model(tmp_path / "m").temperature_ == 1.7


def test_settings_are_kept_with_tuples_as_tuples(tmp_path):
    save_model(trained(smoothing=np.float32(0.5), spans=(1, 2)), tmp_path / "m", data={}, metrics={})
    assert load_model(tmp_path / "m").get_params() == {"smoothing": 0.5, "spans": (1, 2)}


@pytest.mark.parametrize(
    "labels",
    [
        [3, 7] * 4,
        [False, True] * 4,
        [1.0, 2.0] * 4,
        np.array(["ভালো", "খারাপ"] * 4),
        np.array(["no", 'yes, "quoted"\n'] * 4, dtype=object),
        np.array([1, 200] * 4, np.uint8),
        np.array([3.0, 4.0] * 4, np.float32),
    ],
    ids=["int", "bool", "float", "bengali", "object", "uint8", "float32"],
)
def test_labels_keep_their_type(tmp_path, labels):
    estimator = trained(labels=labels)
    save_model(estimator, tmp_path / "m", data={}, metrics={})
    again = load_model(tmp_path / "m")
    assert again.classes_.dtype == estimator.classes_.dtype
    np.testing.assert_array_equal(again.classes_, estimator.classes_)


def test_odd_words_survive(tmp_path):
    odd = [
        "back\\slash",
        "\\n",
        "line\nfeed",
        "re\rturn",
        "sep\u2028arator",
        "next\x85line",
        "\ufeffmark",
        "\x00",
        "আমি",
    ]
    texts = [f"{word} good" for word in odd] + ["poor"] * len(odd)
    estimator = trained(texts, ["good"] * len(odd) + ["poor"] * len(odd))
    save_model(estimator, tmp_path / "m", data={}, metrics={})
    assert set(odd) <= set(load_model(tmp_path / "m").words_)
    assert len((tmp_path / "m" / "vocab.txt").read_text().splitlines()) == len(estimator.words_)


def test_the_same_step_gives_the_same_bytes(folder, tmp_path):
    save_model(trained(), tmp_path / "twin", data=DATA, metrics=METRICS)
    for file in folder.iterdir():
        assert file.read_bytes() == (tmp_path / "twin" / file.name).read_bytes(), file.name


def test_the_folder_is_as_other_programs_expect(folder):
    assert {file.name for file in folder.iterdir()} == {
        "README.md", "config.json", "manifest.json", "model.safetensors", "vocab.txt",
    }  # fmt: skip
    config = config_of(folder)
    assert config["id2label"] == {"0": "good", "1": "poor"}
    assert config["label2id"] == {"good": 0, "poor": 1}
    assert config["data"] == DATA
    assert config["metrics"]["macro_f1"] == 0.9
    assert (folder / "vocab.txt").read_text().split("\n")[:-1] == list(trained().words_)
    tensors = load_file(folder / "model.safetensors")
    np.testing.assert_array_equal(tensors["log_likelihood"], trained().log_likelihood_)
    for name, entry in json.loads((folder / "manifest.json").read_text())["files"].items():
        content = (folder / name).read_bytes()
        assert entry == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def test_save_returns_the_bytes_on_disk(tmp_path):
    size = save_model(trained(), tmp_path / "m", data=DATA, metrics=METRICS)
    assert size == sum(file.stat().st_size for file in (tmp_path / "m").iterdir())


def test_whoever_may_read_one_file_may_read_all(folder):
    assert len({file.stat().st_mode for file in folder.iterdir()}) == 1


def test_the_card_tells_what_was_measured(folder):
    card = (folder / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: sopan\n")
    for part in (
        "`small` model of films",
        "0.91 | 0.89 to 0.925",
        "8 to learn from",
        "1,200 to measure on",
        "made up \\| here",
        "good | 0.9 | 0.8 | 0.85 | 600",
        "Latency of one text, p95 | 0.2 ms",
    ):
        assert part in card, part


def test_a_label_cannot_write_into_the_card(tmp_path):
    names = ["a | b](http://elsewhere)\n# Title", "\u202ereversed"]
    save_model(trained(labels=names * 4), tmp_path / "m", data={}, metrics={})
    card = (tmp_path / "m" / "README.md").read_text()
    assert "\\](http" in card
    assert "\n# Title" not in card
    assert "\u202e" not in card


# ---- what cannot be saved ------------------------------------------------------------------------


def test_a_setting_that_would_need_pickle_is_refused(tmp_path):
    with pytest.raises(ModelFolderError, match="the setting 'smoothing' is array"):
        save_model(trained(smoothing=np.array(1.0)), tmp_path / "m", data={}, metrics={})
    with pytest.raises(ModelFolderError, match="the setting 'spans' is nan"):
        save_model(trained(spans=float("nan")), tmp_path / "m", data={}, metrics={})
    assert not (tmp_path / "m").exists()


def test_metrics_must_be_json(tmp_path):
    with pytest.raises(ModelFolderError, match="not plain JSON"):
        save_model(trained(), tmp_path / "m", data={}, metrics={"accuracy": float("nan")})
    with pytest.raises(ModelFolderError, match="object is not JSON"):
        save_model(trained(), tmp_path / "m", data={"name": object()}, metrics={})


def test_a_class_outside_the_table_is_refused(tmp_path):
    class Stranger(NaiveBayes):
        pass

    with pytest.raises(ModelFolderError, match="Stranger is not the class of the step 'small'"):
        save_model(Stranger().fit(TEXTS, LABELS), tmp_path / "m", data={}, metrics={})


def test_an_array_of_objects_is_refused(tmp_path):
    estimator = trained()
    estimator.log_prior_ = np.array([None, None])
    with pytest.raises(ModelFolderError, match="the array 'log_prior' is of dtype object"):
        save_model(estimator, tmp_path / "m", data={}, metrics={})
    assert not (tmp_path / "m").exists()


# ---- what is refused at the door -----------------------------------------------------------------


def test_no_folder_and_no_config_name_the_next_step(tmp_path):
    with pytest.raises(
        ModelFolderError, match=r"there is no model folder .*absent; train one with: sopan train STEP"
    ):
        load_model(tmp_path / "absent")
    with pytest.raises(
        ModelFolderError, match=r"no config.json in .*; train one with: sopan train STEP DATA --out"
    ):
        load_model(tmp_path)


def test_a_comparison_offers_its_models(folder, tmp_path):
    (tmp_path / "run" / "models").mkdir(parents=True)
    folder.rename(tmp_path / "run" / "models" / "small")
    (tmp_path / "run" / "config.json").write_text("{}")
    with pytest.raises(
        ModelFolderError, match=r"is a comparison.*choose one of its models: .*run/models/small$"
    ):
        load_model(tmp_path / "run")
    assert load_model(tmp_path / "run" / "models" / "small").classes_.tolist() == ["good", "poor"]


@pytest.mark.parametrize("name", ["vocab.txt", "model.safetensors", "README.md", "manifest.json"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ModelFolderError, match=f"{name} is missing"):
        load_model(folder)


def test_extra_bytes_are_counted(folder):
    with (folder / "model.safetensors").open("ab") as stream:
        stream.write(b"more")
    with pytest.raises(
        ModelFolderError, match=r"model.safetensors: has \d+ bytes where the manifest says \d+"
    ):
        load_model(folder)


def test_a_path_in_the_manifest_is_never_followed(folder, tmp_path):
    (tmp_path / "secret").write_bytes(b"x")
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace('"vocab.txt"', '"../secret"'))
    with pytest.raises(ModelFolderError, match="altered or damaged"):
        load_model(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step": "smal"}, "no step is called 'smal'; did you mean small"),
        ({"step": None}, "step is missing"),
        ({"settings": {"smothing": 1.0}}, "small has no setting 'smothing'; did you mean smoothing"),
        ({"settings": []}, "settings must be of the kind dict"),
        ({"format": 99}, "has format version 99.*upgrade sopan"),
        ({"temperature": 0.0}, "temperature must be above 0"),
        ({"temperature": "1"}, "temperature must be of the kind float"),
        ({"vocabulary_size": 3}, "vocab.txt has 19 words where 3 are said"),
        ({"labels": ["good"]}, "two or more distinct labels"),
        ({"labels": ["good", "good"]}, "two or more distinct labels"),
        ({"labels": [["good"], ["poor"]]}, "two or more distinct labels"),
        ({"label_dtype": "<U1000000000"}, "labels of the kind '<U1000000000' are unknown"),
        ({"label_dtype": "int64"}, "labels are not of the kind 'int64'"),
        ({"id2label": {"0": "good", "7": "poor"}}, "must give the ids 0 to 1"),
        ({"label2id": {"good": 1, "poor": 0}}, "must give the ids 0 to 1"),
        ({"state": {"words": 7}}, "the step 'small' cannot be rebuilt .the arrays do not fit"),
        ({"state": {}}, "the step 'small' cannot be rebuilt"),
    ],
)  # fmt: skip
def test_a_config_that_does_not_hold_together_is_refused(folder, changes, message):
    alter(folder, **changes)
    with pytest.raises(ModelFolderError, match=message):
        load_model(folder)


def test_a_manifest_of_another_version_asks_for_an_upgrade(folder):
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace('"format": 1', '"format": 2'))
    with pytest.raises(
        ModelFolderError, match=r"manifest.json: has format version 2.*pip install --upgrade sopan"
    ):
        load_model(folder)


@pytest.mark.parametrize(
    "content", ["{", '{"a": 1, "a": 2}', '{"a": NaN}', "[]", "[" * 100_000, '{"a": ' + "9" * 5_000 + "}"]
)
def test_odd_json_is_refused(folder, content):
    (folder / "config.json").write_text(content)
    reseal(folder)
    with pytest.raises(
        ModelFolderError, match=r"config.json: (is not valid JSON|does not hold a JSON object)"
    ):
        load_model(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\nb", "ends in the middle"),
        (b"\xff\n", "not valid UTF-8"),
        (b"\\q\n", "unknown escape"),
        (b"\\\n", "unknown"),
    ],
)
def test_an_odd_vocabulary_is_refused(folder, content, message):
    (folder / "vocab.txt").write_bytes(content)
    reseal(folder)
    with pytest.raises(ModelFolderError, match=f"vocab.txt: .*{message}"):
        load_model(folder)


def test_scores_that_are_not_finite_are_refused(tmp_path):
    estimator = trained()
    estimator.log_prior_[0] = np.nan
    save_model(estimator, tmp_path / "m", data={}, metrics={})
    with pytest.raises(ModelFolderError, match="does not give 2 finite scores"):
        load_model(tmp_path / "m")


# ---- arrays ----------------------------------------------------------------------------------------


def header(**entries):
    body = json.dumps(entries).encode()
    return len(body).to_bytes(8, "little") + body


def entry(dtype="F32", shape=(2,), place=(0, 8)):
    return {"dtype": dtype, "shape": shape, "data_offsets": place}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 7,
        (1 << 62).to_bytes(8, "little") + b"{}",
        header() + b"data without a name",
        header(a=entry(shape=(1 << 40,), place=(0, 1 << 42))),
        header(a=entry(shape=(1 << 32, 1 << 32), place=(0, 0))),
        header(a=entry(place=(4, 12))) + bytes(12),
        header(a=entry(), b=entry()) + bytes(8),
        header(a=entry(), b=entry(place=(4, 12))) + bytes(12),
        header(a=entry(shape=(-2,), place=(0, 8))) + bytes(8),
        header(a=entry(shape=(2.0,))) + bytes(8),
        header(a=entry(shape=(True, 2))) + bytes(8),
        header(a=entry(dtype="O")) + bytes(8),
        header(a=entry(place=(0, 8, 16))) + bytes(8),
        header(a={"dtype": "F32"}) + bytes(8),
        header(a=3) + bytes(8),
    ],
)
def test_a_header_that_does_not_account_for_the_file_is_refused(tmp_path, content):
    with pytest.raises(ModelFolderError, match=r"model.safetensors: "):
        read_tensors(memoryview(content), tmp_path / "model.safetensors")


def test_arrays_of_every_kind_and_shape_are_kept(tmp_path):
    arrays = {
        "scalar": np.array(3.5),
        "empty": np.empty((0, 4), np.float32),
        "flags": np.array([True, False]),
        "halves": np.arange(5, dtype=np.float16),
        "bytes": np.arange(7, dtype=np.uint8),
        "columns": np.arange(12, dtype=np.int64).reshape(3, 4).T,
        "every_other": np.arange(10, dtype=np.int32)[::2],
        "big_endian": np.arange(3, dtype=">f8"),
    }
    path = tmp_path / "model.safetensors"
    write_tensors(arrays, path)
    again = read_tensors(memoryview(bytearray(path.read_bytes())), path)
    assert set(again) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(again[name], array)
        assert again[name].dtype == array.dtype.newbyteorder("<")
        assert again[name].shape == array.shape
        assert again[name].flags.aligned
        np.testing.assert_array_equal(load_file(path)[name], array)


def test_a_file_of_the_library_with_metadata_is_read(tmp_path):
    content = save({"a": np.ones(3)}, metadata={"format": "np"})
    np.testing.assert_array_equal(read_tensors(memoryview(content), tmp_path)["a"], np.ones(3))


def test_a_mapped_array_may_be_written_without_changing_the_file(folder):
    before = (folder / "model.safetensors").read_bytes()
    estimator = rebuild(read_saved(folder, memory_map=True))
    estimator.log_prior_ += 1.0
    assert (folder / "model.safetensors").read_bytes() == before


# ---- no TensorFlow, no pickle ----------------------------------------------------------------------


NO_TENSORFLOW = """
import sys
from small_step import LABELS, TEXTS
from sopan.fit.artifact import load_model, save_model
from sopan.steps import make_step

estimator = make_step(sys.argv[1]).fit(TEXTS * 5, LABELS * 5)
save_model(estimator, sys.argv[2], data={}, metrics={})
print((load_model(sys.argv[2]).predict_proba(TEXTS) == estimator.predict_proba(TEXTS)).all())
print({"tensorflow", "keras", "torch", "jax"} & set(sys.modules))
"""


@pytest.mark.parametrize("step", ["bow", "cbow"])
def test_the_lowest_steps_train_save_load_and_predict_without_tensorflow(tmp_path, step):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", NO_TENSORFLOW, step, str(tmp_path / "model")],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.stdout.split() == ["True", "set()"], done.stderr


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("memory_map", [False, True])
def test_every_step_predicts_the_same_after_save_and_load(tmp_path, step, memory_map):
    settings = QUICK["bert"] if step == "bert" else {}
    estimator = make_step(step, **settings).fit(TEXTS * 5, LABELS * 5)
    save_model(estimator, tmp_path / "model", data=DATA, metrics=METRICS)
    again = rebuild(read_saved(tmp_path / "model", memory_map=memory_map))
    texts = [*TEXTS, "", "words never seen", "a fine fine film"]
    before, after = estimator.predict_texts(texts), again.predict_texts(texts)
    np.testing.assert_array_equal(after.probabilities, before.probabilities)
    np.testing.assert_array_equal(after.truncated, before.truncated)
    np.testing.assert_array_equal(after.no_known_words, before.no_known_words)
    assert again.get_params() == estimator.get_params()
    written = {"words": "words-2"}.get(getattr(estimator, "tokens", None))
    assert config_of(tmp_path / "model")["preprocessing"].get("tokens") == written
