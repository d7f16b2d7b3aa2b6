"""Exceptions that end a poll without items."""

from __future__ import annotations

MAX_RETRY_AFTER_S = 3600.0
MAX_REASON_LENGTH = 200


class PollFailed(Exception):
    """Raise it in ``poll()`` if the upstream has no usable response. The poll ends and counts as failed.

    ``reason`` is logged and shown by ``/readiness``, so it must not contain data or secrets. It is cut to one line of
    200 characters. ``retry_after_s``: minimum seconds until the next poll, at most 3600.
    """

    def __init__(self, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(" ".join(reason.split())[:MAX_REASON_LENGTH])
        self.retry_after_s = min(max(0.0, retry_after_s), MAX_RETRY_AFTER_S)  # max() first: it turns NaN into 0


class TooLong(PollFailed):
    """The response has more bytes than the client reads."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the response is longer than {limit} bytes (body_limit)")


class Unchanged(Exception):
    """Raise it in ``poll()`` if nothing changed, like for HTTP status 304. The poll ends and counts as successful."""
