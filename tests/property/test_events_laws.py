"""Laws of the wire format: nothing is lost, nothing breaks HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st

from adapter.cloudevents.encode import encode, encode_header, format_event_time
from adapter.contract.formats import extension_problem, parse_time
from adapter.display import parse_event
from adapter.sdk import Event
from adapter.serving.messages import Request

text = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
filled = text.filter(bool)
names = st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True).filter(lambda name: extension_problem(name) is None)
zones = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
times = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=zones)  # noqa: DTZ001 -- bounds
data = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)


@given(st.text(max_size=40))
def test_a_header_value_is_always_visible_ascii(value: str) -> None:
    assert all("!" <= char <= "~" and char != '"' for char in encode_header(value))


@given(text)
def test_a_header_value_comes_back(value: str) -> None:
    assert unquote(encode_header(value), errors="strict") == value


@given(times)
def test_a_time_comes_back_to_the_microsecond(time: datetime) -> None:
    assert parse_time(format_event_time(time)) == time.astimezone(UTC)


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
def test_what_is_encoded_is_what_a_sink_reads(event: Event, source: str, overrides: dict[str, str]) -> None:
    message = encode(event, source=source, namespace="ns", overrides=overrides)
    headers = {name.lower(): value for name, value in message.headers.items()}
    read: dict[str, Any] = parse_event(Request("POST", "/", headers, message.body))
    assert (read["id"], read["type"], read["source"]) == (event.id, event.type, source)
    assert read.get("subject") == event.subject
    assert read["extensions"] == {**event.extensions, **overrides}
    assert json.dumps(read["data"]) == json.dumps(event.data)
