"""/metrics equals the output of the Prometheus client, which is imported only at the first scrape."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.parser import text_string_to_metric_families

from adapter import __version__
from adapter.observe.metrics import BUCKETS_S, Metrics
from adapter.serving.health import CONTENT_TYPE

Families = list[tuple[str, str, str, list[Any]]]
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
codes = st.sampled_from(["200", "503", "timeout", "transport"])
attempts = st.lists(st.tuples(codes, st.sampled_from(BUCKETS_S) | st.floats(0, 30)), max_size=20)


def families(text: bytes) -> Families:
    read = text_string_to_metric_families(text.decode())
    return [(family.name, family.type, family.documentation, [*map(_sample, family.samples)]) for family in read]


def _sample(sample: Any) -> tuple[Any, ...]:
    return sample.name, sample.labels, sample.value


def build_info(text: bytes) -> bytes:
    return next(line for line in text.split(b"\n") if line.startswith(b"source_build_info{"))


def reference(labels: dict[str, str], made: list[tuple[str, float]], polls: int, success: float) -> bytes:
    disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no types
    registry, names = CollectorRegistry(), tuple(labels)
    events = Counter("source_events", "Events by outcome", (*names, "outcome"), registry=registry)
    for outcome in ("delivered", "dead_lettered", "lost", "returned", "skipped"):
        events.labels(**labels, outcome=outcome).inc(2 if outcome == "delivered" else 0)
    code = Counter("source_delivery_attempts", "Attempts by status code or error", (*names, "code"), registry=registry)
    duration = Histogram("source_delivery_duration_seconds", "Time of one attempt", names, registry=registry)
    duration.labels(**labels)
    for label, seconds in made:
        code.labels(**labels, code=label).inc()
        duration.labels(**labels).observe(seconds)
    Gauge("source_in_flight", "Events being delivered", names, registry=registry).labels(**labels).set(3)
    last = Gauge(
        "source_last_success_timestamp_seconds", "When the sink last accepted an event", names, registry=registry
    )
    last.labels(**labels).set(success)
    since = "When the first failure after the last accepted event was, 0 if there is none"
    failing = Gauge("source_failing_since_timestamp_seconds", since, names, registry=registry)
    failing.labels(**labels).set(success / 2)
    build = Gauge("source_build_info", "Always 1", (*names, "version"), registry=registry)
    build.labels(**labels, version=__version__).set(1)
    if polls:
        polled = Counter("source_polls", "Polls by outcome", (*names, "outcome"), registry=registry)
        polled.labels(**labels, outcome="ok").inc(polls)
    return generate_latest(registry)


@example(("back\\slash", 'quo"te', "li\ne"), [("200", 0.005), ("200", 60.0)], 1, 1.5e9)
@given(st.tuples(texts, texts, texts), attempts, st.integers(0, 3), st.floats(0, 2e9))
def test_output_equals_that_of_the_prometheus_client(
    source: tuple[str, str, str], made: list[tuple[str, float]], polls: int, success: float
) -> None:
    ours = Metrics(*source)
    ours.count_events("delivered", 2)
    for code, seconds in made:
        ours.count_attempt(code, seconds)
    ours.in_flight, ours.last_success, ours.failing_since = 3, success, success / 2
    for _ in range(polls):
        ours.count_polls("ok")
    expected = reference(dict(zip(("namespace", "name", "kind"), source, strict=True)), made, polls, success)
    assert families(ours.render()) == families(expected)
    assert build_info(ours.render()) == build_info(expected)  # the parser also accepts what the client does not write


def test_content_type_is_that_of_the_prometheus_client() -> None:
    assert CONTENT_TYPE == CONTENT_TYPE_LATEST


def test_polls_are_shown_only_for_kinds_that_poll() -> None:
    metrics = Metrics("ns", "n", "K")
    assert b"source_polls" not in metrics.render()
    metrics.count_polls("failed", 0)
    assert b'source_polls_total{kind="K",name="n",namespace="ns",outcome="failed"} 0.0\n' in metrics.render()


def test_prometheus_client_is_imported_at_the_first_scrape() -> None:
    code = "import sys; from adapter.observe.metrics import Metrics; m = Metrics('a', 'b', 'C'); "
    code += "m.count_attempt('200', 1); "
    code += "print('prometheus_client' in sys.modules, m.render() != b'', 'prometheus_client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False True True\n"
