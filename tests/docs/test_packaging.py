"""What sopan imports is declared, and the main job imports nothing that only POSIX has."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from project import EXTRAS, PROJECT, ROOT, declared, normal

SOURCES = sorted((ROOT / "src" / "sopan").rglob("*.py"))
DISTRIBUTIONS = {"sklearn": "scikit-learn", "vl_convert": "vl-convert-python"}
"""Where a module is called otherwise than what brings it."""


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Each absolute import's first name, and whether it is made when the module is imported."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [str(node.module)]
        else:
            continue
        for name in names:
            yield name.partition(".")[0], id(node) not in inside


def imported() -> dict[str, Path]:
    """The distribution of each third party's module, with a file that imports it."""
    return {
        DISTRIBUTIONS.get(name, normal(name)): path
        for path in SOURCES
        for name, _ in imports(path)
        if name not in sys.stdlib_module_names and name != "sopan"
    }


def test_every_imported_library_is_declared() -> None:
    everything = declared([*PROJECT["dependencies"], *(line for lines in EXTRAS.values() for line in lines)])
    for name, path in imported().items():
        assert name in everything, f"{path} imports {name}"


def test_every_declared_library_is_imported() -> None:
    assert declared([*PROJECT["dependencies"], *EXTRAS["all"]]) <= imported().keys()


def test_all_is_every_extra_with_one_backend() -> None:
    others = [extra for extra in EXTRAS if extra not in ("all", "jax", "torch")]
    assert declared(EXTRAS["all"]) == declared([line for extra in others for line in EXTRAS[extra]])


@pytest.mark.parametrize("library", ["numba", "llvmlite"])
def test_what_is_no_promise_is_bounded(library: str) -> None:
    requirement = next(r for r in map(Requirement, PROJECT["dependencies"]) if r.name == library)
    assert any(bound.operator == "<" for bound in requirement.specifier)


@pytest.mark.parametrize("library", ["h11", "uvicorn"])
def test_what_is_no_promise_of_the_server_is_bounded(library: str) -> None:
    requirement = next(r for r in map(Requirement, EXTRAS["serve"]) if r.name == library)
    assert any(bound.operator == "<" for bound in requirement.specifier)


POSIX_MODULES = {"fcntl", "grp", "posix", "pwd", "resource", "termios"}
POSIX_CALLS = re.compile(r"\bos\.(fork|getuid|killpg|mkfifo|setsid|sysconf|uname)\b|\bpass_fds\b|SIGKILL")


def test_the_main_job_asks_nothing_that_only_posix_has() -> None:
    """The server alone hands sockets to child processes, and ends their sessions."""
    for path in SOURCES:
        if "serve" in path.relative_to(ROOT / "src" / "sopan").parts[:1]:
            continue
        at_import = {name for name, outside in imports(path) if outside}
        assert not at_import & POSIX_MODULES, path
        assert not POSIX_CALLS.search(path.read_text(encoding="utf-8")), path


def test_only_the_makefile_knows_a_folder_beside_the_project() -> None:
    """Real data come by name (`sopan data`), or from the folder that `SOPAN_DATA` names."""
    beside = re.compile(r"\.\./" + r"shared|/" + "shared/data")
    for folder in ("src", "tests", "bench", "recipes"):
        for path in (ROOT / folder).rglob("*.py"):
            assert not beside.search(path.read_text(encoding="utf-8")), path
