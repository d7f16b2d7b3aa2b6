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
_LEAP_SECOND = re.compile(r"(:\d\d):60", re.ASCII)
_ATTRIBUTE_NAME = re.compile(r"[a-z0-9]+", re.ASCII)
_GO_ESCAPES = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}
# What YAML has no place for: server-side apply, which sends it, refuses the whole object. In JSON it can be escaped.
YAML_ESCAPES = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0xFFFE, 0xFFFF)}
_GO_JSON_ESCAPES = _GO_ESCAPES | YAML_ESCAPES
RESERVED_EXTENSIONS = frozenset(
    ("id", "source", "specversion", "type", "datacontenttype", "dataschema", "subject", "time", "data", "data_base64")
)


def extension_problem(name: str, longest: int | None = 20) -> str | None:
    """Why ``name`` cannot be a CloudEvents extension, or None. CloudEvents 1.0 §"Extension Context Attributes".

    That a name has at most 20 characters is a SHOULD: a rule for what is made here, not for what others made (None).
    """
    if name in RESERVED_EXTENSIONS:
        return f'extension name "{name}" is reserved by CloudEvents; choose another name'
    if not _ATTRIBUTE_NAME.fullmatch(name) or (longest is not None and len(name) > longest):
        size = "" if longest is None else f"1 to {longest} "
        return f'extension name "{name}" is not valid; write {size}lower-case letters and digits'
    return None


def header_octets(value: str) -> bytes:
    """A header's value as it came: HTTP servers give each octet as one latin-1 character."""
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode("utf-8", "replace")  # no server's: a test wrote it


def header_text(value: str) -> str:
    """What a header says: UTF-8 where it is that, else latin-1."""
    try:
        return header_octets(value).decode("utf-8")
    except UnicodeDecodeError:
        return value


def is_header_text(value: str) -> bool:
    """Whether it may stand in a header unencoded, as a media type does."""
    return bool(value) and value.isascii() and value.replace("\t", " ").isprintable()


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


# json.dumps would make an encoder each time.
sorted_json = json.JSONEncoder(separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode


def go_json(value: Json) -> str:
    """Compact JSON as Go's ``json.Marshal`` writes it: sorted keys, ``<>&`` and U+2028/9 escaped."""
    return sorted_json(value).translate(_GO_JSON_ESCAPES)


def format_time(time: datetime) -> str:
    """RFC 3339 in UTC, whole seconds, as Kubernetes writes ``metav1.Time``."""
    return time.astimezone(UTC).isoformat(timespec="seconds")[: -len("+00:00")] + "Z"


def parse_time(text: str) -> datetime:
    """An RFC 3339 time, as Kubernetes writes ``creationTimestamp``; ISO 8601 allows more."""
    try:
        if _RFC3339.fullmatch(text):
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError("write an RFC 3339 time like 2026-01-31T12:00:00Z")


class VerbatimTimestamp(datetime):
    """A time that somebody else wrote, to be sent on in the same words: a datetime has no nanoseconds, for one."""

    text = ""

    @classmethod
    def read(cls, text: str) -> VerbatimTimestamp:
        """``ValueError`` if it is no RFC 3339 time."""
        plain = _LEAP_SECOND.sub(r"\1:59", text, count=1)
        time = parse_time(plain)
        if plain != text and (time.hour, time.minute) != (23, 59):
            raise ValueError("there are leap seconds only at 23:59:60 UTC")
        self = cls.combine(time.date(), time.timetz())
        self.text = text
        return self
