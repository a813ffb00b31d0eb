"""`sopan train --checkpoint`: killed in the midst of training, it goes on to the very same model."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import tables

COMMAND = (sys.executable, "-c", "from sopan.cli import main; main()", "train", "self_attention")


def train(desk: Path, data: str, out: str, *more: str) -> subprocess.Popen[str]:
    options = (data, "--budget", "1trials", "--seed", "4", "--out", out, *more)
    return subprocess.Popen([*COMMAND, *options], cwd=desk, stderr=subprocess.PIPE, text=True)


def test_a_killed_training_goes_on_to_the_same_bytes_and_refuses_other_data(tmp_path: Path) -> None:
    tables.reviews(tmp_path / "reviews.csv", each=100)
    tables.reviews(tmp_path / "others.csv", each=100, seed=9)
    kept = tmp_path / "kept" / "trial-0.safetensors"
    with train(tmp_path, "reviews.csv", "killed", "--checkpoint", "kept") as killed:
        while not kept.exists():
            assert killed.poll() is None, killed.communicate()[1]
            time.sleep(0.01)
        killed.kill()
    assert not (tmp_path / "killed" / "manifest.json").exists()
    with train(tmp_path, "others.csv", "other", "--checkpoint", "kept") as refused:
        complaint = refused.communicate()[1].strip().splitlines()[-1]
    assert refused.returncode == 2
    assert "another run" in complaint
    for out, more in (("resumed", ("--checkpoint", "kept")), ("whole", ())):
        with train(tmp_path, "reviews.csv", out, *more) as going:
            said = going.communicate()[1]
        assert going.returncode == 0, said
    resumed, whole = ((tmp_path / out / "model.safetensors").read_bytes() for out in ("resumed", "whole"))
    assert resumed == whole
    assert not kept.exists(), "nothing is left to go on from"
