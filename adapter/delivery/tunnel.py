"""A tunnel through a proxy: the proxy connects to the sink and then passes on all bytes (RFC 9110, section 9.3.6)."""

from __future__ import annotations

import asyncio
import re

from adapter.contract.proxies import Proxy, authority
from adapter.delivery.connection import HEAD_LIMIT, Connection, NoResponse, os_text
from adapter.delivery.request import HEADERS

_HEAD = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: [^\r\n]*)?\r?\n(?:[^\r\n]+\r?\n)*\r?\n")


async def open_tunnel(transport: asyncio.Transport, connection: Connection, proxy: Proxy, host: str, port: int) -> None:
    """Ask ``proxy`` for a tunnel. Bytes that arrive on ``transport`` afterwards come from ``host``, to ``connection``.

    Raises ``NoResponse`` if the proxy refuses. A body in the answer of the proxy is an error, because it would be read
    as bytes of the host.
    """
    answer = _Answer()
    transport.set_protocol(answer)
    try:
        if transport.is_closing():  # the proxy has sent bytes without a request, or has closed the connection
            raise NoResponse(f"the proxy {proxy} closed the connection", unprocessed=True)
        transport.write(_request(proxy, authority(host, port)))
        await answer.received
        _check(answer, proxy)
    except BaseException:
        transport.abort()
        raise
    transport.set_protocol(connection)


def _request(proxy: Proxy, target: str) -> bytes:
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", f"User-Agent: {HEADERS['User-Agent']}"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def _check(answer: _Answer, proxy: Proxy) -> None:
    if answer.lost is not None:
        raise NoResponse(f"the proxy {proxy} closed the connection before its answer{answer.lost}", unprocessed=True)
    head = _HEAD.match(answer.octets)
    if not head:
        raise NoResponse(f"the proxy {proxy} did not answer CONNECT with HTTP/1.1")
    status = int(head[1])
    if not 200 <= status < 300:
        raise NoResponse(f"the proxy {proxy} refused the connection: it answered CONNECT with {status}")
    if head.end() != len(answer.octets):
        raise NoResponse(f"the proxy {proxy} sent more than its answer to CONNECT")


class _Answer(asyncio.Protocol):
    """Collects the head of the answer to CONNECT. ``received``: nothing more is needed."""

    def __init__(self) -> None:
        self.octets = bytearray()
        self.lost: str | None = None  # the connection ended before the answer; the cause
        self.received: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.octets += data
        is_http = self.octets[:7] == b"HTTP/1."[: len(self.octets)]
        if not is_http or b"\n\r\n" in self.octets or b"\n\n" in self.octets or len(self.octets) > HEAD_LIMIT:
            self._end()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.received.done():
            self.lost = f": {text}" if (text := os_text(error, "")) else ""
        self._end()

    def _end(self) -> None:
        if not self.received.done():
            self.received.set_result(None)
