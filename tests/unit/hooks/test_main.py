"""The socket of the hook."""

from __future__ import annotations

import socket

from hooks.__main__ import listen


def test_socket_names_its_protocol_so_that_asyncio_sets_tcp_nodelay() -> None:
    with listen("127.0.0.1", 0) as listening:
        assert listening.proto == socket.IPPROTO_TCP
