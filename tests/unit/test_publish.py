"""Publishing: a folder or file is there in full or as it was before, whatever happens on the way."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from small_step import enter_in_table, trained

from sopan.errors import ModelFolderError, SopanError
from sopan.fit.artifact import load_model, save_model
from sopan.fit.saved import MODEL_FILES
from sopan.storage import atomic
from sopan.storage.atomic import (
    check_replaceable,
    folder_lock,
    replacing_file,
    replacing_folder,
    write_atomic,
)


@pytest.fixture(autouse=True)
def _in_table(monkeypatch):
    enter_in_table(monkeypatch)


@pytest.fixture(params=["exchange", "step aside"])
def way(request, monkeypatch):
    """Both ways to replace a folder: in one step, and where the file system cannot do that."""
    if request.param == "step aside":
        monkeypatch.setattr(atomic, "_exchange", lambda a, b: False)
    return request.param


def save(folder, smoothing=1.0):
    return save_model(trained(smoothing=smoothing), folder, data={}, metrics={})


def smoothing_of(folder):
    return load_model(folder).smoothing


def siblings(folder):
    return sorted(path.name for path in folder.parent.iterdir() if path != folder)


def in_another_process(script):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, env=environment
    )


# ---- replacing --------------------------------------------------------------------------------------


def test_a_new_model_takes_the_place_of_the_old(tmp_path, way):
    folder = tmp_path / "deep" / "er" / "model"
    for smoothing in (1.0, 2.0, 3.0):
        save(folder, smoothing)
        assert smoothing_of(folder) == smoothing
        assert siblings(folder) == [".model.lock"]


def test_this_machine_exchanges_in_one_step(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "file").write_text("b")
    if not atomic._exchange(tmp_path / "a", tmp_path / "b"):
        assert sys.platform not in ("linux", "darwin") or os.environ.get("SOPAN_REQUIRE_ALL") != "1"
        return
    assert (tmp_path / "a" / "file").read_text() == "b"
    with pytest.raises(FileNotFoundError):
        atomic._exchange(tmp_path / "a", tmp_path / "absent")


def test_an_empty_folder_is_taken(tmp_path, way):
    (tmp_path / "model").mkdir()
    save(tmp_path / "model")
    assert smoothing_of(tmp_path / "model") == 1.0


def test_a_link_stays_a_link(tmp_path, way):
    save(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    save(tmp_path / "link", 2.0)
    assert (tmp_path / "link").is_symlink()
    assert smoothing_of(tmp_path / "real") == 2.0


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_half_way_leaves_the_old_model(tmp_path, way, error):
    save(tmp_path / "model")
    with (  # noqa: PT012
        pytest.raises(error),
        replacing_folder(tmp_path / "model", bytes_needed=10, names=MODEL_FILES) as new,
    ):
        (new / "config.json").write_text("half of it")
        raise error
    assert smoothing_of(tmp_path / "model") == 1.0
    assert siblings(tmp_path / "model") == [".model.lock"]


def test_an_interrupt_between_the_two_renames_brings_the_old_model_back(tmp_path, monkeypatch):
    save(tmp_path / "model")
    monkeypatch.setattr(atomic, "_exchange", lambda a, b: False)
    rename = Path.rename

    def interrupted(self, target):
        if self.name.startswith(".model.new-") and Path(target).name == "model":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path / "model", 2.0)
    assert smoothing_of(tmp_path / "model") == 1.0
    assert siblings(tmp_path / "model") == [".model.lock"]


def test_a_model_left_aside_by_a_killed_run_is_found_and_brought_back(tmp_path):
    folder = tmp_path / "model"
    save(folder)
    folder.rename(tmp_path / ".model.old")  # what a kill between the two renames leaves
    assert smoothing_of(folder) == 1.0
    with pytest.raises(RuntimeError), replacing_folder(folder, bytes_needed=0, names=MODEL_FILES):
        raise RuntimeError
    assert siblings(folder) == [".model.lock"]
    assert smoothing_of(folder) == 1.0


def test_what_killed_runs_left_is_cleared_away(tmp_path, way):
    folder = tmp_path / "model [1]"  # a name that a pattern could misread
    save(folder)
    for left in (".model [1].new-0123", ".model [1].new-4567", ".model [1].old", ".model [2].new-89"):
        (tmp_path / left).mkdir()
        (tmp_path / left / "config.json").write_text("half")
    save(folder, 2.0)
    assert smoothing_of(folder) == 2.0
    assert siblings(folder) == [".model [1].lock", ".model [2].new-89"]


# ---- what must not be replaced ----------------------------------------------------------------------


def test_a_folder_with_other_files_is_never_replaced(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ModelFolderError, match=r"holds files that are not a model's \(thesis.tex\)"):
        save(tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
    with pytest.raises(ModelFolderError, match="is a file, not a folder"):
        check_replaceable(tmp_path / "thesis.tex", MODEL_FILES)
    check_replaceable(tmp_path / "absent", MODEL_FILES)


# ---- locks ------------------------------------------------------------------------------------------


def test_a_second_run_in_the_same_folder_is_refused(tmp_path):
    folder = tmp_path / "model"
    script = f"""
