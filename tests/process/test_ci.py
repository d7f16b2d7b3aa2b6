"""``.ci/run`` repeats failed tests alone, and only them. Its ``make test`` is here a run of a small project."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.again import CACHE, ENDED, FAILED, MOST, reason_against
from tests.deadline import DEADLINE_S

ROOT = Path(__file__).resolve().parents[2]
BESIDE_OTHERS = 'os.environ.get("PYTEST_XDIST_WORKER")'
FLAKY = f"""
import os
import pytest

@pytest.fixture
def server():
    assert not {BESIDE_OTHERS}

def test_call():
    assert not {BESIDE_OTHERS}

def test_setup(server):
    pass

def test_good():
    pass
"""
WRONG = "\ndef test_wrong():\n    assert False\n"
MAKE = """#!/bin/sh
echo "make $*"
[ "$1" != test ] || exec "$PYTHON" -m pytest -n 2 --dist loadfile
"""


def ci(directory: Path, tests: str, make: str = MAKE) -> subprocess.CompletedProcess[str]:
    """A run of a copy of ``.ci/run``. It installs nothing, and the cluster is missing."""
    scripts = {
        ".ci/run": (ROOT / ".ci/run").read_text(),
        ".venv/bin/python": '#!/bin/sh\nexec "$PYTHON" "$@"\n',
        "bin/dpkg": "#!/bin/sh\n",
        "bin/make": make,
        "tests/e2e/on-node.sh": "#!/bin/sh\necho 'no cluster'\n",
    }
    for name, text in scripts.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
        (directory / name).chmod(0o755)
    plugins = "-p no:sample-source -p no:schemathesis -p no:hypothesispytest -p tests.again"  # without the slow ones
    (directory / "pytest.ini").write_text(f"[pytest]\naddopts = -q {plugins}\n")
    (directory / "test_project.py").write_text(tests)
    environ = {"PATH": f"{directory}/bin:{os.environ['PATH']}", "PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [directory / ".ci/run"], env=environ, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )


def test_tests_that_pass_alone_do_not_fail_ci(tmp_path: Path) -> None:
    done = ci(tmp_path, FLAKY)
    assert done.returncode == 0, done.stdout + done.stderr
    first, again, last = (done.stdout.index(text) for text in ("1 failed, 1 passed, 1 error", "2 passed", "no cluster"))
    assert first < done.stdout.index("2 tests failed beside others; they run again alone:") < again
    steps = ("all 2 tests passed alone", "make fuzz MINUTES=1", "make soak MINUTES=3")
    alone, fuzz, soak = (done.stdout.index(text) for text in steps)
    assert again < alone < fuzz < soak < last


def test_test_that_fails_again_alone_fails_ci(tmp_path: Path) -> None:
    done = ci(tmp_path, FLAKY + WRONG)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "3 tests failed beside others; they run again alone:" in done.stdout
    assert "1 failed, 2 passed" in done.stdout
    assert done.stdout.endswith("\n1 of 3 tests failed again alone\n")


def test_failure_before_the_tests_fails_ci_although_an_earlier_run_had_failed_tests(tmp_path: Path) -> None:
    for key, text in {ENDED: "1", FAILED: '{"test_project.py::test_good": true}'}.items():
        (tmp_path / CACHE / key).parent.mkdir(parents=True)
        (tmp_path / CACHE / key).write_text(text)
    done = ci(tmp_path, FLAKY, "#!/bin/sh\nexit 2\n")
    assert (done.returncode, done.stdout) == (1, "\nthe failure is not that of a test; nothing runs again\n")


@pytest.mark.parametrize(
    ("ended", "failed", "reason"),
    [
        pytest.param(1, ["a.py::t"] * MOST, None, id="some"),
        pytest.param(1, ["a.py::t"] * (MOST + 1), "21 tests failed, and at most 20 run again; none does", id="many"),
        pytest.param(2, ["a.py::t"], "the failure is not that of a test; nothing runs again", id="interrupted"),
        pytest.param(3, ["a.py::t"], "the failure is not that of a test; nothing runs again", id="internal-error"),
        pytest.param(None, ["a.py::t"], "the failure is not that of a test; nothing runs again", id="killed"),
        pytest.param(1, [], "the failure is not that of a test; nothing runs again", id="nothing-failed"),
        pytest.param(1, ["a.py::t", "b.py"], "a file could not be read; nothing runs again", id="unreadable"),
    ],
)
def test_only_a_few_failed_tests_of_a_whole_run_are_repeated(ended: int, failed: list[str], reason: str | None) -> None:
    assert reason_against(ended, failed) == reason
