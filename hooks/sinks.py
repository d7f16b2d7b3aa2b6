"""From ``spec.sink`` to a URL, or the reason why not; and what to look up. Pure: sees only what Metacontroller sent.

Source: Knative Destination resolution (knative.dev/pkg ``resolver``), with ports of plain Services on top.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from hooks.protocol import Object, Objects, RelatedRule
from hooks.resources import dig, plural, shown

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", re.ASCII)
_API_VERSION = re.compile(r"([a-z0-9.-]+/)?v[a-z0-9]+", re.ASCII)
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9]*", re.ASCII)


@dataclass(frozen=True)
class Resolved:
    uri: str
    ca_certs: str | None = None
    audience: str | None = None


@dataclass(frozen=True)
class Unresolved:
    reason: str
    message: str


@dataclass(frozen=True)
class Reference:
    api_version: str
    kind: str
    namespace: str
    name: str
    address: str | None
    port: int | str | None

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


def related_rules(sink: Any, *, namespace: str, sink_kinds: tuple[str, ...]) -> list[RelatedRule]:
    """The sink object and nothing else; a rule for an API that is not served would stop the sync."""
    ref = _reference(sink, namespace) if isinstance(sink, dict) and sink.get("ref") is not None else None
    if not isinstance(ref, Reference) or f"{ref.api_version}/{ref.kind}" not in sink_kinds:
        return []
    return [
        {"apiVersion": ref.api_version, "resource": plural(ref.kind), "namespace": ref.namespace, "names": [ref.name]}
    ]


def resolve(
    sink: Any, *, namespace: str, related: Objects, sink_kinds: tuple[str, ...], cluster_domain: str
) -> Resolved | Unresolved:
    if sink is None or sink == {}:
        return Unresolved("SinkMissing", "spec.sink names nothing: set spec.sink.ref or spec.sink.uri")
    if not isinstance(sink, dict):
        return Unresolved("InvalidSink", f"spec.sink is {shown(sink)}: write an object with ref or uri")
    if problem := _trust_problem(sink):
        return problem
    ref, uri = sink.get("ref"), sink.get("uri")
    if uri is not None and not isinstance(uri, str):
        return Unresolved("InvalidSink", f"spec.sink.uri is {shown(uri)}: write a URL in quotes")
    if ref is None:
        return _absolute(sink, uri)
    reference = _reference(sink, namespace)
    if isinstance(reference, Unresolved):
        return reference
    if uri is not None and (problem := _relative_problem(uri)):
        return problem
    allowed = f"{reference.api_version}/{reference.kind}" in sink_kinds
    if not allowed:
        kinds = ", ".join(sink_kinds) or "none"
        return Unresolved(
            "SinkKindNotAllowed",
            f"{reference} is of kind {reference.api_version}/{reference.kind}, which is not allowed as a sink here; "
            f"allowed: {kinds}. Add it to SINK_KINDS, or use spec.sink.uri",
        )
    observed = related.get(f"{reference.kind}.{reference.api_version}", {})
    target = observed.get(f"{reference.namespace}/{reference.name}")
    if target is None:
        return Unresolved("NotFound", f"{reference} does not exist; create it or correct spec.sink.ref")
    address = _address(reference, target, sink, cluster_domain)
    if isinstance(address, Unresolved) or not uri:
        return address
    return _joined(reference, address, uri)


def _absolute(sink: Mapping[str, Any], uri: str | None) -> Resolved | Unresolved:
    if uri is None:
        return Unresolved("SinkMissing", "spec.sink names nothing: set spec.sink.ref or spec.sink.uri")
    if not is_http_url(uri):
        return Unresolved(
            "InvalidSink",
            f"spec.sink.uri is {shown(uri)}: without ref, write an absolute http(s) URL like http://host/path",
        )
    return Resolved(uri, sink.get("CACerts") or None, sink.get("audience") or None)


def _relative_problem(uri: str) -> Unresolved | None:
    try:
        parts = urlsplit(uri)
    except ValueError:
        return Unresolved("InvalidSink", f"spec.sink.uri is {shown(uri)}: write a path like /events")
    if parts.scheme or parts.netloc or uri.startswith("//") or not _printable(uri):
        return Unresolved(
            "InvalidSink", f"spec.sink.uri is {shown(uri)}: beside ref, write a path relative to it, like /events"
        )
    return None


def _joined(reference: Reference, address: Resolved, uri: str) -> Resolved | Unresolved:
    # A host alone has no path to resolve against: RFC 3986 §5.2.3 merges with "/".
    joined = urljoin(address.uri, uri)
    if not is_http_url(joined) or urlsplit(joined).netloc != urlsplit(address.uri).netloc:
        return Unresolved(
            "InvalidSink", f"spec.sink.uri {shown(uri)} leads away from {reference}; write a path like /events"
        )
    return Resolved(joined, address.ca_certs, address.audience)


def _trust_problem(sink: Mapping[str, Any]) -> Unresolved | None:
    certificates, audience = sink.get("CACerts"), sink.get("audience")
    if certificates is not None and (
        not isinstance(certificates, str) or (certificates and "-----BEGIN CERTIFICATE-----" not in certificates)
    ):
        return Unresolved("InvalidSink", "spec.sink.CACerts holds no PEM certificate (-----BEGIN CERTIFICATE-----)")
    if audience is not None and not isinstance(audience, str):
        return Unresolved("InvalidSink", f"spec.sink.audience is {shown(audience)}: write a string")
    return None


def _reference(sink: Mapping[str, Any], namespace: str) -> Reference | Unresolved:
    ref = sink["ref"]
    if not isinstance(ref, dict):
        return Unresolved(
            "InvalidSink", f"spec.sink.ref is {shown(ref)}: write an object with apiVersion, kind and name"
        )
    rules = (
        ("apiVersion", _API_VERSION, "write the object's apiVersion, like v1"),
        ("kind", _KIND, "write the object's kind, like Service"),
        ("name", _NAME, "write the object's name"),
    )
    for key, pattern, expectation in rules:
        value = ref.get(key)
        if not isinstance(value, str) or not pattern.fullmatch(value):
            return Unresolved("InvalidSink", f"spec.sink.ref.{key} is {shown(value or '')}: {expectation}")
    target = ref.get("namespace") or namespace
    if not isinstance(target, str) or not _LABEL.fullmatch(target):
        return Unresolved("InvalidSink", f"spec.sink.ref.namespace is {shown(target)}: write a namespace")
    port, address = ref.get("port"), ref.get("address") or None
    if not isinstance(address, str | None):
        return Unresolved("InvalidSink", f"spec.sink.ref.address is {shown(address)}: write an address name")
    if (
        isinstance(port, bool)
        or not isinstance(port, int | str | None)
        or (isinstance(port, int) and not 0 < port < 65536)
    ):
        return Unresolved("InvalidSink", f"spec.sink.ref.port is {shown(port)}: write a port number or a port's name")
    if isinstance(port, str) and re.fullmatch(r"[0-9]{1,5}", port, re.ASCII):
        port = int(port)
    return Reference(ref["apiVersion"], ref["kind"], target, ref["name"], address, port)


def _address(
    reference: Reference, target: Object, sink: Mapping[str, Any], cluster_domain: str
) -> Resolved | Unresolved:
    if (reference.api_version, reference.kind) == ("v1", "Service"):
        return _service_address(reference, target, sink, cluster_domain)
    selected = _selected_address(reference, target)
    if isinstance(selected, Unresolved):
        return selected
    url = selected.get("url")
    if not isinstance(url, str) or not is_http_url(url):
        return Unresolved(
            "AddressInvalid", f"{reference} has the address {shown(url or '')}, which is no http(s) URL with a host"
        )
    certificates, audience = selected.get("CACerts"), selected.get("audience")
    return Resolved(
        url,
        sink.get("CACerts") or (certificates if isinstance(certificates, str) else None) or None,
        sink.get("audience") or (audience if isinstance(audience, str) else None) or None,
    )


def _selected_address(reference: Reference, target: Object) -> Object | Unresolved:
    several = dig(target, "status", "addresses")
    addresses = [one for one in several if isinstance(one, dict)] if isinstance(several, list) else []
    single = dig(target, "status", "address")
    if not addresses and not isinstance(single, dict):
        return Unresolved(
            "NotAddressable",
            f"{reference} has no address in its status; wait until it is ready, or name an addressable object",
        )
    if reference.address is None:
        return addresses[0] if addresses else single
    for address in addresses:
        if address.get("name") == reference.address:
            return address
    names = ", ".join(str(one["name"]) for one in addresses if one.get("name")) or "none"
    return Unresolved("AddressNotFound", f'{reference} has no address named "{reference.address}"; it has: {names}')


def _service_address(
    reference: Reference, service: Object, sink: Mapping[str, Any], cluster_domain: str
) -> Resolved | Unresolved:
    certificates = sink.get("CACerts") or None
    scheme = "https" if certificates else "http"
    port = _service_port(reference, service, scheme)
    if isinstance(port, Unresolved):
        return port
    authority = f"{reference.name}.{reference.namespace}.svc.{cluster_domain}"
    if port != _default_port(scheme):
        authority += f":{port}"
    return Resolved(f"{scheme}://{authority}", certificates, sink.get("audience") or None)


def _service_port(reference: Reference, service: Object, scheme: str) -> int | Unresolved:
    listed = dig(service, "spec", "ports")
    ports = [one for one in listed if isinstance(dig(one, "port"), int)] if isinstance(listed, list) else []
    if dig(service, "spec", "type") == "ExternalName" or not ports:
        return reference.port if isinstance(reference.port, int) else _default_port(scheme)
    headless = dig(service, "spec", "clusterIP") == "None"
    chosen = _chosen_port(reference.port, ports, scheme)
    if chosen is None:
        if headless and isinstance(reference.port, int):
            return reference.port
        offered = ", ".join(f"{one['port']} ({one['name']})" if one.get("name") else str(one["port"]) for one in ports)
        wanted = f"no port {reference.port}" if reference.port is not None else "several ports and none stands out"
        return Unresolved("AddressNotFound", f"{reference} has {wanted}; set spec.sink.ref.port to one of: {offered}")
    if not headless:
        return int(chosen["port"])
    target = chosen.get("targetPort", chosen["port"])
    if isinstance(target, int):
        return target
    if isinstance(reference.port, int):
        return reference.port
    return Unresolved(
        "AddressNotFound",
        f'{reference} is headless and its targetPort "{target}" is a name; set spec.sink.ref.port to a port number',
    )


def _chosen_port(wanted: int | str | None, ports: list[Object], scheme: str) -> Object | None:
    if wanted is not None:
        return next((one for one in ports if wanted in (one["port"], one.get("name"))), None)
    if len(ports) == 1:
        return ports[0]
    by_name = (one for one in ports if one.get("name") == scheme)
    by_number = (one for one in ports if one["port"] == _default_port(scheme))
    return next(by_name, None) or next(by_number, None)


def _default_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def _printable(text: str) -> bool:
    return all(char.isprintable() and not char.isspace() for char in text)


def is_http_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and _printable(text)
    except ValueError:
        return False