from small_step import ENTRY, STEPS, trained
STEPS['small'] = ENTRY
from sopan.fit.artifact import save_model
save_model(trained(), {str(folder)!r}, data={{}}, metrics={{}})
"""
    with folder_lock(folder):
        save(folder, 2.0)  # the holder may save
        done = in_another_process(script)
        assert done.returncode == 1
        assert (
            "another run is writing this folder; wait for it to end, or choose another --out" in done.stderr
        )
        assert smoothing_of(folder) == 2.0
    assert in_another_process(script).returncode == 0
    assert smoothing_of(folder) == 1.0


def test_a_second_thread_is_refused(tmp_path):
    refused = []

    def other():
        try:
            save(tmp_path / "model", 2.0)
        except ModelFolderError as error:
            refused.append(str(error))

    with folder_lock(tmp_path / "model"):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(refused) == 1
    assert "another run is writing" in refused[0]


def test_the_lock_of_a_killed_run_is_gone(tmp_path):
    script = f"""
import os, signal
from pathlib import Path
from sopan.storage.atomic import folder_lock
with folder_lock(Path({str(tmp_path / "model")!r})):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert in_another_process(script).returncode == -9
    save(tmp_path / "model")


# ---- full disks ------------------------------------------------------------------------------------


def test_too_little_room_is_told_before_anything_is_written(tmp_path, monkeypatch):
    save(tmp_path / "model")
    monkeypatch.setattr(atomic.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(SopanError, match=r"0.0 MB are free and the model needs 1.\d; nothing was changed"):
        save(tmp_path / "model", 2.0)
    assert smoothing_of(tmp_path / "model") == 1.0


def test_a_disk_that_fills_up_half_way_leaves_the_old_model(tmp_path):
    """A limit on the size of files stands for the disk: it ends a write in the same way."""
    folder = tmp_path / "model"
    save(folder)
    done = in_another_process(f"""
import resource
from small_step import ENTRY, STEPS, trained
STEPS['small'] = ENTRY
from sopan.fit.artifact import load_model, save_model
from sopan.errors import SopanError
estimator = trained([f'word{{n}} other{{n}}' for n in range(400)], ['a', 'b'] * 200)
for limit in (0, 300, 1_500, 3_000, 8_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        save_model(estimator, {str(folder)!r}, data={{}}, metrics={{}})
    except SopanError as error:
        print(error, load_model({str(folder)!r}).predict_proba(['']).tolist())
""")
    assert done.stdout.count("model: the disk is full; nothing was changed") == 5, done
    assert done.stdout.count("[[0.5, 0.5]]") == 5
    assert siblings(folder) == [".model.lock"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SopanError, match=r"file/model: cannot be written \(.+\); choose another --out"):
        save(tmp_path / "file" / "model")


# ---- readers while others publish -------------------------------------------------------------------


def test_a_reader_during_a_publish_sees_the_old_or_the_new_model_whole(tmp_path, way):
    folder = tmp_path / "model"
    save(folder, 1.0)
    failures: list[BaseException] = []
    done = threading.Event()

    def publishing():
        try:
            for smoothing in (2.0, 1.0) * 30:
                save(folder, smoothing)
        except BaseException as error:
            failures.append(error)
        finally:
            done.set()

    expected = {value: trained(smoothing=value).predict_proba(["a fine film"]) for value in (1.0, 2.0)}
    writer = threading.Thread(target=publishing)
    writer.start()
    reads = 0
    while not done.is_set():
        estimator = load_model(folder)
        assert (estimator.predict_proba(["a fine film"]) == expected[estimator.smoothing]).all()
        reads += 1
    writer.join()
    assert not failures
    assert reads >= 10


def test_a_reader_between_the_two_renames_finds_the_old_model(tmp_path, monkeypatch):
    folder = tmp_path / "model"
    save(folder)
    monkeypatch.setattr(atomic, "_exchange", lambda a, b: False)
    rename = Path.rename
    seen = []

    def read_then_rename(self, target):
        seen.append(smoothing_of(folder))
        moved = rename(self, target)
        seen.append(smoothing_of(folder))
        return moved

    monkeypatch.setattr(Path, "rename", read_then_rename)
    save(folder, 2.0)
    assert seen == [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]


def test_a_folder_that_moves_while_it_is_read_is_read_again(tmp_path):
    folder = tmp_path / "model"
    save(folder)
    tries = []

    def read(found):
        tries.append(found)
        if len(tries) == 1:
            save(folder, 2.0)
            raise ModelFolderError("half of each")
        return load_model(found).smoothing

    assert atomic.read_published(folder, read) == 2.0

    def never(found):
        save(folder)
        raise ModelFolderError("half of each")

    with pytest.raises(ModelFolderError, match="being replaced over and over; try again later"):
        atomic.read_published(folder, never)


# ---- single files ------------------------------------------------------------------------------------


def test_a_file_is_written_in_full_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "file.txt"
    write_atomic(path, "শুরু")
    assert path.read_text(encoding="utf-8") == "শুরু"
    write_atomic(path, b"bytes")
    with pytest.raises(KeyboardInterrupt), replacing_file(path) as new:  # noqa: PT012
        new.write_text("half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"bytes"
    assert siblings(path) == []
