"""Resolves a sink in ``spec`` to a URL, or to the reason why it has none; and lists the objects to read for it. Pure.

The rules are those of Knative's ``resolver`` (knative.dev/pkg).
"""

from __future__ import annotations

import contextlib
import re
from base64 import b64decode
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from adapter.contract.auth.problems import conflict
from adapter.contract.formats import Json, is_http_url, is_printable, public_url, quoted
from adapter.contract.kind_names import plural
from hooks.addresses import Reference, Resolved, Unresolved, address_of, normalize_url
from hooks.diagnosis.reasons import Reason
from hooks.names import get_in, is_api_version, is_dns_label, is_dns_subdomain, is_kind
from hooks.protocol import Objects, RelatedRule

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----", re.ASCII)
_CLUSTER_SET = "clusterset.local"  # multi-cluster Services (KEP-1645)


class Scope(NamedTuple):
    """The inputs that all sinks of one source share."""

    namespace: str
    related: Objects
    sink_kinds: tuple[str, ...]  # "<apiVersion>/<Kind>"
    cluster_domain: str
    sink_namespaces: tuple[str, ...] | None = None  # beside ``namespace``; None: all

    def allows(self, namespace: str) -> bool:
        return self.sink_namespaces is None or namespace in (self.namespace, *self.sink_namespaces)


def related_rules(sinks: Iterable[Json], scope: Scope) -> list[RelatedRule]:
    """A rule for the object of each sink of an allowed kind in an allowed namespace.

    Metacontroller fails the whole sync for a rule whose API the cluster does not serve. So other kinds get no rule.
    """
    rules: list[RelatedRule] = []
    for sink in sinks:
        ref = _reference(sink, scope.namespace, "") if isinstance(sink, dict) and sink.get("ref") is not None else None
        if not isinstance(ref, Reference) or _forbidden(ref, "", scope):
            continue
        rule = RelatedRule(
            apiVersion=ref.api_version, resource=plural(ref.kind), namespace=ref.namespace, names=[ref.name]
        )
        if rule not in rules:
            rules.append(rule)
    return rules


def resolve(sink: Json, field: str, scope: Scope) -> Resolved | Unresolved:
    """``field``: the path of the sink, for messages."""
    if sink is None or sink == {}:
        return _missing(field)
    if not isinstance(sink, dict):
        return _invalid(field, sink, "write an object with ref or uri")
    if problem := _trust_problem(sink, field):
        return problem
    uri = sink.get("uri")
    if uri is not None and not isinstance(uri, str):
        return _invalid(f"{field}.uri", uri, "write a URL in quotes")
    if sink.get("ref") is None:
        return _absolute(sink, uri, field, scope)
    if uri is not None and (problem := _relative_problem(uri, field)):
        return problem
    reference = _reference(sink, scope.namespace, field)
    if isinstance(reference, Unresolved):
        return reference
    address = _address(reference, sink, field, scope)
    if isinstance(address, Unresolved) or not uri:
        return address
    return _joined(reference, address, uri, field)


def confirmed(sink: Json, found: Resolved | None, field: str, scope: Scope) -> Resolved | None:
    """The address of a sink while its object is not at hand. ``found``: the one in the status of the source.

    None unless ``sink`` can have led to it: whoever may write only the status must not choose the sink. The address of
    an object other than a Service can be any.
    """
    if found is None:
        return None
    if not isinstance(sink, dict) or sink.get("ref") is None:
        resolved = resolve(sink, field, scope)
        return resolved if isinstance(resolved, Resolved) else None
    reference = _reference(sink, scope.namespace, field)
    if isinstance(reference, Unresolved) or not scope.allows(reference.namespace):
        return None
    host = f"{reference.name}.{reference.namespace}.svc.{scope.cluster_domain}"
    is_service = (reference.api_version, reference.kind) == ("v1", "Service")
    return None if is_service and urlsplit(found.uri).hostname != host else found


