"""Exceptions that end a poll without items."""

from __future__ import annotations

MAX_RETRY_AFTER_S = 3600.0
MAX_REASON_LENGTH = 200


class PollFailed(Exception):
    """The upstream did not give a usable response. The reason is logged, so it must not contain data or secrets.

    ``retry_after_s``: minimum seconds until the next poll, as the upstream asks; at most one hour.
    """

    def __init__(self, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(" ".join(reason.split())[:MAX_REASON_LENGTH])
        self.retry_after_s = min(max(0.0, retry_after_s), MAX_RETRY_AFTER_S)  # max() first: it turns NaN into 0


class TooLong(PollFailed):
    """The response has more bytes than the client reads."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the response is longer than {limit} bytes (body_limit)")


class Unchanged(Exception):
    """``poll()`` raises this when the upstream reports that nothing changed (304)."""
