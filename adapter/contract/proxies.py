"""Through which proxy a request goes: ``HTTP_PROXY``, ``HTTPS_PROXY`` and ``NO_PROXY``. Pure.

The rules are those of Go's ``golang.org/x/net/http/httpproxy``, because the components of a cluster are written in Go
and its administrators write these variables for them. So ``ALL_PROXY`` has no meaning. In addition, names that exist
only inside the cluster never go through a proxy.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import unquote, urlsplit

from adapter.contract.formats import is_http_url

CLUSTER_DOMAIN = "cluster.local"
_PROXY = (
    "write http://HOST:PORT or http://USER:PASSWORD@HOST:PORT; in the password, encode special characters, "
    "such as %40 for @"
)
_OTHER_SCHEME = "write http://HOST:PORT; https and socks proxies are not supported"
_NO_PROXY = "write names like example.com, addresses or networks like 10.0.0.0/8, comma-separated, or *"
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", re.ASCII)
_ENTRY = re.compile(r"(?:\[(?P<ipv6>[0-9a-f:.]+)\]|(?P<name>[^\s:/\[\]]+))(?::(?P<port>[0-9]{1,5}))?", re.ASCII)


@dataclass(frozen=True)
class Proxy:
    """``authorization``: the value of ``Proxy-Authorization``, or an empty text."""

    host: str  # a name in ASCII, or an address without brackets
    port: int
    authorization: str = field(default="", repr=False)

    def __str__(self) -> str:
        """For people: ``HOST:PORT``, without the user and the password."""
        return authority(self.host, self.port)


@dataclass(frozen=True)
class Exemption:
    """One entry of ``NO_PROXY``. ``port``: 0 means all ports.

    ``host``: a network, ``*``, a name with all names below it, or ``.name`` for the names below it only.
    """

    host: str | IPv4Network | IPv6Network
    port: int = 0

    def covers(self, name: str, addresses: Sequence[IPv4Address | IPv6Address], port: int) -> bool:
        """``addresses``: those that ``name`` is a text of, not those that it resolves to."""
        if self.port not in (0, port):
            return False
        if not isinstance(self.host, str):
            return any(address in self.host for address in addresses)
        if self.host == "*":
            return True
        suffix = self.host if self.host.startswith(".") else f".{self.host}"
        return not addresses and (name == self.host or name.endswith(suffix))


@dataclass(frozen=True)
class Proxies:
    """The proxies for http and https URLs, and which hosts need none."""

    http: Proxy | None = None
    https: Proxy | None = None
    exemptions: tuple[Exemption, ...] = ()
    cluster_domain: str = CLUSTER_DOMAIN

    @classmethod
    def of(cls, http: str | None, https: str | None, exemptions: str, cluster_domain: str) -> Proxies:
        """From the texts of the variables. ``ValueError`` says what to write."""
        return cls(
            _proxy(http) if http else None, _proxy(https) if https else None, read_no_proxy(exemptions), cluster_domain
        )

    def proxy_for(self, host: str, port: int | None, *, is_https: bool) -> Proxy | None:
        """The proxy for a URL; None: connect directly.

        ``host``: a name in ASCII, or an address without brackets. ``port``: None means the port of http or https.
        """
        proxy = self.https if is_https else self.http
        if proxy is None:
            return None
        name, port = host.lower().rstrip("."), port or (443 if is_https else 80)
        addresses = _addresses(name)
        if self._is_internal(name, addresses) or any(each.covers(name, addresses, port) for each in self.exemptions):
            return None
        return proxy

    def _is_internal(self, name: str, addresses: Sequence[IPv4Address | IPv6Address]) -> bool:
        """Whether the host is this machine, or a name that only the DNS of the cluster knows."""
        if addresses:
            return any(address.is_loopback for address in addresses)
        domains = (".svc", f".svc.{self.cluster_domain}", f".pod.{self.cluster_domain}", f".{CLUSTER_DOMAIN}")
        return "." not in name or name.endswith((*domains, ".localhost"))


NO_PROXIES = Proxies()


def authority(host: str, port: int) -> str:
    """``HOST:PORT`` as in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def read_proxy_url(text: str) -> str:
    """The URL of a proxy, with http:// added to ``HOST:PORT``, as in Go. ``ValueError`` says what to write."""
    url = text if "://" in text else f"http://{text}"
    if not url.lower().startswith("http://"):
        raise ValueError(_OTHER_SCHEME)
    if not is_http_url(url):
        raise ValueError(_PROXY)
    parts = urlsplit(url)
    if not (parts.hostname or "").isascii():
        raise ValueError(_PROXY)
    if parts.path not in ("", "/") or parts.query or parts.fragment:  # probably the end of a password
        raise ValueError(_PROXY)
    return url


def _proxy(url: str) -> Proxy:
    parts = urlsplit(read_proxy_url(url))
    credentials = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    basic = "" if credentials == ":" else f"Basic {b64encode(credentials.encode()).decode()}"
    return Proxy(parts.hostname or "", parts.port or 80, basic)


def read_no_proxy(text: str) -> tuple[Exemption, ...]:
    return tuple(_exemption(part.strip()) for part in text.lower().split(",") if part.strip())


def check_no_proxy(text: str) -> str:
    read_no_proxy(text)
    return text


def read_cluster_domain(text: str) -> str:
    if not _DOMAIN.fullmatch(text):
        raise ValueError(f"write a DNS domain like {CLUSTER_DOMAIN}")
    return text


def cluster_domain_text(domain: str) -> str | None:
    """None for the default, so that the variable is omitted."""
    return None if domain == CLUSTER_DOMAIN else domain


def _exemption(entry: str) -> Exemption:
    if entry == "*":
        return Exemption(entry)
    try:
        return Exemption(ip_network(entry, strict=False))  # as in Go, bits of a host are ignored
    except ValueError:
        found = _ENTRY.fullmatch(entry)
    if not found or found["name"] in (".", "*."):
        raise ValueError(f'"{entry}" is not a host or a network; {_NO_PROXY}')
    name, port = found["ipv6"] or found["name"].removesuffix("."), int(found["port"] or 0)
    if addresses := _addresses(name):
        return Exemption(ip_network(addresses[0]), port)
    return Exemption(name.removeprefix("*") if name.startswith("*.") else name, port)


def _addresses(text: str) -> list[IPv4Address | IPv6Address]:
    """The address, and the IPv4 address that it stands for, as in ``::ffff:10.0.0.1``. Empty if it is a name."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return []
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return [address, mapped] if mapped else [address]