def with_auth(sink: Resolved | Unresolved, auth: Mapping[str, Json] | None, field: str) -> Resolved | Unresolved:
    """The sink with the credentials of ``field``; Unresolved if it cannot be used with them."""
    if auth is None or isinstance(sink, Unresolved):
        return sink
    if problem := conflict(auth, sink.uri, sink.audience):
        return Unresolved(Reason.INVALID_SINK, f"{field}: {problem}")
    return sink._replace(auth=auth)


def _missing(field: str) -> Unresolved:
    return Unresolved(Reason.SINK_MISSING, f"{field} is empty: set {field}.ref or {field}.uri")


def _invalid(field: str, value: Json, expectation: str) -> Unresolved:
    public = public_url(value) if isinstance(value, str) and field.endswith(".uri") else value
    return Unresolved(Reason.INVALID_SINK, f"{field} is {quoted(public)}: {expectation}")


def _address(reference: Reference, sink: Mapping[str, Json], field: str, scope: Scope) -> Resolved | Unresolved:
    if problem := _forbidden(reference, field, scope):
        return problem
    observed = scope.related.get(f"{reference.kind}.{reference.api_version}", {})
    target = observed.get(f"{reference.namespace}/{reference.name}")
    if target is None:
        return Unresolved(Reason.NOT_FOUND, f"{reference} does not exist; create it or correct {field}.ref")
    alias = get_in(target, "spec", "externalName") if get_in(target, "spec", "type") == "ExternalName" else None
    if isinstance(alias, str) and not scope.allows(_namespace_in(alias, scope)):
        return _other_namespace(f"{reference} is an ExternalName of", "", scope)
    return address_of(reference, target, sink, scope.cluster_domain, field)


def _forbidden(reference: Reference, field: str, scope: Scope) -> Unresolved | None:
    kind = f"{reference.api_version}/{reference.kind}"
    if kind not in scope.sink_kinds:
        return Unresolved(
            Reason.SINK_KIND_NOT_ALLOWED,
            f"{reference} has the kind {kind}, which is not allowed as a sink; allowed: "
            f"{', '.join(scope.sink_kinds) or 'none'}. Allow it with `sources manifests --sink-kinds`, or use "
            f"{field}.uri",
        )
    if not scope.allows(reference.namespace):
        return _other_namespace(f"{field}.ref names", reference.namespace, scope)
    return None


def _other_namespace(what: str, namespace: str, scope: Scope) -> Unresolved:
    allowed = ", ".join((scope.namespace, *(scope.sink_namespaces or ())))
    where = f"namespace {namespace}" if namespace else "another namespace"
    text = f"{what} an object in {where}, which is not allowed; use a sink in one of these namespaces: {allowed}"
    return Unresolved(Reason.SINK_NAMESPACE_NOT_ALLOWED, f"{text}. SINK_NAMESPACES of the hook sets the list")


def _namespace_in(host: str, scope: Scope) -> str:
    """The namespace in the DNS name of a Service or a pod. For other names, or if all are allowed: the source's.

    A name of two labels can be that of a Service, too. But ``example.com`` looks the same.
    """
    if scope.sink_namespaces is None:
        return scope.namespace
    with contextlib.suppress(UnicodeError):  # the adapter looks the name up in this form
        host = host.encode("idna").decode("ascii")
    name = host.lower().rstrip(".")
    for domain in (scope.cluster_domain, _CLUSTER_SET):
        name = name.removesuffix(f".{domain}")
    labels = name.split(".")
    return labels[-2] if len(labels) > 2 and labels[-1] in ("svc", "pod") else scope.namespace


def _absolute(sink: Mapping[str, Json], uri: str | None, field: str, scope: Scope) -> Resolved | Unresolved:
    if uri is None:
        return _missing(field)
    if not is_http_url(uri):
        return _invalid(f"{field}.uri", uri, "without ref, write an absolute http(s) URL like http://host/path")
    if "@" in urlsplit(uri).netloc:
        auth = "spec.sinkAuth" if field == "spec.sink" else f"{field}Auth"
        return _invalid(
            f"{field}.uri", uri, f"it has a user or password; write them into a Secret, and use {auth}.basic"
        )
    namespace = _namespace_in(urlsplit(uri).hostname or "", scope)
    if not scope.allows(namespace):
        return _other_namespace(f"{field}.uri names", namespace, scope)
    return Resolved(normalize_url(uri), sink.get("CACerts") or None, sink.get("audience") or None)


