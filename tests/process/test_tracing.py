"""Spans that an adapter exports by OTLP, and what happens if their collector is missing, slow or down."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.process.collector import CLIENT, ERROR, PRODUCER, Collector, ExportedSpan
from tests.process.harness import Adapter, Start, display, free_port, wait_until
from tests.process.webhook import Webhook

TRACE, CALLER_SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALLER = f"00-{TRACE}-{CALLER_SPAN}-01"
FAST = {"OTEL_BSP_SCHEDULE_DELAY": "50"}  # milliseconds between exports


def attempts_of(spans: list[ExportedSpan], event: ExportedSpan) -> list[ExportedSpan]:
    return [span for span in spans if span.parent == event.id]


def event_spans(spans: list[ExportedSpan]) -> list[ExportedSpan]:
    return [span for span in spans if span.kind == PRODUCER]


def test_each_event_is_a_span_with_a_span_for_each_attempt(start: Start) -> None:
    sink, url = display(start, "--statuses", "503")
    with Collector() as collector:
        environ = {
            **FAST,
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_HEADERS": "api-key=s3cret-key",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test",
            "NAMESPACE": "ns",
            "NAME": "hello",
        }
        source = Adapter(start, url.replace("//", "//user:passw0rd@"), "1h", **environ)
        first, again = sink.event(), sink.event()
        spans = collector.wait_for(event_spans, source.process.errors)
        source.process.stop()
    assert first["extensions"] == again["extensions"]
    [event] = event_spans(spans)
    assert first["extensions"]["traceparent"] == f"00-{event.trace}-{event.id}-01"
    assert (event.name, event.parent, event.status) == (f"send {url}", "", 0)
    assert event.attributes == {
        "messaging.system": "cloudevents",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": url,
        "messaging.message.id": first["id"],
        "messaging.message.body.size": len(json.dumps(first["data"], separators=(",", ":"))),
        "cloudevents.event_id": first["id"],
        "cloudevents.event_source": "/a/b",
        "cloudevents.event_type": "dev.knative.sample",
        "cloudevents.event_spec_version": "1.0",
        "source.outcome": "delivered",
    }
    failed, accepted = attempts_of(spans, event)
    assert {span.trace for span in spans} == {event.trace}
    assert (failed.kind, failed.status, failed.reason) == (CLIENT, ERROR, "answered 503")
    assert failed.attributes["error.type"] == "503"
    assert accepted.status == 0
    assert [span.attributes["http.response.status_code"] for span in (failed, accepted)] == [503, 202]
    assert [span.attributes["url.full"] for span in (failed, accepted)] == [url, url]
    for attempt, received in ((failed, first), (accepted, again)):
        assert received["headers"]["traceparent"] == f"00-{attempt.trace}-{attempt.id}-01"
    expected = {"service.name": "hello", "k8s.namespace.name": "ns", "source.kind": "SampleSource"}
    expected |= {"source.name": "hello", "source.uid": "u1", "deployment.environment": "test"}
    assert expected.items() <= event.resource.items()
    path, headers = collector.requests[0]
    assert (path, headers["api-key"]) == ("/v1/traces", "s3cret-key")
    source.assert_log_is_json()
    shown = f"{spans}{source.process.errors}"
    assert "passw0rd" not in shown
    assert "s3cret-key" not in shown


def test_span_of_a_request_is_below_that_of_its_caller(start: Start) -> None:
    """A CloudEvent that is forwarded stays as it is; its span is below the one that it names."""
    sink, url = display(start)
    with Collector() as collector:
        hook = Webhook(start, url, **FAST, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{collector.url}/custom")
        assert hook.post(b"a", traceparent=CALLER, tracestate="a=1").status_code == 202
        forwarded = {"ce_specversion": "1.0", "ce_type": "t", "ce_source": "/theirs"}
        assert hook.post(b"b", **forwarded, ce_id="1", ce_traceparent=CALLER).status_code == 202
        assert hook.post(b"c", **forwarded, ce_id="2", traceparent=CALLER).status_code == 202
        own, theirs, other = sink.event(), sink.event(), sink.event()
        spans = collector.wait_for(lambda spans: len(event_spans(spans)) == 3, hook.process.errors)
    events = {span.sent_id: span for span in event_spans(spans)}
    assert own["extensions"]["traceparent"] == f"00-{TRACE}-{events[own['id']].id}-01"
    assert (events[own["id"]].trace, events[own["id"]].parent) == (TRACE, CALLER_SPAN)
    assert own["headers"]["tracestate"] == "a=1"
    assert theirs["extensions"] == {"traceparent": CALLER}
    assert (events["1"].trace, events["1"].parent) == (TRACE, CALLER_SPAN)
    assert events["1"].id != own["extensions"]["traceparent"][36:52]
    assert other["extensions"] == {}
    assert events["2"].parent == ""
    assert events["2"].trace != TRACE
    assert not {"traceparent", "tracestate"} & (theirs["headers"].keys() | other["headers"].keys())
    assert {path for path, _ in collector.requests} == {"/custom"}


def test_trace_that_is_not_sampled_is_not_exported_and_its_header_says_so(start: Start) -> None:
    sink, url = display(start)
    with Collector() as collector:
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_TRACES_SAMPLER": "always_off"}
        source = Adapter(start, url, **environ)
        event = sink.event()
        assert source.process.stop()[0] == 0
    assert event["headers"]["traceparent"].startswith(event["extensions"]["traceparent"][:36])
    assert event["headers"]["traceparent"].endswith("-00")
    assert collector.requests == []


def test_spans_that_are_held_are_sent_at_the_end(start: Start) -> None:
    """On a busy machine the end may come before the export, which has 1 s; so there are several tries."""
    with Collector() as collector:
        for _ in range(5):
            sink, url = display(start, "--statuses", "400,400,400")
            environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "3600000"}
            source = Adapter(start, url, **environ)
            ids = {sink.event()["id"] for _ in range(3)}
            assert source.process.stop()[0] == 0
            source.assert_log_is_json()
            spans = [span for span in event_spans(collector.spans) if span.sent_id in ids]
            if spans:
                break
    assert {(span.status, span.attributes["source.outcome"]) for span in spans} == {(ERROR, "rejected")}
    assert ids == {span.sent_id for span in spans}


@pytest.mark.parametrize("answer", ["down", "hangs", "400"])
def test_collector_that_fails_delays_no_event_and_not_the_end(start: Start, answer: str) -> None:
    """Without the limit of the last export, OpenTelemetry would wait for 30 s."""
    sink, url = display(start)
    with Collector(int(answer) if answer.isdecimal() else None) as collector:
        endpoint = f"http://127.0.0.1:{free_port()}" if answer == "down" else collector.url
        headers = "authorization=Bearer%20s3cret-token,api-key=s3cret-key, s3cret-without-name"
        query = "?token=s3cret-query"
        environ = {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{endpoint}/v1/traces{query}",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "300",
        }
        source = Adapter(start, url, **FAST, **environ, OTEL_EXPORTER_OTLP_HEADERS=headers)
        sequences = [sink.event()["data"]["sequence"] for _ in range(3)]
        if answer != "down":
            wait_until(lambda: collector.requests, "an export", lambda: source.process.errors)
        if answer != "hangs":
            wait_until(
                lambda: "opentelemetry" in str(source.process.errors), "the error", lambda: source.process.errors
            )
        stopped = source.process.stop()
    assert stopped[0] == 0
    assert sequences == [*range(sequences[0], sequences[0] + 3)]
    assert stopped.asleep_s < 30
    source.assert_log_is_json()
    assert "s3cret" not in str(source.process.errors)


def test_without_the_packages_there_is_one_warning_and_the_events_arrive(start: Start, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['opentelemetry'] = None\n")
    sink, url = display(start)
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "PYTHONPATH": str(tmp_path)}
    source = Adapter(start, url, **environ)
    event = sink.event()
    assert event["headers"]["traceparent"] == event["extensions"]["traceparent"]
    [line] = source.process.logged("no traces are exported")
    assert (line["level"], line["variable"]) == ("warn", "OTEL_EXPORTER_OTLP_ENDPOINT")
    assert "--build-arg LOCK=otlp.lock" in line["remedy"]
    assert source.process.stop()[0] == 0


LOADED = """import atexit, sys
def show():
    packages = {name.partition(".")[0] for name in sys.modules}
    print(sorted(packages & {"opentelemetry", "requests", "urllib3"}), flush=True)
