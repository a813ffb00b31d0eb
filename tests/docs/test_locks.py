"""The locks hold all that the package asks for, by hash, and nothing that would bring PyTorch or CUDA."""

from __future__ import annotations

import re

import pytest
from packaging.requirements import Requirement
from project import PROJECT, PYPROJECT, ROOT, demanded

GROUPS = {"runtime": ["build"], "dev": ["build", "dev"], "bench": ["build", "dev", "bench"]}
EXTRAS = "sopan[tensorflow,serve,report]"
"""What `make setup` installs."""


@pytest.fixture(params=GROUPS)
def lock(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def entries(lock: str) -> list[str]:
    """The lock's requirements, each with its marker and its hashes, in one line."""
    text = re.sub(r"^ *#.*\n", "", (ROOT / "locks" / f"{lock}.lock").read_text(), flags=re.M)
    return text.replace("\\\n", "").splitlines()


def requirements(lock: str) -> list[Requirement]:
    return [Requirement(entry.split("--hash")[0].strip()) for entry in entries(lock)]


def test_it_holds_what_is_asked_for(lock: str) -> None:
    asked = [*PROJECT["dependencies"], EXTRAS]
    for group in GROUPS[lock]:
        asked += PYPROJECT["dependency-groups"][group]
    held = {requirement.name: requirement.specifier for requirement in requirements(lock)}
    for requirement in demanded(asked):
        version = str(held[requirement.name]).removeprefix("==")
        assert requirement.specifier.contains(version), f"{requirement}: the lock has {version}"


def test_it_names_no_index(lock: str) -> None:
    assert "://" not in (ROOT / "locks" / f"{lock}.lock").read_text()


def test_everything_is_pinned_by_hash(lock: str) -> None:
    for entry in entries(lock):
        assert re.match(r"\S+==\S+ .*--hash=sha256:[0-9a-f]{64}", entry), entry


def test_it_brings_neither_pytorch_nor_cuda(lock: str) -> None:
    names = [requirement.name for requirement in requirements(lock)]
    assert not [name for name in names if re.search(r"torch|nvidia|cuda|^triton$|cudnn", name)]


@pytest.mark.parametrize(("machine", "build"), [("x86_64", "tensorflow-cpu"), ("arm64", "tensorflow")])
def test_each_machine_gets_one_build_of_tensorflow(lock: str, machine: str, build: str) -> None:
    builds = [
        requirement.name
        for requirement in requirements(lock)
        if requirement.name in ("tensorflow", "tensorflow-cpu")
        and (requirement.marker is None or requirement.marker.evaluate({"platform_machine": machine}))
    ]
    assert builds == [build]
