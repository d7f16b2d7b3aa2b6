"""A SourcePool in ``sources run`` and ``sources lint``: one process runs all sources of its kinds."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

import pytest

from tests.process.sources import QUICKSTART, children, interrupted, read_until, running, sources

ROOT = Path(__file__).resolve().parents[2]
POOL = ROOT / "metacontroller/samples/pool.yaml"
EVENT = r"^\d\d:\d\d:\d\d  {}  dev\.knative\.sample  (.*)$"


def two_sources(directory: Path) -> Path:
    """The quickstart with a second source, ``there``."""
    text = QUICKSTART.read_text().replace("interval: 1s", "interval: 200ms")
    source = text.split("---")[-1]
    file = directory / "two.yaml"
    file.write_text(f"{text}---{source.replace('name: hello', 'name: there', 1)}")
    return file


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_one_process_runs_all_sources_of_the_kind_and_is_filled_again_after_its_end(tmp_path: Path) -> None:
    file = two_sources(tmp_path)
    with running(file, POOL) as process:
        seen = "".join(read_until(process, EVENT.format(name)) for name in ("hello", "there"))
        read_until(process, "^SourcePool sources-pool: ready$", stream="stderr")
        modules = {Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[2]: pid for pid in children(process.pid)}
        assert modules.keys() == {b"hooks", b"adapter.display", b"adapter.pool"}
        os.kill(modules[b"adapter.pool"], signal.SIGKILL)
        read_until(process, r"^SourcePool sources-pool: process exited with code 137 \(Killed\)", stream="stderr")
        file.write_text(file.read_text().replace("200ms", "100ms"))
        for name in ("hello", "there"):
            seen += read_until(process, EVENT.format(name).replace("(.*)", ".*100ms.*"))
        ended = interrupted(process, seen)
    assert ended.returncode == 0, ended.stderr
    for name in ("hello", "there"):
        assert re.search(
            rf"^{name}: \d+ events arrived; it ran in SourcePool sources-pool$", ended.stdout, re.MULTILINE
        )
    assert "Traceback" not in ended.stderr


def test_source_that_needs_its_own_adapter_gets_one_beside_the_pool(tmp_path: Path) -> None:
    file = two_sources(tmp_path)
    first, last = file.read_text().rsplit("interval: 200ms", 1)
    file.write_text(f"{first}interval: 200ms\n  adapter: {{env: [{{name: TZ, value: UTC}}]}}{last}")
    result = sources("run", file, POOL, "--once")
    assert result.returncode == 0, result.stderr
    assert re.search(r"^hello: .*; it ran in SourcePool sources-pool$", result.stdout, re.MULTILINE), result.stdout
    assert re.search(r"^there: .*; its adapter's exit code: 0$", result.stdout, re.MULTILINE), result.stdout


def test_lint_checks_a_pool(tmp_path: Path) -> None:
    result = sources("lint", POOL, QUICKSTART)
    assert (result.returncode, result.stdout) == (0, "1 SourcePool and 1 source, no problems\n"), result.stderr
    broken = tmp_path / "pool.yaml"
    broken.write_text(POOL.read_text().replace("kinds:", "kind:"))
    result = sources("lint", broken)
    assert result.returncode == 1
    assert "SourcePool sample-source/sources-pool: spec.kind: unknown field; known fields: kinds" in result.stdout
