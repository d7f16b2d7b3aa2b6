"""A WebhookSource under malicious or unusual requests: no event is lost, and memory stays within its limit."""

from __future__ import annotations

import contextlib
import json
import select
import socket

import pytest

from tests.process.harness import Start, display, wait_until
from tests.process.webhook import Webhook, raw

MIB = 1024 * 1024


def octets(connection: socket.socket) -> bytes:
    """All bytes until the server closes the connection."""
    received = b""
    try:
        while part := connection.recv(65536):
            received += part
    except ConnectionResetError:  # the server did not read everything
        pass
    return received


@pytest.mark.parametrize("upgrade", ["h2c", "websocket", "TLS/1.0"])
def test_offer_to_upgrade_is_declined_and_the_request_is_accepted(start: Start, upgrade: str) -> None:
    """The client of Java and curl --http2 send such offers. The event must contain the whole body."""
    sink, url = display(start)
    hook = Webhook(start, url)
    offer = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": upgrade, "HTTP2-Settings": "AAMAAABkAAQ"}
    for n in range(2):
        assert hook.post(b'{"order":%d}' % n, Content_Type="application/json", **offer).status_code == 202
        assert sink.event()["data"] == {"order": n}
    chunked = b"POST / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n"
    with raw(hook, chunked + b"2\r\nab\r\n0\r\n\r\n") as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 202 ")
    assert sink.event()["data"] == "ab"


def test_offer_to_upgrade_with_a_later_body_is_accepted(start: Start) -> None:
    sink, url = display(start)
    offer = b"Connection: Upgrade\r\nUpgrade: h2c\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    with raw(Webhook(start, url), b"POST / HTTP/1.1\r\nHost: h\r\n" + offer) as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"ab")
        assert connection.recv(100).startswith(b"HTTP/1.1 202 ")
    assert sink.event()["data"] == "ab"


def test_connect_is_405(start: Start) -> None:
    _, url = display(start)
    with raw(Webhook(start, url), b"CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n") as connection:
        assert octets(connection).startswith(b"HTTP/1.1 405 ")


HEAD = b"POST / HTTP/1.1\r\nHost: h\r\n"
ENDLESS = {
    "url": b"POST /",
    "name": HEAD,
    "value": HEAD + b"X: ",
    "trailer": HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: ",
    "chunk-extension": HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;",
    "second-head": HEAD + b"Content-Length: 0\r\n\r\n" + HEAD + b"X: ",
}


@pytest.mark.parametrize("beginning", ENDLESS.values(), ids=ENDLESS)
def test_endless_input_is_cut_off_and_uses_little_memory(start: Start, beginning: bytes) -> None:
    _, url = display(start)
    hook = Webhook(start, url)
    before = hook.process.memory_kib()
    with raw(hook, beginning) as connection:
        sent = 0
        try:
            while sent < 64 * MIB:
                connection.sendall(b"a" * 65536)
                sent += 65536
        except OSError:
            pass
        assert sent < 16 * MIB  # buffers of the kernel
    assert hook.process.memory_kib() - before < 4 * 1024
    assert hook.post(b"x").status_code == 202


def test_long_request_head_is_431(start: Start) -> None:
    _, url = display(start)
    many = b"".join(b"X-%d: %s\r\n" % (n, b"a" * 1000) for n in range(200))
    with raw(Webhook(start, url), HEAD + many + b"\r\n") as connection:
        assert octets(connection).startswith(b"HTTP/1.1 431 ")


def test_body_in_chunks_of_one_byte_is_accepted(start: Start) -> None:
    sink, url = display(start)
    with raw(Webhook(start, url), HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 50_000) as connection:
        connection.sendall(b"0\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 202 ")
    assert len(sink.event()["data"]) == 50_000


def test_total_size_of_bodies_is_limited(start: Start) -> None:
    _, url = display(start)
    hook = Webhook(start, url, maxInFlight=256)
    head = HEAD + b"Content-Length: 1048576\r\n\r\n"
    with contextlib.ExitStack() as stack:
        waiting = {stack.enter_context(raw(hook, head + b"a" * (MIB - 1))) for _ in range(60)}

        statuses: list[int] = []

        def refused() -> int:
            for connection in select.select(list(waiting), [], [], 0)[0]:
                statuses.append(int(connection.recv(100).split()[1]))
                waiting.remove(connection)
            return statuses.count(503)

        wait_until(lambda: refused() >= 10, "refused callers", lambda: statuses)
        assert refused() <= 40  # the bodies of about 24 fit
        assert set(statuses) <= {503, 408}  # 408 if this machine sends for so long that the time for a body is over
        assert hook.process.memory_kib() < 115 * 1024  # the memory limit of the pod is 128 MiB
    wait_until(lambda: hook.post(b"a" * (MIB - 1)).status_code == 202, "room again")


def test_invalid_http_is_400_and_not_logged(start: Start) -> None:
    _, url = display(start)
    hook = Webhook(start, url)
    for _ in range(50):
        with raw(hook, b"\x16\x03\x01\x02\x00\x01\x00\x01") as connection:
            assert octets(connection).startswith(b"HTTP/1.1 400 ")
    assert hook.post(b"x").status_code == 202
    assert {json.loads(line)["msg"] for line in hook.process.errors} <= {"started", "listening"}
