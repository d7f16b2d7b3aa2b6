"""``requirements/install.sh``, with which ``make`` fills ``.venv``."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.deadline import DEADLINE_S
from tests.process.sources import ROOT
from tests.process.terminal import terminal

SCRIPT = ROOT / "requirements/install.sh"
PIP = """#!/bin/sh
for name in one two; do echo "Collecting $name==1 (from -r $6)"; echo "  Downloading $name.whl"; done
mkdir -p {venv}/lib/python3/site-packages/one-1.dist-info
echo "$*" > {venv}/arguments
[ -z "{error}" ] || {{ echo "{error}" >&2; exit 3; }}
"""


def venv(directory: Path, error: str = "") -> list[str]:
    """The script's command with an environment whose ``python -m pip`` downloads two packages and installs one."""
    (directory / "bin").mkdir()
    python = directory / "bin/python"
    python.write_text(PIP.format(venv=directory, error=error))
    python.chmod(0o755)
    (directory / "a.lock").write_text("one==1 \\\n    --hash=sha256:1\ntwo==1 ; python_version < '4' \\\n# via one\n")
    return ["sh", str(SCRIPT), str(directory), str(directory / "a.lock")]


@pytest.mark.parametrize(("error", "code"), [("", 0), ("ERROR: no such version", 3)])
def test_setup_shows_counts_instead_of_the_output_of_pip(tmp_path: Path, error: str, code: int) -> None:
    done = subprocess.run(venv(tmp_path, error), capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert (done.returncode, done.stderr.strip()) == (code, error)
    assert done.stdout.splitlines()[-1] == "      found 2 of at most 2 packages, installed 1"
    assert len(done.stdout.splitlines()) <= 2  # now and at the end
    assert "--require-hashes -r" in (tmp_path / "arguments").read_text()


def test_setup_uses_one_line_of_a_terminal(tmp_path: Path) -> None:
    with terminal(venv(tmp_path), tmp_path) as screen:
        screen.wait_until(lambda: screen.process.poll() is not None, "ended")
        screen.wait_for("found 2 of at most 2 packages, installed 1")
        assert [line for line in screen.lines if line] == ["      found 2 of at most 2 packages, installed 1"]
