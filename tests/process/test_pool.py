"""The real process of a pool with a real sink."""

from __future__ import annotations

import json
import os
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adapter.contract.formats import format_time
from adapter.model.schedule import Schedule
from adapter.testing.sink import Sink, SinkReply
from hooks.pool.children import LABEL
from tests.deadline import DEADLINE_S
from tests.process import json_http
from tests.process.harness import Start, free_port, listens, wait_until
from tests.process.prometheus import Pod, Prometheus

ROOT = Path(__file__).resolve().parents[2]
CREATED = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
TOKEN = "0123456789abcdef0123"
BLOCKING = '''
import time
from adapter.sdk import Event, Timer

class BlockingSource(Timer):
    """Each tick blocks the event loop."""

    seconds: float = 0.0

    def tick(self, n: int) -> Event:
        time.sleep(self.seconds)
        return Event(type="t")
'''


class PoolProcess:
    def __init__(self, start: Start, **environ: str) -> None:
        self.port, self.health_port = free_port(), free_port()
        own = {"NAMESPACE": "ns", "NAME": "p", "PYTHONPATH": f"{ROOT}{os.pathsep}{environ.pop('PYTHONPATH', '')}"}
        self.process = start(
            "adapter.pool", POOL_PORT=str(self.port), HEALTH_PORT=str(self.health_port), **own | environ
        )
        wait_until(lambda: listens(self.port), "the pool", lambda: self.process.errors)

    def call(self, path: str, body: bytes, **headers: str) -> tuple[int, Any]:
        names = {name.replace("_", "-"): text for name, text in headers.items()}
        return json_http.call(f"http://127.0.0.1:{self.port}{path}", body, "POST", names)

    def run(self, sources: dict[str, Any], *, absent_only: bool = False) -> dict[str, str]:
        status, answer = self.call("/run", json.dumps({"sources": sources, "absentOnly": absent_only}).encode())
        assert status == 200, answer
        return dict(answer["sources"])

    def keep(self, uids: list[str], *, filled: bool = True) -> dict[str, Any]:
        status, answer = self.call("/keep", json.dumps({"uids": uids, "filled": filled}).encode())
        assert status == 200, answer
        return dict(answer)

    def page(self, path: str, timeout_s: float = DEADLINE_S) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health_port}{path}", timeout=timeout_s) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as made:
        yield made


def environ(uid: str, sink: str, interval: str = "200ms", **more: str) -> dict[str, str]:
    own = {"SOURCE_UID": uid, "EVENT_SOURCE": f"/{uid}", "NAMESPACE": "team", "NAME": uid, "K_SINK": sink}
    return own | {"SOURCE_CREATED": format_time(CREATED), "INTERVAL": interval, "SOURCE_KIND": "SampleSource", **more}


def due_just_now(uid: str) -> str:
    """The creation time of a source whose first tick of each hour was due a moment ago: its start repeats it."""
    phase = Schedule.of(uid, CREATED, 3600 * 10**9).due(0) - CREATED
    return format_time(datetime.now(UTC) - phase - timedelta(seconds=5))


def numbers(events: list[dict[str, Any]], uid: str) -> list[int]:
    return [event["data"]["sequence"] for event in events if event["source"] == f"/{uid}"]


def test_prometheus_reads_a_pool_under_the_job_of_adapters(start: Start, sink: Sink, tmp_path: Path) -> None:
    pool = PoolProcess(start)
    pool.run({"u": environ("u", sink.url)})
    pod = Pod("p-5d9c", "ns", {LABEL: "p"}, pool.health_port, ("pool", "health"))
    prometheus = Prometheus(tmp_path, [pod])
    prometheus.start()
    try:
        wait_until(lambda: len(prometheus.query("source_pool_sources == 1")) == 1, "the metric of the pool")
        [(up, _)] = prometheus.query("up == 1")
    finally:
        prometheus.stop(signal.SIGKILL)
    assert (up["job"], up["namespace"], up["name"], up["pod"]) == ("sources-adapters", "ns", "p", "p-5d9c")


