"""One attempt: what a status means, what ``Retry-After`` asks for, whom TLS trusts, what never gets out."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx2
import pytest
import trustme

from adapter.cloudevents.encode import Message
from adapter.contract.environment import EnvError
from adapter.delivery.attempt import Attempt, Disposition, disposition
from adapter.delivery.channel import BODY_LIMIT, Channel, Destination, tls_of
from adapter.net.client_pool import ClientPool
from adapter.net.retry_after import retry_after_s
from adapter.testing.clock import START, VirtualClock

MESSAGE = Message({"Content-Type": "text/plain", "ce-id": "1"}, b"data")
Respond = Callable[[httpx2.Request], httpx2.Response]


def channel(respond: Respond, **destination: object) -> Channel:
    made = Channel(Destination("http://sink/", **destination), 0.5, VirtualClock())  # type: ignore[arg-type]  # fields by name
    made._clients = ClientPool(lambda: httpx2.AsyncClient(transport=httpx2.MockTransport(respond), timeout=None))
    return made


def post(respond: Respond, **destination: object) -> Attempt:
    return asyncio.run(channel(respond, **destination).post(MESSAGE))


def fails(error: Exception) -> Respond:
    def respond(request: httpx2.Request) -> httpx2.Response:
        raise error

    return respond


RETRIED = {404, 408, 409, 429, *range(500, 600)}


@pytest.mark.parametrize("code", range(100, 600))
def test_the_verdict_on_a_status_is_the_data_plane_specifications(code: int) -> None:
    expected = Disposition.ACCEPT if code // 100 == 2 else Disposition.RETRY if code in RETRIED else Disposition.REJECT
    assert disposition(code) is expected


def test_a_status_outside_the_specifications_table_is_tried_again() -> None:
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
def test_retry_after_is_read_or_ignored(text: str | None, seconds: float) -> None:
    assert retry_after_s(text, START) == seconds


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(httpx2.ConnectError("refused"), id="connect"),
        pytest.param(httpx2.RemoteProtocolError("garbage"), id="protocol"),
        pytest.param(httpx2.InvalidURL("bad"), id="url"),
        pytest.param(ssl.SSLError("bad record mac"), id="tls-while-reading"),
        pytest.param(UnicodeError("label too long"), id="host-name"),
        pytest.param(RuntimeError("who knows"), id="unforeseen"),
        pytest.param(ExceptionGroup("several", [OSError("a")]), id="group"),
    ],
)
def test_no_exception_of_the_client_gets_out(error: Exception) -> None:
    answer = post(fails(error))
    assert (answer.disposition, answer.code) == (Disposition.RETRY, "transport")
    assert type(error).__name__ in answer.reason


def test_what_a_broken_answer_quotes_stays_out() -> None:
    answer = post(fails(httpx2.RemoteProtocolError("illegal status line: bytearray(b'secret')")))
    assert answer.reason == "RemoteProtocolError: illegal status line"


def test_a_sink_that_never_answers_is_a_timeout() -> None:
    async def hang(request: httpx2.Request) -> httpx2.Response:
        await asyncio.Event().wait()
        raise AssertionError

    made = channel(hang)  # type: ignore[arg-type]  # it never answers
    answer = asyncio.run(made.post(MESSAGE))
    assert (answer.disposition, answer.code, answer.reason) == (Disposition.RETRY, "timeout", "no answer within 0.5 s")


def test_an_answer_counts_although_its_body_never_ends() -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 4096
            yield b"x" * 4096

    assert post(lambda _: httpx2.Response(202, content=endless())).disposition is Disposition.ACCEPT
    assert BODY_LIMIT < read <= BODY_LIMIT + 4096


def test_an_answer_counts_although_its_body_stalls(monkeypatch: pytest.MonkeyPatch) -> None:
    async def stalls() -> AsyncIterator[bytes]:
        yield b"why"
        await asyncio.Event().wait()

    monkeypatch.setattr("adapter.delivery.channel.BODY_S", 0.01)
    started = time.monotonic()
    answer = post(lambda _: httpx2.Response(400, content=stalls()))
    assert (answer.disposition, answer.body) == (Disposition.REJECT, b"why")
    assert time.monotonic() - started < 0.4  # not the attempt's timeout


def test_an_answer_counts_although_its_body_breaks_off() -> None:
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
def test_a_refusal_keeps_the_beginning_of_its_body(status: int, sent: bytes, kept: bytes) -> None:
    assert post(lambda _: httpx2.Response(status, stream=httpx2.ByteStream(sent))).body == kept


class Asked:
    """Answers 202 and keeps the last request."""

    request: httpx2.Request

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.request = request
        return httpx2.Response(202)


def test_a_token_goes_along_and_is_read_anew_each_time(tmp_path: Path) -> None:
    file, asked = tmp_path / "token", Asked()
    made = channel(asked, audience="aud", token_file=file)
    for token in ("first", "second"):
        file.write_text(f"{token}\n")
        assert asyncio.run(made.post(MESSAGE)).disposition is Disposition.ACCEPT
        assert asked.request.headers["Authorization"] == f"Bearer {token}"


def test_without_its_token_nothing_is_sent(tmp_path: Path) -> None:
    asked = Asked()
    answer = post(asked, audience="aud", token_file=tmp_path / "token")
    assert (answer.disposition, answer.code) == (Disposition.RETRY, "token")
    assert answer.reason == f"audience aud: {tmp_path}/token: No such file or directory"
    assert not hasattr(asked, "request")


def test_without_an_audience_there_is_no_authorization(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret")
    asked = Asked()
    post(asked, token_file=tmp_path / "token")
    assert "Authorization" not in asked.request.headers


def destination(**fields: object) -> Destination:
    return Destination("https://h", **fields)  # type: ignore[arg-type]  # fields by name


def test_tls_1_1_is_not_spoken() -> None:
    assert tls_of(destination()).minimum_version is ssl.TLSVersion.TLSv1_2


def test_the_environments_authorities_come_on_top_of_the_systems(tmp_path: Path) -> None:
    own, mounted = (trustme.CA().cert_pem.bytes().decode() for _ in range(2))
    system = len(tls_of(destination()).get_ca_certs())
    assert len(tls_of(destination(ca_certs=f"# Schlüssel der Behörde\n{own}")).get_ca_certs()) == system + 1
    (tmp_path / "bundle.pem").write_text(mounted)
    (tmp_path / "..data").mkdir()
    assert len(tls_of(destination(ca_certs=own, bundles=tmp_path)).get_ca_certs()) == system + 2


def test_a_mounted_bundle_that_changes_is_taken_up(tmp_path: Path) -> None:
    async def test() -> None:
        made = Channel(Destination("https://127.0.0.1:9", bundles=tmp_path), 0.5, VirtualClock())
        clients = [made._clients]
        for _ in range(2):
            (tmp_path / "bundle.pem").write_text(trustme.CA().cert_pem.bytes().decode())
            await made.post(MESSAGE)
            clients.append(made._clients)
            await made.post(MESSAGE)
            assert made._clients is clients[-1]
        assert len(set(map(id, clients))) == 3
        await made.aclose()

    asyncio.run(test())


def test_a_bundle_that_cannot_be_read_stops_deliveries_and_is_said(tmp_path: Path) -> None:
    async def test() -> Attempt:
        made = Channel(Destination("https://127.0.0.1:9", bundles=tmp_path), 0.5, VirtualClock())
        (tmp_path / "bundle.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        answer = await made.post(MESSAGE)
        await made.aclose()
        return answer

    answer = asyncio.run(test())
    assert (answer.disposition, answer.code) == (Disposition.RETRY, "transport")
    assert "bundle.pem" in answer.reason


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("x", id="no-pem"),
        pytest.param("ü", id="not-ascii"),
        pytest.param("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", id="no-certificate"),
    ],
)
def test_authorities_that_cannot_be_read_are_an_environment_error(text: str) -> None:
    with pytest.raises(EnvError, match=r"^K_CA_CERTS is .*: write PEM certificates"):
        tls_of(destination(ca_certs=text))
    with pytest.raises(EnvError, match=r"^DEAD_LETTER_CA_CERTS is"):
        tls_of(destination(ca_certs=text, variable="DEAD_LETTER_SINK"))


def test_a_sink_the_client_cannot_read_is_an_environment_error() -> None:
    with pytest.raises(EnvError, match="K_SINK"):
        Channel(Destination("http://user:secret@[::1"), 1, VirtualClock())
