"""The CRD's rules beyond types: each as CEL for the API server and as Python with the same meaning for ``lint``.

A rule's message says what to write. Sources: contract §1.6 (Destination), CloudEvents 1.0 (extension names), Go's
duration grammar, design §5 (what CEL can carry).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from adapter.contract.durations import parse_duration
from adapter.contract.formats import RESERVED_EXTENSIONS
from adapter.listening.authentication import COMPLETE
from adapter.model.fields import HEADER_NAME, HEADER_NAMES, HEADER_VALUES
from sources_cli.schema.go_url import is_http_url

Json = Any


@dataclass(frozen=True)
class Rule:
    cel: str
    message: str
    holds: Callable[[Json], bool]  # on a value whose types are right
    field_path: str = ""  # below the place of the rule, like ".sink"
    required: bool = False  # reported as "Required value"

    def as_schema(self) -> Json:
        schema = {"rule": self.cel, "message": self.message}
        if self.field_path:
            schema["fieldPath"] = self.field_path
        if self.required:
            schema["reason"] = "FieldValueRequired"
        return schema


def matching(pattern: str, message: str) -> Rule:
    """The whole text matches; ``pattern`` means the same to RE2 and to Python."""
    whole = re.compile(f"(?:{pattern})", re.ASCII)
    return Rule(f"self.matches('^({_quoted(pattern)})$')", message, lambda text: bool(whole.fullmatch(text)))


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _needs(name: str, message: str) -> Rule:
    return Rule(
        f"has(self.{name}) && self.{name} != ''",
        message,
        lambda value: bool(value.get(name)),
        f".{name}",
        required=True,
    )


# A text of this grammar and of at most 16 characters is shorter than the 292 years that overflow a Go duration.
_NUMBER = r"([0-9]{1,%d}(\.[0-9]*)?|\.[0-9]+)"
_DURATION = rf"\+?({_NUMBER % 6}h|{_NUMBER % 7}m|{_NUMBER % 9}s|{_NUMBER % 12}(ms|us|µs|μs|ns))+"
DURATION_MAX_LENGTH = 16
_IS_DURATION = re.compile(_DURATION, re.ASCII)
_SAYS_DURATION = "write a duration like 10s, 1m30s or 250ms (units: h, m, s, ms, us, ns)"
_MATCHES_DURATION = f"self.matches('^{_quoted(_DURATION)}$')"
_AT_LEAST = Rule(
    f"!{_MATCHES_DURATION} || duration(self) >= duration('1ms')",
    "must be at least 1ms",
    lambda text: not _IS_DURATION.fullmatch(text) or parse_duration(text) >= 1_000_000,
)
DURATION = (Rule(_MATCHES_DURATION, _SAYS_DURATION, lambda text: bool(_IS_DURATION.fullmatch(text))), _AT_LEAST)
INTERVAL = (  # the hook leaves an empty one out, and the class's default counts
    Rule(f"self == '' || {_MATCHES_DURATION}", _SAYS_DURATION, lambda text: text == "" or DURATION[0].holds(text)),
    _AT_LEAST,
)

# Bounds by grammar: CEL reads no ISO 8601, and arithmetic on parts of a text costs more than the API server allows.
_FRACTION = r"(\.[0-9]{1,9})?"
_MINUTE = rf"M([0-5]?[0-9]{_FRACTION}S)?"
TIMEOUT = matching(
    rf"PT(10M|[1-9]{_MINUTE}|(600|[1-5][0-9]{{2}}{_FRACTION}|[1-9][0-9]?{_FRACTION}"
    r"|0\.(00[1-9]|0[1-9]|[1-9])[0-9]{0,6})S)",
    "write an ISO 8601 duration from PT0.001S to PT10M, like PT10S or PT1M30S",
)
DELAY = matching(
    rf"PT(1H|60M|[0-5]?[0-9]{_MINUTE}|(3600|(3[0-5][0-9]{{2}}|[12][0-9]{{3}}|[0-9]{{1,3}}){_FRACTION})S)",
    "write an ISO 8601 duration from PT0S to PT1H, like PT0.5S or PT1M30S",
)

KEY_REFERENCE = (
    Rule(
        "has(self.secretKeyRef) != has(self.configMapKeyRef)",
        "name one place: secretKeyRef or configMapKeyRef, with name and key",
        lambda value: ("secretKeyRef" in value) != ("configMapKeyRef" in value),
    ),
)
KEY_OF = (_needs("name", "write the object's name"), _needs("key", "write the key in the object's data"))
# A leading ".." is Kubernetes' own, in the volumes it makes of a Secret.
KEY = matching(
    r"|\.?[-_a-zA-Z0-9][-._a-zA-Z0-9]*", "write a key: letters, digits, '-', '_' and '.', but not '..' first"
)

_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_PART = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_PART}(\.{_PART})*"
API_VERSION = matching(
    r"|([a-z0-9.-]+/)?v[a-z0-9]+", "write the object's apiVersion, like v1 or eventing.knative.dev/v1"
)
KIND = matching(r"|[A-Za-z][A-Za-z0-9]*", "write the object's kind, like Service or Broker")
OBJECT_NAME = matching(rf"|{_SUBDOMAIN}", "write an object's name: lower-case letters, digits, '-' and '.'")
NAMESPACE = matching(rf"|{_LABEL}", "write a namespace's name: lower-case letters, digits and '-'")
REFERENCE = (
    _needs("apiVersion", "write the object's apiVersion, like v1"),
    _needs("kind", "write the object's kind, like Service"),
    _needs("name", "write the object's name"),
)

_PORT_NAME = r"[a-z0-9-]{1,63}"


def _is_port(value: int | str) -> bool:
    if isinstance(value, int):
        return 1 <= value <= 65535
    if re.fullmatch("[0-9]+", value, re.ASCII):
        return bool(re.fullmatch("[0-9]{1,5}", value, re.ASCII)) and 1 <= int(value) <= 65535
    return bool(re.fullmatch(_PORT_NAME, value, re.ASCII))


PORT = Rule(
    "type(self) == int ? self >= 1 && self <= 65535 : string(self).matches('^[0-9]+$')"
    " ? string(self).matches('^[0-9]{1,5}$') && int(self) >= 1 && int(self) <= 65535"
    f" : string(self).matches('^{_PORT_NAME}$')",
    "write a port number from 1 to 65535, or a port's name",
    _is_port,
)

_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]*:"
_IS_SCHEME = re.compile(_SCHEME, re.ASCII)
_UNPRINTABLE = r"[\pC\pZ]"
# url() fails aloud where isURL() is true of a "//…" that is none, so the scheme is looked at first.
_HTTP_URL = "(self.uri.matches('^(?i)https?://') && isURL(self.uri) && url(self.uri).getHostname() != '')"
_USER_IN_URL = "^[A-Za-z]+://[^/?#]*@"


def is_printable(text: str) -> bool:
    """Nothing of Unicode's C and Z."""
    return not any(unicodedata.category(char)[0] in "CZ" for char in text)


