"""Deliver one event at least once: retries at the sink, then the dead letter sink, each within the policy.

Every attempt sends the same bytes, so the same id and time. An event that neither sink accepts is logged: as an error
if it is lost, as a warning if a caller waits for the outcome or the source sends the event again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from adapter.cloudevents.encode import Message
from adapter.contract.delivery_policy import Policy
from adapter.contract.timeouts import TIMEOUTS
from adapter.delivery.attempt import Attempt, Disposition, dead_letter
from adapter.delivery.channel import Channel, OnAnswer
from adapter.delivery.turns import NO_SLOTS, Turns
from adapter.delivery.unaccepted import Unaccepted, first_line
from adapter.model.clock import Clock
from adapter.model.event import Event, Outcome
from adapter.model.traces import trace_fields
from adapter.observe.metrics import Metrics
from adapter.serving.logs import BURST, LogThrottle

DEAD_LETTER_SHARE = 0.25  # of the time that a caller waits


class Delivery:
    """Delivers events to one sink.

    ``secrets``: texts that no log line and no reason may show. ``unaccepted_s``: how long no event may be accepted
    until :meth:`unready_reason` says so; ``monotonic`` measures it. ``slots``: see :class:`Turns`.
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
        secrets: Iterable[str] = (),
        unaccepted_s: float = TIMEOUTS.unaccepted_s,
        monotonic: Callable[[], float] = time.monotonic,
        slots: Mapping[Channel, asyncio.Semaphore] = NO_SLOTS,
    ) -> None:
        self._sink = sink
        self._dead_letters = dead_letters
        self._policy = policy
        self._clock = clock
        self._rng = rng
        self._metrics = metrics
        self._log = log
        self._secrets = tuple(secrets)
        self._throttle = LogThrottle(log, clock.now)
        self._unaccepted = Unaccepted(clock.now, monotonic, unaccepted_s)
        self._unready_logged = False
        self._turns = Turns(clock, policy.retry_after_max_s, slots)
        self._is_cut_short = False
        self._scopes: set[asyncio.Timeout] = set()  # of attempts and waits in progress
        self._failed_attempts = 0  # at the sink, since the last line `recovered`

    def unready_reason(self) -> str | None:
        """Why the source is not ready if no event was accepted for too long, else None. The first reason is logged.

        An event that the dead letter sink accepted is not lost, but the sink did not accept it.
        """
        reason = self._unaccepted.too_long
        if reason and not self._unready_logged:
            self._unready_logged = True
            failures, since, last = self._unaccepted.count, self._unaccepted.since_text, self._unaccepted.reason
            self._throttle.warning("not ready: no event is accepted", failures=failures, since=since, reason=last)
        return reason

    def problem(self) -> str | None:
        """Like :meth:`unready_reason`, without the number of failures: the text changes only with their reason."""
        return self.unready_reason() and self._unaccepted.problem

    def count_invalid(self, reason: str) -> None:
        """Count an event that could not be sent at all."""
        self._add_failure(f"invalid event: {reason}")

    def flush(self) -> None:
        """Write the log lines that are held."""
        self._throttle.flush()

    def cut_short(self) -> None:
        """End all attempts and waits now. Each event in flight gets one attempt at the dead letter sink."""
        self._is_cut_short = True
        for scope in self._scopes:
            scope.reschedule(asyncio.get_running_loop().time())

    async def deliver(
        self,
        event: Event,
        message: Message,
        *,
        caller_timeout_s: float | None = None,
        sends_again: Callable[[Outcome], bool] = lambda outcome: False,
    ) -> Outcome:
        """Send ``message``, which is ``event`` encoded, until a sink accepts it or all retries are used.

        ``caller_timeout_s``: how many seconds a caller waits for the outcome; delivery ends within this time. The
        caller can send the event again, so an event that is not delivered is not lost. None: no caller waits.
        ``sends_again``: whether the source sends an event with this outcome again, so that it is not lost either.
        """
        sink_until, until = self._deadlines(caller_timeout_s)
        attempt, count = await self._try(self._sink, event, message, sink_until)
        if attempt.disposition is Disposition.ACCEPT:
            return self._accepted(event, count)
        if self._dead_letters is not None:
            dead = dead_letter(message, self._sink.destination.public_url, attempt, self._all_secrets())
            last, last_count = await self._try(self._dead_letters, event, dead, until)
            if last.disposition is Disposition.ACCEPT:
                self._warn("event sent to the dead letter sink", event, message, count, attempt)
                return Outcome.DEAD_LETTERED
            self._warn("dead letter sink did not accept the event", event, message, last_count, last)
        outcome = Outcome.REJECTED if attempt.disposition is Disposition.REJECT else Outcome.GAVE_UP
        if caller_timeout_s is not None:
            self._warn("event not delivered; caller notified", event, message, count, attempt)
        elif sends_again(outcome):
            self._warn("event not delivered; the source will send it again", event, message, count, attempt)
        else:
            self._throttle.error("event lost", burst=BURST, **_fields(event, message, count, attempt))
        return outcome

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
        """The last attempt, and the number of attempts: at most ``retry`` + 1. Both include one that was not finished.

        No attempt starts once delivery is cut short, except the first one at the dead letter sink.
        """
        waits = self._policy.waits()
        attempt, count, wait_s = None, 0, 0.0
        while True:
            last_chance = channel is self._dead_letters and count == 0
            started_s, answers = None, list[Attempt]()
            if self._is_cut_short and not last_chance:
                return self._ended_early(channel, attempt, count, started_s, answers)
            scope = asyncio.timeout_at(until)
            try:
                async with scope:
                    if not last_chance:
                        self._scopes.add(scope)
                    at_once = self._is_cut_short and channel is self._dead_letters
                    await self._turns.take(channel, wait_s, at_once=at_once)
                    started_s = time.perf_counter()
                    attempt = await self._post(channel, message, answers.append)
            except TimeoutError:
                if not scope.expired():
                    raise
                return self._ended_early(channel, attempt, count, started_s, answers)
            finally:
                self._scopes.discard(scope)
                if started_s is not None:
                    self._turns.give_back(channel)
            count += 1
            if attempt.disposition is not Disposition.RETRY or (limit_s := next(waits, None)) is None:
                return attempt, count
            self._warn("delivery attempt failed; will retry", event, message, count, attempt)
            self._turns.postpone(channel, attempt.retry_after_s)
            wait_s = self._rng.uniform(0, limit_s)

    async def _post(self, channel: Channel, message: Message, on_answer: OnAnswer) -> Attempt:
        started_s = time.perf_counter()
        attempt = await channel.post(message, on_answer)
        took_s = time.perf_counter() - started_s
        if attempt.disposition is not Disposition.ACCEPT:
            line = first_line(attempt.body, message.body, self._all_secrets())
            attempt = replace(attempt, reason=f"{attempt.reason}: {line}") if line else attempt
        self._count(channel, attempt, took_s)
        return attempt

    def _all_secrets(self) -> Iterator[str]:
        yield from self._secrets
        for channel in filter(None, (self._sink, self._dead_letters)):
            yield from channel.secrets()

    def _ended_early(
        self, channel: Channel, last: Attempt | None, count: int, started_s: float | None, answers: Sequence[Attempt]
    ) -> tuple[Attempt, int]:
        """The result of :meth:`_try` if the time ended: during an attempt that began at ``started_s``, or before one.

        ``last``: the attempt before it. ``answers``: this attempt if only the body of its response is incomplete. The
        status is enough to judge it: an event that the sink has accepted must not be reported as not delivered.
        """
        part = "the sink's part of " if self._dead_letters and channel is self._sink else ""
        cause = "the adapter had to stop" if self._is_cut_short else f"{part}the caller's time ended"
        if started_s is None:
            return last or Attempt(Disposition.RETRY, "stopped", f"not sent before {cause}"), count
        took_s = time.perf_counter() - started_s
        if answers:
            self._count(channel, answers[-1], took_s)
            return answers[-1], count + 1
        before = f"; before that: {last.reason}" if last else ""
        attempt = Attempt(Disposition.RETRY, "stopped", f"no answer when {cause} ({took_s:.1f} s){before}")
        self._count(channel, attempt, took_s)
        return attempt, count + 1

    def _count(self, channel: Channel, attempt: Attempt, took_s: float) -> None:
        if channel is self._sink:
            self._metrics.count_attempt(attempt.code, took_s)
            if attempt.disposition is not Disposition.ACCEPT:
                self._failed_attempts += 1
                self._add_failure(attempt.reason)

    def _add_failure(self, reason: str) -> None:
        self._unaccepted.add(reason)
        since = self._unaccepted.since
        self._metrics.failing_since = since.timestamp() if since else 0.0

    def _accepted(self, event: Event, count: int) -> Outcome:
        self._unaccepted.clear()
        self._unready_logged = False
        self._metrics.failing_since, self._metrics.last_success = 0.0, self._clock.now().timestamp()
        if self._throttle.recovered("recovered", failed_attempts=self._failed_attempts, event_id=event.id):
            self._failed_attempts = 0
        self._log.debug(
            "delivered", extra={"fields": {"event_id": event.id, "event_type": event.type, "attempts": count}}
        )
        return Outcome.DELIVERED

    def _warn(self, text: str, event: Event, message: Message, count: int, attempt: Attempt) -> None:
        self._throttle.warning(text, **_fields(event, message, count, attempt))


def _fields(event: Event, message: Message, count: int, attempt: Attempt) -> dict[str, Any]:
    return {
        "event_id": event.id,
        "event_type": event.type,
        **trace_fields(message.headers.get("ce-traceparent", "")),
        "attempts": count,
        "code": attempt.code,
        "reason": attempt.reason,
    }
