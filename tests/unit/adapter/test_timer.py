"""Ticks under a virtual clock: their times, numbers and ids, and the skipping of late ticks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from adapter.contract.durations import Interval
from adapter.model.schedule import Schedule
from adapter.sdk import Context, Event, Outcome, Timer
from adapter.sources.sample_source import SampleSource
from adapter.testing.clock import START, VirtualClock
from tests.logbook import Logbook

UID = "6f2c"
PHASE = timedelta(microseconds=8_402_570)  # sha256("6f2c") modulo 10 s; a changed phase would change every id in use
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Run:
    """Pulls events of one timer; ``between(i)`` runs while event i is delivered."""

    def __init__(self, timer: Timer, clock: VirtualClock | None = None, created: datetime = START) -> None:
        self.clock = clock or VirtualClock()
        self.book = Logbook()
        self.missed: list[int] = []
        self.timer = timer
        self.context = Context(UID, UID, created, self.clock, self.book.log, count_missed=self.missed.append)

    def pull(self, count: int, between: Callable[[int], None] = lambda i: None) -> list[Event]:
        async def pull() -> list[Event]:
            events = self.timer.events(self.context)
            pulled = [await anext(events)]
            while len(pulled) < count:
                between(len(pulled) - 1)
                pulled.append(await events.asend(Outcome.DELIVERED))
            await events.aclose()
            return pulled

        return asyncio.run(pull())

    def due(self, n: int) -> datetime:
        return Schedule.of(UID, self.context.created, self.timer.interval.ns).due(n)


def sequences(events: list[Event]) -> list[int]:
    return [event.data["sequence"] for event in events]


def test_phase_of_a_uid_never_changes() -> None:
    assert Schedule.of(UID, START, 10_000_000_000).due(0) == START + PHASE


def test_phases_of_uids_spread_over_the_interval() -> None:
    tenths = [int((Schedule.of(f"uid-{i}", START, 10**10).due(0) - START).total_seconds()) for i in range(1000)]
    assert min(tenths.count(second) for second in range(10)) > 60


def test_event_id_is_the_uid_and_the_scheduled_unix_milliseconds() -> None:
    event = Run(SampleSource()).pull(1)[0]
    assert event.time == START + PHASE
    assert event.id == f"{UID}-{(START + PHASE - EPOCH) // timedelta(milliseconds=1)}"


def test_ticks_are_numbered_from_creation() -> None:
    events = Run(SampleSource()).pull(3)
    assert [event.data for event in events] == [{"sequence": n, "heartbeat": "10s"} for n in range(3)]
    assert list(events[0].data) == ["sequence", "heartbeat"]


def test_restart_continues_with_the_same_numbers_and_ids() -> None:
    before = Run(SampleSource()).pull(6)
    restarted = Run(SampleSource(), VirtualClock(START + timedelta(seconds=25))).pull(4)
    assert [(event.id, event.data) for event in restarted] == [(event.id, event.data) for event in before[1:5]]


def test_restart_repeats_the_last_tick_because_it_may_not_have_been_delivered() -> None:
    run = Run(SampleSource(), VirtualClock(START + PHASE + timedelta(seconds=10, microseconds=1)))
    assert sequences(run.pull(2)) == [1, 2]
    assert [line["first_sequence"] for line in run.book.logged("timer started")] == [1]


def test_restart_does_not_repeat_a_tick_older_than_a_minute() -> None:
    hourly = SampleSource(interval=Interval("1h"))
    due = Schedule.of(UID, START, hourly.interval.ns).due(5)
    assert sequences(Run(hourly, VirtualClock(due + timedelta(seconds=60))).pull(1)) == [5]
    assert sequences(Run(hourly, VirtualClock(due + timedelta(seconds=61))).pull(1)) == [6]


def test_source_created_in_the_future_waits_for_its_first_tick() -> None:
    run = Run(SampleSource(), VirtualClock(START - timedelta(days=1)))
    assert sequences(run.pull(2)) == [0, 1]


def test_late_wake_ups_and_slow_sinks_do_not_accumulate() -> None:
    run = Run(SampleSource(), VirtualClock(late_s=0.4))
    events = run.pull(1000, between=lambda i: run.clock.advance(3))
    assert [event.time for event in events] == [START + PHASE + timedelta(seconds=10 * n) for n in range(1000)]
    assert run.missed == []


def test_interval_with_a_fraction_of_a_microsecond_does_not_drift() -> None:
    run = Run(SampleSource(interval=Interval("1ms1ns")))
    events = run.pull(2001)
    assert sequences(events) == list(range(2001))
    first, last = events[0].time, events[2000].time
    assert first
    assert last
    assert last - first == timedelta(microseconds=2_000_002)


def test_ticks_of_one_millisecond_have_unique_ids() -> None:
    events = Run(SampleSource(interval=Interval("1ms"))).pull(2000)
    assert len({event.id for event in events}) == 2000
    assert sequences(events) == list(range(2000))


def test_missed_ticks_are_skipped_counted_and_logged_once() -> None:
    run = Run(SampleSource())
    events = run.pull(4, between=lambda i: run.clock.advance(45 if i == 1 else 0))
    assert sequences(events) == [0, 1, 5, 6]
    assert run.missed == [3]
    (line,) = run.book.logged("overdue ticks skipped")
    assert (line["count"], line["next_sequence"], line["level"]) == (3, 5, "warn")
    assert (line["from"], line["to"]) == ("2026-01-01T00:00:28.402Z", "2026-01-01T00:00:48.402Z")


def test_skipped_ticks_that_were_held_are_logged_when_the_timer_stops() -> None:
    run = Run(SampleSource())
    run.pull(4, between=lambda i: run.clock.advance(45 if i in (1, 2) else 0))
    lines = run.book.logged("overdue ticks skipped")
    assert [line["count"] for line in lines] == run.missed
    assert ["last_at" in line for line in lines] == [False, True]


class Asleep(VirtualClock):
    """The clock is ahead by ``by_s`` at the end of sleep ``n``: it was set forward, or the machine slept."""

    def __init__(self, n: int, by_s: float) -> None:
        super().__init__()
        self.n, self.by_s = n, by_s

    async def sleep_until(self, deadline: datetime) -> None:
        await super().sleep_until(deadline)
        if len(self.sleeps) == self.n:
            self.advance(self.by_s)


@pytest.mark.parametrize(
    ("by_s", "sent", "skipped"),
    [
        pytest.param(59, [0, 1, 2, 3], 0, id="59-s"),
        pytest.param(61, [0, 2, 3, 4], 1, id="61-s"),
        pytest.param(5 * 3600 + 59, [0, 6, 7, 8], 5, id="5-h-59-s"),
        pytest.param(5 * 3600 + 61, [0, 7, 8, 9], 6, id="5-h-61-s"),
    ],
)
def test_latest_tick_is_sent_if_it_is_less_than_a_minute_late_and_the_others_are_skipped(
    by_s: float, sent: list[int], skipped: int
) -> None:
    run = Run(SampleSource(interval=Interval("1h")), Asleep(2, by_s))
    events = run.pull(4)
    assert sequences(events) == sent
    assert sum(run.missed) == skipped
    assert [event.time for event in events] == [run.due(n) for n in sent]
    lines = run.book.logged("overdue ticks skipped")
    assert len(lines) == (skipped > 0)
    for line in lines:
        assert (line["count"], line["next_sequence"]) == (skipped, sent[1])
        texts = [run.due(n).isoformat(timespec="milliseconds")[:-6] + "Z" for n in (1, sent[1] - 1)]
        assert [line["from"], line["to"]] == texts


def test_tick_that_is_too_late_when_the_timer_stops_is_counted() -> None:
    """No process sends it: a new one sends the last tick only if it was due at most a minute ago."""
    for by_s, missed in ((7259, [1]), (7261, [2])):
        run = Run(SampleSource(interval=Interval("1h")))

        async def stopped(run: Run = run, by_s: float = by_s) -> None:
            events = run.timer.events(run.context)
            await anext(events)
            run.clock.advance(by_s)
            await events.aclose()

        asyncio.run(stopped())
        assert run.missed == missed


def test_held_lines_keep_the_time_of_the_first_skipped_tick() -> None:
    run = Run(SampleSource())
    run.pull(6, between=lambda i: run.clock.advance(45 if i in (1, 2, 3) else 0))
    first, second = run.book.logged("overdue ticks skipped")
    assert (first["from"], first["to"]) == ("2026-01-01T00:00:28.402Z", "2026-01-01T00:00:48.402Z")
    assert (second["count"], second["from"]) == (sum(run.missed) - 3, "2026-01-01T00:01:08.402Z")


def test_delay_of_up_to_a_second_skips_no_tick() -> None:
    run = Run(SampleSource(interval=Interval("100ms")))
    events = run.pull(60, between=lambda i: run.clock.advance(0.9 if i % 20 == 5 else 0))
    assert sequences(events) == list(range(60))
    assert run.missed == []


def test_counts_in_the_log_add_up_to_the_missed_ticks() -> None:
    run = Run(SampleSource(interval=Interval("100ms")))
    run.pull(2000, between=lambda i: run.clock.advance(0.35 if i < 1000 else 0))
    lines = run.book.logged("overdue ticks skipped")
    assert sum(line["count"] for line in lines) == sum(run.missed) > 2000
    assert len(lines) <= 8  # 400 s late, then 100 s in time: one line per minute


def test_tick_that_is_due_during_a_delivery_is_sent_immediately_after_it() -> None:
    run = Run(SampleSource())
    assert sequences(run.pull(3, between=lambda i: run.clock.advance(11))) == [0, 1, 2]
    assert run.missed == []


def test_event_keeps_the_id_and_time_that_tick_set() -> None:
    own = Event(type="t", id="mine", time=START)

    class Own(Timer):
        def tick(self, n: int) -> Event:
            return own

    assert Run(Own()).pull(1) == [own]


def test_tick_may_be_async() -> None:
    class Slow(Timer):
        async def tick(self, n: int) -> Event:
            await asyncio.sleep(0)
            return Event(type="t", data={"sequence": n})

    assert sequences(Run(Slow()).pull(2)) == [0, 1]


@pytest.mark.parametrize("made", [pytest.param(None, id="none"), pytest.param({"type": "t"}, id="dict")])
def test_tick_that_returns_no_event_is_an_error(made: object) -> None:
    class Wrong(Timer):
        def tick(self, n: int) -> Event | Awaitable[Event]:
            return made  # type: ignore[return-value]  # wrong on purpose

    with pytest.raises(TypeError, match=rf"tick\(\) of Wrong returned {type(made).__name__}; return an Event"):
        Run(Wrong()).pull(1)


def test_each_worker_sends_every_nth_tick_and_counts_its_skipped_ticks() -> None:
    runs = [Run(SampleSource()) for _ in range(3)]
    for worker, run in enumerate(runs):
        run.context = replace(run.context, worker=worker, workers=3)
    assert [sequences(run.pull(3)) for run in runs] == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]
    late = Run(SampleSource())
    late.context = replace(late.context, worker=1, workers=3)
    assert sequences(late.pull(3, between=lambda i: late.clock.advance(95 if i == 0 else 0))) == [1, 10, 13]
    assert late.missed == [2]


def test_clock_set_back_does_not_repeat_a_tick_and_is_logged_once() -> None:
    run = Run(SampleSource())
    events = run.pull(4, between=lambda i: run.clock.advance(-3600 if i == 1 else 0))
    assert sequences(events) == [0, 1, 2, 3]
    (line,) = run.book.logged("the clock was set back")
    assert (line["level"], round(line["by_s"]), line["next_tick_in_s"]) == ("warn", 3600, 3610)


def test_clock_set_back_during_the_wait_for_a_tick_is_logged_once() -> None:
    class SetBack(VirtualClock):
        async def sleep_until(self, deadline: datetime) -> None:
            if len(self.sleeps) == 2:
                self.advance(-3600)
                self.sleeps.append(deadline)
                await asyncio.Event().wait()
            await super().sleep_until(deadline)

    run = Run(SampleSource(interval=Interval("10ms")), SetBack())
    assert sequences(run.pull(4)) == [0, 1, 2, 3]
    (line,) = run.book.logged("the clock was set back")
    assert 3600 < line["by_s"] < 3603  # the clock change is noticed after one second of real time
    assert line["next_tick_in_s"] == 3600.01


def test_clock_set_back_by_half_a_second_is_not_logged() -> None:
    run = Run(SampleSource())
    assert sequences(run.pull(4, between=lambda i: run.clock.advance(-0.5))) == [0, 1, 2, 3]
    assert run.book.logged("the clock was set back") == []
