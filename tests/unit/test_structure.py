"""Limits that keep the code readable: files per folder, lines per file and function, imports between packages.

The import contracts are in pyproject.toml; these are the limits that import-linter cannot express.
"""

from __future__ import annotations

import ast
import re
import statistics
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(
    path
    for package in ("hooks", "adapter", "sources_cli", "metacontroller/generate")
    for path in (ROOT / package).rglob("*.py")
)


def test_folders_contain_at_most_12_files() -> None:
    counts = Counter(path.parent.relative_to(ROOT).as_posix() for path in FILES if path.name != "__init__.py")
    limits = {"hooks": 17}
    assert {folder: count for folder, count in counts.items() if count > limits.get(folder, 12)} == {}


def test_files_have_at_most_280_lines() -> None:
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in FILES}
    assert {file: lines for file, lines in lengths.items() if lines > 280} == {}


def test_nine_of_ten_functions_have_at_most_20_lines() -> None:
    functions = [
        node
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    lengths = [(node.end_lineno or 0) - node.lineno + 1 for node in functions]
    assert statistics.quantiles(lengths, n=10)[-1] <= 20


@pytest.mark.parametrize("path", [path for path in FILES if path.name == "__init__.py"], ids=lambda path: path.parent)
def test_package_init_holds_a_docstring_and_constants_only(path: Path) -> None:
    """``adapter.testing`` is the exception: a pytest plugin with its fixtures and public names in ``__init__``."""
    if path.parent.name != "testing":
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree)
        assert {type(node) for node in tree.body[1:]} <= {ast.Assign}


def test_no_test_module_is_imported() -> None:
    """What several test modules need is in a module of its own. Then a test module can be split or renamed."""
    imported = re.compile(r"^ *(?:from|import) tests\.(?:\w+\.)*test_", re.MULTILINE)
    assert [path for path in (ROOT / "tests").rglob("*.py") if imported.search(path.read_text())] == []


def edges() -> Iterator[tuple[str, str]]:
    """Imports between the packages and top-level modules of ``adapter``."""
    graph = grimp.build_graph("adapter")
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            if importer.count(".") and imported.count("."):
                yield importer.split(".")[1], imported.split(".")[1]


def test_packages_of_the_adapter_have_few_imports_and_levels() -> None:
    imports = {(importer, imported) for importer, imported in edges() if importer != imported}
    assert len(imports) <= 81

    def level(package: str) -> int:
        return 1 + max((level(imported) for importer, imported in imports if importer == package), default=0)

    assert max(level(importer) for importer, _ in imports) <= 6
