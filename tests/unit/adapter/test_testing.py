"""The pytest plugin for authors of kinds: virtual time, a sink that fails on demand, and clear errors."""

from __future__ import annotations

import asyncio
import importlib
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import pytest

from adapter.sdk import Context, Event, Interval, Outcome, Source, Timer
from adapter.sources.sample_source import SampleSource
from adapter.testing import RESET, Deliver, Poll, Run, Sink, SinkReply, VirtualClock
from adapter.testing.clock import START
from tests.deadline import DEADLINE_S
from tests.installed import environ_with

ROOT = Path(__file__).resolve().parents[3]
Events = AsyncGenerator[Event, Outcome]


class CursorSource(Source):
    """Yields an item again until it is delivered."""

    async def events(self, context: Context) -> Events:
        cursor = 0
        while True:
            if (yield Event(type="t", id=str(cursor))) is Outcome.DELIVERED:
                cursor += 1


class BriefSource(Source):
    """Has two events."""

    async def events(self, context: Context) -> Events:
        for n in range(2):
            yield Event(type="t", id=str(n))


class SilentSource(Source):
    """Never yields."""

    async def events(self, context: Context) -> Events:

        await asyncio.Event().wait()
        yield Event(type="t")


class PolledSource(Source):
    """Polls a server."""

    async def poll(self, client: Any) -> Iterable[Event]:
        answer = await client.get("http://upstream.example/items")
        return [Event(type="t", id=item["id"], data=item) for item in answer.json()]


class StreamedSource(Source):
    """Polls a server, page by page."""

    async def poll(self, client: Any) -> Any:
        yield Event(type="t", id=(await client.get("http://upstream.example/items")).text)


def test_clock_jumps_forward_within_the_code_of_a_source(run: Run) -> None:
    clock = VirtualClock()

    class Jumps(Timer):
        interval: Interval = Interval("1h")

        def tick(self, n: int) -> Event:
            if n == 1:
                clock.advance(5 * 3600 + 30)
            return Event(type="t", data=n)

    assert [event.data for event in run(Jumps(), 4, clock=clock)] == [0, 1, 6, 7]


def test_a_thousand_hourly_ticks_take_no_time(run: Run) -> None:
    events = run(SampleSource(interval=Interval("1h")), ticks=1000)
    assert [event.data["sequence"] for event in events] == list(range(1000))


def test_run_uses_the_given_clock(run: Run) -> None:
    clock = VirtualClock(START + timedelta(days=1), late_s=1)
    (event,) = run(SampleSource(interval=Interval("10s")), 1, clock=clock, created=START)
    assert event.data["sequence"] == 8639  # the last tick before, which may not have been delivered
    assert len(clock.sleeps) == 1


def test_clock_is_in_utc_for_a_deadline_in_another_time_zone() -> None:
    clock, berlin = VirtualClock(datetime(2026, 3, 28, 12, tzinfo=UTC)), ZoneInfo("Europe/Berlin")
    asyncio.run(clock.sleep_until(datetime(2026, 3, 29, 1, tzinfo=berlin)))  # daylight saving time begins at 2
    assert datetime(2026, 3, 29, 4, tzinfo=berlin) - clock.now() == timedelta(hours=2)


def test_outcomes_are_sent_back_in_turn_and_then_delivered(run: Run) -> None:
    events = run(CursorSource(), 5, outcomes=[Outcome.GAVE_UP, Outcome.DELIVERED, Outcome.REJECTED])
    assert [event.id for event in events] == ["0", "0", "1", "1", "2"]


def test_any_object_with_the_methods_of_a_generator_is_pulled_and_closed(run: Run) -> None:
    closed = []

    class Handmade:
        async def __anext__(self) -> Event:
            return Event(type="t")

        async def asend(self, outcome: Outcome) -> Event:
            return Event(type="t", id=outcome.value)

        async def aclose(self) -> None:
            closed.append(True)

    class HandmadeSource(Source):
        def events(self, context: Context) -> Events:
            return Handmade()  # type: ignore[return-value]  # on purpose

    assert run(HandmadeSource(), 2) == [Event(type="t"), Event(type="t", id="delivered")]
    assert closed == [True]


