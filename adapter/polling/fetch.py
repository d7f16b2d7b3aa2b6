"""One GET of a :class:`~adapter.sources.poll_source.PollSource`: redirects, secret headers, conditional requests.

Secret headers are sent to the origin of the URL only, not to other hosts that it redirects to.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx2

from adapter.net.retry_after import retry_after_s
from adapter.polling.client import MAX_REDIRECTS
from adapter.polling.errors import PollFailed, Unchanged

_ACCEPT = "application/json, application/feed+json, application/atom+xml, application/rss+xml, */*;q=0.1"
# Validators of a response -> the request headers that ask for a newer one (RFC 9110, section 13.1).
_CONDITIONS = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}
_CONDITION_NAMES = {name.lower() for name in _CONDITIONS.values()}


@dataclass(frozen=True)
class Fetched:
    """A response. ``conditions``: the headers that make the next request conditional on a change."""

    body: bytes
    content_type: str
    conditions: Mapping[str, str]


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
    """Make the next requests of this client conditional."""
    for name in _CONDITION_NAMES:
        client.headers.pop(name, None)
    client.headers.update(fetched.conditions)


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


async def _read(response: httpx2.Response) -> Fetched:
    headers, status = response.headers, response.status_code
    if status == 304 and response.request.headers.keys() & _CONDITION_NAMES:
        await response.aread()  # there is no body, but the connection stays open only if the response is read
        raise Unchanged
    if not 200 <= status < 300 or status == 206:  # 206 is a part of the document, and no part was requested
        raise PollFailed(f"HTTP status {status}", retry_after_s(headers.get("Retry-After"), datetime.now(UTC)))
    conditions = {_CONDITIONS[name]: headers[name] for name in _CONDITIONS if name in headers}
    return Fetched(await response.aread(), headers.get("Content-Type", ""), conditions)
