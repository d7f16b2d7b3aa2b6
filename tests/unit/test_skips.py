"""The summary of a test run names the skipped tests by their reason."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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
    return subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=50, check=False).stdout


def test_skipped_tests_are_grouped_by_reason(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(MISSING)
    summary = pytest_run("-c", ROOT / "pyproject.toml", "--rootdir", ROOT, "-p", "tests.conftest", tmp_path)
    assert "skipped tests and what they need" in summary
    assert "    3  the binary is missing; set $BINARY\n    1  only with LONG=1\n" in summary


def test_long_cluster_tests_name_their_variable() -> None:
    assert "  the long forms run only with LONG=1 (make test-long)" in pytest_run(
        "tests/cluster/test_uninstall.py", "-m", "long"
    )
