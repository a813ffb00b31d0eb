"""What a command writes: nothing that it reads, and nothing of somebody else's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sopan.cli import COMMANDS
from sopan.comparison.run_folder import is_run, run_folder
from sopan.errors import ConfigError
from sopan.options.base import option_fields
from sopan.options.classify import CompareOptions, EmbedOptions, PredictOptions, TrainOptions
from sopan.options.language import PretrainOptions


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "new.csv"
    path.write_text("text\na\n")
    return path


def names_of(path: Path, table: Path) -> Path:
    """Give the table another name, by what `path` is called."""
    if path.name == "hard.csv":
        os.link(table, path)
    elif path.name == "soft.csv":
        path.symlink_to(table)
    return path


@pytest.mark.parametrize("name", ["new.csv", "hard.csv", "soft.csv", "x/../new.csv"])
def test_the_input_is_no_output(tmp_path, table, name):
    (tmp_path / "x").mkdir()
    out = names_of(tmp_path / name, table)
    with pytest.raises(ConfigError, match="--out is what is read, which would be lost; choose another --out"):
        PredictOptions(tmp_path / "model", file=table, out=out)
    with pytest.raises(ConfigError, match="which would be lost"):
        PretrainOptions(["other.txt", table], out=out)
    assert table.read_text() == "text\na\n"


def test_an_output_in_a_folder_that_is_read(tmp_path, table):
    model = tmp_path / "model"
    model.mkdir()
    with pytest.raises(ConfigError, match=f"--out lies in {model}, which is read"):
        EmbedOptions(model, table, model / "deep" / "vectors.parquet")
    EmbedOptions(model, table, tmp_path / "vectors.parquet")
    TrainOptions("bow", table, tmp_path / "model")


def test_every_place_of_every_command_is_read_or_written():
    """A new option that names a file says which of the two it is."""
    neither = {"target", "model", "lm", "language_model", "within"}
    for command in COMMANDS:
        for each in option_fields(command.options):
            if Path in each.kinds and each.name not in neither:
                assert each.option.reads != each.option.writes, (command.name, each.name)


# ---- the folder of a comparison ---------------------------------------------------------------------


def begun(folder: Path, config: str = '{"data": {}, "budget": "60s", "steps": [], "margin": 0.005}') -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(config)
    return folder


def test_a_second_comparison_takes_a_fresh_folder_and_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = []
    options = CompareOptions(
        "a/data.csv", progress=lambda part, message: said.append((part, message["stage"]))
    )
    assert run_folder(options) == Path("runs/data.csv")
    assert not said
    begun(tmp_path / "runs/data.csv")
    assert run_folder(options) == Path("runs/data.csv-2")
    begun(tmp_path / "runs/data.csv-2")
    assert run_folder(options) == Path("runs/data.csv-3")
    assert said[-1] == ("out", "runs/data.csv-3, since runs/data.csv-2 is there already")
    assert run_folder(CompareOptions("b/data.csv", resume=True)) == Path("runs/data.csv-2")


def test_a_comparison_is_replaced_only_when_asked(tmp_path):
    run = begun(tmp_path / "run")
    with pytest.raises(ConfigError, match="holds a comparison already; --overwrite replaces it, --resume"):
        run_folder(CompareOptions("d.csv", out=run))
    assert run_folder(CompareOptions("d.csv", out=run, overwrite=True)) == run
    assert run_folder(CompareOptions("d.csv", out=run, resume=True)) == run


@pytest.mark.parametrize(
    "name", ["results.json", "report.html", "config.json", "predictions.parquet", "models"]
)
def test_files_of_somebody_else_are_never_replaced(tmp_path, name):
    folder = tmp_path / "mine"
    folder.mkdir()
    if name == "models":
        (folder / name / "precious").mkdir(parents=True)
    else:
        (folder / name).write_text('{"mine": 1}')
    with pytest.raises(ConfigError, match=f"holds files that no comparison wrote .{name}., which would be"):
        run_folder(CompareOptions("d.csv", out=folder, overwrite=True))


def test_a_folder_with_other_files_is_fine(tmp_path):
    (tmp_path / "notes.md").write_text("mine")
    assert run_folder(CompareOptions("d.csv", out=tmp_path)) == tmp_path


def test_a_comparison_that_was_stopped_early_is_one(tmp_path):
    (tmp_path / "models" / "bow").mkdir(parents=True)
    (tmp_path / "outcomes").mkdir()
    assert not is_run(tmp_path)
    (tmp_path / "models" / "bow" / "manifest.json").write_text("{}")
    assert is_run(tmp_path)


def test_overwriting_needs_a_folder():
    with pytest.raises(ConfigError, match="--overwrite replaces the folder that --out names"):
        CompareOptions("d.csv", overwrite=True)
