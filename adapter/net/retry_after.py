"""What a ``Retry-After`` header and a failed connection say. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


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
