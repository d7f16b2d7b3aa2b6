"""Tokens of OAuth2 client credentials (RFC 6749, section 4.4).

A token is requested when it is needed, and kept until shortly before it expires. There are no timers. The HTTP client
is a parameter: deliveries and polls have different ones.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from adapter.net.credentials import OAuth2, TokenError

BODY_LIMIT = 64 * 1024  # bytes of an answer
REQUEST_S = 10.0  # for one request as a whole
NEW_S = 60.0  # a token that was never accepted counts as new for this time
RENEWED_EARLY = (0.1, 0.2)  # the share of the lifetime that is left; random, so that adapters do not renew together
LONGEST_LIFETIME_S = 300.0  # for a longer one, the share is taken of this: at most a minute
DETAIL_LENGTH = 400  # characters
KEPT_TOKENS = 5  # the current one, and older ones that a request in flight may still have

_TOKEN = re.compile("[!-~]+", re.ASCII)


@dataclass(frozen=True)
class TokenRequest:
    """A POST request to the token server."""

    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class TokenAnswer:
    """Its response. ``body``: at most ``BODY_LIMIT`` bytes."""

    status: int
    body: bytes


Send = Callable[[TokenRequest], Awaitable[TokenAnswer]]  # raises ``TokenError`` if there is no response


@dataclass
class _Token:
    """``since`` and ``renew_at`` are times of ``TokenClient``'s clock."""

    value: str
    since: float
    renew_at: float
    is_accepted: bool = False  # by the destination, at least once


class TokenClient:
    """The tokens of one destination. One request for a token runs at a time; all who need the token wait for it.

    After the n-th failed request in a row, the next one waits for a random time of up to ``backoff(n)`` seconds.
    ``now``: a clock that is never set, in seconds. ``sleep``, ``uniform``: replace time and randomness.
    """

    def __init__(
        self,
        oauth2: OAuth2,
        send: Send,
        backoff: Callable[[int], float],
        *,
        request_s: float = REQUEST_S,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._message = token_request(oauth2)
        self._server = f"token server {urlsplit(oauth2.token_url).netloc.rpartition('@')[2]}"
        self._send, self._backoff, self._request_s = send, backoff, request_s
        self._now, self._sleep, self._uniform = now, sleep, uniform
        self._token: _Token | None = None
        self._values: deque[str] = deque(maxlen=KEPT_TOKENS)
        self._running: asyncio.Task[_Token | TokenError] | None = None
        self._failure: TokenError | None = None  # of the last request
        self._failures = 0  # in a row
        self._not_before = 0.0

    async def token(self, until: float) -> str:
        """A token that has not expired. ``until`` is on the loop's clock. Raises ``TokenError``."""
        if self._token and self._now() < self._token.renew_at:
            return self._token.value
        if self._running is None:
            self._running = asyncio.create_task(self._renew())
        running = self._running  # a waiter that is cancelled does not cancel it for the others
        done, _ = await asyncio.wait({running}, timeout=max(0.0, until - asyncio.get_running_loop().time()))
        found = running.result() if done else self._failure or TokenError(f"{self._server}: no answer in time")
        if isinstance(found, TokenError):
            raise TokenError(found.reason, found.detail)
        return found.value

    def refused(self, token: str, status: int) -> bool:
        """Takes note of the answer to a request with ``token``. True: send it again, with a new token.

        A token is new until the destination has accepted it, but not for longer than a minute. Another new token would
        not help then, and a destination that refuses all tokens would cause a request for one with every event.
        """
        current = self._token
        if current is None or token != current.value:
            return status == 401  # another request has dropped it already
        current.is_accepted = current.is_accepted or 200 <= status < 300
        if status != 401 or not (current.is_accepted or self._now() - current.since >= NEW_S):
            return False
        self._token = None
        return True

    def secrets(self) -> Iterator[str]:
        """The last tokens: a response to a request with an older one may show it."""
        yield from self._values

    async def aclose(self) -> None:
        if self._running:
            self._running.cancel()
            await asyncio.wait({self._running})

    async def _renew(self) -> _Token | TokenError:
        try:
            if (wait_s := self._not_before - self._now()) > 0:
                await self._sleep(wait_s)
            found = await self._request()
        finally:
            self._running = None
        if isinstance(found, TokenError):
            self._failures += 1
            self._failure = found
            self._not_before = self._now() + self._uniform(0, self._backoff(self._failures))
        else:
            self._failures, self._failure, self._token = 0, None, found
            self._values.append(found.value)
        return found

    async def _request(self) -> _Token | TokenError:
        asked = self._now()
        try:
            async with asyncio.timeout(self._request_s):
                value, lifetime_s = read_token(await self._send(self._message))
        except TimeoutError:
            return TokenError(f"{self._server}: no answer within {self._request_s:g} s")
        except TokenError as error:
            return TokenError(f"{self._server}: {error.reason}", error.detail)
        except Exception as error:  # an error in this project must not end the adapter
            return TokenError(f"{self._server}: request failed: {type(error).__name__}")
        early_s = min(lifetime_s, LONGEST_LIFETIME_S) * self._uniform(*RENEWED_EARLY)
        return _Token(value, asked, asked + lifetime_s - early_s)


def token_request(oauth2: OAuth2) -> TokenRequest:
    """The request of RFC 6749, section 4.4.2."""
    fields = {"grant_type": "client_credentials", "scope": " ".join(oauth2.scopes), "audience": oauth2.audience}
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json", "Connection": "close"}
    if oauth2.method == "client_secret_post":
        fields |= {"client_id": oauth2.client_id, "client_secret": oauth2.client_secret}
    else:
        headers["Authorization"] = oauth2.basic()
    body = urlencode({name: value for name, value in fields.items() if value})
    return TokenRequest(oauth2.token_url, headers, body.encode())


def read_token(answer: TokenAnswer) -> tuple[str, float]:
    """The token and how many seconds it is valid: infinite if the answer does not say. Raises ``TokenError``."""
    fields = _object(answer.body)
    if not 200 <= answer.status < 300:
        raise TokenError(f"answered {answer.status}", _detail(fields))
    value, kind = fields.get("access_token"), fields.get("token_type", "Bearer")
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise TokenError("the answer is not a JSON object with an access_token", _detail(fields))
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise TokenError("the token_type is not Bearer; other types are not supported")
    return value, _seconds(fields.get("expires_in"))


def _object(body: bytes) -> Mapping[str, Any]:
    """Empty if ``body`` is not a JSON object, for example because it is incomplete."""
    try:
        value = json.loads(body) if len(body) <= BODY_LIMIT else None
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {}


def _detail(fields: Mapping[str, Any]) -> str:
    """``error`` and ``error_description`` (RFC 6749, section 5.2) on one line; empty if they are not printable."""
    texts = [fields.get(name) for name in ("error", "error_description")]
    line = " ".join(": ".join(text for text in texts if isinstance(text, str)).split())
    return line[:DETAIL_LENGTH] if line.isprintable() else ""


def _seconds(value: Any) -> float:
    """``expires_in``. Some servers write it as a string."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.inf
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return math.inf
    return math.inf if math.isnan(seconds) else max(0.0, seconds)
