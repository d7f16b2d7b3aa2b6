"""An HTTP request and the answer to it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]  # names in lower case; the last of equal names
    body: bytes
    query: str = ""  # as it was written


@dataclass(frozen=True)
class Response:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "text/plain; charset=utf-8"})


class Refusal(Exception):
    """Raised by ``receive``: the caller is answered ``status`` (4xx) and ``reason``, and nothing is sent."""

    def __init__(self, status: int, reason: str, **headers: str) -> None:
        if not isinstance(status, int) or not 400 <= status <= 599:
            raise ValueError(f"Refusal({status!r}): write a status from 400 to 599; 2xx is for what the sink has")
        for name, value in headers.items():
            if not (isinstance(value, str) and value.isascii() and value.isprintable()):
                raise ValueError(f"Refusal's header {name} is {value!r}: write one line of ASCII characters")
        super().__init__(reason)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
