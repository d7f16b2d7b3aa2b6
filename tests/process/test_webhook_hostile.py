"""A listener among callers who mean no good, or speak in ways of their own: nothing is lost, and its pod lives."""

from __future__ import annotations

import contextlib
import json
import select
import socket

import httpx2
import pytest

from tests.process.harness import Start, display, wait_until
from tests.process.test_delivery import rss_kib
from tests.process.webhook import Webhook, raw

MIB = 1024 * 1024


def octets(connection: socket.socket) -> bytes:
    """All until the other side ends it."""
    received = b""
    try:
        while part := connection.recv(65536):
            received += part
    except ConnectionResetError:  # it did not read all we sent
        pass
    return received


@pytest.mark.parametrize("upgrade", ["h2c", "websocket", "TLS/1.0"])
def test_a_request_that_offers_another_protocol_is_taken_as_what_it_is(start: Start, upgrade: str) -> None:
    """Java's client and curl --http2 do so; a 2xx for a body that was left out would be a lie."""
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


def test_an_offer_whose_body_comes_later_is_taken_whole_too(start: Start) -> None:
    sink, url = display(start)
    offer = b"Connection: Upgrade\r\nUpgrade: h2c\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    with raw(Webhook(start, url), b"POST / HTTP/1.1\r\nHost: h\r\n" + offer) as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"ab")
        assert connection.recv(100).startswith(b"HTTP/1.1 202 ")
    assert sink.event()["data"] == "ab"


def test_a_proxy_is_not_what_it_is(start: Start) -> None:
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
def test_what_never_ends_is_cut_off_before_it_costs_much(start: Start, beginning: bytes) -> None:
    _, url = display(start)
    hook = Webhook(start, url)
    before = rss_kib(hook.process)
    with raw(hook, beginning) as connection:
        sent = 0
        try:
            while sent < 64 * MIB:
                connection.sendall(b"a" * 65536)
                sent += 65536
        except OSError:
            pass
        assert sent < 16 * MIB  # what the kernels hold
    assert rss_kib(hook.process) - before < 4 * 1024
    assert hook.post(b"x").status_code == 202


def test_a_long_head_is_answered_431(start: Start) -> None:
    _, url = display(start)
    many = b"".join(b"X-%d: %s\r\n" % (n, b"a" * 1000) for n in range(200))
    with raw(Webhook(start, url), HEAD + many + b"\r\n") as connection:
        assert octets(connection).startswith(b"HTTP/1.1 431 ")


def test_a_body_in_chunks_of_one_octet_is_no_long_head(start: Start) -> None:
    sink, url = display(start)
    with raw(Webhook(start, url), HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 50_000) as connection:
        connection.sendall(b"0\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 202 ")
    assert len(sink.event()["data"]) == 50_000


def test_bodies_that_are_on_their_way_are_bounded_all_together(start: Start) -> None:
    _, url = display(start)
    hook = Webhook(start, url, maxInFlight=256)
    head = HEAD + b"Content-Length: 1048576\r\n\r\n"
    with contextlib.ExitStack() as stack:
        waiting = {stack.enter_context(raw(hook, head + b"a" * (MIB - 1))) for _ in range(60)}

        def turned_away() -> int:
            for connection in select.select(list(waiting), [], [], 0)[0]:
                assert connection.recv(100).startswith(b"HTTP/1.1 503 ")
                waiting.remove(connection)
            return 60 - len(waiting)

        wait_until(lambda: turned_away() >= 25, "callers that are turned away", turned_away)
        assert turned_away() < 35
        assert rss_kib(hook.process) < 115 * 1024  # of the 128 MiB its pod may have
    wait_until(lambda: hook.post(b"a" * (MIB - 1)).status_code == 202, "room again")


def test_garbage_is_refused_without_a_word(start: Start) -> None:
    _, url = display(start)
    hook = Webhook(start, url)
    for _ in range(50):
        with raw(hook, b"\x16\x03\x01\x02\x00\x01\x00\x01") as connection:
            assert octets(connection).startswith(b"HTTP/1.1 400 ")
    assert hook.post(b"x").status_code == 202
    assert {json.loads(line)["msg"] for line in hook.process.errors} <= {"started", "listening"}


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_it_listens_where_its_probes_are_answered(start: Start) -> None:
    _, url = display(start)
    hook = Webhook(start, url)
    assert httpx2.post(f"http://[::1]:{hook.port}/", content=b"x", trust_env=False).status_code == 202