def _alone(sink: Mapping[str, Json]) -> bool:
    """Whether there is a printable uri and no ref; of another one other rules speak."""
    return "ref" not in sink and "uri" in sink and is_printable(sink["uri"])


def _is_relative(sink: Mapping[str, Json]) -> bool:
    if "ref" not in sink or "uri" not in sink:
        return True
    return not _IS_SCHEME.match(sink["uri"]) and not sink["uri"].startswith("//")


HAS_SINK = Rule(
    "has(self.sink) && (has(self.sink.ref) || has(self.sink.uri))",
    "set spec.sink.ref (an object like a Service or Broker) or spec.sink.uri (a URL)",
    lambda spec: bool(spec.get("sink")) and ("ref" in spec["sink"] or "uri" in spec["sink"]),
    ".sink",
    required=True,
)
HAS_DEAD_LETTER_SINK = Rule(
    "!has(self.deadLetterSink) || has(self.deadLetterSink.ref) || has(self.deadLetterSink.uri)",
    "set its ref (an object like a Service or Broker) or its uri (a URL)",
    lambda delivery: "deadLetterSink" not in delivery or not {"ref", "uri"}.isdisjoint(delivery["deadLetterSink"]),
    ".deadLetterSink",
    required=True,
)
_NOT_ALONE = f"has(self.ref) || !has(self.uri) || self.uri.matches('{_quoted(_UNPRINTABLE)}')"
SINK = (
    Rule(
        f"{_NOT_ALONE} || {_HTTP_URL}",
        "without ref, write an absolute http(s) URL like http://host/path",
        lambda sink: not _alone(sink) or is_http_url(sink["uri"]),
        ".uri",
    ),
    Rule(
        f"!has(self.ref) || !has(self.uri) || (!self.uri.matches('^{_SCHEME}') && !self.uri.startsWith('//'))",
        "beside ref, write a path relative to it, like /events",
        _is_relative,
        ".uri",
    ),
)
HTTP_URL = (
    Rule(
        f"self.matches('{_quoted(_UNPRINTABLE)}') || {_HTTP_URL.replace('self.uri', 'self')}",
        "write an absolute http(s) URL like http://host/path",
        lambda text: not is_printable(text) or is_http_url(text),
    ),
    Rule(
        f"!self.matches('{_USER_IN_URL}')",
        "must hold no user or password; these belong into a Secret",
        lambda text: not re.match(_USER_IN_URL, text, re.ASCII),
    ),
)
_TO_PORT = "^[A-Za-z]+://[^/?#]*:"
_USABLE = "(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})"
_HAS_PORT = re.compile(f"{_TO_PORT}[0-9]+([/?#]|$)", re.ASCII)
_HAS_USABLE_PORT = re.compile(f"{_TO_PORT}0*{_USABLE}([/?#]|$)", re.ASCII)
PORT_OF_URL = Rule(
    f"!self.matches('{_HAS_PORT.pattern}') || self.matches('{_HAS_USABLE_PORT.pattern}')",
    "its port must be from 1 to 65535",
    lambda text: not _HAS_PORT.search(text) or bool(_HAS_USABLE_PORT.search(text)),
)
PRINTABLE = Rule(
    f"!self.matches('{_quoted(_UNPRINTABLE)}')",
    "must not hold spaces or control characters; write them percent-encoded",
    is_printable,
)

