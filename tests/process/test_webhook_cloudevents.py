"""CloudEvents that a WebhookSource process forwards unchanged, or refuses with a reason."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx2
import pytest

from tests.process.harness import DEADLINE_S, ScriptedSink, Start, display
from tests.process.webhook import ACCEPTED, SECRET, Webhook, github

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = f"00-{TRACE}-00f067aa0ba902b7-01"


def binary() -> tuple[bytes, dict[str, str]]:
    headers = {"ce-specversion": "1.0", "ce-id": "7", "ce-source": "/theirs", "ce-type": "their.type",
               "ce-region": "eu", "ce-time": "2026-01-01T00:00:00Z", "Content-Type": "text/plain"}  # fmt: skip
    return b"hi", headers | {"traceparent": CALLER, "tracestate": "a=1"}


def structured() -> tuple[bytes, dict[str, str]]:
    event = {"specversion": "1.0", "id": "7", "source": "/theirs", "type": "their.type", "region": "eu",
             "time": "2026-01-01T00:00:00Z", "datacontenttype": "text/plain", "data": "hi"}  # fmt: skip
    return json.dumps(event).encode(), {"Content-Type": "application/cloudevents+json", "traceparent": CALLER}


@pytest.mark.parametrize("mode", [pytest.param(binary, id="binary"), pytest.param(structured, id="structured")])
def test_cloudevent_is_forwarded_with_its_own_attributes(
    start: Start, mode: Callable[[], tuple[bytes, dict[str, str]]]
) -> None:
    sink, url = display(start)
    body, headers = mode()
    hook = Webhook(start, url)
    assert httpx2.post(hook.url, content=body, headers=headers, trust_env=False, timeout=DEADLINE_S).status_code == 202
    event = sink.event()
    assert [event[name] for name in ("id", "source", "type", "data")] == ["7", "/theirs", "their.type", "hi"]
    assert event["extensions"] == {"region": "eu"}
    assert not event["headers"].keys() & {"traceparent", "tracestate"}
    assert event["time"] == "2026-01-01T00:00:00Z"
    assert event["datacontenttype"] == "text/plain"


PNG = b"\x89PNG\xff"
CARRIED = {
    "octets": ('"datacontenttype":"image/png","data_base64":"iVBOR/8="', "image/png", PNG),
    "json-text": ('"datacontenttype":"application/json","data":"hello"', "application/json", b'"hello"'),
    "json-number": ('"data":{"n":1.10}', "application/json", b'{"n":1.10}'),
    "nothing": ('"subject":null', None, b""),
}


@pytest.mark.parametrize(("members", "content_type", "data"), CARRIED.values(), ids=CARRIED)
def test_attributes_and_data_of_a_cloudevent_are_unchanged(
    start: Start, members: str, content_type: str | None, data: bytes
) -> None:
    with ScriptedSink(lambda connection, n: connection.sendall(ACCEPTED)) as sink:
        hook = Webhook(start, sink.url)
        event = f'{{"specversion":"1.0","id":"7","source":"/theirs","type":"t","on":true,"count":5,{members}}}'
        answer = hook.post(event.encode(), Content_Type="Application/CloudEvents+json; charset=utf-8", ce_id="8")
        assert answer.status_code == 202
        ((headers, body),) = sink.requests
    attributes = {name: value for name, value in headers.items() if name.startswith("ce-")}
    assert attributes == {"ce-specversion": "1.0", "ce-id": "7", "ce-source": "/theirs", "ce-type": "t",
                          "ce-on": "true", "ce-count": "5"}  # fmt: skip
    assert (headers.get("content-type"), body) == (content_type, data)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        pytest.param({"Content_Encoding": "gzip"}, "content encoding gzip is not supported\n", id="gzip"),
        pytest.param(
            {"Content_Type": "application/cloudevents-batch+json"},
            "content type application/cloudevents-batch+json is not supported; "
            "send application/cloudevents+json, one event per request\n",
            id="batch",
        ),
    ],
)
def test_unsupported_request_is_415_with_a_reason(start: Start, headers: dict[str, str], reason: str) -> None:
    sink, url = display(start)
    answer = Webhook(start, url).post(b"[]", **headers)
    assert (answer.status_code, answer.text) == (415, reason)
    assert answer.headers.get("accept-encoding") == ("identity" if "Content_Encoding" in headers else None)
    assert sink.lines.empty()


def test_invalid_cloudevent_is_400_with_a_reason(start: Start) -> None:
    _, url = display(start)
    answer = Webhook(start, url).post(b"x", ce_specversion="1.0")
    assert (answer.status_code, answer.text) == (400, "required attributes are missing: id, source, type\n")


def test_event_of_a_request_is_in_the_trace_of_its_caller(start: Start) -> None:
    """The last request has an invalid trace, so its event is in a new one."""
    sink, url = display(start)
    hook = Webhook(start, url)
    for body, traceparent in ((b"a", CALLER), (b"b", CALLER), (b"a", CALLER), (b"c", CALLER[:-1])):
        assert hook.post(body, traceparent=traceparent, tracestate="a=1").status_code == 202
    a, b, again, new = (sink.event() for _ in range(4))
    assert a["extensions"] == again["extensions"] != b["extensions"]
    for event in (a, b):
        assert event["extensions"]["traceparent"].startswith(f"00-{TRACE}-")
        assert event["extensions"]["tracestate"] == event["headers"]["tracestate"] == "a=1"
        assert event["headers"]["traceparent"] == event["extensions"]["traceparent"] != CALLER
    assert new["extensions"].keys() == {"traceparent"}
    assert TRACE not in new["extensions"]["traceparent"]


def test_attributes_outside_the_signature_are_ignored(start: Start) -> None:
    sink, url = display(start)
    hook = Webhook(start, url, "hush", auth=SECRET)
    headers = {"ce_specversion": "1.0", "ce_id": "1", "ce_type": "com.bank.payment", "ce_source": "/bank"}
    assert hook.post(b"a", X_Hub_Signature_256=github("hush", b"a"), **headers).status_code == 202
    event = sink.event()
    assert (event["source"], event["type"]) == ("/a/b", "dev.knative.webhook.request")
    assert event["extensions"].keys() == {"traceparent"}
