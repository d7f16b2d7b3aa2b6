"""The example of a source that continues after a restart: its tests find the mistake that the page warns of."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.deadline import DEADLINE_S
from tests.installed import environ_with
from tests.pages import blocks

KIND, TESTS = (
    block.text
    for block in blocks("docs/write-a-source.md", "### Continue after a restart")
    if block.language == "python"
)
SAVE = "                    context.checkpoint.save(offset)\n"
SEND = "                outcome = yield"


def ran_tests(directory: Path, kind: str) -> subprocess.CompletedProcess[str]:
    for name, text in (("kinds/log_file_source.py", kind), ("tests/test_log_file_source.py", TESTS)):
        (directory / name).parent.mkdir()
        (directory / name).write_text(text)
    words = [sys.executable, "-m", "pytest", "-q", "tests"]
    environ = environ_with(directory / "site")
    return subprocess.run(
        words, cwd=directory, env=environ, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )


def test_example_of_a_position_has_thirty_lines_and_its_tests_pass(tmp_path: Path) -> None:
    assert len([line for line in KIND.splitlines() if line]) <= 30
    ran = ran_tests(tmp_path, KIND)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            [(SAVE, ""), (SEND, f"                context.checkpoint.save(offset + len(line))\n{SEND}")],
            "LogFileSource was killed while it sent event 1, '0'; the next process sent '4' first.",
        ),
        (
            [("id=str(offset)", "id=str(context.clock.now().timestamp() + id(context))")],
            "first. Save after the yield, and give an event the same id each time",
        ),
    ],
    ids=["saved before the yield", "another id in each process"],
)
def test_mistake_in_the_example_makes_its_tests_fail(
    changes: list[tuple[str, str]], message: str, tmp_path: Path
) -> None:
    kind = KIND
    for old, new in changes:
        assert old in kind
        kind = kind.replace(old, new)
    ran = ran_tests(tmp_path, kind)
    assert ran.returncode == 1
    assert message in ran.stdout
