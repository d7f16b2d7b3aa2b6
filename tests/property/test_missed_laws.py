"""Properties of missed ticks: however the adapter, the sink and the clock fail, each tick is sent or skipped for a
documented reason, in order.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from adapter.contract.durations import Interval
from adapter.model.schedule import Schedule
from adapter.sdk import Outcome, Source
from adapter.sources.cron_source import CronSource
from adapter.sources.sample_source import SampleSource
from adapter.testing.clock import START, VirtualClock
from tests.ticking import UID, Life

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
DAY_S = 86400.0
WINDOWS = {"1ms": 0.001, "30s": 30.0, "10m": 600.0, "1h": 3600.0, "168h": 7 * DAY_S}
seconds = st.floats(0, 600) | st.floats(0, DAY_S) | st.sampled_from([0.0, 1.0, 60.0, 3600.0, 2 * DAY_S])
jumps = st.lists(st.tuples(st.sampled_from(Outcome), st.floats(-3000, 3000) | st.sampled_from([0.0, 0.5, 61.0])))
lives = st.lists(st.tuples(seconds, st.floats(0, 2000), jumps), min_size=1, max_size=4)


CRON: dict[str, Callable[[datetime], bool]] = {  # in Kathmandu, 5:45 ahead of UTC: whether it is due
    "*/10 * * * *": lambda wall: wall.minute % 10 == 0,
    "30 * * * *": lambda wall: wall.minute == 30,
    "15 6,18 * * *": lambda wall: wall.minute == 15 and wall.hour in (6, 18),
}


@cache
def all_ticks(times: str) -> list[datetime]:
    """Of ten days. ``times``: an interval or a cron expression."""
    if is_due := CRON.get(times):
        minutes = [START + n * MINUTE for n in range(int(10 * DAY_S / 60))]
        return [at for at in minutes if is_due(at + timedelta(hours=5, minutes=45))]
    schedule = Schedule.of(UID, START, Interval(times).ns)
    return [schedule.due(n) for n in range(int(10 * DAY_S / schedule.interval_ns * 10**9))]


def source_with(times: str, fields: dict[str, str]) -> Source:
    if times in CRON:
        return CronSource.model_validate({"schedule": times, "timeZone": "Asia/Kathmandu", **fields})
    return SampleSource.model_validate({"interval": times, **fields})


class Model:
    """All ticks of a worker, and how many of them were handled."""

    def __init__(self, missed: str, window: timedelta, times: str, worker: int, workers: int) -> None:
        self.ticks = all_ticks(times)[worker::workers]
        self.missed, self.window = missed, window
        self.next = self.answered = 0

    def is_sent(self, tick: int, now: datetime) -> bool:
        """Whether the documentation says that a late tick is sent."""
        late, due = now - self.ticks[tick], bisect_right(self.ticks, now)
        if self.missed == "all":
            return late <= self.window and tick >= due - 1000
        return tick == due - 1 and late <= (MINUTE if self.missed == "skip" else self.window)

    def skip(self, count: int, now: datetime) -> None:
        for tick in range(self.next, self.next + count):
            assert self.ticks[tick] <= now
            assert not self.is_sent(tick, now)
        self.next = self.answered = self.next + count

    def send(self, time: datetime, now: datetime) -> None:
        assert time == self.ticks[self.next]
        assert timedelta(0) <= now - time
        assert now - time <= SECOND or self.is_sent(self.next, now)
        self.next += 1

    def answer(self, outcome: Outcome) -> None:
        if outcome is not Outcome.GAVE_UP:
            self.answered = self.next
        elif self.missed != "skip":
            self.next -= 1

    def restart(self, now: datetime) -> None:
        """A new process begins where the last answer was, unless that is far in the future."""
        self.next = self.answered
        if self.next and self.ticks[self.next - 1] > now + self.window:
            due = bisect_right(self.ticks, now)
            self.next = due - 1 if due and now - self.ticks[due - 1] <= MINUTE else due
            self.answered = self.next


@given(
    lives,
    st.sampled_from(["10s", "59s", "1m", "61s", "1h", "25h", *CRON]),
    st.sampled_from(["skip", "latest", "all"]),
    st.sampled_from(sorted(WINDOWS)),
    st.integers(1, 3),
    st.data(),
)
def test_each_tick_is_sent_in_order_or_skipped_for_a_documented_reason(
    processes: list[tuple[float, float, list[tuple[Outcome, float]]]],
    times: str,
    missed: str,
    window: str,
    workers: int,
    data: st.DataObject,
) -> None:
    fields, workers = {"missed": missed, "missedWindow": window}, 1 if times in CRON else workers
    source, worker = Life(lambda: source_with(times, fields)), data.draw(st.integers(0, workers - 1))
    source.only, source.workers = worker, workers
    model = Model(missed, timedelta(seconds=WINDOWS[window]), times, worker, workers)
    source.on_skipped, source.on_sent = model.skip, model.send
    source.process(0)
    for pause_s, run_s, answers in processes:
        source.pause(pause_s)
        model.restart(source.now)
        source.process(run_s, Script(model, answers))
    assert source.count_skipped == sum(line["count"] for line in source.book.logged("overdue ticks skipped"))


class Script:
    """The answers of a sink: each takes some time, or comes after the clock was set. Then it accepts all ticks."""

    def __init__(self, model: Model, answers: list[tuple[Outcome, float]]) -> None:
        self._model = model
        self._answers: Iterator[tuple[Outcome, float]] = iter(answers)

    def __call__(self, clock: VirtualClock) -> Outcome:
        outcome, jump_s = next(self._answers, (Outcome.DELIVERED, 0.0))
        clock.advance(jump_s)
        self._model.answer(outcome)
        return outcome
