"""Presets: names, folders, the hub and packages; each refusal says what to do next."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from sopan import usecases
from sopan.cli import main
from sopan.errors import ConfigError, DownloadError, ModelFolderError
from sopan.lm.hugging_face import save_hugging_face
from sopan.runtime.encoder_config import bert_config
from sopan.steps import presets
from sopan.steps.language_model import LanguageModel
from sopan.steps.presets import PRESETS, from_preset, preset_bert, preset_folder
from sopan.text.datasets.sources import PyPIPackage, SourceError
from sopan.text.wordpiece import SPECIALS, WordPiece
from sopan.usecases import language


def untrained():
    config = bert_config(width=8, depth=1, heads=2, inner=8, max_length=16)
    return LanguageModel.make(config, WordPiece.of([*SPECIALS, "the", "cat"]), seed=0)


@pytest.fixture(autouse=True)
def nothing_fetched(tmp_path, monkeypatch):
    """An empty cache, and a hub that may not be asked."""
    monkeypatch.setenv("SOPAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(presets, "_from_hub", lambda name: refuse("not connected"))


def refuse(reason):
    raise SourceError(reason)


@pytest.fixture
def folder(tmp_path):
    save_hugging_face(untrained(), tmp_path / "tiny", card="", labels=["no", "yes"])
    return tmp_path / "tiny"


@pytest.fixture
def packaged(folder, tmp_path, monkeypatch):
    """A preset inside a wheel that lies where a user would put it by hand."""
    downloads = tmp_path / "cache" / "downloads"
    downloads.mkdir(parents=True)
    with zipfile.ZipFile(downloads / "tiny.whl", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"inside/{file.name}")
        archive.writestr("inside/../../evil.txt", "out of the folder")
    names = ("config.json", "tokenizer.json", "model.safetensors")
    checksums = {name: sha256((folder / name).read_bytes()).hexdigest() for name in names}
    wheel = PyPIPackage(
        "a wheel", "tiny.whl", sha256((downloads / "tiny.whl").read_bytes()).hexdigest(), "tiny==1"
    )
    preset = replace(PRESETS["minilm"], name="tiny", wheel=wheel, inside="inside", checksums=checksums)
    for module in (presets, language):
        monkeypatch.setattr(module, "PRESETS", {"tiny": preset})
    return preset


def test_a_folder_is_a_preset(folder):
    assert preset_folder(folder) == folder
    model = from_preset(str(folder))
    ours = untrained().weights()
    assert all((array == ours[path]).all() for path, array in model.weights().items())
    assert preset_bert(folder).labels == ("no", "yes")


def test_a_package_gives_what_is_known_and_no_more(packaged, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # what lies there by hand needs no network
    found = preset_folder("tiny")
    assert found == tmp_path / "cache" / "presets" / "tiny"
    assert {file.name for file in found.iterdir()} == set(packaged.checksums)
    assert not list(tmp_path.rglob("evil.txt"))
    (tmp_path / "cache" / "downloads" / "tiny.whl").unlink()
    assert preset_folder("tiny") == found
    assert from_preset("tiny").missing_heads == ()


def test_a_damaged_copy_is_fetched_anew(packaged):
    weights = preset_folder("tiny") / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + b"\1")
    assert (preset_folder("tiny") / "model.safetensors").read_bytes() == whole


def test_files_that_are_not_the_known_ones_are_refused(packaged, tmp_path, monkeypatch):
    wrong = replace(packaged, checksums=dict(packaged.checksums) | {"config.json": "0" * 64})
    monkeypatch.setattr(presets, "PRESETS", {"tiny": wrong})
    says = r"the hub: not connected; a wheel: its files are not those that are known; put tiny\.whl into"
    with pytest.raises(DownloadError, match=says):
        preset_folder("tiny")
    assert [file.name for file in (tmp_path / "cache" / "presets").iterdir()] in ([], ["tiny.lock"])


def test_the_hub_is_asked_first(packaged, folder, monkeypatch):
    monkeypatch.setattr(presets, "_from_hub", lambda name: folder)
    assert preset_folder("tiny") == folder
    (folder / "model.safetensors").write_bytes(b"another")
    assert preset_folder("tiny") != folder
    assert preset_folder("google/bert") == folder


def test_offline_means_offline(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DownloadError, match=r"packages: HF_HUB_OFFLINE is set; put gt_all_.*\.whl into "):
        preset_folder("minilm")


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("minlm", DownloadError, "minlm is neither a preset nor a folder, .*; did you mean minilm"),
        (
            "no/such",
            DownloadError,
            "the hub gave nothing: not connected; presets: sopan-mini, sopan-mini-causal, minilm; or name",
        ),
        (
            "./nowhere",
            ModelFolderError,
            r"\./nowhere: there is no such folder; .*presets: sopan-mini, sopan-mini-causal, minilm",
        ),
        ("a b", ModelFolderError, "a b: there is no such folder"),
        (Path("nowhere"), ModelFolderError, "nowhere: there is no such folder"),
        ("", ModelFolderError, "."),
    ],
)
def test_what_is_no_preset_is_refused(name, error, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=says):
        from_preset(name)


def test_an_installation_without_the_shipped_preset_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(presets, "_package_folder", lambda preset: tmp_path / preset.name)
    with pytest.raises(ConfigError, match="came without sopan-mini; install sopan anew"):
        preset_folder("sopan-mini")


def test_use_cases_list_and_get(packaged):
    assert [preset["folder"] for preset in usecases.list_presets()] == [None]
    found = usecases.get_preset("tiny")
    assert usecases.list_presets() == [found]
    assert Path(found["folder"]).name == found["name"] == "tiny"
    with pytest.raises(ConfigError, match="no preset was named"):
        usecases.get_preset("")


def test_the_command_line_lists_without_a_backend(tmp_path):
    code = (
        "import sys; sys.argv = ['sopan', 'presets', '--json']\n"
        "from sopan.cli import main\n"
        "try: main()\nexcept SystemExit as end: assert not end.code\n"
        "print([name for name in ('tensorflow', 'keras', 'torch', 'jax') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    listed, heavy = done.stdout.splitlines()
    assert [preset["name"] for preset in json.loads(listed)] == [
        "sopan-mini",
        "sopan-mini-causal",
        "minilm",
    ], done.stderr
    assert heavy == "[]"


def test_the_command_that_gets_one_does_not_list_them_all(capsys, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(sys, "argv", ["sopan", "presets", "get", "sopan-mini"])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said] == ["name", "about", "megabytes", "folder"]


def test_a_hub_that_cannot_be_reached_is_one_line(monkeypatch):
    monkeypatch.undo()
    code = (
        "import sys; sys.argv = ['sopan', 'presets', 'get', 'no-such/model-at-all']\n"
        "from sopan.cli import main\nmain()"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("sopan: no-such/model-at-all is neither a preset nor a folder")


def test_wheels_come_from_where_pip_looks(tmp_path):
    wheel = PyPIPackage("a wheel", "none.whl", "0" * 64, "sopan-no-such-package==0.0.1")
    with pytest.raises(SourceError, match=r"pip|python"):
        wheel.fetch(tmp_path)
