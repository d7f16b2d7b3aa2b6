"""The committed inputs break no rule, and the driver finds, shortens and saves an input that breaks one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import strategies as st

from tests.fuzz import engine
from tests.fuzz.driver import Fuzzing, failure_of
from tests.fuzz.engine import Target, attempt, inputs
from tests.fuzz.targets import ALL, TARGETS

CASES = [(target.name, path.name) for target in ALL for path in inputs(target)]


@pytest.mark.parametrize(("name", "file"), CASES)
def test_committed_input_breaks_no_rule(name: str, file: str) -> None:
    target = TARGETS[name]
    attempt(target, (target.directory / file).read_bytes())


def own_target(tmp_path: Path, check: Callable[[bytes], None], data: bytes = b"", cpu_s: float = 0.1) -> Target:
    (tmp_path / "own").mkdir()
    (tmp_path / "own/first").write_bytes(data)
    return Target("own", check, st.binary(max_size=4), (b"bad",), tmp_path, cpu_s=cpu_s)


def test_driver_saves_a_short_input_that_breaks_a_rule(tmp_path: Path) -> None:
    def check(data: bytes) -> None:
        assert b"bad" not in data

    fuzzing = Fuzzing(own_target(tmp_path, check, b"good and long"))
    fuzzing.run(1, 0.5)
    [found] = fuzzing.found.values()
    assert "AssertionError" in found
    assert sorted(path.read_bytes() for path in (tmp_path / "own").iterdir()) == [b"bad", b"good and long"]


def test_input_that_takes_too_long_is_a_failure(tmp_path: Path) -> None:
    def check(data: bytes) -> None:
        while True:
            pass

    assert "TooSlow" in failure_of(own_target(tmp_path, check), b"")


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="only Linux resets the peak of a process's memory"
)
def test_input_that_takes_too_much_memory_is_a_failure(tmp_path: Path) -> None:
    def check(data: bytes) -> None:
        bytearray(engine.MEMORY * 2)[::4096] = b"x" * (engine.MEMORY * 2 // 4096)

    assert "TooLarge" in failure_of(own_target(tmp_path, check, cpu_s=60), b"")
