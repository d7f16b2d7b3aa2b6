"""How a poll ends without items."""

from __future__ import annotations

LONGEST_WAIT_S = 3600.0


REASON_LENGTH = 200


class PollFailed(Exception):
    """The upstream is broken; the text goes to the log, so it holds no data and no secret.

    ``retry_after_s``: how long the upstream asks to be left alone, honoured up to an hour.
    """

    def __init__(self, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(" ".join(reason.split())[:REASON_LENGTH])
        self.retry_after_s = min(max(0.0, retry_after_s), LONGEST_WAIT_S)  # in this order, NaN is 0


class TooLong(PollFailed):
    """An answer of more bytes than the client reads."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the answer is longer than {limit} bytes (body_limit)")


class Unchanged(Exception):
    """What a poll raises that was told that there is nothing new (304)."""
