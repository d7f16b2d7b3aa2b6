"""Reads ``Retry-After`` headers, and describes failed requests. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def retry_after_s(text: str | None, now: datetime) -> float:
    """Seconds from ``now`` (RFC 9110 §10.2.3: seconds or a date); 0 if the header is absent or invalid."""
    if text is None:
        return 0.0
    if text.strip().isdecimal() and text.isascii():
        seconds = float(text)  # infinite if there are more digits than a float can hold
    else:
        try:
            date = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return 0.0
        seconds = (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds()
    return max(seconds, 0.0)


def reason_of(error: Exception) -> str:
    """The error for the log, without the octets that h11 quotes from an invalid response: they may be event data."""
    text = str(error).partition("bytearray(")[0][:200]
    return f"{type(error).__name__}: {text}".rstrip(": ")
