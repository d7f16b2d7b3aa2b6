"""One destination of events: its URL, TLS trust, authorization, and the result of each attempt.

Redirects are not followed and cookies are not kept. ``Channel.post`` raises no exception of the HTTP client: it returns
an attempt with ``Disposition.RETRY``.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from adapter.cloudevents.encode import Message
from adapter.contract.delivery_policy import Policy
from adapter.contract.egress import DEFAULT_EGRESS, Egress
from adapter.contract.environment import HIDDEN, EnvError
from adapter.contract.formats import public_url
from adapter.contract.timeouts import TIMEOUTS, Timeouts
from adapter.delivery.attempt import Attempt, Disposition, answered
from adapter.delivery.connection import NoResponse
from adapter.delivery.connections import Connections
from adapter.delivery.request import Target
from adapter.model.clock import Clock
from adapter.net import tls
from adapter.net.retry_after import retry_after_s

OnAnswer = Callable[[Attempt], None]
_TOKEN = re.compile("[!-~]+", re.ASCII)


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
    egress: Egress = DEFAULT_EGRESS

    @property
    def public_url(self) -> str:
        """The URL without secrets, for logs and events."""
        return public_url(self.url)


class Channel:
    """Sends events to one destination over connections that it keeps open.

    ``timeout_s`` limits each attempt as a whole. ``connect_timeout_s`` limits the lookup of the host's name and the TCP
    handshake. The disposition depends only on the status, not on the body of the response.

    An attempt sends its request a second time, at once and on a new connection, if no connection was made, or if the
    destination closed a kept connection before its answer. Both requests count as one attempt.
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
    ) -> None:
        self.destination = destination
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._timeouts = timeouts
        self._clock = clock
        self._target = _target(destination)
        self._fingerprint = _fingerprint(destination)
        self._connections = self._new_connections()

    async def aclose(self) -> None:
        self._connections.retire()
        await asyncio.sleep(0)  # the event loop closes the sockets

    async def post(self, message: Message, on_answer: OnAnswer = lambda attempt: None) -> Attempt:
        """``on_answer`` gets the attempt without the body of the response, before a wait for this body."""

        def on_head(status: int, retry_after: str | None) -> None:
            on_answer(answered(status, retry_after_s(retry_after, self._clock.now())))

        try:
            request = self._target.request({**message.headers, **self._authorization()}, message.body)
            self._reload_certificates()
            until = asyncio.get_running_loop().time() + self._timeout_s
            response = await self._connections.exchange(request, until, on_head)
        except TimeoutError:
            return Attempt(Disposition.RETRY, "timeout", f"no answer within {self._timeout_s:g} s")
        except (NoResponse, _TokenError) as error:
            return Attempt(Disposition.RETRY, error.code, error.reason)
        except (OSError, ValueError) as error:  # a bundle cannot be read; a header has a line break
            return Attempt(Disposition.RETRY, "transport", str(error))
        except Exception as error:  # an error in this project must not end the adapter
            return Attempt(Disposition.RETRY, "transport", f"request failed: {type(error).__name__}")
        wait_s = retry_after_s(response.retry_after, self._clock.now())
        return answered(response.status, wait_s, response.body)

    def _authorization(self) -> dict[str, str]:
        destination = self.destination
        if not destination.audience or not destination.token_file:
            return {}
        try:
            token = destination.token_file.read_text(encoding="ascii").strip()
            if not _TOKEN.fullmatch(token):
                raise ValueError
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not a token"
            raise _TokenError(f"audience {destination.audience}: {destination.token_file}: {reason}") from None
        return {"Authorization": f"Bearer {token}"}

    def _reload_certificates(self) -> None:
        """Use changed bundles from now on; a request in flight keeps its connection.

        Nothing is sent while a bundle cannot be read: the change may have removed a certificate that was trusted.
        """
        fingerprint = _fingerprint(self.destination)
        if fingerprint == self._fingerprint:
            return
        connections = self._new_connections()
        self._fingerprint = fingerprint
        retired, self._connections = self._connections, connections
        retired.retire()

    def _new_connections(self) -> Connections:
        context = trust_context(self.destination)  # also without https: invalid certificates are an error
        used = context if self._target.is_https else None
        return Connections(
            self._target.host, self._target.port, used, self._connect_timeout_s, self._timeouts, self.destination.egress
        )


class _TokenError(Exception):
    """The token of the audience cannot be read; the event is not sent without it."""

    code = "token"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _target(destination: Destination) -> Target:
    try:
        return Target.of(destination.url)
    except ValueError:
        expectation = "write the absolute http(s) URL that events are sent to"
        raise EnvError(destination.variable, HIDDEN, expectation) from None


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
    if https:
        tls.add_bundles(context, destination.bundles)
    return context


def _fingerprint(destination: Destination) -> tls.Fingerprint:
    return tls.fingerprint_of(destination.bundles) if _is_https(destination) else ()
