"""From SIGTERM on: taking leave, what is in hand, and the end of the source."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from pydantic import PrivateAttr

from adapter import runtime as runtime_module
from adapter.contract.timeouts import TIMEOUTS
from adapter.runtime import CLOSE_S, LEAVE_S, NOTE_S, Drain
from adapter.sdk import Context, Event, Outcome, Source
from adapter.testing.clock import START
from tests.unit.adapter.life import Events, Life, for_ever, within_deadline


def test_the_grace_period_is_never_overrun() -> None:
    for attempt_s in (10.0, 60.0):
        for last_s in (0.0, attempt_s):
            needed_s = LEAVE_S + TIMEOUTS.drain_s(attempt_s) + last_s + 2 * NOTE_S + CLOSE_S
            assert needed_s < TIMEOUTS.grace_period_s(attempt_s, dead_letter=bool(last_s), listens=True)


def test_a_stop_before_the_first_event_closes_the_source_at_once() -> None:
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


def test_a_stop_with_an_event_in_hand_delivers_it_sends_the_outcome_back_and_pulls_no_other() -> None:
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
def test_a_source_that_waits_after_its_outcome_is_closed_after_a_moment(
    monkeypatch: pytest.MonkeyPatch, answered_s: float
) -> None:
    monkeypatch.setattr(runtime_module, "NOTE_S", 0.1)
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

    life = Life(events, deliver)
    within_deadline(life.runtime.run())
    assert closed == [Outcome.DELIVERED, True]
    assert life.book.lines == []


def test_a_sink_that_hangs_ends_the_drain_at_its_limit_and_the_event_is_named() -> None:
    async def events(context: Context) -> Events:
        yield Event(type="t", id="lost", data="secret")

    async def deliver(event: Event) -> Outcome:
        life.runtime.stop()
        await for_ever()
        raise AssertionError

    life = Life(events, deliver, drain=Drain(0.05))
    started = time.monotonic()
    within_deadline(life.runtime.run())
    assert 0.05 <= time.monotonic() - started < 5
    (line,) = life.book.lines
    assert (line["event_id"], line["level"]) == ("lost", "error")
    assert line["msg"] == "event lost: stopped with it undelivered"
    assert life.count("lost") == 1
    assert "secret" not in life.book.text


def test_a_drain_that_takes_too_long_hurries_what_is_in_hand_and_waits_for_its_last_try() -> None:
    cut_short = asyncio.Event()
    outcomes = []

    async def events(context: Context) -> Events:
        outcomes.append((yield Event(type="t", id="1")))

    async def deliver(event: Event) -> Outcome:
        life.runtime.stop()
        await cut_short.wait()
        await asyncio.sleep(0.02)  # the dead letter sink takes its time
        return Outcome.DEAD_LETTERED

    life = Life(events, deliver, drain=Drain(0.05, 5, cut_short.set))
    within_deadline(life.runtime.run())
    assert outcomes == [Outcome.DEAD_LETTERED]
    assert (life.count("dead_lettered"), life.count("lost")) == (1, 0)


def test_a_drain_waits_for_every_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime_module, "NOTE_S", 0.001)

    async def events(context: Context) -> Events:
        yield Event(type="t", id=str(context.lane))
        await for_ever()

    async def deliver(event: Event) -> Outcome:
        if len(life.delivered) == 3:
            life.runtime.stop()
        await asyncio.sleep(0.01 * int(event.id or ""))
        return Outcome.DELIVERED

    life = Life(events, deliver, max_in_flight=3)
    within_deadline(life.runtime.run())
    assert life.count("delivered") == 3
    assert life.book.lines == []


def test_a_source_that_will_not_close_does_not_hold_the_adapter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime_module, "CLOSE_S", 0.05)
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

    life = Life(events)
    within_deadline(test())


def test_a_source_that_is_always_overdue_sees_the_stop() -> None:
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


class Leaving(Source):
    """Takes leave as it is told, and goes on yielding events meanwhile."""

    _take_leave: Callable[[], Awaitable[None]] = PrivateAttr()

    async def events(self, context: Context) -> Events:
        while True:
            await asyncio.sleep(0.001)
            yield Event(type="t", data=context.stopping())

    async def on_shutdown(self) -> None:
        await self._take_leave()


def leave(on_shutdown: Callable[[Life], Awaitable[None]]) -> Life:
    """What was delivered by a source that was told to stop after its first event."""
    life = Life(lambda context: source.events(context))
    source = Leaving()
    source._take_leave = lambda: on_shutdown(life)
    life.runtime._source = source

    async def test() -> None:
        run = asyncio.create_task(life.runtime.run())
        await life.until(1)
        life.runtime.stop()
        await run

    within_deadline(test())
    return life


def test_events_are_pulled_until_the_source_has_taken_leave() -> None:
    async def on_shutdown(life: Life) -> None:
        assert life.runtime.stopping
        await life.until(len(life.delivered) + 3)

    life = leave(on_shutdown)
    assert len(life.delivered) >= 4
    assert not any(event.data for event, _ in life.delivered)  # to the source it is no stop yet


def test_a_leave_has_its_time_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime_module, "LEAVE_S", 0.05)
    leave(lambda life: for_ever())


def test_an_exception_of_a_leave_comes_out() -> None:
    async def on_shutdown(life: Life) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        leave(on_shutdown)
