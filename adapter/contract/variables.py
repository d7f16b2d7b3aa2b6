"""The value of one environment variable <-> its text. Readers raise ``ValueError`` with what to write. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from adapter.contract.delivery_policy import read_policy
from adapter.contract.formats import (
    EPOCH,
    YAML_ESCAPES,
    Json,
    format_time,
    go_json,
    is_http_url,
    override_problem,
    sorted_json,
)

CHECKPOINT_SCHEMES = ("file", "postgresql", "redis", "rediss")
CHECKPOINT_EXPECTATION = "write postgresql://…, redis://… or rediss://… with a host, or file:///DIRECTORY"
SINK_EXPECTATION = "write the absolute http(s) URL that events are sent to"


def config(text: str) -> dict[str, Json]:
    return _json_object(text, "write one JSON object with the spec fields of the kind")


def auth(text: str) -> dict[str, Json]:
    return _json_object(text, "write one JSON object with the fields of spec.sinkAuth")


def delivery(text: str) -> dict[str, Json]:
    fields = _json_object(text, "write one JSON object with the fields of spec.delivery")
    read_policy(fields)
    return fields


def text(value: Any) -> str | None:
    return None if value is None else str(value)


def object_text(value: Mapping[str, Json] | None) -> str | None:
    return None if value is None else sorted_json(value).translate(YAML_ESCAPES)


def created_text(time: datetime) -> str | None:
    """None if the time is not known."""
    return None if time == EPOCH else format_time(time)


def overrides(text: str) -> dict[str, str]:
    expectation = 'write a JSON object like {"extensions":{"name":"value"}}'
    extensions = _json_object(text, expectation).get("extensions", {})
    if not isinstance(extensions, dict) or not all(isinstance(value, str) for value in extensions.values()):
        raise ValueError(expectation)
    for name in extensions:
        if problem := override_problem(name):
            raise ValueError(problem)
    return extensions


def overrides_text(extensions: Mapping[str, str] | None) -> str:
    """As Knative writes it: empty without ``ceOverrides``, ``{}`` without extensions."""
    if extensions is None:
        return ""
    return go_json({"extensions": dict(extensions)} if extensions else {})


def kind(text: str) -> str:
    if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", text, re.ASCII):
        raise ValueError("write a kind in CamelCase like SampleSource")
    return text


def package(text: str) -> str:
    if not all(part.isidentifier() for part in text.split(".")):
        raise ValueError("write a dotted Python package like adapter.sources")
    return text


def port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) or not 1 <= int(text) <= 65535:
        raise ValueError("write a port number from 1 to 65535")
    return int(text)


def port_or_any(text: str) -> int:
    try:
        return 0 if text == "0" else port(text)
    except ValueError as error:
        raise ValueError(f"{error}, or 0 for any free port") from None


def positive_seconds(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", text, re.ASCII) or int(text) < 1:
        raise ValueError("write whole seconds, at least 1")
    return int(text)


def url(text: str) -> str:
    if not is_http_url(text):
        raise ValueError(SINK_EXPECTATION)
    return text


def checkpoint_url(text: str) -> str:
    """``file:///DIRECTORY``, ``postgresql://…``, ``redis://…`` or ``rediss://…``."""
    try:
        url = urlsplit(text)
        valid = url.scheme in CHECKPOINT_SCHEMES and bool(url.path if url.scheme == "file" else url.hostname)
        valid = valid and (url.port or 1) > 0
    except ValueError:
        valid = False
    if not valid:
        raise ValueError(CHECKPOINT_EXPECTATION)
    return text


def _json_object(text: str, expectation: str) -> dict[str, Json]:
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ValueError(expectation)
    return value


def _no_constant(name: str) -> Json:
    raise ValueError(name)
