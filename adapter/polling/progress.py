"""The state of a poller between polls: the outcomes of the items that it has sent, and the number of failed polls."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from adapter.serving.logs import LogThrottle

if TYPE_CHECKING:
    from adapter.model.event import Outcome
    from adapter.model.source import Context

WINDOW = 10_000  # number of items kept
FAILURES_UNTIL_UNREADY = 3
NO_SUCCESS_YET = "no poll has succeeded yet"
OK, UNCHANGED, FAILED = "ok", "unchanged", "failed"


@dataclass(frozen=True)
class PollResult:
    """How a poll ended. ``outcome`` is the label of ``source_polls_total``; ``reason`` says why a poll failed.

    ``fields``: more fields of the log line about an exception in the code of the kind.
    """

    outcome: str
    reason: str = ""
    retry_after_s: float = 0.0
    fields: Mapping[str, Any] = field(default_factory=dict)


class Handled:
    """The outcomes of the ``size`` items that were used last, by key; a lookup counts as use.

    The outcome of a skipped item is None. The keys are stored as digests: a key can be of any length.
    """

    def __init__(self, size: int = WINDOW) -> None:
        self._size = size
        self._outcomes: OrderedDict[bytes, Outcome | None] = OrderedDict()  # the item that was used last comes last

    def find(self, key: str) -> tuple[bool, Outcome | None]:
        """Whether the item is known, and its outcome."""
        digest = _digest(key)
        if digest not in self._outcomes:
            return False, None
        self._outcomes.move_to_end(digest)
        return True, self._outcomes[digest]

    def add(self, key: str, outcome: Outcome | None) -> None:
        self._outcomes[_digest(key)] = outcome
        if len(self._outcomes) > self._size:
            self._outcomes.popitem(last=False)


def _digest(key: str) -> bytes:
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class PollMonitor:
    """Counts polls, logs failures and recoveries, and sets the readiness of the source."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._throttle = LogThrottle(context.log, context.clock.now)
        self._failures = 0  # in a row
        self._failed_polls = 0  # since the last line that says that polls succeed again
        self._ready = False  # True since the first item or the first successful poll
        context.set_unready(NO_SUCCESS_YET)
        for outcome in (OK, UNCHANGED, FAILED):
            context.count_poll(outcome, 0)

    async def __aenter__(self) -> PollMonitor:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._throttle.flush()

    def first_item_seen(self) -> None:
        """Make the source ready before its first poll ends: a slow sink can delay the end."""
        if not self._ready:
            self._ready = True
            self._context.set_unready(None)

    def record(self, result: PollResult) -> None:
        self._context.count_poll(result.outcome, 1)
        if result.outcome == FAILED:
            self._failed(result)
        else:
            self._succeeded()

    def _succeeded(self) -> None:
        self._ready = True
        self._context.set_unready(None)
        self._failures = 0
        if self._throttle.recovered("polls succeed again", failed_polls=self._failed_polls):
            self._failed_polls = 0

    def _failed(self, result: PollResult) -> None:
        self._failures += 1
        self._failed_polls += 1
        wait_s = result.retry_after_s
        self._throttle.warning("poll failed", reason=result.reason, retry_after_s=wait_s, **result.fields)
        if self._failures >= FAILURES_UNTIL_UNREADY:
            self._context.set_unready(f"{self._failures} polls in a row failed: {result.reason}")
        elif not self._ready:
            self._context.set_unready(f"{NO_SUCCESS_YET}: {result.reason}")