def test_killed_pool_loses_nothing_and_repeats_with_equal_ids_once_it_is_filled_again(start: Start, sink: Sink) -> None:
    sources = {f"u{n}": environ(f"u{n}", sink.url) for n in range(20)}
    pool = PoolProcess(start)
    assert pool.page("/readiness") == (503, "not filled: the hook has not sent all sources yet\n")
    assert pool.keep(list(sources), filled=False)["missing"] == list(sources)
    assert set(pool.run(sources, absent_only=True).values()) == {""}
    pool.keep(list(sources))
    assert pool.page("/readiness") == (200, "ok\n")
    wait_until(lambda: all(len(numbers(sink.events, uid)) > 2 for uid in sources), "events of all")
    pool.process.child.send_signal(signal.SIGKILL)
    pool.process.ended()
    before = len(sink.events)
    again = PoolProcess(start)
    assert again.page("/readiness")[0] == 503
    again.run(sources, absent_only=True)
    again.keep(list(sources))
    after = lambda uid: numbers(sink.events[before:], uid)  # noqa: E731 -- short
    wait_until(lambda: all(len(after(uid)) > 2 for uid in sources), "events of all after the restart")
    for uid in sources:
        schedule = Schedule.of(uid, CREATED, 200_000_000)
        events = [event for event in list(sink.events) if event["source"] == f"/{uid}"]
        assert all(
            event["id"] == f"{uid}-{schedule.due_ns(event['data']['sequence']) // 1_000_000}" for event in events
        )
        sent = numbers(sink.events[:before], uid)
        assert after(uid)[0] >= sent[-1]
    metrics = again.page("/metrics")[1]
    assert 'source_pool_sources{kind="SampleSource",name="p",namespace="ns"} 20.0' in metrics


def test_stopped_pool_delivers_the_events_in_flight_and_ends_with_0(start: Start, sink: Sink) -> None:
    pool = PoolProcess(start)
    sink.answer(*[SinkReply(delay_s=3.0)] * 3)
    sources = {uid: environ(uid, sink.url, "1h", SOURCE_CREATED=due_just_now(uid)) for uid in ("u0", "u1", "u2")}
    assert set(pool.run(sources).values()) == {""}
    series = 'source_in_flight{kind="SampleSource",name="p",namespace="ns"} 3.0'
    wait_until(lambda: series in pool.page("/metrics")[1], "three events in flight", lambda: pool.page("/metrics"))
    assert pool.process.stop().code == 0
    assert sorted(event["source"] for event in sink.taken) == ["/u0", "/u1", "/u2"]
    assert pool.process.logged("stopped")
    assert not pool.process.logged("event lost")
    assert all(line.startswith("{") for line in pool.process.errors), pool.process.errors


def test_request_without_a_token_is_refused_before_its_body_is_read(start: Start, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"another-token-0123\n{TOKEN}\n")
    pool = PoolProcess(start, POOL_TOKEN_FILE=str(tmp_path / "token"))
    body = b'{"uids": [], "filled": true}'
    assert pool.call("/keep", body, Authorization=f"Bearer {TOKEN}")[0] == 200
    for wrong in ("Bearer no", "Bearer ", f"Basic {TOKEN}", TOKEN):
        status, answer = pool.call("/keep", body, Authorization=wrong)
        assert (status, list(answer)) == (401, ["error"])
    with socket.create_connection(("127.0.0.1", pool.port), timeout=DEADLINE_S) as connection:
        connection.sendall(b"POST /run HTTP/1.1\r\nHost: p\r\nContent-Length: 8000000\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 401 ")
    (tmp_path / "token").write_text("a-new-token-0123456789")
    assert pool.call("/keep", body, Authorization=f"Bearer {TOKEN}")[0] == 401
    assert pool.call("/keep", body, Authorization="Bearer a-new-token-0123456789")[0] == 200
    assert TOKEN not in "".join(pool.process.errors)


