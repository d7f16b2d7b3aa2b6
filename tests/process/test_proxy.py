"""Adapters behind tinyproxy, a real proxy on loopback that asks for a password.

The destinations are at 0.0.0.0, which Linux connects to this machine: names and addresses of loopback need no proxy.
"""

from __future__ import annotations

import re
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.process.harness import Adapter, ScriptedSink, Start, free_port, wait_until
from tests.process.kinds.servers import Server, program, server_directory
from tests.process.polls import poller
from tests.process.upstream import Answer, Upstream, items

PASSWORD = "C4nary88"
ANYWHERE = "0.0.0.0"
CONFIG = """\
Port {port}
Listen 127.0.0.1
BasicAuth user {password}
MaxClients 100
Timeout 60
LogLevel Connect
DisableViaHeader Yes
"""


class Tinyproxy(Server):
    def __init__(self, directory: Path) -> None:
        self.port, self.log = free_port(), directory / "log"
        self.name = f"127.0.0.1:{self.port}"
        config = directory / "tinyproxy.conf"
        config.write_text(CONFIG.format(port=self.port, password=PASSWORD))
        super().__init__([program("tinyproxy", "tinyproxy"), "-d", "-c", str(config)], self.port, self.log)

    def environ(self, credentials: str = f"user:{PASSWORD}@") -> dict[str, str]:
        url = f"http://{credentials}{self.name}"
        return {"HTTP_PROXY": url, "HTTPS_PROXY": url}

    @property
    def requests(self) -> list[str]:
        """The request lines that the proxy logged, without the version."""
        return re.findall(r"Request \(file descriptor \d+\): (.*) HTTP/1\.1", self.log.read_text())


@pytest.fixture
def proxy() -> Iterator[Tinyproxy]:
    with server_directory() as directory:
        made = Tinyproxy(directory)
        try:
            yield made
        finally:
            made.stop(15)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(ANYWHERE).configure_cert(context)
    return context


def accept(connection: socket.socket, n: int) -> None:
    connection.sendall(b"HTTP/1.1 202 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def refuse(connection: socket.socket, n: int) -> None:
    connection.sendall(b"HTTP/1.1 400 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def elsewhere(url: str) -> str:
    return url.replace("localhost", ANYWHERE)


def assert_secret_free(source: Adapter) -> None:
    pages = [source.get(path)[1] for path in ("/readiness", "/metrics")]
    source.process.stop(signal.SIGKILL)  # the end of the retries would take too long
    source.assert_log_is_json()
    for text in (*pages, *source.process.errors):
        assert "C4nary" not in text
        assert "dXNlcjpDNG5hcnk" not in text  # user:C4nary in base64


def test_https_sink_and_http_dead_letter_sink_get_events_through_the_proxy(
    start: Start, proxy: Tinyproxy, authority: trustme.CA
) -> None:
    with ScriptedSink(refuse, tls(authority)) as sink, ScriptedSink(accept) as dead:
        source = Adapter(
            start,
            elsewhere(sink.url),
            K_CA_CERTS=authority.cert_pem.bytes().decode(),
            DEAD_LETTER_SINK=elsewhere(dead.url),
            **proxy.environ(),
        )
        wait_until(lambda: len(dead.requests) >= 3, "dead letters", lambda: source.process.errors)
        assert source.process.wait_for_log("started")["proxy"] == proxy.name
        assert_secret_free(source)
    assert f"CONNECT {ANYWHERE}:{sink.port}" in proxy.requests
    assert f"POST http://{ANYWHERE}:{dead.port}/" in proxy.requests
    for headers, _ in sink.requests + dead.requests:
        assert headers["ce-type"]
        assert "proxy-authorization" not in headers


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_polls_go_through_the_proxy(
    start: Start, proxy: Tinyproxy, authority: trustme.CA, tmp_path: Path, scheme: str
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = tls(authority) if scheme == "https" else None
    with Upstream(lambda headers, n: Answer(items("a")), context) as upstream, ScriptedSink(accept) as sink:
        url = elsewhere(upstream.url)
        source = poller(start, sink.url, url, TRUST_BUNDLES=str(tmp_path), **proxy.environ())
        wait_until(lambda: sink.requests, "an event", lambda: source.process.errors)
        assert_secret_free(source)
    assert sink.requests[0][0]["ce-id"] == "a"
    port = url.split(":")[2].split("/")[0]
    expected = {"http": f"GET {url}", "https": f"CONNECT {ANYWHERE}:{port}"}[scheme]
    assert set(proxy.requests) == {expected}  # the sink is on localhost, so its requests are not here


@pytest.mark.parametrize(
    ("scheme", "credentials", "reason"),
    [
        pytest.param("http", "", "answered 407", id="http"),
        pytest.param("https", "", "refused the connection: it answered CONNECT with 407", id="https"),
        pytest.param("https", "user:C4nary99@", "refused the connection: it answered CONNECT with 401", id="wrong"),
    ],
)
def test_proxy_that_wants_another_password_is_named_and_no_password_is_shown(
    start: Start, proxy: Tinyproxy, authority: trustme.CA, scheme: str, credentials: str, reason: str
) -> None:
    with ScriptedSink(accept, tls(authority) if scheme == "https" else None) as sink:
        source = Adapter(start, elsewhere(sink.url), **proxy.environ(credentials))
        logged = source.process.wait_for_log("delivery attempt failed")
        polled = poller(start, sink.url, f"{scheme}://{ANYWHERE}:{sink.port}/", **proxy.environ(credentials))
        failed = polled.process.wait_for_log("poll failed")
        assert sink.requests == []
        assert_secret_free(source)
        assert_secret_free(polled)
    assert logged["reason"] == f"the proxy {proxy.name} {reason}"
    assert failed["reason"] == f"ProxyError: the proxy {proxy.name} {reason}"


def test_no_proxy_is_reached_directly(start: Start, proxy: Tinyproxy) -> None:
    with ScriptedSink(accept) as sink:
        source = Adapter(start, elsewhere(sink.url), NO_PROXY="0.0.0.0/32", **proxy.environ())
        wait_until(lambda: len(sink.requests) >= 2, "events", lambda: source.process.errors)
        source.process.stop()
    assert proxy.requests == []


def test_no_event_is_lost_while_the_proxy_restarts(start: Start, proxy: Tinyproxy) -> None:
    with Upstream(lambda headers, n: Answer(items(*range(50)))) as upstream, ScriptedSink(accept) as sink:
        source = poller(start, elsewhere(sink.url), upstream, **proxy.environ())
        wait_until(lambda: len(sink.requests) >= 5, "events", lambda: source.process.errors)
        proxy.stop(9)
        source.process.wait_for_log("delivery attempt failed")
        proxy.start()
        wait_until(lambda: len(sink.requests) >= 50, "all events", lambda: source.process.errors)
        source.process.stop()
    assert sorted({int(headers["ce-id"]) for headers, _ in sink.requests}) == list(range(50))
    (line,) = source.process.logged("delivery attempt failed")[:1]
    assert f"the proxy {proxy.name}" in line["reason"] or line["reason"].startswith("no response: ")


def test_invalid_proxy_ends_the_adapter_with_what_to_write(start: Start) -> None:
    process = start("adapter", K_SINK="http://h", EVENT_SOURCE="/s", https_proxy=f"socks5://user:{PASSWORD}@p:1080")
    assert process.ended() == 2
    assert process.errors == [
        "https_proxy is not valid: write http://HOST:PORT; https and socks proxies are not supported\n"
    ]
