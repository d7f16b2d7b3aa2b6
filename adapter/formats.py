"""Texts as Kubernetes, Go and CloudEvents write them: times, URLs, JSON, names of extensions. Pure."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

Json = Any
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_EXTENSION_NAME = re.compile(r"[a-z0-9]{1,20}", re.ASCII)
_GO_ESCAPES = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}
# What YAML has no place for: server-side apply, which sends it, refuses the whole object. In JSON it can be escaped.
YAML_ESCAPES = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0xFFFE, 0xFFFF)}
_GO_JSON_ESCAPES = _GO_ESCAPES | YAML_ESCAPES
RESERVED_EXTENSIONS = frozenset(
    ("id", "source", "specversion", "type", "datacontenttype", "dataschema", "subject", "time", "data", "data_base64")
)


def extension_problem(name: str) -> str | None:
    """Why ``name`` cannot be a CloudEvents extension, or None. CloudEvents 1.0 §"Extension Context Attributes"."""
    if name in RESERVED_EXTENSIONS:
        return f'extension name "{name}" is reserved by CloudEvents; choose another name'
    if not _EXTENSION_NAME.fullmatch(name):
        return f'extension name "{name}" is not valid; write 1 to 20 lower-case letters and digits'
    return None


def is_printable(text: str) -> bool:
    """Without spaces, too."""
    return all(char.isprintable() and not char.isspace() for char in text)


def is_http_url(text: str) -> bool:
    """Absolute, with a host and no unusable port."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and is_printable(text)
    except ValueError:
        return False


def go_json(value: Json) -> str:
    """Compact JSON as Go's ``json.Marshal`` writes it: sorted keys, ``<>&`` and U+2028/9 escaped."""
    text = json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    return text.translate(_GO_JSON_ESCAPES)


def format_time(time: datetime) -> str:
    """RFC 3339 in UTC, whole seconds, as Kubernetes writes ``metav1.Time``."""
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def parse_time(text: str) -> datetime:
    """An RFC 3339 time, as Kubernetes writes ``creationTimestamp``; ISO 8601 allows more."""
    try:
        if _RFC3339.fullmatch(text):
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError("write an RFC 3339 time like 2026-01-31T12:00:00Z")