@pytest.mark.parametrize(
    ("variable", "text", "says"),
    [
        ("POOL_TOKEN_FILE", "/does/not/exist", 'POOL_TOKEN_FILE is "/does/not/exist": write a file with one token per'),
        ("POOL_PORT", "none", 'POOL_PORT is "none": '),
    ],
)
def test_pool_with_an_invalid_setting_ends_with_2_and_its_name(
    start: Start, variable: str, text: str, says: str
) -> None:
    process = start("adapter.pool", PYTHONPATH=str(ROOT), **{variable: text})
    assert process.ended() == 2
    assert len(process.errors) == 1
    assert process.errors[0].startswith(says)


def test_hostile_requests_get_a_4xx_and_change_nothing(start: Start, sink: Sink) -> None:
    pool = PoolProcess(start)
    pool.run({"a": environ("a", sink.url)})
    valid = {"uids": ["a"], "filled": False}
    bodies: list[Any] = [[], 1, None, {}, {"uids": "a", "filled": False}, {"uids": [1], "filled": False}]
    bodies += [{**valid, "filled": 1}, {"uids": ["a\n"], "filled": True}, {"uids": [""], "filled": True}]
    for path, body in [("/keep", body) for body in bodies]:
        assert pool.call(path, json.dumps(body).encode())[0] == 400
    for sources in ([], {"a": []}, {"a": {"K_SINK": 1}}, {"": None}, {"a": "x"}):
        assert pool.call("/run", json.dumps({"sources": sources, "absentOnly": False}).encode())[0] == 400
    assert pool.call("/run", b'{"sources": {}}')[0] == 400
    for octets in (b"", b"\xff\xfe", b"[" * 100_000, b"{", b'{"uids": NaN}'):
        assert pool.call("/keep", octets)[0] == 400
    assert pool.call("/other", b"{}")[0] == 404
    with socket.create_connection(("127.0.0.1", pool.port), timeout=DEADLINE_S) as connection:
        connection.sendall(b"POST /run HTTP/1.1\r\nHost: p\r\nContent-Length: 8388609\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")
    odd = {"K_SINK": "http://\ud800/", "SOURCE_CONFIG": "[" * 5000, "SOURCE_CREATED": "\x00", "SOURCE_UID": "\ud800"}
    answers = pool.run({name: environ(name, sink.url, **{name: text}) for name, text in odd.items()} | {"c": {}})
    assert all(answers.values())
    assert pool.keep(["a"], filled=False)["troubled"] == {}
    assert not pool.process.logged("request failed")


def test_tick_that_blocks_the_loop_is_named_and_stops_the_health_page(start: Start, sink: Sink, tmp_path: Path) -> None:
    """So the liveness probe of the kubelet restarts the process."""
    package = tmp_path / "pool_kinds"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "blocking_source.py").write_text(BLOCKING)
    pool = PoolProcess(start, SOURCES_PACKAGE="pool_kinds", PYTHONPATH=str(tmp_path))
    kind = {"SOURCE_KIND": "BlockingSource"}
    assert pool.run({"b": environ("b", sink.url, "1s", SOURCE_CONFIG='{"seconds": 1.6}', **kind)}) == {"b": ""}
    line = pool.process.wait_for_log("the tick of a source blocks the event loop")
    assert (line["source"], line["kind"], line["at"]) == ("/b", "BlockingSource", "blocking_source.py:11")
    problem = pool.keep(["b"])["troubled"]["b"]
    assert problem.startswith("its tick blocked the event loop of all sources at blocking_source.py:11; ")
    pool.run({"b": environ("b", sink.url, "1s", SOURCE_CONFIG='{"seconds": 3600}', **kind)})

    def is_silent() -> bool:
        try:
            pool.page("/health", timeout_s=0.5)
        except OSError:
            return True
        return False

    wait_until(is_silent, "a health page without an answer")
