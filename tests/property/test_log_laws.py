"""Properties of logs and metrics: their sums equal what happened, also if the adapter is stopped at any moment."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from collections.abc import Iterator
from functools import partial
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import PrivateAttr

from adapter.cloudevents.encode import Message, encode
from adapter.contract.delivery_policy import Policy
from adapter.contract.timeouts import TIMEOUTS
from adapter.delivery.attempt import Attempt, answered
from adapter.delivery.channel import Destination
from adapter.delivery.delivery import Delivery
from adapter.model.schedule import Schedule
from adapter.observe.metrics import Metrics
from adapter.runtime.deliveries import Drain
from adapter.runtime.runtime import Runtime
from adapter.sdk import Context, Event, Interval, Outcome, Timer
from adapter.serving.logs import THROTTLE_PERIOD, LogThrottle
from adapter.testing.clock import START, VirtualClock
from tests.logbook import Logbook

HANG = 0
TIMES = dataclasses.replace(TIMEOUTS, outcome_s=0.01, source_close_s=0.01)
LOST = ("event lost", "event lost: not delivered before shutdown", "invalid event rejected")
RETURNED = (
    "event not delivered; the source will send it again",
    "event not delivered before shutdown; the source will send it again",
)


class TickingSource(Timer):
    """Every ``_invalid``-th tick makes an event that cannot be sent. ``_made``: the numbers of all ticks."""

    _workers: int = PrivateAttr(1)
    _invalid: int = PrivateAttr(1000)
    _again: bool = PrivateAttr(False)
    _made: list[int] = PrivateAttr(default_factory=list)

    def workers(self) -> int:
        return self._workers

    def sends_again(self, outcome: Outcome, stopping: bool) -> bool:
        return self._again

    def tick(self, n: int) -> Event:
        self._made.append(n)
        return Event(type="t" if n % self._invalid else "")


class Run:
    """One life of an adapter. Each request to a sink takes the next of ``steps``: its seconds, and its status.

    The adapter is stopped by the request that takes the last one.
    """

    def __init__(self, steps: list[tuple[float, int]], *, retry: int, dead: bool, source: TickingSource) -> None:
        self.clock, self.book, self.metrics = VirtualClock(), Logbook(), Metrics("ns", "n", "K")
        self.source = source
        self.accepted: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._steps: Iterator[tuple[float, int]] = iter(steps)
        self._left = len(steps)
        self.stopped_at = START
        self.context = Context("/s", "uid", START, self.clock, self.book.log)
        sinks: list[Any] = [_Sink(name, self) for name in ("sink", "dead")]
        policy = Policy(retry=retry, backoff_delay_s=1.0)
        log, letters = self.book.log, sinks[1] if dead else None
        delivery = Delivery(sinks[0], policy, self.clock, Random(7), self.metrics, log, dead_letters=letters)
        encoder = partial(encode, source="/s", namespace="ns", overrides={})
        drain = Drain(0.01, 0.01)
        self.runtime = Runtime(source, self.context, encoder, delivery, self.metrics, drain, TIMES)
        asyncio.run(asyncio.wait_for(self.runtime.run(), 10))

    async def post(self, sink: str) -> Attempt:
        seconds, status = next(self._steps, (0.0, 202))
        self._left -= 1
        self.clock.advance(seconds)
        if self._left == 0:
            self.stopped_at = self.clock.now()
            self.runtime.stop()
        if status == HANG:
            if self._left > 0:
                status = 503
            else:
                await asyncio.Event().wait()
        (self.accepted if status == 202 else self.refused)[sink] += 1
        return answered(status)

    def count(self, outcome: str) -> int:
        start = f'source_events_total{{kind="K",name="n",namespace="ns",outcome="{outcome}"}} '
        lines = self.metrics.render().decode().splitlines()
        return next(int(float(line.removeprefix(start))) for line in lines if line.startswith(start))

    def logged(self, *messages: str) -> int:
        return sum(line["count"] for line in self.book.lines if line["msg"] in messages)


class _Sink:
    def __init__(self, name: str, run: Run) -> None:
        self.destination = Destination(f"http://{name}/")
        self.secrets = self.destination.secrets
        self._name, self._run = name, run

    async def post(self, message: Message, on_answer: object = None) -> Attempt:
        return await self._run.post(self._name)


steps = st.lists(
    st.tuples(st.sampled_from([0.0, 0.05, 0.5, 3.0, 40.0, 100.0]), st.sampled_from([202, 202, 400, 503, HANG])),
    min_size=1,
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(
    steps=steps,
    retry=st.integers(0, 2),
    dead=st.booleans(),
    workers=st.integers(1, 3),
    invalid=st.sampled_from([1000, 7, 5]),  # so that no worker makes only invalid events, which take no virtual time
    again=st.booleans(),
    interval=st.sampled_from(["10ms", "1s", "20s"]),
)
def test_sums_of_log_and_metrics_equal_what_happened(
    steps: list[tuple[float, int]], retry: int, dead: bool, workers: int, invalid: int, again: bool, interval: str
) -> None:
    source = TickingSource(interval=Interval(interval))
    source._workers, source._invalid, source._again = workers, invalid, again
    run = Run(steps, retry=retry, dead=dead, source=source)
    outcomes = {name: run.count(name) for name in ("delivered", "dead_lettered", "lost", "returned", "skipped")}
    context = f"{outcomes}\n{run.book.text}"
    assert outcomes["delivered"] == run.accepted["sink"], context
    assert outcomes["dead_lettered"] == run.accepted["dead"], context
    assert run.logged("event sent to the dead letter sink") == outcomes["dead_lettered"], context
    lost_or_returned = outcomes["lost"] + outcomes["returned"]
    if again:  # an invalid event that is made again is counted as returned, but its line says what is wrong
        assert run.logged(*LOST, *RETURNED) == lost_or_returned, context
    else:
        assert (run.logged(*LOST), run.logged(*RETURNED)) == (outcomes["lost"], outcomes["returned"]), context
    assert run.logged("overdue ticks skipped") == outcomes["skipped"], context
    handled = sum(outcomes.values()) - outcomes["skipped"]
    assert 0 <= len(source._made) - handled <= workers, context  # an event that was pulled after the stop
    first, schedule = min(source._made), Schedule.of("uid", START, source.interval.ns)
    due_at_stop, due = (schedule.latest_at(now) - first + 1 for now in (run.stopped_at, run.clock.now()))
    # Per worker: an event that was pulled after the stop, and the last tick, which the next process sends.
    assert due_at_stop - 2 * workers <= handled + outcomes["skipped"] <= due, context


class Calls:
    """A throttle under a virtual clock, and what was called."""

    def __init__(self) -> None:
        self.book, self.clock = Logbook(), VirtualClock()
        self.throttle = LogThrottle(self.book.log, self.clock.now)
        self.events: dict[str, list[str]] = {"a": [], "b": []}

    def call(self, cause: str, seconds: float, then: str, burst: int) -> None:
        self.events[cause].append(f"{cause}{len(self.events[cause])}")
        self.throttle.error(cause, burst=burst, event_id=self.events[cause][-1])
        self.clock.advance(seconds)
        if then == "recovered":
            self.throttle.recovered("recovered")
        elif then:
            self.throttle.ended(cause)


calls = st.tuples(
    st.sampled_from("ab"), st.sampled_from([0.0, 1.0, 30.0, 70.0]), st.sampled_from(["", "", "", "recovered", "ended"])
)


@given(st.lists(calls, max_size=80), st.integers(1, 3))
def test_throttled_lines_name_the_first_and_last_event_of_each_gap_and_count_all(
    made: list[tuple[str, float, str]], burst: int
) -> None:
    run = Calls()
    with run.throttle:
        for cause, seconds, then in made:
            run.call(cause, seconds, then, burst)
    for cause, ids in run.events.items():
        told: list[str] = []
        for line in (line for line in run.book.lines if line["msg"] == cause):
            first, last = (ids.index(line.get(name, line["event_id"])) for name in ("first_event_id", "event_id"))
            assert line["count"] == last - first + 1
            told += ids[first : last + 1]
        assert told == ids


def test_cause_that_lasts_writes_a_burst_and_one_line_per_minute() -> None:
    run = Calls()
    for _ in range(600 * 60):  # an event each 100 ms for an hour
        run.call("a", 0.1, "", burst=10)
    assert len(run.book.lines) == 10 + 59
    assert THROTTLE_PERIOD.total_seconds() == 60
