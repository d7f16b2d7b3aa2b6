"""The plain lines of ``sources run``."""

from __future__ import annotations

import pytest

from sources_cli.screen.plain import REMIND_AFTER_LINES, PlainScreen


def test_problems_of_the_files_are_repeated_until_they_are_solved(capsys: pytest.CaptureFixture[str]) -> None:
    screen = PlainScreen([{"kind": "SampleSource", "metadata": {"name": "hello"}}])
    screen.problems(["not applied: a", "not applied: b"])
    for _ in range(2 * REMIND_AFTER_LINES):
        screen.event("hello", {"type": "t"})
    screen.message("a message")
    screen.problems([])
    screen.problems([])
    for _ in range(REMIND_AFTER_LINES):
        screen.event("hello", {"type": "t"})
    repeated = ["not applied: a", "not applied: b"] * 3
    assert capsys.readouterr().err.splitlines() == [*repeated, "a message", "applied: the files are valid again"]
