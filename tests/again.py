"""``python -m tests.again``: run the tests that failed in the last run once more, alone. ``.ci/run`` calls it.

A machine that is slow for an hour can make a test fail that runs beside others. It fails again if the code is wrong. As
a plugin of pytest, this module notes how a run ended: only a whole run tells which tests failed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

MOST = 20  # more failures have another cause
CACHE = Path(".pytest_cache/v")
ENDED, FAILED = "sample-source/ended", "cache/lastfailed"


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    cache = getattr(session.config, "cache", None)
    if cache and not hasattr(session.config, "workerinput"):
        cache.set(ENDED, int(exitstatus))


def reason_against(ended: Any, failed: list[str]) -> str | None:
    """Why the failed tests do not run again. ``ended``: the exit status of pytest; None if it did not run."""
    if ended != pytest.ExitCode.TESTS_FAILED or not failed:
        return "the failure is not that of a test; nothing runs again"
    if not all("::" in test for test in failed):
        return "a file could not be read; nothing runs again"
    if len(failed) > MOST:
        return f"{len(failed)} tests failed, and at most {MOST} run again; none does"
    return None


def main() -> int:
    """The exit code: 0 if each failed test passes now."""
    failed = list(_read(FAILED) or {})
    if reason := reason_against(_read(ENDED), failed):
        print(f"\n{reason}", flush=True)
        return 1
    print(f"\n{len(failed)} tests failed beside others; they run again alone:", *failed, sep="\n  ", flush=True)
    words = ["-m", "pytest", "--last-failed", "--last-failed-no-failures", "none", "-p", "no:xdist"]
    code = subprocess.run([sys.executable, *words], check=False).returncode
    left = list(_read(FAILED) or {})  # pytest removes each test that passes
    if code or left:
        print(f"\n{len(left)} of {len(failed)} tests failed again alone", flush=True)
        return 1
    print(f"\nall {len(failed)} tests passed alone", flush=True)
    return 0


def _read(key: str) -> Any:
    file = CACHE / key
    return json.loads(file.read_text()) if file.exists() else None


if __name__ == "__main__":
    sys.exit(main())
