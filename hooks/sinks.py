"""From ``spec.sink`` to a URL, or the reason why not; and what to look up. Pure: sees only what Metacontroller sent.

Source: Knative Destination resolution (knative.dev/pkg ``resolver``), with ports of plain Services on top.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

from adapter.contract.formats import is_http_url, is_printable
from hooks.addresses import Reference, Resolved, Unresolved, address_of, normalize_url
from hooks.names import plural, quoted
from hooks.protocol import Objects, RelatedRule

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", re.ASCII)
_API_VERSION = re.compile(r"([a-z0-9.-]+/)?v[a-z0-9]+", re.ASCII)
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----", re.ASCII)
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9]*", re.ASCII)


def related_rules(sinks: Iterable[Any], *, namespace: str, sink_kinds: tuple[str, ...]) -> list[RelatedRule]:
    """The sinks' objects and nothing else; a rule for an API that is not served would stop the sync."""
    rules: list[RelatedRule] = []
    for sink in sinks:
        ref = _reference(sink, namespace, "") if isinstance(sink, dict) and sink.get("ref") is not None else None
        if not isinstance(ref, Reference) or f"{ref.api_version}/{ref.kind}" not in sink_kinds:
            continue
        resource = plural(ref.kind)
        rule: RelatedRule = {
            "apiVersion": ref.api_version, "resource": resource, "namespace": ref.namespace, "names": [ref.name]
        }  # fmt: skip
        if rule not in rules:
            rules.append(rule)
    return rules


def resolve(
    sink: Any,
    *,
    namespace: str,
    related: Objects,
    sink_kinds: tuple[str, ...],
    cluster_domain: str,
    field: str = "spec.sink",
) -> Resolved | Unresolved:
    """``field``: where the destination stands, for messages."""
    if sink is None or sink == {}:
        return Unresolved("SinkMissing", f"{field} names nothing: set {field}.ref or {field}.uri")
    if not isinstance(sink, dict):
        return Unresolved("InvalidSink", f"{field} is {quoted(sink)}: write an object with ref or uri")
    if problem := _trust_problem(sink, field):
        return problem
    ref, uri = sink.get("ref"), sink.get("uri")
    if uri is not None and not isinstance(uri, str):
        return Unresolved("InvalidSink", f"{field}.uri is {quoted(uri)}: write a URL in quotes")
    if ref is None:
        return _absolute(sink, uri, field)
    reference = _reference(sink, namespace, field)
    if isinstance(reference, Unresolved):
        return reference
    if uri is not None and (problem := _relative_problem(uri, field)):
        return problem
    allowed = f"{reference.api_version}/{reference.kind}" in sink_kinds
    if not allowed:
        kinds = ", ".join(sink_kinds) or "none"
        return Unresolved(
            "SinkKindNotAllowed",
            f"{reference} is of kind {reference.api_version}/{reference.kind}, which is not allowed as a sink here; "
            f"allowed: {kinds}. Allow it with `sources manifests --sink-kinds`, or use {field}.uri",
        )
    observed = related.get(f"{reference.kind}.{reference.api_version}", {})
    target = observed.get(f"{reference.namespace}/{reference.name}")
    if target is None:
        return Unresolved("NotFound", f"{reference} does not exist; create it or correct {field}.ref")
    address = address_of(reference, target, sink, cluster_domain, field)
    if isinstance(address, Unresolved) or not uri:
        return address
    return _joined(reference, address, uri, field)


def _absolute(sink: Mapping[str, Any], uri: str | None, field: str) -> Resolved | Unresolved:
    if uri is None:
        return Unresolved("SinkMissing", f"{field} names nothing: set {field}.ref or {field}.uri")
    if not is_http_url(uri):
        return Unresolved(
            "InvalidSink",
            f"{field}.uri is {quoted(uri)}: without ref, write an absolute http(s) URL like http://host/path",
        )
    return Resolved(normalize_url(uri), sink.get("CACerts") or None, sink.get("audience") or None)


