"""Ticks that could not be sent in time: which ones a source sends, in which order and how fast."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count, dropwhile, pairwise, takewhile

import pytest

from adapter.contract.durations import Interval
from adapter.model.schedule import Schedule
from adapter.sdk import Outcome
from adapter.sources.sample_source import SampleSource
from adapter.testing.clock import START, VirtualClock
from tests.ticking import UID, Life

HOURS_48 = 48 * 3600.0
WINDOWS = {"10m": 600, "1h": 3600, "168h": 168 * 3600}


def life(interval: str, missed: str = "all", window: str = "1h", *, workers: int = 1, keeps: bool = True) -> Life:
    return Life(lambda: timer(interval, missed, window), workers=workers, keeps=keeps)


def timer(interval: str, missed: str = "skip", window: str = "1h") -> SampleSource:
    return SampleSource.model_validate({"interval": interval, "missed": missed, "missedWindow": window})


def due(interval: str, start: datetime, end: datetime) -> list[datetime]:
    """All ticks after ``start``, until ``end``."""
    schedule = Schedule.of(UID, START, Interval(interval).ns)
    ticks = map(schedule.due, count())
    return list(dropwhile(lambda tick: tick <= start, takewhile(lambda tick: tick <= end, ticks)))


def expected(missed: str, window: str, ticks: list[datetime], now: datetime) -> list[datetime]:
    """The ticks of an outage that are sent at its end, as docs/sources/sample.md says."""
    if missed == "all":
        return [tick for tick in ticks if now - tick <= timedelta(seconds=WINDOWS[window])][-1000:]
    limit = timedelta(minutes=1) if missed == "skip" else timedelta(seconds=WINDOWS[window])
    return [tick for tick in ticks[-1:] if now - tick <= limit]


@pytest.mark.parametrize("interval", ["10s", "1m", "1h"])
@pytest.mark.parametrize("window", ["10m", "1h", "168h"])
@pytest.mark.parametrize("missed", ["skip", "latest", "all"])
def test_outage_of_48_hours_without_an_adapter(missed: str, window: str, interval: str) -> None:
    source = life(interval, missed, window)
    source.process(2 * 3600)
    begin = source.sent[-1].time
    source.pause(HOURS_48)
    ticks, back = due(interval, begin, source.now), source.now
    late = [sent for sent in source.process(2 * 3600) if sent.time <= back]
    want = expected(missed, window, ticks, back)
    assert [sent.time for sent in late] == want
    assert [sent.event.data["sequence"] for sent in late] == [
        n for n, tick in enumerate(due(interval, START, back)) if tick in want
    ]
    assert source.count_skipped == len(ticks) - len(want)
    assert len({sent.event.id for sent in source.sent}) == len(source.sent)
    lines = source.book.logged("overdue ticks skipped")
    assert sum(line["count"] for line in lines) == source.count_skipped
    if source.count_skipped:
        assert [line["from"] for line in lines] == [ticks[0].isoformat(timespec="milliseconds")[:-6] + "Z"]


@pytest.mark.parametrize("missed", ["latest", "all"])
def test_outage_of_48_hours_of_the_sink(missed: str) -> None:
    """A tick that the sink did not accept is missed, too. Each attempt takes 150 s."""
    source = life("1m", missed)
    begin, end = START + timedelta(hours=2), START + timedelta(hours=50)

    def sink(clock: VirtualClock) -> Outcome:
        if not begin <= clock.now() < end:
            return Outcome.DELIVERED
        clock.advance(150)
        return Outcome.GAVE_UP

    source.process(52 * 3600, sink)
    delivered = [sent for sent in source.sent if not begin <= sent.at < end]
    back = next(sent.at for sent in delivered if sent.at >= end)
    ticks = due("1m", begin, back)
    assert back - end < timedelta(seconds=160)
    caught_up = [sent.time for sent in delivered if sent.time in ticks]
    assert caught_up == expected(missed, "1h", ticks, back)
    assert source.count_skipped == len(ticks) - len(caught_up)


def test_tick_that_the_sink_did_not_accept_is_lost_with_skip() -> None:
    outcomes = iter([Outcome.DELIVERED, Outcome.GAVE_UP, Outcome.DELIVERED])
    source = life("10s", "skip")
    source.process(35, lambda clock: next(outcomes))
    assert [sent.event.data["sequence"] for sent in source.sent] == [0, 1, 2]
    assert source.skipped == []


def test_tick_that_the_sink_did_not_accept_is_sent_again_before_later_ticks() -> None:
    outcomes = iter([Outcome.DELIVERED, Outcome.GAVE_UP, Outcome.GAVE_UP, *[Outcome.DELIVERED] * 3])
    source = life("10s")
    source.process(35, lambda clock: next(outcomes))
    assert [sent.event.data["sequence"] for sent in source.sent] == [0, 1, 1, 1, 2]
    again = [sent.at for sent in source.sent[1:4]]
    assert [later - earlier for earlier, later in pairwise(again)] == [timedelta(seconds=1)] * 2


def test_tick_that_the_sink_does_not_accept_is_skipped_after_the_window() -> None:
    source = life("1h", window="10m")

    def sink(clock: VirtualClock) -> Outcome:
        clock.advance(150)
        return Outcome.GAVE_UP

    source.process(3600, sink)
    tried = [sent for sent in source.sent if sent.event.data["sequence"] == 0]
    assert [sent.at - tried[0].at for sent in tried] == [timedelta(seconds=151 * n) for n in range(4)]
    assert source.count_skipped == 1


@pytest.mark.parametrize(("interval", "per_second"), [("10s", 10), ("1s", 10), ("100ms", 20), ("50ms", 40)])
def test_missed_ticks_are_sent_at_a_bounded_rate_that_catches_up(interval: str, per_second: int) -> None:
    source = life(interval)
    source.process(Interval(interval).total_seconds() * 3)
    source.pause(3000)
    late = [sent for sent in source.process(120) if sent.at - sent.time > timedelta(seconds=1)]
    waits = [after.at - before.at for before, after in pairwise(late)]
    assert len(waits) > 290
    assert min(waits) >= timedelta(seconds=1 / per_second)
    assert late[-1].at < source.now - timedelta(seconds=5)


def test_rate_of_missed_ticks_includes_the_time_of_the_delivery() -> None:
    source = life("100ms")
    source.process(1)
    source.pause(60)

    def slow(clock: VirtualClock) -> Outcome:
        clock.advance(0.06)
        return Outcome.DELIVERED

    sent = source.process(300, slow)
    assert sent[-1].at - sent[-1].time < timedelta(seconds=1)
    assert source.skipped == []


@pytest.mark.parametrize(
    "jump",
    [
        pytest.param(timedelta(hours=48, seconds=30), id="48-hours"),
        pytest.param(timedelta(minutes=5, seconds=30), id="5-minutes"),
    ],
)
@pytest.mark.parametrize("missed", ["skip", "latest", "all"])
def test_clock_that_is_set_forward_makes_missed_ticks(missed: str, jump: timedelta) -> None:
    source = life("1m", missed)
    pulled = iter(range(1000))

    def sink(clock: VirtualClock) -> Outcome:
        clock.advance(jump.total_seconds() if next(pulled) == 3 else 0)
        return Outcome.DELIVERED

    source.process(jump.total_seconds() + 3600, sink)
    fourth = source.sent[3]
    back = fourth.at + jump
    ticks = due("1m", fourth.time, back)
    late = [sent.time for sent in source.sent[4:] if sent.time in ticks]
    assert late == expected(missed, "1h", ticks, back)
    assert source.count_skipped == len(ticks) - len(late)


def test_clock_that_is_set_back_repeats_no_tick() -> None:
    source = life("10s")
    pulled = iter(range(1000))

    def sink(clock: VirtualClock) -> Outcome:
        clock.advance(-300 if next(pulled) == 3 else 0)
        return Outcome.DELIVERED

    source.process(100, sink)
    assert [sent.event.data["sequence"] for sent in source.sent] == list(range(len(source.sent)))


def test_position_after_the_clock_was_set_back_is_kept_within_the_window() -> None:
    source = life("10s")
    source.process(3600)
    count = len(source.sent)
    source.pause(-1800)
    assert source.process(1700) == []
    assert [sent.event.data["sequence"] for sent in source.process(200)][:2] == [count, count + 1]
    lines = source.book.logged("the clock was set back")
    assert [line["level"] for line in lines] == ["warn", "warn"]
    assert lines[0]["by_s"] > 1790
    assert lines[0]["next_tick_in_s"] > 1800


def test_position_far_in_the_future_is_ignored() -> None:
    """Otherwise a clock that was once wrong by years would stop the source for years."""
    source = life("10s")
    source.now += timedelta(days=3650)
    source.process(60)
    source.pause(-3650 * 86400.0)
    assert [sent.event.data["sequence"] for sent in source.process(60)][:2] == [5, 6]


def test_first_start_of_a_source_created_long_ago_misses_nothing() -> None:
    source = life("1h")
    source.pause(HOURS_48)
    assert source.process(3 * 3600)[0].event.data["sequence"] == 48
    assert source.skipped == []


def test_ticks_since_the_first_start_are_missed_if_none_was_acknowledged() -> None:
    source = life("1m")
    source.process(30, lambda clock: Outcome.GAVE_UP)
    source.pause(600)
    assert [sent.event.data["sequence"] for sent in source.process(5)] == list(range(10))


@pytest.mark.parametrize("outcome", [Outcome.DELIVERED, Outcome.DEAD_LETTERED, Outcome.REJECTED])
def test_acknowledged_tick_is_not_sent_again_after_a_restart(outcome: Outcome) -> None:
    source = life("10s", "skip")
    source.process(20, lambda clock: outcome)
    sent = [sent.event.data["sequence"] for sent in source.sent]
    assert [sent.event.data["sequence"] for sent in source.process(20)] == [sent[-1] + 1, sent[-1] + 2]


def test_tick_that_was_not_acknowledged_is_sent_again_after_a_restart() -> None:
    source = life("10s", "skip")
    source.process(12, lambda clock: Outcome.GAVE_UP)
    assert [sent.event.data["sequence"] for sent in source.process(10)] == [0, 1]


def test_skipped_ticks_are_counted_once_although_no_tick_was_sent_before_the_next_restart() -> None:
    source = life("1h", "skip")
    source.process(3600)
    source.pause(HOURS_48 - 600)
    source.process(10)
    counted = source.count_skipped
    source.process(10)
    assert counted == source.count_skipped == 48


def test_ticks_that_are_due_when_the_adapter_stops_are_left_to_the_next_process() -> None:
    source = life("1h", window="168h")

    def sink(clock: VirtualClock) -> Outcome:
        clock.advance(7300)
        return Outcome.DELIVERED

    source.process(3600, sink)
    assert source.skipped == []
    assert [sent.event.data["sequence"] for sent in source.process(60)] == [1, 2]


def test_without_a_store_the_last_recent_tick_is_sent_again_after_a_restart() -> None:
    source = life("10s", "skip", keeps=False)
    source.process(20)
    assert [sent.event.data["sequence"] for sent in source.process(10)] == [1, 2]
    source.pause(3600)
    assert source.skipped == []


def test_edit_of_the_interval_keeps_the_position_and_invents_no_missed_ticks() -> None:
    source = life("10s")
    source.process(35)
    source.pause(300)
    edited, source.make = source.now, lambda: timer("7s", "all")
    sent = source.process(20)
    assert [each.time for each in sent] == due("7s", edited, source.now)
    assert source.skipped == []


def test_record_of_an_old_process_does_not_replace_that_of_a_new_interval() -> None:
    """The old process has the shorter interval, and goes on while the new one starts."""
    source = life("10s")
    source.process(35)
    start = source.version, source.stored, source.now
    source.process(600)
    old = source.version
    source.version, source.stored, source.now = start
    source.make = lambda: timer("1h", "all")
    source.process(1)
    assert source.version > old
    edited = source.version
    source.process(1)
    assert source.version == edited
    source.pause(2 * 3600)
    assert len(source.process(1)) >= 1


def test_ticks_while_the_source_is_suspended_are_missed_ticks() -> None:
    source = life("1h", "latest")
    source.process(3600 * 2.5)
    source.pause(3600 * 5)
    sent = source.process(3600)
    assert [each.event.data["sequence"] for each in sent] == [7, 8]
    assert source.count_skipped == 4


def test_each_field_of_a_timer_keeps_the_checkpoint() -> None:
    class Greeting(SampleSource):
        greeting: str = ""

    assert Greeting.fields_that_keep_checkpoint() == {"missed", "missed_window", "interval", "greeting"}


def test_each_worker_continues_at_its_own_position() -> None:
    source = life("10s", workers=3)
    source.process(45)
    by_worker = [[sent.event.data["sequence"] for sent in source.sent if sent.worker == n] for n in range(3)]
    assert by_worker == [[0, 3], [1], [2]]
    source.pause(60)
    source.process(10)
    assert sorted(sent.event.data["sequence"] for sent in source.sent) == list(range(11))


def test_at_most_1000_missed_ticks_are_sent_by_all_workers_together() -> None:
    source = life("10s", window="168h", workers=3)
    source.process(45)
    sent = len(source.sent)
    source.pause(HOURS_48)
    back = source.now
    late = [each for each in source.process(1000) if each.time <= back]
    assert len(late) == 1000
    assert source.count_skipped == len(due("10s", START, back)) - 1000 - sent


def test_another_number_of_workers_continues_at_the_smallest_position() -> None:
    source = life("10s", workers=3)
    source.process(35)
    source.workers = 2
    assert sorted(sent.event.data["sequence"] for sent in source.process(10)) == [1, 2, 3]
