"""Delivery of a running adapter: kills, outages, flaky sinks, replicas, readiness, tokens, concurrency."""

from __future__ import annotations

import json
import math
import os
import random
import socket
import threading
import time
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from adapter.model.schedule import Schedule
from tests.deadline import DEADLINE_S
from tests.process.harness import (
    UID,
    Adapter,
    Process,
    ScriptedSink,
    Start,
    display,
    free_port,
    soon,
    wait_until,
)

LONG = bool(os.environ.get("LONG"))
ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
KINDS = {"SOURCES_PACKAGE": "tests.kinds", "PYTHONPATH": str(Path(__file__).parents[2])}


def test_kill_at_any_moment_skips_only_ticks_that_were_due_while_no_adapter_ran(start: Start) -> None:
    """Each kill falls between build, POST and answer of a tick. The next process sends that tick again."""
    kills, chance = 100 if LONG else 8, random.Random(6)
    interval_s = max(2, math.ceil(4 * seconds_to_start(start)))  # most processes start before the next tick
    interval = f"{interval_s}s"
    created = soon(interval)
    schedule = Schedule.of(UID, datetime.fromisoformat(created), interval_s * 1_000_000_000)
    ids: dict[int, set[str]] = {}
    skipped: set[int] = set()  # from the tick that may have been under way to the first of the next process
    quick = 0

    def answer(connection: socket.socket, n: int) -> None:
        headers, body = sink.requests[n]
        ids.setdefault(json.loads(body)["sequence"], set()).add(headers["ce-id"])
        threading.Event().wait(chance.random() * 0.03)
        connection.sendall(ACCEPTED)

    with ScriptedSink(answer) as sink:
        under_way = None
        for _ in range(kills):
            source = Adapter(start, sink.url, interval, SOURCE_CREATED=created)
            first = first_sequence(source.process)
            if under_way is not None:
                skipped.update(range(under_way, first))
                quick += first <= under_way
            due = schedule.due(schedule.next_at(datetime.now(UTC)))
            wait_s = (due - datetime.now(UTC)).total_seconds() + chance.uniform(-0.01, 0.04)
            threading.Event().wait(max(0, wait_s))  # a random moment around a tick
            source.process.child.kill()
            under_way = min(
                schedule.latest_at(datetime.now(UTC)), max(ids, default=first - 1) + 1
            )  # the adapter may lag behind
            source.process.ended()
        last = Adapter(start, sink.url, interval, SOURCE_CREATED=created)
        skipped.update(range(under_way or 0, first_sequence(last.process)))
        seen = len(sink.requests)
        wait_until(lambda: len(sink.requests) > seen + 1, "two more ticks", lambda: last.process.errors)
    missing = set(range(min(ids), max(ids) + 1)) - ids.keys()
    assert missing <= skipped
    assert quick > kills / 3, "most processes started too slowly to judge"
    assert all(len(same) == 1 for same in ids.values())  # duplicates collapse to the ticks


def seconds_to_start(start: Start) -> float:
    began = time.monotonic()
    source = Adapter(start, "http://127.0.0.1:9/", "1h", SOURCE_CREATED="2200-01-01T00:00:00Z")
    first_sequence(source.process)
    source.process.child.kill()
    return time.monotonic() - began


def first_sequence(process: Process) -> int:
    [line] = wait_until(lambda: process.logged("timer started"), "a first tick", lambda: process.errors)
    return int(line["first_sequence"])


def test_no_event_is_missing_after_an_outage_and_memory_does_not_grow(start: Start) -> None:
    outage_s = 90 if LONG else 4
    port = free_port()
    source = Adapter(start, f"http://127.0.0.1:{port}", "100ms")
    source.wait_for_attempts("transport", 3)
    before = source.process.memory_kib()
    threading.Event().wait(outage_s)  # the outage itself
    sink = start("adapter.display", "--port", str(port), "--format", "jsonl")
    events = [sink.event() for _ in range(20)]
    skipped = 'source_events_total{kind="SampleSource",name="source",namespace="default",outcome="skipped"}'
    wait_until(lambda: source.metric(skipped) > 0, "skipped ticks")
    sequences = [event["data"]["sequence"] for event in events]
    [started] = source.process.logged("timer started")
    assert sequences[0] == started["first_sequence"]  # the event that was under way when the outage began
    gaps = sum(b - a - 1 for a, b in pairwise(sequences))
    assert gaps == source.metric(skipped)
    assert (
        source.metric('source_events_total{kind="SampleSource",name="source",namespace="default",outcome="lost"}') == 0
    )
    assert source.process.memory_kib() - before < 2048


def test_two_replicas_send_the_same_ids(start: Start) -> None:
    first, second = display(start), display(start)
    created = soon("200ms")
    for _, url in (first, second):
        Adapter(start, url, "200ms", SOURCE_CREATED=created)
    one: dict[int, str] = {}
    two: dict[int, str] = {}
    while len(common := one.keys() & two.keys()) < 4:  # one adapter may start later than the other
        for ids, (sink, _) in ((one, first), (two, second)):
            event = sink.event()
            ids[event["data"]["sequence"]] = event["id"]
    assert all(one[n] == two[n] for n in common)
    assert all(id.startswith(UID) for id in one.values())


