"""HTTP requests and responses."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_FRAMING = ("content-length", "transfer-encoding")  # a wrong one breaks the connection
WITHOUT_BODY = (204, 304)  # a response with such a status has no body and no Content-Length


@dataclass(frozen=True)
class Request:
    """One HTTP request with its whole body."""

    method: str  # in capitals, like POST
    path: str  # without the query, like /orders
    headers: dict[str, str]  # names in lower case; of repeated headers only the last
    body: bytes  # empty if there is none
    query: str = ""  # after the question mark, not decoded
    received: datetime = field(default_factory=lambda: datetime.now(UTC), compare=False)  # when it arrived; with a zone


@dataclass(frozen=True)
class Response:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "text/plain; charset=utf-8"})


@dataclass(frozen=True)
class Stream:
    """A response with status 200 whose length is not known. It is the last one of its connection.

    The server asks for the next part when the client has taken the one before it. So the memory of a stream is one
    part, whatever the client does. A server that stops or drains ends the stream at once.
    """

    parts: AsyncGenerator[bytes, None]  # none is empty; closed at the end, but not started for HEAD
    headers: dict[str, str]
    taken_within_s: float  # the connection is dropped if the client does not take a part in this time


@dataclass(frozen=True)
class Reply:
    """Return it from ``receive()`` to answer the caller without an event, for example the challenge of a handshake.

    ``body`` is sent as JSON, but ``bytes`` and ``str`` are sent unchanged; None sends none. The content type is
    ``application/json``, ``application/octet-stream`` for ``bytes`` or ``text/plain; charset=utf-8`` for ``str``,
    unless ``headers`` has another one. ``ValueError`` for a status, a body or a header that cannot be sent.
    """

    status: int = 200  # from 200 to 599
    body: Any = None  # JSON value, bytes or str; None if the status is 204 or 304
    headers: Mapping[str, str] = field(default_factory=dict)  # response headers, like {"Allow": "GET, POST"}

    def __post_init__(self) -> None:
        if not isinstance(self.status, int) or not 200 <= self.status <= 599:
            raise ValueError(f"Reply({self.status!r}): status must be from 200 to 599")
        if self.body is not None and self.status in WITHOUT_BODY:
            raise ValueError(f"Reply({self.status}): a response with this status has no body; write body=None")
        _check_headers("Reply", self.headers)
        response_of(self)


def response_of(reply: Reply) -> Response:
    type_, body = "application/json", b""
    if isinstance(reply.body, bytes):
        type_, body = "application/octet-stream", reply.body
    elif isinstance(reply.body, str):
        type_, body = "text/plain; charset=utf-8", reply.body.encode("utf-8", "replace")
    elif reply.body is not None:
        try:
            body = json.dumps(reply.body, ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"Reply: body cannot be written as JSON: {error}") from None
    typed = reply.body is None or any(name.lower() == "content-type" for name in reply.headers)
    return Response(reply.status, body, {**({} if typed else {"Content-Type": type_}), **reply.headers})


class Refusal(Exception):
    """Raise it in ``receive()`` to send no event. The caller gets ``status`` (4xx or 5xx) and ``reason`` as the body.

    ``headers`` are response headers; write ``_`` for ``-``, as in ``Retry_After="5"``. ``ValueError`` for any
    other status, and for a header value that is not one line of printable ASCII.
    """

    def __init__(self, status: int, reason: str, **headers: str) -> None:
        if not isinstance(status, int) or not 400 <= status <= 599:
            raise ValueError(
                f"Refusal({status!r}): status must be from 400 to 599; to answer without an event, "
                "return Reply(status, body)"
            )
        super().__init__(reason)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        _check_headers("Refusal", self.headers)

    def response(self) -> Response:
        """The response that the caller gets: ``reason`` and a line feed."""
        headers = {"Content-Type": "text/plain; charset=utf-8", **self.headers}
        return Response(self.status, f"{self}\n".encode("utf-8", "replace"), headers)


def _check_headers(where: str, headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not (isinstance(name, str) and _NAME.fullmatch(name)):
            raise ValueError(f"{where}: {name!r} is not the name of a header; write one like Retry-After")
        if not (isinstance(value, str) and value.isascii() and value.isprintable()):
            raise ValueError(f"{where}: header {name} is {value!r}; write one line of ASCII characters")
        if name.lower() in _FRAMING:
            raise ValueError(f"{where}: header {name} is set by the adapter; remove it")