def test_running_wraps_the_events_of_a_source(run: Run, deliver: Deliver, sink: Sink) -> None:
    seen: list[str] = []

    class OpeningSource(Source):
        @asynccontextmanager
        async def running(self, context: Context) -> AsyncIterator[None]:
            seen.append("opened")
            yield
            seen.append("closed")

        async def events(self, context: Context) -> Events:
            seen.append("event")
            yield Event(type="t")

    run(OpeningSource(), 1)
    deliver(OpeningSource(), sink, 1)
    assert seen == ["opened", "event", "closed"] * 2


def test_source_that_ends_early_fails_the_test(run: Run, deliver: Deliver, sink: Sink) -> None:
    for use in (lambda: run(BriefSource(), 3), lambda: deliver(BriefSource(), sink, 3)):
        with pytest.raises(AssertionError, match=r"^BriefSource ended after 2 of 3 events$"):
            use()


def test_source_that_never_yields_fails_the_test(run: Run) -> None:
    with pytest.raises(AssertionError, match=r"^SilentSource made 0 of 1 events within 0.05 s$"):
        run(SilentSource(), 1, deadline_s=0.05)


def test_source_that_never_yields_fails_the_test_with_the_reason_why_it_is_not_ready(
    run: Run, deliver: Deliver, sink: Sink
) -> None:
    class UnconnectedSource(Source):
        async def events(self, context: Context) -> Events:
            context.set_unready("no answer from the queue")
            await asyncio.Event().wait()
            yield Event(type="t")

    for use in (run, lambda source, ticks, deadline_s: deliver(source, sink, ticks, deadline_s=deadline_s)):
        with pytest.raises(AssertionError, match=r"within 0.05 s; the source is not ready: no answer from the queue$"):
            use(UnconnectedSource(), 1, deadline_s=0.05)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        pytest.param({"type": "t"}, "made {'type': 't'}, which is a dict; make an Event", id="no-event"),
        pytest.param(Event(type="t", data=object()), "is invalid: data cannot be written as JSON", id="no-json"),
        pytest.param(Event(type=""), 'is invalid: type is ""', id="no-type"),
        pytest.param(Event(type="t", extensions={"Big": "x"}), 'extension name "Big" is not valid', id="extension"),
    ],
)
def test_invalid_event_fails_the_test(run: Run, made: Any, message: str) -> None:
    class OddSource(Source):
        async def events(self, context: Context) -> Events:
            yield made

    with pytest.raises(AssertionError, match=re.escape(message)):
        run(OddSource(), 1)


def test_exception_of_the_source_is_raised_unchanged(run: Run, deliver: Deliver, sink: Sink) -> None:
    class Failing(Timer):
        def tick(self, n: int) -> Event:
            raise LookupError("the queue is gone")

    for use in (lambda: run(Failing()), lambda: deliver(Failing(), sink)):
        with pytest.raises(LookupError, match="the queue is gone"):
            use()


def test_events_arrive_as_an_adapter_sends_them(deliver: Deliver, sink: Sink) -> None:
    assert deliver(SampleSource(), sink) == [Outcome.DELIVERED] * 3
    assert [event["data"]["sequence"] for event in sink.events] == [0, 1, 2]
    source = "/apis/samples.knative.dev/v1alpha1/namespaces/default/samplesources/test"
    assert {(event["source"], event["type"]) for event in sink.events} == {(source, "dev.knative.sample")}


