"""Tests on a slow machine: all waits of tests that start programs use ``DEADLINE_S``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.deadline import DEADLINE_S

TESTS = Path(__file__).parents[1]
DIRECTORIES = ("cluster", "contract", "e2e", "fuzz", "process")
KEYWORDS = ("timeout", "deadline_s", "within_s", "timeout_s")
FUNCTIONS = ("asyncio.timeout", "asyncio.wait_for", "threading.Timer")
SHORT_S = 5  # a shorter time is one that the test lets pass


def short_deadlines(text: str) -> Iterator[int]:
    """The line of each number that is the deadline of a wait, and less than ``DEADLINE_S``."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            values = [each.value for each in node.keywords if each.arg in KEYWORDS]
            name = ast.unparse(node.func)
            values += node.args if name in FUNCTIONS or name.endswith(".wait") else []
            for value in values:
                number = value.value if isinstance(value, ast.Constant) else None
                if isinstance(number, (int, float)) and SHORT_S <= number < DEADLINE_S:
                    yield value.lineno


def test_each_wait_has_the_deadline_for_slow_machines() -> None:
    files = [file for name in DIRECTORIES for file in (TESTS / name).rglob("*.py") if file.parent.name != "programs"]
    assert len(files) > 100
    short = [f"{file.relative_to(TESTS)}:{line}" for file in files for line in short_deadlines(file.read_text())]
    assert short == [], "use DEADLINE_S of tests/deadline.py, or leave the default"


def test_short_deadline_is_found() -> None:
    lines = [
        "run(x, timeout=50)",
        "asyncio.timeout(20)",
        "event.wait(30)",
        "asyncio.wait_for(x, 10)",
        "sink.wait_for(3)",
    ]
    assert list(short_deadlines("\n".join(lines))) == [1, 2, 3, 4]
