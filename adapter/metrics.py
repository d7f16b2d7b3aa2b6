"""What /metrics shows; every series says which source it is."""

from __future__ import annotations

from functools import cache, cached_property

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from adapter import __version__
from adapter.source import Outcome

CONTENT_TYPE = CONTENT_TYPE_LATEST
RETURNED = "returned"  # not delivered, and whoever brought it was told so
SKIPPED = "skipped"  # an event that was due and never made

OUTCOMES = {
    Outcome.DELIVERED: "delivered",
    Outcome.DEAD_LETTERED: "dead_lettered",
    Outcome.REJECTED: "lost",
    Outcome.GAVE_UP: "lost",
}


def outcome_of(outcome: Outcome, *, returns: bool) -> str:
    name = OUTCOMES[outcome]
    return RETURNED if returns and name == "lost" else name


class Metrics:
    """Series exist from the start, at zero, so that a rate over them is never undefined."""

    def __init__(self, namespace: str, name: str, kind: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = registry = CollectorRegistry()
        who = {"namespace": namespace, "name": name, "kind": kind}
        self._who = who
        names = tuple(who)
        self._events = Counter("source_events", "Events by what became of them", (*names, "outcome"), registry=registry)
        self._attempts = Counter(
            "source_delivery_attempts", "HTTP requests by status code or error", (*names, "code"), registry=registry
        )
        self.duration = Histogram(
            "source_delivery_duration_seconds", "One attempt, to its answer", names, registry=registry
        ).labels(**who)
        self.in_flight = Gauge("source_in_flight", "Events being delivered", names, registry=registry).labels(**who)
        self.last_success = Gauge(
            "source_last_success_timestamp_seconds", "When the sink last took an event", names, registry=registry
        ).labels(**who)
        build = Gauge("source_build_info", "Always 1", (*names, "version"), registry=registry)
        build.labels(**who, version=__version__).set(1)
        # Looking a series up by its labels costs more than counting; there are few.
        self._outcome = cache(lambda outcome: self._events.labels(**who, outcome=outcome))
        self._code = cache(lambda code: self._attempts.labels(**who, code=code))
        for outcome in dict.fromkeys([*OUTCOMES.values(), RETURNED, SKIPPED]):
            self.count_events(outcome, 0)

    def count_events(self, outcome: str, count: int = 1) -> None:
        self._outcome(outcome).inc(count)

    def count_attempt(self, code: str) -> None:
        self._code(code).inc()

    def count_polls(self, outcome: str, count: int = 1) -> None:
        self._polls.labels(**self._who, outcome=outcome).inc(count)

    @cached_property
    def _polls(self) -> Counter:
        """Only kinds that poll show it."""
        return Counter("source_polls", "Polls by what they brought", (*self._who, "outcome"), registry=self._registry)

    def render(self) -> bytes:
        return generate_latest(self._registry)
