"""One destination of events: its URL, TLS trust, authorization, and the result of each attempt.

Redirects are not followed and cookies are not kept. ``Channel.post`` raises no exception of the HTTP client: it returns
an attempt with ``Disposition.RETRY``.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from adapter.cloudevents.encode import Message
from adapter.contract.declarations import HIDDEN, EnvError
from adapter.contract.delivery_policy import Policy
from adapter.contract.egress import DEFAULT_EGRESS, Egress
from adapter.contract.formats import public_url, url_secrets
from adapter.contract.proxies import Proxies, Proxy
from adapter.contract.timeouts import TIMEOUTS, Timeouts
from adapter.delivery.attempt import Attempt, Disposition, answered
from adapter.delivery.connection import KEPT_BODY, NoResponse, OnHead, Response
from adapter.delivery.connections import Connections
from adapter.delivery.request import Target
from adapter.model.clock import Clock
from adapter.net import tls
from adapter.net.credentials import NONE, Authorization, Credentials, TokenError, Tokens
from adapter.net.retry_after import retry_after_s

if TYPE_CHECKING:
    from adapter.net.oauth2 import TokenAnswer, TokenRequest

DEFAULTS = Policy()
OnAnswer = Callable[[Attempt], None]
UNSETTLED = (401, 407)  # the request may be sent again with a new token; a proxy has answered
_TOKEN = re.compile("[!-~]+", re.ASCII)


@dataclass(frozen=True)
class Destination:
    """A URL and how to reach it. ``variable`` and the others like it are named in errors."""

    url: str
    ca_certs: str | None = None  # PEM
    audience: str | None = None  # of the OIDC token
    token_file: Path | None = None  # read for each attempt, because the kubelet renews it
    bundles: Path | None = None  # directory of more PEM files; changes take effect at the next attempt
    variable: str = "K_SINK"
    ca_certs_variable: str = "K_CA_CERTS"
    egress: Egress = DEFAULT_EGRESS
    credentials: Credentials = NONE
    credentials_variable: str = "SINK_AUTH"

    @property
    def public_url(self) -> str:
        """The URL without secrets, for logs and events."""
        return public_url(self.url)

    def secrets(self) -> Iterator[str]:
        """What the destination may send back of a request: secrets of the URL, credentials, the audience's token."""
        yield from url_secrets(self.url)
        yield from self.credentials.secrets()
        if self.audience and self.token_file:
            try:
                yield self.token_file.read_text(encoding="ascii")
            except (OSError, UnicodeDecodeError):
                return  # then no token was sent


