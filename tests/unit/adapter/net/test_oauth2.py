"""Tokens of OAuth2 client credentials: when they are requested, and what a failing token server leads to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import pytest

from adapter.net.credentials import OAuth2, TokenError
from adapter.net.oauth2 import (
    NEW_S,
    TokenAnswer,
    TokenClient,
    TokenRequest,
    token_request,
)
from tests.unit.adapter.net.token_answers import answer

OAUTH2 = OAuth2("https://user:pass@idp.example.com:8443/token?key=hunter2", "me", "a secret/1")
SERVER = "token server idp.example.com:8443"


class Server:
    """Gives ``answers`` in order. ``asked``: the virtual times of the requests. A sleep takes no time."""

    def __init__(self, *answers: TokenAnswer | TokenError | Callable[[], Awaitable[TokenAnswer]], **how: Any) -> None:
        self.now, self.asked = 1000.0, list[float]()
        self._answers = iter(answers)
        how = {"uniform": lambda low, high: high, "sleep": self.sleep, **how}
        self.tokens = TokenClient(OAUTH2, self.send, lambda n: 0.1 * 2**n, now=lambda: self.now, **how)

    async def send(self, request: TokenRequest) -> TokenAnswer:
        self.asked.append(self.now - 1000)
        await asyncio.sleep(0)
        given = next(self._answers)
        if isinstance(given, TokenError):
            raise given
        return given if isinstance(given, TokenAnswer) else await given()

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    async def token(self, within_s: float = 10) -> str:
        return await self.tokens.token(asyncio.get_running_loop().time() + within_s)

    async def failure(self, within_s: float = 10) -> TokenError:
        with pytest.raises(TokenError) as caught:
            await self.token(within_s)
        return caught.value


def test_token_is_kept_until_shortly_before_it_expires() -> None:
    async def test() -> None:
        server = Server(answer("t1", expires_in=3600), answer("t2", expires_in=3600))
        assert await server.token() == "t1"
        server.now += 3539
        assert await server.token() == "t1"
        server.now += 2  # 59 s before it expires
        assert await server.token() == "t2"
        assert server.asked == [0, 3541]

    asyncio.run(test())


def test_token_stays_secret_after_its_renewal_and_refusal() -> None:
    """A request in flight has the old token, which may still be valid, and its response may show it."""

    async def test() -> None:
        server = Server(answer("t1", expires_in=3600), answer("t2"), TokenError("down"))
        await server.token()
        server.now += 3541
        await server.token()
        assert set(server.tokens.secrets()) == {"t1", "t2"}
        server.tokens.refused("t2", 200)
        assert server.tokens.refused("t2", 401)
        assert set(server.tokens.secrets()) == {"t1", "t2"}

    asyncio.run(test())


@pytest.mark.parametrize(("uniform", "kept_s"), [(min, 9.0), (max, 8.0)])
def test_time_of_the_renewal_is_random(uniform: Callable[[float, float], float], kept_s: float) -> None:
    async def test() -> None:
        server = Server(answer("t1", expires_in=10), answer("t2"), uniform=uniform)
        await server.token()
        server.now += kept_s - 0.01
        assert await server.token() == "t1"
        server.now += 0.02
        assert await server.token() == "t2"

    asyncio.run(test())


def test_lifetime_counts_from_the_request_not_from_the_answer() -> None:
    async def test() -> None:
        async def slow() -> TokenAnswer:
            server.now += 9
            return answer("t1", expires_in=10)

        server = Server(slow, answer("t2"))
        assert await server.token() == "t1"
        assert await server.token() == "t2"

    asyncio.run(test())


def test_token_without_expiry_is_kept_until_it_is_refused() -> None:
    async def test() -> None:
        server = Server(answer("t1"), answer("t2"))
        assert await server.token() == "t1"
        server.now += 1e9
        assert await server.token() == "t1"
        assert server.tokens.refused("t1", 401)
        assert await server.token() == "t2"

    asyncio.run(test())


def test_one_request_runs_at_a_time_and_serves_all_who_wait() -> None:
    async def test() -> None:
        server = Server(answer("t1", expires_in=0), answer("t2"))
        assert await asyncio.gather(*(server.token() for _ in range(50))) == ["t1"] * 50
        assert await server.token() == "t2"  # the first one had expired
        assert len(server.asked) == 2

    asyncio.run(test())


def test_cancelled_waiter_does_not_cancel_the_request_of_the_others() -> None:
    async def test() -> None:
        server = Server(answer("t1"))
        first, second = asyncio.create_task(server.token()), asyncio.create_task(server.token())
        await asyncio.sleep(0)
        first.cancel()
        assert await second == "t1"
        assert len(server.asked) == 1

    asyncio.run(test())


def test_failed_requests_wait_as_retries_of_deliveries_do() -> None:
    async def test() -> None:
        down = TokenError("no connection: connection refused")
        server = Server(down, down, down, answer("t1"), down, answer("t2"))
        for _ in range(3):
            assert (await server.failure()).reason == f"{SERVER}: no connection: connection refused"
        assert await server.token() == "t1"
        assert server.asked == pytest.approx([0, 0.2, 0.6, 1.4])
        assert server.tokens.refused("t1", 200) is False
        assert server.tokens.refused("t1", 401)
        await server.failure()
        assert await server.token() == "t2"
        assert server.asked[4:] == pytest.approx([1.4, 1.6])  # the failures before do not count any more

    asyncio.run(test())


def test_events_that_come_between_two_requests_cause_no_more_requests() -> None:
    async def test() -> None:
        server = Server(*[TokenError("down")] * 2, answer("t1"))
        await asyncio.gather(*(server.failure() for _ in range(20)))
        await asyncio.gather(*(server.failure() for _ in range(20)))
        assert server.asked == pytest.approx([0, 0.2])

    asyncio.run(test())


def test_attempt_that_ends_during_the_back_off_shows_the_last_failure() -> None:
    async def test() -> None:
        async def sleep(seconds: float) -> None:
            await asyncio.Event().wait()

        server = Server(TokenError("answered 503", "busy"), sleep=sleep)
        await server.failure()
        error = await server.failure(within_s=0.01)
        assert (error.reason, error.detail) == (f"{SERVER}: answered 503", "busy")
        await server.tokens.aclose()

    asyncio.run(test())


def test_silent_token_server_is_a_failure_after_the_time_limit() -> None:
    async def test() -> None:
        async def silent() -> TokenAnswer:
            await asyncio.Event().wait()
            raise AssertionError

        server = Server(silent, silent, request_s=0.01)
        assert (await server.failure()).reason == f"{SERVER}: no answer within 0.01 s"
        assert (await server.failure(within_s=0)).reason == f"{SERVER}: no answer within 0.01 s"
        await server.tokens.aclose()

    asyncio.run(test())


def test_error_in_the_client_is_a_failure_without_its_text() -> None:
    async def test() -> None:
        async def broken() -> TokenAnswer:
            raise KeyError("hunter2")

        assert (await Server(broken).failure()).reason == f"{SERVER}: request failed: KeyError"

    asyncio.run(test())


def test_accepted_token_that_is_refused_is_replaced_once_for_all_requests() -> None:
    async def test() -> None:
        server = Server(answer("t1"), answer("t2"))
        refused = server.tokens.refused
        await server.token()
        assert not refused("t1", 202)
        assert [refused("t1", 401), refused("t1", 401)] == [True, True]  # two requests were in flight
        assert await asyncio.gather(server.token(), server.token()) == ["t2", "t2"]
        assert refused("t1", 401)  # a third one, which was slow
        assert await server.token() == "t2"
        assert len(server.asked) == 2

    asyncio.run(test())


def test_new_token_that_is_refused_is_a_refusal() -> None:
    async def test() -> None:
        server = Server(answer("t1"), answer("t2"))
        await server.token()
        assert not server.tokens.refused("t1", 401)
        assert await server.token() == "t1"  # events that are refused cause no requests
        server.now += NEW_S
        assert server.tokens.refused("t1", 401)  # perhaps the reason is another one now
        assert await server.token() == "t2"

    asyncio.run(test())


@pytest.mark.parametrize("status", [403, 400, 404, 429, 500, 503])
def test_other_refusals_keep_the_token(status: int) -> None:
    async def test() -> None:
        server = Server(answer("t1"))
        await server.token()
        assert not server.tokens.refused("t1", 202)
        assert not server.tokens.refused("t1", status)
        assert await server.token() == "t1"

    asyncio.run(test())


def test_request_proves_the_identity_in_a_header() -> None:
    oauth2 = OAuth2("https://idp/token", "a:b", "c d+é", scopes=("x", "y:z"), audience="https://api")
    request = token_request(oauth2)
    assert request.headers["Authorization"] == "Basic YSUzQWI6YytkJTJCJUMzJUE5"  # a%3Ab:c+d%2B%C3%A9
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    body = {"grant_type": ["client_credentials"], "scope": ["x y:z"], "audience": ["https://api"]}
    assert parse_qs(request.body.decode()) == body


def test_request_proves_the_identity_in_the_body_if_the_server_wants_it_there() -> None:
    request = token_request(OAuth2("https://idp/token", "me", "c d", method="client_secret_post"))
    assert "Authorization" not in request.headers
    body = {"grant_type": ["client_credentials"], "client_id": ["me"], "client_secret": ["c d"]}
    assert parse_qs(request.body.decode()) == body


def test_token_server_is_named_without_the_secrets_of_its_url() -> None:
    error = asyncio.run(Server(TokenError("down")).failure())
    assert error.reason == f"{SERVER}: down"
