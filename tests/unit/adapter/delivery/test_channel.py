"""One delivery attempt: status codes, ``Retry-After``, TLS trust, tokens, and failures of the HTTP client."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trustme

from adapter.cloudevents.encode import Message
from adapter.contract.environment import EnvError
from adapter.delivery.attempt import Attempt, Disposition, disposition
from adapter.delivery.channel import BODY_LIMIT, Channel, Destination, trust_context
from adapter.net.retry_after import retry_after_s
from adapter.testing.clock import START, VirtualClock

MESSAGE = Message({"Content-Type": "text/plain", "ce-id": "1"}, b"data")
Respond = Callable[[httpx2.Request], httpx2.Response | Awaitable[httpx2.Response]]


def channel(respond: Respond, timeout_s: float = 0.5, body_s: float = 1, **destination: Any) -> Channel:
    transport = httpx2.MockTransport(respond)  # type: ignore[arg-type]  # it takes both
    sink = Destination("http://sink/", **destination)
    return Channel(sink, timeout_s, VirtualClock(), response_body_s=body_s, transport=transport)


def post(respond: Respond, **destination: Any) -> Attempt:
    return asyncio.run(channel(respond, **destination).post(MESSAGE))


def fails(error: Exception) -> Respond:
    def respond(request: httpx2.Request) -> httpx2.Response:
        raise error

    return respond


RETRIED = {404, 408, 409, 429, *range(500, 600)}


@pytest.mark.parametrize("code", range(100, 600))
def test_disposition_of_a_status_follows_the_data_plane_specification(code: int) -> None:
    expected = Disposition.ACCEPT if code // 100 == 2 else Disposition.RETRY if code in RETRIED else Disposition.REJECT
    assert disposition(code) is expected


def test_status_that_the_specification_does_not_list_is_retried() -> None:
    assert {disposition(code) for code in range(600, 1000)} == {Disposition.RETRY}


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


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(httpx2.ConnectError("refused"), id="connect"),
        pytest.param(httpx2.RemoteProtocolError("garbage"), id="protocol"),
        pytest.param(httpx2.InvalidURL("bad"), id="url"),
        pytest.param(ssl.SSLError("bad record mac"), id="tls-while-reading"),
        pytest.param(UnicodeError("label too long"), id="host-name"),
        pytest.param(RuntimeError("unexpected"), id="unforeseen"),
        pytest.param(ExceptionGroup("several", [OSError("a")]), id="group"),
    ],
)
def test_exception_of_the_client_is_an_attempt_to_retry(error: Exception) -> None:
    attempt = post(fails(error))
    assert (attempt.disposition, attempt.code) == (Disposition.RETRY, "transport")
    assert type(error).__name__ in attempt.reason


def test_reason_holds_no_octets_of_an_invalid_response() -> None:
    attempt = post(fails(httpx2.RemoteProtocolError("illegal status line: bytearray(b'secret')")))
    assert attempt.reason == "RemoteProtocolError: illegal status line"


def test_sink_that_never_answers_is_a_timeout() -> None:
    async def hang(request: httpx2.Request) -> httpx2.Response:
        await asyncio.Event().wait()
        raise AssertionError

    attempt = asyncio.run(channel(hang, timeout_s=0.01).post(MESSAGE))
    assert (attempt.disposition, attempt.code) == (Disposition.RETRY, "timeout")
    assert attempt.reason == "no answer within 0.01 s"


def test_endless_body_does_not_change_the_disposition_of_the_status() -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 4096
            yield b"x" * 4096

    assert post(lambda _: httpx2.Response(202, content=endless())).disposition is Disposition.ACCEPT
    assert BODY_LIMIT < read <= BODY_LIMIT + 4096


def test_stalled_body_does_not_change_the_disposition_of_the_status() -> None:
    async def stalls() -> AsyncIterator[bytes]:
        yield b"why"
        await asyncio.Event().wait()

    made = channel(lambda _: httpx2.Response(400, content=stalls()), timeout_s=30, body_s=0.01)
    started = time.monotonic()
    attempt = asyncio.run(made.post(MESSAGE))
    assert (attempt.disposition, attempt.body) == (Disposition.REJECT, b"why")
    assert time.monotonic() - started < 0.9  # neither the default nor the timeout of the attempt


def test_interrupted_body_does_not_change_the_disposition_of_the_status() -> None:
    async def breaks() -> AsyncIterator[bytes]:
        yield b"x"
        raise httpx2.ReadError("reset")

    assert post(lambda _: httpx2.Response(400, content=breaks())).disposition is Disposition.REJECT


@pytest.mark.parametrize(
    ("status", "sent", "kept"),
    [
        pytest.param(400, b"no such thing", b"no such thing", id="short"),
        pytest.param(500, b"x" * 50_000, b"x" * 4096, id="long"),
        pytest.param(202, b"fine", b"", id="accepted"),
    ],
)
def test_rejection_keeps_the_beginning_of_its_body(status: int, sent: bytes, kept: bytes) -> None:
    assert post(lambda _: httpx2.Response(status, stream=httpx2.ByteStream(sent))).body == kept


class Recorder:
    """Answers 202 and keeps the last request."""

    request: httpx2.Request

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.request = request
        return httpx2.Response(202)


def test_token_is_read_again_for_each_attempt(tmp_path: Path) -> None:
    file, sink = tmp_path / "token", Recorder()
    made = channel(sink, audience="aud", token_file=file)
    for token in ("first", "second"):
        file.write_text(f"{token}\n")
        assert asyncio.run(made.post(MESSAGE)).disposition is Disposition.ACCEPT
        assert sink.request.headers["Authorization"] == f"Bearer {token}"


def test_event_is_not_sent_without_its_token(tmp_path: Path) -> None:
    sink = Recorder()
    attempt = post(sink, audience="aud", token_file=tmp_path / "token")
    assert (attempt.disposition, attempt.code) == (Disposition.RETRY, "token")
    assert attempt.reason == f"audience aud: {tmp_path}/token: No such file or directory"
    assert not hasattr(sink, "request")


def test_no_authorization_is_sent_without_an_audience(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret")
    sink = Recorder()
    post(sink, token_file=tmp_path / "token")
    assert "Authorization" not in sink.request.headers


def destination(**fields: Any) -> Destination:
    return Destination("https://h", **fields)


def test_tls_1_2_is_the_minimum() -> None:
    assert trust_context(destination()).minimum_version is ssl.TLSVersion.TLSv1_2


def test_given_and_mounted_certificates_are_trusted_in_addition_to_the_system_cas(tmp_path: Path) -> None:
    own, mounted = (trustme.CA().cert_pem.bytes().decode() for _ in range(2))
    system = len(trust_context(destination()).get_ca_certs())
    assert len(trust_context(destination(ca_certs=f"# Schlüssel der Behörde\n{own}")).get_ca_certs()) == system + 1
    (tmp_path / "bundle.pem").write_text(mounted)
    (tmp_path / "..data").mkdir()
    assert len(trust_context(destination(ca_certs=own, bundles=tmp_path)).get_ca_certs()) == system + 2


class TlsSink:
    """Answers 202 on 127.0.0.1 with a certificate of ``authority``. ``requests``: their number on each connection."""

    def __init__(self) -> None:
        self.authority = trustme.CA()
        self.requests: list[int] = []
        self.url = ""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert("127.0.0.1").configure_cert(context)
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context) as server:
            self.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            yield

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append(0)
        with contextlib.suppress(asyncio.IncompleteReadError), contextlib.closing(writer):
            while True:
                await reader.readuntil(MESSAGE.body)  # its last octets
                self.requests[-1] += 1
                writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")


def replace_bundle(directory: Path, text: str) -> None:
    """Replace the file by one with another inode, as the kubelet does."""
    (directory / ".new").write_text(text)
    (directory / ".new").replace(directory / "bundle.pem")


def test_changed_bundle_takes_effect_at_the_next_attempt(tmp_path: Path) -> None:
    async def test() -> None:
        sink = TlsSink()
        own, other = (ca.cert_pem.bytes().decode() for ca in (sink.authority, trustme.CA()))
        async with sink.running():
            made = Channel(Destination(sink.url, bundles=tmp_path), 10, VirtualClock())
            assert (await made.post(MESSAGE)).code == "transport"
            replace_bundle(tmp_path, own)
            assert [(await made.post(MESSAGE)).code for _ in range(2)] == ["202", "202"]
            assert sink.requests == [2]  # one connection while nothing changes
            replace_bundle(tmp_path, other)
            attempt = await made.post(MESSAGE)
            assert (attempt.disposition, attempt.code) == (Disposition.RETRY, "transport")
            assert "CERTIFICATE_VERIFY_FAILED" in attempt.reason
            await made.aclose()

    asyncio.run(test())


def test_invalid_bundle_stops_deliveries_and_is_named(tmp_path: Path) -> None:
    async def test() -> Attempt:
        made = Channel(Destination("https://127.0.0.1:9", bundles=tmp_path), 0.5, VirtualClock())
        replace_bundle(tmp_path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        attempt = await made.post(MESSAGE)
        await made.aclose()
        return attempt

    attempt = asyncio.run(test())
    assert (attempt.disposition, attempt.code) == (Disposition.RETRY, "transport")
    assert "bundle.pem" in attempt.reason


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("x", id="no-pem"),
        pytest.param("ü", id="not-ascii"),
        pytest.param("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", id="no-certificate"),
    ],
)
def test_invalid_certificates_are_an_environment_error(text: str) -> None:
    with pytest.raises(EnvError, match=r"^K_CA_CERTS is .*: write PEM certificates"):
        trust_context(destination(ca_certs=text))
    with pytest.raises(EnvError, match=r"^DEAD_LETTER_CA_CERTS is"):
        trust_context(destination(ca_certs=text, ca_certs_variable="DEAD_LETTER_CA_CERTS"))


def test_invalid_sink_url_is_an_environment_error_without_the_password() -> None:
    with pytest.raises(EnvError, match="K_SINK") as caught:
        Channel(Destination("http://user:secret@[::1"), 1, VirtualClock())
    assert "secret" not in str(caught.value)
