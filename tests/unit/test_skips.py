"""No test is left out unnoticed: the summary of a run names the skipped tests by their reason."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.deadline import DEADLINE_S

ROOT = Path(__file__).parents[2]
MISSING = """
import pytest

@pytest.mark.parametrize("n", range(3))
def test_needs_a_binary(n):
    pytest.skip("the binary is missing; set $BINARY")

@pytest.mark.skip(reason="only with LONG=1")
def test_long():
    pass
"""


def pytest_run(*arguments: str | Path, **environ: str) -> str:
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *map(str, arguments)]
    env = {"PATH": os.environ["PATH"], **environ}
    return subprocess.run(
        words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    ).stdout


@pytest.mark.parametrize("workers", ["0", "2"])
def test_skipped_tests_are_grouped_by_reason(tmp_path: Path, workers: str) -> None:
    (tmp_path / "test_some.py").write_text(MISSING)
    settings = ["-c", ROOT / "pyproject.toml", "--rootdir", ROOT, "-p", "tests.conftest"]
    summary = pytest_run(*settings, "-n", workers, tmp_path)
    assert "skipped tests and what they need" in summary
    assert "    3  the binary is missing; set $BINARY\n    1  only with LONG=1\n" in summary


def test_long_cluster_tests_name_their_variable() -> None:
    assert "  the long forms run only with LONG=1 (make test-long)" in pytest_run(
        "tests/cluster/test_uninstall.py", "-m", "long"
    )


def test_no_two_tests_have_the_same_id(request: pytest.FixtureRequest) -> None:
    """pytest-xdist runs one test per id and says nothing about the others."""
    counts = Counter(item.nodeid for item in request.session.items)
    assert [nodeid for nodeid, count in counts.items() if count > 1] == []
