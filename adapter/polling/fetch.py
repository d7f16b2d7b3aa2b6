"""One GET of a :class:`~adapter.sources.poll_source.PollSource`: redirects, credentials, conditional requests.

Secret headers and credentials are sent to the origin of the URL only, not to other hosts that it redirects to.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncGenerator, Callable, Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import httpx2

from adapter.contract.delivery_policy import Policy
from adapter.net.credentials import Authorization, Credentials, TokenError, Tokens
from adapter.net.retry_after import reason_of
from adapter.polling.client import MAX_REDIRECTS, Upstream
from adapter.polling.errors import PollFailed, Unchanged
from adapter.polling.position import Validators
from adapter.polling.rate_limits import status_failure
from adapter.serving.failures import without_secrets

if TYPE_CHECKING:
    from adapter.net.oauth2 import TokenAnswer, TokenRequest

_ACCEPT = "application/json, application/feed+json, application/atom+xml, application/rss+xml, */*;q=0.1"
# Validators of a response -> the request headers that ask for a newer one (RFC 9110, section 13.1).
_CONDITIONS = {"ETag": "if-none-match", "Last-Modified": "if-modified-since"}
_CONDITION_NAMES = frozenset(_CONDITIONS.values())


class Login(httpx2.Auth):
    """Sends ``credentials`` to the origin of ``url`` only.

    A request whose token is refused, and is not new, is sent once more with a new one. ``token_server(url)`` makes
    the client of one request for a token. ``PollFailed`` if there is no token within ``limit_s`` seconds.
    """

    def __init__(
        self, url: str, credentials: Credentials, token_server: Callable[[str], Upstream], limit_s: float
    ) -> None:
        self._origin = _origin(httpx2.URL(url))
        self._credentials = credentials
        self._token_server = token_server
        self._limit_s = limit_s
        self._authorization = Authorization(credentials, self._tokens())

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        if _origin(request.url) != self._origin:
            if self._credentials.client_certificate:  # the client would present it to this server, too
                raise PollFailed(
                    f"url redirects to {request.url.host}, and the client certificate is not for this host"
                )
            yield request
            return
        for is_last in (False, True):
            headers = await self._headers()
            request.headers.update(headers)
            response = yield request
            if is_last or not self._authorization.refused(headers, response.status_code):
                return

    async def _headers(self) -> dict[str, str]:
        try:
            return await self._authorization.headers(asyncio.get_running_loop().time() + self._limit_s)
        except TokenError as error:
            detail = without_secrets(error.detail, self._credentials.secrets())
            raise PollFailed(f"{error.reason}: {detail}" if detail else error.reason) from None

    def _tokens(self) -> Tokens | None:
        if self._credentials.oauth2 is None:
            return None
        from adapter.net.oauth2 import TokenClient

        return TokenClient(self._credentials.oauth2, self._request_token, Policy().wait_s)

    async def _request_token(self, request: TokenRequest) -> TokenAnswer:
        from adapter.net.oauth2 import TokenAnswer

        try:
            async with contextlib.aclosing(self._token_server(request.url)) as upstream:
                client, headers = await upstream.client(), dict(request.headers)
                response = await client.post(request.url, content=request.body, headers=headers, follow_redirects=False)
        except PollFailed as error:
            raise TokenError(str(error)) from None
        except httpx2.RequestError as error:
            raise TokenError(reason_of(error)) from None
        except OSError as error:  # a bundle cannot be read
            raise TokenError(str(error)) from None
        return TokenAnswer(response.status_code, response.content)


@dataclass(frozen=True)
class Fetched:
    """A response of ``url``, after redirects.

    Validators say nothing about other URLs (RFC 9110, section 8.8.3): ``"1"`` of one page is not ``"1"`` of another.
    """

    url: httpx2.URL
    body: bytes
    content_type: str
    validators: Validators


async def fetch(
    client: httpx2.AsyncClient,
    url: str,
    headers: Mapping[str, str],
    secrets: Mapping[str, str],
    last: Validators | None = None,
) -> Fetched:
    """Raises ``Unchanged`` for 304, and ``PollFailed`` for a status that is not 2xx and for a refused redirect.

    ``secrets`` replace ``headers``, and both replace the default headers. Names are case-insensitive.
    The request is conditional if ``last`` has validators of the same URL and the same ``headers``, and both or none of
    the requests have credentials.
    There are no limits here: ``client`` limits the size, and the budget of the poll limits the time.
    """
    merged = httpx2.Headers({"Accept": _ACCEPT})
    for given in (headers, secrets):
        merged.update(given)  # replaces a header of the same name, in any case
    request = client.build_request("GET", url, headers=merged, timeout=None)
    is_private = bool(secrets) or client.auth is not None
    for _ in range(MAX_REDIRECTS + 1):
        made_for = _digest(request.url, headers, is_private=is_private)
        _make_conditional(request, last, made_for, _CONDITION_NAMES - merged.keys())
        async with contextlib.aclosing(await client.send(request, stream=True, follow_redirects=False)) as response:
            following = response.next_request
            if following is None:
                return await _read(response, made_for, is_private=is_private)
        if following.url.scheme == "https" and url.lower().startswith("http:"):  # the client has no CA certificates
            raise PollFailed(f"url redirects to https://{following.url.host}; write an https URL")
        if _origin(following.url) != _origin(request.url):
            for name in secrets:
                following.headers.pop(name, None)
        request = following
    raise PollFailed(f"url redirects more than {MAX_REDIRECTS} times")


def _make_conditional(request: httpx2.Request, last: Validators | None, made_for: str, names: Set[str]) -> None:
    """Set the conditions with these names. A redirect has copied those of the request before."""
    conditions = last.conditions if last and last.request == made_for else {}
    for name in names:
        request.headers.pop(name, None)
        if name in conditions:
            request.headers[name] = conditions[name]


def _digest(url: httpx2.URL, headers: Mapping[str, str], *, is_private: bool) -> str:
    """Identifies a request. A checkpoint holds it, so it hides the URL: one of a redirect can contain a signature."""
    text = json.dumps([str(url), sorted((name.lower(), value) for name, value in headers.items()), is_private])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _is_settled(headers: httpx2.Headers) -> bool:
    """Whether ``Last-Modified`` is at least one second before the response (RFC 9110, section 8.8.2.2).

    Otherwise the list may change again in this second, and a 304 would hide the new items.
    """
    try:
        modified = parsedate_to_datetime(headers["Last-Modified"])
        sent = parsedate_to_datetime(headers["Date"]) if "Date" in headers else datetime.now(UTC)
        return sent - modified >= timedelta(seconds=1)
    except (ValueError, TypeError, OverflowError):  # no date; or one of them has no time zone
        return False


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


async def _read(response: httpx2.Response, made_for: str, *, is_private: bool) -> Fetched:
    headers, status = response.headers, response.status_code
    if status == 304 and response.request.headers.keys() & _CONDITION_NAMES:
        await response.aread()  # there is no body, but the connection stays open only if the response is read
        raise Unchanged
    if not 200 <= status < 300 or status == 206:  # 206 is a part of the document, and no part was requested
        raise status_failure(response, datetime.now(UTC))
    usable = [name for name in _CONDITIONS if name in headers and (name == "ETag" or _is_settled(headers))]
    conditions = {_CONDITIONS[name]: headers[name] for name in usable}
    validators = Validators(request=made_for, conditions=conditions, is_private=is_private)
    return Fetched(response.request.url, await response.aread(), headers.get("Content-Type", ""), validators)
