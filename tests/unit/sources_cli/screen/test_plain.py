"""The plain lines of ``sources run``."""

from __future__ import annotations

from typing import Any

import pytest

from sources_cli.screen.plain import REMIND_AFTER_LINES, PlainScreen

METADATA = {"name": "hello", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}


def source(ready: str, message: str) -> dict[str, Any]:
    condition = {"type": "Ready", "status": ready, "reason": "R", "message": message}
    return {"kind": "SampleSource", "metadata": METADATA, "status": {"conditions": [condition]}}


def test_row_is_printed_after_a_change_but_not_after_a_change_of_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    screen = PlainScreen([source("Unknown", "")])
    for ready, message in (("Unknown", ""), ("Unknown", ""), ("False", "3 failures"), ("False", "4 failures")):
        screen.row(source(ready, message), 0)
    screen.row(source("False", "no sink"), 0)
    rows = [" ".join(line.split()[:3]) for line in capsys.readouterr().out.splitlines()]
    failing = "hello SampleSource False"
    assert rows == ["hello SampleSource Unknown", failing, "3 failures", failing, "no sink"]


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
