"""Received CloudEvents: HTTP message in binary or structured mode -> attributes and the exact octets of the data. Pure.

The rules are those of CloudEvents 1.0.2 (http-protocol-binding.md, json-format.md); a ``ValueError`` names the violated
one. The SDK checks the attributes, but its readers are not used, because an event must pass through unchanged:

* They add a missing id, time and specversion.
* They parse JSON data, which changes numbers when it is written again: ``1.10e400`` becomes ``Infinity``.
* They truncate a time to microseconds, fail on a leap second, and accept times that are not RFC 3339.
* They replace a header's invalid UTF-8 by U+FFFD, and keep the quotes of a quoted header value.
* They read ``data: null`` as no data, and skip characters that are not base64.

``tests/unit/adapter/cloudevents/test_sdk.py`` shows each of these.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from urllib.parse import unquote

from adapter.cloudevents.attributes import ReceivedEvent, is_json, media_type, split_attributes
from adapter.contract.formats import Json, header_octets
from adapter.serving.messages import Request

CLOUDEVENTS_TYPES = "application/cloudevents"  # prefix of the media types of structured mode and batched mode
CHARSETS = ("utf-8", "us-ascii", "iso-8859-1")
_CHARSET = re.compile(r';\s*charset\s*=\s*"?([^";\s]+)', re.IGNORECASE)
_SPACE = re.compile(r"[ \t\r\n]*")


class Unsupported(ValueError):
    """An event format or a content mode that is not supported."""


def is_structured(request: Request) -> bool:
    """Whether the content type is one of CloudEvents. ``ce-`` headers are then ignored (HTTP binding §3)."""
    return media_type(request.headers.get("content-type", "")).startswith(CLOUDEVENTS_TYPES)


def read_event(request: Request) -> ReceivedEvent:
    """``Unsupported`` for batched mode and formats other than JSON; ``ValueError`` for an invalid event."""
    if not is_structured(request):
        return _binary(request)
    if (name := media_type(request.headers["content-type"])) != f"{CLOUDEVENTS_TYPES}+json":
        raise Unsupported(f"content type {name} is not supported; send {CLOUDEVENTS_TYPES}+json, one event per request")
    return _structured(request.body)


def _binary(request: Request) -> ReceivedEvent:
    event = {name[3:]: _attribute(name, value) for name, value in request.headers.items() if name.startswith("ce-")}
    for name in ("datacontenttype", "data", "data_base64"):
        if name in event:
            raise ValueError(f"header ce-{name} is not allowed; send the data as the body and its type as Content-Type")
    content_type = request.headers.get("content-type", "")
    attributes, extensions = split_attributes({**event, **({"datacontenttype": content_type} if content_type else {})})
    return ReceivedEvent(attributes, extensions, request.body or None, content_type)


def _attribute(name: str, value: str) -> str:
    """HTTP binding §3.1.3.2: a value is percent-encoded, and may be a quoted string."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    try:
        return unquote(header_octets(value).decode("utf-8"), errors="strict")
    except UnicodeDecodeError:
        raise ValueError(f"header {name} is not percent-encoded UTF-8") from None


def _structured(body: bytes) -> ReceivedEvent:
    try:
        text = body.decode("utf-8-sig")
        event = json.loads(text, parse_int=_integer, parse_constant=_no_json)
    except (ValueError, RecursionError):
        raise ValueError("the body is not JSON, but its content type says JSON") from None
    if not isinstance(event, dict):
        raise ValueError("a structured event must be a JSON object")
    members = {name: value for name, value in event.items() if name not in ("data", "data_base64")}
    attributes, extensions = split_attributes({name: value for name, value in members.items() if value is not None})
    content_type = attributes.get("datacontenttype", "")
    if event.get("data_base64") is not None:
        if event.get("data") is not None:
            raise ValueError("the event has data and data_base64; send one of them")
        return ReceivedEvent(attributes, extensions, _octets(event["data_base64"]), content_type)
    if "data" not in event:
        return ReceivedEvent(attributes, extensions, None, content_type)
    if not content_type or is_json(content_type):  # §3.1.2: without a content type, data is JSON
        del event  # parsed JSON may take 25 times the memory of its text; do not hold it twice
        data = _member_text(text, "data").encode()
        return ReceivedEvent(attributes, extensions, data, content_type or "application/json")
    return ReceivedEvent(attributes, extensions, _text(event["data"], content_type), content_type)


def _octets(encoded: Json) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise ValueError("data_base64 is not base64") from None


def _text(data: Json, content_type: str) -> bytes | None:
    """JSON format §3.1.1: a string, "properly encoded according to the datacontenttype"."""
    if data is None:
        return None
    if not isinstance(data, str):
        raise ValueError(f"data is not a string, but its content type is {content_type}; send JSON as application/json")
    named = _CHARSET.search(content_type)
    charset = named[1].lower() if named else "utf-8"
    if charset not in CHARSETS:
        raise ValueError(f"data in charset {charset} is not supported; send data_base64")
    try:
        return data.encode(charset)
    except UnicodeEncodeError:
        raise ValueError(f"data has characters outside charset {charset}, which its content type names") from None


def _member_text(text: str, name: str) -> str:
    """The JSON text of member ``name`` of the object in ``text``, which has one; the last one if there are several.

    It is not parsed and written again, because numbers would lose digits.
    """
    decoder = json.JSONDecoder(parse_int=_integer)
    at, found = text.index("{"), ""
    while text[at] != "}":
        key, at = decoder.raw_decode(text, text.index('"', at))
        start = _after_space(text, text.index(":", at) + 1)
        _, end = decoder.raw_decode(text, start)
        found = text[start:end] if key == name else found
        at = _after_space(text, end)
    return found


def _after_space(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _integer(digits: str) -> int | float:
    """``int`` refuses more than 4300 digits (``sys.set_int_max_str_digits``); JSON has no limit."""
    return int(digits) if len(digits) < 20 else float(digits)


def _no_json(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def parse_event(request: Request) -> dict[str, Json]:
    """Attributes, ``extensions`` and ``data`` of a CloudEvent in binary or structured mode.

    ``data`` is for people and tests: JSON is parsed, and octets that are not UTF-8 are escaped. Raises ``ValueError``
    with the reason if the request is not a CloudEvent.
    """
    return shown_event(read_event(request))


def shown_event(event: ReceivedEvent) -> dict[str, Json]:
    """As :func:`parse_event`, for an event that was read already."""
    return {**event.attributes, "data": _shown(event.data, event.content_type), "extensions": dict(event.extensions)}


def _shown(data: bytes | None, content_type: str) -> Json:
    if not data or not is_json(content_type):
        return None if data is None else data.decode("utf-8", "backslashreplace")
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("the body is not JSON, but its content type says JSON") from None
