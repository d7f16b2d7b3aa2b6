"""The events that are being delivered: encodes each one, counts its outcome, and ends the last ones at a shutdown.

An invalid event does not stop the valid ones: it is logged, counted as lost, and its outcome is ``REJECTED``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from adapter.cloudevents.encode import Message
from adapter.contract.timeouts import TIMEOUTS, Timeouts
from adapter.model.event import Event, Outcome
from adapter.model.traces import trace_fields, traceparent_of
from adapter.observe.metrics import DEAD_LETTERED, DELIVERED, LOST, RETURNED, Metrics
from adapter.serving.logs import BURST, LogThrottle

Encode = Callable[[Event], Message]  # raises ValueError if the event is invalid
SendsAgain = Callable[[Outcome], bool]
ACCEPTED = {Outcome.DELIVERED: DELIVERED, Outcome.DEAD_LETTERED: DEAD_LETTERED}


class Deliverer(Protocol):
    """The part of :class:`adapter.delivery.delivery.Delivery` that the runtime calls."""

    def unready_reason(self) -> str | None: ...

    def count_invalid(self, reason: str) -> None: ...

    def cut_short(self) -> None: ...

    def flush(self) -> None: ...

    async def deliver(
        self,
        event: Event,
        message: Message,
        *,
        caller_timeout_s: float | None = None,
        sends_again: SendsAgain = ...,
    ) -> Outcome: ...


@dataclass(frozen=True)
class Drain:
    """Seconds for the events in flight after SIGTERM: ``timeout_s``, then ``last_attempt_s`` for the dead letter sink.

    ``last_attempt_s`` begins with ``Deliverer.cut_short()``. It is 0 without a dead letter sink.
    """

    timeout_s: float
    last_attempt_s: float = 0.0


class Deliveries:
    """The events in flight of one :class:`Deliverer`. ``stopped`` is set when no more events are made."""

    def __init__(
        self,
        delivery: Deliverer,
        metrics: Metrics,
        throttle: LogThrottle,
        drain: Drain,
        stopped: asyncio.Event,
        timeouts: Timeouts = TIMEOUTS,
    ) -> None:
        self.delivery = delivery
        self._metrics = metrics
        self._throttle = throttle
        self._drain = drain
        self._stopped = stopped
        self._timeouts = timeouts
        self._in_flight: set[asyncio.Timeout] = set()  # of deliveries; rescheduled to end them
        self._none_in_flight = asyncio.Event()
        self._last_outcome_s = -timeouts.outcome_s  # by the loop's clock

    async def handle(
        self,
        event: Event,
        source: str,
        encode: Encode,
        sends_again: SendsAgain,
        caller_timeout_s: float | None = None,
        limit: asyncio.Timeout | None = None,
    ) -> Outcome:
        """Deliver one event with an id and a time, and count its outcome. ``source``: its CloudEvents source.

        ``sends_again``: whether the source sends an event with this outcome again. ``caller_timeout_s`` is set if a
        caller waits for the outcome. ``limit`` may be rescheduled to end the delivery; then its outcome is ``GAVE_UP``.
        """
        limit = limit or asyncio.timeout(None)
        try:
            async with limit:
                self._in_flight.add(limit)
                outcome = await self._deliver(event, encode, sends_again, caller_timeout_s)
        except TimeoutError:
            if not limit.expired():
                raise
            outcome = Outcome.GAVE_UP
            self._log_undelivered(event, source, sends_again(outcome), caller_waits=caller_timeout_s is not None)
        finally:
            self._in_flight.discard(limit)
            self._last_outcome_s = asyncio.get_running_loop().time()
            if self._stopped.is_set() and not self._in_flight:
                self._none_in_flight.set()
        returned = caller_timeout_s is not None or sends_again(outcome)
        self._metrics.count_events(ACCEPTED.get(outcome, RETURNED if returned else LOST))
        return outcome

    async def drain(self) -> float:
        """Wait for the events in flight, within the limits of a shutdown, and end the rest.

        Returns how many seconds the source may still take to handle the last outcome, such as to delete its item.
        """
        await self._wait(self._drain.timeout_s)
        if self._in_flight:
            self.delivery.cut_short()
            await self._wait(self._drain.last_attempt_s + self._timeouts.outcome_s)
        now_s = asyncio.get_running_loop().time()
        for delivery in self._in_flight:
            delivery.reschedule(now_s)
        last_s = now_s if self._in_flight else self._last_outcome_s
        return last_s + self._timeouts.outcome_s - now_s

    async def _wait(self, timeout_s: float) -> None:
        if self._in_flight:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._none_in_flight.wait(), timeout_s)

    async def _deliver(
        self, event: Event, encode: Encode, sends_again: SendsAgain, caller_timeout_s: float | None
    ) -> Outcome:
        try:
            message = encode(event)
        except ValueError as error:
            self._throttle.error("invalid event rejected", event_id=event.id, event_type=event.type, reason=str(error))
            self.delivery.count_invalid(str(error))
            return Outcome.REJECTED
        self._throttle.recovered()
        self._metrics.in_flight += 1
        try:
            return await self.delivery.deliver(
                event, message, caller_timeout_s=caller_timeout_s, sends_again=sends_again
            )
        finally:
            self._metrics.in_flight -= 1

    def _log_undelivered(self, event: Event, source: str, sends_again: bool, *, caller_waits: bool) -> None:
        if caller_waits:
            message = "event not delivered before shutdown; caller notified"
        elif sends_again:
            message = "event not delivered before shutdown; the source will send it again"
        else:
            message = "event lost: not delivered before shutdown"
        fields: dict[str, Any] = {"event_id": event.id, "event_type": event.type}
        fields |= trace_fields(traceparent_of(event, source))
        self._throttle.error(message, burst=BURST, **fields)