def _relative_problem(uri: str, field: str) -> Unresolved | None:
    try:
        parts = urlsplit(uri)
    except ValueError:
        return _invalid(f"{field}.uri", uri, "write a path like /events")
    if parts.scheme or parts.netloc or uri.startswith("//") or not is_printable(uri):
        return _invalid(f"{field}.uri", uri, "together with ref, write a relative path like /events")
    return None


def _joined(reference: Reference, address: Resolved, uri: str, field: str) -> Resolved | Unresolved:
    # RFC 3986 §5.2.3: a base URL without a path has the path "/".
    joined = urljoin(address.uri, uri)
    if not is_http_url(joined) or urlsplit(joined).netloc != urlsplit(address.uri).netloc:
        return _invalid(f"{field}.uri", uri, f"it resolves to a URL outside {reference}; write a path like /events")
    return Resolved(normalize_url(joined), address.ca_certs, address.audience)


def _trust_problem(sink: Mapping[str, Json], field: str) -> Unresolved | None:
    certificates, audience = sink.get("CACerts"), sink.get("audience")
    if certificates is not None and not (isinstance(certificates, str) and (not certificates or _is_pem(certificates))):
        return Unresolved(
            Reason.INVALID_SINK,
            f"{field}.CACerts is not a list of PEM certificates: write -----BEGIN CERTIFICATE-----, base64 lines and "
            "-----END CERTIFICATE-----",
        )
    if audience is not None and not (isinstance(audience, str) and is_printable(audience)):
        return _invalid(f"{field}.audience", audience, "write a string without spaces")
    return None


_REFERENCE_FIELDS = (
    ("apiVersion", is_api_version, "write the apiVersion of the object, like v1"),
    ("kind", is_kind, "write the kind of the object, like Service"),
    ("name", is_dns_subdomain, "write the name of the object"),
)


def _reference(sink: Mapping[str, Json], namespace: str, field: str) -> Reference | Unresolved:
    ref = sink["ref"]
    if not isinstance(ref, dict):
        return _invalid(f"{field}.ref", ref, "write an object with apiVersion, kind and name")
    for key, is_valid, expectation in _REFERENCE_FIELDS:
        value = ref.get(key)
        if not isinstance(value, str) or not is_valid(value):
            return _invalid(f"{field}.ref.{key}", value or "", expectation)
    target = ref.get("namespace") or namespace
    if not isinstance(target, str) or not is_dns_label(target):
        return _invalid(f"{field}.ref.namespace", target, "write a namespace")
    address = ref.get("address") or None
    if not isinstance(address, str | None):
        return _invalid(f"{field}.ref.address", address, "write the name of an address")
    port = ref.get("port")
    if not _is_port(port):
        return _invalid(f"{field}.ref.port", port, "write a port number, or the name of a port")
    number = int(port) if isinstance(port, str) and _is_number(port) else port
    is_foreign = target != namespace
    return Reference(ref["apiVersion"], ref["kind"], target, ref["name"], address, number, is_foreign)


def _is_port(value: Json) -> bool:
    if isinstance(value, str):
        return not _is_number(value) or 0 < int(value) < 65536
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 < value < 65536)


def _is_number(text: str) -> bool:
    return bool(re.fullmatch("[0-9]{1,5}", text, re.ASCII))


def _is_pem(text: str) -> bool:
    """Whether the text contains only complete certificates: base64 of a DER sequence. The adapter parses them fully."""
    blocks = _CERTIFICATE.findall(text)
    return bool(blocks) and len(blocks) == text.count("-----BEGIN") and all(map(_is_der, blocks))


def _is_der(base64_lines: str) -> bool:
    try:
        return b64decode("".join(base64_lines.split()), validate=True)[:1] == b"0"  # 0x30, SEQUENCE
    except ValueError:
        return False
