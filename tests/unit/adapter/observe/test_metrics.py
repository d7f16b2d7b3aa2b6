"""What /metrics shows is what counters of Prometheus' own client would show, and it costs nothing unasked."""

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
from adapter.observe.metrics import BUCKETS_S, CONTENT_TYPE, Metrics

Families = list[tuple[str, str, str, list[Any]]]
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
codes = st.sampled_from(["200", "503", "timeout", "transport"])
attempts = st.lists(st.tuples(codes, st.sampled_from(BUCKETS_S) | st.floats(0, 30)), max_size=20)


def families(text: bytes) -> Families:
    read = text_string_to_metric_families(text.decode())
    return [(it.name, it.type, it.documentation, [(s.name, s.labels, s.value) for s in it.samples]) for it in read]


def build_info(text: bytes) -> bytes:
    return next(line for line in text.split(b"\n") if line.startswith(b"source_build_info{"))


def theirs(who: dict[str, str], made: list[tuple[str, float]], polls: int, success: float) -> bytes:
    disable_created_metrics()  # type: ignore[no-untyped-call]  # theirs has no types
    registry, names = CollectorRegistry(), tuple(who)
    events = Counter("source_events", "Events by what became of them", (*names, "outcome"), registry=registry)
    for outcome in ("delivered", "dead_lettered", "lost", "returned", "skipped"):
        events.labels(**who, outcome=outcome).inc(2 if outcome == "delivered" else 0)
    code = Counter(
        "source_delivery_attempts", "HTTP requests by status code or error", (*names, "code"), registry=registry
    )
    duration = Histogram("source_delivery_duration_seconds", "One attempt, to its answer", names, registry=registry)
    duration.labels(**who)
    for it, seconds in made:
        code.labels(**who, code=it).inc()
        duration.labels(**who).observe(seconds)
    Gauge("source_in_flight", "Events being delivered", names, registry=registry).labels(**who).set(3)
    last = Gauge("source_last_success_timestamp_seconds", "When the sink last took an event", names, registry=registry)
    last.labels(**who).set(success)
    build = Gauge("source_build_info", "Always 1", (*names, "version"), registry=registry)
    build.labels(**who, version=__version__).set(1)
    if polls:
        polled = Counter("source_polls", "Polls by what they brought", (*names, "outcome"), registry=registry)
        polled.labels(**who, outcome="ok").inc(polls)
    return generate_latest(registry)


@example(("back\\slash", 'quo"te', "li\ne"), [("200", 0.005), ("200", 60.0)], 1, 1.5e9)
@given(st.tuples(texts, texts, texts), attempts, st.integers(0, 3), st.floats(0, 2e9))
def test_it_says_what_prometheus_own_client_says(
    who: tuple[str, str, str], made: list[tuple[str, float]], polls: int, success: float
) -> None:
    ours = Metrics(*who)
    ours.count_events("delivered", 2)
    for code, seconds in made:
        ours.count_attempt(code, seconds)
    ours.in_flight, ours.last_success = 3, success
    for _ in range(polls):
        ours.count_polls("ok")
    expected = theirs(dict(zip(("namespace", "name", "kind"), who, strict=True)), made, polls, success)
    assert families(ours.render()) == families(expected)
    assert build_info(ours.render()) == build_info(expected)  # their reader takes what they do not write


def test_its_content_type_is_theirs() -> None:
    assert CONTENT_TYPE == CONTENT_TYPE_LATEST


def test_what_a_kind_that_polls_counts_is_there_from_its_first_zero() -> None:
    metrics = Metrics("ns", "n", "K")
    assert b"source_polls" not in metrics.render()
    metrics.count_polls("failed", 0)
    assert b'source_polls_total{kind="K",name="n",namespace="ns",outcome="failed"} 0.0\n' in metrics.render()


def test_until_somebody_asks_prometheus_client_is_not_loaded() -> None:
    code = "import sys; from adapter.observe.metrics import Metrics; m = Metrics('a', 'b', 'C'); "
    code += "m.count_attempt('200', 1); "
    code += "print('prometheus_client' in sys.modules, m.render() != b'', 'prometheus_client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False True True\n"
