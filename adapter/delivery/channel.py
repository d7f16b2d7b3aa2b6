"""One place events are sent to: its client, whom it trusts, how it says who it is, and what an answer means.

Redirects are answers, not addresses to go to; cookies are not kept. No exception of the HTTP client gets out: an
attempt that failed in a way nobody foresaw is an attempt to make again.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path

import httpx2

from adapter.cloudevents.encode import Message
from adapter.contract.environment import EnvError
from adapter.delivery.attempt import Attempt, Disposition, disposition
from adapter.model.clock import Clock
from adapter.net import tls
from adapter.net.client_pool import ClientPool
from adapter.net.retry_after import reason_of, retry_after_s

BODY_LIMIT = 64 * 1024
BODY_S = 1.0  # after the answer; the event is delivered or not, and the next one waits
KEPT_BODY = 4096  # of a refusal, for the dead letter sink


@dataclass(frozen=True)
class Destination:
    """Where to, and the trust that goes with it; ``variable`` is where the URL stands, for errors."""

    url: str
    ca_certs: str | None = None
    audience: str | None = None
    token_file: Path | None = None  # read anew at each attempt: the kubelet refreshes it
    bundles: Path | None = None  # directory of more PEM files; a change is taken up
    variable: str = "K_SINK"

    @property
    def public_url(self) -> str:
        """A URL may carry a password; an event or a log may not."""
        scheme, _, rest = self.url.partition("://")
        authority, slash, path = rest.partition("/")
        return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


class Channel:
    """A connection is kept for as long as the other side keeps it; ``timeout_s`` bounds each attempt as a whole."""

    def __init__(self, destination: Destination, timeout_s: float, clock: Clock) -> None:
        self.destination = destination
        self._timeout_s = timeout_s
        self._clock = clock
        self._url = _parsed(destination)
        self._stamp = _stamp(destination)
        self._clients = _clients(destination)

    async def aclose(self) -> None:
        await self._clients.aclose()

    async def post(self, message: Message) -> Attempt:
        answer = None
        try:
            headers = {**message.headers, **self._authorization()}
            await self._take_up_certificates()
            async with (
                asyncio.timeout(self._timeout_s),
                self._clients.lease() as client,
                client.stream("POST", self._url, content=message.body, headers=headers) as response,
            ):
                answer = self._judge(response)
                body = await _read_body(response)
        except TimeoutError:
            return answer or Attempt(Disposition.RETRY, "timeout", f"no answer within {self._timeout_s:g} s")
        except _NoToken as error:
            return Attempt(Disposition.RETRY, "token", str(error))
        except Exception as error:  # httpx2.RequestError, and what httpx2 lets through: ssl.SSLError, UnicodeError
            return answer or Attempt(Disposition.RETRY, "transport", reason_of(error))
        return answer if answer.disposition is Disposition.ACCEPT else _with_body(answer, body)

    def _judge(self, response: httpx2.Response) -> Attempt:
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
            reason = getattr(error, "strerror", None) or "is no token"
            raise _NoToken(f"audience {destination.audience}: {destination.token_file}: {reason}") from None

    async def _take_up_certificates(self) -> None:
        """Mounted bundles change under us; a request that is under way keeps its client.

        With one that cannot be read nothing is sent: who took it away may have stopped trusting it.
        """
        stamp = _stamp(self.destination)
        if stamp == self._stamp:
            return
        clients = _clients(self.destination)
        self._stamp = stamp
        retired, self._clients = self._clients, clients
        await retired.aclose()


class _NoToken(Exception):
    """The audience's token cannot be read; nothing is sent without it."""


def _parsed(destination: Destination) -> httpx2.URL:
    """Once: reading it anew for each attempt costs as much as all else that is ours."""
    try:
        return httpx2.URL(destination.url)
    except httpx2.InvalidURL:
        expectation = "write the absolute http(s) URL that events are sent to"
        raise EnvError(destination.variable, destination.public_url, expectation) from None


def _is_https(destination: Destination) -> bool:
    return destination.url.lower().startswith("https:")


def _clients(destination: Destination) -> ClientPool:
    verify = tls_of(destination)
    return ClientPool(
        lambda: httpx2.AsyncClient(
            verify=verify,
            limits=httpx2.Limits(keepalive_expiry=None),
            timeout=None,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            follow_redirects=False,
        )
    )


def tls_of(destination: Destination) -> ssl.SSLContext:
    """Without https nobody is trusted; certificates that are none are an error all the same."""
    https = _is_https(destination)
    context = tls.tls_context() if https else tls.trusting_nobody()
    if destination.ca_certs:
        try:
            tls.trust(context, destination.ca_certs)
        except ssl.SSLError:
            variable = destination.variable.replace("SINK", "CA_CERTS")
            raise EnvError(variable, destination.ca_certs, "write PEM certificates") from None
    if https:
        tls.add_bundles(context, destination.bundles)
    return context


def _stamp(destination: Destination) -> tls.Stamp:
    return tls.stamp_of(destination.bundles) if _is_https(destination) else ()


def _with_body(answer: Attempt, body: bytes) -> Attempt:
    return Attempt(answer.disposition, answer.code, answer.reason, answer.retry_after_s, body)


async def _read_body(response: httpx2.Response) -> bytes:
    """Its beginning; read to the end so that the connection can be used again, if it is neither long nor slow."""
    size, kept = 0, b""
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in response.aiter_raw():
                size += len(chunk)
                kept += chunk[: KEPT_BODY - len(kept)]
                if size > BODY_LIMIT:
                    break
    except TimeoutError:
        pass  # slower than it is worth: the connection goes, the answer stands
    return kept
