"""Credentials of polls: to whom they are sent, and what happens when a token cannot be got or is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx2
import pytest
import trustme

from adapter.contract.egress import DEFAULT_EGRESS, Egress
from adapter.net.tls import tls_context
from adapter.polling.client import Upstream
from adapter.sources.poll_source import PollSource
from adapter.testing.clock import VirtualClock
from tests.mounts import client_pair, mount
from tests.unit.adapter.polling.polled import ok
from tests.unit.adapter.polling.polling_run import Run

URL = "http://host/items"
Auth = dict[str, Any]  # ``spec.auth``
OAUTH2: Auth = {
    "oauth2": {"tokenUrl": "http://idp/token", "clientId": "me", "clientSecret": "hunter22222", "scopes": ["read"]}
}
BASIC: Auth = {"basic": {"username": "me", "password": "pass"}}
TLS: Auth = {"tls": {"secretName": "client"}}
ITEMS = [{"id": "a"}]
Handler = Callable[[httpx2.Request], Any]


class Servers:
    """The upstream gives ``items`` in order and then ends the run; the token server gives ``tokens`` in order."""

    def __init__(self, *items: httpx2.Response, tokens: list[httpx2.Response] | None = None) -> None:
        self.items, self.tokens = iter(items), iter(tokens or [])
        self.asked: list[httpx2.Request] = []  # for tokens
        self.sent: list[tuple[str, str | None]] = []  # host and Authorization

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.host == "idp":
            self.asked.append(request)
            return next(self.tokens)
        response = next(self.items, None)
        if response is None:
            raise KeyboardInterrupt
        self.sent.append((request.url.host, request.headers.get("Authorization")))
        return response


def token(value: str = "t1") -> httpx2.Response:
    return ok({"access_token": value, "token_type": "Bearer", "expires_in": 3600})


def run_with(auth: Auth, handler: Handler, egress: Egress = DEFAULT_EGRESS, **fields: str) -> Run:
    source = PollSource.model_validate({"url": URL, "start": "earliest", "auth": auth, **fields})
    run = Run(source, handler=handler)
    run.context = replace(run.context, egress=egress)
    return run


def reasons(run: Run) -> list[str]:
    return [line["reason"] for line in run.book.lines if "reason" in line]


def test_token_is_requested_once_and_sent_with_each_poll() -> None:
    servers = Servers(ok(ITEMS), ok(ITEMS), tokens=[token()])
    assert run_with(OAUTH2, servers).ids() == ["a"]
    assert servers.sent == [("host", "Bearer t1")] * 2
    (asked,) = servers.asked
    assert (asked.method, asked.headers["Authorization"]) == ("POST", "Basic bWU6aHVudGVyMjIyMjI=")
    assert parse_qs(asked.content.decode()) == {"grant_type": ["client_credentials"], "scope": ["read"]}


def test_user_and_password_are_sent_with_each_poll() -> None:
    servers = Servers(ok(ITEMS), ok(ITEMS))
    run_with(BASIC, servers).ids()
    assert servers.sent == [("host", "Basic bWU6cGFzcw==")] * 2


@pytest.mark.parametrize("auth", [OAUTH2, BASIC], ids=["oauth2", "basic"])
def test_credentials_are_not_sent_to_another_host(auth: Auth) -> None:
    moved = httpx2.Response(302, headers={"Location": "http://other/items"})
    servers = Servers(moved, ok(ITEMS), tokens=[token()])
    assert run_with(auth, servers).ids() == ["a"]
    assert [host for host, _ in servers.sent] == ["host", "other"]
    assert [authorization is None for _, authorization in servers.sent] == [False, True]


def test_poll_goes_on_with_a_new_token_when_the_old_one_is_revoked() -> None:
    items = [ok(ITEMS), httpx2.Response(401), ok([*ITEMS, {"id": "b"}])]
    servers = Servers(*items, tokens=[token("t1"), token("t2")])
    run = run_with(OAUTH2, servers)
    assert run.ids() == ["a", "b"]
    assert [authorization for _, authorization in servers.sent] == ["Bearer t1", "Bearer t1", "Bearer t2"]
    assert run.outcomes == ["ok", "ok"]


def test_poll_fails_when_a_new_token_is_refused() -> None:
    servers = Servers(httpx2.Response(401), httpx2.Response(401), tokens=[token()])
    run = run_with(OAUTH2, servers)
    assert run.ids() == []
    assert reasons(run)[0] == "HTTP status 401"
    assert len(servers.asked) == 1


def test_poll_fails_without_a_request_when_the_token_server_refuses() -> None:
    refusal = {"error": "invalid_client", "error_description": "hunter22222 is not the secret of me"}
    refused = httpx2.Response(401, json=refusal)
    servers = Servers(ok(ITEMS), tokens=[refused, token()])
    run = run_with(OAUTH2, servers)
    assert run.ids() == ["a"]
    expected = "token server idp: answered 401: invalid_client: (secret) is not the secret of me"
    assert reasons(run)[0] == expected
    assert run.outcomes == ["failed", "ok"]


def failing(answer: httpx2.Response | Exception, **how: Any) -> str:
    """The reason of the one poll whose token server answers so."""

    def handle(request: httpx2.Request) -> httpx2.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return reason_of_one_poll(OAUTH2, handle, **how)


def reason_of_one_poll(auth: Auth, handler: Handler, tls_secrets: Path | None = None, **how: Any) -> str:
    run = run_with(auth, handler, **how)
    run.context = replace(run.context, clock=EndingClock(), tls_secrets=tls_secrets)
    assert run.ids() == []
    return reasons(run)[0]


class EndingClock(VirtualClock):
    """The run ends when it waits for its second poll."""

    async def sleep_until(self, deadline: datetime) -> None:
        raise KeyboardInterrupt


def test_failures_of_the_token_server_are_named() -> None:
    assert failing(httpx2.ConnectError("refused")) == "token server idp: ConnectError: refused"
    assert failing(ok(b" " * 70_000)) == "token server idp: the response is longer than 65536 bytes (body_limit)"
    assert failing(httpx2.Response(302, headers={"Location": "http://other/"})) == "token server idp: answered 302"
    assert failing(ok(b"<html>")).endswith("the answer is not a JSON object with an access_token")


def test_token_server_is_as_restricted_as_the_upstream() -> None:
    reason = failing(token(), egress=Egress(allowed_hosts=("host",)))
    assert reason == 'token server idp: host "idp" is not allowed; add it to ALLOWED_HOSTS of the hook'


def test_silent_token_server_is_named_when_half_of_the_time_of_the_poll_is_over() -> None:
    async def silent(request: httpx2.Request) -> httpx2.Response:
        await asyncio.Event().wait()
        raise AssertionError

    reason = reason_of_one_poll(OAUTH2, silent, timeout="100ms")
    assert reason.startswith("token server idp: no answer ")


def test_redirect_to_another_host_fails_with_a_client_certificate(tmp_path: Path) -> None:
    """The client would present the certificate there, too."""
    mount(tmp_path / "client", client_pair(trustme.CA()))
    moved = httpx2.Response(302, headers={"Location": "https://other/items"})
    reason = reason_of_one_poll(TLS, Servers(moved), tmp_path, url="https://host/items")
    assert reason == "url redirects to other, and the client certificate is not for this host"


def test_poll_sends_nothing_without_a_usable_client_certificate(tmp_path: Path) -> None:
    servers = Servers(ok(ITEMS))
    reason = reason_of_one_poll(TLS, servers, tmp_path, url="https://host/items")
    assert reason == f"ClientCertificateError: client certificate: {tmp_path}/client/tls.crt: No such file or directory"
    assert servers.sent == []


def test_rotated_client_certificate_is_used_by_the_next_poll(tmp_path: Path) -> None:
    mount(tmp_path, client_pair(trustme.CA()))
    upstream = Upstream(tls_context, None, 1024, certificate=tmp_path)

    async def test() -> None:
        first = await upstream.client()
        assert await upstream.client() is first
        mount(tmp_path, client_pair(trustme.CA()))
        assert await upstream.client() is not first
        await upstream.aclose()

    asyncio.run(test())
