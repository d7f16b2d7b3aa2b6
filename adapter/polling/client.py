"""A client's transport that reads no more of an answer than it is told, packed or unpacked.

Unpacked here, and as gzip only: the client itself would unpack all there is, and of several members the first.
"""

from __future__ import annotations

import ssl
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx2

from adapter import __version__
from adapter.polling.errors import PollFailed, TooLong

_GZIP = 16 + zlib.MAX_WBITS


class SizeLimitedTransport(httpx2.AsyncBaseTransport):
    def __init__(self, inner: httpx2.AsyncBaseTransport, limit: int) -> None:
        self._inner = inner
        self._limit = limit

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        encoding = response.headers.pop("Content-Encoding", "identity").strip().lower()
        if encoding != "identity":
            response.headers.pop("Content-Length", None)  # of what is packed
        response.stream = _Body(response.stream, encoding, self._limit)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Body(httpx2.AsyncByteStream):
    def __init__(self, packed: httpx2.AsyncByteStream, encoding: str, limit: int) -> None:
        self._packed = packed
        self._encoding = encoding
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        gunzip = _Gunzip() if self._encoding in ("gzip", "x-gzip") else None
        left = packed_left = self._limit
        async for chunk in self._packed:
            if gunzip is None and self._encoding != "identity":
                raise PollFailed(f'answered with content encoding "{self._encoding}", though gzip was asked for')
            packed_left -= len(chunk)
            unpacked = gunzip.unpack(chunk, left + 1) if gunzip else chunk
            left -= len(unpacked)
            if left < 0 or packed_left < 0:
                raise TooLong(self._limit)
            yield unpacked
        if gunzip and packed_left < self._limit and not gunzip.complete:
            raise PollFailed("the answer is cut off")

    async def aclose(self) -> None:
        await self._packed.aclose()


class _Gunzip:
    """Of any number of members, one after the other."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)

    @property
    def complete(self) -> bool:
        return self._member.eof

    def unpack(self, packed: bytes, longest: int) -> bytes:
        """No more than ``longest`` of it."""
        unpacked = bytearray()
        while packed and len(unpacked) < longest:
            if self._member.eof:
                packed = packed.lstrip(b"\0")  # what some fill up with
                if not packed:
                    break
                self._member = zlib.decompressobj(_GZIP)
            try:
                unpacked += self._member.decompress(packed, longest - len(unpacked))
            except zlib.error:
                raise PollFailed("the answer is no gzip, though it says so") from None
            packed = self._member.unused_data
        return bytes(unpacked)


REQUEST_S = 30.0  # without anything from the other side


REDIRECTS = 5


class Upstream:
    """``trust()``: a TLS context of the source's own; mounted bundles are added to it, and taken up as they change."""

    def __init__(self, trust: Callable[[], ssl.SSLContext], bundles: Path | None, body_limit: int) -> None:
        self._trust = trust
        self._bundles = bundles
        self._body_limit = body_limit
        self._stamp: object = None
        self._client: httpx2.AsyncClient | None = None

    async def client(self) -> httpx2.AsyncClient:
        """The same one as before, unless bundles have changed; ``ssl.SSLError`` if one cannot be read."""
        from adapter.net.tls import add_bundles, stamp_of

        stamp = stamp_of(self._bundles)
        if self._client is None or stamp != self._stamp:
            tls = self._trust()
            add_bundles(tls, self._bundles)
            await self.aclose()
            self._client, self._stamp = _client(tls, self._body_limit), stamp
        return self._client

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.aclose()


def _client(tls: ssl.SSLContext, body_limit: int) -> httpx2.AsyncClient:
    from http.cookiejar import CookieJar, DefaultCookiePolicy

    import httpx2

    from adapter.polling.client import SizeLimitedTransport

    return httpx2.AsyncClient(
        transport=SizeLimitedTransport(httpx2.AsyncHTTPTransport(verify=tls, trust_env=False), body_limit),
        timeout=REQUEST_S,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        follow_redirects=True,
        max_redirects=REDIRECTS,
        trust_env=False,
        headers={"User-Agent": f"sample-source/{__version__}", "Accept-Encoding": "gzip"},
    )