class Channel:
    """Sends events to one destination over connections that it keeps open.

    ``timeout_s`` limits each attempt as a whole. ``connect_timeout_s`` limits the lookup of the host's name, the TCP
    handshake, and the answer of a proxy. The disposition depends only on the status, not on the body of the response.
    ``backoff(n)``: the longest wait after n failed requests for a token. ``kept_body``: how many bytes of its body a
    response has.

    An attempt sends its request a second time, at once and on a new connection, if no connection was made, or if the
    destination closed a kept connection before its answer. Both requests count as one attempt.
    If the destination refuses a token that is not new, the attempt gets a new one and sends its request again.
    Raises ``EnvError`` if the URL or a certificate of ``destination`` is invalid.
    """

    def __init__(
        self,
        destination: Destination,
        timeout_s: float,
        clock: Clock,
        *,
        connect_timeout_s: float = Policy.connect_timeout_s,
        timeouts: Timeouts = TIMEOUTS,
        backoff: Callable[[int], float] = DEFAULTS.wait_s,
        kept_body: int = KEPT_BODY,
    ) -> None:
        self.destination = destination
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._timeouts = timeouts
        self._clock = clock
        self._kept_body = kept_body
        self._is_open = destination.credentials == NONE and not destination.audience  # the sink wants no authorization
        self._target = _target(destination.url, destination.variable, "events are sent to", destination.egress.proxies)
        self._authorization = Authorization(destination.credentials, self._tokens(backoff))
        self._fingerprint: tls.Fingerprint = ()  # of the files that the connections use
        self._connections: Connections | None = None
        with contextlib.suppress(OSError):  # a file cannot be read: the attempts show the reason
            self._current_connections()

    @property
    def proxy(self) -> Proxy | None:
        """Through which the sink gets its events."""
        return self._target.proxy

    async def aclose(self) -> None:
        await self._authorization.aclose()
        if self._connections:
            self._connections.retire()
        await asyncio.sleep(0)  # the event loop closes the sockets

    async def post(self, message: Message, on_answer: OnAnswer = lambda attempt: None) -> Attempt:
        """``on_answer`` gets the attempt without the body of the response, before a wait for this body."""

        def on_head(status: int, retry_after: str | None) -> None:
            if status not in UNSETTLED:
                on_answer(answered(status, retry_after_s(retry_after, self._clock.now())))

        try:
            response = await self._send(message, asyncio.get_running_loop().time() + self._timeout_s, on_head)
        except TimeoutError:
            return Attempt(Disposition.RETRY, "timeout", f"no answer within {self._timeout_s:g} s")
        except NoResponse as error:
            return Attempt(Disposition.RETRY, error.code, error.reason)
        except TokenError as error:
            return Attempt(Disposition.RETRY, "token", error.reason, body=error.detail.encode())
        except tls.ClientCertificateError as error:
            return Attempt(Disposition.RETRY, "tls", str(error))
        except (OSError, ValueError) as error:  # a bundle cannot be read; a header has a line break
            return Attempt(Disposition.RETRY, "transport", str(error))
        except Exception as error:  # an error in this project must not end the adapter
            return Attempt(Disposition.RETRY, "transport", f"request failed: {type(error).__name__}")
        wait_s = retry_after_s(response.retry_after, self._clock.now())
        return answered(response.status, wait_s, response.body)

    def secrets(self) -> Iterator[str]:
        """Those of the destination, and the tokens of OAuth2."""
        yield from self.destination.secrets()
        yield from self._authorization.secrets()

    async def exchange(
        self, headers: Mapping[str, str], body: bytes, until: float, on_head: OnHead = lambda status, retry_after: None
    ) -> Response:
        """Send one request without credentials. Raises what ``Connections.exchange`` and changed certificates raise."""
        request = self._target.request(headers, body)
        return await self._current_connections().exchange(request, until, on_head)

    async def _send(self, message: Message, until: float, on_head: OnHead) -> Response:
        """Send the request once more, with a new token, if the sink refuses one that is old."""
        if self._is_open:  # saves 2 % of the CPU of a delivery
            return await self.exchange(message.headers, message.body, until, on_head)
        for is_last in (False, True):
            headers = {**self._audience_token(), **await self._authorization.headers(until)}
            response = await self.exchange({**message.headers, **headers}, message.body, until, on_head)
            if is_last or not self._authorization.refused(headers, response.status):
                break
        return response

    def _audience_token(self) -> dict[str, str]:
        destination = self.destination
        if not destination.audience or not destination.token_file:
            return {}
        try:
            token = destination.token_file.read_text(encoding="ascii").strip()
            if not _TOKEN.fullmatch(token):
                raise ValueError
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not a token"
            raise TokenError(f"audience {destination.audience}: {destination.token_file}: {reason}") from None
        return {"Authorization": f"Bearer {token}"}

    def _current_connections(self) -> Connections:
        """Uses changed certificates from now on; a request in flight keeps its connection.

        Nothing is sent while a file cannot be read: the change may have removed a certificate that was trusted, and the
        sink must not get a request without the client certificate.
        """
        fingerprint = _fingerprint(self.destination)
        if self._connections is None or fingerprint != self._fingerprint:
            retired, self._connections = self._connections, self._new_connections()
            self._fingerprint = fingerprint
            if retired:
                retired.retire()
        return self._connections

    def _new_connections(self) -> Connections:
        context = trust_context(self.destination)  # also without https: invalid certificates are an error
        used = context if self._target.is_https else None
        return Connections(
            self._target,
            used,
            self._connect_timeout_s,
            self._timeouts,
            self.destination.egress,
            kept_body=self._kept_body,
        )

    def _tokens(self, backoff: Callable[[int], float]) -> Tokens | None:
        oauth2 = self.destination.credentials.oauth2
        if oauth2 is None:
            return None
        from adapter.net.oauth2 import TokenClient  # few destinations need it

        variable, proxies = self.destination.credentials_variable, self.destination.egress.proxies
        _target(oauth2.token_url, variable, "tokens are requested from", proxies)
        return TokenClient(oauth2, self._request_token, backoff)

    async def _request_token(self, request: TokenRequest) -> TokenAnswer:
        """The token server is trusted, and may be connected to, as the destination itself.

        There is a channel for each request: it is rare, and the CAs of the system take megabytes of memory.
        """
        from adapter.net.oauth2 import BODY_LIMIT, REQUEST_S, TokenAnswer

        server = replace(self.destination, url=request.url, audience=None, credentials=NONE)
        until = asyncio.get_running_loop().time() + 2 * REQUEST_S  # TokenClient cancels it earlier
        try:
            made = Channel(
                server,
                REQUEST_S,
                self._clock,
                connect_timeout_s=self._connect_timeout_s,
                timeouts=replace(self._timeouts, response_body_s=REQUEST_S),
                kept_body=BODY_LIMIT + 1,
            )
            async with contextlib.aclosing(made) as channel:
                response = await channel.exchange(request.headers, request.body, until)
        except NoResponse as error:
            raise TokenError(error.reason) from None
        except OSError as error:  # a bundle cannot be read
            raise TokenError(str(error)) from None
        return TokenAnswer(response.status, response.body)


def _target(url: str, variable: str, purpose: str, proxies: Proxies) -> Target:
    try:
        return Target.of(url, proxies)
    except ValueError:
        raise EnvError(variable, HIDDEN, f"write the absolute http(s) URL that {purpose}") from None


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
            raise EnvError(destination.ca_certs_variable, HIDDEN, "write PEM certificates") from None
    certificate = destination.credentials.client_certificate
    if https:
        tls.add_bundles(context, destination.bundles)
        tls.add_client_certificate(context, certificate)
    elif certificate:
        expectation = "write an https URL for the destination, or remove the client certificate"
        raise EnvError(destination.credentials_variable, HIDDEN, expectation)
    return context


def _fingerprint(destination: Destination) -> tls.Fingerprint:
    if not _is_https(destination):
        return ()
    return tls.fingerprint_of(destination.bundles, destination.credentials.client_certificate)
