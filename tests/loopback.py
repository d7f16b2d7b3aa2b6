"""The loopback addresses of this machine: it may have no IPv6, and a namespace without 127.0.0.1 has no IPv4."""

from __future__ import annotations

import socket

import pytest


def has(address: str) -> bool:
    """Whether a server on this machine can listen on ``address``."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


IPV4, IPV6 = "127.0.0.1", "::1"
ADDRESSES = [address for address in (IPV4, IPV6) if has(address)]
needs_ipv6 = pytest.mark.skipif(
    IPV6 not in ADDRESSES, reason="this machine has no IPv6: ::1 is not one of its addresses"
)
needs_ipv4 = pytest.mark.skipif(
    IPV4 not in ADDRESSES, reason="this machine has no IPv4: 127.0.0.1 is not one of its addresses"
)


def in_url(address: str) -> str:
    return f"[{address}]" if ":" in address else address
