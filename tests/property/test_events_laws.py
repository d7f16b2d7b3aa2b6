"""Properties of the wire format: an event is decoded as it was encoded, and every header is valid HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st

from adapter.cloudevents.decode import parse_event
from adapter.cloudevents.encode import encode, encode_header, with_extensions
from adapter.contract.formats import EPOCH, override_problem, parse_time
from adapter.model.traces import traceparent_of
from adapter.sdk import Event
from adapter.serving.messages import Request

text = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
filled = text.filter(bool)
names = st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True).filter(lambda name: override_problem(name) is None)
zones = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
times = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=zones)  # noqa: DTZ001 -- bounds
data = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)


def subject_header(value: str) -> str:
    """The header ``ce-subject`` as the SDK writes it."""
    event = Event(type="t", id="1", time=EPOCH, subject=value)
    return encode(event, source="/s", namespace="ns", overrides={}).headers["ce-subject"]


@given(st.text(min_size=1, max_size=40))
def test_header_value_is_visible_ascii(value: str) -> None:
    assert all("!" <= char <= "~" and char != '"' for char in subject_header(value))


@given(filled)
def test_header_value_decodes_to_the_original(value: str) -> None:
    assert unquote(subject_header(value), errors="strict") == value


@given(st.text(min_size=1, max_size=40))
def test_own_headers_are_encoded_as_the_sdk_encodes_attributes(value: str) -> None:
    assert encode_header(value) == subject_header(value)


@given(st.dictionaries(names, text, max_size=3), st.dictionaries(names, text, max_size=3))
def test_extensions_added_later_are_encoded_as_those_of_the_event(first: dict[str, str], later: dict[str, str]) -> None:
    event = Event(type="t", id="1", time=EPOCH, extensions=first)
    message = with_extensions(encode(event, source="/s", namespace="ns", overrides={}), later)
    assert message == encode(event, source="/s", namespace="ns", overrides=later)


@given(times)
def test_time_is_kept_to_the_microsecond(time: datetime) -> None:
    message = encode(Event(type="t", id="1", time=time), source="/s", namespace="ns", overrides={})
    assert parse_time(message.headers["ce-time"]) == time.astimezone(UTC)


@given(
    st.builds(
        Event,
        type=filled,
        id=filled,
        time=times,
        subject=st.none() | filled,
        extensions=st.dictionaries(names, text, max_size=3),
        data=data.filter(lambda value: not isinstance(value, str)),
    ),
    filled,
    st.dictionaries(names, text, max_size=2),
)
def test_sink_reads_the_event_that_was_encoded(event: Event, source: str, overrides: dict[str, str]) -> None:
    message = encode(event, source=source, namespace="ns", overrides=overrides)
    headers = {name.lower(): value for name, value in message.headers.items()}
    read: dict[str, Any] = parse_event(Request("POST", "/", headers, message.body))
    assert (read["id"], read["type"], read["source"]) == (event.id, event.type, source)
    assert read.get("subject") == event.subject
    trace = {"traceparent": traceparent_of(event, source)}
    assert read["extensions"] == {**event.extensions, **overrides, **trace}
    assert json.dumps(read["data"]) == json.dumps(event.data)
