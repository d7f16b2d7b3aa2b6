"""CEL rules of the generated CRDs, beyond types and bounds. Each message says what to write.

The API server evaluates them, and ``sources lint`` evaluates the same text. They come from Knative's Destination,
CloudEvents 1.0 (names of extensions), Go's duration grammar, and Kubernetes' object names.
"""

from __future__ import annotations

from typing import Any

from adapter.contract.auth.headers import authorization_in
from adapter.contract.formats import NO_COMMON_TRACE, RESERVED_EXTENSIONS, TRACE_EXTENSIONS
from hooks import names
from hooks.checkpoint import ONE_REPLICA

Rule = dict[str, str]


def rule(cel: str, message: str, *, field_path: str = "", required: bool = False) -> Rule:
    """One entry of ``x-kubernetes-validations``.

    ``field_path``: the field that the error names, relative to the field with the rule, like ``.sink``. ``required``:
    the error is "Required value" instead of "Invalid value".
    """
    entry = {"rule": cel, "message": message}
    if field_path:
        entry["fieldPath"] = field_path
    if required:
        entry["reason"] = "FieldValueRequired"
    return entry


def validations(*rules: Rule) -> dict[str, Any]:
    """The part of a schema that contains these rules."""
    return {"x-kubernetes-validations": list(rules)}


def matching(pattern: str, message: str) -> Rule:
    """The whole text matches ``pattern`` (RE2)."""
    return rule(f"self.matches('^({_escaped(pattern)})$')", message)


def _escaped(text: str) -> str:
    """As the content of a CEL string in single quotes."""
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _required(name: str, message: str) -> Rule:
    return rule(f"has(self.{name}) && self.{name} != ''", message, field_path=f".{name}", required=True)


def missed_ticks(default_checkpoint: str) -> Rule:
    """For kinds with ticks. ``default_checkpoint``: the field of ``spec.checkpoint`` that is the default."""
    stores = "has(self.checkpoint.url) || has(self.checkpoint.volume)"
    without = "true" if default_checkpoint in ("url", "volume") else "false"
    return rule(
        f"!has(self.missed) || self.missed == 'skip' || (has(self.checkpoint) ? {stores} : {without})",
        "latest and all need a position that outlives the pod: write checkpoint with url or volume, or write skip",
        field_path=".missed",
    )


# A Go duration overflows at 292 years. With these limits of digits and 16 characters, a duration stays below that.
_NUMBER = r"([0-9]{1,%d}(\.[0-9]*)?|\.[0-9]+)"
_DURATION = rf"\+?({_NUMBER % 6}h|{_NUMBER % 7}m|{_NUMBER % 9}s|{_NUMBER % 12}(ms|us|µs|μs|ns))+"
_MATCHES_DURATION = f"self.matches('^{_escaped(_DURATION)}$')"
_DURATION_MESSAGE = "write a duration like 10s, 1m30s or 250ms (units: h, m, s, ms, us, ns)"
DURATION_MAX_LENGTH = 16
IS_DURATION = rule(_MATCHES_DURATION, _DURATION_MESSAGE)
IS_DURATION_OR_EMPTY = rule(f"self == '' || {_MATCHES_DURATION}", _DURATION_MESSAGE)
DURATION = [IS_DURATION, rule(f"!{_MATCHES_DURATION} || duration(self) >= duration('1ms')", "must be at least 1ms")]


def at_most(limit: str) -> Rule:
    """A duration that is not longer than ``limit``. Other texts are left to ``IS_DURATION``."""
    return rule(f"!{_MATCHES_DURATION} || duration(self) <= duration('{limit}')", f"must be at most {limit}")


# CEL cannot parse ISO 8601, and arithmetic on parts of a text exceeds the API server's cost limit. So the grammar
# contains the bounds.
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

KEY_REFERENCE = rule(
    "has(self.secretKeyRef) != has(self.configMapKeyRef)",
    "set either secretKeyRef or configMapKeyRef, with name and key",
)
KEY_OF = [_required("name", "write the object's name"), _required("key", "write the key in the object's data")]
# Kubernetes reserves names that begin with ".." in the volume of a Secret.
KEY = matching(
    r"|\.?[-_a-zA-Z0-9][-._a-zA-Z0-9]*", "write a key: letters, digits, '-', '_' and '.', not beginning with '..'"
)

API_VERSION = matching(f"|{names.API_VERSION}", "write the object's apiVersion, like v1 or eventing.knative.dev/v1")
KIND = matching(f"|{names.KIND}", "write the object's kind, like Service or Broker")
OBJECT_NAME = matching(f"|{names.DNS_SUBDOMAIN}", "write an object's name: lower-case letters, digits, '-' and '.'")
NAMESPACE = matching(f"|{names.DNS_LABEL}", "write a namespace's name: lower-case letters, digits and '-'")
OBJECT_REFERENCE = [
    _required("apiVersion", "write the object's apiVersion, like v1"),
    _required("kind", "write the object's kind, like Service"),
    _required("name", "write the object's name"),
]
PORT = rule(
    "type(self) == int ? self >= 1 && self <= 65535 : string(self).matches('^[0-9]+$')"
    " ? string(self).matches('^[0-9]{1,5}$') && int(self) >= 1 && int(self) <= 65535"
    " : string(self).matches('^[a-z0-9-]{1,63}$')",
    "write a port number from 1 to 65535, or a port's name",
)

