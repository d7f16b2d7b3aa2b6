"""Delivery through a proxy: what the proxy and the sink get, and proxies that fail."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from ipaddress import IPv4Network
from typing import Any

import pytest
import trustme

from adapter.cloudevents.encode import Message
from adapter.contract.egress import Egress
from adapter.contract.proxies import Proxies
from adapter.delivery.attempt import Attempt, Disposition
from adapter.delivery.channel import Channel, Destination
from adapter.testing.clock import VirtualClock
from tests.unit.adapter.delivery.fake_proxy import TUNNEL, FakeProxy
from tests.unit.adapter.delivery.loopback import ACCEPTED, CLOSE, Answer, Loopback, hang, reset, then_close

MESSAGE = Message({"ce-id": "1"}, b"data")
HOST = "sink.example.com"
CREDENTIALS = "user:C4nary-PW@"
HEADER = b"Proxy-Authorization: Basic dXNlcjpDNG5hcnktUFc=\r\n"  # of CREDENTIALS


def tls_sink(*answers: Answer) -> tuple[Loopback, str]:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(context)
    return Loopback(*answers, context=context), authority.cert_pem.bytes().decode()


@contextlib.asynccontextmanager
async def channel(url: str, egress: Egress, timeout_s: float = 20, **options: Any) -> AsyncIterator[Channel]:
    connect_timeout_s = options.pop("connect_timeout_s", 10)
    made = Channel(
        Destination(url, egress=egress, **options), timeout_s, VirtualClock(), connect_timeout_s=connect_timeout_s
    )
    async with contextlib.aclosing(made):
        yield made


def through(proxy: FakeProxy, url: str = f"https://{HOST}/in", **options: Any) -> Attempt:
    """One attempt at ``url``."""

    async def test() -> Attempt:
        async with proxy.running(), channel(url, proxy.egress(CREDENTIALS), **options) as made:
            return await made.post(MESSAGE)

    return asyncio.run(test())


def test_http_request_has_the_whole_url_and_the_authorization_for_the_proxy() -> None:
    proxy = Loopback()
    egress = Egress(proxies=Proxies.of(f"http://{CREDENTIALS}127.0.0.1:{proxy.port}", None, "", "cluster.local"))

    async def test() -> list[str]:
        async with proxy.running(), channel(f"http://{HOST}:8080/in?q=1", egress) as made:
            return [(await made.post(MESSAGE)).code for _ in range(2)]

    assert asyncio.run(test()) == ["202", "202"]
    assert proxy.connections == [2]
    for request in proxy.requests:
        assert request.startswith(
            b"POST http://sink.example.com:8080/in?q=1 HTTP/1.1\r\nHost: sink.example.com:8080\r\n"
        )
        assert request.count(HEADER) == 1


def test_https_request_reaches_the_sink_in_a_tunnel_that_is_used_again() -> None:
    sink, pem = tls_sink()
    proxy = FakeProxy(sink.port)

    async def test() -> list[str]:
        made = channel(f"https://{HOST}/in", proxy.egress(CREDENTIALS), ca_certs=pem)
        async with sink.running(), proxy.running(), made as sender:
            return [(await sender.post(MESSAGE)).code for _ in range(3)]

    assert asyncio.run(test()) == ["202"] * 3
    assert sink.connections == [3]
    [head] = proxy.heads
    assert head.startswith(b"CONNECT sink.example.com:443 HTTP/1.1\r\nHost: sink.example.com:443\r\n")
    assert HEADER in head
    for request in sink.requests:
        assert request.startswith(b"POST /in HTTP/1.1\r\nHost: sink.example.com\r\n")
        assert b"roxy" not in request


def test_sink_is_verified_behind_a_proxy() -> None:
    sink, _ = tls_sink()

    async def test() -> Attempt:
        proxy = FakeProxy(sink.port)
        async with sink.running(), proxy.running(), channel(f"https://{HOST}/", proxy.egress()) as made:
            return await made.post(MESSAGE)

    assert asyncio.run(test()).reason.startswith("TLS handshake failed")
    assert sink.requests == []


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_loopback_is_reached_without_the_proxy(host: str) -> None:
    sink, proxy = Loopback(), FakeProxy()

    async def test() -> Attempt:
        url = f"http://{host}:{sink.port}/"
        async with sink.running(), proxy.running(), channel(url, proxy.egress()) as made:
            return await made.post(MESSAGE)

    assert asyncio.run(test()).code == "202"


@pytest.mark.parametrize("status", [407, 403, 502, 302, 101])
def test_proxy_that_refuses_is_named_with_its_status(status: int) -> None:
    proxy = FakeProxy(answer=b"HTTP/1.1 %d Nope C4nary-PW\r\nContent-Length: 4\r\n\r\nbody" % status)
    attempt = through(proxy)
    expected = f"the proxy {proxy.name} refused the connection: it answered CONNECT with {status}"
    assert (attempt.disposition, attempt.code, attempt.reason) == (Disposition.RETRY, "transport", expected)
    assert len(proxy.heads) == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(b"SSH-2.0-x\r\n", "did not answer CONNECT with HTTP/1.1", id="other-protocol"),
        pytest.param(b"HTTP/1.1 2x0 OK\r\n\r\n", "did not answer CONNECT with HTTP/1.1", id="no-status"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 20_000, "did not answer CONNECT with HTTP/1.1", id="endless"
        ),
        pytest.param(TUNNEL + ACCEPTED, "sent more than its answer to CONNECT", id="answer-of-the-sink"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", "sent more than its answer", id="body"),
        pytest.param(CLOSE, None, id="nothing"),
        pytest.param(then_close(b""), "closed the connection before its answer", id="closes"),
        pytest.param(
            then_close(b"HTTP/1.1 200 OK\r\n"), "closed the connection before its answer", id="closes-in-its-head"
        ),
        pytest.param(reset, "closed the connection before its answer: connection reset by peer", id="resets"),
        pytest.param(hang, None, id="hangs"),
    ],
)
def test_proxy_that_fails_is_the_reason(answer: Answer, reason: str | None) -> None:
    proxy = FakeProxy(answer=answer)
    attempt = through(proxy, connect_timeout_s=0.2 if reason is None else 10)
    if reason is None:
        assert (attempt.code, attempt.reason) == (
            "timeout",
            f"no connection through the proxy {proxy.name} within 0.2 s",
        )
    else:
        assert (attempt.disposition, attempt.code) == (Disposition.RETRY, "transport")
        assert attempt.reason.startswith(f"the proxy {proxy.name} {reason}")


@pytest.mark.parametrize("greeting", [b"220 hello\r\n", TUNNEL, b""])
def test_server_that_speaks_before_connect_is_no_proxy(greeting: bytes) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        writer.close()

    async def test() -> tuple[str, str]:
        async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
            name = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
            proxies = Proxies.of(None, f"http://{name}", "", "cluster.local")
            async with channel(f"https://{HOST}/", Egress(proxies=proxies), timeout_s=5) as made:
                return name, (await made.post(MESSAGE)).reason

    name, reason = asyncio.run(test())
    assert reason.startswith((f"the proxy {name} closed", f"the proxy {name} did not answer", "TLS handshake failed"))


def test_octets_after_the_answer_to_connect_are_never_the_answer_of_the_sink() -> None:
    """They may arrive later than the answer, when the tunnel counts as open."""
    for pause_s in (0, 0.001, 0.02):

        async def later(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pause_s: float = pause_s) -> None:
            writer.write(TUNNEL)
            await asyncio.sleep(pause_s)
            writer.write(ACCEPTED)

        attempt = through(FakeProxy(answer=later), timeout_s=5)
        assert (attempt.disposition, attempt.code) == (Disposition.RETRY, "transport")


def test_407_to_an_http_request_is_an_answer_of_the_proxy_and_the_event_is_sent_again() -> None:
    proxy = Loopback(b"HTTP/1.1 407 X\r\nContent-Length: 0\r\n\r\n")
    url = f"http://127.0.0.1:{proxy.port}"
    egress = Egress(proxies=Proxies.of(url, url, "", "cluster.local"))

    async def test() -> Attempt:
        async with proxy.running(), channel(f"http://{HOST}/", egress) as made:
            return await made.post(MESSAGE)

    attempt = asyncio.run(test())
    assert (attempt.disposition, attempt.reason) == (
        Disposition.RETRY,
        f"the proxy 127.0.0.1:{proxy.port} answered 407",
    )


@pytest.mark.parametrize("url", [f"http://{HOST}/", f"https://{HOST}/"])
def test_proxy_that_is_not_there_is_named(url: str) -> None:
    proxy = FakeProxy()
    proxy.socket.close()

    async def test(egress: Egress) -> str:
        async with channel(url, egress) as made:
            return (await made.post(MESSAGE)).reason

    assert asyncio.run(test(proxy.egress())) == f"no connection to the proxy {proxy.name}: connection refused"
    unknown = Egress(proxies=Proxies.of("http://no.invalid:1", "http://no.invalid:1", "", "cluster.local"))
    assert asyncio.run(test(unknown)).startswith("host name of the proxy no.invalid:1 not resolved: ")


def test_host_is_judged_before_the_proxy_gets_its_name() -> None:
    """The address of the proxy itself is not judged: the operator has chosen it."""
    private = {"denied_networks": (IPv4Network("10.0.0.0/8"), IPv4Network("127.0.0.0/8"))}

    def post(url: str, proxy: FakeProxy, **restrictions: Any) -> str:
        async def test() -> str:
            async with proxy.running(), channel(url, proxy.egress(**restrictions)) as made:
                return (await made.post(MESSAGE)).reason

        return asyncio.run(test())

    denied = FakeProxy(answer=b"HTTP/1.1 403 X\r\n\r\n")
    assert post("https://10.1.2.3/", denied, **private).startswith("address 10.1.2.3 is not allowed; DENIED_NETWORKS")
    assert denied.heads == []
    denied = FakeProxy()
    reason = post(f"https://{HOST}/", denied, allowed_hosts=("other.example.com",))
    assert reason == f'host "{HOST}" is not allowed; add it to ALLOWED_HOSTS of the hook'
    assert denied.heads == []
    allowed = FakeProxy(answer=b"HTTP/1.1 403 X\r\n\r\n")
    assert "answered CONNECT with 403" in post(f"https://{HOST}/", allowed, **private)
