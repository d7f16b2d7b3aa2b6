"""The real ``python -m adapter`` against the real display, configured only by its environment."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

DEADLINE_S = 20


class Process:
    """A child process whose stdout lines are read as they come."""

    def __init__(self, *arguments: str, **environ: str) -> None:
        env = {"PATH": os.environ["PATH"], **environ}
        self.child = subprocess.Popen(
            [sys.executable, "-m", *arguments], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.lines: queue.Queue[str] = queue.Queue()
        self.errors: list[str] = []
        self._readers = [threading.Thread(target=self._read_out), threading.Thread(target=self._read_errors)]
        for reader in self._readers:
            reader.start()

    def _read_out(self) -> None:
        assert self.child.stdout
        for line in self.child.stdout:
            self.lines.put(line)

    def _read_errors(self) -> None:
        assert self.child.stderr
        self.errors.extend(self.child.stderr)

    def line(self) -> str:
        try:
            return self.lines.get(timeout=DEADLINE_S)
        except queue.Empty:
            raise AssertionError(f"no line within {DEADLINE_S} s; stderr: {self.errors}") from None

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Exit code, and the seconds it took."""
        started = time.monotonic()
        self.child.send_signal(number)
        code = self.child.wait(30)
        return code, time.monotonic() - started

    def close(self) -> None:
        self.child.kill()
        self.child.wait()
        for reader in self._readers:
            reader.join()
        for pipe in (self.child.stdout, self.child.stderr):
            assert pipe
            pipe.close()


@pytest.fixture
def start() -> Iterator[Any]:
    started: list[Process] = []

    def _start(*arguments: str, **environ: str) -> Process:
        started.append(Process(*arguments, **environ))
        return started[-1]

    yield _start
    for process in reversed(started):
        process.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def display(start: Any, *faults: str) -> tuple[Process, str]:
    port = free_port()
    process = start("adapter.display", "--port", str(port), "--format", "jsonl", *faults)
    url = f"http://127.0.0.1:{port}"
    wait_for(f"{url}/healthz")
    return process, url


def wait_for(url: str) -> str:
    deadline, last = time.monotonic() + DEADLINE_S, ""
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return str(response.read().decode())
        except OSError as error:
            last = str(error)
        threading.Event().wait(0.05)
    raise AssertionError(f"{url} did not answer within {DEADLINE_S} s; last: {last}")


def adapter(start: Any, sink: str, interval: str = "100ms", **environ: str) -> tuple[Process, str]:
    port = free_port()
    identity = {"SOURCE_UID": "u1", "SOURCE_CREATED": "2026-01-01T00:00:00Z", "EVENT_SOURCE": "/a/b"}
    process = start("adapter", K_SINK=sink, INTERVAL=interval, HEALTH_PORT=str(port), **(identity | environ))
    return process, f"http://127.0.0.1:{port}"


def test_events_arrive_numbered_without_a_gap(start: Any) -> None:
    sink, url = display(start)
    source, health = adapter(start, url, K_CE_OVERRIDES='{"extensions":{"team":"grün 1"}}')
    events = [json.loads(sink.line()) for _ in range(5)]
    sequences = [event["data"]["sequence"] for event in events]
    assert sequences == list(range(sequences[0], sequences[0] + 5))
    assert {event["type"] for event in events} == {"dev.knative.sample"}
    assert {event["source"] for event in events} == {"/a/b"}
    assert all(event["id"].startswith("u1-") for event in events)
    assert "grün 1" in json.dumps(events[0], ensure_ascii=False)
    assert wait_for(f"{health}/readiness") is not None
    assert "source_events_total{" in wait_for(f"{health}/metrics")
    assert source.stop()[0] == 0


def test_a_failing_sink_gets_the_same_event_again(start: Any) -> None:
    sink, url = display(start, "--statuses", "500,503,202")
    source, _ = adapter(start, url, interval="10s", SOURCE_CREATED=phase_now())
    first, second, third = (json.loads(sink.line()) for _ in range(3))
    assert first["id"] == second["id"] == third["id"]
    assert first["time"] == third["time"]
    assert source.stop()[0] == 0


