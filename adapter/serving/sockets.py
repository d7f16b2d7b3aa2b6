"""Listening sockets of all servers: of adapters, of the hook and of ``sources run``."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable

ALL_ADDRESSES = "::"
BACKLOG = 256  # connections that wait to be accepted
NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)  # not in the kernel, or disabled by sysctl


def listening_socket(
    host: str, port: int, *, backlog: int = BACKLOG, make: Callable[..., socket.socket] = socket.socket
) -> socket.socket:
    """A socket that accepts connections to ``host``, an IPv4 or IPv6 address. Port 0: any free port.

    ``ALL_ADDRESSES``: those of IPv4 and IPv6, with one socket; only those of IPv4 if the host has no IPv6. ``OSError``
    if the port is in use or the host does not have the address. ``make`` replaces ``socket.socket``.
    """
    try:
        return _listening(host, port, backlog, make)
    except OSError as error:
        if host != ALL_ADDRESSES or error.errno not in NO_IPV6:
            raise
    return _listening("0.0.0.0", port, backlog, make)


def _listening(host: str, port: int, backlog: int, make: Callable[..., socket.socket]) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only if the protocol is given. Without it, each response waits 40 ms for an ACK.
    listening = make(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if host == ALL_ADDRESSES:  # the default differs between hosts: net.ipv6.bindv6only
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.bind((host, port))
        listening.listen(backlog)
    except BaseException:
        listening.close()
        raise
    return listening


def reset_on_close(connected: socket.socket) -> None:
    """The close of the socket resets its connection. Without this the client would see a normal end."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
