"""Real adapters whose store is down at the start, while they run, or at the end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.process.checkpoints.numbers import ROOT, Numbers
from tests.process.harness import Adapter, Start, wait_until
from tests.process.kinds.adapters import Sink
from tests.process.kinds.servers import Postgres, RedisServer

AGE = "source_checkpoint_age_seconds"
DOWN = "connection refused"


def readiness(adapter: Adapter) -> tuple[int, str]:
    try:
        return adapter.get("/readiness")
    except OSError:
        return 0, ""


def reason(server: Postgres | RedisServer) -> str:
    return f"{server.url.partition('//')[2].rpartition('@')[2].partition('/')[0]}: {DOWN}"


def test_adapter_waits_for_a_store_that_is_down_at_the_start(
    start: Start, server: Postgres | RedisServer, tmp_path: Path
) -> None:
    server.stop()
    expected = 503, f"the checkpoint cannot be loaded: {reason(server)}\n"
    with Numbers(tmp_path) as numbers, Sink() as sink:
        stopped, waiting = (numbers.adapter(start, sink, server.url) for _ in range(2))
        for adapter in (stopped, waiting):
            wait_until(lambda adapter=adapter: readiness(adapter) == expected, "503", lambda: adapter.process.errors)  # noqa: B023
            assert adapter.get("/health")[0] == 200
        code, _, asleep_s = stopped.process.stop()
        assert (code, sink.requests) == (0, [])
        assert asleep_s < 5, "SIGTERM ends the wait"
        server.start()
        sink.wait_for(3)
        wait_until(lambda: readiness(waiting)[0] == 200, "200", lambda: waiting.process.errors)
        assert waiting.process.stop()[0] == 0
        waiting.assert_log_is_json()
        first, *_, second = waiting.process.logged("checkpoint")  # between them: how often it failed
        assert (first["msg"], first["level"], first["reason"]) == (
            "checkpoint not loaded; will retry", "warn", reason(server),
        )  # fmt: skip
        assert (second["msg"], second["level"]) == ("checkpoint loaded", "info")
        assert numbers.stored(server.url) == int(sink.ids[-1])


def test_events_flow_while_the_store_is_down(start: Start, server: Postgres | RedisServer, tmp_path: Path) -> None:
    with Numbers(tmp_path) as numbers, Sink() as sink:
        adapter = numbers.adapter(start, sink, server.url)
        sink.wait_for(3)
        server.stop()
        adapter.process.wait_for_log("checkpoint not saved; will retry")
        sink.wait_for(len(sink.requests) + 100)
        adapter.wait_for(AGE, least=0.5)
        assert readiness(adapter)[0] == adapter.get("/health")[0] == 200
        server.start()
        adapter.process.wait_for_log("checkpoint saved")
        assert adapter.metric(AGE) < 0.5
        warning, *digests = adapter.process.logged("checkpoint not saved; will retry")
        assert len(digests) <= 1
        assert (warning["level"], warning["count"]) == ("warn", 1)
        assert warning["reason"].endswith(
            ("refused", "closed the connection", "the connection failed", "reset by peer", "is starting or stopping")
        )
        assert adapter.process.stop()[0] == 0
        adapter.assert_log_is_json()
        assert numbers.stored(server.url) == int(sink.ids[-1])


def test_adapter_ends_in_time_if_its_store_is_down(
    start: Start, server: Postgres | RedisServer, tmp_path: Path
) -> None:
    with Numbers(tmp_path) as numbers, Sink() as sink:
        adapter = numbers.adapter(start, sink, server.url)
        sink.wait_for(3)
        server.stop()
        adapter.process.wait_for_log("checkpoint not saved; will retry")
        code, _, asleep_s = adapter.process.stop()
        server.start()
        assert (code, asleep_s < 10) == (0, True)
        (line,) = adapter.process.logged("checkpoint not saved before the end")
        assert (line["level"], line["reason"]) == ("warn", reason(server))


@pytest.mark.parametrize("url", ["postgresql://u:s3cret@h/d?x=1", "redis://:s3cret@h/x", "file:///d?shared=no"])
def test_invalid_url_is_one_line_with_exit_code_2(start: Start, tmp_path: Path, url: str) -> None:
    with Sink() as sink:
        adapter = Numbers(tmp_path).adapter(start, sink, url)
        assert adapter.process.ended() == 2
    (line,) = adapter.process.errors
    assert line.startswith("CHECKPOINT_URL is not valid: ")
    assert "s3cret" not in line


IMPORTS = {None: set(), "file:///tmp/none": {"file"}, "redis://h": {"redis"}, "postgresql://u@h/d": {"postgres"}}
PRINTER = """
import asyncio, sys
from contextlib import AsyncExitStack
from adapter.assemble import assemble
from adapter.contract.environment import AdapterEnv
from adapter.loading import load_source
from adapter.observe.metrics import Metrics

async def main():
    environ = {"K_SINK": "http://h", "EVENT_SOURCE": "/a/b"}
    if len(sys.argv) > 1:
        environ["CHECKPOINT_URL"] = sys.argv[1]
    env = AdapterEnv.from_environ(environ)
    async with AsyncExitStack() as stack:
        await assemble(env, load_source(env), Metrics("ns", "n", "K"), stack)

asyncio.run(main())
print(*sys.modules)
"""


@pytest.mark.parametrize("url", IMPORTS)
def test_only_the_driver_of_the_url_is_imported(url: str | None) -> None:
    command = [sys.executable, "-c", PRINTER, *filter(None, [url])]
    done = subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    stores = {"file", "postgres", "redis", "server", "urls"}
    assert {name for name in stores if f"adapter.checkpoints.{name}" in loaded} >= IMPORTS[url]
    assert ("asyncpg" in loaded) is (url is not None and url.startswith("postgresql"))
    assert ("redis" in loaded) is (url is not None and url.startswith("redis"))
    if url is None:
        assert {name for name in stores if f"adapter.checkpoints.{name}" in loaded} == set()
