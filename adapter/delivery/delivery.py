"""Deliver one event at least once: retries at the sink, then the dead letter sink, each within the policy.

Every attempt sends the same bytes, so the same id and time. An event that neither sink accepts is logged: as an error
if it is lost, as a warning if a caller waits for the outcome.
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
from adapter.model.clock import Clock, wait_until
from adapter.model.event import Event, Outcome
from adapter.observe.metrics import Metrics
from adapter.serving.logs import LogThrottle

ERROR_DATA_LIMIT = 1024
DEAD_LETTER_SHARE = 0.25  # of the time that a caller waits
_CONTROL = bytes([*range(32), 127])


class _DeadlineReached(Exception):
    """There is no time left for the attempt."""


def dead_letter(message: Message, destination: str, attempt: Attempt) -> Message:
    """The event with the three extensions that Knative's dispatcher adds to a dead letter.

    ``attempt`` is the last one at ``destination``. Without a response the code is 500. The data is the response's body
    without control characters, in base64, cut to 1024 characters.
    """
    body = attempt.body if attempt.code.isdecimal() else f"dispatch error: {attempt.reason}".encode()
    data = b64encode(body.translate(None, _CONTROL)).decode()[:ERROR_DATA_LIMIT]
    code = attempt.code if attempt.code.isdecimal() else "500"
    extensions = {"knativeerrordest": destination, "knativeerrorcode": code, "knativeerrordata": data}
    return with_extensions(message, {name: value for name, value in extensions.items() if value})


class Delivery:
    """Delivers events to one sink.

    ``healthy`` becomes False when an event has used all its retries, and True when the sink accepts an event.
    """

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
        self._throttle = LogThrottle(log, clock.now)
        self._not_before: dict[Channel, datetime] = {}  # from Retry-After; applies to all events
        self._is_cut_short = False
        self._scopes: set[asyncio.Timeout] = set()  # of attempts and waits in progress
        self._failed_attempts = 0
        self._failure_logged = False

    def cut_short(self) -> None:
        """End all attempts and waits now. Each event in flight gets one attempt at the dead letter sink."""
        self._is_cut_short = True
        for scope in self._scopes:
            scope.reschedule(asyncio.get_running_loop().time())

    async def deliver(self, event: Event, message: Message, *, caller_timeout_s: float | None = None) -> Outcome:
        """Send ``message``, which is ``event`` encoded, until a sink accepts it or all retries are used.

        ``caller_timeout_s``: how many seconds a caller waits for the outcome; delivery ends within this time. The
        caller can send the event again, so an event that is not delivered is not lost. None: no caller waits.
        """
        sink_until, until = self._deadlines(caller_timeout_s)
        attempt, count = await self._try(self._sink, event, message, sink_until)
        if attempt.disposition is Disposition.ACCEPT:
            return self._accepted(event, count)
        if attempt.disposition is Disposition.RETRY and not self._is_cut_short and caller_timeout_s is None:
            self.healthy = False
        if self._dead_letters is not None:
            dead = dead_letter(message, self._sink.destination.public_url, attempt)
            last, last_count = await self._try(self._dead_letters, event, dead, until)
            if last.disposition is Disposition.ACCEPT:
                self._warn("event sent to the dead letter sink", event, count, attempt)
                return Outcome.DEAD_LETTERED
            self._warn("dead letter sink did not accept the event", event, last_count, last)
        if caller_timeout_s is not None:
            self._warn("event not delivered; caller notified", event, count, attempt)
        else:  # not throttled: an operator searches for the id of a lost event
            self._log.error("event lost", extra={"fields": _fields(event, count, attempt)})
        return Outcome.REJECTED if attempt.disposition is Disposition.REJECT else Outcome.GAVE_UP

    def _deadlines(self, caller_timeout_s: float | None) -> tuple[float | None, float | None]:
        """Loop-clock deadlines (sink, overall) of an event whose caller waits.

        The last quarter of the time is reserved for the dead letter sink.
        """
        if caller_timeout_s is None:
            return None, None
        now = asyncio.get_running_loop().time()
        share = 1 - DEAD_LETTER_SHARE if self._dead_letters else 1
        return now + caller_timeout_s * share, now + caller_timeout_s

    async def _try(self, channel: Channel, event: Event, message: Message, until: float | None) -> tuple[Attempt, int]:
        """The last attempt, and the number of attempts: at most ``retry`` + 1.

        No attempt starts once delivery is cut short, except the first one at the dead letter sink.
        """
        waits = self._policy.waits()
        attempt, count, wait_s = Attempt(Disposition.RETRY, "stopped", "stopped before an attempt ended"), 0, 0.0
        while True:
            last_chance = channel is self._dead_letters and count == 0
            try:
                async with self._time_left(last_chance, until):
                    await self._wait(channel, wait_s)
                    attempt = await self._post(channel, message)
            except _DeadlineReached:
                return attempt, count
            count += 1
            limit_s = next(waits, None)
            if attempt.disposition is not Disposition.RETRY or limit_s is None:
                return attempt, count
            self._failed_attempts += 1
            self._warn("delivery attempt failed; will retry", event, count, attempt)
            self._postpone(channel, min(attempt.retry_after_s, self._policy.retry_after_max_s))
            wait_s = self._rng.uniform(0, limit_s)

    @contextlib.asynccontextmanager
    async def _time_left(self, last_chance: bool, until: float | None) -> AsyncIterator[None]:
        """Raises ``_DeadlineReached`` when delivery is cut short or ``until`` (the loop's clock) has passed."""
        if self._is_cut_short and not last_chance:
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

    async def _wait(self, channel: Channel, wait_s: float) -> None:
        """Wait ``wait_s`` seconds, or longer if the last ``Retry-After`` of this destination requires it."""
        now = self._clock.now()
        longest = now + timedelta(seconds=self._policy.retry_after_max_s)  # the clock may have been set back
        until = max(now + timedelta(seconds=wait_s), min(self._not_before.get(channel, now), longest))
        if until > now and not (self._is_cut_short and channel is self._dead_letters):
            await wait_until(self._clock, until)

    async def _post(self, channel: Channel, message: Message) -> Attempt:
        started = time.perf_counter()
        attempt = await channel.post(message)
        if channel is self._sink:
            self._metrics.count_attempt(attempt.code, time.perf_counter() - started)
        return attempt

    def _postpone(self, channel: Channel, seconds: float) -> None:
        if seconds > 0:
            self._not_before[channel] = self._clock.now() + timedelta(seconds=seconds)

    def _accepted(self, event: Event, count: int) -> Outcome:
        self.healthy = True
        self._metrics.last_success = self._clock.now().timestamp()
        self._throttle.flush()
        if self._failure_logged:
            fields = {"failed_attempts": self._failed_attempts, "event_id": event.id}
            self._log.info("recovered", extra={"fields": fields})
            self._failure_logged, self._failed_attempts = False, 0
        self._log.debug(
            "delivered", extra={"fields": {"event_id": event.id, "event_type": event.type, "attempts": count}}
        )
        return Outcome.DELIVERED

    def _warn(self, message: str, event: Event, count: int, attempt: Attempt) -> None:
        logged = self._throttle.warning(message, **_fields(event, count, attempt))
        self._failure_logged = self._failure_logged or logged


def _fields(event: Event, count: int, attempt: Attempt) -> dict[str, Any]:
    return {
        "event_id": event.id,
        "event_type": event.type,
        "attempts": count,
        "code": attempt.code,
        "reason": attempt.reason,
    }
