"""The real ``python -m adapter`` and the real display, configured only by the environment."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import pytest

from tests.process.harness import DEADLINE_S, Adapter, Start, display, free_port

METRICS = [
    "source_build_info",
    "source_delivery_attempts_total",
    "source_delivery_duration_seconds",
    "source_events_total",
    "source_failing_since_timestamp_seconds",
    "source_in_flight",
    "source_last_success_timestamp_seconds",
]


def test_events_arrive_numbered_without_a_gap(start: Start) -> None:
    sink, url = display(start)
    source = Adapter(start, url, K_CE_OVERRIDES='{"extensions":{"team":"grün 1"}}', NAMESPACE="ns")
    events = [sink.event() for _ in range(5)]
    first = events[0]["data"]["sequence"]
    assert [event["data"] for event in events] == [{"sequence": first + n, "heartbeat": "100ms"} for n in range(5)]
    assert {event["type"] for event in events} == {"dev.knative.sample"}
    assert {event["source"] for event in events} == {"/a/b"}
    assert {event["extensions"]["team"] for event in events} == {"grün 1"}
    assert {event["headers"]["kn-namespace"] for event in events} == {"ns"}
    assert {event["headers"]["content-type"] for event in events} == {"application/json"}
    assert all("prefer" not in event["headers"] for event in events)
    for event in events:
        digest = hashlib.sha256(f"/a/b\0{event['id']}".encode()).hexdigest()
        assert event["extensions"]["traceparent"] == f"00-{digest[:32]}-{digest[32:48]}-01"
        assert event["headers"]["traceparent"] == event["extensions"]["traceparent"]
    assert all(event["id"].startswith("u1-") for event in events)
    assert source.process.stop()[0] == 0
    source.assert_log_is_json()


def test_health_port_serves_health_readiness_and_metrics(start: Start) -> None:
    sink, url = display(start)
    source = Adapter(start, url)
    sink.event()
    source.wait_for_attempts("202")
    assert source.get("/health") == (200, "ok\n")
    assert source.get("/readiness") == (200, "ok\n")
    assert source.get("/") == (404, "the pages are /health, /readiness, /metrics, /healthz, /readyz\n")
    status, text = source.get("/metrics")
    families = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert (status, sorted(families)) == (200, METRICS)


def test_metrics_count_events_by_outcome(start: Start) -> None:
    _, url = display(start, "--statuses", "202,400,202")
    source = Adapter(start, url)
    source.wait_for_attempts("202", 3)
    who = 'kind="SampleSource",name="source",namespace="default"'
    assert source.metric(f'source_events_total{{{who},outcome="lost"}}') == 1
    assert source.metric(f'source_events_total{{{who},outcome="delivered"}}') >= 2
    assert source.metric("source_last_success_timestamp_seconds") > 1_700_000_000


def test_adapter_runs_with_the_environment_of_knatives_controller(start: Start) -> None:
    sink, url = display(start)
    start(
        "adapter",
        EVENT_SOURCE="ns/hello",
        INTERVAL="100ms",
        NAMESPACE="ns",
        NAME="samplesource-hello-pod-1",
        METRICS_DOMAIN="knative.dev/eventing",
        K_LOGGING_CONFIG="",
        K_KLOG_VERBOSITY="0",
        K_OBSERVABILITY_CONFIG='{"tracing":{"protocol":"none"}}',
        K_SINK=url,
        K_CE_OVERRIDES="",
        HEALTH_PORT=str(free_port()),
    )
    event = sink.event()
    assert event["source"] == "ns/hello"
    assert event["id"].startswith("ns/hello-")


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        pytest.param({}, "K_SINK", id="no-sink"),
        pytest.param({"K_SINK": "//h"}, "K_SINK", id="no-scheme"),
        pytest.param({"K_SINK": "http://h", "INTERVAL": "10"}, "INTERVAL", id="interval-without-unit"),
        pytest.param({"K_SINK": "http://h", "INTERVAL": "0s"}, "INTERVAL", id="interval-zero"),
        pytest.param({"K_SINK": "http://h", "SOURCE_KIND": "NoSource"}, "SampleSource", id="kind-unknown"),
        pytest.param({"K_SINK": "http://h", "SOURCE_CONFIG": "[]"}, "SOURCE_CONFIG", id="config-not-an-object"),
        pytest.param({"K_SINK": "http://h", "SOURCE_CONFIG": '{"x":1}'}, "SOURCE_CONFIG", id="config-unknown-field"),
        pytest.param({"K_SINK": "http://h", "K_CE_OVERRIDES": '{"extensions":{"type":"x"}}'}, "type", id="reserved"),
        pytest.param({"K_SINK": "http://h", "K_CE_OVERRIDES": '{"extensions":{"a-b":"x"}}'}, "a-b", id="invalid-name"),
        pytest.param(
            {"K_SINK": "http://h", "K_CE_OVERRIDES": '{"extensions":{"traceparent":"x"}}'}, "trace", id="trace"
        ),
        pytest.param({"K_SINK": "https://h", "K_CA_CERTS": "x"}, "K_CA_CERTS", id="not-pem"),
        pytest.param({"K_SINK": "http://h", "HEALTH_PORT": "0"}, "HEALTH_PORT", id="port"),
        pytest.param({"K_SINK": "http://h", "EVENT_SOURCE": ""}, "EVENT_SOURCE", id="no-name"),
    ],
)
def test_invalid_variable_is_one_line_on_stderr_and_exit_code_2(environ: dict[str, str], named: str) -> None:
    env = {"PATH": os.environ["PATH"], "EVENT_SOURCE": "/a/b", **environ}
    done = subprocess.run(
        [sys.executable, "-m", "adapter"], env=env, capture_output=True, text=True, timeout=DEADLINE_S
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert named in done.stderr
