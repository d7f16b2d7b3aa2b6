"""Shutdown: on_shutdown callbacks, the delivery of events in flight, and the end of the source."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from adapter.contract.timeouts import TIMEOUTS
from adapter.runtime.deliveries import Drain
from adapter.sdk import Context, Event, Outcome
from adapter.serving.failures import SourceExit
from adapter.testing.clock import START
from tests.unit.adapter.fake_adapter import Events, FakeAdapter, ScriptedSource, wait_for_ever, within_deadline


def test_stop_before_the_first_event_closes_the_source_immediately() -> None:
    closed = []

    async def events(context: Context) -> Events:
        adapter.runtime.stop()
        try:
            await wait_for_ever()
        finally:
            closed.append(True)
        yield Event(type="t")

    adapter = FakeAdapter(events)
    within_deadline(adapter.runtime.run())
    assert closed == [True]
    assert (adapter.delivered, adapter.book.lines) == ([], [])


def test_stop_delivers_the_event_in_flight_sends_its_outcome_back_and_pulls_no_other() -> None:
    noted: list[object] = []

    async def events(context: Context) -> Events:
        outcome = yield Event(type="t", id="1")
        await asyncio.sleep(0.02)  # a cursor is written
        noted.append(outcome)
        try:
            yield Event(type="t", id="2")
        finally:
            noted.append("closed")

    async def test() -> None:
        await adapter.runtime.run()
        assert noted == [Outcome.DELIVERED, "closed"]

    async def deliver(event: Event) -> Outcome:
        adapter.runtime.stop()
        await asyncio.sleep(0.02)  # the sink answers after the signal was seen
        assert adapter.in_flight() == 1
        return Outcome.DELIVERED

    adapter = FakeAdapter(events, deliver)
    within_deadline(test())
    assert [event.id for event, _ in adapter.delivered] == ["1"]
    assert (adapter.count("delivered"), adapter.in_flight(), adapter.book.lines) == (1, 0, [])


@pytest.mark.parametrize("answered_s", [0, 0.02], ids=["with-the-signal", "after-the-signal"])
def test_source_that_waits_after_its_outcome_is_closed_after_outcome_s(answered_s: float) -> None:
    closed: list[object] = []

    async def events(context: Context) -> Events:
        outcome = yield Event(type="t")
        await asyncio.sleep(0.005)  # a cursor is written
        closed.append(outcome)
        try:
            await wait_for_ever()
        finally:
            closed.append(True)

    async def deliver(event: Event) -> Outcome:
        adapter.runtime.stop()
        if answered_s:
            await asyncio.sleep(answered_s)
        return Outcome.DELIVERED

    adapter = FakeAdapter(events, deliver, timeouts=dataclasses.replace(TIMEOUTS, outcome_s=0.1))
    within_deadline(adapter.runtime.run())
    assert closed == [Outcome.DELIVERED, True]
    assert adapter.book.lines == []


def test_source_may_finish_handling_an_outcome_that_came_before_the_signal() -> None:
    steps: list[object] = []

    async def events(context: Context) -> Events:
        outcome = yield Event(type="t")
        adapter.runtime.stop()
        for _ in range(10):
            await asyncio.sleep(0)  # the item is deleted
        steps.append(outcome)
        yield Event(type="t", id="not pulled")

    adapter = FakeAdapter(events)
    within_deadline(adapter.runtime.run())
    assert steps == [Outcome.DELIVERED]
    assert len(adapter.delivered) == 1


def test_drain_ends_at_its_limit_when_the_sink_hangs_and_the_event_is_logged() -> None:
    async def events(context: Context) -> Events:
        yield Event(type="t", id="lost", data="secret")

    async def deliver(event: Event) -> Outcome:
        adapter.runtime.stop()
        await wait_for_ever()
        raise AssertionError

    adapter = FakeAdapter(events, deliver, drain=Drain(0.05), timeouts=dataclasses.replace(TIMEOUTS, outcome_s=0.01))
    started = time.monotonic()
    within_deadline(adapter.runtime.run())
    assert time.monotonic() - started >= 0.05
    (line,) = adapter.book.logged("event lost")
    assert (line["event_id"], line["level"]) == ("lost", "error")
    assert line["msg"] == "event lost: not delivered before shutdown"
    assert adapter.count("lost") == 1
    assert "secret" not in adapter.book.text


def test_drain_that_reaches_its_limit_cuts_delivery_short_and_waits_for_the_last_attempt() -> None:
    outcomes = []

    async def events(context: Context) -> Events:
        outcomes.append((yield Event(type="t", id="1")))

    async def deliver(event: Event) -> Outcome:
        adapter.runtime.stop()
        await adapter.was_cut_short.wait()
        await asyncio.sleep(0.02)  # the dead letter sink is slow
        return Outcome.DEAD_LETTERED

    adapter = FakeAdapter(events, deliver, drain=Drain(0.05, last_attempt_s=5))
    within_deadline(adapter.runtime.run())
    assert outcomes == [Outcome.DEAD_LETTERED]
    assert (adapter.count("dead_lettered"), adapter.count("lost")) == (1, 0)


def test_drain_waits_for_all_workers() -> None:
    async def events(context: Context) -> Events:
        yield Event(type="t", id=str(context.worker))
        await wait_for_ever()

    async def deliver(event: Event) -> Outcome:
        if len(adapter.delivered) == 3:
            adapter.runtime.stop()
        await asyncio.sleep(0.01 * int(event.id or ""))
        return Outcome.DELIVERED

    adapter = FakeAdapter(events, deliver, workers=3, timeouts=dataclasses.replace(TIMEOUTS, outcome_s=0.001))
    within_deadline(adapter.runtime.run())
    assert adapter.count("delivered") == 3
    assert adapter.book.lines == []


def test_source_that_does_not_close_does_not_block_the_shutdown() -> None:
    release = asyncio.Event()

    async def events(context: Context) -> Events:
        adapter.runtime.stop()
        try:
            await wait_for_ever()
        finally:
            await release.wait()
        yield Event(type="t")

    async def test() -> None:
        await adapter.runtime.run()
        release.set()

    adapter = FakeAdapter(events, timeouts=dataclasses.replace(TIMEOUTS, source_close_s=0.05))
    within_deadline(test())


def test_source_that_is_always_overdue_is_stopped() -> None:
    pulled = 0

    async def events(context: Context) -> Events:
        nonlocal pulled
        while True:
            await context.clock.sleep_until(START)
            pulled += 1
            if pulled == 3:
                asyncio.get_running_loop().call_soon(adapter.runtime.stop)
            yield Event(type="t")

    adapter = FakeAdapter(events)
    within_deadline(adapter.runtime.run())
    assert pulled >= 3


def shut_down(callback: Callable[[FakeAdapter], Awaitable[None]], listener_drain_s: float = 5) -> FakeAdapter:
    """Stop an adapter after its first event. ``callback`` is its on_shutdown callback."""

    async def events(context: Context) -> Events:
        while True:
            await asyncio.sleep(0.001)
            yield Event(type="t")

    async def test() -> None:
        run = asyncio.create_task(adapter.runtime.run())
        await adapter.until(1)
        adapter.runtime.stop()
        await run

    timeouts = dataclasses.replace(TIMEOUTS, listener_drain_s=listener_drain_s)
    adapter = FakeAdapter(events, timeouts=timeouts, on_shutdown=lambda: callback(adapter))
    within_deadline(test())
    return adapter


def test_events_are_pulled_until_the_shutdown_callback_is_done() -> None:
    async def callback(adapter: FakeAdapter) -> None:
        assert adapter.runtime.unready_reason == "stopping"
        await adapter.until(len(adapter.delivered) + 3)

    assert len(shut_down(callback).delivered) >= 4


def test_shutdown_callback_has_a_time_limit() -> None:
    shut_down(lambda adapter: wait_for_ever(), listener_drain_s=0.05)


def test_run_raises_the_exception_of_a_shutdown_callback() -> None:
    async def callback(adapter: FakeAdapter) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        shut_down(callback)


@pytest.mark.parametrize("kind", ["raises", "exits", "hangs"])
def test_later_shutdown_callback_runs_although_the_first_one_fails_or_hangs(kind: str) -> None:
    ran: list[str] = []

    class TwoCallbacksSource(ScriptedSource):
        @contextlib.asynccontextmanager
        async def running(self, context: Context) -> AsyncIterator[None]:
            context.on_shutdown(first)
            context.on_shutdown(second)
            yield

    async def first() -> None:
        if kind == "hangs":
            await wait_for_ever()
        raise LookupError("mine") if kind == "raises" else SystemExit("mine")

    async def second() -> None:
        ran.append("second")

    async def events(context: Context) -> Events:
        adapter.runtime.stop()
        await wait_for_ever()
        yield Event(type="t")

    source = TwoCallbacksSource()
    source._events = events
    adapter = FakeAdapter(source, timeouts=dataclasses.replace(TIMEOUTS, listener_drain_s=0.05))
    if kind == "hangs":
        within_deadline(adapter.runtime.run())
    else:
        with pytest.raises(LookupError if kind == "raises" else SourceExit):
            within_deadline(adapter.runtime.run())
    assert ran == ["second"]
