"""Requests with CloudEvents: an event or a refusal, and an event that is encoded and read again stays the same."""

from __future__ import annotations

import asyncio
import json
import re

from hypothesis import strategies as st

from adapter.cloudevents.decode import parse_event
from adapter.cloudevents.encode import Message, encode
from adapter.sdk import Event, Refusal, Reply, Request
from adapter.sources.webhook_source import WebhookSource
from tests.fuzz.engine import Target, require
from tests.property.specs import documents

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
SOURCE = WebhookSource()
TYPES = ("application/cloudevents+json", "application/json", "text/plain; charset=utf-16", "application/cloudevents")


def read(data: bytes) -> Request:
    """Lines ``name: value`` until an empty line, and the body. The parser of HTTP refuses control characters."""
    head, _, body = data.partition(b"\n\n")
    lines = [line.partition(": ") for line in CONTROL.sub("", head.decode("latin-1")).split("\n")]
    return Request("POST", "/", {name.lower(): value for name, _, value in lines if name}, body)


def received(request: Request) -> Event | None:
    """None if the request is refused, which must be with 4xx."""
    try:
        event = asyncio.run(SOURCE.receive(request))
    except Refusal as refusal:
        require(400 <= refusal.status < 500 and not CONTROL.search(str(refusal)), refusal)
        return None
    assert not isinstance(event, Reply)
    return event


def sent(event: Event) -> Message:
    return encode(event, source="/a", namespace="ns", overrides={})


def check(data: bytes) -> None:
    request = read(data)
    try:
        parse_event(request)
    except ValueError as error:
        require(not CONTROL.search(str(error)), error)
    event = received(request)
    if event is None or event.source is None:  # not a CloudEvent: the adapter would add a time
        return
    message = sent(event)
    headers = {name.lower(): value for name, value in message.headers.items()}
    again = received(Request("POST", "/", headers, message.body))
    assert again is not None
    assert sent(again) == message


attributes = st.fixed_dictionaries(
    {"specversion": st.sampled_from(["1.0", "1.0", "0.3"]), "id": st.text(min_size=1), "source": st.just("/s")},
    optional={
        "type": st.text(max_size=5),
        "time": st.sampled_from(
            ["2026-01-01T00:00:00Z", "2016-12-31T23:59:60.1234567+23:59", "0001-01-01T00:00:00+01:00"]
        )
        | st.text(max_size=9),
        "subject": documents,
        "datacontenttype": st.sampled_from([*TYPES, "text/plain;charset=x", ""]) | documents,
        "data": documents,
        "data_base64": st.sampled_from(["", "AA==", "AA", "é"]) | documents,
        "ext": documents,
        "dataschema": st.text(max_size=5),
    },
)


def structured(event: dict[str, object]) -> bytes:
    return b"content-type: application/cloudevents+json\n\n" + json.dumps(event).encode()


def binary(event: dict[str, object], content_type: str, body: bytes) -> bytes:
    lines = [f"ce-{name}: {value}" for name, value in event.items() if name not in ("data", "data_base64")]
    return "\n".join([f"content-type: {content_type}", *lines, "", ""]).encode("latin-1", "replace") + body


TARGET = Target(
    "cloudevents",
    check,
    st.builds(structured, attributes | documents)
    | st.builds(
        binary, attributes, st.sampled_from(TYPES), st.binary() | documents.map(lambda each: json.dumps(each).encode())
    ),
    (b'"data"', b'"data_base64"', b"ce-time: ", b"%C3%28", b"ce-specversion: 1.0\n", b'"specversion":"1.0",', b"1e999"),
)
