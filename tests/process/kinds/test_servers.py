"""A server that is missing: tests are skipped on a developer's machine and fail in CI."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.process.kinds.servers import program

ROOT = Path(__file__).parents[3]
REASON = "no-such-server is missing; install it with: apt-get install some-package"


def test_test_without_its_server_is_skipped_with_the_package_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=REASON):
        program("no-such-server", "some-package")


def test_test_without_its_server_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=REASON):
        program("no-such-server", "some-package")


def test_ci_installs_the_servers() -> None:
    script = (ROOT / ".ci/run").read_text()
    assert "\nexport CI=true" in script
    [names] = re.findall(r"\nservers=\((.*)\)\n", script)
    tests = "".join(file.read_text() for file in (ROOT / "tests").rglob("*.py") if file != Path(__file__))
    needed = set(re.findall(r'\bprogram\("\S+", "(\S+)"\)', tests))
    assert {"postgresql", "redis-server"} <= needed <= set(names.split())
