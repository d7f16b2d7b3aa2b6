"""From the object a sink names to its URL: an addressable's status, or a plain Service on its real port. Pure.

Source: Knative's ``resolver`` (addresses before address) and design decision 10 (ports of plain Services).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from adapter.contract.formats import is_http_url
from hooks.names import get_in, quoted
from hooks.protocol import Object

_URL_SAFE = "".join(chr(code) for code in range(0x21, 0x7F))


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


def address_of(
    reference: Reference, target: Object, sink: Mapping[str, Any], cluster_domain: str, field: str
) -> Resolved | Unresolved:
    """``field``: where the destination stands, for messages."""
    if (reference.api_version, reference.kind) == ("v1", "Service"):
        return _service_address(reference, target, sink, cluster_domain, field)
    selected = _selected_address(reference, target)
    if isinstance(selected, Unresolved):
        return selected
    url = selected.get("url")
    if not isinstance(url, str) or not is_http_url(url):
        return Unresolved(
            "AddressInvalid", f"{reference} has the address {quoted(url or '')}, which is no http(s) URL with a host"
        )
    certificates, audience = selected.get("CACerts"), selected.get("audience")
    return Resolved(
        normalize_url(url),
        sink.get("CACerts") or (certificates if isinstance(certificates, str) else None) or None,
        sink.get("audience") or (audience if isinstance(audience, str) else None) or None,
    )


def _selected_address(reference: Reference, target: Object) -> Object | Unresolved:
    several = get_in(target, "status", "addresses")
    addresses = [one for one in several if isinstance(one, dict)] if isinstance(several, list) else []
    single = get_in(target, "status", "address")
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
    reference: Reference, service: Object, sink: Mapping[str, Any], cluster_domain: str, field: str
) -> Resolved | Unresolved:
    certificates = sink.get("CACerts") or None
    scheme = "https" if certificates else "http"
    port = _service_port(reference, service, scheme, field)
    if isinstance(port, Unresolved):
        return port
    authority = f"{reference.name}.{reference.namespace}.svc.{cluster_domain}"
    if port != _default_port(scheme):
        authority += f":{port}"
    return Resolved(f"{scheme}://{authority}", certificates, sink.get("audience") or None)


def _service_port(reference: Reference, service: Object, scheme: str, field: str) -> int | Unresolved:
    listed = get_in(service, "spec", "ports")
    ports = [one for one in listed if isinstance(get_in(one, "port"), int)] if isinstance(listed, list) else []
    if get_in(service, "spec", "type") == "ExternalName" or not ports:
        return reference.port if isinstance(reference.port, int) else _default_port(scheme)
    headless = get_in(service, "spec", "clusterIP") == "None"
    chosen = _chosen_port(reference.port, ports, scheme)
    if chosen is None:
        if headless and isinstance(reference.port, int):
            return reference.port
        offered = ", ".join(f"{one['port']} ({one['name']})" if one.get("name") else str(one["port"]) for one in ports)
        wanted = f"no port {reference.port}" if reference.port is not None else "several ports and none stands out"
        return Unresolved("AddressNotFound", f"{reference} has {wanted}; set {field}.ref.port to one of: {offered}")
    if not headless:
        return int(chosen["port"])
    target = chosen.get("targetPort", chosen["port"])
    if isinstance(target, int):
        return target
    if isinstance(reference.port, int):
        return reference.port
    return Unresolved(
        "AddressNotFound",
        f'{reference} is headless and its targetPort "{target}" is a name; set {field}.ref.port to a port number',
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


def normalize_url(url: str) -> str:
    """As Go's ``url.URL.String``: the scheme in lower case, no character beyond ASCII in path or fragment."""
    parts = urlsplit(url)
    path, fragment = (quote(part, safe=_URL_SAFE) for part in (parts.path, parts.fragment))
    return parts._replace(path=path, fragment=fragment).geturl()
