"""One event -> the headers and body of its HTTP request: CloudEvents 1.0, HTTP binding, binary mode. Pure.

The official SDK checks the attributes. Headers and data are written here: the SDK's HTTP binding also parses messages,
so its import costs an adapter 1 MiB and 10 ms, for dateutil and 50 other modules. The SDK's JSON has spaces and ``\\u``
escapes, and it writes lists and numbers as Python's ``str()`` does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from adapter.cloudevents.attributes import sdk_event
from adapter.contract.formats import VerbatimTimestamp, extension_problem, is_header_text, quoted
from adapter.model.event import Event
from adapter.model.traces import TRACEPARENT, TRACESTATE, trace_problem, traceparent_of

_encoded_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
_SAFE = "".join(char for char in map(chr, range(0x21, 0x7F)) if char not in '"%')


@dataclass(frozen=True)
class Message:
    """Headers and body of a request."""

    headers: dict[str, str]
    body: bytes


def encode(event: Event, *, source: str, namespace: str, overrides: Mapping[str, str]) -> Message:
    """Encode ``event``, which has an id and a time. A value of ``overrides`` replaces the extension of that name.

    The headers ``traceparent`` and ``tracestate`` repeat the extensions, for the instrumentation of a sink. An event
    with its own ``source`` was received from another sender, so nothing is added: it may have no time, no content type
    (``""``) and no trace. Raises ``ValueError`` if the event cannot be sent. The message names the attribute and holds
    no data, because it is logged.
    """
    content_type, body = _content(event)
    attributes = {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source or source,
        "type": event.type,
        **({} if event.subject is None else {"subject": event.subject}),
        **({} if event.dataschema is None else {"dataschema": event.dataschema}),
        **_extensions({**event.extensions, **overrides}, is_own=event.source is None),
    }
    sdk_event(dict(attributes))  # it adds a time
    headers = {f"ce-{name}": encode_header(value) for name, value in attributes.items()} | _time(event)
    if content_type:
        headers["Content-Type"] = content_type
    if event.source is None:
        headers["ce-traceparent"] = headers[TRACEPARENT] = traceparent_of(event, source)
        if TRACESTATE in event.extensions:
            headers[TRACESTATE] = event.extensions[TRACESTATE]
    headers["Kn-Namespace"] = encode_header(namespace)
    return Message(headers, body)


def with_extensions(message: Message, extensions: Mapping[str, str]) -> Message:
    """The same event with more extensions."""
    headers = {f"ce-{name}": encode_header(value) for name, value in extensions.items()}
    return Message(message.headers | headers, message.body)


@lru_cache(maxsize=16)  # most values are those of the last event
def encode_header(value: str) -> str:
    """Percent-encode as CloudEvents HTTP binding §3.1.3.2 says. JSON may contain unpaired surrogates, UTF-8 may not."""
    return quote(value.encode("utf-8", "replace"), safe=_SAFE)


def _time(event: Event) -> dict[str, str]:
    """In UTC, because RFC 3339 does not allow seconds in the offset of a zone.

    A time that was received stays as it is: Python has no leap second and at most six digits.
    """
    time = event.time
    if time is None:
        if event.source is None:
            raise ValueError("time is not set")
        return {}
    if time.utcoffset() is None:
        raise ValueError(f"time is {time.isoformat()}: write a time with a zone, like datetime.now(UTC)")
    try:
        utc = time.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"time is {time.isoformat()}: in UTC it is outside the years 1 to 9999") from None
    verbatim = time.text if isinstance(time, VerbatimTimestamp) else ""
    return {"ce-time": verbatim or f"{utc.replace(tzinfo=None).isoformat()}Z"}


def _content(event: Event) -> tuple[str, bytes]:
    """Content type, empty for none, and body."""
    content_type, body = _encoded(event.data)
    if event.content_type is None:
        return content_type, body
    if event.content_type and not is_header_text(event.content_type):  # the SDK would write a line break as it is
        raise ValueError(f"content_type is {quoted(event.content_type)}; write a media type like application/json")
    return event.content_type, body


def _encoded(data: Any) -> tuple[str, bytes]:
    if isinstance(data, bytes | bytearray | memoryview):
        return "application/octet-stream", bytes(data)
    if isinstance(data, str):
        return "text/plain; charset=utf-8", data.encode("utf-8", "replace")
    try:
        text = _encoded_json(data)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"data cannot be written as JSON: {error}") from None
    return "application/json", text.encode("utf-8", "replace")


def _extensions(extensions: Mapping[str, str], *, is_own: bool) -> Mapping[str, str]:
    for name, value in extensions.items():
        if problem := extension_problem(
            name, 20 if is_own else None
        ):  # the SDK accepts a line break at the end of a name
            raise ValueError(problem)
        if not isinstance(value, str):  # the SDK writes any object as str() does
            raise ValueError(f'extension "{name}" is of type {type(value).__name__}; write a string')
    if is_own and (problem := trace_problem(extensions)):
        raise ValueError(problem)
    return extensions
