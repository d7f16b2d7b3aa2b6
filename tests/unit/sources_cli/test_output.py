"""Everything that a command prints goes through ``sources_cli.screen``, which makes foreign text harmless."""

from __future__ import annotations

import ast
from pathlib import Path

from sources_cli.problem import Problem

CODE = Path(__file__).parents[3] / "sources_cli"
PRINTING = {"print", "echo", "secho"}


def called(path: Path) -> set[str]:
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    return {getattr(call, "id", "") or getattr(call, "attr", "") for call in calls}


def test_only_the_screen_prints() -> None:
    files = [path for path in CODE.rglob("*.py") if called(path) & PRINTING]
    assert {path.relative_to(CODE).as_posix() for path in files} == {"screen/stdout.py", "screen/live.py"}


def test_problem_keeps_its_lines_and_makes_foreign_text_harmless() -> None:
    assert str(Problem("a\nsources: forged\x1b[2J", "b")) == "a�sources: forged�[2J\nb"
