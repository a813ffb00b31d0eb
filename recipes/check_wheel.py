"""Build the wheel, install it without extras into a fresh environment, and use it there.

    python recipes/check_wheel.py [--dist dist] [--python python3]

Run it where sopan is installed with TensorFlow: a `transformer` is trained here and must predict there.
Needs the index that pip is set up for. Prints a line for each check, and the size of the environment.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ABSENT = ("tensorflow", "keras", "jax", "torch", "fastapi", "altair", "cleanlab")
"""Modules of the extras, none of which the bare wheel may bring in."""
FEW = ["--train", "600", "--val", "200", "--test", "200", "--budget", "1trials"]
CLOSE = 1e-5
"""How far apart float32 probabilities may be, computed by two versions of a runtime."""
TEXT = "a warm, funny and moving film"


def run(command: list[str | Path], cwd: Path, *hidden: str) -> str:
    """Run a command that must succeed, some variables hidden from it; return what it printed."""
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\nexit code {done.returncode}\n{done.stderr}")
    return done.stdout


def build(dist: Path) -> Path:
    """Build the wheel of this checkout into a folder that holds no other."""
    shutil.rmtree(dist, ignore_errors=True)
    run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", dist, ROOT], ROOT)
    (wheel,) = dist.glob("*.whl")
    return wheel


def megabytes(folder: Path) -> float:
    """Size on disk of all files in a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir()) / 1e6


def check(wheel: Path, python: str, here: Path) -> None:
    """Install the wheel into a fresh environment and run the commands that need no extra."""
    trained, ours = here / "transformer", Path(sys.executable).with_name("sopan")
    run([ours, "train", "transformer", "snippets", *FEW, "--out", trained], here)
    expected = json.loads(run([ours, "predict", trained, TEXT, "--json"], here))["probabilities"]

    def there(*command: str | Path) -> str:
        return run([scripts / command[0], *command[1:]], here, "PYTHONPATH")

    fresh = here / "fresh"
    scripts = fresh / ("Scripts" if os.name == "nt" else "bin")
    run([python, "-m", "venv", fresh], here)
    before = megabytes(fresh)
    there("python", "-m", "pip", "install", "-q", "--disable-pip-version-check", wheel)
    there("python", "-m", "pip", "check")
    say(f"{wheel.name}: an environment of {megabytes(fresh):,.0f} MB, {before:,.0f} of them pip's")
    code = f"from importlib.util import find_spec; print([name for name in {ABSENT!r} if find_spec(name)])"
    if (found := there("python", "-c", code).strip()) != "[]":
        raise SystemExit(f"the bare wheel brings in {found}")
    say(f"absent: {', '.join(ABSENT)}")

    if "compare" not in there("sopan", "--help"):
        raise SystemExit("sopan --help does not list compare")
    say("sopan --help")
    there("sopan", "compare", "snippets", "--steps", "bow,cbow", "--budget", "2trials", "--out", "run")
    results = json.loads((here / "run" / "results.json").read_text(encoding="utf-8"))
    scores = ", ".join(f"{step['step']} {step['accuracy']:.4f}" for step in results["steps"])
    say(f"sopan compare snippets --steps bow,cbow: {scores}")
    answer = json.loads(there("sopan", "predict", trained, TEXT, "--json"))
    apart = max(abs(answer["probabilities"][name] - expected[name]) for name in expected)
    if apart > CLOSE:
        raise SystemExit(f"the transformer's probabilities are {apart} apart here and there")
    say(f"sopan predict of a transformer: {answer['predicted']}, probabilities within {apart:.0e} of ours")


def say(line: str) -> None:
    """Tell what was found, at once."""
    print(line, flush=True)


def main() -> None:
    """Build, install, check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--dist", type=Path, default=ROOT / "dist", help="folder for the wheel; emptied first"
    )
    parser.add_argument("--python", default=sys.executable, help="makes the fresh environment")
    options = parser.parse_args()
    wheel = build(options.dist.resolve())
    with tempfile.TemporaryDirectory(prefix="sopan-wheel-") as folder:
        check(wheel, options.python, Path(folder))


if __name__ == "__main__":
    main()
