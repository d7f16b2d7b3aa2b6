"""One event -> the headers and body of its HTTP request: CloudEvents 1.0, binary mode. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from adapter.contract.formats import VerbatimTimestamp, extension_problem, is_header_text
from adapter.model.event import Event

_encoded_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
_ENCODED = re.compile(r"[^!#$&-~]")


@dataclass(frozen=True)
class Message:
    headers: dict[str, str]
    body: bytes


def encode(event: Event, *, source: str, namespace: str, overrides: Mapping[str, str]) -> Message:
    """``event`` has its id and time; ``overrides`` win over its extensions. ``ValueError`` if it cannot be sent.

    One that somebody else made (it has a ``source``) goes on as it is: it may lack a time, and a ``content_type`` ("").
    The error's text names the attribute and never holds data: it goes to the log.
    """
    if event.time is None and event.source is None:
        raise ValueError("time is not set")
    attributes = {
        "specversion": "1.0",
        "id": _filled("id", event.id),
        "source": event.source or source,
        "type": _filled("type", event.type),
        **({} if event.time is None else {"time": format_event_time(event.time)}),
        **({} if event.subject is None else {"subject": _filled("subject", event.subject)}),
        **({} if event.dataschema is None else {"dataschema": _filled("dataschema", event.dataschema)}),
        **_extensions({**event.extensions, **overrides}, longest=20 if event.source is None else None),
    }
    content_type, body = _content(event.data)
    content_type = content_type if event.content_type is None else _media_type(event.content_type)
    typed = {"Content-Type": content_type} if content_type else {}
    headers = {f"ce-{name}": encode_header(value) for name, value in attributes.items()}
    return Message({**typed, **headers, "Kn-Namespace": encode_header(namespace)}, body)


def with_extensions(message: Message, extensions: Mapping[str, str]) -> Message:
    """The same event with more extensions."""
    headers = {f"ce-{name}": encode_header(value) for name, value in extensions.items()}
    return Message(message.headers | headers, message.body)


def encode_header(value: str) -> str:
    """Percent-encode space, ``"``, ``%`` and all outside U+0021-U+007E (CloudEvents HTTP binding §3.1.3.2)."""
    return _ENCODED.sub(lambda found: _percent(found[0].encode("utf-8", "replace")), value)


def format_event_time(time: datetime) -> str:
    """RFC 3339 in UTC; to the millisecond, or to the microsecond if it has any. What is written already stays so."""
    if isinstance(time, VerbatimTimestamp) and time.text:
        return time.text
    if time.utcoffset() is None:
        raise ValueError(f"time is {time.isoformat()}: it needs a zone, such as datetime.now(UTC) has")
    try:
        time = time.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"time is {time.isoformat()}: in UTC it is outside the years 1 to 9999") from None
    precision = "microseconds" if time.microsecond % 1000 else "milliseconds"
    return time.isoformat(timespec=precision).removesuffix("+00:00") + "Z"


def _content(data: Any) -> tuple[str, bytes]:
    if isinstance(data, bytes | bytearray | memoryview):
        return "application/octet-stream", bytes(data)
    if isinstance(data, str):
        return "text/plain; charset=utf-8", data.encode("utf-8", "replace")
    try:
        text = _encoded_json(data)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"data cannot be written as JSON: {error}") from None
    return "application/json", text.encode("utf-8", "replace")


def _extensions(extensions: Mapping[str, str], longest: int | None) -> Mapping[str, str]:
    for name, value in extensions.items():
        if problem := extension_problem(name, longest):
            raise ValueError(problem)
        if not isinstance(value, str):
            raise ValueError(f'extension "{name}" is of type {type(value).__name__}; write a string')
    return extensions


def _filled(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is {value!r}; write a string that is not empty")
    return value


def _media_type(value: str) -> str:
    """A header goes as it is; what would end it early may not be in it. Empty: there is none."""
    if value and not is_header_text(value):
        raise ValueError(f"content_type is {value!r}; write a media type like application/json")
    return value


def _percent(octets: bytes) -> str:
    return "".join(f"%{octet:02X}" for octet in octets)
