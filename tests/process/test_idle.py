"""An adapter does not wake up between ticks, except to look at the clock, and imports only what it uses."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from adapter.model.clock import LOOK_AGAIN_S
from tests.deadline import DEADLINE_S
from tests.process.harness import free_port

WINDOW_S = 0.8 * LOOK_AGAIN_S

POLLING = '''
import asyncio
from adapter.sdk import Source

class RestlessSource(Source):
    """Wakes up every second."""

    async def events(self, context):
        while True:
            await asyncio.sleep(1)
        yield
'''


def test_adapter_wakes_up_between_ticks_only_to_look_at_the_clock() -> None:
    with adapter(INTERVAL="87600h") as pid:
        assert quiet_window(pid, DEADLINE_S)


def test_measurement_detects_a_source_that_wakes_up_every_second(tmp_path: Path) -> None:
    """Shows that the test above can fail."""
    package = tmp_path / "restless"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "restless_source.py").write_text(POLLING)
    with adapter(SOURCE_KIND="RestlessSource", SOURCES_PACKAGE="restless", PYTHONPATH=str(tmp_path)) as pid:
        assert not quiet_window(pid, 2 * WINDOW_S)


UNUSED = (
    *("fastapi", "opentelemetry", "hooks", "yaml", "argparse", "httpx2", "aiohttp", "idna", "uvicorn", "h11"),
    *("cronsim", "tzdata", "asyncpg", "redis"),
)


@pytest.mark.parametrize(
    ("source", "unused"),
    [
        pytest.param("sample_source", {*UNUSED, "jmespath", "feedparser"}, id="timer"),
        pytest.param("webhook_source", {*UNUSED, "jmespath", "feedparser"}, id="listener"),
    ],
)
def test_adapter_does_not_import_what_its_source_does_not_use(source: str, unused: set[str]) -> None:
    code = "import adapter.__main__, adapter.delivery.delivery, adapter.runtime.runtime, adapter.serving.server"
    code += f", adapter.sources.{source}, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert unused & set(done.stdout.split()) == set()


@contextmanager
def adapter(**environ: str) -> Iterator[int]:
    env = {"K_SINK": "http://127.0.0.1:9/", "HEALTH_PORT": str(free_port()), "EVENT_SOURCE": "/a/b", **environ}
    child = subprocess.Popen([sys.executable, "-m", "adapter"], env=env, stderr=subprocess.PIPE, text=True)
    try:
        assert child.stderr
        assert '"started"' in child.stderr.readline()
        yield child.pid
    finally:
        child.terminate()
        child.communicate(timeout=DEADLINE_S)


def quiet_window(pid: int, within_s: float) -> bool:
    """True if the process did not run at all for ``WINDOW_S`` seconds."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        before = switches(pid)
        time.sleep(WINDOW_S)  # the measurement itself, not a wait for something
        if switches(pid) == before:
            return True
    return False


def switches(pid: int) -> int:
    texts = [(task / "status").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int(line.split()[1]) for text in texts for line in text.splitlines() if "ctxt_switches" in line)
