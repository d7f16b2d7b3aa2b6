"""The terminal of the tests."""

from __future__ import annotations

from pathlib import Path

from tests.process.terminal import terminal


def test_wait_until_waits_for_a_program_that_ends_after_its_output(tmp_path: Path) -> None:
    with terminal(["sh", "-c", "exec <&- >&- 2>&-; sleep 0.3"], tmp_path) as screen:
        screen.wait_until(lambda: screen.process.poll() is not None, "ended")