_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]*:"
_UNPRINTABLE = r"[\pC\pZ]"
# For some texts that begin with "//", isURL() is true but url() raises an error. So the scheme is checked first.
_HTTP_URL = "({0}.matches('^(?i)https?://') && isURL({0}) && url({0}).getHostname() != '')"
_URL_MESSAGE = "write an absolute http(s) URL like http://host/path"
_TO_PORT = "^[A-Za-z]+://[^/?#]*:"
_VALID_PORT = "(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})"
PORT_OF_URL = rule(
    f"!self.matches('{_TO_PORT}[0-9]+([/?#]|$)') || self.matches('{_TO_PORT}0*{_VALID_PORT}([/?#]|$)')",
    "the port must be from 1 to 65535",
)
PRINTABLE = rule(
    f"!self.matches('{_escaped(_UNPRINTABLE)}')",
    "must not contain spaces or control characters; percent-encode them",
)
_HAS_USER = "{}.matches('^[A-Za-z]+://[^/?#]*@')"
HTTP_URL = [
    rule(f"self.matches('{_escaped(_UNPRINTABLE)}') || {_HTTP_URL.format('self')}", _URL_MESSAGE),
    rule(f"!{_HAS_USER.format('self')}", "must not contain a user or password; put them into a Secret"),
]

HAS_SINK = rule(
    "has(self.sink) && (has(self.sink.ref) || has(self.sink.uri))",
    "set spec.sink.ref (an object like a Service or Broker) or spec.sink.uri (a URL)",
    field_path=".sink",
    required=True,
)
HAS_DEAD_LETTER_SINK = rule(
    "!has(self.deadLetterSink) || has(self.deadLetterSink.ref) || has(self.deadLetterSink.uri)",
    "set its ref (an object like a Service or Broker) or its uri (a URL)",
    field_path=".deadLetterSink",
    required=True,
)
SINK = [
    rule(
        f"has(self.ref) || !has(self.uri) || self.uri.matches('{_escaped(_UNPRINTABLE)}')"
        f" || {_HTTP_URL.format('self.uri')}",
        f"without ref, {_URL_MESSAGE}",
        field_path=".uri",
    ),
    rule(
        f"!has(self.ref) || !has(self.uri) || (!self.uri.matches('^{_SCHEME}') && !self.uri.startsWith('//'))",
        "with ref, write a path relative to the object's address, like /events",
        field_path=".uri",
    ),
    rule(
        f"has(self.ref) || !has(self.uri) || !{_HAS_USER.format('self.uri')}",
        "must not contain a user or password; write them into a Secret, and refer to it with basic in sinkAuth or "
        "deadLetterSinkAuth",
        field_path=".uri",
    ),
]


DEAD_LETTER_SINK_OF_AUTH = rule(
    "!has(self.deadLetterSinkAuth) || has(self.deadLetterSink)",
    "set deadLetterSink, or remove deadLetterSinkAuth",
    field_path=".deadLetterSinkAuth",
)


def sink_auth(sink: str, auth: str) -> list[Rule]:
    """The rules for a sink with credentials. ``sink``, ``auth``: the names of their fields, in the same object.

    The hook applies them to the URL and the audience of ``sink.ref``.
    """
    has_auth, path = f"!has(self.{auth}) || !has(self.{sink}) || ", f".{auth}"
    headers = " || ".join(authorization_in(f"self.{auth}.{name}") for name in ("headers", "secretHeaders"))
    authorizations = f"has(self.{auth}.basic) || has(self.{auth}.oauth2) || {headers}"
    return [
        rule(
            f"{has_auth}!has(self.{sink}.audience) || self.{sink}.audience == '' || !({authorizations})",
            f"{sink}.audience puts a token into the header Authorization; remove it, or remove basic, oauth2 and the "
            "header Authorization",
            field_path=path,
        ),
        rule(
            f"{has_auth}!has(self.{auth}.tls) || has(self.{sink}.ref) || !has(self.{sink}.uri)"
            f" || !self.{sink}.uri.matches('^(?i)http:')",
            f"tls needs an https URL in {sink}.uri; write https, or remove tls",
            field_path=path,
        ),
    ]


def one_replica(default_checkpoint: str) -> Rule:
    """For kinds with ``replicas``. ``default_checkpoint``: the field of ``spec.checkpoint`` that is the default."""
    is_default = default_checkpoint == "volume"
    stated = "has(self.checkpoint) && !has" if is_default else "!has(self.checkpoint) || !has"
    return rule(
        f"!has(self.replicas) || self.replicas <= 1 || {stated}(self.checkpoint.volume)",
        ONE_REPLICA,
        field_path=".replicas",
    )


_PEM = r"-----BEGIN CERTIFICATE-----\s+[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----"
CERTIFICATES = rule(
    f"self.matches('{_escaped(_PEM)}') && !self.contains('PRIVATE KEY')",
    "write PEM certificates without a private key: -----BEGIN CERTIFICATE-----, base64 lines, "
    "-----END CERTIFICATE-----",
)
_RESERVED = sorted(RESERVED_EXTENSIONS)
EXTENSIONS = [
    rule(
        "self.all(name, name.matches('^[a-z0-9]{1,20}$'))",
        "write extension names of 1 to 20 lower-case letters and digits",
    ),
    rule(
        "self.all(name, !(name in [{}]))".format(", ".join(f"'{name}'" for name in _RESERVED)),
        f"these names are reserved by CloudEvents: {', '.join(_RESERVED)}; choose another name",
    ),
    rule(
        "self.all(name, !(name in [{}]))".format(", ".join(f"'{name}'" for name in TRACE_EXTENSIONS)),
        f"{' and '.join(TRACE_EXTENSIONS)} are not allowed: {NO_COMMON_TRACE}",
    ),
]
