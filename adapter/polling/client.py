"""The HTTP client of a poller: how it connects, directly or through a proxy, and how much of a response it reads.

Responses are limited and decompressed in the transport, because the client would first decompress a whole response.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import random
import re
import ssl
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import httpx2

from adapter import __version__
from adapter.contract.egress import DEFAULT_EGRESS, Egress
from adapter.contract.proxies import Proxy
from adapter.contract.timeouts import TIMEOUTS
from adapter.net.tls import Fingerprint, add_bundles, add_client_certificate, fingerprint_of
from adapter.polling.errors import PollFailed, TooLong
from adapter.polling.rate_limits import poll_interval_s

MAX_REDIRECTS = 5
# https://www.iana.org/assignments/http-parameters (content coding), and three unregistered ones that servers use.
_CODINGS = re.compile(
    r"aes128gcm|br|bzip2|(x-)?compress|dc[bz]|deflate|exi|(x-)?gzip|lzma|pack200-gzip|xz|zstd", re.ASCII
)


@dataclass
class Upstream:
    """The client for all polls of a source. It is replaced when a CA bundle or ``certificate`` changes.
    ``tls_context()`` returns the TLS context to which they are added. ``transport`` replaces the network.
    """

    tls_context: Callable[[], ssl.SSLContext]
    bundles: Path | None
    body_limit: int
    transport: httpx2.AsyncBaseTransport | None = None
    egress: Egress = DEFAULT_EGRESS
    login: httpx2.Auth | None = None
    certificate: Path | None = None  # directory of the client certificate
    poll_interval_s: float = 0.0  # what the last response asks for
    _fingerprint: Fingerprint = ()
    _client: httpx2.AsyncClient | None = None

    async def client(self) -> httpx2.AsyncClient:
        """The current client; ``ssl.SSLError`` if a bundle or the certificate cannot be read."""
        fingerprint = fingerprint_of(self.bundles, self.certificate)
        if self._client is None or fingerprint != self._fingerprint:
            context = self.tls_context()
            add_bundles(context, self.bundles)
            add_client_certificate(context, self.certificate)
            await self.aclose()
            transport = self.transport or Network(context)
            self._client, self._fingerprint = make_client(transport, self.body_limit, self.egress), fingerprint
            if self.login:
                self._client.auth = self.login
            self._client.event_hooks = {"response": [self._note_poll_interval]}
        return self._client

    async def _note_poll_interval(self, response: httpx2.Response) -> None:
        self.poll_interval_s = poll_interval_s(response.headers)

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.aclose()


def make_client(
    transport: httpx2.AsyncBaseTransport,
    body_limit: int,
    egress: Egress = DEFAULT_EGRESS,
    new_age_s: Callable[[], float] = lambda: TIMEOUTS.age_limit_s(random.random()),
) -> httpx2.AsyncClient:
    """A client that keeps no cookies, and its connections for ``new_age_s()`` seconds each.

    ``egress`` has the proxies: httpx2 would read the environment by other rules.
    """
    return httpx2.AsyncClient(
        transport=SizeLimitedTransport(KeptConnections(transport, egress, new_age_s), body_limit),
        timeout=TIMEOUTS.upstream_idle_s,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        follow_redirects=True,
        max_redirects=MAX_REDIRECTS,
        trust_env=False,
        headers={"User-Agent": f"sample-source/{__version__}", "Accept-Encoding": "gzip"},
    )


class Network(httpx2.AsyncBaseTransport):
    """Sends each request through the proxy in its extension ``proxy``, or directly."""

    def __init__(self, context: ssl.SSLContext | bool = True) -> None:
        self._context = context
        self._transports: dict[Proxy | None, httpx2.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        proxy: Proxy | None = request.extensions.get("proxy")
        if proxy not in self._transports:
            headers = {"Proxy-Authorization": proxy.authorization} if proxy and proxy.authorization else {}
            through = httpx2.Proxy(f"http://{proxy}", headers=headers) if proxy else None
            self._transports[proxy] = httpx2.AsyncHTTPTransport(verify=self._context, trust_env=False, proxy=through)
        try:
            response = await self._transports[proxy].handle_async_request(request)
        except httpx2.ProxyError as error:
            status = str(error).partition(" ")[0]  # what follows is a text of the proxy
            text = f"the proxy {proxy} refused the connection: it answered CONNECT with {status}"
            raise httpx2.ProxyError(text) from None
        except httpx2.ConnectError as error:
            if not proxy:
                raise
            raise httpx2.ConnectError(f"through the proxy {proxy}: {error}") from None
        if proxy and response.status_code == httpx2.codes.PROXY_AUTHENTICATION_REQUIRED:
            await response.aclose()
            raise httpx2.ProxyError(f"the proxy {proxy} answered {response.status_code}")
        return response

    async def aclose(self) -> None:
        for transport in self._transports.values():
            await transport.aclose()


class KeptConnections(httpx2.AsyncBaseTransport):
    """Connects only to allowed servers, and keeps a broken connection from failing the next poll.

    Each redirect is a request of its own, so it is checked, too. The address is checked after the connection is made,
    before anything is sent: the name may have resolved to another one before. ``PollFailed`` if it is denied. Behind a
    proxy, which looks up the name, only the name is checked.

    A connection is closed at the end of the first response after its maximum age, so that no server keeps it forever.

    Some servers send a body with 204 or 304, which the next request would read as its response (RFC 9112, section 6.3).
    A connection whose response announces such a body is closed. A GET or HEAD that gets no response on a connection
    used before is sent again, once, on a new one: the body was not announced, or the server has closed the connection.
    """

    def __init__(self, inner: httpx2.AsyncBaseTransport, egress: Egress, new_age_s: Callable[[], float]) -> None:
        self._inner = inner
        self._egress = egress
        self._new_age_s = new_age_s
        self._allowed_host = b""  # of the last request that was allowed
        self._use_until: WeakKeyDictionary[Any, float] = WeakKeyDictionary()  # by connection, on the loop's clock

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        steps: set[str] = set()

        async def trace(step: str, info: Mapping[str, Any]) -> None:
            steps.add(step)
            if step == "connection.connect_tcp.complete" and not proxy:
                await self._check_address(info["return_value"])

        host = request.url.raw_host
        if host != self._allowed_host:
            if problem := self._egress.host_problem(host.decode()):
                raise PollFailed(problem)
            self._allowed_host = host

        is_https = request.url.scheme == "https"
        proxy = self._egress.proxies.proxy_for(host.decode(), request.url.port, is_https=is_https)
        request.extensions |= {"trace": trace, "proxy": proxy}
        try:
            response = await self._inner.handle_async_request(request)
        except (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError):
            kept = "http11.send_request_headers.started" in steps and "connection.connect_tcp.started" not in steps
            if not kept or request.method not in ("GET", "HEAD"):
                raise
            response = await self._inner.handle_async_request(request)
        connection = response.extensions.get("network_stream")
        announces_body = "Transfer-Encoding" in response.headers or response.headers.get("Content-Length", "0") != "0"
        if self._is_old(connection) or (response.status_code in (204, 304) and announces_body):
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = _LastBody(response.stream, connection)
        return response

    def _is_old(self, connection: Any) -> bool:
        """There is no timer. An age begins with the first response."""
        now = asyncio.get_running_loop().time()
        if connection and connection not in self._use_until:
            self._use_until[connection] = now + self._new_age_s()
        return bool(connection) and now >= self._use_until[connection]

    async def _check_address(self, connection: Any) -> None:
        if problem := self._egress.address_problem(connection.get_extra_info("server_addr")[0]):
            await connection.aclose()
            raise PollFailed(problem)

    async def aclose(self) -> None:
        await self._inner.aclose()


class _LastBody(httpx2.AsyncByteStream):
    """Closes the connection after the response. The client opens a new one then."""

    def __init__(self, inner: httpx2.AsyncByteStream, connection: Any) -> None:
        self._inner = inner
        self._connection = connection

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._inner:
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()
        if self._connection:
            await self._connection.aclose()


class SizeLimitedTransport(httpx2.AsyncBaseTransport):
    """Reads at most ``limit`` bytes of a response, both compressed and decompressed; ``TooLong`` if there are more."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, limit: int) -> None:
        self._inner = inner
        self._limit = limit

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        encoding = _coding(response.headers.pop("Content-Encoding", ""))
        if encoding != "identity":
            response.headers.pop("Content-Length", None)  # it counts the compressed bytes
        response.stream = _Body(response.stream, encoding, self._limit)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Body(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream, encoding: str, limit: int) -> None:
        self._inner = inner
        self._encoding = encoding
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        packed = bytearray()
        left = self._limit
        async for chunk in self._inner:
            left -= len(chunk)
            if left < 0:
                raise TooLong(self._limit)
            if self._encoding == "identity":
                yield chunk
            elif self._encoding in ("gzip", "x-gzip"):
                packed += chunk
            else:
                raise PollFailed(f'the response has content encoding "{self._encoding}"; only gzip is supported')
        if packed:
            yield _decompress(packed, self._limit)

    async def aclose(self) -> None:
        await self._inner.aclose()


def _coding(text: str) -> str:
    """The codings in ``Content-Encoding``. Some servers write a charset or media type there, which changes nothing."""
    names = (name.strip().lower() for name in text.split(","))
    return ", ".join(name for name in names if _CODINGS.fullmatch(name)) or "identity"


def _decompress(packed: bytearray, limit: int) -> bytes:
    """All gzip members, without the zeros that some servers add at the end."""
    try:
        body = gzip.GzipFile(fileobj=io.BytesIO(packed)).read(limit + 1)
    except EOFError:
        raise PollFailed("the gzip response is truncated") from None
    except (OSError, zlib.error):
        raise PollFailed("the response has content encoding gzip but is not valid gzip") from None
    if len(body) > limit:
        raise TooLong(limit)
    return body
