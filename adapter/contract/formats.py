"""Text formats of Kubernetes, Go and CloudEvents: times, URLs, JSON, extension names, header values. Pure."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, unquote_plus, urlsplit

Json = Any  # a value of ``json.loads``
# For sys.set_int_max_str_digits(). The time to read and write an integer grows with the square of its digits: with this
# limit, 4 MiB of integers take at most 0.2 s to read and 0.5 s to write.
INTEGER_DIGITS = 10_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_SCHEME = re.compile("[A-Za-z][A-Za-z0-9+.-]*://", re.ASCII)
SECRET_LENGTH = 8  # a shorter value in the query of a URL is no secret
_LEAP_SECOND = re.compile(r"(:\d\d):60", re.ASCII)
_ATTRIBUTE_NAME = re.compile(r"[a-z0-9]+", re.ASCII)
_GO_ESCAPES = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}
# YAML does not allow these characters, and server-side apply sends YAML. JSON can escape them.
YAML_ESCAPES = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0xFFFE, 0xFFFF)}
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")  # letters without a glyph; isprintable() is true
_GO_JSON_ESCAPES = _GO_ESCAPES | YAML_ESCAPES
RESERVED_EXTENSIONS = frozenset(
    ("id", "source", "specversion", "type", "datacontenttype", "dataschema", "subject", "time", "data", "data_base64")
)

TRACE_EXTENSIONS = ("traceparent", "tracestate")
NO_COMMON_TRACE = "all events would be in one trace, and each has its own; remove it"


def extension_problem(name: str, longest: int | None = 20) -> str | None:
    """Why ``name`` is not a valid CloudEvents extension name, or None (CloudEvents 1.0).

    The limit of 20 characters is a SHOULD. It applies to events that the adapter creates; ``longest=None`` is for
    received events.
    """
    if name in RESERVED_EXTENSIONS:
        return f'extension name "{name}" is reserved by CloudEvents; choose another name'
    if not _ATTRIBUTE_NAME.fullmatch(name) or (longest is not None and len(name) > longest):
        size = "" if longest is None else f"1 to {longest} "
        return f'extension name "{name}" is not valid; write {size}lower-case letters and digits'
    return None


def override_problem(name: str) -> str | None:
    """Why ``spec.ceOverrides`` cannot set the extension ``name``, or None."""
    if name in TRACE_EXTENSIONS:
        return f'extension name "{name}" is not allowed: {NO_COMMON_TRACE}'
    return extension_problem(name)


def header_octets(value: str) -> bytes:
    """The octets of a header value. HTTP servers decode each octet as one latin-1 character."""
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode("utf-8", "replace")  # not from an HTTP server


def header_text(value: str) -> str:
    """A header value decoded as UTF-8, or as latin-1 if it is not valid UTF-8."""
    try:
        return header_octets(value).decode("utf-8")
    except UnicodeDecodeError:
        return value


def is_header_text(value: str) -> bool:
    """Whether a header can carry the text without encoding: printable ASCII and tabs."""
    return bool(value) and value.isascii() and value.replace("\t", " ").isprintable()


def is_printable(text: str) -> bool:
    """Whether all characters are printable and none is white space."""
    return text.isprintable() and " " not in text  # no other white space is printable


def printable(text: str) -> str:
    """One line that a terminal shows as text: foreign text may contain commands for it, or hide what it says.

    Replaced are control characters and line breaks, characters that change the direction of the text, and invisible
    ones. Octets of a file name that are not UTF-8 stay: Python escapes them when it prints them.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if is_visible(char) or "\udc80" <= char <= "\udcff" else "�" for char in text)


def is_visible(char: str) -> bool:
    return char.isprintable() and char not in _INVISIBLE


