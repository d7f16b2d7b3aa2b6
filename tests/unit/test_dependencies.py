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
# They are imported only if spans are exported, and need the extra ``otlp``.
OTLP_FILES = (ROOT / "adapter/delivery/exporter.py", ROOT / "adapter/delivery/spans.py")
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
        if any(file.is_relative_to(folder) for folder in DEVELOPMENT) is development and file not in OTLP_FILES
        for package in imported_packages(file)
    }
    return {normalized(name) for package in packages for name in known[package]}


RUNTIME = distributions(PROJECT["dependencies"])
OTLP = distributions(PROJECT["optional-dependencies"]["otlp"])
DEV = distributions(PROJECT["optional-dependencies"]["dev"])


def test_every_runtime_dependency_is_imported_by_the_hook_or_the_adapter() -> None:
    assert RUNTIME - DATA - imported_distributions(development=False) == set()


def test_every_import_of_the_hook_and_the_adapter_is_a_runtime_dependency() -> None:
    assert imported_distributions(development=False) - RUNTIME == set()


def test_every_import_of_development_code_is_a_declared_dependency() -> None:
    assert imported_distributions(development=True) - RUNTIME - DEV == set()


def test_the_packages_of_the_otlp_extra_are_those_that_its_files_import() -> None:
    """Several distributions share the package ``opentelemetry``."""
    known = packages_distributions()
    imported = [imported_packages(file) for file in OTLP_FILES]
    found = {package: {normalized(name) for name in known[package]} for package in set().union(*imported)}
    assert [package for package, names in found.items() if not names & (RUNTIME | OTLP)] == []
    assert OTLP - set().union(*found.values()) == set()


def test_the_otlp_lock_changes_no_package_of_an_adapter() -> None:
    runtime, otlp = (
        set(re.findall(r"^[\w.-]+==\S+", (ROOT / f"requirements/{name}.lock").read_text(), re.MULTILINE))
        for name in ("runtime", "otlp")
    )
    assert runtime < otlp
