"""One GET within bounds: so many redirects, so many bytes; and an answer that says when there is nothing new.

Decides nothing about the body. What is secret is sent to the URL's own origin, never to where that redirects.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx2

from adapter.channel import retry_after_s
from adapter.polling import REDIRECTS, PollFailed, Unchanged

_ASKED = {
    "Accept": "application/json, application/feed+json, application/atom+xml, application/rss+xml, */*;q=0.1",
    "Accept-Encoding": "gzip",
}
_GZIP = 16 + zlib.MAX_WBITS
_CONDITIONS = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}


@dataclass(frozen=True)
class Fetched:
    """``conditions``: headers with which the next request asks for anything newer."""

    body: bytes
    content_type: str
    conditions: Mapping[str, str]


async def fetch(
    client: httpx2.AsyncClient, url: str, headers: Mapping[str, str], secrets: Mapping[str, str], max_bytes: int
) -> Fetched:
    """For ever, if the other side takes its time: who calls it sets a limit."""
    request = client.build_request("GET", url, headers={**_ASKED, **headers, **secrets}, timeout=None)
    for _ in range(REDIRECTS + 1):
        async with contextlib.aclosing(await client.send(request, stream=True, follow_redirects=False)) as response:
            following = response.next_request
            if following is None:
                return await _read(response, max_bytes)
        if following.url.scheme == "https" and url.lower().startswith("http:"):  # whose client trusts nobody
            raise PollFailed(f"redirects to https://{following.url.host}; write an https url")
        if _origin(following.url) != _origin(request.url):
            for name in secrets:
                following.headers.pop(name, None)
        request = following
    raise PollFailed(f"redirects more than {REDIRECTS} times")


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


async def _read(response: httpx2.Response, max_bytes: int) -> Fetched:
    headers, status = response.headers, response.status_code
    if status == 304:
        raise Unchanged
    if not 200 <= status < 300:
        raise PollFailed(f"answered {status}", retry_after_s(headers.get("Retry-After"), datetime.now(UTC)))
    conditions = {_CONDITIONS[name]: headers[name] for name in _CONDITIONS if name in headers}
    return Fetched(await _body(response, max_bytes), headers.get("Content-Type", ""), conditions)


async def _body(response: httpx2.Response, max_bytes: int) -> bytes:
    """Unpacked here: httpx2 unpacks a chunk whole, and a small one may hold gigabytes."""
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise PollFailed(f'answered with content encoding "{encoding}", though gzip was asked for')
    unpacker = zlib.decompressobj(_GZIP) if encoding == "gzip" else None
    body = bytearray()
    async for chunk in response.aiter_raw():
        try:
            body += unpacker.decompress(chunk, max_bytes + 1 - len(body)) if unpacker else chunk
        except zlib.error:
            raise PollFailed("the answer is no gzip, though it says so") from None
        if len(body) > max_bytes:
            raise PollFailed(f"the answer is longer than maxBytes ({max_bytes})")
    if unpacker and body and not unpacker.eof:
        raise PollFailed("the answer is cut off")
    return bytes(body)