@pytest.mark.timeout(900)
def test_flaky_sink_gets_every_event_in_order_and_memory_does_not_grow(start: Start) -> None:
    count = 100_000 if LONG else 3_000
    sink, url = display(start, "--flaky", "0.2")
    policy = json.dumps({"backoffDelay": "PT0.001S", "retry": 1000})
    config = json.dumps({"count": count})
    source = Adapter(
        start, url, SOURCE_KIND="BurstSource", INTERVAL="", SOURCE_CONFIG=config, SOURCE_DELIVERY=policy, **KINDS
    )
    taken: list[str] = []
    refused, warm = 0, 0
    while len(taken) < count:
        event = sink.event()
        if event["status"] == 202:
            taken.append(event["id"])
            if len(taken) == count // 5:
                warm = source.process.memory_kib()
        else:
            refused += 1
    assert source.process.memory_kib() - warm < 2048
    assert taken == [str(n) for n in range(count)]
    assert 0.15 < refused / (refused + count) < 0.25
    source.wait_for(
        'source_events_total{kind="BurstSource",name="source",namespace="default",outcome="delivered"}', count
    )
    assert (
        source.metric('source_events_total{kind="BurstSource",name="source",namespace="default",outcome="lost"}') == 0
    )


def test_adapter_shows_why_the_sink_refuses_its_events_without_secrets(start: Start) -> None:
    """It is ready for 30 s; ``tests/e2e/test_adapter_pods.py`` waits for the end of this time."""

    def refuse(connection: socket.socket, n: int) -> None:
        token = sink.requests[n][0]["authorization"]
        body = f"key hunter2-secret and {token} are unknown\nsecond line".encode()
        connection.sendall(
            b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )

    with ScriptedSink(refuse) as sink:
        url = sink.url.replace("//", "//user:pa55w0rd@")
        began = time.time()
        source = Adapter(start, url, "100ms", SOURCE_SECRET_0="hunter2-secret")
        lost = source.process.wait_for_log("event lost")
        assert (lost["attempts"], lost["code"], lost["level"]) == (1, "403", "error")
        assert lost["reason"] == "answered 403: key (secret) and Basic (secret) are unknown"
        assert source.get("/readiness") == (200, "ok\n")
        since = source.metric("source_failing_since_timestamp_seconds{")
        assert began - 1 < since < time.time() + 1


def test_blocking_call_of_a_kind_is_logged_once_with_its_line(start: Start) -> None:
    sink, url = display(start)
    source = Adapter(start, url, "2s", SOURCE_KIND="SleepySource", **KINDS)
    for _ in range(3):
        sink.event()
    (line,) = source.process.logged("the event loop is blocked")
    assert (line["at"], line["level"], line["for_s"]) == ("sleepy_source.py:12", "warn", 1)
    assert "asyncio.to_thread" in line["remedy"]


def test_used_up_retries_lose_the_event_and_the_next_one_is_delivered(start: Start) -> None:
    _, url = display(start, "--statuses", ",".join(["503"] * 6))
    policy = json.dumps({"backoffDelay": "PT0.001S", "retry": 2})
    source = Adapter(start, url, "1s", SOURCE_DELIVERY=policy)
    lost = source.process.wait_for_log("event lost")
    assert (lost["attempts"], lost["code"], lost["level"]) == (3, "503", "error")
    assert source.get("/health")[0] == 200
    assert source.process.wait_for_log("recovered")["failed_attempts"] == 6
    assert source.metric("source_failing_since_timestamp_seconds{") == 0


def test_sink_with_an_audience_gets_the_token_and_its_renewal(start: Start, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("one")
    sink, url = display(start)
    Adapter(start, url, "200ms", K_AUDIENCE="aud", TOKEN_DIRECTORY=str(tmp_path))
    assert sink.event()["headers"]["authorization"] == "Bearer one"
    (tmp_path / "token").write_text("two")
    wait_until(lambda: sink.event()["headers"]["authorization"] == "Bearer two", "the new token")


def test_max_in_flight_events_are_sent_concurrently(start: Start) -> None:
    eight = threading.Barrier(8, timeout=DEADLINE_S)  # no answer before eight requests are under way
    under_way, most, lock = 0, 0, threading.Lock()

    def slow(connection: socket.socket, n: int) -> None:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        eight.wait()
        with lock:
            under_way -= 1
        connection.sendall(ACCEPTED)

    with ScriptedSink(slow) as sink:
        config = json.dumps({"count": 40, "maxInFlight": 8})
        Adapter(start, sink.url, SOURCE_KIND="BurstSource", INTERVAL="", SOURCE_CONFIG=config, **KINDS)
        sink.wait_for(40)
        assert sorted(map(int, sink.ids)) == list(range(40))
        assert most == 8
