"""The dependencies that pyproject.toml declares are those that the code imports."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OWN = {"adapter", "hooks", "sources_cli"}
DATA = {"tzdata"}  # read by zoneinfo, without an import
DEVELOPMENT = (ROOT / "adapter/testing", ROOT / "sources_cli")  # need the extra ``dev``; images do not have it


def distributions(requirements: list[str]) -> set[str]:
    return {normalized(re.split(r"[^A-Za-z0-9._-]", requirement)[0]) for requirement in requirements}


def normalized(name: str) -> str:
    """The normalized name of a distribution (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def imported_packages(file: Path) -> set[str]:
    """Top-level packages of all imports, also inside functions; without the standard library and this project."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules.add(node.module or "")
    return {module.partition(".")[0] for module in modules} - sys.stdlib_module_names - OWN


def imported_distributions(*, development: bool) -> set[str]:
    known = packages_distributions()
    packages = {
        package
        for name in OWN
        for file in (ROOT / name).rglob("*.py")
        if any(file.is_relative_to(folder) for folder in DEVELOPMENT) is development
        for package in imported_packages(file)
    }
    return {normalized(name) for package in packages for name in known[package]}


RUNTIME = distributions(PROJECT["dependencies"])
DEV = distributions(PROJECT["optional-dependencies"]["dev"])


def test_every_runtime_dependency_is_imported_by_the_hook_or_the_adapter() -> None:
    assert RUNTIME - DATA - imported_distributions(development=False) == set()


def test_every_import_of_the_hook_and_the_adapter_is_a_runtime_dependency() -> None:
    assert imported_distributions(development=False) - RUNTIME == set()


def test_every_import_of_development_code_is_a_declared_dependency() -> None:
    assert imported_distributions(development=True) - RUNTIME - DEV == set()
