"""What an answer to a request means, a sink's or an upstream's: taken, to be tried again, and when. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Disposition(Enum):
    ACCEPT = "accept"
    RETRY = "retry"
    REJECT = "reject"


@dataclass(frozen=True)
class Attempt:
    """What one attempt brought: ``code`` is a status code, or ``timeout``, ``transport`` or ``token``."""

    disposition: Disposition
    code: str
    reason: str = ""
    retry_after_s: float = 0.0
    body: bytes = b""


def disposition(status: int) -> Disposition:
    """Knative data-plane spec, "Event acknowledgement and delivery retry"; codes it does not list should be retried."""
    if 200 <= status < 300:
        return Disposition.ACCEPT
    if status in (404, 408, 409, 429) or status >= 500:
        return Disposition.RETRY
    return Disposition.REJECT
