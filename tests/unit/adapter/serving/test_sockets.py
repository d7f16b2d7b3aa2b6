"""Listening sockets: which addresses they accept connections to."""

from __future__ import annotations

import errno
import socket
from typing import Any

import pytest

from adapter.serving.sockets import ALL_ADDRESSES, listening_socket
from tests.deadline import DEADLINE_S
from tests.loopback import ADDRESSES, needs_ipv6


def accepts(listening: socket.socket, address: str) -> bool:
    try:
        with socket.create_connection((address, listening.getsockname()[1]), timeout=DEADLINE_S):
            return True
    except OSError:
        return False


@pytest.mark.parametrize("address", ADDRESSES)
def test_all_addresses_are_those_of_both_families(address: str) -> None:
    with listening_socket(ALL_ADDRESSES, 0) as listening:
        assert accepts(listening, address)


@needs_ipv6
@pytest.mark.parametrize(
    ("host", "accepted"),
    [("0.0.0.0", [True, False]), ("127.0.0.1", [True, False]), ("::1", [False, True]), ("::", [True, True])],
)
def test_one_address_is_of_one_family(host: str, accepted: list[bool]) -> None:
    with listening_socket(host, 0) as listening:
        assert [accepts(listening, "127.0.0.1"), accepts(listening, "::1")] == accepted


class NoIpv6(socket.socket):
    """A kernel without IPv6 refuses the socket; one whose IPv6 is disabled may refuse the address."""

    def __init__(self, family: int, *arguments: int) -> None:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        super().__init__(family, *arguments)


class DisabledIpv6(socket.socket):
    def bind(self, address: Any) -> None:
        if self.family == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        super().bind(address)


@pytest.mark.parametrize("make", [NoIpv6, DisabledIpv6])
def test_host_without_ipv6_is_served_over_ipv4(make: type[socket.socket]) -> None:
    with listening_socket(ALL_ADDRESSES, 0, make=make) as listening:
        assert listening.family == socket.AF_INET
        assert listening.getsockname()[0] == "0.0.0.0"
    with pytest.raises(OSError, match="ddress"):
        listening_socket("::1", 0, make=make)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_port_in_use_on_one_address_is_an_error(host: str) -> None:
    with listening_socket(ADDRESSES[0], 0) as first, pytest.raises(OSError, match="in use"):
        listening_socket(host, first.getsockname()[1])


def test_port_that_no_host_has_is_an_error_and_closes_the_socket() -> None:
    with pytest.raises(OverflowError, match="0-65535"):
        listening_socket(ALL_ADDRESSES, 65536)


def test_socket_names_its_protocol_so_that_asyncio_sets_tcp_nodelay() -> None:
    with listening_socket("127.0.0.1", 0) as listening:
        assert listening.proto == socket.IPPROTO_TCP
