"""The URL of an object that a sink refers to: the address in its status, or the port of a plain Service. Pure.

``status.addresses`` has precedence over ``status.address``, as in Knative's ``resolver`` (knative.dev/pkg). The rules
for the port of a plain Service are additions of this project.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from adapter.contract.formats import Json, is_http_url, public_url, quoted
from hooks.conditions import Reason
from hooks.names import get_in, list_in
from hooks.protocol import Object

_URL_SAFE = "".join(chr(code) for code in range(0x21, 0x7F))


@dataclass(frozen=True)
class Resolved:
    """Where events are sent; ``ca_certs`` are PEM, ``audience`` is an OIDC audience, ``auth`` is ``spec.sinkAuth``."""

    uri: str
    ca_certs: str | None = None
    audience: str | None = None
    auth: Mapping[str, Json] | None = None


@dataclass(frozen=True)
class Unresolved:
    """Why a sink has no URL."""

    reason: Reason
    message: str


@dataclass(frozen=True)
class Reference:
    """``ref`` of a sink, checked. ``address``: the name of an entry in ``status.addresses``."""

    api_version: str
    kind: str
    namespace: str
    name: str
    address: str | None
    port: int | str | None

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


def address_of(
    reference: Reference, target: Object, sink: Mapping[str, Json], cluster_domain: str, field: str
) -> Resolved | Unresolved:
    """The URL of ``target``, the object that ``reference`` names. ``field``: the path of the sink, for messages."""
    if (reference.api_version, reference.kind) == ("v1", "Service"):
        return _service_address(reference, target, sink, cluster_domain, field)
    selected = _selected_address(reference, target)
    if isinstance(selected, Unresolved):
        return selected
    url = selected.get("url")
    if not isinstance(url, str) or not is_http_url(url):
        shown = public_url(url) if isinstance(url, str) else url or ""
        text = f"{reference} has the address {quoted(shown)}, which is not an http(s) URL with a host"
        return Unresolved(Reason.ADDRESS_INVALID, text)
    certificates, audience = selected.get("CACerts"), selected.get("audience")
    return Resolved(
        normalize_url(url),
        sink.get("CACerts") or (certificates if isinstance(certificates, str) else None) or None,
        sink.get("audience") or (audience if isinstance(audience, str) else None) or None,
    )


def _selected_address(reference: Reference, target: Object) -> Object | Unresolved:
    addresses = [address for address in list_in(target, "status", "addresses") if isinstance(address, dict)]
    single = get_in(target, "status", "address")
    if not addresses and not isinstance(single, dict):
        return Unresolved(
            Reason.NOT_ADDRESSABLE,
            f"{reference} has no address in its status; wait until it is ready, or refer to an addressable object",
        )
    if reference.address is None:
        return addresses[0] if addresses else single
    for address in addresses:
        if address.get("name") == reference.address:
            return address
    names = ", ".join(str(address["name"]) for address in addresses if address.get("name")) or "none"
    text = f'{reference} has no address named "{reference.address}"; its addresses: {names}'
    return Unresolved(Reason.ADDRESS_NOT_FOUND, text)


def _service_address(
    reference: Reference, service: Object, sink: Mapping[str, Json], cluster_domain: str, field: str
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
    """The port to use with the DNS name of the Service. For a headless Service, it is the port of the pods."""
    ports = [port for port in list_in(service, "spec", "ports") if isinstance(get_in(port, "port"), int)]
    number = reference.port if isinstance(reference.port, int) else None
    if get_in(service, "spec", "type") == "ExternalName" or not ports:
        return number or _default_port(scheme)
    headless = get_in(service, "spec", "clusterIP") == "None"
    chosen = _chosen_port(reference.port, ports, scheme)
    if chosen is None:
        return number if headless and number else _no_port(reference, ports, field)
    port = chosen.get("targetPort", chosen["port"]) if headless else chosen["port"]
    if isinstance(port, int):
        return int(port)
    return number or Unresolved(
        Reason.ADDRESS_NOT_FOUND,
        f'{reference} is headless and its targetPort "{port}" is a name; set {field}.ref.port to a port number',
    )


def _no_port(reference: Reference, ports: list[Object], field: str) -> Unresolved:
    listed = ", ".join(f"{port['port']} ({port['name']})" if port.get("name") else str(port["port"]) for port in ports)
    problem = f"no port {reference.port}" if reference.port is not None else "several ports and none is the default"
    text = f"{reference} has {problem}; set {field}.ref.port to one of: {listed}"
    return Unresolved(Reason.ADDRESS_NOT_FOUND, text)


def _chosen_port(wanted: int | str | None, ports: list[Object], scheme: str) -> Object | None:
    """The port with the number or name ``wanted``.

    If ``wanted`` is None: the only port, else the port named like the scheme, else the scheme's default port.
    """
    if wanted is not None:
        return next((port for port in ports if wanted in (port["port"], port.get("name"))), None)
    if len(ports) == 1:
        return ports[0]
    by_name = (port for port in ports if port.get("name") == scheme)
    by_number = (port for port in ports if port["port"] == _default_port(scheme))
    return next(by_name, None) or next(by_number, None)


def _default_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def normalize_url(url: str) -> str:
    """The URL as Go's ``url.URL.String`` writes it: the scheme in lower case, path and fragment in ASCII."""
    parts = urlsplit(url)
    path, fragment = (quote(part, safe=_URL_SAFE) for part in (parts.path, parts.fragment))
    return parts._replace(path=path, fragment=fragment).geturl()
