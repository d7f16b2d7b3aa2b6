"""What one destination of requests demands: headers, a user and password, OAuth2 tokens, a client certificate."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import quote_plus


@dataclass(frozen=True)
class OAuth2:
    """Client credentials (RFC 6749, section 4.4). ``audience`` is a parameter that some servers want besides.

    ``method``: how the client proves its identity to the token server (names of RFC 7591): in an Authorization header,
    or in the body for servers that do not take the header.
    """

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scopes: tuple[str, ...] = ()
    audience: str | None = None
    method: Literal["client_secret_basic", "client_secret_post"] = "client_secret_basic"

    def basic(self) -> str:
        """The Authorization header for the token server. Name and secret are form-encoded first, says section 2.3.1."""
        return basic_authorization(quote_plus(self.client_id), quote_plus(self.client_secret))

    def secrets(self) -> Iterator[str]:
        yield self.client_secret
        yield self.basic().removeprefix("Basic ")


@dataclass(frozen=True)
class Credentials:
    """The credentials of one destination, with the values of their secrets.

    ``basic``: user and password. ``client_certificate``: a directory with ``tls.crt``, ``tls.key`` and perhaps
    ``ca.crt``, which may change. At most one of ``basic``, ``oauth2`` and a header ``Authorization`` is given.
    """

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    basic: tuple[str, str] | None = field(default=None, repr=False)
    oauth2: OAuth2 | None = None
    client_certificate: Path | None = None

    def fixed_headers(self) -> dict[str, str]:
        """The headers that are the same for all requests."""
        if self.basic is None:
            return dict(self.headers)
        return {**self.headers, "Authorization": basic_authorization(*self.basic)}

    def secrets(self) -> Iterator[str]:
        """The texts that no output may show. Tokens of ``oauth2`` are not among them: they change."""
        yield from self.headers.values()
        if self.basic:
            yield self.basic[1]
            yield self.fixed_headers()["Authorization"].removeprefix("Basic ")
        if self.oauth2:
            yield from self.oauth2.secrets()


NONE = Credentials()


def basic_authorization(user: str, password: str) -> str:
    """The header of RFC 7617."""
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


class TokenError(Exception):
    """There is no token, so the request is not sent. ``detail``: what the token server says; it may show a secret."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


class Tokens(Protocol):
    """Where the tokens of a destination come from."""

    async def token(self, until: float) -> str:
        """A token that has not expired. ``until`` is on the loop's clock. Raises :class:`TokenError`."""

    def refused(self, token: str, status: int) -> bool:
        """Takes note of the answer to a request with ``token``. True: send it again, with a new token."""

    def secrets(self) -> Iterator[str]:
        """The current token, and older ones that a request in flight may still have."""

    async def aclose(self) -> None: ...


class Authorization:
    """The headers that authorize the requests to one destination. ``tokens``: given if ``credentials`` has ``oauth2``.

    Use: get ``headers()``, send the request, and pass the status to ``refused()``. If that is True, do it once more.
    """

    def __init__(self, credentials: Credentials, tokens: Tokens | None = None) -> None:
        self._fixed = credentials.fixed_headers()
        self._tokens = tokens

    async def headers(self, until: float) -> dict[str, str]:
        """The headers of the next request. ``until`` is on the loop's clock. Raises :class:`TokenError`."""
        if self._tokens is None:
            return self._fixed
        return {**self._fixed, "Authorization": f"Bearer {await self._tokens.token(until)}"}

    def refused(self, headers: Mapping[str, str], status: int) -> bool:
        """Whether to send the request with these ``headers`` again, because ``status`` refuses a token that is old."""
        if self._tokens is None:
            return False
        return self._tokens.refused(headers["Authorization"].removeprefix("Bearer "), status)

    def secrets(self) -> Iterator[str]:
        """The tokens. Other secrets are those of the credentials."""
        if self._tokens:
            yield from self._tokens.secrets()

    async def aclose(self) -> None:
        if self._tokens:
            await self._tokens.aclose()
