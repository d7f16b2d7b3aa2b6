"""One event -> the headers and body of its HTTP request: CloudEvents 1.0, HTTP binding, binary mode. Pure.

The official SDK checks and encodes the attributes. The data is encoded here: the SDK's JSON has spaces and ``\\u``
escapes, and it writes lists and numbers as Python's ``str()`` does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from cloudevents.core.bindings.http import HTTPMessage, to_binary
from cloudevents.core.formats.json import JSONFormat

from adapter.cloudevents.attributes import sdk_event
from adapter.contract.formats import EPOCH, VerbatimTimestamp, extension_problem, is_header_text, quoted
from adapter.model.event import Event
from adapter.model.traces import TRACEPARENT, TRACESTATE, trace_problem, traceparent_of

_encoded_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
_FORMAT = JSONFormat()
_SAFE = "".join(char for char in map(chr, range(0x21, 0x7F)) if char not in '"%')
Message = HTTPMessage  # headers and body of a request


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
        "time": _utc_time(event),
        **({} if event.subject is None else {"subject": event.subject}),
        **({} if event.dataschema is None else {"dataschema": event.dataschema}),
        **_extensions({**event.extensions, **overrides}, is_own=event.source is None),
    }
    message = _sdk_message(attributes, body)
    headers = message.headers
    if content_type:
        headers["Content-Type"] = content_type
    if event.time is None:
        del headers["ce-time"]
    elif isinstance(event.time, VerbatimTimestamp) and event.time.text:
        headers["ce-time"] = event.time.text  # the SDK has no leap second and at most six digits
    if event.source is None:
        headers["ce-traceparent"] = headers[TRACEPARENT] = traceparent_of(event, source)
        if TRACESTATE in event.extensions:
            headers[TRACESTATE] = event.extensions[TRACESTATE]
    headers["Kn-Namespace"] = encode_header(namespace)
    return message


def with_extensions(message: Message, extensions: Mapping[str, str]) -> Message:
    """The same event with more extensions."""
    headers = {f"ce-{name}": encode_header(value) for name, value in extensions.items()}
    return Message(message.headers | headers, message.body)


@lru_cache(maxsize=16)  # the namespace is the same for every event
def encode_header(value: str) -> str:
    """Percent-encode as the SDK does (CloudEvents HTTP binding §3.1.3.2), for headers that it does not write."""
    return quote(_without_surrogates(value), safe=_SAFE)


def _sdk_message(attributes: dict[str, Any], body: bytes) -> Message:
    try:
        return to_binary(sdk_event(attributes, body), _FORMAT)
    except UnicodeEncodeError:  # an unpaired surrogate, which JSON may contain and UTF-8 may not
        texts = {name: _without_surrogates(value) for name, value in attributes.items() if name != "time"}
        return to_binary(sdk_event(attributes | texts, body), _FORMAT)


def _utc_time(event: Event) -> datetime:
    """The time in UTC: the SDK would write seconds in the offset of a zone, which RFC 3339 does not allow."""
    time = event.time
    if time is None:
        if event.source is None:
            raise ValueError("time is not set")
        return EPOCH  # encode() removes it; the SDK would set the current time
    if time.utcoffset() is None:
        raise ValueError(f"time is {time.isoformat()}: write a time with a zone, like datetime.now(UTC)")
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"time is {time.isoformat()}: in UTC it is outside the years 1 to 9999") from None


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


def _without_surrogates(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
