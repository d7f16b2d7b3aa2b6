"""Hand one event to the sink: at least once, within its policy; else to the dead letter sink; else say it is lost.

Every attempt sends the same bytes, so the same id and time. Nothing is lost silently: what neither sink took is an
error in the log and counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

from adapter.cloudevents.encode import Message, with_extensions
from adapter.contract.delivery_policy import Policy
from adapter.delivery.attempt import Attempt, Disposition
from adapter.delivery.channel import Channel
from adapter.model.clock import Clock, reached
from adapter.model.event import Event, Outcome
from adapter.observe.metrics import Metrics
from adapter.serving.logs import LogThrottle

ERROR_DATA_LIMIT = 1024
DEAD_LETTER_SHARE = 0.25  # of the time somebody waits
_CONTROL = bytes([*range(32), 127])


class _DeadlineReached(Exception):
    """There is no time for this attempt."""


def dead_letter(message: Message, destination: str, answer: Attempt) -> Message:
    """The event with Knative's three extensions, as Knative's dispatcher writes them.

    A failure that is no answer is 500; the body without control characters, in base64, cut to 1024 characters.
    """
    body = answer.body if answer.code.isdecimal() else f"dispatch error: {answer.reason}".encode()
    data = b64encode(body.translate(None, _CONTROL)).decode()[:ERROR_DATA_LIMIT]
    code = answer.code if answer.code.isdecimal() else "500"
    extensions = {"knativeerrordest": destination, "knativeerrorcode": code, "knativeerrordata": data}
    return with_extensions(message, {name: value for name, value in extensions.items() if value})


class Delivery:
    """The way of events to one sink. ``healthy`` is False from a used-up budget to the next success."""

    def __init__(
        self,
        sink: Channel,
        policy: Policy,
        clock: Clock,
        rng: Random,
        metrics: Metrics,
        log: logging.Logger,
        *,
        dead_letters: Channel | None = None,
    ) -> None:
        self.healthy = True
        self._sink = sink
        self._dead_letters = dead_letters
        self._policy = policy
        self._clock = clock
        self._rng = rng
        self._metrics = metrics
        self._log = log
        self._digest = LogThrottle(log, clock.now)
        self._not_before: dict[Channel, datetime] = {}  # what Retry-After asked for binds every event
        self._cut_short_now = False
        self._scopes: set[asyncio.Timeout] = set()  # of attempts and waits under way
        self._failed_attempts = 0
        self._failure_said = False

    def cut_short(self) -> None:
        """No attempt is waited for any more: what is in hand gets one at the dead letter sink, and that is all."""
        self._cut_short_now = True
        for scope in self._scopes:
            scope.reschedule(asyncio.get_running_loop().time())

    async def deliver(self, event: Event, message: Message, *, caller_timeout_s: float | None = None) -> Outcome:
        """``caller_timeout_s``: how long a caller waits for the outcome; None if no caller waits."""
        sink_until, until = self._deadlines(caller_timeout_s)
        answer, attempts = await self._try(self._sink, event, message, sink_until)
        if answer.disposition is Disposition.ACCEPT:
            return self._accepted(event, attempts)
        if answer.disposition is Disposition.RETRY and not self._cut_short_now and caller_timeout_s is None:
            self.healthy = False
        if self._dead_letters is not None:
            dead = dead_letter(message, self._sink.destination.public_url, answer)
            last, tries = await self._try(self._dead_letters, event, dead, until)
            if last.disposition is Disposition.ACCEPT:
                self._warn("event went to the dead letter sink", event, attempts, answer)
                return Outcome.DEAD_LETTERED
            self._warn("the dead letter sink did not take an event", event, tries, last)
        if caller_timeout_s is not None:
            self._warn("event returned: whoever brought it is told", event, attempts, answer)
        else:  # one line each: its id is what somebody needs who looks for it
            self._log.error("event lost", extra={"fields": _fields(event, attempts, answer)})
        return Outcome.REJECTED if answer.disposition is Disposition.REJECT else Outcome.GAVE_UP

    def _deadlines(self, caller_timeout_s: float | None) -> tuple[float | None, float | None]:
        """Until when (the loop's clock) the sink is tried, and until when all is over, for one that is waited for.

        The last quarter is the dead letter sink's: who waits is told in time, and that one is not left out.
        """
        if caller_timeout_s is None:
            return None, None
        now = asyncio.get_running_loop().time()
        share = 1 - DEAD_LETTER_SHARE if self._dead_letters else 1
        return now + caller_timeout_s * share, now + caller_timeout_s

    async def _try(self, channel: Channel, event: Event, message: Message, until: float | None) -> tuple[Attempt, int]:
        """The last answer, and how many attempts there were: at most ``retry`` + 1.

        In a hurry none, but for the first at the dead letter sink: it is all that is left.
        """
        waits = self._policy.waits()
        answer, attempts, wait_s = Attempt(Disposition.RETRY, "stopped", "stopped before an attempt ended"), 0, 0.0
        while True:
            last_chance = channel is self._dead_letters and attempts == 0
            try:
                async with self._time_left(last_chance, until):
                    await self._rest(channel, wait_s)
                    answer = await self._attempt(channel, message)
            except _DeadlineReached:
                return answer, attempts
            attempts += 1
            limit_s = next(waits, None)
            if answer.disposition is not Disposition.RETRY or limit_s is None:
                return answer, attempts
            self._failed_attempts += 1
            self._warn("attempt to deliver failed; will retry", event, attempts, answer)
            self._postpone(channel, min(answer.retry_after_s, self._policy.retry_after_max_s))
            wait_s = self._rng.uniform(0, limit_s)

    @contextlib.asynccontextmanager
    async def _time_left(self, last_chance: bool, until: float | None) -> AsyncIterator[None]:
        """Raises ``_DeadlineReached`` when delivery is cut short or ``until`` (the loop's clock) has passed."""
        if self._cut_short_now and not last_chance:
            raise _DeadlineReached
        try:
            async with asyncio.timeout_at(until) as scope:
                if not last_chance:
                    self._scopes.add(scope)
                yield
        except TimeoutError:
            if scope.expired():
                raise _DeadlineReached from None
            raise
        finally:
            self._scopes.discard(scope)

    async def _rest(self, channel: Channel, wait_s: float) -> None:
        """Until the wait is over, and the time that this place asked everybody to stay away."""
        now = self._clock.now()
        longest = now + timedelta(seconds=self._policy.retry_after_max_s)  # the clock may have been set back
        until = max(now + timedelta(seconds=wait_s), min(self._not_before.get(channel, now), longest))
        if until > now and not (self._cut_short_now and channel is self._dead_letters):
            await reached(self._clock, until)

    async def _attempt(self, channel: Channel, message: Message) -> Attempt:
        started = time.perf_counter()
        answer = await channel.post(message)
        if channel is self._sink:
            self._metrics.count_attempt(answer.code, time.perf_counter() - started)
        return answer

    def _postpone(self, channel: Channel, seconds: float) -> None:
        if seconds > 0:
            self._not_before[channel] = self._clock.now() + timedelta(seconds=seconds)

    def _accepted(self, event: Event, attempts: int) -> Outcome:
        self.healthy = True
        self._metrics.last_success = self._clock.now().timestamp()
        self._digest.flush()
        if self._failure_said:
            fields = {"failed_attempts": self._failed_attempts, "event_id": event.id}
            self._log.info("recovered", extra={"fields": fields})
            self._failure_said, self._failed_attempts = False, 0
        self._log.debug(
            "delivered", extra={"fields": {"event_id": event.id, "event_type": event.type, "attempts": attempts}}
        )
        return Outcome.DELIVERED

    def _warn(self, message: str, event: Event, attempts: int, answer: Attempt) -> None:
        said = self._digest.warning(message, **_fields(event, attempts, answer))
        self._failure_said = self._failure_said or said


def _fields(event: Event, attempts: int, answer: Attempt) -> dict[str, Any]:
    return {
        "event_id": event.id,
        "event_type": event.type,
        "attempts": attempts,
        "code": answer.code,
        "reason": answer.reason,
    }