def _relative_problem(uri: str, field: str) -> Unresolved | None:
    try:
        parts = urlsplit(uri)
    except ValueError:
        return Unresolved("InvalidSink", f"{field}.uri is {quoted(uri)}: write a path like /events")
    if parts.scheme or parts.netloc or uri.startswith("//") or not is_printable(uri):
        return Unresolved(
            "InvalidSink", f"{field}.uri is {quoted(uri)}: beside ref, write a path relative to it, like /events"
        )
    return None


def _joined(reference: Reference, address: Resolved, uri: str, field: str) -> Resolved | Unresolved:
    # A host alone has no path to resolve against: RFC 3986 §5.2.3 merges with "/".
    joined = urljoin(address.uri, uri)
    if not is_http_url(joined) or urlsplit(joined).netloc != urlsplit(address.uri).netloc:
        return Unresolved(
            "InvalidSink", f"{field}.uri {quoted(uri)} leads away from {reference}; write a path like /events"
        )
    return Resolved(normalize_url(joined), address.ca_certs, address.audience)


def _trust_problem(sink: Mapping[str, Any], field: str) -> Unresolved | None:
    certificates, audience = sink.get("CACerts"), sink.get("audience")
    if certificates is not None and not (isinstance(certificates, str) and (not certificates or _is_pem(certificates))):
        return Unresolved(
            "InvalidSink",
            f"{field}.CACerts holds no usable PEM certificate: write -----BEGIN CERTIFICATE-----, base64 lines and "
            "-----END CERTIFICATE-----",
        )
    if audience is not None and not (isinstance(audience, str) and is_printable(audience)):
        return Unresolved("InvalidSink", f"{field}.audience is {quoted(audience)}: write a string without spaces")
    return None


def _reference(sink: Mapping[str, Any], namespace: str, field: str) -> Reference | Unresolved:
    ref = sink["ref"]
    if not isinstance(ref, dict):
        return Unresolved(
            "InvalidSink", f"{field}.ref is {quoted(ref)}: write an object with apiVersion, kind and name"
        )
    rules = (
        ("apiVersion", _API_VERSION, "write the object's apiVersion, like v1"),
        ("kind", _KIND, "write the object's kind, like Service"),
        ("name", _NAME, "write the object's name"),
    )
    for key, pattern, expectation in rules:
        value = ref.get(key)
        if not isinstance(value, str) or not pattern.fullmatch(value):
            return Unresolved("InvalidSink", f"{field}.ref.{key} is {quoted(value or '')}: {expectation}")
    target = ref.get("namespace") or namespace
    if not isinstance(target, str) or not _LABEL.fullmatch(target):
        return Unresolved("InvalidSink", f"{field}.ref.namespace is {quoted(target)}: write a namespace")
    port, address = ref.get("port"), ref.get("address") or None
    if not isinstance(address, str | None):
        return Unresolved("InvalidSink", f"{field}.ref.address is {quoted(address)}: write an address name")
    if (
        isinstance(port, bool)
        or not isinstance(port, int | str | None)
        or (isinstance(port, int) and not 0 < port < 65536)
    ):
        return Unresolved("InvalidSink", f"{field}.ref.port is {quoted(port)}: write a port number or a port's name")
    if isinstance(port, str) and re.fullmatch(r"[0-9]{1,5}", port, re.ASCII):
        port = int(port)
    return Reference(ref["apiVersion"], ref["kind"], target, ref["name"], address, port)


def _is_pem(text: str) -> bool:
    """Whole certificates by their look: base64 of a DER sequence. The adapter's TLS library reads them for good."""
    blocks = _CERTIFICATE.findall(text)
    return bool(blocks) and len(blocks) == text.count("-----BEGIN") and all(map(_is_der, blocks))


def _is_der(base64_lines: str) -> bool:
    try:
        return b64decode("".join(base64_lines.split()), validate=True)[:1] == b"0"  # 0x30, SEQUENCE
    except ValueError:
        return False
