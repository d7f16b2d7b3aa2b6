"""Shutdown: on_shutdown callbacks, the drain of events in hand, and the end of the source."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable

import pytest

from adapter.contract.timeouts import TIMEOUTS
from adapter.runtime import Drain
from adapter.sdk import Context, Event, Outcome
from adapter.testing.clock import START
from tests.unit.adapter.life import Events, Life, for_ever, within_deadline


def test_stop_before_the_first_event_closes_the_source_at_once() -> None:
    closed = []

    async def events(context: Context) -> Events:
        life.runtime.stop()
        try:
            await for_ever()
        finally:
            closed.append(True)
        yield Event(type="t")

    life = Life(events)
    within_deadline(life.runtime.run())
    assert closed == [True]
    assert (life.delivered, life.book.lines) == ([], [])


def test_stop_delivers_the_event_in_hand_sends_its_outcome_back_and_pulls_no_other() -> None:
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
        await life.runtime.run()
        assert noted == [Outcome.DELIVERED, "closed"]

    async def deliver(event: Event) -> Outcome:
        life.runtime.stop()
        await asyncio.sleep(0.02)  # the sink answers after the signal was seen
        assert life.in_flight() == 1
        return Outcome.DELIVERED

    life = Life(events, deliver)
    within_deadline(test())
    assert [event.id for event, _ in life.delivered] == ["1"]
    assert (life.count("delivered"), life.in_flight(), life.book.lines) == (1, 0, [])


@pytest.mark.parametrize("answered_s", [0, 0.02], ids=["with-the-signal", "after-the-signal"])
def test_source_that_waits_after_its_outcome_is_closed_after_outcome_s(answered_s: float) -> None:
    closed: list[object] = []

    async def events(context: Context) -> Events:
        outcome = yield Event(type="t")
        await asyncio.sleep(0.005)  # a cursor is written
        closed.append(outcome)
        try:
            await for_ever()
        finally:
            closed.append(True)

    async def deliver(event: Event) -> Outcome:
        life.runtime.stop()
        if answered_s:
            await asyncio.sleep(answered_s)
        return Outcome.DELIVERED

    life = Life(events, deliver, timeouts=dataclasses.replace(TIMEOUTS, outcome_s=0.1))
    within_deadline(life.runtime.run())
    assert closed == [Outcome.DELIVERED, True]
    assert life.book.lines == []


def test_drain_ends_at_its_limit_when_the_sink_hangs_and_the_event_is_logged() -> None:
    async def events(context: Context) -> Events:
        yield Event(type="t", id="lost", data="secret")

    async def deliver(event: Event) -> Outcome:
        life.runtime.stop()
        await for_ever()
        raise AssertionError

    life = Life(events, deliver, drain=Drain(0.05), timeouts=dataclasses.replace(TIMEOUTS, outcome_s=0.01))
    started = time.monotonic()
    within_deadline(life.runtime.run())
    assert 0.05 <= time.monotonic() - started < 5
    (line,) = life.book.containing("event lost")
    assert (line["event_id"], line["level"]) == ("lost", "error")
    assert line["msg"] == "event lost: not delivered before shutdown"
    assert life.count("lost") == 1
    assert "secret" not in life.book.text


def test_drain_that_reaches_its_limit_cuts_delivery_short_and_waits_for_the_last_attempt() -> None:
    outcomes = []

    async def events(context: Context) -> Events:
        outcomes.append((yield Event(type="t", id="1")))

    async def deliver(event: Event) -> Outcome:
        life.runtime.stop()
        await life.was_cut_short.wait()
        await asyncio.sleep(0.02)  # the dead letter sink is slow
        return Outcome.DEAD_LETTERED

    life = Life(events, deliver, drain=Drain(0.05, last_attempt_s=5))
    within_deadline(life.runtime.run())
    assert outcomes == [Outcome.DEAD_LETTERED]
    assert (life.count("dead_lettered"), life.count("lost")) == (1, 0)


def test_drain_waits_for_all_workers() -> None:
    async def events(context: Context) -> Events:
        yield Event(type="t", id=str(context.worker))
        await for_ever()

    async def deliver(event: Event) -> Outcome:
        if len(life.delivered) == 3:
            life.runtime.stop()
        await asyncio.sleep(0.01 * int(event.id or ""))
        return Outcome.DELIVERED

    life = Life(events, deliver, workers=3, timeouts=dataclasses.replace(TIMEOUTS, outcome_s=0.001))
    within_deadline(life.runtime.run())
    assert life.count("delivered") == 3
    assert life.book.lines == []


def test_source_that_does_not_close_does_not_block_the_shutdown() -> None:
    release = asyncio.Event()

    async def events(context: Context) -> Events:
        life.runtime.stop()
        try:
            await for_ever()
        finally:
            await release.wait()
        yield Event(type="t")

    async def test() -> None:
        await life.runtime.run()
        release.set()

    life = Life(events, timeouts=dataclasses.replace(TIMEOUTS, source_close_s=0.05))
    within_deadline(test())


def test_source_that_is_always_overdue_is_stopped() -> None:
    pulled = 0

    async def events(context: Context) -> Events:
        nonlocal pulled
        while True:
            await context.clock.sleep_until(START)
            pulled += 1
            yield Event(type="t")

    async def test() -> None:
        asyncio.get_running_loop().call_later(0.05, life.runtime.stop)
        await life.runtime.run()

    life = Life(events)
    within_deadline(test())
    assert pulled > 1


def shut_down(callback: Callable[[Life], Awaitable[None]], listener_drain_s: float = 5) -> Life:
    """A source that is stopped after its first event, and runs ``callback`` meanwhile."""

    async def events(context: Context) -> Events:
        while True:
            await asyncio.sleep(0.001)
            yield Event(type="t")

    async def test() -> None:
        run = asyncio.create_task(life.runtime.run())
        await life.until(1)
        life.runtime.stop()
        await run

    timeouts = dataclasses.replace(TIMEOUTS, listener_drain_s=listener_drain_s)
    life = Life(events, timeouts=timeouts, on_shutdown=lambda: callback(life))
    within_deadline(test())
    return life


def test_events_are_pulled_until_the_shutdown_callback_is_done() -> None:
    async def callback(life: Life) -> None:
        assert life.runtime.unready_reason == "stopping"
        await life.until(len(life.delivered) + 3)

    assert len(shut_down(callback).delivered) >= 4


def test_shutdown_callback_has_a_time_limit() -> None:
    shut_down(lambda life: for_ever(), listener_drain_s=0.05)


def test_run_raises_the_exception_of_a_shutdown_callback() -> None:
    async def callback(life: Life) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        shut_down(callback)


def test_sent_event_that_is_not_delivered_before_shutdown_is_returned_to_its_caller() -> None:
    outcomes: list[Outcome] = []
    callers: set[asyncio.Task[None]] = set()

    async def call(context: Context) -> None:
        outcomes.append(await context.send(Event(type="t", id="1", data="secret"), timeout_s=60))

    async def events(context: Context) -> Events:
        callers.add(asyncio.create_task(call(context)))
        await for_ever()
        yield Event(type="t")

    async def deliver(event: Event) -> Outcome:
        life.runtime.stop()
        await for_ever()
        raise AssertionError

    life = Life(events, deliver, drain=Drain(0.01), timeouts=dataclasses.replace(TIMEOUTS, outcome_s=0.01))
    within_deadline(life.runtime.run())
    assert outcomes == [Outcome.GAVE_UP]
    (line,) = life.book.lines
    assert (line["msg"], line["event_id"]) == ("event not delivered before shutdown; caller notified", "1")
    assert (life.count("returned"), life.count("lost")) == (1, 0)
    assert "secret" not in life.book.text


def test_source_gets_the_outcome_of_an_event_that_is_lost_at_shutdown() -> None:
    outcomes = []

    async def events(context: Context) -> Events:
        outcomes.append((yield Event(type="t")))

    async def deliver(event: Event) -> Outcome:
        life.runtime.stop()
        await for_ever()
        raise AssertionError

    life = Life(events, deliver, drain=Drain(0.01), timeouts=dataclasses.replace(TIMEOUTS, outcome_s=0.1))
    within_deadline(life.runtime.run())
    assert outcomes == [Outcome.GAVE_UP]