_PEM = r"-----BEGIN CERTIFICATE-----\s+[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----"
CERTIFICATES = Rule(
    f"self.matches('{_quoted(_PEM)}') && !self.contains('PRIVATE KEY')",
    "write PEM certificates and nothing secret: -----BEGIN CERTIFICATE-----, base64 lines, -----END CERTIFICATE-----",
    lambda text: bool(re.search(_PEM, text, re.ASCII)) and "PRIVATE KEY" not in text,
)


def _of_the_class(rule: Mapping[str, str], holds: Callable[[Json], bool]) -> Rule:
    return Rule(rule["rule"], rule["message"], holds)


WEBHOOK_AUTH = _of_the_class(COMPLETE, lambda auth: ("secret" in auth) == (auth["type"] != "none"))
HEADERS = (
    _of_the_class(HEADER_NAMES, lambda headers: all(HEADER_NAME.fullmatch(name) for name in headers)),
    _of_the_class(HEADER_VALUES, lambda headers: all(re.fullmatch("[ -~]*", it) for it in headers.values())),
)
_RESERVED = ", ".join(sorted(RESERVED_EXTENSIONS))
EXTENSIONS = (
    Rule(
        "self.all(name, name.matches('^[a-z0-9]{1,20}$'))",
        "extension names are 1 to 20 lower-case letters and digits",
        lambda names: all(re.fullmatch("[a-z0-9]{1,20}", name, re.ASCII) for name in names),
    ),
    Rule(
        "self.all(name, !(name in [{}]))".format(", ".join(f"'{name}'" for name in sorted(RESERVED_EXTENSIONS))),
        f"these names are CloudEvents' own: {_RESERVED}; choose another",
        lambda names: not any(name in RESERVED_EXTENSIONS for name in names),
    ),
)

BY_CEL = {
    rule.cel: rule
    for rule in (
        *DURATION, *INTERVAL, TIMEOUT, DELAY, *KEY_REFERENCE, *KEY_OF, KEY, API_VERSION, KIND, OBJECT_NAME, NAMESPACE,
        *REFERENCE, PORT, *HTTP_URL, WEBHOOK_AUTH, *HEADERS, HAS_SINK, HAS_DEAD_LETTER_SINK, *SINK, PRINTABLE,
        PORT_OF_URL, CERTIFICATES, *EXTENSIONS,
    )
}  # fmt: skip
