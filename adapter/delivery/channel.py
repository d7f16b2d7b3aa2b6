"""One destination of events: its HTTP client, TLS trust, authorization, and the result of each attempt.

Redirects are not followed and cookies are not kept. ``Channel.post`` raises no exception of the HTTP client: it returns
an attempt with ``Disposition.RETRY``.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, replace
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path

import httpx2

from adapter.cloudevents.encode import Message
from adapter.contract.environment import EnvError
from adapter.contract.timeouts import TIMEOUTS
from adapter.delivery.attempt import Attempt, Disposition, disposition
from adapter.model.clock import Clock
from adapter.net import tls
from adapter.net.client_pool import ClientPool
from adapter.net.retry_after import reason_of, retry_after_s

BODY_LIMIT = 64 * 1024  # bytes read of a response's body, so that its connection can be used again
KEPT_BODY = 4096  # bytes of them kept for the dead letter sink


@dataclass(frozen=True)
class Destination:
    """A URL and how to reach it. ``variable`` and ``ca_certs_variable`` are named in errors."""

    url: str
    ca_certs: str | None = None  # PEM
    audience: str | None = None  # of the OIDC token
    token_file: Path | None = None  # read for each attempt, because the kubelet renews it
    bundles: Path | None = None  # directory of more PEM files; changes take effect at the next attempt
    variable: str = "K_SINK"
    ca_certs_variable: str = "K_CA_CERTS"

    @property
    def public_url(self) -> str:
        """The URL without user and password, for logs and events."""
        scheme, _, rest = self.url.partition("://")
        authority, slash, path = rest.partition("/")
        return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


class Channel:
    """Sends events to one destination over connections that it keeps open.

    ``timeout_s`` limits each attempt as a whole. ``response_body_s`` limits the time to read the body of a response;
    the disposition depends only on the status. ``transport`` replaces the network, as in
    ``httpx2.AsyncClient(transport=...)``.
    Raises ``EnvError`` if the URL or a certificate of ``destination`` is invalid.
    """

    def __init__(
        self,
        destination: Destination,
        timeout_s: float,
        clock: Clock,
        *,
        response_body_s: float = TIMEOUTS.response_body_s,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.destination = destination
        self._timeout_s = timeout_s
        self._clock = clock
        self._response_body_s = response_body_s
        self._transport = transport
        self._url = _parsed_url(destination)
        self._fingerprint = _fingerprint(destination)
        self._clients = self._new_clients()

    async def aclose(self) -> None:
        await self._clients.aclose()

    async def post(self, message: Message) -> Attempt:
        attempt = None
        try:
            headers = {**message.headers, **self._authorization()}
            await self._reload_certificates()
            async with (
                asyncio.timeout(self._timeout_s),
                self._clients.lease() as client,
                client.stream("POST", self._url, content=message.body, headers=headers) as response,
            ):
                attempt = self._attempt(response)
                body = await _read_body(response, self._response_body_s)
        except TimeoutError:
            return attempt or Attempt(Disposition.RETRY, "timeout", f"no answer within {self._timeout_s:g} s")
        except _TokenError as error:
            return Attempt(Disposition.RETRY, "token", str(error))
        except Exception as error:  # httpx2.RequestError, and what httpx2 lets through: ssl.SSLError, UnicodeError
            return attempt or Attempt(Disposition.RETRY, "transport", reason_of(error))
        return attempt if attempt.disposition is Disposition.ACCEPT else replace(attempt, body=body)

    def _attempt(self, response: httpx2.Response) -> Attempt:
        status = response.status_code
        wait_s = retry_after_s(response.headers.get("Retry-After"), self._clock.now())
        return Attempt(disposition(status), str(status), f"answered {status}", wait_s)

    def _authorization(self) -> dict[str, str]:
        destination = self.destination
        if not destination.audience or not destination.token_file:
            return {}
        try:
            return {"Authorization": f"Bearer {destination.token_file.read_text(encoding='ascii').strip()}"}
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not a token"
            raise _TokenError(f"audience {destination.audience}: {destination.token_file}: {reason}") from None

    async def _reload_certificates(self) -> None:
        """Use changed bundles from now on; a request in flight keeps its client.

        Nothing is sent while a bundle cannot be read: the change may have removed a certificate that was trusted.
        """
        fingerprint = _fingerprint(self.destination)
        if fingerprint == self._fingerprint:
            return
        clients = self._new_clients()
        self._fingerprint = fingerprint
        retired, self._clients = self._clients, clients
        await retired.aclose()

    def _new_clients(self) -> ClientPool:
        context = trust_context(self.destination)
        return ClientPool(
            lambda: httpx2.AsyncClient(
                verify=context,
                transport=self._transport,
                limits=httpx2.Limits(keepalive_expiry=None),
                timeout=None,
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
                follow_redirects=False,
            )
        )


class _TokenError(Exception):
    """The token of the audience cannot be read; the event is not sent without it."""


def _parsed_url(destination: Destination) -> httpx2.URL:
    """Parsed once per channel, because parsing costs as much as the rest of an attempt outside httpx2."""
    try:
        return httpx2.URL(destination.url)
    except httpx2.InvalidURL:
        expectation = "write the absolute http(s) URL that events are sent to"
        raise EnvError(destination.variable, destination.public_url, expectation) from None


def _is_https(destination: Destination) -> bool:
    return destination.url.lower().startswith("https:")


def trust_context(destination: Destination) -> ssl.SSLContext:
    """A destination without https gets an empty trust store. Invalid PEM is an ``EnvError`` either way."""
    https = _is_https(destination)
    context = tls.tls_context() if https else tls.empty_context()
    if destination.ca_certs:
        try:
            tls.trust(context, destination.ca_certs)
        except ssl.SSLError:
            raise EnvError(destination.ca_certs_variable, destination.ca_certs, "write PEM certificates") from None
    if https:
        tls.add_bundles(context, destination.bundles)
    return context


def _fingerprint(destination: Destination) -> tls.Fingerprint:
    return tls.fingerprint_of(destination.bundles) if _is_https(destination) else ()


async def _read_body(response: httpx2.Response, timeout_s: float) -> bytes:
    """The first ``KEPT_BODY`` bytes. Reads a short body to its end, so that the connection can be used again."""
    size, kept = 0, b""
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in response.aiter_raw():
                size += len(chunk)
                kept += chunk[: KEPT_BODY - len(kept)]
                if size > BODY_LIMIT:
                    break
    except TimeoutError:
        pass  # the connection is closed; the status is known already
    return kept