def is_http_url(text: str) -> bool:
    """Whether the text is an absolute http(s) URL with a host and, if it has a port, a valid one."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and is_printable(text)
    except ValueError:
        return False


def public_url(text: str) -> str:
    """A URL as people may see it: without user, password, query and fragment. Each output uses this rule.

    A path with an ``@`` is left out, too: it may be the end of a password with a slash. Of a text that is no URL, the
    part before the last ``@`` is left out.
    """
    if not any(mark in text for mark in "@?#"):
        return text
    if is_http_url(text):
        parts = urlsplit(text)
        path = "" if "@" in parts.path else parts.path
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], path=path, query="", fragment="").geturl()
    scheme = _SCHEME.match(text)
    start = scheme.end() if scheme else 0
    return text[:start] + re.split("[?#]", text[start:].rpartition("@")[2], maxsplit=1)[0]


def url_secrets(url: str) -> Iterator[str]:
    """What :func:`public_url` leaves out of a URL of any scheme, and the credentials as in a header of HTTP."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    if not parts.scheme or not parts.netloc:
        return
    if parts.password:
        user, password = unquote(parts.username or ""), unquote(parts.password)
        yield from (parts.password, password, b64encode(f"{user}:{password}".encode()).decode())
    elif parts.username:  # a token may be written as the user
        user = unquote(parts.username)
        yield from {parts.username: 1, user: 1, b64encode(f"{user}:".encode()).decode(): 1}
    for pair in (*parts.query.split("&"), parts.fragment):
        value = pair.partition("=")[2] or pair
        if len(value) >= SECRET_LENGTH:
            yield from {value: 1, unquote_plus(value): 1}


# json.dumps would create an encoder for each call.
sorted_json = json.JSONEncoder(separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode


def go_json(value: Json) -> str:
    """Compact JSON as Go's ``json.Marshal`` writes it: sorted keys, ``<>&`` and U+2028/9 escaped."""
    return sorted_json(value).translate(_GO_JSON_ESCAPES)


def quoted(value: Json) -> str:
    """A value for a message, with at most 80 characters of it: a scalar as JSON, of an object only the keys.

    The members of an object or a list are left out: they may be long, and they may be secrets. A URL is shown without
    its secrets.
    """
    if isinstance(value, dict):
        keys = quoted(", ".join(map(str, value)))[1:-1]
        return f"an object with the key{'s' if len(value) > 1 else ''} {keys}" if value else "an empty object"
    if isinstance(value, list | tuple):
        return f"a list with {len(value)} item{'' if len(value) == 1 else 's'}" if value else "an empty list"
    if isinstance(value, str) and "-----BEGIN" in value:
        return "a text in PEM format"  # it may be a private key
    if isinstance(value, str):
        return _escaped(json.dumps(_cut(public_url(value) if "://" in value else value), ensure_ascii=False))
    return _cut(json.dumps(value, ensure_ascii=False, default=str))


def _escaped(text: str) -> str:
    """JSON without invisible characters: it leaves those beyond U+007E as they are, and a terminal may obey them."""
    return "".join(char if is_visible(char) else json.dumps(char)[1:-1] for char in text)


def _cut(text: str) -> str:
    return text if len(text) <= 80 else text[:80] + "…"


def format_time(time: datetime) -> str:
    """RFC 3339 in UTC, whole seconds, as Kubernetes writes ``metav1.Time``."""
    return time.astimezone(UTC).isoformat(timespec="seconds")[: -len("+00:00")] + "Z"


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 time such as ``creationTimestamp``. Other ISO 8601 forms are a ``ValueError``."""
    try:
        if _RFC3339.fullmatch(text):
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError("write an RFC 3339 time like 2026-01-31T12:00:00Z")


def is_time(text: str) -> bool:
    """Whether :func:`parse_time` can read it."""
    try:
        parse_time(text)
    except ValueError:
        return False
    return True


class VerbatimTimestamp(datetime):
    """A received time that is forwarded with its original text: a datetime cannot hold nanoseconds or leap seconds."""

    text = ""

    @classmethod
    def read(cls, text: str) -> VerbatimTimestamp:
        """``ValueError`` if the text is not an RFC 3339 time."""
        plain = _LEAP_SECOND.sub(r"\1:59", text, count=1)
        time = parse_time(plain)
        if plain != text and (time.hour, time.minute) != (23, 59):
            raise ValueError("there are leap seconds only at 23:59:60 UTC")
        self = cls.combine(time.date(), time.timetz())
        self.text = text
        return self


def json_cost(text: bytes) -> int:
    """At most about so many bytes of Python objects are in this JSON text, with those that exist while it is parsed.

    Measured with pydantic-core: an object with one member takes 330 bytes, another member 170, an empty object or list
    96. Commas and brackets within strings are counted, too.
    """
    members, objects, lists = text.count(b","), text.count(b"{") - text.count(b"{}"), text.count(b"[")
    return len(text) + 170 * members + 300 * objects + 100 * lists
