"""Properties of the schedule and of timers, for any creation time, interval, and clock that is set."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import httpx2
from hypothesis import given
from hypothesis import strategies as st

from adapter.contract.durations import Interval
from adapter.model.schedule import Schedule
from adapter.sdk import Context, Event, Outcome, Poller
from adapter.sources.sample_source import SampleSource
from adapter.testing.clock import START, VirtualClock
from tests.logbook import Logbook

moments = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 -- bounds
intervals = st.integers(1_000_000, 400 * 24 * 3600 * 10**9)
schedules = st.builds(Schedule.of, st.text(max_size=8), moments, intervals)


@given(schedules, moments)
def test_next_tick_is_the_first_that_is_not_in_the_past(schedule: Schedule, now: datetime) -> None:
    n = schedule.next_at(now)
    assert schedule.due_ns(n) >= (now - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    assert n == 0 or schedule.due(n - 1) < now


@given(schedules, st.integers(0, 10**6))
def test_next_and_latest_tick_at_the_time_of_a_tick_are_that_tick(schedule: Schedule, n: int) -> None:
    if schedule.due_ns(n) < 2**62:
        assert schedule.next_at(schedule.due(n)) == n
        assert schedule.latest_at(schedule.due(n) + timedelta(microseconds=1)) == n


@given(st.text(max_size=8), moments, intervals)
def test_first_tick_is_less_than_an_interval_after_creation(uid: str, created: datetime, interval_ns: int) -> None:
    schedule = Schedule.of(uid, created, interval_ns)
    created_ns = (created - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    assert 0 <= schedule.first_ns - created_ns < interval_ns


@given(schedules, st.integers(0, 10**6))
def test_consecutive_ticks_have_different_event_ids(schedule: Schedule, n: int) -> None:
    assert schedule.due_ns(n) // 1_000_000 < schedule.due_ns(n + 1) // 1_000_000


UID = "6f2c"
MINUTE = timedelta(minutes=1)
jumps = st.lists(
    st.tuples(*[st.floats(-7200, 100_000) | st.sampled_from([0.0, 0.5, 1.0, 59.9, 60.1, -3600.0])] * 2), max_size=8
)
quick_or_slow = st.sampled_from(["1ms", "100ms", "1s", "10s", "59s", "1m", "61s", "1h", "25h"])


class SetClock(VirtualClock):
    """Is set by the next of ``jumps`` during each sleep, and by the second number when it is called."""

    def __init__(self, jumps: list[tuple[float, float]]) -> None:
        super().__init__()
        self._during_sleeps = [sleeping for sleeping, _ in jumps]
        self._during_deliveries = [delivering for _, delivering in jumps]

    async def sleep_until(self, deadline: datetime) -> None:
        if self._during_sleeps:
            self.advance(self._during_sleeps.pop(0))
        await super().sleep_until(deadline)

    def deliver(self) -> None:
        if self._during_deliveries:
            self.advance(self._during_deliveries.pop(0))


@given(jumps, quick_or_slow, st.integers(1, 3), st.data())
def test_each_tick_is_sent_once_or_skipped_however_the_clock_is_set(
    jumps: list[tuple[float, float]], interval: str, workers: int, data: st.DataObject
) -> None:
    clock, book, missed = SetClock(jumps), Logbook(), list[int]()
    timer, worker = SampleSource(interval=Interval(interval)), data.draw(st.integers(0, workers - 1))
    context = Context(
        UID, UID, START, clock, book.log, count_missed=missed.append, worker=worker, workers=workers
    )  # fmt: skip
    schedule = Schedule.of(UID, START, timer.interval.ns)
    sent: list[Event] = []

    async def run() -> None:
        events = timer.events(context)
        event = await anext(events)
        for _ in range(len(jumps) + 2):
            sent.append(event)
            assert event.time is not None
            assert timedelta(0) <= clock.now() - event.time <= MINUTE
            clock.deliver()
            event = await events.asend(Outcome.DELIVERED)
        sent.append(event)
        await events.aclose()

    asyncio.run(run())
    numbers = [event.data["sequence"] for event in sent]
    assert numbers == sorted(set(numbers))
    for n, event in zip(numbers, sent, strict=True):
        assert (event.id, event.time) == (f"{UID}-{schedule.due_ns(n) // 1_000_000}", schedule.due(n))
    ended = worker + (len(sent) + sum(missed)) * workers  # every tick before it was sent or skipped
    assert numbers[-1] == ended - workers or schedule.due(ended - workers) <= clock.now()
    assert numbers[-1] < ended
    assert schedule.due(ended) > clock.now() - MINUTE
    assert sum(line["count"] for line in book.logged("overdue ticks skipped")) == sum(missed)


ids = itertools.count()


class Polled(Poller):
    """Each poll finds a new item."""

    def poll(self, client: httpx2.AsyncClient) -> Iterable[Event]:
        return [Event(type="t", id=str(next(ids)))]


@given(jumps, quick_or_slow)
def test_a_due_poll_is_made_once_and_at_once_however_the_clock_is_set(
    jumps: list[tuple[float, float]], interval: str
) -> None:
    clock, source = SetClock(jumps), Polled(interval=Interval(interval))
    schedule = Schedule.of(UID, START, source.interval.ns)
    context = Context(UID, UID, START, clock, Logbook().log)

    async def run() -> None:
        events = source.events(context, transport=httpx2.MockTransport(lambda request: httpx2.Response(200)))
        await anext(events)
        for number in range(1, len(jumps) + 3):
            clock.deliver()
            before = clock.now()
            await events.asend(Outcome.DELIVERED)
            assert len(clock.sleeps) == number
            assert before < clock.sleeps[-1] <= before + timedelta(microseconds=source.interval.ns // 1000 + 2)
            assert schedule.due(schedule.latest_at(clock.sleeps[-1] + timedelta(microseconds=1))) == clock.sleeps[-1]
        await events.aclose()

    asyncio.run(run())
