"""What a CloudEvent is, version 1.0, and what its attributes may be (spec.md). Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adapter.contract.formats import RESERVED_EXTENSIONS, VerbatimTimestamp, extension_problem, is_header_text

REQUIRED = ("specversion", "id", "source", "type")
Json = Any
Value = str | int | bool  # of an extension, before it is written


@dataclass(frozen=True)
class CloudEvent:
    """``data``: its octets, None if there is none; ``content_type``: of these octets, empty if nobody says."""

    attributes: Mapping[str, str]  # those that CloudEvents defines
    extensions: Mapping[str, Value]
    data: bytes | None
    content_type: str


def media_type(content_type: str) -> str:
    """Without parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def is_json(content_type: str) -> bool:
    """JSON format §3.1.1: ``*/json`` or ``*/*+json``."""
    subtype = media_type(content_type).partition("/")[2]
    return subtype == "json" or subtype.endswith("+json")


def canonical(value: Value) -> str:
    """CloudEvents' string form of an attribute's value."""
    return ("false", "true")[value] if isinstance(value, bool) else str(value)


def checked(event: dict[str, Json]) -> tuple[dict[str, str], dict[str, Value]]:
    """Attributes and extensions."""
    if missing := [name for name in REQUIRED if name not in event]:
        raise ValueError(f"required attributes are missing: {', '.join(missing)}")
    attributes = {name: event[name] for name in event if name in RESERVED_EXTENSIONS}
    extensions = {name: event[name] for name in event if name not in RESERVED_EXTENSIONS}
    for name, value in attributes.items():
        if not isinstance(value, str) or not value:
            raise ValueError(f"{name} is {json.dumps(value)}; write a string that is not empty")
    for name, value in extensions.items():
        if problem := extension_problem(name, longest=None):
            raise ValueError(problem)
        if not isinstance(value, str | int):  # a bool is an int
            raise ValueError(f'extension "{name}" is {json.dumps(value)}; write a string, an integer or a boolean')
    if broken := [name for name, value in event.items() if isinstance(value, str) and not _is_unicode(value)]:
        raise ValueError(f"{broken[0]} holds half of a surrogate pair, which is no character")
    _check_grammar(attributes)
    return attributes, extensions


def _check_grammar(attributes: Mapping[str, str]) -> None:
    if attributes["specversion"] != "1.0":
        raise ValueError(f"specversion is {attributes['specversion']}; only 1.0 is known")
    if not is_header_text(attributes.get("datacontenttype", "-")):
        raise ValueError(f"the content type is {json.dumps(attributes['datacontenttype'])}; write a media type")
    try:
        VerbatimTimestamp.read(attributes.get("time", "1970-01-01T00:00:00Z"))
    except ValueError as error:
        raise ValueError(f"time is {attributes['time']}: {error}") from None


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)
