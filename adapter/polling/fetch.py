"""One GET of a :class:`~adapter.sources.poll_source.PollSource`: redirects, secret headers, conditional requests.

Secret headers are sent to the origin of the URL only, not to other hosts that it redirects to.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from weakref import WeakKeyDictionary

import httpx2

from adapter.polling.client import MAX_REDIRECTS
from adapter.polling.errors import PollFailed, Unchanged
from adapter.polling.rate_limits import status_failure

_ACCEPT = "application/json, application/feed+json, application/atom+xml, application/rss+xml, */*;q=0.1"
# Validators of a response -> the request headers that ask for a newer one (RFC 9110, section 13.1).
_CONDITIONS = {"ETag": "if-none-match", "Last-Modified": "if-modified-since"}
_CONDITION_NAMES = frozenset(_CONDITIONS.values())


@dataclass(frozen=True)
class Fetched:
    """A response of ``url``, after redirects. ``conditions``: the headers that make a request for this URL conditional.

    Validators say nothing about other URLs (RFC 9110, section 8.8.3): ``"1"`` of one page is not ``"1"`` of another.
    """

    url: httpx2.URL
    body: bytes
    content_type: str
    conditions: Mapping[str, str]


_LAST: WeakKeyDictionary[httpx2.AsyncClient, Fetched] = WeakKeyDictionary()  # without the body


async def fetch(
    client: httpx2.AsyncClient, url: str, headers: Mapping[str, str], secrets: Mapping[str, str]
) -> Fetched:
    """Raises ``Unchanged`` for 304, and ``PollFailed`` for a status that is not 2xx and for a refused redirect.

    ``secrets`` replace ``headers``, and both replace the default headers. Names are case-insensitive.
    There are no limits here: ``client`` limits the size, and the budget of the poll limits the time.
    """
    merged = httpx2.Headers({"Accept": _ACCEPT})
    for given in (headers, secrets):
        merged.update(given)  # replaces a header of the same name, in any case
    request = client.build_request("GET", url, headers=merged, timeout=None)
    for _ in range(MAX_REDIRECTS + 1):
        _make_conditional(request, _LAST.get(client), _CONDITION_NAMES - merged.keys())
        async with contextlib.aclosing(await client.send(request, stream=True, follow_redirects=False)) as response:
            following = response.next_request
            if following is None:
                return await _read(response)
        if following.url.scheme == "https" and url.lower().startswith("http:"):  # the client has no CA certificates
            raise PollFailed(f"url redirects to https://{following.url.host}; write an https URL")
        if _origin(following.url) != _origin(request.url):
            for name in secrets:
                following.headers.pop(name, None)
        request = following
    raise PollFailed(f"url redirects more than {MAX_REDIRECTS} times")


def remember(client: httpx2.AsyncClient, fetched: Fetched) -> None:
    """Make the next requests of this client for the same URL conditional."""
    _LAST[client] = replace(fetched, body=b"")


def _make_conditional(request: httpx2.Request, last: Fetched | None, names: Set[str]) -> None:
    """Set the conditions with these names. A redirect has copied those of the request before."""
    conditions = last.conditions if last and last.url == request.url else {}
    for name in names:
        request.headers.pop(name, None)
        if name in conditions:
            request.headers[name] = conditions[name]


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


async def _read(response: httpx2.Response) -> Fetched:
    headers, status = response.headers, response.status_code
    if status == 304 and response.request.headers.keys() & _CONDITION_NAMES:
        await response.aread()  # there is no body, but the connection stays open only if the response is read
        raise Unchanged
    if not 200 <= status < 300 or status == 206:  # 206 is a part of the document, and no part was requested
        raise status_failure(response, datetime.now(UTC))
    conditions = {_CONDITIONS[name]: headers[name] for name in _CONDITIONS if name in headers}
    return Fetched(response.request.url, await response.aread(), headers.get("Content-Type", ""), conditions)
