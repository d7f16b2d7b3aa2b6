"""Headers, users and tokens that a channel sends, and what it never shows of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import ssl
from dataclasses import replace
from ipaddress import IPv6Network
from pathlib import Path
from typing import Any

import pytest
import trustme

from adapter.cloudevents.encode import Message
from adapter.contract.declarations import EnvError
from adapter.contract.egress import Egress
from adapter.contract.proxies import Proxies
from adapter.contract.timeouts import TIMEOUTS, Timeouts
from adapter.delivery.attempt import Attempt, Disposition
from adapter.delivery.channel import Channel, Destination
from adapter.net.credentials import Credentials, OAuth2
from adapter.sdk import Outcome
from adapter.testing.clock import VirtualClock
from tests.unit.adapter.delivery.loopback import ACCEPTED, Loopback
from tests.unit.adapter.delivery.scenario import Scenario, status

MESSAGE = Message({"Content-Type": "text/plain", "ce-id": "1"}, b"data")
OAUTH2 = OAuth2("http://idp/token", "me", "hunter22222")


def sent(credentials: Credentials) -> bytes:
    """The request that a sink gets."""
    sink = Loopback()

    async def test() -> None:
        async with sink.running():
            destination = Destination(sink.url, credentials=credentials)
            async with contextlib.aclosing(Channel(destination, 10, VirtualClock())) as channel:
                assert (await channel.post(MESSAGE)).code == "202"

    asyncio.run(test())
    return sink.requests[0]


def test_headers_of_the_credentials_are_sent_to_an_api_gateway() -> None:
    assert b"\r\nX-Api-Key: k-12345678\r\n" in sent(Credentials(headers={"X-Api-Key": "k-12345678"}))


def test_user_and_password_are_sent_as_basic_authentication_of_openfaas() -> None:
    assert b"\r\nAuthorization: Basic YWRtaW46cGFzc3fDtnJk\r\n" in sent(Credentials(basic=("admin", "passwörd")))


@pytest.mark.parametrize(
    ("credentials", "secrets"),
    [
        (Credentials(headers={"X-Api-Key": "k-12345678"}), ["k-12345678"]),
        (Credentials(basic=("admin", "passwörd")), ["passwörd", "YWRtaW46cGFzc3fDtnJk"]),
        (Credentials(oauth2=OAUTH2), ["hunter22222", "bWU6aHVudGVyMjIyMjI="]),
    ],
    ids=["header", "basic", "oauth2"],
)
def test_secrets_of_credentials_are_hidden_and_not_in_their_repr(credentials: Credentials, secrets: list[str]) -> None:
    destination = Destination("http://sink/", credentials=credentials)
    assert list(destination.secrets()) == secrets

    assert [secret for secret in secrets if secret in repr(destination)] == []


def token_answer(token: str, status: int = 200) -> bytes:
    body = json.dumps({"access_token": token, "token_type": "Bearer", "expires_in": 3600})
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


UNAUTHORIZED = b"HTTP/1.1 401 X\r\nContent-Length: 0\r\n\r\n"


def with_tokens(
    idp: Loopback, sink: Loopback, *, posts: int = 1, timeouts: Timeouts = TIMEOUTS, **to: Any
) -> tuple[list[Attempt], Channel]:
    """The attempts at ``sink`` of a channel that gets its tokens from ``idp``."""

    async def test() -> tuple[list[Attempt], Channel]:
        async with idp.running(), sink.running():
            oauth2 = OAuth2(f"{idp.url}token", "me", "hunter22222", scopes=("write",))
            destination = Destination(sink.url, credentials=Credentials(oauth2=oauth2), **to)
            async with contextlib.aclosing(Channel(destination, 10, VirtualClock(), timeouts=timeouts)) as channel:
                return [await channel.post(MESSAGE) for _ in range(posts)], channel

    return asyncio.run(test())


def tokens_of(sink: Loopback) -> list[str]:
    return re.findall(r"Authorization: Bearer (\S+)\r\n", b"".join(sink.requests).decode())


def test_token_is_requested_once_and_sent_with_each_event() -> None:
    idp, sink = Loopback(token_answer("t-1")), Loopback()
    attempts, channel = with_tokens(idp, sink, posts=2)
    assert [attempt.code for attempt in attempts] == ["202", "202"]
    assert tokens_of(sink) == ["t-1", "t-1"]
    assert len(idp.requests) == 1
    head, _, body = idp.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /token HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Basic bWU6aHVudGVyMjIyMjI=\r\n" in head
    assert body == b"grant_type=client_credentials&scope=write"
    assert "t-1" in channel.secrets()


def test_event_is_sent_again_with_a_new_token_when_the_sink_has_revoked_the_old_one() -> None:
    idp, sink = Loopback(token_answer("t-1"), token_answer("t-2")), Loopback(ACCEPTED, UNAUTHORIZED, ACCEPTED)
    attempts, _ = with_tokens(idp, sink, posts=2)
    assert [attempt.code for attempt in attempts] == ["202", "202"]
    assert tokens_of(sink) == ["t-1", "t-1", "t-2"]


def test_event_is_refused_when_the_sink_refuses_a_new_token() -> None:
    idp, sink = Loopback(token_answer("t-1"), token_answer("t-2")), Loopback(ACCEPTED, *[UNAUTHORIZED] * 3)
    attempts, _ = with_tokens(idp, sink, posts=3)
    assert [attempt.code for attempt in attempts] == ["202", "401", "401"]
    assert attempts[1].disposition is Disposition.REJECT
    assert tokens_of(sink) == ["t-1", "t-1", "t-2", "t-2"]


def test_token_of_more_bytes_than_a_kept_body_is_used() -> None:
    token = "t" * 20_000
    sink = Loopback()
    with_tokens(Loopback(token_answer(token)), sink)
    assert tokens_of(sink) == [token]


def test_token_server_may_be_slower_than_the_body_of_a_sink() -> None:
    octets = token_answer("t-1")

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(octets[:-20])
        await asyncio.sleep(0.1)
        writer.write(octets[-20:])

    sink = Loopback()
    with_tokens(Loopback(slow), sink, timeouts=replace(TIMEOUTS, response_body_s=0.01))
    assert tokens_of(sink) == ["t-1"]


def test_event_is_not_sent_when_the_token_server_refuses() -> None:
    body = b'{"error": "invalid_client", "error_description": "hunter22222 is not the secret"}'
    refusal = b"HTTP/1.1 401 X\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    idp, sink = Loopback(refusal), Loopback()
    (attempt,), _ = with_tokens(idp, sink)
    assert (attempt.disposition, attempt.code) == (Disposition.RETRY, "token")
    assert attempt.reason == f"token server 127.0.0.1:{idp.port}: answered 401"
    assert attempt.body == b"invalid_client: hunter22222 is not the secret"  # Delivery hides the secret
    assert sink.requests == []


def test_token_server_is_as_restricted_as_the_sink() -> None:
    idp, sink = Loopback(token_answer("t-1"), host="::1"), Loopback()
    (attempt,), _ = with_tokens(idp, sink, egress=Egress(denied_networks=(IPv6Network("::1/128"),)))
    assert (attempt.code, idp.requests, sink.requests) == ("token", [], [])
    assert "address ::1 is not allowed; DENIED_NETWORKS" in attempt.reason


def test_token_server_is_trusted_as_the_sink(tmp_path: Path) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def attempt(**trust: Any) -> Attempt:
        return with_tokens(Loopback(token_answer("t-1"), context=context), Loopback(), **trust)[0][0]

    assert "certificate verify failed" in attempt().reason
    assert attempt(ca_certs=authority.cert_pem.bytes().decode()).code == "202"
    authority.cert_pem.write_to_path(tmp_path / "bundle.pem")
    assert attempt(bundles=tmp_path).code == "202"
    (tmp_path / "bundle.pem").write_text("x")
    failed = attempt(bundles=tmp_path)
    assert failed.code == "token"
    assert "bundle.pem holds no PEM certificates" in failed.reason


def test_token_is_requested_through_the_proxy_of_the_sink() -> None:
    proxy, sink = Loopback(token_answer("t-1")), Loopback()
    proxies = Proxies.of(f"http://127.0.0.1:{proxy.port}", None, "127.0.0.1", "cluster.local")
    oauth2 = OAuth2("http://idp.example.com/token", "me", "hunter22222")

    async def test() -> str:
        destination = Destination(sink.url, egress=Egress(proxies=proxies), credentials=Credentials(oauth2=oauth2))
        made = Channel(destination, 10, VirtualClock())
        async with proxy.running(), sink.running(), contextlib.aclosing(made) as channel:
            return (await channel.post(MESSAGE)).code

    assert asyncio.run(test()) == "202"
    assert proxy.requests[0].startswith(b"POST http://idp.example.com/token HTTP/1.1\r\n")
    assert tokens_of(sink) == ["t-1"]


def test_invalid_token_url_is_an_environment_error_without_its_secrets() -> None:
    credentials = Credentials(oauth2=OAuth2("http://user:secret@[::1", "me", "hunter22222"))
    expected = "DEAD_LETTER_SINK_AUTH is not valid: write the absolute http.s. URL that tokens are requested from"
    with pytest.raises(EnvError, match=f"^{expected}$"):
        Channel(
            Destination("http://s", credentials=credentials, credentials_variable="DEAD_LETTER_SINK_AUTH"),
            1,
            VirtualClock(),
        )


def test_reason_of_a_token_server_shows_no_secret_of_the_source() -> None:
    reason = "token server idp: answered 401"
    scenario = Scenario(
        Attempt(Disposition.RETRY, "token", reason, body=b"invalid_client: p-hunter22222 is wrong"),
        status(202),
        secrets=["p-hunter22222"],
    )
    assert scenario.deliver() is Outcome.DELIVERED
    assert scenario.book.lines[0]["reason"] == f"{reason}: invalid_client: (secret) is wrong"
    assert [line for line in scenario.series("source_delivery_attempts_total") if 'code="token"' in line]
