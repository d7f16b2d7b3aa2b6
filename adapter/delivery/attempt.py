"""The result of one delivery attempt, and what a status code means for the event. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Disposition(Enum):
    """What to do with the event after an attempt: it is delivered, sent again, or never sent again."""

    ACCEPT = "accept"
    RETRY = "retry"
    REJECT = "reject"


@dataclass(frozen=True)
class Attempt:
    """``code``: the status code, or ``timeout``, ``transport``, ``token``, ``tls`` or ``stopped`` without a response.

    ``body``: the beginning of the response's body, for the dead letter sink.
    """

    disposition: Disposition
    code: str
    reason: str = ""
    retry_after_s: float = 0.0
    body: bytes = b""


def answered(status: int, retry_after_s: float = 0.0, body: bytes = b"") -> Attempt:
    """The attempt that ended with a response. The body of a success is not kept."""
    verdict = disposition(status)
    kept = b"" if verdict is Disposition.ACCEPT else body
    return Attempt(verdict, str(status), f"answered {status}", retry_after_s, kept)


def disposition(status: int) -> Disposition:
    """Knative data-plane spec, "Event acknowledgement and delivery retry"; codes that it does not list are retried."""
    if 200 <= status < 300:
        return Disposition.ACCEPT
    if status in (404, 408, 409, 429) or status >= 500:
        return Disposition.RETRY
    return Disposition.REJECT
