"""The URL of an object that a sink refers to: the address in its status, or the port of a plain Service. Pure.

``status.addresses`` has precedence over ``status.address``, as in Knative's ``resolver`` (knative.dev/pkg). The rules
for the port and the scheme of a plain Service are additions of this project: Knative always uses http and port 80.

Of an object in another namespace, messages contain only what the source itself says: whoever may create a source may
have no permission to read that object.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from adapter.contract.formats import Json, is_http_url, public_url, quoted
from hooks.diagnosis.reasons import Reason
from hooks.names import get_in, list_in
from hooks.protocol import Object

_SCHEMES = {  # appProtocol, in lower case -> scheme
    "http": "http",
    "https": "https",
    "kubernetes.io/h2c": "http",
    "kubernetes.io/ws": "http",
    "kubernetes.io/wss": "https",
}
_SCHEME_IN_NAME = re.compile("(https?)(?![a-z])", re.ASCII)  # "https", "https-web", not "httpstat"
_URL_SAFE = "".join(chr(code) for code in range(0x21, 0x7F))


class Resolved(NamedTuple):
    """Where events are sent; ``ca_certs`` are PEM, ``audience`` is an OIDC audience, ``auth`` is ``spec.sinkAuth``."""

    uri: str
    ca_certs: str | None = None
    audience: str | None = None
    auth: Mapping[str, Json] | None = None


class Unresolved(NamedTuple):
    """Why a sink has no URL."""

    reason: Reason
    message: str


class Reference(NamedTuple):
    """``ref`` of a sink, checked. ``address``: the name of an entry in ``status.addresses``."""

    api_version: str
    kind: str
    namespace: str
    name: str
    address: str | None
    port: int | str | None
    is_foreign: bool = False  # it is in another namespace than the source

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


def address_of(
    reference: Reference, target: Object, sink: Mapping[str, Json], cluster_domain: str, field: str
) -> Resolved | Unresolved:
    """The URL of ``target``, the object that ``reference`` names. ``field``: the path of the sink, for messages."""
    if (reference.api_version, reference.kind) == ("v1", "Service"):
        return _service_address(reference, target, sink, cluster_domain, field)
    selected = _selected_address(reference, target, field)
    if isinstance(selected, Unresolved):
        return selected
    url = selected.get("url")
    if not isinstance(url, str) or not is_http_url(url):
        shown = quoted(public_url(url) if isinstance(url, str) else url or "")
        address = "an address that" if reference.is_foreign else f"the address {shown}, which"
        return Unresolved(Reason.ADDRESS_INVALID, f"{reference} has {address} is not an http(s) URL with a host")
    certificates, audience = selected.get("CACerts"), selected.get("audience")
    return Resolved(
        normalize_url(url),
        sink.get("CACerts") or (certificates if isinstance(certificates, str) else None) or None,
        sink.get("audience") or (audience if isinstance(audience, str) else None) or None,
    )


def _selected_address(reference: Reference, target: Object, field: str) -> Object | Unresolved:
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
    remedy = f"correct {field}.ref.address" if reference.is_foreign else f"its addresses: {names}"
    text = f'{reference} has no address named "{reference.address}"; {remedy}'
    return Unresolved(Reason.ADDRESS_NOT_FOUND, text)


def _service_address(
    reference: Reference, service: Object, sink: Mapping[str, Json], cluster_domain: str, field: str
) -> Resolved | Unresolved:
    certificates = sink.get("CACerts") or None
    endpoint = _endpoint(reference, service, "https" if certificates else "http", field)
    if isinstance(endpoint, Unresolved):
        return endpoint
    port, scheme = endpoint
    if certificates:
        scheme = "https"
    authority = f"{reference.name}.{reference.namespace}.svc.{cluster_domain}"
    if port != _default_port(scheme):
        authority += f":{port}"
    return Resolved(f"{scheme}://{authority}", certificates, sink.get("audience") or None)


def _endpoint(reference: Reference, service: Object, preferred: str, field: str) -> tuple[int, str] | Unresolved:
    """The port to use with the DNS name of the Service, and its scheme. For a headless Service: the port of the pods.

    ``preferred``: the scheme of the port to use if ``reference`` names none.
    """
    listed = [port for port in list_in(service, "spec", "ports") if isinstance(get_in(port, "port"), int)]
    has_any_port = get_in(service, "spec", "type") == "ExternalName" or not listed
    headless = get_in(service, "spec", "clusterIP") == "None"
    if has_any_port and reference.port is None:
        return _default_port(preferred), preferred
    chosen = _chosen_port(reference.port, [port for port in listed if _is_tcp(port)], preferred)
    number = reference.port if isinstance(reference.port, int) else None
    if chosen is None:
        is_free = (has_any_port or headless) and all(port["port"] != number for port in listed)
        if not (number and is_free):
            return _no_port(reference, listed, field)
        named = [port for port in listed if _is_tcp(port) and isinstance(port.get("targetPort"), str)]
        # The number of the pods' only named port, which the Service does not tell.
        return number, _scheme(named[0] if headless and len(named) == 1 else {"port": number})
    port = chosen.get("targetPort", chosen["port"]) if headless else chosen["port"]
    if not isinstance(port, int):
        port = number
    return (port, _scheme(chosen)) if port else _named_target_port(reference, chosen, field)


def _is_tcp(port: Object) -> bool:
    return port.get("protocol") in (None, "", "TCP")


def _scheme(port: Object) -> str:
    """By appProtocol, else by the name of the pod's port, else by the port's own name, else by its number."""
    protocol = port.get("appProtocol")
    if isinstance(protocol, str) and protocol.lower() in _SCHEMES:
        return _SCHEMES[protocol.lower()]
    for name in (port.get("targetPort"), port.get("name")):
        if isinstance(name, str) and (found := _SCHEME_IN_NAME.match(name)):
            return found[1]
    return "https" if port["port"] == 443 else "http"


def _named_target_port(reference: Reference, port: Object, field: str) -> Unresolved:
    name = "" if reference.is_foreign else f' "{port["targetPort"]}"'
    text = f"{reference} is headless and its targetPort{name} is a name; set {field}.ref.port to a port number"
    return Unresolved(Reason.ADDRESS_NOT_FOUND, text)


def _no_port(reference: Reference, listed: list[Object], field: str) -> Unresolved:
    if reference.is_foreign:
        problem = f"no TCP port {reference.port}" if reference.port is not None else "no TCP port that is the default"
        remedy = f"set {field}.ref.port to one of its TCP ports"
    else:
        usable = [port for port in listed if _is_tcp(port)]
        problem, remedy = _port_problem(reference.port, listed), f"set {field}.ref.port to a port number"
        if usable:
            remedy = f"set {field}.ref.port to one of: {', '.join(map(_shown, usable))}"
        elif listed:
            remedy = "choose another Service"
    return Unresolved(Reason.ADDRESS_NOT_FOUND, f"{reference} has {problem}; {remedy}")


def _port_problem(wanted: int | str | None, listed: list[Object]) -> str:
    if wanted is None:
        return (
            "several ports and none is the default" if any(map(_is_tcp, listed)) else "no TCP port, and events need TCP"
        )
    protocol = next((port["protocol"] for port in listed if wanted in (port["port"], port.get("name"))), None)
    return f"only the {protocol} port {wanted}, and events need TCP" if protocol else f"no port {wanted}"


def _shown(port: Object) -> str:
    return f"{port['port']} ({port['name']})" if port.get("name") else str(port["port"])


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
