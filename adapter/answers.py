"""What an answer to a request means, a sink's or an upstream's: taken, to be tried again, and when. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum


class Verdict(Enum):
    ACCEPT = "accept"
    RETRY = "retry"
    REJECT = "reject"


@dataclass(frozen=True)
class Answer:
    """What one attempt brought: ``code`` is a status code, or ``timeout``, ``transport`` or ``token``."""

    verdict: Verdict
    code: str
    reason: str = ""
    retry_after_s: float = 0.0
    body: bytes = b""


def verdict(status: int) -> Verdict:
    """Knative data-plane spec, "Event acknowledgement and delivery retry"; codes it does not list should be retried."""
    if 200 <= status < 300:
        return Verdict.ACCEPT
    if status in (404, 408, 409, 429) or status >= 500:
        return Verdict.RETRY
    return Verdict.REJECT


def retry_after_s(text: str | None, now: datetime) -> float:
    """Seconds that a ``Retry-After`` header asks for; 0 if there is none or it cannot be read."""
    if text is None:
        return 0.0
    if text.strip().isdecimal() and text.isascii():
        seconds = float(text)  # of any length: what is too long for a float is infinite
    else:
        try:
            date = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return 0.0
        seconds = (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds()
    return max(seconds, 0.0)


def reason_of(error: Exception) -> str:
    """h11 quotes the octets it cannot read, and a sink may send the event's data back: they stay out of the log."""
    text = str(error).partition("bytearray(")[0][:200]
    return f"{type(error).__name__}: {text}".rstrip(": ")
