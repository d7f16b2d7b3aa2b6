"""The life of a source: outcomes go back, SIGTERM drains, a bad event does not stop the good ones."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from typing import Any, ClassVar

import pytest
from pydantic import PrivateAttr

from adapter import runtime as runtime_module
from adapter.events import Message
from adapter.metrics import Metrics
from adapter.policy import LEAVE_S, Policy
from adapter.runtime import CLOSE_S, NOTE_S, Drain, Runtime, SystemClock, context_of
from adapter.sdk import Context, Event, Outcome, Source
from adapter.testing.clock import START, VirtualClock
from tests.logbook import Logbook

Events = AsyncGenerator[Event, Outcome]
DEADLINE_S = 10
PATIENT = Drain(20)


class Life:
    """A runtime around ``events``; ``deliver`` decides on each event."""

    def __init__(
        self,
        events: Callable[[Context], Events],
        deliver: Callable[[Event], Awaitable[Outcome]] | None = None,
        drain: Drain = PATIENT,
        max_in_flight: int = 1,
    ) -> None:
        lanes = max_in_flight

        class Scripted(Source):
            max_in_flight: ClassVar[int] = lanes

            def events(self, context: Context) -> Events:
                return events(context)

        self.book, self.metrics = Logbook(), Metrics("ns", "n", "K")
        context = context_of("/s", "uid", START, VirtualClock(), self.book.log, self.metrics)
        self.delivered: list[tuple[Event, Message]] = []
        self._decide = deliver
        self.runtime = Runtime(
            Scripted(), context, self._deliver, self.metrics, namespace="ns", overrides={}, drain=drain
        )

    async def _deliver(self, event: Event, message: Message) -> Outcome:
        self.delivered.append((event, message))
        return await self._decide(event) if self._decide else Outcome.DELIVERED

    async def until(self, count: int) -> None:
        """So many events were delivered."""
        async with asyncio.timeout(DEADLINE_S):
            while len(self.delivered) < count:  # noqa: ASYNC110 -- what is delivered is no event of asyncio's
                await asyncio.sleep(0.001)

    def count(self, outcome: str) -> float:
        who = 'kind="K",name="n",namespace="ns"'
        start = f'source_events_total{{{who},outcome="{outcome}"}} '
        (line,) = [line for line in self.metrics.render().decode().splitlines() if line.startswith(start)]
        return float(line.removeprefix(start))

    def in_flight(self) -> float:
        start = "source_in_flight{"
        (line,) = [line for line in self.metrics.render().decode().splitlines() if line.startswith(start)]
        return float(line.rpartition(" ")[2])


def within_deadline(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, DEADLINE_S))


async def for_ever() -> None:
    await asyncio.Event().wait()


def test_the_grace_period_is_never_overrun() -> None:
    for policy in (Policy(), Policy(timeout_s=60)):
        for last_s in (0.0, policy.timeout_s):
            needed_s = LEAVE_S + policy.drain_s + last_s + 2 * NOTE_S + CLOSE_S
            assert needed_s < policy.grace_s(dead_letter=bool(last_s))


def test_each_yield_returns_its_own_events_outcome() -> None:
    outcomes = {"a": Outcome.DELIVERED, "b": Outcome.GAVE_UP, "c": Outcome.DEAD_LETTERED, "d": Outcome.REJECTED}
    seen = {}

    async def events(context: Context) -> Events:
        for id in outcomes:
            seen[id] = yield Event(type="t", id=id)
        life.runtime.stop()

    async def deliver(event: Event) -> Outcome:
        return outcomes[event.id or ""]

    life = Life(events, deliver)
    within_deadline(life.runtime.run())
    assert seen == outcomes
    assert [life.count(it) for it in ("delivered", "lost", "dead_lettered", "skipped")] == [1, 2, 1, 0]


def test_an_event_gets_an_id_and_a_time_only_where_it_has_none() -> None:
    async def events(context: Context) -> Events:
        yield Event(type="t")
        yield Event(type="t")
        yield Event(type="t", id="own", time=START.replace(year=2000))
        yield Event(type="t", id="theirs", source="/theirs")  # whose time is theirs to know
        life.runtime.stop()

    life = Life(events)
    within_deadline(life.runtime.run())
    first, second, own, theirs = (event for event, _ in life.delivered)
    assert first.id != second.id
    assert (first.id or "").startswith("uid-")
    assert first.time == START
    assert (own.id, own.time) == ("own", START.replace(year=2000))
    assert (theirs.id, theirs.time) == ("theirs", None)
    assert life.delivered[0][1].headers["ce-id"] == first.id


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
    hurry = asyncio.Event()
    outcomes = []

    async def events(context: Context) -> Events:
        outcomes.append((yield Event(type="t", id="1")))

    async def deliver(event: Event) -> Outcome:
        life.runtime.stop()
        await hurry.wait()
        await asyncio.sleep(0.02)  # the dead letter sink takes its time
        return Outcome.DEAD_LETTERED

    life = Life(events, deliver, drain=Drain(0.05, 5, hurry.set))
    within_deadline(life.runtime.run())
    assert outcomes == [Outcome.DEAD_LETTERED]
    assert (life.count("dead_lettered"), life.count("lost")) == (1, 0)


def test_lanes_run_side_by_side_each_in_its_own_order() -> None:
    under_way: set[str | None] = set()
    most = 0

    async def events(context: Context) -> Events:
        for n in range(3):
            yield Event(type="t", id=f"{context.lane}/{context.lanes}-{n}")

    async def deliver(event: Event) -> Outcome:
        nonlocal most
        under_way.add(event.id)
        most = max(most, len(under_way))
        await asyncio.sleep(0.002)
        under_way.remove(event.id)
        if len(life.delivered) == 12:
            life.runtime.stop()
        return Outcome.DELIVERED

    life = Life(events, deliver, max_in_flight=4)
    within_deadline(life.runtime.run())
    ids = [event.id for event, _ in life.delivered]
    assert most == 4
    for lane in range(4):
        assert [it for it in ids if it and it.startswith(f"{lane}/")] == [f"{lane}/4-{n}" for n in range(3)]


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


def test_an_exception_in_one_lane_ends_them_all() -> None:
    async def events(context: Context) -> Events:
        if context.lane == 1:
            raise LookupError("mine")
        await for_ever()
        yield Event(type="t")

    with pytest.raises(LookupError, match="mine"):
        within_deadline(Life(events, max_in_flight=3).runtime.run())


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


def test_the_system_clock_lets_others_run_although_its_deadline_is_past() -> None:
    async def test() -> None:
        stopped = asyncio.Event()
        asyncio.get_running_loop().call_soon(stopped.set)
        while not stopped.is_set():
            await SystemClock().sleep_until(START)

    within_deadline(test())


class Leaving(Source):
    """Takes leave as it is told, and goes on yielding events meanwhile."""

    _take_leave: Callable[[], Awaitable[None]] = PrivateAttr()

    async def events(self, context: Context) -> Events:
        while True:
            await asyncio.sleep(0.001)
            yield Event(type="t", data=context.stopping())

    async def take_leave(self) -> None:
        await self._take_leave()


def leave(take_leave: Callable[[Life], Awaitable[None]]) -> Life:
    """What was delivered by a source that was told to stop after its first event."""
    life = Life(lambda context: source.events(context))
    source = Leaving()
    source._take_leave = lambda: take_leave(life)
    life.runtime._source = source

    async def test() -> None:
        run = asyncio.create_task(life.runtime.run())
        await life.until(1)
        life.runtime.stop()
        await run

    within_deadline(test())
    return life


def test_events_are_pulled_until_the_source_has_taken_leave() -> None:
    async def take_leave(life: Life) -> None:
        assert life.runtime.stopping
        await life.until(len(life.delivered) + 3)

    life = leave(take_leave)
    assert len(life.delivered) >= 4
    assert not any(event.data for event, _ in life.delivered)  # to the source it is no stop yet


def test_a_leave_has_its_time_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime_module, "LEAVE_S", 0.05)
    leave(lambda life: for_ever())


def test_an_exception_of_a_leave_comes_out() -> None:
    async def take_leave(life: Life) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        leave(take_leave)


def test_a_source_that_ends_does_not_end_the_process() -> None:
    async def events(context: Context) -> Events:
        yield Event(type="t")

    async def test() -> None:
        run = asyncio.create_task(life.runtime.run())
        async with asyncio.timeout(DEADLINE_S):
            while not life.book.said("no more events"):  # noqa: ASYNC110 -- the log is what a person sees
                await asyncio.sleep(0.001)
        assert not run.done()
        life.runtime.stop()
        await run

    life = Life(events)
    within_deadline(test())
    assert life.count("delivered") == 1


@pytest.mark.parametrize("before", [0, 1], ids=["before-the-first", "after-one"])
def test_an_exception_of_the_source_comes_out(before: int) -> None:
    async def events(context: Context) -> Events:
        for _ in range(before):
            yield Event(type="t")
        raise LookupError("mine")

    life = Life(events)
    with pytest.raises(LookupError, match="mine"):
        within_deadline(life.runtime.run())
    assert len(life.delivered) == before


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(Event(type="", id="bad"), id="no-type"),
        pytest.param(Event(type="t", id="bad", data={"secret": object()}), id="data"),
        pytest.param(Event(type="t", id="bad", extensions={"id": "x"}), id="extension"),
    ],
)
def test_an_event_that_cannot_be_sent_is_said_counted_and_the_next_is_sent(bad: Event) -> None:
    outcomes = []

    async def events(context: Context) -> Events:
        outcomes.append((yield bad))
        outcomes.append((yield Event(type="t", id="good")))
        life.runtime.stop()

    life = Life(events)
    within_deadline(life.runtime.run())
    assert outcomes == [Outcome.REJECTED, Outcome.DELIVERED]
    assert [event.id for event, _ in life.delivered] == ["good"]
    assert life.count("lost") == 1
    (line,) = life.book.said("event cannot be sent")
    assert (line["level"], line["event_id"], line["count"]) == ("error", "bad", 1)
    assert line["reason"]
    assert "secret" not in life.book.text


def test_a_source_that_yields_something_else_is_told_what() -> None:
    async def events(context: Context) -> Events:
        yield {"type": "t"}  # type: ignore[misc]

    with pytest.raises(TypeError, match="the source yielded dict; yield an Event"):
        within_deadline(Life(events).runtime.run())


def test_a_source_is_in_trouble_until_it_has_begun_and_said_no_other() -> None:
    async def events(context: Context) -> Events:
        await asyncio.Event().wait()
        yield Event(type="t")

    async def troubles(trouble: str | None) -> list[str | None]:
        """At each turn of the loop, when a probe might come."""

        async def told(context: Context) -> Events:
            context.trouble(trouble)
            async for event in events(context):
                yield event

        life = Life(told if trouble else events)
        running = asyncio.create_task(life.runtime.run())
        seen = []
        for _ in range(20):
            seen.append(life.runtime.trouble)
            await asyncio.sleep(0)
        life.runtime.stop()
        await running
        return seen

    async def both() -> None:
        assert set(await troubles("not yet")) == {"starting", "not yet"}
        assert (await troubles(None))[-1] is None

    within_deadline(both())


def test_a_source_may_say_that_it_is_in_trouble() -> None:
    seen = []

    async def events(context: Context) -> Events:
        seen.append(life.runtime.trouble)
        context.trouble("upstream")
        seen.append(life.runtime.trouble)
        life.runtime.stop()
        yield Event(type="t")

    life = Life(events)
    assert life.runtime.trouble == "starting"
    within_deadline(life.runtime.run())
    assert seen == ["starting", "upstream"]
