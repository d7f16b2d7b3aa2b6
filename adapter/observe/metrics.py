"""The metrics of an adapter. Every series has the labels ``namespace``, ``name`` and ``kind`` of the source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from adapter import __version__
from adapter.serving.health import Durations, counter, gauge, histogram, render

if TYPE_CHECKING:
    from prometheus_client.core import Metric

DELIVERED, DEAD_LETTERED, LOST = "delivered", "dead_lettered", "lost"
RETURNED = "returned"  # not delivered; the waiting caller got an error, or the source sends the event again
SKIPPED = "skipped"  # due but never created
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)


class Metrics:
    """Series start at zero instead of at their first event, so that a rate over them is always defined."""

    def __init__(self, namespace: str, name: str, kind: str) -> None:
        self.in_flight = 0
        self.last_success = 0.0  # Unix time
        self.failing_since = 0.0  # Unix time of the first failure after the last success; 0 if there is none
        self.checkpoint_age_s: Callable[[], float] | None = None  # None: the source has no store
        self.kind = kind
        self._labels = {"namespace": namespace, "name": name, "kind": kind}
        self._events = dict.fromkeys([DELIVERED, DEAD_LETTERED, LOST, RETURNED, SKIPPED], 0)
        self._attempts: dict[str, int] = {}
        self._durations = Durations(BUCKETS_S)
        self._polls: dict[str, int] = {}

    def count_events(self, outcome: str, count: int = 1) -> None:
        self._events[outcome] += count

    def count_attempt(self, code: str, seconds: float) -> None:
        self._attempts[code] = self._attempts.get(code, 0) + 1
        self._durations.add(seconds)

    def count_polls(self, outcome: str, count: int = 1) -> None:
        self._polls[outcome] = self._polls.get(outcome, 0) + count

    def add(self, other: Metrics) -> None:
        """Add the counts of another part of the same process."""
        for outcome, count in other._events.items():
            self.count_events(outcome, count)
        for mine, others in ((self._attempts, other._attempts), (self._polls, other._polls)):
            for label, count in others.items():
                mine[label] = mine.get(label, 0) + count
        self._durations.merge(other._durations)
        self.in_flight += other.in_flight
        self.last_success = max(self.last_success, other.last_success)
        self.failing_since = min(filter(None, (self.failing_since, other.failing_since)), default=0.0)

    def render(self) -> bytes:
        return render(self)

    def collect(self) -> Iterator[Metric]:
        names, values = tuple(self._labels), tuple(self._labels.values())

        def by(label: str, name: str, help: str, counts: dict[str, int]) -> Metric:
            return counter(name, help, [*names, label], (((*values, value), count) for value, count in counts.items()))

        yield by("outcome", "source_events", "Events by outcome", self._events)
        yield by("code", "source_delivery_attempts", "Attempts by status code or error", self._attempts)
        took = "Time of one attempt"
        yield histogram("source_delivery_duration_seconds", took, names, [(values, self._durations)])
        yield gauge("source_in_flight", "Events being delivered", names, values, self.in_flight)
        last = "When the sink last accepted an event"
        yield gauge("source_last_success_timestamp_seconds", last, names, values, self.last_success)
        since = "When the first failure after the last accepted event was, 0 if there is none"
        yield gauge("source_failing_since_timestamp_seconds", since, names, values, self.failing_since)
        if self.checkpoint_age_s:
            age = "Seconds since the first change of the checkpoint that is not saved, 0 if all are saved"
            yield gauge("source_checkpoint_age_seconds", age, names, values, self.checkpoint_age_s())
        yield gauge("source_build_info", "Always 1", [*names, "version"], (*values, __version__), 1)
        if self._polls:  # only kinds that poll have this series
            yield by("outcome", "source_polls", "Polls by outcome", self._polls)
