"""Received CloudEvents are forwarded unchanged, including those that the official SDK encoded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import unquote

from cloudevents.core.bindings.http import HTTPMessage, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from adapter.cloudevents.attributes import canonical, is_json
from adapter.cloudevents.encode import Message, encode
from adapter.contract.formats import RESERVED_EXTENSIONS
from adapter.sdk import Event, Request
from adapter.sources.webhook_source import WebhookSource

text = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
filled = text.filter(bool)
names = st.from_regex(r"[a-z0-9]{1,30}", fullmatch=True).filter(lambda name: name not in RESERVED_EXTENSIONS)
zones = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
times = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=zones)  # noqa: DTZ001 -- bounds
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
data = st.recursive(
    st.none() | st.booleans() | numbers | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
json_types = st.sampled_from(["application/json", "text/json; charset=utf-8", "application/vnd.x+json"])
other_types = st.sampled_from(["text/plain", "application/xml", "image/png", "text/plain; charset=UTF-8"])


def forwarded(message: Message | HTTPMessage) -> Message:
    """The message that a WebhookSource sends after it has received ``message``."""
    headers = {name.lower(): value for name, value in message.headers.items()}
    event = asyncio.run(WebhookSource().receive(Request("POST", "/", headers, message.body)))
    return encode(event, source="/a/b", namespace="ns", overrides={})


def lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@given(
    st.builds(
        Event,
        type=filled,
        id=filled,
        time=times,
        source=filled,
        subject=st.none() | filled,
        dataschema=st.none() | filled,
        extensions=st.dictionaries(names, text, max_size=3),
        data=st.binary(max_size=20) | data,
        content_type=st.none() | json_types | other_types,
    )
)
def test_event_of_an_adapter_passes_through_another_adapter_unchanged(event: Event) -> None:
    message = encode(event, source="/a/b", namespace="ns", overrides={})
    assert forwarded(message) == message


@st.composite
def cloud_events(draw: st.DrawFn) -> CloudEvent:
    """Events whose data is bytes, or fits the content type."""
    content_type = draw(st.none() | json_types | other_types)
    kind = data.filter(lambda value: value is not None) if is_json(content_type or "a/json") else text
    attributes: dict[str, Any] = draw(st.dictionaries(names, text | st.booleans() | st.integers(-(2**31), 2**31 - 1)))
    attributes |= {"specversion": "1.0", "id": draw(filled), "source": draw(filled), "type": draw(filled)}
    attributes |= {"time": draw(times)}
    attributes |= draw(st.fixed_dictionaries({}, optional={"subject": filled, "dataschema": filled}))
    attributes |= {} if content_type is None else {"datacontenttype": content_type}
    return CloudEvent(attributes, draw(st.none() | st.binary(max_size=20) | kind))


@given(cloud_events())
def test_structured_event_of_the_sdk_is_forwarded_as_the_same_event(event: CloudEvent) -> None:
    message = forwarded(to_structured_event(event))
    headers = lower(message.headers)
    assert headers.pop("kn-namespace") == "ns"
    content_type = headers.pop("content-type", None)
    sent = {name.removeprefix("ce-"): unquote(value, errors="strict") for name, value in headers.items()}
    wanted = {name: value for name, value in event.get_attributes().items() if name != "datacontenttype"}
    assert datetime.fromisoformat(sent.pop("time")) == wanted.pop("time").astimezone(UTC)
    assert sent == {name: canonical(value) for name, value in wanted.items()}
    content: Any = event.get_data()
    is_value = content is not None and not isinstance(content, bytes)
    assert content_type == (event.get_datacontenttype() or ("application/json" if is_value else None))
    if is_value and is_json(content_type or ""):
        assert json.dumps(json.loads(message.body)) == json.dumps(content)
    else:
        assert message.body == (content.encode() if is_value else content or b"")


@given(cloud_events().filter(lambda event: isinstance(event.get_data(), bytes | None)))
def test_binary_and_structured_mode_of_the_sdk_are_forwarded_alike(event: CloudEvent) -> None:
    binary, structured = forwarded(to_binary_event(event)), forwarded(to_structured_event(event))
    assert {name: value.lower() for name, value in binary.headers.items()} == {
        name: value.lower() for name, value in structured.headers.items()
    }  # the SDK writes ``True`` in binary mode
    assert binary.body == structured.body
