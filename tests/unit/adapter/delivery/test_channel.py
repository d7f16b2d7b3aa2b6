"""One delivery attempt: status codes, ``Retry-After``, TLS trust, tokens, and sinks that fail."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

import pytest

from adapter.cloudevents.encode import Message
from adapter.contract.egress import Egress
from adapter.contract.timeouts import TIMEOUTS
from adapter.delivery.attempt import Attempt, Disposition
from adapter.delivery.channel import Channel, Destination
from adapter.delivery.connection import BODY_LIMIT, HEAD_LIMIT
from adapter.net.retry_after import retry_after_s
from adapter.testing.clock import START, VirtualClock
from tests.unit.adapter.delivery.loopback import ACCEPTED, CLOSE, Answer, Loopback, hang, reset, then_close

MESSAGE = Message({"Content-Type": "text/plain", "ce-id": "1"}, b"data")
HEAD = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n"
SECRET = b"the data of the event"


def post(
    *answers: Answer, timeout_s: float = 10, body_s: float = 1, sink: Loopback | None = None, **to: Any
) -> Attempt:
    """One attempt at a sink that sends ``answers``."""

    async def test() -> Attempt:
        async with (sink or Loopback(*answers)).running() as running:
            destination = Destination(running.url, **to)
            timeouts = replace(TIMEOUTS, response_body_s=body_s)
            async with contextlib.aclosing(Channel(destination, timeout_s, VirtualClock(), timeouts=timeouts)) as made:
                return await made.post(MESSAGE)

    return asyncio.run(test())


@pytest.mark.parametrize(
    ("egress", "reason"),
    [
        (Egress(allowed_hosts=("sink.example.com",)), 'host "127.0.0.1" is not allowed; add it to ALLOWED_HOSTS'),
        (Egress(denied_networks=(IPv4Network("127.0.0.0/8"),)), "address 127.0.0.1 is not allowed; DENIED_NETWORKS"),
    ],
    ids=["host", "network"],
)
def test_sink_that_the_platform_team_denies_gets_no_request(egress: Egress, reason: str) -> None:
    sink = Loopback(ACCEPTED)
    attempt = post(sink=sink, egress=egress)
    assert (attempt.disposition, attempt.code) == (Disposition.RETRY, "transport")
    assert attempt.reason.startswith(reason)
    assert sink.requests == []


def test_sink_whose_name_resolves_to_a_denied_address_gets_no_request() -> None:
    async def test(sink: Loopback) -> Attempt:
        async with sink.running() as running:
            url = running.url.replace("127.0.0.1", "localhost")
            denied = Egress(denied_networks=(IPv4Network("127.0.0.0/8"), IPv6Network("::1/128")))
            async with contextlib.aclosing(Channel(Destination(url, egress=denied), 10, VirtualClock())) as channel:
                return await channel.post(MESSAGE)

    sink = Loopback(ACCEPTED)
    assert asyncio.run(test(sink)).reason.startswith("address 127.0.0.1 is not allowed")
    assert sink.requests == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param(None, 0, id="absent"),
        pytest.param("3", 3, id="seconds"),
        pytest.param(" 3 ", 3, id="blanks"),
        pytest.param("00000000000000007", 7, id="leading-zeros"),
        pytest.param("Thu, 01 Jan 2026 00:00:09 GMT", 9, id="date"),
        pytest.param("Thu, 01 Jan 2026 00:00:09 -0000", 9, id="date-without-zone"),
        pytest.param("Thu, 01 Jan 2026 02:00:09 +0200", 9, id="date-elsewhere"),
        pytest.param("Wed, 31 Dec 2025 23:59:59 GMT", 0, id="past"),
        pytest.param("Fri, 01 Jan 2027 00:00:00 GMT", 365 * 86400, id="date-far"),
        pytest.param("999999", 999999, id="long"),
        pytest.param("9" * 5000, float("inf"), id="thousands-of-digits"),
        pytest.param("Thu, 01 Jan 99999999999999999999 00:00:00 GMT", 0, id="year-beyond-c"),
        pytest.param("Thu, 01 Jan 2026 00:00:00 +99999999999999", 0, id="zone-beyond-c"),
        pytest.param("soon", 0, id="garbage"),
        pytest.param("", 0, id="empty"),
        pytest.param("-5", 0, id="negative"),
        pytest.param("1.5", 0, id="fraction"),
        pytest.param("٣", 0, id="other-digits"),
    ],
)
def test_retry_after_is_parsed_or_ignored(text: str | None, seconds: float) -> None:
    assert retry_after_s(text, START) == seconds


INVALID = {
    "not-http": b"SSH-2.0-OpenSSH_9.6 " + SECRET + b"\r\n\r\n",
    "status": b"HTTP/1.1 2x2 " + SECRET + b"\r\n\r\n",
    "status-below-100": b"HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n",
    "header": b"HTTP/1.1 202 X\r\n" + SECRET + b"\x00: 1\r\n\r\n",
    "two-lengths": b"HTTP/1.1 202 X\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "long-head": b"HTTP/1.1 202 X\r\nX: " + SECRET * HEAD_LIMIT,
    "many-headers": b"HTTP/1.1 202 X\r\n" + (b"X: " + SECRET + b"\r\n") * HEAD_LIMIT,
}


@pytest.mark.parametrize("octets", INVALID.values(), ids=INVALID)
def test_invalid_response_is_retried_and_its_octets_are_not_in_the_reason(octets: bytes) -> None:
    attempt = post(octets)
    assert (attempt.disposition, attempt.code) == (Disposition.RETRY, "transport")
    assert attempt.reason.startswith("invalid HTTP response: ")
    assert SECRET.decode() not in attempt.reason


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(CLOSE, "no response: connection closed by the sink", id="closed"),
        pytest.param(then_close(b"HTTP/1.1 202 Acc"), "no response: connection closed by the sink", id="half-a-head"),
        pytest.param(reset, "no response: connection reset by peer", id="reset"),
    ],
)
def test_connection_that_ends_without_a_response_is_retried(answer: Answer, reason: str) -> None:
    attempt = post(answer)
    assert (attempt.disposition, attempt.code, attempt.reason) == (Disposition.RETRY, "transport", reason)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        pytest.param("http://127.0.0.1:9/", "no connection: connection refused", id="refused"),
        pytest.param("http://no-such-host.invalid/", "host name not resolved: ", id="unknown-host"),
        pytest.param(f"http://{'a' * 64}.example/", "host name not resolved: ", id="long-label"),
    ],
)
def test_sink_that_cannot_be_reached_is_retried(url: str, reason: str) -> None:
    attempt = asyncio.run(Channel(Destination(url), 10, VirtualClock()).post(MESSAGE))
    assert (attempt.disposition, attempt.code) == (Disposition.RETRY, "transport")
    assert attempt.reason.startswith(reason)


def test_header_with_a_line_break_is_not_sent() -> None:
    made = Channel(Destination("http://127.0.0.1:9/"), 1, VirtualClock())
    attempt = asyncio.run(made.post(Message({"ce-id": "1\r\nce-source: x"}, b"")))
    assert (attempt.code, attempt.reason) == ("transport", "a header has a line break")


def test_unforeseen_error_is_an_attempt_to_retry() -> None:
    made = Channel(Destination("http://127.0.0.1:9/"), 1, VirtualClock())
    attempt = asyncio.run(made.post(Message({"ce-id": "1"}, "not bytes")))  # type: ignore[arg-type]
    assert (attempt.disposition, attempt.code) == (Disposition.RETRY, "transport")
    assert attempt.reason == "request failed: TypeError"


def test_sink_that_never_answers_is_a_timeout() -> None:
    attempt = post(hang, timeout_s=0.01)
    assert (attempt.disposition, attempt.code) == (Disposition.RETRY, "timeout")
    assert attempt.reason == "no answer within 0.01 s"


def test_interim_responses_are_skipped() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nRetry-After: 9\r\n\r\n"
    attempt = post(interim * 2 + HEAD % (503, 0))
    assert (attempt.code, attempt.retry_after_s) == ("503", 0)


def test_octets_after_the_response_are_not_part_of_it() -> None:
    first = b"HTTP/1.1 503 X\r\nRetry-After: 9\r\nContent-Length: 2\r\n\r\nno"
    attempt = post(first + HEAD % (202, 3) + b"yes")
    assert (attempt.code, attempt.retry_after_s, attempt.body) == ("503", 9, b"no")


def test_response_without_carriage_returns_is_read() -> None:
    assert post(b"HTTP/1.1 202 X\nContent-Length: 0\n\n").code == "202"


def test_retry_after_of_the_response_is_in_the_attempt() -> None:
    assert post(b"HTTP/1.1 503 X\r\nretry-after: 7\r\nContent-Length: 0\r\n\r\n").retry_after_s == 7


def test_endless_body_does_not_change_the_disposition_of_the_status() -> None:
    sent = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(HEAD % (202, 10**12))
        while not writer.is_closing():
            writer.write(b"x" * 4096)
            sent += 4096
            await writer.drain()

    assert post(endless, body_s=60).disposition is Disposition.ACCEPT
    assert sent > BODY_LIMIT


def test_stalled_body_does_not_change_the_disposition_of_the_status() -> None:
    seconds = []
    for _ in range(3):  # a loaded machine may delay one
        started = time.monotonic()
        attempt = post(HEAD % (400, 9) + b"why", timeout_s=30, body_s=0.01)
        assert (attempt.disposition, attempt.body) == (Disposition.REJECT, b"why")
        seconds.append(time.monotonic() - started)
    assert min(seconds) < 0.9  # neither the default nor the timeout of the attempt


@pytest.mark.parametrize("end", [CLOSE, b"Transfer-Encoding"], ids=["closed", "garbage"])
def test_interrupted_body_does_not_change_the_disposition_of_the_status(end: bytes) -> None:
    head = b"HTTP/1.1 400 X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n"
    attempt = post(then_close(head + end))
    assert (attempt.disposition, attempt.body) == (Disposition.REJECT, b"no")


@pytest.mark.parametrize(
    ("status", "sent", "kept"),
    [
        pytest.param(400, b"no such thing", b"no such thing", id="short"),
        pytest.param(500, b"x" * 50_000, b"x" * 4096, id="long"),
        pytest.param(202, b"fine", b"", id="accepted"),
    ],
)
def test_rejection_keeps_the_beginning_of_its_body(status: int, sent: bytes, kept: bytes) -> None:
    assert post(HEAD % (status, len(sent)) + sent).body == kept


def test_body_of_a_rejection_is_not_decompressed() -> None:
    sink = Loopback(b"HTTP/1.1 400 X\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08")
    assert post(sink=sink).body == b"\x1f\x8b\x08"
    assert b"\r\nAccept-Encoding: identity\r\n" in sink.requests[0]


def test_token_is_read_again_for_each_attempt(tmp_path: Path) -> None:
    file, sink = tmp_path / "token", Loopback()

    async def test() -> None:
        async with sink.running():
            made = Channel(Destination(sink.url, audience="aud", token_file=file), 10, VirtualClock())
            for token in ("first", "second"):
                file.write_text(f"{token}\n")
                assert (await made.post(MESSAGE)).disposition is Disposition.ACCEPT
                assert f"\r\nAuthorization: Bearer {token}\r\n".encode() in sink.requests[-1]
            await made.aclose()

    asyncio.run(test())


def test_event_is_not_sent_without_its_token(tmp_path: Path) -> None:
    sink = Loopback()
    attempt = post(sink=sink, audience="aud", token_file=tmp_path / "token")
    assert (attempt.disposition, attempt.code) == (Disposition.RETRY, "token")
    assert attempt.reason == f"audience aud: {tmp_path}/token: No such file or directory"
    assert sink.requests == []


def test_no_authorization_is_sent_without_an_audience(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret")
    sink = Loopback()
    post(sink=sink, token_file=tmp_path / "token")
    assert b"authorization" not in sink.requests[0].lower()
