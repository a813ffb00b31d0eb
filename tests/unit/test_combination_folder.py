"""A folder that holds folders: what is saved comes back, and no bit, member or file of it may change."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from combinations import BAGS, ODD, cascade_of, fitted, stack_of
from quick_steps import LABELS, TEXTS, brief, eagerly

from sopan.errors import ConfigError, ModelFolderError
from sopan.fit.artifact import load_model, save_model
from sopan.fit.saved import read_saved
from sopan.fit.served import Served, ServedCombination, load_served
from sopan.steps import make_step
from sopan.storage.manifest import MANIFEST, write_manifest
from sopan.usecases import evaluate, predict
from sopan.usecases.models import export


@pytest.fixture(scope="module")
def members():
    return fitted()


@pytest.fixture(scope="module", params=["stack", "cascade"])
def made(request, members):
    return stack_of(members) if request.param == "stack" else cascade_of(members, 0.7)


@pytest.fixture(scope="module")
def saved(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / made.name
    size = save_model(made, folder, data={"train": 60}, metrics={})
    assert size == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "copy")


def test_a_loaded_one_predicts_the_very_same_and_so_does_a_served_one(made, saved):
    again, served = load_model(saved), load_served(saved)
    assert isinstance(served, ServedCombination)
    assert again.get_params() == made.get_params()
    for texts in (TEXTS + ODD, [], [""], ["gulls"]):
        expected = made.predict_texts(texts)
        for one in (again, served):
            found = one.predict_texts(texts)
            np.testing.assert_array_equal(found.probabilities, expected.probabilities)
            np.testing.assert_array_equal(found.truncated, expected.truncated)
            np.testing.assert_array_equal(found.no_known_words, expected.no_known_words)
            np.testing.assert_array_equal(one.predict(texts), made.predict(texts))
            np.testing.assert_array_equal(
                one.read_in_stages(texts).answered, made.read_in_stages(texts).answered
            )
    assert np.isfinite(expected.probabilities).all()


def test_one_text_is_read_as_many_are(made):
    texts = TEXTS[:9] + ODD
    together = made.predict_proba(texts)
    np.testing.assert_allclose([made.predict_proba([text])[0] for text in texts], together, atol=1e-12)


def test_each_member_is_a_model_folder_of_its_own(made, saved):
    assert "Made of: bow:counts, bow:chars, each" in (saved / "README.md").read_text(encoding="utf-8")
    for name, member in made.members_.items():
        alone = load_model(saved / "members" / name.replace(":", "-"))
        np.testing.assert_array_equal(alone.predict_proba(TEXTS), member.predict_proba(TEXTS))


def test_the_same_gives_the_same_bytes_and_takes_the_place_of_another(made, saved, folder):
    save_model(made, folder, data={"train": 60}, metrics={})
    for path in saved.rglob("*"):
        if path.is_file():
            assert (folder / path.relative_to(saved)).read_bytes() == path.read_bytes()
    save_model(make_step("bow").fit(TEXTS, [0, 1] * 30), folder, data={}, metrics={})
    assert not (folder / "members").exists()


def test_one_flipped_bit_anywhere_is_refused(folder):
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    assert len(paths) == 5 * 3
    for path in paths:
        content = path.read_bytes()
        for place in {0, len(content) // 2, len(content) - 1} if content else ():
            damaged = bytearray(content)
            damaged[place] ^= 1
            path.write_bytes(damaged)
            with pytest.raises(ModelFolderError):
                read_saved(folder)
        path.write_bytes(content)
    assert load_model(folder)


@pytest.mark.parametrize("name", ["members/bow-chars", "members", "members/bow-chars/manifest.json"])
def test_what_is_missing_is_named(folder, name):
    path = folder / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    for load in (load_model, load_served):
        with pytest.raises(ModelFolderError, match=r"bow-chars|manifest") as refusal:
            load(folder)
        assert "\n" not in str(refusal.value)


def test_a_member_too_many_is_refused_and_so_is_a_foreign_file_that_a_save_would_lose(made, folder):
    shutil.copytree(folder / "members" / "bow-chars", folder / "members" / "bow-extra")
    with pytest.raises(ModelFolderError, match="bow-extra is not listed"):
        load_model(folder)
    shutil.rmtree(folder / "members" / "bow-extra")
    (folder / "members" / "bow-chars" / "thesis.tex").write_text("mine")
    with pytest.raises(ModelFolderError, match=r"thesis\.tex"):
        save_model(made, folder, data={}, metrics={})
    assert (folder / "members" / "bow-chars" / "thesis.tex").exists()


def reseal(folder):
    (folder / MANIFEST).unlink()
    write_manifest(folder)


def test_members_that_were_exchanged_and_sealed_again_are_refused(folder):
    place = folder / "members"
    (place / "bow-chars").rename(place / "x")
    (place / "bow-counts").rename(place / "bow-chars")
    (place / "x").rename(place / "bow-counts")
    reseal(folder)
    with pytest.raises(ModelFolderError, match="is the member"):
        load_model(folder)


@pytest.mark.parametrize(
    "path", ["../x/manifest.json", "members/../manifest.json", "members/a/b/manifest.json"]
)
def test_a_name_is_never_a_path_out_of_the_folder(folder, path):
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"][path] = manifest["files"]["members/bow-chars/manifest.json"]
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    with pytest.raises(ModelFolderError, match="altered"):
        read_saved(folder)


@pytest.mark.parametrize(
    "state",
    [{}, {"members": "bow"}, {"members": [1, 2]}, {"members": ["bow:chars"]}, {"members": ["bow", "cbow"]}],
)
def test_a_state_that_does_not_name_the_members_is_refused(folder, state):
    config = json.loads((folder / "config.json").read_text()) | {"state": state}
    (folder / "config.json").write_text(json.dumps(config))
    reseal(folder)
    for load in (load_model, load_served):
        with pytest.raises(ModelFolderError, match="member"):
            load(folder)


def test_a_single_step_has_no_members(tmp_path, members, saved):
    save_model(members["bow:chars"], tmp_path / "m", data={}, metrics={}, step="bow:chars")
    shutil.copytree(saved / "members", tmp_path / "m" / "members")
    reseal(tmp_path / "m")
    with pytest.raises(ModelFolderError, match="member"):
        load_model(tmp_path / "m")


def test_members_with_other_classes_are_refused(tmp_path, members):
    other = make_step("bow:chars").fit(TEXTS, ["a", "b", "c"] * 20)
    save_model(stack_of({**members, "bow:chars": other}), tmp_path / "m", data={}, metrics={})
    for load in (load_model, load_served):
        with pytest.raises(ModelFolderError, match="classes"):
            load(tmp_path / "m")


def test_members_whose_folders_would_be_one_are_refused(tmp_path, members):
    twins = {"bow:chars": members["bow:chars"], "bow-chars": members["bow:chars"]}
    with pytest.raises((ModelFolderError, ConfigError)):
        save_model(stack_of(twins), tmp_path / "m", data={}, metrics={})


def test_the_doors_take_it(saved, made, tmp_path):
    table = tmp_path / "texts.csv"
    rows = zip(TEXTS, made.predict(TEXTS), strict=True)
    table.write_text("text,label\n" + "".join(f'"{text}",{label}\n' for text, label in rows))
    assert evaluate(saved, table).accuracy == 1.0
    assert predict(saved, TEXTS[0])["predicted"] == made.predict(TEXTS[:1])[0]
    assert predict(saved, file=table, out=tmp_path / "out.csv")["rows"] == len(TEXTS)


@pytest.mark.parametrize("form", ["keras", "onnx", "openvino", "savedmodel", "word2vec", "projector"])
def test_a_format_that_cannot_hold_it_says_so_in_one_line(saved, tmp_path, form):
    texts = tmp_path / "texts.csv"
    texts.write_text("text\n" + "a rose\n" * 20)
    with pytest.raises((ConfigError, ModelFolderError)) as refusal:
        export(saved, tmp_path / "out", format=form, texts=texts)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "out").exists()


def test_seventy_seven_classes(tmp_path):
    texts = [f"word{i} word{(i * 7) % 77} filler" for i in range(77)] * 2
    labels = [f"c{i}" for i in range(77)] * 2
    cascade = cascade_of(fitted(BAGS, texts, labels), 0.5)
    save_model(cascade, tmp_path / "m", data={}, metrics={})
    again = load_served(tmp_path / "m")
    np.testing.assert_array_equal(again.predict_proba(texts), cascade.predict_proba(texts))


def test_a_network_among_the_members_is_served_without_keras_and_gives_the_same(tmp_path, members):
    with eagerly():
        network = brief("self_attention", min_steps=1).fit(TEXTS, LABELS)
        made = stack_of({"bow:chars": members["bow:chars"], "self_attention": network})
        save_model(made, tmp_path / "m", data={}, metrics={})
        again = load_model(tmp_path / "m")
        np.testing.assert_array_equal(again.predict_proba(ODD), made.predict_proba(ODD))
    served = load_served(tmp_path / "m")
    assert isinstance(served, ServedCombination)
    assert isinstance(served.members["self_attention"], Served)
    np.testing.assert_allclose(served.predict_proba(ODD), made.predict_proba(ODD), atol=1e-6)
