"""CloudEvents as they come in over HTTP: binary and structured mode. Pure.

Nothing is lost: data is the octets that binary mode has as its body. The rules are CloudEvents' own
(http-protocol-binding.md, json-format.md of 1.0.2); ``ValueError`` says which one is broken.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any
from urllib.parse import unquote

from adapter.cloudevents.attributes import CloudEvent, checked, is_json, media_type
from adapter.contract.formats import header_octets
from adapter.serving.messages import Request

FAMILY = "application/cloudevents"  # media types that begin so: structured mode, or batched mode
CHARSETS = ("utf-8", "us-ascii", "iso-8859-1")
_CHARSET = re.compile(r';\s*charset\s*=\s*"?([^";\s]+)', re.IGNORECASE)
_SPACE = re.compile(r"[ \t\r\n]*")
Json = Any


class Unsupported(ValueError):
    """An event format or a mode that is not read here."""


def is_structured(request: Request) -> bool:
    """The content type decides, whatever ``ce-`` headers there are beside it (HTTP binding §3)."""
    return media_type(request.headers.get("content-type", "")).startswith(FAMILY)


def read_event(request: Request) -> CloudEvent:
    if not is_structured(request):
        return _binary(request)
    if (name := media_type(request.headers["content-type"])) != f"{FAMILY}+json":
        raise Unsupported(f"content type {name} is not supported; send {FAMILY}+json, one event a request")
    return _structured(request.body)


def _binary(request: Request) -> CloudEvent:
    event = {name[3:]: _attribute(name, value) for name, value in request.headers.items() if name.startswith("ce-")}
    for name in ("datacontenttype", "data", "data_base64"):
        if name in event:
            raise ValueError(f"there is no header ce-{name}; the body is the data, Content-Type says its type")
    content_type = request.headers.get("content-type", "")
    attributes, extensions = checked({**event, **({"datacontenttype": content_type} if content_type else {})})
    return CloudEvent(attributes, extensions, request.body or None, content_type)


def _attribute(name: str, value: str) -> str:
    """HTTP binding §3.1.3.2: the value may be a quoted string, then it is percent-encoded."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    try:
        return unquote(header_octets(value).decode("utf-8"), errors="strict")
    except UnicodeDecodeError:
        raise ValueError(f"header {name} is not percent-encoded UTF-8") from None


def _structured(body: bytes) -> CloudEvent:
    try:
        text = body.decode("utf-8-sig")
        event = json.loads(text, parse_int=_integer, parse_constant=_no_json)
    except (ValueError, RecursionError):
        raise ValueError("the body is not JSON, though its content type says so") from None
    if not isinstance(event, dict):
        raise ValueError("a structured event must be a JSON object")
    members = {name: it for name, it in event.items() if it is not None and name not in ("data", "data_base64")}
    attributes, extensions = checked(members)
    content_type = attributes.get("datacontenttype", "")
    if event.get("data_base64") is not None:
        if event.get("data") is not None:
            raise ValueError("data and data_base64 exclude each other")
        return CloudEvent(attributes, extensions, _octets(event["data_base64"]), content_type)
    if "data" not in event:
        return CloudEvent(attributes, extensions, None, content_type)
    if not content_type or is_json(content_type):  # §3.1.2: data is JSON, too, where nothing says what it is
        del event  # a body of a megabyte may be 25 in memory; not twice
        return CloudEvent(attributes, extensions, _written(text, "data").encode(), content_type or "application/json")
    return CloudEvent(attributes, extensions, _text(event["data"], content_type), content_type)


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
        raise ValueError(f"data is no string, though its content type is {content_type}; send JSON as application/json")
    named = _CHARSET.search(content_type)
    charset = named[1].lower() if named else "utf-8"
    if charset not in CHARSETS:
        raise ValueError(f"data in charset {charset} is not supported; send data_base64")
    try:
        return data.encode(charset)
    except UnicodeEncodeError:
        raise ValueError(f"data cannot be written in charset {charset}, which its content type names") from None


def _written(text: str, name: str) -> str:
    """A member as it is written, so with all digits of its numbers; ``text`` is a JSON object that has it.

    Of equal names the last one counts, as for ``json``.
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
    """Python reads no integer of more than 4300 digits; JSON may hold one."""
    return int(digits) if len(digits) < 20 else float(digits)


def _no_json(word: str) -> None:
    raise ValueError(f"{word} is not JSON")
