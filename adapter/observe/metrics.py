"""The metrics of an adapter. Every series has the labels ``namespace``, ``name`` and ``kind`` of the source.

Counts are plain numbers. prometheus_client renders them and is imported at the first scrape: it takes two megabytes,
and many adapters are never scraped.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING

from adapter import __version__
from adapter.model.event import Outcome

if TYPE_CHECKING:
    from prometheus_client.core import Metric

CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8"  # the format of generate_latest()
RETURNED = "returned"  # not delivered; the waiting caller got an error, or the source sends the event again
SKIPPED = "skipped"  # due but never created
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)

OUTCOMES = {
    Outcome.DELIVERED: "delivered",
    Outcome.DEAD_LETTERED: "dead_lettered",
    Outcome.REJECTED: "lost",
    Outcome.GAVE_UP: "lost",
}


def outcome_label(outcome: Outcome, *, returned: bool) -> str:
    """``returned``: an event that no sink accepted counts as returned, not as lost."""
    name = OUTCOMES[outcome]
    return RETURNED if returned and name == "lost" else name


class Metrics:
    """Series start at zero instead of at their first event, so that a rate over them is always defined."""

    def __init__(self, namespace: str, name: str, kind: str) -> None:
        self.in_flight = 0
        self.last_success = 0.0  # Unix time
        self.failing_since = 0.0  # Unix time of the first failure after the last success; 0 if there is none
        self.checkpoint_age_s: Callable[[], float] | None = None  # None: the source has no store
        self._labels = {"namespace": namespace, "name": name, "kind": kind}
        self._events = dict.fromkeys([*OUTCOMES.values(), RETURNED, SKIPPED], 0)
        self._attempts: dict[str, int] = {}
        self._attempts_within = [0] * (len(BUCKETS_S) + 1)  # per bucket, not cumulative; the last one has no bound
        self._attempts_s = 0.0
        self._polls: dict[str, int] = {}

    def count_events(self, outcome: str, count: int = 1) -> None:
        self._events[outcome] += count

    def count_attempt(self, code: str, seconds: float) -> None:
        self._attempts[code] = self._attempts.get(code, 0) + 1
        self._attempts_within[bisect_left(BUCKETS_S, seconds)] += 1
        self._attempts_s += seconds

    def count_polls(self, outcome: str, count: int = 1) -> None:
        self._polls[outcome] = self._polls.get(outcome, 0) + count

    def render(self) -> bytes:
        from prometheus_client import CollectorRegistry, generate_latest

        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        names, values = list(self._labels), list(self._labels.values())

        def counter(name: str, help: str, label: str, counts: dict[str, int]) -> Metric:
            family = CounterMetricFamily(name, help, labels=[*names, label])
            for value, count in counts.items():
                family.add_metric([*values, value], count)
            return family

        def gauge(name: str, help: str, value: float, **labels: str) -> Metric:
            family = GaugeMetricFamily(name, help, labels=[*names, *labels])
            family.add_metric([*values, *labels.values()], value)
            return family

        yield counter("source_events", "Events by outcome", "outcome", self._events)
        yield counter("source_delivery_attempts", "Attempts by status code or error", "code", self._attempts)
        duration = HistogramMetricFamily("source_delivery_duration_seconds", "Time of one attempt", labels=names)
        bounds = [*map(str, BUCKETS_S), "+Inf"]
        buckets = list(zip(bounds, map(float, accumulate(self._attempts_within)), strict=True))
        duration.add_metric(values, buckets, self._attempts_s)
        yield duration
        yield gauge("source_in_flight", "Events being delivered", self.in_flight)
        yield gauge("source_last_success_timestamp_seconds", "When the sink last accepted an event", self.last_success)
        since = "When the first failure after the last accepted event was, 0 if there is none"
        yield gauge("source_failing_since_timestamp_seconds", since, self.failing_since)
        if self.checkpoint_age_s:
            age = "Seconds since the first change of the checkpoint that is not saved, 0 if all are saved"
            yield gauge("source_checkpoint_age_seconds", age, self.checkpoint_age_s())
        yield gauge("source_build_info", "Always 1", 1, version=__version__)
        if self._polls:  # only kinds that poll have this series
            yield counter("source_polls", "Polls by outcome", "outcome", self._polls)
