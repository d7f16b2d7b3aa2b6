"""How the polls of a process went: results, failures, readiness, and the last poll at the shutdown."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from adapter.model.clock import wait_until
from adapter.serving.logs import LogThrottle

if TYPE_CHECKING:
    from datetime import datetime

    from adapter.model.source import Context

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


class LastPoll:
    """On SIGTERM, the source polls once more and sends what it finds.

    During a rolling update, the new process is ready by then: it has polled, and does not send the items that it found.
    Without the last poll, items that appeared between the two polls would be lost. A shared checkpoint does not replace
    it: the new process may have another store, or the store may have lost the record. ``found_again()``: whether the
    next process sends all items that this one does not send.
    """

    def __init__(self, context: Context, *, found_again: Callable[[], bool]) -> None:
        self.requested = False
        self._clock, self._log = context.clock, context.log
        self._found_again = found_again
        self._succeeded = False  # a poll of this process has succeeded; before, it has no last poll
        self._ended = asyncio.Event()
        self._wait: asyncio.Timeout | None = None
        context.on_shutdown(self._once_more)

    async def __aenter__(self) -> LastPoll:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.requested and not self._ended.is_set():
            self._incomplete("it did not end before the shutdown")

    async def wait_until(self, due: datetime) -> None:
        """Wait until ``due``, or until the last poll is requested."""
        if not self.requested:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None) as self._wait:
                    await wait_until(self._clock, due)
            self._wait = None

    def polled(self, result: PollResult) -> None:
        self._succeeded = self._succeeded or result.outcome != FAILED

    def ended(self, result: PollResult, *, complete: bool) -> None:
        """The last poll has ended. ``complete``: each item got an outcome that is final."""
        self._ended.set()
        if result.outcome == FAILED:
            self._incomplete(result.reason)
        elif not complete:
            self._incomplete("an item was not delivered, so the items after it were not sent")

    def _incomplete(self, reason: str) -> None:
        if not self._found_again():
            self._log.warning("last poll incomplete: new items may be lost", extra={"fields": {"reason": reason}})

    async def _once_more(self) -> None:
        if self._succeeded:
            self.requested = True
            if self._wait:
                self._wait.reschedule(0)
            await self._ended.wait()


class PollMonitor:
    """Counts polls, logs failures and recoveries, and sets the readiness of the source."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._throttle = LogThrottle(context.log, context.clock.now)
        self._failures = 0  # in a row
        self._failed_polls = 0  # since the last line that says that polls succeed again
        self._ready = False  # True since the first item to send or the first successful poll
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
