"""One GET that follows so many redirects and no more; and an answer that says when there is nothing new.

Decides nothing about the body. What is secret is sent to the URL's own origin, never to where that redirects.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx2

from adapter.net.retry_after import retry_after_s
from adapter.polling.client import REDIRECTS
from adapter.polling.errors import PollFailed, Unchanged

_ASKED = {
    "Accept": "application/json, application/feed+json, application/atom+xml, application/rss+xml, */*;q=0.1",
    "Accept-Encoding": "gzip",
}
_CONDITIONS = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}
_ASKED_IF = {name.lower() for name in _CONDITIONS.values()}


@dataclass(frozen=True)
class Fetched:
    """``conditions``: headers with which the next request asks for anything newer."""

    body: bytes
    content_type: str
    conditions: Mapping[str, str]


async def fetch(
    client: httpx2.AsyncClient, url: str, headers: Mapping[str, str], secrets: Mapping[str, str]
) -> Fetched:
    """As much and as long as the other side likes: ``client`` and who calls it set the limits."""
    request = client.build_request("GET", url, headers={**_ASKED, **headers, **secrets}, timeout=None)
    for _ in range(REDIRECTS + 1):
        async with contextlib.aclosing(await client.send(request, stream=True, follow_redirects=False)) as response:
            following = response.next_request
            if following is None:
                return await _read(response)
        if following.url.scheme == "https" and url.lower().startswith("http:"):  # whose client trusts nobody
            raise PollFailed(f"redirects to https://{following.url.host}; write an https url")
        if _origin(following.url) != _origin(request.url):
            for name in secrets:
                following.headers.pop(name, None)
        request = following
    raise PollFailed(f"redirects more than {REDIRECTS} times")


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


async def _read(response: httpx2.Response) -> Fetched:
    headers, status = response.headers, response.status_code
    if status == 304 and response.request.headers.keys() & _ASKED_IF:
        await response.aread()  # it has no body; but only what was read to its end leaves the connection open
        raise Unchanged
    if not 200 <= status < 300:
        raise PollFailed(f"answered {status}", retry_after_s(headers.get("Retry-After"), datetime.now(UTC)))
    conditions = {_CONDITIONS[name]: headers[name] for name in _CONDITIONS if name in headers}
    return Fetched(await response.aread(), headers.get("Content-Type", ""), conditions)