def phase_now() -> str:
    """A creation time that puts a tick of a 10 s timer of uid u1 one to two seconds from now."""
    import hashlib
    from datetime import UTC, datetime, timedelta

    phase_s = int.from_bytes(hashlib.sha256(b"u1").digest()) % 10_000_000_000 / 1e9
    created = datetime.now(UTC) + timedelta(seconds=3 - phase_s)
    return created.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize("status", ["400", "302"])
def test_a_refusal_is_not_repeated(start: Any, status: str) -> None:
    sink, url = display(start, "--statuses", ",".join([status] * 3))
    adapter(start, url)
    ids = [json.loads(sink.line())["id"] for _ in range(3)]
    assert len(set(ids)) == 3


@pytest.mark.parametrize("fault", [["--hang"], ["--reset"], ["--statuses", ",".join(["503"] * 1000)]])
def test_sigterm_ends_an_adapter_whose_sink_fails(start: Any, fault: list[str]) -> None:
    _, url = display(start, *fault)
    source, health = adapter(start, url, interval="1s", K_SINK_TIMEOUT="1")
    while "source_in_flight" not in wait_for(f"{health}/metrics"):
        pass
    code, seconds = source.stop()
    assert (code, seconds < 25) == (0, True)


def test_sigterm_is_seen_although_every_tick_is_overdue(start: Any) -> None:
    sink, url = display(start, "--delay", "20ms")
    source, _ = adapter(start, url, interval="1ms")
    sink.line()
    code, seconds = source.stop()
    assert (code, seconds < 5) == (0, True)


def test_it_runs_under_the_environment_knatives_controller_gives(start: Any) -> None:
    sink, url = display(start)
    start(
        "adapter",
        EVENT_SOURCE="ns/hello",
        INTERVAL="100ms",
        NAMESPACE="ns",
        NAME="samplesource-hello-pod-1",
        METRICS_DOMAIN="knative.dev/eventing",
        K_LOGGING_CONFIG="",
        K_KLOG_VERBOSITY="0",
        K_OBSERVABILITY_CONFIG='{"tracing":{"protocol":"none"}}',
        K_SINK=url,
        K_CE_OVERRIDES="",
        HEALTH_PORT=str(free_port()),
    )
    event = json.loads(sink.line())
    assert event["source"] == "ns/hello"
    assert event["id"].startswith("ns/hello-")


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        pytest.param({}, "K_SINK", id="no-sink"),
        pytest.param({"K_SINK": "//h"}, "K_SINK", id="no-scheme"),
        pytest.param({"K_SINK": "http://h", "INTERVAL": "10"}, "INTERVAL", id="interval-without-unit"),
        pytest.param({"K_SINK": "http://h", "INTERVAL": "0s"}, "INTERVAL", id="interval-zero"),
        pytest.param({"K_SINK": "http://h", "SOURCE_KIND": "NoSource"}, "SampleSource", id="kind-unknown"),
        pytest.param({"K_SINK": "http://h", "SOURCE_CONFIG": "[]"}, "SOURCE_CONFIG", id="config-no-object"),
        pytest.param({"K_SINK": "http://h", "SOURCE_CONFIG": '{"x":1}'}, "SOURCE_CONFIG", id="config-unknown-field"),
        pytest.param({"K_SINK": "http://h", "K_CE_OVERRIDES": '{"extensions":{"type":"x"}}'}, "type", id="reserved"),
        pytest.param({"K_SINK": "http://h", "K_CE_OVERRIDES": '{"extensions":{"a-b":"x"}}'}, "a-b", id="ill-formed"),
        pytest.param({"K_SINK": "https://h", "K_CA_CERTS": "x"}, "K_CA_CERTS", id="no-pem"),
        pytest.param({"K_SINK": "http://h", "HEALTH_PORT": "0"}, "HEALTH_PORT", id="port"),
    ],
)
def test_a_malformed_variable_is_one_line_and_exit_code_2(environ: dict[str, str], named: str) -> None:
    env = {"PATH": os.environ["PATH"], **environ}
    done = subprocess.run(
        [sys.executable, "-m", "adapter"], env=env, capture_output=True, text=True, timeout=DEADLINE_S
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert named in done.stderr