atexit.register(show)
"""


@pytest.mark.parametrize(
    ("environ", "is_loaded"),
    [
        pytest.param({}, False, id="none"),
        pytest.param({"OTEL_SERVICE_NAME": "x", "OTEL_TRACES_SAMPLER": "always_on"}, False, id="no-endpoint"),
        pytest.param({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h", "OTEL_SDK_DISABLED": "true"}, False, id="disabled"),
        pytest.param({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True, id="endpoint"),
    ],
)
def test_opentelemetry_is_loaded_only_for_an_endpoint(
    start: Start, tmp_path: Path, environ: dict[str, str], is_loaded: bool
) -> None:
    (tmp_path / "sitecustomize.py").write_text(LOADED)
    sink, url = display(start)
    source = Adapter(start, url, **environ, PYTHONPATH=str(tmp_path))
    event = sink.event()
    assert source.process.stop()[0] == 0
    assert (source.process.line() != "[]\n") is is_loaded
    assert (event["headers"]["traceparent"] == event["extensions"]["traceparent"]) is not is_loaded
    assert event["headers"].keys() == {
        "host", "accept", "accept-encoding", "user-agent", "content-type", "content-length", "kn-namespace", "ce-id",
        "ce-source", "ce-specversion", "ce-time", "ce-type", "ce-traceparent", "traceparent",
    }  # fmt: skip
