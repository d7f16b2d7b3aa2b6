"""HTTP requests and responses."""

from __future__ import annotations

from dataclasses import dataclass, field

_FRAMING = ("content_length", "transfer_encoding")  # a wrong one breaks the connection


@dataclass(frozen=True)
class Request:
    """One HTTP request with its whole body."""

    method: str  # in capitals, like POST
    path: str  # without the query, like /orders
    headers: dict[str, str]  # names in lower case; of repeated headers only the last
    body: bytes  # empty if there is none
    query: str = ""  # after the question mark, not decoded


@dataclass(frozen=True)
class Response:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "text/plain; charset=utf-8"})


class Refusal(Exception):
    """Raise it in ``receive()`` to send no event. The caller gets ``status`` (4xx or 5xx) and ``reason`` as the body.

    ``headers`` are response headers; write ``_`` for ``-``, as in ``Retry_After="5"``. ``ValueError`` for any
    other status, and for a header value that is not one line of printable ASCII.
    """

    def __init__(self, status: int, reason: str, **headers: str) -> None:
        if not isinstance(status, int) or not 400 <= status <= 599:
            raise ValueError(f"Refusal({status!r}): status must be from 400 to 599; to answer 2xx, return an Event")
        for name, value in headers.items():
            if not (isinstance(value, str) and value.isascii() and value.isprintable()):
                raise ValueError(f"Refusal({name}={value!r}): write one line of ASCII characters")
            if name.lower() in _FRAMING:
                raise ValueError(f"Refusal({name}={value!r}): the adapter sets this header")
        super().__init__(reason)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def response(self) -> Response:
        """The response that the caller gets: ``reason`` and a line feed."""
        headers = {"Content-Type": "text/plain; charset=utf-8", **self.headers}
        return Response(self.status, f"{self}\n".encode("utf-8", "replace"), headers)
