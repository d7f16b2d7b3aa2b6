"""The real adapter against failing sinks: which answers it retries, and that it keeps running."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import pytest
import trustme

from tests.process.harness import DEADLINE_S, Adapter, ScriptedSink, Start, attempts, display, wait_until

LONG = "1h"  # the first tick is one second after the start, so a second request is a retry
ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def test_5xx_is_retried_with_the_same_event(start: Start) -> None:
    sink, url = display(start, "--statuses", "500,500,202")
    source = Adapter(start, url, LONG)
    shown = [sink.event() for _ in range(3)]
    assert [event.pop("status") for event in shown] == [500, 500, 202]
    assert shown[0] == shown[1] == shown[2]
    assert shown[0]["id"].startswith("u1-")
    assert source.process.wait_for_log("recovered")["failed_attempts"] == 2
    assert (source.attempts("500"), source.attempts("202")) == (2, 1)
    source.wait_for('source_events_total{kind="SampleSource",name="source",namespace="default",outcome="delivered"')
    assert source.process.stop()[0] == 0
    assert sink.lines.empty()


def test_answer_after_the_timeout_is_retried(start: Start) -> None:
    sink, url = display(start, "--delay", "1500ms")
    source = Adapter(start, url, LONG, K_SINK_TIMEOUT="1")
    assert sink.event()["id"] == sink.event()["id"]
    assert source.process.wait_for_log("failed")["reason"] == "no answer within 1 s"
    source.wait_for_attempts("timeout")


def test_slow_answer_within_the_timeout_is_not_retried(start: Start) -> None:
    sink, url = display(start, "--delay", "250ms")
    Adapter(start, url, "100ms")
    ids = [sink.event()["id"] for _ in range(5)]
    assert len(set(ids)) == 5


def test_missing_answer_is_a_timeout(start: Start) -> None:
    sink, url = display(start, "--hang")
    source = Adapter(start, url, LONG, K_SINK_TIMEOUT="1")
    assert sink.event()["id"] == sink.event()["id"]
    assert source.attempts("timeout") >= 1


def test_connection_reset_is_retried(start: Start) -> None:
    sink, url = display(start, "--reset")
    source = Adapter(start, url, LONG)
    assert len({sink.event()["id"] for _ in range(3)}) == 1
    failed = source.process.wait_for_log("failed")
    assert (failed["code"], failed["reason"]) == ("transport", "no response: connection reset by peer")


def test_kept_connection_that_the_sink_closes_is_no_failed_attempt(start: Start) -> None:
    """The sink closes each connection when the second request on it has begun."""

    def close_at_next(connection: socket.socket, n: int) -> None:
        connection.sendall(HEAD + b"Content-Length: 0\r\n\r\n")
        connection.recv(1)

    with ScriptedSink(close_at_next) as sink:
        source = Adapter(start, sink.url, "50ms")
        source.wait_for_attempts("202", 5)
        every, accepted = source.metrics(attempts(""), attempts("202"))
        assert every == accepted
        assert source.process.logged("failed") == []
        assert source.process.stop()[0] == 0
        assert len(set(sink.ids)) == len(sink.ids)
    source.assert_log_is_json()


def test_retry_waits_for_the_seconds_of_retry_after(start: Start) -> None:
    sink, url = display(start, "--statuses", "503,202", "--retry-after", "2")
    Adapter(start, url, LONG)
    first, refused = sink.event(), time.monotonic()
    assert first["id"] == sink.event()["id"]
    assert time.monotonic() - refused > 1.8


def test_retry_waits_for_the_date_of_retry_after(start: Start) -> None:
    date = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=5)
    sink, url = display(start, "--statuses", "503,202", "--retry-after", format_datetime(date, usegmt=True))
    Adapter(start, url, LONG)
    first, second = sink.event(), sink.event()
    assert first["id"] == second["id"]
    assert datetime.now(UTC) >= date


@pytest.mark.parametrize("status", ["301", "302", "303", "307", "308", "400"])
def test_3xx_and_400_are_not_retried_and_redirects_are_not_followed(start: Start, status: str) -> None:
    sink, url = display(start, "--statuses", ",".join([status] * 50))
    source = Adapter(start, url)
    ids = [sink.event()["id"] for _ in range(3)]
    assert len(set(ids)) == 3
    assert source.process.wait_for_log("event lost")["code"] == status


def test_redirect_with_an_invalid_location_is_not_retried(start: Start) -> None:
    def moved(connection: socket.socket, n: int) -> None:
        connection.sendall(
            b"HTTP/1.1 302 Found\r\nLocation: http://[\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )

    with ScriptedSink(moved) as sink:
        source = Adapter(start, sink.url, LONG)
        assert source.process.wait_for_log("event lost")["code"] == "302"
        assert len(sink.requests) == 1


def test_display_accepts_structured_events_and_explains_a_rejection(start: Start) -> None:
    sink, url = display(start)
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": {"n": 1}}
    headers = {"Content-Type": "application/cloudevents+json"}
    assert httpx2.post(url, json=event, headers=headers, timeout=DEADLINE_S).status_code == 202
    shown = sink.event()
    assert (shown["id"], shown["data"], shown["status"]) == ("1", {"n": 1}, 202)
    refused = httpx2.post(url, json=event | {"time": 5}, headers=headers, timeout=DEADLINE_S)
    assert (refused.status_code, refused.text) == (400, "time is 5: write an RFC 3339 time like 2026-01-31T12:00:00Z\n")
    assert sink.lines.empty()


def test_display_takes_events_that_its_terminal_cannot_show(start: Start) -> None:
    sink = start("adapter.display", "--port", "0", PYTHONIOENCODING="ascii")
    (line,) = wait_until(lambda: sink.errors[:1], "display's port", lambda: sink.errors)
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": "grün"}
    headers = {"Content-Type": "application/cloudevents+json"}
    url = f"http://127.0.0.1:{int(line.rpartition(' ')[2])}"
    assert httpx2.post(url, json=event, headers=headers, timeout=DEADLINE_S).status_code == 202
    assert sink.line().endswith('  s  t  "gr\\xfcn"\n')


def test_cookies_are_not_stored(start: Start) -> None:
    def baker(connection: socket.socket, n: int) -> None:
        connection.sendall(ACCEPTED.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b; Path=/\r\n\r\n"))

    with ScriptedSink(baker) as sink:
        Adapter(start, sink.url)
        sink.wait_for(2)
        assert all("cookie" not in headers for headers, _ in sink.requests)


def drip(octets: bytes, sink: list[ScriptedSink]) -> Callable[[socket.socket, int], None]:
    """Sends one byte every 0.1 s to the first request, and accepts the second."""

    def script(connection: socket.socket, n: int) -> None:
        for octet in octets if n == 0 else b"":
            connection.sendall(bytes([octet]))
            if sink[0].stopped.wait(0.1):
                return
        connection.sendall(ACCEPTED)

    return script


def answers(octets: bytes) -> Callable[[socket.socket, int], None]:
    return lambda connection, n: connection.sendall(ACCEPTED if n else octets)


GARBAGE = {
    "not-http": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "nothing": b"",
    "half-a-head": b"HTTP/1.1 202 Acc",
    "head-without-end": b"HTTP/1.1 202 Accepted\r\nX: " + b"x" * 200_000,
    "two-lengths": b"HTTP/1.1 202 Accepted\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "status-099": b"HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("octets", GARBAGE.values(), ids=GARBAGE)
def test_invalid_http_response_is_retried(start: Start, octets: bytes) -> None:
    with ScriptedSink(answers(octets)) as sink:
        source = Adapter(start, sink.url, LONG)
        source.wait_for_attempts("202")
        assert source.attempts("transport") == 1
        assert len(sink.ids) == 2
        assert len(set(sink.ids)) == 1
        assert sink.requests[0] == sink.requests[1]
        assert source.process.stop()[0] == 0
    source.assert_log_is_json()


HEAD = b"HTTP/1.1 202 Accepted\r\n"
BODIES = {
    "chunked-garbage": HEAD + b"Transfer-Encoding: chunked\r\n\r\nnot a chunk\r\n\r\n",
    "shorter-than-content-length": HEAD + b"Content-Length: 1000\r\n\r\nshort",
    "longer-than-content-length": HEAD + b"Content-Length: 1\r\n\r\n" + b"x" * 1000,
    "megabytes": HEAD + b"Content-Length: 4000000\r\n\r\n" + b"x" * 4_000_000,
}


@pytest.mark.parametrize("octets", BODIES.values(), ids=BODIES)
def test_202_counts_whatever_the_body_is(start: Start, octets: bytes) -> None:
    with ScriptedSink(lambda connection, n: connection.sendall(octets)) as sink:
        source = Adapter(start, sink.url, "500ms")
        source.wait_for_attempts("202", 2)
        assert len(set(sink.ids)) == len(sink.ids)
        every, accepted = source.metrics(attempts(""), attempts("202"))
        assert every == accepted


def test_endless_response_body_does_not_hold_up_the_next_events(start: Start) -> None:
    def endless(connection: socket.socket, n: int) -> None:
        connection.sendall(HEAD + b"Content-Length: 1000000\r\n\r\n")
        while not sink.stopped.wait(0.1):
            connection.sendall(b"x")

    with ScriptedSink(endless) as sink:
        source = Adapter(start, sink.url, "1500ms", K_SINK_TIMEOUT=str(10 * DEADLINE_S))
        sink.wait_for(3)
        assert len(set(sink.ids)) == len(sink.ids)
        every, accepted = source.metrics(attempts(""), attempts("202"))
        assert every == accepted


def test_slow_response_head_ends_at_the_timeout_of_the_attempt(start: Start) -> None:
    itself: list[ScriptedSink] = []
    with ScriptedSink(drip(HEAD * 20, itself)) as sink:
        itself.append(sink)
        source = Adapter(start, sink.url, LONG, K_SINK_TIMEOUT="1")
        source.wait_for_attempts("202")
        assert source.attempts("timeout") == 1


def test_unknown_host_is_retried_and_logged(start: Start) -> None:
    source = Adapter(start, "http://nosuch.invalid/", LONG)
    source.wait_for_attempts("transport", 2)
    assert "host name not resolved" in source.process.wait_for_log("failed")["reason"]
    assert source.get("/health")[0] == 200


def test_invalid_host_name_does_not_end_the_adapter(start: Start) -> None:
    source = Adapter(start, f"http://{'a' * 64}.invalid/", LONG)
    source.wait_for_attempts("transport", 2)
    assert source.process.child.poll() is None


def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


def pem(authority: trustme.CA) -> str:
    return authority.cert_pem.bytes().decode()


def test_sink_with_a_certificate_of_k_ca_certs_is_trusted(start: Start) -> None:
    authority = trustme.CA()
    with ScriptedSink(answers(ACCEPTED), server_context(authority)) as sink:
        source = Adapter(start, sink.url, LONG, K_CA_CERTS=pem(authority))
        source.wait_for_attempts("202")
        assert source.metric("source_delivery_attempts_total{") == 1


@pytest.mark.parametrize("certificates", ["another", "none"])
def test_untrusted_sink_gets_no_request_and_the_failure_is_logged(start: Start, certificates: str) -> None:
    environ = {"K_CA_CERTS": pem(trustme.CA())} if certificates == "another" else {}
    with ScriptedSink(answers(ACCEPTED), server_context(trustme.CA())) as sink:
        source = Adapter(start, sink.url, LONG, **environ)
        source.wait_for_attempts("transport", 2)
        assert "CERTIFICATE_VERIFY_FAILED" in source.process.wait_for_log("failed")["reason"]
        assert sink.requests == []


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_sink_with_tls_1_1_gets_no_request(start: Start) -> None:
    authority = trustme.CA()
    context = server_context(authority)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with ScriptedSink(answers(ACCEPTED), context) as sink:
        source = Adapter(start, sink.url, LONG, K_CA_CERTS=pem(authority))
        source.wait_for_attempts("transport", 2)
        assert "PROTOCOL_VERSION" in source.process.wait_for_log("failed")["reason"]
        assert sink.requests == []


def test_password_in_the_sink_url_is_sent_but_not_logged(start: Start) -> None:
    with ScriptedSink(answers(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")) as sink:
        source = Adapter(start, sink.url.replace("localhost", "me:pass-word@localhost") + "p?q=%20", LONG)
        source.wait_for_attempts("202")
        assert sink.requests[0][0]["authorization"] == "Basic bWU6cGFzcy13b3Jk"
        assert source.process.stop()[0] == 0
    assert "pass-word" not in "".join(source.process.errors)
