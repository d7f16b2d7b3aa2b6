"""Which servers an adapter may connect to, by host and by network, and through which proxy. Pure.

Whoever may create a source chooses its URLs, and the adapter connects to them from inside the cluster. So the platform
team can restrict them. Both the name and the address of the connection are checked: a name can resolve to any address,
and to another one at the next lookup.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from adapter.contract.declarations import declare
from adapter.contract.proxies import NO_PROXIES, Proxies

Network = IPv4Network | IPv6Network

# Metadata services of clouds give the credentials of the node to whoever asks. Two of them are not link-local.
DENIED_NETWORKS: tuple[Network, ...] = (
    IPv4Network("169.254.0.0/16"),
    IPv4Network("100.100.100.200/32"),  # Alibaba Cloud
    IPv4Network("168.63.129.16/32"),  # Azure
    IPv6Network("fe80::/10"),
    IPv6Network("fd00:ec2::254/128"),  # AWS
    IPv6Network("fd20:ce::254/128"),  # Google Cloud
)
_NAT64 = IPv6Network("64:ff9b::/96")
_HOST = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?|[0-9a-f:.]*:[0-9a-f:.]*", re.ASCII)
_NONE = "none"


@dataclass(frozen=True)
class Egress:
    """``allowed_hosts``: names and addresses as in URLs; ``*.example.com`` means all names below. Empty: all hosts.

    With a proxy, only the host of the URL is judged: the proxy looks up its address. The operator has chosen the proxy,
    so its own address is always allowed.
    """

    allowed_hosts: tuple[str, ...] = ()
    denied_networks: tuple[Network, ...] = DENIED_NETWORKS
    proxies: Proxies = NO_PROXIES

    def host_problem(self, host: str) -> str | None:
        """Why the host of a URL must not be connected to, or None. ``host`` is ASCII, without brackets and port.

        Call it before the name is resolved. It does not know the addresses of a name.
        """
        name = host.lower().rstrip(".")
        if self.allowed_hosts and not any(_matches(name, pattern) for pattern in self.allowed_hosts):
            return f'host "{host}" is not allowed; add it to ALLOWED_HOSTS of the hook'
        return None if _address(name) is None else self.address_problem(name)

    def address_problem(self, address: str) -> str | None:
        """Why a connection to this IP address must not be used, or None.

        Call it with the address of the peer once it is connected, before anything is sent.
        """
        found = _address(address.partition("%")[0])  # an IPv6 address may have a zone
        for each in _embedded(found) if found else ():
            for network in self.denied_networks:
                if each in network:
                    return f"address {each} is not allowed; DENIED_NETWORKS of the hook contains {network}"
        return None


DEFAULT_EGRESS = Egress()


def read_hosts(text: str) -> tuple[str, ...]:
    hosts = _parts(text.lower())
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise ValueError(f'"{host}" is not a host; write names like example.com or *.example.com, comma-separated')
    return hosts


def hosts_text(hosts: tuple[str, ...]) -> str | None:
    return ",".join(hosts) or None


def read_networks(text: str) -> tuple[Network, ...]:
    networks: list[Network] = []
    for part in () if text == _NONE else _parts(text):
        try:
            networks.append(ip_network(part))
        except ValueError:
            expectation = "write networks like 10.0.0.0/8, comma-separated, or none"
            raise ValueError(f'"{part}" is not a network; {expectation}') from None
        if mapped := _mapped_network(networks[-1]):
            raise ValueError(f'"{part}" is a network of IPv4; write {mapped}')
    return tuple(networks)


def _mapped_network(network: Network) -> IPv4Network | None:
    """The network of IPv4 that an IPv4-mapped one, such as ``::ffff:10.0.0.0/104``, stands for.

    Such a network would match no connection. ``::ffff:0:0/96`` is allowed: it denies all addresses of this form.
    """
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped and network.prefixlen > 96:
        return IPv4Network((network.network_address.ipv4_mapped, network.prefixlen - 96))
    return None


def networks_text(networks: tuple[Network, ...]) -> str | None:
    """None for the default, so that the variable is omitted."""
    return None if networks == DENIED_NETWORKS else ",".join(map(str, networks)) or _NONE


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _matches(name: str, pattern: str) -> bool:
    return name.endswith(pattern[1:]) if pattern.startswith("*.") else name == pattern


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _embedded(address: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """The address, and the IPv4 address that it stands for: ``::ffff:1.2.3.4``, and ``64:ff9b::1.2.3.4`` of NAT64."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return [address, address.ipv4_mapped]
        if address in _NAT64:
            return [address, IPv4Address(int(address) & 0xFFFFFFFF)]
    return [address]


_ALLOWED_HOSTS = (
    "The hosts that adapters may connect to, comma-separated: names, addresses, or `*.example.com` for all names below."
)
_DENIED_NETWORKS = (
    "The networks that adapters must not connect to, comma-separated, such as `10.0.0.0/8`. `none`: all are allowed."
)


def declare_allowed_hosts() -> Any:
    """The hook and its adapters have the same variable."""
    return declare((), "ALLOWED_HOSTS", _ALLOWED_HOSTS, "all hosts", read=read_hosts, write=hosts_text)


def declare_denied_networks() -> Any:
    """The hook and its adapters have the same variable."""
    default = f"`{','.join(map(str, DENIED_NETWORKS))}`"
    return declare(
        DENIED_NETWORKS, "DENIED_NETWORKS", _DENIED_NETWORKS, default, read=read_networks, write=networks_text
    )
