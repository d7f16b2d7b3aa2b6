"""SIGTERM in each state of an adapter. Each test first waits for that state."""

from __future__ import annotations

import http.client
import signal
import socket
import threading
from pathlib import Path

import pytest

from tests.process.harness import Adapter, Process, ScriptedSink, Start, display, free_port, wait_until

LONG = "1h"
SOON_S = 5.0  # asleep; less than the time that an event in hand may still take
ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_adapter_ends_at_once_between_ticks(start: Start, number: signal.Signals) -> None:
    sink, url = display(start)
    source = Adapter(start, url, LONG)
    sink.event()
    source.wait_for_attempts("202")
    code, _, asleep_s = source.process.stop(number)
    assert code == 0
    assert asleep_s < SOON_S
    assert sink.lines.empty()
    source.assert_log_is_json()
    assert source.process.wait_for_log("stopped")["level"] == "info"


def test_adapter_ends_at_once_before_its_first_tick(start: Start) -> None:
    _, url = display(start)
    source = Adapter(start, url, "24h", SOURCE_CREATED="2200-01-01T00:00:00Z")
    source.process.wait_for_log("started")
    code, _, asleep_s = source.process.stop()
    assert code == 0
    assert asleep_s < SOON_S


class HeldSink:
    """Answers once ``answer`` is set."""

    def __init__(self) -> None:
        self.answer = threading.Event()

    def __call__(self, connection: socket.socket, n: int) -> None:
        self.answer.wait()
        connection.sendall(ACCEPTED)


def in_hand(source: Adapter, sink: ScriptedSink) -> None:
    sink.wait_for(1)
    source.wait_for("source_in_flight{")
    assert source.get("/readiness")[0] == 200


def test_event_in_hand_is_delivered_once_after_sigterm(start: Start) -> None:
    held = HeldSink()
    with ScriptedSink(held) as sink:
        source = Adapter(start, sink.url, "500ms")
        in_hand(source, sink)
        source.process.child.send_signal(signal.SIGTERM)
        wait_until(lambda: source.get("/readiness")[0] == 503, "readiness 503")
        assert source.get("/health")[0] == 200
        assert source.process.child.poll() is None
        held.answer.set()
        assert source.process.ended() == 0
        assert len(sink.requests) == 1
    source.assert_log_is_json()
    assert not any("event lost" in line for line in source.process.errors)


def test_second_signal_does_not_shorten_the_drain(start: Start) -> None:
    held = HeldSink()
    with ScriptedSink(held) as sink:
        source = Adapter(start, sink.url, LONG)
        in_hand(source, sink)
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
            source.process.child.send_signal(number)
            wait_until(lambda: source.get("/readiness")[0] == 503, "readiness 503")
        held.answer.set()
        assert source.process.ended() == 0
        assert len(sink.requests) == 1
    assert not any("event lost" in line for line in source.process.errors)


@pytest.mark.slow
def test_drain_ends_within_the_grace_period_when_the_sink_hangs(start: Start) -> None:
    held = HeldSink()
    with ScriptedSink(held) as sink:
        source = Adapter(start, sink.url, "1h", SOURCE_DELIVERY='{"timeout":"PT1S","backoffDelay":"PT30S"}')
        in_hand(source, sink)
        code, seconds, asleep_s = source.process.stop()
        held.answer.set()
    assert code == 0
    assert seconds >= 11
    assert asleep_s < 11 + SOON_S
    assert source.process.wait_for_log("event lost")["event_id"] == sink.ids[0]
    source.assert_log_is_json()


def test_drain_waits_for_the_next_retry_and_delivers_the_event(start: Start) -> None:
    sink, url = display(start, "--statuses", "503,202", "--retry-after", "3")
    source = Adapter(start, url, LONG)
    first = sink.event()
    source.wait_for_attempts("503")
    code, _, asleep_s = source.process.stop()
    second = sink.event()
    assert (code, first["id"], second["status"]) == (0, second["id"], 202)
    assert asleep_s < 3 + SOON_S
    assert sink.lines.empty()


def test_drain_sends_the_event_in_hand_to_the_dead_letter_sink_when_the_sink_fails(start: Start) -> None:
    _, url = display(start, "--reset")
    dead, dead_url = display(start)
    source = Adapter(start, url, "1h", DEAD_LETTER_SINK=dead_url, SOURCE_DELIVERY='{"timeout":"PT2S"}')
    source.wait_for_attempts("transport", 3)
    code, seconds, asleep_s = source.process.stop()
    assert code == 0
    assert seconds >= 10
    assert asleep_s < 12 + SOON_S
    event = dead.event()
    assert event["extensions"]["knativeerrordest"] == f"{url}"
    assert event["extensions"]["knativeerrorcode"] == "500"
    assert source.process.wait_for_log("event sent to the dead letter sink")["event_id"] == event["id"]


def test_adapter_with_overdue_ticks_ends_at_once(start: Start) -> None:
    sink, url = display(start, "--delay", "20ms")
    source = Adapter(start, url, "1ms")
    for _ in range(3):
        sink.event()
    source.wait_for('source_events_total{kind="SampleSource",name="source",namespace="default",outcome="skipped"', 20)
    code, _, asleep_s = source.process.stop()
    assert code == 0
    assert asleep_s < SOON_S


def test_open_health_connection_does_not_delay_shutdown(start: Start) -> None:
    _, url = display(start)
    source = Adapter(start, url, LONG)
    source.process.wait_for_log("started")
    idle = http.client.HTTPConnection("127.0.0.1", source.port)
    idle.request("GET", "/health")
    assert idle.getresponse().read() == b"ok\n"
    code, _, asleep_s = source.process.stop()
    idle.close()
    assert code == 0
    assert asleep_s < SOON_S
    source.assert_log_is_json()


@pytest.mark.parametrize("module", ["pydantic", "httptools", "own_sources"])
def test_adapter_ends_at_once_during_its_imports(start: Start, tmp_path: Path, module: str) -> None:
    """A module of that name is first on the path, prints a line, and never finishes."""
    path = tmp_path / module
    path.mkdir()
    (path / "__init__.py").write_text(
        "import sys, threading\nprint('importing', flush=True)\nthreading.Event().wait()\n"
    )
    environ = {"SOURCES_PACKAGE": "own_sources"} if module == "own_sources" else {}
    process: Process = start(
        "adapter",
        K_SINK="http://h",
        EVENT_SOURCE="/a/b",
        HEALTH_PORT=str(free_port()),
        PYTHONPATH=str(tmp_path),
        **environ,
    )
    assert process.line() == "importing\n"
    code, _, asleep_s = process.stop()
    assert code == 0, process.errors
    assert asleep_s < SOON_S
    assert process.errors == []
