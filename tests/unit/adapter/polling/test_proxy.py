"""Polls through a proxy: what the proxy and the upstream get, and proxies that fail."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from ipaddress import IPv4Network
from typing import Any

import httpx2
import pytest
import trustme

from adapter.polling.client import Upstream
from adapter.polling.errors import PollFailed
from adapter.sources.poll_source import PollSource
from tests.deadline import DEADLINE_S
from tests.unit.adapter.delivery.fake_proxy import TUNNEL, FakeProxy
from tests.unit.adapter.delivery.loopback import Answer, reset, then_close
from tests.unit.adapter.polling.polled import poll

HOST = "api.example.com"
BODY = b'[{"id": "a"}]'
LIST = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n" % len(BODY)
CREDENTIALS = "user:C4nary-PW@"
HEADER = b"Proxy-Authorization: Basic dXNlcjpDNG5hcnktUFc=\r\n"  # of CREDENTIALS


def polled(proxy: FakeProxy, url: str, trusted: ssl.SSLContext | None = None, **restrictions: Any) -> list[str]:
    """The ids of two polls."""

    async def test() -> list[str]:
        source, egress = PollSource(url=url), proxy.egress(CREDENTIALS, **restrictions)
        upstream = Upstream(lambda: trusted or ssl.create_default_context(), None, 1024, egress=egress)
        async with proxy.running(), asyncio.timeout(DEADLINE_S), contextlib.aclosing(upstream):
            return [str(event.id) for _ in range(2) for event in await poll(source, await upstream.client())]

    return asyncio.run(test())


def test_http_poll_has_the_whole_url_and_the_authorization_for_the_proxy() -> None:
    proxy = FakeProxy(answer=then_close(LIST + b"Connection: close\r\n\r\n" + BODY))
    assert polled(proxy, f"http://{HOST}:8080/items?a=1") == ["a", "a"]
    assert len(proxy.heads) == 2
    for head in proxy.heads:
        assert head.startswith(b"GET http://api.example.com:8080/items?a=1 HTTP/1.1\r\n")
        assert b"\r\nHost: api.example.com:8080\r\n" in head
        assert head.count(HEADER) == 1


def test_https_poll_reaches_the_upstream_in_a_tunnel_that_is_used_again() -> None:
    authority, context, trusted = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert(HOST).configure_cert(context)
    authority.configure_trust(trusted)
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                heads.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(LIST + b"\r\n" + BODY)
        writer.close()

    async def test() -> list[str]:
        async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
            proxy = FakeProxy(server.sockets[0].getsockname()[1])
            ids = await asyncio.to_thread(polled, proxy, f"https://{HOST}/items", trusted)
            [head] = proxy.heads
            assert head.startswith(b"CONNECT api.example.com:443 HTTP/1.1\r\n")
            assert HEADER in head
            return ids

    assert asyncio.run(test()) == ["a", "a"]
    assert [head.startswith(b"GET /items HTTP/1.1\r\n") for head in heads] == [True, True]
    assert b"roxy" not in b"".join(heads)


@pytest.mark.parametrize("status", [407, 403, 502])
def test_proxy_that_refuses_is_named_with_its_status(status: int) -> None:
    proxy = FakeProxy(answer=b"HTTP/1.1 %d Nope C4nary-PW\r\nContent-Length: 4\r\n\r\nbody" % status)
    with pytest.raises(httpx2.ProxyError) as caught:
        polled(proxy, f"https://{HOST}/")
    expected = f"the proxy {proxy.name} refused the connection: it answered CONNECT with {status}"
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"SSH-2.0-x\r\n\r\n", id="other-protocol"),
        pytest.param(then_close(b""), id="closes"),
        pytest.param(reset, id="resets"),
        pytest.param(then_close(TUNNEL + LIST + b"\r\n" + BODY), id="answer-of-the-upstream"),
    ],
)
def test_proxy_that_fails_fails_the_poll(answer: Answer) -> None:
    with pytest.raises(httpx2.TransportError):
        polled(FakeProxy(answer=answer), f"https://{HOST}/")


def test_407_to_an_http_request_names_the_proxy() -> None:
    proxy = FakeProxy(answer=b"HTTP/1.1 407 X\r\nContent-Length: 0\r\n\r\n")
    with pytest.raises(httpx2.ProxyError, match=f"the proxy {proxy.name} answered 407"):
        polled(proxy, f"http://{HOST}/")


def test_proxy_that_is_not_there_is_named() -> None:
    proxy = FakeProxy()
    gone = FakeProxy()
    gone.socket.close()
    proxy.name = gone.name
    with pytest.raises(httpx2.ConnectError, match=f"through the proxy {gone.name}: "):
        polled(proxy, f"https://{HOST}/")


def test_host_is_judged_before_the_proxy_gets_its_name() -> None:
    """The address of the proxy itself is not judged: the operator has chosen it."""
    private = (IPv4Network("10.0.0.0/8"), IPv4Network("127.0.0.0/8"))
    answer = then_close(LIST + b"Connection: close\r\n\r\n" + BODY)
    denied = FakeProxy(answer=answer)
    with pytest.raises(PollFailed, match=r"address 10\.1\.2\.3 is not allowed"):
        polled(denied, "http://10.1.2.3/", denied_networks=private)
    assert denied.heads == []
    assert polled(FakeProxy(answer=answer), f"http://{HOST}/", denied_networks=private) == ["a", "a"]
    with pytest.raises(PollFailed, match=r'host "api\.example\.com" is not allowed'):
        polled(FakeProxy(answer=answer), f"http://{HOST}/", allowed_hosts=("other.example.com",))
