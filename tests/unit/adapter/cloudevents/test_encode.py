"""The HTTP message of an event: CloudEvents 1.0, HTTP binding, binary mode."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from cloudevents.core.bindings.http import to_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from adapter.cloudevents.encode import Message, encode, encode_header, with_extensions
from adapter.contract.formats import VerbatimTimestamp
from adapter.sdk import Event

TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EVENT = Event(type="t", id="1", time=TIME)
TRACEPARENT = "00-5296bae935988afca1b79d5917b89e24-64a52fb3cb569539-01"  # SHA-256 of "/s", a zero byte and "x-1"


def encoded(event: Event = EVENT, overrides: dict[str, str] | None = None, **changes: Any) -> Message:
    return encode(replace(event, **changes), source="/a/b", namespace="ns", overrides=overrides or {})


def test_event_is_encoded_in_binary_mode() -> None:
    event = Event("dev.t", {"b": 1, "a": "ü"}, "x-1", TIME, "sub ject", {"team": "a"})
    assert encode(event, source="/s", namespace="n s", overrides={"zone": "b"}) == Message(
        {
            "Content-Type": "application/json",
            "ce-specversion": "1.0",
            "ce-id": "x-1",
            "ce-source": "/s",
            "ce-type": "dev.t",
            "ce-time": "2026-01-02T03:04:05Z",
            "ce-subject": "sub%20ject",
            "ce-team": "a",
            "ce-zone": "b",
            "ce-traceparent": TRACEPARENT,
            "traceparent": TRACEPARENT,
            "Kn-Namespace": "n%20s",
        },
        '{"b":1,"a":"ü"}'.encode(),
    )


def test_headers_and_body_are_those_that_the_sdk_writes() -> None:
    event = Event("dev.t", "ü", "x-1", TIME, 'sub "ject" 100 %', {"team": "a b"}, "text/plain", "https://s/?a=b c")
    attributes = {"specversion": "1.0", "id": "x-1", "source": "/ü", "type": "dev.t", "time": TIME, "team": "a b"}
    more = {"subject": event.subject, "dataschema": event.dataschema, "datacontenttype": "text/plain"}
    expected = to_binary(CloudEvent(attributes | more, "ü"), JSONFormat())
    message = encode(event, source="/ü", namespace="ns", overrides={})
    own = {"ce-traceparent", "traceparent", "Kn-Namespace"}
    written = {name.lower(): value for name, value in message.headers.items() if name not in own}
    assert written == {name.lower(): value for name, value in expected.headers.items()}
    assert message.body == expected.body


@pytest.mark.parametrize(
    ("value", "header"),
    [
        pytest.param("!#$&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~", "!#$&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~", id="unchanged"),
        pytest.param(' "%', "%20%22%25", id="space-quote-percent"),
        pytest.param("Euro € 😀", "Euro%20%E2%82%AC%20%F0%9F%98%80", id="specification-example"),
        pytest.param("grün", "gr%C3%BCn", id="two-octets"),
        pytest.param("\r\n\t\0\x7f", "%0D%0A%09%00%7F", id="control"),
        pytest.param("\ud800", "?", id="lone-surrogate"),
    ],
)
def test_header_value_is_percent_encoded(value: str, header: str) -> None:
    assert encoded(subject=value).headers["ce-subject"] == header
    assert encoded(overrides={"team": value}).headers["ce-team"] == header
    assert with_extensions(encoded(), {"team": value}).headers["ce-team"] == header
    assert encode_header(value) == header  # Kn-Namespace


@pytest.mark.parametrize(
    ("data", "content_type", "body"),
    [
        pytest.param(None, "application/json", b"null", id="none"),
        pytest.param(
            {"sequence": 1, "heartbeat": "1s"}, "application/json", b'{"sequence":1,"heartbeat":"1s"}', id="map"
        ),
        pytest.param([1, True], "application/json", b"[1,true]", id="list"),
        pytest.param(0, "application/json", b"0", id="number"),
        pytest.param("grün", "text/plain; charset=utf-8", "grün".encode(), id="text"),
        pytest.param("", "text/plain; charset=utf-8", b"", id="empty-text"),
        pytest.param(b"\0\xff", "application/octet-stream", b"\0\xff", id="bytes"),
        pytest.param(bytearray(b"ab"), "application/octet-stream", b"ab", id="bytearray"),
        pytest.param(memoryview(b"abcd")[::2], "application/octet-stream", b"ac", id="memoryview"),
    ],
)
def test_content_type_and_body_depend_on_the_type_of_the_data(data: object, content_type: str, body: bytes) -> None:
    message = encoded(data=data)
    assert (message.headers["Content-Type"], message.body) == (content_type, body)


def test_overrides_replace_the_extensions_of_the_event() -> None:
    headers = encoded(extensions={"team": "mine", "own": "1"}, overrides={"team": "theirs"}).headers
    assert (headers["ce-team"], headers["ce-own"]) == ("theirs", "1")


@pytest.mark.parametrize(
    ("time", "text"),
    [
        pytest.param(TIME, "2026-01-02T03:04:05Z", id="whole-second"),
        pytest.param(TIME.replace(microsecond=120_000), "2026-01-02T03:04:05.120000Z", id="milliseconds"),
        pytest.param(TIME.replace(microsecond=7), "2026-01-02T03:04:05.000007Z", id="microseconds"),
        pytest.param(TIME.astimezone(timezone(timedelta(hours=2))), "2026-01-02T03:04:05Z", id="other-zone"),
        pytest.param(TIME.astimezone(timezone(timedelta(seconds=30))), "2026-01-02T03:04:05Z", id="zone-with-seconds"),
        pytest.param(datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00Z", id="year-1"),
        pytest.param(
            VerbatimTimestamp.read("2026-01-02T03:04:05.123456789+01:00"),
            "2026-01-02T03:04:05.123456789+01:00",
            id="verbatim",
        ),
        pytest.param(
            VerbatimTimestamp.read("2026-01-02T03:04:05Z") + timedelta(1),
            "2026-01-03T03:04:05Z",
            id="computed-from-verbatim",
        ),
    ],
)
def test_time_is_rfc_3339_in_utc(time: datetime, text: str) -> None:
    assert encoded(time=time).headers["ce-time"] == text


CYCLE: list[Any] = []
CYCLE.append(CYCLE)
BAD = {
    "no-id": ({"id": None}, "id is null; write a string that is not empty"),
    "empty-id": ({"id": ""}, 'id is ""; write a string that is not empty'),
    "empty-type": ({"type": ""}, 'type is ""; write a string that is not empty'),
    "type-no-text": ({"type": 5}, "type is 5; write a string that is not empty"),
    "empty-subject": ({"subject": ""}, 'subject is ""; write a string that is not empty'),
    "type-object": ({"type": {"a": "secret"}}, "type is an object with the key a; write a string that is not empty"),
    "no-time": ({"time": None}, "time is not set"),
    "time-without-zone": ({"time": TIME.replace(tzinfo=None)}, "time is 2026-01-02T03:04:05: write a time with a zone"),
    "time-before-year-1": (
        {"time": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=2)))},
        "outside the years 1 to 9999",
    ),
    "extension-reserved": ({"extensions": {"type": "x"}}, 'extension name "type" is reserved by CloudEvents'),
    "content-type": ({"content_type": "a\r\nb"}, 'content_type is "a\\r\\nb"; write a media type'),
    "extension-long": ({"extensions": {"a" * 21: "x"}}, "is not valid; write 1 to 20 lower-case letters"),
    "extension-ill-formed-received": (
        {"source": "/theirs", "extensions": {"a-b": "x"}},
        'extension name "a-b" is not valid; write lower-case letters',
    ),
    "extension-ill-formed": ({"extensions": {"a-b": "x"}}, 'extension name "a-b" is not valid; write 1 to 20'),
    "extension-upper-case": ({"extensions": {"Team": "x"}}, 'extension name "Team" is not valid'),
    "extension-line-break": ({"extensions": {"team\n": "x"}}, "is not valid; write 1 to 20 lower-case letters"),
    "extension-no-text": ({"extensions": {"n": 5}}, 'extension "n" is of type int; write a string'),
    "traceparent": (
        {"extensions": {"traceparent": "00-1-2-01"}},
        'extension traceparent is "00-1-2-01"; write 00-TRACE',
    ),
    "traceparent-no-text": (
        {"extensions": {"traceparent": 5}},
        'extension "traceparent" is of type int; write a string',
    ),
    "traceparent-zero": ({"extensions": {"traceparent": f"00-{'0' * 32}-{'1' * 16}-01"}}, "extension traceparent is"),
    "traceparent-version": (
        {"extensions": {"traceparent": f"01-{'1' * 32}-{'1' * 16}-01"}},
        "extension traceparent is",
    ),
    "tracestate": ({"extensions": {"tracestate": "a=1\r\nX: y"}}, 'tracestate is "a=1\\r\\nX: y"; write at most 512'),
    "data-object": ({"data": object()}, "data cannot be written as JSON: Object of type object"),
    "data-nan": ({"data": float("nan")}, "data cannot be written as JSON: Out of range float"),
    "data-circular": ({"data": CYCLE}, "data cannot be written as JSON: Circular reference"),
    "data-key": ({"data": {("secret",): 1}}, "data cannot be written as JSON: keys must be str"),
}


@pytest.mark.parametrize(("changes", "message"), BAD.values(), ids=BAD)
def test_invalid_event_is_rejected_with_the_attribute_and_its_value(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        encoded(**changes)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("source", ["/a/b", "/other"])
def test_source_keeps_the_trace_that_it_has_set(source: str) -> None:
    trace = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-00", "tracestate": "a=1 %, b=2"}
    headers = encode(replace(EVENT, extensions=trace), source=source, namespace="ns", overrides={}).headers
    assert {name: headers[name] for name in trace} == trace
    assert headers["ce-traceparent"] == trace["traceparent"]
    assert headers["ce-tracestate"] == "a=1%20%25,%20b=2"


def test_trace_of_a_received_event_stays_an_extension() -> None:
    """It may have any value, and the request of the adapter is not part of it."""
    headers = encoded(source="/theirs", time=None, extensions={"traceparent": "theirs"}).headers
    assert headers["ce-traceparent"] == "theirs"
    assert "traceparent" not in headers


def test_override_of_a_reserved_attribute_is_rejected() -> None:
    with pytest.raises(ValueError, match="reserved"):
        encoded(overrides={"id": "x"})


def test_received_event_passes_through_unchanged() -> None:
    event = Event("t", b"", "1", source="/theirs", extensions={"a" * 21: "x"}, content_type="")
    assert encoded(event).headers == {
        "ce-specversion": "1.0",
        "ce-id": "1",
        "ce-source": "/theirs",
        "ce-type": "t",
        "ce-" + "a" * 21: "x",
        "Kn-Namespace": "ns",
    }