def test_failed_attempts_are_retried_with_the_same_id(deliver: Deliver, sink: Sink) -> None:
    sink.answer(503, RESET, SinkReply(429, delay_s=0.01, headers={"Retry-After": "60"}), 204)
    clock = VirtualClock()
    assert deliver(SampleSource(), sink, 1, clock=clock) == [Outcome.DELIVERED]
    assert [event["id"] for event in sink.events] == [sink.events[0]["id"]] * 4
    assert sink.taken == sink.events[3:]
    assert clock.now() - START > timedelta(seconds=60)


def test_source_gets_rejected_and_gave_up(deliver: Deliver, sink: Sink) -> None:
    sink.answer(400, 500, 500)
    outcomes = deliver(CursorSource(), sink, 3, delivery={"retry": 1})
    assert outcomes == [Outcome.REJECTED, Outcome.GAVE_UP, Outcome.DELIVERED]
    assert [event["id"] for event in sink.events] == ["0"] * 4


def test_slow_response_is_an_attempt_that_timed_out(deliver: Deliver, sink: Sink) -> None:
    sink.answer(SinkReply(delay_s=5))
    clock = VirtualClock()
    assert deliver(CursorSource(), sink, 1, delivery={"timeout": "PT0.5S"}, clock=clock) == [Outcome.DELIVERED]
    assert len(clock.sleeps) == 1  # the wait before the second attempt


def test_second_sink_is_the_dead_letter_sink(deliver: Deliver, sink: Sink) -> None:
    with Sink() as dead_letters:
        sink.answer(400)
        assert deliver(CursorSource(), sink, 1, dead_letters=dead_letters) == [Outcome.DEAD_LETTERED]
        assert dead_letters.events[0]["extensions"]["knativeerrorcode"] == "400"


def test_error_of_wait_for_lists_what_arrived(deliver: Deliver, sink: Sink) -> None:
    deliver(CursorSource(), sink, 1)
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(sink.url, b"hello")
    with pytest.raises(AssertionError, match=r"^1 of 2 events arrived within 0.05 s: \[\('t', '0'\)\]; .*required"):
        sink.wait_for(2, within_s=0.05)


def test_sink_binds_to_loopback_and_closes_at_the_end() -> None:
    with Sink() as sink:
        assert sink.url.startswith("http://127.0.0.1:")
        with pytest.raises(urllib.error.HTTPError, match="400"):
            urllib.request.urlopen(sink.url, timeout=DEADLINE_S)
        with pytest.raises(urllib.error.URLError, match="refused"):
            urllib.request.urlopen(sink.url.replace("127.0.0.1", "127.0.0.2"), timeout=DEADLINE_S)
    with pytest.raises(urllib.error.URLError, match="refused"):
        urllib.request.urlopen(sink.url, timeout=DEADLINE_S)


def test_poll_returns_the_events_of_one_response(poll: Poll) -> None:
    assert [event.id for event in poll(PolledSource(), [{"id": "a"}, {"id": "b"}])] == ["a", "b"]
    assert [event.id for event in poll(StreamedSource(), httpx2.Response(200, text="a"))] == ["a"]
    with pytest.raises(AssertionError, match="is invalid: id is 1"):
        poll(PolledSource(), [{"id": 1}])


def test_public_names_can_be_imported() -> None:
    module = importlib.import_module("adapter.testing")
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
    with pytest.raises(AttributeError, match=r"module adapter\.testing has no attribute Nothing"):
        module.Nothing  # noqa: B018


def test_plugin_imports_nothing_until_a_fixture_is_used() -> None:
    code = "import pytest, sys; before = set(sys.modules); import adapter.testing; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {"adapter", "adapter.testing"} <= set(done.stdout.split()) <= {"adapter", "adapter.testing", "__future__"}


def test_installed_package_registers_the_plugin(tmp_path: Path) -> None:
    environ = environ_with(tmp_path / "site")
    command = [sys.executable, "-W", "error", "-m", "pytest", "--fixtures", "-p", "no:cacheprovider"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert "fixtures defined from adapter.testing" in done.stdout, done.stdout + done.stderr
    assert done.stderr == ""
